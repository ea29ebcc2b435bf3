/*
 * budget: the ledger accounts of subscriptions' budgets (LEDGER_BUDGETS), each holding what the
 * terms grant for its period. A budget that was raised is filled up; of one that was lowered
 * what is neither spent nor leased is taken back, as it comes free.
 *
 * Threads: the poster's; inside its transaction.
 */
#pragma once

#include "billing/intake.h"
#include "billing/books.h"

/* The account of the budget in this month, with what the terms grant. The subscription has a
 * budget. `turn` makes the ids of transfers. */
int budget_ensure(struct store *store, const struct books *books,
		  struct intake_subscription *subscription, uint32_t month, uint64_t turn,
		  uint64_t now_ns, struct ledger_account_id *ret_id, struct fault *fault);

/*
 * budget: the ledger accounts of budgets (LEDGER_BUDGETS), each holding what its terms grant for
 * its period. A budget that was raised is filled up; of one that was lowered what is neither
 * spent nor leased is taken back, as it comes free.
 *
 * A subscription's budget stands in its terms; those of apps and accounts are few, and all of
 * them are kept in memory (struct budgets).
 *
 * Threads: the poster's; budget_ensure inside its transaction.
 */
#pragma once

#include "base/map.h"
#include "billing/billing.h"
#include "billing/books.h"

struct lease;

struct budget {
	struct billing_budget terms;
	struct ledger_account_id account; /* of `month`; 0: not known */
	uint32_t month;
	struct lease *lease; /* or NULL */
};

/* Of apps and of accounts, by level and id. One that was met stays, removed or not. */
struct budgets {
	struct map of[BILLING_LEVELS]; /* that of subscriptions is empty */
};

void budgets_init(struct budgets *budgets);
void budgets_fini(struct budgets *budgets);
/* Reads what the store has. */
int budgets_load(struct budgets *budgets, struct store *store, struct fault *fault);
/* Reads one of them anew; its account is found anew too. */
int budgets_read(struct budgets *budgets, struct store *store, struct billing_budget_key key,
		 struct budget **ret_budget, struct fault *fault);
/* NULL where there never was one. */
struct budget *budgets_find(const struct budgets *budgets, struct billing_budget_key key);
/* A transaction failed, which may have made accounts. */
void budgets_aborted(struct budgets *budgets);

/* What the account got in all, over what was taken back. */
int budget_granted(struct store *store, struct ledger_account_id account, int64_t *ret_granted_nano,
		   struct fault *fault);
/* The account of the budget in this month, with what the terms grant. There is a budget. `turn`
 * makes the ids of transfers. */
int budget_ensure(struct store *store, const struct books *books, struct budget *budget,
		  uint32_t month, uint64_t turn, uint64_t now_ns, struct ledger_account_id *ret_id,
		  struct fault *fault);

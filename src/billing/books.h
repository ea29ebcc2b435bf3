/*
 * books: billing's ledger accounts: their names, and the few that the cloud itself has.
 *
 * Everything works inside the caller's write transaction. Threads: as the ledger's.
 */
#pragma once

#include "billing/billing.h"
#include "ledger/ledger.h"

struct books {
	struct ledger *ledger;
	struct ledger_account_id operator_account;
	struct ledger_account_id outside;
	struct ledger_account_id budgets;
	struct ledger_account_id spent;
	struct ledger_account_id leases[2]; /* of this node: money, budgets */
};

/* Of `books->leases`. */
static inline struct ledger_account_id books_leases(const struct books *books, uint32_t ledger)
{
	return books->leases[ledger == LEDGER_BUDGETS];
}

/* Makes the cloud's own accounts where missing; a transaction of its own. The ledger must
 * outlive the books. */
int books_open(struct store *store, struct ledger *ledger, uint32_t node, struct books *ret_books,
	       struct fault *fault);

/* Finds or makes the account's ledger account. */
int books_account(struct ledger *ledger, struct slice account_name,
		  struct ledger_account_id *ret_id, struct fault *fault);
/* The account of a budget in this month, made where missing. */
int books_budget(struct ledger *ledger, struct billing_budget_key key, bool monthly, uint32_t month,
		 struct ledger_account_id *ret_id, struct fault *fault);
/* budget:<subscription>, budget:app:<app> or budget:account:<account>, with the month behind it
 * where the budget is monthly. */
void books_budget_name(struct billing_budget_key key, bool monthly, uint32_t month,
		       char name[LEDGER_NAME_MAX]);
/* owed:<name> for the account with this id. */
int books_owed(struct ledger *ledger, struct ledger_account_id account,
	       struct ledger_account_id *ret_id, struct fault *fault);
/* The name of the account that holds what `name` owes. */
void books_owed_name(struct slice name, char owed[LEDGER_NAME_MAX]);

/* Makes one transfer that must stand, now or from before; FAULT_REFUSED says why it does not. */
int books_transfer(struct ledger *ledger, const struct ledger_transfer *transfer, uint64_t now_ns,
		   enum ledger_outcome *ret_outcome, struct fault *fault);

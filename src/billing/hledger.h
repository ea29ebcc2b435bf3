/*
 * hledger: the whole ledger of money as a journal of hledger (hledger.org, version 1.25 and later),
 * so that an accountant's own program can read and check it.
 *
 * Each transfer that moved money is one transaction with its id as the code; what is or was only
 * pending moves nothing and is counted in a comment. At each month's end, and at the very end,
 * every account's balance is asserted: at the months' ends that which follows from the transfers,
 * at the very end, where the journal reaches until now, that which the ledger keeps for the
 * account. So `hledger check` finds a transfer or a balance that was tampered with.
 *
 * The ledger's debits are positive amounts, its credits negative ones. What came from outside is an
 * asset, what accounts have is owed to them, what the operator earned is revenue.
 *
 * Memory: some 100 bytes for each account of the ledger, and one page of transfers.
 * Threads: as the store's handle.
 */
#pragma once

#include "billing/billing.h"

#define BILLING_HLEDGER_ACCOUNTS_MAX 1000000

struct billing_hledger_options {
	struct store *store; /* outlives the journal */
	const char *currency;
	uint32_t from_month; /* earlier ones are summed into opening balances; 0: from the first on
			      */
	uint32_t to_month;   /* the last; UINT32_MAX: until now */
	uint64_t now_ns;
};

struct billing_hledger;

/* Takes what stands in the ledger now; later transfers do not enter the journal. FAULT_INPUT where
 * from_month is behind to_month, FAULT_LIMIT where there are too many accounts. */
int billing_hledger_open(const struct billing_hledger_options *options,
			 struct billing_hledger **ret_journal, struct fault *fault);
/* NULL is allowed. */
void billing_hledger_close(struct billing_hledger *journal);
/* Appends the next piece, some 100 KiB at most; *ret_done: that was the last. */
int billing_hledger_next(struct billing_hledger *journal, struct text *output, bool *ret_done,
			 struct fault *fault);

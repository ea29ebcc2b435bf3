/*
 * party: which ledger accounts stand on the two sides of a subscription, so that a statement
 * finds its subscriptions without looking through all. Written when the poster first charges.
 *
 * Threads: as the store's handle.
 */
#pragma once

#include "billing/billing.h"

struct party {
	struct subscription_id subscription;
	struct ledger_account_id account;
	struct ledger_account_id provider;
};

/* In the caller's write transaction. */
int party_save(struct store *store, const struct party *party, struct fault *fault);

struct party_filter {
	struct ledger_account_id account;    /* on either side .. */
	bool all;                            /* .. or on none */
	struct subscription_id subscription; /* 0: any */
};

typedef int (*party_fn)(void *context, const struct party *party, struct fault *fault);

/* By subscription. */
int party_each(struct store *store, const struct party_filter *filter, party_fn each, void *context,
	       struct fault *fault);

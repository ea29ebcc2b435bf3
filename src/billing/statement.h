/*
 * statement: what billing_statement_make does, for who also wants the subscriptions that it is
 * made of.
 *
 * Threads: as the store's handle.
 */
#pragma once

#include "billing/billing.h"

/* Called for each subscription that was billed, with the calls that began in the month: none where
 * there were only reports, or later parts of a call. */
typedef void (*statement_terms_fn)(void *context, const struct billing_terms *terms,
				   uint64_t calls);

/* Within the caller's transaction where `each` is given, so that it is called once for each. */
int statement_make(struct store *store, const struct billing_terms_source *terms,
		   const struct billing_statement_query *query, statement_terms_fn each,
		   void *context, struct billing_statement **ret_statement, struct fault *fault);

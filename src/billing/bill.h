/*
 * bill: what the parts of a bill in the making share.
 *
 * bill_head.c takes everything but the records from the store, in one transaction, and writes it;
 * bill.c goes through the journal's records and signs. docs/receipts.md has the format.
 *
 * Threads: as the store's handle.
 */
#pragma once

#include "base/map.h"
#include "billing/billing.h"
#include "billing/card.h"
#include "billing/phase.h"

/* A record that is parked: on record, and not charged yet. */
struct bill_parked {
	uint32_t stream;
	uint64_t position;
};

struct bill_head {
	char account[BILLING_NAME_MAX];
	struct billing_statement *statement;
	struct billing_terms **subscriptions;
	size_t subscription_count;
	struct map by_id; /* of the subscriptions */
	uint64_t calls;   /* billed, of all of them */
	struct phase *phases;
	size_t phase_count;
	struct card *cards;
	size_t card_count;
	struct phase_late *late;
	size_t late_count;
	struct bill_parked *parked; /* of these subscriptions, by stream and position */
	size_t parked_count;
	struct phase_range ranges[JOURNAL_STREAMS_MAX];
};

int bill_head_load(struct bill_head *head, const struct billing_bill_options *options,
		   struct fault *fault);
void bill_head_fini(struct bill_head *head);
/* Everything of the document before its streams. */
void bill_head_write(const struct bill_head *head, const struct billing_bill_options *options,
		     struct text *output);

/*
 * card: the rate cards and fees that were in force, so that a month in which the operator
 * changed them can be recomputed. A card has a number for ever; the same prices again have the
 * same number. The newest to be put in force is the one that counts.
 *
 * Threads: as the store's handle.
 */
#pragma once

#include "billing/billing.h"

struct card {
	uint64_t number; /* 0: none was ever in force */
	struct rating_card rates;
	uint32_t fee_ppm;
};

/* Number 0 and no prices where none was. */
int card_in_force(struct store *store, struct card *ret_card, struct fault *fault);
/* FAULT_DAMAGED where there is none with this number. */
int card_get(struct store *store, uint64_t number, struct card *ret_card, struct fault *fault);
/* Finds or gives the number. In the caller's write transaction. */
int card_put_in_force(struct store *store, const struct rating_card *rates, uint32_t fee_ppm,
		      struct card *ret_card, struct fault *fault);

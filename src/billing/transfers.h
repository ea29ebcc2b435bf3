/*
 * transfers: a turn's ledger transfers on their way into the ledger, many at once and in order.
 *
 * A charge that its account cannot pay is made all the same, from `owed:<account>`. Voiding what
 * has expired is no failure: it is released. Everything else that the ledger refuses is a fault.
 *
 * Threads: the poster's; inside its transaction.
 */
#pragma once

#include "billing/books.h"

#define TRANSFERS_AT_ONCE 16384

struct transfers {
	const struct books *books;
	struct ledger_transfer *of;
	enum ledger_outcome *outcomes;
	size_t count;
	uint64_t now_ns; /* Unix */
	/* Since transfers_begin. */
	uint64_t made;
	uint64_t owed;
};

void transfers_init(struct transfers *transfers, const struct books *books);
void transfers_fini(struct transfers *transfers);

/* Forgets what was not flushed: the transaction before was rolled back. */
void transfers_begin(struct transfers *transfers, uint64_t now_ns);
/* Nothing happens where the amount is 0 (but for a void), or debit and credit are the same. */
int transfers_add(struct transfers *transfers, const struct ledger_transfer *transfer,
		  struct fault *fault);
int transfers_flush(struct transfers *transfers, struct fault *fault);

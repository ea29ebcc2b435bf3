/*
 * tally: how many calls of a service ended how, and how long they took. Private to the gateway.
 *
 * Each worker counts in a part of its own, by plain stores; whoever reads adds up. The parts live
 * as long as the service. What is counted, and the bounds of the buckets, is in gateway.h.
 *
 * Threads: a part belongs to its worker; reading is anybody's.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "gateway/gateway.h"
#include "journal/journal.h"

struct tally {
	_Alignas(64) _Atomic uint64_t calls[GATEWAY_CALL_CLASSES];
	_Atomic uint64_t took[GATEWAY_TOOK_BUCKETS]; /* not summed up over smaller ones */
	_Atomic uint64_t took_us;
};

/* One a worker, zeroed; NULL without memory. free() frees them. */
struct tally *tally_new(uint32_t workers);
void tally_note(struct tally *own, uint16_t status, enum journal_outcome outcome, uint64_t took_us);
/* Adds the parts up. */
void tally_read(const struct tally *tallies, uint32_t workers,
		struct gateway_service_counts *ret_counts);

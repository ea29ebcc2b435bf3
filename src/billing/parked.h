/*
 * parked: records that cannot be rated, because their subscription or plan is unknown or a
 * quantity is out of range. They are kept whole, and taken back once that has changed.
 *
 * Threads: the poster's.
 */
#pragma once

#include "billing/intake.h"

void parked_list_add(struct intake_parked_list *list, uint32_t stream,
		     const struct journal_record *record);

/* Puts the record among those that the turn parks, and logs why: `fault` says it. FAULT_LIMIT
 * where too many are parked already. */
int parked_add(struct intake *intake, uint32_t stream, const struct journal_record *record,
	       struct fault *fault);

/* The first parked record at or behind this place. */
int parked_next(struct store *store, uint32_t node, uint32_t stream, uint64_t position,
		bool *ret_found, uint32_t *ret_stream, struct journal_record *ret_record,
		struct fault *fault);
int parked_count(struct store *store, uint32_t node, uint64_t *ret_count, struct fault *fault);

/* In the turn's transaction: writes what it parks, deletes what it took back and notes that the
 * phase rated it. */
int parked_write(const struct intake *intake, uint64_t phase, struct fault *fault);

/*
 * phase: a stretch of a node's posting under one rate card, so that whoever checks a bill knows
 * which card rated which record.
 *
 * Phases follow each other; a record belongs to the one during which the poster read it, which
 * its position tells: each phase notes where the streams' cursors stood when it began. Only a
 * record that was parked and taken back later belongs to a later phase than its position says:
 * those are noted one by one. Beside that: where in a stream the records of a month lie.
 *
 * Threads: as the store's handle.
 */
#pragma once

#include "billing/intake.h"

#define PHASES_MAX 10000 /* of a node: changes of card or fee */

struct phase {
	uint64_t number; /* ascending */
	uint64_t card;
	uint64_t starts[JOURNAL_STREAMS_MAX]; /* positions; 0 for streams that came later */
};

/* Begins one where the node's last has another card. In the caller's write transaction. */
int phase_begin(struct store *store, uint32_t node, uint64_t card, uint64_t *ret_number,
		struct fault *fault);
/* The same, in a transaction of its own. */
int phase_ensure(struct store *store, uint32_t node, uint64_t card, uint64_t *ret_number,
		 struct fault *fault);

/* In the turn's transaction. */
int phase_note_late(struct store *store, uint32_t node, uint32_t stream,
		    const struct journal_record *record, uint64_t phase, struct fault *fault);
int phase_note_month(struct store *store, uint32_t node, uint32_t stream,
		     const struct intake_month *month, struct fault *fault);

/* All of the node, in order; freed by the caller. */
int phase_list(struct store *store, uint32_t node, struct phase **ret_phases, size_t *ret_count,
	       struct fault *fault);

/* A record taken back from the parked ones. */
struct phase_late {
	uint32_t stream;
	uint64_t position;
	uint64_t phase;
	struct subscription_id subscription;
};

/* Those of the month, by stream and position; freed by the caller. */
int phase_late_list(struct store *store, uint32_t node, uint32_t month,
		    struct phase_late **ret_late, size_t *ret_count, struct fault *fault);

struct phase_range {
	uint64_t first;
	uint64_t end; /* 0: none */
};

/* Where the month's records lie in each stream. */
int phase_month_load(struct store *store, uint32_t node, uint32_t month,
		     struct phase_range ret_ranges[JOURNAL_STREAMS_MAX], struct fault *fault);

/* Positions by stream, 0 where there is no row: `sql` selects stream and position of what $1 is. */
int positions_select(struct store *store, const char *sql, uint64_t of,
		     uint64_t ret_positions[JOURNAL_STREAMS_MAX], struct fault *fault);

/*
 * key_uses: how often each key called in a month, and when last, as the poster counts it. Private
 * to billing.
 *
 * Counted as records are read, written once a turn in the poster's transaction by absolute value:
 * so a replay counts nothing twice, and a call costs no write of its own. Keys that rest for
 * minutes are forgotten here and read again when they are met.
 *
 * Threads: the poster's.
 */
#pragma once

#include "base/map.h"
#include "meter/meter.h"

struct key_use {
	struct meter_key sum;
	bool loaded;          /* what the store had is in the sum */
	bool touched;         /* in the list of what the turn writes */
	struct key_use *next; /* the same key in another month */
	struct key_use *next_touched;
};

struct key_uses {
	struct map by_key; /* key -> its first key_use */
	struct key_use *touched;
};

void key_uses_init(struct key_uses *uses);
void key_uses_fini(struct key_uses *uses);
void key_uses_add(struct key_uses *uses, const struct journal_record *record, uint32_t month);
/* In the turn's transaction. */
int key_uses_save(struct key_uses *uses, struct store *store, struct fault *fault);
void key_uses_committed(struct key_uses *uses);
/* Forgets what was not used since `minute`. After a commit. */
void key_uses_sweep(struct key_uses *uses, uint64_t minute);

/*
 * eject: takes instances that fail out of the choice for a while, and lets them back.
 *
 * An instance fails a call when it cannot be connected to, breaks off, answers nonsense, is too
 * late, or answers 5xx (but for what a caller can bring about: answer.c). It is ejected
 *
 *	after so many failures in a row, or
 *	when the share of its calls that succeeded, over the last interval or two, is so far below
 *	that of the service's other instances,
 *
 * for a time that doubles with each ejection and shrinks again, one step an interval without a
 * failure. Then one call at a time is let through to it: the first that succeeds brings it back,
 *one that fails ejects it again. Never more than a share of a service's instances is out, and the
 * only instance never is: with all of them bad, callers are better served by what they answer.
 *
 * Counts of calls are plain stores that two workers may overwrite each other: shares forgive that.
 *
 * Threads: any. Time: monotonic.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gateway/gateway.h"

#define EJECT_CALLS_MIN                                                          \
	20u /* of the instance and of the others, below which shares say nothing \
	     */

struct directory_instances;
struct directory_instance;

struct eject_state {
	_Atomic uint32_t failures;                    /* in a row */
	_Atomic uint32_t calls, failed;               /* in this interval */
	_Atomic uint32_t calls_before, failed_before; /* and in the one before */
	_Atomic uint64_t interval_ends_ns;
	_Atomic uint64_t until_ns; /* 0: it is in */
	_Atomic uint32_t times;    /* ejections, less the intervals without a failure since */
	_Atomic bool probing;      /* a call tries it */
};

enum eject_change { EJECT_NONE, EJECT_OUT, EJECT_BACK };

/* Whether the instance may be chosen; where it may be tried by one call only, *ret_probe is true
 * and eject_probe must be had. */
static inline bool eject_allows(const struct eject_state *state, uint64_t now_ns, bool *ret_probe)
{
	const uint64_t until_ns = atomic_load_explicit(&state->until_ns, memory_order_relaxed);

	*ret_probe = until_ns != 0;
	return until_ns == 0 ||
	       (now_ns >= until_ns && !atomic_load_explicit(&state->probing, memory_order_relaxed));
}

/* True: this call is the one that tries it; eject_probe_over is owed. */
bool eject_probe(struct eject_state *state);
void eject_probe_over(struct eject_state *state);

/* How a call of the instance ended. EJECT_OUT: *ret_for_ns is set. */
enum eject_change eject_note(const struct directory_instances *instances,
			     struct directory_instance *instance,
			     const struct gateway_ejection *policy, bool failed, uint64_t now_ns,
			     uint64_t *ret_for_ns);

/*
 * part: a call that runs long is settled part by part. Private to the gateway.
 *
 * A call's first hold covers a part of it: `settle_interval`, or the plan's timeout where that is
 * less. A call that is over by then is settled once, and nothing here runs for it. For a longer one
 * its timer comes at the part's end: what it used is charged and on record (JOURNAL_RUNNING), and
 * the dearest that the next part can cost is held before that begins. Where the ledger has to be
 * asked first, both directions rest until it answers, and nobody pays for the pause. Where there is
 * no more money the call is cut, and what it used is paid.
 *
 * What cannot be charged yet (the service has not begun to answer, or answers 500 and more) is not
 * settled at a part's end; then the hold grows instead.
 *
 * Invariants: a hold is there before what it pays for begins; what a part is charged never exceeds
 * it. Parts end at whole milliseconds of the service's time, so that the quantities of all records
 * of a call sum to what they would be in one.
 *
 * Memory: from a list of the worker, for calls that need it. Threads: the worker's.
 */
#pragma once

#include "gateway/call.h"
#include "gateway/farewell.h"

struct call_parts {
	struct call_parts *next; /* in the worker's list of idle ones */
	uint64_t began_ns;       /* of the service's time that is not settled yet */
	uint64_t covered_us;     /* of it, what the hold covers */
	uint64_t wait_due_ns;    /* 0, or until when it waits for the next hold */
	bool rested;             /* it had to wait */
	uint32_t records;        /* so far, and what they have: */
	uint64_t service_us;
	int64_t charge_nano;
	struct rating_quantities used;
	struct rating_cloud_quantities cloud_used;
	struct rating_left left;
	struct websocket_place place; /* of a tunnel: where in its frames the service's bytes are */
};

/* The call's, taken now if it has none; NULL without memory. */
struct call_parts *part_take(struct call *call);
void part_give(struct call *call);
/* All idle ones. */
void part_list_free(struct call_parts *first);

/* When the hold has nothing left to cover. */
uint64_t part_due_ns(const struct call *call);
/* The service's time that is not on record, as far as the hold covers it. */
uint64_t part_used_us(const struct call *call);
/* Ends the part that is over and begins the next one. False: the call rests until its timer, or has
 * been cut. */
bool part_next(struct call *call);
/* A record of so much was written. */
void part_note(struct call *call, uint64_t service_us, bool billed,
	       const struct rating_quantities *measured, const struct admit_charge *charge);

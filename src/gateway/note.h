/*
 * note: what a call that is over tells the access log. Private to the gateway.
 *
 * Threads: the call's worker. Memory: none is allocated; where the ring is full the line is
 * dropped and counted.
 */
#pragma once

#include "gateway/call.h"

/* A call that a service saw; no line where it went well and its trace is not sampled. */
void note_settled(const struct call *call, enum journal_outcome outcome, uint64_t service_us,
		  int64_t charge_nano);
/* One that none saw: with Stoa's own answer, or with PROBLEM_COUNT, for its caller left. While what
 * is known of it is still there. */
void note_refused(const struct call *call, enum problem problem);
/* A request that was none. */
void note_invalid(struct worker *worker, unsigned status);

/*
 * trace: a call's place in its caller's trace, by W3C Trace Context (Recommendation, level 1 and
 * the draft of level 2).
 *
 * A valid traceparent is continued: its trace id and flags go on, under a span id of the call's
 * own. Anything else (none, several, another form, ids of zeros) begins a new trace, whose id is
 * the call id; the tracestate of the trace that was not understood is then left behind.
 *
 * Threads: any.
 */
#pragma once

#include <stdbool.h>

#include "base/ids.h"
#include "base/slice.h"

#define TRACE_BYTES         55 /* "00-" trace id "-" span id "-" flags */
#define TRACE_ID_AT         3
#define TRACE_ID_TEXT_BYTES 32

/* What the service gets, without NUL. `parent`: the caller's field, data NULL where there is none
 * or more than one. True: the caller's trace goes on. */
bool trace_make(struct slice parent, struct call_id call, char text[TRACE_BYTES]);

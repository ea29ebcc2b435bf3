/*
 * units: reads the field by which a service declares what a call used:
 *
 *	Stoa-Units: pixels=120000, tokens=5
 *
 * Threads: any.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/slice.h"
#include "rating/rating.h"

enum units_outcome {
	UNITS_READ,
	UNITS_UNKNOWN, /* a name that the service's manifest does not declare; the rest counts */
	UNITS_INVALID, /* not name=number; what stands before it counts */
};

/* Adds to `quantities`, each saturating at GATEWAY_CALL_UNITS_MAX, so that one absurd report
 * cannot fill a period's sum, beyond which no call could be charged; a plan's caps cut further. */
enum units_outcome units_read(struct slice value,
			      _Atomic(const char *) const names[RATING_UNITS_MAX],
			      struct rating_quantities *quantities);

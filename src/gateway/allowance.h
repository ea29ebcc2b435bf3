/*
 * allowance: what a plan's rate and quota leave to its caller, told on every answer by the
 * RateLimit fields (IETF draft-ietf-httpapi-ratelimit-headers).
 *
 *	RateLimit-Policy: "rate";q=200;w=2, "quota";q=1000000
 *	RateLimit: "rate";r=198;t=1, "quota";r=999871;t=518400
 *
 * q and r count calls, w and t seconds: w, how long it takes until a burst that was used up is
 * there again; t, until more is there than r says. A quota renews with the calendar month (UTC).
 *
 * Threads: any.
 */
#pragma once

#include "gateway/admit.h"

#define ALLOWANCE_POLICY_MAX 96 /* bytes */
#define ALLOWANCE_LEFT_MAX   112

/* The policy's text, rendered once a plan: its length, 0 for a plan without rate and quota. */
size_t allowance_policy(const struct gateway_limits *limits, char text[ALLOWANCE_POLICY_MAX]);
size_t allowance_left(const struct gateway_limits *limits, const struct admit_left *left,
		      uint64_t month_left_ns, char text[ALLOWANCE_LEFT_MAX]);

/*
 * version: a plan's next version begins with a month (gateway_publish_move), and calls are in
 * flight then. A call is admitted under the version of its begin; each record of it is charged
 * under the version of the moment at which it is written, so that a month of a subscription has
 * one. What a call holds near a month's end covers both.
 *
 * Threads: the call's worker.
 */
#pragma once

#include "gateway/call.h"

/* So long before a month's end calls hold for the version behind it: no call that is not settled
 * part by part takes longer. */
#define VERSION_AHEAD_NS (2 * 86400 * CLOCK_NS_PER_S)

/* Under which version what is held now may be charged, at the latest: mostly call->plan. */
const struct directory_plan *version_to_come(const struct call *call);
/* What a call holds beside what its plan says: so much, and by how much it may cost more under the
 * version to come. */
int64_t version_hold(const struct call *call, int64_t nano);
/* What is left of the call's bounds under another version: no more than it had. */
struct rating_left version_left(const struct directory_plan *plan, const struct rating_left *left);
/* From here on the call is charged under the version that is in force now. */
void version_follow(struct call *call);

/*
 * route: which service a request names, and what of its target the service sees.
 *
 * The first label of the host names it (thumbs.localhost, thumbs.stoa.internal); else the first
 * segment of the path does (/thumbs/resize), and is stripped. A host that is an address or has
 * a single label (localhost) names nothing.
 *
 * Threads: any.
 */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

/* False: the host names no service. *ret_label points into `authority`. */
bool route_host_label(struct slice authority, struct slice *ret_label);

/* The first segment of a target such as "/thumbs/resize?w=1", and the target without it
 * ("/resize?w=1"; "/" and "/?w=1" where nothing is left: *ret_rest is empty or begins with '?'
 * then, and *ret_bare is true: a '/' belongs before it). False: the path has no segment. */
bool route_path_segment(struct slice target, struct slice *ret_segment, struct slice *ret_rest,
			bool *ret_bare);

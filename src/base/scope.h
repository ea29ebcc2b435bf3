/*
 * scope: what the text of a key's scope says, and whether it allows a request. Pure.
 *
 *	SERVICE[:METHODS[:PATH]]
 *
 *	thumbs                     every call of thumbs
 *	thumbs:GET                 GET of any path
 *	thumbs:GET,POST:/resize    GET and POST of /resize and of what is below it
 *	thumbs:*:/v1/              any method, what is below /v1/ and not /v1/ itself without it
 *	*:GET                      GET of every service
 *
 * A service is a DNS label, methods are written in capitals, a path is written decoded. Each is
 * compared as it stands: HEAD is not GET, /Resize is not /resize. Several scopes of a key stand in
 * one text with a space between (RFC 6749, 3.3), and one that allows is enough.
 *
 * A path is compared segment by segment as the service will see it, percent-decoded once. Where
 * two programs could read it in two ways, no scope with a path allows it: dot segments, empty
 * segments, encoded slashes, percents and backslashes, parameters (";"), control characters,
 * overlong UTF-8. So a path may look narrower than it is to the gateway, but never wider.
 *
 * Threads: any.
 */
#pragma once

#include <stdbool.h>

#include "base/fault.h"
#include "base/slice.h"

#define SCOPE_TEXT_MAX 256 /* bytes of one scope, and of all scopes of a key, with the NUL */

/* FAULT_INPUT tells what is wrong with one scope. */
int scope_check(struct slice scope, struct fault *fault);

/* Whether one of the scopes (a space between two) allows the request. `target` is what the service
 * will see: path and query; without a path it is the root's. What scope_check refuses, allows
 * nothing. */
bool scope_allows(struct slice scopes, struct slice service, struct slice method,
		  struct slice target);

/* The narrowest scope that would allow the request; without the path where no scope with a path
 * could. Returns `text`. */
const char *scope_needed(struct slice service, struct slice method, struct slice target,
			 char text[SCOPE_TEXT_MAX]);

/*
 * own_field: what the fields that Stoa itself writes are made with. Private to the gateway.
 *
 * Threads: any (values).
 */
#pragma once

#include <string.h>

#include "base/slice.h"
#include "http/http.h"

/* Of a value that is ours, or of names that were checked when they were published: it goes out
 * without being looked at. `name` and `value` are not copied. */
static inline struct http_header own_header(enum http_name known, const char *name,
					    struct slice value)
{
	return (struct http_header){
		.name = slice_of(name), .value = value, .known = known, .sound = true};
}

/* Returns the end of what was written. */
static inline char *own_put(char *at, struct slice bytes)
{
	memcpy(at, bytes.data, bytes.length);
	return at + bytes.length;
}

/*
 * slice: bytes that somebody else owns. Passed by value; never NUL-terminated by promise.
 * `data` may be NULL only where `length` is 0.
 *
 * Threads: any; a slice is as safe as the bytes that it points to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"

struct slice {
	const char *data;
	size_t length; /* bytes */
};

/* For printf: "%.*s", SLICE_ARGS(slice). */
#define SLICE_ARGS(slice) (int)(slice).length, (slice).data

static inline struct slice slice_make(const void *data, size_t length)
{
	return (struct slice){.data = data, .length = length};
}

/* Of a NUL-terminated text, without the NUL; NULL gives the empty slice. */
static inline struct slice slice_of(const char *text)
{
	return (struct slice){.data = text, .length = text ? strlen(text) : 0};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* ASCII only. */
bool slice_equal_ignore_case(struct slice a, struct slice b);

/* Bytes [from, to); both are cut to the length. */
static inline struct slice slice_part(struct slice text, size_t from, size_t to)
{
	check(from <= to);
	if (to > text.length)
		to = text.length;
	if (from > to)
		from = to;
	/* Nothing is added to NULL, which only an empty text has. */
	return slice_make(from > 0 ? text.data + from : text.data, to - from);
}

static inline bool slice_starts_with(struct slice text, struct slice prefix)
{
	return prefix.length <= text.length &&
	       slice_equal(slice_part(text, 0, prefix.length), prefix);
}

static inline bool slice_ends_with(struct slice text, struct slice suffix)
{
	return suffix.length <= text.length &&
	       slice_equal(slice_part(text, text.length - suffix.length, text.length), suffix);
}

/* The index of the first `byte` at or after `from`, or text.length where there is none. */
static inline size_t slice_find_byte(struct slice text, char byte, size_t from)
{
	if (from >= text.length)
		return text.length;
	const char *found = memchr(text.data + from, byte, text.length - from);
	return found ? (size_t)(found - text.data) : text.length;
}

/* Without spaces and tabs at both ends. */
static inline struct slice slice_trim(struct slice text)
{
	size_t from = 0, to = text.length;

	while (from < to && (text.data[from] == ' ' || text.data[from] == '\t'))
		from++;
	while (to > from && (text.data[to - 1] == ' ' || text.data[to - 1] == '\t'))
		to--;
	return slice_part(text, from, to);
}

/* Cuts `text` at the first `separator`: *ret_head is what stands before it, *text what stands
 * after. Without a separator the head is all of it and *text becomes empty. False once
 * *text is empty at the call; the head is empty then as well. */
bool slice_cut(struct slice *text, char separator, struct slice *ret_head);

/* Strict decimal: digits only, no sign, no space, at most `most`. False and no result otherwise. */
bool slice_to_u64(struct slice text, uint64_t most, uint64_t *ret_value);

/* Copies with a final NUL; false (and nothing written) where it does not fit. */
bool slice_to_text(struct slice slice, char *text, size_t text_bytes_max);

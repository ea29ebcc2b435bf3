/*
 * text: building texts of unknown length in memory that grows, up to a limit.
 *
 * A text that reached its limit or ran out of memory says so in `failed`; what is appended
 * afterwards is dropped, so that a caller checks once, at the end.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct text {
	char *data; /* NUL-terminated once anything was appended */
	size_t length;
	size_t capacity;
	size_t bytes_max;
	bool failed;
	bool is_secret; /* memory is wiped before it is given back; the caller's to set */
};

void text_init(struct text *text, size_t bytes_max);
void text_fini(struct text *text);
void text_clear(struct text *text);
void text_append(struct text *text, struct slice bytes);
void text_append_text(struct text *text, const char *bytes);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct slice text_slice(const struct text *text)
{
	return slice_make(text->data, text->length);
}

/* Lower-case hexadecimal; `text` holds 2 * length + 1 bytes. */
void text_hex(const void *bytes, size_t length, char *text);
/* Decimal digits, without NUL; at most 20. Returns their end. */
char *text_decimal(uint64_t value, char *text);
bool text_from_hex(struct slice hex, void *bytes, size_t length);

/* The length of the well-formed UTF-8 sequence at byte `at` (below text.length), or 0 where it
 * is none (Unicode 15, table 3-7). */
size_t text_utf8_length(struct slice text, size_t at);

/* What somebody else wrote, fit to stand in a sentence: control characters and bytes that are not
 * UTF-8 become '?', and what is longer than 64 bytes is cut and ends in "...". Returns `text`. */
#define TEXT_SHOWN_MAX 68 /* bytes, with the NUL */
const char *text_show(struct slice bytes, char text[TEXT_SHOWN_MAX]);

/* The same in place, for a sentence that quotes somebody else somewhere; of any length. */
void text_tame(char *text);
bool text_is_tame(const char *text);

/* The entry of `known` nearest to `word` by edit distance (Damerau-Levenshtein, optimal string
 * alignment), or NULL when none is within a third of the length of `word`: for "did you mean". */
const char *text_nearest(const char *word, const char *const *known, size_t known_count);
/* The same, within so many edits. */
const char *text_nearest_within(const char *word, size_t edits_max, const char *const *known,
				size_t known_count);

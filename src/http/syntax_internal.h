/*
 * The bytes of HTTP: which may stand where, by RFC 9110 5.6 and RFC 9112 2.2.
 *
 * http_lines_scan is the one place that knows where a line or a head ends. It lets nothing pass
 * on which parsers are known to disagree: a line ends with CR LF and with nothing else; neither
 * byte, nor NUL, nor any control character but the tab stands anywhere else; no line is
 * continued on the next.
 *
 * Threads: any; all of it is pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* From `from` on; empty where the text is shorter. */
static inline struct slice http_rest(struct slice text, size_t from)
{
	return from < text.length ? slice_make(text.data + from, text.length - from)
				  : (struct slice){.data = NULL, .length = 0};
}

enum http_scan {
	HTTP_SCAN_WHOLE, /* ends with an empty line */
	HTTP_SCAN_MORE,
	HTTP_SCAN_INVALID
};

/* Looks for the CR LF CR LF that ends a section of lines, from *position on: 0 at first, then
 * what the call before left there, with more bytes behind those that were there. WHOLE:
 * *position is behind the empty line. A section that begins with an empty line ends there. */
enum http_scan http_lines_scan(struct slice bytes, size_t *position);

/* As http_lines_scan for one line: *ret_length is its length with CR LF. */
enum http_scan http_line_scan(struct slice bytes, size_t *ret_length);

/* No control character but the tab: what a field's value may be made of. */
bool http_is_field_text(struct slice text);

/* Next element of a comma-separated list, trimmed; empty ones are skipped. False at the end. */
bool http_list_next(struct slice *list, struct slice *ret_element);

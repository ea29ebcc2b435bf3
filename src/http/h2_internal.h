/*
 * h2: what both sides of HTTP/2 (RFC 9113) share: fields as HPACK gives and takes them.
 *
 * nghttp2 checks a header section as a whole (pseudo fields, their order, connection-specific
 * fields, the length against the content that comes); here each field becomes what the parser of
 * HTTP/1.1 would have made of it, under the same bounds.
 *
 * Threads: the loop's.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "http/http.h"
#include "http/message_internal.h"

#define HTTP_H2_FRAME_HEAD_BYTES 9

/* A header or trailer section; its fields point into its text. */
struct http_h2_fields {
	struct http_header of[HTTP_HEADERS_MAX];
	size_t count;
	size_t used, capacity; /* bytes of `text` */
	char *text;
};

/* bytes_max: of a head, as struct http_limits counts them. */
void http_h2_fields_init(struct http_h2_fields *fields, size_t bytes_max);
/* What of `bytes_max` these take. It may be more than they had in HTTP/1.1, where no space needs to
 * stand behind a colon. */
size_t http_h2_fields_bytes(const struct http_header *headers, size_t header_count);
void http_h2_fields_fini(struct http_h2_fields *fields);
/* Forgets all fields; what pointed to them must be done with. */
void http_h2_fields_clear(struct http_h2_fields *fields);

/* Copies a regular field. HEAD_LENGTH, FIELD_COUNT: a bound; FIELD: it is malformed. */
enum http_refused http_h2_fields_add(struct http_h2_fields *fields, struct slice name,
				     struct slice value);

/* One field to be sent. nghttp2 copies it when it is submitted, its name in lower case. */
nghttp2_nv http_h2_pair(struct slice name, struct slice value);
/* Puts those that are neither hop by hop nor framing; returns how many. There is room for all. */
size_t http_h2_pairs_put(nghttp2_nv *pairs, const struct http_header *headers, size_t header_count);

/* Fields to be submitted later, in one piece: the pairs, behind them what they point to. */
size_t http_h2_pairs_bytes(const nghttp2_nv *pairs, size_t count);
/* There is room for so many bytes at `copies`. */
void http_h2_pairs_copy(nghttp2_nv *copies, const nghttp2_nv *pairs, size_t count);

/*
 * compose: heads and chunks as they go out. Framing and connection fields are written here and
 * only here; a caller's field of that kind is left out, whatever it is called with.
 *
 * Threads: the loop's.
 */
#pragma once

#include "http/http.h"
#include "http/wire_internal.h"

/* Whether a field is hop by hop or frames the message: what is written here, never copied. */
static inline bool http_header_is_ours(const struct http_header *header)
{
	if (header->sound)
		return header->hop_by_hop || header->known == HTTP_CONTENT_LENGTH;
	const enum http_name known =
		header->known != HTTP_OTHER ? header->known : http_name_classify(header->name);

	return header->hop_by_hop || http_name_is_hop_by_hop(known) || known == HTTP_CONTENT_LENGTH;
}

struct http_answer_head {
	unsigned status;
	const struct http_header *headers;
	size_t header_count;
	int64_t content_length; /* HTTP_LENGTH_UNKNOWN: no such field */
	bool chunked;
	struct slice upgrade; /* of 101: the protocol */
	bool close;
	bool keep_alive; /* said to an HTTP/1.0 client, who does not take it for granted */
};

void http_compose_answer(struct http_wire *wire, const struct http_answer_head *answer,
			 const struct http_date *date);
/* A request that cannot be said is a bug. */
void http_call_request_check(const struct http_call_request *request);
/* RFC 9110 8.6: where a body is usual, none is told too. */
bool http_call_request_tells_length(const struct http_call_request *request);
void http_compose_request(struct http_wire *wire, const struct http_call_request *request);
/* Not empty. */
void http_compose_chunk(struct http_wire *wire, struct slice bytes);
void http_compose_last_chunk(struct http_wire *wire, const struct http_header *trailers,
			     size_t trailer_count);

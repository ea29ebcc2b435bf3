/*
 * reader: reads one message that comes in pieces, the way connections do, for tests and fuzzing.
 *
 * Each look at the bytes is on a copy of exactly their size, so that a sanitizer sees every
 * reading beyond them.
 *
 * Threads: one.
 */
#pragma once

#include "base/text.h"
#include "http/message_internal.h"

/* A verdict is one of these, or the status of a refusal. */
enum { READER_WHOLE = 1, READER_MORE = 2 };

struct reader {
	enum http_head_kind kind;
	bool head_only; /* a response to HEAD */
	struct http_limits limits;
	struct http_head head;
	struct http_trailers trailers;
	struct http_request_read request;
	struct http_response_read response;
	struct http_body *body; /* NULL until the head is whole */
	char *kept;
	size_t kept_length;
	size_t position;
	uint32_t blank_lines;
	struct text content;
	struct text trailer_text; /* "name=value;" each */
};

/* With small limits: a head of 2 KiB, a target of 256 and a body of 2000 bytes. */
void reader_init(struct reader *reader, enum http_head_kind kind);
void reader_fini(struct reader *reader);
/* After any other verdict than READER_MORE no more may be fed. */
int reader_feed(struct reader *reader, struct slice bytes);
/* A whole head: READER_MORE, or a refusal. Slices point into `head`. */
int reader_head(struct reader *reader, struct slice head);

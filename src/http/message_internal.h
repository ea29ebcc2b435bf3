/*
 * Messages: a whole head in, a request or a response out; and a body's framing taken off.
 *
 * A head is first scanned (syntax_internal.h), then its start line is read here, then llhttp
 * reads all of it in one go, then the rules on which parsers disagree are applied to what it
 * found: exactly one meaning, or a refusal. Nothing here knows connections or time; the
 * verdict depends on the bytes alone, never on how they were split.
 *
 * Ownership: all slices point into the bytes that were handed in.
 */
#pragma once

#include "http/http.h"

#define HTTP_BLANK_LINES_MAX        4           /* CR LF before a request line, RFC 9112 2.2 */
#define HTTP_CHUNK_LINE_MAX         1024        /* bytes, with its extensions */
#define HTTP_CHUNK_DIGITS_MAX       16          /* leading zeros included */
#define HTTP_CHUNK_EXCESS_MAX       (16 * 1024) /* bytes of framing beyond what is fair */
#define HTTP_CONNECTION_OPTIONS_MAX 32
#define HTTP_INTERIM_MAX            16 /* 1xx answers before the real one */

/* Why a message is refused. name, status, title, detail. */
#define HTTP_REFUSALS(X)                                                                           \
	X(BLANK_LINES, 400, "Bad request", "there are too many empty lines before the request")    \
	X(BYTES, 400, "Bad request",                                                               \
	  "a line must end with CR LF, must not be continued on the next one, and must hold no "   \
	  "other control character")                                                               \
	X(START_LINE, 400, "Bad request",                                                          \
	  "the request line must be a method, a target and a version with one space between")      \
	X(METHOD, 501, "Method not implemented", "the method is not one that is supported here")   \
	X(VERSION, 505, "HTTP version not supported", "only HTTP/1.1 and HTTP/1.0 are supported")  \
	X(TARGET_LENGTH, 414, "Target too long", "the request's target is longer than allowed")    \
	X(TARGET, 400, "Bad request",                                                              \
	  "the target must be a path, '*' for OPTIONS, or an http address with a path that names " \
	  "the same host as the Host field, without user and fragment")                            \
	X(HEAD_LENGTH, 431, "Header too large", "the request's header is larger than allowed")     \
	X(FIELD_COUNT, 431, "Too many header fields", "the message has too many header fields")    \
	X(FIELD, 400, "Bad request", "a header field is malformed")                                \
	X(HOST, 400, "Bad request",                                                                \
	  "there must be exactly one Host field with a host name or address and, at most, a port") \
	X(CONTENT_LENGTH, 400, "Bad request",                                                      \
	  "Content-Length must be given once, in digits only, and not with Transfer-Encoding")     \
	X(TRANSFER_ENCODING, 400, "Bad request",                                                   \
	  "Transfer-Encoding must be 'chunked', given once, and not in HTTP/1.0")                  \
	X(CONNECTION, 400, "Bad request", "the Connection field names too many options")           \
	X(EXPECT, 417, "Expectation failed", "only 'Expect: 100-continue' can be met")             \
	X(BODY_LENGTH, 413, "Body too large", "the request's body is larger than allowed")         \
	X(BODY, 400, "Bad request", "the chunked body is malformed")                               \
	X(CONTENT, 400, "Bad request", "a TRACE request must have no content")                     \
	X(STATUS_LINE, 502, "Bad answer", "the status line is malformed")                          \
	X(SWITCHED, 502, "Bad answer", "the protocol was switched without being asked")            \
	X(TIMEOUT, 408, "Request timeout", "the request did not arrive in time")

enum http_refused {
	HTTP_REFUSED_NOT, /* the message is fine */
#define X(name, status, title, detail) HTTP_REFUSED_##name,
	HTTP_REFUSALS(X)
#undef X
};

/* Not for HTTP_REFUSED_NOT. */
const struct http_refusal *http_refusal_of(enum http_refused refused);

/* ---- a head ---- */

/* One message's fields, and what those that frame it say. About 4 KiB: one a thread. */
struct http_head {
	struct slice start_line; /* without CR LF */
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t header_count;
	bool too_many;

	int64_t content_length; /* HTTP_LENGTH_UNKNOWN: no such field */
	bool chunked;
	bool close, keep_alive, upgrade; /* named by Connection */
	bool upgrade_field;
	bool accepts_trailers;
	uint32_t expect_count, continue_count; /* Expect fields, and those that say 100-continue */
	uint32_t host_count;
	struct slice host;
};

enum http_head_kind { HTTP_HEAD_REQUEST, HTTP_HEAD_RESPONSE };

/* `bytes`: a whole head as http_lines_scan found it. Sets all of *head. */
enum http_refused http_head_read(struct http_head *head, enum http_head_kind kind,
				 struct slice bytes);

/* One field, whose value is known to hold no control character; false: its name is no token. */
bool http_header_classify(struct http_header *header);
/* RFC 9110 6.5.1: what frames, routes, authorizes or describes the content comes too late. */
bool http_header_may_trail(const struct http_header *header);
/* *length: HTTP_LENGTH_UNKNOWN, or what another such field has said already. */
enum http_refused http_content_length_read(struct slice value, int64_t *length);

/* The fields of a trailer section; those that frame, route or authorize are left out. */
struct http_trailers {
	struct http_header fields[HTTP_HEADERS_MAX];
	size_t count;
};

enum http_refused http_trailers_read(struct http_trailers *trailers, struct slice bytes);

/* ---- a body ---- */

enum http_body_kind { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_CLOSE };

enum http_body_part {
	HTTP_BODY_CHUNK_LINE,
	HTTP_BODY_DATA,
	HTTP_BODY_CHUNK_END,
	HTTP_BODY_TRAILERS,
	HTTP_BODY_OVER
};

struct http_body {
	enum http_body_kind kind;
	enum http_body_part part;
	uint64_t left_bytes; /* of the chunk, or of all where the length is known */
	uint64_t seen_bytes; /* content, without framing */
	uint64_t bytes_max;
	size_t trailer_bytes_max;
	size_t scanned; /* of the trailer section */
	int64_t excess; /* bytes of framing less what is fair for the content */
};

enum http_body_event {
	HTTP_BODY_STARVED, /* *bytes is too short to go on; nothing was given */
	HTTP_BODY_PIECE,
	HTTP_BODY_ENDED,
	HTTP_BODY_REFUSED
};

void http_body_begin(struct http_body *body, enum http_body_kind kind, int64_t length,
		     const struct http_limits *limits);
/* Takes the next event off the front of *bytes. What it leaves there on STARVED must be the
 * begin of the next call's bytes. Trailers are set with ENDED, the reason with REFUSED. */
enum http_body_event http_body_next(struct http_body *body, struct slice *bytes,
				    struct slice *ret_piece, struct http_trailers *trailers,
				    enum http_refused *ret_refused);

static inline bool http_body_is_over(const struct http_body *body)
{
	return body->part == HTTP_BODY_OVER;
}

/* ---- requests and responses ---- */

struct http_request_read {
	struct http_request request;
	struct http_body body;
	bool keep_alive; /* the client wants the connection to stay */
};

/* Finds the head at the begin of *bytes, from *position on (0 at first), and skips the empty
 * lines before it. MORE: *bytes holds the begin of a head (or nothing) within the limits.
 * WHOLE: *ret_head is the head, *bytes what follows it. */
enum http_head_found { HTTP_HEAD_MORE, HTTP_HEAD_WHOLE, HTTP_HEAD_REFUSED };
enum http_head_found http_head_find(struct slice *bytes, size_t *position, uint32_t *blank_lines,
				    const struct http_limits *limits, struct slice *ret_head,
				    enum http_refused *ret_refused);

enum http_refused http_request_read(struct slice bytes, const struct http_limits *limits,
				    struct http_head *head, struct http_request_read *ret);

struct http_response_read {
	struct http_response response; /* of an interim answer the status alone */
	struct http_body body;
	bool keep_alive;
};

/* SWITCHED: a well-formed 101, which is an answer to whoever asked for it; `response` is set. */
enum http_refused http_response_read(struct slice bytes, bool head_only,
				     const struct http_limits *limits, struct http_head *head,
				     struct http_response_read *ret);

/*
 * farewell: the last words to a caller whose stream Stoa cuts. Private to the gateway.
 *
 *	text/event-stream	an event `stoa-problem`, whose data is the problem's JSON; then the
 *end WebSocket		a close frame, code 4000 + the problem's HTTP status, its title; the end
 *
 * They can be said only between two events or two frames, so the service's bytes are followed on
 * their way, just as far as to know that place. Within one, and in what is no such stream, nothing
 * is said: the connection breaks, and the caller sees that. (gRPC has its own words: grpc.h.)
 *
 * Sources: the HTML standard's "server-sent events"; RFC 6455, 5.2, 5.5.1 and 7.4.2.
 * Threads: any; a place belongs to its call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gateway/problem.h"
#include "http/http.h"

#define FAREWELL_MAX (PROBLEM_BODY_MAX + 64) /* bytes */

struct call;

/* Where in an event stream its last byte so far is. */
enum events_place {
	EVENTS_NONE, /* it is no event stream */
	EVENTS_BETWEEN,
	EVENTS_BETWEEN_CR, /* the same, and a line feed may belong to the return before it */
	EVENTS_LINE,       /* within a line */
	EVENTS_WITHIN,     /* at the beginning of a line, within an event */
	EVENTS_WITHIN_CR
};

/* EVENTS_BETWEEN where the fields say that the body is an event stream, and not compressed. */
enum events_place events_begin(const struct http_header *headers, size_t count);
/* Looks at the last bytes only. */
enum events_place events_follow(enum events_place place, struct slice bytes);

/* Where in the frames of a server the bytes are. */
struct websocket_place {
	bool known;             /* they are frames, as far as was seen */
	bool closed;            /* a close frame was among them */
	uint8_t header_bytes;   /* of the header at hand, so far */
	uint8_t length_bytes;   /* of its extended length: 0, 2 or 8 */
	uint64_t payload_bytes; /* still to come; while in the header: what it said so far */
};

/* Before the first byte behind the 101 to that protocol. */
void websocket_begin(struct websocket_place *place, struct slice protocol);
void websocket_follow(struct websocket_place *place, struct slice bytes);
bool websocket_is_between(const struct websocket_place *place);

/* What to send before the end of the call's answer; 0: nothing can be said. */
size_t farewell_compose(const struct call *call, enum problem problem, char text[FAREWELL_MAX]);

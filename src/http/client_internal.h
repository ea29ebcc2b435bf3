/*
 * The client's side: an origin, its connections, and the one call that each carries at a time.
 *
 * Threads: the loop's.
 */
#pragma once

#include "http/compose_internal.h"
#include "http/http.h"
#include "http/message_internal.h"
#include "http/tls_internal.h"
#include "http/wire_internal.h"

#define HTTP_LINKS_SPARE     1024 /* connections whose memory is kept for reuse */
#define HTTP_IDLE_PER_ORIGIN 64

/* The life of a connection to an origin. */
#define HTTP_LINK_STATES(X)                                                        \
	X(CONNECTING, "the call's request waits for the connection")               \
	X(CALLING, "a call is under way")                                          \
	X(SETTLING, "the answer was whole before its request was with the kernel") \
	X(IDLE, "among its origin's idle ones; the peer must be silent")           \
	X(CLOSED, "the stream is being closed; nothing but on_closed comes")

enum http_link_state {
#define X(name, text) HTTP_LINK_##name,
	HTTP_LINK_STATES(X)
#undef X
};

struct http_call {
	void *owner;
	bool head_only;
	bool head_told; /* on_head was called */
	bool finished;  /* the whole request was appended */
	bool chunked;   /* of the request's body */
	bool upgrade;   /* 101 was asked for */
	bool switched;  /* and came: see tunnel.c */
	bool shut;      /* a tunnel's end was sent */
	bool paused;
	bool resumed; /* since input was last looked at */
	bool above_high;
	bool answered; /* any byte of an answer came */
	bool shared;   /* it is a branch's, not a link's: h2_client_internal.h */
	bool keep_alive;
	int64_t announced_bytes;
	uint64_t appended_bytes;
	uint64_t answer_timeout_ns;
	uint32_t interim_count;
};

struct http_trunk;
struct http_h2_kit;

struct http_link {
	struct http_wire wire;
	struct http_origin *origin;
	struct http_link *next; /* idle ones and spare ones */
	struct http_link *previous;
	enum http_link_state state;
	bool reused;     /* it has carried a call before */
	bool sent_any;   /* of the call: something was handed to the kernel */
	size_t position; /* of the scan for the head's end */
	struct http_body body;
	struct http_call call;
};

struct http_origin {
	struct http_client *client;
	struct http_origin_options options;
	struct http_link *idle; /* the latest first */
	struct http_trunk *trunks;
	uint32_t streams_max;   /* what its latest settings allow a trunk; 0: none came yet */
	SSL_SESSION *resumable; /* of its latest connection; NULL: none */
	uint32_t idle_count, connection_count;
	bool freed; /* goes with its last connection */
};

struct http_client {
	struct loop *loop;
	struct http_client_options options;
	struct http_blocks blocks;
	struct http_tls_kit tls;
	struct http_link *spare;
	uint32_t spare_count, origin_count;
	struct http_h2_kit *h2; /* NULL before the first origin that speaks HTTP/2 */
	bool freed;             /* goes with its last origin */
	struct http_head head;
	struct http_trailers trailers;
	struct http_response_read read;
};

static inline struct http_link *http_call_link(const struct http_call *call)
{
	return (struct http_link *)((uintptr_t)call - offsetof(struct http_link, call));
}

/* A connection to it is closed; it may have been what the origin was waiting for. */
void http_origin_left(struct http_origin *origin);

/* What an end of the wire before any answer means: HTTP_FAILED_TLS, which is told, or `plain`. */
enum http_failure http_origin_failure(const struct http_origin *origin,
				      const struct http_wire *wire, enum http_failure plain);

/* The wire's stream connects to it. */
void http_origin_connect(struct http_origin *origin, struct http_wire *wire,
			 const struct loop_stream_events *events);

/* An idle connection, or a new one; the state is CALLING or CONNECTING. */
struct http_link *http_link_take(struct http_origin *origin);
void http_link_close(struct http_link *link);
/* The call is over and its answer was whole: keeps the connection where `clean` and allowed. */
void http_link_release(struct http_link *link, bool clean);
void http_link_flush(struct http_link *link);
/* tunnel.c: 101 came. */
void http_link_switch(struct http_link *link);
/* Sends the end of a finished tunnel behind its last byte. */
void http_link_shut(struct http_link *link);
/* Between two pieces of an answer. */
uint64_t http_link_idle_timeout_ns(const struct http_link *link);
/* Closes the connection and tells its call, if there is one. */
void http_link_fail(struct http_link *link, enum http_failure failure);
/* Takes `bytes` behind what was kept. With none: looks again at what was kept. */
void http_link_input(struct http_link *link, struct slice bytes);

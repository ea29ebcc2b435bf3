/*
 * The server's side: a connection and the one exchange that it carries at a time.
 *
 * Threads: the loop's.
 */
#pragma once

#include "http/compose_internal.h"
#include "http/http.h"
#include "http/message_internal.h"
#include "http/tls_internal.h"
#include "http/wire_internal.h"

#define HTTP_DISCARD_MAX         (64 * 1024)         /* of a request's body after its answer */
#define HTTP_LINGER_NS           (2 * 1000000000ull) /* for an answer to be read before the end */
#define HTTP_CONNECTIONS_SPARE   1024                /* kept for reuse */
#define HTTP_CONNECTIONS_DEFAULT 100000
#define HTTP_REFUSAL_BYTES_MAX   2048

/* The life of a connection. Input in each state is what server_input.c's table says. */
#define HTTP_CONNECTION_STATES(X)                                                               \
	X(IDLE, "before a request's first byte")                                                \
	X(HEAD, "a part of a request's head is there")                                          \
	X(EXCHANGE, "an exchange is under way; its body may be over or not")                    \
	X(DISCARD, "the answer is out; the rest of the request's body is dropped")              \
	X(SESSION, "it speaks HTTP/2: many exchanges, each a stream's; see h2_session.c")       \
	X(FLUSH, "the last bytes leave, then the connection ends; input is dropped")            \
	X(LINGER, "our side has ended; input is dropped until the peer ends, so that no reset " \
		  "overtakes the answer")                                                       \
	X(CLOSED, "the stream is being closed; nothing but on_closed comes")

enum http_connection_state {
#define X(name, text) HTTP_CONNECTION_##name,
	HTTP_CONNECTION_STATES(X)
#undef X
};

struct http_h2_server;
struct http_h2_session;

/* A connection's own, or with `h2` a stream's of HTTP/2: see h2_server_internal.h. */
struct http_exchange {
	bool h2;
	bool live; /* between on_request and on_over */
	bool responded, finished, aborted;
	bool body_told; /* on_request_end was called */
	bool paused;
	bool continue_due; /* the client waits for 100 Continue */
	bool head_only, http_1_0, keep_alive;
	bool dropped, chunked; /* of the answer's body */
	bool switched;         /* the connection is a tunnel: see tunnel.c */
	bool above_high;
	int64_t announced_bytes;
	uint64_t sent_bytes;
};

struct http_connection {
	struct http_wire wire;
	struct http_server *server;
	struct http_connection *next, *previous;
	enum http_connection_state state;
	bool linger; /* when the output is flushed */
	uint64_t discarded_bytes;
	size_t position; /* of the scan for the head's end */
	uint32_t blank_lines;
	bool begun;                 /* its first bytes have shown what it speaks */
	struct http_h2_session *h2; /* NULL: it speaks HTTP/1.1 */
	struct http_body body;
	struct http_exchange exchange;
	/* The connection's state, then the exchange's. */
	_Alignas(16) char states[];
};

struct http_server {
	struct loop *loop;
	struct http_server_options options;
	size_t connection_state_bytes; /* rounded up */
	struct http_blocks blocks;
	struct http_h2_server *h2;
	struct http_tls_kit tls;
	struct http_connection *connections, *spare;
	uint32_t connection_count, spare_count;
	struct http_date date;
	struct http_head head;
	struct http_trailers trailers;
	struct http_request_read read;
	bool draining, drained_told;
	uint64_t drain_idle_ns;
	void (*on_drained)(void *owner);
	struct loop_task drained;
};

/* Of HTTP/1.1 only. */
static inline struct http_connection *http_exchange_connection(const struct http_exchange *exchange)
{
	return (struct http_connection *)((uintptr_t)exchange -
					  offsetof(struct http_connection, exchange));
}

extern const struct loop_stream_events http_connection_events;

/* Takes `bytes` behind what was kept. With none: looks again at what was kept. */
void http_connection_input(struct http_connection *connection, struct slice bytes);
/* After the turn's callbacks, and when a send is over: what has become possible. */
void http_connection_advance(struct http_connection *connection);
/* Flushes, then ends. */
void http_connection_end(struct http_connection *connection, bool linger);
void http_connection_close(struct http_connection *connection);
/* Answers a request that is not understood, and ends. */
void http_connection_refuse(struct http_connection *connection, enum http_refused refused);
/* The body of such an answer; returns its bytes. */
size_t http_refusal_compose(struct http_server *server, const struct http_refusal *refusal,
			    char body[HTTP_REFUSAL_BYTES_MAX]);
static inline struct http_header http_refusal_type(void)
{
	return (struct http_header){.name = slice_of("Content-Type"),
				    .value = slice_of("application/problem+json"),
				    .known = HTTP_CONTENT_TYPE};
}
/* Tells on_abort, of all exchanges that it carries; on_over follows. */
void http_connection_abort(struct http_connection *connection, enum http_abort reason);

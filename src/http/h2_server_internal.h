/*
 * The server's side of HTTP/2: a connection's session and its streams, each with an exchange.
 *
 * nghttp2 frames, and knows windows and header compression. A request's fields are written down as
 * a head of HTTP/1.1 (h2_section.c) and read by the parser of such heads: so both protocols have
 * one judge, and nothing passes by one that the other refuses.
 *
 * Windows are the back-pressure: bytes count as taken when the exchange has taken them, so that a
 * paused exchange closes its stream's window; what came before it is kept. Output waits in the
 * stream's queue for the client's window and moves into the connection's wire in frames, the
 * streams in turns (h2_session.c), as long as the wire holds little.
 *
 * Threads: the loop's.
 */
#pragma once

#include "http/h2_internal.h"
#include "http/h2_memory_internal.h"
#include "http/queue_internal.h"
#include "http/server_internal.h"

#define HTTP_H2_STREAMS_MAX       100           /* under way on a connection, as it is announced */
#define HTTP_H2_STREAM_WINDOW     (128 * 1024)  /* bytes of a body that are kept while paused */
#define HTTP_H2_CONNECTION_WINDOW (1024 * 1024) /* of all streams of a connection together */
#define HTTP_H2_WIRE_HIGH         (64 * 1024)   /* bytes handed to the wire ahead of the kernel */
#define HTTP_H2_ACKS_MAX          100           /* answers to PING and SETTINGS that wait */
#define HTTP_H2_STREAMS_SPARE     1024          /* kept for reuse */
#define HTTP_H2_PAIRS_MAX         (HTTP_HEADERS_MAX + 32) /* fields of an answer */

/* What a client may do to no purpose: each costs a part of its patience, which comes back with
 * time. A stream that is reset, or has to be, costs a hundredth of it for each second (500 at
 * once, 50 a second for long); a frame that moves nothing (PING, SETTINGS, PRIORITY, an empty
 * DATA, an unknown kind) a tenth of that. */
#define HTTP_H2_PATIENCE_NS   (10 * 1000000000ull)
#define HTTP_H2_RESET_COST_NS (HTTP_H2_PATIENCE_NS / 500)
#define HTTP_H2_FRAME_COST_NS (HTTP_H2_RESET_COST_NS / 10)

/* What the sessions of a server share. */
struct http_h2_server {
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	struct http_h2_memory memory;
	struct http_h2_stream *spare;
	uint32_t spare_count;
};

/* A header or trailer section that is being received, as lines of HTTP/1.1. */
struct http_h2_section {
	struct http_block *text; /* NULL: nothing was written */
	int32_t stream_id;
	bool open; /* its end has not come */
	bool trailing;
	bool started; /* the request line is written */
	bool websocket;
	nghttp2_rcbuf *method, *scheme, *authority, *path, *protocol;
	bool has_length;
	size_t cookie_end; /* in `text`, behind the cookies' value; 0: none so far */
	size_t offered_bytes;
	enum http_refused refused;
};

struct http_h2_session {
	struct http_connection *connection;
	nghttp2_session *nghttp2;
	struct http_h2_section section;
	struct http_h2_stream *streams;
	uint32_t stream_count;
	struct http_h2_stream *touched;                 /* to be looked at at the turn's end */
	struct http_h2_stream *aborted;                 /* to be reset after that */
	struct http_h2_stream *leaving, **leaving_last; /* their end is in the wire, in order */
	uint64_t sent_bytes;                            /* with the kernel, of all times */
	uint64_t patience_ns;                           /* when it will be whole again */
	uint64_t idle_due_ns, section_due_ns, drain_due_ns;
	bool going;     /* GOAWAY is out: no new streams, and the end after the last one */
	bool impatient; /* the client was told to go */
	bool broken;    /* nothing that the client sends is looked at any more */
};

struct http_h2_stream {
	struct http_h2_session *session;
	struct http_h2_stream *next, *previous;
	struct http_h2_stream *next_touched, *previous_touched, *next_aborted, *next_leaving;
	int32_t id;
	bool open; /* nghttp2 knows it */
	bool is_touched, is_aborted;
	bool input_ended; /* nothing more comes from the client */
	bool has_body;    /* of a length, or of an unknown one */
	bool websocket;   /* what an upgrade of HTTP/1.1 adds to its answer is left out */
	bool reset_by_peer;
	bool refusing;  /* it is Stoa's answer to what the parser refused that leaves */
	bool submitted; /* the answer's head is nghttp2's */
	bool asleep;    /* nghttp2 asked for output when there was none */
	bool ended;     /* the answer's last frame is in the wire */
	bool held;      /* http_exchange_hold */
	uint32_t reset_code;
	struct http_queue input, output;
	struct http_block *input_trailers; /* lines; NULL: none */
	struct http_block *fields;         /* of a head or of trailers that wait to be submitted */
	size_t field_count;
	uint64_t body_left_bytes;          /* until body_bytes_max */
	int64_t announced_bytes;           /* of the body; HTTP_LENGTH_UNKNOWN: not told */
	uint64_t leaves_at;                /* of the session's sent_bytes */
	uint64_t body_due_ns, send_due_ns; /* 0: none */
	struct http_exchange exchange;
	_Alignas(16) char state[];
};

static inline struct http_h2_stream *http_h2_stream_of(const struct http_exchange *exchange)
{
	return (struct http_h2_stream *)((uintptr_t)exchange -
					 offsetof(struct http_h2_stream, exchange));
}

static inline struct http_server *http_h2_server_of(const struct http_h2_session *session)
{
	return session->connection->server;
}

static inline const struct http_limits *http_h2_limits(const struct http_h2_session *session)
{
	return &session->connection->server->options.limits;
}

/* ---- what the server's connections call ---- */

int http_h2_server_new(struct http_h2_server **ret, struct fault *fault);
void http_h2_server_free(struct http_h2_server *shared);

/* The connection's next bytes are the client's preface. */
void http_h2_begin(struct http_connection *connection);
/* When the connection is closed: on_abort and on_over of what is under way. */
void http_h2_end(struct http_h2_session *session);
void http_h2_input(struct http_h2_session *session, struct slice bytes);
void http_h2_input_ended(struct http_h2_session *session);
/* At the turn's end, and when a send is over. */
void http_h2_advance(struct http_h2_session *session);
void http_h2_sent(struct http_h2_session *session, size_t bytes);
void http_h2_read_timed_out(struct http_h2_session *session);
void http_h2_drain(struct http_h2_session *session, uint64_t idle_ns);
void http_h2_abort_all(struct http_h2_session *session, enum http_abort reason);

/* ---- exchanges of streams: what exchange.c has checked and noted already ---- */

void http_h2_respond(struct http_h2_stream *stream, unsigned status,
		     const struct http_header *headers, size_t header_count, int64_t body_bytes);
void http_h2_switch(struct http_h2_stream *stream, const struct http_header *headers,
		    size_t header_count);
void http_h2_send(struct http_h2_stream *stream, struct slice bytes);
void http_h2_finish(struct http_h2_stream *stream, const struct http_header *trailers,
		    size_t trailer_count);
void http_h2_pause(struct http_h2_stream *stream);
void http_h2_resume(struct http_h2_stream *stream);
void http_h2_release(struct http_h2_stream *stream);

/* ---- between the files of this side ---- */

/* Has the stream looked at at the turn's end. */
void http_h2_touch(struct http_h2_stream *stream);
void http_h2_untouch(struct http_h2_stream *stream);
/* The last stream is gone: the connection may stay for a while. */
void http_h2_be_idle(struct http_h2_session *session);
/* At that time at the latest the deadlines are looked at. */
void http_h2_due_at(struct http_h2_session *session, uint64_t due_ns);
/* Once it is used up the session ends. */
void http_h2_lose_patience(struct http_h2_session *session, uint64_t cost_ns);
/* The client has seen all that was sent before our PING. */
void http_h2_ping_returned(struct http_h2_session *session);
struct http_h2_stream *http_h2_stream_new(struct http_h2_session *session, int32_t id);
void http_h2_stream_free(struct http_h2_stream *stream);
/* Its exchange is over; true: so is the stream, which was freed. */
bool http_h2_stream_over(struct http_h2_stream *stream);
/* Tells on_abort; the stream is reset and its exchange over at the turn's end. */
void http_h2_stream_abort(struct http_h2_stream *stream, enum http_abort reason);
/* The next piece of its body must come within that time. */
void http_h2_read_within(struct http_h2_stream *stream, uint64_t timeout_ns);
/* Answers what is not understood; an exchange that has begun is aborted, and one that was
 * answered already is only that. */
void http_h2_refuse(struct http_h2_stream *stream, enum http_refused refused,
		    enum http_abort reason);
/* What the exchange may have of the input that is kept. */
void http_h2_deliver(struct http_h2_stream *stream);
ssize_t http_h2_read_output(nghttp2_session *nghttp2, int32_t id, uint8_t *buffer, size_t length,
			    uint32_t *flags, nghttp2_data_source *source, void *context);
int http_h2_send_data(nghttp2_session *nghttp2, nghttp2_frame *frame, const uint8_t *head,
		      size_t length, nghttp2_data_source *source, void *context);
/* Receiving callbacks: h2_request.c, h2_section.c. */
void http_h2_request_callbacks(nghttp2_session_callbacks *callbacks);
void http_h2_section_callbacks(nghttp2_session_callbacks *callbacks);
/* A whole section as the request in the server's `read`; `ends`: no body follows. */
enum http_refused http_h2_section_read(struct http_h2_session *session, bool ends);
bool http_h2_section_is_head(const struct http_h2_session *session);
/* A whole section as trailers, the caller's; NULL: they are refused. */
struct http_block *http_h2_section_trailers(struct http_h2_session *session);
/* Forgets what of a section was received. */
void http_h2_section_clear(struct http_h2_session *session);

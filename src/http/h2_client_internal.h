/*
 * h2_client: a trunk is an HTTP/2 connection to an origin; a branch is a stream of it, and
 * carries one call.
 *
 * Output: what a call sends waits in its branch until the peer's windows are open and the
 * connection has room; what waits is bounded by output_bytes_high for each call and once more for
 * the trunk. Input: a branch's window opens as its call takes the answer, so a paused call keeps
 * at most HTTP_BRANCH_WINDOW; the trunk's window opens at once, so that no call waits for another.
 *
 * What nghttp2 finds wrong with a stream ends that call, what it finds wrong with the connection
 * ends the trunk. A frame that brings no call forward counts against the trunk
 * (HTTP_IDLE_FRAMES_MAX), as does an answer to one that the peer does not take (nghttp2's bound).
 *
 * Threads: the loop's.
 */
#pragma once

#include "http/client_internal.h"
#include "http/h2_internal.h"
#include "http/h2_memory_internal.h"
#include "http/queue_internal.h"

#define HTTP_BRANCH_WINDOW     (128 * 1024)
#define HTTP_TRUNK_WINDOW      (1024 * 1024)
#define HTTP_TRUNK_CALLS_MAX   256 /* beyond it another trunk is opened, whatever the peer allows */
#define HTTP_BRANCHES_SPARE    1024         /* whose memory is kept for reuse */
#define HTTP_HEADERS_OWN_MAX   16           /* fields of a request beside those that came with it */
#define HTTP_STRANGE_BYTES_MAX (256 * 1024) /* a second, of frames that nobody knows */
#define HTTP_IDLE_FRAMES_MAX   1000         /* a second, beside those that content earns */
#define HTTP_FRAMES_EARNED     3            /* by each frame of content sent: windows, a ping */

/* The life of a trunk. */
#define HTTP_TRUNK_STATES(X)                                                               \
	X(CONNECTING, "requests wait for the connection")                                  \
	X(OPEN, "carries calls, or waits for some")                                        \
	X(LEAVING, "the session is over; what it said last is being sent")                 \
	X(ENDED, "the peer is gone; left are whole answers that their calls did not take") \
	X(CLOSED, "the connection is being closed; nothing but on_closed comes")

enum http_trunk_state {
#define X(name, text) HTTP_TRUNK_##name,
	HTTP_TRUNK_STATES(X)
#undef X
};

struct http_h2_wish;

struct http_branch {
	struct http_call call;
	struct http_trunk *trunk;
	struct http_branch *next, *previous;         /* of the trunk; `next` of the spare ones */
	struct http_branch *next_due, *previous_due; /* of those that the turn's end looks at */
	bool due;
	bool tell_writable;
	int32_t id;                /* 0: it has no stream yet, but a wish */
	struct http_h2_wish *wish; /* see h2_client_tunnel.c; NULL: none */
	bool sent_any;             /* its head was handed to the connection */
	bool sent_end;             /* so was all of it */
	bool waiting;  /* the session asks for no output until it is told that there is some */
	bool bodiless; /* the answer */
	bool ended;    /* the answer is whole, but was not taken yet */
	bool closed;   /* the session knows it no more */
	bool reset;    /* by the peer */
	bool *gone;    /* set when it leaves; NULL: nobody asks */
	struct http_queue output, kept;
	struct http_h2_fields *request_trailers, *kept_trailers; /* NULL: none */
	uint64_t started_ns;
	uint64_t read_deadline_ns, send_deadline_ns; /* 0: none */
	struct loop_timer timer;                     /* never later than either */
};

struct http_trunk {
	struct http_wire wire;
	struct http_origin *origin;
	struct http_trunk *next, *previous; /* of the origin, the latest first */
	enum http_trunk_state state;
	nghttp2_session *session;
	struct http_branch *first, *due;
	uint32_t call_count;
	bool going;               /* takes no more calls */
	bool settled;             /* the peer's settings came */
	bool reused;              /* it has been idle after a call */
	bool heard;               /* since it was idle */
	uint64_t heard_ns;        /* when last */
	struct http_branch *live; /* whose head and pieces its call may still look at */
	struct http_h2_fields head, trailers;
	struct http_response response;
	int64_t content_length;     /* of the section that is being read */
	uint64_t counting_since_ns; /* the next three */
	uint64_t idle_frames, earned_frames;
	int64_t strange_bytes; /* received, but not of frames and fields that were told */
};

/* What all trunks of a client share. */
struct http_h2_kit {
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	struct http_h2_memory memory;
	struct http_branch *spare;
	uint32_t spare_count;
};

static inline struct http_branch *http_call_branch(const struct http_call *call)
{
	return (struct http_branch *)((uintptr_t)call - offsetof(struct http_branch, call));
}

static inline struct http_client *http_trunk_client(const struct http_trunk *trunk)
{
	return trunk->origin->client;
}

/* ---- h2_client.c: trunks ---- */

struct http_h2_kit *http_h2_kit_new(void);
void http_h2_kit_free(struct http_h2_kit *kit);

/* One that has room for another call, if there is any way. */
struct http_trunk *http_trunk_take(struct http_origin *origin);
/* Those without a call. */
void http_trunks_close_idle(struct http_origin *origin);
void http_trunk_close(struct http_trunk *trunk);
/* Its last call has left. */
void http_trunk_is_idle(struct http_trunk *trunk);
/* Closes it and tells its calls. */
void http_trunk_fail(struct http_trunk *trunk, enum http_failure failure);
/* What its calls have not taken dies now. */
void http_trunk_tell_more(struct http_trunk *trunk);

/* ---- h2_client_branch.c: a call on a trunk ---- */

struct http_branch *http_branch_new(struct http_trunk *trunk);
/* The call is over; error_code: what the peer is told, NGHTTP2_NO_ERROR: nothing. */
void http_branch_leave(struct http_branch *branch, uint32_t error_code);
/* Leaves, then tells the call. */
void http_branch_fail(struct http_branch *branch, enum http_failure failure, uint32_t error_code);
/* The turn's end looks at it. */
void http_branch_make_due(struct http_branch *branch);
void http_branch_look(struct http_branch *branch);
void http_branch_read_within(struct http_branch *branch, uint64_t timeout_ns);
/* From now until what waits to be sent moves again, if any does. */
void http_branch_send_within(struct http_branch *branch);
/* All of the answer was received. */
void http_branch_end(struct http_branch *branch);
/* The session's source of a request's body. */
ssize_t http_branch_read_output(nghttp2_session *session, int32_t id, uint8_t *buffer,
				size_t length, uint32_t *flags, nghttp2_data_source *source,
				void *context);
/* Callbacks of the session that tell of output. */
void http_branch_callbacks(nghttp2_session_callbacks *callbacks);

/* ---- h2_client_tunnel.c: a call that asks for an upgrade ---- */

/* Keeps the call's head, copied, until the peer's settings tell whether it may be sent. */
void http_branch_wish(struct http_branch *branch, const nghttp2_nv *pairs, size_t count);
/* Sends it, or fails the call, if they have come. */
void http_branch_wish_look(struct http_branch *branch);
/* They have come: the turn's end looks at what waits for them. */
void http_trunk_look_at_wishes(struct http_trunk *trunk);
/* Whether the peer has not said yet whether it switches: nothing is sent until then. */
bool http_branch_is_undecided(const struct http_branch *branch);
/* It does: the answer becomes what 101 is in HTTP/1.1. */
void http_branch_switch(struct http_branch *branch, struct http_response *response);
/* Between two pieces of an answer. */
uint64_t http_branch_idle_timeout_ns(const struct http_branch *branch);

/* ---- h2_client_call.c: http_call_* of a call on a trunk ---- */

struct http_call *http_branch_call_start(struct http_origin *origin,
					 const struct http_call_request *request, void *owner);
void http_branch_call_send(struct http_call *call, struct slice bytes);
bool http_branch_call_writable(const struct http_call *call);
void http_branch_call_finish(struct http_call *call, const struct http_header *trailers,
			     size_t trailer_count);
/* There is something to send, or nothing more will come. */
void http_branch_output_changed(struct http_branch *branch);
void http_branch_call_pause(struct http_call *call);
void http_branch_call_resume(struct http_call *call);

/* ---- h2_client_answer.c: callbacks of the session that bring the answers ---- */

void http_answer_callbacks(nghttp2_session_callbacks *callbacks);

/*
 * loop: one thread's events. Completion style: say what you want, hear when it happened.
 *
 * A turn: reap all completions and call their callbacks, run due timers, deliver messages from
 * other threads, run deferred tasks (this is where output is flushed), then one submit-and-wait.
 * The clock is read once a turn.
 *
 * Three back ends, one behaviour, one test suite for the real two: io_uring (multishot accept
 * and receive, provided buffer ring, one submit a turn, SINGLE_ISSUER, DEFER_TASKRUN), epoll
 * (where io_uring is refused, or by choice), and a simulated one (loop/simulated.h: in-memory
 * network, virtual time).
 *
 * Threads: every call on a loop and its objects belongs to the thread that runs it, but
 * loop_post and loop_stop, which any thread may call.
 * Ownership: listeners, streams, timers, tasks, watches and messages are embedded in the
 * caller's memory, which must outlive them: a stream until on_closed, a watch or listener until
 * its close function's on_closed, a timer until cleared or due.
 * Errors: an operation that failed reports an errno value to its callback; on_error is the
 * stream's last event but on_closed.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/slice.h"

#define LOOP_SEND_PARTS_MAX 16
#define LOOP_ADDRESS_TEXT_MAX 128

enum loop_io { LOOP_IO_AUTO, LOOP_IO_URING, LOOP_IO_EPOLL, LOOP_IO_SIMULATED };

struct loop_address {
	union {
		struct sockaddr any;
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;
		struct sockaddr_un path;
	};
	socklen_t length;
};

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080" (127.0.0.1), "unix:/path". No name service. */
int loop_address_parse(struct slice text, struct loop_address *ret_address, struct fault *fault);
void loop_address_format(const struct loop_address *address, char text[LOOP_ADDRESS_TEXT_MAX]);
bool loop_address_equal(const struct loop_address *a, const struct loop_address *b);

struct loop;

struct loop_options {
	enum loop_io io;	      /* AUTO: io_uring where it works in full, else epoll */
	const struct clock *clock;    /* NULL: the system's */
	uint32_t receive_buffers;     /* power of two; 0: 256 */
	uint32_t receive_buffer_bytes; /* 0: 16384 */
};

/* Call it in the thread that will run the loop. Asking for io_uring where it is refused is a
 * FAULT_UNSUPPORTED that names the missing part. */
int loop_new(const struct loop_options *options, struct loop **ret_loop, struct fault *fault);
/* Every stream, listener and watch must be closed before. */
void loop_free(struct loop *loop);

/* Until loop_stop. */
int loop_run(struct loop *loop, struct fault *fault);
/* One turn; waits at most wait_ns for the first event. For tests and for shutting down. */
int loop_turn(struct loop *loop, uint64_t wait_ns, struct fault *fault);
void loop_stop(struct loop *loop);

enum loop_io loop_io_used(const struct loop *loop);
/* Why AUTO chose what it chose, one sentence. */
const char *loop_io_reason(const struct loop *loop);

/* Of the turn's begin. */
uint64_t loop_now_ns(const struct loop *loop);  /* monotonic */
uint64_t loop_wall_ns(const struct loop *loop); /* Unix */

/* ---- timers: resolution 1 ms, O(1) to arm and clear ---- */

struct loop_timer {
	void (*on_due)(struct loop_timer *timer); /* set by the owner before the first arm */
	struct loop_timer *next, *previous;
	uint64_t due_ns; /* 0: not armed */
};

/* Arms, or moves, to monotonic due_ns. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t due_ns);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/* ---- deferred tasks: run once at the end of this turn, in the order of deferral ---- */

struct loop_task {
	void (*run)(struct loop_task *task);
	struct loop_task *next;
	bool queued;
};

/* Nothing happens when it is queued already. A task deferred by a task runs in the same turn. */
void loop_defer(struct loop *loop, struct loop_task *task);

/* ---- messages between threads ---- */

struct loop_message {
	void (*deliver)(struct loop_message *message); /* in the loop's thread; may free it */
	struct loop_message *next;
};

/* Any thread. Order is kept per sender. Wakes the loop only where it sleeps. */
void loop_post(struct loop *loop, struct loop_message *message);

/* ---- listeners ---- */

struct loop_listener {
	/* The descriptor is the callee's: non-blocking, close-on-exec. */
	void (*on_accept)(struct loop_listener *listener, int descriptor);
	void (*on_closed)(struct loop_listener *listener);
	struct loop *loop;
	int descriptor;
	uint32_t pending; /* operations of the back end that are not over */
	uint8_t state;
	struct loop_timer retry; /* after EMFILE and the like: accepting pauses, never spins */
};

/* A stale Unix socket file nobody listens on is replaced. Set the callbacks before. */
int loop_listener_open(struct loop *loop, struct loop_listener *listener,
		       const struct loop_address *address, struct fault *fault);
/* Where it really listens (a port 0 is replaced). */
void loop_listener_address(const struct loop_listener *listener, struct loop_address *ret_address);
void loop_listener_close(struct loop_listener *listener);

/* ---- streams: TCP, Unix, socketpair ---- */

struct loop_stream;

struct loop_stream_events {
	void (*on_connected)(struct loop_stream *stream, int error); /* after connect; 0: done */
	/* `bytes` lives until the callback returns. */
	void (*on_data)(struct loop_stream *stream, struct slice bytes);
	void (*on_end)(struct loop_stream *stream); /* the peer will send no more */
	/* Everything given to the last send is with the kernel; its memory is free again. */
	void (*on_sent)(struct loop_stream *stream);
	void (*on_error)(struct loop_stream *stream, int error);
	void (*on_closed)(struct loop_stream *stream); /* the memory is the owner's again */
};

struct loop_stream {
	struct loop *loop;
	const struct loop_stream_events *events;
	int descriptor;
	uint32_t pending; /* operations of the back end that are not over */
	uint32_t state;	  /* bits, the back end's */
	struct iovec parts[LOOP_SEND_PARTS_MAX];
	uint32_t part_count, part_first; /* of the send under way */
	struct msghdr message;
	struct loop_stream *next, *previous; /* the back end's lists */
	void *peer; /* simulated back end */
};

/* Takes a connected descriptor over. Reading starts when loop_stream_read asks for it. */
void loop_stream_adopt(struct loop *loop, struct loop_stream *stream, int descriptor,
		       const struct loop_stream_events *events);
/* on_connected follows, never from within. TCP_NODELAY is set. */
void loop_stream_connect(struct loop *loop, struct loop_stream *stream,
			 const struct loop_address *address,
			 const struct loop_stream_events *events);
/* While `wanted`, on_data is called. Turning it off takes effect at once: no on_data follows
 * until it is turned on again, and nothing is lost. */
void loop_stream_read(struct loop_stream *stream, bool wanted);
/* One at a time: the next only after on_sent. The bytes must stay until on_sent, on_error or
 * on_closed. Partial writes are continued inside. The io_uring back end submits at the end of
 * the turn; epoll tries at once. on_sent never comes from within. */
void loop_stream_send(struct loop_stream *stream, const struct iovec *parts, uint32_t part_count);
bool loop_stream_sending(const struct loop_stream *stream);
/* No more will be sent; the peer sees the end. */
void loop_stream_shutdown(struct loop_stream *stream);
/* Cancels what is under way. on_closed follows, never from within; no other event does. */
void loop_stream_close(struct loop_stream *stream);
bool loop_stream_closing(const struct loop_stream *stream);

/* ---- watches: any descriptor that becomes readable (pidfd, signalfd, pipe) ---- */

struct loop_watch {
	void (*on_readable)(struct loop_watch *watch); /* again and again while it is readable */
	void (*on_closed)(struct loop_watch *watch);
	struct loop *loop;
	int descriptor; /* stays the caller's, who closes it after on_closed */
	uint32_t pending;
	uint8_t state;
};

void loop_watch_open(struct loop *loop, struct loop_watch *watch, int descriptor);
void loop_watch_close(struct loop_watch *watch);

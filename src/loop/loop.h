/*
 * loop: one thread's events. Completion style: say what you want, hear when it happened.
 *
 * A turn: one submit-and-wait, read the clock (once a turn), call the callbacks of all that
 * completed, run due timers, deliver messages from other threads, run deferred tasks (this is
 * where output is flushed), then what the back end could finish without waiting (on_sent of a
 * send that epoll did at once, data that was held back).
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
 * Errors: an operation that failed reports an errno value to its callback; on_error comes once
 * and is the stream's last event but on_closed. The owner closes the stream, also after
 * on_end, on_error or a failed on_connected.
 * Closing: any object may be closed from any callback, its own included. on_closed comes after
 * all kernel operations that point into the memory are over, and after the tasks that this turn
 * has deferred: so a task embedded beside a stream never outlives it if nobody defers it again.
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

#define LOOP_SEND_PARTS_MAX   16
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
struct loop_held;
struct simulated_network;

/* An object that has something to tell without waiting; the back end's. */
struct loop_ready {
	void (*run)(struct loop_ready *ready);
	struct loop_ready *next, *previous; /* NULL: nothing to tell */
};

struct loop_options {
	enum loop_io io;               /* AUTO: io_uring where it works in full, else epoll */
	const struct clock *clock;     /* NULL: the system's; simulated: the network's */
	uint32_t receive_buffers;      /* io_uring; power of two, at most 32768; 0: 256 */
	uint32_t receive_buffer_bytes; /* most of one on_data; 0: 16384 */
	/* epoll: receive and send for many streams by one system call each (Linux AIO), where the
	 * kernel allows it and SIGPIPE is ignored; for loops with many streams that are busy. */
	bool batched;
	struct simulated_network *network; /* LOOP_IO_SIMULATED: which one it belongs to */
};

/* Call it in the thread that will run the loop. Asking for io_uring where it is refused is a
 * FAULT_UNSUPPORTED that names the missing part. */
int loop_new(const struct loop_options *options, struct loop **ret_loop, struct fault *fault);
/* Whether every stream, listener and watch is closed. */
bool loop_is_empty(const struct loop *loop);
/* It must be empty. */
void loop_free(struct loop *loop);

/* Until loop_stop; may be run again after. A fault means that the back end is beyond repair. */
int loop_run(struct loop *loop, struct fault *fault);
/* One turn; waits at most wait_ns for the first event. For tests and for shutting down. */
int loop_turn(struct loop *loop, uint64_t wait_ns, struct fault *fault);
/* loop_run returns after the turn under way, at once if it has not begun. Any thread. */
void loop_stop(struct loop *loop);

/* Called around every wait, in the loop's thread, before it and after it: for whoever must know
 * that the thread holds nothing meanwhile (RCU). */
void loop_set_wait_hooks(struct loop *loop, void (*before)(void *context),
			 void (*after)(void *context), void *context);

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
	uint64_t due_ns;      /* 0: not armed */
	uint64_t placed_tick; /* where the wheel keeps it: never later than due_ns */
};

/* Arms, or moves, to monotonic due_ns (0 counts as 1). Never early; at most 2 ms late for
 * rounding. What is past is due in this turn, or in the next when a timer or a later step of the
 * turn says it. Moving a timer to a later time is one store, so re-arm freely. Due timers run in
 * the order of their milliseconds, then of their arming. */
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
	/* The descriptor is the callee's, close-on-exec: for loop_stream_adopt of any loop, or for
	 * close(2). Whether it blocks is the back end's choice until it is adopted. */
	void (*on_accept)(struct loop_listener *listener, int descriptor);
	void (*on_closed)(struct loop_listener *listener);
	void *owner; /* the caller's */
	struct loop *loop;
	int descriptor;
	uint32_t pending; /* operations of the back end that are not over */
	uint8_t state;
	struct loop_ready ready;
	struct loop_timer retry; /* after EMFILE and the like: accepting pauses, never spins */
	uint64_t file_device, file_inode; /* of a Unix socket's file: unlinked only while ours */
};

/* A stale Unix socket file nobody listens on is replaced; one with a listener, or a file that is
 * no socket, is a FAULT_CONFLICT. Set the callbacks before. */
int loop_listener_open(struct loop *loop, struct loop_listener *listener,
		       const struct loop_address *address, struct fault *fault);
/* Where it really listens (a port 0 is replaced). */
void loop_listener_address(const struct loop_listener *listener, struct loop_address *ret_address);
/* Connections that wait to be accepted are reset; a Unix socket's file is unlinked. on_closed
 * follows, never from within. */
void loop_listener_close(struct loop_listener *listener);

/* ---- streams: TCP, Unix, socketpair ---- */

struct loop_stream;

struct loop_stream_events {
	/* After connect; 0: done. Else nothing but on_closed follows. */
	void (*on_connected)(struct loop_stream *stream, int error);
	/* `bytes` lives until the callback returns. */
	void (*on_data)(struct loop_stream *stream, struct slice bytes);
	void (*on_end)(struct loop_stream *stream); /* the peer will send no more */
	/* Everything given to the last send is with the kernel; its memory is free again. */
	void (*on_sent)(struct loop_stream *stream);
	/* Reset, or a send that nobody will receive. What had arrived before was told before. */
	void (*on_error)(struct loop_stream *stream, int error);
	void (*on_closed)(struct loop_stream *stream); /* the memory is the owner's again */
};

struct loop_stream {
	struct loop *loop;
	const struct loop_stream_events *events;
	int descriptor;
	uint32_t pending; /* operations of the back end that are not over */
	uint32_t state;   /* bits, the back end's */
	int error;        /* to be told, 0: none */
	struct iovec parts[LOOP_SEND_PARTS_MAX];
	uint32_t part_count, part_first; /* of the send under way */
	struct msghdr message;
	struct loop_ready ready;
	struct loop_held *held_first, *held_last; /* received, but not wanted yet */
};

/* Takes a connected descriptor over, and closes it. Reading starts when loop_stream_read asks.
 * Connections of a loop_listener have TCP_NODELAY. */
void loop_stream_adopt(struct loop *loop, struct loop_stream *stream, int descriptor,
		       const struct loop_stream_events *events);
/* on_connected follows, never from within. TCP_NODELAY is set. */
void loop_stream_connect(struct loop *loop, struct loop_stream *stream,
			 const struct loop_address *address,
			 const struct loop_stream_events *events);
/* While `wanted`, on_data is called. Turning it off takes effect at once: no on_data follows
 * until it is turned on again, and nothing is lost. The end or a reset is held back with the
 * data before it; only a send that fails is told at once. Turning it off and on again is cheap
 * unless data arrives in between. Not before on_connected. */
void loop_stream_read(struct loop_stream *stream, bool wanted);
/* One at a time: the next only after on_sent; not after loop_stream_shutdown. The bytes (not the
 * array of parts) must stay until on_sent or on_closed: after on_error the kernel may still read
 * them. Partial writes are continued inside. One part is the cheapest. io_uring and a batched
 * epoll hand over at the end of the turn; else epoll tries at once. on_sent never comes from
 * within. After loop_stream_close or an error nothing is sent and nothing told. */
void loop_stream_send(struct loop_stream *stream, const struct iovec *parts, uint32_t part_count);
bool loop_stream_sending(const struct loop_stream *stream);
/* No more will be sent; the peer sees the end after what is being sent. */
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
	struct loop_ready ready;
};

void loop_watch_open(struct loop *loop, struct loop_watch *watch, int descriptor);
void loop_watch_close(struct loop_watch *watch);

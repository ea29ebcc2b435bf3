/*
 * loop_internal: what loop.c, the wheel of timers and the three back ends share.
 *
 * A back end fills one table. The common part runs the turn: wait, clock, dispatch, timers,
 * messages, tasks, ready list.
 *
 * The ready list holds objects that have something to tell without any event of the kernel. It
 * is run after the tasks of a turn, so nothing on it is ever told from within the call that
 * caused it. Objects that are closing reach their on_closed through it, so no callback can free
 * memory that the batch of events at hand still points into.
 */
#pragma once

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "loop/loop.h"

#define LOOP_WHEEL_LEVELS    8 /* of 6 bits: 2^48 ms reaches beyond any uint64_t nanoseconds */
#define LOOP_WHEEL_SLOTS     64
#define LOOP_READY_PASSES    4           /* over the ready list in one turn */
#define LOOP_ACCEPT_PAUSE_NS 50000000ull /* after EMFILE, ENFILE, ENOMEM, ENOBUFS */
#define LOOP_BACKLOG         4096

static_assert(LOOP_WHEEL_SLOTS == 64, "a level's occupancy is one 64-bit word");

/* A hierarchical wheel (Varghese, Lauck 1987). A timer lies at the level of the highest bit in
 * which its tick differs from `tick`, and moves down when its slot begins. */
struct loop_wheel {
	uint64_t tick; /* all timers up to this millisecond have been taken out */
	uint64_t occupied[LOOP_WHEEL_LEVELS]; /* may have bits of empty slots, never lacks one */
	struct loop_timer slots[LOOP_WHEEL_LEVELS][LOOP_WHEEL_SLOTS]; /* sentinels */
	struct loop_timer due;     /* sentinel: to run in the next timer phase */
	struct loop_timer running; /* sentinel: being run */
};

void loop_wheel_init(struct loop_wheel *wheel, uint64_t now_ns);
/* Runs what is due at now_ns. */
void loop_wheel_run(struct loop_wheel *wheel, uint64_t now_ns);
/* When loop_wheel_run should be called next, at the latest; UINT64_MAX: no timer. It may turn out
 * that nothing is due then. */
uint64_t loop_wheel_next_ns(struct loop_wheel *wheel, uint64_t now_ns);

struct loop_back_end {
	enum loop_io io;
	int (*open)(struct loop *loop, const struct loop_options *options, struct fault *fault);
	void (*close)(struct loop *loop);
	/* Hands over what was asked for and waits at most wait_ns for an event (0: looks only,
	 * UINT64_MAX: for ever). Calls nobody back. */
	int (*wait)(struct loop *loop, uint64_t wait_ns, struct fault *fault);
	/* Calls back for what happened. */
	void (*dispatch)(struct loop *loop);
	/* After the tasks of a turn: what they sent may go to the kernel now. NULL: it has gone, or
	 * goes with the wait. Calls nobody back. */
	void (*hand_over)(struct loop *loop);
	/* Ends a wait; any thread. */
	void (*wake)(struct loop *loop);

	/* Makes ret a listening descriptor; NULL: the common part does, by the kernel. */
	int (*listen)(struct loop *loop, struct loop_listener *listener,
		      const struct loop_address *address, struct fault *fault);
	void (*listener_address)(const struct loop_listener *listener, struct loop_address *ret);
	void (*listener_start)(struct loop_listener *listener); /* also after a pause */
	void (*listener_close)(struct loop_listener *listener);
	void (*stream_adopt)(struct loop_stream *stream);
	void (*stream_connect)(struct loop_stream *stream, const struct loop_address *address);
	void (*stream_read)(struct loop_stream *stream); /* LOOP_STREAM_WANTED has changed */
	void (*stream_send)(struct loop_stream *stream); /* parts are set, LOOP_STREAM_SENDING */
	void (*stream_shutdown)(struct loop_stream *stream); /* nothing is being sent */
	void (*stream_close)(struct loop_stream *stream);    /* LOOP_STREAM_CLOSING is set */
	void (*stream_ready)(struct loop_stream *stream);    /* its turn in the ready list */
	void (*watch_open)(struct loop_watch *watch);
	void (*watch_close)(struct loop_watch *watch);
};

extern const struct loop_back_end loop_uring;
extern const struct loop_back_end loop_epoll;
extern const struct loop_back_end loop_simulated;

struct loop {
	const struct loop_back_end *back_end;
	void *io; /* the back end's own */
	const struct clock *clock;
	uint64_t now_ns;
	uint64_t wall_ns;
	bool wall_known; /* read in this turn */
	bool in_turn;
	uint32_t objects; /* streams, listeners, watches that are not closed */
	struct loop_task *task_first, *task_last;
	struct loop_ready ready; /* sentinel */
	struct loop_wheel wheel;
	char reason[FAULT_TEXT_MAX + 64];
	void (*before_wait)(void *context); /* NULL: nobody wants to know */
	void (*after_wait)(void *context);
	void *wait_context;

	/* Written by other threads. */
	alignas(64) _Atomic(struct loop_message *) inbox; /* newest first */
	atomic_bool sleeping;
	atomic_bool stopping;
};

/* Bits of loop_stream.state; those behind the line are one back end's. */
enum {
	LOOP_STREAM_CONNECTING = 1 << 0,
	LOOP_STREAM_WANTED = 1 << 1,  /* the owner wants on_data */
	LOOP_STREAM_SENDING = 1 << 2, /* a send has been given and on_sent not told */
	LOOP_STREAM_SHUT = 1 << 3,    /* the owner will send no more */
	LOOP_STREAM_ENDED = 1 << 4,   /* the peer will send no more */
	LOOP_STREAM_ENDED_TOLD = 1 << 5,
	LOOP_STREAM_FAILED = 1 << 6, /* the error was told; silence from here on */
	LOOP_STREAM_CLOSING = 1 << 7,
	LOOP_STREAM_CONNECTED = 1 << 8,  /* on_connected is to be told */
	LOOP_STREAM_SENT = 1 << 9,       /* on_sent is to be told */
	LOOP_STREAM_ERROR_NOW = 1 << 10, /* `error` is not held back: a send failed, or worse */

	LOOP_STREAM_RECEIVING = 1 << 16,  /* io_uring: a receive is armed */
	LOOP_STREAM_CANCELLING = 1 << 17, /* io_uring: it is being cancelled */
	LOOP_STREAM_READABLE = 1 << 18,   /* epoll: there may be something to read */
	LOOP_STREAM_HANGUP = 1 << 19,     /* epoll: read on until the end or an error shows */
	LOOP_STREAM_BLOCKED = 1 << 20,    /* epoll, simulated: the rest goes out when writable */
	LOOP_STREAM_REGISTERED = 1 << 21, /* epoll: the kernel knows it */
};

enum { LOOP_CLOSING = 1 << 0, LOOP_ARMED = 1 << 1, LOOP_PAUSED = 1 << 2 };

/* Bytes that arrived while nobody wanted them. */
struct loop_held {
	struct loop_held *next;
	size_t length;
	char bytes[];
};

/* False: no memory. */
bool loop_stream_hold(struct loop_stream *stream, const void *bytes, size_t length);
/* Tells what was held as long as it is wanted. */
void loop_stream_tell_held(struct loop_stream *stream);
/* Tells a stream's error or end, once, where it is time: after all data, and while reading is
 * wanted; a failed send's error at once. */
void loop_stream_tell_end(struct loop_stream *stream);
/* on_connected; with an error the stream is silent from here on. */
void loop_stream_tell_connected(struct loop_stream *stream, int error);
/* on_sent, and the shutdown that waited for it. */
void loop_stream_tell_sent(struct loop_stream *stream);
/* Makes `error` the stream's, if it has none yet, to be told through the ready list. */
void loop_stream_fail(struct loop_stream *stream, int error);
/* Drops what is held and calls on_closed. The descriptor has been dealt with. */
void loop_stream_finish(struct loop_stream *stream);
/* Moves the parts on by what was sent; true when nothing is left. */
bool loop_stream_advance(struct loop_stream *stream, size_t sent);
/* No event but on_closed may follow. */
static inline bool loop_stream_silent(const struct loop_stream *stream)
{
	return (stream->state & (LOOP_STREAM_CLOSING | LOOP_STREAM_FAILED)) != 0;
}

/* A socket for `address`, close-on-exec, TCP_NODELAY; -1 and errno. */
int loop_socket_open(const struct loop_address *address, int flags);
/* Closes a listener's descriptor and removes its file, calls on_closed. */
void loop_listener_finish(struct loop_listener *listener);
/* Accepting failed: starts it again, at once or after a pause. */
void loop_listener_failed(struct loop_listener *listener, int error);

void loop_ready_add(struct loop *loop, struct loop_ready *ready);
void loop_ready_remove(struct loop_ready *ready);

#define loop_container(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

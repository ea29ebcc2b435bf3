/*
 * The epoll back end: edge-triggered streams, so that a connection costs one epoll_ctl in its
 * life and pausing costs none; a short read is taken for what it is, the end of what had
 * arrived, so that no read is made to hear EAGAIN.
 *
 * With a batch, all that is readable in a turn is received by one system call, and what a turn
 * sends leaves by another. Without one, and for a single stream, sends are tried at once.
 *
 * What was done at once is told by the ready list.
 */
#include "loop/loop_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/check.h"
#include "loop/batch_internal.h"

#define EVENTS_MAX     512 /* of one epoll_wait */
#define SENDS_MAX      512 /* of one turn that leave together */
#define RECEIVES_MAX   4   /* of one stream before the others get their turn */
#define ACCEPTS_MAX    64  /* of one listener, likewise */
#define BUFFER_DEFAULT 16384

/* The low bits of an event's data; the rest is the object's address. */
enum { OF_STREAM, OF_LISTENER, OF_WATCH, OF_WAKE, TAG_MASK = 3 };

struct epoll {
	int descriptor;
	int wake; /* eventfd */
	int count;
	uint32_t buffer_bytes;
	struct loop_batch *batch; /* NULL: each operation is its own system call */
	uint32_t send_count;
	struct loop_stream *sends[SENDS_MAX]; /* at `pending` - 1; NULL: closed meanwhile */
	struct epoll_event events[EVENTS_MAX];
	char buffer[];
};

static int control(struct loop *loop, int operation, int descriptor, uint32_t events,
		   const void *object, unsigned tag)
{
	const struct epoll *epoll = loop->io;
	struct epoll_event event = {.events = events,
				    .data.u64 = (uint64_t)(uintptr_t)object | tag};

	return epoll_ctl(epoll->descriptor, operation, descriptor, &event);
}

/* ---- life ---- */

static void epoll_back_end_close(struct loop *loop)
{
	struct epoll *epoll = loop->io;

	if (epoll->descriptor >= 0)
		close(epoll->descriptor);
	if (epoll->wake >= 0)
		close(epoll->wake);
	loop_batch_free(epoll->batch);
	free(epoll);
	loop->io = NULL;
}

static int epoll_open(struct loop *loop, const struct loop_options *options, struct fault *fault)
{
	const uint32_t buffer_bytes =
		options->receive_buffer_bytes ? options->receive_buffer_bytes : BUFFER_DEFAULT;
	struct epoll *epoll = malloc(sizeof(*epoll) + buffer_bytes);

	if (epoll == NULL)
		return fault_set_errno(fault, ENOMEM, "make an epoll");
	loop->io = epoll;
	epoll->count = 0;
	epoll->send_count = 0;
	epoll->buffer_bytes = buffer_bytes;
	epoll->batch = options->batched ? loop_batch_new(buffer_bytes) : NULL;
	epoll->descriptor = epoll_create1(EPOLL_CLOEXEC);
	epoll->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Edge-triggered: every write to it is an event, so nobody need read it. */
	if (epoll->descriptor >= 0 && epoll->wake >= 0 &&
	    control(loop, EPOLL_CTL_ADD, epoll->wake, EPOLLIN | EPOLLET, NULL, OF_WAKE) == 0)
		return 0;
	const int result = fault_set_errno(fault, errno, "make an epoll");
	epoll_back_end_close(loop);
	return result;
}

static void epoll_wake(struct loop *loop)
{
	const struct epoll *epoll = loop->io;

	eventfd_write(epoll->wake, 1);
}

static int epoll_back_end_wait(struct loop *loop, uint64_t wait_ns, struct fault *fault)
{
	struct epoll *epoll = loop->io;
	int timeout_ms = -1;

	if (wait_ns < INT32_MAX * CLOCK_NS_PER_MS)
		timeout_ms = (int)((wait_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS);
	else if (wait_ns != UINT64_MAX)
		timeout_ms = INT32_MAX;
	epoll->count = epoll_wait(epoll->descriptor, epoll->events, EVENTS_MAX, timeout_ms);
	if (epoll->count >= 0)
		return 0;
	epoll->count = 0;
	return errno == EINTR ? 0 : fault_set_errno(fault, errno, "wait for epoll");
}

/* ---- streams ---- */

static void register_stream(struct loop_stream *stream, uint32_t out)
{
	if (control(stream->loop, EPOLL_CTL_ADD, stream->descriptor,
		    EPOLLIN | EPOLLRDHUP | EPOLLET | out, stream, OF_STREAM) == 0) {
		stream->state |= LOOP_STREAM_REGISTERED;
		return;
	}
	stream->state |= LOOP_STREAM_ERROR_NOW;
	loop_stream_fail(stream, errno);
}

/* Writability is asked for only while it is waited for: a Unix socket would tell it whenever its
 * peer reads. Asking looks at once, so no change in between is missed. */
static void ask_writable(struct loop_stream *stream, bool wanted)
{
	const uint32_t out = wanted ? EPOLLOUT : 0;

	check_equal(control(stream->loop, EPOLL_CTL_MOD, stream->descriptor,
			    EPOLLIN | EPOLLRDHUP | EPOLLET | out, stream, OF_STREAM),
		    0);
}

/* Who wants more, of a stream that can still tell it and has nothing older to tell. */
static bool receives(const struct loop_stream *stream)
{
	const uint32_t wanted = LOOP_STREAM_WANTED | LOOP_STREAM_READABLE;

	return (stream->state & (wanted | LOOP_STREAM_ENDED)) == wanted &&
	       !loop_stream_silent(stream) && stream->held_first == NULL;
}

/* What a receive brought, or -errno. */
static void received(struct loop_stream *stream, const char *bytes, int64_t got)
{
	const struct epoll *epoll = stream->loop->io;

	if (loop_stream_silent(stream))
		return;
	if (got > 0) {
		if (got < epoll->buffer_bytes && !(stream->state & LOOP_STREAM_HANGUP))
			stream->state &= ~(uint32_t)LOOP_STREAM_READABLE;
		if (stream->state & LOOP_STREAM_WANTED) {
			stream->events->on_data(stream, slice_make(bytes, (size_t)got));
		} else if (!loop_stream_hold(stream, bytes, (size_t)got)) {
			stream->state |= LOOP_STREAM_ERROR_NOW; /* before any later byte */
			loop_stream_fail(stream, ENOMEM);
		}
		return;
	}
	if (got == -EINTR)
		return;
	stream->state &= ~(uint32_t)(LOOP_STREAM_READABLE | LOOP_STREAM_HANGUP);
	if (got == 0)
		stream->state |= LOOP_STREAM_ENDED;
	else if (got != -EAGAIN && stream->error == 0)
		stream->error = (int)-got;
	loop_stream_tell_end(stream);
}

/* As long as there may be more and the others need not wait long. */
static void receive(struct loop_stream *stream)
{
	struct epoll *epoll = stream->loop->io;

	for (int count = 0; receives(stream); count++) {
		if (count == RECEIVES_MAX) {
			loop_ready_add(stream->loop, &stream->ready);
			return;
		}
		const ssize_t got = recv(stream->descriptor, epoll->buffer, epoll->buffer_bytes, 0);
		received(stream, epoll->buffer, got < 0 ? -errno : got);
	}
}

static ssize_t send_parts(struct loop_stream *stream)
{
	struct iovec *parts = stream->parts + stream->part_first;
	const uint32_t count = stream->part_count - stream->part_first;

	if (count == 1)
		return send(stream->descriptor, parts->iov_base, parts->iov_len, MSG_NOSIGNAL);
	stream->message = (struct msghdr){.msg_iov = parts, .msg_iovlen = count};
	return sendmsg(stream->descriptor, &stream->message, MSG_NOSIGNAL);
}

/* What a send did, or -errno. True once all is with the kernel. */
static bool sent(struct loop_stream *stream, int64_t bytes)
{
	if (bytes >= 0 && loop_stream_advance(stream, (size_t)bytes))
		return true;
	if (bytes >= 0 || bytes == -EAGAIN) {
		if (!(stream->state & LOOP_STREAM_BLOCKED)) {
			stream->state |= LOOP_STREAM_BLOCKED;
			ask_writable(stream, true);
		}
		return false;
	}
	stream->state |= LOOP_STREAM_ERROR_NOW;
	loop_stream_fail(stream, (int)-bytes);
	return false;
}

static bool send_on(struct loop_stream *stream)
{
	ssize_t bytes;

	do
		bytes = send_parts(stream);
	while (bytes < 0 && errno == EINTR);
	return sent(stream, bytes < 0 ? -errno : bytes);
}

static void tell_later(struct loop_stream *stream, bool all_sent)
{
	if (!all_sent)
		return;
	stream->state |= LOOP_STREAM_SENT;
	loop_ready_add(stream->loop, &stream->ready);
}

static void send_batch(struct epoll *epoll, struct loop_stream **streams, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		loop_batch_send(epoll->batch, i, streams[i]->descriptor, streams[i]->parts,
				streams[i]->part_count);
	loop_batch_run(epoll->batch, count);
	for (uint32_t i = 0; i < count; i++) {
		const int64_t bytes = loop_batch_result(epoll->batch, i);
		tell_later(streams[i],
			   bytes == -EINTR ? send_on(streams[i]) : sent(streams[i], bytes));
	}
}

static void send_together(struct epoll *epoll, struct loop_stream **streams, uint32_t count)
{
	if (count > 1)
		send_batch(epoll, streams, count);
	else if (count == 1)
		tell_later(streams[0], send_on(streams[0]));
}

/* Calls nobody back, so the streams stay as they are meanwhile. */
static void epoll_hand_over(struct loop *loop)
{
	struct epoll *epoll = loop->io;
	struct loop_stream *streams[LOOP_BATCH_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < epoll->send_count; i++) {
		struct loop_stream *stream = epoll->sends[i];
		if (stream == NULL)
			continue;
		stream->pending = 0;
		if (loop_stream_silent(stream))
			continue;
		streams[count++] = stream;
		if (count < LOOP_BATCH_MAX)
			continue;
		send_together(epoll, streams, count);
		count = 0;
	}
	send_together(epoll, streams, count);
	epoll->send_count = 0;
}

static void epoll_stream_send(struct loop_stream *stream)
{
	struct epoll *epoll = stream->loop->io;

	if (!(stream->state & LOOP_STREAM_REGISTERED))
		return;
	if (epoll->batch == NULL || epoll->send_count == SENDS_MAX) {
		tell_later(stream, send_on(stream));
		return;
	}
	epoll->sends[epoll->send_count++] = stream;
	stream->pending = epoll->send_count;
}

static void send_cancel(struct loop_stream *stream)
{
	struct epoll *epoll = stream->loop->io;

	if (stream->pending != 0)
		epoll->sends[stream->pending - 1] = NULL;
	stream->pending = 0;
}

static void connect_done(struct loop_stream *stream)
{
	int error = 0;
	socklen_t length = sizeof(error);

	check_equal(getsockopt(stream->descriptor, SOL_SOCKET, SO_ERROR, &error, &length), 0);
	loop_stream_tell_connected(stream, error);
}

/* Notes what the event says. True: the stream is to be served. */
static bool on_stream(struct loop_stream *stream, uint32_t events)
{
	const uint32_t hangup = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

	if (stream->state & LOOP_STREAM_CLOSING)
		return false;
	if (events & (EPOLLIN | hangup))
		stream->state |= LOOP_STREAM_READABLE;
	if (events & hangup)
		stream->state |= LOOP_STREAM_HANGUP;
	if (stream->state & LOOP_STREAM_CONNECTING) {
		if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			connect_done(stream);
		return false;
	}
	return true;
}

static void send_blocked(struct loop_stream *stream, uint32_t events)
{
	if ((stream->state & LOOP_STREAM_BLOCKED) && !loop_stream_silent(stream) &&
	    (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && send_on(stream)) {
		stream->state &= ~(uint32_t)LOOP_STREAM_BLOCKED;
		ask_writable(stream, false);
		loop_stream_tell_sent(stream);
	}
}

/* What these streams have, by one system call. */
static void receive_batch(struct epoll *epoll, const struct epoll_event *events, uint32_t count)
{
	uint32_t numbers[LOOP_BATCH_MAX]; /* of the operation; LOOP_BATCH_MAX: none */
	uint32_t operations = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct loop_stream *stream = events[i].data.ptr;
		numbers[i] = LOOP_BATCH_MAX;
		if (!receives(stream))
			continue;
		numbers[i] = operations++;
		loop_batch_receive(epoll->batch, numbers[i], stream->descriptor);
	}
	loop_batch_run(epoll->batch, operations);
	/* The callbacks may close the streams that follow, or turn their reading off. */
	for (uint32_t i = 0; i < count; i++)
		if (numbers[i] < LOOP_BATCH_MAX)
			received(events[i].data.ptr, loop_batch_buffer(epoll->batch, numbers[i]),
				 loop_batch_result(epoll->batch, numbers[i]));
}

/* Streams that have events: `data.ptr` of each. */
static void serve_streams(struct epoll *epoll, const struct epoll_event *events, uint32_t count)
{
	if (count > 1)
		receive_batch(epoll, events, count);
	for (uint32_t i = 0; i < count; i++) {
		receive(events[i].data.ptr);
		send_blocked(events[i].data.ptr, events[i].events);
	}
}

static void epoll_stream_adopt(struct loop_stream *stream)
{
	int on = 1;

	ioctl(stream->descriptor, FIONBIO, &on);
	register_stream(stream, 0);
}

static void epoll_stream_connect(struct loop_stream *stream, const struct loop_address *address)
{
	stream->descriptor = loop_socket_open(address, SOCK_NONBLOCK);
	if (stream->descriptor >= 0) {
		if (connect(stream->descriptor, &address->any, address->length) == 0) {
			stream->state |= LOOP_STREAM_CONNECTED;
			loop_ready_add(stream->loop, &stream->ready);
			register_stream(stream, 0);
			return;
		}
		if (errno == EINPROGRESS) {
			register_stream(stream, EPOLLOUT);
			if (stream->error == 0)
				return;
			errno = stream->error;
		}
	}
	stream->state |= LOOP_STREAM_CONNECTED;
	loop_stream_fail(stream, errno);
}

static void epoll_stream_read(struct loop_stream *stream)
{
	if ((stream->state & LOOP_STREAM_WANTED) &&
	    ((stream->state & LOOP_STREAM_READABLE) || stream->error != 0 ||
	     stream->held_first != NULL))
		loop_ready_add(stream->loop, &stream->ready);
}

static void epoll_stream_ready(struct loop_stream *stream)
{
	if (stream->state & LOOP_STREAM_CLOSING) {
		loop_stream_finish(stream);
		return;
	}
	if (stream->state & LOOP_STREAM_CONNECTED) {
		loop_stream_tell_connected(stream, stream->error);
		return;
	}
	if (stream->state & LOOP_STREAM_SENT)
		loop_stream_tell_sent(stream);
	loop_stream_tell_held(stream);
	receive(stream);
	loop_stream_tell_end(stream);
}

static void epoll_stream_shutdown(struct loop_stream *stream)
{
	shutdown(stream->descriptor, SHUT_WR);
}

static void epoll_stream_close(struct loop_stream *stream)
{
	send_cancel(stream);
	/* Closing alone would leave it registered while a child that is being started shares it. */
	if (stream->state & LOOP_STREAM_REGISTERED)
		control(stream->loop, EPOLL_CTL_DEL, stream->descriptor, 0, NULL, 0);
	if (stream->descriptor >= 0)
		close(stream->descriptor);
	stream->descriptor = -1;
	loop_ready_add(stream->loop, &stream->ready);
}

/* ---- listeners ---- */

static void epoll_listener_start(struct loop_listener *listener)
{
	int on = 1;

	if (listener->state & LOOP_ARMED)
		return;
	ioctl(listener->descriptor, FIONBIO, &on);
	if (control(listener->loop, EPOLL_CTL_ADD, listener->descriptor, EPOLLIN, listener,
		    OF_LISTENER) == 0)
		listener->state |= LOOP_ARMED;
	else
		loop_listener_failed(listener, errno);
}

static void listener_disarm(struct loop_listener *listener)
{
	if (listener->state & LOOP_ARMED)
		control(listener->loop, EPOLL_CTL_DEL, listener->descriptor, 0, NULL, 0);
	listener->state &= (uint8_t)~LOOP_ARMED;
}

static void on_listener(struct loop_listener *listener)
{
	for (int count = 0; count < ACCEPTS_MAX; count++) {
		if (listener->state & LOOP_CLOSING)
			return;
		const int descriptor =
			accept4(listener->descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (descriptor >= 0) {
			listener->on_accept(listener, descriptor);
			continue;
		}
		if (errno == EAGAIN)
			return;
		const int error = errno;
		if (error == EINTR || error == ECONNABORTED)
			continue;
		listener_disarm(listener);
		loop_listener_failed(listener, error);
		return;
	}
}

static void listener_ready(struct loop_ready *ready)
{
	loop_listener_finish(loop_container(ready, struct loop_listener, ready));
}

static void epoll_listener_close(struct loop_listener *listener)
{
	listener_disarm(listener);
	listener->ready.run = listener_ready;
	loop_ready_add(listener->loop, &listener->ready);
}

/* ---- watches ---- */

static void epoll_watch_open(struct loop_watch *watch)
{
	check_equal(
		control(watch->loop, EPOLL_CTL_ADD, watch->descriptor, EPOLLIN, watch, OF_WATCH),
		0);
}

static void watch_ready(struct loop_ready *ready)
{
	struct loop_watch *watch = loop_container(ready, struct loop_watch, ready);

	watch->loop->objects--;
	watch->on_closed(watch);
}

static void epoll_watch_close(struct loop_watch *watch)
{
	control(watch->loop, EPOLL_CTL_DEL, watch->descriptor, 0, NULL, 0);
	watch->ready.run = watch_ready;
	loop_ready_add(watch->loop, &watch->ready);
}

/* ---- dispatch ---- */

static void epoll_dispatch(struct loop *loop)
{
	struct epoll *epoll = loop->io;
	uint32_t waiting = 0; /* streams to be served together, at the front of the events */

	for (int i = 0; i < epoll->count; i++) {
		const struct epoll_event event = epoll->events[i];
		void *object = (void *)(uintptr_t)(event.data.u64 & ~(uint64_t)TAG_MASK);
		switch (event.data.u64 & TAG_MASK) {
		case OF_STREAM:
			if (!on_stream(object, event.events))
				break;
			epoll->events[waiting++] =
				(struct epoll_event){.events = event.events, .data.ptr = object};
			if (epoll->batch != NULL && waiting < LOOP_BATCH_MAX)
				break;
			serve_streams(epoll, epoll->events, waiting);
			waiting = 0;
			break;
		case OF_LISTENER:
			on_listener(object);
			break;
		case OF_WATCH:
			if (!(((struct loop_watch *)object)->state & LOOP_CLOSING))
				((struct loop_watch *)object)->on_readable(object);
			break;
		}
	}
	serve_streams(epoll, epoll->events, waiting);
	epoll->count = 0;
}

const struct loop_back_end loop_epoll = {
	.io = LOOP_IO_EPOLL,
	.open = epoll_open,
	.close = epoll_back_end_close,
	.wait = epoll_back_end_wait,
	.dispatch = epoll_dispatch,
	.wake = epoll_wake,
	.hand_over = epoll_hand_over,
	.listener_start = epoll_listener_start,
	.listener_close = epoll_listener_close,
	.stream_adopt = epoll_stream_adopt,
	.stream_connect = epoll_stream_connect,
	.stream_read = epoll_stream_read,
	.stream_send = epoll_stream_send,
	.stream_shutdown = epoll_stream_shutdown,
	.stream_close = epoll_stream_close,
	.stream_ready = epoll_stream_ready,
	.watch_open = epoll_watch_open,
	.watch_close = epoll_watch_close,
};

/*
 * The epoll back end: edge-triggered streams, so that a connection costs one epoll_ctl in its
 * life and pausing costs none; sends are tried at once; a short read is taken for what it is,
 * the end of what had arrived, so that no read is made to hear EAGAIN.
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

#define EVENTS_MAX     512 /* of one epoll_wait */
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
	epoll->buffer_bytes = buffer_bytes;
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

static void receive(struct loop_stream *stream)
{
	struct epoll *epoll = stream->loop->io;

	for (int count = 0; count < RECEIVES_MAX; count++) {
		if (!(stream->state & LOOP_STREAM_WANTED) || loop_stream_silent(stream) ||
		    (stream->state & LOOP_STREAM_ENDED))
			return;
		const ssize_t got = recv(stream->descriptor, epoll->buffer, epoll->buffer_bytes, 0);
		if (got > 0) {
			if ((size_t)got < epoll->buffer_bytes &&
			    !(stream->state & LOOP_STREAM_HANGUP))
				stream->state &= ~(uint32_t)LOOP_STREAM_READABLE;
			stream->events->on_data(stream, slice_make(epoll->buffer, (size_t)got));
			if (!(stream->state & LOOP_STREAM_READABLE))
				return;
			continue;
		}
		if (got < 0 && errno == EINTR)
			continue;
		stream->state &= ~(uint32_t)(LOOP_STREAM_READABLE | LOOP_STREAM_HANGUP);
		if (got == 0)
			stream->state |= LOOP_STREAM_ENDED;
		else if (errno != EAGAIN && stream->error == 0)
			stream->error = errno;
		loop_stream_tell_end(stream);
		return;
	}
	loop_ready_add(stream->loop, &stream->ready);
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

/* True once all is with the kernel. */
static bool send_on(struct loop_stream *stream)
{
	ssize_t sent;

	do
		sent = send_parts(stream);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0 && loop_stream_advance(stream, (size_t)sent))
		return true;
	if (sent >= 0 || errno == EAGAIN) {
		if (!(stream->state & LOOP_STREAM_BLOCKED)) {
			stream->state |= LOOP_STREAM_BLOCKED;
			ask_writable(stream, true);
		}
		return false;
	}
	stream->state |= LOOP_STREAM_ERROR_NOW;
	loop_stream_fail(stream, errno);
	return false;
}

static void epoll_stream_send(struct loop_stream *stream)
{
	if (!(stream->state & LOOP_STREAM_REGISTERED) || !send_on(stream))
		return;
	stream->state |= LOOP_STREAM_SENT;
	loop_ready_add(stream->loop, &stream->ready);
}

static void connect_done(struct loop_stream *stream)
{
	int error = 0;
	socklen_t length = sizeof(error);

	check_equal(getsockopt(stream->descriptor, SOL_SOCKET, SO_ERROR, &error, &length), 0);
	loop_stream_tell_connected(stream, error);
}

static void on_stream(struct loop_stream *stream, uint32_t events)
{
	const uint32_t hangup = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

	if (stream->state & LOOP_STREAM_CLOSING)
		return;
	if (events & (EPOLLIN | hangup))
		stream->state |= LOOP_STREAM_READABLE;
	if (events & hangup)
		stream->state |= LOOP_STREAM_HANGUP;
	if (stream->state & LOOP_STREAM_CONNECTING) {
		if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			connect_done(stream);
		return;
	}
	if (stream->state & LOOP_STREAM_READABLE)
		receive(stream);
	if ((stream->state & LOOP_STREAM_BLOCKED) && !loop_stream_silent(stream) &&
	    (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && send_on(stream)) {
		stream->state &= ~(uint32_t)LOOP_STREAM_BLOCKED;
		ask_writable(stream, false);
		loop_stream_tell_sent(stream);
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
	    ((stream->state & LOOP_STREAM_READABLE) || stream->error != 0))
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
	if (stream->state & LOOP_STREAM_READABLE)
		receive(stream);
	loop_stream_tell_end(stream);
}

static void epoll_stream_shutdown(struct loop_stream *stream)
{
	shutdown(stream->descriptor, SHUT_WR);
}

static void epoll_stream_close(struct loop_stream *stream)
{
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

	for (int i = 0; i < epoll->count; i++) {
		const uint64_t data = epoll->events[i].data.u64;
		void *object = (void *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);
		switch (data & TAG_MASK) {
		case OF_STREAM:
			on_stream(object, epoll->events[i].events);
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
	epoll->count = 0;
}

const struct loop_back_end loop_epoll = {
	.io = LOOP_IO_EPOLL,
	.open = epoll_open,
	.close = epoll_back_end_close,
	.wait = epoll_back_end_wait,
	.dispatch = epoll_dispatch,
	.wake = epoll_wake,
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

/*
 * The io_uring back end: completions come in batches from one io_uring_submit_and_wait_timeout a
 * turn, which also hands over everything that the turn before asked for.
 *
 * `pending` of an object counts its operations that the kernel has or will get. An object that
 * closes cancels them and waits for their last completions, so memory is given back only when
 * the kernel knows nothing of it any more.
 *
 * Receive buffers are lent by the kernel for one callback each and are all back in the ring when
 * a batch is done: what nobody wants yet is copied out.
 */
#include "loop/uring_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/check.h"

#define BUFFERS_DEFAULT 256
#define BUFFERS_MAX     32768
#define BUFFER_DEFAULT  16384
#define SEND_BYTES_MAX  (1u << 30)

/* The low bits of user_data; the rest is the object's address. */
enum {
	ON_RECEIVE,
	ON_SEND,
	ON_CONNECT,
	ON_STREAM_OVER, /* a cancel of its operations, or nothing to cancel */
	ON_ACCEPT,
	ON_LISTENER_OVER,
	ON_WATCH,
	ON_WATCH_OVER,
	TAG_MASK = 7,
};
#define ON_WAKE 0ull /* ON_RECEIVE of no object */

static_assert(alignof(struct loop_stream) > TAG_MASK, "addresses leave room for a tag");
static_assert(alignof(struct loop_listener) > TAG_MASK, "addresses leave room for a tag");
static_assert(alignof(struct loop_watch) > TAG_MASK, "addresses leave room for a tag");

static uint64_t tagged(const void *object, unsigned tag)
{
	return (uint64_t)(uintptr_t)object | tag;
}

static struct io_uring_sqe *next_entry(struct loop *loop)
{
	struct uring *uring = loop->io;
	struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring);

	if (__builtin_expect(entry == NULL, 0)) {
		io_uring_submit(&uring->ring);
		entry = io_uring_get_sqe(&uring->ring);
		check(entry != NULL);
	}
	return entry;
}

static void cancel(struct loop *loop, uint64_t operation, uint64_t user_data)
{
	struct io_uring_sqe *entry = next_entry(loop);

	io_uring_prep_cancel64(entry, operation, 0);
	io_uring_sqe_set_data64(entry, user_data);
}

/* ---- life ---- */

static void watch_wake(struct loop *loop)
{
	const struct uring *uring = loop->io;
	struct io_uring_sqe *entry = next_entry(loop);

	/* Every write to it is an event of its own, so nobody need read it. */
	io_uring_prep_poll_multishot(entry, uring->wake, POLLIN);
	io_uring_sqe_set_data64(entry, ON_WAKE);
}

static void uring_close(struct loop *loop)
{
	struct uring *uring = loop->io;

	uring_close_ring(uring);
	if (uring->wake >= 0)
		close(uring->wake);
	free(uring);
	loop->io = NULL;
}

static int uring_open(struct loop *loop, const struct loop_options *options, struct fault *fault)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int result;

	if (uring == NULL)
		return fault_set_errno(fault, ENOMEM, "make an io_uring");
	loop->io = uring;
	uring->buffer_count = options->receive_buffers ? options->receive_buffers : BUFFERS_DEFAULT;
	uring->buffer_bytes =
		options->receive_buffer_bytes ? options->receive_buffer_bytes : BUFFER_DEFAULT;
	check((uring->buffer_count & (uring->buffer_count - 1)) == 0);
	check_at_most(uring->buffer_count, BUFFERS_MAX);
	uring->wake = eventfd(0, EFD_CLOEXEC);
	if (uring->wake < 0)
		result = fault_set_errno(fault, errno, "make an eventfd");
	else
		result = uring_open_ring(uring, fault);
	if (result == 0)
		result = uring_probe(uring, fault);
	if (result == 0) {
		watch_wake(loop);
		return 0;
	}
	uring_close(loop);
	if (fault != NULL)
		fault->code = FAULT_UNSUPPORTED;
	return FAULT_UNSUPPORTED;
}

static void uring_wake(struct loop *loop)
{
	const struct uring *uring = loop->io;

	eventfd_write(uring->wake, 1);
}

static int uring_wait(struct loop *loop, uint64_t wait_ns, struct fault *fault)
{
	struct uring *uring = loop->io;
	struct io_uring_cqe *completion;
	int result;

	if (wait_ns == 0) {
		result = io_uring_submit_and_get_events(&uring->ring);
	} else {
		struct __kernel_timespec limit = {
			.tv_sec = (long long)(wait_ns / CLOCK_NS_PER_S),
			.tv_nsec = (long long)(wait_ns % CLOCK_NS_PER_S),
		};
		result = io_uring_submit_and_wait_timeout(
			&uring->ring, &completion, 1, wait_ns == UINT64_MAX ? NULL : &limit, NULL);
	}
	/* EAGAIN and EBUSY: the kernel is short of memory or room; what it has done is reaped now
	 * and the rest is handed over in the next turn. */
	if (result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
	    result == -EBUSY)
		return 0;
	return fault_set_errno(fault, -result, "wait for io_uring");
}

/* ---- streams ---- */

static void arm_receive(struct loop_stream *stream)
{
	struct io_uring_sqe *entry = next_entry(stream->loop);

	io_uring_prep_recv_multishot(entry, stream->descriptor, NULL, 0, 0);
	entry->flags |= IOSQE_BUFFER_SELECT;
	entry->buf_group = 0;
	io_uring_sqe_set_data64(entry, tagged(stream, ON_RECEIVE));
	stream->state |= LOOP_STREAM_RECEIVING;
	stream->pending++;
}

/* Receives again where it is wanted and there may be more. */
static void receive_on(struct loop_stream *stream)
{
	const uint32_t off = LOOP_STREAM_CONNECTING | LOOP_STREAM_RECEIVING | LOOP_STREAM_ENDED |
			     LOOP_STREAM_FAILED | LOOP_STREAM_CLOSING;

	if ((stream->state & (LOOP_STREAM_WANTED | off)) == LOOP_STREAM_WANTED &&
	    stream->error == 0 && stream->held_first == NULL)
		arm_receive(stream);
}

/* Bytes came though nobody wants them: keeps them, and stops the kernel from bringing more. */
static void hold_back(struct loop_stream *stream, const char *bytes, size_t length)
{
	const uint32_t both = LOOP_STREAM_RECEIVING | LOOP_STREAM_CANCELLING;

	if (!loop_stream_hold(stream, bytes, length)) {
		stream->state |= LOOP_STREAM_ERROR_NOW; /* before any later byte */
		loop_stream_fail(stream, ENOMEM);
		return;
	}
	if ((stream->state & both) == LOOP_STREAM_RECEIVING) {
		stream->state |= LOOP_STREAM_CANCELLING;
		stream->pending++;
		cancel(stream->loop, tagged(stream, ON_RECEIVE), tagged(stream, ON_STREAM_OVER));
	}
}

static void stream_over(struct loop_stream *stream)
{
	if (stream->pending > 0 || !(stream->state & LOOP_STREAM_CLOSING))
		return;
	if (stream->descriptor >= 0)
		close(stream->descriptor);
	stream->descriptor = -1;
	loop_stream_finish(stream);
}

static void on_receive(struct uring *uring, struct loop_stream *stream, int result, unsigned flags)
{
	if (!(flags & IORING_CQE_F_MORE)) {
		stream->state &= ~(uint32_t)(LOOP_STREAM_RECEIVING | LOOP_STREAM_CANCELLING);
		stream->pending--;
	}
	if (flags & IORING_CQE_F_BUFFER) {
		const unsigned number = flags >> IORING_CQE_BUFFER_SHIFT;
		const char *bytes = uring_buffer(uring, number);
		if (result <= 0 || loop_stream_silent(stream))
			;
		else if ((stream->state & LOOP_STREAM_WANTED) && stream->held_first == NULL)
			stream->events->on_data(stream, slice_make(bytes, (size_t)result));
		else
			hold_back(stream, bytes, (size_t)result);
		uring_give_back(uring, number);
	}
	if (flags & IORING_CQE_F_MORE)
		return;
	/* ENOBUFS: the batch emptied the ring, which is full again when this one is done. */
	if (result == 0)
		stream->state |= LOOP_STREAM_ENDED;
	else if (result < 0 && result != -ENOBUFS && result != -ECANCELED && result != -EINTR &&
		 stream->error == 0)
		stream->error = -result;
	loop_stream_tell_end(stream);
	receive_on(stream);
	stream_over(stream);
}

static void submit_send(struct loop_stream *stream)
{
	struct io_uring_sqe *entry = next_entry(stream->loop);
	struct iovec *parts = stream->parts + stream->part_first;
	const uint32_t count = stream->part_count - stream->part_first;

	if (count == 1) {
		const size_t length = parts->iov_len;
		io_uring_prep_send(entry, stream->descriptor, parts->iov_base,
				   length < SEND_BYTES_MAX ? length : SEND_BYTES_MAX,
				   MSG_NOSIGNAL | MSG_WAITALL);
	} else {
		stream->message = (struct msghdr){.msg_iov = parts, .msg_iovlen = count};
		io_uring_prep_sendmsg(entry, stream->descriptor, &stream->message,
				      MSG_NOSIGNAL | MSG_WAITALL);
	}
	io_uring_sqe_set_data64(entry, tagged(stream, ON_SEND));
	stream->pending++;
}

static void on_send(struct loop_stream *stream, int result)
{
	stream->pending--;
	if (!loop_stream_silent(stream)) {
		if (result < 0 && result != -EINTR) {
			/* Told after the batch, which may bring what the peer said before. */
			stream->state |= LOOP_STREAM_ERROR_NOW;
			loop_stream_fail(stream, -result);
		} else if (result < 0 || !loop_stream_advance(stream, (size_t)result)) {
			submit_send(stream);
		} else {
			loop_stream_tell_sent(stream);
		}
	}
	stream_over(stream);
}

static void on_connect(struct loop_stream *stream, int result)
{
	stream->pending--;
	if (!loop_stream_silent(stream))
		loop_stream_tell_connected(stream, -result);
	stream_over(stream);
}

static void on_stream_over(struct loop_stream *stream, int result)
{
	stream->pending--;
	/* A cancel that found nothing: what it meant has completed, or may be cancelled again. */
	if (result < 0)
		stream->state &= ~(uint32_t)LOOP_STREAM_CANCELLING;
	stream_over(stream);
}

static void uring_stream_adopt(struct loop_stream *stream)
{
	int off = 0;

	/* A non-blocking descriptor would answer EAGAIN instead of waiting inside the ring. */
	ioctl(stream->descriptor, FIONBIO, &off);
}

static void uring_stream_connect(struct loop_stream *stream, const struct loop_address *address)
{
	struct loop_address *kept = (struct loop_address *)(void *)stream->parts;

	stream->descriptor = loop_socket_open(address, 0);
	if (stream->descriptor < 0) {
		stream->state |= LOOP_STREAM_CONNECTED;
		loop_stream_fail(stream, errno);
		return;
	}
	*kept = *address;
	struct io_uring_sqe *entry = next_entry(stream->loop);
	io_uring_prep_connect(entry, stream->descriptor, &kept->any, kept->length);
	io_uring_sqe_set_data64(entry, tagged(stream, ON_CONNECT));
	stream->pending++;
}

static void uring_stream_read(struct loop_stream *stream)
{
	const bool ended =
		(stream->state & LOOP_STREAM_ENDED) && !(stream->state & LOOP_STREAM_ENDED_TOLD);

	/* Off costs nothing now: the receive stays armed, and what it brings is held back. */
	if (!(stream->state & LOOP_STREAM_WANTED))
		return;
	if (stream->held_first != NULL || stream->error != 0 || ended)
		loop_ready_add(stream->loop, &stream->ready);
	else
		receive_on(stream);
}

static void uring_stream_ready(struct loop_stream *stream)
{
	if (loop_stream_silent(stream))
		return;
	if (stream->state & LOOP_STREAM_CONNECTED) {
		loop_stream_tell_connected(stream, stream->error);
		return;
	}
	loop_stream_tell_held(stream);
	loop_stream_tell_end(stream);
	receive_on(stream);
}

static void uring_stream_shutdown(struct loop_stream *stream)
{
	shutdown(stream->descriptor, SHUT_WR);
}

static void uring_stream_close(struct loop_stream *stream)
{
	const uint64_t over = tagged(stream, ON_STREAM_OVER);
	uint32_t pending = stream->pending;

	loop_ready_remove(&stream->ready);
	if (stream->state & LOOP_STREAM_RECEIVING) {
		cancel(stream->loop, tagged(stream, ON_RECEIVE), over);
		stream->pending++;
	}
	if (stream->state & LOOP_STREAM_CONNECTING && stream->descriptor >= 0) {
		cancel(stream->loop, tagged(stream, ON_CONNECT), over);
		stream->pending++;
	}
	if (stream->state & LOOP_STREAM_SENDING || stream->state & LOOP_STREAM_FAILED) {
		cancel(stream->loop, tagged(stream, ON_SEND), over);
		stream->pending++;
	}
	if (stream->pending > pending)
		return;
	/* So that on_closed comes with a later batch. */
	struct io_uring_sqe *entry = next_entry(stream->loop);
	io_uring_prep_nop(entry);
	io_uring_sqe_set_data64(entry, over);
	stream->pending++;
}

/* ---- listeners ---- */

static void uring_listener_start(struct loop_listener *listener)
{
	struct io_uring_sqe *entry = next_entry(listener->loop);

	io_uring_prep_multishot_accept(entry, listener->descriptor, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data64(entry, tagged(listener, ON_ACCEPT));
	listener->state |= LOOP_ARMED;
	listener->pending++;
}

static void listener_over(struct loop_listener *listener)
{
	if (listener->pending == 0 && (listener->state & LOOP_CLOSING))
		loop_listener_finish(listener);
}

static void on_accept(struct loop_listener *listener, int result, unsigned flags)
{
	if (!(flags & IORING_CQE_F_MORE)) {
		listener->state &= (uint8_t)~LOOP_ARMED;
		listener->pending--;
	}
	if (result >= 0 && (listener->state & LOOP_CLOSING))
		close(result);
	else if (result >= 0)
		listener->on_accept(listener, result);
	if (!(listener->state & (LOOP_CLOSING | LOOP_ARMED))) {
		if (result >= 0)
			uring_listener_start(listener);
		else
			loop_listener_failed(listener, -result);
	}
	listener_over(listener);
}

static void uring_listener_close(struct loop_listener *listener)
{
	cancel(listener->loop, tagged(listener, ON_ACCEPT), tagged(listener, ON_LISTENER_OVER));
	listener->pending++;
}

/* ---- watches ---- */

static void uring_watch_open(struct loop_watch *watch)
{
	struct io_uring_sqe *entry = next_entry(watch->loop);

	io_uring_prep_poll_add(entry, watch->descriptor, POLLIN);
	io_uring_sqe_set_data64(entry, tagged(watch, ON_WATCH));
	watch->pending++;
}

static void watch_over(struct loop_watch *watch)
{
	if (watch->pending > 0 || !(watch->state & LOOP_CLOSING))
		return;
	watch->loop->objects--;
	watch->on_closed(watch);
}

static void on_watch(struct loop_watch *watch, int result)
{
	watch->pending--;
	if (!(watch->state & LOOP_CLOSING)) {
		/* Only a descriptor that was closed under us is refused. */
		check_at_most(0, result);
		watch->on_readable(watch);
	}
	/* One shot, asked for anew: what is still readable is told again. */
	if (!(watch->state & LOOP_CLOSING))
		uring_watch_open(watch);
	watch_over(watch);
}

static void uring_watch_close(struct loop_watch *watch)
{
	cancel(watch->loop, tagged(watch, ON_WATCH), tagged(watch, ON_WATCH_OVER));
	watch->pending++;
}

/* ---- dispatch ---- */

static void dispatch_one(struct loop *loop, uint64_t user_data, int result, unsigned flags)
{
	void *object = (void *)(uintptr_t)(user_data & ~(uint64_t)TAG_MASK);

	switch (user_data & TAG_MASK) {
	case ON_RECEIVE:
		if (user_data != ON_WAKE)
			on_receive(loop->io, object, result, flags);
		else if (!(flags & IORING_CQE_F_MORE))
			watch_wake(loop);
		break;
	case ON_SEND:
		on_send(object, result);
		break;
	case ON_CONNECT:
		on_connect(object, result);
		break;
	case ON_STREAM_OVER:
		on_stream_over(object, result);
		break;
	case ON_ACCEPT:
		on_accept(object, result, flags);
		break;
	case ON_LISTENER_OVER:
		((struct loop_listener *)object)->pending--;
		listener_over(object);
		break;
	case ON_WATCH:
		on_watch(object, result);
		break;
	case ON_WATCH_OVER:
		((struct loop_watch *)object)->pending--;
		watch_over(object);
		break;
	}
}

static void uring_dispatch(struct loop *loop)
{
	struct uring *uring = loop->io;
	struct io_uring_cqe *completion;
	unsigned head;
	unsigned count = 0;

	io_uring_for_each_cqe(&uring->ring, head, completion)
	{
		dispatch_one(loop, completion->user_data, completion->res, completion->flags);
		count++;
	}
	io_uring_cq_advance(&uring->ring, count);
	uring_publish_buffers(uring);
}

const struct loop_back_end loop_uring = {
	.io = LOOP_IO_URING,
	.open = uring_open,
	.close = uring_close,
	.wait = uring_wait,
	.dispatch = uring_dispatch,
	.wake = uring_wake,
	.listener_start = uring_listener_start,
	.listener_close = uring_listener_close,
	.stream_adopt = uring_stream_adopt,
	.stream_connect = uring_stream_connect,
	.stream_read = uring_stream_read,
	.stream_send = submit_send,
	.stream_shutdown = uring_stream_shutdown,
	.stream_close = uring_stream_close,
	.stream_ready = uring_stream_ready,
	.watch_open = uring_watch_open,
	.watch_close = uring_watch_close,
};

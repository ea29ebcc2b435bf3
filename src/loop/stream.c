#include "loop/loop_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void stream_ready(struct loop_ready *ready)
{
	struct loop_stream *stream = loop_container(ready, struct loop_stream, ready);

	stream->loop->back_end->stream_ready(stream);
}

static void stream_init(struct loop *loop, struct loop_stream *stream,
			const struct loop_stream_events *events)
{
	stream->loop = loop;
	stream->events = events;
	stream->descriptor = -1;
	stream->pending = 0;
	stream->state = 0;
	stream->error = 0;
	stream->part_count = stream->part_first = 0;
	stream->ready = (struct loop_ready){.run = stream_ready};
	stream->held_first = stream->held_last = NULL;
	loop->objects++;
}

void loop_stream_adopt(struct loop *loop, struct loop_stream *stream, int descriptor,
		       const struct loop_stream_events *events)
{
	check(descriptor >= 0);
	stream_init(loop, stream, events);
	stream->descriptor = descriptor;
	loop->back_end->stream_adopt(stream);
}

void loop_stream_connect(struct loop *loop, struct loop_stream *stream,
			 const struct loop_address *address,
			 const struct loop_stream_events *events)
{
	stream_init(loop, stream, events);
	stream->state = LOOP_STREAM_CONNECTING;
	loop->back_end->stream_connect(stream, address);
}

void loop_stream_read(struct loop_stream *stream, bool wanted)
{
	check(!(stream->state & LOOP_STREAM_CONNECTING));
	if (wanted == ((stream->state & LOOP_STREAM_WANTED) != 0))
		return;
	stream->state ^= LOOP_STREAM_WANTED;
	if (!loop_stream_silent(stream))
		stream->loop->back_end->stream_read(stream);
}

void loop_stream_send(struct loop_stream *stream, const struct iovec *parts, uint32_t part_count)
{
	check(part_count >= 1 && part_count <= LOOP_SEND_PARTS_MAX);
	if (loop_stream_silent(stream))
		return;
	check(!(stream->state & (LOOP_STREAM_CONNECTING | LOOP_STREAM_SENDING | LOOP_STREAM_SHUT)));
	memcpy(stream->parts, parts, part_count * sizeof(*parts));
	stream->part_first = 0;
	stream->part_count = part_count;
	stream->state |= LOOP_STREAM_SENDING;
	stream->loop->back_end->stream_send(stream);
}

bool loop_stream_sending(const struct loop_stream *stream)
{
	return (stream->state & LOOP_STREAM_SENDING) != 0;
}

void loop_stream_shutdown(struct loop_stream *stream)
{
	check(!(stream->state & LOOP_STREAM_CONNECTING));
	if (loop_stream_silent(stream) || (stream->state & LOOP_STREAM_SHUT))
		return;
	stream->state |= LOOP_STREAM_SHUT;
	/* Else loop_stream_tell_sent does it. */
	if (!(stream->state & LOOP_STREAM_SENDING))
		stream->loop->back_end->stream_shutdown(stream);
}

void loop_stream_close(struct loop_stream *stream)
{
	if (stream->state & LOOP_STREAM_CLOSING)
		return;
	stream->state |= LOOP_STREAM_CLOSING;
	stream->loop->back_end->stream_close(stream);
}

bool loop_stream_closing(const struct loop_stream *stream)
{
	return (stream->state & LOOP_STREAM_CLOSING) != 0;
}

/* ---- for the back ends ---- */

bool loop_stream_hold(struct loop_stream *stream, const void *bytes, size_t length)
{
	struct loop_held *held = malloc(sizeof(*held) + length);

	if (held == NULL)
		return false;
	held->next = NULL;
	held->length = length;
	memcpy(held->bytes, bytes, length);
	if (stream->held_last != NULL)
		stream->held_last->next = held;
	else
		stream->held_first = held;
	stream->held_last = held;
	return true;
}

static struct loop_held *held_take(struct loop_stream *stream)
{
	struct loop_held *held = stream->held_first;

	stream->held_first = held->next;
	if (stream->held_first == NULL)
		stream->held_last = NULL;
	return held;
}

void loop_stream_tell_held(struct loop_stream *stream)
{
	while (stream->held_first != NULL) {
		if (loop_stream_silent(stream) || !(stream->state & LOOP_STREAM_WANTED))
			return;
		struct loop_held *held = held_take(stream);
		stream->events->on_data(stream, slice_make(held->bytes, held->length));
		free(held);
	}
}

void loop_stream_tell_end(struct loop_stream *stream)
{
	const bool in_order =
		(stream->state & LOOP_STREAM_WANTED) != 0 && stream->held_first == NULL;

	if (loop_stream_silent(stream))
		return;
	if (in_order && (stream->state & LOOP_STREAM_ENDED) &&
	    !(stream->state & LOOP_STREAM_ENDED_TOLD)) {
		stream->state |= LOOP_STREAM_ENDED_TOLD;
		stream->events->on_end(stream);
		if (loop_stream_silent(stream))
			return;
	}
	if (stream->error != 0 && (in_order || (stream->state & LOOP_STREAM_ERROR_NOW))) {
		stream->state |= LOOP_STREAM_FAILED;
		stream->state &= ~(uint32_t)LOOP_STREAM_SENDING;
		stream->events->on_error(stream, stream->error);
	}
}

void loop_stream_tell_connected(struct loop_stream *stream, int error)
{
	stream->state &= ~(uint32_t)(LOOP_STREAM_CONNECTING | LOOP_STREAM_CONNECTED);
	if (error != 0)
		stream->state |= LOOP_STREAM_FAILED;
	stream->events->on_connected(stream, error);
}

void loop_stream_tell_sent(struct loop_stream *stream)
{
	if (loop_stream_silent(stream) || !(stream->state & LOOP_STREAM_SENDING))
		return;
	stream->state &= ~(uint32_t)(LOOP_STREAM_SENDING | LOOP_STREAM_SENT);
	if (stream->state & LOOP_STREAM_SHUT)
		stream->loop->back_end->stream_shutdown(stream);
	stream->events->on_sent(stream);
}

void loop_stream_fail(struct loop_stream *stream, int error)
{
	check(error > 0);
	if (stream->error == 0)
		stream->error = error;
	if (!loop_stream_silent(stream))
		loop_ready_add(stream->loop, &stream->ready);
}

void loop_stream_finish(struct loop_stream *stream)
{
	check_equal(stream->pending, 0);
	loop_ready_remove(&stream->ready);
	while (stream->held_first != NULL)
		free(held_take(stream));
	stream->loop->objects--;
	stream->events->on_closed(stream);
}

bool loop_stream_advance(struct loop_stream *stream, size_t sent)
{
	while (stream->part_first < stream->part_count) {
		struct iovec *part = &stream->parts[stream->part_first];
		if (sent < part->iov_len) {
			part->iov_base = (char *)part->iov_base + sent;
			part->iov_len -= sent;
			return false;
		}
		sent -= part->iov_len;
		stream->part_first++;
	}
	check_equal(sent, 0);
	return true;
}

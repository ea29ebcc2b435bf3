#include "http/wire_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "http/tls_internal.h"

/* ---- blocks ---- */

void http_blocks_fini(struct http_blocks *blocks)
{
	while (blocks->free != NULL) {
		struct http_block *block = blocks->free;
		blocks->free = block->next;
		free(block);
	}
	blocks->count = 0;
}

struct http_block *http_block_take(struct http_blocks *blocks, size_t bytes)
{
	struct http_block *block = blocks->free;

	if (bytes <= HTTP_BLOCK_BYTES && block != NULL) {
		blocks->free = block->next;
		blocks->count--;
	} else {
		const size_t capacity = bytes > HTTP_BLOCK_BYTES ? bytes : HTTP_BLOCK_BYTES;
		check_at_most(capacity, UINT32_MAX);
		block = malloc(sizeof(*block) + capacity);
		check(block != NULL);
		block->capacity = (uint32_t)capacity;
	}
	block->next = NULL;
	block->used = block->sent = 0;
	return block;
}

void http_block_give(struct http_blocks *blocks, struct http_block *block)
{
	if (block->capacity != HTTP_BLOCK_BYTES || blocks->count == HTTP_BLOCKS_SPARE) {
		free(block);
		return;
	}
	block->next = blocks->free;
	blocks->free = block;
	blocks->count++;
}

struct http_block *http_chain_reserve(struct http_chain *chain, struct http_blocks *blocks,
				      size_t bytes)
{
	struct http_block *last = chain->last;

	if (last != NULL && last->capacity - last->used >= bytes)
		return last;
	last = http_block_take(blocks, bytes);
	*(chain->last == NULL ? &chain->first : &chain->last->next) = last;
	chain->last = last;
	return last;
}

void http_chain_append(struct http_chain *chain, struct http_blocks *blocks, struct slice bytes)
{
	while (bytes.length > 0) {
		struct http_block *last = http_chain_reserve(chain, blocks, 1);
		const size_t room = last->capacity - last->used;
		const size_t length = bytes.length < room ? bytes.length : room;

		memcpy(last->bytes + last->used, bytes.data, length);
		last->used += (uint32_t)length;
		bytes.data += length;
		bytes.length -= length;
	}
}

void http_chain_drop_first(struct http_chain *chain, struct http_blocks *blocks)
{
	struct http_block *block = chain->first;

	chain->first = block->next;
	if (chain->first == NULL)
		chain->last = NULL;
	http_block_give(blocks, block);
}

void http_chain_clear(struct http_chain *chain, struct http_blocks *blocks)
{
	while (chain->first != NULL)
		http_chain_drop_first(chain, blocks);
}

/* ---- life ---- */

void http_wire_init(struct http_wire *wire, struct loop *loop, struct http_blocks *blocks)
{
	wire->loop = loop;
	wire->blocks = blocks;
}

void http_wire_adopt(struct http_wire *wire, int descriptor,
		     const struct loop_stream_events *events, struct http_tls *tls,
		     struct http_tls_kit *kit)
{
	if (tls != NULL)
		http_tls_begin(wire, tls, kit, events, NULL);
	loop_stream_adopt(wire->loop, &wire->stream, descriptor,
			  tls != NULL ? &http_tls_events : events);
}

void http_wire_close(struct http_wire *wire)
{
	if (wire->tls != NULL && wire->waiting_bytes == 0 && !wire->unfit &&
	    !loop_stream_closing(&wire->stream)) {
		http_tls_say_end(wire->tls);
		http_tls_last_words(wire->tls);
	}
	loop_stream_close(&wire->stream);
}

void http_wire_shutdown(struct http_wire *wire)
{
	if (wire->tls == NULL) {
		loop_stream_shutdown(&wire->stream);
		return;
	}
	http_tls_say_end(wire->tls);
	http_tls_flush(wire, 0);
}

void http_wire_fini(struct http_wire *wire)
{
	check(!wire->turn.queued);
	if (wire->tls != NULL)
		http_tls_session_free(wire->tls);
	loop_timer_clear(wire->loop, &wire->timer);
	http_chain_clear(&wire->output, wire->blocks);
	free(wire->kept);
	wire->kept = NULL;
}

void http_wire_defer(struct http_wire *wire)
{
	if (!loop_stream_closing(&wire->stream))
		loop_defer(wire->loop, &wire->turn);
}

/* ---- output ---- */

char *http_wire_reserve(struct http_wire *wire, size_t bytes)
{
	struct http_block *last = http_chain_reserve(&wire->output, wire->blocks, bytes);

	return last->bytes + last->used;
}

void http_wire_commit(struct http_wire *wire, const char *end)
{
	struct http_block *last = wire->output.last;
	const size_t bytes = (size_t)(end - (last->bytes + last->used));

	check_at_most(bytes, last->capacity - last->used);
	last->used += (uint32_t)bytes;
	wire->waiting_bytes += bytes;
}

void http_wire_append(struct http_wire *wire, struct slice bytes)
{
	http_chain_append(&wire->output, wire->blocks, bytes);
	wire->waiting_bytes += bytes.length;
}

/* ---- deadlines ---- */

static void arm(struct http_wire *wire)
{
	const uint64_t read_ns = wire->read_deadline_ns, send_ns = wire->send_deadline_ns;
	const uint64_t due_ns =
		read_ns == 0 || (send_ns != 0 && send_ns < read_ns) ? send_ns : read_ns;

	if (due_ns != 0 && (wire->timer.due_ns == 0 || wire->timer.due_ns > due_ns))
		loop_timer_set(wire->loop, &wire->timer, due_ns);
}

void http_wire_read_within(struct http_wire *wire, uint64_t timeout_ns)
{
	wire->read_deadline_ns = timeout_ns == 0 ? 0 : loop_now_ns(wire->loop) + timeout_ns;
	arm(wire);
}

static void send_within(struct http_wire *wire, uint64_t timeout_ns)
{
	wire->send_deadline_ns = timeout_ns == 0 ? 0 : loop_now_ns(wire->loop) + timeout_ns;
	arm(wire);
}

/* What the kernel has not taken of the send under way; the loop advances the parts. */
static size_t unsent_bytes(const struct loop_stream *stream)
{
	size_t bytes = 0;

	for (uint32_t i = stream->part_first; i < stream->part_count; i++)
		bytes += stream->parts[i].iov_len;
	return bytes;
}

enum http_wire_due http_wire_due(struct http_wire *wire, uint64_t send_timeout_ns)
{
	const uint64_t now_ns = loop_now_ns(wire->loop);

	if (wire->send_deadline_ns != 0 && now_ns >= wire->send_deadline_ns) {
		const size_t unsent = unsent_bytes(&wire->stream);
		if (unsent == wire->unsent_bytes)
			return HTTP_WIRE_SEND_DUE;
		wire->unsent_bytes = unsent;
		send_within(wire, send_timeout_ns);
	}
	const bool read_due = wire->read_deadline_ns != 0 && now_ns >= wire->read_deadline_ns;
	if (read_due)
		wire->read_deadline_ns = 0;
	arm(wire);
	return read_due ? HTTP_WIRE_READ_DUE : HTTP_WIRE_NOT_DUE;
}

/* ---- sending ---- */

void http_wire_hand_over(struct http_wire *wire, const struct iovec *parts, uint32_t part_count,
			 size_t bytes, uint64_t idle_timeout_ns)
{
	wire->unsent_bytes = bytes;
	send_within(wire, idle_timeout_ns);
	loop_stream_send(&wire->stream, parts, part_count);
}

bool http_wire_said_end(struct http_wire *wire, uint64_t idle_timeout_ns)
{
	if (wire->tls == NULL || wire->unfit)
		return true;
	http_tls_say_end(wire->tls);
	http_tls_flush(wire, idle_timeout_ns);
	return !loop_stream_sending(&wire->stream);
}

void http_wire_flush(struct http_wire *wire, uint64_t idle_timeout_ns)
{
	struct iovec parts[LOOP_SEND_PARTS_MAX];
	uint32_t count = 0;

	if (wire->tls != NULL) {
		http_tls_flush(wire, idle_timeout_ns);
		return;
	}
	if (wire->sending_bytes > 0 || wire->waiting_bytes == 0 || wire->held)
		return;
	for (struct http_block *block = wire->output.first;
	     block != NULL && count < LOOP_SEND_PARTS_MAX && wire->sending_bytes < HTTP_SEND_MAX;
	     block = block->next) {
		const size_t length = block->used - block->sent;
		if (length == 0)
			continue;
		parts[count++] = (struct iovec){block->bytes + block->sent, length};
		block->sent = block->used;
		wire->sending_bytes += length;
	}
	http_wire_hand_over(wire, parts, count, wire->sending_bytes, idle_timeout_ns);
}

void http_wire_sent(struct http_wire *wire)
{
	wire->waiting_bytes -= wire->sending_bytes;
	wire->sending_bytes = 0;
	wire->send_deadline_ns = 0;
	while (wire->output.first != NULL && wire->output.first->sent == wire->output.first->used)
		http_chain_drop_first(&wire->output, wire->blocks);
}

/* ---- input ---- */

struct slice http_wire_view(struct http_wire *wire, struct slice bytes)
{
	if (wire->kept_length == 0)
		return bytes;
	if (wire->kept_capacity - wire->kept_length < bytes.length) {
		wire->kept_capacity = (wire->kept_length + bytes.length) * 2;
		wire->kept = realloc(wire->kept, wire->kept_capacity);
		check(wire->kept != NULL);
	}
	if (bytes.length > 0)
		memcpy(wire->kept + wire->kept_length, bytes.data, bytes.length);
	wire->kept_length += bytes.length;
	return slice_make(wire->kept, wire->kept_length);
}

static void keep_copy(struct http_wire *wire, struct slice rest)
{
	if (wire->kept_capacity < rest.length) {
		free(wire->kept);
		wire->kept_capacity = rest.length * 2;
		wire->kept = malloc(wire->kept_capacity);
		check(wire->kept != NULL);
	}
	memcpy(wire->kept, rest.data, rest.length);
}

void http_wire_keep(struct http_wire *wire, struct slice rest, bool wanted)
{
	if (rest.length == 0) {
		free(wire->kept);
		wire->kept = NULL;
		wire->kept_capacity = 0;
	} else if (wire->kept_length > 0) {
		memmove(wire->kept, rest.data, rest.length);
	} else {
		keep_copy(wire, rest);
	}
	wire->kept_length = rest.length;

	const bool reading = wanted || rest.length < HTTP_KEPT_HIGH;
	if (reading != wire->reading && !loop_stream_closing(&wire->stream)) {
		wire->reading = reading;
		loop_stream_read(&wire->stream, reading);
	}
}

#include "http/queue_internal.h"

#include "base/check.h"

void http_queue_append(struct http_queue *queue, struct http_blocks *blocks, struct slice bytes)
{
	queue->bytes += bytes.length;
	while (bytes.length > 0) {
		struct http_block *last = queue->last;

		if (last == NULL || last->used == last->capacity) {
			last = http_block_take(blocks, 1);
			*(queue->last == NULL ? &queue->first : &queue->last->next) = last;
			queue->last = last;
		}
		const size_t room = last->capacity - last->used;
		const size_t length = bytes.length < room ? bytes.length : room;
		memcpy(last->bytes + last->used, bytes.data, length);
		last->used += (uint32_t)length;
		bytes = slice_part(bytes, length, bytes.length);
	}
}

struct slice http_queue_piece(const struct http_queue *queue)
{
	const struct http_block *first = queue->first;

	return first == NULL ? (struct slice){0}
			     : slice_make(first->bytes + first->sent, first->used - first->sent);
}

static void drop_first(struct http_queue *queue, struct http_blocks *blocks)
{
	struct http_block *block = queue->first;

	queue->first = block->next;
	if (queue->first == NULL)
		queue->last = NULL;
	http_block_give(blocks, block);
}

void http_queue_drop(struct http_queue *queue, struct http_blocks *blocks, size_t bytes)
{
	check_at_most(bytes, http_queue_piece(queue).length);
	queue->bytes -= bytes;
	queue->first->sent += (uint32_t)bytes;
	if (queue->first->sent == queue->first->used)
		drop_first(queue, blocks);
}

void http_queue_clear(struct http_queue *queue, struct http_blocks *blocks)
{
	while (queue->first != NULL)
		drop_first(queue, blocks);
	queue->bytes = 0;
}

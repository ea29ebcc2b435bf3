#include "http/queue_internal.h"

#include "base/check.h"

void http_queue_append(struct http_queue *queue, struct http_blocks *blocks, struct slice bytes)
{
	queue->bytes += bytes.length;
	http_chain_append(&queue->chain, blocks, bytes);
}

struct slice http_queue_piece(const struct http_queue *queue)
{
	const struct http_block *first = queue->chain.first;

	if (first == NULL)
		return slice_make(NULL, 0);
	return slice_make(first->bytes + first->sent, first->used - first->sent);
}

void http_queue_drop(struct http_queue *queue, struct http_blocks *blocks, size_t bytes)
{
	struct http_block *first = queue->chain.first;

	check_at_most(bytes, http_queue_piece(queue).length);
	queue->bytes -= bytes;
	first->sent += (uint32_t)bytes;
	if (first->sent == first->used)
		http_chain_drop_first(&queue->chain, blocks);
}

void http_queue_clear(struct http_queue *queue, struct http_blocks *blocks)
{
	http_chain_clear(&queue->chain, blocks);
	queue->bytes = 0;
}

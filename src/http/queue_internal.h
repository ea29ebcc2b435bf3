/*
 * queue: bytes of one message that wait, in blocks of the pool that the connections share.
 *
 * Threads: the loop's.
 */
#pragma once

#include "http/wire_internal.h"

/* Zeroed: empty. */
struct http_queue {
	struct http_chain chain;
	size_t bytes;
};

void http_queue_append(struct http_queue *queue, struct http_blocks *blocks, struct slice bytes);
/* What lies in one piece at its begin; empty where it is empty. */
struct slice http_queue_piece(const struct http_queue *queue);
/* The first bytes of that piece are not needed any more. */
void http_queue_drop(struct http_queue *queue, struct http_blocks *blocks, size_t bytes);
void http_queue_clear(struct http_queue *queue, struct http_blocks *blocks);

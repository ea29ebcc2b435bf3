/*
 * h2_memory: what nghttp2 allocates, from free lists of its owner, so that a call on a connection
 * that stands allocates nothing.
 *
 * Sizes are rounded up to powers of two; each has a list, bounded by HTTP_H2_SPARE_BYTES. What is
 * larger than the largest goes to malloc.
 *
 * Threads: one pool belongs to one loop's thread.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "base/slice.h"

#define HTTP_H2_CLASSES     10           /* 32 bytes, 64, ... 16 KiB */
#define HTTP_H2_SPARE_BYTES (512 * 1024) /* kept of each size */

struct http_h2_piece;

struct http_h2_memory {
	nghttp2_mem functions; /* to be handed to nghttp2 */
	struct {
		struct http_h2_piece *first;
		size_t bytes;
	} spare[HTTP_H2_CLASSES];
};

/* The address stays: `functions` points to it. */
void http_h2_memory_init(struct http_h2_memory *memory);
/* When every session that used it is gone. */
void http_h2_memory_fini(struct http_h2_memory *memory);

/*
 * uring_internal: the io_uring back end's own state, shared with the probe that decides at start
 * whether io_uring may be used.
 *
 * liburing 2.3 is enough. Never IORING_SETUP_NO_SQARRAY with it: it destroys the ring.
 */
#pragma once

#include <liburing.h>

#include "loop/loop_internal.h"

struct uring {
	struct io_uring ring;
	bool ring_open;
	int wake; /* eventfd */
	struct io_uring_buf_ring *buffer_ring;
	char *buffers;
	uint32_t buffer_count;
	uint32_t buffer_bytes;
	unsigned given_back; /* not yet published to the kernel */
	void *memory;        /* of ring and buffers */
	size_t memory_bytes;
};

/* `buffer_count` and `buffer_bytes` are set before. What it opened before a fault is closed by
 * uring_close_ring. */
int uring_open_ring(struct uring *uring, struct fault *fault);
void uring_close_ring(struct uring *uring);

char *uring_buffer(const struct uring *uring, unsigned number);
/* A receive buffer is the kernel's again once it was published. */
void uring_give_back(struct uring *uring, unsigned number);
void uring_publish_buffers(struct uring *uring);

/* Really does each operation that the back end needs, on a ring that is otherwise unused, and
 * leaves it so. The fault names what is missing. */
int uring_probe(struct uring *uring, struct fault *fault);

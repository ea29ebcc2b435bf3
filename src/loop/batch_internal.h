/*
 * batch: many receives or sends by one system call, for the epoll back end.
 *
 * Linux AIO (io_submit) carries out what it is given on a non-blocking socket before it returns,
 * and leaves the results in memory that it shares with us; entering the kernel is what is saved.
 * It is older than io_uring, and containers that refuse io_uring allow it.
 *
 * AIO has no MSG_NOSIGNAL: a batch is refused unless SIGPIPE is ignored.
 *
 * Threads: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define LOOP_BATCH_MAX 64

struct loop_batch;

/* NULL: refused, or no memory. `buffer_bytes`: most of one receive. */
struct loop_batch *loop_batch_new(uint32_t buffer_bytes);
void loop_batch_free(struct loop_batch *batch); /* NULL: nothing */

/* Operation `number`, from 0 without a gap, of the next run. The parts stay the caller's and
 * must not move before the run is over. */
void loop_batch_receive(struct loop_batch *batch, uint32_t number, int descriptor);
void loop_batch_send(struct loop_batch *batch, uint32_t number, int descriptor,
		     const struct iovec *parts, uint32_t part_count);
/* Carries out the first `count` operations, in their order. */
void loop_batch_run(struct loop_batch *batch, uint32_t count);
/* Bytes that operation `number` received or sent, or -errno. -EINTR: it was not tried; who does
 * it alone hears why. */
int64_t loop_batch_result(const struct loop_batch *batch, uint32_t number);
/* Where it received them; until the next run. */
char *loop_batch_buffer(struct loop_batch *batch, uint32_t number);

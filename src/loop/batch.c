#include "loop/batch_internal.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

/* Buffers of one size begin at different offsets of their pages, so that their first lines do
 * not compete for the same few places in the cache. */
#define BUFFER_STAGGER 832u

#define RING_MAGIC 0xa10a10a1u

/* What the kernel maps at the address that io_setup returns; its part of the interface, though
 * no header has it (QEMU and fio read it likewise). */
struct ring {
	uint32_t id, count;
	uint32_t head, tail; /* ours to move; the kernel's */
	uint32_t magic, compatible, incompatible, header_bytes;
	struct io_event events[];
};

struct loop_batch {
	aio_context_t context;
	uint32_t buffer_bytes, buffer_stride;
	struct iocb operations[LOOP_BATCH_MAX];
	struct iocb *pointers[LOOP_BATCH_MAX];
	int64_t results[LOOP_BATCH_MAX];
	char buffers[];
};

static bool pipe_signal_ignored(void)
{
	struct sigaction action;

	return sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static volatile struct ring *ring_of(const struct loop_batch *batch)
{
	return (volatile struct ring *)(uintptr_t)batch->context;
}

struct loop_batch *loop_batch_new(uint32_t buffer_bytes)
{
	const uint32_t stride = buffer_bytes + BUFFER_STAGGER;
	struct loop_batch *batch;

	if (!pipe_signal_ignored())
		return NULL;
	batch = malloc(sizeof(*batch) + (size_t)LOOP_BATCH_MAX * stride);
	if (batch == NULL)
		return NULL;
	batch->context = 0;
	batch->buffer_bytes = buffer_bytes;
	batch->buffer_stride = stride;
	for (uint32_t i = 0; i < LOOP_BATCH_MAX; i++)
		batch->pointers[i] = &batch->operations[i];
	if (syscall(SYS_io_setup, LOOP_BATCH_MAX, &batch->context) != 0) {
		free(batch);
		return NULL;
	}
	if (ring_of(batch)->magic != RING_MAGIC || ring_of(batch)->incompatible != 0) {
		loop_batch_free(batch);
		return NULL;
	}
	return batch;
}

void loop_batch_free(struct loop_batch *batch)
{
	if (batch == NULL)
		return;
	syscall(SYS_io_destroy, batch->context);
	free(batch);
}

static struct iocb *operation_set(struct loop_batch *batch, uint32_t number, int descriptor,
				  uint16_t code)
{
	struct iocb *operation = &batch->operations[number];

	check(number < LOOP_BATCH_MAX);
	*operation = (struct iocb){
		.aio_data = number, .aio_lio_opcode = code, .aio_fildes = (uint32_t)descriptor};
	return operation;
}

void loop_batch_receive(struct loop_batch *batch, uint32_t number, int descriptor)
{
	struct iocb *operation = operation_set(batch, number, descriptor, IOCB_CMD_PREAD);

	operation->aio_buf = (uintptr_t)loop_batch_buffer(batch, number);
	operation->aio_nbytes = batch->buffer_bytes;
}

void loop_batch_send(struct loop_batch *batch, uint32_t number, int descriptor,
		     const struct iovec *parts, uint32_t part_count)
{
	struct iocb *operation = operation_set(
		batch, number, descriptor, part_count == 1 ? IOCB_CMD_PWRITE : IOCB_CMD_PWRITEV);

	operation->aio_buf = (uintptr_t)(part_count == 1 ? parts->iov_base : (const void *)parts);
	operation->aio_nbytes = part_count == 1 ? parts->iov_len : part_count;
}

/* Results come in any order; each names its operation. All are there: on a socket that does not
 * block, the kernel has done an operation when io_submit returns. */
static void reap(struct loop_batch *batch, uint32_t count)
{
	volatile struct ring *ring = ring_of(batch);
	const uint32_t tail = ring->tail;
	uint32_t head = ring->head;

	for (; head != tail; count--) {
		const uint64_t number = ring->events[head].data;
		check(number < LOOP_BATCH_MAX);
		batch->results[number] = ring->events[head].res;
		head = head + 1 == ring->count ? 0 : head + 1;
	}
	check_equal(count, 0);
	ring->head = head;
}

void loop_batch_run(struct loop_batch *batch, uint32_t count)
{
	uint32_t done = 0;
	uint32_t refused = 0;

	check_at_most(count, LOOP_BATCH_MAX);
	while (done < count) {
		const long taken = syscall(SYS_io_submit, batch->context, (long)(count - done),
					   &batch->pointers[done]);
		if (taken > 0) {
			done += (uint32_t)taken;
			continue;
		}
		batch->results[done++] = -EINTR; /* it could not even be begun */
		refused++;
	}
	reap(batch, count - refused);
}

int64_t loop_batch_result(const struct loop_batch *batch, uint32_t number)
{
	return batch->results[number];
}

char *loop_batch_buffer(struct loop_batch *batch, uint32_t number)
{
	return batch->buffers + (size_t)number * batch->buffer_stride;
}

/* The ring and the buffers that the kernel receives into. */
#include "loop/uring_internal.h"

#include <errno.h>
#include <sys/mman.h>

#define SUBMISSIONS 2048
#define COMPLETIONS 8192
#define PAGE        4096ul
#define HUGE_PAGE   (2ul << 20)
/* Buffers do not lie a power of two apart, else their beginnings share a few cache sets. */
#define BUFFER_GAP 256

static int open_buffers(struct uring *uring, struct fault *fault)
{
	const size_t ring_bytes = uring->buffer_count * sizeof(struct io_uring_buf);
	const size_t buffer_bytes =
		(size_t)uring->buffer_count * (uring->buffer_bytes + BUFFER_GAP);
	struct io_uring_buf_reg registration = {.ring_entries = uring->buffer_count, .bgid = 0};

	uring->memory_bytes = buffer_bytes + ring_bytes + 2 * HUGE_PAGE;
	uring->memory = mmap(NULL, uring->memory_bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (uring->memory == MAP_FAILED) {
		uring->memory = NULL;
		return fault_set_errno(fault, errno, "map %zu bytes of receive buffers",
				       uring->memory_bytes);
	}
	/* Few address translations for buffers that are used in turn. Only a wish. */
	const uintptr_t begin = ((uintptr_t)uring->memory + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	(void)madvise((void *)begin, HUGE_PAGE * ((buffer_bytes + ring_bytes) / HUGE_PAGE + 1),
		      MADV_HUGEPAGE);
	uring->buffer_ring = (struct io_uring_buf_ring *)begin;
	uring->buffers = (char *)begin + ((ring_bytes + PAGE - 1) & ~(PAGE - 1));
	registration.ring_addr = begin;
	const int result = io_uring_register_buf_ring(&uring->ring, &registration, 0);
	if (result < 0)
		return fault_set_errno(fault, -result, "io_uring refuses a ring of buffers");
	io_uring_buf_ring_init(uring->buffer_ring);
	for (unsigned number = 0; number < uring->buffer_count; number++)
		uring_give_back(uring, number);
	uring_publish_buffers(uring);
	return 0;
}

int uring_open_ring(struct uring *uring, struct fault *fault)
{
	struct io_uring_params parameters = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
		.cq_entries = COMPLETIONS,
	};
	int result = io_uring_queue_init_params(SUBMISSIONS, &uring->ring, &parameters);

	if (result < 0)
		return fault_set_errno(fault, -result,
				       "io_uring_setup with SINGLE_ISSUER and DEFER_TASKRUN is "
				       "refused");
	uring->ring_open = true;
	if (!(parameters.features & IORING_FEAT_EXT_ARG))
		return fault_set(fault, FAULT_UNSUPPORTED, "io_uring waits without a timeout here");
	result = io_uring_register_ring_fd(&uring->ring);
	if (result < 0)
		return fault_set_errno(fault, -result,
				       "io_uring refuses to register its descriptor");
	return open_buffers(uring, fault);
}

void uring_close_ring(struct uring *uring)
{
	if (uring->ring_open)
		io_uring_queue_exit(&uring->ring);
	if (uring->memory != NULL)
		munmap(uring->memory, uring->memory_bytes);
	uring->ring_open = false;
	uring->memory = NULL;
}

char *uring_buffer(const struct uring *uring, unsigned number)
{
	return uring->buffers + (size_t)number * (uring->buffer_bytes + BUFFER_GAP);
}

void uring_give_back(struct uring *uring, unsigned number)
{
	io_uring_buf_ring_add(uring->buffer_ring, uring_buffer(uring, number), uring->buffer_bytes,
			      (unsigned short)number, (int)uring->buffer_count - 1,
			      (int)uring->given_back);
	uring->given_back++;
}

void uring_publish_buffers(struct uring *uring)
{
	if (uring->given_back == 0)
		return;
	io_uring_buf_ring_advance(uring->buffer_ring, (int)uring->given_back);
	uring->given_back = 0;
}

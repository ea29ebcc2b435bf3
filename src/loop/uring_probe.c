#include "loop/uring_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

#define WAIT_S 2 /* for an answer that never comes */

enum {
	RECEIVE,
	SEND,
	ACCEPT,
	CONNECT,
	POLL,
	CANCEL,
	ANSWERS,
};

struct answer {
	bool here;
	int result;
	unsigned flags;
};

struct probe {
	struct uring *uring;
	struct answer answers[ANSWERS];
	int pair[2];
	int listener, client;
	int event;
};

static struct io_uring_sqe *next_entry(struct probe *probe)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&probe->uring->ring);

	check(entry != NULL); /* the ring is empty */
	return entry;
}

/* Submits and waits for the next completion of each of two operations. */
static bool await(struct probe *probe, unsigned one, unsigned other)
{
	struct io_uring *ring = &probe->uring->ring;
	struct __kernel_timespec limit = {.tv_sec = WAIT_S};
	struct io_uring_cqe *completion;

	probe->answers[one].here = probe->answers[other].here = false;
	while (!probe->answers[one].here || !probe->answers[other].here) {
		const int result =
			io_uring_submit_and_wait_timeout(ring, &completion, 1, &limit, NULL);
		if (result < 0 && result != -EINTR)
			return false;
		if (io_uring_peek_cqe(ring, &completion) < 0)
			continue;
		struct answer *answer = &probe->answers[completion->user_data];
		answer->here = true;
		answer->result = completion->res;
		answer->flags = completion->flags;
		io_uring_cqe_seen(ring, completion);
	}
	return true;
}

static bool succeeded(const struct probe *probe, unsigned operation, unsigned flags)
{
	const struct answer *answer = &probe->answers[operation];

	return answer->here && answer->result >= 0 && (answer->flags & flags) == flags;
}

static bool cancelled(struct probe *probe, unsigned operation)
{
	struct io_uring_sqe *entry = next_entry(probe);

	io_uring_prep_cancel64(entry, operation, 0);
	io_uring_sqe_set_data64(entry, CANCEL);
	return await(probe, CANCEL, operation) && succeeded(probe, CANCEL, 0) &&
	       probe->answers[operation].result == -ECANCELED;
}

static bool receives(struct probe *probe)
{
	struct uring *uring = probe->uring;
	const unsigned wanted = IORING_CQE_F_MORE | IORING_CQE_F_BUFFER;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, probe->pair) < 0)
		return false;
	struct io_uring_sqe *entry = next_entry(probe);
	io_uring_prep_recv_multishot(entry, probe->pair[0], NULL, 0, 0);
	entry->flags |= IOSQE_BUFFER_SELECT;
	io_uring_sqe_set_data64(entry, RECEIVE);
	entry = next_entry(probe);
	io_uring_prep_send(entry, probe->pair[1], "x", 1, MSG_NOSIGNAL | MSG_WAITALL);
	io_uring_sqe_set_data64(entry, SEND);
	if (!await(probe, RECEIVE, SEND) || !succeeded(probe, SEND, 0) ||
	    !succeeded(probe, RECEIVE, wanted))
		return false;
	uring_give_back(uring, probe->answers[RECEIVE].flags >> IORING_CQE_BUFFER_SHIFT);
	uring_publish_buffers(uring);
	return cancelled(probe, RECEIVE);
}

static bool accepts(struct probe *probe)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof(address.sun_family); /* the kernel chooses an abstract name */

	probe->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	probe->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (probe->listener < 0 || probe->client < 0 ||
	    bind(probe->listener, (struct sockaddr *)&address, length) < 0 ||
	    listen(probe->listener, 1) < 0)
		return false;
	length = sizeof(address);
	if (getsockname(probe->listener, (struct sockaddr *)&address, &length) < 0)
		return false;
	struct io_uring_sqe *entry = next_entry(probe);
	io_uring_prep_multishot_accept(entry, probe->listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data64(entry, ACCEPT);
	entry = next_entry(probe);
	io_uring_prep_connect(entry, probe->client, (struct sockaddr *)&address, length);
	io_uring_sqe_set_data64(entry, CONNECT);
	if (!await(probe, ACCEPT, CONNECT) || !succeeded(probe, CONNECT, 0) ||
	    !succeeded(probe, ACCEPT, IORING_CQE_F_MORE))
		return false;
	close(probe->answers[ACCEPT].result);
	return cancelled(probe, ACCEPT);
}

static bool polls(struct probe *probe)
{
	probe->event = eventfd(1, EFD_CLOEXEC);
	if (probe->event < 0)
		return false;
	struct io_uring_sqe *entry = next_entry(probe);
	io_uring_prep_poll_multishot(entry, probe->event, POLLIN);
	io_uring_sqe_set_data64(entry, POLL);
	return await(probe, POLL, POLL) && succeeded(probe, POLL, IORING_CQE_F_MORE) &&
	       cancelled(probe, POLL);
}

int uring_probe(struct uring *uring, struct fault *fault)
{
	struct probe probe = {
		.uring = uring, .pair = {-1, -1}, .listener = -1, .client = -1, .event = -1};
	const char *missing = NULL;

	if (!receives(&probe))
		missing = "multishot receive into a ring of buffers";
	else if (!accepts(&probe))
		missing = "multishot accept or connect";
	else if (!polls(&probe))
		missing = "multishot poll";
	const int descriptors[] = {probe.pair[0], probe.pair[1], probe.listener, probe.client,
				   probe.event};
	for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	if (missing == NULL)
		return 0;
	return fault_set(fault, FAULT_UNSUPPORTED, "io_uring lacks %s here", missing);
}

#include "loop/loop.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "loop/loop_internal.h"

static_assert(sizeof(struct loop_address) <= sizeof(((struct loop_stream *)0)->parts),
	      "a connecting stream keeps its address where its parts will be");

/* ---- life ---- */

/* AUTO: io_uring, else epoll with the reason kept. */
static int open_back_end(struct loop *loop, const struct loop_options *options, struct fault *fault)
{
	struct fault refused = {0};

	switch (options->io) {
	case LOOP_IO_EPOLL:
		loop->back_end = &loop_epoll;
		snprintf(loop->reason, sizeof(loop->reason), "epoll was asked for");
		break;
	case LOOP_IO_SIMULATED:
		loop->back_end = &loop_simulated;
		snprintf(loop->reason, sizeof(loop->reason), "a simulated network was asked for");
		break;
	case LOOP_IO_URING:
		loop->back_end = &loop_uring;
		snprintf(loop->reason, sizeof(loop->reason), "io_uring was asked for");
		break;
	case LOOP_IO_AUTO:
		loop->back_end = &loop_uring;
		if (loop_uring.open(loop, options, &refused) == 0) {
			snprintf(loop->reason, sizeof(loop->reason), "io_uring works in full");
			return 0;
		}
		loop->back_end = &loop_epoll;
		snprintf(loop->reason, sizeof(loop->reason), "epoll, since %s", refused.text);
		break;
	default:
		check(!"a known loop_io");
	}
	return loop->back_end->open(loop, options, fault);
}

int loop_new(const struct loop_options *options, struct loop **ret_loop, struct fault *fault)
{
	struct loop *loop = aligned_alloc(alignof(struct loop), sizeof(*loop));

	if (loop == NULL)
		return fault_set_errno(fault, ENOMEM, "make an event loop");
	memset(loop, 0, sizeof(*loop));
	loop->clock = options->clock != NULL ? options->clock : clock_system();
	loop->ready.next = loop->ready.previous = &loop->ready;
	atomic_init(&loop->inbox, NULL);
	atomic_init(&loop->sleeping, false);
	atomic_init(&loop->stopping, false);
	const int result = open_back_end(loop, options, fault);
	if (result < 0) {
		free(loop);
		return result;
	}
	loop->now_ns = clock_monotonic_ns(loop->clock);
	loop_wheel_init(&loop->wheel, loop->now_ns);
	*ret_loop = loop;
	return 0;
}

bool loop_is_empty(const struct loop *loop)
{
	return loop->objects == 0;
}

void loop_free(struct loop *loop)
{
	check(!loop->in_turn);
	check_equal(loop->objects, 0);
	loop->back_end->close(loop);
	free(loop);
}

enum loop_io loop_io_used(const struct loop *loop)
{
	return loop->back_end->io;
}

const char *loop_io_reason(const struct loop *loop)
{
	return loop->reason;
}

uint64_t loop_now_ns(const struct loop *loop)
{
	return loop->now_ns;
}

uint64_t loop_wall_ns(const struct loop *loop)
{
	/* Read when first asked for: a cache, so that the promise of const holds for callers. */
	struct loop *self = (struct loop *)(uintptr_t)loop;

	if (!self->wall_known) {
		self->wall_ns = clock_wall_ns(self->clock);
		self->wall_known = true;
	}
	return self->wall_ns;
}

/* ---- the turn ---- */

static void read_clock(struct loop *loop)
{
	loop->now_ns = clock_monotonic_ns(loop->clock);
	loop->wall_known = false;
}

static void run_tasks(struct loop *loop)
{
	while (loop->task_first != NULL) {
		struct loop_task *task = loop->task_first;
		loop->task_first = task->next;
		if (loop->task_first == NULL)
			loop->task_last = NULL;
		task->next = NULL;
		task->queued = false;
		task->run(task);
	}
	if (loop->back_end->hand_over != NULL)
		loop->back_end->hand_over(loop);
}

static void deliver_messages(struct loop *loop)
{
	struct loop_message *first = NULL;

	if (atomic_load_explicit(&loop->inbox, memory_order_relaxed) == NULL)
		return;
	struct loop_message *newest =
		atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
	while (newest != NULL) {
		struct loop_message *older = newest->next;
		newest->next = first;
		first = newest;
		newest = older;
	}
	while (first != NULL) {
		struct loop_message *message = first;
		first = message->next;
		message->deliver(message);
	}
}

/* One pass: what its callbacks add waits for the next one. */
static void run_ready(struct loop *loop)
{
	struct loop_ready pass;

	pass.next = loop->ready.next;
	pass.previous = loop->ready.previous;
	pass.next->previous = pass.previous->next = &pass;
	loop->ready.next = loop->ready.previous = &loop->ready;
	while (pass.next != &pass) {
		struct loop_ready *ready = pass.next;
		loop_ready_remove(ready);
		ready->run(ready);
	}
}

/* How long the turn may wait; announces that it will, so that who posts knows to wake it. */
static uint64_t bound_wait(struct loop *loop, uint64_t wait_ns)
{
	if (loop->ready.next != &loop->ready || wait_ns == 0)
		return 0;
	const uint64_t due_ns = loop_wheel_next_ns(&loop->wheel, loop->now_ns);
	if (due_ns <= loop->now_ns)
		return 0;
	if (due_ns != UINT64_MAX && due_ns - loop->now_ns < wait_ns)
		wait_ns = due_ns - loop->now_ns;
	/* Pairs with wake_sleeper: of the two stores and the two loads behind them, one side sees
	 * the other's. */
	atomic_store(&loop->sleeping, true);
	if (atomic_load(&loop->inbox) != NULL || atomic_load(&loop->stopping)) {
		atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
		return 0;
	}
	return wait_ns;
}

static int turn(struct loop *loop, uint64_t wait_ns, struct fault *fault)
{
	check(!loop->in_turn);
	loop->in_turn = true;
	run_tasks(loop); /* deferred between turns */
	wait_ns = bound_wait(loop, wait_ns);
	if (loop->before_wait != NULL)
		loop->before_wait(loop->wait_context);
	const int result = loop->back_end->wait(loop, wait_ns, fault);
	if (loop->after_wait != NULL)
		loop->after_wait(loop->wait_context);
	if (wait_ns != 0)
		atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
	if (result == 0) {
		read_clock(loop);
		loop->back_end->dispatch(loop);
		loop_wheel_run(&loop->wheel, loop->now_ns);
		deliver_messages(loop);
		run_tasks(loop);
		for (int pass = 0; pass < LOOP_READY_PASSES && loop->ready.next != &loop->ready;
		     pass++) {
			run_ready(loop);
			run_tasks(loop);
		}
	}
	loop->in_turn = false;
	return result;
}

void loop_set_wait_hooks(struct loop *loop, void (*before)(void *context),
			 void (*after)(void *context), void *context)
{
	loop->before_wait = before;
	loop->after_wait = after;
	loop->wait_context = context;
}

int loop_turn(struct loop *loop, uint64_t wait_ns, struct fault *fault)
{
	read_clock(loop);
	return turn(loop, wait_ns, fault);
}

int loop_run(struct loop *loop, struct fault *fault)
{
	int result = 0;

	read_clock(loop);
	while (result == 0 && !atomic_load_explicit(&loop->stopping, memory_order_acquire))
		result = turn(loop, UINT64_MAX, fault);
	atomic_store(&loop->stopping, false);
	return result;
}

static void wake_sleeper(struct loop *loop)
{
	if (atomic_load(&loop->sleeping) && atomic_exchange(&loop->sleeping, false))
		loop->back_end->wake(loop);
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stopping, true);
	wake_sleeper(loop);
}

void loop_post(struct loop *loop, struct loop_message *message)
{
	struct loop_message *newest = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

	check(message->deliver != NULL);
	do {
		message->next = newest;
	} while (!atomic_compare_exchange_weak(&loop->inbox, &newest, message));
	wake_sleeper(loop);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	task->next = NULL;
	if (loop->task_last != NULL)
		loop->task_last->next = task;
	else
		loop->task_first = task;
	loop->task_last = task;
}

void loop_ready_add(struct loop *loop, struct loop_ready *ready)
{
	if (ready->next != NULL)
		return;
	ready->next = &loop->ready;
	ready->previous = loop->ready.previous;
	loop->ready.previous->next = ready;
	loop->ready.previous = ready;
}

void loop_ready_remove(struct loop_ready *ready)
{
	if (ready->next == NULL)
		return;
	ready->previous->next = ready->next;
	ready->next->previous = ready->previous;
	ready->next = ready->previous = NULL;
}

int loop_socket_open(const struct loop_address *address, int flags)
{
	const int on = 1;
	const int descriptor =
		socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (descriptor >= 0 && address->any.sa_family != AF_UNIX)
		setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return descriptor;
}

/* ---- watches ---- */

void loop_watch_open(struct loop *loop, struct loop_watch *watch, int descriptor)
{
	check(watch->on_readable != NULL && watch->on_closed != NULL);
	check(descriptor >= 0);
	watch->loop = loop;
	watch->descriptor = descriptor;
	watch->pending = 0;
	watch->state = 0;
	watch->ready = (struct loop_ready){0};
	loop->objects++;
	loop->back_end->watch_open(watch);
}

void loop_watch_close(struct loop_watch *watch)
{
	if (watch->state & LOOP_CLOSING)
		return;
	watch->state |= LOOP_CLOSING;
	loop_ready_remove(&watch->ready);
	watch->loop->back_end->watch_close(watch);
}

/* The turn, messages, listeners and watches, on the back end that the command line names. */
#include "loop/testing_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SENDERS    4
#define MESSAGES   20000
#define FOLDER_MAX 64

/* ---- timers and tasks in the turn ---- */

struct alarm {
	struct loop_timer timer;
	struct world *world;
	uint64_t due_ns;
	uint32_t *order;
	uint32_t place; /* in which it went off; 0: not yet */
};

static void on_alarm(struct loop_timer *timer)
{
	struct alarm *alarm = (struct alarm *)(void *)timer;

	assert_true(loop_now_ns(alarm->world->loop) >= alarm->due_ns);
	assert_int_equal(timer->due_ns, 0);
	alarm->place = ++*alarm->order;
}

static void timers_wake_the_loop_in_order_and_cleared_ones_do_not(void **state)
{
	struct world *world = *state;
	struct alarm alarms[5];
	uint32_t order = 0;
	const uint64_t after_ms[5] = {12, 3, 7, 3, 5};

	assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
	for (int i = 0; i < 5; i++) {
		alarms[i] = (struct alarm){.timer.on_due = on_alarm,
					   .world = world,
					   .order = &order,
					   .due_ns = loop_now_ns(world->loop) +
						     after_ms[i] * CLOCK_NS_PER_MS};
		loop_timer_set(world->loop, &alarms[i].timer, alarms[i].due_ns);
	}
	loop_timer_clear(world->loop, &alarms[2].timer);
	loop_timer_clear(world->loop, &alarms[2].timer);
	world_until(world, order == 4);
	assert_int_equal(alarms[1].place, 1);
	assert_int_equal(alarms[3].place, 2);
	assert_int_equal(alarms[4].place, 3);
	assert_int_equal(alarms[0].place, 4);
	assert_int_equal(alarms[2].place, 0);
}

struct job {
	struct loop_task task;
	struct loop *loop;
	struct job *then; /* deferred by this one */
	char name;
	char *log;
};

static void run_job(struct loop_task *task)
{
	struct job *job = (struct job *)(void *)task;
	const size_t length = strlen(job->log);

	job->log[length] = job->name;
	job->log[length + 1] = '\0';
	if (job->then != NULL)
		loop_defer(job->loop, &job->then->task);
}

static void tasks_run_once_in_order_and_those_of_tasks_in_the_same_turn(void **state)
{
	struct world *world = *state;
	char log[16] = "";
	struct job jobs[3];

	for (int i = 0; i < 3; i++)
		jobs[i] = (struct job){.task.run = run_job,
				       .loop = world->loop,
				       .name = (char)('a' + i),
				       .log = log};
	jobs[0].then = &jobs[2];
	loop_defer(world->loop, &jobs[0].task);
	loop_defer(world->loop, &jobs[1].task);
	loop_defer(world->loop, &jobs[0].task);
	assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
	assert_string_equal(log, "abc");
	assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
	assert_string_equal(log, "abc");
}

struct late {
	struct loop_task task;
	struct peer *peer;
	bool ran;
};

static void run_late(struct loop_task *task)
{
	struct late *late = (struct late *)(void *)task;

	assert_int_equal(late->peer->closes, 0);
	late->ran = true;
}

static struct late late;

static void close_then_defer(struct peer *peer)
{
	peer_close(peer);
	late = (struct late){.task.run = run_late, .peer = peer};
	loop_defer(peer->world->loop, &late.task);
}

static void tasks_of_the_turn_run_before_on_closed(void **state)
{
	struct world *world = *state;
	struct peer *server;

	world_listen(world);
	struct peer *client = peer_connect_both(world, &server);
	server->on_data = close_then_defer;
	peer_read(server, true);
	peer_send(client, 1, 100);
	world_until(world, server->closes == 1);
	assert_true(late.ran);
	peer_free(client);
}

/* ---- messages ---- */

struct note {
	struct loop_message message;
	struct inbox *inbox;
	uint32_t sender, number;
};

struct inbox {
	struct world *world;
	uint32_t next[SENDERS];
	uint32_t count;
	atomic_uint posted;
};

struct sender {
	pthread_t thread;
	struct inbox *inbox;
	uint32_t number;
};

static void deliver_note(struct loop_message *message)
{
	struct note *note = (struct note *)(void *)message;
	struct inbox *inbox = note->inbox;

	assert_int_equal(note->number, inbox->next[note->sender]);
	inbox->next[note->sender]++;
	inbox->count++;
	free(note);
}

static void *send_notes(void *argument)
{
	const struct sender *sender = argument;

	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct note *note = malloc(sizeof(*note));
		*note = (struct note){.message.deliver = deliver_note,
				      .inbox = sender->inbox,
				      .sender = sender->number,
				      .number = i};
		loop_post(sender->inbox->world->loop, &note->message);
		/* Now and then the loop falls asleep before the next one. */
		if (i % 1000 == 0)
			sched_yield();
	}
	return NULL;
}

static void messages_of_four_threads_keep_their_order_and_wake_the_loop(void **state)
{
	struct world *world = *state;
	struct inbox inbox = {.world = world};
	struct sender senders[SENDERS];

	for (uint32_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.inbox = &inbox, .number = i};
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_notes, &senders[i]),
				 0);
	}
	while (inbox.count < SENDERS * MESSAGES)
		assert_int_equal(loop_turn(world->loop, UINT64_MAX, NULL), 0);
	for (uint32_t i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
}

static void *stop_loop(void *argument)
{
	loop_stop(argument);
	return NULL;
}

static void stop_ends_a_run_from_another_thread_and_before_it_began(void **state)
{
	struct world *world = *state;
	pthread_t thread;

	loop_stop(world->loop);
	assert_int_equal(loop_run(world->loop, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, stop_loop, world->loop), 0);
	assert_int_equal(loop_run(world->loop, NULL), 0);
	pthread_join(thread, NULL);
}

/* ---- watches ---- */

struct pipe_watch {
	struct loop_watch watch; /* first */
	uint32_t calls, closes;
};

static void on_readable(struct loop_watch *watch)
{
	char byte;

	((struct pipe_watch *)(void *)watch)->calls++;
	assert_int_equal(read(watch->descriptor, &byte, 1), 1);
}

static void on_watch_closed(struct loop_watch *watch)
{
	((struct pipe_watch *)(void *)watch)->closes++;
}

static void a_watch_calls_while_there_is_something_to_read(void **state)
{
	struct world *world = *state;
	struct pipe_watch watch = {.watch.on_readable = on_readable,
				   .watch.on_closed = on_watch_closed};
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	loop_watch_open(world->loop, &watch.watch, ends[0]);
	assert_int_equal(write(ends[1], "abc", 3), 3);
	world_until(world, watch.calls == 3);
	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
	assert_int_equal(watch.calls, 3);
	assert_int_equal(write(ends[1], "d", 1), 1);
	world_until(world, watch.calls == 4);
	assert_int_equal(write(ends[1], "e", 1), 1);
	loop_watch_close(&watch.watch);
	assert_int_equal(watch.closes, 0);
	world_until(world, watch.closes == 1);
	assert_int_equal(watch.calls, 4);
	close(ends[0]);
	close(ends[1]);
}

/* ---- listeners ---- */

/* Makes the folder; `text` is the address of a socket in it. */
static struct loop_address path_address(char folder[FOLDER_MAX], char text[LOOP_ADDRESS_TEXT_MAX])
{
	struct loop_address address;

	snprintf(folder, FOLDER_MAX, "%s/loop-XXXXXX", P_tmpdir);
	assert_non_null(mkdtemp(folder));
	snprintf(text, LOOP_ADDRESS_TEXT_MAX, "unix:%s/socket", folder);
	assert_int_equal(loop_address_parse(slice_of(text), &address, NULL), 0);
	return address;
}

static void ignore_accept(struct loop_listener *listener, int descriptor)
{
	(void)listener;
	close(descriptor);
}

static void count_listener_closed(struct loop_listener *listener)
{
	listener->descriptor = -2;
}

static int open_at(struct world *world, struct loop_listener *listener,
		   const struct loop_address *address, struct fault *fault)
{
	*listener = (struct loop_listener){.on_accept = ignore_accept,
					   .on_closed = count_listener_closed};
	return loop_listener_open(world->loop, listener, address, fault);
}

static void close_listener(struct world *world, struct loop_listener *listener)
{
	loop_listener_close(listener);
	assert_int_not_equal(listener->descriptor, -2);
	world_until(world, listener->descriptor == -2);
}

static void a_stale_socket_file_is_replaced_and_a_live_one_is_not(void **state)
{
	struct world *world = *state;
	char folder[FOLDER_MAX];
	char text[LOOP_ADDRESS_TEXT_MAX], text_again[LOOP_ADDRESS_TEXT_MAX];
	const struct loop_address address = path_address(folder, text);
	struct loop_address told;
	struct loop_listener first, second;
	struct fault fault = {0};

	/* As a program leaves it that was killed. */
	const int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(stale, &address.any, address.length), 0);
	close(stale);
	assert_int_equal(open_at(world, &first, &address, &fault), 0);
	loop_listener_address(&first, &told);
	assert_true(loop_address_equal(&told, &address));
	loop_address_format(&told, text_again);
	assert_string_equal(text, text_again);
	assert_int_equal(open_at(world, &second, &address, &fault), FAULT_CONFLICT);
	assert_non_null(strstr(fault.text, folder));
	close_listener(world, &first);
	assert_int_equal(access(address.path.sun_path, F_OK), -1);
	rmdir(folder);
}

static void a_file_that_is_no_socket_or_not_ours_stays(void **state)
{
	struct world *world = *state;
	char folder[FOLDER_MAX];
	char text[LOOP_ADDRESS_TEXT_MAX];
	const struct loop_address address = path_address(folder, text);
	struct loop_listener listener;
	struct fault fault = {0};

	const int file = open(address.path.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(open_at(world, &listener, &address, &fault), FAULT_CONFLICT);
	assert_int_equal(unlink(address.path.sun_path), 0);
	assert_int_equal(open_at(world, &listener, &address, &fault), 0);
	/* Somebody else has put his own there since. */
	assert_int_equal(unlink(address.path.sun_path), 0);
	close(file);
	close(open(address.path.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	close_listener(world, &listener);
	assert_int_equal(unlink(address.path.sun_path), 0);
	rmdir(folder);
}

static void a_port_in_use_is_a_fault_that_names_it(void **state)
{
	struct world *world = *state;
	struct loop_listener listener;
	struct fault fault = {0};
	char text[LOOP_ADDRESS_TEXT_MAX];

	world_listen(world);
	loop_address_format(&world->address, text);
	assert_int_equal(open_at(world, &listener, &world->address, &fault), FAULT_SYSTEM);
	assert_non_null(strstr(fault.text, text));
}

static void accepted_descriptors_are_close_on_exec(void **state)
{
	struct world *world = *state;
	struct peer *server;

	world_listen(world);
	struct peer *client = peer_connect_both(world, &server);
	assert_true(fcntl(server->stream.descriptor, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(client->stream.descriptor, F_GETFD) & FD_CLOEXEC);
	peer_free(client);
}

/* Without free descriptors accepting waits, without spinning; with some it goes on. */
static void running_out_of_descriptors_pauses_accepting(void **state)
{
	struct world *world = *state;
	struct rlimit before, tight;
	int clients[3], fillers[64];
	int filled = 0;

	world_listen(world);
	for (int i = 0; i < 3; i++)
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = 40;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	while (filled < 64 && (fillers[filled] = dup(0)) >= 0)
		filled++;
	for (int i = 0; i < 3; i++)
		assert_int_equal(connect(clients[i], &world->address.any, world->address.length),
				 0);
	const uint64_t begin_ns = loop_now_ns(world->loop);
	uint32_t turns = 0;
	while (loop_now_ns(world->loop) < begin_ns + 120 * CLOCK_NS_PER_MS) {
		assert_int_equal(loop_turn(world->loop, 20 * CLOCK_NS_PER_MS, NULL), 0);
		turns++;
	}
	assert_int_equal(world->accepted_count, 0);
	assert_true(turns < 40);
	while (filled > 0)
		close(fillers[--filled]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	world_until(world, world->accepted_count == 3);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
}

static void loops_come_and_go_without_a_trace(void **state)
{
	const uint32_t before = count_descriptors();

	(void)state;
	for (int i = 0; i < 5; i++) {
		const struct loop_options options = {.io = world_io()};
		struct loop *loop;
		assert_int_equal(loop_new(&options, &loop, NULL), 0);
		assert_int_equal(loop_io_used(loop), world_io());
		assert_int_equal(loop_turn(loop, 0, NULL), 0);
		loop_free(loop);
	}
	assert_int_equal(count_descriptors(), before);
}

/* Refuses io_uring to the calling thread alone, as container profiles do to all. */
static void refuse_io_uring(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = 4, .filter = filter};

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void *choose_where_io_uring_is_refused(void *argument)
{
	struct loop_options options = {.io = LOOP_IO_AUTO};
	struct loop *loop;
	struct fault fault = {0};

	(void)argument;
	refuse_io_uring();
	assert_int_equal(loop_new(&options, &loop, &fault), 0);
	assert_int_equal(loop_io_used(loop), LOOP_IO_EPOLL);
	assert_non_null(strstr(loop_io_reason(loop), "Operation not permitted"));
	loop_free(loop);
	options.io = LOOP_IO_URING;
	assert_int_equal(loop_new(&options, &loop, &fault), FAULT_UNSUPPORTED);
	assert_int_equal(fault.code, FAULT_UNSUPPORTED);
	assert_non_null(strstr(fault.text, "io_uring_setup"));
	return NULL;
}

static void where_io_uring_is_refused_epoll_serves_and_says_why(void **state)
{
	const uint32_t before = count_descriptors();
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, choose_where_io_uring_is_refused, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(count_descriptors(), before);
}

static void automatic_choice_gives_its_reason(void **state)
{
	const struct loop_options options = {.io = LOOP_IO_AUTO};
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&options, &loop, NULL), 0);
	assert_true(loop_io_used(loop) == LOOP_IO_URING || loop_io_used(loop) == LOOP_IO_EPOLL);
	assert_true(strlen(loop_io_reason(loop)) > 0);
	loop_free(loop);
}

#define world_test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(int argument_count, char **arguments)
{
	const struct CMUnitTest everywhere[] = {
		world_test(timers_wake_the_loop_in_order_and_cleared_ones_do_not),
		world_test(tasks_run_once_in_order_and_those_of_tasks_in_the_same_turn),
		world_test(tasks_of_the_turn_run_before_on_closed),
		world_test(a_port_in_use_is_a_fault_that_names_it),
	};
	const struct CMUnitTest with_a_kernel[] = {
		world_test(messages_of_four_threads_keep_their_order_and_wake_the_loop),
		world_test(stop_ends_a_run_from_another_thread_and_before_it_began),
		world_test(a_watch_calls_while_there_is_something_to_read),
		world_test(a_stale_socket_file_is_replaced_and_a_live_one_is_not),
		world_test(a_file_that_is_no_socket_or_not_ours_stays),
		world_test(accepted_descriptors_are_close_on_exec),
		world_test(running_out_of_descriptors_pauses_accepting),
		cmocka_unit_test(loops_come_and_go_without_a_trace),
		cmocka_unit_test(automatic_choice_gives_its_reason),
		cmocka_unit_test(where_io_uring_is_refused_epoll_serves_and_says_why),
	};
	const int chosen = world_choose(argument_count, arguments);

	if (chosen != 0)
		return chosen;
	int failed = cmocka_run_group_tests(everywhere, NULL, NULL);
	if (world_io() != LOOP_IO_SIMULATED)
		failed += cmocka_run_group_tests(with_a_kernel, NULL, NULL);
	return failed;
}

#include "fleet/rig_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "base/disk.h"

static int set_up(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));

	assert_non_null(rig);
	rig_init(rig);
	rig_write_server(rig);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

/* Runs ./program, which `text` is written to, without a health path. */
static struct fleet_service script(struct rig *rig, const char *text)
{
	static const char *const command[] = {"./program", NULL};
	struct fleet_service service = rig_service(rig);

	rig_program(rig, "program", text);
	service.command = command;
	service.health_path = NULL;
	return service;
}

static bool is_healthy(const struct fleet_status *status)
{
	return status->state == FLEET_HEALTHY;
}

static bool has_failed(const struct fleet_status *status)
{
	return status->state == FLEET_BACKOFF;
}

static bool has_failed_twice(const struct fleet_status *status)
{
	return status->failures >= 2 && status->state == FLEET_BACKOFF;
}

/* On a busy machine a first start may end before a question could be asked. */
static bool has_taken_no_connection(const struct fleet_status *status)
{
	return has_failed_twice(status) &&
	       strcmp(status->reason, "not healthy within 50 ms: it takes no connection") == 0;
}

static bool is_of_service_2(const struct fleet_status *status)
{
	return status->service.value == 2 && has_failed(status);
}

static void a_service_is_ready_once_its_health_answers(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char body[256];

	rig_open(rig);
	rig_set(rig, &service);
	const struct rig_event ready = rig_wait(rig, RIG_READY, 1);
	assert_int_equal(ready.service, 1);
	assert_int_equal(ready.place, 0);
	assert_string_equal(ready.version, "1");
	rig_get(&ready, "/pid", body);
	const struct fleet_status status = rig_wait_status(rig, is_healthy);
	assert_int_equal(status.pid, strtol(body, NULL, 10));
	assert_int_equal(status.instance.value, ready.instance);
	assert_string_equal(status.service_name, "thumbs");
	assert_string_equal(status.version, "1");
	assert_string_equal(status.reason, "");
	assert_int_equal(status.starts, 1);
	assert_int_equal(status.failures, 0);
	assert_non_null(strstr(status.address, ".sock"));
	rig_close(rig);
	assert_int_equal(rig_count(rig, RIG_DRAINING), 1);
	assert_int_equal(rig_count(rig, RIG_GONE), 1);
}

static void ports_serve_as_sockets_do_and_are_none_of_outgoing_connections(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char body[256], *range;
	size_t bytes;
	struct fault fault;

	assert_int_equal(disk_read_file("/proc/sys/net/ipv4/ip_local_port_range", 64, &range,
					&bytes, &fault),
			 0);
	const unsigned long low = strtoul(range, NULL, 10);
	free(range);

	service.listen = FLEET_LISTEN_PORT;
	service.count = 3;
	rig_open(rig);
	rig_set(rig, &service);
	for (size_t i = 1; i <= 3; i++) {
		const struct rig_event ready = rig_wait(rig, RIG_READY, i);
		rig_get(&ready, "/", body);
		assert_string_equal(body, "fine");
		if (low > 16384)
			assert_true(ntohs(ready.address.ip4.sin_port) < low);
	}
	rig_close(rig);
}

static void without_a_health_path_taking_a_connection_is_enough(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);

	service.health_path = NULL;
	rig_open(rig);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 1);
	rig_close(rig);
}

static void what_never_answers_is_never_announced_and_says_why(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);

	service.health_path = "/nowhere-but-404";
	service.start_timeout_ns = 50 * CLOCK_NS_PER_MS;
	rig_program(rig, "server", "#!/bin/sh\nexec sleep 1000\n");
	rig_open(rig);
	rig_set(rig, &service);
	const struct fleet_status status = rig_wait_status(rig, has_taken_no_connection);
	assert_int_equal(status.pid, 0);
	assert_true(status.retry_ns > status.since_ns);
	rig_close(rig);
	assert_int_equal(rig->event_count, 0);
}

static void a_bad_answer_is_not_healthy(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);

	rig_program(
		rig, "server",
		"#!/usr/bin/python3 -SE\n"
		"import os, socket\n"
		"server = socket.socket(socket.AF_UNIX)\n"
		"server.bind(os.environ['STOA_SOCKET'])\n"
		"server.listen()\n"
		"for i in range(3):\n"
		"    peer, _ = server.accept()\n"
		"    peer.recv(4096)\n"
		"    print('asked', i, flush=True)\n"
		"    if i == 0: peer.send(b'HTTP/1.1 503 No\\r\\nContent-Length: 0\\r\\n\\r\\n')\n"
		"    if i == 1: peer.send(b'rubbish\\r\\n\\r\\n')\n"
		"    peer.close()\n"
		"os._exit(3)\n");
	rig_open(rig);
	rig_set(rig, &service);
	const struct fleet_status status = rig_wait_status(rig, has_failed);
	assert_string_equal(status.reason, "exited with status 3");
	assert_non_null(strstr(status.last_lines, "asked 0\nasked 1\nasked 2\n"));
	fleet_stop(rig->fleet, FLEET_STOP_NOW);
	rig_close(rig);
	assert_int_equal(rig->event_count, 0);
}

static void a_crash_is_told_and_the_place_starts_anew_with_a_new_id(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char body[256];

	rig_open(rig);
	rig_set(rig, &service);
	const struct rig_event first = rig_wait(rig, RIG_READY, 1);
	rig_get(&first, "/die", body);
	assert_int_equal(rig_wait(rig, RIG_GONE, 1).instance, first.instance);
	const struct rig_event second = rig_wait(rig, RIG_READY, 2);
	assert_true(second.instance != first.instance);
	assert_int_equal(second.place, 0);
	assert_int_equal(rig_count(rig, RIG_DRAINING), 0);
	const struct fleet_status status = rig_wait_status(rig, is_healthy);
	assert_string_equal(status.reason, "exited with status 7");
	assert_int_equal(status.starts, 2);
	assert_int_equal(status.failures, 1);
	rig_close(rig);
}

static void what_the_dead_leave_in_their_group_dies_too(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char body[256];

	rig_open(rig);
	rig_set(rig, &service);
	const struct rig_event first = rig_wait(rig, RIG_READY, 1);
	rig_get(&first, "/orphan", body);
	struct pollfd exited = {
		.fd = (int)syscall(SYS_pidfd_open, strtol(body, NULL, 10), 0),
		.events = POLLIN,
	};
	assert_true(exited.fd >= 0);
	rig_get(&first, "/die", body);
	while (poll(&exited, 1, -1) < 0)
		assert_int_equal(errno, EINTR);
	close(exited.fd);
	rig_wait(rig, RIG_GONE, 1);
	rig_close(rig);
}

static void pauses_between_crashes_double_to_thirty_seconds(void **state)
{
	static const uint64_t pauses_ms[] = {100,  200,   400,   800,   1600, 3200,
					     6400, 12800, 25600, 30000, 30000};
	struct rig *rig = *state;
	struct fleet_service service = script(rig, "#!/bin/sh\nexit 1\n");
	struct clock_manual clock;

	clock_manual_init(&clock, CLOCK_NS_PER_S, 1767225600 * CLOCK_NS_PER_S);
	rig->options.clock = &clock.clock;
	rig_open(rig);
	rig_set(rig, &service);
	for (uint32_t i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
		struct fleet_status *places = NULL;
		size_t count;
		for (;;) {
			fleet_status_list(rig->fleet, &places, &count);
			assert_int_equal(count, 1);
			if (places[0].state == FLEET_BACKOFF && places[0].failures > i)
				break;
			/* The pause before is over, but what stood open may need a turn more. */
			if (places[0].state == FLEET_BACKOFF)
				clock_manual_advance(&clock, CLOCK_NS_PER_MS);
			free(places);
		}
		assert_int_equal(places[0].failures, i + 1);
		assert_int_equal(places[0].starts, i + 1);
		assert_int_equal((places[0].retry_ns - places[0].since_ns) / CLOCK_NS_PER_MS,
				 pauses_ms[i]);
		free(places);
		clock_manual_advance(&clock, pauses_ms[i] * CLOCK_NS_PER_MS);
	}
	fleet_stop(rig->fleet, FLEET_STOP_NOW);
	rig_close(rig);
}

static void ten_seconds_of_health_forgive_all_crashes(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	struct clock_manual clock;
	char body[256];

	clock_manual_init(&clock, CLOCK_NS_PER_S, 1767225600 * CLOCK_NS_PER_S);
	rig->options.clock = &clock.clock;
	/* No look at the healthy: the clock jumps. */
	service.health_path = NULL;
	rig_open(rig);
	rig_set(rig, &service);
	for (size_t i = 1; i <= 3; i++) {
		while (rig_count(rig, RIG_READY) < i) {
			struct fleet_status *places;
			size_t count;
			clock_manual_advance(&clock, CLOCK_NS_PER_MS);
			fleet_status_list(rig->fleet, &places, &count);
			free(places);
		}
		const struct rig_event ready = rig_wait(rig, RIG_READY, i);
		if (i == 3)
			break;
		rig_get(&ready, "/die", body);
		rig_wait(rig, RIG_GONE, i);
	}
	assert_int_equal(rig_wait_status(rig, is_healthy).failures, 2);
	clock_manual_advance(&clock, 10 * CLOCK_NS_PER_S);
	assert_int_equal(rig_wait_status(rig, is_healthy).failures, 0);
	const struct rig_event ready = rig_wait(rig, RIG_READY, 3);
	rig_get(&ready, "/die", body);
	rig_wait(rig, RIG_GONE, 3);
	assert_int_equal(rig_wait_status(rig, has_failed).failures, 1);
	rig_close(rig);
}

static void three_bad_answers_drain_and_restart_it(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char body[256];

	rig->options.health_interval_ns = CLOCK_NS_PER_MS;
	rig_open(rig);
	rig_set(rig, &service);
	const struct rig_event first = rig_wait(rig, RIG_READY, 1);
	rig_get(&first, "/ill", body);
	assert_int_equal(rig_wait(rig, RIG_DRAINING, 1).instance, first.instance);
	assert_int_equal(rig_wait(rig, RIG_GONE, 1).instance, first.instance);
	rig_wait(rig, RIG_READY, 2);
	const struct fleet_status status = rig_wait_status(rig, is_healthy);
	assert_string_equal(status.reason, "not healthy any more: it answered 503");
	rig_close(rig);
}

static void it_is_stopped_only_when_no_call_is_in_flight(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char body[256];

	rig->answers_drained = false;
	rig_open(rig);
	rig_set(rig, &service);
	const struct rig_event ready = rig_wait(rig, RIG_READY, 1);
	fleet_service_remove(rig->fleet, service.id);
	assert_int_equal(rig_wait(rig, RIG_DRAINING, 1).instance, ready.instance);
	rig_get(&ready, "/", body);
	assert_string_equal(body, "fine");
	assert_int_equal(rig_count(rig, RIG_GONE), 0);
	/* One that nobody knows is no answer to this. */
	fleet_instance_drained(rig->fleet, (struct instance_id){ready.instance + 1});
	rig_get(&ready, "/", body);
	assert_string_equal(body, "fine");
	fleet_instance_drained(rig->fleet, (struct instance_id){ready.instance});
	rig_wait(rig, RIG_GONE, 1);
	rig_close(rig);
}

static void a_drain_that_nobody_answers_ends_at_its_timeout(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);

	rig->answers_drained = false;
	service.drain_timeout_ns = CLOCK_NS_PER_MS;
	rig_open(rig);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 1);
	fleet_service_remove(rig->fleet, service.id);
	rig_wait(rig, RIG_GONE, 1);
	rig_close(rig);
}

static void what_ignores_sigterm_is_killed_after_the_grace(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service =
		script(rig, "#!/usr/bin/python3 -SE\n"
			    "import os, signal, socket\n"
			    "signal.signal(signal.SIGTERM, lambda *_: print('no', flush=True))\n"
			    "server = socket.socket(socket.AF_UNIX)\n"
			    "server.bind(os.environ['STOA_SOCKET'])\n"
			    "server.listen()\n"
			    "while True: server.accept()\n");

	service.stop_grace_ns = 300 * CLOCK_NS_PER_MS;
	rig_open(rig);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 1);
	rig_close(rig);
	char *log = rig_log(rig, "thumbs");
	assert_non_null(strstr(log, "[stoa: killed by SIGKILL]\n"));
	free(log);
}

static void what_cannot_be_executed_says_why_and_is_tried_again(void **state)
{
	static const char *const missing[] = {"./missing", NULL};
	static const char *const unknown[] = {"no-such-program", NULL};
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);

	service.command = missing;
	rig_open(rig);
	rig_set(rig, &service);
	struct fleet_status status = rig_wait_status(rig, has_failed_twice);
	assert_non_null(strstr(status.reason, "cannot start ./missing in "));
	assert_non_null(strstr(status.reason, "No such file or directory"));
	service.command = unknown;
	service.id.value = 2;
	fleet_service_remove(rig->fleet, (struct service_id){1});
	rig_set(rig, &service);
	status = rig_wait_status(rig, is_of_service_2);
	assert_string_equal(status.reason, "cannot start no-such-program: no such program in PATH");
	rig_close(rig);
	assert_int_equal(rig->event_count, 0);
}

static void it_gets_its_variables_and_no_other(void **state)
{
	static const char *const command[] = {"env", NULL};
	static const char *const variables[] = {"COLOR=deep blue", "HOME=/nowhere", NULL};
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char expected[512];

	service.command = command;
	service.environment = variables;
	rig_open(rig);
	rig_set(rig, &service);
	const struct fleet_status status = rig_wait_status(rig, has_failed);
	snprintf(expected, sizeof(expected),
		 "STOA_SERVICE=thumbs\nSTOA_INSTANCE=inst_%llu\n"
		 "STOA_SOCKET=%s/instances/%llu.sock\n"
		 "PATH=/usr/local/bin:/usr/bin:/bin\nCOLOR=deep blue\nHOME=/nowhere\n",
		 (unsigned long long)status.instance.value, rig->folder,
		 (unsigned long long)status.instance.value);
	assert_non_null(strstr(status.last_lines, expected));
	rig_close(rig);
}

static void its_memory_is_limited_beside_the_stacks_of_its_threads(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service =
		script(rig, "#!/bin/sh\nulimit -Sd; ulimit -Ss; ulimit -v\n");

	service.memory_bytes = 64ull << 20;
	service.concurrency = 2;
	rig_open(rig);
	rig_set(rig, &service);
	const struct fleet_status status = rig_wait_status(rig, has_failed);
	/* 64 MiB and 16 + 4 * 2 stacks of 2 MiB */
	assert_non_null(strstr(status.last_lines, "114688\n2048\nunlimited\n"));
	rig_close(rig);
}

static void its_open_files_are_limited_by_its_concurrency(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = script(rig, "#!/bin/sh\nulimit -Sn; ulimit -Hn\n");

	service.concurrency = 10;
	rig_open(rig);
	rig_set(rig, &service);
	const struct fleet_status status = rig_wait_status(rig, has_failed);
	assert_non_null(strstr(status.last_lines, "1104\n1104\n"));
	rig_close(rig);
}

/* A spawner without processes: one "ends" when it is sent a signal. No pidfd can be had of it. */
#define NO_PROCESS 0x3ffffff0

struct pretended {
	struct spawner spawner;
	_Atomic int signalled;
};

static int pretend_start(struct spawner *spawner, const struct spawn_request *request,
			 pid_t *ret_pid, struct fault *fault)
{
	(void)request;
	(void)fault;
	atomic_store(&((struct pretended *)spawner)->signalled, 0);
	*ret_pid = NO_PROCESS;
	return 0;
}

static int pretend_signal(struct spawner *spawner, pid_t pid, int signal_number,
			  struct fault *fault)
{
	(void)fault;
	assert_int_equal(pid, NO_PROCESS);
	atomic_store(&((struct pretended *)spawner)->signalled, signal_number);
	return 0;
}

static int pretend_poll_exit(struct spawner *spawner, pid_t pid, struct spawn_exit *ret_exit,
			     struct fault *fault)
{
	const int signalled = atomic_load(&((struct pretended *)spawner)->signalled);

	(void)fault;
	assert_int_equal(pid, NO_PROCESS);
	*ret_exit = (struct spawn_exit){.exited = signalled != 0, .status = signalled};
	return 0;
}

static void an_exit_is_seen_even_where_no_pidfd_can_be_had(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	struct pretended pretended = {
		.spawner = {.start = pretend_start,
			    .signal = pretend_signal,
			    .poll_exit = pretend_poll_exit},
	};

	service.start_timeout_ns = CLOCK_NS_PER_MS;
	rig->options.spawner = &pretended.spawner;
	rig_open(rig);
	rig_set(rig, &service);
	const struct fleet_status status = rig_wait_status(rig, has_failed);
	assert_string_equal(status.reason, "not healthy within 1 ms: it did not answer");
	rig_close(rig);
	assert_int_equal(rig->event_count, 0);
	char *log = rig_log(rig, "thumbs");
	assert_non_null(strstr(log, "[stoa: killed by SIGTERM]\n"));
	free(log);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_service_is_ready_once_its_health_answers),
		TEST(ports_serve_as_sockets_do_and_are_none_of_outgoing_connections),
		TEST(without_a_health_path_taking_a_connection_is_enough),
		TEST(what_never_answers_is_never_announced_and_says_why),
		TEST(a_bad_answer_is_not_healthy),
		TEST(a_crash_is_told_and_the_place_starts_anew_with_a_new_id),
		TEST(what_the_dead_leave_in_their_group_dies_too),
		TEST(pauses_between_crashes_double_to_thirty_seconds),
		TEST(ten_seconds_of_health_forgive_all_crashes),
		TEST(three_bad_answers_drain_and_restart_it),
		TEST(it_is_stopped_only_when_no_call_is_in_flight),
		TEST(a_drain_that_nobody_answers_ends_at_its_timeout),
		TEST(what_ignores_sigterm_is_killed_after_the_grace),
		TEST(an_exit_is_seen_even_where_no_pidfd_can_be_had),
		TEST(what_cannot_be_executed_says_why_and_is_tried_again),
		TEST(it_gets_its_variables_and_no_other),
		TEST(its_memory_is_limited_beside_the_stacks_of_its_threads),
		TEST(its_open_files_are_limited_by_its_concurrency),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

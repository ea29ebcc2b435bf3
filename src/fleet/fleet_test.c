#include "fleet/rig_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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

static void every_state_has_its_text(void **state)
{
	(void)state;
	assert_string_equal(fleet_state_text(FLEET_STARTING), "starting");
	assert_string_equal(fleet_state_text(FLEET_HEALTHY), "healthy");
	assert_string_equal(fleet_state_text(FLEET_BACKOFF), "backoff");
}

static void an_empty_fleet_opens_lists_nothing_and_closes(void **state)
{
	struct rig *rig = *state;
	struct fleet_status *places = (void *)rig;
	size_t count = 1;

	rig_open(rig);
	fleet_status_list(rig->fleet, &places, &count);
	assert_int_equal(count, 0);
	assert_null(places);
	fleet_service_remove(rig->fleet, (struct service_id){1});
	fleet_instance_drained(rig->fleet, (struct instance_id){1});
	rig_close(rig);
}

static void a_folder_that_leaves_no_room_for_a_socket_is_refused(void **state)
{
	struct rig *rig = *state;
	struct fleet_options options = rig->options;
	struct fault fault = {0};
	char folder[256];
	struct fleet *fleet;

	snprintf(folder, sizeof(folder), "%s/%080d", rig->folder, 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	options.folder = folder;
	assert_int_equal(fleet_open(&options, &fleet, &fault), FAULT_LIMIT);
	assert_non_null(strstr(fault.text, "too long for a Unix socket"));
	options.folder = "/no/such/folder";
	assert_int_equal(fleet_open(&options, &fleet, &fault), FAULT_SYSTEM);
}

static void a_second_fleet_in_the_same_folder_is_refused(void **state)
{
	struct rig *rig = *state;
	struct fault fault = {0};
	struct fleet *second;

	rig_open(rig);
	assert_int_equal(fleet_open(&rig->options, &second, &fault), FAULT_CONFLICT);
	assert_non_null(strstr(fault.text, "another node"));
	rig_close(rig);
	rig_open(rig);
	rig_close(rig);
}

static void no_id_is_given_twice_in_the_lives_of_a_cloud(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	uint64_t last = 0;

	for (size_t life = 1; life <= 3; life++) {
		rig_open(rig);
		rig_set(rig, &service);
		const struct rig_event ready = rig_wait(rig, RIG_READY, life);
		assert_true(ready.instance > last);
		last = ready.instance;
		rig_close(rig);
	}
}

static void a_specification_that_cannot_run_is_refused_at_once(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	struct fault fault = {0};

	rig_open(rig);
	service.count = FLEET_INSTANCES_MAX + 1;
	assert_int_equal(fleet_service_set(rig->fleet, &service, &fault), FAULT_INPUT);
	rig_close(rig);
}

static void after_a_stop_nothing_starts_any_more(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	struct fleet_status *places;
	size_t count;

	rig_open(rig);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 1);
	fleet_stop(rig->fleet, FLEET_STOP_GRACEFUL);
	rig_wait(rig, RIG_DRAINING, 1);
	service.id.value = 2;
	rig_set(rig, &service);
	rig_wait(rig, RIG_GONE, 1);
	do {
		fleet_status_list(rig->fleet, &places, &count);
		free(places);
	} while (count > 0);
	rig_close(rig);
	assert_int_equal(rig_count(rig, RIG_READY), 1);
}

static void a_hurried_stop_does_not_wait_for_calls_in_flight(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);

	rig->answers_drained = false;
	service.count = 2;
	rig_open(rig);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 2);
	fleet_stop(rig->fleet, FLEET_STOP_GRACEFUL);
	rig_wait(rig, RIG_DRAINING, 2);
	fleet_stop(rig->fleet, FLEET_STOP_NOW);
	rig_wait(rig, RIG_GONE, 2);
	rig_close(rig);
}

/* Runs a fleet in a process of its own and says on `output` which two processes it has. */
_Noreturn static void be_a_node(struct rig *rig, int output)
{
	struct spawner_guarded guarded;
	struct fault fault;
	char body[256], text[64];

	if (spawner_guarded_open(&guarded, NULL, &fault) < 0)
		_exit(1);
	rig->options.spawner = &guarded.spawner;
	rig_open(rig);
	const struct fleet_service service = rig_service(rig);
	rig_set(rig, &service);
	const struct rig_event ready = rig_wait(rig, RIG_READY, 1);
	rig_get(&ready, "/pid", body);
	const int length = snprintf(text, sizeof(text), "%.16s ", body);
	rig_get(&ready, "/orphan", body);
	if (write(output, text, (size_t)length) < 0 || write(output, body, strlen(body)) < 0 ||
	    write(output, "\n", 1) < 0)
		_exit(1);
	for (;;)
		pause();
}

static void wait_for_exit(long pid)
{
	struct pollfd exited = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	/* None: it is gone already. */
	if (exited.fd < 0)
		return;
	while (poll(&exited, 1, -1) < 0)
		assert_int_equal(errno, EINTR);
	close(exited.fd);
}

static void kill_9_of_the_node_leaves_no_process_and_the_next_open_is_clean(void **state)
{
	struct rig *rig = *state;
	char line[64], *end;
	size_t length = 0;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	const pid_t node = fork();
	assert_true(node >= 0);
	if (node == 0) {
		close(ends[0]);
		be_a_node(rig, ends[1]);
	}
	close(ends[1]);
	do {
		const ssize_t got = read(ends[0], line + length, sizeof(line) - 1 - length);
		assert_true(got > 0);
		length += (size_t)got;
	} while (line[length - 1] != '\n');
	line[length] = '\0';
	close(ends[0]);
	const long leader = strtol(line, &end, 10), child = strtol(end, NULL, 10);
	assert_true(leader > 1);
	assert_true(child > 1);
	assert_int_equal(kill(node, SIGKILL), 0);
	assert_int_equal(waitpid(node, NULL, 0), node);
	wait_for_exit(leader);
	wait_for_exit(child);

	rig_open(rig);
	const struct fleet_service service = rig_service(rig);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 1);
	rig_close(rig);
}

/* ---- everything at once ---- */

static const char quick_text[] = "#!/usr/bin/python3 -SE\n"
				 "import os, socket\n"
				 "server = socket.socket(socket.AF_UNIX)\n"
				 "server.bind(os.environ['STOA_SOCKET'])\n"
				 "server.listen()\n"
				 "if os.environ['STOA_INSTANCE'].endswith('3'): os._exit(3)\n"
				 "while True: server.accept()\n";

/* Each start comes to an end, for the program answers or exits. */
static void wait_until_none_is_starting(struct fleet *fleet)
{
	bool is_any_starting;

	do {
		struct fleet_status *places;
		size_t count;
		fleet_status_list(fleet, &places, &count);
		is_any_starting = false;
		for (size_t i = 0; i < count; i++)
			is_any_starting |= places[i].state == FLEET_STARTING;
		free(places);
	} while (is_any_starting);
}

static bool is_the_last_healthy(const struct fleet_status *status)
{
	return strcmp(status->version, "last") == 0 && status->state == FLEET_HEALTHY;
}

struct meddling {
	struct rig *rig;
	uint64_t seed;
};

static void *meddle(void *argument)
{
	static const char *const command[] = {"./quick", NULL};
	static const char *const versions[] = {"1", "2", "3"};
	const struct meddling *meddling = argument;
	struct fleet *fleet = meddling->rig->fleet;
	struct fleet_service service = rig_service(meddling->rig);
	struct random_seeded random;

	random_seeded_init(&random, meddling->seed);
	service.command = command;
	service.health_path = NULL;
	for (int i = 0; i < 60; i++) {
		service.id.value = 1 + random_below(&random.random, 3);
		service.version = versions[random_below(&random.random, 3)];
		service.count = (uint32_t)random_below(&random.random, 3);
		if (random_below(&random.random, 4) == 0)
			fleet_service_remove(fleet, service.id);
		else
			rig_set(meddling->rig, &service);
		if (random_below(&random.random, 8) == 0)
			wait_until_none_is_starting(fleet);
	}
	return NULL;
}

/* on_ready, perhaps on_draining, on_gone; each once, in this order, nothing for another. */
static void assert_each_life_is_whole(const struct rig *rig)
{
	for (size_t i = 0; i < rig->event_count; i++) {
		const struct rig_event *event = &rig->events[i];
		size_t counts[3] = {0};
		for (size_t j = 0; j <= i; j++)
			counts[rig->events[j].kind] += rig->events[j].instance == event->instance;
		assert_int_equal(counts[RIG_READY], 1);
		assert_int_equal(counts[RIG_DRAINING],
				 event->kind == RIG_DRAINING ? 1 : counts[RIG_DRAINING]);
		assert_true(counts[RIG_DRAINING] <= 1);
		assert_int_equal(counts[RIG_GONE], event->kind == RIG_GONE);
	}
}

static void whatever_is_asked_for_at_once_each_life_is_whole_and_nothing_stays(void **state)
{
	struct rig *rig = *state;
	struct meddling meddlings[3];
	pthread_t threads[3];
	const uint64_t seed = testing_seed();

	rig_program(rig, "quick", quick_text);
	rig_open(rig);
	for (size_t i = 0; i < 3; i++) {
		meddlings[i] = (struct meddling){.rig = rig, .seed = seed + i};
		assert_int_equal(pthread_create(&threads[i], NULL, meddle, &meddlings[i]), 0);
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	struct fleet_service last = rig_service(rig);
	last.version = "last";
	rig_set(rig, &last);
	rig_wait_status(rig, is_the_last_healthy);
	rig_close(rig);
	assert_each_life_is_whole(rig);
	assert_int_equal(rig_count(rig, RIG_GONE), rig_count(rig, RIG_READY));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_state_has_its_text),
		TEST(an_empty_fleet_opens_lists_nothing_and_closes),
		TEST(a_folder_that_leaves_no_room_for_a_socket_is_refused),
		TEST(a_second_fleet_in_the_same_folder_is_refused),
		TEST(no_id_is_given_twice_in_the_lives_of_a_cloud),
		TEST(a_specification_that_cannot_run_is_refused_at_once),
		TEST(after_a_stop_nothing_starts_any_more),
		TEST(a_hurried_stop_does_not_wait_for_calls_in_flight),
		TEST(kill_9_of_the_node_leaves_no_process_and_the_next_open_is_clean),
		TEST(whatever_is_asked_for_at_once_each_life_is_whole_and_nothing_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

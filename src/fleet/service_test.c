#include "fleet/rig_internal.h"

#include <string.h>

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

static bool is_second_version_failed(const struct fleet_status *status)
{
	return strcmp(status->version, "2") == 0 && status->failures >= 1 &&
	       status->state == FLEET_BACKOFF;
}

static bool is_second_version_starting(const struct fleet_status *status)
{
	return strcmp(status->version, "2") == 0 && status->state == FLEET_STARTING;
}

static size_t count_places(struct rig *rig, const char *version)
{
	struct fleet_status *places;
	size_t count, of_version = 0;

	fleet_status_list(rig->fleet, &places, &count);
	for (size_t i = 0; i < count; i++)
		of_version += strcmp(places[i].version, version) == 0;
	free(places);
	return of_version;
}

/* The place of the instance that the event is about. */
static uint32_t place_of(struct rig *rig, uint64_t instance)
{
	for (size_t i = 1; i <= rig_count(rig, RIG_READY); i++) {
		const struct rig_event ready = rig_wait(rig, RIG_READY, i);
		if (ready.instance == instance)
			return ready.place;
	}
	fail_msg("instance %llu was never ready", (unsigned long long)instance);
	return 0;
}

static void the_same_again_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);

	rig_open(rig);
	rig_set(rig, &service);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 1);
	rig_set(rig, &service);
	assert_int_equal(count_places(rig, "1"), 1);
	rig_close(rig);
	assert_int_equal(rig->event_count, 3);
}

static void more_places_are_added_and_the_highest_are_drained(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	bool seen[3] = {false};

	rig_open(rig);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 1);
	service.count = 3;
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 3);
	assert_int_equal(rig_count(rig, RIG_DRAINING), 0);
	service.count = 1;
	rig_set(rig, &service);
	rig_wait(rig, RIG_GONE, 2);
	for (size_t i = 1; i <= 2; i++)
		seen[place_of(rig, rig_wait(rig, RIG_GONE, i).instance)] = true;
	assert_false(seen[0]);
	assert_true(seen[1]);
	assert_true(seen[2]);
	service.count = 0;
	rig_set(rig, &service);
	rig_wait(rig, RIG_GONE, 3);
	service.count = 1;
	rig_set(rig, &service);
	assert_int_equal(rig_wait(rig, RIG_READY, 4).place, 0);
	rig_close(rig);
}

static void the_new_are_all_ready_before_an_old_one_drains(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	size_t ready = 0, draining = 0;

	service.count = 2;
	rig_open(rig);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 2);
	for (int version = 2; version <= 3; version++) {
		char text[2] = {(char)('0' + version), '\0'};
		service.version = text;
		rig_set(rig, &service);
		rig_wait(rig, RIG_GONE, 2 * (size_t)(version - 1));
	}
	assert_int_equal(rig_count(rig, RIG_READY), 6);
	for (size_t i = 0; i < rig->event_count; i++) {
		ready += rig->events[i].kind == RIG_READY;
		draining += rig->events[i].kind == RIG_DRAINING;
		/* Never fewer than asked for take calls, once they were there. */
		if (ready >= 2)
			assert_true(ready - draining >= 2);
	}
	for (size_t i = 1; i <= 6; i++)
		assert_int_equal(rig_wait(rig, RIG_READY, i).version[0] - '0', (i + 1) / 2);
	rig_close(rig);
}

static void a_version_that_never_is_healthy_costs_the_old_one_nothing(void **state)
{
	static const char *const broken[] = {"./broken", NULL};
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	struct fleet_service newer = service;
	char body[256];

	rig_program(rig, "broken", "#!/bin/sh\necho cannot; exit 9\n");
	newer.command = broken;
	newer.version = "2";
	rig_open(rig);
	rig_set(rig, &service);
	const struct rig_event ready = rig_wait(rig, RIG_READY, 1);
	rig_set(rig, &newer);
	const struct fleet_status status = rig_wait_status(rig, is_second_version_failed);
	assert_string_equal(status.reason, "exited with status 9");
	assert_non_null(strstr(status.last_lines, "cannot\n"));
	rig_get(&ready, "/", body);
	assert_string_equal(body, "fine");
	assert_int_equal(rig->event_count, 1);

	/* Back to what serves: the new one is given up, and nothing else happens. */
	rig_set(rig, &service);
	while (count_places(rig, "2") > 0)
		;
	rig_get(&ready, "/", body);
	assert_string_equal(body, "fine");
	assert_int_equal(rig->event_count, 1);
	rig_close(rig);
}

static void the_next_version_replaces_one_that_did_not_become_healthy(void **state)
{
	static const char *const stuck[] = {"./stuck", NULL};
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	struct fleet_service newer = service;

	rig_program(rig, "stuck", "#!/bin/sh\nexec sleep 1000\n");
	newer.command = stuck;
	newer.version = "2";
	rig_open(rig);
	rig_set(rig, &service);
	const struct rig_event first = rig_wait(rig, RIG_READY, 1);
	rig_set(rig, &newer);
	rig_wait_status(rig, is_second_version_starting);
	service.version = "3";
	rig_set(rig, &service);
	assert_string_equal(rig_wait(rig, RIG_READY, 2).version, "3");
	assert_int_equal(rig_wait(rig, RIG_GONE, 1).instance, first.instance);
	while (count_places(rig, "2") > 0)
		;
	rig_close(rig);
}

static void a_count_is_for_all_that_serve_while_a_version_is_replaced(void **state)
{
	static const char *const stuck[] = {"./stuck", NULL};
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	struct fleet_service newer = service;

	rig_program(rig, "stuck", "#!/bin/sh\nexec sleep 1000\n");
	newer.command = stuck;
	newer.version = "2";
	rig_open(rig);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 1);
	rig_set(rig, &newer);
	newer.count = 2;
	rig_set(rig, &newer);
	assert_string_equal(rig_wait(rig, RIG_READY, 2).version, "1");
	assert_int_equal(count_places(rig, "2"), 2);
	rig_close(rig);
}

static void a_removed_service_may_come_back_while_it_drains(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);

	rig->answers_drained = false;
	rig_open(rig);
	rig_set(rig, &service);
	const struct rig_event first = rig_wait(rig, RIG_READY, 1);
	fleet_service_remove(rig->fleet, service.id);
	rig_wait(rig, RIG_DRAINING, 1);
	rig_set(rig, &service);
	const struct rig_event second = rig_wait(rig, RIG_READY, 2);
	assert_true(second.instance != first.instance);
	assert_int_equal(rig_count(rig, RIG_GONE), 0);
	fleet_instance_drained(rig->fleet, (struct instance_id){first.instance});
	assert_int_equal(rig_wait(rig, RIG_GONE, 1).instance, first.instance);
	rig->answers_drained = true;
	rig_close(rig);
}

static void services_are_listed_by_id_and_place(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	struct fleet_status *places;
	size_t count;

	rig_open(rig);
	service.count = 2;
	for (uint64_t id = 3; id >= 1; id--) {
		service.id.value = id;
		rig_set(rig, &service);
	}
	fleet_status_list(rig->fleet, &places, &count);
	assert_int_equal(count, 6);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(places[i].service.value, i / 2 + 1);
		assert_int_equal(places[i].place, i % 2);
	}
	free(places);
	fleet_stop(rig->fleet, FLEET_STOP_NOW);
	rig_close(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_same_again_changes_nothing),
		TEST(more_places_are_added_and_the_highest_are_drained),
		TEST(the_new_are_all_ready_before_an_old_one_drains),
		TEST(a_version_that_never_is_healthy_costs_the_old_one_nothing),
		TEST(the_next_version_replaces_one_that_did_not_become_healthy),
		TEST(a_count_is_for_all_that_serve_while_a_version_is_replaced),
		TEST(a_removed_service_may_come_back_while_it_drains),
		TEST(services_are_listed_by_id_and_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

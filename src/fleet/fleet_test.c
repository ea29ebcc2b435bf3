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
	struct rig *rig = *state;

	rig_fini(rig);
	free(rig);
	return 0;
}

static void a_service_is_ready_once_its_health_answers(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char body[256];

	rig_open(rig);
	rig_set(rig, &service);
	const struct rig_event ready = rig_wait(rig, RIG_READY, 1);
	rig_get(&ready, "/pid", body);
	struct fleet_status *places;
	size_t count;
	fleet_status_list(rig->fleet, &places, &count);
	assert_int_equal(count, 1);
	assert_int_equal(places[0].state, FLEET_HEALTHY);
	assert_int_equal(places[0].pid, strtol(body, NULL, 10));
	assert_string_equal(places[0].last_lines, "serving\n");
	free(places);
	rig_close(rig);
	assert_int_equal(rig_count(rig, RIG_DRAINING), 1);
	assert_int_equal(rig_count(rig, RIG_GONE), 1);
}

static void by_port_as_by_socket(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char body[256];

	service.listen = FLEET_LISTEN_PORT;
	service.count = 3;
	rig_open(rig);
	rig_set(rig, &service);
	for (size_t i = 1; i <= 3; i++) {
		const struct rig_event ready = rig_wait(rig, RIG_READY, i);
		rig_get(&ready, "/", body);
		assert_string_equal(body, "fine");
	}
	rig_close(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_service_is_ready_once_its_health_answers),
		TEST(by_port_as_by_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

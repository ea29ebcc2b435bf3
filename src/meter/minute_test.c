#include "meter/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "store/store_testing.h"

#define SERVICE ((struct service_id){3})

struct world {
	struct store_testing files;
	struct store *store;
	struct fault fault;
};

static struct world world;

static int setup(void **state)
{
	(void)state;
	store_testing_init(&world.files);
	assert_int_equal(store_open(world.files.path, &world.store, &world.fault), 0);
	assert_int_equal(meter_migrate(world.store, &world.fault), 0);
	assert_int_equal(store_begin(world.store, STORE_WRITE, &world.fault), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(world.store);
	store_testing_fini(&world.files);
	return 0;
}

static struct meter_minute minute_of(uint64_t subscription, uint64_t minute, uint32_t calls)
{
	struct meter_minute made = {
		.service = SERVICE, .subscription = {subscription}, .minute = minute};
	const struct journal_record record = {
		.outcome = JOURNAL_ANSWERED,
		.flags = JOURNAL_BILLED,
		.status = 200,
		.duration_us = 1500,
		.request_bytes = 10,
		.response_bytes = 20,
		.units = {1, 2, 3, 4},
	};

	for (uint32_t i = 0; i < calls; i++)
		meter_minute_add(&made, &record);
	return made;
}

static void a_record_counts_once_in_every_sum(void **state)
{
	struct meter_minute minute = minute_of(1, 100, 2);
	struct journal_record record = {.outcome = JOURNAL_FAILED, .status = 0};

	(void)state;
	meter_minute_add(&minute, &record);
	record = (struct journal_record){.outcome = JOURNAL_ANSWERED, .status = 500};
	meter_minute_add(&minute, &record);
	record = (struct journal_record){.outcome = JOURNAL_ABORTED, .status = 499};
	meter_minute_add(&minute, &record);
	assert_int_equal(minute.counts.calls, 5);
	assert_int_equal(minute.counts.billed_calls, 2);
	assert_int_equal(minute.counts.errors, 2);
	assert_int_equal(minute.counts.request_bytes, 20);
	assert_int_equal(minute.counts.response_bytes, 40);
	assert_int_equal(minute.counts.duration_us, 3000);
	assert_int_equal(minute.counts.units[3], 8);
	assert_int_equal(meter_latency_quantile_us(&minute.latency, 1000), 1535);
}

static void a_saved_minute_reads_back_the_same_and_another_is_empty(void **state)
{
	struct meter_minute saved = minute_of(1, 100, 2);
	const struct meter_minute empty = minute_of(1, 101, 0);
	struct meter_minute read;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(meter_minute_save(world.store, &saved, &world.fault), 0);
		assert_int_equal(meter_minute_load(world.store, SERVICE, saved.subscription, 100,
						   &read, &world.fault),
				 0);
		assert_memory_equal(&read, &saved, sizeof(read));
		meter_minute_merge(&saved, &read);
	}
	assert_int_equal(meter_minute_load(world.store, SERVICE, saved.subscription, 101, &read,
					   &world.fault),
			 0);
	assert_memory_equal(&read, &empty, sizeof(read));
}

struct seen {
	int count;
	struct meter_minute of[8];
};

static int see(void *context, const struct meter_minute *point, struct fault *fault)
{
	struct seen *seen = context;

	(void)fault;
	seen->of[seen->count++] = *point;
	return 0;
}

static void save_some(void)
{
	const uint64_t minutes[] = {100, 101, 104, 105, 109};

	for (int i = 0; i < 5; i++) {
		const struct meter_minute one = minute_of(1, minutes[i], 1);
		const struct meter_minute two = minute_of(2, minutes[i], 10);
		assert_int_equal(meter_minute_save(world.store, &one, &world.fault), 0);
		assert_int_equal(meter_minute_save(world.store, &two, &world.fault), 0);
	}
}

static void a_query_sums_the_minutes_of_each_step_and_leaves_out_the_rest(void **state)
{
	struct meter_query query = {
		.service = SERVICE, .from_minute = 101, .to_minute = 109, .step_minutes = 4};
	struct seen seen = {0};

	(void)state;
	save_some();
	assert_int_equal(meter_query(world.store, &query, see, &seen, &world.fault), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.of[0].minute, 101);
	assert_int_equal(seen.of[0].counts.calls, 22);
	assert_int_equal(seen.of[1].minute, 105);
	assert_int_equal(seen.of[1].counts.calls, 11);
	assert_int_equal(meter_latency_quantile_us(&seen.of[0].latency, 990), 1535);

	query.subscription = (struct subscription_id){2};
	query.step_minutes = 1;
	seen.count = 0;
	assert_int_equal(meter_query(world.store, &query, see, &seen, &world.fault), 0);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.of[2].minute, 105);
	assert_int_equal(seen.of[2].counts.calls, 10);
	assert_int_equal(seen.of[2].subscription.value, 2);
}

static void a_step_of_reports_and_later_parts_alone_is_there(void **state)
{
	const struct meter_query query = {
		.service = SERVICE, .from_minute = 100, .to_minute = 110, .step_minutes = 1};
	const struct journal_record records[] = {
		{.outcome = JOURNAL_REPORTED, .flags = JOURNAL_CONTINUES, .units = {7}},
		{.outcome = JOURNAL_RUNNING, .flags = JOURNAL_CONTINUES, .response_bytes = 20},
	};
	struct seen seen = {0};

	(void)state;
	for (uint64_t i = 0; i < 2; i++) {
		struct meter_minute minute = minute_of(1, 102 + i, 0);
		meter_minute_add(&minute, &records[i]);
		assert_int_equal(meter_minute_save(world.store, &minute, &world.fault), 0);
	}
	assert_int_equal(meter_query(world.store, &query, see, &seen, &world.fault), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.of[0].minute, 102);
	assert_int_equal(seen.of[0].counts.calls, 0);
	assert_int_equal(seen.of[0].counts.units[0], 7);
	assert_int_equal(seen.of[1].counts.response_bytes, 20);
}

static void an_empty_range_has_no_points_and_too_long_a_one_is_refused(void **state)
{
	struct meter_query query = {
		.service = SERVICE, .from_minute = 5, .to_minute = 5, .step_minutes = 1};
	struct seen seen = {0};

	(void)state;
	save_some();
	assert_int_equal(meter_query(world.store, &query, see, &seen, &world.fault), 0);
	assert_int_equal(seen.count, 0);
	query.to_minute = 6 + METER_POINTS_MAX;
	assert_int_equal(meter_query(world.store, &query, see, &seen, &world.fault), FAULT_LIMIT);
}

static void latencies_that_cannot_be_read_are_damage(void **state)
{
	struct meter_minute read;

	(void)state;
	save_some();
	assert_int_equal(
		store_run(world.store, "UPDATE meter_minute SET latency = 'many'", &world.fault),
		0);
	assert_int_equal(meter_minute_load(world.store, SERVICE, (struct subscription_id){1}, 100,
					   &read, &world.fault),
			 FAULT_DAMAGED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_record_counts_once_in_every_sum),
		TEST(a_saved_minute_reads_back_the_same_and_another_is_empty),
		TEST(a_query_sums_the_minutes_of_each_step_and_leaves_out_the_rest),
		TEST(a_step_of_reports_and_later_parts_alone_is_there),
		TEST(an_empty_range_has_no_points_and_too_long_a_one_is_refused),
		TEST(latencies_that_cannot_be_read_are_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

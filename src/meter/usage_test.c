#include "meter/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "store/store_testing.h"

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

static struct meter_usage usage_of(uint64_t subscription, uint32_t month, int64_t base)
{
	struct meter_usage usage = {.subscription = {subscription}, .month = month};

	for (int i = 0; i < METER_SLOTS; i++)
		usage.of[i] = base + i;
	usage.usage_nano = base + 100;
	usage.told_nano = base + 101;
	return usage;
}

static struct meter_cloud cloud_of(uint64_t subscription, uint32_t month, uint64_t card,
				   int64_t base)
{
	struct meter_cloud cloud = {.subscription = {subscription}, .month = month, .card = card};

	for (int i = 0; i < METER_CLOUD_SLOTS; i++)
		cloud.of[i] = base + i;
	cloud.usage_nano = base + 100;
	cloud.cloud_nano = base + 101;
	cloud.fee_nano = base + 102;
	return cloud;
}

static void what_was_never_used_reads_as_zeros_under_its_key(void **state)
{
	struct meter_usage usage;
	struct meter_cloud cloud;
	const struct meter_usage no_usage = {.subscription = {4}, .month = 9};
	const struct meter_cloud no_cloud = {.subscription = {4}, .month = 9, .card = 2};

	(void)state;
	assert_int_equal(
		meter_usage_load(world.store, (struct subscription_id){4}, 9, &usage, &world.fault),
		0);
	assert_int_equal(meter_cloud_load(world.store, (struct subscription_id){4}, 9, 2, &cloud,
					  &world.fault),
			 0);
	assert_memory_equal(&usage, &no_usage, sizeof(usage));
	assert_memory_equal(&cloud, &no_cloud, sizeof(cloud));
}

static void saving_is_by_absolute_value_so_twice_is_as_good_as_once(void **state)
{
	const struct meter_usage first = usage_of(4, 9, 1000);
	const struct meter_usage second = usage_of(4, 9, INT64_MAX - 200);
	const struct meter_cloud cloud = cloud_of(4, 9, 2, 5000);
	struct meter_usage usage;
	struct meter_cloud cloud_read;

	(void)state;
	assert_int_equal(meter_usage_save(world.store, &first, &world.fault), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(meter_usage_save(world.store, &second, &world.fault), 0);
		assert_int_equal(meter_cloud_save(world.store, &cloud, &world.fault), 0);
	}
	assert_int_equal(
		meter_usage_load(world.store, second.subscription, 9, &usage, &world.fault), 0);
	assert_memory_equal(&usage, &second, sizeof(usage));
	assert_int_equal(
		meter_cloud_load(world.store, cloud.subscription, 9, 2, &cloud_read, &world.fault),
		0);
	assert_memory_equal(&cloud_read, &cloud, sizeof(cloud));
}

struct seen {
	int count;
	uint64_t keys[8];
};

static int see_usage(void *context, const struct meter_usage *usage, struct fault *fault)
{
	struct seen *seen = context;

	(void)fault;
	seen->keys[seen->count++] = usage->subscription.value;
	return 0;
}

static int see_cloud(void *context, const struct meter_cloud *cloud, struct fault *fault)
{
	struct seen *seen = context;

	seen->keys[seen->count++] = cloud->subscription.value * 10 + cloud->card;
	return cloud->card == 7 ? fault_set(fault, FAULT_LIMIT, "enough") : 0;
}

static void the_walk_gives_a_months_rows_in_order_of_their_keys(void **state)
{
	const uint64_t subscriptions[] = {5, 3, 4};
	struct seen seen = {0};

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct meter_usage now = usage_of(subscriptions[i], 9, i);
		const struct meter_usage later = usage_of(subscriptions[i], 10, i);
		const struct meter_cloud second = cloud_of(subscriptions[i], 9, 2, i);
		const struct meter_cloud first = cloud_of(subscriptions[i], 9, 1, i);
		assert_int_equal(meter_usage_save(world.store, &now, &world.fault), 0);
		assert_int_equal(meter_usage_save(world.store, &later, &world.fault), 0);
		assert_int_equal(meter_cloud_save(world.store, &second, &world.fault), 0);
		assert_int_equal(meter_cloud_save(world.store, &first, &world.fault), 0);
	}
	assert_int_equal(meter_usage_each(world.store, (struct subscription_id){0}, 9, see_usage,
					  &seen, &world.fault),
			 0);
	assert_int_equal(seen.count, 3);
	assert_memory_equal(seen.keys, ((uint64_t[]){3, 4, 5}), 3 * sizeof(uint64_t));
	seen.count = 0;
	assert_int_equal(meter_cloud_each(world.store, (struct subscription_id){4}, 9, see_cloud,
					  &seen, &world.fault),
			 0);
	assert_int_equal(seen.count, 2);
	assert_memory_equal(seen.keys, ((uint64_t[]){41, 42}), 2 * sizeof(uint64_t));
}

static void a_walk_ends_with_the_first_fault_of_its_visitor(void **state)
{
	struct seen seen = {0};
	const struct meter_cloud first = cloud_of(1, 9, 7, 0);
	const struct meter_cloud second = cloud_of(2, 9, 1, 0);

	(void)state;
	assert_int_equal(meter_cloud_save(world.store, &first, &world.fault), 0);
	assert_int_equal(meter_cloud_save(world.store, &second, &world.fault), 0);
	assert_int_equal(meter_cloud_each(world.store, (struct subscription_id){0}, 9, see_cloud,
					  &seen, &world.fault),
			 FAULT_LIMIT);
	assert_int_equal(seen.count, 1);
}

static void a_negative_quantity_in_the_store_is_damage(void **state)
{
	const struct meter_usage saved = usage_of(4, 9, 1000);
	struct meter_usage usage = {.month = 77};

	(void)state;
	assert_int_equal(meter_usage_save(world.store, &saved, &world.fault), 0);
	assert_int_equal(store_run(world.store, "UPDATE meter_usage SET q3 = -1", &world.fault), 0);
	assert_int_equal(meter_usage_load(world.store, saved.subscription, 9, &usage, &world.fault),
			 FAULT_DAMAGED);
	assert_int_equal(usage.month, 77);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_was_never_used_reads_as_zeros_under_its_key),
		TEST(saving_is_by_absolute_value_so_twice_is_as_good_as_once),
		TEST(the_walk_gives_a_months_rows_in_order_of_their_keys),
		TEST(a_walk_ends_with_the_first_fault_of_its_visitor),
		TEST(a_negative_quantity_in_the_store_is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

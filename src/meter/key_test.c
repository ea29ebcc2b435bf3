#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include "meter/meter.h"
#include "store/store_testing.h"

struct saving {
	struct meter_key use;
};

static int save(struct store *store, void *context, struct fault *fault)
{
	const struct saving *saving = context;

	return meter_key_save(store, &saving->use, fault);
}

static void put(struct store *store, uint64_t key, uint32_t month, uint64_t calls, uint64_t minute)
{
	struct saving saving = {
		.use = {.key = {key}, .month = month, .calls = calls, .last_minute = minute}};
	struct fault fault;

	assert_int_equal(store_transaction(store, save, &saving, &fault), 0);
}

static void what_a_key_did_is_kept_by_month(void **unused)
{
	(void)unused;
	struct store_testing files;
	struct store *store;
	struct fault fault;
	struct meter_key use;
	uint64_t calls, minute;

	store_testing_init(&files);
	assert_int_equal(store_open(files.path, &store, &fault), 0);
	assert_int_equal(meter_migrate(store, &fault), 0);

	assert_int_equal(meter_key_load(store, (struct key_id){3}, 680, &use, &fault), 0);
	assert_int_equal(use.key.value, 3);
	assert_int_equal(use.month, 680);
	assert_int_equal(use.calls, 0);
	put(store, 3, 680, 10, 5000);
	put(store, 3, 680, 12, 5001); /* by absolute value */
	put(store, 3, 681, 1, 6000);
	put(store, 4, 681, 99, 7000);
	assert_int_equal(meter_key_load(store, (struct key_id){3}, 680, &use, &fault), 0);
	assert_int_equal(use.calls, 12);
	assert_int_equal(use.last_minute, 5001);

	assert_int_equal(meter_key_used(store, (struct key_id){3}, 680, &calls, &minute, &fault),
			 0);
	assert_int_equal(calls, 12);
	assert_int_equal(minute, 6000);
	assert_int_equal(meter_key_used(store, (struct key_id){3}, 682, &calls, &minute, &fault),
			 0);
	assert_int_equal(calls, 0);
	assert_int_equal(minute, 6000);
	assert_int_equal(meter_key_used(store, (struct key_id){5}, 680, &calls, &minute, &fault),
			 0);
	assert_int_equal(calls, 0);
	assert_int_equal(minute, 0);
	store_close(store);
	store_testing_fini(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_key_did_is_kept_by_month),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "meter/meter.h"
#include "store/store_testing.h"

static struct meter_reported row_of(uint8_t name, uint64_t position, uint64_t at_ns)
{
	struct meter_reported row = {.stream = 3, .position = position, .at_ns = at_ns};

	memset(row.key, name, sizeof(row.key));
	memset(row.digest, ~name, sizeof(row.digest));
	row.call = call_id_make(at_ns / 1000000, row.key);
	return row;
}

static int save_all(struct store *store, void *context, struct fault *fault)
{
	const struct meter_reported *rows = context;
	int code = 0;

	for (size_t i = 0; code == 0 && rows[i].stream != 0; i++)
		code = meter_reported_save(store, &rows[i], fault);
	return code;
}

static int forget_lost(struct store *store, void *context, struct fault *fault)
{
	const struct meter_reported *from = context;

	return meter_reported_forget_lost(store, from->stream, from->position, fault);
}

static int forget_old(struct store *store, void *context, struct fault *fault)
{
	return meter_reported_forget_old(store, *(const uint64_t *)context, fault);
}

static bool is_there(struct store *store, const struct meter_reported *row)
{
	struct meter_reported found;
	struct fault fault;
	bool is_found;

	assert_int_equal(meter_reported_find(store, row->key, &is_found, &found, &fault), 0);
	if (is_found) {
		assert_memory_equal(found.digest, row->digest, sizeof(row->digest));
		assert_memory_equal(&found.call, &row->call, sizeof(row->call));
		assert_int_equal(found.stream, row->stream);
		assert_int_equal(found.position, row->position);
		assert_int_equal(found.at_ns, row->at_ns);
	}
	return is_found;
}

static void what_was_taken_is_found_until_it_is_old_or_its_record_is_lost(void **unused)
{
	(void)unused;
	struct store_testing files;
	struct meter_reported rows[5] = {row_of(1, 0, 1000),
					 row_of(2, 1, 2000),
					 row_of(3, 2, 3000),
					 row_of(4, 3, 4000),
					 {.stream = 0}};
	struct meter_reported again[2] = {row_of(2, 9, 5000), {.stream = 0}};
	struct meter_reported elsewhere[2] = {row_of(5, 1, 5000), {.stream = 0}};
	struct store *store;
	struct fault fault;
	uint64_t before_ns = 2000;

	store_testing_init(&files);
	assert_int_equal(store_open(files.path, &store, &fault), 0);
	assert_int_equal(meter_migrate(store, &fault), 0);
	assert_false(is_there(store, &rows[0]));
	assert_int_equal(store_transaction(store, save_all, rows, &fault), 0);
	for (size_t i = 0; i < 4; i++)
		assert_true(is_there(store, &rows[i]));
	/* Neither a key nor a place is there twice. */
	assert_true(store_transaction(store, save_all, again, &fault) < 0);
	assert_true(store_transaction(store, save_all, elsewhere, &fault) < 0);

	assert_int_equal(store_transaction(store, forget_lost, &rows[2], &fault), 0);
	assert_true(is_there(store, &rows[1]));
	assert_false(is_there(store, &rows[2]));
	assert_false(is_there(store, &rows[3]));
	assert_int_equal(store_transaction(store, forget_old, &before_ns, &fault), 0);
	assert_false(is_there(store, &rows[0]));
	assert_true(is_there(store, &rows[1]));
	store_close(store);
	store_testing_fini(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_taken_is_found_until_it_is_old_or_its_record_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

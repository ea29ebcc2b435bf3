#include "store/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "store/store_testing.h"

struct bench {
	struct store_testing files;
	struct store *store;
	struct fault fault;
};

static const struct store_migration steps[] = {
	{"fruit", 1, "CREATE TABLE fruit (id INTEGER PRIMARY KEY, name TEXT)", NULL},
	{"fruit", 2,
	 "ALTER TABLE fruit ADD COLUMN weight BIGINT;"
	 "INSERT INTO fruit (id, name, weight) VALUES (1, 'apple', 100)",
	 "CREATE TRIGGER fruit_stays BEFORE DELETE ON fruit"
	 " BEGIN SELECT RAISE(ABORT, 'fruit stays'); END"},
	{"stone", 1, "CREATE TABLE stone (id INTEGER PRIMARY KEY)", NULL},
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

static int set_up(void **state)
{
	static struct bench bench;

	*state = &bench;
	store_testing_init(&bench.files);
	return store_open(bench.files.path, &bench.store, &bench.fault);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	store_close(bench->store);
	store_testing_fini(&bench->files);
	return 0;
}

static int64_t number_of(struct bench *bench, const char *sql)
{
	STORE_STATEMENT select = NULL;
	bool row = false;

	assert_int_equal(store_prepare(bench->store, sql, &select, &bench->fault), 0);
	assert_int_equal(store_step(select, &row, &bench->fault), 0);
	assert_true(row);
	return store_column_int64(select, 0);
}

static int migrate(struct bench *bench, const struct store_migration *migrations, size_t count)
{
	return store_migrate(bench->store, migrations, count, &bench->fault);
}

static void steps_are_applied_in_order_and_once(void **state)
{
	struct bench *bench = *state;

	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(migrate(bench, steps, STEPS), 0);
		assert_int_equal(number_of(bench, "SELECT count(*) FROM fruit"), 1);
		assert_int_equal(number_of(bench, "SELECT count(*) FROM store_migrations"), 3);
	}
	assert_int_equal(store_run(bench->store, "DELETE FROM fruit", &bench->fault),
			 FAULT_REFUSED);
}

static void later_steps_and_other_domains_come_on_top(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(migrate(bench, steps, 1), 0);
	assert_int_equal(migrate(bench, steps + 2, 1), 0);
	assert_int_equal(number_of(bench, "SELECT count(*) FROM fruit"), 0);
	assert_int_equal(migrate(bench, steps, 2), 0);
	assert_int_equal(number_of(bench, "SELECT weight FROM fruit"), 100);
	assert_int_equal(migrate(bench, steps, 0), 0);
}

static void a_store_of_a_newer_program_is_refused_unchanged(void **state)
{
	const struct store_migration older[] = {steps[2], steps[0]};
	struct bench *bench = *state;

	assert_int_equal(migrate(bench, steps, 2), 0);
	assert_int_equal(migrate(bench, older, 2), FAULT_UNSUPPORTED);
	assert_non_null(strstr(bench->fault.text, "newer program"));
	assert_non_null(strstr(bench->fault.text, "\"fruit\""));
	assert_int_equal(number_of(bench, "SELECT count(*) FROM sqlite_schema"
					  " WHERE name = 'stone'"),
			 0);
}

static void a_step_that_was_changed_is_refused(void **state)
{
	struct store_migration changed[STEPS];
	struct bench *bench = *state;

	assert_int_equal(migrate(bench, steps, STEPS), 0);
	for (unsigned part = 0; part < 2; part++) {
		memcpy(changed, steps, sizeof(steps));
		if (part == 0)
			changed[0].sql = "CREATE TABLE fruit (id INTEGER PRIMARY KEY)";
		else
			changed[1].sqlite = NULL;
		assert_int_equal(migrate(bench, changed, STEPS), FAULT_DAMAGED);
		assert_non_null(strstr(bench->fault.text, "differs"));
	}
}

static void a_step_that_fails_leaves_nothing_and_may_be_done_again(void **state)
{
	struct store_migration broken[STEPS];
	struct bench *bench = *state;

	memcpy(broken, steps, sizeof(steps));
	broken[1].sql = "INSERT INTO fruit (id, name) VALUES (1, 'pear'); SELECT nonsense";
	assert_int_equal(migrate(bench, broken, STEPS), FAULT_STORE);
	assert_non_null(strstr(bench->fault.text, "step 2 of the tables of \"fruit\""));
	assert_int_equal(number_of(bench, "SELECT count(*) FROM fruit"), 0);
	assert_int_equal(number_of(bench, "SELECT count(*) FROM store_migrations"), 1);
	assert_int_equal(migrate(bench, steps, STEPS), 0);
}

static void whichever_operation_fails_migrating_can_be_done_again(void **state)
{
	struct bench *bench = *state;
	struct store_failure failure = {0};
	int code;

	store_fail(bench->store, &failure);
	do {
		failure.calls = 0;
		failure.fail_at++;
		assert_true(failure.fail_at < 100);
		code = migrate(bench, steps, STEPS);
	} while (code == FAULT_STORE);
	failure.fail_at = 0;
	assert_int_equal(code, 0);
	assert_int_equal(number_of(bench, "SELECT count(*) FROM fruit"), 1);
}

static void *migrate_in_a_thread(void *context)
{
	const struct bench *bench = context;
	struct fault fault = {0};
	struct store *store = NULL;

	check_equal(store_open(bench->files.path, &store, &fault), 0);
	check_equal(store_migrate(store, steps, STEPS, &fault), 0);
	store_close(store);
	return NULL;
}

static void several_may_open_and_migrate_at_once(void **state)
{
	struct bench *bench = *state;
	pthread_t threads[4];

	for (unsigned index = 0; index < 4; index++)
		pthread_create(&threads[index], NULL, migrate_in_a_thread, bench);
	for (unsigned index = 0; index < 4; index++)
		pthread_join(threads[index], NULL);
	assert_int_equal(number_of(bench, "SELECT count(*) FROM fruit"), 1);
	assert_int_equal(number_of(bench, "SELECT count(*) FROM store_migrations"), 3);
}

static void a_sequence_gives_each_number_once(void **state)
{
	struct bench *bench = *state;
	int64_t first = 0;

	assert_int_equal(migrate(bench, steps, STEPS), 0);
	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	assert_int_equal(store_sequence_take(bench->store, "a", 1, &first, &bench->fault), 0);
	assert_int_equal(first, 1);
	assert_int_equal(store_sequence_take(bench->store, "a", 10, &first, &bench->fault), 0);
	assert_int_equal(first, 2);
	assert_int_equal(store_sequence_take(bench->store, "b", 3, &first, &bench->fault), 0);
	assert_int_equal(first, 1);
	assert_int_equal(store_commit(bench->store, &bench->fault), 0);
	for (unsigned round = 0; round < 2; round++) { /* what is rolled back was not given */
		assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
		assert_int_equal(store_sequence_take(bench->store, "a", 1, &first, &bench->fault),
				 0);
		assert_int_equal(first, 12);
		store_rollback(bench->store);
	}
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(steps_are_applied_in_order_and_once),
		CLAIM(later_steps_and_other_domains_come_on_top),
		CLAIM(a_store_of_a_newer_program_is_refused_unchanged),
		CLAIM(a_step_that_was_changed_is_refused),
		CLAIM(a_step_that_fails_leaves_nothing_and_may_be_done_again),
		CLAIM(whichever_operation_fails_migrating_can_be_done_again),
		CLAIM(several_may_open_and_migrate_at_once),
		CLAIM(a_sequence_gives_each_number_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The conformance suite: what every driver must do, decorated or not. A variant opens a store;
 * all tests run on each of them.
 */
#include "store/store.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "store/store_internal.h"
#include "store/store_testing.h"

typedef struct store *(*open_fn)(const char *path, unsigned busy_timeout_ms);

struct variant {
	const char *name;
	open_fn open;
};

struct bench {
	open_fn open;
	struct store_testing files;
	struct store *store;
	struct fault fault;
};

static struct store *open_plain(const char *path, unsigned busy_timeout_ms)
{
	struct store_connection *connection;
	struct fault fault = {0};

	if (store_sqlite_open(path, busy_timeout_ms, &connection, &fault) < 0)
		fail_msg("%s", fault.text);
	return store_over(connection);
}

static void trace_nothing(void *context, const struct store_trace *trace)
{
	(void)context;
	assert_non_null(store_operation_name(trace->operation));
}

static struct store *open_traced(const char *path, unsigned busy_timeout_ms)
{
	struct store *store = open_plain(path, busy_timeout_ms);

	store_trace(store, trace_nothing, NULL);
	return store;
}

static struct store *open_failing_never(const char *path, unsigned busy_timeout_ms)
{
	static _Thread_local struct store_failure never;
	struct store *store = open_plain(path, busy_timeout_ms);

	store_fail(store, &never);
	store_trace(store, trace_nothing, NULL);
	return store;
}

static struct bench bench_of_tests; /* one test at a time; `open` is the variant's */

static int set_up(void **state)
{
	struct bench *bench = &bench_of_tests;

	*state = bench;
	store_testing_init(&bench->files);
	bench->store = bench->open(bench->files.path, STORE_BUSY_TIMEOUT_MS);
	return store_run(bench->store,
			 "CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
			 " size BIGINT CHECK (size >= 0), body BLOB);"
			 "CREATE TABLE part (thing BIGINT NOT NULL REFERENCES thing (id))",
			 &bench->fault);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	store_close(bench->store);
	store_testing_fini(&bench->files);
	return 0;
}

static int thing_insert(struct store *store, int64_t id, const char *name, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	int code = store_prepare(store, "INSERT INTO thing (id, name, size) VALUES ($1, $2, $1)",
				 &insert, fault);
	if (code < 0)
		return code;
	store_bind_int64(insert, 1, id);
	store_bind_text(insert, 2, slice_of(name));
	return store_execute(insert, fault);
}

static int64_t number_of(struct store *store, const char *sql)
{
	STORE_STATEMENT select = NULL;
	struct fault fault = {0};
	bool row = false;

	assert_int_equal(store_prepare(store, sql, &select, &fault), 0);
	assert_int_equal(store_step(select, &row, &fault), 0);
	assert_true(row);
	return store_column_int64(select, 0);
}

static int64_t thing_count(struct store *store)
{
	return number_of(store, "SELECT count(*) FROM thing");
}

/* ---- transactions ---- */

static void what_is_committed_is_seen_by_others_and_after_reopening(void **state)
{
	struct bench *bench = *state;
	struct store *other = bench->open(bench->files.path, 0);

	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	assert_int_equal(thing_insert(bench->store, 1, "one", &bench->fault), 0);
	assert_int_equal(store_commit(bench->store, &bench->fault), 0);
	assert_false(store_in_transaction(bench->store));
	assert_int_equal(thing_count(other), 1);
	store_close(other);
	store_close(bench->store);
	bench->store = bench->open(bench->files.path, 0);
	assert_int_equal(thing_count(bench->store), 1);
}

static void what_is_not_committed_nobody_else_ever_sees(void **state)
{
	struct bench *bench = *state;
	struct store *other = bench->open(bench->files.path, 0);

	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	assert_int_equal(thing_insert(bench->store, 1, "one", &bench->fault), 0);
	assert_int_equal(thing_count(bench->store), 1);
	assert_int_equal(thing_count(other), 0);
	store_rollback(bench->store);
	assert_int_equal(thing_count(bench->store), 0);

	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	assert_int_equal(thing_insert(bench->store, 2, "two", &bench->fault), 0);
	store_close(bench->store);
	bench->store = bench->open(bench->files.path, 0);
	assert_int_equal(thing_count(bench->store), 0);
	assert_int_equal(thing_count(other), 0);
	store_close(other);
}

static void a_read_transaction_keeps_its_view_while_others_commit(void **state)
{
	struct bench *bench = *state;
	struct store *other = bench->open(bench->files.path, 0);

	assert_int_equal(store_begin(other, STORE_READ, &bench->fault), 0);
	assert_int_equal(thing_count(other), 0);
	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	assert_int_equal(thing_insert(bench->store, 1, "one", &bench->fault), 0);
	assert_int_equal(store_commit(bench->store, &bench->fault), 0);
	assert_int_equal(thing_count(other), 0);
	assert_int_equal(store_commit(other, &bench->fault), 0);
	assert_int_equal(thing_count(other), 1);
	store_close(other);
}

struct copying {
	struct store *writer;
	struct fault *fault;
	int64_t next;
	uint64_t calls;
};

/* Another writer commits between two parts of the copy. */
static void write_between(void *context, uint64_t done, uint64_t total)
{
	struct copying *copying = context;
	char name[32];

	assert_true(done <= total && total > 0);
	copying->calls++;
	snprintf(name, sizeof(name), "between %" PRIu64, copying->calls);
	assert_int_equal(store_begin(copying->writer, STORE_WRITE, copying->fault), 0);
	assert_int_equal(thing_insert(copying->writer, copying->next++, name, copying->fault), 0);
	assert_int_equal(store_commit(copying->writer, copying->fault), 0);
}

static void a_copy_is_one_view_while_others_commit(void **state)
{
	struct bench *bench = *state;
	struct store *other = bench->open(bench->files.path, 0);
	struct copying copying = {.writer = other, .fault = &bench->fault, .next = 5000};
	char path[sizeof(bench->files.path) + 8], text[1024];
	struct store *copy;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(store_begin(other, STORE_WRITE, &bench->fault), 0);
	for (int64_t i = 0; i < 2000; i++) { /* some 2 MiB and more: two parts at the least */
		text[snprintf(text, sizeof(text), "%" PRId64, i)] = 'x';
		assert_int_equal(thing_insert(other, i, text, &bench->fault), 0);
	}
	assert_int_equal(store_commit(other, &bench->fault), 0);
	snprintf(path, sizeof(path), "%s.copy", bench->files.path);
	assert_int_equal(store_begin(bench->store, STORE_READ, &bench->fault), 0);
	assert_int_equal(store_copy(bench->store, path, write_between, &copying, &bench->fault), 0);
	/* There is one already. */
	assert_true(store_copy(bench->store, path, NULL, NULL, &bench->fault) < 0);
	assert_int_equal(store_commit(bench->store, &bench->fault), 0);
	assert_true(copying.calls > 1);
	assert_int_equal(thing_count(bench->store), 2000 + (int64_t)copying.calls);
	assert_int_equal(store_open(path, &copy, &bench->fault), 0);
	assert_int_equal(thing_count(copy), 2000);
	store_close(copy);
	store_close(other);
}

static void a_second_writer_is_told_that_the_store_is_busy(void **state)
{
	struct bench *bench = *state;
	struct store *other = bench->open(bench->files.path, 0);

	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	assert_int_equal(store_begin(other, STORE_WRITE, &bench->fault), FAULT_BUSY);
	assert_int_equal(bench->fault.code, FAULT_BUSY);
	assert_false(store_in_transaction(other));
	store_rollback(bench->store);
	assert_int_equal(store_begin(other, STORE_WRITE, &bench->fault), 0);
	store_rollback(other);
	store_close(other);
}

struct attempts {
	unsigned count;
	unsigned busy_before; /* so many attempts are busy */
	int code;             /* of the rest */
};

static int attempt(struct store *store, void *context, struct fault *fault)
{
	struct attempts *attempts = context;

	attempts->count++;
	const int code = thing_insert(store, attempts->count, "attempt", fault);
	if (code < 0)
		return code;
	if (attempts->count <= attempts->busy_before)
		return fault_set(fault, FAULT_BUSY, "busy, says the test");
	return attempts->code == 0 ? 0 : fault_set(fault, attempts->code, "no, says the test");
}

static void the_runner_tries_again_when_busy_and_keeps_only_the_last_attempt(void **state)
{
	struct bench *bench = *state;
	struct attempts attempts = {.busy_before = STORE_ATTEMPTS_MAX - 1};

	assert_int_equal(store_transaction(bench->store, attempt, &attempts, &bench->fault), 0);
	assert_int_equal(attempts.count, STORE_ATTEMPTS_MAX);
	assert_int_equal(thing_count(bench->store), 1);
}

static void the_runner_gives_up_after_its_attempts(void **state)
{
	struct bench *bench = *state;
	struct attempts attempts = {.busy_before = 1000};

	assert_int_equal(store_transaction(bench->store, attempt, &attempts, &bench->fault),
			 FAULT_BUSY);
	assert_int_equal(attempts.count, STORE_ATTEMPTS_MAX);
	assert_int_equal(thing_count(bench->store), 0);
}

static void the_runner_rolls_back_and_hands_on_any_other_fault_at_once(void **state)
{
	struct bench *bench = *state;
	struct attempts attempts = {.code = FAULT_REFUSED};

	assert_int_equal(store_transaction(bench->store, attempt, &attempts, &bench->fault),
			 FAULT_REFUSED);
	assert_string_equal(bench->fault.text, "no, says the test");
	assert_int_equal(attempts.count, 1);
	assert_int_equal(thing_count(bench->store), 0);
}

static void after_a_fault_a_transaction_can_only_be_rolled_back(void **state)
{
	struct bench *bench = *state;
	STORE_STATEMENT select = NULL;

	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	assert_int_equal(thing_insert(bench->store, 1, "one", &bench->fault), 0);
	assert_int_equal(thing_insert(bench->store, 1, "again", &bench->fault), FAULT_CONFLICT);
	assert_int_equal(store_prepare(bench->store, "SELECT 1", &select, &bench->fault),
			 FAULT_STORE);
	assert_int_equal(store_run(bench->store, "DELETE FROM thing", &bench->fault), FAULT_STORE);
	assert_int_equal(store_commit(bench->store, &bench->fault), FAULT_STORE);
	assert_false(store_in_transaction(bench->store));
	assert_int_equal(thing_count(bench->store), 0);
}

struct counting {
	struct bench *bench;
	unsigned rounds;
};

static int count_up(struct store *store, void *context, struct fault *fault)
{
	(void)context;
	return store_run(store, "UPDATE thing SET size = size + 1 WHERE id = 1", fault);
}

static void *count_in_a_thread(void *context)
{
	const struct counting *counting = context;
	struct fault fault = {0};
	struct store *store =
		counting->bench->open(counting->bench->files.path, STORE_BUSY_TIMEOUT_MS);

	for (unsigned round = 0; round < counting->rounds; round++)
		check_equal(store_transaction(store, count_up, NULL, &fault), 0);
	store_close(store);
	return NULL;
}

static void writers_in_threads_lose_no_update(void **state)
{
	struct counting counting = {.bench = *state, .rounds = 40};
	struct bench *bench = *state;
	pthread_t threads[3];

	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	assert_int_equal(thing_insert(bench->store, 1, "one", &bench->fault), 0);
	assert_int_equal(store_commit(bench->store, &bench->fault), 0);
	for (unsigned index = 0; index < 3; index++)
		pthread_create(&threads[index], NULL, count_in_a_thread, &counting);
	for (unsigned index = 0; index < 3; index++)
		pthread_join(threads[index], NULL);
	assert_int_equal(number_of(bench->store, "SELECT size FROM thing"), 1 + 3 * 40);
}

/* ---- statements ---- */

static void values_come_back_as_they_were_bound(void **state)
{
	struct bench *bench = *state;
	const struct slice with_nul = slice_make("a\0b\xc3\xa4", 5);
	STORE_STATEMENT select = NULL;
	bool row = false;

	assert_int_equal(store_prepare(bench->store, "SELECT $1, $2, $3, $4, $5, $6, $7", &select,
				       &bench->fault),
			 0);
	store_bind_int64(select, 1, INT64_MIN);
	store_bind_int64(select, 2, INT64_MAX);
	store_bind_text(select, 3, with_nul);
	store_bind_text(select, 4, slice_make(NULL, 0));
	store_bind_blob(select, 5, slice_make("\0\xff", 2));
	store_bind_blob(select, 6, slice_make(NULL, 0));
	for (unsigned round = 0; round < 2; round++) { /* bindings stay over a reset */
		assert_int_equal(store_step(select, &row, &bench->fault), 0);
		assert_true(row);
		assert_true(store_column_int64(select, 0) == INT64_MIN);
		assert_true(store_column_int64(select, 1) == INT64_MAX);
		assert_true(slice_equal(store_column_text(select, 2), with_nul));
		assert_false(store_column_is_null(select, 3));
		assert_int_equal(store_column_text(select, 3).length, 0);
		assert_true(slice_equal(store_column_blob(select, 4), slice_make("\0\xff", 2)));
		assert_false(store_column_is_null(select, 5));
		assert_true(store_column_is_null(select, 6));
		assert_int_equal(store_column_int64(select, 6), 0);
		assert_int_equal(store_column_text(select, 6).length, 0);
		store_reset(select);
	}
	store_bind_null(select, 1);
	assert_int_equal(store_step(select, &row, &bench->fault), 0);
	assert_true(store_column_is_null(select, 0));
	assert_int_equal(store_step(select, &row, &bench->fault), 0);
	assert_false(row);
}

static void parameters_may_stand_in_any_order_and_more_than_once(void **state)
{
	struct bench *bench = *state;
	STORE_STATEMENT select = NULL;
	bool row = false;

	assert_int_equal(
		store_prepare(bench->store, "SELECT $2 - $1, $2 * $2 + $1", &select, &bench->fault),
		0);
	store_bind_int64(select, 1, 3);
	store_bind_int64(select, 2, 10);
	assert_int_equal(store_step(select, &row, &bench->fault), 0);
	assert_int_equal(store_column_int64(select, 0), 7);
	assert_int_equal(store_column_int64(select, 1), 103);
}

static void a_new_use_of_a_statement_has_no_old_bindings(void **state)
{
	struct bench *bench = *state;
	bool row = false;

	for (unsigned round = 0; round < 2; round++) {
		STORE_STATEMENT select = NULL;
		assert_int_equal(store_prepare(bench->store, "SELECT $1", &select, &bench->fault),
				 0);
		if (round == 0)
			store_bind_int64(select, 1, 7);
		assert_int_equal(store_step(select, &row, &bench->fault), 0);
		assert_int_equal(store_column_is_null(select, 0), round == 1);
	}
}

static void one_text_may_be_in_use_twice(void **state)
{
	static const char sql[] = "SELECT $1 UNION ALL SELECT $1 + 1";
	struct bench *bench = *state;
	STORE_STATEMENT outer = NULL;
	STORE_STATEMENT inner = NULL;
	bool row = false;

	assert_int_equal(store_prepare(bench->store, sql, &outer, &bench->fault), 0);
	store_bind_int64(outer, 1, 1);
	assert_int_equal(store_step(outer, &row, &bench->fault), 0);
	assert_int_equal(store_prepare(bench->store, sql, &inner, &bench->fault), 0);
	assert_ptr_not_equal(outer, inner);
	store_bind_int64(inner, 1, 10);
	assert_int_equal(store_step(inner, &row, &bench->fault), 0);
	assert_int_equal(store_column_int64(inner, 0), 10);
	store_statement_release(&inner);
	assert_null(inner);
	assert_int_equal(store_step(outer, &row, &bench->fault), 0);
	assert_int_equal(store_column_int64(outer, 0), 2);
}

static void commit_and_rollback_reset_what_is_in_use(void **state)
{
	struct bench *bench = *state;
	STORE_STATEMENT select = NULL;
	bool row = false;

	assert_int_equal(
		store_prepare(bench->store, "SELECT 1 UNION ALL SELECT 2", &select, &bench->fault),
		0);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
		assert_int_equal(store_step(select, &row, &bench->fault), 0);
		assert_int_equal(store_column_int64(select, 0), 1);
		if (round == 0)
			assert_int_equal(store_commit(bench->store, &bench->fault), 0);
		else
			store_rollback(bench->store);
	}
}

static void constraints_refuse_each_in_its_way(void **state)
{
	struct bench *bench = *state;
	static const struct {
		const char *sql;
		int code;
	} cases[] = {
		{"INSERT INTO thing (id, name) VALUES (1, 'other')", FAULT_CONFLICT},
		{"INSERT INTO thing (id, name) VALUES (2, 'one')", FAULT_CONFLICT},
		{"INSERT INTO thing (id) VALUES (3)", FAULT_REFUSED},
		{"INSERT INTO thing (id, name, size) VALUES (4, 'four', -1)", FAULT_REFUSED},
		{"INSERT INTO part (thing) VALUES (99)", FAULT_REFUSED},
		{"DELETE FROM thing", FAULT_REFUSED},
		{"SELECT nothing FROM nowhere", FAULT_STORE},
		{"no sql at all", FAULT_STORE},
	};

	assert_int_equal(store_run(bench->store,
				   "INSERT INTO thing (id, name, size) VALUES (1, 'one', 1);"
				   "INSERT INTO part (thing) VALUES (1)",
				   &bench->fault),
			 0);
	for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
		assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
		assert_int_equal(store_run(bench->store, cases[index].sql, &bench->fault),
				 cases[index].code);
		assert_non_null(strstr(bench->fault.text, cases[index].sql));
		store_rollback(bench->store);
	}
	assert_int_equal(thing_count(bench->store), 1);
}

static void changes_and_returned_rows_are_told(void **state)
{
	struct bench *bench = *state;
	bool row = false;

	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	assert_int_equal(thing_insert(bench->store, 1, "one", &bench->fault), 0);
	assert_int_equal(thing_insert(bench->store, 2, "two", &bench->fault), 0);
	STORE_STATEMENT update = NULL;
	assert_int_equal(store_prepare(bench->store,
				       "UPDATE thing SET size = size + $1 WHERE id >= $2", &update,
				       &bench->fault),
			 0);
	store_bind_int64(update, 1, 5);
	store_bind_int64(update, 2, 1);
	assert_int_equal(store_execute(update, &bench->fault), 0);
	assert_int_equal(store_changes(update), 2);
	store_bind_int64(update, 2, 3);
	assert_int_equal(store_execute(update, &bench->fault), 0);
	assert_int_equal(store_changes(update), 0);

	STORE_STATEMENT upsert = NULL;
	assert_int_equal(store_prepare(bench->store,
				       "INSERT INTO thing (id, name, size) VALUES (2, 'two', 100)"
				       " ON CONFLICT (id) DO UPDATE SET size = thing.size + 1"
				       " RETURNING size",
				       &upsert, &bench->fault),
			 0);
	assert_int_equal(store_step(upsert, &row, &bench->fault), 0);
	assert_true(row);
	assert_int_equal(store_column_int64(upsert, 0), 2 + 5 + 1);
	assert_int_equal(store_commit(bench->store, &bench->fault), 0);
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(what_is_committed_is_seen_by_others_and_after_reopening),
		CLAIM(what_is_not_committed_nobody_else_ever_sees),
		CLAIM(a_read_transaction_keeps_its_view_while_others_commit),
		CLAIM(a_copy_is_one_view_while_others_commit),
		CLAIM(a_second_writer_is_told_that_the_store_is_busy),
		CLAIM(the_runner_tries_again_when_busy_and_keeps_only_the_last_attempt),
		CLAIM(the_runner_gives_up_after_its_attempts),
		CLAIM(the_runner_rolls_back_and_hands_on_any_other_fault_at_once),
		CLAIM(after_a_fault_a_transaction_can_only_be_rolled_back),
		CLAIM(writers_in_threads_lose_no_update),
		CLAIM(values_come_back_as_they_were_bound),
		CLAIM(parameters_may_stand_in_any_order_and_more_than_once),
		CLAIM(a_new_use_of_a_statement_has_no_old_bindings),
		CLAIM(one_text_may_be_in_use_twice),
		CLAIM(commit_and_rollback_reset_what_is_in_use),
		CLAIM(constraints_refuse_each_in_its_way),
		CLAIM(changes_and_returned_rows_are_told),
	};
	static const struct variant variants[] = {
		{"sqlite", open_plain},
		{"traced(sqlite)", open_traced},
		{"traced(failing(sqlite)) that never fails", open_failing_never},
	};
	int failures = 0;

	for (size_t index = 0; index < sizeof(variants) / sizeof(variants[0]); index++) {
		print_message("driver: %s\n", variants[index].name);
		bench_of_tests.open = variants[index].open;
		failures += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failures;
}

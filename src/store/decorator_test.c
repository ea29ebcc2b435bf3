#include "store/store.h"

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

static int set_up(void **state)
{
	static struct bench bench;

	*state = &bench;
	store_testing_init(&bench.files);
	if (store_open(bench.files.path, &bench.store, &bench.fault) < 0)
		return -1;
	return store_run(bench.store,
			 "CREATE TABLE account (id INTEGER PRIMARY KEY, balance BIGINT NOT NULL);"
			 "INSERT INTO account (id, balance) VALUES (1, 100), (2, 0)",
			 &bench.fault);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	store_close(bench->store);
	store_testing_fini(&bench->files);
	return 0;
}

static int64_t balance_of(struct bench *bench, int64_t id)
{
	struct store *reader = NULL;
	int64_t balance = -1;

	assert_int_equal(store_open(bench->files.path, &reader, &bench->fault), 0);
	{
		STORE_STATEMENT select = NULL;
		bool row = false;
		assert_int_equal(store_prepare(reader, "SELECT balance FROM account WHERE id = $1",
					       &select, &bench->fault),
				 0);
		store_bind_int64(select, 1, id);
		assert_int_equal(store_step(select, &row, &bench->fault), 0);
		balance = store_column_int64(select, 0);
	}
	store_close(reader);
	return balance;
}

/* Ten from account 1 to account 2, in two statements. */
static int move(struct store *store, void *context, struct fault *fault)
{
	const int64_t changes[] = {-10, 10};

	(void)context;
	for (int64_t id = 1; id <= 2; id++) {
		STORE_STATEMENT update = NULL;
		int code = store_prepare(store,
					 "UPDATE account SET balance = balance + $1 WHERE id = $2",
					 &update, fault);
		if (code < 0)
			return code;
		store_bind_int64(update, 1, changes[id - 1]);
		store_bind_int64(update, 2, id);
		code = store_execute(update, fault);
		if (code < 0)
			return code;
	}
	return 0;
}

static void whichever_operation_fails_nothing_is_half_done(void **state)
{
	struct bench *bench = *state;
	struct store_failure failure = {0};
	int code = FAULT_STORE;

	store_fail(bench->store, &failure);
	while (code < 0) {
		failure.calls = 0;
		failure.fail_at++;
		assert_true(failure.fail_at < 20);
		code = store_transaction(bench->store, move, NULL, &bench->fault);
		assert_false(store_in_transaction(bench->store));
		if (code == 0)
			break;
		assert_int_equal(code, FAULT_STORE);
		assert_non_null(strstr(bench->fault.text, "made to fail"));
		assert_int_equal(balance_of(bench, 1), 100);
		assert_int_equal(balance_of(bench, 2), 0);
	}
	assert_int_equal(failure.fail_at, 5); /* begin, step, step, commit: it stays prepared */
	assert_int_equal(balance_of(bench, 1), 90);
	assert_int_equal(balance_of(bench, 2), 10);
}

static void a_lost_answer_of_a_commit_leaves_it_committed(void **state)
{
	struct bench *bench = *state;
	struct store_failure failure = {.fail_at = 5, .afterwards = true};

	store_fail(bench->store, &failure);
	assert_int_equal(store_transaction(bench->store, move, NULL, &bench->fault), FAULT_STORE);
	assert_int_equal(balance_of(bench, 1), 90);
	assert_int_equal(balance_of(bench, 2), 10);
}

static void a_lost_answer_of_anything_before_leaves_nothing(void **state)
{
	struct bench *bench = *state;
	struct store_failure failure = {.afterwards = true};

	store_fail(bench->store, &failure);
	for (failure.fail_at = 1; failure.fail_at < 4; failure.fail_at++) {
		failure.calls = 0;
		assert_int_equal(store_transaction(bench->store, move, NULL, &bench->fault),
				 FAULT_STORE);
		assert_int_equal(balance_of(bench, 1), 100);
	}
}

static void a_failure_for_ever_ends_when_it_is_taken_away(void **state)
{
	struct bench *bench = *state;
	struct store_failure failure = {.fail_at = 2, .for_ever = true, .code = FAULT_DAMAGED};

	store_fail(bench->store, &failure);
	for (unsigned round = 0; round < 3; round++)
		assert_int_equal(store_transaction(bench->store, move, NULL, &bench->fault),
				 FAULT_DAMAGED);
	failure.fail_at = 0;
	assert_int_equal(store_transaction(bench->store, move, NULL, &bench->fault), 0);
	assert_int_equal(balance_of(bench, 2), 10);
}

static void a_failure_that_says_busy_once_is_hidden_by_the_runner(void **state)
{
	struct bench *bench = *state;
	struct store_failure failure = {.code = FAULT_BUSY};

	store_fail(bench->store, &failure);
	for (failure.fail_at = 1; failure.fail_at <= 5; failure.fail_at++) {
		failure.calls = 0;
		assert_int_equal(store_transaction(bench->store, move, NULL, &bench->fault), 0);
		assert_int_equal(balance_of(bench, 2), 10 * (int64_t)failure.fail_at);
	}
}

struct traced {
	size_t count[STORE_OPERATION_STEP + 1];
	char text[1024]; /* names, one a line */
};

static void trace_write(void *context, const struct store_trace *trace)
{
	struct traced *traced = context;
	const size_t used = strlen(traced->text);

	traced->count[trace->operation]++;
	snprintf(traced->text + used, sizeof(traced->text) - used, "%s%s%s\n",
		 store_operation_name(trace->operation), trace->row ? " row" : "",
		 trace->code < 0 ? " fault" : "");
}

static void a_trace_tells_every_operation_in_order(void **state)
{
	struct bench *bench = *state;
	struct traced traced = {0};

	store_trace(bench->store, trace_write, &traced);
	assert_int_equal(store_transaction(bench->store, move, NULL, &bench->fault), 0);
	assert_string_equal(traced.text, "begin\nprepare\nstep\nstep\ncommit\n");
	traced.text[0] = '\0';
	assert_int_equal(store_run(bench->store, "nonsense", &bench->fault), FAULT_STORE);
	assert_string_equal(traced.text, "run fault\n");
}

static void a_text_is_prepared_once_however_often_it_is_used(void **state)
{
	struct bench *bench = *state;
	struct traced traced = {0};

	store_trace(bench->store, trace_write, &traced);
	for (unsigned round = 0; round < 10; round++)
		assert_int_equal(store_transaction(bench->store, move, NULL, &bench->fault), 0);
	assert_int_equal(traced.count[STORE_OPERATION_PREPARE], 1);
	assert_int_equal(traced.count[STORE_OPERATION_STEP], 20);
}

static void the_cache_keeps_what_was_used_last_up_to_its_maximum(void **state)
{
	static char texts[STORE_STATEMENTS_MAX + 1][32];
	struct bench *bench = *state;
	struct traced traced = {0};
	const size_t count = sizeof(texts) / sizeof(texts[0]);

	store_trace(bench->store, trace_write, &traced);
	for (size_t index = 0; index < count + 2; index++) {
		/* Text 0 stays in use all the time, so text 1 is what goes. */
		const size_t which = index < count ? index : index - count;
		STORE_STATEMENT select = NULL;
		STORE_STATEMENT first = NULL;
		snprintf(texts[which], sizeof(texts[which]), "SELECT %zu", which);
		assert_int_equal(store_prepare(bench->store, texts[0], &first, &bench->fault), 0);
		store_statement_release(&first);
		assert_int_equal(store_prepare(bench->store, texts[which], &select, &bench->fault),
				 0);
	}
	assert_int_equal(traced.count[STORE_OPERATION_PREPARE], count + 1);
}

static void decorators_stand_in_each_other(void **state)
{
	struct bench *bench = *state;
	struct store_failure failure = {.fail_at = 3};
	struct traced traced = {0};

	store_fail(bench->store, &failure);
	store_trace(bench->store, trace_write, &traced);
	assert_int_equal(store_transaction(bench->store, move, NULL, &bench->fault), FAULT_STORE);
	assert_string_equal(traced.text, "begin\nprepare\nstep fault\nrollback\n");
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(whichever_operation_fails_nothing_is_half_done),
		CLAIM(a_lost_answer_of_a_commit_leaves_it_committed),
		CLAIM(a_lost_answer_of_anything_before_leaves_nothing),
		CLAIM(a_failure_for_ever_ends_when_it_is_taken_away),
		CLAIM(a_failure_that_says_busy_once_is_hidden_by_the_runner),
		CLAIM(a_trace_tells_every_operation_in_order),
		CLAIM(a_text_is_prepared_once_however_often_it_is_used),
		CLAIM(the_cache_keeps_what_was_used_last_up_to_its_maximum),
		CLAIM(decorators_stand_in_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A writer is killed with SIGKILL at random moments, over and over, on one store. Each transaction
 * writes its number into two tables and is acknowledged through a pipe once it was committed.
 * Afterwards every acknowledged number is there, in both tables, without a gap, and at most the
 * one transaction in flight besides.
 */
#include "store/store.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/random.h"
#include "store/store_testing.h"

#define ROUNDS      40
#define COMMITS_MAX 60     /* acknowledged before the kill, in one round */
#define DELAY_MAX   200000 /* turns of an empty loop between an acknowledgement and the kill */
#define BODY_MAX    2000   /* so that pages split and the log is folded back, too */

static int number_write(struct store *store, const char *sql, int64_t number, struct fault *fault)
{
	static char body[BODY_MAX];
	STORE_STATEMENT insert = NULL;

	int code = store_prepare(store, sql, &insert, fault);
	if (code < 0)
		return code;
	memset(body, 'a' + (int)(number % 26), sizeof(body));
	store_bind_int64(insert, 1, number);
	store_bind_text(insert, 2, slice_make(body, (size_t)(number * 37 % BODY_MAX)));
	return store_execute(insert, fault);
}

static int pair_write(struct store *store, void *context, struct fault *fault)
{
	const int64_t *number = context;

	int code = number_write(store, "INSERT INTO a (id, body) VALUES ($1, $2)", *number, fault);
	if (code == 0)
		code = number_write(store, "INSERT INTO b (id, body) VALUES ($1, $2)", *number,
				    fault);
	return code;
}

/* The child: writes until it is killed. */
static _Noreturn void writer_run(const char *path, int64_t number, int acknowledge)
{
	struct fault fault = {0};
	struct store *store = NULL;

	check_equal(store_open(path, &store, &fault), 0);
	for (;; number++) {
		check_equal(store_transaction(store, pair_write, &number, &fault), 0);
		check_equal(write(acknowledge, &number, sizeof(number)), sizeof(number));
	}
}

static int64_t number_of(struct store *store, const char *sql)
{
	struct fault fault = {0};
	STORE_STATEMENT select = NULL;
	bool row = false;

	if (store_prepare(store, sql, &select, &fault) < 0 ||
	    store_step(select, &row, &fault) < 0 || !row)
		fail_msg("%s", fault.text);
	return store_column_int64(select, 0);
}

/* Returns the newest number that is there. */
static int64_t verify(const char *path, int64_t acknowledged)
{
	struct fault fault = {0};
	struct store *store = NULL;

	if (store_open(path, &store, &fault) < 0)
		fail_msg("%s", fault.text);
	const int64_t newest = number_of(store, "SELECT coalesce(max(id), 0) FROM a");
	assert_in_range(newest, acknowledged, acknowledged + 1);
	assert_int_equal(number_of(store, "SELECT count(*) FROM a"), newest);
	assert_int_equal(number_of(store, "SELECT count(*) FROM b"), newest);
	assert_int_equal(number_of(store,
				   "SELECT count(*) FROM a JOIN b ON a.id = b.id"
				   " WHERE a.body = b.body AND length(a.body) = a.id * 37 % 2000"),
			 newest);
	assert_int_equal(number_of(store, "SELECT count(*) FROM pragma_integrity_check"
					  " WHERE integrity_check = 'ok'"),
			 1);
	store_close(store);
	return newest;
}

static void kill_round(struct random *random, const char *path, int64_t *newest)
{
	const uint64_t commits = random_below(random, COMMITS_MAX) + 1;
	const uint64_t delay = random_below(random, DELAY_MAX);
	int64_t acknowledged = *newest;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(ends[0]);
		writer_run(path, *newest + 1, ends[1]);
	}
	close(ends[1]);
	for (uint64_t count = 0; count < commits; count++)
		assert_int_equal(read(ends[0], &acknowledged, sizeof(acknowledged)),
				 sizeof(acknowledged));
	for (volatile uint64_t turn = 0; turn < delay; turn++)
		;
	assert_int_equal(kill(child, SIGKILL), 0);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	while (read(ends[0], &acknowledged, sizeof(acknowledged)) == sizeof(acknowledged))
		;
	close(ends[0]);
	*newest = verify(path, acknowledged);
}

static void what_was_acknowledged_survives_kill_9_at_any_moment(void **state)
{
	const char *given = getenv("STOA_TEST_SEED");
	struct random_seeded random;
	struct store_testing files;
	struct store *store = NULL;
	struct fault fault = {0};
	int64_t newest = 0;
	uint64_t seed;

	(void)state;
	if (given == NULL || !slice_to_u64(slice_of(given), UINT64_MAX, &seed))
		seed = random_u64(random_system());
	print_message("STOA_TEST_SEED=%" PRIu64 "\n", seed);
	random_seeded_init(&random, seed);
	store_testing_init(&files);
	assert_int_equal(store_open(files.path, &store, &fault), 0);
	assert_int_equal(store_run(store,
				   "CREATE TABLE a (id INTEGER PRIMARY KEY, body TEXT);"
				   "CREATE TABLE b (id INTEGER PRIMARY KEY, body TEXT)",
				   &fault),
			 0);
	store_close(store);
	for (unsigned round = 0; round < ROUNDS; round++)
		kill_round(&random.random, files.path, &newest);
	print_message("%" PRId64 " transactions, %d kills\n", newest, ROUNDS);
	store_testing_fini(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_acknowledged_survives_kill_9_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

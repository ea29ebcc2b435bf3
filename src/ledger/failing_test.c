/*
 * The ledger when the store fails under it, and when two handles work at once.
 */
#include "ledger/ledger.h"

#include <pthread.h>

#include "base/random.h"
#include "ledger/ledger_testing.h"

#define NOW       LEDGER_TESTING_NOW_NS
#define S         LEDGER_TESTING_S_NS
#define ACCOUNTS  4
#define TURN      8 /* transfers */
#define CALLS_MAX 200

struct bench {
	struct ledger_testing testing;
	struct ledger_testing observer;             /* its store never fails */
	struct ledger_account_id account[ACCOUNTS]; /* the first one is limited */
	struct ledger_transfer turn[TURN];
	enum ledger_outcome outcomes[TURN];
	size_t expired;
};

static struct ledger_transfer transfer_of(const struct bench *bench, uint64_t number, int debit,
					  int credit, int64_t amount, uint32_t flags)
{
	return (struct ledger_transfer){
		.id = ledger_transfer_id_derive(LEDGER_KIND_USAGE, number, 0, 0),
		.debit = bench->account[debit],
		.credit = bench->account[credit],
		.amount_nano = amount,
		.kind = LEDGER_KIND_USAGE,
		.flags = flags,
	};
}

static struct ledger_transfer resolve_of(uint64_t number, uint64_t pending, uint32_t flags)
{
	return (struct ledger_transfer){
		.id = ledger_transfer_id_derive(LEDGER_KIND_USAGE, number, 0, 0),
		.pending_id = ledger_transfer_id_derive(LEDGER_KIND_USAGE, pending, 0, 0),
		.amount_nano = (flags & LEDGER_POST) != 0 ? 3 : 0,
		.flags = flags,
	};
}

static int set_up(void **state)
{
	static struct bench bench;

	memset(&bench, 0, sizeof(bench));
	*state = &bench;
	ledger_testing_init(&bench.testing);
	bench.observer.files = bench.testing.files;
	ledger_testing_open(&bench.observer);
	for (int index = 0; index < ACCOUNTS; index++) {
		char name[16];
		snprintf(name, sizeof(name), "account-%d", index);
		bench.account[index] = ledger_testing_account(
			&bench.testing, LEDGER_MONEY, name,
			index == 0 ? LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS : 0);
	}

	struct ledger_transfer before[] = {
		transfer_of(&bench, 1, 1, 0, 1000, 0),
		transfer_of(&bench, 2, 0, 2, 10, LEDGER_PENDING),
		transfer_of(&bench, 3, 0, 2, 10, LEDGER_PENDING),
		transfer_of(&bench, 4, 0, 3, 10, LEDGER_PENDING),
	};
	before[3].timeout_s = 1;
	ledger_testing_batch(&bench.testing, before, 4, NOW, bench.outcomes);
	const struct ledger_transfer turn[TURN] = {
		transfer_of(&bench, 10, 0, 2, 7, 0),
		resolve_of(11, 2, LEDGER_POST),
		resolve_of(12, 3, LEDGER_VOID),
		transfer_of(&bench, 13, 0, 3, 20, LEDGER_PENDING),
		transfer_of(&bench, 14, 0, 3, 5, LEDGER_LINKED),
		transfer_of(&bench, 15, 0, 3, 5000, 0),
		transfer_of(&bench, 16, 2, 3, 1, LEDGER_LINKED),
		transfer_of(&bench, 17, 3, 1, 1, 0),
	};
	memcpy(bench.turn, turn, sizeof(turn));
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	(void)ledger_testing_audit(&bench->testing);
	ledger_testing_close(&bench->observer);
	ledger_testing_fini(&bench->testing);
	return 0;
}

/* As a poster's turn: what is due expires, a batch is made, all in one transaction. */
static int turn_run(struct store *store, void *context, struct fault *fault)
{
	struct bench *bench = context;

	(void)store;
	int code = ledger_transfers_expire(bench->testing.ledger, NOW + 2 * S, 10, &bench->expired,
					   fault);
	if (code == 0)
		code = ledger_transfers_create(bench->testing.ledger, bench->turn, TURN,
					       NOW + 2 * S, bench->outcomes, fault);
	return code;
}

static int turn_try(struct bench *bench)
{
	return store_transaction(bench->testing.store, turn_run, bench, &bench->testing.fault);
}

static void observe(struct bench *bench, struct ledger_account accounts[ACCOUNTS])
{
	(void)ledger_testing_audit(&bench->observer);
	for (int index = 0; index < ACCOUNTS; index++)
		accounts[index] = ledger_testing_get(&bench->observer, bench->account[index]);
}

static void expect_done(struct bench *bench)
{
	const int64_t posted[ACCOUNTS][2] = {{7 + 3, 1000}, {1000, 1}, {1, 7 + 3}, {1, 1}};

	for (int index = 0; index < ACCOUNTS; index++) {
		const struct ledger_account is =
			ledger_testing_get(&bench->observer, bench->account[index]);
		assert_int_equal(is.debits_posted_nano, posted[index][0]);
		assert_int_equal(is.credits_posted_nano, posted[index][1]);
		assert_int_equal(is.debits_pending_nano, index == 0 ? 20 : 0);
		assert_int_equal(is.credits_pending_nano, index == 3 ? 20 : 0);
	}
	assert_int_equal(ledger_testing_audit(&bench->observer).transfers, 4 + 6);
}

static void expect_outcomes(const struct bench *bench)
{
	const enum ledger_outcome expected[TURN] = {
		LEDGER_CREATED,       LEDGER_CREATED,         LEDGER_CREATED, LEDGER_CREATED,
		LEDGER_LINKED_FAILED, LEDGER_EXCEEDS_CREDITS, LEDGER_CREATED, LEDGER_CREATED,
	};

	assert_int_equal(bench->expired, 1);
	for (int index = 0; index < TURN; index++)
		assert_string_equal(ledger_outcome_name(bench->outcomes[index]),
				    ledger_outcome_name(expected[index]));
}

/* Fails the 1st, 2nd, 3rd .. operation until a turn is done. */
static uint64_t fail_each(struct bench *bench, struct store_failure failure)
{
	struct ledger_account before[ACCOUNTS];
	struct ledger_account after[ACCOUNTS];
	int code;

	observe(bench, before);
	store_fail(bench->testing.store, &failure);
	do {
		failure.calls = 0;
		failure.fail_at++;
		assert_true(failure.fail_at < CALLS_MAX);
		code = turn_try(bench);
		if (code < 0) {
			assert_int_equal(code, FAULT_STORE);
			observe(bench, after);
			if (failure.afterwards && after[0].debits_posted_nano == 7 + 3)
				break; /* the commit's answer was lost */
			assert_memory_equal(before, after, sizeof(before));
		}
	} while (code < 0);
	failure.fail_at = 0;
	expect_done(bench);
	const uint64_t calls = failure.calls;
	/* And once more: everything exists, nothing happens. */
	assert_int_equal(turn_try(bench), 0);
	assert_int_equal(bench->expired, 0);
	assert_int_equal(bench->outcomes[0], LEDGER_EXISTS);
	assert_int_equal(bench->outcomes[3], LEDGER_EXISTS);
	expect_done(bench);
	ledger_testing_close(&bench->testing);
	ledger_testing_open(&bench->testing);
	return calls;
}

static void whichever_operation_fails_the_turn_is_done_whole_or_not_at_all(void **state)
{
	struct bench *bench = *state;

	/* Each transfer, account and state is read and written by an operation of its own. */
	assert_true(fail_each(bench, (struct store_failure){0}) > 20);
}

static void a_store_that_keeps_failing_keeps_the_turn_undone(void **state)
{
	(void)fail_each(*state, (struct store_failure){.for_ever = true});
}

static void whichever_answer_is_lost_the_turn_is_done_whole_or_not_at_all(void **state)
{
	(void)fail_each(*state, (struct store_failure){.afterwards = true});
}

static void a_busy_store_is_asked_again_and_the_turn_done_once(void **state)
{
	struct bench *bench = *state;
	struct store_failure failure = {.code = FAULT_BUSY, .fail_at = 12};

	store_fail(bench->testing.store, &failure);
	assert_int_equal(turn_try(bench), 0);
	expect_outcomes(bench);
	expect_done(bench);
	ledger_testing_close(&bench->testing);
	ledger_testing_open(&bench->testing);
}

/* ---- two handles ---- */

#define RACES        60
#define RACE_BATCH   20
#define RACE_THREADS 2

struct race {
	struct bench *bench;
	uint64_t seed;
	uint8_t created[RACES * RACE_BATCH]; /* by number */
};

struct race_turn {
	struct ledger_testing *testing;
	const struct ledger_transfer *transfers;
	enum ledger_outcome *outcomes;
};

static int race_turn_run(struct store *store, void *context, struct fault *fault)
{
	struct race_turn *turn = context;

	(void)store;
	return ledger_transfers_create(turn->testing->ledger, turn->transfers, RACE_BATCH, NOW,
				       turn->outcomes, fault);
}

/* Both threads try the same transfers, whose amounts depend on their numbers alone. */
static void *race_run(void *context)
{
	struct race *race = context;
	struct random_seeded random;
	struct ledger_testing testing = {.files = race->bench->testing.files};
	struct ledger_transfer transfers[RACE_BATCH];
	enum ledger_outcome outcomes[RACE_BATCH];
	uint64_t numbers[RACE_BATCH];
	struct race_turn turn = {&testing, transfers, outcomes};

	random_seeded_init(&random, race->seed);
	check_equal(store_open(testing.files.path, &testing.store, &testing.fault), 0);
	check_equal(ledger_new(testing.store, &testing.ledger, &testing.fault), 0);
	for (unsigned round = 0; round < RACES; round++) {
		for (unsigned index = 0; index < RACE_BATCH; index++) {
			const uint64_t number =
				round * RACE_BATCH + random_below(&random.random, RACE_BATCH);
			numbers[index] = number;
			transfers[index] = transfer_of(race->bench, 1000 + number, number % 3 == 0,
						       2, 1 + (int64_t)(number % 7), 0);
		}
		check_equal(store_transaction(testing.store, race_turn_run, &turn, &testing.fault),
			    0);
		for (unsigned index = 0; index < RACE_BATCH; index++)
			race->created[numbers[index]] += outcomes[index] == LEDGER_CREATED;
	}
	ledger_testing_close(&testing);
	return NULL;
}

static void two_handles_at_once_make_each_transfer_once_within_the_limit(void **state)
{
	struct bench *bench = *state;
	static struct race races[RACE_THREADS];
	pthread_t threads[RACE_THREADS];
	const uint64_t before = ledger_testing_audit(&bench->testing).transfers;
	uint64_t created = 0;

	for (unsigned index = 0; index < RACE_THREADS; index++) {
		races[index] = (struct race){.bench = bench, .seed = random_u64(random_system())};
		print_message("seed %llu\n", (unsigned long long)races[index].seed);
		pthread_create(&threads[index], NULL, race_run, &races[index]);
	}
	for (unsigned index = 0; index < RACE_THREADS; index++)
		pthread_join(threads[index], NULL);
	for (unsigned number = 0; number < RACES * RACE_BATCH; number++) {
		assert_in_range(races[0].created[number] + races[1].created[number], 0, 1);
		created += races[0].created[number] + races[1].created[number];
	}
	assert_int_equal(ledger_testing_audit(&bench->testing).transfers, before + created);
	const struct ledger_account limited =
		ledger_testing_get(&bench->testing, bench->account[0]);
	assert_in_range(ledger_account_available(&limited).nano, 0, 6); /* all but spent */
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(whichever_operation_fails_the_turn_is_done_whole_or_not_at_all),
		CLAIM(a_store_that_keeps_failing_keeps_the_turn_undone),
		CLAIM(whichever_answer_is_lost_the_turn_is_done_whole_or_not_at_all),
		CLAIM(a_busy_store_is_asked_again_and_the_turn_done_once),
		CLAIM(two_handles_at_once_make_each_transfer_once_within_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

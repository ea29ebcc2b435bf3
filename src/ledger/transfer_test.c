#include "ledger/ledger.h"

#include "ledger/ledger_testing.h"

#define NOW LEDGER_TESTING_NOW_NS
#define S   LEDGER_TESTING_S_NS

enum { OUTSIDE, ALICE, BOB, LENT, CLOSED, FULL, BUDGET, ACCOUNTS };

struct bench {
	struct ledger_testing testing;
	struct ledger_account_id account[ACCOUNTS];
};

/* Transfers that stand before each test of a refusal, by the low half of their id. */
enum { FUNDED = 1, RESERVED, POSTED, POSTING, VOIDED, VOIDING, TIMED, EXPIRED, FILLED, TO_CLOSED };

static struct ledger_transfer_id id_of(uint64_t number)
{
	return (struct ledger_transfer_id){.high = 1, .low = number};
}

static struct ledger_transfer transfer_of(const struct bench *bench, uint64_t number, int debit,
					  int credit, int64_t amount, uint32_t flags)
{
	return (struct ledger_transfer){
		.id = id_of(number),
		.debit = bench->account[debit],
		.credit = bench->account[credit],
		.amount_nano = amount,
		.kind = LEDGER_KIND_USAGE,
		.flags = flags,
	};
}

static struct ledger_transfer resolve_of(uint64_t number, uint64_t pending, int64_t amount,
					 uint32_t flags)
{
	return (struct ledger_transfer){
		.id = id_of(number),
		.amount_nano = amount,
		.flags = flags,
		.pending_id = id_of(pending),
	};
}

static enum ledger_outcome create(struct bench *bench, struct ledger_transfer transfer)
{
	return ledger_testing_one(&bench->testing, transfer, NOW);
}

static void must_create(struct bench *bench, struct ledger_transfer transfer)
{
	assert_string_equal(ledger_outcome_name(create(bench, transfer)), "created");
}

static void expect_balances(struct bench *bench, int account, int64_t debits_pending,
			    int64_t debits_posted, int64_t credits_pending, int64_t credits_posted)
{
	const struct ledger_account is =
		ledger_testing_get(&bench->testing, bench->account[account]);

	assert_int_equal(is.debits_pending_nano, debits_pending);
	assert_int_equal(is.debits_posted_nano, debits_posted);
	assert_int_equal(is.credits_pending_nano, credits_pending);
	assert_int_equal(is.credits_posted_nano, credits_posted);
}

static int set_up(void **state)
{
	static struct bench bench;
	static const struct {
		const char *name;
		uint32_t number;
		uint32_t flags;
	} accounts[ACCOUNTS] = {
		[OUTSIDE] = {"outside", LEDGER_MONEY, 0},
		[ALICE] = {"alice", LEDGER_MONEY, LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS},
		[BOB] = {"bob", LEDGER_MONEY, 0},
		[LENT] = {"lent", LEDGER_MONEY, LEDGER_CREDITS_MUST_NOT_EXCEED_DEBITS},
		[CLOSED] = {"closed", LEDGER_MONEY, 0},
		[FULL] = {"full", LEDGER_MONEY, 0},
		[BUDGET] = {"budget", LEDGER_BUDGETS, 0},
	};

	*state = &bench;
	ledger_testing_init(&bench.testing);
	for (int index = 0; index < ACCOUNTS; index++)
		bench.account[index] =
			ledger_testing_account(&bench.testing, accounts[index].number,
					       accounts[index].name, accounts[index].flags);
	must_create(&bench, transfer_of(&bench, FUNDED, OUTSIDE, ALICE, 100, 0));
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	(void)ledger_testing_audit(&bench->testing);
	ledger_testing_fini(&bench->testing);
	return 0;
}

/* ---- refusals ---- */

static void stage_set(struct bench *bench)
{
	struct ledger_transfer timed = transfer_of(bench, TIMED, ALICE, BOB, 1, LEDGER_PENDING);
	struct ledger_transfer expired = transfer_of(bench, EXPIRED, ALICE, BOB, 1, LEDGER_PENDING);
	size_t count;

	timed.timeout_s = expired.timeout_s = 1;
	must_create(bench, transfer_of(bench, RESERVED, ALICE, BOB, 40, LEDGER_PENDING));
	must_create(bench, transfer_of(bench, POSTED, ALICE, BOB, 5, LEDGER_PENDING));
	must_create(bench, resolve_of(POSTING, POSTED, 5, LEDGER_POST));
	must_create(bench, transfer_of(bench, VOIDED, ALICE, BOB, 5, LEDGER_PENDING));
	must_create(bench, resolve_of(VOIDING, VOIDED, 0, LEDGER_VOID));
	must_create(bench, transfer_of(bench, TO_CLOSED, BOB, CLOSED, 5, LEDGER_PENDING));
	must_create(bench, transfer_of(bench, FILLED, FULL, OUTSIDE, INT64_MAX - 200, 0));
	assert_int_equal(ledger_testing_one(&bench->testing, expired, NOW - 2 * S), LEDGER_CREATED);
	ledger_testing_begin(&bench->testing);
	ledger_testing_good(&bench->testing,
			    ledger_transfers_expire(bench->testing.ledger, NOW - S, 10, &count,
						    &bench->testing.fault));
	assert_int_equal(count, 1);
	ledger_testing_good(&bench->testing,
			    ledger_account_close(bench->testing.ledger, bench->account[CLOSED],
						 true, &bench->testing.fault));
	ledger_testing_commit(&bench->testing);
	assert_int_equal(ledger_testing_one(&bench->testing, timed, NOW - S), LEDGER_CREATED);
}

struct refusal {
	enum ledger_outcome outcome;
	struct ledger_transfer transfer;
};

#define ROW(expected, base, ...)                                            \
	do {                                                                \
		struct ledger_transfer t = (base);                          \
		__VA_ARGS__;                                                \
		refusals[count++] = (struct refusal){LEDGER_##expected, t}; \
	} while (0)

static size_t repeats_list(const struct bench *bench, struct refusal *refusals)
{
	const struct ledger_transfer funded = transfer_of(bench, FUNDED, OUTSIDE, ALICE, 100, 0);
	size_t count = 0;

	ROW(EXISTS, funded, );
	ROW(EXISTS, resolve_of(POSTING, POSTED, 5, LEDGER_POST), );
	ROW(EXISTS, resolve_of(POSTING, POSTED, LEDGER_AMOUNT_ALL, LEDGER_POST), );
	ROW(EXISTS, resolve_of(VOIDING, VOIDED, 0, LEDGER_VOID), );
	ROW(EXISTS, resolve_of(VOIDING, VOIDED, 5, LEDGER_VOID), );
	ROW(EXISTS_WITH_DIFFERENT, transfer_of(bench, FUNDED, OUTSIDE, ALICE, 101, 0), );
	ROW(EXISTS_WITH_DIFFERENT, transfer_of(bench, FUNDED, OUTSIDE, BOB, 100, 0), );
	ROW(EXISTS_WITH_DIFFERENT, transfer_of(bench, FUNDED, BOB, ALICE, 100, 0), );
	ROW(EXISTS_WITH_DIFFERENT,
	    transfer_of(bench, FUNDED, OUTSIDE, ALICE, 100, LEDGER_PENDING), );
	ROW(EXISTS_WITH_DIFFERENT, funded, t.kind = LEDGER_KIND_FEE);
	ROW(EXISTS_WITH_DIFFERENT, funded, t.period = 1);
	ROW(EXISTS_WITH_DIFFERENT, funded, t.subscription.value = 1);
	ROW(EXISTS_WITH_DIFFERENT, transfer_of(bench, RESERVED, ALICE, BOB, 40, LEDGER_PENDING),
	    t.timeout_s = 1);
	ROW(EXISTS_WITH_DIFFERENT, resolve_of(POSTING, POSTED, 4, LEDGER_POST), );
	ROW(EXISTS_WITH_DIFFERENT, resolve_of(POSTING, RESERVED, 5, LEDGER_POST), );
	ROW(EXISTS_WITH_DIFFERENT, resolve_of(POSTING, POSTED, 5, LEDGER_POST), t.period = 1);
	return count;
}

static size_t refusals_list(const struct bench *bench, struct refusal *refusals)
{
	const struct ledger_transfer good = transfer_of(bench, 100, ALICE, BOB, 1, 0);
	const struct ledger_transfer post = resolve_of(100, RESERVED, 1, LEDGER_POST);
	size_t count = 0;

	ROW(LINKED_CHAIN_OPEN, good, t.flags = LEDGER_LINKED);
	ROW(ID_MISSING, good, t.id = (struct ledger_transfer_id){0});
	ROW(FLAGS_UNKNOWN, good, t.flags = 1u << 31);
	ROW(FLAGS_EXCLUSIVE, good, t.flags = LEDGER_PENDING | LEDGER_POST);
	ROW(FLAGS_EXCLUSIVE, good, t.flags = LEDGER_POST | LEDGER_VOID);
	ROW(KIND_UNKNOWN, good, t.kind = (enum ledger_kind)0);
	ROW(KIND_UNKNOWN, post, t.kind = (enum ledger_kind)99);
	ROW(PENDING_ID_UNEXPECTED, good, t.pending_id = id_of(RESERVED));
	ROW(PENDING_ID_MISSING, post, t.pending_id = (struct ledger_transfer_id){0});
	ROW(PENDING_ID_IS_OWN, post, t.pending_id = t.id);
	ROW(TIMEOUT_UNEXPECTED, good, t.timeout_s = 1);
	ROW(TIMEOUT_UNEXPECTED, post, t.timeout_s = 1);
	ROW(AMOUNT_NOT_POSITIVE, good, t.amount_nano = 0);
	ROW(AMOUNT_NOT_POSITIVE, good, t.amount_nano = INT64_MIN);
	ROW(AMOUNT_NOT_POSITIVE, post, t.amount_nano = 0);
	ROW(AMOUNT_NOT_POSITIVE, resolve_of(100, RESERVED, -1, LEDGER_VOID), );
	ROW(ACCOUNTS_SAME, good, t.credit = t.debit);
	ROW(DEBIT_ACCOUNT_NOT_FOUND, good, t.debit.value = 999);
	ROW(CREDIT_ACCOUNT_NOT_FOUND, good, t.credit.value = 999);
	ROW(LEDGERS_DIFFER, good, t.credit = bench->account[BUDGET]);
	ROW(PENDING_NOT_FOUND, post, t.pending_id = id_of(999));
	ROW(PENDING_NOT_PENDING, post, t.pending_id = id_of(FUNDED));
	ROW(PENDING_NOT_PENDING, post, t.pending_id = id_of(POSTING));
	ROW(PENDING_DIFFERENT_DEBIT, post, t.debit = bench->account[OUTSIDE]);
	ROW(PENDING_DIFFERENT_CREDIT, post, t.credit = bench->account[OUTSIDE]);
	ROW(PENDING_DIFFERENT_KIND, post, t.kind = LEDGER_KIND_FEE);
	ROW(EXCEEDS_PENDING, post, t.amount_nano = 41);
	ROW(EXCEEDS_PENDING, resolve_of(100, RESERVED, 41, LEDGER_VOID), );
	ROW(PENDING_DIFFERENT_AMOUNT, resolve_of(100, RESERVED, 39, LEDGER_VOID), );
	ROW(ALREADY_POSTED, resolve_of(100, POSTED, 1, LEDGER_POST), );
	ROW(ALREADY_POSTED, resolve_of(100, POSTED, 0, LEDGER_VOID), );
	ROW(ALREADY_VOIDED, resolve_of(100, VOIDED, 1, LEDGER_POST), );
	ROW(ALREADY_VOIDED, resolve_of(100, VOIDED, 0, LEDGER_VOID), );
	ROW(EXPIRED, resolve_of(100, TIMED, 1, LEDGER_POST), );
	ROW(EXPIRED, resolve_of(100, TIMED, 0, LEDGER_VOID), );
	ROW(EXPIRED, resolve_of(100, EXPIRED, 0, LEDGER_VOID), );
	ROW(DEBIT_ACCOUNT_CLOSED, good, t.debit = bench->account[CLOSED]);
	ROW(CREDIT_ACCOUNT_CLOSED, good, t.credit = bench->account[CLOSED]);
	ROW(CREDIT_ACCOUNT_CLOSED, resolve_of(100, TO_CLOSED, 1, LEDGER_POST), );
	ROW(OVERFLOWS_DEBITS, transfer_of(bench, 100, FULL, BOB, 201, 0), );
	ROW(OVERFLOWS_DEBITS, transfer_of(bench, 100, FULL, BOB, INT64_MAX, LEDGER_PENDING), );
	ROW(OVERFLOWS_CREDITS, transfer_of(bench, 100, BOB, OUTSIDE, 201, 0), );
	ROW(EXCEEDS_CREDITS, transfer_of(bench, 100, ALICE, BOB, 55, 0), );
	ROW(EXCEEDS_CREDITS, transfer_of(bench, 100, ALICE, BOB, 55, LEDGER_PENDING), );
	ROW(EXCEEDS_DEBITS, transfer_of(bench, 100, BOB, LENT, 1, 0), );
	return count;
}

#undef ROW

static void every_refusal_is_told_and_changes_nothing(void **state)
{
	/* Of a chain, not of a transfer; and an overflow that needs another time. */
	bool told[LEDGER_OUTCOMES_COUNT] = {[LEDGER_CREATED] = true,
					    [LEDGER_LINKED_FAILED] = true,
					    [LEDGER_OVERFLOWS_TIMEOUT] = true};
	static struct refusal refusals[128];
	struct bench *bench = *state;
	struct ledger_account before[ACCOUNTS];

	stage_set(bench);
	size_t count = repeats_list(bench, refusals);
	count += refusals_list(bench, refusals + count);
	const struct ledger_audit audit = ledger_testing_audit(&bench->testing);
	for (int index = 0; index < ACCOUNTS; index++)
		before[index] = ledger_testing_get(&bench->testing, bench->account[index]);
	for (size_t row = 0; row < count; row++) {
		const enum ledger_outcome outcome = create(bench, refusals[row].transfer);
		if (outcome != refusals[row].outcome)
			fail_msg("row %zu: %s instead of %s", row, ledger_outcome_name(outcome),
				 ledger_outcome_name(refusals[row].outcome));
		told[outcome] = true;
		for (int index = 0; index < ACCOUNTS; index++) {
			const struct ledger_account now =
				ledger_testing_get(&bench->testing, bench->account[index]);
			assert_memory_equal(&now, &before[index], sizeof(now));
		}
	}
	assert_int_equal(ledger_testing_audit(&bench->testing).transfers, audit.transfers);
	for (int outcome = 0; outcome < LEDGER_OUTCOMES_COUNT; outcome++) {
		if (!told[outcome])
			fail_msg("no row for %s",
				 ledger_outcome_name((enum ledger_outcome)outcome));
	}
}

static void a_timeout_beyond_the_end_of_time_is_refused(void **state)
{
	struct bench *bench = *state;
	struct ledger_transfer transfer = transfer_of(bench, 100, ALICE, BOB, 1, LEDGER_PENDING);

	transfer.timeout_s = 1;
	assert_int_equal(ledger_testing_one(&bench->testing, transfer, INT64_MAX - S + 1),
			 LEDGER_OVERFLOWS_TIMEOUT);
	assert_int_equal(ledger_testing_one(&bench->testing, transfer, INT64_MAX - S),
			 LEDGER_CREATED);
}

static void what_was_refused_may_be_tried_again_under_its_id(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(create(bench, transfer_of(bench, 100, ALICE, BOB, 101, 0)),
			 LEDGER_EXCEEDS_CREDITS);
	must_create(bench, transfer_of(bench, 100, ALICE, BOB, 100, 0));
}

/* ---- what stands ---- */

static void a_limited_account_spends_its_last_nano_and_not_one_more(void **state)
{
	struct bench *bench = *state;

	must_create(bench, transfer_of(bench, 100, ALICE, BOB, 60, LEDGER_PENDING));
	must_create(bench, transfer_of(bench, 101, ALICE, BOB, 40, 0));
	expect_balances(bench, ALICE, 60, 40, 0, 100);
	assert_int_equal(create(bench, transfer_of(bench, 102, ALICE, BOB, 1, 0)),
			 LEDGER_EXCEEDS_CREDITS);
	const struct ledger_account alice =
		ledger_testing_get(&bench->testing, bench->account[ALICE]);
	assert_int_equal(ledger_account_available(&alice).nano, 0);
}

static void a_post_of_less_releases_the_rest(void **state)
{
	struct bench *bench = *state;

	must_create(bench, transfer_of(bench, 100, ALICE, BOB, 60, LEDGER_PENDING));
	expect_balances(bench, BOB, 0, 0, 60, 0);
	must_create(bench, resolve_of(101, 100, 25, LEDGER_POST));
	expect_balances(bench, ALICE, 0, 25, 0, 100);
	expect_balances(bench, BOB, 0, 0, 0, 25);
}

static void a_post_of_all_and_a_void_take_what_is_pending(void **state)
{
	struct bench *bench = *state;
	struct ledger_transfer transfer;

	must_create(bench, transfer_of(bench, 100, ALICE, BOB, 60, LEDGER_PENDING));
	must_create(bench, transfer_of(bench, 101, ALICE, BOB, 40, LEDGER_PENDING));
	must_create(bench, resolve_of(102, 100, LEDGER_AMOUNT_ALL, LEDGER_POST));
	must_create(bench, resolve_of(103, 101, 0, LEDGER_VOID));
	expect_balances(bench, ALICE, 0, 60, 0, 100);
	ledger_testing_good(&bench->testing, ledger_transfer_get(bench->testing.ledger, id_of(102),
								 &transfer, &bench->testing.fault));
	assert_int_equal(transfer.amount_nano, 60);
	assert_int_equal(transfer.debit.value, bench->account[ALICE].value);
	assert_int_equal(transfer.kind, LEDGER_KIND_USAGE);
}

static void a_pending_transfer_may_be_resolved_in_its_own_batch_once(void **state)
{
	struct bench *bench = *state;
	const struct ledger_transfer batch[] = {
		transfer_of(bench, 100, ALICE, BOB, 60, LEDGER_PENDING),
		resolve_of(101, 100, 30, LEDGER_POST),
		resolve_of(102, 100, 30, LEDGER_POST),
		transfer_of(bench, 100, ALICE, BOB, 60, LEDGER_PENDING),
		resolve_of(101, 100, 30, LEDGER_POST),
		transfer_of(bench, 103, ALICE, BOB, 70, 0),
	};
	enum ledger_outcome outcomes[6];

	ledger_testing_batch(&bench->testing, batch, 6, NOW, outcomes);
	assert_int_equal(outcomes[0], LEDGER_CREATED);
	assert_int_equal(outcomes[1], LEDGER_CREATED);
	assert_int_equal(outcomes[2], LEDGER_ALREADY_POSTED);
	assert_int_equal(outcomes[3], LEDGER_EXISTS);
	assert_int_equal(outcomes[4], LEDGER_EXISTS);
	assert_int_equal(outcomes[5], LEDGER_CREATED);
	expect_balances(bench, ALICE, 0, 100, 0, 100);
}

static void a_closed_account_still_lets_go_what_was_reserved(void **state)
{
	struct bench *bench = *state;

	stage_set(bench);
	must_create(bench, resolve_of(100, TO_CLOSED, 0, LEDGER_VOID));
	expect_balances(bench, CLOSED, 0, 0, 0, 0);
	ledger_testing_begin(&bench->testing);
	ledger_testing_good(&bench->testing,
			    ledger_account_close(bench->testing.ledger, bench->account[CLOSED],
						 false, &bench->testing.fault));
	ledger_testing_commit(&bench->testing);
	must_create(bench, transfer_of(bench, 101, BOB, CLOSED, 1, 0));
}

/* ---- chains ---- */

static void a_chain_stands_or_falls_whole(void **state)
{
	struct bench *bench = *state;
	const struct ledger_transfer batch[] = {
		transfer_of(bench, 100, ALICE, BOB, 10, LEDGER_PENDING),
		transfer_of(bench, 101, ALICE, BOB, 60, LEDGER_LINKED),
		resolve_of(102, 100, 10, LEDGER_POST | LEDGER_LINKED),
		transfer_of(bench, 103, ALICE, BOB, 31, LEDGER_LINKED),
		transfer_of(bench, 104, BOB, OUTSIDE, 1, 0),
		transfer_of(bench, 101, ALICE, BOB, 50, LEDGER_LINKED),
		transfer_of(bench, 105, ALICE, BOB, 40, 0),
		resolve_of(102, 100, 0, LEDGER_VOID),
	};
	enum ledger_outcome outcomes[8];
	const enum ledger_outcome expected[8] = {LEDGER_CREATED,       LEDGER_LINKED_FAILED,
						 LEDGER_LINKED_FAILED, LEDGER_EXCEEDS_CREDITS,
						 LEDGER_LINKED_FAILED, LEDGER_CREATED,
						 LEDGER_CREATED,       LEDGER_CREATED};

	ledger_testing_batch(&bench->testing, batch, 8, NOW, outcomes);
	for (int index = 0; index < 8; index++)
		assert_string_equal(ledger_outcome_name(outcomes[index]),
				    ledger_outcome_name(expected[index]));
	expect_balances(bench, ALICE, 0, 90, 0, 100);
	expect_balances(bench, BOB, 0, 0, 0, 90);
}

static void an_existing_transfer_breaks_its_chain(void **state)
{
	struct bench *bench = *state;
	const struct ledger_transfer batch[] = {
		transfer_of(bench, 100, ALICE, BOB, 1, LEDGER_LINKED),
		transfer_of(bench, FUNDED, OUTSIDE, ALICE, 100, 0),
	};
	enum ledger_outcome outcomes[2];

	ledger_testing_batch(&bench->testing, batch, 2, NOW, outcomes);
	assert_int_equal(outcomes[0], LEDGER_LINKED_FAILED);
	assert_int_equal(outcomes[1], LEDGER_EXISTS);
	expect_balances(bench, ALICE, 0, 0, 0, 100);
}

static void an_open_chain_fails_and_what_stood_before_it_stands(void **state)
{
	struct bench *bench = *state;
	const struct ledger_transfer batch[] = {
		transfer_of(bench, 100, ALICE, BOB, 1, 0),
		transfer_of(bench, 101, ALICE, BOB, 1, LEDGER_LINKED),
		transfer_of(bench, 102, ALICE, BOB, 1, LEDGER_LINKED),
	};
	enum ledger_outcome outcomes[3];

	ledger_testing_batch(&bench->testing, batch, 3, NOW, outcomes);
	assert_int_equal(outcomes[0], LEDGER_CREATED);
	assert_int_equal(outcomes[1], LEDGER_LINKED_FAILED);
	assert_int_equal(outcomes[2], LEDGER_LINKED_CHAIN_OPEN);
	expect_balances(bench, ALICE, 0, 1, 0, 100);
}

/* ---- timeouts ---- */

static size_t expire(struct bench *bench, uint64_t now_ns, size_t count_max)
{
	size_t count = 0;

	ledger_testing_begin(&bench->testing);
	ledger_testing_good(&bench->testing,
			    ledger_transfers_expire(bench->testing.ledger, now_ns, count_max,
						    &count, &bench->testing.fault));
	ledger_testing_commit(&bench->testing);
	return count;
}

static void a_timeout_never_ends_early_and_releases_once(void **state)
{
	struct bench *bench = *state;

	for (uint64_t number = 0; number < 3; number++) {
		struct ledger_transfer transfer =
			transfer_of(bench, 100 + number, ALICE, BOB, 10, LEDGER_PENDING);
		transfer.timeout_s = 3 - (uint32_t)number;
		must_create(bench, transfer);
	}
	must_create(bench, transfer_of(bench, 103, ALICE, BOB, 10, LEDGER_PENDING));
	assert_int_equal(expire(bench, NOW + S - 1, 10), 0);
	expect_balances(bench, ALICE, 40, 0, 0, 100);
	/* The oldest end first: of the third transfer. */
	assert_int_equal(expire(bench, NOW + 3 * S, 1), 1);
	assert_int_equal(create(bench, resolve_of(110, 102, 1, LEDGER_POST)), LEDGER_EXPIRED);
	must_create(bench, resolve_of(111, 101, 1, LEDGER_POST)); /* at NOW, before its end */
	assert_int_equal(expire(bench, NOW + 3 * S, 10), 1);
	assert_int_equal(expire(bench, NOW + 3 * S, 10), 0);
	expect_balances(bench, ALICE, 10, 1, 0, 100);
	expect_balances(bench, BOB, 0, 0, 10, 1);
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(every_refusal_is_told_and_changes_nothing),
		CLAIM(a_timeout_beyond_the_end_of_time_is_refused),
		CLAIM(what_was_refused_may_be_tried_again_under_its_id),
		CLAIM(a_limited_account_spends_its_last_nano_and_not_one_more),
		CLAIM(a_post_of_less_releases_the_rest),
		CLAIM(a_post_of_all_and_a_void_take_what_is_pending),
		CLAIM(a_pending_transfer_may_be_resolved_in_its_own_batch_once),
		CLAIM(a_closed_account_still_lets_go_what_was_reserved),
		CLAIM(a_chain_stands_or_falls_whole),
		CLAIM(an_existing_transfer_breaks_its_chain),
		CLAIM(an_open_chain_fails_and_what_stood_before_it_stands),
		CLAIM(a_timeout_never_ends_early_and_releases_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "billing/hledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "billing/billing_testing.h"

#define MONTH    clock_month_of(TESTING_START_NS) /* 2026-11 */
#define ALWAYS   UINT32_MAX
#define TEXT_MAX (16u << 20)

static struct testing world;

static int setup(void **state)
{
	(void)state;
	testing_init(&world);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testing_fini(&world);
	return 0;
}

static void fund(const char *account, int64_t nano, uint64_t now_ns)
{
	static unsigned count;
	bool created;
	char key[32];

	snprintf(key, sizeof(key), "key %u", ++count);
	assert_int_equal(store_begin(world.other, STORE_WRITE, &world.fault), 0);
	assert_int_equal(billing_fund(world.other, slice_of(account), amount_nano(nano),
				      slice_of(key), now_ns, &created, &world.fault),
			 0);
	assert_int_equal(store_commit(world.other, &world.fault), 0);
}

static uint64_t in_month(uint32_t month)
{
	return clock_month_start_ns(month) + 3600 * CLOCK_NS_PER_S;
}

static struct text journal_of(uint32_t from, uint32_t to, uint32_t now)
{
	const struct billing_hledger_options options = {.store = world.other,
							.currency = "USD",
							.from_month = from,
							.to_month = to,
							.now_ns = in_month(now)};
	struct billing_hledger *journal;
	struct text output;
	bool done = false;

	text_init(&output, TEXT_MAX);
	assert_int_equal(billing_hledger_open(&options, &journal, &world.fault), 0);
	while (!done)
		assert_int_equal(billing_hledger_next(journal, &output, &done, &world.fault), 0);
	billing_hledger_close(journal);
	assert_false(output.failed);
	return output;
}

static size_t count_of(const struct text *text, const char *part)
{
	size_t count = 0;

	for (const char *at = text->data; (at = strstr(at, part)) != NULL; at++)
		count++;
	return count;
}

#define must_have(text, part)                                              \
	do {                                                               \
		if (count_of(text, part) == 0)                             \
			fail_msg("no \"%s\" in:\n%s", part, (text)->data); \
	} while (0)

static void a_month_that_is_over_ends_with_what_its_transfers_come_to(void **state)
{
	(void)state;
	fund("anna", 1500000001, in_month(MONTH));
	fund("anna", 500000000, in_month(MONTH + 2));
	fund("bert", 7, in_month(MONTH + 2));
	struct text text = journal_of(0, ALWAYS, MONTH + 2);

	must_have(&text, "\n2026-11-30 * the month's end\n"
			 "    liabilities:accounts:anna  0.000000000 USD = -1.500000001 USD\n"
			 "    assets:outside  0.000000000 USD = 1.500000001 USD\n\n"
			 "2027-01-01 * (");
	must_have(&text, "\n2027-01-01 * balances that the ledger keeps\n");
	must_have(&text, "    liabilities:accounts:anna  0.000000000 USD = -2.000000001 USD\n");
	must_have(&text, "    liabilities:accounts:bert  0.000000000 USD = -0.000000007 USD\n");
	assert_int_equal(count_of(&text, " * ("), 3);
	assert_int_equal(count_of(&text, "the month's end"), 1);
	text_fini(&text);
}

static void months_before_the_first_are_opening_balances(void **state)
{
	(void)state;
	fund("anna", 1000000000, in_month(MONTH));
	fund("anna", 2000000000, in_month(MONTH + 1));
	fund("anna", 4000000000, in_month(MONTH + 2));
	struct text text = journal_of(MONTH + 1, MONTH + 1, MONTH + 2);

	must_have(&text, "\n2026-12-01 * opening balances\n"
			 "    liabilities:accounts:anna  -1.000000000 USD\n"
			 "    assets:outside  1.000000000 USD\n\n"
			 "2026-12-01 * (");
	must_have(&text, "\n2026-12-31 * the month's end\n"
			 "    liabilities:accounts:anna  0.000000000 USD = -3.000000000 USD\n");
	assert_int_equal(count_of(&text, " * ("), 1);
	assert_int_equal(count_of(&text, "ledger keeps"), 0);
	text_fini(&text);
	/* A month in which nothing moved has its opening balances all the same. */
	text = journal_of(MONTH + 5, ALWAYS, MONTH + 6);
	must_have(&text, "\n2027-04-01 * opening balances\n"
			 "    liabilities:accounts:anna  -7.000000000 USD\n");
	must_have(&text, "2027-05-01 * balances that the ledger keeps\n");
	text_fini(&text);
}

static void months_behind_the_last_are_left_out(void **state)
{
	(void)state;
	fund("anna", 1, in_month(MONTH));
	fund("anna", 2, in_month(MONTH + 1));
	struct text text = journal_of(0, MONTH, MONTH + 1);

	assert_int_equal(count_of(&text, " * ("), 1);
	must_have(&text, "\n2026-11-30 * the month's end\n");
	text_fini(&text);
	/* The last may be before there was anything. */
	text = journal_of(0, MONTH - 1, MONTH + 1);
	must_have(&text, "account liabilities:accounts:anna\n");
	assert_int_equal(count_of(&text, " * "), 0);
	text_fini(&text);
}

static void a_clock_that_goes_back_does_not_disorder_the_dates(void **state)
{
	(void)state;
	fund("anna", 1, in_month(MONTH + 1));
	fund("anna", 2, in_month(MONTH));
	struct text text = journal_of(0, ALWAYS, MONTH + 1);

	assert_int_equal(count_of(&text, "\n2026-12-01 * ("), 2);
	must_have(&text, "; at:2026-11-01T01:00:00.000Z");
	text_fini(&text);
}

static void many_accounts_come_in_many_pieces(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "account-%d", i);
		fund(name, 1000 + i, in_month(MONTH));
	}
	struct text text = journal_of(MONTH, ALWAYS, MONTH + 1);

	assert_int_equal(count_of(&text, "\n2026-11-01 * ("), 700);
	/* Each account opens, ends the month and is compared; so is where the money comes from. */
	assert_int_equal(count_of(&text, "  0.000000000 USD = "), 2 * 701);
	assert_int_equal(count_of(&text, "\n    liabilities:accounts:account-699  "), 4);
	text_fini(&text);
}

static void what_is_only_reserved_moves_nothing(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1000, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	struct testing_call call = {.subscription = subscription, .status = 200};

	(void)state;
	fund("anna", 1000000, TESTING_START_NS);
	testing_start(&world);
	testing_lease_new(&world, "anna");
	testing_post(&world);
	while (testing_admit(&world, &call, 1000) == TESTING_WAITS)
		testing_post(&world);
	testing_settle(&world, &call, 0);
	testing_post(&world);
	assert_true(testing_pending(&world, LEDGER_MONEY, "anna") > 0);
	struct text text = journal_of(0, ALWAYS, MONTH);
	must_have(&text, "    liabilities:accounts:anna  -0.001000000 USD\n");
	must_have(&text, "    liabilities:accounts:anna  0.000001000 USD\n");
	/* The funding, the usage, its fee. */
	assert_int_equal(count_of(&text, " * ("), 3);
	assert_int_equal(count_of(&text, ": 0 transfers that did"), 0);
	must_have(&text, "    liabilities:accounts:anna  0.000000000 USD = -0.000999000 USD\n");
	text_fini(&text);
}

static void what_comes_while_it_is_written_does_not_enter(void **state)
{
	const struct billing_hledger_options options = {.store = world.other,
							.currency = "USD",
							.to_month = ALWAYS,
							.now_ns = in_month(MONTH)};
	struct billing_hledger *journal;
	struct text text;
	bool done = false;

	(void)state;
	fund("anna", 5, in_month(MONTH));
	text_init(&text, TEXT_MAX);
	assert_int_equal(billing_hledger_open(&options, &journal, &world.fault), 0);
	fund("anna", 7, in_month(MONTH));
	while (!done)
		assert_int_equal(billing_hledger_next(journal, &text, &done, &world.fault), 0);
	billing_hledger_close(journal);
	assert_int_equal(count_of(&text, " * ("), 1);
	must_have(&text, "    liabilities:accounts:anna  0.000000000 USD = -0.000000005 USD\n");
	text_fini(&text);
}

static void spoil_the_balance_of_anna(void)
{
	STORE_STATEMENT spoil = NULL;

	assert_int_equal(store_prepare(world.other,
				       "UPDATE ledger_account SET credits_posted ="
				       " credits_posted + 1 WHERE name = 'anna'",
				       &spoil, &world.fault),
			 0);
	assert_int_equal(store_execute(spoil, &world.fault), 0);
}

static void the_last_balances_are_the_ledgers_own(void **state)
{
	(void)state;
	fund("anna", 5, in_month(MONTH));
	assert_int_equal(store_begin(world.other, STORE_WRITE, &world.fault), 0);
	spoil_the_balance_of_anna();
	assert_int_equal(store_commit(world.other, &world.fault), 0);
	struct text text = journal_of(0, ALWAYS, MONTH);
	must_have(&text, "    liabilities:accounts:anna  0.000000000 USD = -0.000000006 USD\n");
	text_fini(&text);
}

static void months_that_go_backwards_are_refused(void **state)
{
	const struct billing_hledger_options options = {.store = world.other,
							.currency = "USD",
							.from_month = MONTH + 1,
							.to_month = MONTH};
	struct billing_hledger *journal;

	(void)state;
	assert_int_equal(billing_hledger_open(&options, &journal, &world.fault), FAULT_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_month_that_is_over_ends_with_what_its_transfers_come_to),
		TEST(months_before_the_first_are_opening_balances),
		TEST(months_behind_the_last_are_left_out),
		TEST(a_clock_that_goes_back_does_not_disorder_the_dates),
		TEST(many_accounts_come_in_many_pieces),
		TEST(what_is_only_reserved_moves_nothing),
		TEST(what_comes_while_it_is_written_does_not_enter),
		TEST(the_last_balances_are_the_ledgers_own),
		TEST(months_that_go_backwards_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

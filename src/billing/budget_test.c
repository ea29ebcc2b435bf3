#include "billing/billing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "billing/billing_testing.h"

#define PRICE_NANO 1000
#define MONTH_NS   (31 * 86400 * CLOCK_NS_PER_S)

static struct testing world;
static struct testing_subscription *subscription;

static void subscribe(int64_t budget_nano, bool monthly)
{
	const struct rating_plan plan = testing_unit_plan(PRICE_NANO, 1);

	subscription = testing_subscribe(&world, "anna", "pixelworks", &plan);
	subscription->terms.budget_nano = budget_nano;
	subscription->terms.budget_monthly = monthly;
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	testing_lease_new(&world, "anna");
	testing_budget_lease_new(&world, subscription);
}

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

static enum testing_outcome admit(struct testing_call *call, int64_t hold_nano)
{
	*call = (struct testing_call){.subscription = subscription, .status = 200};
	enum testing_outcome outcome = testing_admit(&world, call, hold_nano);

	for (int i = 0; outcome == TESTING_WAITS && i < 4; i++) {
		testing_post(&world);
		outcome = testing_admit(&world, call, hold_nano);
	}
	return outcome;
}

static int calls_until_refused(void)
{
	struct testing_call call;
	int admitted = 0;

	while (admit(&call, PRICE_NANO) == TESTING_ADMITTED) {
		testing_settle(&world, &call, (uint32_t)admitted % TESTING_STREAMS);
		admitted++;
	}
	testing_post(&world);
	return admitted;
}

static int64_t spent(void)
{
	return testing_balance(&world, LEDGER_BUDGETS, "spent");
}

static void check_sound(void)
{
	assert_int_equal(testing_counts(&world).lease_overruns, 0);
	assert_int_equal(testing_counts(&world).owed, 0);
	assert_int_equal(testing_counts(&world).mismatches, 0);
	testing_audit(&world);
}

static void a_budget_admits_exactly_as_many_calls_as_it_covers(void **state)
{
	(void)state;
	subscribe(12 * PRICE_NANO + 999, false);
	assert_int_equal(calls_until_refused(), 12);
	assert_int_equal(spent(), 12 * PRICE_NANO);
	assert_int_equal(testing_balance(&world, LEDGER_BUDGETS, "budget:1"), 999);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"),
			 AMOUNT_NANO_PER_UNIT - 12 * PRICE_NANO);
	/* It is for ever. */
	clock_manual_advance(&world.clock, 3 * MONTH_NS);
	assert_int_equal(calls_until_refused(), 0);
	check_sound();
}

static void a_budget_of_nothing_refuses_every_call(void **state)
{
	(void)state;
	subscribe(0, true);
	assert_int_equal(calls_until_refused(), 0);
	check_sound();
}

static void a_monthly_budget_is_there_again_each_month(void **state)
{
	(void)state;
	subscribe(5 * PRICE_NANO, true);
	for (int month = 0; month < 4; month++) {
		assert_int_equal(calls_until_refused(), 5);
		clock_manual_advance(&world.clock, MONTH_NS);
		testing_post(&world);
	}
	assert_int_equal(testing_balance(&world, LEDGER_BUDGETS, "budget:1:2026-11"), 0);
	assert_int_equal(testing_balance(&world, LEDGER_BUDGETS, "budget:1:2026-12"), 0);
	assert_int_equal(spent(), 4 * 5 * PRICE_NANO);
	check_sound();
}

static void the_new_month_begins_with_its_first_second(void **state)
{
	const uint64_t end_ns = clock_month_start_ns(clock_month_of(TESTING_START_NS) + 1);

	(void)state;
	subscribe(5 * PRICE_NANO, true);
	clock_manual_advance(&world.clock, end_ns - TESTING_START_NS - CLOCK_NS_PER_S);
	assert_int_equal(calls_until_refused(), 5);
	assert_int_equal(calls_until_refused(), 0);
	clock_manual_advance(&world.clock, CLOCK_NS_PER_S);
	testing_post(&world);
	assert_int_equal(calls_until_refused(), 5);
	check_sound();
}

static void calls_in_flight_over_the_months_end_count_where_they_settle(void **state)
{
	struct testing_call open[4];

	(void)state;
	subscribe(5 * PRICE_NANO, true);
	for (int i = 0; i < 4; i++)
		assert_int_equal(admit(&open[i], PRICE_NANO), TESTING_ADMITTED);
	testing_settle(&world, &open[0], 0);
	clock_manual_advance(&world.clock, MONTH_NS);
	testing_settle(&world, &open[1], 0); /* before the poster knows that the month is over */
	testing_post(&world);
	testing_settle(&world, &open[2], 0);
	testing_post(&world);
	testing_settle(&world, &open[3], 1);
	assert_int_equal(calls_until_refused(), 2);
	assert_int_equal(testing_balance(&world, LEDGER_BUDGETS, "budget:1:2026-11"),
			 4 * PRICE_NANO);
	assert_int_equal(testing_balance(&world, LEDGER_BUDGETS, "budget:1:2026-12"), 0);
	check_sound();
}

static void what_old_months_left_in_the_journal_is_charged_to_their_budgets(void **state)
{
	struct testing_call call;

	(void)state;
	subscribe(5 * PRICE_NANO, true);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(admit(&call, PRICE_NANO), TESTING_ADMITTED);
		testing_settle(&world, &call, 0);
	}
	clock_manual_advance(&world.clock, MONTH_NS);
	testing_kill(&world);
	testing_lease_new(&world, "anna");
	testing_budget_lease_new(&world, subscription);
	assert_int_equal(testing_balance(&world, LEDGER_BUDGETS, "budget:1:2026-11"), 0);
	assert_int_equal(calls_until_refused(), 5);
	check_sound();
}

static void a_raised_budget_admits_the_difference(void **state)
{
	(void)state;
	subscribe(5 * PRICE_NANO, true);
	assert_int_equal(calls_until_refused(), 5);
	subscription->terms.budget_nano = 8 * PRICE_NANO;
	billing_poster_terms_changed(world.poster, subscription->terms.subscription);
	testing_post(&world);
	assert_int_equal(calls_until_refused(), 3);
	check_sound();
}

static void a_lowered_budget_takes_back_what_is_not_spent(void **state)
{
	struct testing_call call;

	(void)state;
	subscribe(10 * PRICE_NANO, false);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(admit(&call, PRICE_NANO), TESTING_ADMITTED);
		testing_settle(&world, &call, 0);
	}
	assert_int_equal(admit(&call, PRICE_NANO), TESTING_ADMITTED);
	subscription->terms.budget_nano = 5 * PRICE_NANO;
	billing_poster_terms_changed(world.poster, subscription->terms.subscription);
	testing_post(&world);
	testing_settle(&world, &call, 0);
	assert_int_equal(calls_until_refused(), 1);
	/* Below what was spent: nothing more, and nothing owed. */
	subscription->terms.budget_nano = 2 * PRICE_NANO;
	billing_poster_terms_changed(world.poster, subscription->terms.subscription);
	assert_int_equal(calls_until_refused(), 0);
	subscription->terms.budget_nano = 6 * PRICE_NANO;
	billing_poster_terms_changed(world.poster, subscription->terms.subscription);
	testing_post(&world);
	assert_int_equal(calls_until_refused(), 1);
	check_sound();
}

static void the_account_limits_where_the_budget_does_not(void **state)
{
	(void)state;
	subscribe(2 * AMOUNT_NANO_PER_UNIT, false);
	subscription->terms.rating.prices[0].rate.nano = AMOUNT_NANO_PER_UNIT / 4;
	testing_kill(&world);
	testing_lease_new(&world, "anna");
	testing_budget_lease_new(&world, subscription);
	struct testing_call call;
	int admitted = 0;

	while (admit(&call, AMOUNT_NANO_PER_UNIT / 4) == TESTING_ADMITTED) {
		testing_settle(&world, &call, 0);
		admitted++;
	}
	testing_post(&world);
	assert_int_equal(admitted, 4);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 0);
	/* What the budget had leased beside it is not stranded. */
	clock_manual_advance(&world.clock, 6 * CLOCK_NS_PER_S);
	testing_post(&world);
	assert_int_equal(testing_pending(&world, LEDGER_BUDGETS, "budget:1"), 0);
	check_sound();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_budget_admits_exactly_as_many_calls_as_it_covers),
		TEST(a_budget_of_nothing_refuses_every_call),
		TEST(a_monthly_budget_is_there_again_each_month),
		TEST(the_new_month_begins_with_its_first_second),
		TEST(calls_in_flight_over_the_months_end_count_where_they_settle),
		TEST(what_old_months_left_in_the_journal_is_charged_to_their_budgets),
		TEST(a_raised_budget_admits_the_difference),
		TEST(a_lowered_budget_takes_back_what_is_not_spent),
		TEST(the_account_limits_where_the_budget_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

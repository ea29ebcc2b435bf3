#include "billing/billing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "billing/billing_testing.h"
#include "meter/meter.h"

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

#define MONTH clock_month_of(TESTING_START_NS)

static void the_caller_pays_the_provider_and_the_operator_and_all_sums_to_zero(void **state)
{
	const struct rating_plan plan = testing_unit_plan(5 * TESTING_CENT, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	const int calls = 1000;
	int64_t told = 0;

	(void)state;
	world.options.card.of[RATING_CLOUD_CALLS].nano = 1000;
	testing_fund(&world, "anna", 100 * AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	for (int i = 0; i < calls; i++)
		told += testing_call(&world, subscription, (uint32_t)i % TESTING_STREAMS);
	assert_int_equal(testing_post(&world), calls);

	const int64_t usage = calls * 5 * TESTING_CENT;
	const int64_t cloud = calls * 1000;
	const int64_t fee = usage * 3 / 100;
	assert_int_equal(told, usage + cloud);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"),
			 100 * AMOUNT_NANO_PER_UNIT - usage - cloud);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "pixelworks"), usage - fee);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "operator"), cloud + fee);
	assert_int_equal(testing_counts(&world).records_billed, calls);
	testing_audit(&world);
}

static void a_service_that_nobody_called_has_cost_its_provider_nothing(void **state)
{
	const struct rating_plan plan = testing_unit_plan(5 * TESTING_CENT, 1);
	struct testing_subscription *called = testing_subscribe(&world, "anna", "called", &plan);

	(void)state;
	testing_subscribe(&world, "anna", "uncalled", &plan);
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	testing_call(&world, called, 0);
	testing_post(&world);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "uncalled"), 0);
	assert_true(testing_balance(&world, LEDGER_MONEY, "called") > 0);
}

static void calls_that_are_not_billed_feed_the_minutes_only(void **state)
{
	const struct rating_plan plan = testing_unit_plan(5 * TESTING_CENT, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	struct testing_call call = {
		.subscription = subscription, .status = 503, .service_us = 1000};
	struct meter_minute minute;
	struct meter_usage usage;

	(void)state;
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	testing_settle(&world, &call, 0);
	testing_call(&world, subscription, 1);
	testing_post(&world);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"),
			 AMOUNT_NANO_PER_UNIT - 5 * TESTING_CENT);
	assert_int_equal(meter_minute_load(world.other, subscription->terms.service,
					   subscription->terms.subscription,
					   TESTING_START_NS / (60 * CLOCK_NS_PER_S), &minute,
					   &world.fault),
			 0);
	assert_int_equal(minute.counts.calls, 2);
	assert_int_equal(minute.counts.billed_calls, 1);
	assert_int_equal(minute.counts.errors, 1);
	assert_int_equal(meter_usage_load(world.other, subscription->terms.subscription, MONTH,
					  &usage, &world.fault),
			 0);
	assert_int_equal(usage.of[RATING_CALLS], 1);
}

static void minutes_go_on_where_they_were_after_a_restart(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	struct meter_minute minute;

	(void)state;
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	for (int i = 0; i < 3; i++) {
		testing_call(&world, subscription, 0);
		testing_post(&world);
		testing_call(&world, subscription, 1);
		testing_kill(&world);
	}
	assert_int_equal(meter_minute_load(world.other, subscription->terms.service,
					   subscription->terms.subscription,
					   TESTING_START_NS / (60 * CLOCK_NS_PER_S), &minute,
					   &world.fault),
			 0);
	assert_int_equal(minute.counts.calls, 6);
	assert_int_equal(meter_latency_quantile_us(&minute.latency, 500), 1535);
}

static void what_a_key_did_is_counted_once_over_kills_months_and_failures(void **state)
{
	const struct rating_plan plan = testing_unit_plan(10, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	const struct key_id key = {subscription->terms.subscription.value};
	uint64_t calls, minute;

	(void)state;
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	for (int i = 0; i < 3; i++) {
		testing_call(&world, subscription, 0);
		testing_post(&world);
		testing_call(&world, subscription, 1);
		testing_kill(&world);
		clock_manual_advance(&world.clock, 5 * 60 * CLOCK_NS_PER_S); /* it is forgotten */
	}
	/* A turn whose answer is lost, then one that fails and is done again. */
	struct store_failure failure = {.fail_at = 8, .code = FAULT_BUSY};
	store_fail(world.store, &failure);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	assert_true(failure.calls > failure.fail_at);
	assert_int_equal(meter_key_used(world.other, key, MONTH, &calls, &minute, &world.fault), 0);
	assert_int_equal(calls, 7);
	assert_int_equal(minute, TESTING_START_NS / (60 * CLOCK_NS_PER_S) + 15);

	clock_manual_advance(&world.clock, 31 * 86400 * CLOCK_NS_PER_S);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	assert_int_equal(meter_key_used(world.other, key, MONTH, &calls, &minute, &world.fault), 0);
	assert_int_equal(calls, 7);
	assert_int_equal(minute, TESTING_START_NS / (60 * CLOCK_NS_PER_S) + 15 + 31 * 1440);
	assert_int_equal(meter_key_used(world.other, key, MONTH + 1, &calls, &minute, &world.fault),
			 0);
	assert_int_equal(calls, 1);
}

static void the_month_of_the_settlement_decides_the_period(void **state)
{
	struct rating_plan plan = testing_unit_plan(10, 1);
	struct testing_subscription *subscription;

	(void)state;
	plan.prices[0].free_units = 1; /* in each month */
	subscription = testing_subscribe(&world, "anna", "pixelworks", &plan);
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	for (int month = 0; month < 3; month++) {
		for (int i = 0; i < 3; i++)
			testing_call(&world, subscription, 0);
		clock_manual_advance(&world.clock, 31 * 86400 * CLOCK_NS_PER_S);
	}
	testing_post(&world);
	for (uint32_t month = 0; month < 3; month++)
		assert_int_equal(testing_charged(&world, "anna", MONTH + month), 20);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), AMOUNT_NANO_PER_UNIT - 60);
}

static void a_record_without_terms_is_parked_whole_and_posted_once_they_are_there(void **state)
{
	const struct rating_plan plan = testing_unit_plan(10, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);

	(void)state;
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	world.terms_hidden = true;
	testing_start(&world);
	for (int i = 0; i < 5; i++)
		testing_call(&world, subscription, 0);
	assert_int_equal(testing_post(&world), 5);
	assert_int_equal(testing_counts(&world).parked, 5);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), AMOUNT_NANO_PER_UNIT);
	testing_kill(&world);
	testing_post(&world);
	assert_int_equal(testing_counts(&world).parked, 5);

	world.terms_hidden = false;
	billing_poster_terms_changed(world.poster, subscription->terms.subscription);
	testing_call(&world, subscription, 0);
	assert_int_equal(testing_post(&world), 6);
	assert_int_equal(testing_counts(&world).parked, 0);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), AMOUNT_NANO_PER_UNIT - 60);
	clock_manual_advance(&world.clock, 100 * CLOCK_NS_PER_S);
	assert_int_equal(testing_post(&world), 0);
	testing_audit(&world);
}

static void a_record_of_a_plan_that_the_subscription_never_had_is_parked(void **state)
{
	const struct rating_plan plan = testing_unit_plan(10, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);

	(void)state;
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	subscription->terms.plan.value++;
	testing_call(&world, subscription, 0);
	subscription->terms.plan.value--;
	testing_call(&world, subscription, 0);
	testing_post(&world);
	assert_int_equal(testing_counts(&world).parked, 1);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), AMOUNT_NANO_PER_UNIT - 10);
}

static void what_an_account_cannot_pay_it_owes_and_the_provider_is_paid_all_the_same(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1000, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	struct billing_balance balance;

	(void)state;
	testing_fund(&world, "anna", 1500);
	testing_start(&world);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	assert_int_equal(testing_counts(&world).owed, 1);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 500);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "owed:anna"), -1000);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "pixelworks"), 2000 - 60);
	assert_int_equal(billing_balance_get(world.other, slice_of("anna"), &balance, &world.fault),
			 0);
	assert_int_equal(balance.balance_nano, -500);

	testing_fund(&world, "anna", 400);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 0);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "owed:anna"), -100);
	testing_fund(&world, "anna", 400);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 300);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "owed:anna"), 0);
	testing_audit(&world);
}

static void an_account_that_calls_its_own_service_pays_fee_and_cloud_only(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1000, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "anna", &plan);

	(void)state;
	world.options.card.of[RATING_CLOUD_CALLS].nano = 7;
	testing_fund(&world, "anna", 10000);
	testing_start(&world);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 10000 - 30 - 7);
	testing_audit(&world);
}

static void a_changed_rate_card_counts_from_zero_and_leaves_what_was_charged(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1000, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	struct meter_cloud cloud;

	(void)state;
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){.nano = 1, .per = 2};
	testing_fund(&world, "anna", 1000000);
	testing_start(&world);
	for (int i = 0; i < 3; i++)
		testing_call(&world, subscription, 0);
	/* Written before the change, and posted behind it: at the old prices. */
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){.nano = 50, .per = 1};
	world.options.fee_ppm = 500000;
	testing_kill(&world);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"),
			 1000000 - 4 * 1000 - 2 - 50);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "operator"), 90 + 500 + 2 + 50);
	for (uint64_t card = 1; card <= 2; card++) {
		assert_int_equal(meter_cloud_load(world.other, subscription->terms.subscription,
						  MONTH, card, &cloud, &world.fault),
				 0);
		assert_int_equal(cloud.of[RATING_CLOUD_CALLS], card == 1 ? 3 : 1);
	}
	/* The first card again is the same card: its rounding goes on. */
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){.nano = 1, .per = 2};
	world.options.fee_ppm = 30000;
	testing_kill(&world);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"),
			 1000000 - 5 * 1000 - 2 - 50);
}

static void what_callers_were_told_is_compared_when_all_is_quiet(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1000, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);

	(void)state;
	testing_fund(&world, "anna", 1000000);
	testing_start(&world);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	clock_manual_advance(&world.clock, 2 * CLOCK_NS_PER_S);
	testing_post(&world);
	assert_int_equal(testing_counts(&world).mismatches, 0);

	subscription->terms.rating.prices[0].rate.nano = 1300; /* the gateway tells another price */
	testing_call(&world, subscription, 0);
	testing_post(&world);
	assert_int_equal(testing_counts(&world).mismatches, 0);
	for (int i = 0; i < 3; i++) {
		clock_manual_advance(&world.clock, 2 * CLOCK_NS_PER_S);
		testing_post(&world);
		assert_int_equal(testing_counts(&world).mismatches, 1);
		assert_int_equal(testing_counts(&world).mismatch_nano, 300);
	}
}

/* Two calls of half a nano each: the second is told 1, the first 0. What is posted first, of two
 * streams, is the other way round, and the poster is killed between them. */
static void a_kill_between_two_postings_is_no_mismatch(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1, 2);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	bool synced;
	uint64_t posted = 0;

	(void)state;
	testing_fund(&world, "anna", 1000000);
	world.options.turn_records = 1;
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){.nano = 7, .per = 1};
	testing_start(&world);
	assert_int_equal(testing_call(&world, subscription, 0), 7);
	assert_int_equal(testing_call(&world, subscription, 1), 8);
	assert_int_equal(journal_maintain(world.journal, &synced, &world.fault), 0);
	assert_int_equal(billing_poster_turn(world.poster, &posted, &world.fault), 0);
	assert_int_equal(posted, 1);
	assert_int_equal(billing_poster_position(world.poster, 1), 1);
	/* The rate card changes with the new run: the month has charges under two. */
	world.options.card.of[RATING_CLOUD_CALLS].nano = 9;
	testing_kill(&world);
	for (int i = 0; i < 3; i++) {
		clock_manual_advance(&world.clock, 2 * CLOCK_NS_PER_S);
		testing_post(&world);
	}
	testing_call(&world, subscription, 1);
	for (int i = 0; i < 3; i++) {
		clock_manual_advance(&world.clock, 2 * CLOCK_NS_PER_S);
		testing_post(&world);
	}
	assert_int_equal(testing_counts(&world).mismatches, 0);
}

/* Fails each operation of the first turn that has a call, in turn, until none is left. */
static void the_accounts_that_a_failed_turn_made_are_made_again(void **state)
{
	struct store_failure failure = {0};
	uint64_t posted = 0;
	uint64_t at = 0;
	int code = -1;

	(void)state;
	testing_fund(&world, "anna", 1000000);
	for (int way = 0; way < 2; way++) {
		const struct rating_plan plan = testing_unit_plan(1000, 1);
		struct testing_subscription *subscription = testing_subscribe(
			&world, way == 0 ? "new-0" : "new-2", way == 0 ? "new-1" : "new-3", &plan);
		subscription->terms.budget_nano = 5000;
		if (way == 0) {
			testing_start(&world);
			store_fail(world.store, &failure);
		}
		testing_call(&world, subscription, 0);
		bool synced;
		assert_int_equal(journal_maintain(world.journal, &synced, &world.fault), 0);
		for (at = 1, code = -1; code < 0; at++) {
			failure = (struct store_failure){
				.fail_at = at, .afterwards = way == 1, .code = FAULT_STORE};
			code = billing_poster_turn(world.poster, &posted, &world.fault);
		}
		assert_true(at > 20);
		assert_int_equal(posted, 1);
		failure = (struct store_failure){0};
		assert_int_equal(
			testing_balance(&world, LEDGER_MONEY, way == 0 ? "new-1" : "new-3"), 970);
		testing_audit(&world);
	}
	assert_int_equal(testing_counts(&world).owed, 2); /* nobody funded the new ones */
	assert_int_equal(testing_counts(&world).records, 2);
}

static void the_accounts_that_a_busy_store_took_back_are_made_again(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1000, 1);
	struct store_failure failure = {0};
	char consumer[32];
	char provider[32];
	uint64_t posted;
	bool synced;

	(void)state;
	testing_start(&world);
	store_fail(world.store, &failure);
	for (unsigned at = 1; at < 100; at++) {
		snprintf(consumer, sizeof(consumer), "consumer-%u", at);
		snprintf(provider, sizeof(provider), "provider-%u", at);
		testing_call(&world, testing_subscribe(&world, consumer, provider, &plan), 0);
		assert_int_equal(journal_maintain(world.journal, &synced, &world.fault), 0);
		failure = (struct store_failure){.fail_at = at, .code = FAULT_BUSY};
		assert_int_equal(billing_poster_turn(world.poster, &posted, &world.fault), 0);
		failure = (struct store_failure){0};
		assert_int_equal(testing_balance(&world, LEDGER_MONEY, provider), 970);
	}
	testing_audit(&world);
}

static void two_posters_of_one_node_cannot_both_post(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1000, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	struct billing_options options;
	struct billing_poster *second;
	uint64_t posted;

	(void)state;
	testing_fund(&world, "anna", 1000000);
	testing_start(&world);
	options = world.options;
	assert_int_equal(billing_poster_open(&options, &second, &world.fault), 0);
	assert_int_equal(billing_poster_recover(second, &world.fault), 0);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	assert_int_equal(billing_poster_turn(second, &posted, &world.fault), FAULT_DAMAGED);
	billing_poster_close(second);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 1000000 - 1000);
}

static void finishing_needs_a_durable_journal_and_leaves_nothing_unposted(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1000, 1);
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	bool synced;

	(void)state;
	testing_fund(&world, "anna", 1000000);
	testing_start(&world);
	testing_call(&world, subscription, 0);
	assert_int_equal(billing_poster_finish(world.poster, &world.fault), FAULT_BUSY);
	assert_int_equal(journal_maintain(world.journal, &synced, &world.fault), 0);
	assert_int_equal(billing_poster_finish(world.poster, &world.fault), 0);
	assert_int_equal(billing_poster_position(world.poster, 0), 1);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 1000000 - 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_caller_pays_the_provider_and_the_operator_and_all_sums_to_zero),
		TEST(a_service_that_nobody_called_has_cost_its_provider_nothing),
		TEST(calls_that_are_not_billed_feed_the_minutes_only),
		TEST(minutes_go_on_where_they_were_after_a_restart),
		TEST(what_a_key_did_is_counted_once_over_kills_months_and_failures),
		TEST(the_month_of_the_settlement_decides_the_period),
		TEST(a_record_without_terms_is_parked_whole_and_posted_once_they_are_there),
		TEST(a_record_of_a_plan_that_the_subscription_never_had_is_parked),
		TEST(what_an_account_cannot_pay_it_owes_and_the_provider_is_paid_all_the_same),
		TEST(an_account_that_calls_its_own_service_pays_fee_and_cloud_only),
		TEST(a_changed_rate_card_counts_from_zero_and_leaves_what_was_charged),
		TEST(what_callers_were_told_is_compared_when_all_is_quiet),
		TEST(a_kill_between_two_postings_is_no_mismatch),
		TEST(the_accounts_that_a_failed_turn_made_are_made_again),
		TEST(the_accounts_that_a_busy_store_took_back_are_made_again),
		TEST(two_posters_of_one_node_cannot_both_post),
		TEST(finishing_needs_a_durable_journal_and_leaves_nothing_unposted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Random calls over random plans, posted in random turns with kills and failing stores between,
 * against an oracle that reads the journal once at the end and knows nothing but R.
 */
#include "billing/billing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "billing/billing_testing.h"

#define SUBSCRIPTIONS 12
#define MONTHS        6
#define FUNDS_NANO    (1000 * AMOUNT_NANO_PER_UNIT)

static struct testing world;
static struct random_seeded chance;
static struct store_failure failure;
static const char *const accounts[] = {"anna", "bert", "carl", "dora", "operator"};
#define ACCOUNTS (sizeof(accounts) / sizeof(accounts[0]))

static uint64_t below(uint64_t bound)
{
	return random_below(&chance.random, bound);
}

/* ---- random plans ---- */

static struct rating_rate random_rate(void)
{
	static const int64_t pers[] = {1, 1, 3, 1000, 7, 1000000};

	return (struct rating_rate){(int64_t)below(3000), pers[below(6)]};
}

static struct rating_price random_price(enum rating_meter meter)
{
	struct rating_price price = {
		.meter = meter,
		.model = (enum rating_model)below(RATING_MODELS),
		.free_units = below(3) == 0 ? (int64_t)below(50) : 0,
		.rate = random_rate(),
	};

	if (price.model == RATING_FLAT && meter != RATING_CALLS)
		price.model = RATING_PACKAGE;
	if (price.model == RATING_GRADUATED) {
		int64_t up_to = 0;
		price.tier_count = 1 + (uint32_t)below(4);
		for (uint32_t i = 0; i < price.tier_count; i++) {
			up_to += 1 + (int64_t)below(200);
			price.tiers[i] = (struct rating_tier){up_to, random_rate()};
		}
		price.tiers[price.tier_count - 1].up_to = INT64_MAX;
	}
	return price;
}

static struct rating_plan random_plan(void)
{
	struct rating_plan plan;

	do {
		plan = (struct rating_plan){
			.price_count = 1 + (uint32_t)below(4),
			.max_charge_nano = below(3) == 0 ? 3000 + (int64_t)below(100000) : -1,
			.bill_always = below(4) == 0,
		};
		/* One price for each meter, as catalog publishes them. */
		const uint64_t first = below(RATING_METERS);
		for (uint32_t i = 0; i < plan.price_count; i++)
			plan.prices[i] =
				random_price((enum rating_meter)((first + 3 * i) % RATING_METERS));
		if (plan.prices[0].model == RATING_UNIT)
			plan.prices[0].minimum_nano = (int64_t)below(200000);
		if (below(3) == 0)
			plan.discount_ppm = (uint32_t)below(1000001);
		if (below(3) == 0)
			plan.discount_nano = (int64_t)below(200000);
		for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
			plan.max_units[i] = below(2) == 0 ? (int64_t)below(500) : INT64_MAX;
	} while (!rating_plan_valid(&plan));
	return plan;
}

/* ---- the world ---- */

static void leases_new(void)
{
	for (size_t i = 0; i < ACCOUNTS - 2; i++) /* dora has none */
		testing_lease_new(&world, accounts[i]);
	for (size_t i = 0; i < world.subscription_count; i++) {
		const struct testing_subscription *subscription = &world.subscriptions[i];
		if (subscription->terms.budget_nano >= 0 && subscription->account_lease != NULL)
			testing_budget_lease_new(&world, subscription);
	}
}

static void start(void)
{
	random_seeded_init(&chance, testing_seed());
	testing_init(&world);
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		world.options.card.of[i] = random_rate();
	world.options.fee_ppm = (uint32_t)below(200000);
	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		const struct rating_plan plan = random_plan();
		struct testing_subscription *subscription = testing_subscribe(
			&world, accounts[below(ACCOUNTS)], accounts[below(ACCOUNTS)], &plan);
		if (below(3) == 0) {
			subscription->terms.budget_nano = (int64_t)below(20000000);
			subscription->terms.budget_monthly = below(2) == 0;
		}
		if (below(2) == 0) {
			const struct rating_plan next = random_plan();
			testing_move(subscription,
				     clock_month_of(TESTING_START_NS) + 1 + (uint32_t)below(2),
				     &next);
		}
	}
	for (size_t i = 0; i < ACCOUNTS - 1; i++)
		testing_fund(&world, accounts[i], FUNDS_NANO);
	testing_start(&world);
	leases_new();
	failure = (struct store_failure){0};
	store_fail(world.store, &failure);
}

static void kill_and_start(void)
{
	failure.fail_at = 0;
	world.options.turn_records = 1 + (uint32_t)below(100);
	testing_kill(&world);
	leases_new();
	failure = (struct store_failure){0};
	store_fail(world.store, &failure);
}

/* A turn that may fail; whether it did. */
static bool turn(void)
{
	uint64_t posted;

	return billing_poster_turn(world.poster, &posted, &world.fault) == 0;
}

static void settle_journal(void)
{
	bool synced;

	assert_int_equal(journal_maintain(world.journal, &synced, &world.fault), 0);
}

/* ---- random calls ---- */

static int64_t most_of(const struct rating_plan *plan)
{
	const struct rating_quantities most = {{1, 300, 2000, 50, 1000, 1000, 1000, 1000}};
	const struct rating_quantities none = {{0}};
	int64_t usage_nano;

	assert_true(rating_plan_call_most(plan, &most, &usage_nano));
	return usage_nano + rating_plan_first(plan, &none);
}

/* As the gateway holds: what the dearest call can cost, with all that a first use brings,
 * under the plan that it is admitted by or the one that it may be settled by. */
static int64_t hold_of(const struct testing_subscription *subscription)
{
	struct rating_cloud_quantities cloud_most = {{1, 100000, 100000, 2300, 2300, 2300, 2300}};
	int64_t usage_nano = most_of(&subscription->terms.rating);
	int64_t cloud_nano;

	if (subscription->moved_month != 0 && most_of(&subscription->moved.rating) > usage_nano)
		usage_nano = most_of(&subscription->moved.rating);
	assert_true(rating_cloud_most(&world.options.card, &cloud_most, &cloud_nano));
	return usage_nano + cloud_nano;
}

static struct testing_call random_call(struct testing_subscription *subscription)
{
	struct testing_call call = {
		.subscription = subscription,
		.status = below(10) == 0 ? 503 : 200,
		.request_bytes = below(300),
		.response_bytes = below(2000),
		.service_us = (uint32_t)below(50000),
		.memory_mib_us = below(100000),
		.cpu_milli_us = below(100000),
		.path = (enum rating_path)below(RATING_PATHS),
	};

	if (below(8) == 0)
		call = (struct testing_call){.subscription = subscription, .is_report = true};
	for (unsigned i = 0; i < JOURNAL_RECORD_UNITS; i++)
		call.units[i] = below(2) == 0 ? below(1000) : 0;
	return call;
}

static bool admit(struct testing_call *call)
{
	const int64_t hold_nano = hold_of(call->subscription);

	if (call->subscription->account_lease == NULL)
		return true;
	for (int i = 0; i < 4; i++) {
		const enum testing_outcome outcome = testing_admit(&world, call, hold_nano);
		if (outcome != TESTING_WAITS)
			return outcome == TESTING_ADMITTED;
		turn();
	}
	return false;
}

static void some_calls(int count)
{
	struct testing_call open[4];
	int in_flight = 0;

	for (int i = 0; i < count; i++) {
		open[in_flight] =
			random_call(&world.subscriptions[below(world.subscription_count)]);
		in_flight += admit(&open[in_flight]);
		if (in_flight == 4 || (in_flight > 0 && below(2) == 0))
			testing_settle(&world, &open[--in_flight],
				       (uint32_t)below(TESTING_STREAMS));
	}
	while (in_flight > 0)
		testing_settle(&world, &open[--in_flight], (uint32_t)below(TESTING_STREAMS));
}

/* With no call open and everything posted, the gateway has what is pending, to the nano. */
static void check_leases(void)
{
	testing_post(&world);
	for (size_t i = 0; i < world.subscription_count; i++) {
		const struct testing_subscription *subscription = &world.subscriptions[i];
		if (subscription->account_lease == NULL)
			continue;
		assert_int_equal(
			testing_pending(&world, LEDGER_MONEY, subscription->terms.account_name),
			subscription->account_lease->available_nano);
	}
}

/* ---- the oracle ---- */

struct oracle {
	struct rating_quantities used;
	struct rating_cloud_quantities cloud_used;
	int64_t told_nano;
};

static struct oracle oracle[SUBSCRIPTIONS][MONTHS];

static void oracle_read(void)
{
	const uint32_t first_month = clock_month_of(TESTING_START_NS);

	memset(oracle, 0, sizeof(oracle));
	for (uint32_t stream = 0; stream < TESTING_STREAMS; stream++) {
		struct journal_reader *reader;
		const struct journal_record *records;
		uint32_t count = 1;
		assert_int_equal(
			journal_reader_open(world.journal, stream, 0, &reader, &world.fault), 0);
		while (count > 0) {
			assert_int_equal(
				journal_reader_next(reader, 1000, &records, &count, &world.fault),
				0);
			for (uint32_t i = 0; i < count; i++) {
				const struct journal_record *record = &records[i];
				const uint64_t index = record->subscription.value - 1;
				const uint32_t month = clock_month_of(record->settled_ns);
				struct oracle *sum = &oracle[index][month - first_month];
				struct rating_quantities call;
				struct rating_cloud_quantities cloud;
				assert_true(month - first_month < MONTHS);
				if (!(record->flags & JOURNAL_BILLED))
					continue;
				const struct billing_terms *terms =
					testing_terms(&world.subscriptions[index], month);
				assert_int_equal(record->plan.value, terms->plan.value);
				assert_true(
					audit_quantities_of(&terms->rating, record, &call, &cloud));
				for (unsigned m = 0; m < RATING_METERS; m++)
					sum->used.of[m] += call.of[m];
				for (unsigned m = 0; m < RATING_CLOUD_METERS; m++)
					sum->cloud_used.of[m] += cloud.of[m];
				sum->told_nano += record->charge_nano;
			}
		}
		journal_reader_close(reader);
	}
}

static void add(const char *const names[], int64_t owed[], const char *name, int64_t nano)
{
	for (size_t i = 0; i < ACCOUNTS; i++) {
		if (strcmp(names[i], name) == 0)
			owed[i] += nano;
	}
}

/* What each account owes for the month by R, F and the card alone. */
static void oracle_owed(uint32_t month, int64_t owed[ACCOUNTS])
{
	memset(owed, 0, ACCOUNTS * sizeof(owed[0]));
	for (size_t i = 0; i < world.subscription_count; i++) {
		const struct billing_terms *terms = testing_terms(
			&world.subscriptions[i], clock_month_of(TESTING_START_NS) + month);
		const struct oracle *sum = &oracle[i][month];
		int64_t usage;
		int64_t cloud;
		int64_t fee;
		assert_true(rating_plan_charge(&terms->rating, &sum->used, &usage));
		assert_true(rating_cloud_charge(&world.options.card, &sum->cloud_used, &cloud));
		assert_true(rating_fee(usage, world.options.fee_ppm, &fee));
		assert_int_equal(sum->told_nano, usage + cloud);
		add(accounts, owed, terms->account_name, usage + cloud);
		add(accounts, owed, terms->provider_name, fee - usage);
		add(accounts, owed, "operator", -cloud - fee);
	}
}

static int64_t statement_total(const char *account, uint32_t month)
{
	const struct billing_statement_query query = {.account_name = slice_of(account),
						      .month = month};
	struct billing_statement *statement;

	assert_int_equal(billing_statement_make(world.other, &world.options.terms, &query,
						&statement, &world.fault),
			 0);
	const int64_t total = statement->total_nano;
	billing_statement_free(statement);
	return total;
}

static void check_against_oracle(void)
{
	const uint32_t first_month = clock_month_of(TESTING_START_NS);
	int64_t all_months[ACCOUNTS] = {0};

	failure.fail_at = 0;
	settle_journal();
	assert_int_equal(billing_poster_finish(world.poster, &world.fault), 0);
	oracle_read();
	for (uint32_t month = 0; month < MONTHS; month++) {
		int64_t owed[ACCOUNTS];
		oracle_owed(month, owed);
		for (size_t i = 0; i < ACCOUNTS; i++) {
			assert_int_equal(statement_total(accounts[i], first_month + month),
					 owed[i]);
			assert_int_equal(testing_charged(&world, accounts[i], first_month + month),
					 owed[i]);
			all_months[i] += owed[i];
		}
	}
	for (size_t i = 0; i < ACCOUNTS; i++) {
		const int64_t funded = strcmp(accounts[i], "operator") == 0 ? 0 : FUNDS_NANO;
		assert_int_equal(testing_balance(&world, LEDGER_MONEY, accounts[i]),
				 funded - all_months[i]);
		assert_int_equal(testing_pending(&world, LEDGER_MONEY, accounts[i]), 0);
	}
	assert_int_equal(testing_counts(&world).parked, 0);
	assert_int_equal(testing_counts(&world).lease_overruns, 0);
	assert_int_equal(testing_counts(&world).mismatches, 0);
	testing_audit(&world);
}

/* ---- the claims ---- */

static void whatever_is_killed_and_fails_the_postings_are_r_of_the_journal(void **state)
{
	(void)state;
	start();
	uint64_t records = 0;
	for (int round = 0; round < 150; round++) {
		some_calls((int)below(40));
		if (below(3) > 0)
			settle_journal();
		failure.calls = 0;
		failure.fail_at = below(2) == 0 ? 1 + below(150) : 0;
		failure.afterwards = below(2) == 0;
		failure.for_ever = below(4) == 0;
		failure.code = below(2) == 0 ? FAULT_BUSY : 0;
		for (uint64_t turns = below(4); turns > 0; turns--)
			turn();
		failure.fail_at = 0;
		check_leases();
		clock_manual_advance(&world.clock, below(3) == 0 ? below(2 * 86400 * CLOCK_NS_PER_S)
								 : below(10 * CLOCK_NS_PER_S));
		records += testing_counts(&world).records;
		if (below(8) == 0)
			kill_and_start();
	}
	assert_true(records > 0);
	check_against_oracle();
	testing_fini(&world);
}

/* Each operation of a turn fails once, in both ways: before it was done, and after. */
static void each_operation_of_a_turn_may_fail_and_nothing_counts_twice(void **state)
{
	(void)state;
	for (int way = 0; way < 4; way++) {
		uint64_t failed = 0;
		bool came_through = false;
		start();
		for (uint64_t at = 1; !came_through && at < 500; at++) {
			some_calls(6);
			settle_journal();
			failure = (struct store_failure){.fail_at = at,
							 .afterwards = way % 2 == 1,
							 .code = way / 2 == 1 ? FAULT_BUSY : 0};
			/* Where the answer of the commit is lost the turn still succeeds. */
			failed += !turn();
			came_through = failure.calls > 20 && failure.calls < at;
			failure.fail_at = 0;
			check_leases();
			clock_manual_advance(&world.clock, below(7 * CLOCK_NS_PER_S));
			if (at % 16 == 0)
				kill_and_start();
		}
		assert_true(came_through);
		assert_true(way / 2 == 1 || failed > 20);
		check_against_oracle();
		testing_fini(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_killed_and_fails_the_postings_are_r_of_the_journal),
		cmocka_unit_test(each_operation_of_a_turn_may_fail_and_nothing_counts_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

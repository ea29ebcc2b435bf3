/*
 * Budgets at every level at once, against a model that knows only what was settled when: at no
 * level ever more than its budget, and of each everything that the others leave can be spent.
 */
#include "billing/billing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "billing/billing_testing.h"

#define SUBSCRIPTIONS 6
#define PRICE_NANO    1000
#define OPEN_MOST     8

static struct testing world;
static struct random_seeded chance;

static uint64_t below(uint64_t bound)
{
	return random_below(&chance.random, bound);
}

/* ---- the model ---- */

/* A budget, and what was charged to it in its month, or ever. */
struct bound {
	struct billing_budget budget;
	uint32_t month;
	int64_t spent_nano;
};

static struct bound bounds[SUBSCRIPTIONS + 8];
static size_t bound_count;

static bool holds_for(const struct bound *bound, const struct billing_terms *terms)
{
	switch (bound->budget.key.level) {
	case BILLING_LEVEL_SUBSCRIPTION:
		return bound->budget.key.id == terms->subscription.value;
	case BILLING_LEVEL_APP:
		return bound->budget.key.id == terms->app.value;
	default:
		return bound->budget.key.id == terms->account.value;
	}
}

static void model_charge(const struct billing_terms *terms, int64_t nano)
{
	const uint32_t month = clock_month_of(clock_wall_ns(&world.clock.clock));

	for (size_t i = 0; i < bound_count; i++) {
		struct bound *bound = &bounds[i];
		if (!holds_for(bound, terms))
			continue;
		if (bound->budget.monthly && bound->month != month)
			bound->spent_nano = 0;
		bound->month = month;
		bound->spent_nano += nano;
		assert_true(bound->spent_nano <= bound->budget.nano);
	}
}

static int64_t model_left(const struct billing_terms *terms)
{
	const uint32_t month = clock_month_of(clock_wall_ns(&world.clock.clock));
	int64_t left_nano = INT64_MAX;

	for (size_t i = 0; i < bound_count; i++) {
		const struct bound *bound = &bounds[i];
		const bool is_over = bound->budget.monthly && bound->month != month;
		const int64_t spent_nano = is_over ? 0 : bound->spent_nano;
		if (holds_for(bound, terms) && bound->budget.nano - spent_nano < left_nano)
			left_nano = bound->budget.nano - spent_nano;
	}
	return left_nano;
}

/* ---- the world ---- */

/* Of an app or an account; -1: removes it. The poster is told. */
static void budget_put(struct billing_budget_key key, int64_t nano, bool monthly)
{
	const struct billing_budget budget = {.key = key, .nano = nano, .monthly = monthly};
	bool changed;

	assert_int_equal(store_begin(world.other, STORE_WRITE, &world.fault), 0);
	assert_int_equal(billing_budget_put(world.other, &budget, &changed, &world.fault), 0);
	assert_int_equal(store_commit(world.other, &world.fault), 0);
	if (world.poster != NULL)
		billing_poster_budget_changed(world.poster, key);
}

static void bound_put(enum billing_level level, uint64_t id, int64_t nano, bool monthly)
{
	const struct billing_budget_key key = {level, id};

	bounds[bound_count++] =
		(struct bound){.budget = {.key = key, .nano = nano, .monthly = monthly}};
	if (level == BILLING_LEVEL_SUBSCRIPTION) {
		world.subscriptions[id - 1].terms.budget_nano = nano;
		world.subscriptions[id - 1].terms.budget_monthly = monthly;
	} else {
		budget_put(key, nano, monthly);
	}
}

static void leases_new(void)
{
	testing_lease_new(&world, "anna");
	testing_lease_new(&world, "bert");
	for (size_t i = 0; i < bound_count; i++)
		testing_level_lease_new(&world, bounds[i].budget.key);
}

/* Two accounts, anna with two apps, bert with one; two subscriptions an app. */
static void subscribe_all(void)
{
	/* A call costs what it counts, so that charges vary under one hold. */
	struct rating_plan plan = testing_unit_plan(1, 1);

	plan.prices[0].meter = RATING_UNIT_0;
	bound_count = 0;
	for (uint64_t i = 0; i < SUBSCRIPTIONS; i++) {
		struct testing_subscription *subscription =
			testing_subscribe(&world, i < 4 ? "anna" : "bert", "pixelworks", &plan);
		subscription->terms.app.value = 1 + i / 2;
	}
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	testing_fund(&world, "bert", AMOUNT_NANO_PER_UNIT);
}

static uint64_t anna(void)
{
	return world.subscriptions[0].terms.account.value;
}

static int setup(void **state)
{
	(void)state;
	testing_init(&world);
	subscribe_all();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testing_fini(&world);
	return 0;
}

static void check_sound(void)
{
	testing_post(&world);
	assert_int_equal(testing_counts(&world).lease_overruns, 0);
	assert_int_equal(testing_counts(&world).owed, 0);
	assert_int_equal(testing_counts(&world).mismatches, 0);
	testing_audit(&world);
}

/* ---- calls ---- */

static bool admit(struct testing_call *call, size_t subscription, int64_t hold_nano)
{
	*call = (struct testing_call){.subscription = &world.subscriptions[subscription],
				      .status = 200};
	for (int i = 0; i < 8; i++) {
		const enum testing_outcome outcome = testing_admit(&world, call, hold_nano);
		if (outcome != TESTING_WAITS)
			return outcome == TESTING_ADMITTED;
		testing_post(&world);
	}
	return false;
}

static void settle(struct testing_call *call, int64_t nano)
{
	call->units[0] = (uint64_t)nano;
	assert_int_equal(testing_settle(&world, call, (uint32_t)below(TESTING_STREAMS)), nano);
	model_charge(&call->subscription->terms, nano);
}

/* Calls of a price until one is refused; how many there were. */
static int64_t exhaust(size_t subscription, int64_t price_nano)
{
	struct testing_call call;
	int64_t count = 0;

	for (; admit(&call, subscription, price_nano); count++)
		settle(&call, price_nano);
	testing_post(&world);
	return count;
}

/* ---- the claims ---- */

static void the_smallest_of_all_levels_decides(void **state)
{
	(void)state;
	bound_put(BILLING_LEVEL_SUBSCRIPTION, 1, 5 * PRICE_NANO, true);
	bound_put(BILLING_LEVEL_APP, 1, 8 * PRICE_NANO, true);
	bound_put(BILLING_LEVEL_ACCOUNT, anna(), 12 * PRICE_NANO + 7, false);
	testing_start(&world);
	leases_new();
	assert_int_equal(exhaust(0, PRICE_NANO), 5); /* its own */
	assert_int_equal(exhaust(1, PRICE_NANO), 3); /* the app's */
	assert_int_equal(exhaust(2, PRICE_NANO), 4); /* the account's */
	assert_int_equal(exhaust(3, 1), 7);          /* to the last nano */
	assert_int_equal(exhaust(3, 1), 0);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"),
			 AMOUNT_NANO_PER_UNIT - 12 * PRICE_NANO - 7);
	/* In the next month the account's still holds: it is for ever. */
	clock_manual_advance(&world.clock, 31 * 86400 * CLOCK_NS_PER_S);
	testing_post(&world);
	assert_int_equal(exhaust(0, 1), 0);
	check_sound();
}

static void what_one_level_refuses_is_not_taken_from_another(void **state)
{
	(void)state;
	bound_put(BILLING_LEVEL_APP, 1, 3 * PRICE_NANO, false);
	bound_put(BILLING_LEVEL_ACCOUNT, anna(), 10 * PRICE_NANO, false);
	testing_start(&world);
	leases_new();
	assert_int_equal(exhaust(0, PRICE_NANO), 3);
	for (int i = 0; i < 50; i++)
		assert_int_equal(exhaust(1, PRICE_NANO), 0);
	assert_int_equal(exhaust(2, PRICE_NANO), 7);
	check_sound();
}

static void a_budget_that_comes_and_goes_bounds_while_it_stands(void **state)
{
	const struct billing_budget_key app = {BILLING_LEVEL_APP, 1};

	(void)state;
	testing_start(&world);
	testing_lease_new(&world, "anna");
	struct testing_call call;
	for (int i = 0; i < 20; i++) {
		assert_true(admit(&call, 0, PRICE_NANO));
		settle(&call, PRICE_NANO);
	}
	testing_post(&world);
	bound_put(BILLING_LEVEL_APP, 1, 4 * PRICE_NANO, true);
	testing_level_lease_new(&world, app);
	assert_int_equal(exhaust(0, PRICE_NANO), 4); /* what was before does not count */
	bounds[0].budget.nano = 6 * PRICE_NANO;
	budget_put(app, 6 * PRICE_NANO, true);
	testing_post(&world);
	assert_int_equal(exhaust(1, PRICE_NANO), 2);
	/* Removed: the gateway asks its lease no more. */
	budget_put(app, -1, false);
	struct testing_lease *before = world.subscriptions[0].budget_leases[BILLING_LEVEL_APP];
	world.subscriptions[0].budget_leases[BILLING_LEVEL_APP] = NULL;
	bound_count = 0;
	for (int i = 0; i < 20; i++) {
		assert_true(admit(&call, 0, PRICE_NANO));
		settle(&call, PRICE_NANO);
	}
	testing_post(&world);
	/* Set again in its month: what was spent under it still counts, what was not does not. */
	world.subscriptions[0].budget_leases[BILLING_LEVEL_APP] = before;
	budget_put(app, 9 * PRICE_NANO, true);
	testing_post(&world);
	assert_int_equal(exhaust(0, PRICE_NANO), 3);
	check_sound();
}

static void a_budget_tells_what_is_spent_in_its_period(void **state)
{
	const struct billing_budget monthly = {
		.key = {BILLING_LEVEL_APP, 1}, .nano = 5 * PRICE_NANO, .monthly = true};
	const uint32_t month = clock_month_of(TESTING_START_NS);
	int64_t spent_nano;

	(void)state;
	bound_put(BILLING_LEVEL_APP, 1, 5 * PRICE_NANO, true);
	testing_start(&world);
	leases_new();
	assert_int_equal(
		billing_budget_spent(world.other, &monthly, month, &spent_nano, &world.fault), 0);
	assert_int_equal(spent_nano, 0);
	struct testing_call call;
	assert_true(admit(&call, 0, 2 * PRICE_NANO));
	settle(&call, 1234);
	testing_post(&world);
	budget_put(monthly.key, 3 * PRICE_NANO, true); /* takes some back */
	testing_post(&world);
	assert_int_equal(
		billing_budget_spent(world.other, &monthly, month, &spent_nano, &world.fault), 0);
	assert_int_equal(spent_nano, 1234);
	assert_int_equal(
		billing_budget_spent(world.other, &monthly, month + 1, &spent_nano, &world.fault),
		0);
	assert_int_equal(spent_nano, 0);
	check_sound();
}

static void some_time_passes(void)
{
	/* A turn, an idle lease, one that lapsed, one that the ledger released, a month. */
	static const uint64_t most_s[] = {1, 7, 61, 130, 20 * 86400};

	clock_manual_advance(&world.clock,
			     below(most_s[below(sizeof(most_s) / sizeof(most_s[0]))]) *
				     CLOCK_NS_PER_S);
	if (below(2) == 0)
		testing_post(&world);
}

static void random_life(int rounds)
{
	struct testing_call open[OPEN_MOST];
	int64_t held[OPEN_MOST];
	int count = 0;

	for (int round = 0; round < rounds; round++) {
		held[count] = 1 + (int64_t)below(3 * PRICE_NANO);
		if (count < OPEN_MOST - 1 && below(3) > 0 &&
		    admit(&open[count], below(SUBSCRIPTIONS), held[count]))
			count++;
		if (count > 0 && below(2) == 0) {
			count--;
			/* Aborted at once, or dearest, or anything between. */
			const uint64_t way = below(4);
			settle(&open[count], way == 0 ? 0
					     : way == 1
						     ? held[count]
						     : (int64_t)below(1 + (uint64_t)held[count]));
		}
		if (below(20) == 0)
			some_time_passes();
		if (below(150) == 0) { /* killed: what is in flight never settles */
			count = 0;
			testing_kill(&world);
			leases_new();
		}
	}
	while (count-- > 0)
		settle(&open[count], 0);
}

static void whatever_happens_no_level_spends_more_and_all_of_it_can_be(void **state)
{
	(void)state;
	random_seeded_init(&chance, testing_seed());
	for (uint64_t i = 1; i <= SUBSCRIPTIONS; i += 2)
		bound_put(BILLING_LEVEL_SUBSCRIPTION, i, (int64_t)below(400000), below(2) == 0);
	bound_put(BILLING_LEVEL_APP, 1, (int64_t)below(600000), true);
	bound_put(BILLING_LEVEL_APP, 3, (int64_t)below(600000), false);
	bound_put(BILLING_LEVEL_ACCOUNT, anna(), (int64_t)below(900000), below(2) == 0);
	bound_put(BILLING_LEVEL_ACCOUNT, world.subscriptions[4].terms.account.value, 500000, false);
	testing_start(&world);
	leases_new();
	random_life(2500);
	/* What was leased beside a level that refused comes back. */
	testing_post(&world);
	clock_manual_advance(&world.clock, 6 * CLOCK_NS_PER_S);
	testing_post(&world);
	for (size_t i = 0; i < SUBSCRIPTIONS; i++) {
		const int64_t left_nano = model_left(&world.subscriptions[i].terms);
		if (left_nano == 0)
			continue;
		struct testing_call call;
		assert_false(admit(&call, i, left_nano + 1));
		assert_true(admit(&call, i, left_nano));
		settle(&call, left_nano);
		testing_post(&world);
		assert_int_equal(exhaust(i, 1), 0);
	}
	check_sound();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_smallest_of_all_levels_decides),
		TEST(what_one_level_refuses_is_not_taken_from_another),
		TEST(a_budget_that_comes_and_goes_bounds_while_it_stands),
		TEST(a_budget_tells_what_is_spent_in_its_period),
		TEST(whatever_happens_no_level_spends_more_and_all_of_it_can_be),
	};

	random_seeded_init(&chance, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

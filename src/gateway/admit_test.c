#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "gateway/admit.h"

#define THREADS  4
#define NOVEMBER 1796083200ull /* 2026-12-01T00:00:00Z less a second is November */
#define NOW_WALL ((NOVEMBER - 3600 * 24 * 10) * CLOCK_NS_PER_S)
#define NEVER    UINT64_MAX

static void no_demand(void *context)
{
	(void)context;
}

static void count_demand(void *context)
{
	atomic_fetch_add((_Atomic int *)context, 1);
}

static void lease_begin(struct gateway_lease *lease, int64_t nano)
{
	*lease = (struct gateway_lease){.on_demand = no_demand};
	atomic_store(&lease->expires_ns, NEVER);
	atomic_store(&lease->available_nano, nano);
}

static struct admit_plan plan_of_unit_price(int64_t nano)
{
	struct admit_plan plan = {
		.rating = {.price_count = 1, .max_charge_nano = -1},
		.limits = {.quota_calls = -1, .timeout_ns = CLOCK_NS_PER_S},
		.call_most_nano = nano,
	};
	plan.rating.prices[0] = (struct rating_price){
		.meter = RATING_CALLS, .model = RATING_UNIT, .rate = {.nano = nano, .per = 1}};
	for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
		plan.rating.max_units[i] = INT64_MAX;
	return plan;
}

static const struct rating_card no_card = {
	.of = {{0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}}};

static struct admit_state *state_new(void)
{
	static const struct rating_quantities none;
	static const struct rating_cloud_quantities none_either;
	struct admit_state *state = aligned_alloc(64, sizeof(*state));

	assert_non_null(state);
	admit_state_init(state, clock_month_of(NOW_WALL), &none, &none_either, 0);
	return state;
}

/* A call of one part. */
static bool settle_whole(struct admit_state *state, const struct admit_plan *plan, uint64_t wall_ns,
			 struct admit_hold *hold, struct admit_charge *charge)
{
	const struct rating_left left = rating_left_of(&plan->rating);

	return admit_settle(state, plan, &no_card, wall_ns, &left, false, hold, charge);
}

/* ---- money ---- */

struct spender {
	struct admit_state *state;
	const struct admit_plan *plan;
	struct gateway_lease *lease;
	int64_t admitted;
	int64_t charged_nano;
	uint64_t seed;
};

static void *spend_all(void *context)
{
	struct spender *spender = context;
	struct random_seeded random;
	random_seeded_init(&random, spender->seed);

	for (unsigned i = 0; i < 20000; i++) {
		struct admit_hold hold = {.account = spender->lease};
		if (admit_hold(spender->state, spender->plan, 0, 1, NOW_WALL, &hold) != ADMIT_DONE)
			continue;
		struct admit_charge charge = {0};
		charge.used.of[RATING_CALLS] = 1;
		charge.used.of[RATING_UNIT_0] = (int64_t)random_below(&random.random, 1000);
		if (random_below(&random.random, 4) == 0) {
			admit_release(&hold); /* the service failed: it costs nothing */
			continue;
		}
		assert_true(settle_whole(spender->state, spender->plan, NOW_WALL, &hold, &charge));
		spender->admitted++;
		spender->charged_nano += charge.usage_nano;
	}
	return NULL;
}

static void run_spenders(struct spender *spenders, struct admit_state *state,
			 const struct admit_plan *plan, struct gateway_lease *lease)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		spenders[i] = (struct spender){
			.state = state, .plan = plan, .lease = lease, .seed = 17 + i};
		assert_int_equal(pthread_create(&threads[i], NULL, spend_all, &spenders[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void threads_together_spend_exactly_what_the_lease_has(void **unused)
{
	(void)unused;
	const int64_t price = 50000000, calls = 777;
	const struct admit_plan plan = plan_of_unit_price(price);
	struct gateway_lease lease;
	lease_begin(&lease, price * calls + price - 1);
	struct admit_state *state = state_new();
	struct spender spenders[THREADS];

	run_spenders(spenders, state, &plan, &lease);
	int64_t admitted = 0;
	for (unsigned i = 0; i < THREADS; i++)
		admitted += spenders[i].admitted;
	assert_int_equal(admitted, calls);
	assert_int_equal(atomic_load(&lease.available_nano), price - 1);
	free(state);
}

static void charges_of_all_threads_sum_to_R_of_the_summed_quantities(void **unused)
{
	(void)unused;
	struct admit_plan plan = plan_of_unit_price(50000000);
	plan.rating.price_count = 2;
	plan.rating.prices[1] = (struct rating_price){
		.meter = RATING_UNIT_0,
		.model = RATING_GRADUATED,
		.free_units = 1000000,
		.tier_count = 2,
		.tiers = {{.up_to = 5000000, .rate = {.nano = 100000000, .per = 1000007}},
			  {.up_to = INT64_MAX, .rate = {.nano = 40000000, .per = 1000007}}}};
	plan.rating.max_units[0] = 999;
	plan.call_most_nano = 50000000 + 100000;
	struct gateway_lease lease;
	lease_begin(&lease, INT64_MAX / 2);
	struct admit_state *state = state_new();
	struct spender spenders[THREADS];

	run_spenders(spenders, state, &plan, &lease);
	int64_t charged = 0, expected;
	for (unsigned i = 0; i < THREADS; i++)
		charged += spenders[i].charged_nano;
	const struct admit_period *period = &state->periods[clock_month_of(NOW_WALL) % 2];
	struct rating_quantities used = {0};
	used.of[RATING_CALLS] = atomic_load(&period->used[RATING_CALLS]);
	used.of[RATING_UNIT_0] = atomic_load(&period->used[RATING_UNIT_0]);
	assert_true(used.of[RATING_UNIT_0] > 5000000);
	assert_true(rating_plan_charge(&plan.rating, &used, &expected));
	assert_int_equal(charged, expected);
	assert_int_equal(atomic_load(&lease.available_nano), INT64_MAX / 2 - charged);
	free(state);
}

static void a_budget_that_refuses_leaves_the_account_untouched(void **unused)
{
	(void)unused;
	const struct admit_plan plan = plan_of_unit_price(10);
	struct gateway_lease account, budget;
	lease_begin(&account, 1000);
	lease_begin(&budget, 9);
	struct admit_state *state = state_new();
	struct admit_hold hold = {.account = &account, .budgets = {&budget}};

	assert_int_equal(admit_hold(state, &plan, 0, 1, NOW_WALL, &hold), ADMIT_BUDGET);
	assert_int_equal(atomic_load(&account.available_nano), 1000);
	assert_int_equal(hold.nano, 0);
	lease_begin(&account, 9);
	lease_begin(&budget, 1000);
	assert_int_equal(admit_hold(state, &plan, 0, 1, NOW_WALL, &hold), ADMIT_BALANCE);
	assert_int_equal(atomic_load(&budget.available_nano), 1000);
	free(state);
}

static void an_expired_lease_gives_nothing_and_asks_for_renewal(void **unused)
{
	(void)unused;
	_Atomic int asked = 0;
	struct gateway_lease lease = {.on_demand = count_demand, .context = &asked};
	gateway_lease_grant(&lease, 100, 1000);
	gateway_lease_set_source(&lease, true);

	assert_int_equal(lease_take(&lease, 10, 999), LEASE_TAKEN);
	assert_int_equal(lease_take(&lease, 10, 1000), LEASE_WAIT);
	assert_int_equal(asked, 1);
	assert_int_equal(atomic_load(&lease.available_nano), 90);
}

static void a_dry_lease_waits_while_there_is_more_and_refuses_when_there_is_none(void **unused)
{
	(void)unused;
	_Atomic int asked = 0;
	struct gateway_lease lease = {.on_demand = count_demand, .context = &asked};
	gateway_lease_grant(&lease, 5, NEVER);
	gateway_lease_set_source(&lease, true);

	assert_int_equal(lease_take(&lease, 6, 1), LEASE_WAIT);
	assert_int_equal(lease_take(&lease, 9, 1), LEASE_WAIT);
	assert_int_equal(asked, 1); /* told once */
	const struct gateway_lease_state state = gateway_lease_poll(&lease);
	assert_int_equal(state.wanted_nano, 9);
	assert_int_equal(state.available_nano, 5);
	gateway_lease_set_source(&lease, false);
	assert_int_equal(lease_take(&lease, 6, 1), LEASE_REFUSED);
	assert_int_equal(lease_take(&lease, 5, 1), LEASE_TAKEN);
}

static void reclaiming_never_takes_what_calls_hold(void **unused)
{
	(void)unused;
	struct gateway_lease lease;
	lease_begin(&lease, 100);

	assert_int_equal(lease_take(&lease, 70, 1), LEASE_TAKEN);
	assert_int_equal(gateway_lease_reclaim(&lease, 100), 30);
	assert_int_equal(gateway_lease_reclaim(&lease, 100), 0);
	lease_release(&lease, 70);
	assert_int_equal(gateway_lease_reclaim(&lease, 20), 20);
}

static void a_flat_price_is_charged_with_the_first_call_of_a_month_only(void **unused)
{
	(void)unused;
	struct admit_plan plan = plan_of_unit_price(10);
	plan.rating.prices[0].model = RATING_FLAT;
	plan.call_most_nano = 0;
	plan.first_nano = 10;
	struct gateway_lease lease;
	lease_begin(&lease, 25);
	struct admit_state *state = state_new();
	const int64_t left[] = {15, 15, 5};
	const uint64_t when[] = {NOW_WALL, NOW_WALL + 1, (NOVEMBER + 3600) * CLOCK_NS_PER_S};

	for (unsigned i = 0; i < 3; i++) {
		struct admit_hold hold = {.account = &lease};
		struct admit_charge charge = {.used.of[RATING_CALLS] = 1};
		assert_int_equal(admit_hold(state, &plan, 0, 1, when[i], &hold), ADMIT_DONE);
		assert_true(settle_whole(state, &plan, when[i], &hold, &charge));
		assert_int_equal(atomic_load(&lease.available_nano), left[i]);
	}
	free(state);
}

static void a_minimum_is_held_until_its_meter_was_used(void **unused)
{
	(void)unused;
	struct admit_plan plan = plan_of_unit_price(1);
	plan.rating.prices[0].meter = RATING_UNIT_0;
	plan.rating.prices[0].minimum_nano = 20;
	plan.rating.max_units[0] = 5;
	plan.call_most_nano = 5;
	plan.first_nano = 20;
	struct gateway_lease lease;
	lease_begin(&lease, 100);
	struct admit_state *state = state_new();
	const int64_t units[] = {0, 3, 5}, holds[] = {25, 25, 5}, left[] = {100, 80, 80};

	for (unsigned i = 0; i < 3; i++) {
		struct admit_hold hold = {.account = &lease};
		struct admit_charge charge = {
			.used.of = {[RATING_CALLS] = 1, [RATING_UNIT_0] = units[i]}};
		assert_int_equal(admit_hold(state, &plan, 0, 1, NOW_WALL, &hold), ADMIT_DONE);
		assert_int_equal(hold.nano, holds[i]);
		assert_true(settle_whole(state, &plan, NOW_WALL, &hold, &charge));
		assert_int_equal(atomic_load(&lease.available_nano), left[i]);
	}
	free(state);
}

static void threads_together_are_charged_what_a_discount_leaves_of_the_sum(void **unused)
{
	(void)unused;
	struct admit_plan plan = plan_of_unit_price(50000001);
	plan.rating.price_count = 2;
	plan.rating.prices[1] = (struct rating_price){
		.meter = RATING_UNIT_0, .model = RATING_UNIT, .rate = {.nano = 10, .per = 7}};
	plan.rating.max_units[0] = 1000;
	plan.rating.discount_ppm = 123457;
	plan.rating.discount_nano = 777777777;
	const struct rating_quantities most = {.of = {[RATING_CALLS] = 1, [RATING_UNIT_0] = 1000}};
	assert_true(rating_plan_call_most(&plan.rating, &most, &plan.call_most_nano));
	struct gateway_lease lease;
	lease_begin(&lease, INT64_MAX / 2);
	struct admit_state *state = state_new();
	struct spender spenders[THREADS];

	run_spenders(spenders, state, &plan, &lease);
	struct admit_period *period = &state->periods[clock_month_of(NOW_WALL) % 2];
	struct rating_quantities used;
	int64_t charged_nano = 0;
	int64_t expected_nano;
	for (unsigned i = 0; i < THREADS; i++)
		charged_nano += spenders[i].charged_nano;
	for (unsigned i = 0; i < RATING_METERS; i++)
		used.of[i] = atomic_load(&period->used[i]);
	assert_true(rating_plan_charge(&plan.rating, &used, &expected_nano));
	assert_int_equal(charged_nano, expected_nano);
	assert_int_equal(atomic_load(&lease.available_nano), INT64_MAX / 2 - expected_nano);
	free(state);
}

static void a_charge_beyond_the_hold_charges_nothing_and_moves_nothing(void **unused)
{
	(void)unused;
	struct admit_plan plan = plan_of_unit_price(10);
	plan.call_most_nano = 9;
	struct gateway_lease lease;
	lease_begin(&lease, 100);
	struct admit_state *state = state_new();
	struct admit_hold hold = {.account = &lease};
	struct admit_charge charge = {.used.of[RATING_CALLS] = 1};

	assert_int_equal(admit_hold(state, &plan, 0, 1, NOW_WALL, &hold), ADMIT_DONE);
	assert_false(settle_whole(state, &plan, NOW_WALL, &hold, &charge));
	assert_int_equal(atomic_load(&lease.available_nano), 100);
	assert_int_equal(
		atomic_load(&state->periods[clock_month_of(NOW_WALL) % 2].used[RATING_CALLS]), 0);
	free(state);
}

static void a_call_beside_one_that_fills_a_sum_is_not_charged(void **unused)
{
	(void)unused;
	struct admit_plan plan = plan_of_unit_price(10);
	plan.rating.prices[1] = (struct rating_price){.meter = RATING_UNIT_0, .model = RATING_FREE};
	plan.rating.price_count = 2;
	struct gateway_lease lease;
	lease_begin(&lease, 100);
	struct admit_state *state = state_new();
	struct admit_hold hold = {.account = &lease};
	struct admit_charge charge = {.used.of = {[RATING_CALLS] = 1, [RATING_UNIT_0] = 5}};
	/* What a call that overflows the sum leaves there until it takes its part back. */
	_Atomic int64_t *used = &state->periods[clock_month_of(NOW_WALL) % 2].used[RATING_UNIT_0];
	atomic_store(used, INT64_MIN + 3);

	assert_int_equal(admit_hold(state, &plan, 0, 1, NOW_WALL, &hold), ADMIT_DONE);
	assert_false(settle_whole(state, &plan, NOW_WALL, &hold, &charge));
	assert_true(atomic_load(used) == INT64_MIN + 3);
	assert_int_equal(atomic_load(&lease.available_nano), 100);
	free(state);
}

/* ---- rate, concurrency, quota ---- */

static void a_full_bucket_admits_exactly_its_burst_then_the_rate(void **unused)
{
	(void)unused;
	struct admit_plan plan = plan_of_unit_price(1);
	plan.limits.rate_interval_ns = 10 * CLOCK_NS_PER_MS;
	plan.limits.burst = 5;
	struct admit_state *state = state_new();
	uint64_t wait_ns = 0, now_ns = CLOCK_NS_PER_S;

	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(admit_enter(state, &plan, now_ns, NOW_WALL, &wait_ns), ADMIT_DONE);
	assert_int_equal(admit_enter(state, &plan, now_ns, NOW_WALL, &wait_ns), ADMIT_RATE);
	assert_int_equal(wait_ns, 10 * CLOCK_NS_PER_MS);
	assert_int_equal(admit_enter(state, &plan, now_ns + wait_ns - 1, NOW_WALL, &wait_ns),
			 ADMIT_RATE);
	assert_int_equal(wait_ns, 1);
	assert_int_equal(
		admit_enter(state, &plan, now_ns + 10 * CLOCK_NS_PER_MS, NOW_WALL, &wait_ns),
		ADMIT_DONE);
	assert_int_equal(atomic_load(&state->in_flight), 6);
	free(state);
}

static void concurrency_counts_calls_in_flight_and_refusals_leave_nothing(void **unused)
{
	(void)unused;
	struct admit_plan plan = plan_of_unit_price(1);
	plan.limits.concurrency = 2;
	plan.limits.quota_calls = 10;
	struct admit_state *state = state_new();
	uint64_t wait_ns;

	assert_int_equal(admit_enter(state, &plan, 1, NOW_WALL, &wait_ns), ADMIT_DONE);
	assert_int_equal(admit_enter(state, &plan, 1, NOW_WALL, &wait_ns), ADMIT_DONE);
	assert_int_equal(admit_enter(state, &plan, 1, NOW_WALL, &wait_ns), ADMIT_CONCURRENCY);
	admit_leave(state, &plan, NOW_WALL, true);
	assert_int_equal(admit_enter(state, &plan, 1, NOW_WALL, &wait_ns), ADMIT_DONE);
	const struct admit_period *period = &state->periods[clock_month_of(NOW_WALL) % 2];
	assert_int_equal(atomic_load(&period->calls_admitted), 3);
	free(state);
}

static void quota_counts_calls_that_cost_and_renews_with_the_month(void **unused)
{
	(void)unused;
	struct admit_plan plan = plan_of_unit_price(1);
	plan.limits.quota_calls = 2;
	struct admit_state *state = state_new();
	const uint64_t december = (NOVEMBER + 1) * CLOCK_NS_PER_S;
	uint64_t wait_ns;

	assert_int_equal(admit_enter(state, &plan, 1, NOW_WALL, &wait_ns), ADMIT_DONE);
	admit_leave(state, &plan, NOW_WALL, false); /* failed: does not count */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(admit_enter(state, &plan, 1, NOW_WALL, &wait_ns), ADMIT_DONE);
		admit_leave(state, &plan, NOW_WALL, true);
	}
	assert_int_equal(admit_enter(state, &plan, 1, NOW_WALL, &wait_ns), ADMIT_QUOTA);
	assert_int_equal(admit_enter(state, &plan, 1, december, &wait_ns), ADMIT_DONE);
	assert_int_equal(atomic_load(&state->in_flight), 1);
	free(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_together_spend_exactly_what_the_lease_has),
		cmocka_unit_test(charges_of_all_threads_sum_to_R_of_the_summed_quantities),
		cmocka_unit_test(a_budget_that_refuses_leaves_the_account_untouched),
		cmocka_unit_test(an_expired_lease_gives_nothing_and_asks_for_renewal),
		cmocka_unit_test(
			a_dry_lease_waits_while_there_is_more_and_refuses_when_there_is_none),
		cmocka_unit_test(reclaiming_never_takes_what_calls_hold),
		cmocka_unit_test(a_flat_price_is_charged_with_the_first_call_of_a_month_only),
		cmocka_unit_test(a_minimum_is_held_until_its_meter_was_used),
		cmocka_unit_test(threads_together_are_charged_what_a_discount_leaves_of_the_sum),
		cmocka_unit_test(a_charge_beyond_the_hold_charges_nothing_and_moves_nothing),
		cmocka_unit_test(a_call_beside_one_that_fills_a_sum_is_not_charged),
		cmocka_unit_test(a_full_bucket_admits_exactly_its_burst_then_the_rate),
		cmocka_unit_test(concurrency_counts_calls_in_flight_and_refusals_leave_nothing),
		cmocka_unit_test(quota_counts_calls_that_cost_and_renews_with_the_month),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/testing.h"

#include <string.h>

#include "rating/rating.h"
#include "rating/testing_internal.h"

#define SPLITS_MAX 12

/* ---- the oracle: every unit priced by itself, over one denominator for all rates ---- */

#define ORACLE_DENOMINATOR ((__int128)1000000 * 4096 * 3 * 7)

static __int128 oracle_of_unit(const struct rating_price *price, int64_t number)
{
	struct rating_rate rate = price->rate;

	if (price->model == RATING_GRADUATED) {
		uint32_t tier = price->tier_count - 1;
		while (tier > 0 && price->tiers[tier - 1].up_to >= number)
			tier--;
		rate = price->tiers[tier].rate;
	}
	return (__int128)rate.nano * (ORACLE_DENOMINATOR / rate.per);
}

/* Half to even by the parity of twice the quotient. */
static int64_t oracle_round(__int128 numerator, __int128 denominator)
{
	const __int128 halves = 2 * numerator / denominator;

	if (2 * numerator % denominator == 0 && halves % 4 == 1)
		return (int64_t)(halves / 2);
	return (int64_t)((halves + 1) / 2);
}

static int64_t oracle_rates(const struct rating_price *price, int64_t quantity)
{
	const int64_t units = quantity - price->free_units;
	__int128 sum = 0;

	if (price->model == RATING_FREE || quantity == 0)
		return 0;
	if (price->model == RATING_FLAT)
		return price->rate.nano;
	if (price->model == RATING_PACKAGE) {
		for (int64_t number = 0; number < units; number += price->rate.per)
			sum += price->rate.nano;
		return (int64_t)sum;
	}
	for (int64_t number = 1; number <= units; number++)
		sum += oracle_of_unit(price, number);
	return oracle_round(sum, ORACLE_DENOMINATOR);
}

static int64_t oracle_charge(const struct rating_price *price, int64_t quantity)
{
	const int64_t nano = oracle_rates(price, quantity);

	return quantity > 0 && price->minimum_nano > nano ? price->minimum_nano : nano;
}

/* What is left behind both discounts. */
static int64_t oracle_net(const struct rating_plan *plan, int64_t list_nano)
{
	const __int128 part = (__int128)list_nano * (1000000 - plan->discount_ppm);
	const int64_t nano = oracle_round(part, 1000000) - plan->discount_nano;

	return nano > 0 ? nano : 0;
}

static void the_charge_equals_the_oracle_unit_by_unit(void **state)
{
	(void)state;
	for (int i = 0; i < CASES; i++) {
		const struct rating_price price = random_price(RATING_CALLS);
		const int64_t quantity = below(2) ? below(100) : below(600);
		int64_t nano = -1;
		claim(rating_charge(&price, quantity, &nano));
		claim(nano == oracle_charge(&price, quantity));
	}
}

static void any_split_in_any_order_sums_to_the_charge_of_the_whole(void **state)
{
	(void)state;
	for (int i = 0; i < CASES; i++) {
		const struct rating_plan plan = random_plan();
		const int64_t count = 1 + below(SPLITS_MAX);
		struct rating_quantities calls[SPLITS_MAX];
		struct rating_quantities forward = {{0}};
		struct rating_quantities backward = {{0}};
		int64_t sum_forward = 0;
		int64_t sum_backward = 0;
		int64_t nano;

		for (int64_t j = 0; j < count; j++) {
			calls[j] = random_quantities(60);
			claim(rating_plan_advance(&plan, &forward, &calls[j], &nano));
			claim(nano >= 0);
			sum_forward += nano;
		}
		for (int64_t left = count; left > 0; left--) {
			const int64_t pick = below(left);
			claim(rating_plan_advance(&plan, &backward, &calls[pick], &nano));
			sum_backward += nano;
			calls[pick] = calls[left - 1];
		}
		int64_t expected = 0;
		for (uint32_t p = 0; p < plan.price_count; p++)
			expected +=
				oracle_charge(&plan.prices[p], forward.of[plan.prices[p].meter]);
		claim(memcmp(&forward, &backward, sizeof(forward)) == 0);
		claim(rating_plan_charge(&plan, &forward, &nano));
		expected = oracle_net(&plan, expected);
		claim(nano == expected);
		claim(sum_forward == expected);
		claim(sum_backward == expected);
	}
}

static void a_capped_call_never_costs_more_than_its_most(void **state)
{
	int64_t reached = 0;

	(void)state;
	for (int i = 0; i < CASES; i++) {
		const struct rating_plan plan = random_plan();
		struct rating_quantities before = random_quantities(300);
		struct rating_quantities call = random_call();
		const struct rating_quantities most = call;
		const int64_t first_nano = rating_plan_first(&plan, &before);
		int64_t most_nano;
		int64_t nano;

		rating_call_cap(&plan, &call);
		claim(call.of[RATING_CALLS] == 1);
		claim(rating_plan_call_most(&plan, &most, &most_nano));
		claim(plan.max_charge_nano < 0 || most_nano <= plan.max_charge_nano);
		claim(rating_plan_advance(&plan, &before, &call, &nano));
		claim(nano <= most_nano + first_nano);
		reached += nano == most_nano + first_nano;
	}
	/* The bound is no idle one. */
	claim(reached > CASES / 100);
}

static void what_a_cap_leaves_is_the_most_that_fits(void **state)
{
	(void)state;
	for (int i = 0; i < CASES; i++) {
		struct rating_plan plan = {.price_count = 1, .max_units = {INT64_MAX}};
		struct rating_quantities call = {{0}};
		int64_t nano;

		plan.prices[0] = random_price(RATING_UNIT_0);
		plan.max_charge_nano = -1;
		if (plan.prices[0].model == RATING_FLAT)
			continue;
		call.of[RATING_UNIT_0] = 1 + below(500);
		const struct rating_quantities whole = call;
		claim(rating_plan_call_most(&plan, &whole, &nano));
		plan.max_charge_nano = below(nano + 1);
		rating_call_cap(&plan, &call);
		if (call.of[RATING_UNIT_0] == whole.of[RATING_UNIT_0])
			continue;
		const int64_t within = plan.max_charge_nano;
		plan.max_charge_nano = -1;
		call.of[RATING_UNIT_0]++;
		claim(rating_plan_call_most(&plan, &call, &nano));
		claim(nano > within);
	}
}

static void a_cap_looks_at_the_call_only_and_repeats_itself(void **state)
{
	(void)state;
	for (int i = 0; i < CASES; i++) {
		const struct rating_plan plan = random_plan();
		struct rating_quantities once = random_call();
		const struct rating_quantities whole = once;
		rating_call_cap(&plan, &once);
		struct rating_quantities twice = once;
		rating_call_cap(&plan, &twice);
		claim(memcmp(&once, &twice, sizeof(once)) == 0);
		for (int meter = 0; meter < RATING_METERS; meter++)
			claim(once.of[meter] >= 0 && once.of[meter] <= whole.of[meter]);
	}
}

static void the_parts_of_a_call_stay_within_its_bounds(void **state)
{
	int64_t reached = 0;

	(void)state;
	for (int i = 0; i < CASES; i++) {
		const struct rating_plan plan = random_plan();
		struct rating_left left = rating_left_of(&plan);
		struct rating_quantities before = random_quantities(300);
		int64_t sum_nano = 0;
		int64_t brought_nano = 0;
		int64_t units[RATING_UNITS_MAX] = {0};
		for (int parts = 0; parts < 4; parts++) {
			const struct rating_quantities between = random_call();
			struct rating_quantities part = random_call();
			const int64_t first_nano = rating_plan_first(&plan, &before);
			int64_t most_nano, nano;
			part.of[RATING_CALLS] = parts == 0;
			claim(rating_part_most(&plan, &left, &part, &most_nano));
			rating_part_cap(&plan, &left, &part);
			claim(rating_plan_advance(&plan, &before, &part, &nano));
			claim(nano <= most_nano + first_nano);
			brought_nano += first_nano;
			rating_left_take(&plan, &part, &left);
			sum_nano += nano;
			for (int unit = 0; unit < RATING_UNITS_MAX; unit++)
				units[unit] += part.of[RATING_UNIT_0 + unit];
			/* Others call meanwhile, and move where rounding falls. */
			claim(rating_plan_advance(&plan, &before, &between, &nano));
		}
		if (plan.max_charge_nano >= 0) {
			claim(sum_nano <= plan.max_charge_nano + brought_nano);
			claim(left.charge_nano >= 0);
			reached += left.charge_nano == 0;
		}
		for (int unit = 0; unit < RATING_UNITS_MAX; unit++)
			claim(units[unit] <= plan.max_units[unit]);
	}
	claim(reached > 0);
}

static void two_ties_part_by_one_nano_and_the_most_says_so(void **state)
{
	/* Half a nano each: R(1) = 0, R(3) = 2, although two units cost one nano exactly. */
	struct rating_plan plan = {.price_count = 1, .max_charge_nano = -1};
	struct rating_quantities before = {.of = {[RATING_UNIT_0] = 1}};
	struct rating_quantities call = {.of = {[RATING_UNIT_0] = 2}};
	int64_t nano;

	(void)state;
	plan.max_units[0] = INT64_MAX;
	plan.prices[0] = (struct rating_price){
		.meter = RATING_UNIT_0, .model = RATING_UNIT, .rate = {.nano = 1, .per = 2}};
	assert_true(rating_plan_call_most(&plan, &call, &nano));
	assert_int_equal(nano, 2);
	assert_true(rating_plan_advance(&plan, &before, &call, &nano));
	assert_int_equal(nano, 2);

	plan.max_charge_nano = 1;
	rating_call_cap(&plan, &call);
	assert_int_equal(call.of[RATING_UNIT_0], 1);
}

static void the_designs_example_costs_what_the_manifest_says(void **state)
{
	struct rating_plan plan = {
		.price_count = 2,
		.max_charge_nano = 200000000,
		.max_units = {50000000, INT64_MAX, INT64_MAX, INT64_MAX},
		.prices =
			{
				{.meter = RATING_CALLS,
				 .model = RATING_UNIT,
				 .rate = {50000000, 1}},
				{.meter = RATING_UNIT_0,
				 .model = RATING_GRADUATED,
				 .free_units = 1000000,
				 .tier_count = 2,
				 .tiers = {{100000000, {100000000, 1000000}},
					   {INT64_MAX, {40000000, 1000000}}}},
			},
	};
	struct rating_quantities total = {
		.of = {[RATING_CALLS] = 1000, [RATING_UNIT_0] = 151000000}};
	struct rating_quantities call = {.of = {[RATING_CALLS] = 1, [RATING_UNIT_0] = 90000000}};
	int64_t nano;

	(void)state;
	assert_true(rating_plan_charge(&plan, &total, &nano));
	assert_int_equal(nano, 50000000000 + 10000000000 + 2000000000);
	rating_call_cap(&plan, &call);
	assert_int_equal(call.of[RATING_UNIT_0], 1500000); /* what 0.15 buys at 0.10 per 1M */
	assert_true(rating_plan_call_most(&plan, &call, &nano));
	assert_int_equal(nano, 200000000);
}

static void a_max_charge_above_what_a_call_can_cost_is_not_held(void **state)
{
	struct rating_plan plan = {.price_count = 1, .max_charge_nano = 200};
	const struct rating_quantities call = {.of = {[RATING_CALLS] = 1}};
	int64_t nano;

	(void)state;
	plan.prices[0] = (struct rating_price){
		.meter = RATING_CALLS, .model = RATING_UNIT, .rate = {.nano = 50, .per = 1}};
	assert_true(rating_plan_call_most(&plan, &call, &nano));
	assert_int_equal(nano, 50);
}

static void a_priced_meter_without_a_bound_has_no_most(void **state)
{
	struct rating_plan plan = {.price_count = 1, .max_charge_nano = -1};
	const struct rating_quantities most = {
		.of = {[RATING_CALLS] = 1, [RATING_UNIT_1] = INT64_MAX}};
	int64_t nano = 77;

	(void)state;
	plan.max_units[1] = INT64_MAX;
	plan.prices[0] = (struct rating_price){
		.meter = RATING_UNIT_1, .model = RATING_UNIT, .rate = {.nano = 3, .per = 1}};
	assert_false(rating_plan_call_most(&plan, &most, &nano));
	assert_int_equal(nano, 77);
	plan.max_units[1] = 10;
	assert_true(rating_plan_call_most(&plan, &most, &nano));
	assert_int_equal(nano, 30);
	plan.max_units[1] = INT64_MAX;
	plan.max_charge_nano = 20;
	assert_true(rating_plan_call_most(&plan, &most, &nano));
	assert_int_equal(nano, 20);
	plan.max_charge_nano = -1;
	plan.prices[0].rate.nano = 0;
	assert_true(rating_plan_call_most(&plan, &most, &nano));
	assert_int_equal(nano, 0);
}

static void the_charge_never_falls_as_the_quantity_grows(void **state)
{
	(void)state;
	for (int i = 0; i < 3000; i++) {
		const struct rating_price price = random_price(RATING_CALLS);
		int64_t last = 0;
		for (int64_t quantity = 0; quantity < 400; quantity++) {
			int64_t nano;
			claim(rating_charge(&price, quantity, &nano));
			claim(nano >= last);
			claim(quantity > 0 || nano == 0);
			last = nano;
		}
	}
}

static void large_quantities_stay_exact_in_128_bits(void **state)
{
	struct rating_price price = {.meter = RATING_RESPONSE_BYTES,
				     .model = RATING_UNIT,
				     .rate = {999999999999, 1000000007}};
	int64_t nano;

	(void)state;
	assert_true(rating_charge(&price, 9000000000000000, &nano));
	const __int128 product = (__int128)9000000000000000 * 999999999999;
	const __int128 rest = product - (__int128)nano * 1000000007;
	assert_true(2 * rest <= 1000000007 && 2 * rest >= -1000000007);

	price.model = RATING_GRADUATED;
	price.tier_count = 2;
	price.tiers[0] = (struct rating_tier){4000000000000000, price.rate};
	price.tiers[1] = (struct rating_tier){INT64_MAX, price.rate};
	int64_t graduated;
	assert_true(rating_charge(&price, 9000000000000000, &graduated));
	assert_int_equal(graduated, nano);
}

static void an_overflow_is_refused_and_nothing_moves(void **state)
{
	struct rating_plan plan = {.price_count = 2, .max_charge_nano = -1};
	const struct rating_quantities start = {.of = {[RATING_CALLS] = 5}};
	struct rating_quantities before = start;
	struct rating_quantities call = {.of = {[RATING_CALLS] = 1, [RATING_DURATION_MS] = 3}};
	int64_t nano = 77;

	(void)state;
	plan.prices[0] = (struct rating_price){
		.meter = RATING_CALLS, .model = RATING_UNIT, .rate = {.nano = 1, .per = 1}};
	plan.prices[1] = (struct rating_price){
		.meter = RATING_DURATION_MS, .model = RATING_UNIT, .rate = {INT64_MAX / 2, 1}};
	assert_false(rating_plan_advance(&plan, &before, &call, &nano));
	assert_memory_equal(&before, &start, sizeof(start));
	assert_int_equal(nano, 77);
	assert_false(rating_plan_charge(&plan, &call, &nano));
	assert_false(rating_plan_call_most(&plan, &call, &nano));
	assert_int_equal(nano, 77);

	call = (struct rating_quantities){.of = {[RATING_CALLS] = INT64_MAX}};
	assert_false(rating_plan_advance(&plan, &before, &call, &nano));
	assert_memory_equal(&before, &start, sizeof(start));

	/* Sums: each of two prices fits, both together do not. */
	plan.prices[0].meter = RATING_DURATION_MS;
	plan.prices[0].rate.nano = INT64_MAX / 2;
	call = (struct rating_quantities){.of = {[RATING_DURATION_MS] = 2}};
	assert_false(rating_plan_advance(&plan, &before, &call, &nano));
	assert_memory_equal(&before, &start, sizeof(start));
	assert_int_equal(nano, 77);

	struct rating_price package = {.model = RATING_PACKAGE,
				       .rate = {.nano = INT64_MAX / 2, .per = 10}};
	assert_false(rating_charge(&package, 21, &nano));
	assert_true(rating_charge(&package, 20, &nano));
	assert_int_equal(nano, INT64_MAX - 1);
}

static void plans_are_equal_if_all_their_terms_are(void **state)
{
	const struct rating_plan plan = {.price_count = 1,
					 .prices = {{.model = RATING_GRADUATED,
						     .tier_count = 2,
						     .tiers = {{10, {5, 1}}, {INT64_MAX, {4, 1}}}}},
					 .max_charge_nano = -1};
	struct rating_plan other[10];

	(void)state;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		other[i] = plan;
	assert_true(rating_plan_equal(&plan, &other[0]));
	other[0].prices[1].rate.nano = 1; /* beyond its prices */
	assert_true(rating_plan_equal(&plan, &other[0]));
	other[0].price_count = 0;
	other[1].prices[0].tiers[1].rate.nano = 3;
	other[2].prices[0].tiers[0].up_to = 11;
	other[3].prices[0].free_units = 1;
	other[4].max_units[RATING_UNITS_MAX - 1] = 1;
	other[5].max_charge_nano = 0;
	other[6].bill_always = true;
	other[7].prices[0].minimum_nano = 1;
	other[8].discount_ppm = 1;
	other[9].discount_nano = 1;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_false(rating_plan_equal(&plan, &other[i]));
}

static void what_breaks_a_rule_is_not_valid(void **state)
{
	const struct rating_price unit = {.model = RATING_UNIT, .rate = {5, 1}};
	struct rating_price price = unit;
	struct rating_plan plan = {.price_count = 1, .prices = {unit}, .max_charge_nano = 5};

	(void)state;
	assert_true(rating_price_valid(&price));
	assert_true(rating_plan_valid(&plan));
	plan.max_charge_nano = 4;
	assert_false(rating_plan_valid(&plan));
	plan.max_charge_nano = 5;
	plan.discount_ppm = 1000001;
	assert_false(rating_plan_valid(&plan));
	plan.discount_ppm = 1000000;
	assert_true(rating_plan_valid(&plan));
	plan.discount_nano = -1;
	assert_false(rating_plan_valid(&plan));
	price.rate.per = 0;
	assert_false(rating_price_valid(&price));
	price = unit;
	price.rate.nano = -1;
	assert_false(rating_price_valid(&price));
	price = unit;
	price.free_units = -1;
	assert_false(rating_price_valid(&price));
	price = unit;
	price.model = RATING_FLAT;
	price.meter = RATING_DURATION_MS;
	assert_false(rating_price_valid(&price));
	price = unit;
	price.model = RATING_GRADUATED;
	assert_false(rating_price_valid(&price));
	price.tier_count = 2;
	price.tiers[0] = (struct rating_tier){10, {1, 1}};
	price.tiers[1] = (struct rating_tier){10, {1, 1}};
	assert_false(rating_price_valid(&price));
	price.tiers[1].up_to = INT64_MAX;
	assert_true(rating_price_valid(&price));
	price.minimum_nano = -1;
	assert_false(rating_price_valid(&price));
	price.minimum_nano = 0;
	/* No denominator within int64 holds both. */
	price.tiers[0].rate.per = 4000000007;
	price.tiers[1].rate.per = 4000000009;
	assert_false(rating_price_valid(&price));
}

static void every_meter_and_model_has_its_name(void **state)
{
	(void)state;
	assert_string_equal(rating_meter_name(RATING_CALLS), "calls");
	assert_string_equal(rating_meter_name(RATING_DURATION_MS), "duration_ms");
	assert_string_equal(rating_meter_name(RATING_UNIT_3), "unit_3");
	assert_string_equal(rating_model_name(RATING_GRADUATED), "graduated");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_charge_equals_the_oracle_unit_by_unit),
		cmocka_unit_test(any_split_in_any_order_sums_to_the_charge_of_the_whole),
		cmocka_unit_test(a_capped_call_never_costs_more_than_its_most),
		cmocka_unit_test(what_a_cap_leaves_is_the_most_that_fits),
		cmocka_unit_test(a_cap_looks_at_the_call_only_and_repeats_itself),
		cmocka_unit_test(the_parts_of_a_call_stay_within_its_bounds),
		cmocka_unit_test(two_ties_part_by_one_nano_and_the_most_says_so),
		cmocka_unit_test(the_designs_example_costs_what_the_manifest_says),
		cmocka_unit_test(a_max_charge_above_what_a_call_can_cost_is_not_held),
		cmocka_unit_test(a_priced_meter_without_a_bound_has_no_most),
		cmocka_unit_test(the_charge_never_falls_as_the_quantity_grows),
		cmocka_unit_test(large_quantities_stay_exact_in_128_bits),
		cmocka_unit_test(an_overflow_is_refused_and_nothing_moves),
		cmocka_unit_test(plans_are_equal_if_all_their_terms_are),
		cmocka_unit_test(what_breaks_a_rule_is_not_valid),
		cmocka_unit_test(every_meter_and_model_has_its_name),
	};

	seed = testing_seed();
	random_seeded_init(&chance, seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

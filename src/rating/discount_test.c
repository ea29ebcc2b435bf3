#include "base/testing.h"

#include "rating/rating.h"
#include "rating/testing_internal.h"

static void a_minimum_comes_with_the_first_use_and_is_used_up_by_what_follows(void **state)
{
	struct rating_plan plan = {.price_count = 1, .max_charge_nano = -1};
	const struct rating_quantities call = {.of = {[RATING_CALLS] = 1}};
	struct rating_quantities used = {{0}};
	static const int64_t expected[] = {120, 0, 30, 50};

	(void)state;
	plan.prices[0] = (struct rating_price){
		.model = RATING_UNIT, .rate = {.nano = 50, .per = 1}, .minimum_nano = 120};
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		int64_t nano;
		assert_int_equal(rating_plan_first(&plan, &used), i == 0 ? 120 : 0);
		assert_true(rating_plan_advance(&plan, &used, &call, &nano));
		assert_int_equal(nano, expected[i]);
	}
}

static void per_cent_are_taken_off_before_an_amount_is(void **state)
{
	struct rating_plan plan = {.price_count = 1,
				   .max_charge_nano = -1,
				   .discount_ppm = 100000,
				   .discount_nano = 100};
	const struct rating_quantities call = {.of = {[RATING_CALLS] = 1}};
	struct rating_quantities used = {{0}};
	/* 45, 90, 135 (of 150), 180: of each, 100 are off. */
	static const int64_t expected[] = {0, 0, 35, 45};
	int64_t most_nano;

	(void)state;
	plan.prices[0] =
		(struct rating_price){.model = RATING_UNIT, .rate = {.nano = 50, .per = 1}};
	assert_true(rating_plan_call_most(&plan, &call, &most_nano));
	assert_int_equal(most_nano, 46);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		int64_t nano;
		assert_true(rating_plan_advance(&plan, &used, &call, &nano));
		assert_int_equal(nano, expected[i]);
	}
	struct rating_discount steps[RATING_STEPS];
	assert_int_equal(rating_plan_steps(&plan, 0, steps), 0);
	assert_int_equal(rating_plan_steps(&plan, 200, steps), 2);
	assert_int_equal(steps[0].step, RATING_PERCENT_OFF);
	assert_int_equal(steps[0].from_nano, 200);
	assert_int_equal(steps[0].off_nano, 20);
	assert_int_equal(steps[1].step, RATING_AMOUNT_OFF);
	assert_int_equal(steps[1].from_nano, 180);
	assert_int_equal(steps[1].off_nano, 100);
	/* 4.5 is left of 5, and rounded to the even 4; there is no more to take off. */
	assert_int_equal(rating_plan_steps(&plan, 5, steps), 2);
	assert_int_equal(steps[0].off_nano, 1);
	assert_int_equal(steps[1].off_nano, 4);
	assert_string_equal(rating_step_name(steps[0].step), "percent_off");
	assert_string_equal(rating_step_name(steps[1].step), "amount_off");
}

/* As the gateway does it, where what one call adds to U is known before U is. */
static void the_list_usage_telescopes_by_itself(void **state)
{
	(void)state;
	for (int i = 0; i < CASES / 10; i++) {
		const struct rating_plan plan = random_plan();
		struct rating_quantities used = {{0}};
		struct rating_quantities listed = {{0}};
		int64_t list_nano = 0;

		for (int calls = 0; calls < 5; calls++) {
			const struct rating_quantities call = random_call();
			int64_t nano, added_nano;
			claim(rating_plan_advance(&plan, &used, &call, &nano));
			claim(rating_plan_list_advance(&plan, &listed, &call, &added_nano));
			claim(nano == rating_plan_net(&plan, list_nano + added_nano) -
					      rating_plan_net(&plan, list_nano));
			claim(nano <= added_nano);
			list_nano += added_nano;
		}
	}
}

static void the_parts_of_an_explanation_sum_to_the_charge(void **state)
{
	int64_t rounded = 0;

	(void)state;
	for (int i = 0; i < CASES; i++) {
		const struct rating_price price = random_price(RATING_CALLS);
		const int64_t quantity = below(600);
		/* A denominator of all rates that tests draw. */
		const __int128 denominator = (__int128)1000000 * 4096 * 3 * 7;
		struct rating_explained explained;
		__int128 sum = 0;
		int64_t units = 0;
		int64_t nano;

		claim(rating_charge(&price, quantity, &nano));
		claim(rating_explain(&price, quantity, &explained));
		claim(explained.nano == nano);
		for (unsigned k = 0; k < explained.part_count; k++) {
			const struct rating_part *part = &explained.parts[k];
			claim(part->nano >= 0 && part->numerator >= 0 &&
			      part->numerator < part->denominator);
			sum += part->nano * denominator +
			       part->numerator * (denominator / part->denominator);
			if (part->kind == RATING_PART_FREE || part->kind == RATING_PART_UNITS ||
			    part->kind == RATING_PART_TIER)
				units += part->units;
		}
		if (price.model != RATING_FLAT && price.model != RATING_PACKAGE)
			claim(units == quantity);
		/* What the parts come to is at most half a nano away, and by the fraction told. */
		const __int128 away = sum - nano * denominator;
		claim(2 * away <= denominator && 2 * away >= -denominator);
		const __int128 fraction =
			explained.numerator * (denominator / explained.denominator);
		claim(away == fraction || away == fraction - denominator ||
		      explained.parts[explained.part_count - 1].kind == RATING_PART_MINIMUM);
		rounded += away != 0;
	}
	claim(rounded > CASES / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_minimum_comes_with_the_first_use_and_is_used_up_by_what_follows),
		cmocka_unit_test(per_cent_are_taken_off_before_an_amount_is),
		cmocka_unit_test(the_list_usage_telescopes_by_itself),
		cmocka_unit_test(the_parts_of_an_explanation_sum_to_the_charge),
	};

	seed = testing_seed();
	random_seeded_init(&chance, seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

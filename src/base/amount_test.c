#include "base/testing.h"

#include <string.h>

#include "base/amount.h"

/* The largest q with q * divisor <= dividend, found by halving an interval: no division. */
static __int128 floor_by_search(__int128 dividend, int64_t divisor)
{
	__int128 low = (__int128)INT64_MIN * 2, high = (__int128)INT64_MAX * 2;

	while (low < high) {
		const __int128 middle = low + (high - low + 1) / 2;
		if (middle * divisor <= dividend)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static __int128 half_even_by_search(__int128 dividend, int64_t divisor)
{
	const __int128 below = floor_by_search(dividend, divisor);
	const __int128 to_below = dividend - below * divisor;
	const __int128 to_above = divisor - to_below;

	if (to_below != to_above)
		return to_below < to_above ? below : below + 1;
	return below % 2 == 0 ? below : below + 1;
}

/* Of any size: all magnitudes are as likely as each other. */
static int64_t any_int64(struct random *random)
{
	const int64_t value = (int64_t)random_u64(random) >> random_below(random, 64);
	return random_below(random, 64) == 0 ? (value < 0 ? INT64_MIN : INT64_MAX) : value;
}

static int64_t any_divisor(struct random *random)
{
	const int64_t value = any_int64(random);
	return value >= 1 ? value : value == INT64_MIN ? INT64_MAX : 1 - value;
}

static void division_agrees_with_a_slow_oracle(void **state)
{
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int i = 0; i < 30000; i++) {
		/* Products near INT64_MIN squared exceed what the search spans: keep to its range.
		 */
		const int64_t divisor = any_divisor(&random.random);
		__int128 dividend = (__int128)any_int64(&random.random) * divisor;
		dividend += any_int64(&random.random) % divisor;
		if (i % 4 == 0 && divisor % 2 == 0) /* a tie */
			dividend = (__int128)any_int64(&random.random) * divisor + divisor / 2;
		const __int128 expected = half_even_by_search(dividend, divisor);
		int64_t quotient = 77;

		if (expected < INT64_MIN || expected > INT64_MAX) {
			assert_false(amount_divide_half_even(dividend, divisor, &quotient));
			assert_int_equal(quotient, 77);
		} else {
			assert_true(amount_divide_half_even(dividend, divisor, &quotient));
			assert_true(quotient == expected);
		}
	}
}

static void ties_go_to_the_even_neighbour_on_both_sides_of_zero(void **state)
{
	static const int64_t cases[][3] = {
		{5, 10, 0},    {15, 10, 2},   {25, 10, 2},   {35, 10, 4}, {-5, 10, 0},
		{-15, 10, -2}, {-25, 10, -2}, {-35, 10, -4}, {24, 10, 2}, {26, 10, 3},
		{-26, 10, -3}, {1, 3, 0},     {2, 3, 1},     {-2, 3, -1}, {7, 1, 7},
	};
	int64_t quotient;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(amount_divide_half_even(cases[i][0], cases[i][1], &quotient));
		assert_int_equal(quotient, cases[i][2]);
	}
}

static void the_widest_dividend_and_divisor_do_not_overflow(void **state)
{
	const __int128 most = (__int128)(((unsigned __int128)1 << 127) - 1);
	const __int128 least = -most - 1;
	int64_t quotient = 77;

	(void)state;
	assert_false(amount_divide_half_even(least, 1, &quotient));
	assert_false(amount_divide_half_even(most, 1, &quotient));
	assert_int_equal(quotient, 77);
	assert_true(amount_divide_half_even(most, most, &quotient));
	assert_int_equal(quotient, 1);
	assert_true(amount_divide_half_even(least, most, &quotient));
	assert_int_equal(quotient, -1);
	assert_true(amount_divide_half_even(most / 2 + 1, most, &quotient));
	assert_int_equal(quotient, 1);
	assert_true(amount_divide_half_even(most / 2, most, &quotient));
	assert_int_equal(quotient, 0);
}

static void scaling_keeps_sign_identity_and_range(void **state)
{
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int i = 0; i < 20000; i++) {
		const int64_t value = any_int64(&random.random);
		const int64_t numerator = any_int64(&random.random);
		const int64_t denominator = any_divisor(&random.random);
		int64_t scaled = 77, mirrored = 77;

		assert_true(amount_scale(value, denominator, denominator, &scaled));
		assert_true(scaled == value);
		if (value == INT64_MIN)
			continue;
		const bool fits = amount_scale(value, numerator, denominator, &scaled);
		if (amount_scale(-value, numerator, denominator, &mirrored) && fits)
			assert_true(mirrored == -scaled);
	}
	int64_t scaled = 77;
	assert_false(amount_scale(INT64_MAX, 2, 1, &scaled));
	assert_false(amount_scale(INT64_MIN, -1, 1, &scaled));
	assert_int_equal(scaled, 77);
	assert_true(amount_scale(INT64_MIN, INT64_MAX, INT64_MAX, &scaled));
	assert_true(scaled == INT64_MIN);
}

static void overflow_is_refused_and_changes_nothing(void **state)
{
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int i = 0; i < 20000; i++) {
		const int64_t a = any_int64(&random.random), b = any_int64(&random.random);
		const __int128 sum = (__int128)a + b, difference = (__int128)a - b;
		struct amount result = amount_nano(77);

		if (sum >= INT64_MIN && sum <= INT64_MAX) {
			assert_true(amount_add(amount_nano(a), amount_nano(b), &result));
			assert_true(result.nano == sum);
		} else {
			assert_false(amount_add(amount_nano(a), amount_nano(b), &result));
			assert_int_equal(result.nano, 77);
		}
		result = amount_nano(77);
		if (difference >= INT64_MIN && difference <= INT64_MAX) {
			assert_true(amount_subtract(amount_nano(a), amount_nano(b), &result));
			assert_true(result.nano == difference);
		} else {
			assert_false(amount_subtract(amount_nano(a), amount_nano(b), &result));
			assert_int_equal(result.nano, 77);
		}
	}
}

static void an_amount_is_read_back_from_its_text(void **state)
{
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int i = 0; i < 20000; i++) {
		const struct amount amount = amount_nano(any_int64(&random.random));
		char text[AMOUNT_TEXT_MAX];
		struct amount read;

		const size_t length = amount_format(amount, text);
		assert_int_equal(length, strlen(text));
		assert_true(amount_parse(slice_of(text), &read));
		assert_true(read.nano == amount.nano);
		/* The shortest: no zero at the end beyond the second place. */
		const char *point = strchr(text, '.');
		assert_non_null(point);
		assert_true(strlen(point) >= 3);
		if (strlen(point) > 3)
			assert_int_not_equal(text[strlen(text) - 1], '0');
	}
}

static void texts_of_amounts_are_as_people_write_them(void **state)
{
	static const struct {
		int64_t nano;
		const char *text;
	} cases[] = {
		{0, "0.00"},
		{50000000, "0.05"},
		{10000000000, "10.00"},
		{50012000, "0.050012"},
		{1, "0.000000001"},
		{-1, "-0.000000001"},
		{INT64_MAX, "9223372036.854775807"},
		{INT64_MIN, "-9223372036.854775808"},
	};
	char text[AMOUNT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		amount_format(amount_nano(cases[i].nano), text);
		assert_string_equal(text, cases[i].text);
	}
}

static void what_is_not_a_decimal_is_refused(void **state)
{
	static const char *const refused[] = {
		"",
		"-",
		"+1",
		".5",
		"5.",
		"1.0000000001",
		"1e3",
		"1,5",
		" 1",
		"1 ",
		"1.2.3",
		"--1",
		"-.5",
		"0x10",
		"inf",
		"NaN",
		"1.-5",
		"1. 5",
		"\xd9\xa1",
		"9223372036.854775808",
		"-9223372036.854775809",
		"99999999999999999999",
		"1_000",
	};
	struct amount amount = amount_nano(77);

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(amount_parse(slice_of(refused[i]), &amount));
	assert_int_equal(amount.nano, 77);
	assert_true(amount_parse(slice_of("-0"), &amount));
	assert_int_equal(amount.nano, 0);
	assert_true(amount_parse(slice_of("007.5"), &amount));
	assert_int_equal(amount.nano, 7500000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(division_agrees_with_a_slow_oracle),
		cmocka_unit_test(ties_go_to_the_even_neighbour_on_both_sides_of_zero),
		cmocka_unit_test(the_widest_dividend_and_divisor_do_not_overflow),
		cmocka_unit_test(scaling_keeps_sign_identity_and_range),
		cmocka_unit_test(overflow_is_refused_and_changes_nothing),
		cmocka_unit_test(an_amount_is_read_back_from_its_text),
		cmocka_unit_test(texts_of_amounts_are_as_people_write_them),
		cmocka_unit_test(what_is_not_a_decimal_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

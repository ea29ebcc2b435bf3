#include "base/testing.h"

#include <string.h>

#include "base/units.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct example {
	const char *text;
	uint64_t value;
};

typedef bool (*parse_fn)(struct slice text, uint64_t *ret_value);

static void assert_reads(parse_fn parse, const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 77;
		assert_true(parse(slice_of(examples[i].text), &value));
		assert_true(value == examples[i].value);
	}
}

static void assert_refuses(parse_fn parse, const char *const *texts, size_t count)
{
	uint64_t value = 77;

	for (size_t i = 0; i < count; i++)
		assert_false(parse(slice_of(texts[i]), &value));
	assert_int_equal(value, 77);
}

static void sizes_are_read_in_both_kinds_of_multiples(void **state)
{
	static const struct example examples[] = {
		{"512", 512},
		{"0", 0},
		{"512B", 512},
		{"64KiB", 65536},
		{"128MiB", 134217728},
		{"1GiB", 1073741824},
		{"1.5GiB", 1610612736},
		{"1MB", 1000000},
		{"2kB", 2000},
		{"0.5KiB", 512},
		{"8388607TiB", 8388607ull << 40},
	};
	static const char *const refused[] = {
		"",      "MiB",   "1 MiB", "-1",  "1mib",       "1M",    "1.1B",
		"1..5K", "1.KiB", ".5KiB", "1e3", "8388608TiB", "1KiBx", "0.0000000001GiB"};

	(void)state;
	assert_reads(units_parse_bytes, examples, COUNT_OF(examples));
	assert_refuses(units_parse_bytes, refused, COUNT_OF(refused));
}

static void durations_need_their_unit(void **state)
{
	static const struct example examples[] = {
		{"5s", 5000000000},
		{"250ms", 250000000},
		{"1.5s", 1500000000},
		{"2m", 120000000000},
		{"1h", 3600000000000},
		{"14d", 1209600000000000},
		{"0s", 0},
		{"10us", 10000},
		{"7ns", 7},
		{"0.000000001s", 1},
		{"0.5d", 43200000000000},
	};
	static const char *const refused[] = {
		"",   "5",     "s",    "5 s",     "-5s",          "1h30m",
		"5S", "1.5ns", "5min", "107000d", "0.0000000001s"};

	(void)state;
	assert_reads(units_parse_duration_ns, examples, COUNT_OF(examples));
	assert_refuses(units_parse_duration_ns, refused, COUNT_OF(refused));
}

static void counts_are_whole_whatever_their_suffix(void **state)
{
	static const struct example examples[] = {
		{"1000", 1000},     {"50M", 50000000}, {"1.5k", 1500},
		{"2G", 2000000000}, {"0", 0},          {"9223372036854775807", INT64_MAX},
		{"0.001k", 1},
	};
	static const char *const refused[] = {"",
					      "k",
					      "1K",
					      "1.5",
					      "1.0001k",
					      "-1",
					      "1m",
					      "1 k",
					      "9223372036854775808",
					      "18446744073709551616"};

	(void)state;
	assert_reads(units_parse_count, examples, COUNT_OF(examples));
	assert_refuses(units_parse_count, refused, COUNT_OF(refused));
}

static void rates_are_a_count_and_a_period(void **state)
{
	static const char *const refused[] = {"",    "100",     "100/",  "/s",       "100/w",
					      "1/S", "100 / s", "1/s/s", "1/month ", "x/s"};
	enum units_period period = UNITS_HOUR;
	uint64_t count = 77;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		assert_false(units_parse_rate(slice_of(refused[i]), &count, &period));
	assert_int_equal(count, 77);
	assert_int_equal(period, UNITS_HOUR);
	assert_true(units_parse_rate(slice_of("100/s"), &count, &period));
	assert_int_equal(count, 100);
	assert_int_equal(period, UNITS_SECOND);
	assert_true(units_parse_rate(slice_of("6000/m"), &count, &period));
	assert_int_equal(period, UNITS_MINUTE);
	assert_true(units_parse_rate(slice_of("1M/month"), &count, &period));
	assert_int_equal(count, 1000000);
	assert_int_equal(period, UNITS_MONTH);
	assert_true(units_parse_rate(slice_of("5/d"), &count, &period));
	assert_int_equal(period, UNITS_DAY);
}

static void decimals_keep_every_place_and_no_more(void **state)
{
	int64_t value = 77;

	(void)state;
	assert_true(units_parse_decimal(slice_of("0.5"), 3, &value));
	assert_int_equal(value, 500);
	assert_true(units_parse_decimal(slice_of("-2"), 3, &value));
	assert_int_equal(value, -2000);
	assert_true(units_parse_decimal(slice_of("12"), 0, &value));
	assert_int_equal(value, 12);
	assert_true(units_parse_decimal(slice_of("0.000000000000000001"), 18, &value));
	assert_int_equal(value, 1);
	assert_true(units_parse_decimal(slice_of("-9223372036854775808"), 0, &value));
	assert_true(value == INT64_MIN);

	value = 77;
	static const char *const refused[] = {
		"",    "-",   "0.1234", "1.", ".1", "1.2.3", "1 ", "+1", "9223372036854775.808",
		"--1", "1.-1"};
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		assert_false(units_parse_decimal(slice_of(refused[i]), 3, &value));
	assert_false(units_parse_decimal(slice_of("1.5"), 0, &value));
	assert_int_equal(value, 77);
}

static void what_is_written_is_read_back(void **state)
{
	struct random_seeded random;
	char text[UNITS_TEXT_MAX];
	uint64_t read;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int i = 0; i < 10000; i++) {
		uint64_t value =
			random_u64(&random.random) >> (1 + random_below(&random.random, 63));
		/* Often a multiple, to meet the units. */
		if (value < 1ull << 30)
			value *= i % 3 == 0 ? 1 : i % 3 == 1 ? 1ull << 20 : 1000000000;
		units_format_bytes(value, text);
		assert_true(units_parse_bytes(slice_of(text), &read));
		assert_true(read == value);
		units_format_duration_ns(value, text);
		assert_true(units_parse_duration_ns(slice_of(text), &read));
		assert_true(read == value);
	}
	units_format_bytes(134217728, text);
	assert_string_equal(text, "128MiB");
	units_format_duration_ns(5000000000, text);
	assert_string_equal(text, "5s");
	units_format_duration_ns(0, text);
	assert_string_equal(text, "0s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read_in_both_kinds_of_multiples),
		cmocka_unit_test(durations_need_their_unit),
		cmocka_unit_test(counts_are_whole_whatever_their_suffix),
		cmocka_unit_test(rates_are_a_count_and_a_period),
		cmocka_unit_test(decimals_keep_every_place_and_no_more),
		cmocka_unit_test(what_is_written_is_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

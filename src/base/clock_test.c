#include "base/testing.h"

#include <time.h>

#include "base/clock.h"
#include "base/random.h"

static void months_agree_with_the_c_library_for_random_times(void **state)
{
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int i = 0; i < 20000; i++) {
		const uint64_t wall_ns = random_u64(&random.random);
		const time_t seconds = (time_t)(wall_ns / CLOCK_NS_PER_S);
		char ours[CLOCK_TEXT_MAX], theirs[64], expected[96];
		struct tm date;

		assert_non_null(gmtime_r(&seconds, &date));
		assert_int_equal(clock_month_of(wall_ns), (date.tm_year - 70) * 12 + date.tm_mon);
		strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S", &date);
		snprintf(expected, sizeof(expected), "%s.%03uZ", theirs,
			 (unsigned)(wall_ns / CLOCK_NS_PER_MS % 1000));
		clock_format_wall(wall_ns, ours);
		assert_string_equal(ours, expected);
	}
}

static void a_month_begins_at_its_start_and_not_a_nanosecond_before(void **state)
{
	(void)state;
	assert_int_equal(clock_month_start_ns(0), 0);
	for (uint32_t month = 1; month <= CLOCK_MONTH_MAX; month++) {
		const uint64_t start_ns = clock_month_start_ns(month);
		assert_int_equal(clock_month_of(start_ns), month);
		assert_int_equal(clock_month_of(start_ns - 1), month - 1);
	}
	assert_int_equal(clock_month_of(UINT64_MAX), CLOCK_MONTH_MAX);
}

static void a_month_is_read_back_from_its_text(void **state)
{
	char text[CLOCK_MONTH_TEXT_MAX];
	uint32_t month = 5;

	(void)state;
	for (uint32_t i = 0; i <= CLOCK_MONTH_MAX; i++) {
		clock_month_format(i, text);
		assert_true(clock_month_parse(slice_of(text), &month));
		assert_int_equal(month, i);
	}
	clock_month_format(682, text);
	assert_string_equal(text, "2026-11");

	const char *const refused[] = {"",        "2026",    "2026-1",  "2026-13",  "2026-00",
				       "1969-12", "2555-01", "2026/11", "2026-11 ", "-026-11"};
	month = 5;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(clock_month_parse(slice_of(refused[i]), &month));
	assert_int_equal(month, 5);
}

static void a_manual_clock_moves_only_when_told(void **state)
{
	struct clock_manual manual;

	(void)state;
	clock_manual_init(&manual, 10, 1000);
	assert_int_equal(clock_monotonic_ns(&manual.clock), 10);
	assert_int_equal(clock_wall_ns(&manual.clock), 1000);
	clock_manual_advance(&manual, 5);
	assert_int_equal(clock_monotonic_ns(&manual.clock), 15);
	assert_int_equal(clock_wall_ns(&manual.clock), 1005);
}

static void the_system_s_monotonic_time_never_goes_back(void **state)
{
	uint64_t before_ns = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		const uint64_t now_ns = clock_monotonic_ns(clock_system());
		assert_true(now_ns >= before_ns);
		before_ns = now_ns;
	}
	assert_true(clock_month_of(clock_wall_ns(clock_system())) > 600);
}

/* ---- times as text ---- */

static uint64_t parsed(const char *text)
{
	uint64_t ns = 0;

	if (!clock_parse_wall(slice_of(text), &ns))
		fail_msg("%s", text);
	return ns;
}

static void a_time_is_what_the_clock_would_print(void **state)
{
	struct random_seeded random;
	char text[CLOCK_TEXT_MAX];

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int i = 0; i < 20000; i++) {
		const uint64_t ms = random_below(&random.random, INT64_MAX / CLOCK_NS_PER_MS);
		clock_format_wall(ms * CLOCK_NS_PER_MS, text);
		assert_int_equal(parsed(text), ms * CLOCK_NS_PER_MS);
	}
}

static void offsets_fractions_and_small_letters_are_read(void **state)
{
	(void)state;
	assert_int_equal(parsed("1970-01-01T00:00:00Z"), 0);
	assert_int_equal(parsed("2026-11-24t04:10:57z"), 1795493457 * CLOCK_NS_PER_S);
	assert_int_equal(parsed("2026-11-24T05:10:57+01:00"), 1795493457 * CLOCK_NS_PER_S);
	assert_int_equal(parsed("2026-11-23T22:40:57.000000001-05:30"),
			 1795493457 * CLOCK_NS_PER_S + 1);
	assert_int_equal(parsed("2000-02-29T00:00:00Z"), 951782400 * CLOCK_NS_PER_S);
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"2026-11-24",
		"2026-11-24T04:10:57",
		"2026-11-24T04:10Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z",
		"2026-11-24T24:00:00Z",
		"2026-11-24T04:60:00Z",
		"2026-11-24T04:10:60Z",
		"2026-11-24T04:10:57.Z",
		"2026-11-24T04:10:57.1234567890Z",
		"2026-11-24T04:10:57+1:00",
		"2026-11-24T04:10:57+24:00",
		"2026-11-24T04:10:57Zx",
		"1969-12-31T23:59:59Z",
		"1970-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59Z",
		"2026-1-24T04:10:57Z",
		"+026-11-24T04:10:57Z",
	};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (clock_parse_wall(slice_of(bad[i]), &ns))
			fail_msg("%s was taken for a time", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(months_agree_with_the_c_library_for_random_times),
		cmocka_unit_test(a_month_begins_at_its_start_and_not_a_nanosecond_before),
		cmocka_unit_test(a_month_is_read_back_from_its_text),
		cmocka_unit_test(a_manual_clock_moves_only_when_told),
		cmocka_unit_test(the_system_s_monotonic_time_never_goes_back),
		cmocka_unit_test(a_time_is_what_the_clock_would_print),
		cmocka_unit_test(offsets_fractions_and_small_letters_are_read),
		cmocka_unit_test(what_is_no_time_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

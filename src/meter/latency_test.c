#include "meter/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static uint64_t seed_of_run(void)
{
	const char *given = getenv("STOA_SEED");
	uint64_t seed = random_u64(random_system());

	if (given != NULL)
		slice_to_u64(slice_of(given), UINT64_MAX, &seed);
	printf("seed %llu\n", (unsigned long long)seed);
	return seed;
}

static void a_bucket_is_at_most_an_eighth_wider_than_what_is_in_it(void **state)
{
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, seed_of_run());
	for (int i = 0; i < 100000; i++) {
		const uint32_t us = (uint32_t)(random_seeded_next(&random) >>
					       (32 + random_below(&random.random, 32)));
		struct meter_latency latency = {0};
		meter_latency_add(&latency, us);
		const uint32_t told = meter_latency_quantile_us(&latency, 500);
		assert_true(told >= us);
		assert_true(told - us <= us / 8);
	}
}

static void buckets_ascend_and_every_duration_has_one(void **state)
{
	const uint32_t edges[] = {0, 1, 15, 16, 17, 18, 31, 32, 1000, UINT32_MAX - 1, UINT32_MAX};
	uint32_t before = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		struct meter_latency latency = {0};
		meter_latency_add(&latency, edges[i]);
		const uint32_t told = meter_latency_quantile_us(&latency, 1000);
		assert_true(told >= edges[i] && told >= before);
		before = told;
	}
	assert_int_equal(before, UINT32_MAX);
}

static void quantiles_are_those_of_the_sorted_durations(void **state)
{
	struct meter_latency latency = {0};

	(void)state;
	assert_int_equal(meter_latency_quantile_us(&latency, 500), 0);
	for (uint32_t us = 1; us <= 10; us++)
		meter_latency_add(&latency, us);
	assert_int_equal(meter_latency_quantile_us(&latency, 0), 1);
	assert_int_equal(meter_latency_quantile_us(&latency, 500), 5);
	assert_int_equal(meter_latency_quantile_us(&latency, 501), 6);
	assert_int_equal(meter_latency_quantile_us(&latency, 990), 10);
	assert_int_equal(meter_latency_quantile_us(&latency, 1000), 10);
}

static void the_text_is_sparse_and_reads_back_the_same(void **state)
{
	struct meter_latency latency = {0};
	struct meter_latency read;
	char text[METER_LATENCY_TEXT_MAX];

	(void)state;
	assert_int_equal(meter_latency_format(&latency, text), 0);
	latency.of[3] = 7;
	latency.of[METER_LATENCY_BUCKETS - 1] = UINT64_MAX;
	meter_latency_format(&latency, text);
	assert_string_equal(text, "3:7 239:18446744073709551615");
	assert_true(meter_latency_parse(slice_of(text), &read));
	assert_memory_equal(&read, &latency, sizeof(read));
	for (unsigned i = 0; i < METER_LATENCY_BUCKETS; i++)
		latency.of[i] = UINT64_MAX;
	const size_t length = meter_latency_format(&latency, text);
	assert_true(meter_latency_parse(slice_make(text, length), &read));
	assert_memory_equal(&read, &latency, sizeof(read));
}

static void a_text_that_is_not_a_histogram_is_refused(void **state)
{
	const char *bad[] = {"x",    "1",   "1:",      "1:x",      "240:1", "-1:1",
			     "1:-1", "1:0", "1:1 1:1", "1:1  2:1", ":1"};
	struct meter_latency read = {.of = {5}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(meter_latency_parse(slice_of(bad[i]), &read));
		assert_int_equal(read.of[0], 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_is_at_most_an_eighth_wider_than_what_is_in_it),
		cmocka_unit_test(buckets_ascend_and_every_duration_has_one),
		cmocka_unit_test(quantiles_are_those_of_the_sorted_durations),
		cmocka_unit_test(the_text_is_sparse_and_reads_back_the_same),
		cmocka_unit_test(a_text_that_is_not_a_histogram_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

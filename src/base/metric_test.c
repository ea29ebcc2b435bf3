#include "base/testing.h"

#include <pthread.h>

#include "base/metric.h"

#define TEST_METRICS(X)                                                                    \
	X(CALLS_SERVED, COUNTER, "calls_total{outcome=\"served\"}", "Calls, by outcome")   \
	X(CALLS_REFUSED, COUNTER, "calls_total{outcome=\"refused\"}", "Calls, by outcome") \
	X(OPEN, GAUGE, "connections", "Connections that are open")                         \
	X(BYTES, COUNTER, "bytes_total", "Bytes sent")

enum test_metric { TEST_METRICS(METRIC_INDEX) TEST_METRIC_COUNT };

static const struct metric rows[] = {TEST_METRICS(METRIC_ROW)};

static struct metric_set *set_new(void)
{
	return metric_set_new(rows, TEST_METRIC_COUNT);
}

static void a_sum_is_over_all_threads_and_ended_ones_remain(void **state)
{
	struct metric_set *set = set_new();
	struct metric_cells *first = metric_cells_new(set), *second = metric_cells_new(set);

	(void)state;
	assert_int_equal(metric_sum(set, CALLS_SERVED), 0);
	metric_add(first, CALLS_SERVED, 3);
	metric_add(second, CALLS_SERVED, 4);
	metric_add(first, OPEN, 1);
	metric_add(second, OPEN, -1);
	metric_put(second, BYTES, 9);
	metric_put(second, BYTES, 8);
	assert_int_equal(metric_sum(set, CALLS_SERVED), 7);
	assert_int_equal(metric_sum(set, CALLS_REFUSED), 0);
	assert_int_equal(metric_sum(set, OPEN), 0);
	assert_int_equal(metric_sum(set, BYTES), 8);
	metric_set_free(set);
}

static void no_two_threads_share_a_cache_line(void **state)
{
	struct metric_set *set = set_new();

	(void)state;
	for (int i = 0; i < 10; i++) {
		const struct metric_cells *cells = metric_cells_new(set);
		assert_int_equal((uintptr_t)cells % 64, 0);
		assert_int_equal((uintptr_t)cells->values % 64, 0);
	}
	metric_set_free(set);
}

enum { THREADS = 4, ROUNDS = 200000 };

static void *count(void *argument)
{
	struct metric_cells *cells = metric_cells_new(argument);

	for (int i = 0; i < ROUNDS; i++) {
		metric_add(cells, CALLS_SERVED, 1);
		metric_add(cells, OPEN, i % 2 ? -1 : 1);
	}
	return NULL;
}

static void threads_lose_nothing_and_a_counter_never_goes_back(void **state)
{
	struct metric_set *set = set_new();
	pthread_t threads[THREADS];
	int64_t before = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, set), 0);
	for (int i = 0; i < 10000; i++) {
		const int64_t now = metric_sum(set, CALLS_SERVED);
		assert_true(now >= before);
		assert_true(now <= THREADS * ROUNDS);
		before = now;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metric_sum(set, CALLS_SERVED), THREADS * ROUNDS);
	assert_int_equal(metric_sum(set, OPEN), 0);
	metric_set_free(set);
}

static void the_text_is_what_prometheus_reads(void **state)
{
	struct metric_set *set = set_new();
	struct metric_cells *cells = metric_cells_new(set);
	struct text text;

	(void)state;
	text_init(&text, 4096);
	metric_add(cells, CALLS_REFUSED, 2);
	metric_add(cells, OPEN, -1);
	metric_format(set, &text);
	assert_string_equal(text.data, "# HELP calls_total Calls, by outcome\n"
				       "# TYPE calls_total counter\n"
				       "calls_total{outcome=\"served\"} 0\n"
				       "calls_total{outcome=\"refused\"} 2\n"
				       "# HELP connections Connections that are open\n"
				       "# TYPE connections gauge\n"
				       "connections -1\n"
				       "# HELP bytes_total Bytes sent\n"
				       "# TYPE bytes_total counter\n"
				       "bytes_total 0\n");
	text_fini(&text);
	metric_set_free(set);
}

static void the_documentation_comes_from_the_same_rows(void **state)
{
	struct text text;

	(void)state;
	text_init(&text, 4096);
	metric_document(rows + OPEN, 2, &text);
	assert_string_equal(text.data, "| metric | kind | meaning |\n|---|---|---|\n"
				       "| `connections` | gauge | Connections that are open |\n"
				       "| `bytes_total` | counter | Bytes sent |\n");
	text_fini(&text);
}

static void make_counter_without_total(void)
{
	metric_set_new(&(const struct metric){"calls", METRIC_COUNTER, "Calls"}, 1);
}

static void make_bad_name(void)
{
	metric_set_new(&(const struct metric){"Open-connections", METRIC_GAUGE, "Open"}, 1);
}

static void make_twice(void)
{
	const struct metric twice[] = {{"open", METRIC_GAUGE, "a"}, {"open", METRIC_GAUGE, "b"}};
	metric_set_new(twice, 2);
}

static void make_apart(void)
{
	const struct metric apart[] = {{"open{a=\"1\"}", METRIC_GAUGE, "a"},
				       {"other", METRIC_GAUGE, "b"},
				       {"open{a=\"2\"}", METRIC_GAUGE, "a"}};
	metric_set_new(apart, 3);
}

static void a_table_that_breaks_the_rules_is_a_bug(void **state)
{
	(void)state;
	assert_true(testing_aborts(make_counter_without_total));
	assert_true(testing_aborts(make_bad_name));
	assert_true(testing_aborts(make_twice));
	assert_true(testing_aborts(make_apart));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sum_is_over_all_threads_and_ended_ones_remain),
		cmocka_unit_test(no_two_threads_share_a_cache_line),
		cmocka_unit_test(threads_lose_nothing_and_a_counter_never_goes_back),
		cmocka_unit_test(the_text_is_what_prometheus_reads),
		cmocka_unit_test(the_documentation_comes_from_the_same_rows),
		cmocka_unit_test(a_table_that_breaks_the_rules_is_a_bug),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/testing.h"

#include <pthread.h>

#include "gateway/directory.h"

#define MS CLOCK_NS_PER_MS

static struct gateway_ejection policy;
static uint64_t now_ns, for_ns;

static struct directory_instances *instances_of(uint32_t count)
{
	struct directory_instances *instances =
		calloc(1, sizeof(*instances) + count * sizeof(instances->of[0]));

	instances->count = count;
	for (uint32_t i = 0; i < count; i++) {
		instances->of[i] = aligned_alloc(64, sizeof(struct directory_instance));
		memset(instances->of[i], 0, sizeof(struct directory_instance));
		instances->of[i]->id = i + 1;
	}
	gateway_ejection_default(&policy);
	now_ns = 1000 * CLOCK_NS_PER_S;
	for_ns = 0;
	return instances;
}

static void free_all(struct directory_instances *instances)
{
	for (uint32_t i = 0; i < instances->count; i++)
		free(instances->of[i]);
	free(instances);
}

static enum eject_change note(struct directory_instances *instances, uint32_t index, bool failed)
{
	return eject_note(instances, instances->of[index], &policy, failed, now_ns, &for_ns);
}

static bool is_in(const struct directory_instances *instances, uint32_t index)
{
	bool probe;

	return eject_allows(&instances->of[index]->ejection, now_ns, &probe) && !probe;
}

/* Fails until it is out. */
static void throw_out(struct directory_instances *instances, uint32_t index)
{
	for (uint32_t i = 1; i < policy.failures; i++)
		assert_int_equal(note(instances, index, true), EJECT_NONE);
	assert_int_equal(note(instances, index, true), EJECT_OUT);
}

static void failures_in_a_row_eject_and_a_success_between_them_does_not(void **unused)
{
	(void)unused;
	struct directory_instances *instances = instances_of(2);

	for (unsigned round = 0; round < 10; round++) {
		for (uint32_t i = 1; i < policy.failures; i++)
			assert_int_equal(note(instances, 0, true), EJECT_NONE);
		assert_int_equal(note(instances, 0, false), EJECT_NONE);
	}
	throw_out(instances, 0);
	assert_int_equal(for_ns, policy.time_ns);
	assert_false(is_in(instances, 0));
	assert_true(is_in(instances, 1));
	free_all(instances);
}

static void one_call_at_a_time_tries_it_and_brings_it_back_or_not(void **unused)
{
	(void)unused;
	struct directory_instances *instances = instances_of(2);
	struct eject_state *state = &instances->of[0]->ejection;
	bool probe;

	throw_out(instances, 0);
	now_ns += policy.time_ns - 1;
	assert_false(eject_allows(state, now_ns, &probe));
	now_ns += 1;
	assert_true(eject_allows(state, now_ns, &probe) && probe);
	assert_true(eject_probe(state));
	assert_false(eject_probe(state));
	assert_false(eject_allows(state, now_ns, &probe));
	assert_int_equal(note(instances, 0, true), EJECT_OUT);
	eject_probe_over(state);
	assert_int_equal(for_ns, 2 * policy.time_ns);
	assert_false(eject_allows(state, now_ns, &probe));
	now_ns += for_ns;
	assert_true(eject_allows(state, now_ns, &probe) && eject_probe(state));
	assert_int_equal(note(instances, 0, false), EJECT_BACK);
	eject_probe_over(state);
	assert_true(is_in(instances, 0));
	free_all(instances);
}

static void a_call_from_before_the_ejection_does_not_bring_it_back(void **unused)
{
	(void)unused;
	struct directory_instances *instances = instances_of(2);

	throw_out(instances, 0);
	now_ns += policy.time_ns / 2;
	assert_int_equal(note(instances, 0, false), EJECT_NONE);
	assert_false(is_in(instances, 0));
	assert_int_equal(note(instances, 0, true), EJECT_NONE);
	free_all(instances);
}

static void each_ejection_is_twice_as_long_up_to_a_bound_and_quiet_times_shorten_it(void **unused)
{
	(void)unused;
	struct directory_instances *instances = instances_of(2);
	uint64_t expected_ns = policy.time_ns;

	throw_out(instances, 0);
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(for_ns, expected_ns);
		now_ns += for_ns;
		assert_int_equal(note(instances, 0, true), EJECT_OUT);
		expected_ns = expected_ns * 2 < policy.time_most_ns ? expected_ns * 2
								    : policy.time_most_ns;
	}
	assert_int_equal(for_ns, policy.time_most_ns);
	now_ns += for_ns;
	assert_int_equal(note(instances, 0, false), EJECT_BACK);
	for (unsigned i = 0; i < 40; i++) {
		now_ns += policy.interval_ns;
		assert_int_equal(note(instances, 0, false), EJECT_NONE);
	}
	throw_out(instances, 0);
	assert_int_equal(for_ns, policy.time_ns);
	free_all(instances);
}

static void no_more_than_the_share_is_out_and_the_only_one_never(void **unused)
{
	(void)unused;
	struct directory_instances *instances = instances_of(5);
	unsigned out = 0;

	for (unsigned round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 5; i++)
			out += note(instances, i, true) == EJECT_OUT;
	}
	assert_int_equal(out, 2);
	free_all(instances);

	instances = instances_of(1);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(note(instances, 0, true), EJECT_NONE);
	free_all(instances);

	instances = instances_of(5);
	policy.share_ppm = 0;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(note(instances, 0, true), EJECT_NONE);
	free_all(instances);
}

/* Of each ten calls so many fail, spread so that they never come in a row. */
static enum eject_change ten_calls(struct directory_instances *instances, uint32_t index,
				   unsigned failing)
{
	enum eject_change last = EJECT_NONE;

	for (unsigned i = 0; i < 10 && last == EJECT_NONE; i++)
		last = note(instances, index, (i * failing) % 10 < failing);
	return last;
}

static void one_that_succeeds_far_less_than_the_others_is_ejected(void **unused)
{
	(void)unused;
	struct directory_instances *instances = instances_of(3);
	enum eject_change change = EJECT_NONE;

	for (unsigned round = 0; round < 4 && change == EJECT_NONE; round++) {
		assert_int_equal(ten_calls(instances, 0, 1), EJECT_NONE);
		assert_int_equal(ten_calls(instances, 1, 0), EJECT_NONE);
		change = ten_calls(instances, 2, 5);
	}
	assert_int_equal(change, EJECT_OUT);
	/* It begins anew once it is back. */
	now_ns += for_ns;
	assert_int_equal(note(instances, 2, false), EJECT_BACK);
	assert_int_equal(note(instances, 2, true), EJECT_NONE);
	free_all(instances);
}

static void all_that_fail_alike_or_few_calls_are_no_outliers(void **unused)
{
	(void)unused;
	struct directory_instances *instances = instances_of(3);

	for (unsigned round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(ten_calls(instances, i, 4), EJECT_NONE);
		now_ns += 300 * MS;
	}
	free_all(instances);

	instances = instances_of(2);
	for (unsigned round = 0; round < 100; round++)
		ten_calls(instances, 0, 0);
	for (uint32_t i = 0; i + 1 < EJECT_CALLS_MIN; i++)
		assert_int_equal(note(instances, 1, i % 2 == 0), EJECT_NONE);
	free_all(instances);
}

static struct directory_instances *shared;
static _Atomic uint32_t ejections;

static void *fail_often(void *unused)
{
	uint64_t ns;

	for (unsigned i = 0; i < 100000; i++) {
		if (eject_note(shared, shared->of[0], &policy, true, now_ns, &ns) == EJECT_OUT)
			atomic_fetch_add(&ejections, 1);
	}
	return unused;
}

static void of_many_threads_one_ejects(void **unused)
{
	(void)unused;
	pthread_t threads[4];

	shared = instances_of(2);
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, fail_often, NULL);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(ejections, 1);
	free_all(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_in_a_row_eject_and_a_success_between_them_does_not),
		cmocka_unit_test(one_call_at_a_time_tries_it_and_brings_it_back_or_not),
		cmocka_unit_test(a_call_from_before_the_ejection_does_not_bring_it_back),
		cmocka_unit_test(
			each_ejection_is_twice_as_long_up_to_a_bound_and_quiet_times_shorten_it),
		cmocka_unit_test(no_more_than_the_share_is_out_and_the_only_one_never),
		cmocka_unit_test(one_that_succeeds_far_less_than_the_others_is_ejected),
		cmocka_unit_test(all_that_fail_alike_or_few_calls_are_no_outliers),
		cmocka_unit_test(of_many_threads_one_ejects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "billing/phase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "billing/billing_testing.h"

#define MONTH clock_month_of(TESTING_START_NS)

static struct testing world;

static int setup(void **state)
{
	(void)state;
	testing_init(&world);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testing_fini(&world);
	return 0;
}

static struct testing_subscription *begin(void)
{
	const struct rating_plan plan = testing_unit_plan(TESTING_CENT, 1);

	testing_start(&world);
	testing_fund(&world, "anna", 1000 * TESTING_CENT);
	return testing_subscribe(&world, "anna", "bert", &plan);
}

static void call(struct testing_subscription *subscription, uint32_t stream, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		testing_call(&world, subscription, stream);
}

static void assert_phases(const struct phase *wanted, size_t wanted_count)
{
	struct phase *phases;
	size_t count;

	assert_int_equal(phase_list(world.other, world.options.node, &phases, &count, &world.fault),
			 0);
	assert_int_equal(count, wanted_count);
	for (size_t i = 0; i < count; i++) {
		assert_true(i == 0 || phases[i].number > phases[i - 1].number);
		assert_int_equal(phases[i].card, wanted[i].card);
		assert_memory_equal(phases[i].starts, wanted[i].starts, sizeof(wanted[i].starts));
	}
	free(phases);
}

static void a_phase_begins_with_each_other_card_where_the_cursors_stand(void **state)
{
	struct testing_subscription *subscription = begin();

	(void)state;
	call(subscription, 0, 3);
	call(subscription, 1, 2);
	assert_int_equal(testing_post(&world), 5);
	assert_phases((struct phase[]){{.card = 1}}, 1);
	testing_kill(&world);
	assert_phases((struct phase[]){{.card = 1}}, 1);

	world.options.card.of[RATING_CLOUD_CALLS].nano = 7;
	testing_kill(&world);
	call(subscription, 0, 1);
	assert_int_equal(testing_post(&world), 1);
	world.options.card.of[RATING_CLOUD_CALLS].nano = 0;
	testing_kill(&world);
	assert_phases((struct phase[]){{.card = 1},
				       {.card = 2, .starts = {3, 2}},
				       {.card = 1, .starts = {4, 2}}},
		      3);
}

static void a_record_that_was_parked_is_noted_with_the_phase_that_took_it_back(void **state)
{
	struct testing_subscription *subscription = begin();
	struct phase_late *late;
	size_t count;

	(void)state;
	world.terms_hidden = true;
	call(subscription, 1, 2);
	testing_post(&world);
	assert_int_equal(testing_counts(&world).parked, 2);
	assert_int_equal(phase_late_list(world.other, world.options.node, MONTH, &late, &count,
					 &world.fault),
			 0);
	assert_int_equal(count, 0);
	free(late);

	world.options.card.of[RATING_CLOUD_CALLS].nano = 7;
	testing_kill(&world);
	world.terms_hidden = false;
	billing_poster_terms_changed(world.poster, subscription->terms.subscription);
	testing_post(&world);
	assert_int_equal(testing_counts(&world).parked, 0);
	struct phase *phases;
	size_t phase_count;
	assert_int_equal(
		phase_list(world.other, world.options.node, &phases, &phase_count, &world.fault),
		0);
	assert_int_equal(phase_count, 2);
	assert_int_equal(phase_late_list(world.other, world.options.node, MONTH, &late, &count,
					 &world.fault),
			 0);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(late[i].stream, 1);
		assert_int_equal(late[i].position, i);
		assert_int_equal(late[i].phase, phases[1].number);
		assert_int_equal(late[i].subscription.value,
				 subscription->terms.subscription.value);
	}
	free(phases);
	free(late);
}

static void a_month_knows_where_in_each_stream_its_records_lie(void **state)
{
	struct testing_subscription *subscription = begin();
	struct phase_range ranges[JOURNAL_STREAMS_MAX];

	(void)state;
	call(subscription, 0, 2);
	testing_post(&world);
	call(subscription, 0, 1);
	testing_post(&world);
	clock_manual_advance(&world.clock, 31 * 24 * 3600 * CLOCK_NS_PER_S);
	call(subscription, 0, 4);
	call(subscription, 1, 5);
	testing_post(&world);

	assert_int_equal(
		phase_month_load(world.other, world.options.node, MONTH, ranges, &world.fault), 0);
	assert_int_equal(ranges[0].first, 0);
	assert_int_equal(ranges[0].end, 3);
	assert_int_equal(ranges[1].end, 0);
	assert_int_equal(
		phase_month_load(world.other, world.options.node, MONTH + 1, ranges, &world.fault),
		0);
	assert_int_equal(ranges[0].first, 3);
	assert_int_equal(ranges[0].end, 7);
	assert_int_equal(ranges[1].first, 0);
	assert_int_equal(ranges[1].end, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_phase_begins_with_each_other_card_where_the_cursors_stand),
		TEST(a_record_that_was_parked_is_noted_with_the_phase_that_took_it_back),
		TEST(a_month_knows_where_in_each_stream_its_records_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

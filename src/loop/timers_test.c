#include "loop/loop_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/random.h"

#define TIMERS 2000

struct alarm {
	struct loop_timer timer; /* first */
	uint64_t wanted_ns;      /* 0: must not go off */
	uint32_t count;
};

static struct loop loop; /* its clock and its wheel are all that timers use */
static uint64_t now_ns;
static uint64_t newest_ms;

static void on_due(struct loop_timer *timer)
{
	struct alarm *alarm = (struct alarm *)(void *)timer;

	assert_true(alarm->wanted_ns != 0);
	assert_true(alarm->wanted_ns <= now_ns);
	alarm->wanted_ns = 0;
	alarm->count++;
}

static void begin(uint64_t start_ns)
{
	now_ns = loop.now_ns = start_ns;
	loop_wheel_init(&loop.wheel, start_ns);
}

static void set(struct alarm *alarm, uint64_t due_ns)
{
	alarm->timer.on_due = on_due;
	alarm->wanted_ns = due_ns;
	loop_timer_set(&loop, &alarm->timer, due_ns);
}

static void run_at(uint64_t at_ns)
{
	now_ns = loop.now_ns = at_ns;
	loop_wheel_run(&loop.wheel, at_ns);
}

static void no_timer_is_early_or_later_than_a_millisecond(void **state)
{
	struct random_seeded random;
	const uint64_t seed = random_u64(random_system());
	struct alarm *alarms = calloc(TIMERS, sizeof(*alarms));

	(void)state;
	printf("SEED=%llu\n", (unsigned long long)seed);
	random_seeded_init(&random, seed);
	begin(random_below(&random.random, 1ull << 40));
	for (int step = 0; step < 20000; step++) {
		struct alarm *alarm = &alarms[random_below(&random.random, TIMERS)];
		/* Distances of every level of the wheel. */
		const uint64_t span = 1ull << (10 + random_below(&random.random, 38));
		if (random_below(&random.random, 4) == 0) {
			alarm->wanted_ns = 0;
			loop_timer_clear(&loop, &alarm->timer);
		} else {
			set(alarm, now_ns + random_below(&random.random, span));
		}
		if (random_below(&random.random, 8) != 0)
			continue;
		/* As the loop waits: never past what the wheel asks for. */
		const uint64_t next_ns = loop_wheel_next_ns(&loop.wheel, now_ns);
		const uint64_t most_ns = now_ns + random_below(&random.random, 1ull << 34);
		run_at(next_ns < most_ns ? (next_ns > now_ns ? next_ns : now_ns) : most_ns);
		for (int i = 0; i < TIMERS; i++)
			if (alarms[i].wanted_ns != 0)
				assert_true(alarms[i].wanted_ns + CLOCK_NS_PER_MS > now_ns);
	}
	free(alarms);
}

static void a_long_sleep_makes_all_due_in_order(void **state)
{
	static struct alarm alarms[100];

	(void)state;
	begin(12345 * CLOCK_NS_PER_MS);
	for (uint64_t i = 0; i < 100; i++)
		set(&alarms[i], now_ns + (i * 7919 % 100) * 1000 * CLOCK_NS_PER_MS);
	run_at(now_ns + 3600 * CLOCK_NS_PER_S);
	for (int i = 0; i < 100; i++)
		assert_int_equal(alarms[i].count, 1);
	assert_int_equal(loop_wheel_next_ns(&loop.wheel, now_ns), UINT64_MAX);
}

static void in_order(struct loop_timer *timer)
{
	const struct alarm *alarm = (struct alarm *)(void *)timer;
	const uint64_t due_ms = (alarm->wanted_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;

	assert_true(due_ms >= newest_ms);
	newest_ms = due_ms;
}

static void timers_of_one_turn_run_in_the_order_of_their_milliseconds(void **state)
{
	static struct alarm alarms[500];

	(void)state;
	begin(CLOCK_NS_PER_S);
	newest_ms = 0;
	for (uint64_t i = 0; i < 500; i++) {
		alarms[i].timer.on_due = in_order;
		alarms[i].wanted_ns = now_ns + 1 + i * 7919 % 500 * 997 * 1000;
		loop_timer_set(&loop, &alarms[i].timer, alarms[i].wanted_ns);
	}
	run_at(now_ns + 10 * CLOCK_NS_PER_S);
	assert_int_equal(newest_ms, 1000 + (499 * 997 + 999) / 1000);
}

static struct alarm again;
static uint32_t again_count;

static void arm_for_the_past(struct loop_timer *timer)
{
	again_count++;
	loop_timer_set(&loop, timer, 1);
}

static void what_a_timer_arms_for_the_past_waits_for_the_next_turn(void **state)
{
	(void)state;
	begin(CLOCK_NS_PER_S);
	again.timer.on_due = arm_for_the_past;
	loop_timer_set(&loop, &again.timer, 0);
	run_at(now_ns);
	assert_int_equal(again_count, 1);
	assert_int_equal(loop_wheel_next_ns(&loop.wheel, now_ns), now_ns);
	run_at(now_ns);
	assert_int_equal(again_count, 2);
	loop_timer_clear(&loop, &again.timer);
	assert_int_equal(loop_wheel_next_ns(&loop.wheel, now_ns), UINT64_MAX);
}

static struct alarm victims[3];

static void clear_the_others(struct loop_timer *timer)
{
	(void)timer;
	for (int i = 0; i < 3; i++) {
		victims[i].wanted_ns = 0;
		loop_timer_clear(&loop, &victims[i].timer);
	}
}

static void a_timer_may_clear_those_that_are_due_with_it(void **state)
{
	struct alarm killer = {.timer.on_due = clear_the_others};

	(void)state;
	begin(CLOCK_NS_PER_S);
	loop_timer_set(&loop, &killer.timer, now_ns + 1000);
	for (int i = 0; i < 3; i++)
		set(&victims[i], now_ns + 2000);
	run_at(now_ns + CLOCK_NS_PER_S);
	for (int i = 0; i < 3; i++)
		assert_int_equal(victims[i].count, 0);
}

static void moving_to_later_and_back_again_holds(void **state)
{
	static struct alarm alarm;

	(void)state;
	begin(CLOCK_NS_PER_S);
	set(&alarm, now_ns + 10 * CLOCK_NS_PER_MS);
	set(&alarm, now_ns + 60 * CLOCK_NS_PER_S);
	run_at(now_ns + 20 * CLOCK_NS_PER_MS);
	assert_int_equal(alarm.count, 0);
	set(&alarm, now_ns + 5 * CLOCK_NS_PER_MS);
	assert_true(loop_wheel_next_ns(&loop.wheel, now_ns) <= now_ns + 5 * CLOCK_NS_PER_MS);
	run_at(now_ns + 5 * CLOCK_NS_PER_MS);
	assert_int_equal(alarm.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_timer_is_early_or_later_than_a_millisecond),
		cmocka_unit_test(a_long_sleep_makes_all_due_in_order),
		cmocka_unit_test(timers_of_one_turn_run_in_the_order_of_their_milliseconds),
		cmocka_unit_test(what_a_timer_arms_for_the_past_waits_for_the_next_turn),
		cmocka_unit_test(a_timer_may_clear_those_that_are_due_with_it),
		cmocka_unit_test(moving_to_later_and_back_again_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* When a plan's next version comes to those who have an earlier one. NOW is 2025-11-24 16:00. */
#include "base/clock.h"
#include "catalog/testing_internal.h"

#define THUMBS             "service: thumbs\nversion: 1.0.0\nupstream: [unix:/t]\n"
#define PRICE(p)           THUMBS "plans: {p: {prices: [{meter: calls, price: " p "}]}}\n"
#define MONTH(year, month) (((year)-1970) * 12 + (month)-1)
#define DAY_NS             (86400 * CLOCK_NS_PER_S)

static struct catalog_change publish_at(struct bench *bench, const char *text,
					uint64_t notice_least_ns, uint64_t now_ns)
{
	struct catalog_manifest *manifest = bench_manifest(bench, text);
	struct catalog_change change;

	must(bench, catalog_publish(bench->store, manifest, slice_of(""), bench->acme.id,
				    notice_least_ns, now_ns, &change, &bench->fault));
	catalog_manifest_free(manifest);
	return change;
}

static struct catalog_subscription subscribe_at(struct bench *bench, uint64_t now_ns,
						enum catalog_subscribed *ret_how)
{
	const struct catalog_subscribe wanted = {
		.app = bench->app.id, .service = slice_of("thumbs"), .budget_nano = -1};
	struct catalog_subscription subscription;
	struct subscription_id ended;

	must(bench, catalog_subscribe(bench->store, &wanted, now_ns, &subscription, ret_how, &ended,
				      &bench->fault));
	return subscription;
}

static struct catalog_subscription subscribed(struct bench *bench, const char *text)
{
	enum catalog_subscribed how;

	publish_at(bench, text, 0, NOW);
	return subscribe_at(bench, NOW, &how);
}

static uint32_t version_in(struct bench *bench, struct plan_id from, uint32_t month)
{
	struct catalog_move move;

	must(bench, catalog_move_at(bench->store, from, month, &move, &bench->fault));
	return move.version;
}

static struct catalog_move next_of(struct bench *bench, struct plan_id from)
{
	struct catalog_move move;

	must(bench, catalog_move_next(bench->store, from, &move, &bench->fault));
	return move;
}

static void what_is_cheaper_comes_with_the_next_month(void **state)
{
	struct bench *bench = *state;
	const struct catalog_subscription subscription = subscribed(bench, PRICE("2"));
	const struct catalog_change change = publish_at(bench, PRICE("1"), 0, NOW);

	assert_int_equal(change.plans[0].month, MONTH(2025, 12));
	assert_int_equal(change.plans[0].rises, 0);
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2025, 11)), 1);
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2025, 12)), 2);
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2030, 1)), 2);
}

static void a_rise_comes_with_the_first_month_behind_its_notice(void **state)
{
	struct bench *bench = *state;
	const struct catalog_subscription subscription = subscribed(bench, PRICE("1"));
	const struct catalog_change change = publish_at(bench, PRICE("2"), 0, NOW);
	const struct catalog_move move = next_of(bench, subscription.plan);

	/* 14 days from November 24: December 8. */
	assert_int_equal(change.plans[0].month, MONTH(2026, 1));
	assert_int_equal(change.plans[0].rises, 1u << RATING_CALLS);
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2025, 12)), 1);
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2026, 1)), 2);
	assert_int_equal(move.plan.value, change.plans[0].id.value);
	assert_int_equal(move.version, 2);
	assert_int_equal(move.month, MONTH(2026, 1));
	assert_int_equal(next_of(bench, move.plan).plan.value, 0);
}

static void the_notice_is_what_the_subscribers_were_promised(void **state)
{
	struct bench *bench = *state;

	subscribed(bench, THUMBS "plans: {p: {notice: 60d}}\n");
	/* The shorter notice is itself a rise; the one before counts. */
	const struct catalog_change change = publish_at(
		bench, THUMBS "plans: {p: {notice: 1d, prices: [{meter: calls, price: 1}]}}\n", 0,
		NOW);
	assert_int_equal(change.plans[0].month, MONTH(2026, 2));
	assert_int_equal(change.plans[0].rises, 1u << RATING_CALLS | 1u << CATALOG_RISE_NOTICE);
}

static void of_several_promises_the_longest_counts(void **state)
{
	struct bench *bench = *state;

	subscribed(bench, THUMBS "plans: {p: {notice: 60d}}\n");
	publish_at(bench, THUMBS "plans: {p: {notice: 1d}}\n", 0, NOW);
	const struct catalog_change change = publish_at(
		bench, THUMBS "plans: {p: {notice: 1d, prices: [{meter: calls, price: 1}]}}\n", 0,
		NOW + DAY_NS);
	assert_int_equal(change.plans[0].month, MONTH(2026, 2));
}

static void the_clouds_least_notice_counts_where_it_is_longer(void **state)
{
	struct bench *bench = *state;

	subscribed(bench, PRICE("1"));
	assert_int_equal(publish_at(bench, PRICE("2"), 100 * DAY_NS, NOW).plans[0].month,
			 MONTH(2026, 4));
	/* But not for what gets cheaper. */
	assert_int_equal(publish_at(bench, PRICE("0.5"), 100 * DAY_NS, NOW).plans[0].month,
			 MONTH(2025, 12));
}

static void a_notice_that_ends_with_a_month_is_enough_for_the_next(void **state)
{
	struct bench *bench = *state;
	const uint64_t december_ns = clock_month_start_ns(MONTH(2025, 12));

	subscribed(bench, PRICE("1"));
	assert_int_equal(publish_at(bench, PRICE("2"), 0, december_ns - 14 * DAY_NS).plans[0].month,
			 MONTH(2025, 12));
	assert_int_equal(
		publish_at(bench, PRICE("3"), 0, december_ns - 14 * DAY_NS + 1).plans[0].month,
		MONTH(2026, 1));
}

static void an_announced_rise_is_taken_back_by_what_was_before(void **state)
{
	struct bench *bench = *state;
	const struct catalog_subscription subscription = subscribed(bench, PRICE("1"));

	publish_at(bench, PRICE("2"), 0, NOW);
	publish_at(bench, PRICE("1"), 0, NOW + DAY_NS);
	for (uint32_t month = MONTH(2025, 12); month < MONTH(2026, 6); month++)
		assert_int_equal(version_in(bench, subscription.plan, month), 3);
}

static void a_rise_cannot_come_in_two_steps(void **state)
{
	struct bench *bench = *state;
	const struct catalog_subscription subscription = subscribed(bench, PRICE("1"));

	publish_at(bench, PRICE("3"), 0, NOW);
	/* Cheaper than the one before, but dearer than what the subscriber has. */
	const struct catalog_change change = publish_at(bench, PRICE("2"), 0, NOW);
	assert_int_equal(change.plans[0].month, MONTH(2026, 1));
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2025, 12)), 1);
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2026, 1)), 3);
}

static void nobody_is_asked_twice_for_what_all_have_by_now(void **state)
{
	struct bench *bench = *state;
	const uint64_t later_ns = clock_month_start_ns(MONTH(2026, 2));

	subscribed(bench, PRICE("1"));
	publish_at(bench, PRICE("3"), 0, NOW);
	/* By then they pay 3: 2 is no rise. */
	const struct catalog_change change = publish_at(bench, PRICE("2"), 0, later_ns + DAY_NS);
	assert_int_equal(change.plans[0].rises, 0);
	assert_int_equal(change.plans[0].month, MONTH(2026, 3));
}

static void several_announced_come_each_at_its_time(void **state)
{
	struct bench *bench = *state;
	const struct catalog_subscription subscription = subscribed(bench, PRICE("1"));

	publish_at(bench, PRICE("2"), 0, NOW);
	publish_at(bench, PRICE("4"), 40 * DAY_NS, NOW);
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2026, 1)), 2);
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2026, 2)), 3);
	const struct catalog_move first = next_of(bench, subscription.plan);
	assert_int_equal(first.version, 2);
	assert_int_equal(next_of(bench, first.plan).version, 3);
}

static void what_is_announced_in_a_months_last_hour_waits_for_the_month_behind(void **state)
{
	struct bench *bench = *state;
	const uint64_t december_ns = clock_month_start_ns(MONTH(2025, 12));
	const struct catalog_subscription subscription = subscribed(bench, PRICE("9"));

	assert_int_equal(
		publish_at(bench, PRICE("8"), 0, december_ns - CATALOG_MOVE_LEAD_NS).plans[0].month,
		MONTH(2025, 12));
	assert_int_equal(publish_at(bench, PRICE("7"), 0, december_ns - CATALOG_MOVE_LEAD_NS + 1)
				 .plans[0]
				 .month,
			 MONTH(2026, 1));
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2025, 12)), 2);
}

static void a_plan_that_is_withdrawn_takes_what_it_announced_with_it(void **state)
{
	struct bench *bench = *state;
	const struct catalog_subscription subscription = subscribed(bench, PRICE("9"));

	publish_at(bench, PRICE("8"), 0, NOW);
	publish_at(bench, THUMBS "plans: {other: {}}\n", 0, NOW);
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2026, 1)), 1);
	/* Back, and announced anew. */
	const struct catalog_change back = publish_at(bench, PRICE("8"), 0, NOW + 9 * DAY_NS);
	assert_int_equal(back.plans[0].change, CATALOG_PLAN_BACK);
	assert_int_equal(back.plans[0].month, MONTH(2026, 1));
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2026, 1)), 2);
	/* Too late to be taken back, and not announced a second time. */
	publish_at(bench, THUMBS "plans: {other: {}}\n", 0,
		   clock_month_start_ns(MONTH(2026, 1)) - 1);
	assert_int_equal(version_in(bench, subscription.plan, MONTH(2026, 1)), 2);
	assert_int_equal(publish_at(bench, PRICE("8"), 0, clock_month_start_ns(MONTH(2026, 1)))
				 .plans[0]
				 .month,
			 0);
}

static void who_moved_has_what_is_offered_and_need_not_subscribe_again(void **state)
{
	struct bench *bench = *state;
	const uint64_t december_ns = clock_month_start_ns(MONTH(2025, 12));
	const struct catalog_subscription before = subscribed(bench, PRICE("9"));
	enum catalog_subscribed how;

	publish_at(bench, PRICE("8"), 0, NOW);
	const struct catalog_subscription after = subscribe_at(bench, december_ns, &how);
	assert_int_equal(how, CATALOG_SUBSCRIBED_SAME);
	assert_int_equal(after.id.value, before.id.value);
}

static void who_does_not_wait_subscribes_again(void **state)
{
	struct bench *bench = *state;
	const struct catalog_subscription before = subscribed(bench, PRICE("9"));
	enum catalog_subscribed how;

	publish_at(bench, PRICE("8"), 0, NOW);
	const struct catalog_subscription after = subscribe_at(bench, NOW + 1, &how);
	assert_int_equal(how, CATALOG_SUBSCRIBED_REPLACED);
	assert_int_not_equal(after.id.value, before.id.value);
	assert_int_equal(after.plan_version, 2);
	assert_int_equal(next_of(bench, after.plan).plan.value, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of(what_is_cheaper_comes_with_the_next_month),
		test_of(a_rise_comes_with_the_first_month_behind_its_notice),
		test_of(the_notice_is_what_the_subscribers_were_promised),
		test_of(of_several_promises_the_longest_counts),
		test_of(the_clouds_least_notice_counts_where_it_is_longer),
		test_of(a_notice_that_ends_with_a_month_is_enough_for_the_next),
		test_of(an_announced_rise_is_taken_back_by_what_was_before),
		test_of(a_rise_cannot_come_in_two_steps),
		test_of(nobody_is_asked_twice_for_what_all_have_by_now),
		test_of(several_announced_come_each_at_its_time),
		test_of(what_is_announced_in_a_months_last_hour_waits_for_the_month_behind),
		test_of(a_plan_that_is_withdrawn_takes_what_it_announced_with_it),
		test_of(who_moved_has_what_is_offered_and_need_not_subscribe_again),
		test_of(who_does_not_wait_subscribes_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

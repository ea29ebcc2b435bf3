#include "billing/billing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "billing/billing_testing.h"

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

#define MONTH clock_month_of(TESTING_START_NS)

static struct testing_subscription *anna_pays(int64_t price_nano)
{
	const struct rating_plan plan = testing_unit_plan(price_nano, 1);

	return testing_subscribe(&world, "anna", "pixelworks", &plan);
}

/* One call as the gateway makes it: waits for the poster as often as it is told to. */
static enum testing_outcome call_through(struct testing_subscription *subscription,
					 int64_t hold_nano)
{
	struct testing_call call = {.subscription = subscription, .status = 200};
	enum testing_outcome outcome = testing_admit(&world, &call, hold_nano);

	for (int i = 0; outcome == TESTING_WAITS && i < 3; i++) {
		testing_post(&world);
		outcome = testing_admit(&world, &call, hold_nano);
	}
	if (outcome == TESTING_ADMITTED)
		testing_settle(&world, &call, 0);
	return outcome;
}

static int64_t free_and_pending(const struct testing_lease *lease)
{
	testing_post(&world);
	return testing_pending(&world, LEDGER_MONEY, "anna") - lease->available_nano;
}

static void a_balance_admits_exactly_as_many_calls_as_it_pays_for(void **state)
{
	struct testing_subscription *subscription = anna_pays(7 * TESTING_CENT);
	int admitted = 0;

	(void)state;
	testing_fund(&world, "anna", 100 * AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	testing_lease_new(&world, "anna");
	for (int i = 0; i < 3 * 10000 / 7; i++)
		admitted += call_through(subscription, 7 * TESTING_CENT) == TESTING_ADMITTED;
	assert_int_equal(admitted, 10000 / 7);
	testing_post(&world);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 10000 % 7 * TESTING_CENT);
	assert_int_equal(testing_counts(&world).lease_overruns, 0);
	assert_int_equal(testing_counts(&world).owed, 0);
	testing_audit(&world);
}

static void with_holds_above_the_charge_nothing_is_overspent_and_nothing_left_unusable(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);
	struct random_seeded random;
	struct testing_call open[8];
	int in_flight = 0;
	int refused = 0;

	(void)state;
	random_seeded_init(&random, testing_seed());
	testing_fund(&world, "anna", 500500);
	testing_start(&world);
	struct testing_lease *lease = testing_lease_new(&world, "anna");
	while (refused < 200) {
		/* Eight at once, that hold five times what they cost. */
		while (in_flight < 8) {
			open[in_flight] =
				(struct testing_call){.subscription = subscription, .status = 200};
			const enum testing_outcome outcome =
				testing_admit(&world, &open[in_flight], 5000);
			in_flight += outcome == TESTING_ADMITTED;
			refused += outcome == TESTING_REFUSED;
			if (outcome != TESTING_ADMITTED)
				break;
		}
		while (in_flight > 0 && random_below(&random.random, 4) > 0)
			testing_settle(&world, &open[--in_flight], 0);
		if (random_below(&random.random, 3) == 0)
			testing_post(&world);
	}
	while (in_flight > 0)
		testing_settle(&world, &open[--in_flight], 0);
	assert_int_equal(free_and_pending(lease), 0);
	/* What is left does not cover one hold more, and that is the only reason. */
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 4500);
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	assert_int_equal(testing_counts(&world).lease_overruns, 0);
	testing_audit(&world);
}

static void pending_is_always_free_and_held_and_settled_but_not_posted(void **state)
{
	struct testing_subscription *subscription = anna_pays(10);
	struct testing_call held = {.subscription = subscription, .status = 200};

	(void)state;
	testing_fund(&world, "anna", 1000000);
	testing_start(&world);
	struct testing_lease *lease = testing_lease_new(&world, "anna");
	assert_int_equal(call_through(subscription, 100), TESTING_ADMITTED);
	assert_int_equal(free_and_pending(lease), 0);
	assert_int_equal(testing_admit(&world, &held, 100), TESTING_ADMITTED);
	assert_int_equal(free_and_pending(lease), 100);
	testing_settle(&world, &held, 1);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna") - lease->available_nano, 10);
	assert_int_equal(free_and_pending(lease), 0);
}

static void a_first_call_without_money_waits_once_and_is_then_refused_at_once(void **state)
{
	struct testing_subscription *subscription = anna_pays(10);
	struct testing_call call = {.subscription = subscription, .status = 200};

	(void)state;
	testing_start(&world);
	testing_lease_new(&world, "anna");
	for (int i = 0; i < 3; i++) {
		const uint64_t changed = world.changed_count;
		assert_int_equal(testing_admit(&world, &call, 10), TESTING_WAITS);
		testing_post(&world);
		assert_true(world.changed_count > changed);
		assert_int_equal(testing_admit(&world, &call, 10), TESTING_REFUSED);
		clock_manual_advance(&world.clock, 1000 * CLOCK_NS_PER_S); /* it expires */
	}
}

static void money_that_comes_later_opens_the_source_again(void **state)
{
	struct testing_subscription *subscription = anna_pays(10);

	(void)state;
	testing_fund(&world, "anna", 10);
	testing_start(&world);
	struct testing_lease *lease = testing_lease_new(&world, "anna");
	assert_int_equal(call_through(subscription, 10), TESTING_ADMITTED);
	assert_int_equal(call_through(subscription, 10), TESTING_REFUSED);
	assert_false(lease->has_more);
	testing_fund(&world, "anna", 25);
	testing_post(&world);
	assert_true(lease->has_more || lease->available_nano >= 10);
	assert_int_equal(call_through(subscription, 10), TESTING_ADMITTED);
	assert_int_equal(call_through(subscription, 10), TESTING_ADMITTED);
	assert_int_equal(call_through(subscription, 10), TESTING_REFUSED);
}

static void money_that_is_earned_can_be_spent(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1000, 1);
	struct testing_subscription *sells = testing_subscribe(&world, "bert", "anna", &plan);
	struct testing_subscription *buys = testing_subscribe(&world, "anna", "carl", &plan);

	(void)state;
	testing_fund(&world, "bert", 1000);
	testing_start(&world);
	testing_lease_new(&world, "anna");
	assert_int_equal(call_through(buys, 900), TESTING_REFUSED);
	testing_call(&world, sells, 0);
	testing_post(&world);
	testing_post(&world);
	buys->terms.rating.prices[0].rate.nano = 900; /* all that bert paid, less the fee */
	assert_int_equal(call_through(buys, 900), TESTING_ADMITTED);
}

static void a_lease_grows_with_what_is_taken_and_shares_nothing_that_is_not_needed(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);

	(void)state;
	testing_fund(&world, "anna", 1000 * AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	struct testing_lease *lease = testing_lease_new(&world, "anna");
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna"), 256 * 1000);
	/* 10,000 calls a second for three seconds. */
	for (int i = 0; i < 300; i++) {
		for (int j = 0; j < 100; j++)
			assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
		clock_manual_advance(&world.clock, 10 * CLOCK_NS_PER_MS);
		testing_post(&world);
	}
	assert_in_range(lease->available_nano, 10000 * 1000, 4 * 10000 * 1000);
	assert_true(lease->has_more);
}

static void what_is_idle_goes_back_to_the_account(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);

	(void)state;
	testing_fund(&world, "anna", 1500);
	testing_start(&world);
	struct testing_lease *lease = testing_lease_new(&world, "anna");
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	assert_int_equal(call_through(subscription, 1000), TESTING_REFUSED);
	testing_post(&world);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna"), 500);
	clock_manual_advance(&world.clock, BILLING_LEASE_IDLE_S * CLOCK_NS_PER_S);
	testing_post(&world);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna"), 0);
	assert_int_equal(lease->available_nano, 0);
	assert_true(lease->has_more);
	const uint64_t turns = testing_counts(&world).turns;
	clock_manual_advance(&world.clock, 60 * CLOCK_NS_PER_S);
	testing_post(&world);
	assert_int_equal(testing_counts(&world).turns, turns);
}

static void a_failed_turn_gives_back_what_it_took_from_the_gateway(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);
	struct store_failure failure = {0};
	uint64_t posted;

	(void)state;
	testing_fund(&world, "anna", 100000);
	testing_start(&world);
	struct testing_lease *lease = testing_lease_new(&world, "anna");
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	testing_post(&world);
	const int64_t available = lease->available_nano;
	assert_true(available > 0);
	store_fail(world.store, &failure);
	clock_manual_advance(&world.clock, BILLING_LEASE_IDLE_S * CLOCK_NS_PER_S);
	for (int i = 0; i < 3; i++) {
		failure = (struct store_failure){.fail_at = 5};
		assert_int_equal(billing_poster_turn(world.poster, &posted, &world.fault),
				 FAULT_STORE);
		assert_int_equal(lease->available_nano, available);
	}
	/* While it cannot be known whether the transaction stands, the gateway has less. */
	failure = (struct store_failure){.fail_at = 5, .for_ever = true};
	assert_int_equal(billing_poster_turn(world.poster, &posted, &world.fault), FAULT_STORE);
	assert_int_equal(lease->available_nano, 0);
	failure = (struct store_failure){0};
	testing_post(&world);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna"), lease->available_nano);
	assert_int_equal(testing_counts(&world).lease_overruns, 0);
	testing_audit(&world);
}

/* Each operation is done and then told as failed, the commit at last. */
static void a_commit_whose_answer_was_lost_is_taken_as_done(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);
	struct store_failure failure = {0};
	uint64_t posted = 0;
	bool synced;
	int code;

	(void)state;
	testing_fund(&world, "anna", 100000);
	testing_start(&world);
	struct testing_lease *lease = testing_lease_new(&world, "anna");
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	testing_post(&world);
	store_fail(world.store, &failure);
	/* The first time statements are prepared, so that operations are fewer each time. */
	for (int pass = 0; pass < 2; pass++) {
		failure = (struct store_failure){0};
		assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
		assert_int_equal(journal_maintain(world.journal, &synced, &world.fault), 0);
		const uint64_t turns = testing_counts(&world).turns;
		code = -1;
		for (uint64_t at = 1; code < 0; at++) {
			failure = (struct store_failure){.fail_at = at, .afterwards = true};
			code = billing_poster_turn(world.poster, &posted, &world.fault);
			assert_int_equal(testing_counts(&world).turns, turns + (code == 0));
		}
	}
	assert_true(failure.calls > failure.fail_at); /* it was the commit, and was looked up */
	failure = (struct store_failure){0};
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna"), lease->available_nano);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 97000);
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	testing_post(&world);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 96000);
	testing_audit(&world);
}

static void a_lease_in_use_is_renewed_and_the_gateway_expires_before_the_ledger(void **state)
{
	struct testing_subscription *subscription = anna_pays(1);
	uint64_t renewed = 0;

	(void)state;
	testing_fund(&world, "anna", 1000000);
	testing_start(&world);
	struct testing_lease *lease = testing_lease_new(&world, "anna");
	for (int second = 0; second < 600; second++) {
		const uint64_t before = lease->expires_ns;
		assert_int_equal(call_through(subscription, 1), TESTING_ADMITTED);
		testing_post(&world);
		renewed += lease->expires_ns != before;
		clock_manual_advance(&world.clock, CLOCK_NS_PER_S);
		assert_true(lease->expires_ns > clock_monotonic_ns(&world.clock.clock));
	}
	assert_true(renewed > 0);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna") - lease->available_nano, 0);
}

static void money_held_by_a_long_call_stays_reserved(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);
	struct testing_call call = {.subscription = subscription, .status = 200};

	(void)state;
	testing_fund(&world, "anna", 1000);
	testing_start(&world);
	testing_lease_new(&world, "anna");
	assert_int_equal(testing_admit(&world, &call, 1000), TESTING_WAITS);
	testing_post(&world);
	assert_int_equal(testing_admit(&world, &call, 1000), TESTING_ADMITTED);
	for (int second = 0; second < 1000; second++) {
		clock_manual_advance(&world.clock, CLOCK_NS_PER_S);
		testing_post(&world);
		assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna"), 1000);
	}
	testing_settle(&world, &call, 0);
	testing_post(&world);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "pixelworks"), 970);
	assert_int_equal(testing_counts(&world).owed, 0);
}

static void an_expired_lease_refuses_until_the_poster_is_back_and_nothing_is_lost(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);
	struct testing_call late = {.subscription = subscription, .status = 200};
	struct testing_call call = {.subscription = subscription, .status = 200};

	(void)state;
	testing_fund(&world, "anna", 100000);
	testing_start(&world);
	struct testing_lease *lease = testing_lease_new(&world, "anna");
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	assert_int_equal(testing_admit(&world, &late, 1000), TESTING_ADMITTED);
	clock_manual_advance(&world.clock, (BILLING_LEASE_GATEWAY_S - 1) * CLOCK_NS_PER_S);
	assert_int_equal(testing_admit(&world, &call, 1000), TESTING_ADMITTED);
	clock_manual_advance(&world.clock, CLOCK_NS_PER_S);
	assert_true(lease->available_nano > 1000);
	assert_int_equal(testing_admit(&world, &call, 1000), TESTING_WAITS);

	/* Longer than the ledger waits, too. */
	clock_manual_advance(&world.clock, 300 * CLOCK_NS_PER_S);
	testing_settle(&world, &late, 0);
	call.held_nano = 1000;
	testing_settle(&world, &call, 1);
	testing_post(&world);
	assert_int_equal(testing_admit(&world, &call, 1000), TESTING_ADMITTED);
	testing_settle(&world, &call, 1);
	testing_post(&world);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 100000 - 4000);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna") - lease->available_nano, 0);
	assert_int_equal(testing_counts(&world).lease_overruns, 0);
	testing_audit(&world);
}

static void after_a_kill_the_journal_is_posted_before_old_leases_are_void(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);
	struct testing_call lost = {.subscription = subscription, .status = 200};

	(void)state;
	testing_fund(&world, "anna", 3000);
	testing_start(&world);
	testing_lease_new(&world, "anna");
	/* All of the money is leased, two calls are settled, one is in flight. */
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	assert_int_equal(testing_admit(&world, &lost, 1000), TESTING_ADMITTED);
	testing_kill(&world);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna"), 0);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 1000);
	assert_int_equal(testing_counts(&world).owed, 0);
	testing_lease_new(&world, "anna");
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	assert_int_equal(call_through(subscription, 1000), TESTING_REFUSED);
	testing_audit(&world);
}

static void finishing_gives_everything_back(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);
	bool synced;

	(void)state;
	testing_fund(&world, "anna", 100000);
	testing_start(&world);
	testing_lease_new(&world, "anna");
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	assert_int_equal(journal_maintain(world.journal, &synced, &world.fault), 0);
	assert_int_equal(billing_poster_finish(world.poster, &world.fault), 0);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna"), 0);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 99000);
	assert_int_equal(testing_counts(&world).leased_nano, 0);
}

static void count_release(void *context, void *handle)
{
	int *count = context;

	(void)handle;
	(*count)++;
}

static void a_removed_lease_is_released_when_its_last_call_is_posted(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);
	struct testing_call call = {.subscription = subscription, .status = 200};
	int released = 0;

	(void)state;
	testing_fund(&world, "anna", 100000);
	testing_start(&world);
	struct testing_lease *lease = testing_lease_new(&world, "anna");
	assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	assert_int_equal(testing_admit(&world, &call, 1000), TESTING_ADMITTED);
	billing_poster_lease_remove(world.poster, lease, count_release, &released);
	testing_post(&world);
	assert_int_equal(released, 0);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna"), 1000);
	testing_settle(&world, &call, 0);
	testing_post(&world);
	assert_int_equal(released, 1);
	assert_int_equal(testing_pending(&world, LEDGER_MONEY, "anna"), 0);
	billing_poster_lease_remove(world.poster, lease, count_release, &released);
	testing_post(&world);
	assert_int_equal(released, 2);
	assert_int_equal(testing_counts(&world).leases, 0);
}

static void *tell_much(void *context)
{
	const struct ledger_account_id *account = context;

	for (int i = 0; i < 2000; i++) {
		struct billing_counts counts;
		billing_poster_wake(world.poster, *account);
		billing_poster_terms_changed(world.poster, (struct subscription_id){1});
		billing_poster_counts(world.poster, &counts);
		billing_poster_position(world.poster, 0);
	}
	return NULL;
}

static void other_threads_may_tell_at_any_time(void **state)
{
	struct testing_subscription *subscription = anna_pays(1000);
	struct billing_balance balance;
	pthread_t threads[2];

	(void)state;
	testing_fund(&world, "anna", 100000);
	testing_start(&world);
	testing_lease_new(&world, "anna");
	assert_int_equal(billing_balance_get(world.other, slice_of("anna"), &balance, &world.fault),
			 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, tell_much, &balance.ledger_account), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(call_through(subscription, 1000), TESTING_ADMITTED);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	testing_post(&world);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 50000);
	assert_int_equal(testing_counts(&world).parked, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_balance_admits_exactly_as_many_calls_as_it_pays_for),
		TEST(with_holds_above_the_charge_nothing_is_overspent_and_nothing_left_unusable),
		TEST(pending_is_always_free_and_held_and_settled_but_not_posted),
		TEST(a_first_call_without_money_waits_once_and_is_then_refused_at_once),
		TEST(money_that_comes_later_opens_the_source_again),
		TEST(money_that_is_earned_can_be_spent),
		TEST(a_lease_grows_with_what_is_taken_and_shares_nothing_that_is_not_needed),
		TEST(what_is_idle_goes_back_to_the_account),
		TEST(a_failed_turn_gives_back_what_it_took_from_the_gateway),
		TEST(a_commit_whose_answer_was_lost_is_taken_as_done),
		TEST(a_lease_in_use_is_renewed_and_the_gateway_expires_before_the_ledger),
		TEST(money_held_by_a_long_call_stays_reserved),
		TEST(an_expired_lease_refuses_until_the_poster_is_back_and_nothing_is_lost),
		TEST(after_a_kill_the_journal_is_posted_before_old_leases_are_void),
		TEST(finishing_gives_everything_back),
		TEST(a_removed_lease_is_released_when_its_last_call_is_posted),
		TEST(other_threads_may_tell_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Calls about the time at which a plan's next version begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#include "gateway/rig.h"

#define CALL_NANO 7

static void a_call_over_the_change_holds_for_both_and_is_charged_by_the_next(void **unused)
{
	(void)unused;
	struct journal_record record;
	struct rig_options options = rig_options_default(CALL_NANO);
	struct rating_plan next = options.plan;
	struct rig rig;
	char answer[4096];
	struct fault fault;

	next.prices[0].rate.nano = 1000;
	options.lease_nano = 1000 + CALL_NANO;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);
	/* Days away: the hold is the plan's own, and the charge. */
	const uint64_t now_ns = clock_wall_ns(clock_system());
	rig_publish_next(&rig, &next, 1000, now_ns + 3 * 86400 * CLOCK_NS_PER_S);
	assert_int_equal(rig_get(&rig, client, "/echo/a", answer, sizeof(answer)), 200);
	rig_records(&rig, &record);
	assert_int_equal(record.charge_nano, CALL_NANO);
	assert_int_equal(record.plan.value, 1);
	/* Near: 1000 are there, which is what it holds, and its charge by the plan of its moment.
	 */
	rig_publish_next(&rig, &next, 1000, now_ns + 86400 * CLOCK_NS_PER_S);
	assert_int_equal(rig_get(&rig, client, "/echo/b", answer, sizeof(answer)), 200);
	rig_records(&rig, &record);
	assert_int_equal(record.charge_nano, CALL_NANO);
	/* By now they are not. */
	assert_int_equal(rig_get(&rig, client, "/echo/c", answer, sizeof(answer)), 402);
	/* Taken back. */
	assert_int_equal(gateway_publish_move(rig.gateway, (struct plan_id){1}, (struct plan_id){0},
					      0, &fault),
			 0);
	assert_int_equal(rig_get(&rig, client, "/echo/d", answer, sizeof(answer)), 200);
	rig_records(&rig, &record);
	assert_int_equal(record.plan.value, 1);
	/* Begun: the new price is not there, and then it is, to the last nano. */
	rig_publish_next(&rig, &next, 1000, now_ns - 1);
	assert_int_equal(rig_get(&rig, client, "/echo/e", answer, sizeof(answer)), 402);
	gateway_lease_grant(rig.lease, 2 * CALL_NANO, UINT64_MAX);
	assert_int_equal(rig_get(&rig, client, "/echo/f", answer, sizeof(answer)), 200);
	rig_records(&rig, &record);
	assert_int_equal(record.charge_nano, 1000);
	assert_int_equal(record.plan.value, 2);
	assert_int_equal(gateway_lease_poll(rig.lease).available_nano, 0);
	close(client);
	rig_end(&rig);
}

static void a_month_is_counted_on_under_the_version_in_force(void **unused)
{
	(void)unused;
	const uint32_t month = clock_month_of(clock_wall_ns(clock_system()));
	struct rig_options options = rig_options_default(CALL_NANO);
	struct rating_plan next = options.plan;
	struct journal_record record;
	struct fault fault;
	struct rig rig;
	char answer[4096];

	/* Ten calls have used up what is taken off; under the prices before they would not have. */
	next.prices[0].rate.nano = 2 * CALL_NANO;
	next.discount_nano = 15 * CALL_NANO;
	options.lease_nano = 2 * CALL_NANO;
	rig_begin(&rig, &options);
	rig_publish_next(&rig, &next, 2 * CALL_NANO, clock_month_start_ns(month));
	const struct gateway_subscription_entry entry = {
		.id = {8},
		.account = {3},
		.app = {5},
		.service = {1},
		.plan = {1},
		.account_name = "acme",
		.app_name = "acme/shop",
		.account_lease = rig.lease,
		.month = month,
		.used = {.of = {[RATING_CALLS] = 10}},
	};
	assert_int_equal(gateway_publish_subscription(rig.gateway, &entry, &fault), 0);
	const int client = rig_connect(&rig);
	assert_int_equal(rig_get(&rig, client, "/echo/a", answer, sizeof(answer)), 200);
	rig_records(&rig, &record);
	assert_int_equal(record.plan.value, 2);
	assert_int_equal(record.charge_nano, 2 * CALL_NANO);
	close(client);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_over_the_change_holds_for_both_and_is_charged_by_the_next),
		cmocka_unit_test(a_month_is_counted_on_under_the_version_in_force),
	};

	return rig_run_on_all(tests, sizeof(tests) / sizeof(tests[0]));
}

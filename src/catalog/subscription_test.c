#include "catalog/testing_internal.h"

#define THUMBS "service: thumbs\nversion: 1.0.0\nupstream: [unix:/t]\n"

struct outcome {
	struct catalog_subscription subscription;
	enum catalog_subscribed how;
	struct subscription_id ended;
};

static int subscribe(struct bench *bench, const char *service, const char *plan, int64_t budget,
		     enum catalog_budget_period period, struct outcome *ret_outcome)
{
	const struct catalog_subscribe wanted = {.app = bench->app.id,
						 .service = slice_of(service),
						 .plan = slice_of(plan),
						 .budget_nano = budget,
						 .budget_period = period};

	return catalog_subscribe(bench->store, &wanted, NOW + 1, &ret_outcome->subscription,
				 &ret_outcome->how, &ret_outcome->ended, &bench->fault);
}

static void a_subscription_names_app_service_and_plan_version(void **state)
{
	struct bench *bench = *state;
	const struct catalog_change change =
		bench_publish(bench, THUMBS "plans: {free: {}, paid: {bill_on: always}}\n");
	struct catalog_subscription found;
	struct outcome made;

	must(bench, subscribe(bench, "thumbs", "paid", 5000, CATALOG_BUDGET_MONTH, &made));
	assert_int_equal(made.how, CATALOG_SUBSCRIBED_NEW);
	assert_int_equal(made.ended.value, 0);
	must(bench,
	     catalog_subscription_get(bench->store, made.subscription.id, &found, &bench->fault));
	assert_int_equal(found.account.value, bench->client.id.value);
	assert_int_equal(found.app.value, bench->app.id.value);
	assert_int_equal(found.service.value, change.service.value);
	assert_int_equal(found.plan.value, change.plans[1].id.value);
	assert_int_equal(found.budget_nano, 5000);
	assert_int_equal(found.budget_period, CATALOG_BUDGET_MONTH);
	assert_true(found.created_ns == NOW + 1);
	assert_true(found.ended_ns == 0);
	assert_string_equal(found.app_path, "client/web");
	assert_string_equal(found.service_name, "thumbs");
	assert_string_equal(found.plan_name, "paid");
	assert_int_equal(found.plan_version, 1);
}

static void the_only_plan_need_not_be_named(void **state)
{
	struct bench *bench = *state;
	struct outcome made;

	bench_publish(bench, THUMBS "plans: {paid: {}}\n");
	must(bench, subscribe(bench, "thumbs", "", -1, CATALOG_BUDGET_ONCE, &made));
	assert_string_equal(made.subscription.plan_name, "paid");
	assert_int_equal(made.subscription.budget_nano, -1);

	bench_publish(bench, THUMBS "plans: {paid: {}, free: {}}\n");
	assert_fault(bench, subscribe(bench, "thumbs", "", -1, CATALOG_BUDGET_ONCE, &made),
		     FAULT_INPUT,
		     "the service \"thumbs\" offers several plans; name one of thumbs:free, "
		     "thumbs:paid");
}

static void the_same_terms_again_write_nothing(void **state)
{
	struct bench *bench = *state;
	static unsigned writes;
	struct outcome first;
	struct outcome again;

	bench_publish(bench, THUMBS "plans: {paid: {}}\n");
	must(bench, subscribe(bench, "thumbs", "paid", 7, CATALOG_BUDGET_ONCE, &first));
	store_trace(bench->store, bench_count_writes, &writes);
	must(bench, subscribe(bench, "thumbs", "", 7, CATALOG_BUDGET_ONCE, &again));
	assert_int_equal(writes, 0);
	assert_int_equal(again.how, CATALOG_SUBSCRIBED_SAME);
	assert_int_equal(again.subscription.id.value, first.subscription.id.value);

	must(bench, subscribe(bench, "thumbs", "", 7, CATALOG_BUDGET_MONTH, &again));
	assert_int_equal(again.how, CATALOG_SUBSCRIBED_BUDGET);
	assert_int_equal(again.subscription.id.value, first.subscription.id.value);
	assert_int_equal(again.subscription.budget_period, CATALOG_BUDGET_MONTH);
}

static void a_subscription_keeps_its_plan_version_until_it_is_renewed(void **state)
{
	struct bench *bench = *state;
	struct catalog_subscription kept;
	struct outcome first;
	struct outcome second;

	bench_publish(bench, THUMBS "plans: {p: {prices: [{meter: calls, price: 1}]}}\n");
	must(bench, subscribe(bench, "thumbs", "p", -1, CATALOG_BUDGET_ONCE, &first));
	bench_publish(bench, THUMBS "plans: {p: {prices: [{meter: calls, price: 9}]}}\n");
	must(bench,
	     catalog_subscription_get(bench->store, first.subscription.id, &kept, &bench->fault));
	assert_int_equal(kept.plan_version, 1);
	assert_true(kept.ended_ns == 0);

	must(bench, subscribe(bench, "thumbs", "p", -1, CATALOG_BUDGET_ONCE, &second));
	assert_int_equal(second.how, CATALOG_SUBSCRIBED_REPLACED);
	assert_int_equal(second.ended.value, first.subscription.id.value);
	assert_int_not_equal(second.subscription.id.value, first.subscription.id.value);
	assert_int_equal(second.subscription.plan_version, 2);
	must(bench,
	     catalog_subscription_get(bench->store, first.subscription.id, &kept, &bench->fault));
	assert_true(kept.ended_ns == NOW + 1);
}

static void an_ended_subscription_stays_on_record_and_makes_room(void **state)
{
	struct bench *bench = *state;
	struct catalog_subscription ended;
	struct outcome first;
	struct outcome second;

	bench_publish(bench, THUMBS "plans: {free: {}}\n");
	must(bench, subscribe(bench, "thumbs", "", -1, CATALOG_BUDGET_ONCE, &first));
	must(bench, catalog_subscription_end(bench->store, first.subscription.id, NOW + 5, &ended,
					     &bench->fault));
	assert_true(ended.ended_ns == NOW + 5);
	must(bench, catalog_subscription_end(bench->store, first.subscription.id, NOW + 9, &ended,
					     &bench->fault));
	assert_true(ended.ended_ns == NOW + 5);
	must(bench, subscribe(bench, "thumbs", "", -1, CATALOG_BUDGET_ONCE, &second));
	assert_int_equal(second.how, CATALOG_SUBSCRIBED_NEW);
	assert_fault(bench,
		     catalog_subscription_end(bench->store, (struct subscription_id){99}, NOW,
					      &ended, &bench->fault),
		     FAULT_NOT_FOUND, "there is no sub_99");
}

static void what_cannot_be_subscribed_to_is_told_with_the_nearest(void **state)
{
	struct bench *bench = *state;
	struct outcome made;

	bench_publish(bench, THUMBS "plans: {paid: {}, free: {}}\n");
	assert_fault(bench, subscribe(bench, "thumb", "", -1, CATALOG_BUDGET_ONCE, &made),
		     FAULT_NOT_FOUND, "there is no service \"thumb\"; did you mean \"thumbs\"?");
	assert_fault(bench, subscribe(bench, "thumbs", "payd", -1, CATALOG_BUDGET_ONCE, &made),
		     FAULT_NOT_FOUND,
		     "there is no plan of \"thumbs\" offered as \"payd\"; did you mean \"paid\"?");
	bench_publish(bench, THUMBS "plans: {free: {}}\n");
	assert_fault(bench, subscribe(bench, "thumbs", "paid", -1, CATALOG_BUDGET_ONCE, &made),
		     FAULT_NOT_FOUND, "there is no plan of \"thumbs\" offered as \"paid\"");
	bench->app.id.value = 99;
	assert_fault(bench, subscribe(bench, "thumbs", "free", -1, CATALOG_BUDGET_ONCE, &made),
		     FAULT_NOT_FOUND, "there is no app_99");
}

static size_t listed(struct bench *bench, struct catalog_subscription_filter filter)
{
	struct catalog_subscription subscriptions[8];
	struct subscription_id after = {0};
	size_t total = 0;
	size_t count;

	do {
		must(bench, catalog_subscription_list(bench->store, &filter, after, subscriptions,
						      2, &count, &bench->fault));
		total += count;
		if (count > 0)
			after = subscriptions[count - 1].id;
	} while (count == 2);
	return total;
}

static void lists_are_filtered_and_come_page_by_page(void **state)
{
	struct bench *bench = *state;
	const struct account_app web = bench->app;
	struct account_app batch;
	struct outcome made;

	const struct catalog_change thumbs = bench_publish(bench, THUMBS "plans: {free: {}}\n");
	bench_publish(bench, "service: words\nversion: 1.0.0\nupstream: [unix:/w]\n"
			     "plans: {free: {}}\n");
	must(bench, account_app_create(bench->store, bench->client.id, slice_of("batch"), NOW,
				       &batch, &bench->fault));
	must(bench, subscribe(bench, "thumbs", "", -1, CATALOG_BUDGET_ONCE, &made));
	must(bench, catalog_subscription_end(bench->store, made.subscription.id, NOW,
					     &made.subscription, &bench->fault));
	must(bench, subscribe(bench, "thumbs", "", -1, CATALOG_BUDGET_ONCE, &made));
	must(bench, subscribe(bench, "words", "", -1, CATALOG_BUDGET_ONCE, &made));
	bench->app = batch;
	must(bench, subscribe(bench, "words", "", -1, CATALOG_BUDGET_ONCE, &made));

	assert_int_equal(listed(bench, (struct catalog_subscription_filter){.only_active = false}),
			 4);
	assert_int_equal(listed(bench, (struct catalog_subscription_filter){.only_active = true}),
			 3);
	assert_int_equal(listed(bench, (struct catalog_subscription_filter){.app = web.id}), 3);
	assert_int_equal(listed(bench, (struct catalog_subscription_filter){.app = batch.id}), 1);
	assert_int_equal(
		listed(bench, (struct catalog_subscription_filter){.service = thumbs.service,
								   .only_active = true}),
		1);
	assert_int_equal(
		listed(bench, (struct catalog_subscription_filter){.account = bench->client.id}),
		4);
	assert_int_equal(
		listed(bench, (struct catalog_subscription_filter){.account = bench->acme.id}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of(a_subscription_names_app_service_and_plan_version),
		test_of(the_only_plan_need_not_be_named),
		test_of(the_same_terms_again_write_nothing),
		test_of(a_subscription_keeps_its_plan_version_until_it_is_renewed),
		test_of(an_ended_subscription_stays_on_record_and_makes_room),
		test_of(what_cannot_be_subscribed_to_is_told_with_the_nearest),
		test_of(lists_are_filtered_and_come_page_by_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

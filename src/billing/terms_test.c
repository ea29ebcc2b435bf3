/* Terms as they come from catalog and account. */
#include "billing/billing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "catalog/catalog.h"
#include "store/store_testing.h"

#define NOW_NS 1795478400000000000ull /* 2026-11-24 */
#define MONTH  ((2026 - 1970) * 12 + 10u)

#define MANIFEST(price)                                              \
	"service: thumbs\n"                                          \
	"version: 1.0.0\n"                                           \
	"upstream: [http://127.0.0.1:9]\n"                           \
	"meters: {pixels: {}, tokens: {}}\n"                         \
	"plans:\n"                                                   \
	"  payg:\n"                                                  \
	"    prices:\n"                                              \
	"      - {meter: calls, model: unit, price: " price "}\n"    \
	"      - {meter: tokens, model: unit, price: 0.10 per 1M}\n" \
	"    max_charge: 0.20\n"

struct world {
	struct store_testing files;
	struct store *store;
	struct fault fault;
	struct account provider;
	struct account consumer;
	struct account_app app;
};

static struct world world;

#define must(call) assert_int_equal((call), 0)

/* Within a transaction. */
static void publish(const char *text)
{
	struct catalog_manifest *manifest;
	struct catalog_complaints complaints;
	struct catalog_change change;
	struct fault *fault = &world.fault;

	must(catalog_manifest_parse("service.yaml", slice_of(text), &manifest, &complaints, fault));
	must(catalog_publish(world.store, manifest, slice_of(""), world.provider.id, 0, NOW_NS,
			     &change, fault));
	catalog_manifest_free(manifest);
}

static int setup(void **state)
{
	struct fault *fault = &world.fault;

	(void)state;
	store_testing_init(&world.files);
	must(store_open(world.files.path, &world.store, fault));
	must(account_migrate(world.store, fault));
	must(catalog_migrate(world.store, fault));
	must(store_begin(world.store, STORE_WRITE, fault));
	must(account_create(world.store, slice_of("pixelworks"), NOW_NS, &world.provider, fault));
	must(account_create(world.store, slice_of("anna"), NOW_NS, &world.consumer, fault));
	must(account_app_create(world.store, world.consumer.id, slice_of("shop"), NOW_NS,
				&world.app, fault));
	publish(MANIFEST("0.05"));
	must(store_commit(world.store, fault));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(world.store);
	store_testing_fini(&world.files);
	return 0;
}

static struct catalog_subscription subscribe(int64_t budget_nano, enum catalog_budget_period period)
{
	const struct catalog_subscribe wanted = {.app = world.app.id,
						 .service = slice_of("thumbs"),
						 .plan = slice_of("payg"),
						 .budget_nano = budget_nano,
						 .budget_period = period};
	struct catalog_subscription subscription;
	struct subscription_id ended;
	enum catalog_subscribed outcome;

	must(store_begin(world.store, STORE_WRITE, &world.fault));
	must(catalog_subscribe(world.store, &wanted, NOW_NS, &subscription, &outcome, &ended,
			       &world.fault));
	must(store_commit(world.store, &world.fault));
	return subscription;
}

static void a_subscription_has_all_that_posting_and_statements_ask_for(void **state)
{
	const struct billing_terms_source source = billing_terms_of_catalog();
	const struct catalog_subscription subscription = subscribe(5000, CATALOG_BUDGET_MONTH);
	struct billing_terms terms;

	(void)state;
	must(source.find(source.context, world.store, subscription.id, MONTH, &terms,
			 &world.fault));
	assert_int_equal(terms.subscription.value, subscription.id.value);
	assert_int_equal(terms.plan.value, subscription.plan.value);
	assert_int_equal(terms.account.value, world.consumer.id.value);
	assert_int_equal(terms.app.value, world.app.id.value);
	assert_int_equal(terms.service.value, subscription.service.value);
	assert_int_equal(terms.provider.value, world.provider.id.value);
	assert_int_equal(terms.budget_nano, 5000);
	assert_true(terms.budget_monthly);
	assert_string_equal(terms.account_name, "anna");
	assert_string_equal(terms.app_name, "anna/shop");
	assert_string_equal(terms.service_name, "thumbs");
	assert_string_equal(terms.provider_name, "pixelworks");
	assert_string_equal(terms.plan_name, "payg");
	assert_string_equal(terms.units[0], "pixels");
	assert_string_equal(terms.units[1], "tokens");
	assert_string_equal(terms.units[2], "");
	assert_int_equal(terms.rating.price_count, 2);
	assert_int_equal(terms.rating.prices[1].meter, RATING_UNIT_1);
	assert_int_equal(terms.rating.max_charge_nano, 200000000);
}

static void without_a_budget_there_is_none_and_once_is_not_monthly(void **state)
{
	const struct billing_terms_source source = billing_terms_of_catalog();
	struct billing_terms terms;

	(void)state;
	const struct subscription_id id = subscribe(-1, CATALOG_BUDGET_ONCE).id;
	must(source.find(source.context, world.store, id, MONTH, &terms, &world.fault));
	assert_int_equal(terms.budget_nano, -1);
	subscribe(7, CATALOG_BUDGET_ONCE);
	must(source.find(source.context, world.store, id, MONTH, &terms, &world.fault));
	assert_int_equal(terms.budget_nano, 7);
	assert_false(terms.budget_monthly);
}

static void each_month_has_its_own_version_of_the_plan(void **state)
{
	const struct billing_terms_source source = billing_terms_of_catalog();
	const struct catalog_subscription subscription = subscribe(-1, CATALOG_BUDGET_ONCE);
	struct billing_terms now, next;

	(void)state;
	must(store_begin(world.store, STORE_WRITE, &world.fault));
	publish(MANIFEST("0.04"));
	must(store_commit(world.store, &world.fault));
	must(source.find(source.context, world.store, subscription.id, MONTH, &now, &world.fault));
	assert_int_equal(now.plan.value, subscription.plan.value);
	assert_int_equal(now.rating.prices[0].rate.nano, 50000000);
	must(source.find(source.context, world.store, subscription.id, MONTH + 1, &next,
			 &world.fault));
	assert_int_not_equal(next.plan.value, subscription.plan.value);
	assert_int_equal(next.rating.prices[0].rate.nano, 40000000);
}

static void an_unknown_subscription_is_not_found(void **state)
{
	const struct billing_terms_source source = billing_terms_of_catalog();
	struct billing_terms terms;

	(void)state;
	assert_int_equal(source.find(source.context, world.store, (struct subscription_id){77},
				     MONTH, &terms, &world.fault),
			 FAULT_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_subscription_has_all_that_posting_and_statements_ask_for),
		TEST(without_a_budget_there_is_none_and_once_is_not_monthly),
		TEST(each_month_has_its_own_version_of_the_plan),
		TEST(an_unknown_subscription_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "billing/billing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "billing/billing_testing.h"
#include "meter/meter.h"

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

static struct billing_statement *statement_of(const char *account, uint32_t month)
{
	const struct billing_statement_query query = {.account_name = slice_of(account),
						      .month = month};
	struct billing_statement *statement;

	assert_int_equal(billing_statement_make(world.other, &world.options.terms, &query,
						&statement, &world.fault),
			 0);
	return statement;
}

static const struct billing_line *line_of(const struct billing_statement *statement,
					  enum billing_role role, enum billing_kind kind,
					  const char *meter)
{
	for (size_t i = 0; i < statement->line_count; i++) {
		const struct billing_line *line = &statement->lines[i];
		if (line->role == role && line->kind == kind && strcmp(line->meter, meter) == 0)
			return line;
	}
	fail_msg("no line for %s", meter);
	return NULL;
}

static struct rating_plan pixel_plan(void)
{
	struct rating_plan plan = testing_unit_plan(5 * TESTING_CENT, 1);

	plan.price_count = 2;
	plan.prices[1] = (struct rating_price){
		.meter = RATING_UNIT_0,
		.model = RATING_GRADUATED,
		.free_units = 1000,
		.tier_count = 2,
		.tiers = {{.up_to = 10000, .rate = {10, 3}}, {.up_to = INT64_MAX, .rate = {1, 1}}},
	};
	return plan;
}

static void call_with_pixels(struct testing_subscription *subscription, uint64_t pixels)
{
	struct testing_call call = {.subscription = subscription,
				    .status = 200,
				    .request_bytes = 500,
				    .response_bytes = 300,
				    .service_us = 2000,
				    .memory_mib_us = 1000,
				    .path = RATING_PATH_ZONE,
				    .units = {pixels}};

	testing_settle(&world, &call, 0);
}

static void lines_say_what_was_used_and_what_it_cost(void **state)
{
	const struct rating_plan plan = pixel_plan();
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	const struct billing_line *line;

	(void)state;
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){3, 1};
	world.options.card.of[RATING_CLOUD_BYTES_ZONE] = (struct rating_rate){1, 100};
	testing_fund(&world, "anna", 10 * AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	call_with_pixels(subscription, 900);
	call_with_pixels(subscription, 20100);
	testing_post(&world);

	struct billing_statement *statement = statement_of("anna", MONTH);
	assert_int_equal(statement->line_count, 4);
	line = line_of(statement, BILLING_CONSUMER, BILLING_USAGE, "calls");
	assert_int_equal(line->quantity, 2);
	assert_int_equal(line->amount_nano, 10 * TESTING_CENT);
	assert_string_equal(line->service_name, "pixelworks-service");
	assert_string_equal(line->plan_name, "plan-1");
	assert_string_equal(line->app_name, "anna/app");
	assert_string_equal(line->model, "unit");
	line = line_of(statement, BILLING_CONSUMER, BILLING_USAGE, "pixels");
	assert_int_equal(line->quantity, 21000);
	/* 10,000 at 10 for 3 and 10,000 at 1: 33,333 1/3 + 10,000. */
	assert_int_equal(line->amount_nano, 43333);
	line = line_of(statement, BILLING_CONSUMER, BILLING_CLOUD, "calls");
	assert_int_equal(line->amount_nano, 6);
	line = line_of(statement, BILLING_CONSUMER, BILLING_CLOUD, "bytes_zone");
	assert_int_equal(line->quantity, 1600);
	assert_int_equal(line->amount_nano, 16);
	assert_int_equal(statement->total_nano, 10 * TESTING_CENT + 43333 + 6 + 16);
	assert_int_equal(statement->total_nano, testing_charged(&world, "anna", MONTH));
	billing_statement_free(statement);

	statement = statement_of("pixelworks", MONTH);
	assert_int_equal(statement->line_count, 3);
	line = line_of(statement, BILLING_PROVIDER, BILLING_FEE, "usage");
	assert_int_equal(line->quantity, 10 * TESTING_CENT + 43333);
	assert_int_equal(line->amount_nano, 3001300); /* 3 %, half to even */
	assert_string_equal(line->app_name, "");
	assert_int_equal(statement->total_nano, testing_charged(&world, "pixelworks", MONTH));
	billing_statement_free(statement);

	statement = statement_of("operator", MONTH);
	assert_int_equal(statement->total_nano, -3001300 - 22);
	assert_int_equal(statement->total_nano, testing_charged(&world, "operator", MONTH));
	billing_statement_free(statement);
}

static void a_month_of_reports_without_a_call_has_its_lines_too(void **state)
{
	const struct rating_plan plan = pixel_plan();
	struct testing_subscription *subscription =
		testing_subscribe(&world, "anna", "pixelworks", &plan);
	struct testing_call report = {
		.subscription = subscription, .is_report = true, .units = {11000}};

	(void)state;
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	assert_int_equal(testing_settle(&world, &report, 0), 33333);
	testing_post(&world);
	struct billing_statement *statement = statement_of("anna", MONTH);
	assert_int_equal(statement->line_count, 1);
	assert_int_equal(line_of(statement, BILLING_CONSUMER, BILLING_USAGE, "pixels")->quantity,
			 11000);
	assert_int_equal(statement->total_nano, 33333);
	assert_int_equal(statement->total_nano, testing_charged(&world, "anna", MONTH));
	billing_statement_free(statement);
	statement = statement_of("pixelworks", MONTH);
	assert_int_equal(statement->total_nano, -33333 + 1000); /* less 3 % */
	assert_int_equal(statement->total_nano, testing_charged(&world, "pixelworks", MONTH));
	billing_statement_free(statement);
}

static void a_providers_lines_are_summed_over_its_callers(void **state)
{
	const struct rating_plan plan = testing_unit_plan(1, 2); /* half a nano, rounded */
	struct testing_subscription *first = testing_subscribe(&world, "anna", "pix", &plan);
	struct testing_subscription *second = testing_subscribe(&world, "bert", "pix", &plan);

	(void)state;
	second->terms.plan = first->terms.plan;
	memcpy(second->terms.plan_name, first->terms.plan_name, BILLING_NAME_MAX);
	testing_fund(&world, "anna", 100);
	testing_fund(&world, "bert", 100);
	testing_start(&world);
	for (int i = 0; i < 3; i++) {
		testing_call(&world, first, 0);
		testing_call(&world, second, 1);
	}
	testing_post(&world);
	struct billing_statement *statement = statement_of("pix", MONTH);
	const struct billing_line *line =
		line_of(statement, BILLING_PROVIDER, BILLING_USAGE, "calls");
	assert_int_equal(line->quantity, 6);
	assert_int_equal(line->amount_nano, -4); /* R(3) = 1.5, to even: 2, twice */
	assert_int_equal(statement->total_nano, testing_charged(&world, "pix", MONTH));
	billing_statement_free(statement);
}

static void filters_leave_only_what_was_asked_for(void **state)
{
	const struct rating_plan plan = testing_unit_plan(10, 1);
	struct testing_subscription *first = testing_subscribe(&world, "anna", "pix", &plan);
	struct testing_subscription *second = testing_subscribe(&world, "anna", "words", &plan);
	struct billing_statement *statement;
	struct billing_statement_query query = {.account_name = slice_of("anna"), .month = MONTH};

	(void)state;
	second->terms.app.value = 77;
	testing_fund(&world, "anna", 100);
	testing_start(&world);
	testing_call(&world, first, 0);
	testing_call(&world, second, 0);
	testing_call(&world, second, 0);
	testing_post(&world);
	const struct billing_statement_query filters[] = {
		{.app = {77}},
		{.subscription = second->terms.subscription},
		{.service = second->terms.service},
	};
	for (int i = 0; i < 3; i++) {
		query.app = filters[i].app;
		query.subscription = filters[i].subscription;
		query.service = filters[i].service;
		assert_int_equal(billing_statement_make(world.other, &world.options.terms, &query,
							&statement, &world.fault),
				 0);
		assert_int_equal(statement->line_count, 1);
		assert_int_equal(statement->total_nano, 20);
		billing_statement_free(statement);
	}
	statement = statement_of("anna", MONTH + 1);
	assert_int_equal(statement->line_count, 0);
	assert_int_equal(statement->total_nano, 0);
	billing_statement_free(statement);
}

static void an_account_without_a_ledger_account_is_not_found(void **state)
{
	const struct billing_statement_query query = {.account_name = slice_of("nobody")};
	struct billing_statement *statement = NULL;

	(void)state;
	assert_int_equal(billing_statement_make(world.other, &world.options.terms, &query,
						&statement, &world.fault),
			 FAULT_NOT_FOUND);
	assert_null(statement);
}

static void what_is_owed_is_on_the_statement_like_what_was_paid(void **state)
{
	const struct rating_plan plan = testing_unit_plan(100, 1);
	struct testing_subscription *subscription = testing_subscribe(&world, "anna", "pix", &plan);

	(void)state;
	testing_fund(&world, "anna", 150);
	testing_start(&world);
	for (int i = 0; i < 3; i++) {
		testing_call(&world, subscription, 0);
		testing_post(&world);
	}
	struct billing_statement *statement = statement_of("anna", MONTH);
	assert_int_equal(statement->total_nano, 300);
	assert_int_equal(testing_charged(&world, "anna", MONTH), 100);
	assert_int_equal(testing_charged(&world, "owed:anna", MONTH), 200);
	billing_statement_free(statement);
	/* Paying it is no charge. */
	testing_fund(&world, "anna", 500);
	assert_int_equal(testing_charged(&world, "anna", MONTH), 100);
}

static void a_month_with_two_rate_cards_has_each_at_its_own_prices(void **state)
{
	const struct rating_plan plan = testing_unit_plan(100, 1);
	struct testing_subscription *subscription = testing_subscribe(&world, "anna", "pix", &plan);

	(void)state;
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){1, 2};
	testing_fund(&world, "anna", 100000);
	testing_start(&world);
	for (int i = 0; i < 3; i++)
		testing_call(&world, subscription, 0);
	testing_kill(&world);
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){7, 1};
	world.options.fee_ppm = 100000;
	testing_kill(&world);
	for (int i = 0; i < 5; i++)
		testing_call(&world, subscription, 0);
	testing_post(&world);
	struct billing_statement *statement = statement_of("anna", MONTH);
	const struct billing_line *line =
		line_of(statement, BILLING_CONSUMER, BILLING_CLOUD, "calls");
	assert_int_equal(line->quantity, 8);
	assert_int_equal(line->amount_nano, 2 + 35);
	assert_int_equal(statement->total_nano, testing_charged(&world, "anna", MONTH));
	billing_statement_free(statement);
	statement = statement_of("pix", MONTH);
	line = line_of(statement, BILLING_PROVIDER, BILLING_FEE, "usage");
	assert_int_equal(line->amount_nano, 9 + 50);
	assert_int_equal(statement->total_nano, testing_charged(&world, "pix", MONTH));
	billing_statement_free(statement);
}

static void quantities_that_do_not_give_the_charge_are_damage(void **state)
{
	static const char *const damages[] = {
		"UPDATE meter_usage SET q0 = q0 + 1",
		"UPDATE meter_usage SET usage_nano = usage_nano - 1",
		"UPDATE meter_cloud SET q0 = q0 + 1",
		"UPDATE meter_cloud SET fee_nano = fee_nano + 1",
		"UPDATE meter_cloud SET usage_nano = usage_nano + 1000, fee_nano = fee_nano + 30",
		"DELETE FROM meter_cloud",
	};
	const struct rating_plan plan = testing_unit_plan(100, 1);
	struct testing_subscription *subscription = testing_subscribe(&world, "anna", "pix", &plan);
	const struct billing_statement_query query = {.account_name = slice_of("anna"),
						      .month = MONTH};
	struct billing_statement *statement = NULL;

	(void)state;
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){7, 1};
	testing_fund(&world, "anna", 100000);
	testing_start(&world);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		assert_int_equal(store_begin(world.other, STORE_WRITE, &world.fault), 0);
		assert_int_equal(store_run(world.other, damages[i], &world.fault), 0);
		assert_int_equal(billing_statement_make(world.other, &world.options.terms, &query,
							&statement, &world.fault),
				 FAULT_DAMAGED);
		assert_null(statement);
		store_rollback(world.other);
	}
	billing_statement_free(statement_of("anna", MONTH));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(lines_say_what_was_used_and_what_it_cost),
		TEST(a_month_of_reports_without_a_call_has_its_lines_too),
		TEST(a_providers_lines_are_summed_over_its_callers),
		TEST(filters_leave_only_what_was_asked_for),
		TEST(an_account_without_a_ledger_account_is_not_found),
		TEST(what_is_owed_is_on_the_statement_like_what_was_paid),
		TEST(a_month_with_two_rate_cards_has_each_at_its_own_prices),
		TEST(quantities_that_do_not_give_the_charge_are_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

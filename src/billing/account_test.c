#include "billing/billing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

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

static int fund(const char *account, int64_t nano, const char *key, bool *ret_created)
{
	assert_int_equal(store_begin(world.other, STORE_WRITE, &world.fault), 0);
	const int code = billing_fund(world.other, slice_of(account), amount_nano(nano),
				      slice_of(key), TESTING_START_NS, ret_created, &world.fault);

	if (code < 0)
		store_rollback(world.other);
	else
		assert_int_equal(store_commit(world.other, &world.fault), 0);
	return code;
}

static void funding_comes_from_outside_once_for_each_key(void **state)
{
	bool created = false;

	(void)state;
	assert_int_equal(fund("anna", 1000, "key 1", &created), 0);
	assert_true(created);
	assert_int_equal(fund("anna", 1000, "key 1", &created), 0);
	assert_false(created);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 1000);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "outside"), -1000);
	assert_int_equal(fund("anna", 1000, "key 2", &created), 0);
	assert_true(created);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 2000);
	testing_audit(&world);
}

static void another_funding_under_the_same_key_is_a_conflict(void **state)
{
	bool created = false;

	(void)state;
	assert_int_equal(fund("anna", 1000, "key", &created), 0);
	assert_int_equal(fund("anna", 999, "key", &created), FAULT_CONFLICT);
	assert_int_equal(fund("bert", 1000, "key", &created), FAULT_CONFLICT);
	assert_true(created);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), 1000);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "bert"), 0);
}

static void only_more_than_zero_can_be_funded(void **state)
{
	const int64_t bad[] = {0, -1, INT64_MIN};
	bool created = false;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(fund("anna", bad[i], "key", &created), FAULT_INPUT);
	assert_false(created);
}

static void funding_beyond_what_can_be_counted_is_refused_and_changes_nothing(void **state)
{
	bool created = false;

	(void)state;
	assert_int_equal(fund("anna", INT64_MAX, "key 1", &created), 0);
	assert_int_equal(fund("anna", 1, "key 2", &created), FAULT_REFUSED);
	assert_int_equal(testing_balance(&world, LEDGER_MONEY, "anna"), INT64_MAX);
	testing_audit(&world);
}

static void an_account_is_the_same_however_often_it_is_ensured(void **state)
{
	struct ledger_account_id first;
	struct ledger_account_id second;
	struct billing_balance balance;

	(void)state;
	assert_int_equal(store_begin(world.other, STORE_WRITE, &world.fault), 0);
	for (int i = 0; i < 3; i++) {
		const char *name = i == 0 ? "anna" : i == 1 ? "operator" : "outside";
		assert_int_equal(
			billing_account_ensure(world.other, slice_of(name), &first, &world.fault),
			0);
		assert_int_equal(
			billing_account_ensure(world.other, slice_of(name), &second, &world.fault),
			0);
		assert_int_equal(first.value, second.value);
	}
	assert_int_equal(store_commit(world.other, &world.fault), 0);
	assert_int_equal(billing_balance_get(world.other, slice_of("anna"), &balance, &world.fault),
			 0);
	assert_int_equal(balance.balance_nano, 0);
	assert_int_equal(
		billing_balance_get(world.other, slice_of("nobody"), &balance, &world.fault),
		FAULT_NOT_FOUND);
}

static void leased_money_is_in_the_balance_but_not_available(void **state)
{
	const struct rating_plan plan = testing_unit_plan(10, 1);
	struct testing_subscription *subscription = testing_subscribe(&world, "anna", "pix", &plan);
	struct testing_call call = {.subscription = subscription, .status = 200};
	struct billing_balance balance;

	(void)state;
	testing_fund(&world, "anna", 10000);
	testing_start(&world);
	testing_lease_new(&world, "anna");
	assert_int_equal(testing_admit(&world, &call, 10), TESTING_WAITS);
	testing_post(&world);
	assert_int_equal(billing_balance_get(world.other, slice_of("anna"), &balance, &world.fault),
			 0);
	assert_int_equal(balance.leased_nano, 2560);
	assert_int_equal(balance.available_nano, 10000 - 2560);
	assert_int_equal(balance.balance_nano, 10000);
	assert_int_equal(balance.owed_nano, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(funding_comes_from_outside_once_for_each_key),
		TEST(another_funding_under_the_same_key_is_a_conflict),
		TEST(only_more_than_zero_can_be_funded),
		TEST(funding_beyond_what_can_be_counted_is_refused_and_changes_nothing),
		TEST(an_account_is_the_same_however_often_it_is_ensured),
		TEST(leased_money_is_in_the_balance_but_not_available),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

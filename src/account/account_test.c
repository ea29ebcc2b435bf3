#include "base/testing.h"

#include <string.h>

#include "account/account_testing.h"

/* ---- accounts and apps ---- */

static void an_account_is_found_by_name_and_by_id(void **state)
{
	struct account_bench *bench = *state;
	const struct account made = made_account(bench, "acme");
	struct account found = {{0}};

	assert_int_equal(account_get(bench->store, slice_of("acme"), &found, &bench->fault), 0);
	assert_memory_equal(&found, &made, sizeof(made));
	assert_int_equal(account_get_by_id(bench->store, made.id, &found, &bench->fault), 0);
	assert_memory_equal(&found, &made, sizeof(made));
	assert_true(made.id.value > 0);
	assert_true(made.created_ns == NOW);
}

static void names_that_are_no_labels_are_refused_with_the_rule(void **state)
{
	static const char rule[] = "1 to 63 of a-z, 0-9 and '-' are allowed, with no '-' at "
				   "either end";
	static const char *const bad[] = {
		"", "Acme", "-acme", "acme-", "a.b", "a b", "a/b", "a_b", "\xc3\xa9t\xc3\xa9"};
	struct account_bench *bench = *state;
	struct account account;
	char longest[65];
	char expected[FAULT_TEXT_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(expected, sizeof(expected), "account name \"%s\": %s", bad[i], rule);
		assert_fault(bench,
			     account_create(bench->store, slice_of(bad[i]), NOW, &account,
					    &bench->fault),
			     FAULT_INPUT, expected);
	}
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(
		account_create(bench->store, slice_make(longest, 64), NOW, &account, &bench->fault),
		FAULT_INPUT);
	assert_int_equal(
		account_create(bench->store, slice_make(longest, 63), NOW, &account, &bench->fault),
		0);
	assert_int_equal(strlen(account.name), 63);
	made_account(bench, "0");
	made_account(bench, "a--b");
}

static void reserved_and_taken_names_are_refused(void **state)
{
	struct account_bench *bench = *state;
	struct account account;

	assert_fault(
		bench,
		account_create(bench->store, slice_of("operator"), NOW, &account, &bench->fault),
		FAULT_INPUT, "the account name \"operator\" is the cloud owner's; choose another");
	assert_fault(
		bench,
		account_create(bench->store, slice_of("outside"), NOW, &account, &bench->fault),
		FAULT_INPUT,
		"the account name \"outside\" stands for where money comes from; choose "
		"another");
	made_account(bench, "acme");
	assert_fault(bench,
		     account_create(bench->store, slice_of("acme"), NOW, &account, &bench->fault),
		     FAULT_CONFLICT, "the account \"acme\" exists already");
}

static void the_operator_is_made_once(void **state)
{
	struct account_bench *bench = *state;
	struct account first = {{0}};
	struct account second = {{0}};

	assert_int_equal(account_operator_ensure(bench->store, NOW, &first, &bench->fault), 0);
	assert_int_equal(account_operator_ensure(bench->store, NOW + 5, &second, &bench->fault), 0);
	assert_memory_equal(&first, &second, sizeof(first));
	assert_string_equal(first.name, "operator");
}

static void what_is_not_there_is_told_with_the_nearest_name(void **state)
{
	struct account_bench *bench = *state;
	struct account account = made_account(bench, "acme");
	struct account_app app;

	made_account(bench, "pictures");
	made_app(bench, account, "web");
	assert_fault(bench, account_get(bench->store, slice_of("acne"), &account, &bench->fault),
		     FAULT_NOT_FOUND, "there is no account \"acne\"; did you mean \"acme\"?");
	assert_fault(bench, account_get(bench->store, slice_of("x\n\"y"), &account, &bench->fault),
		     FAULT_NOT_FOUND, "there is no account \"x?\"y\"");
	assert_fault(
		bench,
		account_get_by_id(bench->store, (struct account_id){99}, &account, &bench->fault),
		FAULT_NOT_FOUND, "there is no acct_99");
	assert_fault(bench,
		     account_app_get(bench->store, slice_of("acme/wbe"), &app, &bench->fault),
		     FAULT_NOT_FOUND,
		     "there is no app of \"acme\" called \"wbe\"; did you mean \"web\"?");
	assert_fault(bench,
		     account_app_get(bench->store, slice_of("pictures/web"), &app, &bench->fault),
		     FAULT_NOT_FOUND, "there is no app of \"pictures\" called \"web\"");
	assert_fault(bench, account_app_get(bench->store, slice_of("web"), &app, &bench->fault),
		     FAULT_INPUT,
		     "app \"web\": an app is named by its account and itself, \"account/app\"");
}

static void an_app_name_is_unique_in_its_account_only(void **state)
{
	struct account_bench *bench = *state;
	const struct account acme = made_account(bench, "acme");
	const struct account other = made_account(bench, "other");
	const struct account_app web = made_app(bench, acme, "web");
	struct account_app app = {{0}};

	assert_string_equal(web.path, "acme/web");
	made_app(bench, other, "web");
	assert_fault(bench,
		     account_app_create(bench->store, acme.id, slice_of("web"), NOW, &app,
					&bench->fault),
		     FAULT_CONFLICT, "the app \"acme/web\" exists already");
	assert_int_equal(account_app_create(bench->store, acme.id, slice_of("Web"), NOW, &app,
					    &bench->fault),
			 FAULT_INPUT);
	assert_fault(bench,
		     account_app_create(bench->store, (struct account_id){99}, slice_of("web"), NOW,
					&app, &bench->fault),
		     FAULT_NOT_FOUND, "there is no acct_99");
	assert_int_equal(account_app_get(bench->store, slice_of("acme/web"), &app, &bench->fault),
			 0);
	assert_memory_equal(&app, &web, sizeof(app));
	assert_int_equal(account_app_get_by_id(bench->store, web.id, &app, &bench->fault), 0);
	assert_memory_equal(&app, &web, sizeof(app));
}

static void lists_come_page_by_page_without_gap_or_repeat(void **state)
{
	struct account_bench *bench = *state;
	struct account page[3];
	struct account_id after = {0};
	struct account_app apps[9];
	size_t seen = 0;
	size_t count;

	for (int i = 0; i < 7; i++) {
		char name[8];
		snprintf(name, sizeof(name), "a%d", i);
		const struct account account = made_account(bench, name);
		made_app(bench, account, "web");
		if (i == 3)
			made_app(bench, account, "batch");
	}
	do {
		assert_int_equal(account_list(bench->store, after, page, 3, &count, &bench->fault),
				 0);
		for (size_t i = 0; i < count; i++) {
			assert_true(page[i].id.value > after.value);
			after = page[i].id;
			seen++;
		}
	} while (count == 3);
	assert_int_equal(seen, 7);

	assert_int_equal(account_app_list(bench->store, (struct account_id){0}, (struct app_id){0},
					  apps, 9, &count, &bench->fault),
			 0);
	assert_int_equal(count, 8);
	struct account account;
	assert_int_equal(account_get(bench->store, slice_of("a3"), &account, &bench->fault), 0);
	assert_int_equal(account_app_list(bench->store, account.id, (struct app_id){0}, apps, 9,
					  &count, &bench->fault),
			 0);
	assert_int_equal(count, 2);
	assert_string_equal(apps[0].path, "a3/web");
	assert_string_equal(apps[1].path, "a3/batch");
}

/* ---- failures ---- */

static int session(struct store *store, void *context, struct fault *fault)
{
	struct account_bench *bench = context;
	struct account account;
	struct account_app app;
	struct account_key_made made, rotated;
	struct account_key key;

	int code = account_operator_ensure(store, NOW, &account, fault);
	if (code == 0)
		code = account_create(store, slice_of("acme"), NOW, &account, fault);
	if (code == 0)
		code = account_app_create(store, account.id, slice_of("web"), NOW, &app, fault);
	if (code < 0)
		return code;
	const struct account_key_options options = {.app = app.id};
	code = account_key_create(store, &bench->random.random, &options, 1, NOW, &made, fault);
	if (code == 0)
		code = account_key_rotate(store, &bench->random.random, made.key.id, 5, NOW + 1,
					  &rotated, &key, fault);
	if (code == 0)
		code = account_key_revoke(store, made.key.id, NOW + 2, &key, fault);
	return code;
}

static size_t account_count(struct account_bench *bench)
{
	struct account accounts[4];
	size_t count = 99;

	assert_int_equal(account_list(bench->store, (struct account_id){0}, accounts, 4, &count,
				      &bench->fault),
			 0);
	return count;
}

static void whatever_fails_leaves_all_of_a_session_or_nothing(void **state)
{
	struct account_bench *bench = *state;
	struct store_failure failure = {0};
	uint64_t fail_at = 0;
	int code;

	store_rollback(bench->store);
	store_fail(bench->store, &failure);
	do {
		failure = (struct store_failure){.fail_at = ++fail_at};
		code = store_transaction(bench->store, session, bench, &bench->fault);
		failure.fail_at = 0;
		if (code < 0)
			assert_int_equal(account_count(bench), 0);
		assert_true(fail_at < 200);
	} while (code < 0);
	assert_true(fail_at > 15);
	assert_int_equal(account_count(bench), 2);
}

#define test_of(name) \
	cmocka_unit_test_setup_teardown(name, account_testing_set_up, account_testing_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of(an_account_is_found_by_name_and_by_id),
		test_of(names_that_are_no_labels_are_refused_with_the_rule),
		test_of(reserved_and_taken_names_are_refused),
		test_of(the_operator_is_made_once),
		test_of(what_is_not_there_is_told_with_the_nearest_name),
		test_of(an_app_name_is_unique_in_its_account_only),
		test_of(lists_come_page_by_page_without_gap_or_repeat),
		test_of(whatever_fails_leaves_all_of_a_session_or_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

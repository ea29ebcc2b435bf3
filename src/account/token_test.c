#include "base/testing.h"

#include <string.h>

#include "account/account_testing.h"

static struct account_token made_token(struct account_bench *bench, const char *account,
				       uint64_t expires_ns, char text[API_KEY_TEXT_MAX])
{
	struct account_token token;

	assert_int_equal(account_token_create(bench->store, &bench->random.random,
					      slice_of(account), expires_ns, NOW, &token, text,
					      &bench->fault),
			 0);
	return token;
}

static int find(struct account_bench *bench, const char *text, uint64_t now_ns,
		struct account_token *ret_token)
{
	const struct api_key_digest digest = api_key_digest(slice_of(text));

	return account_token_find(bench->store, &digest, now_ns, ret_token, &bench->fault);
}

static void a_token_is_found_by_its_text_until_it_ends(void **state)
{
	struct account_bench *bench = *state;
	char text[API_KEY_TEXT_MAX], other[API_KEY_TEXT_MAX];
	struct account_token found;

	made_account(bench, "globex");
	const struct account_token token = made_token(bench, "globex", NOW + 10, text);
	made_token(bench, "globex", 0, other);
	assert_true(api_key_shape(slice_of(text)));
	assert_int_equal(find(bench, text, NOW + 9, &found), 0);
	assert_memory_equal(&found, &token, sizeof(token));
	assert_string_equal(found.account_name, "globex");
	assert_string_equal(found.role, ACCOUNT_ROLE_PROVIDER);
	assert_string_equal(found.last_four, text + API_KEY_CHARS - 4);
	assert_int_equal(find(bench, text, NOW + 10, &found), FAULT_NOT_FOUND);
	assert_int_equal(find(bench, other, NOW + 10, &found), 0);
	other[10] = other[10] == 'a' ? 'b' : 'a';
	assert_int_equal(find(bench, other, NOW, &found), FAULT_NOT_FOUND);
}

static void a_revoked_token_opens_nothing_and_stays_on_record(void **state)
{
	struct account_bench *bench = *state;
	char text[API_KEY_TEXT_MAX];
	struct account_token found, list[3];
	size_t count;

	const struct account account = made_account(bench, "globex");
	const struct account_token token = made_token(bench, "globex", 0, text);
	for (uint64_t at_ns = NOW + 1; at_ns < NOW + 3; at_ns++) {
		assert_int_equal(
			account_token_revoke(bench->store, token.id, at_ns, &found, &bench->fault),
			0);
		assert_int_equal(found.revoked_ns, NOW + 1);
	}
	assert_int_equal(find(bench, text, NOW + 1, &found), FAULT_NOT_FOUND);
	assert_int_equal(account_token_list(bench->store, account.id, (struct token_id){0}, list, 3,
					    &count, &bench->fault),
			 0);
	assert_int_equal(count, 1);
	assert_int_equal(list[0].revoked_ns, NOW + 1);
	assert_fault(bench,
		     account_token_revoke(bench->store, (struct token_id){99}, NOW, &found,
					  &bench->fault),
		     FAULT_NOT_FOUND, "there is no token_99");
}

static void a_token_is_of_an_account_and_of_a_time_to_come(void **state)
{
	struct account_bench *bench = *state;
	char text[API_KEY_TEXT_MAX];
	struct account_token token;

	made_account(bench, "globex");
	assert_fault(bench,
		     account_token_create(bench->store, &bench->random.random, slice_of("globx"), 0,
					  NOW, &token, text, &bench->fault),
		     FAULT_NOT_FOUND, "there is no account \"globx\"; did you mean \"globex\"?");
	assert_string_equal(bench->fault.near, "globex");
	assert_fault(bench,
		     account_token_create(bench->store, &bench->random.random, slice_of("globex"),
					  NOW, NOW, &token, text, &bench->fault),
		     FAULT_INPUT, "the token would expire in the past; give a time to come");
}

#define test_of(name) \
	cmocka_unit_test_setup_teardown(name, account_testing_set_up, account_testing_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of(a_token_is_found_by_its_text_until_it_ends),
		test_of(a_revoked_token_opens_nothing_and_stays_on_record),
		test_of(a_token_is_of_an_account_and_of_a_time_to_come),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

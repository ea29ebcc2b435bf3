#include "base/testing.h"

#include <string.h>

#include "account/account.h"
#include "store/store_testing.h"

#define NOW 1764000000000000000ull

struct bench {
	struct store_testing files;
	struct store *store;
	struct random_seeded random;
	struct fault fault;
};

static int set_up(void **state)
{
	static struct bench bench;

	*state = &bench;
	memset(&bench, 0, sizeof(bench));
	store_testing_init(&bench.files);
	random_seeded_init(&bench.random, 7);
	if (store_open(bench.files.path, &bench.store, &bench.fault) < 0)
		return -1;
	if (account_migrate(bench.store, &bench.fault) < 0)
		return -1;
	return store_begin(bench.store, STORE_WRITE, &bench.fault);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	store_close(bench->store);
	store_testing_fini(&bench->files);
	return 0;
}

static struct account made_account(struct bench *bench, const char *name)
{
	struct account account = {{0}};

	if (account_create(bench->store, slice_of(name), NOW, &account, &bench->fault) < 0)
		fail_msg("%s", bench->fault.text);
	return account;
}

static struct account_app made_app(struct bench *bench, struct account account, const char *name)
{
	struct account_app app = {{0}};

	if (account_app_create(bench->store, account.id, slice_of(name), NOW, &app, &bench->fault) <
	    0)
		fail_msg("%s", bench->fault.text);
	return app;
}

static struct account_key_made made_key(struct bench *bench, struct app_id app, uint64_t expires_ns)
{
	const struct account_key_options options = {.app = app, .expires_ns = expires_ns};
	struct account_key_made made;

	if (account_key_create(bench->store, &bench->random.random, &options, 1, NOW, &made,
			       &bench->fault) < 0)
		fail_msg("%s", bench->fault.text);
	return made;
}

#define assert_fault(bench, call, expected_code, expected_text)          \
	do {                                                             \
		assert_int_equal(call, expected_code);                   \
		assert_int_equal((bench)->fault.code, expected_code);    \
		assert_string_equal((bench)->fault.text, expected_text); \
	} while (0)

/* ---- accounts and apps ---- */

static void an_account_is_found_by_name_and_by_id(void **state)
{
	struct bench *bench = *state;
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
	struct bench *bench = *state;
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
	struct bench *bench = *state;
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
	struct bench *bench = *state;
	struct account first = {{0}};
	struct account second = {{0}};

	assert_int_equal(account_operator_ensure(bench->store, NOW, &first, &bench->fault), 0);
	assert_int_equal(account_operator_ensure(bench->store, NOW + 5, &second, &bench->fault), 0);
	assert_memory_equal(&first, &second, sizeof(first));
	assert_string_equal(first.name, "operator");
}

static void what_is_not_there_is_told_with_the_nearest_name(void **state)
{
	struct bench *bench = *state;
	struct account account = made_account(bench, "acme");
	struct account_app app;

	made_account(bench, "pictures");
	made_app(bench, account, "web");
	assert_fault(bench, account_get(bench->store, slice_of("acne"), &account, &bench->fault),
		     FAULT_NOT_FOUND, "there is no account \"acne\"; did you mean \"acme\"");
	assert_fault(bench, account_get(bench->store, slice_of("x\n\"y"), &account, &bench->fault),
		     FAULT_NOT_FOUND, "there is no account \"x?\"y\"");
	assert_fault(
		bench,
		account_get_by_id(bench->store, (struct account_id){99}, &account, &bench->fault),
		FAULT_NOT_FOUND, "there is no acct_99");
	assert_fault(bench,
		     account_app_get(bench->store, slice_of("acme/wbe"), &app, &bench->fault),
		     FAULT_NOT_FOUND,
		     "there is no app of \"acme\" called \"wbe\"; did you mean \"web\"");
	assert_fault(bench,
		     account_app_get(bench->store, slice_of("pictures/web"), &app, &bench->fault),
		     FAULT_NOT_FOUND, "there is no app of \"pictures\" called \"web\"");
	assert_fault(bench, account_app_get(bench->store, slice_of("web"), &app, &bench->fault),
		     FAULT_INPUT,
		     "app \"web\": an app is named by its account and itself, \"account/app\"");
}

static void an_app_name_is_unique_in_its_account_only(void **state)
{
	struct bench *bench = *state;
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
	struct bench *bench = *state;
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

/* ---- keys ---- */

static void a_key_is_shown_once_and_stored_as_its_digest(void **state)
{
	struct bench *bench = *state;
	const struct account_app app = made_app(bench, made_account(bench, "acme"), "web");
	const struct account_key_made made = made_key(bench, app.id, 0);
	struct account_key key;

	assert_true(api_key_shape(slice_of(made.text)));
	const struct api_key_digest digest = api_key_digest(slice_of(made.text));
	assert_int_equal(account_key_get(bench->store, made.key.id, &key, &bench->fault), 0);
	assert_true(api_key_digest_equal(&key.digest, &digest));
	assert_memory_equal(key.prefix, made.text, 13);
	assert_int_equal(strlen(key.prefix), 13);
	assert_string_equal(key.last_four, made.text + API_KEY_CHARS - 4);
	assert_int_equal(key.app.value, app.id.value);
	assert_int_equal(key.account.value, app.account.value);
	assert_string_equal(key.scopes, "");
	assert_true(account_key_valid(&key, NOW));
}

static void the_files_of_the_store_never_hold_a_key(void **state)
{
	struct bench *bench = *state;
	const struct account_app app = made_app(bench, made_account(bench, "acme"), "web");
	const struct account_key_made made = made_key(bench, app.id, 0);
	static const char *const suffixes[] = {"", "-wal"};

	assert_int_equal(store_commit(bench->store, &bench->fault), 0);
	for (size_t i = 0; i < 2; i++) {
		char path[sizeof(bench->files.path) + 8];
		static char bytes[1 << 22];
		snprintf(path, sizeof(path), "%s%s", bench->files.path, suffixes[i]);
		FILE *file = fopen(path, "rb");
		assert_non_null(file);
		const size_t length = fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
		assert_true(length > 0);
		assert_null(memmem(bytes, length, made.text + 13, 20));
	}
}

static void many_keys_are_made_at_once_and_all_differ(void **state)
{
	enum { COUNT = 1000 };
	struct bench *bench = *state;
	const struct account_app app = made_app(bench, made_account(bench, "acme"), "web");
	const struct slice scopes[] = {slice_of("thumbs:GET"), slice_of("*:POST:/a:b/")};
	const struct account_key_options options = {
		.app = app.id, .scopes = scopes, .scope_count = 2, .expires_ns = NOW + 1};
	struct account_key_made *made = calloc(COUNT, sizeof(*made));
	struct account_key *keys = calloc(COUNT + 1, sizeof(*keys));
	size_t count;

	assert_int_equal(account_key_create(bench->store, &bench->random.random, &options, COUNT,
					    NOW, made, &bench->fault),
			 0);
	assert_int_equal(account_key_list(bench->store, app.id, true, NOW, (struct key_id){0}, keys,
					  COUNT + 1, &count, &bench->fault),
			 0);
	assert_int_equal(count, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		assert_memory_equal(&keys[i], &made[i].key, sizeof(keys[i]));
		assert_string_equal(keys[i].scopes, "thumbs:GET *:POST:/a:b/");
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(made[i].text, made[j].text);
	}
	free(made);
	free(keys);
}

static void wrong_options_of_keys_are_refused(void **state)
{
	struct bench *bench = *state;
	const struct account_app app = made_app(bench, made_account(bench, "acme"), "web");
	struct slice scopes[17];
	struct account_key_options options = {.app = app.id, .scopes = scopes, .scope_count = 1};
	struct account_key_made made;
	char longer[200];

	scopes[0] = slice_of("a b");
	assert_fault(bench,
		     account_key_create(bench->store, &bench->random.random, &options, 1, NOW,
					&made, &bench->fault),
		     FAULT_INPUT,
		     "scope \"a b\": it begins with a service's name or with '*' for every "
		     "service; a scope is SERVICE[:METHODS[:PATH]]");
	scopes[0] = slice_of("");
	assert_int_equal(account_key_create(bench->store, &bench->random.random, &options, 1, NOW,
					    &made, &bench->fault),
			 FAULT_INPUT);
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "x:GET:/", 7);
	scopes[0] = scopes[1] = slice_make(longer, sizeof(longer));
	options.scope_count = 2;
	assert_fault(bench,
		     account_key_create(bench->store, &bench->random.random, &options, 1, NOW,
					&made, &bench->fault),
		     FAULT_INPUT, "the scopes are longer than 255 characters together");
	options.scope_count = 17;
	assert_fault(bench,
		     account_key_create(bench->store, &bench->random.random, &options, 1, NOW,
					&made, &bench->fault),
		     FAULT_INPUT, "17 scopes are given; at most 16 are allowed");
	options.scope_count = 0;
	options.expires_ns = NOW;
	assert_fault(bench,
		     account_key_create(bench->store, &bench->random.random, &options, 1, NOW,
					&made, &bench->fault),
		     FAULT_INPUT, "the key would expire in the past; give a time to come");
	options.expires_ns = 0;
	assert_fault(bench,
		     account_key_create(bench->store, &bench->random.random, &options, 0, NOW,
					&made, &bench->fault),
		     FAULT_INPUT, "0 keys: 1 to 1000000 at once are allowed");
	options.app.value = 99;
	assert_fault(bench,
		     account_key_create(bench->store, &bench->random.random, &options, 1, NOW,
					&made, &bench->fault),
		     FAULT_NOT_FOUND, "there is no app_99");
}

static void a_revoked_or_expired_key_is_not_valid_and_stays_on_record(void **state)
{
	struct bench *bench = *state;
	const struct account_app app = made_app(bench, made_account(bench, "acme"), "web");
	const struct account_key_made lasting = made_key(bench, app.id, 0);
	const struct account_key_made ending = made_key(bench, app.id, NOW + 10);
	const struct account_key_made revoked = made_key(bench, app.id, 0);
	struct account_key keys[4];
	struct account_key key;
	size_t count;

	assert_int_equal(
		account_key_revoke(bench->store, revoked.key.id, NOW + 1, &key, &bench->fault), 0);
	assert_true(key.revoked_ns == NOW + 1);
	assert_int_equal(
		account_key_revoke(bench->store, revoked.key.id, NOW + 2, &key, &bench->fault), 0);
	assert_true(key.revoked_ns == NOW + 1);
	assert_false(account_key_valid(&key, NOW + 2));

	assert_int_equal(account_key_list(bench->store, (struct app_id){0}, true, NOW + 9,
					  (struct key_id){0}, keys, 4, &count, &bench->fault),
			 0);
	assert_int_equal(count, 2);
	assert_int_equal(account_key_list(bench->store, app.id, true, NOW + 10, (struct key_id){0},
					  keys, 4, &count, &bench->fault),
			 0);
	assert_int_equal(count, 1);
	assert_int_equal(keys[0].id.value, lasting.key.id.value);
	assert_false(account_key_valid(&ending.key, NOW + 10));
	assert_int_equal(account_key_list(bench->store, app.id, false, NOW + 10, (struct key_id){0},
					  keys, 4, &count, &bench->fault),
			 0);
	assert_int_equal(count, 3);
	assert_fault(
		bench,
		account_key_revoke(bench->store, (struct key_id){99}, NOW, &key, &bench->fault),
		FAULT_NOT_FOUND, "there is no key_99");
}

static void a_rotated_key_has_a_successor_and_an_end(void **state)
{
	struct bench *bench = *state;
	const struct account_app app = made_app(bench, made_account(bench, "acme"), "web");
	const struct slice scopes[] = {slice_of("thumbs:GET"), slice_of("words")};
	const struct account_key_options options = {
		.app = app.id, .scopes = scopes, .scope_count = 2, .expires_ns = NOW + 100};
	struct account_key_made first, second, third;
	struct account_key before, stored;
	char sentence[128];

	assert_int_equal(account_key_create(bench->store, &bench->random.random, &options, 1, NOW,
					    &first, &bench->fault),
			 0);
	assert_int_equal(account_key_rotate(bench->store, &bench->random.random, first.key.id, 10,
					    NOW + 1, &second, &before, &bench->fault),
			 0);
	assert_int_equal(second.key.app.value, app.id.value);
	assert_string_equal(second.key.scopes, "thumbs:GET words");
	assert_true(second.key.expires_ns == NOW + 100);
	assert_true(second.key.created_ns == NOW + 1);
	assert_string_not_equal(second.text, first.text);
	assert_true(api_key_shape(slice_of(second.text)));
	assert_true(before.expires_ns == NOW + 11);
	assert_int_equal(before.successor.value, second.key.id.value);
	assert_int_equal(account_key_get(bench->store, first.key.id, &stored, &bench->fault), 0);
	assert_memory_equal(&stored, &before, sizeof(stored));
	assert_int_equal(account_key_get(bench->store, second.key.id, &stored, &bench->fault), 0);
	assert_memory_equal(&stored, &second.key, sizeof(stored));

	/* Twice would leave two successors; an overlap never lengthens a key's life. */
	snprintf(sentence, sizeof(sentence),
		 "key_%llu was rotated already: its successor is key_%llu",
		 (unsigned long long)first.key.id.value, (unsigned long long)second.key.id.value);
	assert_fault(bench,
		     account_key_rotate(bench->store, &bench->random.random, first.key.id, 10,
					NOW + 2, &third, &before, &bench->fault),
		     FAULT_REFUSED, sentence);
	assert_int_equal(account_key_rotate(bench->store, &bench->random.random, second.key.id,
					    UINT64_MAX, NOW + 2, &third, &before, &bench->fault),
			 0);
	assert_true(before.expires_ns == NOW + 100);
}

static void an_ended_key_is_not_rotated(void **state)
{
	struct bench *bench = *state;
	const struct account_app app = made_app(bench, made_account(bench, "acme"), "web");
	const struct account_key_made revoked = made_key(bench, app.id, 0);
	const struct account_key_made expired = made_key(bench, app.id, NOW + 10);
	const struct account_key_made at_once = made_key(bench, app.id, 0);
	struct account_key_made made;
	struct account_key key;

	assert_int_equal(
		account_key_revoke(bench->store, revoked.key.id, NOW + 1, &key, &bench->fault), 0);
	assert_int_equal(account_key_rotate(bench->store, &bench->random.random, revoked.key.id, 10,
					    NOW + 2, &made, &key, &bench->fault),
			 FAULT_REFUSED);
	assert_int_equal(account_key_rotate(bench->store, &bench->random.random, expired.key.id, 10,
					    NOW + 10, &made, &key, &bench->fault),
			 FAULT_REFUSED);
	assert_int_equal(account_key_rotate(bench->store, &bench->random.random,
					    (struct key_id){99}, 10, NOW, &made, &key,
					    &bench->fault),
			 FAULT_NOT_FOUND);
	assert_int_equal(account_key_rotate(bench->store, &bench->random.random, at_once.key.id, 0,
					    NOW + 3, &made, &key, &bench->fault),
			 0);
	assert_true(key.expires_ns == NOW + 3);
	assert_false(account_key_valid(&key, NOW + 3));
}

/* ---- failures ---- */

static int session(struct store *store, void *context, struct fault *fault)
{
	struct bench *bench = context;
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

static size_t account_count(struct bench *bench)
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
	struct bench *bench = *state;
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

#define test_of(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
		test_of(a_key_is_shown_once_and_stored_as_its_digest),
		test_of(the_files_of_the_store_never_hold_a_key),
		test_of(many_keys_are_made_at_once_and_all_differ),
		test_of(wrong_options_of_keys_are_refused),
		test_of(a_revoked_or_expired_key_is_not_valid_and_stays_on_record),
		test_of(a_rotated_key_has_a_successor_and_an_end),
		test_of(an_ended_key_is_not_rotated),
		test_of(whatever_fails_leaves_all_of_a_session_or_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

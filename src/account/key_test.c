#include "base/testing.h"

#include <string.h>

#include "account/account_testing.h"

static void a_key_is_shown_once_and_stored_as_its_digest(void **state)
{
	struct account_bench *bench = *state;
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
	struct account_bench *bench = *state;
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
	struct account_bench *bench = *state;
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
	struct account_bench *bench = *state;
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
	struct account_bench *bench = *state;
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
	struct account_bench *bench = *state;
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
	struct account_bench *bench = *state;
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

struct walk {
	struct account_key keys[4];
	size_t count, most;
};

static int walk_one(void *context, const struct account_key *key, struct fault *fault)
{
	struct walk *walk = context;

	if (walk->count == walk->most)
		return fault_set(fault, FAULT_LIMIT, "enough");
	walk->keys[walk->count++] = *key;
	return 0;
}

static void a_walk_meets_every_valid_key_once(void **state)
{
	struct account_bench *bench = *state;
	const struct account_app app = made_app(bench, made_account(bench, "acme"), "web");
	const struct account_key_made first = made_key(bench, app.id, 0);
	const struct account_key_made revoked = made_key(bench, app.id, 0);
	const struct account_key_made expired = made_key(bench, app.id, NOW + 10);
	const struct account_key_made last = made_key(bench, app.id, NOW + 11);
	struct walk walk = {.most = 4};
	struct account_key key;
	uint64_t count;

	(void)expired;
	assert_int_equal(
		account_key_revoke(bench->store, revoked.key.id, NOW + 1, &key, &bench->fault), 0);
	assert_int_equal(
		account_key_each(bench->store, NOW + 10, walk_one, &walk, &count, &bench->fault),
		0);
	assert_int_equal(count, 2);
	assert_int_equal(walk.count, 2);
	assert_int_equal(walk.keys[0].id.value, first.key.id.value);
	assert_int_equal(walk.keys[1].id.value, last.key.id.value);
	assert_int_equal(walk.keys[1].app.value, app.id.value);
	assert_true(walk.keys[1].expires_ns == NOW + 11);
	assert_true(api_key_digest_equal(&walk.keys[1].digest, &last.key.digest));
	assert_int_equal(account_key_count(bench->store, &count, &bench->fault), 0);
	assert_int_equal(count, 4);
	walk = (struct walk){.most = 1};
	assert_int_equal(
		account_key_each(bench->store, NOW, walk_one, &walk, &count, &bench->fault),
		FAULT_LIMIT);
	assert_int_equal(walk.count, 1);
}

#define test_of(name) \
	cmocka_unit_test_setup_teardown(name, account_testing_set_up, account_testing_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of(a_key_is_shown_once_and_stored_as_its_digest),
		test_of(the_files_of_the_store_never_hold_a_key),
		test_of(many_keys_are_made_at_once_and_all_differ),
		test_of(wrong_options_of_keys_are_refused),
		test_of(a_revoked_or_expired_key_is_not_valid_and_stays_on_record),
		test_of(a_rotated_key_has_a_successor_and_an_end),
		test_of(an_ended_key_is_not_rotated),
		test_of(a_walk_meets_every_valid_key_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

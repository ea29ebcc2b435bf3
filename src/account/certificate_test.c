#include "base/testing.h"

#include <string.h>

#include "account/account_testing.h"

static const struct api_key_digest fingerprint = {.bytes = {0x5a, 1, 2, 3}};

static struct account_key added(struct account_bench *bench, struct app_id app)
{
	struct account_key key = {.id = {0}};

	if (account_certificate_add(bench->store, app, &fingerprint, "4f00", NOW + 100, NOW, &key,
				    &bench->fault) < 0)
		fail_msg("%s", bench->fault.text);
	return key;
}

static int map(struct account_bench *bench, struct app_id app, const char *name,
	       uint64_t expires_ns, uint64_t now_ns, struct account_key *key)
{
	return account_name_map(bench->store, app, slice_of(name), expires_ns, now_ns, key,
				&bench->fault);
}

static void a_certificate_is_a_key_without_a_text(void **state)
{
	struct account_bench *bench = *state;
	const struct account_app app = made_app(bench, made_account(bench, "acme"), "web");
	const struct account_key key = added(bench, app.id);
	struct account_key_made made;
	struct account_key after;

	assert_int_equal(key.kind, ACCOUNT_KEY_CERTIFICATE);
	assert_int_equal(key.app.value, app.id.value);
	assert_int_equal(key.account.value, app.account.value);
	assert_string_equal(key.name, "4f00");
	assert_string_equal(key.prefix, "");
	assert_string_equal(key.scopes, "");
	assert_true(api_key_digest_equal(&key.digest, &fingerprint));
	assert_true(account_key_valid(&key, NOW + 99));
	assert_false(account_key_valid(&key, NOW + 100));
	assert_fault(bench,
		     account_key_rotate(bench->store, &bench->random.random, key.id, 0, NOW, &made,
					&after, &bench->fault),
		     FAULT_REFUSED,
		     "key_1 is a client certificate's; instead of rotating it issue another one "
		     "with `stoa tls client`, and revoke this one later");
	assert_int_equal(account_key_revoke(bench->store, key.id, NOW + 1, &after, &bench->fault),
			 0);
	assert_false(account_key_valid(&after, NOW + 2));
}

static void a_name_is_one_apps_at_a_time(void **state)
{
	struct account_bench *bench = *state;
	const struct account account = made_account(bench, "acme");
	const struct account_app web = made_app(bench, account, "web");
	const struct account_app shop = made_app(bench, account, "shop");
	const struct api_key_digest digest = api_key_digest(slice_of("dns:a.example"));
	struct account_key first, second, third, key;

	assert_int_equal(map(bench, web.id, "dns:A.example", 0, NOW, &first), 0);
	assert_int_equal(first.kind, ACCOUNT_KEY_NAME);
	assert_string_equal(first.name, "dns:a.example");
	assert_true(api_key_digest_equal(&first.digest, &digest));
	assert_fault(bench, map(bench, shop.id, "dns:a.EXAMPLE", 0, NOW, &second), FAULT_CONFLICT,
		     "dns:a.example is mapped to acme/web already (key_1); `stoa tls revoke "
		     "key_1` first");
	assert_int_equal(account_key_revoke(bench->store, first.id, NOW, &key, &bench->fault), 0);
	assert_int_equal(map(bench, shop.id, "dns:a.example", NOW + 10, NOW, &second), 0);
	assert_int_equal(second.app.value, shop.id.value);
	/* The one before stays on record, and no certificate leads to it. */
	assert_int_equal(account_key_get(bench->store, first.id, &key, &bench->fault), 0);
	assert_string_equal(key.name, "dns:a.example");
	assert_false(api_key_digest_equal(&key.digest, &digest));
	/* One that expired makes room, too. */
	assert_int_equal(map(bench, web.id, "dns:a.example", 0, NOW + 9, &third), FAULT_CONFLICT);
	assert_int_equal(map(bench, web.id, "dns:a.example", 0, NOW + 10, &third), 0);
	assert_true(api_key_digest_equal(&third.digest, &digest));
}

static void wrong_mappings_are_refused(void **state)
{
	struct account_bench *bench = *state;
	const struct account_app app = made_app(bench, made_account(bench, "acme"), "web");
	struct account_key key;

	assert_int_equal(map(bench, app.id, "a.example", 0, NOW, &key), FAULT_INPUT);
	assert_int_equal(map(bench, app.id, "uri:stoa://acme/web", 0, NOW, &key), FAULT_INPUT);
	assert_fault(bench, map(bench, app.id, "dns:a.example", NOW, NOW, &key), FAULT_INPUT,
		     "the mapping would expire in the past; give a time to come");
}

static void lists_tell_certificates_from_keys(void **state)
{
	struct account_bench *bench = *state;
	const struct account account = made_account(bench, "acme");
	const struct account_app web = made_app(bench, account, "web");
	const struct account_app shop = made_app(bench, account, "shop");
	struct account_key keys[4], mapped;
	size_t count;

	made_key(bench, web.id, 0);
	const struct account_key certificate = added(bench, web.id);
	assert_int_equal(map(bench, shop.id, "dns:a.example", 0, NOW, &mapped), 0);
	assert_int_equal(account_key_list(bench->store, (struct app_id){0}, false, NOW,
					  (struct key_id){0}, keys, 4, &count, &bench->fault),
			 0);
	assert_int_equal(count, 3);
	assert_int_equal(keys[0].kind, ACCOUNT_KEY_TEXT);
	assert_int_equal(account_certificate_list(bench->store, (struct app_id){0}, false, NOW,
						  (struct key_id){0}, keys, 4, &count,
						  &bench->fault),
			 0);
	assert_int_equal(count, 2);
	assert_int_equal(keys[0].id.value, certificate.id.value);
	assert_int_equal(keys[1].id.value, mapped.id.value);
	assert_int_equal(account_certificate_list(bench->store, shop.id, true, NOW,
						  (struct key_id){0}, keys, 4, &count,
						  &bench->fault),
			 0);
	assert_int_equal(count, 1);
	assert_string_equal(keys[0].name, "dns:a.example");
}

#define test_of(name) \
	cmocka_unit_test_setup_teardown(name, account_testing_set_up, account_testing_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of(a_certificate_is_a_key_without_a_text),
		test_of(a_name_is_one_apps_at_a_time),
		test_of(wrong_mappings_are_refused),
		test_of(lists_tell_certificates_from_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

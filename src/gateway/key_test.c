/* What a key may do, and that it may no more: scopes, expiry, its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/api_key.h"
#include "gateway/rig.h"

#define ANSWER_MAX 65536
#define PRICE      50000000

static char answer[ANSWER_MAX];

static bool has(const char *text)
{
	return strcasestr(answer, text) != NULL;
}

/* "GET /path" to the host, with the key. */
static unsigned ask(int client, const char *host, const char *line, const char *key)
{
	char request[1024];

	snprintf(request, sizeof(request),
		 "%s HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nContent-Length: 0\r\n\r\n", line,
		 host, key);
	return rig_ask(client, request, answer, ANSWER_MAX);
}

static void a_key_does_what_its_scopes_allow(void **unused)
{
	(void)unused;
	static const struct {
		const char *host, *line;
		unsigned status;
		const char *scope;
	} rows[] = {
		{"echo.localhost", "GET /echo/x", 200, NULL},
		{"echo.localhost", "GET /echo/x?y=/../z", 200, NULL},
		{"localhost", "GET /echo/echo/x", 200, NULL},
		{"echo.localhost", "POST /echo/x", 403, "echo:POST:/echo/x"},
		{"echo.localhost", "GET /headers", 403, "echo:GET:/headers"},
		{"localhost", "GET /echo", 403, "echo:GET:/"},
		{"localhost", "GET /echo/headers", 403, "echo:GET:/headers"},
		{"echo.localhost", "GET /echo/../headers", 403, "echo:GET"},
		{"echo.localhost", "GET /echo/%2e%2e/headers", 403, "echo:GET"},
		{"localhost", "GET /echo/echo/%2E%2E/headers", 403, "echo:GET"},
		{"echo.localhost", "GET /echo//headers", 403, "echo:GET"},
		{"echo.localhost", "POST /units/a?1", 200, NULL},
		{"echo.localhost", "GET /units/a?1", 403, "echo:GET:/units/a"},
	};
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	struct gateway_counts counts;
	char key[RIG_KEY_TEXT_MAX], text[512];
	uint64_t allowed = 0, refused = 0;
	rig_begin(&rig, &options);
	rig_publish_key(&rig, 10, "other:DELETE echo:GET:/echo echo:POST:/units/", 0, key);
	const int client = rig_connect(&rig);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const unsigned status = ask(client, rows[i].host, rows[i].line, key);
		if (status != rows[i].status)
			fail_msg("%s of %s: %u", rows[i].line, rows[i].host, status);
		allowed += status == 200;
		refused += status == 403;
		if (status == 200)
			continue;
		assert_true(has("urn:stoa:problem:scope-missing"));
		snprintf(text, sizeof(text), "\"scope\":\"%s\"}", rows[i].scope);
		assert_true(has(text));
		snprintf(text, sizeof(text),
			 "WWW-Authenticate: Bearer realm=\"stoa\", error=\"insufficient_scope\", "
			 "scope=\"%s\"\r\n",
			 rows[i].scope);
		assert_true(has(text));
	}
	assert_int_equal(rig_records(&rig, &record), allowed);
	assert_int_equal(record.key.value, 10);
	gateway_counts_read(rig.gateway, &counts);
	assert_int_equal(counts.refused_right, refused);
	/* The rig's own key has none, and so may all. */
	assert_int_equal(ask(client, "echo.localhost", "POST /echo/x", rig.key), 200);
	close(client);
	rig_end(&rig);
}

/* ---- the end of a key ---- */

struct asker {
	struct rig *rig;
	const char *line, *key;
	unsigned status;
	char text[4096];
};

static void *ask_once(void *context)
{
	struct asker *asker = context;
	const int client = rig_connect(asker->rig);
	char request[1024];

	snprintf(request, sizeof(request),
		 "%s HTTP/1.1\r\nHost: echo.localhost\r\nX-API-Key: %s\r\n\r\n", asker->line,
		 asker->key);
	asker->status = rig_ask(client, request, asker->text, sizeof(asker->text));
	close(client);
	return NULL;
}

static uint64_t in_flight(const struct rig *rig)
{
	struct gateway_counts counts;

	gateway_counts_read(rig->gateway, &counts);
	return counts.calls_in_flight;
}

static void retire(struct rig *rig, const char *key)
{
	const struct api_key_digest digest = api_key_digest(slice_of(key));

	gateway_retire_key(rig->gateway, digest.bytes);
}

/* Records with the outcome "cut"; the last one read is copied. */
static uint64_t records_cut(struct rig *rig, struct journal_record *ret_last)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < journal_stream_count(rig->journal); i++) {
		struct journal_reader *reader;
		const struct journal_record *records;
		struct fault fault;
		uint32_t count;
		assert_int_equal(journal_reader_open(rig->journal, i, 0, &reader, &fault), 0);
		assert_int_equal(journal_reader_next(reader, 1024, &records, &count, &fault), 0);
		for (uint32_t j = 0; j < count; j++) {
			if (records[j].outcome != JOURNAL_CUT)
				continue;
			*ret_last = records[j];
			total++;
		}
		journal_reader_close(reader);
	}
	return total;
}

static void a_retired_key_ends_the_calls_that_it_let_in_and_no_others(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	struct asker asker = {.rig = &rig, .line = "GET /slow"};
	char key[RIG_KEY_TEXT_MAX];
	pthread_t thread;
	options.workers = 2;
	rig_begin(&rig, &options);
	rig_publish_key(&rig, 10, NULL, 0, key);
	asker.key = key;
	/* A connection that has used the key and is idle, and one that waits with another key. */
	const int idle = rig_connect(&rig), other = rig_connect(&rig);
	assert_int_equal(ask(idle, "echo.localhost", "GET /echo/x", key), 200);
	char request[256];
	const int length = snprintf(request, sizeof(request),
				    "GET /slow HTTP/1.1\r\nHost: echo.localhost\r\n"
				    "X-API-Key: %s\r\n\r\n",
				    rig.key);
	assert_int_equal(send(other, request, (size_t)length, 0), length);
	assert_int_equal(pthread_create(&thread, NULL, ask_once, &asker), 0);
	rig_wait_until(atomic_load(&rig.service.began) == 3);

	retire(&rig, key);
	assert_true(gateway_applied_wait(rig.gateway, 10 * CLOCK_NS_PER_S));
	assert_int_equal(in_flight(&rig), 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(asker.status, 401);
	assert_non_null(strstr(asker.text, "key-invalid"));
	assert_int_equal(ask(idle, "echo.localhost", "GET /echo/x", key), 401);
	/* Nothing was delivered, so nothing is billed. */
	assert_int_equal(rig_records(&rig, &record), 2);
	assert_int_equal(records_cut(&rig, &record), 1);
	assert_int_equal(record.key.value, 10);
	assert_int_equal(record.flags, 0);
	assert_int_equal(record.charge_nano, 0);
	close(other);
	close(idle);
	rig_end(&rig);
}

static void a_stream_that_is_cut_with_its_key_is_billed_for_what_was_delivered(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	char key[RIG_KEY_TEXT_MAX], request[256], bytes[4096];
	uint64_t received = 0;
	ssize_t got;
	rig_begin(&rig, &options);
	rig_publish_key(&rig, 10, NULL, 0, key);
	const int client = rig_connect(&rig);
	const int length = snprintf(request, sizeof(request),
				    "GET /large/1000000000 HTTP/1.1\r\nHost: echo.localhost\r\n"
				    "X-API-Key: %s\r\n\r\n",
				    key);

	assert_int_equal(send(client, request, (size_t)length, 0), length);
	while (received < 1000000) {
		got = recv(client, bytes, sizeof(bytes), 0);
		assert_true(got > 0);
		received += (uint64_t)got;
	}
	retire(&rig, key);
	assert_true(gateway_applied_wait(rig.gateway, 10 * CLOCK_NS_PER_S));
	assert_int_equal(in_flight(&rig), 0);
	while ((got = recv(client, bytes, sizeof(bytes), 0)) > 0)
		received += (uint64_t)got;
	assert_in_range(received, 1000000, 999999999);
	assert_int_equal(rig_records(&rig, &record), 1);
	assert_int_equal(record.outcome, JOURNAL_CUT);
	assert_int_equal(record.flags, JOURNAL_BILLED);
	assert_int_equal(record.charge_nano, PRICE);
	assert_in_range(record.response_bytes, 1000000, 999999999);
	close(client);
	rig_end(&rig);
}

static void a_waiting_call_ends_with_its_key(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	struct asker asker = {.rig = &rig, .line = "GET /echo/x"};
	char key[RIG_KEY_TEXT_MAX];
	pthread_t thread;
	options.no_instance = true;
	options.lease_nano = PRICE;
	rig_begin(&rig, &options);
	rig_publish_key(&rig, 10, NULL, 0, key);
	asker.key = key;

	assert_int_equal(pthread_create(&thread, NULL, ask_once, &asker), 0);
	rig_wait_until(in_flight(&rig) == 1);
	retire(&rig, key);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(asker.status, 401);
	assert_int_equal(rig_records(&rig, &record), 0);
	assert_int_equal(gateway_lease_poll(rig.lease).available_nano, PRICE);
	rig_end(&rig);
}

static uint64_t wall_ns(void)
{
	return clock_wall_ns(clock_system());
}

static void a_key_ends_at_its_expiry_to_the_millisecond(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	struct asker asker = {.rig = &rig, .line = "GET /slow"};
	char key[RIG_KEY_TEXT_MAX];
	rig_begin(&rig, &options);
	const uint64_t expires_ns = wall_ns() + CLOCK_NS_PER_S / 4;
	rig_publish_key(&rig, 10, NULL, expires_ns, key);
	asker.key = key;

	/* The plan's timeout is 5 s; the call is cut when the key ends, and not before. */
	ask_once(&asker);
	const uint64_t cut_ns = wall_ns();
	assert_int_equal(asker.status, 401);
	assert_in_range(cut_ns, expires_ns - CLOCK_NS_PER_MS, expires_ns + CLOCK_NS_PER_S);
	assert_int_equal(rig_records(&rig, &record), 1);
	assert_int_equal(record.outcome, JOURNAL_CUT);
	rig_wait_until(wall_ns() >= expires_ns);
	const int client = rig_connect(&rig);
	assert_int_equal(ask(client, "echo.localhost", "GET /echo/x", key), 401);
	close(client);
	rig_end(&rig);
}

static struct gateway_key_entry entry_of_key(const char *text, uint64_t id, uint64_t expires_ns)
{
	const struct api_key_digest digest = api_key_digest(slice_of(text));
	struct gateway_key_entry entry = {.id = {id}, .app = {5}, .expires_ns = expires_ns};

	memcpy(entry.digest, digest.bytes, sizeof(entry.digest));
	return entry;
}

static void an_earlier_expiry_reaches_calls_in_flight(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct asker asker = {.rig = &rig, .line = "GET /slow"};
	char key[RIG_KEY_TEXT_MAX];
	struct fault fault;
	pthread_t thread;
	rig_begin(&rig, &options);
	rig_publish_key(&rig, 10, NULL, 0, key);
	asker.key = key;

	assert_int_equal(pthread_create(&thread, NULL, ask_once, &asker), 0);
	rig_wait_until(atomic_load(&rig.service.began) == 1);
	const uint64_t expires_ns = wall_ns() + CLOCK_NS_PER_S / 10;
	const struct gateway_key_entry entry = entry_of_key(key, 10, expires_ns);
	assert_int_equal(gateway_publish_key(rig.gateway, &entry, &fault), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(asker.status, 401);
	assert_in_range(wall_ns(), expires_ns - CLOCK_NS_PER_MS, expires_ns + CLOCK_NS_PER_S);
	rig_end(&rig);
}

static void an_ended_subscription_ends_its_calls(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct asker asker = {.rig = &rig, .line = "GET /slow"};
	pthread_t thread;
	rig_begin(&rig, &options);
	asker.key = rig.key;

	assert_int_equal(pthread_create(&thread, NULL, ask_once, &asker), 0);
	rig_wait_until(atomic_load(&rig.service.began) == 1);
	gateway_end_subscription(rig.gateway, (struct subscription_id){7}, (struct app_id){5},
				 (struct service_id){1});
	assert_true(gateway_applied_wait(rig.gateway, 10 * CLOCK_NS_PER_S));
	assert_int_equal(in_flight(&rig), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(asker.status, 403);
	assert_non_null(strstr(asker.text, "no-subscription"));
	rig_end(&rig);
}

/* ---- what the gateway knows ---- */

static void a_gateway_that_does_not_know_denies_nothing(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	char stranger[RIG_KEY_TEXT_MAX];
	rig_begin(&rig, &options);
	api_key_make(random_system(), stranger);
	const int client = rig_connect(&rig);

	for (unsigned round = 0; round < 2; round++) {
		const bool complete = round == 1;
		gateway_set_complete(rig.gateway, complete);
		assert_int_equal(gateway_directory_read(rig.gateway).complete, complete);
		/* What it has it knows, and what is no key at all. */
		assert_int_equal(ask(client, "echo.localhost", "GET /echo/x", rig.key), 200);
		assert_int_equal(ask(client, "echo.localhost", "GET /echo/x", "stoa_no-key"), 401);
		assert_int_equal(ask(client, "echo.localhost", "GET /echo/x", stranger),
				 complete ? 401 : 503);
		assert_int_equal(has("directory-incomplete"), !complete);
		assert_int_equal(has("\r\nRetry-After: 1\r\n"), !complete);
		assert_int_equal(ask(client, "none.localhost", "GET /none/x", rig.key),
				 complete ? 404 : 503);
		assert_int_equal(has("directory-incomplete"), !complete);
	}
	gateway_set_complete(rig.gateway, false);
	gateway_end_subscription(rig.gateway, (struct subscription_id){7}, (struct app_id){5},
				 (struct service_id){1});
	assert_int_equal(ask(client, "echo.localhost", "GET /echo/x", rig.key), 503);
	gateway_set_complete(rig.gateway, true);
	assert_int_equal(ask(client, "echo.localhost", "GET /echo/x", rig.key), 403);
	close(client);
	rig_end(&rig);
}

static void an_identical_publish_changes_nothing(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct fault fault;
	char key[RIG_KEY_TEXT_MAX];
	rig_begin(&rig, &options);
	const uint64_t expires_ns = wall_ns() + 3600 * CLOCK_NS_PER_S + 123456789;
	rig_publish_key(&rig, 10, "echo:GET", expires_ns, key);
	struct gateway_key_entry entry = entry_of_key(key, 10, expires_ns);
	entry.scopes = "echo:GET";
	const struct gateway_directory_state before = gateway_directory_read(rig.gateway);

	assert_int_equal(before.keys, 2);
	assert_int_equal(before.services, 1);
	assert_int_equal(before.subscriptions, 1);
	assert_int_equal(gateway_publish_key(rig.gateway, &entry, &fault), 0);
	rig_publish_again(&rig, &options);
	assert_int_equal(gateway_directory_read(rig.gateway).changes, before.changes);

	entry.scopes = "echo:POST";
	assert_int_equal(gateway_publish_key(rig.gateway, &entry, &fault), 0);
	assert_int_equal(gateway_directory_read(rig.gateway).changes, before.changes + 1);
	assert_int_equal(gateway_directory_read(rig.gateway).keys, 2);
	retire(&rig, key);
	retire(&rig, key);
	assert_int_equal(gateway_directory_read(rig.gateway).changes, before.changes + 2);
	assert_int_equal(gateway_directory_read(rig.gateway).keys, 1);
	rig_end(&rig);
}

static void a_subscription_to_what_is_not_in_force_is_told(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct fault fault;
	rig_begin(&rig, &options);
	struct gateway_subscription_entry entry = {.id = {99},
						   .app = {5},
						   .service = {77},
						   .plan = {77},
						   .account_name = "acme",
						   .app_name = "acme/shop",
						   .account_lease = rig.lease};

	assert_int_equal(gateway_publish_subscription(rig.gateway, &entry, &fault),
			 FAULT_NOT_FOUND);
	assert_string_equal(fault.text,
			    "the service that app acme/shop is subscribed to is not in force");
	entry.service.value = 1;
	assert_int_equal(gateway_publish_subscription(rig.gateway, &entry, &fault),
			 FAULT_NOT_FOUND);
	assert_string_equal(fault.text,
			    "the plan that app acme/shop is subscribed to is not in force");
	assert_int_equal(gateway_directory_read(rig.gateway).subscriptions, 1);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_does_what_its_scopes_allow),
		cmocka_unit_test(a_retired_key_ends_the_calls_that_it_let_in_and_no_others),
		cmocka_unit_test(
			a_stream_that_is_cut_with_its_key_is_billed_for_what_was_delivered),
		cmocka_unit_test(a_waiting_call_ends_with_its_key),
		cmocka_unit_test(a_key_ends_at_its_expiry_to_the_millisecond),
		cmocka_unit_test(an_earlier_expiry_reaches_calls_in_flight),
		cmocka_unit_test(an_ended_subscription_ends_its_calls),
		cmocka_unit_test(a_gateway_that_does_not_know_denies_nothing),
		cmocka_unit_test(an_identical_publish_changes_nothing),
		cmocka_unit_test(a_subscription_to_what_is_not_in_force_is_told),
	};

	return rig_run_on_all(tests, sizeof(tests) / sizeof(*tests));
}

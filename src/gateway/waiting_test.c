#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <poll.h>
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

/* ---- waiting ---- */

struct waiter {
	struct rig *rig;
	const char *path;
	unsigned status;
	char text[4096];
	_Atomic bool done;
};

static void *ask_once(void *context)
{
	struct waiter *waiter = context;
	const int client = rig_connect(waiter->rig);

	waiter->status =
		rig_get(waiter->rig, client, waiter->path, waiter->text, sizeof(waiter->text));
	close(client);
	atomic_store(&waiter->done, true);
	return NULL;
}

static uint64_t waiting(const struct rig *rig)
{
	struct gateway_counts counts;

	gateway_counts_read(rig->gateway, &counts);
	return counts.calls_waiting;
}

static void a_call_waits_for_an_instance_and_goes_on_when_it_is_there(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct waiter waiter = {.rig = &rig, .path = "/echo/late"};
	pthread_t thread;
	options.no_instance = true;
	rig_begin(&rig, &options);

	assert_int_equal(pthread_create(&thread, NULL, ask_once, &waiter), 0);
	rig_wait_until(waiting(&rig) == 1);
	rig_publish_instance(&rig, 1, rig.service.port, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(waiter.status, 200);
	assert_non_null(strstr(waiter.text, "late"));
	rig_end(&rig);
}

static void a_call_that_waits_in_vain_for_an_instance_is_refused(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	options.no_instance = true;
	options.lease_nano = PRICE;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 503);
	assert_true(has("no-instance"));
	assert_true(has("Retry-After"));
	assert_int_equal(rig_records(&rig, &record), 0);
	/* What it held is there again. */
	assert_int_equal(gateway_lease_poll(rig.lease).available_nano, PRICE);
	close(client);
	rig_end(&rig);
}

static void a_call_waits_for_the_ledger_and_is_decided_by_it(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct waiter waiters[2] = {{.rig = &rig, .path = "/echo/paid"},
				    {.rig = &rig, .path = "/echo/paid"}};
	pthread_t threads[2];
	options.lease_nano = PRICE - 1;
	options.has_more = true;
	rig_begin(&rig, &options);

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &waiters[i]), 0);
	rig_wait_until(waiting(&rig) == 2);
	assert_true(atomic_load(&rig.demands) >= 1);
	assert_int_equal(gateway_lease_poll(rig.lease).wanted_nano, PRICE);
	gateway_lease_grant(rig.lease, 1, UINT64_MAX);
	gateway_lease_set_source(rig.lease, false);
	gateway_leases_changed(rig.gateway);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(waiters[0].status + waiters[1].status, 200 + 402);
	rig_end(&rig);
}

static void a_ledger_that_does_not_answer_means_refuse(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	options.lease_nano = 0;
	options.has_more = true;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 503);
	assert_true(has("ledger-unavailable"));
	assert_int_equal(atomic_load(&rig.service.began), 0);
	close(client);
	rig_end(&rig);
}

/* ---- when things go wrong ---- */

static void a_dead_instance_is_passed_over(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct gateway_counts counts;
	rig_begin(&rig, &options);
	/* A port nobody listens on: bound, then closed with the descriptor. */
	const int closed = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f000001)}};
	socklen_t length = sizeof(address);
	assert_int_equal(bind(closed, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(closed, (struct sockaddr *)&address, &length), 0);
	rig_publish_instance(&rig, 2, ntohs(address.sin_port), 0);
	const int client = rig_connect(&rig);

	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 200);
	gateway_counts_read(rig.gateway, &counts);
	assert_true(counts.retries >= 1 && counts.retries < 30);
	assert_int_equal(counts.calls_answered, 30);
	close(closed);
	close(client);
	rig_end(&rig);
}

static void a_slow_service_is_cut_at_the_plans_timeout(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	options.limits.timeout_ns = 50 * CLOCK_NS_PER_MS;
	options.lease_nano = PRICE;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/slow", answer, ANSWER_MAX), 504);
	assert_true(has("timeout"));
	assert_int_equal(rig_records(&rig, &record), 1);
	assert_int_equal(record.flags & JOURNAL_BILLED, 0);
	assert_int_equal(gateway_lease_poll(rig.lease).available_nano, PRICE);
	close(client);
	rig_end(&rig);
}

static void a_caller_that_leaves_frees_what_it_held(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct gateway_counts counts;
	struct journal_record record;
	char request[256];
	options.lease_nano = PRICE;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	snprintf(request, sizeof(request),
		 "GET /slow HTTP/1.1\r\nHost: echo.localhost\r\nX-API-Key: %s\r\n\r\n", rig.key);
	assert_true(send(client, request, strlen(request), 0) > 0);
	rig_wait_until(atomic_load(&rig.service.began) == 1);
	const struct linger hard = {.l_onoff = 1};
	setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(client);
	do {
		gateway_counts_read(rig.gateway, &counts);
		sched_yield();
	} while (counts.calls_aborted != 1 || counts.calls_in_flight != 0);
	assert_int_equal(gateway_lease_poll(rig.lease).available_nano, PRICE);
	assert_int_equal(rig_records(&rig, &record), 1);
	assert_int_equal(record.outcome, JOURNAL_ABORTED);
	assert_int_equal(record.flags & JOURNAL_BILLED, 0);
	rig_end(&rig);
}

static void long_and_chunked_answers_pass_whole_with_their_charge(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	options.card.of[RATING_CLOUD_BYTES_HOST] = (struct rating_rate){.nano = 1, .per = 1024};
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);
	const size_t bytes = 10u << 20;
	char *text = malloc(bytes + 65536);

	assert_int_equal(rig_get(&rig, client, "/chunked/nonce-3", answer, ANSWER_MAX), 200);
	assert_true(has("nonce-3"));
	assert_true(has("Stoa-Charge: 0.05 USD"));
	assert_int_equal(rig_get(&rig, client, "/large/10485760", text, bytes + 65536), 200);
	assert_int_equal(strlen(strstr(text, "\r\n\r\n") + 4), bytes);
	assert_int_equal(rig_records(&rig, &record), 2);
	assert_int_equal(record.response_bytes, bytes);
	assert_int_equal(record.charge_nano, PRICE + (int64_t)bytes / 1024);
	free(text);
	close(client);
	rig_end(&rig);
}

static void a_long_answer_is_cut_when_its_money_ends(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	const size_t bytes = 10u << 20;
	char *text = malloc(bytes + 65536);
	options.card.of[RATING_CLOUD_BYTES_HOST] = (struct rating_rate){.nano = 1, .per = 1};
	options.lease_nano = PRICE + 3 * (int64_t)GATEWAY_HOLD_BYTES + 100;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/large/10485760", text, bytes + 65536), 0);
	assert_true(strlen(text) < 3u << 20);
	rig_wait_until(rig_records(&rig, &record) == 1);
	assert_int_equal(record.outcome, JOURNAL_CUT);
	free(text);
	close(client);
	rig_end(&rig);
}

static void a_retired_instance_finishes_its_calls_and_gets_no_new_one(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct waiter waiter = {.rig = &rig, .path = "/slow"};
	pthread_t thread;
	options.limits.timeout_ns = 300 * CLOCK_NS_PER_MS;
	rig_begin(&rig, &options);

	assert_int_equal(pthread_create(&thread, NULL, ask_once, &waiter), 0);
	rig_wait_until(atomic_load(&rig.service.began) == 1);
	gateway_retire_instance(rig.gateway, (struct service_id){1}, 1);
	assert_false(gateway_instance_idle(rig.gateway, 1));
	assert_false(atomic_load(&waiter.done));
	rig_wait_until(gateway_instance_idle(rig.gateway, 1));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(waiter.status, 504);
	rig_publish_instance(&rig, 2, rig.service.port, 0);
	const int client = rig_connect(&rig);
	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 200);
	close(client);
	rig_end(&rig);
}

static void a_worker_that_stopped_is_not_told_of_a_free_place(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct waiter holder = {.rig = &rig, .path = "/slow"};
	pthread_t thread;
	char request[256];
	options.workers = 2;
	options.instance_concurrency = 1;
	rig_begin(&rig, &options);

	assert_int_equal(pthread_create(&thread, NULL, ask_once, &holder), 0);
	rig_wait_until(atomic_load(&rig.service.began) == 1);
	/* On the other worker, which has nothing left to wait for when this caller leaves. */
	const int client = rig_connect(&rig);
	snprintf(request, sizeof(request),
		 "GET /echo/x HTTP/1.1\r\nHost: echo.localhost\r\nX-API-Key: %s\r\n\r\n", rig.key);
	assert_true(send(client, request, strlen(request), 0) > 0);
	rig_wait_until(waiting(&rig) == 1);
	const struct linger hard = {.l_onoff = 1};
	setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(client);
	rig_wait_until(waiting(&rig) == 0);
	/* It stops at once; the first one's call is cut, and its place becomes free, later. */
	rig_end(&rig);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_not_equal(holder.status, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_waits_for_an_instance_and_goes_on_when_it_is_there),
		cmocka_unit_test(a_call_that_waits_in_vain_for_an_instance_is_refused),
		cmocka_unit_test(a_call_waits_for_the_ledger_and_is_decided_by_it),
		cmocka_unit_test(a_ledger_that_does_not_answer_means_refuse),
		cmocka_unit_test(a_dead_instance_is_passed_over),
		cmocka_unit_test(a_slow_service_is_cut_at_the_plans_timeout),
		cmocka_unit_test(a_caller_that_leaves_frees_what_it_held),
		cmocka_unit_test(long_and_chunked_answers_pass_whole_with_their_charge),
		cmocka_unit_test(a_long_answer_is_cut_when_its_money_ends),
		cmocka_unit_test(a_retired_instance_finishes_its_calls_and_gets_no_new_one),
		cmocka_unit_test(a_worker_that_stopped_is_not_told_of_a_free_place),
	};

	return rig_run_on_all(tests, sizeof(tests) / sizeof(*tests));
}

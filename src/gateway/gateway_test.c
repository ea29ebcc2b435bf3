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
#define PRICE	   50000000

static enum loop_io back_end;
static char answer[ANSWER_MAX];

static struct rig_options options_of(int64_t price)
{
	struct rig_options options = rig_options_default(price);

	options.io = back_end;
	return options;
}

/* Until the condition holds: for what another thread does soon. */
#define wait_until(condition)                                                                      \
	while (!(condition))                                                                       \
	sched_yield()

static bool has(const char *text)
{
	return strcasestr(answer, text) != NULL;
}

static void an_answered_call_is_charged_recorded_and_told(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = options_of(PRICE);
	struct journal_record record;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/echo/nonce-1", answer, ANSWER_MAX), 200);
	assert_true(has("\r\n\r\nnonce-1"));
	assert_true(has("\r\nStoa-Charge: 0.05 USD\r\n"));
	assert_true(has("\r\nServer-Timing: stoa;dur="));
	assert_true(has("\r\nStoa-Call: "));
	assert_false(has("Stoa-Secret"));
	assert_int_equal(rig_records(&rig, &record), 1);
	assert_int_equal(record.charge_nano, PRICE);
	assert_int_equal(record.flags, JOURNAL_BILLED);
	assert_int_equal(record.outcome, JOURNAL_ANSWERED);
	assert_int_equal(record.status, 200);
	assert_int_equal(record.response_bytes, strlen("nonce-1"));
	assert_int_equal(record.subscription.value, 7);
	char id[CALL_ID_TEXT_MAX];
	call_id_format(record.call, id);
	assert_true(has(id));
	close(client);
	rig_end(&rig);
}

static void the_service_sees_who_calls_but_never_the_key(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = options_of(PRICE);
	char request[1024];
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	snprintf(request, sizeof(request),
		 "GET /echo/headers?x=1 HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\n"
		 "Stoa-Account: evil\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: x-drop\r\n"
		 "X-Drop: 1\r\nX-Keep: 2\r\n\r\n",
		 rig.key);
	assert_int_equal(rig_ask(client, request, answer, ANSWER_MAX), 200);
	/* The path's first segment is stripped, so the service was asked for /headers?x=1. */
	snprintf(request, sizeof(request),
		 "GET /echo/headers HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\n"
		 "Stoa-Account: evil\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: x-drop\r\n"
		 "X-Drop: 1\r\nX-Keep: 2\r\nAuthorization: Basic for-the-service\r\n\r\n",
		 rig.key);
	assert_int_equal(rig_ask(client, request, answer, ANSWER_MAX), 200);
	assert_true(has("GET /headers HTTP/1.1\r\n"));
	assert_true(has("\r\nStoa-Account: acme\r\n"));
	assert_true(has("\r\nStoa-App: acme/shop\r\n"));
	assert_true(has("\r\nStoa-Plan: payg\r\n"));
	assert_true(has("\r\ntraceparent: 00-"));
	assert_true(has("\r\nX-Keep: 2\r\n"));
	assert_true(has("\r\nAuthorization: Basic for-the-service\r\n"));
	assert_false(has("evil"));
	assert_false(has("1.2.3.4"));
	assert_false(has("X-Drop"));
	assert_false(has(rig.key));
	close(client);
	rig_end(&rig);
}

static void what_the_gateway_refuses_is_told_and_costs_nothing(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = options_of(PRICE);
	struct journal_record record;
	char requests[6][512];
	rig_begin(&rig, &options);
	static const struct {
		unsigned status;
		const char *type;
	} expected[] = {
		{404, "no-such-service"}, {401, "key-missing"},	  {401, "key-invalid"},
		{400, "key-ambiguous"},	  {404, "no-such-service"}, {401, "key-invalid"},
	};
	snprintf(requests[0], 512, "GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n");
	snprintf(requests[1], 512, "GET / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n");
	snprintf(requests[2], 512,
		 "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX-API-Key: stoa_wrong\r\n\r\n");
	snprintf(requests[3], 512,
		 "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX-API-Key: a\r\nX-API-Key: a\r\n\r\n");
	snprintf(requests[4], 512, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	snprintf(requests[5], 512,
		 "GET / HTTP/1.1\r\nHost: echo.localhost\r\nAuthorization: Bearer %.53s0\r\n\r\n",
		 rig.key);

	for (unsigned i = 0; i < 6; i++) {
		const int client = rig_connect(&rig);
		assert_int_equal(rig_ask(client, requests[i], answer, ANSWER_MAX),
				 expected[i].status);
		assert_true(has("application/problem+json"));
		assert_true(has(expected[i].type));
		assert_int_equal(has("WWW-Authenticate"), expected[i].status == 401);
		close(client);
	}
	assert_int_equal(rig_records(&rig, &record), 0);
	assert_int_equal(atomic_load(&rig.service.began), 0);
	rig_end(&rig);
}

/* ---- the hard budget ---- */

#define CLIENTS 16
#define BOUGHT	200

struct buyer {
	struct rig *rig;
	unsigned number, answered, refused;
};

static void *buy(void *context)
{
	struct buyer *buyer = context;
	char *text = malloc(ANSWER_MAX);
	char path[64];
	const int client = rig_connect(buyer->rig);

	for (unsigned i = 0; i < 3 * BOUGHT / CLIENTS; i++) {
		snprintf(path, sizeof(path), "/echo/nonce-%u-%u", buyer->number, i);
		const unsigned status = rig_get(buyer->rig, client, path, text, ANSWER_MAX);
		if (status == 200) {
			assert_non_null(strstr(text, strrchr(path, '/') + 1));
			buyer->answered++;
		} else {
			assert_int_equal(status, 402);
			buyer->refused++;
		}
	}
	close(client);
	free(text);
	return NULL;
}

static void buy_with(uint32_t workers, int64_t lease_nano, int64_t budget_nano)
{
	struct rig rig;
	struct rig_options options = options_of(PRICE);
	struct buyer buyers[CLIENTS];
	pthread_t threads[CLIENTS];
	struct journal_record record;
	options.workers = workers;
	options.lease_nano = lease_nano;
	options.budget_nano = budget_nano;
	rig_begin(&rig, &options);

	for (unsigned i = 0; i < CLIENTS; i++) {
		buyers[i] = (struct buyer){.rig = &rig, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, buy, &buyers[i]), 0);
	}
	unsigned answered = 0;
	for (unsigned i = 0; i < CLIENTS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		answered += buyers[i].answered;
	}
	assert_int_equal(answered, BOUGHT);
	assert_int_equal(atomic_load(&rig.service.answered), BOUGHT);
	assert_int_equal(rig_records(&rig, &record), BOUGHT);
	rig_end(&rig);
}

static void a_balance_buys_exactly_what_it_covers_whoever_races(void **unused)
{
	(void)unused;
	buy_with(2, (int64_t)BOUGHT * PRICE + PRICE - 1, -1);
}

static void a_budget_is_as_hard_as_a_balance(void **unused)
{
	(void)unused;
	buy_with(2, INT64_MAX / 4, (int64_t)BOUGHT * PRICE);
}

static void a_failing_answer_costs_nothing(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = options_of(PRICE);
	struct journal_record record;
	options.lease_nano = PRICE;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/status/500", answer, ANSWER_MAX), 500);
	assert_true(has("Stoa-Charge: 0.00 USD"));
	assert_int_equal(rig_get(&rig, client, "/close", answer, ANSWER_MAX), 502);
	assert_true(has("service-"));
	assert_int_equal(rig_get(&rig, client, "/status/404", answer, ANSWER_MAX), 404);
	assert_true(has("Stoa-Charge: 0.05 USD"));
	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 402);
	assert_true(has("balance-exhausted"));
	assert_int_equal(rig_records(&rig, &record), 3);
	close(client);
	rig_end(&rig);
}

static void units_are_charged_and_cut_at_the_plans_cap(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = options_of(0);
	struct journal_record record;
	options.plan.prices[0] = (struct rating_price){.meter = RATING_UNIT_0,
						       .model = RATING_UNIT,
						       .rate = {.nano = 100, .per = 1}};
	options.plan.max_units[0] = 1000;
	options.call_most_nano = 100000;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/units?700", answer, ANSWER_MAX), 200);
	assert_true(has("Stoa-Charge: 0.00007 USD"));
	assert_int_equal(rig_get(&rig, client, "/units?5000000", answer, ANSWER_MAX), 200);
	assert_true(has("Stoa-Charge: 0.0001 USD"));
	assert_int_equal(rig_records(&rig, &record), 2);
	assert_int_equal(record.units[0], 1000);
	assert_int_equal(record.unit_excess, 1);
	close(client);
	rig_end(&rig);
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
	struct rig_options options = options_of(PRICE);
	struct waiter waiter = {.rig = &rig, .path = "/echo/late"};
	pthread_t thread;
	options.no_instance = true;
	rig_begin(&rig, &options);

	assert_int_equal(pthread_create(&thread, NULL, ask_once, &waiter), 0);
	wait_until(waiting(&rig) == 1);
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
	struct rig_options options = options_of(PRICE);
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
	struct rig_options options = options_of(PRICE);
	struct waiter waiters[2] = {{.rig = &rig, .path = "/echo/paid"},
				    {.rig = &rig, .path = "/echo/paid"}};
	pthread_t threads[2];
	options.lease_nano = PRICE - 1;
	options.has_more = true;
	rig_begin(&rig, &options);

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &waiters[i]), 0);
	wait_until(waiting(&rig) == 2);
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
	struct rig_options options = options_of(PRICE);
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

static void an_instance_serves_no_more_calls_at_once_than_it_says(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = options_of(PRICE);
	struct buyer buyers[CLIENTS];
	pthread_t threads[CLIENTS];
	options.workers = 2;
	options.instance_concurrency = 1;
	rig_begin(&rig, &options);

	for (unsigned i = 0; i < CLIENTS; i++) {
		buyers[i] = (struct buyer){.rig = &rig, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, buy, &buyers[i]), 0);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(buyers[i].refused, 0);
	}
	assert_int_equal(waiting(&rig), 0);
	rig_end(&rig);
}

/* ---- when things go wrong ---- */

static void a_dead_instance_is_passed_over(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = options_of(PRICE);
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
	struct rig_options options = options_of(PRICE);
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
	struct rig_options options = options_of(PRICE);
	struct gateway_counts counts;
	struct journal_record record;
	char request[256];
	options.lease_nano = PRICE;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	snprintf(request, sizeof(request),
		 "GET /slow HTTP/1.1\r\nHost: echo.localhost\r\nX-API-Key: %s\r\n\r\n", rig.key);
	assert_true(send(client, request, strlen(request), 0) > 0);
	wait_until(atomic_load(&rig.service.began) == 1);
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
	struct rig_options options = options_of(PRICE);
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
	struct rig_options options = options_of(PRICE);
	struct journal_record record;
	const size_t bytes = 10u << 20;
	char *text = malloc(bytes + 65536);
	options.card.of[RATING_CLOUD_BYTES_HOST] = (struct rating_rate){.nano = 1, .per = 1};
	options.lease_nano = PRICE + 3 * (int64_t)GATEWAY_HOLD_BYTES + 100;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/large/10485760", text, bytes + 65536), 0);
	assert_true(strlen(text) < 3u << 20);
	wait_until(rig_records(&rig, &record) == 1);
	assert_int_equal(record.outcome, JOURNAL_CUT);
	free(text);
	close(client);
	rig_end(&rig);
}

static void a_retired_instance_finishes_its_calls_and_gets_no_new_one(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = options_of(PRICE);
	struct waiter waiter = {.rig = &rig, .path = "/slow"};
	pthread_t thread;
	options.limits.timeout_ns = 300 * CLOCK_NS_PER_MS;
	rig_begin(&rig, &options);

	assert_int_equal(pthread_create(&thread, NULL, ask_once, &waiter), 0);
	wait_until(atomic_load(&rig.service.began) == 1);
	gateway_retire_instance(rig.gateway, (struct service_id){1}, 1);
	assert_false(gateway_instance_idle(rig.gateway, 1));
	assert_false(atomic_load(&waiter.done));
	wait_until(gateway_instance_idle(rig.gateway, 1));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(waiter.status, 504);
	rig_publish_instance(&rig, 2, rig.service.port, 0);
	const int client = rig_connect(&rig);
	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 200);
	close(client);
	rig_end(&rig);
}

static void a_retired_key_and_subscription_admit_nobody(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = options_of(PRICE);
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 200);
	gateway_retire_subscription(rig.gateway, (struct app_id){5}, (struct service_id){1});
	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 403);
	assert_true(has("no-subscription"));
	gateway_retire_key(rig.gateway, api_key_digest(slice_of(rig.key)).bytes);
	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 401);
	close(client);
	rig_end(&rig);
}

static void over_rate_is_told_with_the_wait(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = options_of(PRICE);
	options.limits.rate_interval_ns = 30 * CLOCK_NS_PER_S;
	options.limits.burst = 2;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 200);
	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 429);
	assert_true(has("\r\nRetry-After: 30\r\n"));
	assert_true(has("\r\nRateLimit-Policy: \"rate\";q=2;w=60\r\n"));
	assert_true(has("\r\nRateLimit: \"rate\";r=0;t=30\r\n"));
	close(client);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answered_call_is_charged_recorded_and_told),
		cmocka_unit_test(the_service_sees_who_calls_but_never_the_key),
		cmocka_unit_test(what_the_gateway_refuses_is_told_and_costs_nothing),
		cmocka_unit_test(a_balance_buys_exactly_what_it_covers_whoever_races),
		cmocka_unit_test(a_budget_is_as_hard_as_a_balance),
		cmocka_unit_test(a_failing_answer_costs_nothing),
		cmocka_unit_test(units_are_charged_and_cut_at_the_plans_cap),
		cmocka_unit_test(a_call_waits_for_an_instance_and_goes_on_when_it_is_there),
		cmocka_unit_test(a_call_that_waits_in_vain_for_an_instance_is_refused),
		cmocka_unit_test(a_call_waits_for_the_ledger_and_is_decided_by_it),
		cmocka_unit_test(a_ledger_that_does_not_answer_means_refuse),
		cmocka_unit_test(an_instance_serves_no_more_calls_at_once_than_it_says),
		cmocka_unit_test(a_dead_instance_is_passed_over),
		cmocka_unit_test(a_slow_service_is_cut_at_the_plans_timeout),
		cmocka_unit_test(a_caller_that_leaves_frees_what_it_held),
		cmocka_unit_test(long_and_chunked_answers_pass_whole_with_their_charge),
		cmocka_unit_test(a_long_answer_is_cut_when_its_money_ends),
		cmocka_unit_test(a_retired_instance_finishes_its_calls_and_gets_no_new_one),
		cmocka_unit_test(a_retired_key_and_subscription_admit_nobody),
		cmocka_unit_test(over_rate_is_told_with_the_wait),
	};
	back_end = LOOP_IO_EPOLL;
	int failed = cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
	back_end = LOOP_IO_AUTO; /* io_uring where it is allowed */
	failed += cmocka_run_group_tests_name("auto", tests, NULL, NULL);
	return failed;
}

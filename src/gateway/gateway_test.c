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

static void an_answered_call_is_charged_recorded_and_told(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
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
	struct rig_options options = rig_options_default(PRICE);
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
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	char requests[6][512];
	rig_begin(&rig, &options);
	static const struct {
		unsigned status;
		const char *type;
	} expected[] = {
		{404, "no-such-service"}, {401, "key-missing"},     {401, "key-invalid"},
		{400, "key-ambiguous"},   {404, "no-such-service"}, {401, "key-invalid"},
	};
	snprintf(requests[0], 512, "GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n");
	snprintf(requests[1], 512, "GET / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n");
	snprintf(requests[2], 512,
		 "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX-API-Key: stoa_wrong\r\n\r\n");
	snprintf(requests[3], 512,
		 "GET / HTTP/1.1\r\nHost: echo.localhost\r\nX-API-Key: a\r\nX-API-Key: a\r\n\r\n");
	snprintf(requests[4], 512, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	snprintf(requests[5], 512,
		 "GET / HTTP/1.1\r\nHost: echo.localhost\r\nAuthorization: Bearer %.53s%c\r\n\r\n",
		 rig.key, rig.key[53] == '0' ? '1' : '0');

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
#define BOUGHT  200

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
	struct rig_options options = rig_options_default(PRICE);
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
	struct rig_options options = rig_options_default(PRICE);
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
	struct rig_options options = rig_options_default(0);
	struct journal_record record;
	options.plan.prices[0] = (struct rating_price){
		.meter = RATING_UNIT_0, .model = RATING_UNIT, .rate = {.nano = 100, .per = 1}};
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

static uint64_t waiting(const struct rig *rig)
{
	struct gateway_counts counts;

	gateway_counts_read(rig->gateway, &counts);
	return counts.calls_waiting;
}

static void an_instance_serves_no_more_calls_at_once_than_it_says(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
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

static void a_retired_key_and_subscription_admit_nobody(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 200);
	gateway_end_subscription(rig.gateway, (struct subscription_id){7}, (struct app_id){5},
				 (struct service_id){1});
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
	struct rig_options options = rig_options_default(PRICE);
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
		cmocka_unit_test(an_instance_serves_no_more_calls_at_once_than_it_says),
		cmocka_unit_test(a_retired_key_and_subscription_admit_nobody),
		cmocka_unit_test(over_rate_is_told_with_the_wait),
	};

	return rig_run_on_all(tests, sizeof(tests) / sizeof(*tests));
}

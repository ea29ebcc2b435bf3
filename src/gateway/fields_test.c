/* What stands in the heads of requests and answers beside the caller's and the service's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/identity.h"
#include "gateway/rig.h"

#define ANSWER_MAX 65536
#define PRICE      50000000

static char answer[ANSWER_MAX];

static bool has(const char *text)
{
	return strcasestr(answer, text) != NULL;
}

/* What the service was sent, when its caller sent `fields`. */
static void ask_for_request(const struct rig *rig, int client, const char *fields)
{
	char request[2048];

	snprintf(request, sizeof(request),
		 "GET /echo/headers HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\n%s\r\n",
		 rig->key, fields);
	assert_int_equal(rig_ask(client, request, answer, ANSWER_MAX), 200);
}

#define TRACE "0af7651916cd43dd8448eb211c80319c"

static void a_callers_trace_goes_on_with_its_state_under_a_new_span(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	ask_for_request(&rig, client,
			"tracestate: a=1\r\ntraceparent: 00-" TRACE "-b7ad6b7169203331-01\r\n"
			"Tracestate: b=2\r\n");
	assert_true(has("\r\ntraceparent: 00-" TRACE "-"));
	assert_false(has("b7ad6b7169203331"));
	assert_true(has("\r\ntracestate: a=1\r\n"));
	assert_true(has("\r\nTracestate: b=2\r\n"));
	close(client);
	rig_end(&rig);
}

static void a_trace_that_is_none_is_replaced_and_its_state_dropped(void **unused)
{
	(void)unused;
	static const char *const fields[] = {
		"",
		"tracestate: a=1\r\n",
		"traceparent: 00-" TRACE "-b7ad6b7169203331-zz\r\ntracestate: a=1\r\n",
		"traceparent: 00-" TRACE "-b7ad6b7169203331-01\r\ntracestate: a=1\r\n"
		"traceparent: 00-" TRACE "-b7ad6b7169203331-01\r\n",
	};
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		ask_for_request(&rig, client, fields[i]);
		const char *first = strcasestr(answer, "\r\ntraceparent: 00-");
		assert_non_null(first);
		assert_null(strcasestr(first + 16, "traceparent"));
		assert_false(has(TRACE));
		assert_false(has("tracestate"));
	}
	close(client);
	rig_end(&rig);
}

static void where_a_call_came_from_is_told_whatever_its_caller_says(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	ask_for_request(&rig, client,
			"Forwarded: for=10.9.8.7;proto=https\r\nX-Forwarded-For: 10.9.8.7\r\n"
			"x-forwarded-FOR: 10.9.8.6\r\nX-Forwarded-Host: evil\r\n"
			"X-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\n"
			"X-Forwarded-Prefix: /evil\r\nX-Real-IP: 10.9.8.7\r\n");
	assert_true(has("\r\nForwarded: for=127.0.0.1;host=\"localhost\";proto=http\r\n"));
	assert_true(has("\r\nX-Forwarded-For: 127.0.0.1\r\n"));
	assert_true(has("\r\nX-Forwarded-Host: localhost\r\n"));
	assert_true(has("\r\nX-Forwarded-Proto: http\r\n"));
	assert_false(has("10.9.8"));
	assert_false(has("evil"));
	assert_false(has("https"));
	assert_false(has("X-Forwarded-Port"));
	assert_false(has("X-Real-IP"));
	close(client);
	rig_end(&rig);
}

/* A service behind CGI or WSGI takes '_' for '-'. */
static void no_field_that_is_ours_comes_from_a_caller_by_underscores(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	ask_for_request(&rig, client,
			"Stoa_App: evil\r\nSTOA_account: evil\r\nstoa_Units: evil=1\r\n"
			"X_Forwarded_For: evil\r\nx-forwarded_proto: evil\r\n"
			"X_Forwarded-Host: evil\r\nX_Real_IP: evil\r\nX_Mine: kept\r\n");
	assert_false(has("evil"));
	assert_true(has("\r\nX_Mine: kept\r\n"));
	close(client);
	rig_end(&rig);
}

static const struct gateway_identity identity = {
	.key_id = "svc_1-1",
	.secret = "0123456789abcdef0123456789abcde",
};

/* The only field of that name in what the service was sent. */
static struct slice only_field(const char *name)
{
	char line[64];

	snprintf(line, sizeof(line), "\r\n%s: ", name);
	const char *at = strcasestr(strstr(answer, "\r\n\r\n") + 4, line);
	assert_non_null(at);
	at += strlen(line);
	assert_null(strcasestr(at, line));
	return slice_make(at, strcspn(at, "\r"));
}

static void expect_signed(const char *path, const char *query)
{
	const struct slice input = only_field("Signature-Input");
	const struct identity_component components[] = {
		{slice_of("@method"), slice_of("GET")},
		{slice_of("@path"), slice_of(path)},
		{slice_of("@query"), slice_of(query)},
		{slice_of("date"), only_field("Date")},
		{slice_of("stoa-call"), only_field("Stoa-Call")},
		{slice_of("stoa-app"), slice_of("acme/shop")},
		{slice_of("stoa-account"), slice_of("acme")},
		{slice_of("stoa-plan"), slice_of("payg")},
	};
	struct identity_signer signer;
	uint8_t mac[IDENTITY_MAC];
	char wanted[64], encoded[48];

	assert_true(slice_starts_with(input, slice_of("stoa=(\"@method\" \"@path\" \"@query\"")));
	identity_signer_init(&signer, &identity);
	identity_mac(&signer.keyed, components, sizeof(components) / sizeof(components[0]),
		     slice_part(input, strlen("stoa="), input.length), mac);
	sodium_bin2base64(encoded, sizeof(encoded), mac, sizeof(mac),
			  sodium_base64_VARIANT_ORIGINAL);
	snprintf(wanted, sizeof(wanted), "stoa=:%s:", encoded);
	assert_true(slice_equal(only_field("Signature"), slice_of(wanted)));
}

#define FORGED                                                                           \
	"Date: Tue, 20 Apr 2021 02:07:55 GMT\r\nSignature: stoa=:AAAA:, sig1=:AAAA:\r\n" \
	"signature-INPUT: stoa=();created=1;keyid=\"svc_1-1\", sig1=(\"@method\")\r\n"   \
	"Signature-Input: stoa=()\r\nStoa-Account: evil\r\n"

static void a_service_that_asks_for_it_gets_one_signature_and_it_is_ours(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	options.identity = &identity;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	for (unsigned i = 0; i < 3; i++) {
		ask_for_request(&rig, client, FORGED);
		expect_signed("/headers", "?");
		assert_false(has("2021"));
		assert_false(has("sig1"));
	}
	close(client);
	rig_end(&rig);
}

static void signing_begins_and_ends_between_two_calls_of_a_connection(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	for (unsigned i = 0; i < 3; i++) {
		options.identity = NULL;
		rig_publish_again(&rig, &options);
		ask_for_request(&rig, client, FORGED);
		/* Its own are its caller's business where the service asks for none. */
		assert_true(has("\r\nDate: Tue, 20 Apr 2021 02:07:55 GMT\r\n"));
		assert_true(has("\r\nSignature: stoa=:AAAA:, sig1=:AAAA:\r\n"));
		assert_true(has("\r\nSignature-Input: stoa=()\r\n"));
		options.identity = &identity;
		rig_publish_again(&rig, &options);
		const uint64_t changes = gateway_directory_read(rig.gateway).changes;
		rig_publish_again(&rig, &options);
		assert_int_equal(gateway_directory_read(rig.gateway).changes, changes);
		ask_for_request(&rig, client, FORGED);
		expect_signed("/headers", "?");
	}
	close(client);
	rig_end(&rig);
}

static void rate_and_quota_are_told_with_each_answer(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	options.limits.rate_interval_ns = 600 * CLOCK_NS_PER_S;
	options.limits.burst = 10;
	options.limits.quota_calls = 4;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	for (unsigned i = 0; i < 4; i++) {
		char left[64];
		assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 200);
		assert_true(has("\r\nRateLimit-Policy: \"rate\";q=10;w=6000, \"quota\";q=4\r\n"));
		snprintf(left, sizeof(left), "\r\nRateLimit: \"rate\";r=%u;t=", 9 - i);
		assert_true(has(left));
		snprintf(left, sizeof(left), ", \"quota\";r=%u;t=", 3 - i);
		assert_true(has(left));
	}
	const uint64_t wall_ns = clock_wall_ns(clock_system());
	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 402);
	assert_true(has("\r\nRateLimit: \"rate\";r=6;t="));
	const char *quota = strstr(answer, ", \"quota\";r=0;t=");
	assert_non_null(quota);
	const uint64_t told_s = strtoull(quota + strlen(", \"quota\";r=0;t="), NULL, 10);
	const uint64_t left_ns = clock_month_start_ns(clock_month_of(wall_ns) + 1) - wall_ns;
	assert_in_range(told_s, left_ns / CLOCK_NS_PER_S - 60, left_ns / CLOCK_NS_PER_S + 1);
	close(client);
	rig_end(&rig);
}

static void a_name_that_would_break_a_field_is_not_published(void **unused)
{
	(void)unused;
	static const char *const names[] = {"a\r\nX-Forged: 1", "a\nb", "a\x7f"};
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct fault fault;
	rig_begin(&rig, &options);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct gateway_plan_entry plan = {.id = {900 + i},
							.name = names[i],
							.rating = options.plan,
							.limits = options.limits};
		assert_true(gateway_publish_plan(rig.gateway, &plan, &fault) < 0);
	}
	rig_end(&rig);
}

static void a_plan_without_rate_and_quota_has_nothing_to_tell(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/echo/x", answer, ANSWER_MAX), 200);
	assert_false(has("RateLimit"));
	close(client);
	rig_end(&rig);
}

static void a_short_answer_that_comes_in_pieces_tells_its_charge_in_its_head(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rig_get(&rig, client, "/late/nonce-1234", answer, ANSWER_MAX),
				 200);
		const char *end = strstr(answer, "\r\n\r\n");
		assert_non_null(end);
		assert_string_equal(end + 4, "nonce-1234");
		const char *charge = strstr(answer, "\r\nStoa-Charge: 0.05 USD\r\n");
		assert_true(charge != NULL && charge < end);
		assert_true(has("\r\nX-Late: yes\r\n"));
		assert_true(has("\r\nContent-Length: 10\r\n"));
	}
	assert_int_equal(rig_records(&rig, &record), 3);
	assert_int_equal(record.response_bytes, 10);
	assert_int_equal(record.charge_nano, PRICE);
	close(client);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_callers_trace_goes_on_with_its_state_under_a_new_span),
		cmocka_unit_test(a_trace_that_is_none_is_replaced_and_its_state_dropped),
		cmocka_unit_test(where_a_call_came_from_is_told_whatever_its_caller_says),
		cmocka_unit_test(no_field_that_is_ours_comes_from_a_caller_by_underscores),
		cmocka_unit_test(a_service_that_asks_for_it_gets_one_signature_and_it_is_ours),
		cmocka_unit_test(signing_begins_and_ends_between_two_calls_of_a_connection),
		cmocka_unit_test(rate_and_quota_are_told_with_each_answer),
		cmocka_unit_test(a_name_that_would_break_a_field_is_not_published),
		cmocka_unit_test(a_plan_without_rate_and_quota_has_nothing_to_tell),
		cmocka_unit_test(a_short_answer_that_comes_in_pieces_tells_its_charge_in_its_head),
	};

	return rig_run_on_all(tests, sizeof(tests) / sizeof(*tests));
}

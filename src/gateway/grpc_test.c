/* gRPC's own language: outcomes, deadlines, and what they mean for the charge. The test is caller
 * and service at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/directory_internal.h"
#include "gateway/grpc.h"
#include "gateway/rig.h"
#include "gateway/worker.h"

#define TEXT_MAX 65536
#define PRICE    50000000

static char seen[TEXT_MAX];

static bool has(const char *text)
{
	return strcasestr(seen, text) != NULL;
}

/* Reads until `end` has come, or the connection is over; false then. */
static bool read_until(int descriptor, const char *end)
{
	size_t used = 0;

	seen[0] = '\0';
	while (strstr(seen, end) == NULL) {
		const ssize_t got = recv(descriptor, seen + used, TEXT_MAX - 1 - used, 0);
		if (got <= 0)
			return false;
		used += (size_t)got;
		seen[used] = '\0';
	}
	return true;
}

static void send_text(int descriptor, const char *text)
{
	assert_int_equal(send(descriptor, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void send_call(const struct rig *rig, int client, const char *fields)
{
	char request[1024];

	snprintf(request, sizeof(request),
		 "POST /echo/pkg.Service/Method HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\n"
		 "Content-Type: application/grpc+proto\r\nTE: trailers\r\n"
		 "%sContent-Length: 5\r\n\r\n%.5s",
		 rig->key, fields, "hello");
	send_text(client, request);
}

struct pair {
	struct rig rig;
	int client, service;
};

static void begin(struct pair *pair, struct rig_options *options)
{
	options->no_instance = true;
	rig_begin(&pair->rig, options);
	const int listener = rig_service_listen(&pair->rig);
	pair->client = rig_connect(&pair->rig);
	send_call(&pair->rig, pair->client, "");
	pair->service = accept(listener, NULL, NULL);
	assert_true(pair->service >= 0);
	assert_true(read_until(pair->service, "hello"));
	close(listener);
}

static void end(struct pair *pair)
{
	close(pair->client);
	close(pair->service);
	rig_end(&pair->rig);
}

static const struct {
	unsigned status, code;
} own[] = {{400, 3}, {401, 16}, {402, 8},  {403, 7},  {404, 12}, {413, 8},
	   {429, 8}, {500, 13}, {502, 14}, {503, 14}, {504, 4}};

static void every_problem_has_a_code_that_means_it(void **unused)
{
	(void)unused;
	char text[GRPC_MESSAGE_MAX];

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		assert_int_equal(grpc_code_of_status(own[i].status), own[i].code);
	for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
		const struct slice message = grpc_message((enum problem)i, text);
		const struct problem_text *row = problem_text((enum problem)i);
		assert_true(slice_starts_with(message, slice_of(row->title)));
		for (size_t at = 0; at < message.length; at++)
			assert_true(message.data[at] >= ' ' && message.data[at] <= '~');
	}
	assert_int_equal(grpc_status_of_code(0), 200);
	assert_int_equal(grpc_status_of_code(16), 401);
	assert_int_equal(grpc_status_of_code(17), 500);
}

static bool read_timeout(const char *value, uint64_t *ret_ns)
{
	const struct http_header field = {.name = slice_of("Grpc-Timeout"),
					  .value = slice_of(value)};

	return grpc_timeout_read(&field, 1, ret_ns);
}

static void a_timeout_is_read_as_the_specification_writes_it(void **unused)
{
	(void)unused;
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"1n", 1},
		    {"20u", 20000},
		    {"300m", 300000000},
		    {"0S", 0},
		    {"1S", CLOCK_NS_PER_S},
		    {"2M", 120 * CLOCK_NS_PER_S},
		    {"1H", 3600 * CLOCK_NS_PER_S},
		    {"99999999H", UINT64_MAX / 2}};
	static const char *const bad[] = {"",     "1",          "S",   "1s", "-1S",
					  "1.5S", "123456789S", "1 S", "1SS"};
	uint64_t ns;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(read_timeout(good[i].text, &ns));
		assert_true(ns == good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(read_timeout(bad[i], &ns));
}

static void only_the_content_type_makes_a_call_grpc(void **unused)
{
	(void)unused;
	static const struct {
		const char *type;
		bool is;
	} types[] = {{"application/grpc", true},     {"Application/GRPC+json", true},
		     {"application/grpc;a=b", true}, {"application/grpc-web", false},
		     {"application/grpcx", false},   {"application/grp", false},
		     {"application/json", false}};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const struct http_header field = {.name = slice_of("content-type"),
						  .value = slice_of(types[i].type),
						  .known = HTTP_CONTENT_TYPE};
		assert_int_equal(grpc_is_message(&field, 1), types[i].is);
	}
	assert_false(grpc_is_message(NULL, 0));
}

static void a_refused_call_gets_a_status_and_no_page(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	options.lease_nano = PRICE - 1;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	send_call(&rig, client, "");
	assert_true(read_until(client, "\r\n\r\n"));
	assert_true(has("HTTP/1.1 200 OK\r\n"));
	assert_true(has("\r\nContent-Type: application/grpc\r\n"));
	assert_true(has("\r\ngrpc-status: 8\r\n"));
	assert_true(has("\r\ngrpc-message: The account's balance does not cover a call: Fund"));
	assert_true(has("\r\nStoa-Problem: urn:stoa:problem:balance-exhausted\r\n"));
	assert_true(has("\r\nStoa-Call: "));
	assert_true(has("\r\nContent-Length: 0\r\n"));
	send_text(client, "POST /none/x HTTP/1.1\r\nHost: localhost\r\n"
			  "Content-Type: application/grpc\r\nContent-Length: 0\r\n\r\n");
	assert_true(read_until(client, "\r\n\r\n"));
	assert_true(has("\r\ngrpc-status: 12\r\n"));
	assert_int_equal(rig_records(&rig, &record), 0);
	close(client);
	rig_end(&rig);
}

/* Of the only instance, in a row. */
static uint32_t failures(const struct rig *rig)
{
	struct directory_service *service =
		directory_service_by_id(&rig->gateway->directory, (struct service_id){1});

	return atomic_load(&atomic_load(&service->instances)->of[0]->ejection.failures);
}

static void an_outcome_in_the_trailers_counts_as_its_http_status(void **unused)
{
	(void)unused;
	static const struct {
		const char *trailer;
		unsigned status;
		bool billed;
		bool instances; /* it speaks against the instance */
	} ends[] = {{"grpc-status: 0\r\n", 200, true, false},
		    {"grpc-status: 5\r\n", 404, true, false},
		    {"grpc-status: 12\r\n", 501, false, false},
		    {"Grpc-Status: 13\r\n", 500, false, true},
		    {"grpc-status: 14\r\n", 503, false, true},
		    {"grpc-status: 99\r\n", 500, false, true},
		    {"", 500, false, true}};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct pair pair;
		struct rig_options options = rig_options_default(PRICE);
		struct journal_record record;
		char answer[512];
		begin(&pair, &options);

		snprintf(answer, sizeof(answer),
			 "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n%s\r\n",
			 ends[i].trailer);
		send_text(pair.service, answer);
		assert_true(read_until(pair.client, "abc"));
		assert_true(has("HTTP/1.1 200 OK\r\n"));
		rig_wait_until(rig_records(&pair.rig, &record) == 1);
		assert_int_equal(record.status, ends[i].status);
		assert_int_equal(record.charge_nano, ends[i].billed ? PRICE : 0);
		assert_int_equal(record.flags, ends[i].billed ? JOURNAL_BILLED : 0);
		assert_int_equal(failures(&pair.rig), ends[i].instances);
		end(&pair);
	}
}

static void an_outcome_in_the_head_counts_as_its_http_status(void **unused)
{
	(void)unused;
	struct pair pair;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	begin(&pair, &options);

	send_text(pair.service, "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
				"grpc-status: 14\r\nContent-Length: 0\r\n\r\n");
	assert_true(read_until(pair.client, "\r\n\r\n"));
	assert_true(has("\r\ngrpc-status: 14\r\n"));
	assert_true(has("Stoa-Charge: 0.00 USD"));
	assert_int_equal(rig_records(&pair.rig, &record), 1);
	assert_int_equal(record.status, 503);
	end(&pair);
}

static void an_answer_that_is_no_grpc_keeps_its_own_status(void **unused)
{
	(void)unused;
	struct pair pair;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	begin(&pair, &options);

	send_text(pair.service, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
				"Content-Length: 2\r\n\r\nok");
	assert_true(read_until(pair.client, "ok"));
	assert_int_equal(rig_records(&pair.rig, &record), 1);
	assert_int_equal(record.status, 200);
	assert_int_equal(record.charge_nano, PRICE);
	end(&pair);
}

static void a_stream_that_its_service_breaks_ends_with_a_status(void **unused)
{
	(void)unused;
	struct pair pair;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	begin(&pair, &options);

	send_text(pair.service, "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
				"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	assert_true(read_until(pair.client, "abc"));
	shutdown(pair.service, SHUT_RDWR);
	assert_true(read_until(pair.client, "\r\n\r\n"));
	assert_true(has("0\r\ngrpc-status: 14\r\ngrpc-message: The service's answer"));
	assert_true(has("Stoa-Problem: urn:stoa:problem:service-invalid\r\n"));
	assert_int_equal(rig_records(&pair.rig, &record), 1);
	assert_int_equal(record.outcome, JOURNAL_FAILED);
	assert_int_equal(record.charge_nano, 0);
	end(&pair);
}

static void a_callers_deadline_ends_the_call_as_if_he_had_left(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	options.no_instance = true;
	rig_begin(&rig, &options);
	const int listener = rig_service_listen(&rig);
	const int client = rig_connect(&rig);

	/* Before an answer: nothing was delivered, nothing is charged. */
	send_call(&rig, client, "grpc-timeout: 30m\r\n");
	int service = accept(listener, NULL, NULL);
	assert_true(read_until(client, "\r\n\r\n"));
	assert_true(has("\r\ngrpc-status: 4\r\n"));
	assert_int_equal(rig_records(&rig, &record), 1);
	assert_int_equal(record.outcome, JOURNAL_ABORTED);
	assert_int_equal(record.charge_nano, 0);
	close(service);
	/* Within it: what was delivered is. */
	send_call(&rig, client, "Grpc-Timeout: 100m\r\n");
	service = accept(listener, NULL, NULL);
	send_text(service, "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
			   "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	assert_true(read_until(client, "grpc-message: "));
	assert_true(has("0\r\ngrpc-status: 4\r\n"));
	assert_int_equal(rig_records(&rig, &record), 2);
	assert_int_equal(record.outcome, JOURNAL_ABORTED);
	assert_int_equal(record.charge_nano, PRICE);
	close(service);
	close(client);
	close(listener);
	rig_end(&rig);
}

static void a_callers_deadline_never_lengthens_the_plans(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	options.no_instance = true;
	options.limits.timeout_ns = 30 * CLOCK_NS_PER_MS;
	rig_begin(&rig, &options);
	const int listener = rig_service_listen(&rig);
	const int client = rig_connect(&rig);

	send_call(&rig, client, "grpc-timeout: 1H\r\n");
	assert_true(read_until(client, "\r\n\r\n"));
	assert_true(has("\r\ngrpc-status: 4\r\n"));
	assert_int_equal(rig_records(&rig, &record), 1);
	assert_int_equal(record.outcome, JOURNAL_CUT);
	close(client);
	close(listener);
	rig_end(&rig);
}

static void a_call_that_waits_is_refused_at_its_callers_deadline(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = rig_options_default(PRICE);
	struct journal_record record;
	options.no_instance = true;
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);

	send_call(&rig, client, "grpc-timeout: 20m\r\n");
	assert_true(read_until(client, "\r\n\r\n"));
	assert_true(has("\r\ngrpc-status: 4\r\n"));
	assert_int_equal(rig_records(&rig, &record), 0);
	close(client);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest pure[] = {
		cmocka_unit_test(every_problem_has_a_code_that_means_it),
		cmocka_unit_test(a_timeout_is_read_as_the_specification_writes_it),
		cmocka_unit_test(only_the_content_type_makes_a_call_grpc),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_call_gets_a_status_and_no_page),
		cmocka_unit_test(an_outcome_in_the_trailers_counts_as_its_http_status),
		cmocka_unit_test(an_outcome_in_the_head_counts_as_its_http_status),
		cmocka_unit_test(an_answer_that_is_no_grpc_keeps_its_own_status),
		cmocka_unit_test(a_stream_that_its_service_breaks_ends_with_a_status),
		cmocka_unit_test(a_callers_deadline_ends_the_call_as_if_he_had_left),
		cmocka_unit_test(a_callers_deadline_never_lengthens_the_plans),
		cmocka_unit_test(a_call_that_waits_is_refused_at_its_callers_deadline),
	};

	return cmocka_run_group_tests(pure, NULL, NULL) +
	       rig_run_on_all(tests, sizeof(tests) / sizeof(tests[0]));
}

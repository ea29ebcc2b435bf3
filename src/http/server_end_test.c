#include "http/rig_internal.h"

#define LATE      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct rig *begin(void **state)
{
	struct rig *rig = *state;

	rig_serve(rig);
	rig_connect(rig);
	return rig;
}

/* ---- clients that leave ---- */

static void a_half_closed_client_gets_its_answer(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, GET("/hold") GET("/late"));
	shutdown(rig->raw, SHUT_WR);
	rig_expect_log(rig, "request end ");
	http_exchange_respond(rig->held, 204, NULL, 0, 0);
	http_exchange_finish(rig->held, NULL, 0);
	rig_expect(rig, "HTTP/1.1 204 No Content\r\n\r\n" LATE);
	rig_expect_log(rig, "over request end over ");
	rig_expect_ended(rig, true);
}

static void a_half_closed_client_is_gone_where_the_server_says_so(void **state)
{
	struct rig *rig = *state;

	rig->half_close_aborts = true;
	rig_serve(rig);
	rig_connect(rig);
	rig_send_text(rig, GET("/hold"));
	rig_settle(rig);
	shutdown(rig->raw, SHUT_WR);
	rig_expect_log(rig, "request end abort:closed over ");
	rig_expect_ended(rig, true);
}

static void a_client_that_is_gone_aborts_once_it_is_written_to(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, GET("/hold"));
	rig_settle(rig);
	close(rig->raw);
	rig->raw = -1;
	rig_settle(rig);
	if (rig->held != NULL) {
		http_exchange_respond(rig->held, 200, NULL, 0, 2);
		http_exchange_send(rig->held, slice_of("hi"));
	}
	rig_expect_log(rig, "request end abort:closed over ");
	assert_int_equal(http_server_connections(rig->server), 0);
}

static void a_client_that_leaves_within_its_body_aborts(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
	rig_settle(rig);
	shutdown(rig->raw, SHUT_WR);
	rig_expect_log(rig, "request abort:closed over ");
	rig_expect_ended(rig, true);
}

static void a_client_that_ends_within_its_body_still_gets_a_finished_answer(void **state)
{
	struct rig *rig = begin(state);
	const size_t size = 2 * 1024 * 1024;
	char *body = calloc(1, size);

	rig_send_text(rig, "POST /hold HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	rig_settle(rig);
	memset(body, 'x', size);
	http_exchange_respond(rig->held, 200, NULL, 0, (int64_t)size);
	http_exchange_send(rig->held, slice_make(body, size));
	http_exchange_finish(rig->held, NULL, 0);
	free(body);
	/* Byte by byte, so that parts of a chunk's line are kept. */
	for (const char *byte = "5\r\nab"; *byte != '\0'; byte++) {
		rig_send(rig, byte, 1);
		rig_turn(rig);
	}
	shutdown(rig->raw, SHUT_WR);
	rig_turn(rig);
	rig_settle(rig);
	assert_true(rig->received_length > size);
	rig_expect_log(rig, "request over ");
	rig_expect_ended(rig, true);
}

static void a_body_that_breaks_the_rules_aborts_and_is_told(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "POST /hold HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			   "3\r\nabcd\r\n");
	rig_expect_contains(rig, "HTTP/1.1 400 Bad Request\r\n");
	rig_expect_log(rig, "request abort:invalid over ");
	rig_expect_ended(rig, true);
}

/* ---- refusals ---- */

static void a_refusal_is_a_problem_and_survives_unread_input(void **state)
{
	struct rig *rig = begin(state);
	char *junk = calloc(1, 100000);

	rig_send_text(rig, "GET / HTTP/3.0\r\nHost: a\r\n\r\n");
	rig_send(rig, junk, 100000);
	free(junk);
	rig_settle(rig);
	assert_non_null(strstr(rig->received, "HTTP/1.1 505 HTTP Version Not Supported\r\n"));
	assert_non_null(strstr(rig->received, "Content-Type: application/problem+json\r\n"));
	assert_non_null(strstr(rig->received, "Connection: close\r\n"));
	rig_expect_contains(rig, "\"status\":505,\"detail\":\"");
	rig_expect_ended(rig, true);
	/* It lingers until the client ends too. */
	assert_int_equal(http_server_connections(rig->server), 1);
	shutdown(rig->raw, SHUT_WR);
	rig_settle(rig);
	assert_int_equal(http_server_connections(rig->server), 0);
}

static void one_connection_too_many_is_closed_at_once(void **state)
{
	struct rig *rig = *state;
	const struct http_server_options options = {.limits = rig->limits,
						    .events = &rig_events,
						    .owner = rig,
						    .exchange_state_bytes = 16,
						    .connections_max = 1};
	struct fault fault;

	if (rig->loop == NULL)
		skip();
	assert_int_equal(http_server_new(rig->loop, &options, &rig->server, &fault), 0);
	rig_connect(rig);
	const int first = rig->raw;
	rig->raw = -1;
	rig_connect(rig);
	rig_expect_ended(rig, true);
	assert_int_equal(http_server_connections(rig->server), 1);
	close(first);
}

/* ---- time ---- */

static void a_silent_connection_is_closed(void **state)
{
	struct rig *rig = begin(state);

	rig_advance(rig, rig->limits.head_timeout_ns - CLOCK_NS_PER_S);
	rig_expect_ended(rig, false);
	rig_advance(rig, 2 * CLOCK_NS_PER_S);
	rig_expect(rig, "");
	rig_expect_ended(rig, true);
}

static void a_head_that_drips_is_refused_in_time(void **state)
{
	struct rig *rig = begin(state);

	for (int i = 0; i < 9; i++) {
		rig_send_text(rig, "GET");
		rig_advance(rig, CLOCK_NS_PER_S);
	}
	rig_expect_ended(rig, false);
	rig_advance(rig, 2 * CLOCK_NS_PER_S);
	rig_expect_contains(rig, "HTTP/1.1 408 Request Timeout\r\n");
	rig_expect_ended(rig, true);
	rig_advance(rig, 3 * CLOCK_NS_PER_S);
	assert_int_equal(http_server_connections(rig->server), 0);
}

static void an_idle_connection_is_closed_after_its_time(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, GET("/late"));
	rig_expect(rig, LATE);
	rig_advance(rig, rig->limits.keep_alive_timeout_ns - CLOCK_NS_PER_S);
	rig_send_text(rig, GET("/late"));
	rig_expect(rig, LATE);
	rig_advance(rig, rig->limits.keep_alive_timeout_ns - CLOCK_NS_PER_S);
	rig_expect_ended(rig, false);
	rig_advance(rig, 2 * CLOCK_NS_PER_S);
	rig_expect_ended(rig, true);
	rig_expect(rig, "");
}

static void a_body_that_stops_is_given_up(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
	rig_advance(rig, rig->limits.body_idle_timeout_ns - CLOCK_NS_PER_S);
	rig_send_text(rig, "d");
	rig_settle(rig);
	rig_advance(rig, rig->limits.body_idle_timeout_ns - CLOCK_NS_PER_S);
	rig_expect_log(rig, "request ");
	rig_advance(rig, 2 * CLOCK_NS_PER_S);
	rig_expect_log(rig, "abort:timeout over ");
	rig_expect_contains(rig, "HTTP/1.1 408 Request Timeout\r\n");
}

static void a_service_that_waits_is_not_timed(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, GET("/hold"));
	rig_advance(rig, 1000 * CLOCK_NS_PER_S);
	rig_expect_log(rig, "request end ");
	rig_expect_ended(rig, false);
}

static void a_client_that_takes_nothing_is_given_up(void **state)
{
	struct rig *rig = begin(state);
	const size_t size = 2 * 1024 * 1024;
	char *body = calloc(1, size);

	rig_send_text(rig, GET("/hold"));
	rig_settle(rig);
	http_exchange_respond(rig->held, 200, NULL, 0, (int64_t)size);
	http_exchange_send(rig->held, slice_make(body, size));
	free(body);
	for (int i = 0; i < 10; i++)
		rig_turn(rig);
	for (int second = 0; second < 100; second += 10) {
		clock_manual_advance(&rig->clock, 10 * CLOCK_NS_PER_S);
		for (int i = 0; i < 3; i++)
			rig_turn(rig);
	}
	assert_string_equal(rig->log, "request end abort:timeout over ");
	assert_int_equal(http_server_connections(rig->server), 0);
}

/* ---- the end ---- */

static void rig_drained(void *owner)
{
	struct rig *rig = owner;

	assert_false(rig->drained);
	rig->drained = true;
}

static void draining_lets_answers_end_and_takes_no_further_request(void **state)
{
	struct rig *rig = begin(state);

	const int idle = rig->raw;
	rig->raw = -1;
	rig_connect(rig);
	rig_send_text(rig, GET("/hold") GET("/late"));
	rig_settle(rig);
	http_server_drain(rig->server, 0, rig_drained);
	rig_settle(rig);
	assert_int_equal(http_server_connections(rig->server), 1);
	assert_false(rig->drained);
	http_exchange_respond(rig->held, 204, NULL, 0, 0);
	http_exchange_finish(rig->held, NULL, 0);
	rig_expect(rig, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
	shutdown(rig->raw, SHUT_WR);
	rig_settle(rig);
	assert_true(rig->drained);
	close(idle);
}

static void draining_an_empty_server_says_so_later(void **state)
{
	struct rig *rig = *state;

	rig_serve(rig);
	http_server_drain(rig->server, 0, rig_drained);
	assert_false(rig->drained);
	rig_settle(rig);
	assert_true(rig->drained);
}

static void closing_tells_each_exchange_that_it_is_over(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, GET("/hold"));
	rig_expect_log(rig, "request end ");
	http_server_close(rig->server);
	assert_string_equal(rig->log, "");
	rig_expect_log(rig, "abort:shutdown over ");
	rig_expect_ended(rig, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(a_half_closed_client_gets_its_answer),
		rig_test(a_half_closed_client_is_gone_where_the_server_says_so),
		rig_test(a_client_that_is_gone_aborts_once_it_is_written_to),
		rig_test(a_client_that_leaves_within_its_body_aborts),
		rig_test(a_client_that_ends_within_its_body_still_gets_a_finished_answer),
		rig_test(a_body_that_breaks_the_rules_aborts_and_is_told),
		rig_test(a_refusal_is_a_problem_and_survives_unread_input),
		rig_test(one_connection_too_many_is_closed_at_once),
		rig_test(a_silent_connection_is_closed),
		rig_test(a_head_that_drips_is_refused_in_time),
		rig_test(an_idle_connection_is_closed_after_its_time),
		rig_test(a_body_that_stops_is_given_up),
		rig_test(a_service_that_waits_is_not_timed),
		rig_test(a_client_that_takes_nothing_is_given_up),
		rig_test(draining_lets_answers_end_and_takes_no_further_request),
		rig_test(draining_an_empty_server_says_so_later),
		rig_test(closing_tells_each_exchange_that_it_is_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

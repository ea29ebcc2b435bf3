#include "http/rig_internal.h"

#define LATE        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"
#define LATE_CLOSES "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate"
#define GET(path)   "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct rig *begin(void **state)
{
	struct rig *rig = *state;

	rig_serve(rig);
	rig_connect(rig);
	return rig;
}

/* ---- keeping and pipelining ---- */

static void a_connection_serves_one_request_after_another(void **state)
{
	struct rig *rig = begin(state);

	for (int i = 0; i < 3; i++) {
		rig_send_text(rig, GET("/late"));
		rig_expect(rig, LATE);
	}
	rig_expect_log(rig, "request end over request end over request end over ");
	rig_expect_ended(rig, false);
}

static void a_request_is_served_wherever_it_is_split(void **state)
{
	static const char text[] =
		"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
		"\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nX-T: 1\r\n\r\n";
	struct rig *rig = begin(state);

	for (size_t split = 1; split < sizeof(text) - 1; split++) {
		rig_send(rig, text, split);
		rig_settle(rig);
		rig_send_text(rig, text + split);
		rig_settle(rig);
		assert_non_null(strstr(rig->received, "Transfer-Encoding: chunked\r\n\r\n"));
		rig_expect_contains(rig, "0\r\nX-T: 1\r\n\r\n");
	}
	assert_int_equal(rig->body_bytes, 5 * (sizeof(text) - 2));
	assert_int_equal(http_server_connections(rig->server), 1);
}

static void pipelined_requests_are_answered_in_order_one_at_a_time(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, GET("/hold") GET("/late") "POST /echo HTTP/1.1\r\nHost: a\r\n"
						     "Content-Length: 2\r\n\r\nhi");
	rig_expect_log(rig, "request end ");
	assert_non_null(rig->held);
	http_exchange_respond(rig->held, 204, NULL, 0, 0);
	http_exchange_finish(rig->held, NULL, 0);
	rig_expect(rig, "HTTP/1.1 204 No Content\r\n\r\n" LATE
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	rig_expect_log(rig, "over request end over request end over ");
}

static void a_bad_request_behind_a_good_one_is_refused_after_its_answer(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, GET("/late") "GET / HTTP/1.1\r\nHost : a\r\n\r\n" GET("/late"));
	rig_settle(rig);
	assert_memory_equal(rig->received, LATE, strlen(LATE));
	assert_null(strstr(rig->received + 20, "late\r\nHTTP/1.1 200"));
	rig_expect_contains(rig, LATE "HTTP/1.1 400 Bad Request\r\n");
	rig_expect_log(rig, "request end over ");
	rig_expect_ended(rig, true);
}

static void pipelined_input_is_held_back_by_a_bound(void **state)
{
	struct rig *rig = begin(state);
	size_t sent = 0;
	char junk[4096];

	memset(junk, 'x', sizeof(junk));
	rig_send_text(rig, GET("/hold"));
	rig_settle(rig);
	for (int quiet = 0; quiet < 10; quiet++) {
		const ssize_t length = send(rig->raw, junk, sizeof(junk), MSG_NOSIGNAL);
		if (length > 0) {
			sent += (size_t)length;
			quiet = 0;
		}
		rig_turn(rig);
	}
	/* The socket's own buffers, some receive buffers, and what is kept. */
	assert_in_range(sent, 1, 2 * 1024 * 1024);
}

static void http_1_0_gets_its_answer_until_the_end(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "GET /hold HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	rig_settle(rig);
	http_exchange_respond(rig->held, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
	http_exchange_send(rig->held, slice_of("some"));
	http_exchange_finish(rig->held, NULL, 0);
	rig_expect(rig, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome");
	rig_expect_ended(rig, true);

	rig_connect(rig);
	rig_send_text(rig, "GET /late HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	rig_expect(rig,
		   "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nlate");
	rig_send_text(rig, "GET /late HTTP/1.0\r\n\r\n");
	rig_expect(rig, LATE_CLOSES);
	rig_expect_ended(rig, true);
}

static void connection_close_is_obeyed(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "GET /late HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	rig_expect(rig, LATE_CLOSES);
	rig_expect_ended(rig, true);
}

/* ---- answers ---- */

static void answers_without_a_body_have_none(void **state)
{
	struct rig *rig = begin(state);
	const unsigned statuses[] = {204, 304, 200, 200};
	const int64_t lengths[] = {5, 5, 5, HTTP_LENGTH_UNKNOWN};
	const char *const answers[] = {
		"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"};

	for (int i = 0; i < 4; i++) {
		rig_send_text(rig, i < 2 ? GET("/hold") : "HEAD /hold HTTP/1.1\r\nHost: a\r\n\r\n");
		rig_settle(rig);
		http_exchange_respond(rig->held, statuses[i], NULL, 0, lengths[i]);
		http_exchange_send(rig->held, slice_of("hello"));
		http_exchange_finish(rig->held, NULL, 0);
		rig_expect(rig, answers[i]);
	}
	rig_expect_ended(rig, false);
}

static void framing_fields_of_the_caller_are_left_out(void **state)
{
	const struct http_header headers[] = {
		{.name = slice_of("Content-Length"), .value = slice_of("99")},
		{.name = slice_of("Transfer-Encoding"), .value = slice_of("chunked")},
		{.name = slice_of("Connection"), .value = slice_of("x")},
		{.name = slice_of("X-Named"), .value = slice_of("y"), .hop_by_hop = true},
		{.name = slice_of("X-Kept"), .value = slice_of("z")},
	};
	struct rig *rig = begin(state);

	rig_send_text(rig, GET("/hold"));
	rig_settle(rig);
	http_exchange_respond(rig->held, 200, headers, 5, 0);
	http_exchange_finish(rig->held, NULL, 0);
	rig_expect(rig, "HTTP/1.1 200 OK\r\nX-Kept: z\r\nContent-Length: 0\r\n\r\n");
}

static void an_aborted_answer_is_seen_to_be_cut(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, GET("/hold"));
	rig_settle(rig);
	http_exchange_respond(rig->held, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
	http_exchange_send(rig->held, slice_of("part"));
	http_exchange_abort(rig->held);
	rig_expect(rig, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
	rig_expect_log(rig, "request end over ");
	rig_expect_ended(rig, true);
}

/* ---- 100-continue, early answers ---- */

static void continue_is_sent_when_the_body_is_wanted(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "POST /late HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
			   "Content-Length: 3\r\n\r\n");
	rig_expect(rig, "HTTP/1.1 100 Continue\r\n\r\n");
	rig_send_text(rig, "abc");
	rig_expect(rig, LATE);
	rig_expect_ended(rig, false);
}

static void continue_is_not_sent_when_the_body_came_anyway(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "POST /hold HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
			   "Content-Length: 3\r\n\r\nabc");
	rig_expect_log(rig, "request ");
	assert_int_equal(rig->body_bytes, 0);
	http_exchange_resume(rig->held);
	rig_expect_log(rig, "end ");
	http_exchange_respond(rig->held, 204, NULL, 0, 0);
	http_exchange_finish(rig->held, NULL, 0);
	rig_expect(rig, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void a_final_answer_instead_of_continue_ends_the_connection(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "POST /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
			   "Content-Length: 3\r\n\r\n");
	rig_expect(rig, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
			"early");
	rig_expect_ended(rig, true);
}

static void an_early_answer_drops_a_short_rest_and_goes_on(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
	rig_expect(rig, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nearly");
	rig_send_text(rig, "def" GET("/late"));
	rig_expect(rig, LATE);
	rig_expect_log(rig, "request over request end over ");
}

static void an_early_answer_ends_the_connection_when_the_rest_is_long(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\nabc");
	rig_expect(rig, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
			"early");
	rig_expect_ended(rig, true);

	rig_connect(rig);
	rig_send_text(rig, "POST /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	rig_expect_contains(rig, "early");
	rig_expect_ended(rig, false);
	char *chunk = calloc(1, 70000);
	rig_send_text(rig, "11170\r\n");
	rig_send(rig, chunk, 70000);
	free(chunk);
	rig_expect_ended(rig, true);
}

/* ---- back-pressure ---- */

static void output_beyond_the_mark_stops_input_until_it_is_taken(void **state)
{
	struct rig *rig = *state;
	const size_t size = 3 * 1024 * 1024;

	rig->limits.output_bytes_high = 64 * 1024;
	rig_serve(rig);
	rig_connect(rig);
	char *body = malloc(size), head[128];
	for (size_t i = 0; i < size; i++)
		body[i] = (char)('a' + i * 31 % 23);
	snprintf(head, sizeof(head),
		 "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", size);
	rig_send_text(rig, head);

	/* Nobody reads: the service must stop early. */
	size_t sent = 0;
	for (int quiet = 0; quiet < 20; quiet++) {
		const ssize_t length = send(rig->raw, body + sent, size - sent, MSG_NOSIGNAL);
		if (length > 0) {
			sent += (size_t)length;
			quiet = 0;
		}
		rig_turn(rig);
	}
	assert_in_range(rig->body_bytes, 64 * 1024, 1024 * 1024);
	assert_true(sent < size);

	rig_send(rig, body + sent, size - sent);
	rig_settle(rig);
	assert_true(rig->received_length > size);
	assert_memory_equal(rig->received + rig->received_length - size, body, size);
	free(body);
}

static void a_paused_body_waits_and_nothing_is_lost(void **state)
{
	struct rig *rig = begin(state);

	rig_send_text(rig, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
	rig_settle(rig);
	http_exchange_pause(rig->held);
	rig_send_text(rig, "abcdef");
	rig_settle(rig);
	assert_int_equal(rig->body_bytes, 0);
	http_exchange_resume(rig->held);
	rig_settle(rig);
	assert_int_equal(rig->body_bytes, 6);
	rig_expect_log(rig, "request end ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(a_connection_serves_one_request_after_another),
		rig_test(a_request_is_served_wherever_it_is_split),
		rig_test(pipelined_requests_are_answered_in_order_one_at_a_time),
		rig_test(a_bad_request_behind_a_good_one_is_refused_after_its_answer),
		rig_test(pipelined_input_is_held_back_by_a_bound),
		rig_test(http_1_0_gets_its_answer_until_the_end),
		rig_test(connection_close_is_obeyed),
		rig_test(answers_without_a_body_have_none),
		rig_test(framing_fields_of_the_caller_are_left_out),
		rig_test(an_aborted_answer_is_seen_to_be_cut),
		rig_test(continue_is_sent_when_the_body_is_wanted),
		rig_test(continue_is_not_sent_when_the_body_came_anyway),
		rig_test(a_final_answer_instead_of_continue_ends_the_connection),
		rig_test(an_early_answer_drops_a_short_rest_and_goes_on),
		rig_test(an_early_answer_ends_the_connection_when_the_rest_is_long),
		rig_test(output_beyond_the_mark_stops_input_until_it_is_taken),
		rig_test(a_paused_body_waits_and_nothing_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

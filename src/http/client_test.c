#include "http/client_rig_internal.h"

#define REQUEST "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
#define ANSWER  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* ---- keeping ---- */

static void a_connection_is_used_again_after_a_clean_answer(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	for (int i = 0; i < 3; i++) {
		client_rig_call(rig, "GET", 0);
		client_rig_expect_request(rig, 0, REQUEST);
		client_rig_answer(rig, 0, ANSWER);
		client_rig_expect_log(rig, "head:200,2 body:hi end ");
	}
	assert_int_equal(rig->upstream_count, 1);
	assert_int_equal(http_origin_connections(rig->origin), 1);
}

static void a_call_started_when_another_ends_takes_its_connection(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	rig->calls_again = true;
	client_rig_call(rig, "GET", 0);
	client_rig_expect_request(rig, 0, REQUEST);
	client_rig_answer(rig, 0, "HTTP/1.1 200 OK\r\nContent-");
	client_rig_answer(rig, 0, "Length: 0\r\n\r\n");
	client_rig_expect_request(rig, 0, REQUEST);
	client_rig_answer(rig, 0, ANSWER);
	client_rig_expect_log(rig, "head:200,0 end head:200,2 body:hi end ");
	assert_int_equal(rig->upstream_count, 1);
}

static void answers_that_leave_doubt_end_the_connection(void **state)
{
	static const struct {
		const char *text, *log;
		bool closes;
	} rows[] = {
		{ANSWER "x", "head:200,2 body:hi end ", false},
		{ANSWER ANSWER, "head:200,2 body:hi end ", false},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		 "head:200,0 end ", false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "head:200,0 end ", false},
		{"HTTP/1.1 200 OK\r\n\r\nhello", "head:200,-1 body:hello more end ", true},
		{"HTTP/1.1 204 No Content\r\n\r\nbody", "head:204,0 end ", false},
	};
	struct client_rig *rig = client_rig_begin(state);

	for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
		client_rig_call(rig, "GET", 0);
		client_rig_expect_request(rig, i, REQUEST);
		client_rig_answer(rig, i, rows[i].text);
		if (rows[i].closes)
			client_rig_close_upstream(rig, i);
		client_rig_expect_log(rig, rows[i].log);
		assert_int_equal(http_origin_connections(rig->origin), 0);
	}
}

static void an_early_answer_is_whole_and_its_connection_is_not_kept(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	client_rig_call(rig, "POST", 10);
	http_call_send(rig->call, slice_of("abc"));
	client_rig_expect_request(rig, 0,
				  "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
	client_rig_answer(rig, 0, ANSWER);
	client_rig_expect_log(rig, "head:200,2 body:hi end ");
	assert_int_equal(http_origin_connections(rig->origin), 0);
}

static void surplus_idle_connections_are_closed_and_the_rest_age_out(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	for (int i = 0; i < 3; i++)
		client_rig_call(rig, "GET", 0);
	client_rig_settle(rig);
	assert_int_equal(rig->upstream_count, 3);
	for (int i = 0; i < 3; i++)
		client_rig_answer(rig, i, ANSWER);
	client_rig_settle(rig);
	assert_int_equal(http_origin_connections(rig->origin), 2);
	client_rig_advance(rig, rig->limits.keep_alive_timeout_ns + CLOCK_NS_PER_S);
	assert_int_equal(http_origin_connections(rig->origin), 0);
}

static void an_idle_connection_that_ends_or_speaks_is_not_used(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	client_rig_call(rig, "GET", 0);
	client_rig_settle(rig);
	client_rig_answer(rig, 0, ANSWER);
	client_rig_close_upstream(rig, 0);
	client_rig_settle(rig);
	assert_int_equal(http_origin_connections(rig->origin), 0);

	client_rig_call(rig, "GET", 0);
	client_rig_settle(rig);
	client_rig_answer(rig, 1, ANSWER);
	client_rig_answer(rig, 1, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
	client_rig_settle(rig);
	assert_int_equal(http_origin_connections(rig->origin), 0);
	client_rig_expect_log(rig, "head:200,2 body:hi end head:200,2 body:hi end ");
}

/* ---- requests ---- */

static void a_chunked_request_is_framed_here(void **state)
{
	const struct http_header trailer = {.name = slice_of("X-Sum"), .value = slice_of("1")};
	struct client_rig *rig = client_rig_begin(state);

	client_rig_call(rig, "PUT", HTTP_LENGTH_UNKNOWN);
	http_call_send(rig->call, slice_of("hello"));
	http_call_send(rig->call, slice_of(""));
	http_call_finish(rig->call, &trailer, 1);
	client_rig_expect_request(rig, 0,
				  "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
				  "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
	client_rig_answer(rig, 0,
			  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
			  "0\r\nX-A: b\r\n\r\n");
	client_rig_expect_log(rig, "head:200,-1 body:hi trailer:b end ");
	assert_int_equal(http_origin_connections(rig->origin), 1);
}

static void output_beyond_the_mark_says_stop_and_then_go(void **state)
{
	struct client_rig *rig = client_rig_begin(state);
	const size_t size = 8 * 1024 * 1024;
	char *body = calloc(1, size), sink[65536];
	size_t taken = 0;

	client_rig_call(rig, "POST", (int64_t)size);
	assert_true(http_call_writable(rig->call));
	http_call_send(rig->call, slice_make(body, size));
	assert_false(http_call_writable(rig->call));
	client_rig_settle(rig);
	while (taken < size) {
		client_rig_turn(rig, CLIENT_RIG_TURN_NS);
		const ssize_t got = read(rig->upstreams[0], sink, sizeof(sink));
		taken += got > 0 ? (size_t)got : 0;
	}
	free(body);
	client_rig_expect_log(rig, "writable ");
	http_call_finish(rig->call, NULL, 0);
	client_rig_answer(rig, 0, ANSWER);
	client_rig_expect_log(rig, "head:200,2 body:hi end ");
	assert_int_equal(http_origin_connections(rig->origin), 1);
}

/* ---- answers ---- */

static void an_answer_is_told_the_same_wherever_it_is_split(void **state)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0\r\n\r\n";
	struct client_rig *rig = client_rig_begin(state);

	for (size_t split = 1; split < sizeof(text) - 1; split++) {
		client_rig_call(rig, "GET", 0);
		client_rig_settle(rig);
		send(rig->upstreams[0], text, split, MSG_NOSIGNAL);
		client_rig_settle(rig);
		client_rig_answer(rig, 0, text + split);
		client_rig_settle(rig);
		assert_non_null(strstr(rig->log, "head:200,-1 "));
		assert_non_null(strstr(rig->log, "body:h "));
		assert_string_equal(rig->log + strlen(rig->log) - 4, "end ");
		rig->log[0] = '\0';
	}
	assert_int_equal(rig->upstream_count, 1);
}

static void an_answer_to_head_ends_with_its_head(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	client_rig_call(rig, "HEAD", 0);
	client_rig_expect_request(rig, 0, "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
	client_rig_answer(rig, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
	client_rig_expect_log(rig, "head:200,2 end ");
	assert_int_equal(http_origin_connections(rig->origin), 1);
}

static void invalid_answers_fail_the_call(void **state)
{
	static const char *const rows[] = {
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
		"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"hello\r\n\r\n",
	};
	struct client_rig *rig = client_rig_begin(state);

	for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
		client_rig_call(rig, "GET", 0);
		client_rig_settle(rig);
		client_rig_answer(rig, i, rows[i]);
		client_rig_expect_log(rig, "failed:invalid ");
	}
	client_rig_call(rig, "GET", 0);
	client_rig_settle(rig);
	const int last = rig->upstream_count - 1;
	for (int i = 0; i < 17; i++)
		client_rig_answer(rig, last, "HTTP/1.1 103 Early Hints\r\n\r\n");
	client_rig_expect_log(rig, "failed:invalid ");
	assert_int_equal(http_origin_connections(rig->origin), 0);
}

static void a_paused_answer_waits_and_nothing_is_lost(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	rig->pauses = true;
	client_rig_call(rig, "GET", 0);
	client_rig_settle(rig);
	client_rig_answer(rig, 0, ANSWER);
	client_rig_expect_log(rig, "head:200,2 more ");
	/* While paused nobody waits for the service. */
	client_rig_advance(rig, 1000 * CLOCK_NS_PER_S);
	client_rig_expect_log(rig, "");
	http_call_resume(rig->call);
	client_rig_expect_log(rig, "body:hi end ");
	assert_int_equal(http_origin_connections(rig->origin), 1);
}

static void a_paused_answer_is_held_back_by_a_bound(void **state)
{
	struct client_rig *rig = client_rig_begin(state);
	const size_t size = 32 * 1024 * 1024;
	char head[128], junk[65536] = {0};
	size_t sent = 0;

	rig->pauses = true;
	client_rig_call(rig, "GET", 0);
	client_rig_settle(rig);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
	client_rig_answer(rig, 0, head);
	for (int quiet = 0; quiet < 20; quiet++) {
		const ssize_t length = send(rig->upstreams[0], junk, sizeof(junk), MSG_NOSIGNAL);
		if (length > 0) {
			sent += (size_t)length;
			quiet = 0;
		}
		client_rig_turn(rig, 0);
	}
	/* The sockets' own buffers, some receive buffers, and what is kept. */
	assert_true(sent < size);
	assert_int_equal(rig->body_bytes, 0);
}

/* ---- failures ---- */

static void nobody_there_fails_as_connect(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	client_rig_close_listener(rig);
	client_rig_call(rig, "GET", 0);
	assert_string_equal(rig->log, "");
	assert_false(http_call_sent_any(rig->call));
	client_rig_expect_log(rig, "failed:connect ");
}

static void an_end_before_any_answer_is_stale_only_on_a_used_connection(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	client_rig_call(rig, "GET", 0);
	client_rig_expect_request(rig, 0, REQUEST);
	assert_true(http_call_sent_any(rig->call));
	client_rig_close_upstream(rig, 0);
	client_rig_expect_log(rig, "failed:closed ");

	client_rig_call(rig, "GET", 0);
	client_rig_expect_request(rig, 1, REQUEST);
	client_rig_answer(rig, 1, ANSWER);
	client_rig_expect_log(rig, "head:200,2 body:hi end ");
	client_rig_call(rig, "GET", 0);
	client_rig_expect_request(rig, 1, REQUEST);
	client_rig_close_upstream(rig, 1);
	client_rig_expect_log(rig, "failed:stale ");
}

static void an_end_within_an_answer_is_closed(void **state)
{
	static const char *const rows[] = {
		"HTTP/1.1 200",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
	};
	struct client_rig *rig = client_rig_begin(state);

	for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
		client_rig_call(rig, "GET", 0);
		client_rig_expect_request(rig, i, REQUEST);
		client_rig_answer(rig, i, rows[i]);
		client_rig_close_upstream(rig, i);
		client_rig_settle(rig);
		assert_non_null(strstr(rig->log, "failed:closed "));
		rig->log[0] = '\0';
	}
}

static void silence_fails_as_timeout(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	client_rig_call(rig, "GET", 0);
	client_rig_advance(rig, rig->limits.answer_timeout_ns - CLOCK_NS_PER_S);
	client_rig_expect_log(rig, "");
	client_rig_advance(rig, 2 * CLOCK_NS_PER_S);
	client_rig_expect_log(rig, "failed:timeout ");

	client_rig_call(rig, "GET", 0);
	client_rig_settle(rig);
	client_rig_answer(rig, 1, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
	client_rig_advance(rig, rig->limits.body_idle_timeout_ns + CLOCK_NS_PER_S);
	client_rig_expect_log(rig, "head:200,2 body:h more failed:timeout ");
}

static void a_cancelled_call_tells_nothing_more(void **state)
{
	struct client_rig *rig = client_rig_begin(state);

	client_rig_call(rig, "GET", 0);
	client_rig_settle(rig);
	client_rig_answer(rig, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
	http_call_cancel(rig->call);
	rig->call = NULL;
	client_rig_expect_log(rig, "head:200,2 body:h more ");
	assert_int_equal(http_origin_connections(rig->origin), 0);
}

static void an_origin_is_freed_while_a_call_goes_on(void **state)
{
	struct client_rig *rig = client_rig_begin(state);
	struct loop_address address;
	struct fault fault;

	client_rig_call(rig, "GET", 0);
	client_rig_settle(rig);
	http_origin_free(rig->origin);
	client_rig_answer(rig, 0, ANSWER);
	client_rig_expect_log(rig, "head:200,2 body:hi end ");
	assert_int_equal(loop_address_parse(slice_of("127.0.0.1:1"), &address, &fault), 0);
	rig->origin =
		http_origin_new(rig->client, &(struct http_origin_options){.address = address});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		client_rig_test(a_connection_is_used_again_after_a_clean_answer),
		client_rig_test(a_call_started_when_another_ends_takes_its_connection),
		client_rig_test(answers_that_leave_doubt_end_the_connection),
		client_rig_test(an_early_answer_is_whole_and_its_connection_is_not_kept),
		client_rig_test(surplus_idle_connections_are_closed_and_the_rest_age_out),
		client_rig_test(an_idle_connection_that_ends_or_speaks_is_not_used),
		client_rig_test(a_chunked_request_is_framed_here),
		client_rig_test(output_beyond_the_mark_says_stop_and_then_go),
		client_rig_test(an_answer_is_told_the_same_wherever_it_is_split),
		client_rig_test(an_answer_to_head_ends_with_its_head),
		client_rig_test(invalid_answers_fail_the_call),
		client_rig_test(a_paused_answer_waits_and_nothing_is_lost),
		client_rig_test(a_paused_answer_is_held_back_by_a_bound),
		client_rig_test(nobody_there_fails_as_connect),
		client_rig_test(an_end_before_any_answer_is_stale_only_on_a_used_connection),
		client_rig_test(an_end_within_an_answer_is_closed),
		client_rig_test(silence_fails_as_timeout),
		client_rig_test(a_cancelled_call_tells_nothing_more),
		client_rig_test(an_origin_is_freed_while_a_call_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

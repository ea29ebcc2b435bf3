#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/http.h"

#define SETTLED_TURNS 6
#define TURN_NS	      500000ull
#define UPSTREAMS_MAX 8

/* ---- a loop, a client, an origin, and raw sockets as the service ---- */

struct bench {
	struct clock_manual clock;
	struct loop *loop;
	struct http_limits limits;
	struct http_client *client;
	struct http_origin *origin;
	struct loop_listener listener;
	int upstreams[UPSTREAMS_MAX]; /* connections in the order of their acceptance */
	int upstream_count;
	bool listener_closed;
	char log[4096]; /* the call's events */
	size_t body_bytes;
	bool pauses; /* on_head pauses the call */
	bool calls_again; /* on_end starts a call */
	struct http_call *call;
};

static void note(struct bench *bench, const char *text)
{
	if (strlen(bench->log) + strlen(text) + 2 < sizeof(bench->log))
		strcat(strcat(bench->log, text), " ");
}

static void note_slice(struct bench *bench, const char *word, struct slice slice)
{
	char text[256];

	snprintf(text, sizeof(text), "%s:%.*s", word, SLICE_ARGS(slice));
	note(bench, text);
}

static const struct http_header host = {
	.name = {"Host", 4}, .value = {"a", 1}, .known = HTTP_HOST};

static struct http_call *call(struct bench *bench, const char *method, int64_t body_bytes)
{
	bench->call = http_call_start(bench->origin,
				      &(struct http_call_request){
					      .method = slice_of(method),
					      .target = slice_of("/x"),
					      .headers = &host,
					      .header_count = 1,
					      .body_bytes = body_bytes,
					      .head_only = strcmp(method, "HEAD") == 0,
				      },
				      bench);
	return bench->call;
}

static void on_head(void *owner, const struct http_response *response)
{
	struct bench *bench = owner;
	char text[64];

	snprintf(text, sizeof(text), "head:%u,%lld", response->status,
		 (long long)response->body_bytes);
	note(bench, text);
	if (bench->pauses)
		http_call_pause(bench->call);
}

static void on_body(void *owner, struct slice bytes)
{
	struct bench *bench = owner;

	bench->body_bytes += bytes.length;
	if (bytes.length < 100)
		note_slice(bench, "body", bytes);
}

static void on_more(void *owner)
{
	note(owner, "more");
}

static void on_end(void *owner, const struct http_header *trailers, size_t trailer_count)
{
	struct bench *bench = owner;

	bench->call = NULL;
	for (size_t i = 0; i < trailer_count; i++)
		note_slice(bench, "trailer", trailers[i].value);
	note(bench, "end");
	if (bench->calls_again) {
		bench->calls_again = false;
		call(bench, "GET", 0);
	}
}

static void on_failed(void *owner, enum http_failure failure)
{
	static const char *const words[] = {"connect", "stale", "closed", "invalid", "timeout"};
	struct bench *bench = owner;

	bench->call = NULL;
	note_slice(bench, "failed", slice_of(words[failure]));
}

static void on_writable(void *owner)
{
	note(owner, "writable");
}

static const struct http_client_events events = {
	.on_head = on_head,
	.on_body = on_body,
	.on_more = on_more,
	.on_end = on_end,
	.on_failed = on_failed,
	.on_writable = on_writable,
};

static void on_accept(struct loop_listener *listener, int descriptor)
{
	struct bench *bench =
		(struct bench *)((uintptr_t)listener - offsetof(struct bench, listener));

	assert_true(bench->upstream_count < UPSTREAMS_MAX);
	fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
	bench->upstreams[bench->upstream_count++] = descriptor;
}

static void on_listener_closed(struct loop_listener *listener)
{
	struct bench *bench =
		(struct bench *)((uintptr_t)listener - offsetof(struct bench, listener));

	bench->listener_closed = true;
}

static void turn(struct bench *bench, uint64_t wait_ns)
{
	struct fault fault;

	assert_int_equal(loop_turn(bench->loop, wait_ns, &fault), 0);
}

static void settle(struct bench *bench)
{
	for (int i = 0; i < SETTLED_TURNS; i++)
		turn(bench, TURN_NS);
}

static void advance(struct bench *bench, uint64_t ns)
{
	settle(bench);
	clock_manual_advance(&bench->clock, ns);
	settle(bench);
}

static int setup(void **state, enum loop_io io)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct fault fault;

	clock_manual_init(&bench->clock, CLOCK_NS_PER_S, 1785000000 * CLOCK_NS_PER_S);
	if (loop_new(&(struct loop_options){.io = io, .clock = &bench->clock.clock}, &bench->loop,
		     &fault) != 0) {
		if (io != LOOP_IO_URING)
			fail_msg("%s", fault.text);
		print_message("%s\n", fault.text);
	}
	http_limits_default(&bench->limits);
	bench->limits.output_bytes_high = 64 * 1024;
	*state = bench;
	return 0;
}

static int setup_uring(void **state)
{
	return setup(state, LOOP_IO_URING);
}

static int setup_epoll(void **state)
{
	return setup(state, LOOP_IO_EPOLL);
}

static struct bench *begin(void **state)
{
	struct bench *bench = *state;
	const struct http_client_options options = {
		.limits = bench->limits, .events = &events, .idle_per_origin_max = 2};
	struct loop_address address;
	struct fault fault;

	if (bench->loop == NULL)
		skip();
	bench->listener.on_accept = on_accept;
	bench->listener.on_closed = on_listener_closed;
	assert_int_equal(loop_address_parse(slice_of("127.0.0.1:0"), &address, &fault), 0);
	assert_int_equal(loop_listener_open(bench->loop, &bench->listener, &address, &fault), 0);
	loop_listener_address(&bench->listener, &address);
	assert_int_equal(http_client_new(bench->loop, &options, &bench->client, &fault), 0);
	bench->origin = http_origin_new(bench->client, &address);
	return bench;
}

static void close_upstream(struct bench *bench, int number)
{
	assert_true(bench->upstreams[number] >= 0);
	close(bench->upstreams[number]);
	bench->upstreams[number] = -1;
}

static void close_listener(struct bench *bench)
{
	if (!bench->listener_closed)
		loop_listener_close(&bench->listener);
	while (!bench->listener_closed)
		turn(bench, TURN_NS);
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	if (bench->client != NULL) {
		if (bench->call != NULL)
			http_call_cancel(bench->call);
		http_origin_free(bench->origin);
		http_client_free(bench->client);
		close_listener(bench);
		for (int i = 0; i < bench->upstream_count; i++)
			if (bench->upstreams[i] >= 0)
				close(bench->upstreams[i]);
		settle(bench);
	}
	if (bench->loop != NULL)
		loop_free(bench->loop);
	free(bench);
	return 0;
}

/* What upstream `number` received since the last time. */
static void expect_request(struct bench *bench, int number, const char *text)
{
	char received[4096];
	size_t length = 0;

	settle(bench);
	assert_true(number < bench->upstream_count);
	for (ssize_t got = 1; got > 0;) {
		got = read(bench->upstreams[number], received + length,
			   sizeof(received) - 1 - length);
		length += got > 0 ? (size_t)got : 0;
	}
	received[length] = '\0';
	assert_string_equal(received, text);
}

static void answer(struct bench *bench, int number, const char *text)
{
	assert_int_equal(send(bench->upstreams[number], text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
	settle(bench);
}

static void expect_log(struct bench *bench, const char *log)
{
	settle(bench);
	assert_string_equal(bench->log, log);
	bench->log[0] = '\0';
}

#define REQUEST "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
#define ANSWER	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* ---- keeping ---- */

static void a_connection_is_used_again_after_a_clean_answer(void **state)
{
	struct bench *bench = begin(state);

	for (int i = 0; i < 3; i++) {
		call(bench, "GET", 0);
		expect_request(bench, 0, REQUEST);
		answer(bench, 0, ANSWER);
		expect_log(bench, "head:200,2 body:hi end ");
	}
	assert_int_equal(bench->upstream_count, 1);
	assert_int_equal(http_origin_connections(bench->origin), 1);
}

static void a_call_started_when_another_ends_takes_its_connection(void **state)
{
	struct bench *bench = begin(state);

	bench->calls_again = true;
	call(bench, "GET", 0);
	expect_request(bench, 0, REQUEST);
	answer(bench, 0, "HTTP/1.1 200 OK\r\nContent-");
	answer(bench, 0, "Length: 0\r\n\r\n");
	expect_request(bench, 0, REQUEST);
	answer(bench, 0, ANSWER);
	expect_log(bench, "head:200,0 end head:200,2 body:hi end ");
	assert_int_equal(bench->upstream_count, 1);
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
	struct bench *bench = begin(state);

	for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
		call(bench, "GET", 0);
		expect_request(bench, i, REQUEST);
		answer(bench, i, rows[i].text);
		if (rows[i].closes)
			close_upstream(bench, i);
		expect_log(bench, rows[i].log);
		assert_int_equal(http_origin_connections(bench->origin), 0);
	}
}

static void an_early_answer_is_whole_and_its_connection_is_not_kept(void **state)
{
	struct bench *bench = begin(state);

	call(bench, "POST", 10);
	http_call_send(bench->call, slice_of("abc"));
	expect_request(bench, 0,
		       "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
	answer(bench, 0, ANSWER);
	expect_log(bench, "head:200,2 body:hi end ");
	assert_int_equal(http_origin_connections(bench->origin), 0);
}

static void surplus_idle_connections_are_closed_and_the_rest_age_out(void **state)
{
	struct bench *bench = begin(state);

	for (int i = 0; i < 3; i++)
		call(bench, "GET", 0);
	settle(bench);
	assert_int_equal(bench->upstream_count, 3);
	for (int i = 0; i < 3; i++)
		answer(bench, i, ANSWER);
	settle(bench);
	assert_int_equal(http_origin_connections(bench->origin), 2);
	advance(bench, bench->limits.keep_alive_timeout_ns + CLOCK_NS_PER_S);
	assert_int_equal(http_origin_connections(bench->origin), 0);
}

static void an_idle_connection_that_ends_or_speaks_is_not_used(void **state)
{
	struct bench *bench = begin(state);

	call(bench, "GET", 0);
	settle(bench);
	answer(bench, 0, ANSWER);
	close_upstream(bench, 0);
	settle(bench);
	assert_int_equal(http_origin_connections(bench->origin), 0);

	call(bench, "GET", 0);
	settle(bench);
	answer(bench, 1, ANSWER);
	answer(bench, 1, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
	settle(bench);
	assert_int_equal(http_origin_connections(bench->origin), 0);
	expect_log(bench, "head:200,2 body:hi end head:200,2 body:hi end ");
}

/* ---- requests ---- */

static void a_chunked_request_is_framed_here(void **state)
{
	const struct http_header trailer = {.name = slice_of("X-Sum"), .value = slice_of("1")};
	struct bench *bench = begin(state);

	call(bench, "PUT", HTTP_LENGTH_UNKNOWN);
	http_call_send(bench->call, slice_of("hello"));
	http_call_send(bench->call, slice_of(""));
	http_call_finish(bench->call, &trailer, 1);
	expect_request(bench, 0,
		       "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		       "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
	answer(bench, 0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
			 "0\r\nX-A: b\r\n\r\n");
	expect_log(bench, "head:200,-1 body:hi trailer:b end ");
	assert_int_equal(http_origin_connections(bench->origin), 1);
}

static void output_beyond_the_mark_says_stop_and_then_go(void **state)
{
	struct bench *bench = begin(state);
	const size_t size = 8 * 1024 * 1024;
	char *body = calloc(1, size), sink[65536];
	size_t taken = 0;

	call(bench, "POST", (int64_t)size);
	assert_true(http_call_writable(bench->call));
	http_call_send(bench->call, slice_make(body, size));
	assert_false(http_call_writable(bench->call));
	settle(bench);
	while (taken < size) {
		turn(bench, TURN_NS);
		const ssize_t got = read(bench->upstreams[0], sink, sizeof(sink));
		taken += got > 0 ? (size_t)got : 0;
	}
	free(body);
	expect_log(bench, "writable ");
	http_call_finish(bench->call, NULL, 0);
	answer(bench, 0, ANSWER);
	expect_log(bench, "head:200,2 body:hi end ");
	assert_int_equal(http_origin_connections(bench->origin), 1);
}

/* ---- answers ---- */

static void an_answer_is_told_the_same_wherever_it_is_split(void **state)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0\r\n\r\n";
	struct bench *bench = begin(state);

	for (size_t split = 1; split < sizeof(text) - 1; split++) {
		call(bench, "GET", 0);
		settle(bench);
		send(bench->upstreams[0], text, split, MSG_NOSIGNAL);
		settle(bench);
		answer(bench, 0, text + split);
		settle(bench);
		assert_non_null(strstr(bench->log, "head:200,-1 "));
		assert_non_null(strstr(bench->log, "body:h "));
		assert_string_equal(bench->log + strlen(bench->log) - 4, "end ");
		bench->log[0] = '\0';
	}
	assert_int_equal(bench->upstream_count, 1);
}

static void an_answer_to_head_ends_with_its_head(void **state)
{
	struct bench *bench = begin(state);

	call(bench, "HEAD", 0);
	expect_request(bench, 0, "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
	answer(bench, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
	expect_log(bench, "head:200,2 end ");
	assert_int_equal(http_origin_connections(bench->origin), 1);
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
	struct bench *bench = begin(state);

	for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
		call(bench, "GET", 0);
		settle(bench);
		answer(bench, i, rows[i]);
		expect_log(bench, "failed:invalid ");
	}
	call(bench, "GET", 0);
	settle(bench);
	const int last = bench->upstream_count - 1;
	for (int i = 0; i < 17; i++)
		answer(bench, last, "HTTP/1.1 103 Early Hints\r\n\r\n");
	expect_log(bench, "failed:invalid ");
	assert_int_equal(http_origin_connections(bench->origin), 0);
}

static void a_paused_answer_waits_and_nothing_is_lost(void **state)
{
	struct bench *bench = begin(state);

	bench->pauses = true;
	call(bench, "GET", 0);
	settle(bench);
	answer(bench, 0, ANSWER);
	expect_log(bench, "head:200,2 more ");
	/* While paused nobody waits for the service. */
	advance(bench, 1000 * CLOCK_NS_PER_S);
	expect_log(bench, "");
	http_call_resume(bench->call);
	expect_log(bench, "body:hi end ");
	assert_int_equal(http_origin_connections(bench->origin), 1);
}

static void a_paused_answer_is_held_back_by_a_bound(void **state)
{
	struct bench *bench = begin(state);
	const size_t size = 32 * 1024 * 1024;
	char head[128], junk[65536] = {0};
	size_t sent = 0;

	bench->pauses = true;
	call(bench, "GET", 0);
	settle(bench);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
	answer(bench, 0, head);
	for (int quiet = 0; quiet < 20; quiet++) {
		const ssize_t length = send(bench->upstreams[0], junk, sizeof(junk), MSG_NOSIGNAL);
		if (length > 0) {
			sent += (size_t)length;
			quiet = 0;
		}
		turn(bench, 0);
	}
	/* The sockets' own buffers, some receive buffers, and what is kept. */
	assert_true(sent < size);
	assert_int_equal(bench->body_bytes, 0);
}

/* ---- failures ---- */

static void nobody_there_fails_as_connect(void **state)
{
	struct bench *bench = begin(state);

	close_listener(bench);
	call(bench, "GET", 0);
	assert_string_equal(bench->log, "");
	assert_false(http_call_sent_any(bench->call));
	expect_log(bench, "failed:connect ");
}

static void an_end_before_any_answer_is_stale_only_on_a_used_connection(void **state)
{
	struct bench *bench = begin(state);

	call(bench, "GET", 0);
	expect_request(bench, 0, REQUEST);
	assert_true(http_call_sent_any(bench->call));
	close_upstream(bench, 0);
	expect_log(bench, "failed:closed ");

	call(bench, "GET", 0);
	expect_request(bench, 1, REQUEST);
	answer(bench, 1, ANSWER);
	expect_log(bench, "head:200,2 body:hi end ");
	call(bench, "GET", 0);
	expect_request(bench, 1, REQUEST);
	close_upstream(bench, 1);
	expect_log(bench, "failed:stale ");
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
	struct bench *bench = begin(state);

	for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
		call(bench, "GET", 0);
		expect_request(bench, i, REQUEST);
		answer(bench, i, rows[i]);
		close_upstream(bench, i);
		settle(bench);
		assert_non_null(strstr(bench->log, "failed:closed "));
		bench->log[0] = '\0';
	}
}

static void silence_fails_as_timeout(void **state)
{
	struct bench *bench = begin(state);

	call(bench, "GET", 0);
	advance(bench, bench->limits.answer_timeout_ns - CLOCK_NS_PER_S);
	expect_log(bench, "");
	advance(bench, 2 * CLOCK_NS_PER_S);
	expect_log(bench, "failed:timeout ");

	call(bench, "GET", 0);
	settle(bench);
	answer(bench, 1, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
	advance(bench, bench->limits.body_idle_timeout_ns + CLOCK_NS_PER_S);
	expect_log(bench, "head:200,2 body:h more failed:timeout ");
}

static void a_cancelled_call_tells_nothing_more(void **state)
{
	struct bench *bench = begin(state);

	call(bench, "GET", 0);
	settle(bench);
	answer(bench, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
	http_call_cancel(bench->call);
	bench->call = NULL;
	expect_log(bench, "head:200,2 body:h more ");
	assert_int_equal(http_origin_connections(bench->origin), 0);
}

static void an_origin_is_freed_while_a_call_goes_on(void **state)
{
	struct bench *bench = begin(state);
	struct loop_address address;
	struct fault fault;

	call(bench, "GET", 0);
	settle(bench);
	http_origin_free(bench->origin);
	answer(bench, 0, ANSWER);
	expect_log(bench, "head:200,2 body:hi end ");
	assert_int_equal(loop_address_parse(slice_of("127.0.0.1:1"), &address, &fault), 0);
	bench->origin = http_origin_new(bench->client, &address);
}

#define both(function)                                                                             \
	{#function " (io_uring)", function, setup_uring, teardown, NULL},                          \
	{                                                                                          \
		#function " (epoll)", function, setup_epoll, teardown, NULL                        \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(a_connection_is_used_again_after_a_clean_answer),
		both(a_call_started_when_another_ends_takes_its_connection),
		both(answers_that_leave_doubt_end_the_connection),
		both(an_early_answer_is_whole_and_its_connection_is_not_kept),
		both(surplus_idle_connections_are_closed_and_the_rest_age_out),
		both(an_idle_connection_that_ends_or_speaks_is_not_used),
		both(a_chunked_request_is_framed_here),
		both(output_beyond_the_mark_says_stop_and_then_go),
		both(an_answer_is_told_the_same_wherever_it_is_split),
		both(an_answer_to_head_ends_with_its_head),
		both(invalid_answers_fail_the_call),
		both(a_paused_answer_waits_and_nothing_is_lost),
		both(a_paused_answer_is_held_back_by_a_bound),
		both(nobody_there_fails_as_connect),
		both(an_end_before_any_answer_is_stale_only_on_a_used_connection),
		both(an_end_within_an_answer_is_closed),
		both(silence_fails_as_timeout),
		both(a_cancelled_call_tells_nothing_more),
		both(an_origin_is_freed_while_a_call_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

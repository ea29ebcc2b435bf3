#include "http/h2_caller_internal.h"

#define END        H2_CALLER_END
#define GET(path)  ":method: GET\n:scheme: http\n:authority: a\n:path: " path
#define POST(path) ":method: POST\n:scheme: http\n:authority: a\n:path: " path
#define LATE(id)   "H" #id "[:status=200 content-length=4] D" #id "(late). "
#define REFUSED(s) ":status=" #s " content-type=application/problem+json content-length="

static struct h2_caller *begin(void **state)
{
	struct h2_caller *caller = h2_caller_begin(*state);

	h2_caller_greet(caller);
	return caller;
}

/* ---- beginning ---- */

static void a_preface_begins_http_2_wherever_it_is_split(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, 0, 1, POST("/echo"));
	h2_caller_data(caller, 0, 1, "abc");
	h2_caller_data(caller, END, 1, "de");
	const struct slice all = text_slice(&caller->said);
	char bytes[1024];
	assert_true(all.length < sizeof(bytes));
	memcpy(bytes, all.data, all.length);
	const size_t length = all.length;
	for (size_t split = 1; split < length; split++) {
		h2_caller_connect(caller);
		rig_send(caller->rig, bytes, split);
		rig_settle(caller->rig);
		rig_send(caller->rig, bytes + split, length - split);
		h2_caller_hear(caller);
		assert_int_equal(caller->data_bytes[1], 5);
		assert_non_null(memmem(caller->log.data, caller->log.length, ":status=200", 11));
	}
	h2_caller_end(caller);
}

static void what_only_begins_like_the_preface_is_http_1(void **state)
{
	struct rig *rig = *state;

	rig_serve(rig);
	rig_connect(rig);
	rig_send_text(rig, "P");
	rig_settle(rig);
	rig_send_text(rig, "OST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
	rig_expect(rig, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
	rig_send_text(rig, NGHTTP2_CLIENT_MAGIC); /* too late */
	rig_expect_contains(rig, "HTTP/1.1 505 ");
	rig_connect(rig);
	rig_send_text(rig, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
	rig_expect_contains(rig, "HTTP/1.1 505 ");
}

/* ---- exchanges ---- */

static void streams_carry_exchanges_of_their_own(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, END, 1, GET("/hold"));
	h2_caller_head(caller, 0, 3, POST("/echo"));
	h2_caller_head(caller, END, 5, GET("/late"));
	h2_caller_data(caller, 0, 3, "one");
	h2_caller_say(caller);
	h2_caller_expect(caller,
			 "H3[:status=200] H5[:status=200 content-length=4] D3(one) D5(late). ");
	struct http_exchange *held = caller->rig->held;
	assert_non_null(held);
	http_exchange_respond(held, 204, NULL, 0, 0);
	h2_caller_expect(caller, ""); /* without a body the head is the end */
	http_exchange_finish(held, NULL, 0);
	h2_caller_data(caller, 0, 3, "two");
	h2_caller_head(caller, END, 3, "x-sum: 6\nauthorization: none");
	h2_caller_say(caller);
	h2_caller_expect(caller, "H1[:status=204]. D3(two) H3[x-sum=6]. ");
	h2_caller_end(caller);
}

static void an_answer_to_head_has_no_body(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, END, 1, ":method: HEAD\n:scheme: http\n:authority: a\n:path: /late");
	h2_caller_say(caller);
	h2_caller_expect(caller, "H1[:status=200 content-length=4]. ");
	rig_expect_log(caller->rig, "request end over ");
	h2_caller_end(caller);
}

static void the_rest_of_a_request_is_not_wanted_after_its_answer(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, 0, 1, POST("/early"));
	h2_caller_say(caller);
	h2_caller_expect(caller, "H1[:status=403 content-length=5] D1(early). R1(0) ");
	h2_caller_data(caller, 0, 1, "more");
	h2_caller_head(caller, END, 3, GET("/late"));
	h2_caller_say(caller);
	h2_caller_expect(caller, LATE(3));
	h2_caller_end(caller);
}

static void an_answer_before_a_whole_contents_last_frame_resets_nothing(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, 0, 1, POST("/hold") "\ncontent-length: 4");
	h2_caller_data(caller, 0, 1, "more");
	h2_caller_say(caller);
	http_exchange_respond(caller->rig->held, 200, NULL, 0, 0);
	http_exchange_finish(caller->rig->held, NULL, 0);
	h2_caller_expect(caller, "H1[:status=200]. ");
	h2_caller_data(caller, END, 1, "");
	h2_caller_head(caller, END, 3, GET("/late"));
	h2_caller_say(caller);
	h2_caller_expect(caller, LATE(3));
	h2_caller_end(caller);
}

static void a_client_that_waits_is_told_to_go_on(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, 0, 1, POST("/hold") "\nexpect: 100-continue");
	h2_caller_say(caller);
	h2_caller_expect(caller, "");
	http_exchange_resume(caller->rig->held);
	h2_caller_expect(caller, "H1[:status=100] ");
	h2_caller_data(caller, END, 1, "abc");
	h2_caller_say(caller);
	assert_int_equal(caller->rig->body_bytes, 3);
	rig_expect_log(caller->rig, "request end ");
	h2_caller_end(caller);
}

static void a_request_of_no_length_may_end_after_its_answer(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, 0, 1, POST("/late") "\ncontent-length: 0");
	h2_caller_say(caller);
	h2_caller_expect(caller, LATE(1));
	rig_expect_log(caller->rig, "request end over ");
	h2_caller_data(caller, END, 1, "");
	h2_caller_head(caller, END, 3, GET("/late"));
	h2_caller_say(caller);
	h2_caller_expect(caller, LATE(3));
	h2_caller_end(caller);
}

/* ---- strictness ---- */

static void what_http_1_would_refuse_is_refused(void **state)
{
	static const struct {
		const char *fields, *answer;
	} rows[] = {
		{":method: GET\n:scheme: http\n:path: /x", "R1(1) "},
		{GET("/x") "\nhost: b", "H1[" REFUSED(400)},
		{":method: GET\n:scheme: http\n:authority: u@a\n:path: /x", "H1[" REFUSED(400)},
		{":method: FETCH\n:scheme: http\n:authority: a\n:path: /x", "H1[" REFUSED(501)},
		{":method: CONNECT\n:authority: a", "H1[" REFUSED(501)},
		{":method: GET\n:scheme: ftp\n:authority: a\n:path: /x", "H1[" REFUSED(400)},
		{GET("/x y"), "R1(1) "},
		{GET("/x#y"), "H1[" REFUSED(400)},
		{GET("x"), "R1(1) "},
		{GET("http://b/"), "R1(1) "},
		{GET("*"), "R1(1) "},
		{GET("/x") "\nexpect: something", "H1[" REFUSED(417)},
		{POST("/x") "\ncontent-length: 99999999999", "H1[" REFUSED(413)},
		{POST("/x") "\ncontent-length: 1\ncontent-length: 1", "R1(1) "},
		{POST("/x") "\ncontent-length: +1", "R1(1) "},
		{GET("/x") "\ntransfer-encoding: chunked", "R1(1) "},
		{GET("/x") "\nconnection: close", "R1(1) "},
		{GET("/x") "\nupgrade: x", "R1(1) "},
		{GET("/x") "\nte: gzip", "R1(1) "},
		{GET("/x") "\nUpper: x", "R1(1) "},
		{GET("/x") "\nsp ace: x", "R1(1) "},
		{GET("/x") "\nx: a\rb", "R1(1) "},
		{GET("/x") "\nx: a\x01"
			   "b",
		 "R1(1) "},
		{GET("/x") "\n:path: /y", "R1(1) "},
		{GET("/x") "\nx: y\n:method: GET", "R1(1) "},
		{GET("/x") "\n:status: 200", "R1(1) "},
		{":scheme: http\n:authority: a\n:path: /x", "R1(1) "},
		{":method: G\rT\n:scheme: http\n:authority: a\n:path: /x", "R1(1) "},
	};
	struct h2_caller *caller = h2_caller_begin(*state);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		h2_caller_connect(caller);
		h2_caller_greet(caller);
		h2_caller_head(caller, 0, 1, rows[i].fields);
		h2_caller_head(caller, END, 3, GET("/late")); /* the connection goes on */
		h2_caller_say(caller);
		text_append_text(&caller->log, "");
		if (memmem(caller->log.data, caller->log.length, rows[i].answer,
			   strlen(rows[i].answer)) == NULL ||
		    strstr(caller->log.data, "D3(late). ") == NULL)
			fail_msg("%s: %s", rows[i].fields, caller->log.data);
		rig_expect_log(caller->rig, "request end over ");
	}
	h2_caller_end(caller);
}

static void fields_beyond_the_limits_are_refused(void **state)
{
	struct rig *rig = *state;
	char fields[8192];

	rig->limits.head_bytes_max = 2000;
	rig->limits.target_bytes_max = 100;
	struct h2_caller *caller = h2_caller_begin(rig);
	h2_caller_greet(caller);
	snprintf(fields, sizeof(fields), GET("/%0200d"), 0);
	h2_caller_head(caller, END, 1, fields);
	snprintf(fields, sizeof(fields), GET("/x") "\nx: %02000d", 0);
	h2_caller_head(caller, END, 3, fields);
	int length = snprintf(fields, sizeof(fields), GET("/x"));
	for (int i = 0; i < 101; i++)
		length += snprintf(fields + length, sizeof(fields) - (size_t)length, "\na: b");
	h2_caller_head(caller, END, 5, fields);
	snprintf(fields, sizeof(fields), GET("/x") "\na: %04000d\nb: %04000d", 0, 0);
	h2_caller_head(caller, END, 7, fields);
	h2_caller_say(caller);
	text_append_text(&caller->log, "");
	assert_non_null(strstr(caller->log.data, "H1[" REFUSED(414)));
	assert_non_null(strstr(caller->log.data, "H3[" REFUSED(431)));
	assert_non_null(strstr(caller->log.data, "H5[" REFUSED(431)));
	assert_non_null(strstr(caller->log.data, "R7("));
	rig_expect_log(rig, "");
	h2_caller_end(caller);
}

static void crumbs_of_cookies_become_one_field(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, END, 1,
		       GET("/cookie") "\ncookie: a=1\nx: y\ncookie: b=2\ncookie: c=3\nz: w");
	h2_caller_say(caller);
	h2_caller_expect(caller, "H1[:status=200] D1(a=1; b=2; c=3). ");
	h2_caller_end(caller);
}

/* ---- tunnels ---- */

static void an_extended_connect_is_an_upgrade(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, 0, 1,
		       ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:authority: a\n"
		       ":path: /hold\nsec-websocket-version: 13");
	h2_caller_data(caller, 0, 1, "early");
	h2_caller_say(caller);
	h2_caller_expect(caller, "");
	rig_expect_log(caller->rig, "request end ");
	assert_int_equal(caller->rig->body_bytes, 0);
	const struct http_header fields[] = {
		{.name = slice_of("Sec-WebSocket-Accept"),
		 .value = slice_of("x"),
		 .known = HTTP_WEBSOCKET_ACCEPT},
		{.name = slice_of("Sec-WebSocket-Protocol"), .value = slice_of("chat")},
	};
	http_exchange_switch(caller->rig->held, slice_of("websocket"), fields, 2);
	http_exchange_send(caller->rig->held, slice_of("hello"));
	h2_caller_expect(caller, "H1[:status=200 sec-websocket-protocol=chat] D1(hello) ");
	assert_int_equal(caller->rig->body_bytes, 5);
	h2_caller_data(caller, END, 1, "more");
	h2_caller_say(caller);
	assert_int_equal(caller->rig->body_bytes, 9);
	rig_expect_log(caller->rig, "end ");
	http_exchange_finish(caller->rig->held, NULL, 0);
	h2_caller_expect(caller, "D1(). ");
	rig_expect_log(caller->rig, "over ");
	h2_caller_end(caller);
}

static void a_tunnel_that_the_service_ends_takes_nothing_more(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, 0, 1,
		       ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:authority: a\n"
		       ":path: /hold");
	h2_caller_say(caller);
	http_exchange_switch(caller->rig->held, slice_of("websocket"), NULL, 0);
	http_exchange_finish(caller->rig->held, NULL, 0);
	h2_caller_expect(caller, "H1[:status=200] D1(). R1(0) ");
	rig_expect_log(caller->rig, "request end over ");
	h2_caller_end(caller);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(a_preface_begins_http_2_wherever_it_is_split),
		rig_test(what_only_begins_like_the_preface_is_http_1),
		rig_test(streams_carry_exchanges_of_their_own),
		rig_test(an_answer_to_head_has_no_body),
		rig_test(the_rest_of_a_request_is_not_wanted_after_its_answer),
		rig_test(an_answer_before_a_whole_contents_last_frame_resets_nothing),
		rig_test(a_client_that_waits_is_told_to_go_on),
		rig_test(a_request_of_no_length_may_end_after_its_answer),
		rig_test(what_http_1_would_refuse_is_refused),
		rig_test(fields_beyond_the_limits_are_refused),
		rig_test(crumbs_of_cookies_become_one_field),
		rig_test(an_extended_connect_is_an_upgrade),
		rig_test(a_tunnel_that_the_service_ends_takes_nothing_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

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

/* ---- windows ---- */

static void a_paused_exchange_closes_its_own_window(void **state)
{
	static char piece[16384];
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, 0, 1, POST("/hold"));
	h2_caller_say(caller);
	struct http_exchange *held = caller->rig->held;
	http_exchange_pause(held);
	for (int i = 0; i < 8; i++)
		h2_caller_frame(caller, NGHTTP2_DATA, 0, 1, piece, sizeof(piece));
	h2_caller_say(caller);
	assert_int_equal(caller->stream_bytes[1], 0);
	assert_int_equal(caller->rig->body_bytes, 0);
	h2_caller_head(caller, 0, 3, POST("/echo"));
	h2_caller_data(caller, END, 3, "other");
	h2_caller_say(caller);
	h2_caller_expect(caller, "H3[:status=200] D3(other). ");
	http_exchange_resume(held);
	h2_caller_hear(caller);
	assert_int_equal(caller->rig->body_bytes, 8 * sizeof(piece) + 5);
	assert_in_range(caller->stream_bytes[1], 4 * sizeof(piece), 8 * sizeof(piece));
	h2_caller_frame(caller, NGHTTP2_DATA, END, 1, piece, 1);
	h2_caller_say(caller);
	rig_expect_log(caller->rig, "request request end over end ");
	h2_caller_end(caller);
}

/* 65535 bytes of each stream fit its window, but not all of them the connection's. */
static void answers_wait_for_the_clients_windows_in_turns(void **state)
{
	static char bytes[100000];
	struct h2_caller *caller = begin(state);
	struct http_exchange *held[2];

	for (uint32_t i = 0; i < 2; i++) {
		h2_caller_head(caller, END, 1 + 2 * i, GET("/hold"));
		h2_caller_say(caller);
		held[i] = caller->rig->held;
		http_exchange_respond(held[i], 200, NULL, 0, 300000);
		http_exchange_send(held[i], slice_make(bytes, sizeof(bytes)));
		assert_true(http_exchange_writable(held[i]));
		http_exchange_send(held[i], slice_make(bytes, sizeof(bytes)));
		http_exchange_send(held[i], slice_make(bytes, sizeof(bytes)));
		assert_false(http_exchange_writable(held[i]));
		http_exchange_finish(held[i], NULL, 0);
	}
	h2_caller_hear(caller);
	assert_int_equal(caller->data_bytes[1] + caller->data_bytes[3], 65535);
	h2_caller_number(caller, NGHTTP2_WINDOW_UPDATE, 0, 100000);
	h2_caller_number(caller, NGHTTP2_WINDOW_UPDATE, 1, 1000000);
	h2_caller_number(caller, NGHTTP2_WINDOW_UPDATE, 3, 1000000);
	h2_caller_say(caller);
	assert_int_equal(caller->data_bytes[1] + caller->data_bytes[3], 165535);
	assert_in_range(caller->data_bytes[1], 60000, 120000);
	h2_caller_number(caller, NGHTTP2_WINDOW_UPDATE, 0, 1000000);
	h2_caller_say(caller);
	assert_int_equal(caller->data_bytes[1], 300000);
	assert_int_equal(caller->data_bytes[3], 300000);
	rig_expect_log(caller->rig, "request end request end over over ");
	h2_caller_end(caller);
}

/* ---- resets ---- */

static void a_stream_that_is_reset_ends_its_exchange_alone(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, END, 1, GET("/hold"));
	h2_caller_head(caller, 0, 3, POST("/echo"));
	h2_caller_number(caller, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
	h2_caller_data(caller, END, 3, "hi");
	h2_caller_say(caller);
	h2_caller_expect(caller, "H3[:status=200] D3(hi). ");
	rig_expect_log(caller->rig, "request end request abort:closed end over over ");
	h2_caller_end(caller);
}

static void an_exchange_that_aborts_resets_its_stream_alone(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, END, 1, GET("/hold"));
	h2_caller_say(caller);
	http_exchange_respond(caller->rig->held, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
	http_exchange_send(caller->rig->held, slice_of("so far"));
	http_exchange_abort(caller->rig->held);
	h2_caller_expect(caller, "H1[:status=200] D1(so far) R1(2) ");
	rig_expect_log(caller->rig, "request end over ");
	h2_caller_head(caller, END, 3, GET("/late"));
	h2_caller_say(caller);
	h2_caller_expect(caller, LATE(3));
	h2_caller_end(caller);
}

static void a_body_that_is_not_as_long_as_announced_is_reset(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, 0, 1, POST("/hold") "\ncontent-length: 5");
	h2_caller_data(caller, END, 1, "1234");
	h2_caller_head(caller, 0, 3, POST("/hold") "\ncontent-length: 5");
	h2_caller_data(caller, 0, 3, "123456");
	h2_caller_say(caller);
	h2_caller_expect(caller, "R1(1) R3(1) ");
	rig_expect_log(caller->rig, "request request abort:invalid abort:invalid over over ");
	h2_caller_end(caller);
}

static void a_body_beyond_the_limit_is_refused(void **state)
{
	struct rig *rig = *state;

	rig->limits.body_bytes_max = 4;
	struct h2_caller *caller = h2_caller_begin(rig);
	h2_caller_greet(caller);
	h2_caller_head(caller, 0, 1, POST("/hold"));
	h2_caller_data(caller, 0, 1, "1234");
	h2_caller_data(caller, 0, 1, "5");
	h2_caller_say(caller);
	text_append_text(&caller->log, "");
	assert_non_null(strstr(caller->log.data, "H1[" REFUSED(413)));
	assert_non_null(strstr(caller->log.data, "R1(0) "));
	rig_expect_log(rig, "request abort:invalid over ");
	h2_caller_end(caller);
}

/* ---- floods ---- */

static void resetting_streams_rapidly_ends_the_connection(void **state)
{
	struct h2_caller *caller = begin(state);
	uint32_t id = 1;

	for (; id < 2 * 501; id += 2) {
		h2_caller_head(caller, END, id, GET("/hold"));
		h2_caller_number(caller, NGHTTP2_RST_STREAM, id, NGHTTP2_NO_ERROR);
		if (id % 100 == 99)
			h2_caller_say(caller);
	}
	h2_caller_say(caller);
	h2_caller_hear(caller);
	text_append_text(&caller->log, "");
	assert_non_null(strstr(caller->log.data, "(11) "));
	rig_expect_ended(caller->rig, true);
	h2_caller_end(caller);
}

static void frames_that_move_nothing_end_the_connection(void **state)
{
	static const struct {
		uint8_t type, flags;
		size_t length;
	} rows[] = {
		{NGHTTP2_PING, 0, 8},
		{NGHTTP2_SETTINGS, 0, 0},
		{NGHTTP2_PRIORITY, 0, 5},
		{NGHTTP2_DATA, 0, 0},
		{200, 0, 3},
	};
	struct h2_caller *caller = h2_caller_begin(*state);

	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		h2_caller_connect(caller);
		h2_caller_greet(caller);
		h2_caller_head(caller, 0, 1, POST("/hold"));
		h2_caller_say(caller);
		h2_caller_expect(caller, "");
		for (int i = 0; i < 6000; i++) {
			h2_caller_frame(caller, rows[row].type, rows[row].flags,
					rows[row].type == NGHTTP2_DATA ||
							rows[row].type == NGHTTP2_PRIORITY
						? 1
						: 0,
					"\0\0\0\0\0\0\0\0", rows[row].length);
			if (i % 10 == 0)
				h2_caller_say(caller);
		}
		h2_caller_say(caller);
		text_append_text(&caller->log, "");
		if (strstr(caller->log.data, "(11) ") == NULL)
			fail_msg("%u: %s", rows[row].type, caller->log.data);
		rig_expect_ended(caller->rig, true);
		rig_expect_log(caller->rig, "request abort:invalid over ");
	}
	h2_caller_end(caller);
}

static void a_head_that_does_not_end_ends_the_connection(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_block(caller, NGHTTP2_HEADERS, END, 1, GET("/x"));
	for (int i = 0; i < 20; i++)
		h2_caller_block(caller, NGHTTP2_CONTINUATION, 0, 1, "a: b");
	h2_caller_say(caller);
	h2_caller_hear(caller);
	rig_expect_ended(caller->rig, true);
	rig_expect_log(caller->rig, "");
	h2_caller_end(caller);
}

static void more_streams_than_allowed_end_the_connection(void **state)
{
	struct h2_caller *caller = begin(state);
	uint32_t id = 1;

	for (; id <= 2 * 100; id += 2)
		h2_caller_head(caller, 0, id, POST("/hold"));
	h2_caller_head(caller, 0, id, POST("/hold"));
	h2_caller_say(caller);
	h2_caller_expect(caller, "G199(1) ");
	rig_expect_ended(caller->rig, true);
	h2_caller_end(caller);
}

/* ---- time ---- */

static void a_client_that_is_slow_loses_its_stream_or_its_connection(void **state)
{
	struct rig *rig = *state;

	struct h2_caller *caller = h2_caller_begin(rig);
	h2_caller_greet(caller);
	h2_caller_head(caller, 0, 1, POST("/hold"));
	h2_caller_say(caller);
	rig_advance(rig, rig->limits.body_idle_timeout_ns);
	h2_caller_hear(caller);
	text_append_text(&caller->log, "");
	assert_non_null(strstr(caller->log.data, "H1[" REFUSED(408)));
	rig_expect_log(rig, "request abort:timeout over ");
	text_clear(&caller->log);

	h2_caller_setting(caller, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
	h2_caller_head(caller, END, 3, GET("/late"));
	h2_caller_say(caller);
	h2_caller_expect(caller, "H3[:status=200 content-length=4] ");
	rig_advance(rig, rig->limits.send_idle_timeout_ns);
	h2_caller_expect(caller, "R3(8) ");
	rig_expect_log(rig, "request end abort:timeout over ");

	h2_caller_block(caller, NGHTTP2_HEADERS, END, 5, GET("/x"));
	h2_caller_say(caller);
	rig_advance(rig, rig->limits.head_timeout_ns);
	h2_caller_expect(caller, "G5(11) ");
	rig_expect_ended(rig, true);
	h2_caller_end(caller);
}

static void an_idle_connection_is_told_to_go(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, END, 1, GET("/late"));
	h2_caller_say(caller);
	h2_caller_expect(caller, LATE(1));
	rig_advance(caller->rig, caller->rig->limits.keep_alive_timeout_ns);
	h2_caller_expect(caller, "G1(0) ");
	rig_expect_ended(caller->rig, true);
	h2_caller_end(caller);
}

/* ---- the end ---- */

static void note_drained(void *owner)
{
	((struct rig *)owner)->drained = true;
}

static void draining_answers_what_was_sent_before_the_client_knew(void **state)
{
	struct h2_caller *caller = begin(state);
	struct rig *rig = caller->rig;

	h2_caller_head(caller, END, 1, GET("/hold"));
	h2_caller_say(caller);
	http_server_drain(rig->server, 1000000000, note_drained);
	h2_caller_expect(caller, "G2147483647(0) P ");
	h2_caller_head(caller, END, 3, GET("/late"));
	h2_caller_frame(caller, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
	h2_caller_say(caller);
	h2_caller_expect(caller, "H3[:status=200 content-length=4] G3(0) D3(late). ");
	h2_caller_head(caller, END, 5, GET("/late"));
	h2_caller_say(caller);
	h2_caller_expect(caller, "");
	assert_false(rig->drained);
	http_exchange_respond(rig->held, 204, NULL, 0, 0);
	http_exchange_finish(rig->held, NULL, 0);
	h2_caller_expect(caller, "H1[:status=204]. ");
	rig_expect_ended(rig, true);
	close(rig->raw);
	rig->raw = -1;
	rig_settle(rig);
	assert_true(rig->drained);
	h2_caller_end(caller);
}

static void a_connection_that_breaks_ends_all_exchanges(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, END, 1, GET("/hold"));
	h2_caller_head(caller, 0, 3, POST("/hold"));
	h2_caller_data(caller, 0, 0, "data of no stream");
	h2_caller_say(caller);
	h2_caller_expect(caller, "G3(1) ");
	rig_expect_ended(caller->rig, true);
	rig_expect_log(caller->rig, "request end request abort:invalid abort:invalid over over ");
	h2_caller_end(caller);
}

static void closing_the_server_ends_all_exchanges(void **state)
{
	struct h2_caller *caller = begin(state);

	h2_caller_head(caller, END, 1, GET("/hold"));
	h2_caller_head(caller, 0, 3, POST("/hold"));
	h2_caller_say(caller);
	http_server_close(caller->rig->server);
	rig_expect_ended(caller->rig, true);
	rig_expect_log(caller->rig, "request end request abort:shutdown abort:shutdown over over ");
	h2_caller_end(caller);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(a_paused_exchange_closes_its_own_window),
		rig_test(answers_wait_for_the_clients_windows_in_turns),
		rig_test(a_stream_that_is_reset_ends_its_exchange_alone),
		rig_test(an_exchange_that_aborts_resets_its_stream_alone),
		rig_test(a_body_that_is_not_as_long_as_announced_is_reset),
		rig_test(a_body_beyond_the_limit_is_refused),
		rig_test(resetting_streams_rapidly_ends_the_connection),
		rig_test(frames_that_move_nothing_end_the_connection),
		rig_test(a_head_that_does_not_end_ends_the_connection),
		rig_test(more_streams_than_allowed_end_the_connection),
		rig_test(a_client_that_is_slow_loses_its_stream_or_its_connection),
		rig_test(an_idle_connection_is_told_to_go),
		rig_test(draining_answers_what_was_sent_before_the_client_knew),
		rig_test(a_connection_that_breaks_ends_all_exchanges),
		rig_test(closing_the_server_ends_all_exchanges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

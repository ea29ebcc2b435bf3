#include "http/h2_service_internal.h"

/* What goes wrong: with a call, with the connection, with the service. */

/* A call on a connection that has answered one before. */
static struct h2_service *begin_with_second_call(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	client_rig_call(service->rig, "GET", 0);
	h2_service_expect(service, 0, H2_GET(3));
	return service;
}

/* ---- one call ---- */

static void a_cancelled_call_is_reset_and_the_connection_lives_on(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig_caller other;

	client_rig_call_of(&other, service->rig, "other.", "GET", 0);
	h2_service_expect(service, 0, H2_GET(3));
	client_rig_cancel(&service->rig->caller);
	h2_service_expect(service, 0, "R1(8) ");
	/* What was on its way is nobody's. */
	h2_service_head(service, 0, 1, H2_OK);
	h2_service_data(service, H2_END, 1, "late");
	h2_service_answer(service, 0, 3);
	client_rig_expect_log(service->rig, "other.head:200,-1 other.body:hi other.end ");
	assert_int_equal(http_origin_connections(service->rig->origin), 1);
	h2_service_end(service);
}

static void a_call_cancelled_before_it_left_says_nothing(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig_caller other;

	client_rig_call_of(&other, service->rig, "other.", "GET", 0);
	client_rig_cancel(&other);
	h2_service_expect(service, 0, "");
	h2_service_answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	h2_service_end(service);
}

static void a_reset_of_the_service_fails_the_call(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_number(service, NGHTTP2_RST_STREAM, 1, NGHTTP2_INTERNAL_ERROR);
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "failed:closed ");
	client_rig_call(service->rig, "GET", 0);
	h2_service_expect(service, 0, H2_GET(3));
	h2_service_head(service, 0, 3, H2_OK);
	h2_service_number(service, NGHTTP2_RST_STREAM, 3, NGHTTP2_NO_ERROR);
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "head:200,-1 failed:closed ");
	assert_int_equal(http_origin_connections(service->rig->origin), 1);
	h2_service_end(service);
}

static void a_refused_call_is_told_so_unless_it_was_answered(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_number(service, NGHTTP2_RST_STREAM, 1, NGHTTP2_REFUSED_STREAM);
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "failed:refused ");
	client_rig_call(service->rig, "GET", 0);
	client_rig_settle(service->rig);
	h2_service_head(service, 0, 3, ":status: 103");
	h2_service_number(service, NGHTTP2_RST_STREAM, 3, NGHTTP2_REFUSED_STREAM);
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "failed:closed ");
	h2_service_end(service);
}

static void silence_fails_as_timeout_and_its_connection_takes_no_more_calls(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig *rig = service->rig;
	struct client_rig_caller other;

	/* It has spoken since: only the call was in vain. */
	client_rig_advance(rig, CLOCK_NS_PER_S);
	h2_service_frame(service, NGHTTP2_PING, 0, 0, slice_of("12345678"));
	h2_service_say(service, 0);
	client_rig_advance(rig, rig->limits.answer_timeout_ns - 2 * CLOCK_NS_PER_S);
	client_rig_expect_log(rig, "");
	client_rig_advance(rig, 2 * CLOCK_NS_PER_S);
	client_rig_expect_log(rig, "failed:timeout ");
	h2_service_expect(service, 0, "R1(8) ");
	assert_int_equal(service->peers[0].ping_acks, 1);

	client_rig_call(rig, "GET", 0);
	h2_service_expect(service, 0, H2_GET(3));
	client_rig_call_of(&other, rig, "other.", "GET", 0);
	h2_service_expect(service, 0, H2_GET(5));
	client_rig_advance(rig, rig->limits.answer_timeout_ns + CLOCK_NS_PER_S);
	client_rig_settle(rig);
	assert_non_null(strstr(rig->log, "other.failed:timeout "));
	rig->log[0] = '\0';
	assert_int_equal(http_origin_connections(rig->origin), 0);
	client_rig_call(rig, "GET", 0);
	h2_service_expect(service, 1, H2_GET(1));
	h2_service_end(service);
}

static void a_pause_within_an_answer_fails_as_timeout(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_head(service, 0, 1, H2_OK);
	h2_service_data(service, 0, 1, "h");
	h2_service_say(service, 0);
	client_rig_advance(service->rig,
			   service->rig->limits.body_idle_timeout_ns + CLOCK_NS_PER_S);
	client_rig_expect_log(service->rig, "head:200,-1 body:h more failed:timeout ");
	h2_service_expect(service, 0, "R1(8) ");
	h2_service_end(service);
}

static void a_request_that_the_service_does_not_take_fails_as_timeout(void **state)
{
	const size_t size = 70 * 1024;
	char *body = calloc(1, size);
	struct h2_service *service = h2_service_begin(state);
	struct client_rig *rig = service->rig;

	client_rig_call(rig, "POST", HTTP_LENGTH_UNKNOWN);
	http_call_send(rig->call, slice_make(body, size));
	free(body);
	h2_service_greet(service);
	h2_service_say(service, 0);
	client_rig_advance(rig, rig->limits.send_idle_timeout_ns - CLOCK_NS_PER_S);
	client_rig_expect_log(rig, "writable ");
	client_rig_advance(rig, 2 * CLOCK_NS_PER_S);
	client_rig_expect_log(rig, "failed:timeout ");
	h2_service_end(service);
}

/* ---- the connection ---- */

static void nobody_there_fails_as_connect(void **state)
{
	struct h2_service *service = h2_service_begin(state);
	struct client_rig_caller other;

	client_rig_close_listener(service->rig);
	client_rig_call(service->rig, "GET", 0);
	client_rig_call_of(&other, service->rig, "", "GET", 0);
	assert_string_equal(service->rig->log, "");
	assert_false(http_call_sent_any(service->rig->call));
	client_rig_expect_log(service->rig, "failed:connect failed:connect ");
	h2_service_end(service);
}

static void an_end_before_any_answer_is_stale_only_on_a_connection_that_was_idle(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	client_rig_close_upstream(service->rig, 0);
	client_rig_expect_log(service->rig, "failed:closed ");
	h2_service_end(service);
}

static void an_end_after_silence_on_a_connection_that_was_idle_is_stale(void **state)
{
	struct h2_service *service = begin_with_second_call(state);

	client_rig_close_upstream(service->rig, 0);
	client_rig_expect_log(service->rig, "failed:stale ");
	h2_service_end(service);
}

static void an_end_within_an_answer_is_closed(void **state)
{
	struct h2_service *service = begin_with_second_call(state);

	h2_service_head(service, 0, 3, H2_OK);
	h2_service_say(service, 0);
	client_rig_close_upstream(service->rig, 0);
	client_rig_expect_log(service->rig, "head:200,-1 more failed:closed ");
	assert_int_equal(http_origin_connections(service->rig->origin), 0);
	h2_service_end(service);
}

static void a_leaving_service_ends_what_it_began_and_refuses_the_rest(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig *rig = service->rig;
	struct client_rig_caller other, later;

	client_rig_call_of(&other, rig, "other.", "GET", 0);
	h2_service_expect(service, 0, H2_GET(3));
	h2_service_goaway(service, 1, NGHTTP2_NO_ERROR);
	h2_service_say(service, 0);
	client_rig_expect_log(rig, "other.failed:refused ");
	client_rig_call_of(&later, rig, "later.", "GET", 0);
	h2_service_expect(service, 1, H2_GET(1));
	h2_service_answer(service, 0, 1);
	client_rig_expect_log(rig, "head:200,-1 body:hi end ");
	h2_service_greet(service);
	h2_service_answer(service, 1, 1);
	client_rig_expect_log(rig, "later.head:200,-1 later.body:hi later.end ");
	assert_int_equal(http_origin_connections(rig->origin), 1);
	h2_service_end(service);
}

static void an_idle_connection_that_is_told_to_leave_is_closed(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_answer(service, 0, 1);
	h2_service_goaway(service, 1, NGHTTP2_NO_ERROR);
	h2_service_say(service, 0);
	assert_int_equal(http_origin_connections(service->rig->origin), 0);
	h2_service_end(service);
}

/* ---- a service that does not keep to the protocol ---- */

static void what_is_not_http_2_fails_the_calls_and_ends_the_connection(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} rows[] = {
#define ROW(text) {text, sizeof(text) - 1}
		ROW("HTTP/1.1 200 H2_OK\r\nContent-Length: 0\r\n\r\n"),
		ROW("\0\0\0\6\0\0\0\0\0"),       /* PING first */
		ROW("\377\377\377\4\0\0\0\0\0"), /* too long */
		ROW("\0\0\1\4\0\0\0\0\0x"),      /* no sixth */
		ROW("\0\0\0\4\0\0\0\0\0"
		    "\0\0\0\0\1\0\0\0\0"), /* DATA of stream 0 */
		ROW("\0\0\0\4\0\0\0\0\0"
		    "\0\0\0\1\4\0\0\0\2"), /* HEADERS of its own */
		ROW("\0\0\0\4\0\0\0\0\0"
		    "\0\0\0\1\4\0\0\0\7"), /* of a call to come */
		ROW("\0\0\0\4\0\0\0\0\0"
		    "\0\0\0\0\0\0\0\0\7x"), /* DATA of one */
		ROW("\0\0\0\4\0\0\0\0\0"
		    "\0\0\1\1\4\0\0\0\1\377"), /* a broken index */
		ROW("\0\0\0\4\0\0\0\0\0"
		    "\0\0\0\11\4\0\0\0\1"), /* CONTINUATION alone */
		ROW("\0\0\0\4\0\0\0\0\0"
		    "\0\0\6\5\4\0\0\0\1\0\0\0\2\202\204"), /* a push */
		ROW("\0\0\0\4\0\0\0\0\0"
		    "\0\0\4\10\0\0\0\0\0\0\0\0\0"), /* a window of 0 */
		ROW("\0\0\0\4\0\0\0\0\0"
		    "\0\0\4\10\0\0\0\0\0\177\377\377\377"),
		ROW("\0\0\6\4\0\0\0\0\0\0\5\0\0\0\1"), /* frames of one byte */
#undef ROW
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct h2_service *service = h2_service_begin(state);
		struct client_rig *rig = service->rig;
		struct client_rig_caller other;

		client_rig_call(rig, "GET", 0);
		client_rig_call_of(&other, rig, "", "GET", 0);
		client_rig_settle(rig);
		client_rig_answer_bytes(rig, 0, slice_make(rows[i].bytes, rows[i].length));
		client_rig_settle(rig);
		if (strcmp(rig->log, "failed:invalid failed:invalid ") != 0)
			fail_msg("row %zu: %s", i, rig->log);
		assert_int_equal(http_origin_connections(rig->origin), 0);
		h2_service_end(service);
		client_rig_again(state);
	}
}

static void its_goaway_tells_the_service_what_was_wrong(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	client_rig_call(service->rig, "GET", 0);
	h2_service_expect(service, 0, H2_GET(1));
	h2_service_greet(service);
	h2_service_data(service, 0, 0, "of no stream");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "failed:invalid ");
	h2_service_expect(service, 0, "G(1) ");
	h2_service_end(service);
}

/* ---- floods ---- */

static void flood_of(struct h2_service *service, int frames, uint8_t type, uint32_t id,
		     struct slice payload)
{
	for (int i = 0; i < frames; i++)
		h2_service_frame(service, type, 0, id, payload);
	h2_service_say(service, 0);
	client_rig_settle(service->rig);
	assert_non_null(strstr(service->rig->log, "failed:invalid "));
	assert_int_equal(http_origin_connections(service->rig->origin), 0);
	h2_service_end(service);
}

static void a_flood_of_pings_ends_the_connection(void **state)
{
	flood_of(h2_service_begin_with_call(state), 1100, NGHTTP2_PING, 0, slice_of("12345678"));
}

static void a_flood_of_settings_ends_the_connection(void **state)
{
	flood_of(h2_service_begin_with_call(state), 1100, NGHTTP2_SETTINGS, 0, slice_of(""));
}

static void a_flood_of_empty_content_ends_the_connection(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_head(service, 0, 1, H2_OK);
	flood_of(service, 1100, NGHTTP2_DATA, 1, slice_of(""));
}

static void a_flood_of_windows_ends_the_connection(void **state)
{
	flood_of(h2_service_begin_with_call(state), 1100, NGHTTP2_WINDOW_UPDATE, 0,
		 slice_make("\0\0\0\1", 4));
}

static void a_flood_of_unknown_frames_ends_the_connection(void **state)
{
	flood_of(h2_service_begin_with_call(state), 40000, 0xfa, 0, slice_of("x"));
}

static void a_flood_of_continuations_ends_the_connection(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_frame(service, NGHTTP2_HEADERS, 0, 1, slice_of("\210"));
	flood_of(service, 100, NGHTTP2_CONTINUATION, 1, slice_of(""));
}

static void many_short_answers_with_trailers_are_no_flood(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig *rig = service->rig;
	char heard[80];

	for (uint32_t id = 1; id < 3000; id += 2) {
		h2_service_head(service, 0, id, H2_OK);
		h2_service_head(service, H2_END, id, "sum: 1");
		h2_service_send(service, 0);
		client_rig_expect_log_soon(rig, "head:200,-1 trailer:1 end ");
		client_rig_call(rig, "GET", 0);
		snprintf(heard, sizeof(heard),
			 "H%u[:method=GET :scheme=http :authority=a :path=/x]. ", id + 2);
		h2_service_expect_soon(service, 0, heard);
	}
	client_rig_expect_log(rig, "");
	assert_int_equal(rig->upstream_count, 1);
	h2_service_end(service);
}

static void small_pieces_of_content_are_no_flood(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig *rig = service->rig;

	h2_service_head(service, 0, 1, H2_OK);
	for (int i = 0; i < 10000; i++) {
		h2_service_data(service, 0, 1, "x");
		if (i % 100 == 99) {
			h2_service_say(service, 0);
			rig->log[0] = '\0';
		}
	}
	h2_service_data(service, H2_END, 1, "x");
	h2_service_say(service, 0);
	client_rig_expect_log(rig, "body:x end ");
	assert_int_equal(rig->body_bytes, 10001);
	h2_service_end(service);
}

static void windows_for_what_was_sent_are_no_flood(void **state)
{
	struct h2_service *service = h2_service_begin(state);
	struct client_rig *rig = service->rig;

	client_rig_call(rig, "POST", HTTP_LENGTH_UNKNOWN);
	h2_service_greet(service);
	h2_service_say(service, 0);
	for (int i = 0; i < 2000; i++) {
		http_call_send(rig->call, slice_of("x"));
		client_rig_turn(rig, 0);
		h2_service_number(service, NGHTTP2_WINDOW_UPDATE, 0, 1);
		h2_service_number(service, NGHTTP2_WINDOW_UPDATE, 1, 1);
		if (i % 100 == 99)
			h2_service_say(service, 0);
	}
	client_rig_expect_log(rig, "");
	client_rig_cancel(&rig->caller);
	h2_service_end(service);
}

/* ---- origins ---- */

static void an_origin_is_freed_while_a_call_goes_on(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig *rig = service->rig;
	struct loop_address address;
	struct fault fault;

	http_origin_free(rig->origin);
	h2_service_answer(service, 0, 1);
	client_rig_expect_log(rig, "head:200,-1 body:hi end ");
	assert_int_equal(loop_address_parse(slice_of("127.0.0.1:1"), &address, &fault), 0);
	rig->origin = http_origin_new(
		rig->client,
		&(struct http_origin_options){.address = address, .protocol = HTTP_PROTOCOL_2});
	h2_service_end(service);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		client_rig_test(a_cancelled_call_is_reset_and_the_connection_lives_on),
		client_rig_test(a_call_cancelled_before_it_left_says_nothing),
		client_rig_test(a_reset_of_the_service_fails_the_call),
		client_rig_test(a_refused_call_is_told_so_unless_it_was_answered),
		client_rig_test(silence_fails_as_timeout_and_its_connection_takes_no_more_calls),
		client_rig_test(a_pause_within_an_answer_fails_as_timeout),
		client_rig_test(a_request_that_the_service_does_not_take_fails_as_timeout),
		client_rig_test(nobody_there_fails_as_connect),
		client_rig_test(
			an_end_before_any_answer_is_stale_only_on_a_connection_that_was_idle),
		client_rig_test(an_end_after_silence_on_a_connection_that_was_idle_is_stale),
		client_rig_test(an_end_within_an_answer_is_closed),
		client_rig_test(a_leaving_service_ends_what_it_began_and_refuses_the_rest),
		client_rig_test(an_idle_connection_that_is_told_to_leave_is_closed),
		client_rig_test(what_is_not_http_2_fails_the_calls_and_ends_the_connection),
		client_rig_test(its_goaway_tells_the_service_what_was_wrong),
		client_rig_test(a_flood_of_pings_ends_the_connection),
		client_rig_test(a_flood_of_settings_ends_the_connection),
		client_rig_test(a_flood_of_empty_content_ends_the_connection),
		client_rig_test(a_flood_of_windows_ends_the_connection),
		client_rig_test(a_flood_of_unknown_frames_ends_the_connection),
		client_rig_test(a_flood_of_continuations_ends_the_connection),
		client_rig_test(many_short_answers_with_trailers_are_no_flood),
		client_rig_test(small_pieces_of_content_are_no_flood),
		client_rig_test(windows_for_what_was_sent_are_no_flood),
		client_rig_test(an_origin_is_freed_while_a_call_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

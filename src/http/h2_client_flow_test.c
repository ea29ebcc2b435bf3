#include "http/h2_service_internal.h"

/* Windows and back-pressure, both ways. */

/* ---- requests ---- */

static void a_request_waits_for_the_services_windows(void **state)
{
	const size_t size = 200 * 1024;
	char *body = calloc(1, size);
	struct h2_service *service = h2_service_begin(state);
	struct client_rig *rig = service->rig;

	client_rig_call(rig, "POST", (int64_t)size);
	assert_true(http_call_writable(rig->call));
	http_call_send(rig->call, slice_make(body, size));
	assert_false(http_call_writable(rig->call));
	http_call_finish(rig->call, NULL, 0);
	h2_service_greet(service);
	h2_service_say(service, 0);
	/* What a window is before anybody changes it. */
	h2_service_expect(service, 0,
			  "H1[:method=POST :scheme=http :authority=a :path=/x "
			  "content-length=204800] D1(16384 bytes) D1(16384 bytes) D1(16384 bytes) "
			  "D1(16383 bytes) ");
	h2_service_number(service, NGHTTP2_WINDOW_UPDATE, 0, 1 << 20);
	h2_service_number(service, NGHTTP2_WINDOW_UPDATE, 1, 1);
	h2_service_say(service, 0);
	h2_service_expect(service, 0, "D1() ");
	free(body);
	client_rig_cancel(&rig->caller);
	h2_service_expect(service, 0, "R1(8) ");
	assert_int_equal(http_origin_connections(rig->origin), 1);
	h2_service_end(service);
}

static void output_beyond_the_mark_says_stop_and_then_go(void **state)
{
	const size_t size = 100 * 1024; /* the rig's mark is 64 KiB */
	char *body = calloc(1, size);
	struct h2_service *service = h2_service_begin(state);
	struct client_rig *rig = service->rig;

	client_rig_call(rig, "POST", HTTP_LENGTH_UNKNOWN);
	h2_service_setting(service, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
	h2_service_say(service, 0);
	h2_service_hear(service, 0);
	http_call_send(rig->call, slice_make(body, size));
	free(body);
	assert_false(http_call_writable(rig->call));
	client_rig_expect_log(rig, "");
	h2_service_number(service, NGHTTP2_WINDOW_UPDATE, 0, 1 << 20);
	h2_service_number(service, NGHTTP2_WINDOW_UPDATE, 1, 60 * 1024);
	h2_service_say(service, 0);
	assert_true(http_call_writable(rig->call));
	client_rig_expect_log(rig, "");
	h2_service_number(service, NGHTTP2_WINDOW_UPDATE, 1, 10 * 1024);
	h2_service_say(service, 0);
	client_rig_expect_log(rig, "writable ");
	client_rig_cancel(&rig->caller);
	h2_service_end(service);
}

/* ---- answers ---- */

static void a_paused_answer_is_kept_within_its_window_and_nothing_is_lost(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig *rig = service->rig;
	struct client_rig_caller other;
	static char content[16 * 1024 + 1];

	memset(content, 'x', sizeof(content) - 1);
	rig->caller.pauses = true;
	h2_service_head(service, 0, 1, H2_OK);
	for (int i = 0; i < 8; i++)
		h2_service_data(service, 0, 1, content);
	h2_service_say(service, 0);
	client_rig_expect_log(rig, "head:200,-1 more ");
	assert_int_equal(rig->body_bytes, 0);
	/* While paused nobody waits for the service. */
	client_rig_advance(rig, 1000 * CLOCK_NS_PER_S);
	client_rig_expect_log(rig, "");
	h2_service_hear(service, 0);
	assert_int_equal(service->peers[0].stream_bytes[1], 0);
	assert_true(service->peers[0].window_bytes > 64 * 1024);

	client_rig_call_of(&other, rig, "other.", "GET", 0);
	client_rig_settle(rig);
	h2_service_answer(service, 0, 3);
	client_rig_expect_log(rig, "other.head:200,-1 other.body:hi other.end ");

	rig->caller.pauses = false;
	http_call_resume(rig->call);
	client_rig_settle(rig);
	assert_int_equal(rig->body_bytes, 8 * 16 * 1024 + 2);
	h2_service_hear(service, 0);
	assert_true(service->peers[0].stream_bytes[1] >= 64 * 1024);
	h2_service_head(service, H2_END, 1, "x-sum: 1");
	h2_service_say(service, 0);
	client_rig_settle(rig);
	assert_string_equal(rig->log + strlen(rig->log) - 14, "trailer:1 end ");
	h2_service_end(service);
}

static void a_service_that_sends_beyond_a_window_fails_its_call(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	static char content[16 * 1024 + 1];

	memset(content, 'x', sizeof(content) - 1);
	service->rig->caller.pauses = true;
	h2_service_head(service, 0, 1, H2_OK);
	for (int i = 0; i < 9; i++)
		h2_service_data(service, 0, 1, content);
	h2_service_say(service, 0);
	client_rig_settle(service->rig);
	assert_non_null(strstr(service->rig->log, "failed:invalid "));
	h2_service_end(service);
}

static void a_paused_answer_survives_that_the_service_leaves(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig *rig = service->rig;
	struct client_rig_caller other;

	client_rig_call_of(&other, rig, "other.", "GET", 0);
	client_rig_settle(rig);
	rig->caller.pauses = true;
	h2_service_head(service, 0, 1, H2_OK);
	h2_service_data(service, 0, 1, "hi");
	h2_service_head(service, H2_END, 1, "x-sum: 1");
	h2_service_say(service, 0);
	client_rig_close_upstream(rig, 0);
	client_rig_expect_log(rig, "head:200,-1 more other.failed:closed ");
	assert_int_equal(http_origin_connections(rig->origin), 1);
	http_call_resume(rig->call);
	client_rig_expect_log(rig, "body:hi trailer:1 end ");
	assert_int_equal(http_origin_connections(rig->origin), 0);
	h2_service_end(service);
}

static void a_paused_answer_survives_a_goaway(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig *rig = service->rig;

	rig->caller.pauses = true;
	h2_service_head(service, 0, 1, H2_OK);
	h2_service_data(service, H2_END, 1, "hi");
	h2_service_goaway(service, 1, NGHTTP2_NO_ERROR);
	h2_service_say(service, 0);
	client_rig_expect_log(rig, "head:200,-1 more ");
	assert_int_equal(http_origin_connections(rig->origin), 1);
	http_call_resume(rig->call);
	client_rig_expect_log(rig, "body:hi end ");
	assert_int_equal(http_origin_connections(rig->origin), 0);
	h2_service_end(service);
}

static void a_paused_answer_whose_stream_is_reset_fails(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	service->rig->caller.pauses = true;
	h2_service_head(service, 0, 1, H2_OK);
	h2_service_data(service, 0, 1, "hi");
	h2_service_number(service, NGHTTP2_RST_STREAM, 1, NGHTTP2_INTERNAL_ERROR);
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "head:200,-1 failed:closed ");
	h2_service_end(service);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		client_rig_test(a_request_waits_for_the_services_windows),
		client_rig_test(output_beyond_the_mark_says_stop_and_then_go),
		client_rig_test(a_paused_answer_is_kept_within_its_window_and_nothing_is_lost),
		client_rig_test(a_service_that_sends_beyond_a_window_fails_its_call),
		client_rig_test(a_paused_answer_survives_that_the_service_leaves),
		client_rig_test(a_paused_answer_survives_a_goaway),
		client_rig_test(a_paused_answer_whose_stream_is_reset_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

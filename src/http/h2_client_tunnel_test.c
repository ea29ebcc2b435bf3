#include "http/h2_service_internal.h"

#define CONNECT(id)                                                                        \
	"H" #id "[:method=CONNECT :protocol=websocket :scheme=http :authority=a :path=/x " \
	"sec-websocket-version=13] "

/* As a WebSocket client asks for it. */
static void ask(struct h2_service *service)
{
	const struct http_header headers[] = {
		{.name = slice_of("Host"), .value = slice_of("a"), .known = HTTP_HOST},
		{.name = slice_of("Sec-WebSocket-Key"),
		 .value = slice_of("dGhlIHNhbXBsZSBub25jZQ=="),
		 .known = HTTP_WEBSOCKET_KEY},
		{.name = slice_of("Sec-WebSocket-Version"), .value = slice_of("13")},
	};
	const struct http_call_request request = {
		.method = slice_of("GET"),
		.target = slice_of("/x"),
		.headers = headers,
		.header_count = 3,
		.upgrade = slice_of("websocket"),
	};
	struct client_rig_caller *caller = &service->rig->caller;

	*caller = (struct client_rig_caller){.rig = service->rig, .name = "", .place = -1};
	caller->call = http_call_start(service->rig->origin, &request, caller);
	service->rig->call = caller->call;
}

static void greet(struct h2_service *service, uint32_t allows)
{
	h2_service_setting(service, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, allows);
	h2_service_frame(service, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, slice_of(""));
	h2_service_say(service, 0);
}

/* A tunnel that both sides have agreed to. */
static struct h2_service *begin_tunnel(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	ask(service);
	client_rig_settle(service->rig);
	greet(service, 1);
	h2_service_expect(service, 0, CONNECT(1));
	h2_service_head(service, 0, 1, H2_OK);
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "head:101,-1 more ");
	return service;
}

static void an_upgrade_waits_for_the_settings_and_is_an_extended_connect(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	ask(service);
	h2_service_expect(service, 0, "");
	greet(service, 1);
	h2_service_expect(service, 0, CONNECT(1));
	/* They have come: the next one goes at once. */
	http_call_cancel(service->rig->call);
	ask(service);
	h2_service_expect(service, 0, "R1(8) " CONNECT(3));
	assert_int_equal(service->rig->upstream_count, 1);
	http_call_cancel(service->rig->call);
	service->rig->call = NULL;
	h2_service_end(service);
}

static void bytes_go_both_ways_and_either_side_may_end(void **state)
{
	struct h2_service *service = begin_tunnel(state);
	struct http_call *call = service->rig->call;

	http_call_send(call, slice_of("ping"));
	h2_service_expect(service, 0, "D1(ping) ");
	/* However long nothing is said. */
	client_rig_advance(service->rig, 10 * service->rig->limits.body_idle_timeout_ns);
	h2_service_data(service, 0, 1, "pong");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "body:pong more ");
	http_call_finish(call, NULL, 0);
	h2_service_expect(service, 0, "D1(). ");
	h2_service_data(service, H2_END, 1, "last");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "body:last end ");
	h2_service_end(service);
}

static void a_tunnel_that_the_service_ends_is_over(void **state)
{
	struct h2_service *service = begin_tunnel(state);

	h2_service_data(service, H2_END, 1, "bye");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "body:bye end ");
	h2_service_expect(service, 0, "R1(8) ");
	/* The connection carries other calls. */
	client_rig_call(service->rig, "GET", 0);
	h2_service_expect(service, 0, H2_GET(3));
	h2_service_answer(service, 0, 3);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	h2_service_end(service);
}

static void a_tunnel_that_the_service_resets_fails(void **state)
{
	struct h2_service *service = begin_tunnel(state);

	h2_service_number(service, NGHTTP2_RST_STREAM, 1, NGHTTP2_INTERNAL_ERROR);
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "failed:closed ");
	h2_service_end(service);
}

static void a_service_that_does_not_allow_it_is_not_asked(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	ask(service);
	client_rig_settle(service->rig);
	greet(service, 0);
	client_rig_expect_log(service->rig, "failed:unsupported ");
	h2_service_expect(service, 0, "");
	ask(service);
	client_rig_expect_log(service->rig, "failed:unsupported ");
	client_rig_call(service->rig, "GET", 0);
	h2_service_expect(service, 0, H2_GET(1));
	h2_service_answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	h2_service_end(service);
}

static void a_service_that_refuses_it_answers_as_to_any_call(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	ask(service);
	client_rig_settle(service->rig);
	greet(service, 1);
	h2_service_expect(service, 0, CONNECT(1));
	h2_service_head(service, 0, 1, ":status: 403\ncontent-length: 2");
	h2_service_say(service, 0);
	h2_service_expect(service, 0, "D1(). "); /* nothing follows what was asked */
	h2_service_data(service, H2_END, 1, "no");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "head:403,2 more body:no end ");
	h2_service_end(service);
}

/* RFC 9110, 9.3.6. */
static void a_length_in_an_answer_that_switches_means_nothing(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	ask(service);
	client_rig_settle(service->rig);
	greet(service, 1);
	h2_service_head(service, 0, 1, ":status: 200\ncontent-length: 2");
	h2_service_say(service, 0);
	h2_service_data(service, H2_END, 1, "abc");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "head:101,-1 more body:abc end ");
	h2_service_end(service);
}

static void settings_that_never_come_are_a_timeout(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	ask(service);
	client_rig_settle(service->rig);
	client_rig_advance(service->rig, service->rig->limits.answer_timeout_ns + 1);
	client_rig_expect_log(service->rig, "failed:timeout ");
	h2_service_end(service);
}

static void a_connection_that_ends_before_they_come_has_not_seen_the_call(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	ask(service);
	client_rig_settle(service->rig);
	client_rig_close_upstream(service->rig, 0);
	client_rig_expect_log(service->rig, "failed:refused ");
	h2_service_end(service);
}

static void a_key_has_the_answer_of_the_specification(void **state)
{
	char accept[HTTP_WEBSOCKET_ACCEPT_BYTES + 1];

	(void)state;
	http_websocket_accept(slice_of("dGhlIHNhbXBsZSBub25jZQ=="), accept); /* RFC 6455, 1.3 */
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		client_rig_test(an_upgrade_waits_for_the_settings_and_is_an_extended_connect),
		client_rig_test(bytes_go_both_ways_and_either_side_may_end),
		client_rig_test(a_tunnel_that_the_service_ends_is_over),
		client_rig_test(a_tunnel_that_the_service_resets_fails),
		client_rig_test(a_service_that_does_not_allow_it_is_not_asked),
		client_rig_test(a_service_that_refuses_it_answers_as_to_any_call),
		client_rig_test(a_length_in_an_answer_that_switches_means_nothing),
		client_rig_test(settings_that_never_come_are_a_timeout),
		client_rig_test(a_connection_that_ends_before_they_come_has_not_seen_the_call),
		cmocka_unit_test(a_key_has_the_answer_of_the_specification),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

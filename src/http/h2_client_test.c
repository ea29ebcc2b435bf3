#include "http/h2_service_internal.h"

/* ---- keeping, sharing ---- */

static void a_connection_is_used_again_for_the_next_call(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	client_rig_call(service->rig, "GET", 0);
	h2_service_expect(service, 0, H2_GET(3));
	h2_service_answer(service, 0, 3);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	assert_int_equal(service->rig->upstream_count, 1);
	assert_int_equal(http_origin_connections(service->rig->origin), 1);
	h2_service_end(service);
}

static void calls_share_a_connection_and_end_in_any_order(void **state)
{
	struct client_rig_caller a, b, c;
	struct h2_service *service = h2_service_begin(state);

	client_rig_call_of(&a, service->rig, "a.", "GET", 0);
	client_rig_call_of(&b, service->rig, "b.", "GET", 0);
	client_rig_call_of(&c, service->rig, "c.", "GET", 0);
	h2_service_expect(service, 0, H2_GET(1) H2_GET(3) H2_GET(5));
	h2_service_greet(service);
	h2_service_head(service, 0, 5, H2_OK);
	h2_service_head(service, 0, 1, H2_OK);
	h2_service_data(service, H2_END, 5, "5");
	h2_service_data(service, 0, 1, "1");
	h2_service_head(service, H2_END, 3, ":status: 204");
	h2_service_data(service, H2_END, 1, "one");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig,
			      "c.head:200,-1 c.more a.head:200,-1 a.more c.body:5 c.end "
			      "a.body:1 a.more b.head:204,0 b.end a.body:one a.end ");
	assert_int_equal(service->rig->upstream_count, 1);
	h2_service_end(service);
}

static void a_call_beyond_what_the_service_allows_opens_another_connection(void **state)
{
	struct client_rig_caller callers[3];
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_setting(service, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
	h2_service_answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	for (int i = 0; i < 3; i++)
		client_rig_call_of(&callers[i], service->rig, "", "GET", 0);
	h2_service_expect(service, 0, H2_GET(3) H2_GET(5));
	h2_service_expect(service, 1, H2_GET(1));
	h2_service_answer(service, 0, 5);
	h2_service_greet(service);
	h2_service_answer(service, 1, 1);
	h2_service_answer(service, 0, 3);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end head:200,-1 body:hi end "
					    "head:200,-1 body:hi end ");
	assert_int_equal(http_origin_connections(service->rig->origin), 2);
	h2_service_end(service);
}

/* For a peer that goes beyond it may be cut off as a whole. */
static void a_new_connection_keeps_the_bound_that_another_was_told(void **state)
{
	struct client_rig_caller callers[3];
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_setting(service, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
	h2_service_say(service, 0);
	for (int i = 0; i < 2; i++)
		client_rig_call_of(&callers[i], service->rig, "", "GET", 0);
	h2_service_expect(service, 0, "");
	h2_service_expect(service, 1, H2_GET(1));
	/* Its own settings have not come: the third call waits, though nothing was said of it. */
	assert_int_equal(http_origin_connections(service->rig->origin), 2);
	h2_service_greet(service);
	h2_service_answer(service, 1, 1);
	h2_service_answer(service, 0, 1);
	h2_service_expect(service, 0, H2_GET(3));
	h2_service_answer(service, 0, 3);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end head:200,-1 body:hi end "
					    "head:200,-1 body:hi end ");
	h2_service_end(service);
}

static void calls_beyond_the_most_connections_wait_for_a_place(void **state)
{
	struct client_rig_caller callers[3];
	struct h2_service *service = h2_service_begin(state);

	for (int i = 0; i < 2; i++) { /* of the rig's client */
		client_rig_call_of(&callers[i], service->rig, "", "GET", 0);
		h2_service_expect(service, i, H2_GET(1));
		h2_service_greet(service);
		h2_service_setting(service, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
		h2_service_say(service, i);
	}
	client_rig_call_of(&callers[2], service->rig, "late.", "GET", 0);
	h2_service_expect(service, 0, "");
	h2_service_expect(service, 1, "");
	h2_service_answer(service, 0, 1);
	h2_service_answer(service, 1, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end head:200,-1 body:hi end ");
	const int number = service->rig->upstream_count - 1;
	h2_service_expect(service, number, H2_GET(3));
	h2_service_answer(service, number, 3);
	client_rig_expect_log(service->rig, "late.head:200,-1 late.body:hi late.end ");
	h2_service_end(service);
}

static void an_idle_connection_ages_out(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	client_rig_advance(service->rig,
			   service->rig->limits.keep_alive_timeout_ns - CLOCK_NS_PER_S);
	assert_int_equal(http_origin_connections(service->rig->origin), 1);
	client_rig_advance(service->rig, 2 * CLOCK_NS_PER_S);
	assert_int_equal(http_origin_connections(service->rig->origin), 0);
	h2_service_end(service);
}

/* ---- requests ---- */

static void a_request_goes_out_whole_with_its_trailers(void **state)
{
	const struct http_header fields[] = {
		{.name = slice_of("Host"), .value = slice_of("a:1"), .known = HTTP_HOST},
		{.name = slice_of("X-Mixed"), .value = slice_of("One")},
		{.name = slice_of("Connection"), .value = slice_of("close")},
		{.name = slice_of("Transfer-Encoding"), .value = slice_of("chunked")},
	};
	const struct http_header trailer = {.name = slice_of("X-Sum"), .value = slice_of("1")};
	struct h2_service *service = h2_service_begin(state);
	struct client_rig_caller caller = {.rig = service->rig, .name = "", .place = -1};

	caller.call = http_call_start(service->rig->origin,
				      &(struct http_call_request){
					      .method = slice_of("PUT"),
					      .target = slice_of("/a?b"),
					      .headers = fields,
					      .header_count = 4,
					      .body_bytes = HTTP_LENGTH_UNKNOWN,
					      .accepts_trailers = true,
				      },
				      &caller);
	assert_false(http_call_sent_any(caller.call));
	http_call_send(caller.call, slice_of("hel"));
	http_call_send(caller.call, slice_of(""));
	http_call_send(caller.call, slice_of("lo"));
	h2_service_expect(service, 0,
			  "H1[:method=PUT :scheme=http :authority=a:1 :path=/a?b x-mixed=One "
			  "te=trailers] D1(hello) ");
	assert_true(http_call_sent_any(caller.call));
	http_call_send(caller.call, slice_of("!"));
	http_call_finish(caller.call, &trailer, 1);
	h2_service_expect(service, 0, "D1(!) H1[x-sum=1]. ");
	h2_service_greet(service);
	h2_service_answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	assert_int_equal(http_origin_connections(service->rig->origin), 1);
	h2_service_end(service);
}

/* In HTTP/1.1 a trailer needs no space behind its colon, and so many fit into its bounds. */
static void trailers_of_any_length_that_fits_go_out(void **state)
{
	static const char bytes[1024] = {[0 ... 1023] = 'v'};
	struct http_header trailers[HTTP_HEADERS_MAX];
	struct h2_service *service = h2_service_begin(state);
	const size_t each =
		service->rig->limits.head_bytes_max / HTTP_HEADERS_MAX - strlen("n:\r\n");

	for (size_t i = 0; i < HTTP_HEADERS_MAX; i++)
		trailers[i] = (struct http_header){.name = slice_of("n"),
						   .value = slice_make(bytes, each)};
	struct http_call *call = client_rig_call(service->rig, "POST", HTTP_LENGTH_UNKNOWN);
	http_call_finish(call, trailers, HTTP_HEADERS_MAX);
	h2_service_hear(service, 0);
	assert_non_null(strstr(service->log.data, " n=vvv"));
	h2_service_greet(service);
	h2_service_answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	h2_service_end(service);
}

static void a_length_is_told_where_it_is_known(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	client_rig_call(service->rig, "POST", 3);
	http_call_send(service->rig->call, slice_of("abc"));
	http_call_finish(service->rig->call, NULL, 0);
	h2_service_expect(service, 0,
			  "H1[:method=POST :scheme=http :authority=a :path=/x content-length=3] "
			  "D1(abc). ");
	h2_service_greet(service);
	h2_service_answer(service, 0, 1);
	client_rig_call(service->rig, "POST", 0);
	http_call_finish(service->rig->call, NULL, 0);
	h2_service_expect(service, 0,
			  "H3[:method=POST :scheme=http :authority=a :path=/x content-length=0]. ");
	h2_service_answer(service, 0, 3);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end head:200,-1 body:hi end ");
	h2_service_end(service);
}

/* ---- answers ---- */

static void an_answer_is_told_the_same_wherever_it_is_split(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct client_rig *rig = service->rig;

	h2_service_answer(service, 0, 1);
	rig->log[0] = '\0';
	for (uint32_t id = 3, split = 1;; id += 2, split++) {
		h2_service_head(service, 0, id, ":status: 103");
		h2_service_head(service, 0, id, ":status: 200\ncontent-length: 1\nx-a: b");
		h2_service_data(service, 0, id, "h");
		h2_service_head(service, H2_END, id, "x-sum: 1");
		struct slice all = text_slice(&service->said);
		if (split >= all.length)
			break;
		client_rig_call(rig, "GET", 0);
		client_rig_settle(rig);
		client_rig_answer_bytes(rig, 0, slice_part(all, 0, split));
		client_rig_answer_bytes(rig, 0, slice_part(all, split, all.length));
		text_clear(&service->said);
		client_rig_settle(rig);
		for (char *more; (more = strstr(rig->log, "more ")) != NULL;)
			memmove(more, more + 5, strlen(more + 5) + 1);
		client_rig_expect_log(rig, "head:200,1 body:h trailer:1 end ");
		assert_int_equal(rig->upstream_count, 1);
	}
	h2_service_end(service);
}

static void answers_without_a_body_end_with_their_head(void **state)
{
	static const struct {
		const char *method, *fields, *log;
	} rows[] = {
		{"HEAD", ":status: 200\ncontent-length: 12", "head:200,12 end "},
		{"HEAD", ":status: 200", "head:200,-1 end "},
		{"GET", ":status: 204", "head:204,0 end "},
		{"GET", ":status: 304\ncontent-length: 12", "head:304,0 end "},
		{"GET", ":status: 200", "head:200,0 end "},
		{"GET", ":status: 200\ncontent-length: 0", "head:200,0 end "},
	};
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_answer(service, 0, 1);
	service->rig->log[0] = '\0';
	service->rig->pauses = true; /* which such an answer does not wait for */
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		client_rig_call(service->rig, rows[i].method, 0);
		client_rig_settle(service->rig);
		h2_service_head(service, H2_END, 3 + 2 * i, rows[i].fields);
		h2_service_say(service, 0);
		client_rig_expect_log(service->rig, rows[i].log);
	}
	assert_int_equal(service->rig->upstream_count, 1);
	h2_service_end(service);
}

static void an_early_answer_is_whole_and_the_rest_of_its_request_is_given_up(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	client_rig_call(service->rig, "POST", HTTP_LENGTH_UNKNOWN);
	http_call_send(service->rig->call, slice_of("abc"));
	h2_service_expect(service, 0, H2_POST(1) "D1(abc) ");
	h2_service_greet(service);
	h2_service_answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	h2_service_expect(service, 0, "R1(8) ");
	client_rig_call(service->rig, "GET", 0);
	h2_service_expect(service, 0, H2_GET(3));
	h2_service_answer(service, 0, 3);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	h2_service_end(service);
}

static void both_sides_stream_at_the_same_time(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	client_rig_call(service->rig, "POST", HTTP_LENGTH_UNKNOWN);
	h2_service_expect(service, 0, H2_POST(1));
	h2_service_greet(service);
	h2_service_head(service, 0, 1, H2_OK);
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "head:200,-1 more ");
	for (int i = 0; i < 3; i++) {
		http_call_send(service->rig->call, slice_of("ping"));
		h2_service_expect(service, 0, "D1(ping) ");
		h2_service_data(service, 0, 1, "pong");
		h2_service_say(service, 0);
		client_rig_expect_log(service->rig, "body:pong more ");
	}
	http_call_finish(service->rig->call, NULL, 0);
	h2_service_expect(service, 0, "D1(). ");
	h2_service_head(service, H2_END, 1, "grpc-status: 0");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "trailer:0 end ");
	h2_service_end(service);
}

/* Each harms its call alone: the connection goes on. */
static void an_answer_that_breaks_a_rule_fails_its_call(void **state)
{
	static const char *const heads[] = {
		"x-a: b",                            /* no status */
		":status: 20",                       /* two digits */
		":status: 2000",                     /* four */
		":status: +20",                      /* none */
		":status: 600",                      /* beyond all classes */
		":status: 099",                      /* below */
		":status: 101",                      /* nothing is upgraded */
		":status: 200\n:status: 200",        /* twice */
		"x-a: b\n:status: 200",              /* behind a field */
		":status: 200\n:path: /",            /* a request's */
		":status: 200\n:other: 1",           /* nobody's */
		":status: 200\nX-A: b",              /* upper case */
		":status: 200\nconnection: close",   /* of a connection */
		":status: 200\nkeep-alive: 5",       /* .. */
		":status: 200\nproxy-connection: x", /* .. */
		":status: 200\nupgrade: h2c",        /* .. */
		":status: 200\ntransfer-encoding: chunked",
		":status: 200\nx a: b",               /* no token */
		":status: 200\nx-a: b\rc",            /* control characters */
		":status: 200\nx-a:  b",              /* white space around it */
		":status: 200\nx-a: b ",              /* .. */
		":status: 200\ncontent-length: x",    /* no number */
		":status: 200\ncontent-length: -1",   /* .. */
		":status: 200\ncontent-length: 1, 1", /* .. */
		":status: 200\ncontent-length: 1\ncontent-length: 1",
		":status: 200\ncontent-length: 99999999999999999999",
		":status: 204\ncontent-length: 5", /* of nothing */
	};
	struct h2_service *service = h2_service_begin_with_call(state);
	uint32_t id = 1;

	h2_service_answer(service, 0, 1);
	service->rig->log[0] = '\0';
	for (uint32_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		client_rig_call(service->rig, "GET", 0);
		client_rig_settle(service->rig);
		h2_service_head(service, 0, id += 2, heads[i]);
		h2_service_data(service, H2_END, id, "never told");
		h2_service_say(service, 0);
		client_rig_settle(service->rig);
		if (strcmp(service->rig->log, "failed:invalid ") != 0)
			fail_msg("%s: %s", heads[i], service->rig->log);
		service->rig->log[0] = '\0';
	}
	client_rig_call(service->rig, "GET", 0);
	client_rig_settle(service->rig);
	h2_service_answer(service, 0, id + 2);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	assert_int_equal(service->rig->upstream_count, 1);
	h2_service_end(service);
}

static void a_length_that_the_content_does_not_have_fails_the_call(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_head(service, 0, 1, ":status: 200\ncontent-length: 3");
	h2_service_data(service, H2_END, 1, "hi");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "head:200,3 body:hi more failed:invalid ");
	client_rig_call(service->rig, "GET", 0);
	client_rig_settle(service->rig);
	h2_service_head(service, 0, 3, ":status: 200\ncontent-length: 1");
	h2_service_data(service, H2_END, 3, "hi");
	h2_service_say(service, 0);
	client_rig_settle(service->rig);
	assert_non_null(strstr(service->rig->log, "failed:invalid "));
	assert_int_equal(service->rig->upstream_count, 1);
	h2_service_end(service);
}

static void trailers_that_frame_or_break_a_rule_are_not_told(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	h2_service_head(service, 0, 1, H2_OK);
	h2_service_data(service, 0, 1, "hi");
	h2_service_head(service, H2_END, 1, "host: b\nx-a: kept\nset-cookie: no");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi trailer:kept end ");

	client_rig_call(service->rig, "GET", 0);
	client_rig_settle(service->rig);
	h2_service_head(service, 0, 3, H2_OK);
	h2_service_head(service, 0, 3, "x-a: not the end");
	h2_service_say(service, 0);
	client_rig_settle(service->rig);
	assert_non_null(strstr(service->rig->log, "failed:invalid "));
	service->rig->log[0] = '\0';

	client_rig_call(service->rig, "GET", 0);
	client_rig_settle(service->rig);
	h2_service_head(service, 0, 5, H2_OK);
	h2_service_head(service, H2_END, 5, ":status: 200");
	h2_service_say(service, 0);
	client_rig_settle(service->rig);
	assert_non_null(strstr(service->rig->log, "failed:invalid "));
	assert_int_equal(service->rig->upstream_count, 1);
	h2_service_end(service);
}

static void interim_answers_are_taken_up_to_a_bound(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);

	for (int i = 0; i < 16; i++)
		h2_service_head(service, 0, 1, ":status: 103\nlink: </a>");
	h2_service_answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	client_rig_call(service->rig, "GET", 0);
	client_rig_settle(service->rig);
	for (int i = 0; i < 17; i++)
		h2_service_head(service, 0, 3, ":status: 103");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "failed:invalid ");
	h2_service_end(service);
}

static void heads_are_bounded_in_fields_and_bytes(void **state)
{
	struct h2_service *service = h2_service_begin_with_call(state);
	struct text head;

	text_init(&head, 1 << 20);
	text_append_text(&head, H2_OK);
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		text_printf(&head, "\nx-%d: 1", i);
	h2_service_head(service, H2_END, 1, head.data);
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "head:200,0 end ");

	text_append_text(&head, "\nx-more: 1");
	client_rig_call(service->rig, "GET", 0);
	client_rig_settle(service->rig);
	h2_service_head(service, H2_END, 3, head.data);
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig, "failed:invalid ");

	for (int count = 7; count <= 8; count++) { /* of 32 KiB in all */
		const uint32_t id = 5 + 2 * (uint32_t)(count - 7);
		text_clear(&head);
		text_append_text(&head, H2_OK);
		for (int i = 0; i < count; i++)
			text_printf(&head, "\nx-%d: %0*d", i, 4096, 0);
		client_rig_call(service->rig, "GET", 0);
		client_rig_settle(service->rig);
		h2_service_head(service, H2_END, id, head.data);
		h2_service_say(service, 0);
		client_rig_expect_log(service->rig,
				      count == 7 ? "head:200,0 end " : "failed:invalid ");
	}
	assert_int_equal(service->rig->upstream_count, 1);
	text_fini(&head);
	h2_service_end(service);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		client_rig_test(a_connection_is_used_again_for_the_next_call),
		client_rig_test(calls_share_a_connection_and_end_in_any_order),
		client_rig_test(a_call_beyond_what_the_service_allows_opens_another_connection),
		client_rig_test(a_new_connection_keeps_the_bound_that_another_was_told),
		client_rig_test(calls_beyond_the_most_connections_wait_for_a_place),
		client_rig_test(an_idle_connection_ages_out),
		client_rig_test(a_request_goes_out_whole_with_its_trailers),
		client_rig_test(trailers_of_any_length_that_fits_go_out),
		client_rig_test(a_length_is_told_where_it_is_known),
		client_rig_test(an_answer_is_told_the_same_wherever_it_is_split),
		client_rig_test(answers_without_a_body_end_with_their_head),
		client_rig_test(an_early_answer_is_whole_and_the_rest_of_its_request_is_given_up),
		client_rig_test(both_sides_stream_at_the_same_time),
		client_rig_test(an_answer_that_breaks_a_rule_fails_its_call),
		client_rig_test(a_length_that_the_content_does_not_have_fails_the_call),
		client_rig_test(trailers_that_frame_or_break_a_rule_are_not_told),
		client_rig_test(interim_answers_are_taken_up_to_a_bound),
		client_rig_test(heads_are_bounded_in_fields_and_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

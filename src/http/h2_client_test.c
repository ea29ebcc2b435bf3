#include "http/h2_service_internal.h"

#define END         NGHTTP2_FLAG_END_STREAM
#define REQUEST(id) "H" #id "[:method=GET :scheme=http :authority=a :path=/x]. "
#define UPLOAD(id)  "H" #id "[:method=POST :scheme=http :authority=a :path=/x] "
#define OK          ":status: 200"

static void answer(struct h2_service *service, int number, uint32_t id)
{
	h2_service_head(service, 0, id, OK);
	h2_service_data(service, END, id, "hi");
	h2_service_say(service, number);
}

/* A call whose request connection 0 has received, and greeted. */
static struct h2_service *begin_with_call(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	client_rig_call(service->rig, "GET", 0);
	h2_service_expect(service, 0, REQUEST(1));
	h2_service_greet(service);
	return service;
}

/* ---- keeping, sharing ---- */

static void a_connection_is_used_again_for_the_next_call(void **state)
{
	struct h2_service *service = begin_with_call(state);

	answer(service, 0, 1);
	client_rig_expect_log(service->rig, "head:200,-1 body:hi end ");
	client_rig_call(service->rig, "GET", 0);
	h2_service_expect(service, 0, REQUEST(3));
	answer(service, 0, 3);
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
	h2_service_expect(service, 0, REQUEST(1) REQUEST(3) REQUEST(5));
	h2_service_greet(service);
	h2_service_head(service, 0, 5, OK);
	h2_service_head(service, 0, 1, OK);
	h2_service_data(service, END, 5, "5");
	h2_service_data(service, 0, 1, "1");
	h2_service_head(service, END, 3, ":status: 204");
	h2_service_data(service, END, 1, "one");
	h2_service_say(service, 0);
	client_rig_expect_log(service->rig,
			      "c.head:200,-1 c.more a.head:200,-1 a.more c.body:5 c.end "
			      "a.body:1 a.more b.head:204,0 b.end a.body:one a.end ");
	assert_int_equal(service->rig->upstream_count, 1);
	h2_service_end(service);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		client_rig_test(a_connection_is_used_again_for_the_next_call),
		client_rig_test(calls_share_a_connection_and_end_in_any_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A service behind a Unix socket that ends: whether it had read the request is told apart. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/client_rig_internal.h"

#define REQUEST "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
#define ANSWER  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* The rig's origin is a Unix socket; who listens there accepts when the test says so. */
struct service {
	struct client_rig *rig;
	int listener;
};

static struct service service_begin(void **state)
{
	struct service service = {.rig = client_rig_begin(state)};
	struct loop_address address;
	struct fault fault;
	char text[64];

	snprintf(text, sizeof(text), "unix:/tmp/stoa-unread-%ld", (long)getpid());
	assert_int_equal(loop_address_parse(slice_of(text), &address, &fault), 0);
	service.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(service.listener, &address.any, address.length), 0);
	assert_int_equal(listen(service.listener, 16), 0);
	http_origin_free(service.rig->origin);
	service.rig->origin = http_origin_new(service.rig->client,
					      &(struct http_origin_options){.address = address});
	return service;
}

static void service_end(const struct service *service)
{
	char text[64];

	snprintf(text, sizeof(text), "/tmp/stoa-unread-%ld", (long)getpid());
	unlink(text);
	close(service->listener);
}

static void service_accept(const struct service *service)
{
	struct client_rig *rig = service->rig;

	client_rig_settle(rig);
	rig->upstreams[rig->upstream_count] =
		accept4(service->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(rig->upstreams[rig->upstream_count++] >= 0);
}

/* `count` calls at once, answered; their connections are kept. */
static void keep(const struct service *service, int count)
{
	struct client_rig *rig = service->rig;

	for (int i = 0; i < count; i++)
		client_rig_call(rig, "GET", 0);
	for (int i = 0; i < count; i++) {
		service_accept(service);
		client_rig_expect_request(rig, i, REQUEST);
	}
	for (int i = 0; i < count; i++)
		client_rig_answer(rig, i, ANSWER);
	client_rig_settle(rig);
	assert_int_equal(http_origin_connections(rig->origin), count);
	rig->log[0] = '\0';
}

static void a_connection_that_nobody_took_is_as_none(void **state)
{
	const struct service service = service_begin(state);

	client_rig_call(service.rig, "GET", 0);
	client_rig_settle(service.rig);
	service_end(&service);
	client_rig_expect_log(service.rig, "failed:connect ");
}

static void so_is_one_whose_request_nobody_read(void **state)
{
	const struct service service = service_begin(state);

	client_rig_call(service.rig, "POST", 0);
	service_accept(&service);
	client_rig_settle(service.rig);
	client_rig_close_upstream(service.rig, 0);
	client_rig_expect_log(service.rig, "failed:connect ");
	service_end(&service);
}

static void a_request_that_was_read_may_have_been_acted_upon(void **state)
{
	const struct service service = service_begin(state);

	client_rig_call(service.rig, "GET", 0);
	service_accept(&service);
	client_rig_expect_request(service.rig, 0, REQUEST);
	client_rig_close_upstream(service.rig, 0);
	client_rig_expect_log(service.rig, "failed:closed ");
	service_end(&service);
}

static void so_may_one_whose_body_was_not_read(void **state)
{
	const struct service service = service_begin(state);

	client_rig_call(service.rig, "POST", 2);
	http_call_send(service.rig->call, slice_of("hi"));
	http_call_finish(service.rig->call, NULL, 0);
	service_accept(&service);
	client_rig_settle(service.rig);
	client_rig_close_upstream(service.rig, 0);
	client_rig_expect_log(service.rig, "failed:closed ");
	service_end(&service);
}

static void a_kept_connection_on_which_nobody_read_has_refused(void **state)
{
	const struct service service = service_begin(state);

	keep(&service, 1);
	client_rig_call(service.rig, "GET", 0);
	client_rig_settle(service.rig);
	client_rig_close_upstream(service.rig, 0);
	client_rig_expect_log(service.rig, "failed:refused ");
	service_end(&service);
}

static void a_kept_connection_that_read_is_stale(void **state)
{
	const struct service service = service_begin(state);

	keep(&service, 1);
	client_rig_call(service.rig, "GET", 0);
	client_rig_expect_request(service.rig, 0, REQUEST);
	client_rig_close_upstream(service.rig, 0);
	client_rig_expect_log(service.rig, "failed:stale ");
	service_end(&service);
}

/* Not by another one that is about to end likewise. */
static void after_a_kept_connection_failed_the_next_call_makes_one(void **state)
{
	const struct service service = service_begin(state);
	struct client_rig *rig = service.rig;

	keep(&service, 2);
	client_rig_call(rig, "GET", 0);
	client_rig_settle(rig);
	client_rig_close_upstream(rig, 1); /* the latest is taken first */
	client_rig_expect_log(rig, "failed:refused ");
	assert_int_equal(http_origin_connections(rig->origin), 0);
	client_rig_call(rig, "GET", 0);
	service_accept(&service);
	client_rig_expect_request(rig, 2, REQUEST);
	client_rig_answer(rig, 2, ANSWER);
	client_rig_expect_log(rig, "head:200,2 body:hi end ");
	service_end(&service);
}

/* A call that gets its answer on a kept connection takes none of the others with it. */
static void an_answer_that_is_cut_leaves_the_others(void **state)
{
	const struct service service = service_begin(state);
	struct client_rig *rig = service.rig;

	keep(&service, 2);
	client_rig_call(rig, "GET", 0);
	client_rig_expect_request(rig, 1, REQUEST);
	client_rig_answer(rig, 1, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
	client_rig_close_upstream(rig, 1);
	client_rig_expect_log(rig, "head:200,2 more failed:closed ");
	assert_int_equal(http_origin_connections(rig->origin), 1);
	service_end(&service);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		client_rig_test(a_connection_that_nobody_took_is_as_none),
		client_rig_test(so_is_one_whose_request_nobody_read),
		client_rig_test(a_request_that_was_read_may_have_been_acted_upon),
		client_rig_test(so_may_one_whose_body_was_not_read),
		client_rig_test(a_kept_connection_on_which_nobody_read_has_refused),
		client_rig_test(a_kept_connection_that_read_is_stale),
		client_rig_test(after_a_kept_connection_failed_the_next_call_makes_one),
		client_rig_test(an_answer_that_is_cut_leaves_the_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

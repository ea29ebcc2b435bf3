#include "http/client_rig_internal.h"

#include <errno.h>

#define SETTLED_TURNS 6

static void note(const struct client_rig_caller *caller, const char *text)
{
	struct client_rig *rig = caller->rig;
	const size_t used = strlen(rig->log);

	snprintf(rig->log + used, sizeof(rig->log) - used, "%s%s ", caller->name, text);
}

static void note_slice(const struct client_rig_caller *caller, const char *word, struct slice slice)
{
	char text[256];

	snprintf(text, sizeof(text), "%s:%.*s", word, SLICE_ARGS(slice));
	note(caller, text);
}

static const struct http_header host = {.name = {"Host", 4}, .value = {"a", 1}, .known = HTTP_HOST};

static void start(struct client_rig_caller *caller, struct client_rig *rig, const char *name,
		  const char *method, int64_t body_bytes)
{
	caller->rig = rig;
	caller->name = name;
	caller->call = http_call_start(rig->origin,
				       &(struct http_call_request){
					       .method = slice_of(method),
					       .target = slice_of("/x"),
					       .headers = &host,
					       .header_count = 1,
					       .body_bytes = body_bytes,
					       .head_only = strcmp(method, "HEAD") == 0,
				       },
				       caller);
}

struct http_call *client_rig_call(struct client_rig *rig, const char *method, int64_t body_bytes)
{
	rig->caller.place = -1;
	start(&rig->caller, rig, "", method, body_bytes);
	return rig->call = rig->caller.call;
}

void client_rig_call_of(struct client_rig_caller *caller, struct client_rig *rig, const char *name,
			const char *method, int64_t body_bytes)
{
	*caller = (struct client_rig_caller){0};
	while (rig->others[caller->place] != NULL)
		caller->place++;
	assert_true(caller->place < CLIENT_RIG_CALLS_MAX);
	start(caller, rig, name, method, body_bytes);
	rig->others[caller->place] = caller->call;
}

static void is_over(struct client_rig_caller *caller)
{
	struct client_rig *rig = caller->rig;

	caller->call = NULL;
	*(caller->place < 0 ? &rig->call : &rig->others[caller->place]) = NULL;
}

void client_rig_cancel(struct client_rig_caller *caller)
{
	http_call_cancel(caller->call);
	is_over(caller);
}

static void on_head(void *owner, const struct http_response *response)
{
	struct client_rig_caller *caller = owner;
	char text[64];

	snprintf(text, sizeof(text), "head:%u,%lld", response->status,
		 (long long)response->body_bytes);
	note(caller, text);
	if (caller->pauses || caller->rig->pauses)
		http_call_pause(caller->call);
}

static void on_body(void *owner, struct slice bytes)
{
	struct client_rig_caller *caller = owner;

	caller->rig->body_bytes += bytes.length;
	if (bytes.length < 100)
		note_slice(caller, "body", bytes);
}

static void on_more(void *owner)
{
	note(owner, "more");
}

static void on_end(void *owner, const struct http_header *trailers, size_t trailer_count)
{
	struct client_rig_caller *caller = owner;
	struct client_rig *rig = caller->rig;

	is_over(caller);
	for (size_t i = 0; i < trailer_count; i++)
		note_slice(caller, "trailer", trailers[i].value);
	note(caller, "end");
	if (rig->calls_again) {
		rig->calls_again = false;
		client_rig_call(rig, "GET", 0);
	}
}

static void on_failed(void *owner, enum http_failure failure)
{
	static const char *const words[] = {"connect", "stale",   "closed",      "invalid",
					    "timeout", "refused", "unsupported", "tls"};
	struct client_rig_caller *caller = owner;

	is_over(caller);
	note_slice(caller, "failed", slice_of(words[failure]));
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
	struct client_rig *rig =
		(struct client_rig *)((uintptr_t)listener - offsetof(struct client_rig, listener));

	assert_true(rig->upstream_count < CLIENT_RIG_UPSTREAMS_MAX);
	fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
	rig->upstreams[rig->upstream_count++] = descriptor;
}

static void on_listener_closed(struct loop_listener *listener)
{
	struct client_rig *rig =
		(struct client_rig *)((uintptr_t)listener - offsetof(struct client_rig, listener));

	rig->listener_closed = true;
}

void client_rig_turn(struct client_rig *rig, uint64_t wait_ns)
{
	struct fault fault;

	assert_int_equal(loop_turn(rig->loop, wait_ns, &fault), 0);
}

void client_rig_settle(struct client_rig *rig)
{
	for (int i = 0; i < SETTLED_TURNS; i++)
		client_rig_turn(rig, CLIENT_RIG_TURN_NS);
}

void client_rig_advance(struct client_rig *rig, uint64_t ns)
{
	client_rig_settle(rig);
	clock_manual_advance(&rig->clock, ns);
	client_rig_settle(rig);
}

static int setup(void **state, enum loop_io io)
{
	struct client_rig *rig = calloc(1, sizeof(*rig));
	struct fault fault;

	clock_manual_init(&rig->clock, CLOCK_NS_PER_S, 1785000000 * CLOCK_NS_PER_S);
	if (loop_new(&(struct loop_options){.io = io, .clock = &rig->clock.clock}, &rig->loop,
		     &fault) != 0) {
		if (io != LOOP_IO_URING)
			fail_msg("%s", fault.text);
		print_message("%s\n", fault.text);
	}
	http_limits_default(&rig->limits);
	rig->limits.output_bytes_high = 64 * 1024;
	*state = rig;
	return 0;
}

int client_rig_setup_uring(void **state)
{
	return setup(state, LOOP_IO_URING);
}

int client_rig_setup_epoll(void **state)
{
	return setup(state, LOOP_IO_EPOLL);
}

static struct client_rig *begin(void **state, enum http_protocol protocol)
{
	struct client_rig *rig = *state;
	const struct http_client_options options = {
		.limits = rig->limits, .events = &events, .idle_per_origin_max = 2};
	struct loop_address address;
	struct fault fault;

	if (rig->loop == NULL)
		skip();
	rig->listener.on_accept = on_accept;
	rig->listener.on_closed = on_listener_closed;
	assert_int_equal(loop_address_parse(slice_of("127.0.0.1:0"), &address, &fault), 0);
	assert_int_equal(loop_listener_open(rig->loop, &rig->listener, &address, &fault), 0);
	loop_listener_address(&rig->listener, &address);
	assert_int_equal(http_client_new(rig->loop, &options, &rig->client, &fault), 0);
	rig->origin =
		http_origin_new(rig->client, &(struct http_origin_options){.address = address,
									   .protocol = protocol});
	return rig;
}

struct client_rig *client_rig_begin(void **state)
{
	return begin(state, HTTP_PROTOCOL_1);
}

struct client_rig *client_rig_begin_h2(void **state)
{
	return begin(state, HTTP_PROTOCOL_2);
}

void client_rig_close_upstream(struct client_rig *rig, int number)
{
	assert_true(rig->upstreams[number] >= 0);
	close(rig->upstreams[number]);
	rig->upstreams[number] = -1;
}

void client_rig_close_listener(struct client_rig *rig)
{
	if (!rig->listener_closed)
		loop_listener_close(&rig->listener);
	while (!rig->listener_closed)
		client_rig_turn(rig, CLIENT_RIG_TURN_NS);
}

int client_rig_teardown(void **state)
{
	struct client_rig *rig = *state;

	if (rig->client != NULL) {
		if (rig->call != NULL)
			http_call_cancel(rig->call);
		for (int i = 0; i < CLIENT_RIG_CALLS_MAX; i++)
			if (rig->others[i] != NULL)
				http_call_cancel(rig->others[i]);
		http_origin_free(rig->origin);
		http_client_free(rig->client);
		client_rig_close_listener(rig);
		for (int i = 0; i < rig->upstream_count; i++)
			if (rig->upstreams[i] >= 0)
				close(rig->upstreams[i]);
		client_rig_settle(rig);
	}
	if (rig->loop != NULL)
		loop_free(rig->loop);
	free(rig);
	return 0;
}

void client_rig_again(void **state)
{
	const struct client_rig *rig = *state;
	const enum loop_io io = loop_io_used(rig->loop);

	client_rig_teardown(state);
	setup(state, io);
}

void client_rig_expect_request(struct client_rig *rig, int number, const char *text)
{
	char received[4096];
	size_t length = 0;

	client_rig_settle(rig);
	assert_true(number < rig->upstream_count);
	for (ssize_t got = 1; got > 0;) {
		got = read(rig->upstreams[number], received + length,
			   sizeof(received) - 1 - length);
		length += got > 0 ? (size_t)got : 0;
	}
	received[length] = '\0';
	assert_string_equal(received, text);
}

void client_rig_send_bytes(struct client_rig *rig, int number, struct slice bytes)
{
	assert_int_equal(send(rig->upstreams[number], bytes.data, bytes.length, MSG_NOSIGNAL),
			 bytes.length);
}

void client_rig_answer_bytes(struct client_rig *rig, int number, struct slice bytes)
{
	client_rig_send_bytes(rig, number, bytes);
	client_rig_settle(rig);
}

void client_rig_answer(struct client_rig *rig, int number, const char *text)
{
	client_rig_answer_bytes(rig, number, slice_of(text));
}

static void compare_log(struct client_rig *rig, const char *log)
{
	assert_string_equal(rig->log, log);
	rig->log[0] = '\0';
}

void client_rig_expect_log(struct client_rig *rig, const char *log)
{
	client_rig_settle(rig);
	compare_log(rig, log);
}

void client_rig_expect_log_soon(struct client_rig *rig, const char *log)
{
	const size_t length = strlen(log);

	for (int i = 0; i < CLIENT_RIG_SOON_TURNS && strlen(rig->log) < length; i++)
		client_rig_turn(rig, CLIENT_RIG_TURN_NS);
	compare_log(rig, log);
}

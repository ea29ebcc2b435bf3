/*
 * The input is what a service says on an HTTP/2 connection that four calls share, over the
 * simulated network and cut into pieces in several ways: whatever it is, each call ends once, and
 * an answer that is whole twice is the same twice.
 */
#include "base/check.h"
#include "base/text.h"
#include "http/http.h"
#include "loop/simulated.h"
#include "replay.h"

#define CALLS        4
#define PIECES_MAX   3000
#define TOLD_MAX     (1 << 20)
#define RUN_NS       (600 * CLOCK_NS_PER_S) /* beyond every timeout */
#define PAUSED_NS    (2 * CLOCK_NS_PER_S)
#define CONNECTS_MAX 16

struct scene;

struct caller {
	struct scene *scene;
	struct http_call *call;
	struct text told;
	bool pauses;
	bool whole;
	uint32_t ends;
};

struct service_peer {
	struct loop_stream stream;
	bool open;
};

struct scene {
	struct slice bytes;
	struct clock_manual clock;
	struct loop *loop;
	struct http_client *client;
	struct http_origin *origin;
	struct loop_listener listener;
	struct service_peer peers[CONNECTS_MAX];
	uint32_t peer_count;
	struct caller callers[CALLS];
};

/* ---- the callers ---- */

static void on_head(void *owner, const struct http_response *response)
{
	struct caller *caller = owner;

	check(response->status >= 200 && response->status <= 599);
	check(response->body_bytes >= HTTP_LENGTH_UNKNOWN);
	text_printf(&caller->told, "%u %lld\n", response->status, (long long)response->body_bytes);
	for (size_t i = 0; i < response->header_count; i++) {
		check(http_is_token(response->headers[i].name));
		text_append(&caller->told, response->headers[i].name);
		text_append(&caller->told, response->headers[i].value);
	}
	if (caller->pauses)
		http_call_pause(caller->call);
}

static void on_body(void *owner, struct slice bytes)
{
	struct caller *caller = owner;

	check(bytes.length > 0);
	check(!caller->pauses);
	text_append(&caller->told, bytes);
}

static void on_more(void *owner)
{
	const struct caller *caller = owner;

	check(caller->call != NULL);
}

static void on_over(struct caller *caller)
{
	check_equal(caller->ends++, 0);
	caller->call = NULL;
}

static void on_end(void *owner, const struct http_header *trailers, size_t trailer_count)
{
	struct caller *caller = owner;

	on_over(caller);
	caller->whole = true;
	for (size_t i = 0; i < trailer_count; i++)
		text_append(&caller->told, trailers[i].value);
}

static void on_failed(void *owner, enum http_failure failure)
{
	(void)failure;
	on_over(owner);
}

static void on_writable(void *owner)
{
	(void)owner;
}

static const struct http_client_events events = {
	.on_head = on_head,
	.on_body = on_body,
	.on_more = on_more,
	.on_end = on_end,
	.on_failed = on_failed,
	.on_writable = on_writable,
};

static void call(struct scene *scene, int number, const char *method, int64_t body_bytes)
{
	const struct http_header host = {
		.name = slice_of("Host"), .value = slice_of("a"), .known = HTTP_HOST};
	struct caller *caller = &scene->callers[number];

	caller->scene = scene;
	text_init(&caller->told, TOLD_MAX);
	caller->call = http_call_start(scene->origin,
				       &(struct http_call_request){
					       .method = slice_of(method),
					       .target = slice_of("/"),
					       .headers = &host,
					       .header_count = 1,
					       .body_bytes = body_bytes,
					       .head_only = number == 1,
				       },
				       caller);
	if (body_bytes != 0)
		http_call_send(caller->call, slice_of("request"));
}

/* ---- the service ---- */

static void on_data(struct loop_stream *stream, struct slice bytes)
{
	(void)stream;
	(void)bytes;
}

static void on_sent(struct loop_stream *stream)
{
	loop_stream_shutdown(stream);
}

static void on_gone(struct loop_stream *stream)
{
	loop_stream_close(stream);
}

static void on_error(struct loop_stream *stream, int error)
{
	(void)error;
	loop_stream_close(stream);
}

static void on_closed(struct loop_stream *stream)
{
	struct service_peer *peer =
		(struct service_peer *)((uintptr_t)stream - offsetof(struct service_peer, stream));

	peer->open = false;
}

static const struct loop_stream_events peer_events = {
	.on_data = on_data,
	.on_end = on_gone,
	.on_sent = on_sent,
	.on_error = on_error,
	.on_closed = on_closed,
};

/* Every connection hears the same. */
static void on_accept(struct loop_listener *listener, int descriptor)
{
	struct scene *scene =
		(struct scene *)((uintptr_t)listener - offsetof(struct scene, listener));
	struct service_peer *peer = &scene->peers[scene->peer_count++];
	const struct iovec part = {(void *)(uintptr_t)scene->bytes.data, scene->bytes.length};

	check_at_most(scene->peer_count, CONNECTS_MAX);
	peer->open = true;
	loop_stream_adopt(scene->loop, &peer->stream, descriptor, &peer_events);
	loop_stream_read(&peer->stream, true);
	if (scene->bytes.length > 0)
		loop_stream_send(&peer->stream, &part, 1);
	else
		loop_stream_shutdown(&peer->stream);
}

static void on_listener_closed(struct loop_listener *listener)
{
	(void)listener;
}

/* ---- a run ---- */

static void open_scene(struct scene *scene, struct simulated_network *network)
{
	const struct loop_options loop_options = {.io = LOOP_IO_SIMULATED, .network = network};
	struct http_client_options options = {.events = &events};
	struct http_origin_options origin = {.protocol = HTTP_PROTOCOL_2};
	struct fault fault;

	check(loop_new(&loop_options, &scene->loop, &fault) == 0);
	check(loop_address_parse(slice_of("127.0.0.1:80"), &origin.address, &fault) == 0);
	scene->listener.on_accept = on_accept;
	scene->listener.on_closed = on_listener_closed;
	check(loop_listener_open(scene->loop, &scene->listener, &origin.address, &fault) == 0);
	http_limits_default(&options.limits);
	check(http_client_new(scene->loop, &options, &scene->client, &fault) == 0);
	scene->origin = http_origin_new(scene->client, &origin);
}

static void close_scene(struct scene *scene, struct simulated_network *network)
{
	http_origin_free(scene->origin);
	http_client_free(scene->client);
	loop_listener_close(&scene->listener);
	for (uint32_t i = 0; i < scene->peer_count; i++)
		if (scene->peers[i].open && !loop_stream_closing(&scene->peers[i].stream))
			loop_stream_close(&scene->peers[i].stream);
	simulated_network_run(network, UINT64_MAX);
	loop_free(scene->loop);
}

static void run(struct scene *scene, struct slice bytes, uint32_t piece_bytes_max)
{
	const struct simulated_options options = {.seed = bytes.length,
						  .delay_least_ns = 1,
						  .delay_most_ns = 1,
						  .piece_bytes_max = piece_bytes_max};

	*scene = (struct scene){.bytes = bytes};
	clock_manual_init(&scene->clock, CLOCK_NS_PER_S, CLOCK_NS_PER_S);
	struct simulated_network *network = simulated_network_new(&options, &scene->clock);
	check(network != NULL);
	open_scene(scene, network);
	scene->callers[2].pauses = true;
	call(scene, 0, "GET", 0);
	call(scene, 1, "HEAD", 0);
	call(scene, 2, "POST", HTTP_LENGTH_UNKNOWN);
	http_call_finish(scene->callers[2].call, NULL, 0);
	call(scene, 3, "POST", HTTP_LENGTH_UNKNOWN); /* which it never finishes */
	simulated_network_run(network, PAUSED_NS);
	scene->callers[2].pauses = false;
	if (scene->callers[2].call != NULL)
		http_call_resume(scene->callers[2].call);
	simulated_network_run(network, RUN_NS);
	/* One that is not finished waits for its caller as long as that may be. */
	if (scene->callers[3].call != NULL) {
		http_call_cancel(scene->callers[3].call);
		on_over(&scene->callers[3]);
	}
	for (int i = 0; i < CALLS; i++)
		check_equal(scene->callers[i].ends, 1);
	close_scene(scene, network);
	simulated_network_free(network);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t pieces[] = {1, 7, 300};
	static struct scene whole, split;
	const struct slice bytes = slice_make(data, size);

	run(&whole, bytes, 0);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		if (size / pieces[i] > PIECES_MAX)
			continue;
		run(&split, bytes, pieces[i]);
		for (int n = 0; n < CALLS; n++) {
			const struct caller *a = &whole.callers[n];
			struct caller *b = &split.callers[n];
			if (a->whole && b->whole)
				check(slice_equal(text_slice(&a->told), text_slice(&b->told)));
			text_fini(&b->told);
		}
	}
	for (int n = 0; n < CALLS; n++)
		text_fini(&whole.callers[n].told);
	return 0;
}

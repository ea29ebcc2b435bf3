#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "fleet/fleet_internal.h"

/*
 * A question of health is a connection of its own: a service that serves one connection after the
 * other must not find us sitting in its only place. So what is kept alive is let go at once, and
 * an origin is freed when it has no connection left.
 */
#define KEEP_ALIVE_NS   1
#define CLOSING_LOOK_NS CLOCK_NS_PER_MS

static struct probe *of_stream(struct loop_stream *stream)
{
	return (struct probe *)((uintptr_t)stream - offsetof(struct probe, stream));
}

static struct probe *of_timer(struct loop_timer *timer)
{
	return (struct probe *)((uintptr_t)timer - offsetof(struct probe, timer));
}

static void answer(struct probe *probe, bool healthy, const char *why)
{
	probe->asking = false;
	probe->call = NULL;
	loop_timer_clear(probe->loop, &probe->timer);
	probe->on_result(probe, healthy, why);
}

/* The head decides; its body may fail or be endless. */
static void answer_by_status(struct probe *probe, const char *without)
{
	char why[64];

	if (probe->status == 0) {
		answer(probe, false, without);
		return;
	}
	snprintf(why, sizeof(why), "it answered %u", probe->status);
	answer(probe, probe->status >= 200 && probe->status <= 399, why);
}

/* ---- by HTTP ---- */

static void on_head(void *owner, const struct http_response *response)
{
	struct probe *probe = owner;

	probe->status = response->status;
}

static void on_body(void *owner, struct slice bytes)
{
	(void)owner;
	(void)bytes;
}

static void on_more(void *owner)
{
	(void)owner;
}

static void on_end(void *owner, const struct http_header *trailers, size_t trailer_count)
{
	(void)trailers;
	(void)trailer_count;
	answer_by_status(owner, "it answered nothing");
}

static void on_failed(void *owner, enum http_failure failure)
{
	static const char *const texts[] = {
		[HTTP_FAILED_CONNECT] = "it takes no connection",
		[HTTP_FAILED_STALE] = "it closed the connection without an answer",
		[HTTP_FAILED_CLOSED] = "it closed the connection without an answer",
		[HTTP_FAILED_INVALID] = "its answer is not HTTP",
		[HTTP_FAILED_TIMEOUT] = "it took the request but did not answer in time",
		[HTTP_FAILED_REFUSED] = "it refused the request without a look at it",
		[HTTP_FAILED_UNSUPPORTED] = "it takes no upgrade",
		[HTTP_FAILED_TLS] = "it takes no connection by TLS",
	};

	answer_by_status(owner, texts[failure]);
}

static void on_writable(void *owner)
{
	(void)owner;
}

int probe_client_new(struct loop *loop, struct http_client **ret_client, struct fault *fault)
{
	static const struct http_client_events events = {
		.on_head = on_head,
		.on_body = on_body,
		.on_more = on_more,
		.on_end = on_end,
		.on_failed = on_failed,
		.on_writable = on_writable,
	};
	struct http_client_options options = {.events = &events};

	http_limits_default(&options.limits);
	options.limits.head_bytes_max = PROBE_HEAD_BYTES_MAX;
	options.limits.connect_timeout_ns = PROBE_ANSWER_NS;
	options.limits.answer_timeout_ns = PROBE_ANSWER_NS;
	options.limits.keep_alive_timeout_ns = KEEP_ALIVE_NS;
	return http_client_new(loop, &options, ret_client, fault);
}

static void ask_http(struct probe *probe)
{
	const struct http_header headers[] = {
		{.name = slice_of("Host"), .value = slice_of("localhost"), .known = HTTP_HOST},
		{.name = slice_of("Accept"), .value = slice_of("*/*"), .known = HTTP_ACCEPT},
	};
	const struct http_call_request request = {
		.method = slice_of("GET"),
		.target = slice_of(probe->path),
		.headers = headers,
		.header_count = sizeof(headers) / sizeof(headers[0]),
	};

	probe->status = 0;
	probe->call = http_call_start(probe->origin, &request, probe);
}

/* ---- by connecting ---- */

static void end_if_closed(struct probe *probe);

static void on_connected(struct loop_stream *stream, int error)
{
	struct probe *probe = of_stream(stream);
	char why[128];

	check(probe->asking);
	loop_stream_close(stream);
	if (error == ENOENT)
		snprintf(why, sizeof(why), "it has made no socket");
	else
		snprintf(why, sizeof(why), "it takes no connection: %s", strerrordesc_np(error));
	answer(probe, error == 0, why);
}

static void on_stream_closed(struct loop_stream *stream)
{
	struct probe *probe = of_stream(stream);

	probe->stream_open = false;
	if (probe->closing)
		end_if_closed(probe);
}

/* Nothing is read, so nothing else is told. */
static const struct loop_stream_events stream_events = {
	.on_connected = on_connected,
	.on_closed = on_stream_closed,
};

/* ---- both ---- */

static void on_due(struct loop_timer *timer)
{
	struct probe *probe = of_timer(timer);

	if (probe->closing) {
		end_if_closed(probe);
		return;
	}
	check(probe->asking);
	if (probe->call != NULL)
		http_call_cancel(probe->call);
	if (probe->stream_open && !loop_stream_closing(&probe->stream))
		loop_stream_close(&probe->stream);
	answer_by_status(probe, "it did not answer in time");
}

static void on_over(struct loop_task *task)
{
	end_if_closed((struct probe *)((uintptr_t)task - offsetof(struct probe, over)));
}

void probe_open(struct probe *probe, struct loop *loop, struct http_client *client,
		const struct loop_address *address, enum http_protocol protocol, const char *path)
{
	check(probe->on_result != NULL);
	check(probe->on_closed != NULL);
	*probe = (struct probe){
		.on_result = probe->on_result,
		.on_closed = probe->on_closed,
		.loop = loop,
		.address = address,
		.path = path,
		.timer.on_due = on_due,
		.over.run = on_over,
	};
	if (path != NULL)
		probe->origin = http_origin_new(
			client,
			&(struct http_origin_options){.address = *address, .protocol = protocol});
}

void probe_ask(struct probe *probe)
{
	check(!probe->asking);
	check(!probe->closing);
	probe->asking = true;
	loop_timer_set(probe->loop, &probe->timer, loop_now_ns(probe->loop) + PROBE_ANSWER_NS);
	if (probe->path != NULL) {
		ask_http(probe);
		return;
	}
	if (probe->stream_open) {
		/* The last question's connection still closes: this one has no answer yet. */
		loop_timer_set(probe->loop, &probe->timer, loop_now_ns(probe->loop) + 1);
		return;
	}
	probe->stream_open = true;
	loop_stream_connect(probe->loop, &probe->stream, probe->address, &stream_events);
}

static void end_if_closed(struct probe *probe)
{
	const bool is_connected =
		probe->origin != NULL && http_origin_connections(probe->origin) > 0;

	if (is_connected) {
		loop_timer_set(probe->loop, &probe->timer,
			       loop_now_ns(probe->loop) + CLOSING_LOOK_NS);
		return;
	}
	if (probe->stream_open)
		return;
	if (probe->origin != NULL)
		http_origin_free(probe->origin);
	probe->origin = NULL;
	loop_timer_clear(probe->loop, &probe->timer);
	probe->on_closed(probe);
}

void probe_close(struct probe *probe)
{
	check(!probe->closing);
	probe->closing = true;
	probe->asking = false;
	if (probe->call != NULL)
		http_call_cancel(probe->call);
	probe->call = NULL;
	if (probe->stream_open && !loop_stream_closing(&probe->stream))
		loop_stream_close(&probe->stream);
	loop_timer_clear(probe->loop, &probe->timer);
	loop_defer(probe->loop, &probe->over);
}

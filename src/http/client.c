#include "http/client_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "http/h2_client_internal.h"

static const struct loop_stream_events link_events;

static struct http_link *of_stream(struct loop_stream *stream)
{
	return (struct http_link *)((uintptr_t)stream - offsetof(struct http_link, wire.stream));
}

/* ---- client and origins ---- */

int http_client_new(struct loop *loop, const struct http_client_options *options,
		    struct http_client **ret_client, struct fault *fault)
{
	struct http_client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		return fault_set(fault, FAULT_LIMIT, "no memory for an HTTP client");
	client->loop = loop;
	client->options = *options;
	if (options->idle_per_origin_max == 0)
		client->options.idle_per_origin_max = HTTP_IDLE_PER_ORIGIN;
	*ret_client = client;
	return 0;
}

static void client_drop(struct http_client *client)
{
	while (client->spare != NULL) {
		struct http_link *link = client->spare;
		client->spare = link->next;
		free(link);
	}
	if (client->h2 != NULL)
		http_h2_kit_free(client->h2);
	http_blocks_fini(&client->blocks);
	http_tls_kit_fini(&client->tls);
	free(client);
}

void http_client_free(struct http_client *client)
{
	check(!client->freed);
	client->freed = true;
	if (client->origin_count == 0)
		client_drop(client);
}

struct http_origin *http_origin_new(struct http_client *client,
				    const struct http_origin_options *options)
{
	struct http_origin *origin = calloc(1, sizeof(*origin));

	check(origin != NULL);
	check(!client->freed);
	origin->client = client;
	origin->options = *options;
	if (options->tls != NULL)
		http_tls_ref(options->tls);
	if (options->protocol == HTTP_PROTOCOL_2 && client->h2 == NULL)
		client->h2 = http_h2_kit_new();
	client->origin_count++;
	return origin;
}

static void origin_drop(struct http_origin *origin)
{
	struct http_client *client = origin->client;

	SSL_SESSION_free(origin->resumable);
	http_tls_unref(origin->options.tls);
	free(origin);
	client->origin_count--;
	if (client->freed && client->origin_count == 0)
		client_drop(client);
}

void http_origin_connect(struct http_origin *origin, struct http_wire *wire,
			 const struct loop_stream_events *events)
{
	struct http_client *client = origin->client;
	struct http_tls *tls = origin->options.tls;

	if (tls != NULL)
		http_tls_begin(wire, tls, &client->tls, events, &origin->resumable);
	loop_stream_connect(client->loop, &wire->stream, &origin->options.address,
			    tls != NULL ? &http_tls_events : events);
	http_wire_read_within(wire, client->options.limits.connect_timeout_ns);
}

enum http_failure http_origin_failure(const struct http_origin *origin,
				      const struct http_wire *wire, enum http_failure plain)
{
	const struct http_client_options *options = &origin->client->options;
	const struct http_tls_session *session = wire->tls;

	if (session == NULL || !session->reached)
		return plain;
	if (session->established && session->reason != HTTP_TLS_CLIENT_REFUSED)
		return plain;
	if (options->on_tls_failed != NULL)
		options->on_tls_failed(options->owner, origin->options.owner,
				       session->why != NULL ? session->reason : HTTP_TLS_STALLED,
				       session->why != NULL ? session->why
							    : "the handshake was not over in time");
	return HTTP_FAILED_TLS;
}

void http_origin_left(struct http_origin *origin)
{
	origin->connection_count--;
	if (origin->freed && origin->connection_count == 0)
		origin_drop(origin);
}

void http_origin_free(struct http_origin *origin)
{
	check(!origin->freed);
	origin->freed = true;
	while (origin->idle != NULL)
		http_link_close(origin->idle);
	http_trunks_close_idle(origin);
	if (origin->connection_count == 0)
		origin_drop(origin);
}

uint32_t http_origin_connections(const struct http_origin *origin)
{
	return origin->connection_count;
}

/* ---- a connection's memory ---- */

static void link_turn(struct loop_task *task);
static void link_due(struct loop_timer *timer);

static struct http_link *link_new(struct http_origin *origin)
{
	struct http_client *client = origin->client;
	struct http_link *link = client->spare;

	if (link != NULL) {
		client->spare = link->next;
		client->spare_count--;
	} else {
		link = malloc(sizeof(*link));
		check(link != NULL);
	}
	memset(link, 0, sizeof(*link));
	http_wire_init(&link->wire, client->loop, &client->blocks);
	link->wire.turn.run = link_turn;
	link->wire.timer.on_due = link_due;
	link->origin = origin;
	origin->connection_count++;
	return link;
}

static void link_closed(struct loop_stream *stream)
{
	struct http_link *link = of_stream(stream);
	struct http_origin *origin = link->origin;
	struct http_client *client = origin->client;

	http_wire_fini(&link->wire);
	if (client->spare_count == HTTP_LINKS_SPARE) {
		free(link);
	} else {
		link->next = client->spare;
		client->spare = link;
		client->spare_count++;
	}
	http_origin_left(origin);
}

/* ---- the idle ones ---- */

static void idle_add(struct http_link *link)
{
	struct http_origin *origin = link->origin;

	link->previous = NULL;
	link->next = origin->idle;
	if (origin->idle != NULL)
		origin->idle->previous = link;
	origin->idle = link;
	origin->idle_count++;
	link->state = HTTP_LINK_IDLE;
	http_wire_read_within(&link->wire, origin->client->options.limits.keep_alive_timeout_ns);
}

static void idle_remove(struct http_link *link)
{
	struct http_origin *origin = link->origin;

	if (link->previous != NULL)
		link->previous->next = link->next;
	else
		origin->idle = link->next;
	if (link->next != NULL)
		link->next->previous = link->previous;
	origin->idle_count--;
}

struct http_link *http_link_take(struct http_origin *origin)
{
	struct http_link *link = origin->idle;

	check(!origin->freed);
	if (link != NULL) {
		idle_remove(link);
		link->state = HTTP_LINK_CALLING;
		link->reused = true;
		return link;
	}
	link = link_new(origin);
	link->state = HTTP_LINK_CONNECTING;
	http_origin_connect(origin, &link->wire, &link_events);
	return link;
}

void http_link_close(struct http_link *link)
{
	if (link->state == HTTP_LINK_IDLE)
		idle_remove(link);
	link->state = HTTP_LINK_CLOSED;
	http_wire_close(&link->wire);
}

void http_link_release(struct http_link *link, bool clean)
{
	const struct http_origin *origin = link->origin;

	if (!clean || origin->freed ||
	    origin->idle_count >= origin->client->options.idle_per_origin_max) {
		http_link_close(link);
	} else if (link->wire.waiting_bytes > 0) {
		link->state = HTTP_LINK_SETTLING;
		link->wire.read_deadline_ns = 0;
	} else {
		idle_add(link);
	}
}

/* ---- what happens to a connection ---- */

void http_link_flush(struct http_link *link)
{
	if (link->state == HTTP_LINK_CONNECTING || link->state == HTTP_LINK_CLOSED)
		return;
	if (link->wire.waiting_bytes > 0)
		link->sent_any = true;
	http_wire_flush(&link->wire, link->origin->client->options.limits.send_idle_timeout_ns);
	if (link->call.switched)
		http_link_shut(link);
}

void http_link_fail(struct http_link *link, enum http_failure failure)
{
	const bool is_called =
		link->state == HTTP_LINK_CALLING || link->state == HTTP_LINK_CONNECTING;
	struct http_origin *origin = link->origin;

	http_link_close(link);
	/* The others have been idle for longer: a second attempt is not to meet the same end. */
	while (is_called && link->reused && !link->call.answered && origin->idle != NULL)
		http_link_close(origin->idle);
	if (is_called)
		link->origin->client->options.events->on_failed(link->call.owner, failure);
}

static void link_turn(struct loop_task *task)
{
	struct http_link *link =
		(struct http_link *)((uintptr_t)task - offsetof(struct http_link, wire.turn));

	if (link->state == HTTP_LINK_CALLING && link->call.resumed)
		http_link_input(link, slice_make(NULL, 0));
	http_link_flush(link);
}

static void link_connected(struct loop_stream *stream, int error)
{
	struct http_link *link = of_stream(stream);

	if (error != 0) {
		http_link_fail(link,
			       http_origin_failure(link->origin, &link->wire, HTTP_FAILED_CONNECT));
		return;
	}
	link->state = HTTP_LINK_CALLING;
	link->wire.reading = true;
	loop_stream_read(stream, true);
	http_wire_read_within(&link->wire, link->call.finished ? link->call.answer_timeout_ns : 0);
	http_wire_defer(&link->wire);
}

static void link_sent(struct loop_stream *stream)
{
	struct http_link *link = of_stream(stream);
	struct http_call *call = &link->call;
	const struct http_client_options *options = &link->origin->client->options;

	http_wire_sent(&link->wire);
	if (link->state == HTTP_LINK_SETTLING && link->wire.waiting_bytes == 0) {
		http_link_release(link, true);
		return;
	}
	if (call->above_high && link->wire.waiting_bytes <= options->limits.output_bytes_high / 2) {
		call->above_high = false;
		if (link->state == HTTP_LINK_CALLING && !call->finished)
			options->events->on_writable(call->owner);
	}
	http_link_flush(link);
}

static void link_data(struct loop_stream *stream, struct slice bytes)
{
	struct http_link *link = of_stream(stream);

	/* Nothing was asked, so nothing can be an answer. */
	if (link->state == HTTP_LINK_CALLING)
		http_link_input(link, bytes);
	else
		http_link_close(link);
}

static void link_peer_ended(struct loop_stream *stream)
{
	struct http_link *link = of_stream(stream);

	link->wire.ended = true;
	if (link->state == HTTP_LINK_CALLING)
		http_link_input(link, slice_make(NULL, 0));
	else
		http_link_close(link);
}

/* The peer of a Unix socket is reset where it has not read all that was sent to it: it never took
 * the connection, or died before it came to the request. With a body behind it, it may have read
 * the head. (unix(7) does not say so; unix_release_sock in the kernel's net/unix/af_unix.c.) */
static bool is_unread(const struct http_link *link, int error)
{
	return link->origin->options.address.any.sa_family == AF_UNIX &&
	       (error == ECONNRESET || error == EPIPE) && link->call.announced_bytes == 0;
}

static void link_failed(struct loop_stream *stream, int error)
{
	struct http_link *link = of_stream(stream);
	enum http_failure failure = HTTP_FAILED_CLOSED;

	if (!link->call.answered && is_unread(link, error))
		failure = link->reused ? HTTP_FAILED_REFUSED : HTTP_FAILED_CONNECT;
	else if (!link->call.answered)
		failure = link->reused ? HTTP_FAILED_STALE
				       : http_origin_failure(link->origin, &link->wire, failure);
	http_link_fail(link, failure);
}

static const struct loop_stream_events link_events = {
	.on_connected = link_connected,
	.on_data = link_data,
	.on_end = link_peer_ended,
	.on_sent = link_sent,
	.on_error = link_failed,
	.on_closed = link_closed,
};

static void link_due(struct loop_timer *timer)
{
	struct http_link *link =
		(struct http_link *)((uintptr_t)timer - offsetof(struct http_link, wire.timer));
	const struct http_limits *limits = &link->origin->client->options.limits;

	if (link->state == HTTP_LINK_CLOSED)
		return;
	if (http_wire_due(&link->wire, limits->send_idle_timeout_ns) != HTTP_WIRE_NOT_DUE)
		http_link_fail(link, link->state == HTTP_LINK_CONNECTING
					     ? http_origin_failure(link->origin, &link->wire,
								   HTTP_FAILED_CONNECT)
					     : HTTP_FAILED_TIMEOUT);
}

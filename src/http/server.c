#include "http/server_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/check.h"
#include "http/h2_server_internal.h"

#define CLOSE_AGAIN_NS 10000000ull /* for a request that arrived to be read */

static void connection_turn(struct loop_task *task);
static void connection_due(struct loop_timer *timer);
static void server_drained(struct loop_task *task);

static struct http_connection *of_stream(struct loop_stream *stream)
{
	return (struct http_connection *)((uintptr_t)stream -
					  offsetof(struct http_connection, wire.stream));
}

/* ---- the server ---- */

static void on_tls_peer(struct http_wire *wire, const struct http_tls_peer *peer)
{
	struct http_connection *connection = (struct http_connection *)wire;
	const struct http_server_options *options = &connection->server->options;

	options->on_tls_peer(options->owner, connection->states, peer);
}

int http_server_new(struct loop *loop, const struct http_server_options *options,
		    struct http_server **ret_server, struct fault *fault)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return fault_set(fault, FAULT_LIMIT, "no memory for an HTTP server");
	server->loop = loop;
	server->options = *options;
	server->connection_state_bytes = (options->connection_state_bytes + 15) / 16 * 16;
	if (options->connections_max == 0)
		server->options.connections_max = HTTP_CONNECTIONS_DEFAULT;
	server->drained.run = server_drained;
	server->tls.on_refused = options->on_tls_refused;
	server->tls.on_peer = options->on_tls_peer != NULL ? on_tls_peer : NULL;
	server->tls.owner = options->owner;
	const int code = http_h2_server_new(&server->h2, fault);
	if (code != 0) {
		free(server);
		return code;
	}
	*ret_server = server;
	return 0;
}

void http_server_free(struct http_server *server)
{
	check_equal(server->connection_count, 0);
	check(!server->drained.queued);
	while (server->spare != NULL) {
		struct http_connection *connection = server->spare;
		server->spare = connection->next;
		free(connection);
	}
	http_h2_server_free(server->h2);
	http_blocks_fini(&server->blocks);
	http_tls_kit_fini(&server->tls);
	free(server);
}

uint32_t http_server_connections(const struct http_server *server)
{
	return server->connection_count;
}

void *http_server_owner(const struct http_server *server)
{
	return server->options.owner;
}

/* ---- connections ---- */

static size_t connection_bytes(const struct http_server *server)
{
	return sizeof(struct http_connection) + server->connection_state_bytes +
	       server->options.exchange_state_bytes;
}

static struct http_connection *connection_new(struct http_server *server)
{
	struct http_connection *connection = server->spare;

	if (connection != NULL) {
		server->spare = connection->next;
		server->spare_count--;
	} else {
		connection = malloc(connection_bytes(server));
		check(connection != NULL);
	}
	memset(connection, 0, sizeof(*connection) + server->connection_state_bytes);
	http_wire_init(&connection->wire, server->loop, &server->blocks);
	connection->wire.turn.run = connection_turn;
	connection->wire.timer.on_due = connection_due;
	connection->server = server;
	connection->next = server->connections;
	if (server->connections != NULL)
		server->connections->previous = connection;
	server->connections = connection;
	server->connection_count++;
	return connection;
}

static void connection_free(struct http_connection *connection)
{
	struct http_server *server = connection->server;

	http_wire_fini(&connection->wire);
	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		server->connections = connection->next;
	if (connection->next != NULL)
		connection->next->previous = connection->previous;
	server->connection_count--;
	if (server->spare_count == HTTP_CONNECTIONS_SPARE) {
		free(connection);
	} else {
		connection->next = server->spare;
		server->spare = connection;
		server->spare_count++;
	}
	if (server->on_drained != NULL && server->connection_count == 0)
		loop_defer(server->loop, &server->drained);
}

/* One too many is taken over only to be closed, for a descriptor is the loop's to close. */
void http_server_adopt(struct http_server *server, int descriptor, struct http_tls *tls)
{
	struct http_connection *connection = connection_new(server);

	if (server->options.on_connection_opened != NULL)
		server->options.on_connection_opened(server->options.owner, connection->states,
						     descriptor, tls != NULL);
	http_wire_adopt(&connection->wire, descriptor, &http_connection_events, tls, &server->tls);
	if ((server->draining && server->drain_idle_ns == 0) || server->drained_told ||
	    server->connection_count > server->options.connections_max) {
		http_connection_close(connection);
		return;
	}
	http_wire_read_within(&connection->wire, server->draining
							 ? server->drain_idle_ns
							 : server->options.limits.head_timeout_ns);
	connection->wire.reading = true;
	loop_stream_read(&connection->wire.stream, true);
}

/* ---- draining ---- */

static void server_drained(struct loop_task *task)
{
	struct http_server *server =
		(struct http_server *)((uintptr_t)task - offsetof(struct http_server, drained));

	if (server->connection_count > 0 || server->drained_told)
		return;
	server->drained_told = true;
	server->on_drained(server->options.owner);
}

void http_server_drain(struct http_server *server, uint64_t idle_ns,
		       void (*on_drained)(void *owner))
{
	check(!server->draining);
	server->draining = true;
	server->drain_idle_ns = idle_ns;
	server->on_drained = on_drained;
	for (struct http_connection *connection = server->connections; connection != NULL;
	     connection = connection->next) {
		const bool idle = connection->state == HTTP_CONNECTION_IDLE;
		if (connection->state == HTTP_CONNECTION_SESSION)
			http_h2_drain(connection->h2, idle_ns);
		else if (idle && idle_ns > 0)
			http_wire_read_within(&connection->wire, idle_ns);
		else if (idle || (connection->state == HTTP_CONNECTION_HEAD && idle_ns == 0))
			http_connection_close(connection);
	}
	if (on_drained != NULL && server->connection_count == 0)
		loop_defer(server->loop, &server->drained);
}

void http_server_close(struct http_server *server)
{
	for (struct http_connection *connection = server->connections; connection != NULL;
	     connection = connection->next)
		http_connection_close(connection);
}

/* ---- a connection's end ---- */

void http_connection_close(struct http_connection *connection)
{
	connection->state = HTTP_CONNECTION_CLOSED;
	http_wire_close(&connection->wire);
}

static void flushed(struct http_connection *connection)
{
	if (!connection->linger || connection->wire.ended) {
		http_connection_close(connection);
		return;
	}
	connection->state = HTTP_CONNECTION_LINGER;
	http_wire_shutdown(&connection->wire);
	http_wire_read_within(&connection->wire, HTTP_LINGER_NS);
}

void http_connection_end(struct http_connection *connection, bool linger)
{
	connection->state = HTTP_CONNECTION_FLUSH;
	connection->linger = linger;
	connection->wire.read_deadline_ns = 0;
	http_wire_defer(&connection->wire);
}

size_t http_refusal_compose(struct http_server *server, const struct http_refusal *refusal,
			    char body[HTTP_REFUSAL_BYTES_MAX])
{
	const struct http_server_events *events = server->options.events;
	const size_t length =
		events->refuse != NULL
			? events->refuse(server, refusal, body, HTTP_REFUSAL_BYTES_MAX)
			: (size_t)snprintf(
				  body, HTTP_REFUSAL_BYTES_MAX,
				  "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
				  "\"detail\":\"%s\"}\n",
				  refusal->title, refusal->status, refusal->detail);

	check(length > 0 && length < HTTP_REFUSAL_BYTES_MAX);
	return length;
}

void http_connection_refuse(struct http_connection *connection, enum http_refused refused)
{
	struct http_server *server = connection->server;
	const struct http_refusal *refusal = http_refusal_of(refused);
	const struct http_header type = http_refusal_type();
	char body[HTTP_REFUSAL_BYTES_MAX];
	const size_t length = http_refusal_compose(server, refusal, body);

	http_date_update(&server->date, loop_wall_ns(server->loop));
	http_compose_answer(&connection->wire,
			    &(struct http_answer_head){
				    .status = refusal->status,
				    .headers = &type,
				    .header_count = 1,
				    .content_length = (int64_t)length,
				    .close = true,
			    },
			    &server->date);
	http_wire_append(&connection->wire, slice_make(body, length));
	http_connection_end(connection, true);
}

/* ---- an exchange's end ---- */

void http_connection_abort(struct http_connection *connection, enum http_abort reason)
{
	struct http_exchange *exchange = &connection->exchange;

	if (connection->h2 != NULL)
		http_h2_abort_all(connection->h2, reason);
	if (!exchange->live || exchange->aborted)
		return;
	exchange->aborted = true;
	connection->server->options.events->on_abort(exchange, reason);
}

static void tell_over(struct http_connection *connection)
{
	connection->exchange.live = false;
	connection->wire.held = false;
	connection->server->options.events->on_over(&connection->exchange);
}

/* The answer is with the kernel: the next request, the rest of this one, or the end. */
static void after_answer(struct http_connection *connection)
{
	const bool body_over = http_body_is_over(&connection->body);
	const struct http_limits *limits = &connection->server->options.limits;

	/* A client that was not told to close may have sent its next request already. */
	if (!connection->exchange.keep_alive ||
	    (connection->server->draining && connection->server->drain_idle_ns == 0)) {
		http_connection_end(connection, !body_over || connection->wire.kept_length > 0);
	} else if (body_over) {
		connection->state = HTTP_CONNECTION_IDLE;
		http_wire_read_within(&connection->wire, connection->server->draining
								 ? connection->server->drain_idle_ns
								 : limits->keep_alive_timeout_ns);
	} else {
		connection->state = HTTP_CONNECTION_DISCARD;
		http_wire_read_within(&connection->wire, limits->body_idle_timeout_ns);
	}
}

static void advance_exchange(struct http_connection *connection)
{
	struct http_exchange *exchange = &connection->exchange;
	struct http_wire *wire = &connection->wire;

	if (exchange->live && exchange->aborted)
		tell_over(connection);
	if (exchange->live && exchange->finished && wire->waiting_bytes == 0 && !wire->held) {
		tell_over(connection);
		if (connection->state == HTTP_CONNECTION_EXCHANGE)
			after_answer(connection);
	}
	if (wire->kept_length > 0 || wire->ended || (exchange->live && !exchange->body_told))
		http_connection_input(connection, slice_make(NULL, 0));
}

void http_connection_advance(struct http_connection *connection)
{
	struct http_wire *wire = &connection->wire;

	if (connection->state == HTTP_CONNECTION_SESSION)
		http_h2_advance(connection->h2);
	else if (connection->state != HTTP_CONNECTION_CLOSED)
		advance_exchange(connection);
	if (connection->state == HTTP_CONNECTION_CLOSED)
		return;
	http_wire_flush(wire, connection->server->options.limits.send_idle_timeout_ns);
	if (connection->state == HTTP_CONNECTION_FLUSH && wire->waiting_bytes == 0 && !wire->held &&
	    http_wire_said_end(wire, connection->server->options.limits.send_idle_timeout_ns))
		flushed(connection);
}

static void connection_turn(struct loop_task *task)
{
	http_connection_advance(
		(struct http_connection *)((uintptr_t)task -
					   offsetof(struct http_connection, wire.turn)));
}

/* ---- what the stream tells ---- */

static void connection_sent(struct loop_stream *stream)
{
	struct http_connection *connection = of_stream(stream);
	struct http_exchange *exchange = &connection->exchange;
	struct http_wire *wire = &connection->wire;

	if (connection->h2 != NULL)
		http_h2_sent(connection->h2, wire->sending_bytes);
	http_wire_sent(wire);
	if (exchange->above_high &&
	    wire->waiting_bytes <= connection->server->options.limits.output_bytes_high / 2) {
		exchange->above_high = false;
		if (exchange->live && !exchange->aborted && !exchange->finished)
			connection->server->options.events->on_writable(exchange);
	}
	http_connection_advance(connection);
}

static void connection_data(struct loop_stream *stream, struct slice bytes)
{
	http_connection_input(of_stream(stream), bytes);
}

static void connection_peer_ended(struct loop_stream *stream)
{
	struct http_connection *connection = of_stream(stream);
	const bool aborts = connection->server->options.half_close_aborts &&
			    (connection->state == HTTP_CONNECTION_EXCHANGE ||
			     connection->state == HTTP_CONNECTION_SESSION);

	connection->wire.ended = true;
	if (aborts) {
		http_connection_abort(connection, HTTP_ABORT_PEER_CLOSED);
		http_connection_close(connection);
	} else {
		http_connection_input(connection, slice_make(NULL, 0));
	}
}

static void connection_failed(struct loop_stream *stream, int error)
{
	struct http_connection *connection = of_stream(stream);

	(void)error;
	http_connection_abort(connection, HTTP_ABORT_PEER_CLOSED);
	http_connection_close(connection);
}

static void connection_closed(struct loop_stream *stream)
{
	struct http_connection *connection = of_stream(stream);
	const struct http_server *server = connection->server;

	if (connection->exchange.live) {
		http_connection_abort(connection, HTTP_ABORT_SHUTDOWN);
		tell_over(connection);
	}
	if (connection->h2 != NULL)
		http_h2_end(connection->h2);
	if (server->options.on_connection_closed != NULL)
		server->options.on_connection_closed(server->options.owner, connection->states);
	connection_free(connection);
}

const struct loop_stream_events http_connection_events = {
	.on_data = connection_data,
	.on_end = connection_peer_ended,
	.on_sent = connection_sent,
	.on_error = connection_failed,
	.on_closed = connection_closed,
};

/* ---- time ---- */

/* Not over a request that is with the kernel already: its client would see it lost. */
static void close_idle(struct http_connection *connection)
{
	int unread = 0;

	if (connection->server->draining && connection->wire.stream.descriptor >= 0 &&
	    ioctl(connection->wire.stream.descriptor, FIONREAD, &unread) == 0 && unread > 0)
		http_wire_read_within(&connection->wire, CLOSE_AGAIN_NS);
	else
		http_connection_close(connection);
}

static void read_timed_out(struct http_connection *connection)
{
	switch (connection->state) {
	case HTTP_CONNECTION_HEAD:
		if (connection->wire.kept_length > 0)
			http_connection_refuse(connection, HTTP_REFUSED_TIMEOUT);
		else
			http_connection_close(connection);
		break;
	case HTTP_CONNECTION_EXCHANGE: {
		const bool responded = connection->exchange.responded;
		http_connection_abort(connection, HTTP_ABORT_TIMEOUT);
		if (responded)
			http_connection_end(connection, false);
		else
			http_connection_refuse(connection, HTTP_REFUSED_TIMEOUT);
		break;
	}
	case HTTP_CONNECTION_IDLE:
		close_idle(connection);
		break;
	case HTTP_CONNECTION_SESSION:
		http_h2_read_timed_out(connection->h2);
		break;
	case HTTP_CONNECTION_DISCARD:
	case HTTP_CONNECTION_FLUSH:
	case HTTP_CONNECTION_LINGER:
		http_connection_close(connection);
		break;
	case HTTP_CONNECTION_CLOSED:
		break;
	}
}

static void connection_due(struct loop_timer *timer)
{
	struct http_connection *connection =
		(struct http_connection *)((uintptr_t)timer -
					   offsetof(struct http_connection, wire.timer));

	if (connection->state == HTTP_CONNECTION_CLOSED)
		return;
	switch (http_wire_due(&connection->wire,
			      connection->server->options.limits.send_idle_timeout_ns)) {
	case HTTP_WIRE_NOT_DUE:
		break;
	case HTTP_WIRE_READ_DUE:
		read_timed_out(connection);
		break;
	case HTTP_WIRE_SEND_DUE:
		http_connection_abort(connection, HTTP_ABORT_TIMEOUT);
		http_connection_close(connection);
		break;
	}
}

#include "base/check.h"
#include "http/h2_server_internal.h"

static struct http_connection *connection_of(struct http_exchange *exchange)
{
	return exchange->h2 ? http_h2_stream_of(exchange)->session->connection
			    : http_exchange_connection(exchange);
}

void *http_exchange_connection_state(struct http_exchange *exchange)
{
	return connection_of(exchange)->states;
}

struct http_server *http_exchange_server(struct http_exchange *exchange)
{
	return connection_of(exchange)->server;
}

const char *http_exchange_protocol(const struct http_exchange *exchange)
{
	return exchange->h2 ? "HTTP/2" : exchange->http_1_0 ? "HTTP/1.0" : "HTTP/1.1";
}

void *http_exchange_state(struct http_exchange *exchange)
{
	if (exchange->h2)
		return http_h2_stream_of(exchange)->state;
	struct http_connection *connection = http_exchange_connection(exchange);

	return connection->states + connection->server->connection_state_bytes;
}

/* ---- the request's body ---- */

void http_exchange_pause(struct http_exchange *exchange)
{
	if (exchange->aborted || exchange->paused)
		return;
	exchange->paused = true;
	if (exchange->h2)
		http_h2_pause(http_h2_stream_of(exchange));
	else
		http_exchange_connection(exchange)->wire.read_deadline_ns = 0;
}

/* RFC 9110 10.1.1: 100 Continue is left out where the body has begun to come without it. */
static void send_continue(struct http_connection *connection)
{
	connection->exchange.continue_due = false;
	if (connection->wire.kept_length == 0 && !connection->exchange.responded)
		http_wire_append(&connection->wire, slice_of("HTTP/1.1 100 Continue\r\n\r\n"));
}

void http_exchange_resume(struct http_exchange *exchange)
{
	check(exchange->live);
	if (exchange->aborted || !exchange->paused)
		return;
	exchange->paused = false;
	if (exchange->h2) {
		http_h2_resume(http_h2_stream_of(exchange));
		return;
	}
	struct http_connection *connection = http_exchange_connection(exchange);
	const struct http_limits *limits = &connection->server->options.limits;
	if (exchange->continue_due)
		send_continue(connection);
	if (!exchange->body_told && !exchange->switched)
		http_wire_read_within(&connection->wire, limits->body_idle_timeout_ns);
	http_wire_defer(&connection->wire);
}

/* ---- the answer ---- */

/* Whether the rest of the request's body is so much, or so unlikely to come, that the connection
 * ends after the answer. */
static bool is_rest_unwelcome(const struct http_connection *connection)
{
	const struct http_body *body = &connection->body;

	if (http_body_is_over(body))
		return false;
	return connection->exchange.continue_due ||
	       (body->kind == HTTP_BODY_LENGTH && body->left_bytes > HTTP_DISCARD_MAX);
}

void http_exchange_respond(struct http_exchange *exchange, unsigned status,
			   const struct http_header *headers, size_t header_count,
			   int64_t body_bytes)
{
	const bool has_no_length = status == 204 || status == 304;

	check(exchange->live);
	check(status >= 200 && status <= 599);
	check(body_bytes >= HTTP_LENGTH_UNKNOWN);
	if (exchange->aborted)
		return;
	check(!exchange->responded);
	exchange->responded = true;
	exchange->dropped = exchange->head_only || has_no_length;
	exchange->announced_bytes = body_bytes;
	if (exchange->h2) {
		http_h2_respond(http_h2_stream_of(exchange), status, headers, header_count,
				body_bytes);
		return;
	}
	struct http_connection *connection = http_exchange_connection(exchange);
	struct http_server *server = connection->server;
	exchange->chunked =
		!exchange->dropped && !exchange->http_1_0 && body_bytes == HTTP_LENGTH_UNKNOWN;
	if (server->draining || is_rest_unwelcome(connection) ||
	    (exchange->http_1_0 && !exchange->dropped && body_bytes == HTTP_LENGTH_UNKNOWN))
		exchange->keep_alive = false;

	http_date_update(&server->date, loop_wall_ns(server->loop));
	http_compose_answer(
		&connection->wire,
		&(struct http_answer_head){
			.status = status,
			.headers = headers,
			.header_count = header_count,
			.content_length = has_no_length ? HTTP_LENGTH_UNKNOWN : body_bytes,
			.chunked = exchange->chunked,
			.close = !exchange->keep_alive,
			.keep_alive = exchange->http_1_0,
		},
		&server->date);
	http_wire_defer(&connection->wire);
}

static void look_at_output(struct http_connection *connection)
{
	if (!http_exchange_writable(&connection->exchange))
		connection->exchange.above_high = true;
	http_wire_defer(&connection->wire);
}

void http_exchange_send(struct http_exchange *exchange, struct slice bytes)
{
	check(exchange->live);
	if (exchange->aborted)
		return;
	check(exchange->responded && !exchange->finished);
	if (bytes.length == 0 || exchange->dropped)
		return;
	exchange->sent_bytes += bytes.length;
	if (exchange->announced_bytes != HTTP_LENGTH_UNKNOWN)
		check_at_most(exchange->sent_bytes, exchange->announced_bytes);
	if (exchange->h2) {
		http_h2_send(http_h2_stream_of(exchange), bytes);
		return;
	}
	struct http_connection *connection = http_exchange_connection(exchange);
	if (exchange->chunked)
		http_compose_chunk(&connection->wire, bytes);
	else
		http_wire_append(&connection->wire, bytes);
	look_at_output(connection);
}

bool http_exchange_writable(const struct http_exchange *exchange)
{
	if (exchange->h2) {
		const struct http_h2_stream *stream = http_h2_stream_of(exchange);
		return stream->output.bytes <= http_h2_limits(stream->session)->output_bytes_high;
	}
	const struct http_connection *connection = http_exchange_connection(exchange);
	return connection->wire.waiting_bytes <=
	       connection->server->options.limits.output_bytes_high;
}

void http_exchange_finish(struct http_exchange *exchange, const struct http_header *trailers,
			  size_t trailer_count)
{
	check(exchange->live);
	if (exchange->aborted)
		return;
	check(exchange->responded && !exchange->finished);
	if (!exchange->dropped && exchange->announced_bytes != HTTP_LENGTH_UNKNOWN)
		check_equal(exchange->sent_bytes, exchange->announced_bytes);
	exchange->finished = true;
	exchange->paused = false;
	if (exchange->h2) {
		http_h2_finish(http_h2_stream_of(exchange), trailers, trailer_count);
		return;
	}
	struct http_connection *connection = http_exchange_connection(exchange);
	if (exchange->chunked)
		http_compose_last_chunk(&connection->wire, trailers, trailer_count);
	connection->wire.read_deadline_ns = 0;
	http_wire_defer(&connection->wire);
}

void http_exchange_hold(struct http_exchange *exchange)
{
	check(exchange->live);
	if (exchange->h2)
		http_h2_stream_of(exchange)->held = true;
	else
		http_exchange_connection(exchange)->wire.held = true;
}

void http_exchange_release(struct http_exchange *exchange)
{
	check(exchange->live);
	if (exchange->h2) {
		http_h2_release(http_h2_stream_of(exchange));
		return;
	}
	struct http_wire *wire = &http_exchange_connection(exchange)->wire;
	wire->held = false;
	http_wire_defer(wire);
}

/* An HTTP/1.0 client takes the end for the answer's, unless it is a reset. */
static void reset_at_close(struct http_connection *connection)
{
	const struct linger none = {.l_onoff = 1, .l_linger = 0};

	connection->wire.unfit = true;
	if (loop_io_used(connection->server->loop) != LOOP_IO_SIMULATED)
		setsockopt(connection->wire.stream.descriptor, SOL_SOCKET, SO_LINGER, &none,
			   sizeof(none));
}

void http_exchange_abort(struct http_exchange *exchange)
{
	check(exchange->live);
	if (exchange->aborted)
		return;
	exchange->aborted = true;
	if (exchange->h2) {
		http_h2_touch(http_h2_stream_of(exchange));
		return;
	}
	struct http_connection *connection = http_exchange_connection(exchange);
	if (connection->wire.held) {
		http_connection_close(connection);
		return;
	}
	if (exchange->responded && !exchange->chunked && !exchange->switched &&
	    exchange->announced_bytes == HTTP_LENGTH_UNKNOWN)
		reset_at_close(connection);
	http_connection_end(connection, false);
}

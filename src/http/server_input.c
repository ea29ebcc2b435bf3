#include "base/check.h"
#include "http/h2_server_internal.h"

/* What one step did with the input. */
enum step {
	STEP_AGAIN,   /* look again, perhaps in another state */
	STEP_STARVED, /* more input is needed */
	STEP_BLOCKED  /* more input is of no use yet */
};

/* ---- a request's head ---- */

static void begin_exchange(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	const struct http_request_read *read = &server->read;
	struct http_exchange *exchange = &connection->exchange;
	const bool wants_body = !http_body_is_over(&read->body) && !read->request.expects_continue;

	connection->state = HTTP_CONNECTION_EXCHANGE;
	connection->body = read->body;
	connection->discarded_bytes = 0;
	*exchange = (struct http_exchange){
		.live = true,
		.paused = read->request.expects_continue,
		.continue_due = read->request.expects_continue,
		.head_only = read->request.head_only,
		.http_1_0 = read->request.http_1_0,
		.keep_alive = read->keep_alive,
	};
	memset(http_exchange_state(exchange), 0, server->options.exchange_state_bytes);
	if (wants_body)
		http_wire_read_within(&connection->wire,
				      server->options.limits.body_idle_timeout_ns);
	else
		connection->wire.read_deadline_ns = 0;
	server->options.events->on_request(exchange, &read->request);
}

/* ---- which protocol ---- */

/* What a client of HTTP/2 begins with, and no request of HTTP/1.1 can. */
static const struct slice preface = {.data = NGHTTP2_CLIENT_MAGIC,
				     .length = NGHTTP2_CLIENT_MAGIC_LEN};

/* STARVED: it may be one or the other. */
static enum step read_protocol(struct http_connection *connection, struct slice view)
{
	const bool whole = view.length >= preface.length;

	if (!slice_starts_with(whole ? view : preface, whole ? preface : view)) {
		connection->begun = true;
		return STEP_AGAIN;
	}
	if (!whole) {
		if (connection->state == HTTP_CONNECTION_IDLE && view.length > 0) {
			connection->state = HTTP_CONNECTION_HEAD;
			http_wire_read_within(&connection->wire,
					      connection->server->options.limits.head_timeout_ns);
		}
		return STEP_STARVED;
	}
	connection->begun = true;
	http_h2_begin(connection);
	return STEP_AGAIN;
}

static enum step read_head(struct http_connection *connection, struct slice *view)
{
	struct http_server *server = connection->server;
	const struct http_limits *limits = &server->options.limits;
	struct slice head;
	enum http_refused refused;

	switch (http_head_find(view, &connection->position, &connection->blank_lines, limits, &head,
			       &refused)) {
	case HTTP_HEAD_MORE:
		if (connection->state == HTTP_CONNECTION_IDLE && view->length > 0) {
			connection->state = HTTP_CONNECTION_HEAD;
			http_wire_read_within(&connection->wire, limits->head_timeout_ns);
		}
		return STEP_STARVED;
	case HTTP_HEAD_WHOLE:
		refused = http_request_read(head, limits, &server->head, &server->read);
		if (refused != HTTP_REFUSED_NOT)
			break;
		begin_exchange(connection);
		return STEP_AGAIN;
	case HTTP_HEAD_REFUSED:
		break;
	}
	http_connection_refuse(connection, refused);
	return STEP_AGAIN;
}

/* ---- a request's body ---- */

static void body_refused(struct http_connection *connection, enum http_refused refused)
{
	const bool responded = connection->exchange.responded;

	http_connection_abort(connection, HTTP_ABORT_PEER_INVALID);
	if (responded)
		http_connection_end(connection, true);
	else
		http_connection_refuse(connection, refused);
}

static void body_ended(struct http_connection *connection)
{
	const struct http_trailers *trailers = &connection->server->trailers;
	struct http_exchange *exchange = &connection->exchange;

	connection->wire.read_deadline_ns = 0;
	exchange->body_told = true;
	exchange->continue_due = false;
	if (!exchange->finished)
		connection->server->options.events->on_request_end(exchange, trailers->fields,
								   trailers->count);
}

/* What comes after the answer was finished is dropped, up to a bound; beyond it the connection
 * ends, once the answer has left. */
static enum step drop_piece(struct http_connection *connection, struct slice piece)
{
	connection->discarded_bytes += piece.length;
	if (connection->discarded_bytes <= HTTP_DISCARD_MAX)
		return STEP_AGAIN;
	connection->exchange.keep_alive = false;
	if (connection->state == HTTP_CONNECTION_DISCARD)
		http_connection_end(connection, true);
	return STEP_AGAIN;
}

static enum step read_body(struct http_connection *connection, struct slice *view)
{
	struct http_server *server = connection->server;
	struct http_exchange *exchange = &connection->exchange;
	struct slice piece;
	enum http_refused refused;

	/* No body: its end needs no asking for. */
	const bool is_none = connection->body.kind == HTTP_BODY_NONE;
	if (exchange->body_told || (exchange->paused && !is_none) ||
	    connection->discarded_bytes > HTTP_DISCARD_MAX)
		return STEP_BLOCKED;

	switch (http_body_next(&connection->body, view, &piece, &server->trailers, &refused)) {
	case HTTP_BODY_STARVED:
		return STEP_STARVED;
	case HTTP_BODY_PIECE:
		if (exchange->finished)
			return drop_piece(connection, piece);
		if (!exchange->switched)
			http_wire_read_within(&connection->wire,
					      server->options.limits.body_idle_timeout_ns);
		server->options.events->on_body(exchange, piece);
		return STEP_AGAIN;
	case HTTP_BODY_ENDED:
		body_ended(connection);
		return STEP_AGAIN;
	case HTTP_BODY_REFUSED:
		break;
	}
	body_refused(connection, refused);
	return STEP_AGAIN;
}

static enum step discard_body(struct http_connection *connection, struct slice *view)
{
	struct http_server *server = connection->server;
	struct slice piece;
	enum http_refused refused;

	switch (http_body_next(&connection->body, view, &piece, &server->trailers, &refused)) {
	case HTTP_BODY_STARVED:
		return STEP_STARVED;
	case HTTP_BODY_PIECE:
		return drop_piece(connection, piece);
	case HTTP_BODY_ENDED:
		connection->state = HTTP_CONNECTION_IDLE;
		http_wire_read_within(&connection->wire,
				      server->options.limits.keep_alive_timeout_ns);
		return STEP_AGAIN;
	case HTTP_BODY_REFUSED:
		break;
	}
	http_connection_end(connection, true);
	return STEP_AGAIN;
}

/* ---- all of it ---- */

static enum step drop_all(struct slice *view)
{
	*view = slice_make(NULL, 0);
	return STEP_STARVED;
}

/* The table of connection states, as far as input goes. */
static enum step step(struct http_connection *connection, struct slice *view)
{
	switch (connection->state) {
	case HTTP_CONNECTION_IDLE:
	case HTTP_CONNECTION_HEAD:
		if (!connection->begun)
			return read_protocol(connection, *view);
		return read_head(connection, view);
	case HTTP_CONNECTION_EXCHANGE:
		if (connection->exchange.aborted)
			return STEP_BLOCKED;
		return read_body(connection, view);
	case HTTP_CONNECTION_DISCARD:
		return discard_body(connection, view);
	case HTTP_CONNECTION_SESSION:
		http_h2_input(connection->h2, *view);
		break;
	case HTTP_CONNECTION_FLUSH:
	case HTTP_CONNECTION_LINGER:
	case HTTP_CONNECTION_CLOSED:
		break;
	}
	return drop_all(view);
}

/* More is needed and nothing will come. What is being answered is answered, and a tunnel may go on
 * the other way. */
static void starved_for_good(struct http_connection *connection)
{
	connection->exchange.keep_alive = false;
	if (connection->state == HTTP_CONNECTION_SESSION) {
		http_h2_input_ended(connection->h2);
		return;
	}
	if (connection->state == HTTP_CONNECTION_EXCHANGE && connection->exchange.switched &&
	    !connection->wire.cut) {
		connection->server->trailers.count = 0;
		body_ended(connection);
		return;
	}
	if (connection->state == HTTP_CONNECTION_FLUSH ||
	    (connection->state == HTTP_CONNECTION_EXCHANGE && connection->exchange.finished))
		return;
	http_connection_abort(connection, HTTP_ABORT_PEER_CLOSED);
	http_connection_close(connection);
}

void http_connection_input(struct http_connection *connection, struct slice bytes)
{
	struct slice view = http_wire_view(&connection->wire, bytes);
	enum step last;

	do {
		last = step(connection, &view);
	} while (last == STEP_AGAIN);
	if (last == STEP_STARVED && connection->wire.ended)
		starved_for_good(connection);
	if (connection->state != HTTP_CONNECTION_CLOSED)
		http_wire_keep(&connection->wire, view, last == STEP_STARVED);
}

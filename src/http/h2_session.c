#include "http/h2_server_internal.h"

#include <stdlib.h>

#include "base/check.h"

/* ---- what sessions share ---- */

static int on_stream_closed(nghttp2_session *nghttp2, int32_t id, uint32_t code, void *context);
static int on_frame_sent(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context);

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
	http_h2_request_callbacks(callbacks);
	http_h2_section_callbacks(callbacks);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, http_h2_send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
}

int http_h2_server_new(struct http_h2_server **ret, struct fault *fault)
{
	struct http_h2_server *shared = calloc(1, sizeof(*shared));

	if (shared == NULL || nghttp2_session_callbacks_new(&shared->callbacks) != 0 ||
	    nghttp2_option_new(&shared->option) != 0) {
		http_h2_server_free(shared);
		return fault_set(fault, FAULT_LIMIT, "no memory for an HTTP server");
	}
	http_h2_memory_init(&shared->memory);
	set_callbacks(shared->callbacks);
	nghttp2_option_set_no_auto_window_update(shared->option, 1);
	nghttp2_option_set_no_closed_streams(shared->option, 1);
	nghttp2_option_set_max_outbound_ack(shared->option, HTTP_H2_ACKS_MAX);
	/* Frames of unknown kinds mean nothing to anybody here, but are to be noticed. */
	for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
		nghttp2_option_set_user_recv_extension_type(shared->option, (uint8_t)type);
	*ret = shared;
	return 0;
}

void http_h2_server_free(struct http_h2_server *shared)
{
	if (shared == NULL)
		return;
	while (shared->spare != NULL) {
		struct http_h2_stream *stream = shared->spare;
		shared->spare = stream->next;
		free(stream);
	}
	nghttp2_option_del(shared->option);
	nghttp2_session_callbacks_del(shared->callbacks);
	http_h2_memory_fini(&shared->memory);
	free(shared);
}

/* ---- life ---- */

void http_h2_be_idle(struct http_h2_session *session)
{
	const uint64_t timeout_ns = http_h2_limits(session)->keep_alive_timeout_ns;

	if (timeout_ns == 0)
		return;
	session->idle_due_ns = loop_now_ns(session->connection->wire.loop) + timeout_ns;
	http_h2_due_at(session, session->idle_due_ns);
}

void http_h2_begin(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP_H2_STREAMS_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP_H2_STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, server->options.limits.head_bytes_max},
		{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	struct http_h2_session *session = calloc(1, sizeof(*session));

	check(session != NULL);
	session->connection = connection;
	session->leaving_last = &session->leaving;
	check(nghttp2_session_server_new3(&session->nghttp2, server->h2->callbacks, session,
					  server->h2->option, &server->h2->memory.functions) == 0);
	check(nghttp2_submit_settings(session->nghttp2, NGHTTP2_FLAG_NONE, settings,
				      sizeof(settings) / sizeof(settings[0])) == 0);
	check(nghttp2_session_set_local_window_size(session->nghttp2, NGHTTP2_FLAG_NONE, 0,
						    HTTP_H2_CONNECTION_WINDOW) == 0);
	connection->h2 = session;
	connection->state = HTTP_CONNECTION_SESSION;
	connection->wire.read_deadline_ns = 0;
	http_h2_be_idle(session);
	if (server->draining)
		http_h2_drain(session, server->drain_idle_ns);
	http_wire_defer(&connection->wire);
}

void http_h2_end(struct http_h2_session *session)
{
	http_h2_abort_all(session, HTTP_ABORT_SHUTDOWN);
	while (session->streams != NULL) {
		session->streams->refusing = false;
		http_h2_stream_over(session->streams);
	}
	http_h2_section_clear(session);
	nghttp2_session_del(session->nghttp2);
	free(session);
}

void http_h2_touch(struct http_h2_stream *stream)
{
	struct http_h2_session *session = stream->session;

	http_wire_defer(&session->connection->wire);
	if (stream->is_touched)
		return;
	stream->is_touched = true;
	stream->previous_touched = NULL;
	stream->next_touched = session->touched;
	if (session->touched != NULL)
		session->touched->previous_touched = stream;
	session->touched = stream;
}

void http_h2_untouch(struct http_h2_stream *stream)
{
	if (!stream->is_touched)
		return;
	stream->is_touched = false;
	*(stream->previous_touched != NULL ? &stream->previous_touched->next_touched
					   : &stream->session->touched) = stream->next_touched;
	if (stream->next_touched != NULL)
		stream->next_touched->previous_touched = stream->previous_touched;
}

void http_h2_abort_all(struct http_h2_session *session, enum http_abort reason)
{
	for (struct http_h2_stream *stream = session->streams; stream != NULL;
	     stream = stream->next)
		http_h2_stream_abort(stream, reason);
}

/* ---- input ---- */

/* What is under way is of no use any more; GOAWAY says why. */
static void break_off(struct http_h2_session *session)
{
	session->broken = true;
	http_h2_abort_all(session, HTTP_ABORT_PEER_INVALID);
	http_wire_defer(&session->connection->wire);
}

void http_h2_lose_patience(struct http_h2_session *session, uint64_t cost_ns)
{
	const uint64_t now_ns = loop_now_ns(session->connection->wire.loop);

	if (session->patience_ns < now_ns)
		session->patience_ns = now_ns;
	session->patience_ns += cost_ns;
	if (session->patience_ns - now_ns <= HTTP_H2_PATIENCE_NS || session->impatient)
		return;
	session->impatient = true;
	nghttp2_session_terminate_session(session->nghttp2, NGHTTP2_ENHANCE_YOUR_CALM);
}

void http_h2_input(struct http_h2_session *session, struct slice bytes)
{
	if (session->broken || bytes.length == 0)
		return;
	const ssize_t taken = nghttp2_session_mem_recv(session->nghttp2,
						       (const uint8_t *)bytes.data, bytes.length);

	/* A flood of what must be answered is not told apart by nghttp2. */
	if (taken == NGHTTP2_ERR_FLOODED)
		nghttp2_session_terminate_session(session->nghttp2, NGHTTP2_ENHANCE_YOUR_CALM);
	if (taken < 0 || session->impatient)
		break_off(session);
	http_wire_defer(&session->connection->wire);
}

/* Only what was whole can still be answered, and a tunnel go on the other way. */
void http_h2_input_ended(struct http_h2_session *session)
{
	session->going = true;
	for (struct http_h2_stream *stream = session->streams; stream != NULL;
	     stream = stream->next) {
		if (stream->input_ended)
			continue;
		if (stream->exchange.switched) {
			stream->input_ended = true;
			http_h2_touch(stream);
		} else {
			http_h2_stream_abort(stream, HTTP_ABORT_PEER_CLOSED);
		}
	}
	http_wire_defer(&session->connection->wire);
}

/* ---- output ---- */

static void leave(struct http_h2_stream *stream)
{
	struct http_h2_session *session = stream->session;

	stream->ended = true;
	stream->send_due_ns = 0;
	stream->leaves_at = session->sent_bytes + session->connection->wire.waiting_bytes;
	*session->leaving_last = stream;
	session->leaving_last = &stream->next_leaving;
}

static bool content_is_whole(const struct http_h2_stream *stream)
{
	const uint64_t seen_bytes =
		http_h2_limits(stream->session)->body_bytes_max - stream->body_left_bytes;

	return stream->announced_bytes == (int64_t)seen_bytes;
}

static int on_frame_sent(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
	struct http_h2_session *session = context;
	struct http_h2_stream *stream;

	if (frame->hd.type == NGHTTP2_GOAWAY && session->drain_due_ns != 0)
		nghttp2_submit_ping(nghttp2, NGHTTP2_FLAG_NONE, NULL);
	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	stream = nghttp2_session_get_stream_user_data(nghttp2, frame->hd.stream_id);
	if (stream == NULL || stream->ended)
		return 0;
	leave(stream);
	/* RFC 9113 8.1: the rest of the request is not wanted. Where only its empty last frame is
	 * to come, a client may be about to send it, and would fail on a stream that is reset. */
	if (!stream->input_ended && !content_is_whole(stream))
		nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
	return 0;
}

static int on_stream_closed(nghttp2_session *nghttp2, int32_t id, uint32_t code, void *context)
{
	struct http_h2_session *session = context;
	struct http_h2_stream *stream = nghttp2_session_get_stream_user_data(nghttp2, id);

	if (stream == NULL) {
		/* It never was a request, or the exchange's end is told already. */
		if (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_REFUSED_STREAM)
			http_h2_lose_patience(session, HTTP_H2_RESET_COST_NS);
		return 0;
	}
	stream->open = false;
	if (stream->ended)
		return 0;
	http_h2_lose_patience(session, HTTP_H2_RESET_COST_NS);
	stream->refusing = false;
	http_h2_stream_abort(stream, stream->reset_by_peer ? HTTP_ABORT_PEER_CLOSED
							   : HTTP_ABORT_PEER_INVALID);
	return 0;
}

static void pump(struct http_h2_session *session)
{
	struct http_wire *wire = &session->connection->wire;
	const uint8_t *bytes;
	ssize_t length = 1;

	while (length > 0 && wire->waiting_bytes < HTTP_H2_WIRE_HIGH) {
		length = nghttp2_session_mem_send(session->nghttp2, &bytes);
		if (length > 0)
			http_wire_append(wire, slice_make(bytes, (size_t)length));
	}
	if (length < 0)
		break_off(session);
}

/* ---- at the turn's end ---- */

/* What has become possible. */
static void look_at(struct http_h2_stream *stream)
{
	struct http_h2_session *session = stream->session;
	struct http_exchange *exchange = &stream->exchange;

	http_h2_untouch(stream);
	http_h2_deliver(stream);
	if (exchange->live && !exchange->aborted && !exchange->finished && exchange->above_high &&
	    stream->output.bytes <= http_h2_limits(session)->output_bytes_high / 2) {
		exchange->above_high = false;
		http_h2_server_of(session)->options.events->on_writable(exchange);
	}
	if (stream->ended || stream->is_aborted || (stream->open && !exchange->aborted))
		return;
	stream->is_aborted = true;
	stream->next_aborted = session->aborted;
	session->aborted = stream;
}

/* What was appended to them had its chance to leave. */
static void end_aborted(struct http_h2_session *session)
{
	while (session->aborted != NULL) {
		struct http_h2_stream *stream = session->aborted;
		session->aborted = stream->next_aborted;
		stream->is_aborted = false;
		if (stream->ended)
			continue;
		if (stream->open && !stream->refusing)
			nghttp2_submit_rst_stream(session->nghttp2, NGHTTP2_FLAG_NONE, stream->id,
						  stream->reset_code);
		http_h2_stream_over(stream);
	}
}

static void end_left(struct http_h2_session *session)
{
	while (session->leaving != NULL && session->leaving->leaves_at <= session->sent_bytes) {
		struct http_h2_stream *stream = session->leaving;
		session->leaving = stream->next_leaving;
		if (session->leaving == NULL)
			session->leaving_last = &session->leaving;
		http_h2_stream_over(stream);
	}
}

/* The connection ends once no stream is left and what was to be said is said. */
static void look_at_end(struct http_h2_session *session)
{
	struct http_connection *connection = session->connection;
	const bool reads = nghttp2_session_want_read(session->nghttp2) != 0;

	if (!reads && !session->broken && !session->going)
		break_off(session);
	if (session->stream_count > 0 || (reads && !session->broken && !session->going))
		return;
	if (session->broken || nghttp2_session_want_write(session->nghttp2) == 0)
		http_connection_end(connection, true);
}

void http_h2_advance(struct http_h2_session *session)
{
	while (session->touched != NULL)
		look_at(session->touched);
	pump(session);
	if (session->aborted != NULL) {
		end_aborted(session);
		pump(session);
	}
	end_left(session);
	if (session->connection->state == HTTP_CONNECTION_SESSION)
		look_at_end(session);
}

void http_h2_sent(struct http_h2_session *session, size_t bytes)
{
	session->sent_bytes += bytes;
}

/* ---- the end ---- */

static void go_away(struct http_h2_session *session)
{
	session->going = true;
	session->drain_due_ns = 0;
	nghttp2_submit_goaway(session->nghttp2, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(session->nghttp2),
			      NGHTTP2_NO_ERROR, NULL, 0);
	http_wire_defer(&session->connection->wire);
}

/* RFC 9113 6.8: the client is told first, and the PING after it (on_frame_sent) returns when it
 * knows; what it sent until then is answered. */
void http_h2_drain(struct http_h2_session *session, uint64_t idle_ns)
{
	if (session->going)
		return;
	if (idle_ns == 0) {
		go_away(session);
		return;
	}
	nghttp2_submit_shutdown_notice(session->nghttp2);
	session->drain_due_ns = loop_now_ns(session->connection->wire.loop) + idle_ns;
	http_h2_due_at(session, session->drain_due_ns);
	http_wire_defer(&session->connection->wire);
}

void http_h2_ping_returned(struct http_h2_session *session)
{
	if (session->drain_due_ns != 0)
		go_away(session);
}

/* ---- time ---- */

void http_h2_due_at(struct http_h2_session *session, uint64_t due_ns)
{
	struct http_wire *wire = &session->connection->wire;
	const uint64_t now_ns = loop_now_ns(wire->loop);

	if (wire->read_deadline_ns == 0 || due_ns < wire->read_deadline_ns)
		http_wire_read_within(wire, due_ns > now_ns ? due_ns - now_ns : 1);
}

static bool is_due(uint64_t *due_ns, uint64_t now_ns)
{
	if (*due_ns == 0 || now_ns < *due_ns)
		return false;
	*due_ns = 0;
	return true;
}

static void wait_for(struct http_h2_session *session, uint64_t due_ns)
{
	if (due_ns != 0)
		http_h2_due_at(session, due_ns);
}

void http_h2_read_timed_out(struct http_h2_session *session)
{
	const uint64_t now_ns = loop_now_ns(session->connection->wire.loop);

	if (is_due(&session->section_due_ns, now_ns)) {
		session->broken = true;
		nghttp2_session_terminate_session(session->nghttp2, NGHTTP2_ENHANCE_YOUR_CALM);
		http_h2_abort_all(session, HTTP_ABORT_TIMEOUT);
	}
	for (struct http_h2_stream *stream = session->streams; stream != NULL;
	     stream = stream->next) {
		if (is_due(&stream->body_due_ns, now_ns))
			http_h2_refuse(stream, HTTP_REFUSED_TIMEOUT, HTTP_ABORT_TIMEOUT);
		if (is_due(&stream->send_due_ns, now_ns)) {
			stream->refusing = false;
			http_h2_stream_abort(stream, HTTP_ABORT_TIMEOUT);
		}
		wait_for(session, stream->body_due_ns);
		wait_for(session, stream->send_due_ns);
	}
	const bool drained = is_due(&session->drain_due_ns, now_ns);
	const bool idle = is_due(&session->idle_due_ns, now_ns);
	if ((drained || idle) && !session->going)
		go_away(session);
	wait_for(session, session->drain_due_ns);
	wait_for(session, session->idle_due_ns);
	wait_for(session, session->section_due_ns);
	http_wire_defer(&session->connection->wire);
}

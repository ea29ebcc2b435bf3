/* What comes on a session's streams: requests, their content, their ends. */
#include "base/check.h"
#include "http/h2_server_internal.h"

/* ---- a request ---- */

static void begin_exchange(struct http_h2_stream *stream, const struct http_request_read *read)
{
	struct http_h2_session *session = stream->session;
	struct http_server *server = http_h2_server_of(session);
	const struct http_request *request = &read->request;

	stream->body_left_bytes = server->options.limits.body_bytes_max;
	stream->announced_bytes = request->upgrade ? HTTP_LENGTH_UNKNOWN : request->body_bytes;
	stream->has_body = !http_body_is_over(&read->body);
	stream->exchange = (struct http_exchange){
		.h2 = true,
		.live = true,
		.paused = request->expects_continue,
		.continue_due = request->expects_continue,
		.head_only = request->head_only,
	};
	memset(stream->state, 0, server->options.exchange_state_bytes);
	if (stream->has_body && !request->expects_continue)
		http_h2_read_within(stream, server->options.limits.body_idle_timeout_ns);
	server->options.events->on_request(&stream->exchange, request);
	http_h2_deliver(stream);
}

static void take_request(struct http_h2_session *session, bool ends)
{
	struct http_server *server = http_h2_server_of(session);
	const enum http_refused refused = http_h2_section_read(session, ends);
	struct http_h2_stream *stream = http_h2_stream_new(session, session->section.stream_id);

	stream->input_ended = ends;
	stream->websocket = session->section.websocket;
	stream->exchange.head_only = http_h2_section_is_head(session);
	if (refused != HTTP_REFUSED_NOT)
		http_h2_refuse(stream, refused, HTTP_ABORT_PEER_INVALID);
	else
		begin_exchange(stream, &server->read);
}

static void take_trailers(struct http_h2_session *session, struct http_h2_stream *stream)
{
	stream->input_ended = true;
	stream->input_trailers = http_h2_section_trailers(session);
	if (stream->input_trailers == NULL)
		http_h2_stream_abort(stream, HTTP_ABORT_PEER_INVALID);
	else
		http_h2_deliver(stream);
}

/* ---- content ---- */

/* The windows of the connection and of the stream open by what was taken. */
static void consume(struct http_h2_stream *stream, size_t bytes)
{
	if (stream->open)
		nghttp2_session_consume(stream->session->nghttp2, stream->id, bytes);
	else
		nghttp2_session_consume_connection(stream->session->nghttp2, bytes);
	http_wire_defer(&stream->session->connection->wire);
}

static bool takes_input(const struct http_h2_stream *stream)
{
	const struct http_exchange *exchange = &stream->exchange;

	return exchange->live && !exchange->aborted && !exchange->paused && !exchange->body_told;
}

static int on_content(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *data,
		      size_t length, void *context)
{
	struct http_h2_session *session = context;
	struct http_h2_stream *stream = nghttp2_session_get_stream_user_data(nghttp2, id);
	const struct slice bytes = slice_make(data, length);

	(void)flags;
	if (stream == NULL) {
		nghttp2_session_consume_connection(nghttp2, length);
		return 0;
	}
	const struct http_exchange *exchange = &stream->exchange;
	if (!exchange->live || exchange->aborted || exchange->finished) {
		consume(stream, length);
		return 0;
	}
	if (!exchange->switched && length > stream->body_left_bytes) {
		consume(stream, length);
		http_h2_refuse(stream, HTTP_REFUSED_BODY_LENGTH, HTTP_ABORT_PEER_INVALID);
		return 0;
	}
	stream->body_left_bytes -= exchange->switched ? 0 : length;
	if (!takes_input(stream) || stream->input.bytes > 0) {
		http_queue_append(&stream->input, &http_h2_server_of(session)->blocks, bytes);
		return 0;
	}
	if (!exchange->switched)
		http_h2_read_within(stream, http_h2_limits(session)->body_idle_timeout_ns);
	consume(stream, length);
	http_h2_server_of(session)->options.events->on_body(&stream->exchange, bytes);
	return 0;
}

static void tell_end(struct http_h2_stream *stream)
{
	struct http_server *server = http_h2_server_of(stream->session);
	struct http_trailers *trailers = &server->trailers;
	struct http_block *text = stream->input_trailers;

	trailers->count = 0;
	if (text != NULL &&
	    http_trailers_read(trailers, slice_make(text->bytes, text->used)) != HTTP_REFUSED_NOT) {
		http_h2_stream_abort(stream, HTTP_ABORT_PEER_INVALID);
		return;
	}
	stream->body_due_ns = 0;
	stream->exchange.body_told = true;
	stream->exchange.continue_due = false;
	if (!stream->exchange.finished)
		server->options.events->on_request_end(&stream->exchange, trailers->fields,
						       trailers->count);
}

void http_h2_deliver(struct http_h2_stream *stream)
{
	struct http_server *server = http_h2_server_of(stream->session);
	struct http_exchange *exchange = &stream->exchange;

	while (takes_input(stream) && stream->input.bytes > 0) {
		const struct slice piece = http_queue_piece(&stream->input);
		server->options.events->on_body(exchange, piece);
		http_queue_drop(&stream->input, &server->blocks, piece.length);
		consume(stream, piece.length);
		if (!stream->input_ended && !exchange->switched && takes_input(stream))
			http_h2_read_within(stream, server->options.limits.body_idle_timeout_ns);
	}
	if (!exchange->live || exchange->aborted || exchange->body_told)
		return;
	/* No body: its end needs no asking for. */
	if (!stream->has_body ||
	    (stream->input_ended && stream->input.bytes == 0 && !exchange->paused))
		tell_end(stream);
}

/* ---- whole frames ---- */

static int on_headers(struct http_h2_session *session, const nghttp2_frame *frame)
{
	struct http_h2_stream *stream =
		nghttp2_session_get_stream_user_data(session->nghttp2, frame->hd.stream_id);
	const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	if (session->section.open && session->section.stream_id == frame->hd.stream_id) {
		if (!session->section.trailing)
			take_request(session, ends);
		else if (stream != NULL)
			take_trailers(session, stream);
	}
	http_h2_section_clear(session);
	return 0;
}

static void on_data_frame(struct http_h2_session *session, const nghttp2_frame *frame)
{
	struct http_h2_stream *stream =
		nghttp2_session_get_stream_user_data(session->nghttp2, frame->hd.stream_id);

	if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
		if (frame->hd.length == frame->data.padlen)
			http_h2_lose_patience(session, HTTP_H2_FRAME_COST_NS);
		return;
	}
	if (stream == NULL)
		return;
	stream->input_ended = true;
	http_h2_deliver(stream);
}

static int on_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
	struct http_h2_session *session = context;
	struct http_h2_stream *stream;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		return on_headers(session, frame);
	case NGHTTP2_DATA:
		on_data_frame(session, frame);
		return 0;
	case NGHTTP2_RST_STREAM:
		stream = nghttp2_session_get_stream_user_data(nghttp2, frame->hd.stream_id);
		if (stream != NULL)
			stream->reset_by_peer = true;
		return 0;
	case NGHTTP2_PING:
		if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
			http_h2_ping_returned(session);
		return 0;
	default:
		return 0;
	}
}

static int on_bad_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, int error,
			void *context)
{
	struct http_h2_session *session = context;

	(void)nghttp2;
	if (frame->hd.type == NGHTTP2_HEADERS)
		http_h2_section_clear(session);
	/* One beyond those allowed, of a client that has not agreed to their number yet: it is
	 * refused without ever becoming a stream. */
	if (error == NGHTTP2_ERR_REFUSED_STREAM)
		http_h2_lose_patience(session, HTTP_H2_RESET_COST_NS);
	return 0;
}

/* A frame that cannot move anything costs patience, whatever it turns out to hold. */
static int on_begin_frame(nghttp2_session *nghttp2, const nghttp2_frame_hd *head, void *context)
{
	(void)nghttp2;
	switch (head->type) {
	case NGHTTP2_DATA:
	case NGHTTP2_HEADERS:
	case NGHTTP2_CONTINUATION:
	case NGHTTP2_WINDOW_UPDATE:
	case NGHTTP2_RST_STREAM:
		break;
	default:
		http_h2_lose_patience(context, HTTP_H2_FRAME_COST_NS);
	}
	return 0;
}

static int skip_unknown(nghttp2_session *nghttp2, void **payload, const nghttp2_frame_hd *head,
			void *context)
{
	(void)nghttp2;
	(void)payload;
	(void)head;
	(void)context;
	return NGHTTP2_ERR_CANCEL;
}

void http_h2_request_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, skip_unknown);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_content);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_bad_frame);
}

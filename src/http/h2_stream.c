#include "http/h2_server_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/text.h"

#define OWN_PAIRS 4 /* beside the caller's fields: status, date, length */

static struct http_blocks *blocks_of(const struct http_h2_stream *stream)
{
	return &http_h2_server_of(stream->session)->blocks;
}

static nghttp2_session *nghttp2_of(const struct http_h2_stream *stream)
{
	return stream->session->nghttp2;
}

/* ---- life ---- */

struct http_h2_stream *http_h2_stream_new(struct http_h2_session *session, int32_t id)
{
	struct http_server *server = http_h2_server_of(session);
	struct http_h2_server *shared = server->h2;
	struct http_h2_stream *stream = shared->spare;

	if (stream != NULL) {
		shared->spare = stream->next;
		shared->spare_count--;
	} else {
		stream = malloc(sizeof(*stream) + server->options.exchange_state_bytes);
		check(stream != NULL);
	}
	*stream = (struct http_h2_stream){
		.session = session,
		.id = id,
		.open = true,
		.reset_code = NGHTTP2_INTERNAL_ERROR,
	};
	stream->next = session->streams;
	if (session->streams != NULL)
		session->streams->previous = stream;
	session->streams = stream;
	session->stream_count++;
	session->idle_due_ns = 0;
	check(nghttp2_session_set_stream_user_data(session->nghttp2, id, stream) == 0);
	/* Turns are ours: all of one urgency, each a frame at a time (RFC 9218). */
	nghttp2_session_change_extpri_stream_priority(
		session->nghttp2, id, &(nghttp2_extpri){NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1}, 1);
	return stream;
}

void http_h2_stream_free(struct http_h2_stream *stream)
{
	struct http_h2_session *session = stream->session;
	struct http_blocks *blocks = blocks_of(stream);
	struct http_h2_server *shared = http_h2_server_of(session)->h2;

	http_h2_untouch(stream);
	if (stream->open)
		nghttp2_session_set_stream_user_data(session->nghttp2, stream->id, NULL);
	if (stream->input.bytes > 0)
		nghttp2_session_consume_connection(session->nghttp2, stream->input.bytes);
	http_queue_clear(&stream->input, blocks);
	http_queue_clear(&stream->output, blocks);
	if (stream->input_trailers != NULL)
		http_block_give(blocks, stream->input_trailers);
	if (stream->fields != NULL)
		http_block_give(blocks, stream->fields);
	*(stream->previous != NULL ? &stream->previous->next : &session->streams) = stream->next;
	if (stream->next != NULL)
		stream->next->previous = stream->previous;
	if (--session->stream_count == 0)
		http_h2_be_idle(session);
	if (shared->spare_count == HTTP_H2_STREAMS_SPARE) {
		free(stream);
	} else {
		stream->next = shared->spare;
		shared->spare = stream;
		shared->spare_count++;
	}
}

bool http_h2_stream_over(struct http_h2_stream *stream)
{
	if (stream->exchange.live) {
		stream->exchange.live = false;
		http_h2_server_of(stream->session)->options.events->on_over(&stream->exchange);
	}
	if (stream->refusing && stream->open && !stream->ended)
		return false;
	http_h2_stream_free(stream);
	return true;
}

void http_h2_stream_abort(struct http_h2_stream *stream, enum http_abort reason)
{
	struct http_exchange *exchange = &stream->exchange;

	http_h2_touch(stream);
	if (!exchange->live || exchange->aborted)
		return;
	exchange->aborted = true;
	if (reason == HTTP_ABORT_PEER_INVALID)
		stream->reset_code = NGHTTP2_PROTOCOL_ERROR;
	else if (reason == HTTP_ABORT_TIMEOUT)
		stream->reset_code = NGHTTP2_CANCEL;
	http_h2_server_of(stream->session)->options.events->on_abort(exchange, reason);
}

/* ---- fields to be submitted ---- */

static nghttp2_nv *pairs_of(const struct http_h2_stream *stream)
{
	return (nghttp2_nv *)(void *)stream->fields->bytes;
}

/* Copies them, to be submitted later. */
static void keep_fields(struct http_h2_stream *stream, const nghttp2_nv *pairs, size_t count)
{
	check(stream->fields == NULL);
	stream->fields = http_block_take(blocks_of(stream), http_h2_pairs_bytes(pairs, count));
	stream->field_count = count;
	http_h2_pairs_copy(pairs_of(stream), pairs, count);
}

static void drop_fields(struct http_h2_stream *stream)
{
	http_block_give(blocks_of(stream), stream->fields);
	stream->fields = NULL;
}

static void submit(struct http_h2_stream *stream, const nghttp2_nv *pairs, size_t count,
		   bool with_body)
{
	const nghttp2_data_provider provider = {.read_callback = http_h2_read_output};

	stream->submitted = true;
	/* What fails for one answer alone (it was reset) shows when the session is asked to send.
	 */
	check(nghttp2_submit_response(nghttp2_of(stream), stream->id, pairs, count,
				      with_body ? &provider : NULL) == 0);
}

/* ---- the answer ---- */

static size_t put_own_pairs(struct http_h2_stream *stream, nghttp2_nv *pairs, unsigned status,
			    char *status_text)
{
	struct http_server *server = http_h2_server_of(stream->session);

	status_text[0] = (char)('0' + status / 100);
	status_text[1] = (char)('0' + status / 10 % 10);
	status_text[2] = (char)('0' + status % 10);
	http_date_update(&server->date, loop_wall_ns(server->loop));
	pairs[0] = http_h2_pair(slice_of(":status"), slice_make(status_text, 3));
	pairs[1] = http_h2_pair(slice_of("date"), slice_make(server->date.text, HTTP_DATE_BYTES));
	return 2;
}

static size_t put_pairs(const struct http_h2_stream *stream, nghttp2_nv *pairs,
			const struct http_header *headers, size_t header_count)
{
	size_t count = 0;

	check_at_most(header_count, HTTP_H2_PAIRS_MAX - OWN_PAIRS);
	for (size_t i = 0; i < header_count; i++) {
		if (headers[i].known == HTTP_DATE ||
		    (stream->websocket && headers[i].known == HTTP_WEBSOCKET_ACCEPT))
			continue;
		count += http_h2_pairs_put(pairs + count, &headers[i], 1);
	}
	return count;
}

/* An answer without a body ends with its head, which leaves once the answer is finished. */
static bool is_bodyless(const struct http_exchange *exchange)
{
	return exchange->dropped || exchange->announced_bytes == 0;
}

void http_h2_respond(struct http_h2_stream *stream, unsigned status,
		     const struct http_header *headers, size_t header_count, int64_t body_bytes)
{
	nghttp2_nv pairs[HTTP_H2_PAIRS_MAX];
	char status_text[3], digits[20];
	size_t count = put_own_pairs(stream, pairs, status, status_text);

	count += put_pairs(stream, pairs + count, headers, header_count);
	/* No body shows by the end of the stream; a length of zero would say it once more, in a
	 * place where gRPC knows only trailers. */
	if (body_bytes > 0 && status != 204 && status != 304) {
		const char *end = text_decimal((uint64_t)body_bytes, digits);
		pairs[count++] = http_h2_pair(slice_of("content-length"),
					      slice_make(digits, (size_t)(end - digits)));
	}
	if (is_bodyless(&stream->exchange))
		keep_fields(stream, pairs, count);
	else
		submit(stream, pairs, count, true);
	http_wire_defer(&stream->session->connection->wire);
}

void http_h2_switch(struct http_h2_stream *stream, const struct http_header *headers,
		    size_t header_count)
{
	nghttp2_nv pairs[HTTP_H2_PAIRS_MAX];
	char status_text[3];
	size_t count = put_own_pairs(stream, pairs, 200, status_text);

	count += put_pairs(stream, pairs + count, headers, header_count);
	stream->has_body = true;
	submit(stream, pairs, count, true);
	http_h2_touch(stream); /* what the client sent ahead */
}

static void send_within(struct http_h2_stream *stream)
{
	const uint64_t timeout_ns = http_h2_limits(stream->session)->send_idle_timeout_ns;

	stream->send_due_ns = 0;
	if (stream->output.bytes == 0 || timeout_ns == 0)
		return;
	stream->send_due_ns = loop_now_ns(stream->session->connection->wire.loop) + timeout_ns;
	http_h2_due_at(stream->session, stream->send_due_ns);
}

static void wake(struct http_h2_stream *stream)
{
	if (stream->asleep && stream->open) {
		stream->asleep = false;
		nghttp2_session_resume_data(nghttp2_of(stream), stream->id);
	}
	http_wire_defer(&stream->session->connection->wire);
}

void http_h2_send(struct http_h2_stream *stream, struct slice bytes)
{
	const bool was_empty = stream->output.bytes == 0;

	http_queue_append(&stream->output, blocks_of(stream), bytes);
	if (was_empty)
		send_within(stream);
	if (!http_exchange_writable(&stream->exchange))
		stream->exchange.above_high = true;
	wake(stream);
}

/* The whole of an answer without a body. */
static void submit_bodyless(struct http_h2_stream *stream)
{
	submit(stream, pairs_of(stream), stream->field_count, false);
	drop_fields(stream);
}

void http_h2_finish(struct http_h2_stream *stream, const struct http_header *trailers,
		    size_t trailer_count)
{
	nghttp2_nv pairs[HTTP_H2_PAIRS_MAX];

	if (!stream->submitted) {
		if (!stream->held)
			submit_bodyless(stream);
	} else if (trailer_count > 0) {
		const size_t count = put_pairs(stream, pairs, trailers, trailer_count);
		if (count > 0)
			keep_fields(stream, pairs, count);
	}
	wake(stream);
}

void http_h2_release(struct http_h2_stream *stream)
{
	stream->held = false;
	if (!stream->exchange.aborted && stream->exchange.finished && !stream->submitted)
		submit_bodyless(stream);
	wake(stream);
}

/* ---- the request's body ---- */

void http_h2_read_within(struct http_h2_stream *stream, uint64_t timeout_ns)
{
	stream->body_due_ns = 0;
	if (timeout_ns == 0)
		return;
	stream->body_due_ns = loop_now_ns(stream->session->connection->wire.loop) + timeout_ns;
	http_h2_due_at(stream->session, stream->body_due_ns);
}

void http_h2_pause(struct http_h2_stream *stream)
{
	stream->body_due_ns = 0;
}

void http_h2_resume(struct http_h2_stream *stream)
{
	const nghttp2_nv go_on = http_h2_pair(slice_of(":status"), slice_of("100"));
	struct http_exchange *exchange = &stream->exchange;

	/* RFC 9110 10.1.1: left out where the body has begun to come without it. */
	if (exchange->continue_due && stream->open && !exchange->responded &&
	    stream->input.bytes == 0 && !stream->input_ended)
		check(nghttp2_submit_headers(nghttp2_of(stream), NGHTTP2_FLAG_NONE, stream->id,
					     NULL, &go_on, 1, NULL) == 0);
	exchange->continue_due = false;
	if (!exchange->body_told && !exchange->switched)
		http_h2_read_within(stream, http_h2_limits(stream->session)->body_idle_timeout_ns);
	http_h2_touch(stream);
}

/* ---- refusals ---- */

void http_h2_refuse(struct http_h2_stream *stream, enum http_refused refused,
		    enum http_abort reason)
{
	const struct http_refusal *refusal = http_refusal_of(refused);
	const struct http_header type = http_refusal_type();
	struct http_exchange *exchange = &stream->exchange;
	const bool responded = exchange->responded;
	char body[HTTP_REFUSAL_BYTES_MAX];

	http_h2_stream_abort(stream, reason);
	if (responded || stream->refusing)
		return;
	const size_t length =
		http_refusal_compose(http_h2_server_of(stream->session), refusal, body);
	stream->refusing = true;
	exchange->dropped = exchange->head_only;
	exchange->announced_bytes = (int64_t)length;
	http_h2_respond(stream, refusal->status, &type, 1, (int64_t)length);
	if (exchange->dropped) {
		submit_bodyless(stream);
		return;
	}
	http_queue_append(&stream->output, blocks_of(stream), slice_make(body, length));
	send_within(stream);
}

/* ---- what nghttp2 asks for ---- */

static bool is_output_whole(const struct http_h2_stream *stream)
{
	return stream->exchange.finished || stream->refusing;
}

ssize_t http_h2_read_output(nghttp2_session *nghttp2, int32_t id, uint8_t *buffer, size_t length,
			    uint32_t *flags, nghttp2_data_source *source, void *context)
{
	struct http_h2_stream *stream = nghttp2_session_get_stream_user_data(nghttp2, id);

	(void)buffer;
	(void)source;
	(void)context;
	if (stream == NULL)
		return NGHTTP2_ERR_DEFERRED; /* its reset is on its way */
	if (stream->held || (stream->output.bytes == 0 && !is_output_whole(stream))) {
		stream->asleep = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	const size_t bytes = stream->output.bytes < length ? stream->output.bytes : length;
	if (bytes > 0)
		*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (!is_output_whole(stream) || bytes < stream->output.bytes)
		return (ssize_t)bytes;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (stream->fields != NULL) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		check(nghttp2_submit_trailer(nghttp2, id, pairs_of(stream), stream->field_count) ==
		      0);
		drop_fields(stream);
	}
	return (ssize_t)bytes;
}

/* A DATA frame: its head is nghttp2's, its content goes from queue to wire. */
int http_h2_send_data(nghttp2_session *nghttp2, nghttp2_frame *frame, const uint8_t *head,
		      size_t length, nghttp2_data_source *source, void *context)
{
	struct http_h2_session *session = context;
	struct http_wire *wire = &session->connection->wire;
	struct http_h2_stream *stream =
		nghttp2_session_get_stream_user_data(nghttp2, frame->hd.stream_id);

	(void)source;
	if (wire->waiting_bytes >= HTTP_H2_WIRE_HIGH)
		return NGHTTP2_ERR_WOULDBLOCK;
	if (stream == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	check_at_most(length, stream->output.bytes);
	http_wire_append(wire, slice_make(head, HTTP_H2_FRAME_HEAD_BYTES));
	while (length > 0) {
		struct slice piece = http_queue_piece(&stream->output);
		if (piece.length > length)
			piece.length = length;
		http_wire_append(wire, piece);
		http_queue_drop(&stream->output, blocks_of(stream), piece.length);
		length -= piece.length;
	}
	send_within(stream);
	if (stream->exchange.above_high &&
	    stream->output.bytes <= http_h2_limits(session)->output_bytes_high / 2)
		http_h2_touch(stream);
	return 0;
}

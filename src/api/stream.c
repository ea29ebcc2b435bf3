/* Answers that come piece by piece, each made when the one before is on its way. */
#include "api/api_internal.h"

#include <stddef.h>

#include "base/check.h"
#include "base/log.h"

/* Made in one turn of the loop: some milliseconds, then others have theirs. */
#define PIECES_A_TURN 8

static void on_more(struct loop_timer *timer)
{
	api_stream_pump(
		(struct api_request *)((char *)timer - offsetof(struct api_request, stream.more)));
}

static int make_piece(struct api_request *request, struct fault *fault)
{
	struct api_stream *stream = &request->stream;

	text_clear(&request->output);
	return stream->next(stream->context, &request->output, &stream->done, fault);
}

static void send_piece(struct api_request *request)
{
	if (request->output.length > 0)
		http_exchange_send(request->exchange, text_slice(&request->output));
	if (request->stream.done) {
		api_stream_close(request);
		http_exchange_finish(request->exchange, NULL, 0);
	}
}

void api_stream_begin(struct api_request *request)
{
	const struct http_header headers[] = {
		{.name = slice_of("Content-Type"),
		 .value = slice_of(api_route_media_type(request->route)),
		 .known = HTTP_CONTENT_TYPE},
		{.name = slice_of("Cache-Control"), .value = slice_of("no-store")},
	};
	struct fault fault;

	check(!request->answered);
	/* While it can still be told. */
	if (make_piece(request, &fault) < 0) {
		api_stream_close(request);
		request->stream.next = NULL;
		api_answer_fault(request, &fault);
		return;
	}
	request->answered = true;
	request->stream.more.on_due = on_more;
	http_exchange_respond(request->exchange, request->status, headers, 2, HTTP_LENGTH_UNKNOWN);
	send_piece(request);
	api_stream_pump(request);
}

static void next_piece(struct api_request *request)
{
	struct fault fault;

	if (make_piece(request, &fault) == 0) {
		send_piece(request);
		return;
	}
	log_event(LOG_ERROR, "api.cut", log_text("route", request->route->path),
		  log_text("fault", fault.text));
	api_stream_close(request);
	http_exchange_abort(request->exchange);
}

void api_stream_pump(struct api_request *request)
{
	for (int i = 0; i < PIECES_A_TURN && request->stream.context != NULL; i++) {
		if (!http_exchange_writable(request->exchange))
			return; /* on_writable goes on */
		next_piece(request);
	}
	if (request->stream.context != NULL)
		loop_timer_set(request->api->loop, &request->stream.more,
			       loop_now_ns(request->api->loop));
}

void api_stream_close(struct api_request *request)
{
	struct api_stream *stream = &request->stream;

	if (stream->context == NULL)
		return;
	loop_timer_clear(request->api->loop, &stream->more);
	stream->close(stream->context);
	stream->context = NULL;
}

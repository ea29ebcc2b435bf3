#include "base/check.h"
#include "http/h2_client_internal.h"

/* ---- the request ---- */

static void request_is_whole(struct http_link *link)
{
	link->call.finished = true;
	if (link->state == HTTP_LINK_CALLING && !link->call.head_told)
		http_wire_read_within(&link->wire, link->call.answer_timeout_ns);
}

struct http_call *http_call_start(struct http_origin *origin,
				  const struct http_call_request *request, void *owner)
{
	const struct http_limits *limits = &origin->client->options.limits;

	if (origin->options.protocol == HTTP_PROTOCOL_2)
		return http_branch_call_start(origin, request, owner);
	struct http_link *link = http_link_take(origin);
	link->sent_any = false;
	link->position = 0;
	link->call = (struct http_call){
		.owner = owner,
		.head_only = request->head_only,
		.upgrade = request->upgrade.length > 0,
		.chunked = request->body_bytes == HTTP_LENGTH_UNKNOWN,
		.announced_bytes = request->body_bytes,
		.answer_timeout_ns = request->answer_timeout_ns != 0 ? request->answer_timeout_ns
								     : limits->answer_timeout_ns,
	};
	http_compose_request(&link->wire, request);
	/* An idle connection's deadline must not befall the call. */
	if (link->state == HTTP_LINK_CALLING)
		link->wire.read_deadline_ns = 0;
	if (request->body_bytes == 0)
		request_is_whole(link);
	http_wire_defer(&link->wire);
	return &link->call;
}

static bool is_under_way(const struct http_link *link)
{
	return link->state == HTTP_LINK_CALLING || link->state == HTTP_LINK_CONNECTING;
}

void http_call_send(struct http_call *call, struct slice bytes)
{
	if (call->shared) {
		http_branch_call_send(call, bytes);
		return;
	}
	struct http_link *link = http_call_link(call);

	check(is_under_way(link));
	check(!call->finished);
	if (bytes.length == 0)
		return;
	call->appended_bytes += bytes.length;
	if (call->chunked) {
		http_compose_chunk(&link->wire, bytes);
	} else {
		if (!call->switched)
			check_at_most(call->appended_bytes, call->announced_bytes);
		http_wire_append(&link->wire, bytes);
	}
	if (!http_call_writable(call))
		call->above_high = true;
	http_wire_defer(&link->wire);
}

bool http_call_writable(const struct http_call *call)
{
	if (call->shared)
		return http_branch_call_writable(call);
	const struct http_link *link = http_call_link(call);

	return link->wire.waiting_bytes <= link->origin->client->options.limits.output_bytes_high;
}

void http_call_finish(struct http_call *call, const struct http_header *trailers,
		      size_t trailer_count)
{
	if (call->shared) {
		http_branch_call_finish(call, trailers, trailer_count);
		return;
	}
	struct http_link *link = http_call_link(call);

	check(is_under_way(link));
	if (call->announced_bytes == 0)
		return;
	check(!call->finished);
	if (call->chunked)
		http_compose_last_chunk(&link->wire, trailers, trailer_count);
	else if (!call->switched)
		check_equal(call->appended_bytes, call->announced_bytes);
	request_is_whole(link);
	http_wire_defer(&link->wire);
}

bool http_call_sent_any(const struct http_call *call)
{
	return call->shared ? http_call_branch(call)->sent_any : http_call_link(call)->sent_any;
}

void http_call_cancel(struct http_call *call)
{
	if (call->shared) {
		http_branch_leave(http_call_branch(call), NGHTTP2_CANCEL);
		return;
	}
	struct http_link *link = http_call_link(call);

	check(is_under_way(link));
	http_link_close(link);
}

/* ---- the answer ---- */

void http_call_pause(struct http_call *call)
{
	if (call->shared) {
		http_branch_call_pause(call);
		return;
	}
	call->paused = true;
	if (call->head_told)
		http_call_link(call)->wire.read_deadline_ns = 0;
}

void http_call_resume(struct http_call *call)
{
	if (call->shared) {
		http_branch_call_resume(call);
		return;
	}
	struct http_link *link = http_call_link(call);

	check(is_under_way(link));
	if (!call->paused)
		return;
	call->paused = false;
	call->resumed = true;
	if (call->head_told)
		http_wire_read_within(&link->wire, http_link_idle_timeout_ns(link));
	http_wire_defer(&link->wire);
}

enum step { STEP_AGAIN, STEP_STARVED, STEP_BLOCKED, STEP_OVER };

static enum step fail(struct http_link *link, enum http_failure failure)
{
	http_link_fail(link, failure);
	return STEP_OVER;
}

/* Whether the call is still there after a callback. */
static enum step go_on(const struct http_link *link)
{
	return link->state == HTTP_LINK_CALLING ? STEP_AGAIN : STEP_OVER;
}

static enum step take_head(struct http_link *link, struct slice head)
{
	struct http_client *client = link->origin->client;
	struct http_call *call = &link->call;
	const enum http_refused refused = http_response_read(
		head, call->head_only, &client->options.limits, &client->head, &client->read);

	if (refused == HTTP_REFUSED_SWITCHED && call->upgrade) {
		http_link_switch(link);
		client->options.events->on_head(call->owner, &client->read.response);
		return go_on(link);
	}
	if (refused != HTTP_REFUSED_NOT)
		return fail(link, HTTP_FAILED_INVALID);
	if (client->read.response.status < 200)
		return ++call->interim_count > HTTP_INTERIM_MAX ? fail(link, HTTP_FAILED_INVALID)
								: STEP_AGAIN;
	link->body = client->read.body;
	call->keep_alive = client->read.keep_alive;
	call->head_told = true;
	http_wire_read_within(&link->wire, call->paused ? 0 : http_link_idle_timeout_ns(link));
	client->options.events->on_head(call->owner, &client->read.response);
	return go_on(link);
}

static enum step read_head(struct http_link *link, struct slice *view)
{
	const struct http_limits *limits = &link->origin->client->options.limits;
	/* Empty lines before a status line are none of HTTP: the first is one too many. */
	uint32_t blank_lines = HTTP_BLANK_LINES_MAX;
	struct slice head;
	enum http_refused refused;

	switch (http_head_find(view, &link->position, &blank_lines, limits, &head, &refused)) {
	case HTTP_HEAD_MORE:
		return STEP_STARVED;
	case HTTP_HEAD_WHOLE:
		return take_head(link, head);
	case HTTP_HEAD_REFUSED:
		break;
	}
	return fail(link, HTTP_FAILED_INVALID);
}

/* Bytes beyond the answer's end belong to nobody: the connection is not used again. */
static enum step answer_is_whole(struct http_link *link, const struct slice *view)
{
	struct http_client *client = link->origin->client;
	const struct http_call *call = &link->call;
	const bool clean =
		call->keep_alive && call->finished && view->length == 0 && !link->wire.ended;

	/* Its bytes stay until the callback has returned. */
	link->wire.kept_length = 0;
	http_link_release(link, clean);
	client->options.events->on_end(call->owner, client->trailers.fields,
				       client->trailers.count);
	return STEP_OVER;
}

static enum step read_body(struct http_link *link, struct slice *view)
{
	struct http_client *client = link->origin->client;
	struct slice piece;
	enum http_refused refused;

	/* No body: its end needs no asking for. */
	if (link->call.paused && link->body.kind != HTTP_BODY_NONE)
		return STEP_BLOCKED;
	switch (http_body_next(&link->body, view, &piece, &client->trailers, &refused)) {
	case HTTP_BODY_STARVED:
		return STEP_STARVED;
	case HTTP_BODY_PIECE:
		http_wire_read_within(&link->wire, http_link_idle_timeout_ns(link));
		client->options.events->on_body(link->call.owner, piece);
		return go_on(link);
	case HTTP_BODY_ENDED:
		return answer_is_whole(link, view);
	case HTTP_BODY_REFUSED:
		break;
	}
	return fail(link, HTTP_FAILED_INVALID);
}

/* More is needed and nothing will come. That may be what ends the answer. */
static void starved_for_good(struct http_link *link, const struct slice *view)
{
	const struct http_call *call = &link->call;

	if (call->head_told && link->body.kind == HTTP_BODY_UNTIL_CLOSE && !link->wire.cut) {
		link->origin->client->trailers.count = 0;
		answer_is_whole(link, view);
	} else {
		http_link_fail(link, link->reused && !call->answered ? HTTP_FAILED_STALE
								     : HTTP_FAILED_CLOSED);
	}
}

void http_link_input(struct http_link *link, struct slice bytes)
{
	struct slice view = http_wire_view(&link->wire, bytes);
	enum step last;

	link->call.resumed = false;
	if (view.length > 0)
		link->call.answered = true;
	do {
		last = link->call.head_told ? read_body(link, &view) : read_head(link, &view);
	} while (last == STEP_AGAIN);

	if (last == STEP_STARVED && link->wire.ended) {
		starved_for_good(link, &view);
		return;
	}
	if (last == STEP_OVER)
		return;
	if (link->call.head_told) {
		link->origin->client->options.events->on_more(link->call.owner);
		if (link->state != HTTP_LINK_CALLING)
			return;
	}
	http_wire_keep(&link->wire, view, last == STEP_STARVED);
}

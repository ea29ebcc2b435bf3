#include <stdlib.h>

#include "base/check.h"
#include "base/text.h"
#include "http/compose_internal.h"
#include "http/h2_client_internal.h"

#define OWN_PAIRS         7 /* pseudo fields, content-length, te */
#define LENGTH_DIGITS_MAX 20

/* ---- the request's head ---- */

static size_t put_pairs(nghttp2_nv *pairs, const struct http_origin *origin,
			const struct http_call_request *request, char *length_text)
{
	const struct http_header *host =
		http_header_find(request->headers, request->header_count, HTTP_HOST);
	const bool is_tunnel = request->upgrade.length > 0;
	size_t count = 0;

	http_call_request_check(request);
	pairs[count++] = http_h2_pair(slice_of(":method"),
				      is_tunnel ? slice_of("CONNECT") : request->method);
	if (is_tunnel)
		pairs[count++] = http_h2_pair(slice_of(":protocol"), request->upgrade);
	pairs[count++] = http_h2_pair(slice_of(":scheme"),
				      slice_of(origin->options.tls != NULL ? "https" : "http"));
	if (host != NULL)
		pairs[count++] = http_h2_pair(slice_of(":authority"), host->value);
	pairs[count++] = http_h2_pair(slice_of(":path"), request->target);
	for (size_t i = 0; i < request->header_count; i++) {
		const enum http_name known = request->headers[i].known;
		if (known != HTTP_HOST && known != HTTP_EXPECT &&
		    (!is_tunnel || known != HTTP_WEBSOCKET_KEY)) /* RFC 8441, 5 */
			count += http_h2_pairs_put(pairs + count, &request->headers[i], 1);
	}
	if (http_call_request_tells_length(request)) {
		const char *end = text_decimal((uint64_t)request->body_bytes, length_text);
		pairs[count++] = http_h2_pair(slice_of("content-length"),
					      slice_make(length_text, (size_t)(end - length_text)));
	}
	if (request->accepts_trailers)
		pairs[count++] = http_h2_pair(slice_of("te"), slice_of("trailers"));
	return count;
}

static void request_is_whole(struct http_branch *branch)
{
	branch->call.finished = true;
	if (!branch->call.head_told)
		http_branch_read_within(branch, branch->call.answer_timeout_ns);
}

struct http_call *http_branch_call_start(struct http_origin *origin,
					 const struct http_call_request *request, void *owner)
{
	const struct http_limits *limits = &origin->client->options.limits;
	nghttp2_nv pairs[HTTP_HEADERS_MAX + HTTP_HEADERS_OWN_MAX + OWN_PAIRS];
	const nghttp2_data_provider body = {.read_callback = http_branch_read_output};
	char length_text[LENGTH_DIGITS_MAX];

	check_at_most(request->header_count, HTTP_HEADERS_MAX + HTTP_HEADERS_OWN_MAX);
	struct http_trunk *trunk = http_trunk_take(origin);
	struct http_branch *branch = http_branch_new(trunk);
	branch->call = (struct http_call){
		.owner = owner,
		.shared = true,
		.head_only = request->head_only,
		.announced_bytes = request->body_bytes,
		.answer_timeout_ns = request->answer_timeout_ns != 0 ? request->answer_timeout_ns
								     : limits->answer_timeout_ns,
	};
	const size_t count = put_pairs(pairs, origin, request, length_text);
	if (request->upgrade.length > 0) {
		check_equal(request->body_bytes, 0);
		http_branch_wish(branch, pairs, count);
	} else {
		branch->sent_end = request->body_bytes == 0;
		branch->id =
			nghttp2_submit_request(trunk->session, NULL, pairs, count,
					       request->body_bytes == 0 ? NULL : &body, branch);
		check(branch->id > 0);
	}
	if (request->body_bytes == 0)
		request_is_whole(branch);
	http_wire_defer(&trunk->wire);
	return &branch->call;
}

/* ---- its body ---- */

void http_branch_output_changed(struct http_branch *branch)
{
	if (branch->waiting) {
		branch->waiting = false;
		check(nghttp2_session_resume_data(branch->trunk->session, branch->id) == 0);
	}
	http_wire_defer(&branch->trunk->wire);
}

void http_branch_call_send(struct http_call *call, struct slice bytes)
{
	struct http_branch *branch = http_call_branch(call);

	check(!call->finished);
	if (bytes.length == 0)
		return;
	call->appended_bytes += bytes.length;
	if (call->announced_bytes != HTTP_LENGTH_UNKNOWN)
		check_at_most(call->appended_bytes, call->announced_bytes);
	if (branch->closed) /* the answer is whole: nobody wants the rest of the request */
		return;
	const bool began = branch->output.bytes == 0;
	http_queue_append(&branch->output, &http_trunk_client(branch->trunk)->blocks, bytes);
	if (began)
		http_branch_send_within(branch);
	if (!http_branch_call_writable(call))
		call->above_high = true;
	http_branch_output_changed(branch);
}

bool http_branch_call_writable(const struct http_call *call)
{
	const struct http_branch *branch = http_call_branch(call);

	return branch->output.bytes <=
	       http_trunk_client(branch->trunk)->options.limits.output_bytes_high;
}

static struct http_h2_fields *trailers_copy(const struct http_header *trailers,
					    size_t trailer_count)
{
	struct http_h2_fields *fields = NULL;

	for (size_t i = 0; i < trailer_count; i++) {
		if (http_header_is_ours(&trailers[i]))
			continue;
		if (fields == NULL) {
			fields = malloc(sizeof(*fields));
			check(fields != NULL);
			http_h2_fields_init(fields, http_h2_fields_bytes(trailers, trailer_count));
		}
		check_equal(http_h2_fields_add(fields, trailers[i].name, trailers[i].value),
			    HTTP_REFUSED_NOT);
	}
	return fields;
}

void http_branch_call_finish(struct http_call *call, const struct http_header *trailers,
			     size_t trailer_count)
{
	struct http_branch *branch = http_call_branch(call);

	if (call->announced_bytes == 0)
		return;
	check(!call->finished);
	if (call->announced_bytes != HTTP_LENGTH_UNKNOWN)
		check_equal(call->appended_bytes, call->announced_bytes);
	else
		branch->request_trailers = trailers_copy(trailers, trailer_count);
	request_is_whole(branch);
	if (!branch->closed)
		http_branch_output_changed(branch);
}

/* ---- the answer ---- */

void http_branch_call_pause(struct http_call *call)
{
	call->paused = true;
	if (call->head_told)
		http_call_branch(call)->read_deadline_ns = 0;
}

void http_branch_call_resume(struct http_call *call)
{
	struct http_branch *branch = http_call_branch(call);

	if (!call->paused)
		return;
	call->paused = false;
	call->resumed = true;
	if (call->head_told && !branch->ended)
		http_branch_read_within(branch, http_branch_idle_timeout_ns(branch));
	http_branch_make_due(branch);
}

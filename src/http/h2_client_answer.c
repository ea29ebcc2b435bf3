#include "base/check.h"
#include "http/h2_client_internal.h"

static struct http_branch *branch_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

static const struct http_client_options *options_of(const struct http_trunk *trunk)
{
	return &http_trunk_client(trunk)->options;
}

static void refuse(struct http_branch *branch)
{
	http_branch_fail(branch, HTTP_FAILED_INVALID, NGHTTP2_PROTOCOL_ERROR);
}

/* ---- floods ---- */

/* Every frame counts at first; one that brought something is taken off again. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *context)
{
	struct http_trunk *trunk = context;

	(void)session;
	/* It was told not to, if it has not agreed to that yet. */
	if (head->type == NGHTTP2_PUSH_PROMISE)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	trunk->strange_bytes -= (int64_t)head->length + HTTP_H2_FRAME_HEAD_BYTES;
	return ++trunk->idle_frames > HTTP_IDLE_FRAMES_MAX + trunk->earned_frames
		       ? NGHTTP2_ERR_CALLBACK_FAILURE
		       : 0;
}

static void brought_something(struct http_trunk *trunk)
{
	trunk->idle_frames -= trunk->idle_frames > 0;
}

/* ---- a header or trailer section ---- */

static int on_begin_section(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct http_trunk *trunk = context;
	struct http_branch *branch = branch_of(session, frame->hd.stream_id);

	if (branch == NULL)
		return 0;
	branch->call.answered = true;
	trunk->content_length = HTTP_LENGTH_UNKNOWN;
	/* Its head may still be looked at when its trailers come. */
	if (trunk->live != branch || !branch->call.head_told)
		http_trunk_tell_more(trunk);
	if (branch_of(session, frame->hd.stream_id) != branch)
		return 0;
	http_h2_fields_clear(&trunk->trailers);
	if (!branch->call.head_told) {
		trunk->response = (struct http_response){0};
		http_h2_fields_clear(&trunk->head);
	}
	return 0;
}

static bool take_status(struct http_trunk *trunk, struct slice value)
{
	uint64_t status;

	if (value.length != 3 || !slice_to_u64(value, 599, &status) || status < 100)
		return false;
	trunk->response.status = (unsigned)status;
	return true;
}

static bool take_field(struct http_trunk *trunk, bool trailing, struct slice name,
		       struct slice value)
{
	struct http_h2_fields *fields = trailing ? &trunk->trailers : &trunk->head;

	if (name.length > 0 && name.data[0] == ':')
		return !trailing && slice_equal(name, slice_of(":status")) &&
		       take_status(trunk, value);
	if (http_h2_fields_add(fields, name, value) != HTTP_REFUSED_NOT)
		return false;
	const struct http_header *field = &fields->of[fields->count - 1];
	if (trailing) {
		fields->count -= !http_header_may_trail(field);
		return true;
	}
	return field->known != HTTP_CONTENT_LENGTH ||
	       http_content_length_read(field->value, &trunk->content_length) == HTTP_REFUSED_NOT;
}

static int on_field(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		    size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
		    void *context)
{
	struct http_trunk *trunk = context;
	struct http_branch *branch = branch_of(session, frame->hd.stream_id);

	(void)flags;
	/* It may have come by CONTINUATION, a frame that is not told; compressed, so not longer. */
	trunk->strange_bytes -= (int64_t)(name_length + value_length);
	if (branch != NULL &&
	    !take_field(trunk, branch->call.head_told, slice_make(name, name_length),
			slice_make(value, value_length)))
		refuse(branch);
	return 0;
}

static int on_bad_field(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
			size_t name_length, const uint8_t *value, size_t value_length,
			uint8_t flags, void *context)
{
	struct http_branch *branch = branch_of(session, frame->hd.stream_id);

	(void)name;
	(void)name_length;
	(void)value;
	(void)value_length;
	(void)flags;
	(void)context;
	if (branch != NULL)
		refuse(branch);
	return 0;
}

/* False: the call is gone. */
static bool head_is_whole(struct http_trunk *trunk, struct http_branch *branch, bool ends)
{
	struct http_call *call = &branch->call;
	struct http_response *response = &trunk->response;
	const unsigned status = response->status;
	const int32_t id = branch->id;

	if (status < 200) {
		if (status != 101 && ++call->interim_count <= HTTP_INTERIM_MAX && !ends)
			return true;
		refuse(branch);
		return false;
	}
	brought_something(trunk);
	response->headers = trunk->head.of;
	response->header_count = trunk->head.count;
	branch->bodiless = ends || call->head_only || status == 204 || status == 304;
	if (status == 204 || status == 304 ||
	    (ends && trunk->content_length == HTTP_LENGTH_UNKNOWN && !call->head_only))
		response->body_bytes = 0;
	else
		response->body_bytes = trunk->content_length;
	if (call->upgrade && status < 300)
		http_branch_switch(branch, response);
	else if (call->upgrade)
		http_branch_output_changed(branch);
	call->head_told = true;
	http_branch_read_within(branch, call->paused ? 0 : http_branch_idle_timeout_ns(branch));
	trunk->live = branch;
	options_of(trunk)->events->on_head(call->owner, response);
	return branch_of(trunk->session, id) == branch;
}

/* ---- content ---- */

static int on_content(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		      size_t length, void *context)
{
	struct http_trunk *trunk = context;
	struct http_branch *branch = branch_of(session, id);
	struct http_client *client = http_trunk_client(trunk);

	(void)flags;
	nghttp2_session_consume_connection(session, length);
	if (branch == NULL)
		return 0;
	brought_something(trunk);
	if (branch->call.paused || branch->kept.bytes > 0) {
		http_queue_append(&branch->kept, &client->blocks, slice_make(data, length));
		return 0;
	}
	http_branch_read_within(branch, http_branch_idle_timeout_ns(branch));
	nghttp2_session_consume_stream(session, id, length);
	if (trunk->live != branch)
		http_trunk_tell_more(trunk);
	if (branch_of(session, id) != branch)
		return 0;
	trunk->live = branch;
	client->options.events->on_body(branch->call.owner, slice_make(data, length));
	return 0;
}

/* ---- whole frames ---- */

static void on_end_of_stream(struct http_trunk *trunk, struct http_branch *branch,
			     bool has_trailers)
{
	if (has_trailers)
		brought_something(trunk);
	else
		http_h2_fields_clear(&trunk->trailers);
	http_branch_end(branch);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct http_trunk *trunk = context;
	struct http_branch *branch =
		frame->hd.stream_id == 0 ? NULL : branch_of(session, frame->hd.stream_id);
	const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		if (branch == NULL)
			break;
		const bool trailing = branch->call.head_told;
		if (!trailing && !head_is_whole(trunk, branch, ends))
			break;
		if (ends)
			on_end_of_stream(trunk, branch, trailing);
		break;
	case NGHTTP2_DATA:
		if (branch != NULL && ends)
			on_end_of_stream(trunk, branch, false);
		break;
	case NGHTTP2_RST_STREAM:
		if (branch != NULL)
			branch->reset = true;
		break;
	case NGHTTP2_SETTINGS:
		if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
			break;
		trunk->settled = true;
		trunk->origin->streams_max = nghttp2_session_get_remote_settings(
			session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
		http_trunk_look_at_wishes(trunk);
		break;
	case NGHTTP2_GOAWAY:
		trunk->going = true;
		if (trunk->call_count == 0)
			http_trunk_close(trunk);
		break;
	default:
		break;
	}
	return 0;
}

static int on_stream_closed(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
	struct http_branch *branch = branch_of(session, id);

	(void)context;
	if (branch == NULL)
		return 0;
	branch->closed = true;
	if (branch->ended)
		return 0;
	/* What a GOAWAY leaves out, and what could not be sent any more, is refused as well. */
	http_branch_fail(branch,
			 code == NGHTTP2_REFUSED_STREAM && !branch->call.answered
				 ? HTTP_FAILED_REFUSED
			 : branch->reset ? HTTP_FAILED_CLOSED
					 : HTTP_FAILED_INVALID,
			 NGHTTP2_NO_ERROR);
	return 0;
}

void http_answer_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_section);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_field);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_bad_field);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_content);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
}

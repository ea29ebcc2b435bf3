#include <stdlib.h>

#include "base/check.h"
#include "http/h2_client_internal.h"

/* ---- deadlines ---- */

static void arm(struct http_branch *branch)
{
	const uint64_t read_ns = branch->read_deadline_ns, send_ns = branch->send_deadline_ns;
	const uint64_t due_ns =
		read_ns == 0 || (send_ns != 0 && send_ns < read_ns) ? send_ns : read_ns;

	if (due_ns != 0 && (branch->timer.due_ns == 0 || branch->timer.due_ns > due_ns))
		loop_timer_set(branch->trunk->wire.loop, &branch->timer, due_ns);
}

void http_branch_read_within(struct http_branch *branch, uint64_t timeout_ns)
{
	branch->read_deadline_ns =
		timeout_ns == 0 ? 0 : loop_now_ns(branch->trunk->wire.loop) + timeout_ns;
	arm(branch);
}

void http_branch_send_within(struct http_branch *branch)
{
	const uint64_t timeout_ns =
		http_trunk_client(branch->trunk)->options.limits.send_idle_timeout_ns;

	branch->send_deadline_ns = branch->output.bytes == 0 || timeout_ns == 0
					   ? 0
					   : loop_now_ns(branch->trunk->wire.loop) + timeout_ns;
	arm(branch);
}

static void on_due(struct loop_timer *timer)
{
	struct http_branch *branch =
		(struct http_branch *)((uintptr_t)timer - offsetof(struct http_branch, timer));
	struct http_trunk *trunk = branch->trunk;
	const uint64_t now_ns = loop_now_ns(trunk->wire.loop);
	const bool is_due = (branch->read_deadline_ns != 0 && now_ns >= branch->read_deadline_ns) ||
			    (branch->send_deadline_ns != 0 && now_ns >= branch->send_deadline_ns);

	if (!is_due) {
		arm(branch);
		return;
	}
	/* Not a word since the call began: the peer may be gone without a trace. */
	if (trunk->heard_ns < branch->started_ns)
		trunk->going = true;
	http_branch_fail(branch, HTTP_FAILED_TIMEOUT, NGHTTP2_CANCEL);
}

/* ---- life ---- */

struct http_branch *http_branch_new(struct http_trunk *trunk)
{
	struct http_h2_kit *kit = http_trunk_client(trunk)->h2;
	struct http_branch *branch = kit->spare;

	if (branch != NULL) {
		kit->spare = branch->next;
		kit->spare_count--;
	} else {
		branch = malloc(sizeof(*branch));
		check(branch != NULL);
	}
	memset(branch, 0, sizeof(*branch));
	branch->trunk = trunk;
	branch->timer.on_due = on_due;
	branch->started_ns = loop_now_ns(trunk->wire.loop);
	branch->next = trunk->first;
	if (branch->next != NULL)
		branch->next->previous = branch;
	trunk->first = branch;
	/* An idle connection's deadline must not befall the call. */
	if (trunk->call_count++ == 0 && trunk->state == HTTP_TRUNK_OPEN)
		trunk->wire.read_deadline_ns = 0;
	return branch;
}

static void drop_fields(struct http_h2_fields *fields)
{
	if (fields == NULL)
		return;
	http_h2_fields_fini(fields);
	free(fields);
}

static void no_longer_due(struct http_branch *branch)
{
	if (!branch->due)
		return;
	branch->due = false;
	*(branch->previous_due == NULL ? &branch->trunk->due : &branch->previous_due->next_due) =
		branch->next_due;
	if (branch->next_due != NULL)
		branch->next_due->previous_due = branch->previous_due;
}

static void unlink_branch(struct http_branch *branch)
{
	struct http_trunk *trunk = branch->trunk;

	no_longer_due(branch);
	*(branch->previous == NULL ? &trunk->first : &branch->previous->next) = branch->next;
	if (branch->next != NULL)
		branch->next->previous = branch->previous;
	if (trunk->live == branch)
		trunk->live = NULL;
}

void http_branch_leave(struct http_branch *branch, uint32_t error_code)
{
	struct http_trunk *trunk = branch->trunk;
	struct http_client *client = http_trunk_client(trunk);

	if (!branch->closed && branch->id != 0) {
		nghttp2_session_set_stream_user_data(trunk->session, branch->id, NULL);
		if (error_code != NGHTTP2_NO_ERROR)
			check(nghttp2_submit_rst_stream(trunk->session, NGHTTP2_FLAG_NONE,
							branch->id, error_code) == 0);
	}
	if (branch->gone != NULL)
		*branch->gone = true;
	loop_timer_clear(trunk->wire.loop, &branch->timer);
	unlink_branch(branch);
	http_queue_clear(&branch->output, &client->blocks);
	http_queue_clear(&branch->kept, &client->blocks);
	drop_fields(branch->request_trailers);
	drop_fields(branch->kept_trailers);
	free(branch->wish);
	if (client->h2->spare_count == HTTP_BRANCHES_SPARE) {
		free(branch);
	} else {
		branch->next = client->h2->spare;
		client->h2->spare = branch;
		client->h2->spare_count++;
	}
	http_wire_defer(&trunk->wire);
	if (--trunk->call_count == 0)
		http_trunk_is_idle(trunk);
}

void http_branch_fail(struct http_branch *branch, enum http_failure failure, uint32_t error_code)
{
	const struct http_client_events *events = http_trunk_client(branch->trunk)->options.events;
	void *owner = branch->call.owner;

	http_branch_leave(branch, error_code);
	events->on_failed(owner, failure);
}

/* ---- the end of an answer ---- */

/* What is left of the request is not wanted. */
static uint32_t code_of_end(const struct http_branch *branch)
{
	return branch->sent_end ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL;
}

static struct http_h2_fields *fields_copy(const struct http_h2_fields *fields)
{
	struct http_h2_fields *copy = malloc(sizeof(*copy));

	check(copy != NULL);
	http_h2_fields_init(copy, fields->capacity);
	for (size_t i = 0; i < fields->count; i++)
		check_equal(http_h2_fields_add(copy, fields->of[i].name, fields->of[i].value),
			    HTTP_REFUSED_NOT);
	return copy;
}

void http_branch_end(struct http_branch *branch)
{
	struct http_trunk *trunk = branch->trunk;
	const struct http_client_events *events = http_trunk_client(trunk)->options.events;
	void *owner = branch->call.owner;

	if (branch->kept.bytes > 0 || (branch->call.paused && !branch->bodiless)) {
		branch->ended = true;
		branch->read_deadline_ns = 0;
		if (trunk->trailers.count > 0)
			branch->kept_trailers = fields_copy(&trunk->trailers);
		return;
	}
	http_branch_leave(branch, code_of_end(branch));
	events->on_end(owner, trunk->trailers.of, trunk->trailers.count);
}

/* All is handed over but the end; what lies in `kept` stays until it is told. */
static void tell_kept_end(struct http_branch *branch)
{
	struct http_client *client = http_trunk_client(branch->trunk);
	struct http_h2_fields *trailers = branch->kept_trailers;
	struct http_queue kept = branch->kept;
	void *owner = branch->call.owner;

	branch->kept_trailers = NULL;
	branch->kept = (struct http_queue){0};
	http_branch_leave(branch, code_of_end(branch));
	client->options.events->on_end(owner, trailers == NULL ? NULL : trailers->of,
				       trailers == NULL ? 0 : trailers->count);
	http_queue_clear(&kept, &client->blocks);
	drop_fields(trailers);
}

/* ---- what was kept while the call was paused ---- */

/* One piece; false: the call is gone. */
static bool hand_over_piece(struct http_branch *branch)
{
	struct http_client *client = http_trunk_client(branch->trunk);
	const struct slice piece = http_queue_piece(&branch->kept);
	bool gone = false;

	branch->gone = &gone;
	if (!branch->closed)
		nghttp2_session_consume_stream(branch->trunk->session, branch->id, piece.length);
	client->options.events->on_body(branch->call.owner, piece);
	if (gone)
		return false;
	if (branch->ended && piece.length == branch->kept.bytes) {
		branch->gone = NULL;
		tell_kept_end(branch);
		return false;
	}
	client->options.events->on_more(branch->call.owner);
	if (gone)
		return false;
	branch->gone = NULL;
	http_queue_drop(&branch->kept, &client->blocks, piece.length);
	return true;
}

static void hand_over(struct http_branch *branch)
{
	while (!branch->call.paused && branch->kept.bytes > 0)
		if (!hand_over_piece(branch))
			return;
	if (!branch->call.paused && branch->ended)
		tell_kept_end(branch);
}

/* ---- at the turn's end ---- */

void http_branch_make_due(struct http_branch *branch)
{
	struct http_trunk *trunk = branch->trunk;

	http_wire_defer(&trunk->wire);
	if (branch->due)
		return;
	branch->due = true;
	branch->previous_due = NULL;
	branch->next_due = trunk->due;
	if (branch->next_due != NULL)
		branch->next_due->previous_due = branch;
	trunk->due = branch;
}

void http_branch_look(struct http_branch *branch)
{
	if (branch->call.resumed) {
		branch->call.resumed = false;
		hand_over(branch); /* and if it is still there, it is looked at again */
		return;
	}
	no_longer_due(branch);
	if (branch->wish != NULL) {
		http_branch_wish_look(branch);
		return;
	}
	if (!branch->tell_writable)
		return;
	branch->tell_writable = false;
	if (!branch->call.finished)
		http_trunk_client(branch->trunk)->options.events->on_writable(branch->call.owner);
}

/* ---- what the session asks for ---- */

ssize_t http_branch_read_output(nghttp2_session *session, int32_t id, uint8_t *buffer,
				size_t length, uint32_t *flags, nghttp2_data_source *source,
				void *context)
{
	struct http_branch *branch = nghttp2_session_get_stream_user_data(session, id);

	(void)buffer;
	(void)source;
	(void)context;
	if (branch == NULL)
		return NGHTTP2_ERR_DEFERRED; /* its reset is on its way */
	if (branch->output.bytes == 0 &&
	    (!branch->call.finished || http_branch_is_undecided(branch))) {
		branch->waiting = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	const size_t bytes = branch->output.bytes < length ? branch->output.bytes : length;
	if (bytes > 0)
		*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (!branch->call.finished || bytes < branch->output.bytes)
		return (ssize_t)bytes;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	branch->sent_end = true;
	if (branch->request_trailers != NULL) {
		nghttp2_nv pairs[HTTP_HEADERS_MAX];
		const size_t count = http_h2_pairs_put(pairs, branch->request_trailers->of,
						       branch->request_trailers->count);
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		check(nghttp2_submit_trailer(session, id, pairs, count) == 0);
	}
	return (ssize_t)bytes;
}

/* A DATA frame: its head is the session's, its content goes from queue to connection. */
static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
		     size_t length, nghttp2_data_source *source, void *context)
{
	struct http_trunk *trunk = context;
	struct http_client *client = http_trunk_client(trunk);
	struct http_branch *branch =
		nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)source;
	check(branch != NULL);
	check_equal(frame->data.padlen, 0);
	check_at_most(length, branch->output.bytes);
	trunk->earned_frames += HTTP_FRAMES_EARNED;
	http_wire_append(&trunk->wire, slice_make(head, HTTP_H2_FRAME_HEAD_BYTES));
	while (length > 0) {
		struct slice piece = http_queue_piece(&branch->output);
		if (piece.length > length)
			piece.length = length;
		http_wire_append(&trunk->wire, piece);
		http_queue_drop(&branch->output, &client->blocks, piece.length);
		length -= piece.length;
	}
	http_branch_send_within(branch);
	if (branch->call.above_high &&
	    branch->output.bytes <= client->options.limits.output_bytes_high / 2) {
		branch->call.above_high = false;
		branch->tell_writable = true;
		http_branch_make_due(branch);
	}
	return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	(void)context;
	if (frame->hd.type == NGHTTP2_HEADERS) {
		struct http_branch *branch =
			nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
		if (branch != NULL)
			branch->sent_any = true;
	}
	return 0;
}

void http_branch_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
}

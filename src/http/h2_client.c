#include "http/h2_client_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"

static const struct loop_stream_events trunk_events;

static struct http_trunk *of_stream(struct loop_stream *stream)
{
	return (struct http_trunk *)((uintptr_t)stream - offsetof(struct http_trunk, wire.stream));
}

static const struct http_limits *limits_of(const struct http_trunk *trunk)
{
	return &http_trunk_client(trunk)->options.limits;
}

/* ---- what trunks share ---- */

struct http_h2_kit *http_h2_kit_new(void)
{
	struct http_h2_kit *kit = calloc(1, sizeof(*kit));

	check(kit != NULL);
	check(nghttp2_session_callbacks_new(&kit->callbacks) == 0);
	http_answer_callbacks(kit->callbacks);
	http_branch_callbacks(kit->callbacks);
	check(nghttp2_option_new(&kit->option) == 0);
	nghttp2_option_set_no_auto_window_update(kit->option, 1);
	http_h2_memory_init(&kit->memory);
	return kit;
}

void http_h2_kit_free(struct http_h2_kit *kit)
{
	while (kit->spare != NULL) {
		struct http_branch *branch = kit->spare;
		kit->spare = branch->next;
		free(branch);
	}
	nghttp2_option_del(kit->option);
	nghttp2_session_callbacks_del(kit->callbacks);
	http_h2_memory_fini(&kit->memory);
	free(kit);
}

/* ---- life ---- */

static void trunk_turn(struct loop_task *task);
static void trunk_due(struct loop_timer *timer);

static void session_new(struct http_trunk *trunk)
{
	struct http_h2_kit *kit = http_trunk_client(trunk)->h2;
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP_BRANCH_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_of(trunk)->head_bytes_max},
	};

	check(nghttp2_session_client_new3(&trunk->session, kit->callbacks, trunk, kit->option,
					  &kit->memory.functions) == 0);
	check(nghttp2_submit_settings(trunk->session, NGHTTP2_FLAG_NONE, settings,
				      sizeof(settings) / sizeof(settings[0])) == 0);
	check(nghttp2_session_set_local_window_size(trunk->session, NGHTTP2_FLAG_NONE, 0,
						    HTTP_TRUNK_WINDOW) == 0);
}

static struct http_trunk *trunk_new(struct http_origin *origin)
{
	struct http_client *client = origin->client;
	struct http_trunk *trunk = calloc(1, sizeof(*trunk));

	check(trunk != NULL);
	http_wire_init(&trunk->wire, client->loop, &client->blocks);
	trunk->wire.turn.run = trunk_turn;
	trunk->wire.timer.on_due = trunk_due;
	trunk->origin = origin;
	http_h2_fields_init(&trunk->head, client->options.limits.head_bytes_max);
	http_h2_fields_init(&trunk->trailers, client->options.limits.head_bytes_max);
	session_new(trunk);
	trunk->next = origin->trunks;
	if (trunk->next != NULL)
		trunk->next->previous = trunk;
	origin->trunks = trunk;
	origin->connection_count++;
	trunk->state = HTTP_TRUNK_CONNECTING;
	http_origin_connect(origin, &trunk->wire, &trunk_events);
	return trunk;
}

static void trunk_closed(struct loop_stream *stream)
{
	struct http_trunk *trunk = of_stream(stream);
	struct http_origin *origin = trunk->origin;

	check(trunk->call_count == 0);
	nghttp2_session_del(trunk->session);
	http_wire_fini(&trunk->wire);
	http_h2_fields_fini(&trunk->head);
	http_h2_fields_fini(&trunk->trailers);
	free(trunk);
	http_origin_left(origin);
}

void http_trunk_close(struct http_trunk *trunk)
{
	check(trunk->call_count == 0);
	if (trunk->state == HTTP_TRUNK_CLOSED)
		return;
	trunk->state = HTTP_TRUNK_CLOSED;
	*(trunk->previous == NULL ? &trunk->origin->trunks : &trunk->previous->next) = trunk->next;
	if (trunk->next != NULL)
		trunk->next->previous = trunk->previous;
	http_wire_close(&trunk->wire);
}

void http_trunks_close_idle(struct http_origin *origin)
{
	struct http_trunk *next;

	for (struct http_trunk *trunk = origin->trunks; trunk != NULL; trunk = next) {
		next = trunk->next;
		if (trunk->call_count == 0)
			http_trunk_close(trunk);
	}
}

/* ---- which one a call takes ---- */

static uint32_t calls_max(const struct http_trunk *trunk)
{
	/* Until its settings come, what the origin told another trunk; nghttp2 takes 100. */
	const uint32_t told =
		!trunk->settled && trunk->origin->streams_max > 0
			? trunk->origin->streams_max
			: nghttp2_session_get_remote_settings(
				  trunk->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	return told < HTTP_TRUNK_CALLS_MAX ? told : HTTP_TRUNK_CALLS_MAX;
}

static bool takes_calls(const struct http_trunk *trunk)
{
	return !trunk->going && trunk->state <= HTTP_TRUNK_OPEN &&
	       nghttp2_session_check_request_allowed(trunk->session) != 0;
}

/* What a call beyond the bound waits for: the session knows the bound once it was told. */
static bool waits_better(const struct http_trunk *trunk, const struct http_trunk *other)
{
	return trunk->settled != other->settled ? trunk->settled
						: trunk->call_count < other->call_count;
}

struct http_trunk *http_trunk_take(struct http_origin *origin)
{
	struct http_trunk *least = NULL;
	uint32_t count = 0;

	check(!origin->freed);
	for (struct http_trunk *trunk = origin->trunks; trunk != NULL; trunk = trunk->next) {
		if (!takes_calls(trunk))
			continue;
		if (trunk->call_count < calls_max(trunk))
			return trunk;
		if (least == NULL || waits_better(trunk, least))
			least = trunk;
		count++;
	}
	/* What the peer does not allow yet waits in the session. */
	return count < origin->client->options.idle_per_origin_max ? trunk_new(origin) : least;
}

void http_trunk_is_idle(struct http_trunk *trunk)
{
	if (trunk->state == HTTP_TRUNK_CLOSED ||
	    (trunk->state == HTTP_TRUNK_LEAVING && trunk->wire.waiting_bytes > 0))
		return;
	if (trunk->state != HTTP_TRUNK_OPEN || trunk->going || trunk->origin->freed) {
		http_trunk_close(trunk);
		return;
	}
	trunk->reused = true;
	trunk->heard = false;
	http_wire_read_within(&trunk->wire, limits_of(trunk)->keep_alive_timeout_ns);
}

/* ---- its end ---- */

void http_trunk_fail(struct http_trunk *trunk, enum http_failure failure)
{
	/* None of its calls starts another on it. */
	trunk->going = true;
	while (trunk->first != NULL) {
		struct http_branch *branch = trunk->first;
		const bool untouched = failure != HTTP_FAILED_CONNECT &&
				       failure != HTTP_FAILED_TLS && !branch->sent_any;
		http_branch_fail(branch, untouched ? HTTP_FAILED_REFUSED : failure,
				 NGHTTP2_NO_ERROR);
	}
	http_trunk_close(trunk);
}

/* The first that waits for more than its call. */
static struct http_branch *unanswered(const struct http_trunk *trunk)
{
	struct http_branch *branch = trunk->first;

	while (branch != NULL && branch->ended)
		branch = branch->next;
	return branch;
}

/* The peer sends no more; what is whole may still be taken. */
static void trunk_ended(struct http_trunk *trunk)
{
	const enum http_failure failure =
		trunk->reused && !trunk->heard ? HTTP_FAILED_STALE : HTTP_FAILED_CLOSED;
	struct http_branch *branch;

	if (trunk->state == HTTP_TRUNK_CLOSED)
		return;
	trunk->going = true;
	if (trunk->call_count == 0) {
		http_trunk_close(trunk);
		return;
	}
	trunk->wire.ended = true;
	trunk->wire.read_deadline_ns = trunk->wire.send_deadline_ns = 0;
	/* The last to leave closes it. */
	trunk->state = HTTP_TRUNK_ENDED;
	while ((branch = unanswered(trunk)) != NULL)
		http_branch_fail(branch, branch->sent_any ? failure : HTTP_FAILED_REFUSED,
				 NGHTTP2_NO_ERROR);
}

static void close_when_left(struct http_trunk *trunk)
{
	if (trunk->call_count == 0 && trunk->wire.waiting_bytes == 0)
		http_trunk_close(trunk);
}

/* The peer has left, or the session has found it to break the protocol, and tells it so. */
static void session_is_over(struct http_trunk *trunk)
{
	struct http_branch *branch;

	trunk->going = true;
	trunk->state = HTTP_TRUNK_LEAVING;
	while ((branch = unanswered(trunk)) != NULL)
		http_branch_fail(branch, HTTP_FAILED_INVALID, NGHTTP2_NO_ERROR);
	close_when_left(trunk);
}

/* ---- output ---- */

static void flush(struct http_trunk *trunk)
{
	const struct http_limits *limits = limits_of(trunk);
	const uint8_t *bytes;
	ssize_t length = 0;

	if (trunk->state != HTTP_TRUNK_OPEN)
		return;
	while (trunk->wire.waiting_bytes <= limits->output_bytes_high) {
		length = nghttp2_session_mem_send(trunk->session, &bytes);
		if (length <= 0 || trunk->state != HTTP_TRUNK_OPEN)
			break;
		http_wire_append(&trunk->wire, slice_make(bytes, (size_t)length));
	}
	if (trunk->state != HTTP_TRUNK_OPEN)
		return;
	if (length < 0) {
		http_trunk_fail(trunk, HTTP_FAILED_INVALID);
		return;
	}
	http_wire_flush(&trunk->wire, limits->send_idle_timeout_ns);
	if (nghttp2_session_want_read(trunk->session) == 0)
		session_is_over(trunk);
}

static void trunk_turn(struct loop_task *task)
{
	struct http_trunk *trunk =
		(struct http_trunk *)((uintptr_t)task - offsetof(struct http_trunk, wire.turn));

	while (trunk->due != NULL)
		http_branch_look(trunk->due);
	flush(trunk);
}

static void trunk_sent(struct loop_stream *stream)
{
	struct http_trunk *trunk = of_stream(stream);

	http_wire_sent(&trunk->wire);
	if (trunk->state == HTTP_TRUNK_LEAVING)
		close_when_left(trunk);
	flush(trunk);
}

/* ---- input ---- */

void http_trunk_tell_more(struct http_trunk *trunk)
{
	struct http_branch *branch = trunk->live;

	trunk->live = NULL;
	if (branch != NULL)
		http_trunk_client(trunk)->options.events->on_more(branch->call.owner);
}

static void count(struct http_trunk *trunk, size_t bytes)
{
	const uint64_t now_ns = loop_now_ns(trunk->wire.loop);

	trunk->heard = true;
	trunk->heard_ns = now_ns;
	if (now_ns - trunk->counting_since_ns > CLOCK_NS_PER_S) {
		trunk->counting_since_ns = now_ns;
		/* Half, for what was earned may be used a moment later. */
		trunk->idle_frames /= 2;
		trunk->earned_frames /= 2;
		trunk->strange_bytes = 0;
	}
	trunk->strange_bytes += (int64_t)bytes;
}

static void trunk_data(struct loop_stream *stream, struct slice bytes)
{
	struct http_trunk *trunk = of_stream(stream);

	if (trunk->state != HTTP_TRUNK_OPEN)
		return;
	count(trunk, bytes.length);
	const ssize_t taken =
		nghttp2_session_mem_recv(trunk->session, (const uint8_t *)bytes.data, bytes.length);
	http_trunk_tell_more(trunk);
	if (trunk->state != HTTP_TRUNK_OPEN)
		return;
	if (taken < 0 || trunk->strange_bytes > HTTP_STRANGE_BYTES_MAX)
		http_trunk_fail(trunk, HTTP_FAILED_INVALID);
	else
		http_wire_defer(&trunk->wire);
}

/* ---- what else happens to a connection ---- */

static void trunk_connected(struct loop_stream *stream, int error)
{
	struct http_trunk *trunk = of_stream(stream);

	if (error != 0) {
		http_trunk_fail(trunk, http_origin_failure(trunk->origin, &trunk->wire,
							   HTTP_FAILED_CONNECT));
		return;
	}
	trunk->state = HTTP_TRUNK_OPEN;
	trunk->wire.reading = true;
	trunk->wire.read_deadline_ns = 0;
	loop_stream_read(stream, true);
	http_wire_defer(&trunk->wire);
}

static void trunk_peer_ended(struct loop_stream *stream)
{
	trunk_ended(of_stream(stream));
}

static void trunk_failed(struct loop_stream *stream, int error)
{
	struct http_trunk *trunk = of_stream(stream);
	const bool fresh = trunk->state == HTTP_TRUNK_OPEN && trunk->heard_ns == 0;

	(void)error;
	if (fresh &&
	    http_origin_failure(trunk->origin, &trunk->wire, HTTP_FAILED_CLOSED) == HTTP_FAILED_TLS)
		http_trunk_fail(trunk, HTTP_FAILED_TLS);
	else
		trunk_ended(trunk);
}

static const struct loop_stream_events trunk_events = {
	.on_connected = trunk_connected,
	.on_data = trunk_data,
	.on_end = trunk_peer_ended,
	.on_sent = trunk_sent,
	.on_error = trunk_failed,
	.on_closed = trunk_closed,
};

static void trunk_due(struct loop_timer *timer)
{
	struct http_trunk *trunk =
		(struct http_trunk *)((uintptr_t)timer - offsetof(struct http_trunk, wire.timer));

	if (trunk->state == HTTP_TRUNK_CLOSED)
		return;
	if (http_wire_due(&trunk->wire, limits_of(trunk)->send_idle_timeout_ns) !=
	    HTTP_WIRE_NOT_DUE)
		http_trunk_fail(trunk, trunk->state == HTTP_TRUNK_CONNECTING
					       ? http_origin_failure(trunk->origin, &trunk->wire,
								     HTTP_FAILED_CONNECT)
					       : HTTP_FAILED_TIMEOUT);
}

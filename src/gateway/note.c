#include "gateway/note.h"

#include "gateway/proxied.h"

#define METHOD_MAX 32u

static_assert(GATEWAY_NAME_MAX + METHOD_MAX < ACCESS_TEXT_MAX / 2, "half is for the path");

static struct access_entry *take(struct worker *worker)
{
	struct access_entry *entry = access_take(worker->access);

	if (entry == NULL)
		worker_count(&worker->counts.access_lines_dropped, 1);
	return entry;
}

static uint16_t put(struct access_entry *entry, size_t at, struct slice bytes, size_t bytes_max)
{
	const size_t length = bytes.length < bytes_max ? bytes.length : bytes_max;

	memcpy(entry->text + at, bytes.data, length);
	return (uint16_t)length;
}

static void put_path(const struct call *call, struct access_entry *entry, size_t at, bool bare,
		     struct slice target)
{
	if (!access_with_query(call->worker->gateway->access))
		target = slice_part(target, 0, slice_find_byte(target, '?', 0));
	const size_t slash = bare ? 1 : 0;
	if (bare)
		entry->text[at] = '/';
	entry->path_bytes =
		(uint16_t)(slash + put(entry, at + slash, target, ACCESS_TEXT_MAX - at - slash));
	entry->path_cut = entry->path_bytes < slash + target.length;
}

static void put_texts(const struct call *call, struct access_entry *entry)
{
	const struct keep *keep = call->keep;
	const struct http_request *request = call->request;
	size_t at = 0;

	entry->app_bytes = entry->method_bytes = entry->path_bytes = 0;
	entry->path_cut = false;
	if (call->subscription != NULL)
		entry->app_bytes =
			put(entry, at, slice_of(call->subscription->app_name), GATEWAY_NAME_MAX);
	at += entry->app_bytes;
	if (keep == NULL && request == NULL)
		return;
	entry->method_bytes =
		put(entry, at, keep != NULL ? keep->method : request->method, METHOD_MAX);
	at += entry->method_bytes;
	if (keep != NULL)
		put_path(call, entry, at, false, keep->target);
	else
		put_path(call, entry, at, call->target_bare, call->target);
}

/* The call's own, or of one that was not presented to a service its caller's. */
static void put_trace(const struct call *call, struct access_entry *entry)
{
	const struct keep *keep = call->keep;
	const struct http_request *request = call->request;
	const struct http_header *parent = NULL;
	char trace[TRACE_BYTES];

	memcpy(entry->trace_id, call->trace + TRACE_ID_AT, sizeof(entry->trace_id));
	if (call->trace[0] != '\0')
		return;
	if (keep != NULL)
		parent = http_header_find(keep->headers, keep->header_count, HTTP_TRACEPARENT);
	else if (request != NULL)
		parent =
			http_header_find(request->headers, request->header_count, HTTP_TRACEPARENT);
	if (parent != NULL && trace_make(parent->value, call->id, trace))
		memcpy(entry->trace_id, trace + TRACE_ID_AT, sizeof(entry->trace_id));
}

/* Of a proxy that is trusted: whom it names. */
static struct slice client_of(const struct call *call, struct proxied *proxied)
{
	const struct call_connection *connection = http_exchange_connection_state(call->exchange);
	const struct http_header *headers = NULL;
	size_t count = 0;

	if (!connection->proxy)
		return forwarded_peer_text(&connection->peer);
	if (call->keep != NULL) {
		headers = call->keep->headers;
		count = call->keep->header_count;
	} else if (call->request != NULL) {
		headers = call->request->headers;
		count = call->request->header_count;
	}
	proxied_read(&call->worker->gateway->options.trust, &connection->peer, headers, count,
		     proxied);
	return proxied->client;
}

static void put_client(const struct call *call, struct access_entry *entry)
{
	struct proxied proxied;
	const struct slice client = client_of(call, &proxied);

	check_at_most(client.length, sizeof(entry->client));
	entry->client_bytes = (uint8_t)client.length;
	memcpy(entry->client, client.data, client.length);
}

/* What is known of any call; the rest is zero or none. */
static void put_call(const struct call *call, struct access_entry *entry)
{
	struct worker *worker = call->worker;

	entry->started_wall_ns = call->started_wall_ns;
	entry->id = call->id;
	put_trace(call, entry);
	put_client(call, entry);
	entry->protocol = http_exchange_protocol(call->exchange);
	entry->service = call->service == NULL ? NULL : call->service->name;
	entry->plan = call->plan == NULL ? NULL : call->plan->name;
	entry->certificate = call->certificate;
	entry->key = call->key;
	if (call->key.value == call->certificate.value) /* no key was sent */
		entry->key.value = 0;
	entry->request_bytes = call->request_bytes;
	entry->response_bytes = call->response_bytes;
	entry->duration_us = (loop_now_ns(worker->loop) - call->started_ns) / CLOCK_NS_PER_US;
	entry->service_us = 0;
	entry->charge_nano = 0;
	entry->instance = call->instance == NULL ? 0 : call->instance->id;
	entry->outcome = 0;
	put_texts(call, entry);
}

/* What went wrong always has a line. */
static bool is_skipped(const struct call *call, enum journal_outcome outcome)
{
	return outcome == JOURNAL_ANSWERED && call->status < 400 &&
	       !access_samples(call->worker->gateway->access, call->trace + TRACE_ID_AT);
}

void note_settled(const struct call *call, enum journal_outcome outcome, uint64_t service_us,
		  int64_t charge_nano)
{
	if (is_skipped(call, outcome))
		return;
	struct access_entry *entry = take(call->worker);

	if (entry == NULL)
		return;
	put_call(call, entry);
	entry->outcome = (uint8_t)outcome;
	entry->status = call->status;
	entry->problem = call->failed_by;
	entry->service_us = service_us;
	entry->charge_nano = charge_nano;
	access_give(call->worker->access);
}

void note_refused(const struct call *call, enum problem problem)
{
	struct access_entry *entry = take(call->worker);

	if (entry == NULL)
		return;
	put_call(call, entry);
	entry->problem = (uint8_t)problem;
	if (problem == PROBLEM_COUNT)
		entry->outcome = JOURNAL_ABORTED;
	entry->status = problem == PROBLEM_COUNT ? 0 : (uint16_t)problem_text(problem)->status;
	access_give(call->worker->access);
}

void note_invalid(struct worker *worker, unsigned status)
{
	struct access_entry *entry = take(worker);

	if (entry == NULL)
		return;
	*entry = (struct access_entry){
		.started_wall_ns = loop_wall_ns(worker->loop),
		.status = (uint16_t)status,
		.problem = PROBLEM_REQUEST_INVALID,
	};
	access_give(worker->access);
}

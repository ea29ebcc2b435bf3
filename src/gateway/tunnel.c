#include "gateway/tunnel.h"

#include "base/check.h"
#include "gateway/part.h"

static const struct http_header *upgrade_field(const struct http_header *headers, size_t count,
					       uint32_t *ret_count)
{
	const struct http_header *found = NULL;

	*ret_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (headers[i].known == HTTP_UPGRADE) {
			found = &headers[i];
			++*ret_count;
		}
	}
	return found;
}

struct slice tunnel_protocol(const struct http_header *headers, size_t header_count)
{
	uint32_t count;
	const struct http_header *field = upgrade_field(headers, header_count, &count);

	check_equal(count, 1);
	return field->value;
}

/* One name, with a version or without. */
static bool is_one_protocol(struct slice value)
{
	const size_t slash = slice_find_byte(value, '/', 0);

	return value.length <= HTTP_PROTOCOL_BYTES_MAX &&
	       http_is_token(slice_part(value, 0, slash)) &&
	       (slash == value.length || http_is_token(slice_part(value, slash + 1, value.length)));
}

static bool is_passed_on(struct slice value)
{
	static const char *const ours[] = {"h2c", "h2", "http", "tls"};
	const struct slice name = slice_part(value, 0, slice_find_byte(value, '/', 0));

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (slice_equal_ignore_case(name, slice_of(ours[i])))
			return false;
	}
	return is_one_protocol(value);
}

enum tunnel_wish tunnel_wish(const struct http_request *request)
{
	uint32_t count;
	const struct http_header *field;

	if (!request->upgrade)
		return TUNNEL_NONE;
	field = upgrade_field(request->headers, request->header_count, &count);
	if (count != 1 || !is_passed_on(field->value))
		return TUNNEL_NONE;
	return request->body_bytes == 0 && slice_equal(request->method, slice_of("GET"))
		       ? TUNNEL_WANTED
		       : TUNNEL_REFUSED;
}

void tunnel_begin(struct call *call, const struct http_response *response)
{
	struct worker *worker = call->worker;
	struct keep *keep = call->keep;
	const struct gateway_options *options = &worker->gateway->options;
	const struct slice wanted = tunnel_protocol(keep->headers, keep->header_count);
	uint32_t count;
	const struct http_header *field =
		upgrade_field(response->headers, response->header_count, &count);

	if (count != 1 || !slice_equal_ignore_case(field->value, wanted)) {
		call_fail(call, PROBLEM_SERVICE_INVALID, JOURNAL_FAILED);
		return;
	}
	balance_note(call, false);
	call->tunnel = true;
	call->status = 101;
	call->head = response;
	present_switch(call, wanted);
	call->head = NULL;
	keep->body_whole = false; /* what follows is none that could be sent again */
	worker_count(&worker->counts.tunnels, 1);
	const uint64_t end_ns = call->forwarded_ns + options->tunnel_lifetime_ns;
	if (call->deadline_ns > end_ns)
		call->deadline_ns = end_ns;
	tunnel_moved(call);
	if (part_take(call) != NULL)
		websocket_begin(&call->parts->place, wanted);
	loop_timer_set(worker->loop, &call->timer, call_due_ns(call));
	http_exchange_resume(call->exchange); /* it may have been paused while the call waited */
}

void tunnel_moved(struct call *call)
{
	call->moved_ns = loop_now_ns(call->worker->loop);
}

static uint64_t idle_ns(const struct call *call)
{
	return call->moved_ns + call->worker->gateway->options.tunnel_idle_ns;
}

uint64_t tunnel_due_ns(const struct call *call)
{
	return call->tunnel ? idle_ns(call) : UINT64_MAX;
}

bool tunnel_is_idle(const struct call *call)
{
	return call->tunnel && loop_now_ns(call->worker->loop) >= idle_ns(call);
}

#include "gateway/tunnel.h"

#include "base/check.h"
#include "gateway/part.h"

/* The value of the one field of that class; empty where there is none, or several. */
static struct slice only_value(const struct http_header *headers, size_t count,
			       enum http_name known)
{
	struct slice value = {0};
	uint32_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (headers[i].known == known) {
			value = headers[i].value;
			found++;
		}
	}
	return found == 1 ? value : (struct slice){0};
}

struct slice tunnel_protocol(const struct http_header *headers, size_t header_count)
{
	return only_value(headers, header_count, HTTP_UPGRADE);
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

static bool is_websocket(struct slice protocol)
{
	return slice_equal_ignore_case(protocol, slice_of("websocket"));
}

enum tunnel_wish tunnel_wish(const struct http_request *request)
{
	const struct http_header *headers = request->headers;
	const size_t count = request->header_count;

	if (!request->upgrade)
		return TUNNEL_NONE;
	const struct slice protocol = tunnel_protocol(headers, count);
	if (!is_passed_on(protocol))
		return TUNNEL_NONE;
	if (request->body_bytes != 0 || !slice_equal(request->method, slice_of("GET")))
		return TUNNEL_REFUSED;
	return is_websocket(protocol) && only_value(headers, count, HTTP_WEBSOCKET_KEY).length !=
						 HTTP_WEBSOCKET_KEY_BYTES
		       ? TUNNEL_REFUSED
		       : TUNNEL_WANTED;
}

/* Whether the service means what was asked. Of HTTP/2 its status says so. */
static bool is_agreed(const struct http_response *response, struct slice protocol,
		      struct slice accept)
{
	const struct http_header *headers = response->headers;
	const size_t count = response->header_count;

	return response->http_2 ||
	       (slice_equal_ignore_case(tunnel_protocol(headers, count), protocol) &&
		(accept.length == 0 ||
		 slice_equal(only_value(headers, count, HTTP_WEBSOCKET_ACCEPT), accept)));
}

void tunnel_begin(struct call *call, const struct http_response *response)
{
	struct worker *worker = call->worker;
	struct keep *keep = call->keep;
	const struct gateway_options *options = &worker->gateway->options;
	const struct slice wanted = tunnel_protocol(keep->headers, keep->header_count);
	char accept_text[HTTP_WEBSOCKET_ACCEPT_BYTES + 1];
	struct slice accept = {0};

	if (is_websocket(wanted)) {
		http_websocket_accept(
			only_value(keep->headers, keep->header_count, HTTP_WEBSOCKET_KEY),
			accept_text);
		accept = slice_make(accept_text, HTTP_WEBSOCKET_ACCEPT_BYTES);
	}
	if (!is_agreed(response, wanted, accept)) {
		call_fail(call, PROBLEM_SERVICE_INVALID, JOURNAL_FAILED);
		return;
	}
	balance_note(call, false);
	call->tunnel = true;
	call->status = 101;
	call->head = response;
	present_switch(call, wanted, accept);
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

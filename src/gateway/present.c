#include "gateway/call.h"

#include <stdio.h>

#include "base/check.h"
#include "base/scope.h"
#include "base/text.h"
#include "gateway/grpc.h"
#include "gateway/own_field.h"
#include "gateway/proxied.h"
#include "gateway/tunnel.h"

#define TIMING_MAX    80
#define EXTRA_HEADERS 16 /* at most so many of our own on a request or an answer */

struct answer_texts {
	char timing[TIMING_MAX], charge[64], left[ALLOWANCE_LEFT_MAX];
};

static struct http_header header_of(enum http_name known, const char *name, struct slice value)
{
	return (struct http_header){.name = slice_of(name), .value = value, .known = known};
}

static struct slice id_text(const struct call *call)
{
	return slice_make(call->id_text, CALL_ID_TEXT_MAX - 1);
}

/* ---- the request to the service ---- */

/* What the caller sent and the service must not see, or not see from the caller. */
static bool is_kept_back(const struct call *call, const struct http_header *header, bool is_signed)
{
	switch (header->known) {
	case HTTP_DATE: /* the next three: see put_identity */
	case HTTP_SIGNATURE:
	case HTTP_SIGNATURE_INPUT:
		return is_signed || header->hop_by_hop;
	case HTTP_AUTHORIZATION:
		return call->key_in_authorization;
	case HTTP_X_API_KEY:
	case HTTP_HOST:
	case HTTP_EXPECT:
	case HTTP_FORWARDED:
	case HTTP_X_FORWARDED:
	case HTTP_X_REAL_IP:
	case HTTP_STOA_UNITS:
	case HTTP_STOA_RESERVED:
	case HTTP_TRACEPARENT: /* see put_trace */
	case HTTP_TRACESTATE:
		return true;
	default:
		return header->hop_by_hop;
	}
}

static size_t put_trace(struct call *call, struct http_header *headers)
{
	const struct keep *keep = call->keep;
	struct slice parent = {0};
	uint32_t parents = 0, states = 0;
	size_t count = 0;

	for (size_t i = 0; i < keep->header_count; i++) {
		if (keep->headers[i].known == HTTP_TRACEPARENT) {
			parent = keep->headers[i].value;
			parents++;
		}
		states += keep->headers[i].known == HTTP_TRACESTATE;
	}
	const bool goes_on =
		trace_make(parents == 1 ? parent : (struct slice){0}, call->id, call->trace);
	headers[count++] = own_header(HTTP_TRACEPARENT, "traceparent",
				      slice_make(call->trace, sizeof(call->trace)));
	for (size_t i = 0; goes_on && states > 0 && i < keep->header_count; i++) {
		if (keep->headers[i].known == HTTP_TRACESTATE)
			headers[count++] = keep->headers[i];
	}
	return count;
}

/* In place of the caller's own: its signatures cover what it sent, not what the service gets, and
 * none of them can be taken for ours. */
static size_t put_identity(const struct call *call, const struct identity_signer *signer,
			   struct http_header *headers, char text[IDENTITY_TEXT_MAX])
{
	struct worker *worker = call->worker;
	const uint64_t wall_ns = loop_wall_ns(worker->loop);

	http_date_update(&worker->date, wall_ns);
	const struct identity_call told = {
		.method = call->upgrade && call->instance->protocol == HTTP_PROTOCOL_2
				  ? slice_of("CONNECT")
				  : call->keep->method,
		.target = call->keep->target,
		.date = slice_make(worker->date.text, HTTP_DATE_BYTES),
		.call = id_text(call),
		.app = slice_of(call->subscription->app_name),
		.account = slice_of(call->subscription->account_name),
		.plan = slice_of(call->plan->name),
		.wall_ns = wall_ns,
	};
	return identity_put(signer, &told, headers, text);
}

/* The way that the call came. */
static size_t put_way(const struct call *call, struct proxied *proxied, struct http_header *headers,
		      char text[PROXIED_TEXT_MAX])
{
	const struct call_connection *connection = http_exchange_connection_state(call->exchange);
	const struct gateway_trust *trust = &call->worker->gateway->options.trust;
	const struct keep *keep = call->keep;

	if (!connection->proxy)
		return forwarded_put(&connection->peer, keep->authority, connection->encrypted,
				     headers, text);
	proxied_read(trust, &connection->peer, keep->headers, keep->header_count, proxied);
	return proxied_put(trust, proxied, &connection->peer, keep->authority,
			   connection->encrypted, headers, text);
}

void present_request(struct call *call, struct http_origin *origin)
{
	const struct keep *keep = call->keep;
	const struct directory_subscription *subscription = call->subscription;
	struct http_header headers[HTTP_HEADERS_MAX + EXTRA_HEADERS];
	struct proxied proxied;
	const struct identity_signer *signer =
		atomic_load_explicit(&call->service->signer, memory_order_acquire);
	char way[PROXIED_TEXT_MAX], identity[IDENTITY_TEXT_MAX];
	size_t count = 0;

	const char *authority = call->instance->authority;
	headers[count++] = authority[0] != '\0' ? own_header(HTTP_HOST, "Host", slice_of(authority))
						: header_of(HTTP_HOST, "Host", keep->authority);
	for (size_t i = 0; i < keep->header_count; i++) {
		if (is_kept_back(call, &keep->headers[i], signer != NULL))
			continue;
		headers[count++] = keep->headers[i];
	}
	headers[count++] = own_header(HTTP_STOA_RESERVED, "Stoa-Call", id_text(call));
	headers[count++] =
		own_header(HTTP_STOA_RESERVED, "Stoa-App", slice_of(subscription->app_name));
	headers[count++] = own_header(HTTP_STOA_RESERVED, "Stoa-Account",
				      slice_of(subscription->account_name));
	headers[count++] = own_header(HTTP_STOA_RESERVED, "Stoa-Plan", slice_of(call->plan->name));
	count += put_trace(call, headers + count);
	count += put_way(call, &proxied, headers + count, way);
	if (signer != NULL)
		count += put_identity(call, signer, headers + count, identity);

	const struct http_call_request request = {
		.method = keep->method,
		.target = keep->target,
		.headers = headers,
		.header_count = count,
		.body_bytes = keep->body_bytes,
		.head_only = keep->head_only,
		.accepts_trailers = call->accepts_trailers,
		.upgrade = call->upgrade ? tunnel_protocol(keep->headers, keep->header_count)
					 : (struct slice){0},
		.answer_timeout_ns = call->plan->admit.limits.timeout_ns,
	};
	call->upstream = http_call_start(origin, &request, call);
}

/* ---- the answer to the caller ---- */

size_t present_charge(const struct call *call, int64_t nano, char *text, size_t text_bytes_max)
{
	const char *currency = call->worker->gateway->options.currency;
	char number[AMOUNT_TEXT_MAX];
	const size_t digits = amount_format(amount_nano(nano), number);
	const size_t letters = strlen(currency);

	check(digits + 1 + letters < text_bytes_max);
	memcpy(text, number, digits);
	text[digits] = ' ';
	memcpy(text + digits + 1, currency, letters);
	return digits + 1 + letters;
}

/* Microseconds as milliseconds with three places: "12.345". */
static char *put_ms(char *at, uint64_t us)
{
	const uint32_t rest = (uint32_t)(us % 1000);

	at = text_decimal(us / 1000, at);
	*at++ = '.';
	*at++ = (char)('0' + rest / 100);
	*at++ = (char)('0' + rest / 10 % 10);
	*at++ = (char)('0' + rest % 10);
	return at;
}

/* What of the time until now was Stoa's and what the service's. */
static struct slice put_timing(const struct call *call, char text[TIMING_MAX])
{
	static const char own[] = "stoa;dur=", theirs[] = ", service;dur=";
	const uint64_t now_ns = loop_now_ns(call->worker->loop);
	char *at = text;

	memcpy(at, own, sizeof(own) - 1);
	at = put_ms(at + sizeof(own) - 1,
		    (call->forwarded_ns - call->started_ns) / CLOCK_NS_PER_US);
	memcpy(at, theirs, sizeof(theirs) - 1);
	at = put_ms(at + sizeof(theirs) - 1, (now_ns - call->forwarded_ns) / CLOCK_NS_PER_US);
	return slice_make(text, (size_t)(at - text));
}

/* RateLimit and RateLimit-Policy, as of the call's admission. */
static size_t put_allowance(const struct call *call, struct http_header *headers,
			    char left[ALLOWANCE_LEFT_MAX])
{
	const struct directory_plan *plan = call->plan;
	struct worker *worker = call->worker;
	const uint64_t wall_ns = call->started_wall_ns;

	if (plan == NULL || plan->allowance_bytes == 0)
		return 0;
	if (wall_ns >= worker->month_ends_ns)
		worker->month_ends_ns = clock_month_start_ns(clock_month_of(wall_ns) + 1);
	const size_t length = allowance_left(&plan->admit.limits, &call->left,
					     worker->month_ends_ns - wall_ns, left);
	headers[0] = own_header(HTTP_OTHER, "RateLimit-Policy",
				slice_make(plan->allowance, plan->allowance_bytes));
	headers[1] = own_header(HTTP_OTHER, "RateLimit", slice_make(left, length));
	return 2;
}

/* The service's fields that go on, then what every answer has of Stoa. */
static size_t put_answer(struct call *call, struct http_header *headers, struct answer_texts *texts)
{
	const struct http_response *response = call->head;
	size_t count = 0;

	for (size_t i = 0; i < response->header_count; i++) {
		const struct http_header *header = &response->headers[i];
		if (!header->hop_by_hop && header->known != HTTP_STOA_RESERVED &&
		    !(response->http_2 && header->known == HTTP_WEBSOCKET_ACCEPT))
			headers[count++] = *header;
	}
	headers[count++] = own_header(HTTP_STOA_RESERVED, "Stoa-Call", id_text(call));
	headers[count++] = own_header(HTTP_OTHER, "Server-Timing", put_timing(call, texts->timing));
	return count + put_allowance(call, headers + count, texts->left);
}

void present_answer(struct call *call, int64_t body_bytes, const int64_t *charge_nano)
{
	struct http_header headers[HTTP_HEADERS_MAX + EXTRA_HEADERS];
	struct answer_texts texts;
	size_t count = put_answer(call, headers, &texts);

	if (charge_nano != NULL) {
		const size_t length =
			present_charge(call, *charge_nano, texts.charge, sizeof(texts.charge));
		headers[count++] = own_header(HTTP_STOA_RESERVED, "Stoa-Charge",
					      slice_make(texts.charge, length));
	}
	http_exchange_respond(call->exchange, call->head->status, headers, count, body_bytes);
	call->responded = true;
}

void present_switch(struct call *call, struct slice protocol, struct slice accept)
{
	struct http_header headers[HTTP_HEADERS_MAX + EXTRA_HEADERS];
	struct answer_texts texts;
	size_t count = put_answer(call, headers, &texts);

	if (call->head->http_2 && accept.length > 0)
		headers[count++] =
			own_header(HTTP_WEBSOCKET_ACCEPT, "Sec-WebSocket-Accept", accept);
	http_exchange_switch(call->exchange, protocol, headers, count);
	call->responded = true;
}

/* ---- Stoa's own answers ---- */

struct grpc_texts {
	char code[24], message[GRPC_MESSAGE_MAX], type[sizeof(PROBLEM_TYPE_PREFIX) + 64];
};

/* A problem as the fields of gRPC's outcome; returns how many. */
static size_t put_outcome(enum problem problem, struct http_header *headers,
			  struct grpc_texts *texts)
{
	const struct problem_text *row = problem_text(problem);
	const char *code_end = text_decimal(grpc_code_of_status(row->status), texts->code);
	const int type_bytes =
		snprintf(texts->type, sizeof(texts->type), PROBLEM_TYPE_PREFIX "%s", row->type);

	headers[0] = own_header(HTTP_OTHER, "grpc-status",
				slice_make(texts->code, (size_t)(code_end - texts->code)));
	headers[1] = own_header(HTTP_OTHER, "grpc-message", grpc_message(problem, texts->message));
	headers[2] = own_header(HTTP_STOA_RESERVED, "Stoa-Problem",
				slice_make(texts->type, (size_t)type_bytes));
	return 3;
}

void present_cut(struct call *call, enum problem problem, struct slice farewell)
{
	struct http_header trailers[3];
	struct grpc_texts outcome;

	if (farewell.length > 0) {
		http_exchange_send(call->exchange, farewell);
		http_exchange_finish(call->exchange, NULL, 0);
		return;
	}
	if (!call->grpc_answer || !call->trailers_wanted) {
		http_exchange_abort(call->exchange);
		return;
	}
	http_exchange_finish(call->exchange, trailers, put_outcome(problem, trailers, &outcome));
}

/* A lease refused, and so it is known what it has. */
static bool is_about_money(enum problem problem)
{
	return problem == PROBLEM_BALANCE || problem == PROBLEM_BUDGET ||
	       problem == PROBLEM_BUDGET_OF_APP || problem == PROBLEM_BUDGET_OF_ACCOUNT;
}

void present_problem(struct call *call, enum problem problem, uint64_t retry_after_ns)
{
	const struct problem_text *text = problem_text(problem);
	struct http_header headers[EXTRA_HEADERS];
	size_t count = 0;
	char body[PROBLEM_BODY_MAX], seconds[24], left[ALLOWANCE_LEFT_MAX];
	char scope[SCOPE_TEXT_MAX] = "", challenge[SCOPE_TEXT_MAX + 64];
	char money[64];

	headers[count++] =
		header_of(HTTP_CONTENT_TYPE, "Content-Type",
			  slice_of(call->grpc ? "application/grpc" : "application/problem+json"));
	if (call->id_text[0] != '\0')
		headers[count++] = own_header(HTTP_STOA_RESERVED, "Stoa-Call", id_text(call));
	if (text->status == 401)
		headers[count++] = header_of(
			HTTP_OTHER, "WWW-Authenticate",
			slice_of(problem == PROBLEM_KEY_INVALID
					 ? "Bearer realm=\"stoa\", error=\"invalid_token\""
					 : "Bearer realm=\"stoa\""));
	count += put_allowance(call, headers + count, left);
	if (problem == PROBLEM_SCOPE) {
		scope_needed(slice_of(call->service->name), call->request->method, call->target,
			     scope);
		snprintf(challenge, sizeof(challenge),
			 "Bearer realm=\"stoa\", error=\"insufficient_scope\", scope=\"%s\"",
			 scope); /* RFC 6750, 3.1 */
		headers[count++] = header_of(HTTP_OTHER, "WWW-Authenticate", slice_of(challenge));
	}
	if (problem == PROBLEM_RATE) {
		const uint64_t wait_s = (retry_after_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
		snprintf(seconds, sizeof(seconds), "%llu", (unsigned long long)wait_s);
		headers[count++] = header_of(HTTP_OTHER, "Retry-After", slice_of(seconds));
	} else if (problem == PROBLEM_CONCURRENCY || text->status == 503) {
		headers[count++] = header_of(HTTP_OTHER, "Retry-After", slice_of("1"));
	}
	if (call->grpc) {
		struct grpc_texts outcome;
		count += put_outcome(problem, headers + count, &outcome);
		http_exchange_respond(call->exchange, 200, headers, count, 0);
		http_exchange_finish(call->exchange, NULL, 0);
		call->responded = true;
		return;
	}
	struct problem_facts facts = {.call = slice_of(call->id_text), .scope = slice_of(scope)};
	if (is_about_money(problem)) {
		const int64_t nano = call->hold.left_nano > 0 ? call->hold.left_nano : 0;
		facts.left = slice_make(money, present_charge(call, nano, money, sizeof(money)));
	}
	const size_t length = problem_compose(problem, &facts, body, sizeof(body));
	http_exchange_respond(call->exchange, text->status, headers, count, (int64_t)length);
	http_exchange_send(call->exchange, slice_make(body, length));
	http_exchange_finish(call->exchange, NULL, 0);
	call->responded = true;
}

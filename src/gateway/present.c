#include "gateway/call.h"

#include <stdio.h>

#include "base/check.h"
#include "base/text.h"

#define EXTRA_HEADERS 8 /* at most so many of our own on a request or an answer */
#define TRACE_BYTES   55

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
static bool is_kept_back(const struct call *call, const struct http_header *header)
{
	switch (header->known) {
	case HTTP_AUTHORIZATION:
		return call->key_in_authorization;
	case HTTP_X_API_KEY:
	case HTTP_HOST:
	case HTTP_EXPECT:
	case HTTP_FORWARDED:
	case HTTP_X_FORWARDED_FOR:
	case HTTP_X_FORWARDED_HOST:
	case HTTP_X_FORWARDED_PROTO:
	case HTTP_STOA_UNITS:
	case HTTP_STOA_RESERVED:
		return true;
	default:
		return header->hop_by_hop;
	}
}

/* W3C Trace Context: the call id is the trace's id where the caller began none. */
static void begin_trace(const struct call *call, char text[TRACE_BYTES])
{
	memcpy(text, "00-", 3);
	text_hex(call->id.bytes, 16, text + 3);
	text[35] = '-';
	memcpy(text + 36, text + 3 + 16, 16);
	memcpy(text + 52, "-01", 3);
}

void present_request(struct call *call, struct http_origin *origin)
{
	const struct keep *keep = call->keep;
	const struct directory_subscription *subscription = call->subscription;
	struct http_header headers[HTTP_HEADERS_MAX + EXTRA_HEADERS];
	size_t count = 0;
	bool has_trace = false;
	char trace[TRACE_BYTES];

	const char *authority = call->instance->authority;
	headers[count++] = header_of(HTTP_HOST, "Host",
				     authority[0] != '\0' ? slice_of(authority) : keep->authority);
	for (size_t i = 0; i < keep->header_count; i++) {
		if (is_kept_back(call, &keep->headers[i]))
			continue;
		has_trace |= keep->headers[i].known == HTTP_TRACEPARENT;
		headers[count++] = keep->headers[i];
	}
	headers[count++] = header_of(HTTP_STOA_RESERVED, "Stoa-Call", id_text(call));
	headers[count++] =
		header_of(HTTP_STOA_RESERVED, "Stoa-App", slice_of(subscription->app_name));
	headers[count++] =
		header_of(HTTP_STOA_RESERVED, "Stoa-Account", slice_of(subscription->account_name));
	headers[count++] = header_of(HTTP_STOA_RESERVED, "Stoa-Plan", slice_of(call->plan->name));
	if (!has_trace) {
		begin_trace(call, trace);
		headers[count++] = header_of(HTTP_TRACEPARENT, "traceparent",
					     slice_make(trace, sizeof(trace)));
	}

	const struct http_call_request request = {
		.method = keep->method,
		.target = keep->target,
		.headers = headers,
		.header_count = count,
		.body_bytes = keep->body_bytes,
		.head_only = keep->head_only,
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
	uint64_t ms = us / 1000;
	uint32_t rest = (uint32_t)(us % 1000);
	char digits[20];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + ms % 10);
		ms /= 10;
	} while (ms > 0);
	while (count > 0)
		*at++ = digits[--count];
	*at++ = '.';
	*at++ = (char)('0' + rest / 100);
	*at++ = (char)('0' + rest / 10 % 10);
	*at++ = (char)('0' + rest % 10);
	return at;
}

/* What of the time until now was Stoa's and what the service's. */
static struct slice put_timing(const struct call *call, char text[80])
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

void present_answer(struct call *call, int64_t body_bytes, const int64_t *charge_nano)
{
	const struct http_response *response = call->head;
	struct http_header headers[HTTP_HEADERS_MAX + EXTRA_HEADERS];
	size_t count = 0;
	char timing[80], charge[64];

	for (size_t i = 0; i < response->header_count; i++) {
		const struct http_header *header = &response->headers[i];
		if (!header->hop_by_hop && header->known != HTTP_STOA_RESERVED)
			headers[count++] = *header;
	}
	headers[count++] = header_of(HTTP_STOA_RESERVED, "Stoa-Call", id_text(call));
	if (charge_nano != NULL) {
		const size_t length = present_charge(call, *charge_nano, charge, sizeof(charge));
		headers[count++] =
			header_of(HTTP_STOA_RESERVED, "Stoa-Charge", slice_make(charge, length));
	}
	headers[count++] = header_of(HTTP_OTHER, "Server-Timing", put_timing(call, timing));
	http_exchange_respond(call->exchange, response->status, headers, count, body_bytes);
	call->responded = true;
}

void present_problem(struct call *call, enum problem problem, uint64_t retry_after_ns)
{
	const struct problem_text *text = problem_text(problem);
	struct http_header headers[EXTRA_HEADERS];
	size_t count = 0;
	char body[PROBLEM_BODY_MAX], seconds[24], policy[64], left[64];

	headers[count++] =
		header_of(HTTP_CONTENT_TYPE, "Content-Type", slice_of("application/problem+json"));
	if (call->id_text[0] != '\0')
		headers[count++] = header_of(HTTP_STOA_RESERVED, "Stoa-Call", id_text(call));
	if (text->status == 401)
		headers[count++] = header_of(
			HTTP_OTHER, "WWW-Authenticate",
			slice_of(problem == PROBLEM_KEY_INVALID
					 ? "Bearer realm=\"stoa\", error=\"invalid_token\""
					 : "Bearer realm=\"stoa\""));
	if (problem == PROBLEM_RATE) {
		/* RateLimit header fields for HTTP (IETF draft): a quota over a window, and
		 * what is left of it. */
		const struct gateway_limits *limits = &call->plan->admit.limits;
		const uint64_t window_ns = limits->rate_interval_ns * limits->burst;
		const uint64_t wait_s = (retry_after_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
		snprintf(seconds, sizeof(seconds), "%llu", (unsigned long long)wait_s);
		snprintf(policy, sizeof(policy), "\"rate\";q=%u;w=%llu", limits->burst,
			 (unsigned long long)((window_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S));
		snprintf(left, sizeof(left), "\"rate\";r=0;t=%llu", (unsigned long long)wait_s);
		headers[count++] = header_of(HTTP_OTHER, "Retry-After", slice_of(seconds));
		headers[count++] = header_of(HTTP_OTHER, "RateLimit-Policy", slice_of(policy));
		headers[count++] = header_of(HTTP_OTHER, "RateLimit", slice_of(left));
	} else if (problem == PROBLEM_CONCURRENCY || text->status == 503) {
		headers[count++] = header_of(HTTP_OTHER, "Retry-After", slice_of("1"));
	}
	const size_t length = problem_compose(problem, slice_of(call->id_text), body, sizeof(body));
	http_exchange_respond(call->exchange, text->status, headers, count, (int64_t)length);
	http_exchange_send(call->exchange, slice_make(body, length));
	http_exchange_finish(call->exchange, NULL, 0);
	call->responded = true;
}

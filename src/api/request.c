/* A request's life: admitted by token and route, its body gathered, handed to its handler. */
#include "api/api_internal.h"

#include <sodium.h>
#include <string.h>

#include "api/event.h"
#include "base/check.h"

static struct api_request *request_of(struct http_exchange *exchange)
{
	return http_exchange_state(exchange);
}

static struct slice header_value(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (slice_equal_ignore_case(request->headers[i].name, slice_of(name)))
			return request->headers[i].value;
	}
	return (struct slice){0};
}

/* A store that cannot be read knows no token; the request may be sent again. */
static bool is_provider(struct api_request *request, const struct api_key_digest *digest)
{
	struct account_token token;
	struct fault fault;

	if (account_token_find(request->api->options.store, digest, request->now_ns, &token,
			       &fault) < 0)
		return false;
	request->provider = token.account;
	return true;
}

static bool has_token(struct api_request *request, const struct http_request *head, unsigned flags)
{
	const struct api *api = request->api;
	const struct http_header *header =
		http_header_find(head->headers, head->header_count, HTTP_AUTHORIZATION);
	const struct slice scheme = slice_of("Bearer ");

	if (header == NULL || header->value.length <= scheme.length ||
	    !slice_equal_ignore_case(slice_part(header->value, 0, scheme.length), scheme))
		return false;
	const struct api_key_digest given = api_key_digest(
		slice_trim(slice_part(header->value, scheme.length, header->value.length)));
	if (api_key_digest_equal(&given, &api->token))
		return true;
	if ((flags & API_METRICS) != 0)
		return api_key_digest_equal(&given, &api->metrics_token);
	return (flags & API_EVENTS) != 0 && is_provider(request, &given);
}

/* "application/json", with parameters or without. */
static bool is_json(const struct http_request *request)
{
	const struct http_header *header =
		http_header_find(request->headers, request->header_count, HTTP_CONTENT_TYPE);
	struct slice rest;
	struct slice type;

	if (header == NULL)
		return false;
	rest = header->value;
	return slice_cut(&rest, ';', &type) &&
	       slice_equal_ignore_case(slice_trim(type), slice_of("application/json"));
}

/* Whether the request goes on; a problem is answered otherwise. */
static bool admit(struct api_request *request, const struct http_request *head)
{
	char allowed[API_ALLOWED_MAX];
	char shown[TEXT_SHOWN_MAX];

	request->route = api_route_find(head->method, head->path, &request->arena,
					request->segments, allowed);
	const unsigned flags = request->route == NULL ? 0 : request->route->flags;
	if ((flags & API_OPEN) == 0 && !has_token(request, head, flags))
		api_answer_problem(request, API_UNAUTHORIZED, NULL,
				   "Send `Authorization: Bearer TOKEN` with the token in the "
				   "cloud's file admin.token%s",
				   (flags & API_EVENTS) != 0
					   ? ", or with a provider's that is neither revoked nor "
					     "expired; `stoa token create ACCOUNT` makes one"
					   : "");
	else if (request->route == NULL && allowed[0] == '\0')
		api_answer_problem(request, API_NO_ROUTE, NULL,
				   "There is no path \"%s\"; docs/api.md lists what there is",
				   text_show(head->path, shown));
	else if (request->route == NULL)
		api_answer_problem(request, API_METHOD, NULL, API_USE_METHODS "%s", allowed);
	else if (head->body_bytes != 0 && !api_route_takes_body(request->route))
		api_answer_problem(request, API_MALFORMED, NULL, "%s %s takes no body",
				   request->route->method, request->route->path);
	else if ((request->route->flags & API_EVENTS) != 0)
		return api_event_admit(request, head);
	else if (head->body_bytes != 0 && !is_json(head))
		api_answer_problem(request, API_MEDIA_TYPE, NULL,
				   "Send the body as JSON, with `Content-Type: application/json`");
	return !request->answered;
}

/* Which of the two would hold is nothing to guess. A problem is answered then. */
static bool is_given_twice(struct api_request *request, const struct http_request *head,
			   const char *name)
{
	size_t count = 0;

	if (api_route_find_argument(request->route, API_HEADER, slice_of(name)) == NULL)
		return false;
	for (size_t i = 0; i < head->header_count; i++)
		count += slice_equal_ignore_case(head->headers[i].name, slice_of(name));
	if (count > 1)
		api_answer_problem(request, API_ARGUMENT, name,
				   "%s: it is given %zu times; send it once", name, count);
	return count > 1;
}

static void on_request(struct http_exchange *exchange, const struct http_request *head)
{
	struct api_request *request = request_of(exchange);

	request->api = http_server_owner(http_exchange_server(exchange));
	request->exchange = exchange;
	request->status = 200;
	request->now_ns = clock_wall_ns(request->api->options.clock);
	arena_init(&request->arena, API_ARENA_BYTES);
	text_init(&request->body, API_BODY_MAX);
	request->body.is_secret = true; /* as the key of a manifest's tls is */
	text_init(&request->output, API_ANSWER_MAX);
	if (!admit(request, head))
		return;
	if (is_given_twice(request, head, "Idempotency-Key"))
		return;
	request->query = arena_copy(&request->arena, head->query);
	request->idempotency_key =
		arena_copy(&request->arena, header_value(head, "idempotency-key"));
	http_exchange_resume(exchange);
}

static void on_body(struct http_exchange *exchange, struct slice bytes)
{
	struct api_request *request = request_of(exchange);

	if (!request->answered)
		text_append(&request->body, bytes);
}

static void handle(struct api_request *request)
{
	struct fault fault;

	if (!api_arguments_read(request))
		return;
	if (request->route->handler(request, &fault) < 0)
		api_answer_fault(request, &fault);
	else if (request->answered)
		return; /* with a problem */
	else if ((request->route->flags & API_METRICS) != 0)
		api_answer_text(request);
	else if (request->stream.next != NULL)
		api_stream_begin(request);
	else
		api_answer_json(request);
}

static void on_request_end(struct http_exchange *exchange, const struct http_header *trailers,
			   size_t trailer_count)
{
	struct api_request *request = request_of(exchange);

	(void)trailers;
	(void)trailer_count;
	if (!request->answered)
		handle(request);
}

static void on_writable(struct http_exchange *exchange)
{
	api_answer_pump(request_of(exchange));
}

static void on_abort(struct http_exchange *exchange, enum http_abort reason)
{
	(void)reason;
	request_of(exchange)->answered = true;
	api_stream_close(request_of(exchange));
}

/* Of something that nobody reads any more. */
static void wipe_texts(json_t *json)
{
	const char *name;
	json_t *one;
	size_t i;

	if (json_is_string(json))
		sodium_memzero((char *)(uintptr_t)json_string_value(json),
			       json_string_length(json));
	json_object_foreach(json, name, one) wipe_texts(one);
	json_array_foreach(json, i, one) wipe_texts(one);
}

static void on_over(struct http_exchange *exchange)
{
	struct api_request *request = request_of(exchange);

	api_stream_close(request);
	wipe_texts(request->json);
	if (request->output.is_secret)
		wipe_texts(request->answer);
	json_decref(request->json);
	json_decref(request->event);
	json_decref(request->answer);
	json_decref(request->complaints);
	json_decref(request->errors);
	json_decref(request->kept);
	json_decref(request->change.facts);
	text_fini(&request->body);
	text_fini(&request->output);
	arena_fini(&request->arena);
}

const struct http_server_events api_server_events = {
	.on_request = on_request,
	.on_body = on_body,
	.on_request_end = on_request_end,
	.on_writable = on_writable,
	.on_abort = on_abort,
	.on_over = on_over,
	.refuse = api_compose_refusal,
};

/* Answers: JSON, problems (RFC 9457), and how values stand in them. */
#include "api/api_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"

#define SEND_BYTES (64u << 10) /* given to the exchange at once */
#define DETAIL_MAX FAULT_TEXT_MAX

static const struct api_problem_text problems[] = {
#define X(name, status, type, title) {status, API_PROBLEM_PREFIX type, title},
	API_PROBLEMS(X)
#undef X
};

const struct api_problem_text *api_problem_text(enum api_problem problem)
{
	check(problem < API_PROBLEM_COUNT);
	return &problems[problem];
}

/* ---- sending ---- */

void api_answer_pump(struct api_request *request)
{
	const struct slice output = text_slice(&request->output);

	if (request->stream.next != NULL) {
		api_stream_pump(request);
		return;
	}
	while (request->sent < output.length && http_exchange_writable(request->exchange)) {
		const struct slice part =
			slice_part(output, request->sent, request->sent + SEND_BYTES);
		http_exchange_send(request->exchange, part);
		request->sent += part.length;
		if (request->sent == output.length)
			http_exchange_finish(request->exchange, NULL, 0);
	}
}

static int append_json(const char *bytes, size_t length, void *text)
{
	text_append(text, slice_make(bytes, length));
	return 0;
}

/* Sends request->output with request->status and at most one field more. */
static void send_output(struct api_request *request, const char *type,
			const struct http_header *more)
{
	struct http_header headers[4] = {
		{.name = slice_of("Content-Type"),
		 .value = slice_of(type),
		 .known = HTTP_CONTENT_TYPE},
		{.name = slice_of("Cache-Control"), .value = slice_of("no-store")},
	};
	size_t count = 2;

	check(!request->answered && !request->output.failed);
	if (more != NULL)
		headers[count++] = *more;
	request->answered = true;
	http_exchange_respond(request->exchange, request->status, headers, count,
			      (int64_t)request->output.length);
	api_answer_pump(request);
}

static void send_json(struct api_request *request, const json_t *json, const char *type,
		      const struct http_header *more)
{
	check(json != NULL);
	json_dump_callback(json, append_json, &request->output, JSON_COMPACT);
	text_append_text(&request->output, "\n");
	send_output(request, type, more);
}

void api_answer_text(struct api_request *request)
{
	send_output(request, api_route_media_type(request->route), NULL);
}

void api_answer_json(struct api_request *request)
{
	static const struct http_header again = {
		.name = {"Idempotency-Replayed", 20},
		.value = {"true", 4},
	};

	send_json(request, request->answer, "application/json",
		  request->given_again ? &again : NULL);
}

/* ---- problems ---- */

static const struct api_argument *find_argument(const struct api_request *request, const char *name)
{
	for (size_t i = 0; request->route != NULL && i < request->route->argument_count; i++) {
		if (strcmp(request->route->arguments[i].name, name) == 0)
			return &request->route->arguments[i];
	}
	return NULL;
}

/* A member of the body by its JSON pointer, anything else by its name. What is no argument of
 * the route is a pointer already. */
static void set_place(const struct api_request *request, json_t *json, const char *at)
{
	const struct api_argument *argument = find_argument(request, at);

	if (argument == NULL)
		json_object_set_new(json, at[0] == '/' ? "pointer" : "parameter", json_string(at));
	else if (argument->place == API_BODY)
		json_object_set_new(json, "pointer", json_sprintf("/%s", at));
	else
		json_object_set_new(json, "parameter", json_string(at));
}

json_t *api_error_json(const struct api_request *request, const char *at, const char *near,
		       const char *detail)
{
	json_t *json = json_pack("{s:o}", "detail", api_json_shown(slice_of(detail)));

	if (at != NULL)
		set_place(request, json, at);
	if (near != NULL && near[0] != '\0')
		json_object_set_new(json, "suggestion", api_json_shown(slice_of(near)));
	return json;
}

json_t *api_problem_json(enum api_problem problem, json_t *error)
{
	const struct api_problem_text *text = api_problem_text(problem);
	json_t *json = json_pack("{s:s, s:s, s:i}", "type", text->type, "title", text->title,
				 "status", (int)text->status);

	json_object_update(json, error);
	json_decref(error);
	return json;
}

void api_answer_error(struct api_request *request, enum api_problem problem, json_t *error)
{
	static const struct http_header challenge = {
		.name = {"WWW-Authenticate", 16},
		.value = {"Bearer realm=\"stoa admin\"", 25},
	};
	const struct api_problem_text *text = api_problem_text(problem);
	struct http_header allow = {.name = slice_of("Allow")};
	const struct http_header *more = NULL;
	json_t *json = api_problem_json(problem, error);

	if (json_array_size(request->errors) > 1)
		json_object_set(json, "errors", request->errors);
	if (request->complaints != NULL)
		json_object_set(json, "complaints", request->complaints);
	if (problem == API_UNAUTHORIZED)
		more = &challenge;
	if (problem == API_METHOD) {
		allow.value = slice_of(json_string_value(json_object_get(json, "detail")) +
				       strlen(API_USE_METHODS));
		more = &allow;
	}
	request->status = text->status;
	send_json(request, json, "application/problem+json", more);
	json_decref(json);
}

void api_answer_problem(struct api_request *request, enum api_problem problem, const char *at,
			const char *detail, ...)
{
	char text[DETAIL_MAX];
	va_list arguments;

	va_start(arguments, detail);
	vsnprintf(text, sizeof(text), detail, arguments);
	va_end(arguments);
	api_answer_error(request, problem, api_error_json(request, at, NULL, text));
}

void api_answer_errors(struct api_request *request)
{
	api_answer_error(request, API_ARGUMENT, json_incref(json_array_get(request->errors, 0)));
}

static enum api_problem problem_of_fault(const struct api_request *request, int code)
{
	switch (code) {
	case FAULT_INPUT:
		return request->complaints != NULL ? API_MANIFEST : API_ARGUMENT;
	case FAULT_NOT_FOUND:
		return API_NOT_FOUND;
	case FAULT_CONFLICT:
		return request->key_reused ? API_KEY_REUSED : API_CONFLICT;
	case FAULT_REFUSED:
		return API_REFUSED;
	case FAULT_LIMIT:
		return API_LIMIT;
	case FAULT_BUSY:
		return API_BUSY;
	case FAULT_STORE:
		return API_STORE;
	default:
		return API_INTERNAL;
	}
}

void api_answer_fault(struct api_request *request, const struct fault *fault)
{
	const enum api_problem problem = problem_of_fault(request, fault->code);

	if (problem == API_INTERNAL || problem == API_STORE)
		log_event(LOG_ERROR, "api.failed", log_text("method", request->route->method),
			  log_text("route", request->route->path), log_text("fault", fault->text));
	api_answer_error(request, problem,
			 api_error_json(request, request->at, fault->near, fault->text));
}

size_t api_compose_refusal(struct http_server *server, const struct http_refusal *refusal,
			   char *body, size_t body_bytes_max)
{
	/* The parser's own texts hold nothing that JSON escapes. */
	const int length =
		snprintf(body, body_bytes_max,
			 "{\"type\":\"%s\",\"title\":\"%s\",\"status\":%u,\"detail\":\"%s\"}\n",
			 api_problem_text(API_REQUEST)->type, refusal->title, refusal->status,
			 refusal->detail);

	(void)server;
	check(length > 0 && (size_t)length < body_bytes_max);
	return (size_t)length;
}

/* ---- values ---- */

json_t *api_list(json_t *items, json_t *next)
{
	return json_pack("{s:o, s:o}", "items", items, "next", next);
}

json_t *api_next(const char *prefix, uint64_t last, size_t count, size_t limit)
{
	return count < limit || count == 0 ? json_null() : api_json_id(prefix, last);
}

json_t *api_json_id(const char *prefix, uint64_t value)
{
	char text[ID_TEXT_MAX];

	id_format(prefix, value, text);
	return json_string(text);
}

json_t *api_json_amount(int64_t nano)
{
	char text[AMOUNT_TEXT_MAX];

	amount_format(amount_nano(nano), text);
	return json_string(text);
}

json_t *api_json_wide_amount(__int128 nano)
{
	const __int128 whole = nano / AMOUNT_NANO_PER_UNIT;
	const int64_t rest = (int64_t)(nano % AMOUNT_NANO_PER_UNIT);
	char text[AMOUNT_TEXT_MAX];

	/* Sums of int64 amounts: the whole part fits int64, the places are those of the rest. */
	amount_format(amount_nano(rest < 0 ? -rest : rest), text);
	return json_sprintf("%s%lld%s", nano < 0 ? "-" : "",
			    (long long)(whole < 0 ? -whole : whole), text + 1);
}

json_t *api_json_time(uint64_t ns)
{
	char text[CLOCK_TEXT_MAX];

	if (ns == 0)
		return json_null();
	clock_format_wall(ns, text);
	return json_string(text);
}

json_t *api_json_month(uint32_t month)
{
	char text[CLOCK_MONTH_TEXT_MAX];

	clock_month_format(month, text);
	return json_string(text);
}

json_t *api_json_shown(struct slice bytes)
{
	struct text shown;
	size_t length;

	text_init(&shown, 3 * bytes.length);
	for (size_t at = 0; at < bytes.length; at += length) {
		const unsigned char byte = (unsigned char)bytes.data[at];
		length = text_utf8_length(bytes, at);
		const bool good = length > 1 ||
				  (length == 1 && (byte == '\t' || byte >= ' ') && byte != 0x7f);
		length = length > 0 ? length : 1;
		text_append(&shown,
			    good ? slice_part(bytes, at, at + length) : slice_of("\xEF\xBF\xBD"));
	}
	check(!shown.failed);
	json_t *json = json_stringn(shown.data ? shown.data : "", shown.length);
	text_fini(&shown);
	return json;
}

/* A request to the API up to its handler: method, target, an Idempotency-Key and a body, one a
 * line. Either every argument that the route needs is there, or one problem is answered that says
 * what is wrong. */
#include "replay.h"

#include "api/api_internal.h"
#include "base/check.h"

/* ---- the exchange: what is answered is read again, as a client would ---- */

static struct {
	unsigned count;
	unsigned status;
} answered;

static void expect_problem(const struct api_request *request)
{
	json_t *json = json_loadb(request->output.data, request->output.length, 0, NULL);
	const json_t *pointer = json_object_get(json, "pointer");

	check(json_is_object(json));
	check_equal(json_integer_value(json_object_get(json, "status")), answered.status);
	check(json_string_length(json_object_get(json, "title")) > 0);
	check(json_string_length(json_object_get(json, "detail")) > 0);
	check(pointer == NULL || json_string_value(pointer)[0] == '/');
	json_decref(json);
}

void http_exchange_respond(struct http_exchange *exchange, unsigned status,
			   const struct http_header *headers, size_t header_count,
			   int64_t body_bytes)
{
	(void)exchange;
	check(header_count >= 2 && body_bytes > 0);
	for (size_t i = 0; i < header_count; i++)
		check(headers[i].name.length > 0 && headers[i].value.length > 0);
	answered.count++;
	answered.status = status;
}

bool http_exchange_writable(const struct http_exchange *exchange)
{
	(void)exchange;
	return false;
}

void http_exchange_send(struct http_exchange *exchange, struct slice bytes)
{
	(void)exchange;
	(void)bytes;
}

void http_exchange_finish(struct http_exchange *exchange, const struct http_header *trailers,
			  size_t trailer_count)
{
	(void)exchange;
	(void)trailers;
	(void)trailer_count;
}

void http_exchange_abort(struct http_exchange *exchange)
{
	(void)exchange;
}

/* ---- the request ---- */

static void expect_arguments(const struct api_request *request)
{
	const struct api_route *route = request->route;

	for (size_t i = 0; i < route->argument_count; i++) {
		const struct api_argument *argument = &route->arguments[i];
		const struct api_value *value = &request->values[i];
		check(value->given || !argument->required);
		if (value->given && argument->kind == API_COUNT)
			check((int64_t)value->number >= argument->least &&
			      (int64_t)value->number <= argument->most);
		if (value->given && argument->kind == API_TEXT)
			check_at_most(value->text.length, (size_t)argument->most);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_make(data, size), method, target, key, path;
	struct api_request request = {.status = 200, .now_ns = 1795493457 * CLOCK_NS_PER_S};
	char allowed[API_ALLOWED_MAX];

	slice_cut(&rest, '\n', &method);
	slice_cut(&rest, '\n', &target);
	slice_cut(&rest, '\n', &key);
	slice_cut(&target, '?', &path);
	answered.count = 0;
	arena_init(&request.arena, API_ARENA_BYTES);
	text_init(&request.body, API_BODY_MAX);
	text_init(&request.output, API_ANSWER_MAX);
	request.route = api_route_find(method, path, &request.arena, request.segments, allowed);
	if (request.route != NULL) {
		request.query = target;
		request.idempotency_key = key;
		text_append(&request.body, rest);
		if (api_arguments_read(&request)) {
			check_equal(answered.count, 0);
			expect_arguments(&request);
		} else {
			check_equal(answered.count, 1);
			check(answered.status >= 400 && answered.status < 500);
			expect_problem(&request);
		}
	}
	json_decref(request.json);
	json_decref(request.errors);
	text_fini(&request.body);
	text_fini(&request.output);
	arena_fini(&request.arena);
	return 0;
}

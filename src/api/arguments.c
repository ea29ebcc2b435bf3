/* What a request brings, read strictly by its route's table: path, query, header, body. */
#include "api/api_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/units.h"

static struct api_value *value_of(struct api_request *request, const struct api_argument *argument)
{
	return &request->values[argument - request->route->arguments];
}

const struct api_value *api_argument(const struct api_request *request, const char *name)
{
	for (size_t i = 0; i < request->route->argument_count; i++) {
		if (strcmp(request->route->arguments[i].name, name) == 0)
			return &request->values[i];
	}
	check_failed(__FILE__, __LINE__, __func__, name);
}

/* Goes on, so that all that is wrong is told at once. */
static void add_error(struct api_request *request, const char *at, const char *near,
		      const char *detail)
{
	if (request->errors == NULL)
		request->errors = json_array();
	if (json_array_size(request->errors) < API_ERRORS_MAX)
		json_array_append_new(request->errors, api_error_json(request, at, near, detail));
}

/* Returns false. */
__attribute__((format(printf, 3, 4))) static bool complain(struct api_request *request,
							   const char *at, const char *detail, ...)
{
	char text[FAULT_TEXT_MAX];
	va_list arguments;

	va_start(arguments, detail);
	vsnprintf(text, sizeof(text), detail, arguments);
	va_end(arguments);
	add_error(request, at, NULL, text);
	return false;
}

/* Of a name that the route does not know, among those that it knows in the place. */
static bool complain_of_name(struct api_request *request, const char *at, const char *what,
			     const char *name, enum api_place place)
{
	const struct api_route *route = request->route;
	const char *known[API_ARGUMENTS_MAX];
	struct fault fault;
	size_t count = 0;

	for (size_t i = 0; i < route->argument_count; i++) {
		if (route->arguments[i].place == place)
			known[count++] = route->arguments[i].name;
	}
	fault_set_near(&fault, FAULT_INPUT, text_nearest(name, known, count),
		       "the %s \"%s\" that %s %s does not know", what, name, route->method,
		       route->path);
	add_error(request, at, fault.near, fault.text);
	return false;
}

/* ---- one value ---- */

static bool refuse(struct api_request *request, const struct api_argument *argument,
		   struct slice given, const char *allowed)
{
	char shown[TEXT_SHOWN_MAX];

	complain(request, argument->name, "%s: \"%s\" is not %s", argument->name,
		 text_show(given, shown), allowed);
	return false;
}

static bool read_text(struct api_request *request, const struct api_argument *argument,
		      struct slice given)
{
	struct api_value *value = value_of(request, argument);

	if ((int64_t)given.length < argument->least || (int64_t)given.length > argument->most) {
		complain(request, argument->name,
			 "%s: %zu bytes are given; %lld to %lld are allowed", argument->name,
			 given.length, (long long)argument->least, (long long)argument->most);
		return false;
	}
	value->text = given;
	return true;
}

static bool read_amount(struct api_request *request, const struct api_argument *argument,
			struct slice given)
{
	struct api_value *value = value_of(request, argument);

	if (!amount_parse(given, &value->amount))
		return refuse(
			request, argument, given,
			"an amount; a decimal below 9223372036.854775808 with at most nine places "
			"is, such as \"10.00\"");
	if (value->amount.nano < argument->least)
		return refuse(request, argument, given,
			      argument->least > 0 ? "more than zero" : "zero or more");
	return true;
}

static bool read_choice(struct api_request *request, const struct api_argument *argument,
			struct slice given)
{
	struct text allowed;

	for (uint64_t i = 0; argument->choices[i] != NULL; i++) {
		if (slice_equal(slice_of(argument->choices[i]), given)) {
			value_of(request, argument)->number = i;
			return true;
		}
	}
	text_init(&allowed, 256);
	text_append_text(&allowed, "allowed; ");
	for (size_t i = 0; argument->choices[i] != NULL; i++)
		text_printf(&allowed, "%s\"%s\"", i > 0 ? " and " : "", argument->choices[i]);
	text_append_text(&allowed, argument->choices[1] == NULL ? " is" : " are");
	refuse(request, argument, given, allowed.data);
	text_fini(&allowed);
	return false;
}

/* A time, or a duration from now on; later than now in any case. */
static bool read_expiry(struct api_request *request, const struct api_argument *argument,
			struct slice given)
{
	uint64_t *expiry_ns = &value_of(request, argument)->number;
	uint64_t duration_ns;

	if (units_parse_duration_ns(given, &duration_ns)) {
		if (duration_ns == 0 || duration_ns > (uint64_t)INT64_MAX - request->now_ns)
			return refuse(request, argument, given, "within the next two centuries");
		*expiry_ns = request->now_ns + duration_ns;
		return true;
	}
	if (!clock_parse_wall(given, expiry_ns))
		return refuse(request, argument, given,
			      "a time such as 2026-11-24T04:10:57Z or a duration such as 30d");
	if (*expiry_ns <= request->now_ns || *expiry_ns > INT64_MAX)
		return refuse(request, argument, given, "a time to come");
	return true;
}

static bool read_past(struct api_request *request, const struct api_argument *argument,
		      struct slice given)
{
	uint64_t *past_ns = &value_of(request, argument)->number;
	uint64_t duration_ns;

	if (units_parse_duration_ns(given, &duration_ns))
		*past_ns = duration_ns < request->now_ns ? request->now_ns - duration_ns : 0;
	else if (!clock_parse_wall(given, past_ns))
		return refuse(request, argument, given,
			      "a time such as 2026-11-24T04:10:57Z or a duration such as 24h");
	return true;
}

/* What is written as text, wherever it stands. */
static bool read_written(struct api_request *request, const struct api_argument *argument,
			 struct slice given)
{
	uint32_t month;

	value_of(request, argument)->given = true;
	switch (argument->kind) {
	case API_AMOUNT:
		return read_amount(request, argument, given);
	case API_CHOICE:
		return read_choice(request, argument, given);
	case API_EXPIRY:
		return read_expiry(request, argument, given);
	case API_PAST:
		return read_past(request, argument, given);
	case API_FLAG:
		if (!slice_equal(given, slice_of("true")) && !slice_equal(given, slice_of("false")))
			return refuse(request, argument, given, "true or false");
		value_of(request, argument)->number = slice_equal(given, slice_of("true"));
		return true;
	case API_MONTH:
		if (!clock_month_parse(given, &month))
			return refuse(request, argument, given, "a month such as 2026-11");
		value_of(request, argument)->number = month;
		return true;
	default:
		return read_text(request, argument, given);
	}
}

static bool refuse_count(struct api_request *request, const struct api_argument *argument)
{
	complain(request, argument->name, "%s: a whole number from %lld to %lld is allowed",
		 argument->name, (long long)argument->least, (long long)argument->most);
	return false;
}

static bool read_count(struct api_request *request, const struct api_argument *argument,
		       int64_t given)
{
	if (given < argument->least || given > argument->most)
		return refuse_count(request, argument);
	*value_of(request, argument) = (struct api_value){.given = true, .number = (uint64_t)given};
	return true;
}

/* Of path and query, where a number is written as text. */
static bool read_value(struct api_request *request, const struct api_argument *argument,
		       struct slice given)
{
	uint64_t number;

	if (argument->kind != API_COUNT)
		return read_written(request, argument, given);
	if (!slice_to_u64(given, INT64_MAX, &number))
		return refuse_count(request, argument);
	return read_count(request, argument, (int64_t)number);
}

/* ---- the query ---- */

static bool refuse_unknown_parameter(struct api_request *request, struct slice name)
{
	char shown[TEXT_SHOWN_MAX];

	text_show(name, shown);
	return complain_of_name(request, shown[0] != '\0' ? shown : NULL, "query has a parameter",
				shown, API_QUERY);
}

static bool decode(struct api_request *request, struct slice encoded, struct slice *ret_text)
{
	char *decoded = arena_alloc(&request->arena, encoded.length + 1);
	size_t length;
	bool good = decoded != NULL;

	/* As forms write it, '+' is a space. */
	for (size_t i = 0; good && i < encoded.length; i++)
		decoded[i] = (char)(encoded.data[i] == '+' ? ' ' : encoded.data[i]);
	if (good) {
		const struct slice spaced =
			arena_copy(&request->arena, slice_make(decoded, encoded.length));
		good = spaced.data != NULL &&
		       http_percent_decode(spaced, decoded, encoded.length + 1, &length);
	}
	if (!good) {
		char shown[TEXT_SHOWN_MAX];
		complain(request, NULL, "the query's \"%s\" is not well percent-encoded",
			 text_show(encoded, shown));
		return false;
	}
	*ret_text = slice_make(decoded, length);
	return true;
}

static bool read_parameter(struct api_request *request, struct slice name, struct slice given)
{
	const struct api_argument *argument =
		api_route_find_argument(request->route, API_QUERY, name);

	if (argument == NULL)
		return refuse_unknown_parameter(request, name);
	if (value_of(request, argument)->given) {
		complain(request, argument->name, "%s: it is given twice", argument->name);
		return false;
	}
	return read_value(request, argument, given);
}

static void read_query(struct api_request *request)
{
	struct slice rest = request->query;
	struct slice pair;
	struct slice name;
	struct slice value;

	while (slice_cut(&rest, '&', &pair)) {
		if (pair.length == 0)
			continue;
		slice_cut(&pair, '=', &name);
		if (decode(request, name, &name) && decode(request, pair, &value))
			read_parameter(request, name, value);
	}
}

/* ---- the body ---- */

static const char *json_type_name(const json_t *json)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",    [JSON_STRING] = "a text",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",      [JSON_NULL] = "null"};

	return names[json_typeof(json)];
}

static bool refuse_type(struct api_request *request, const struct api_argument *argument,
			const char *at, const json_t *json, const char *wanted)
{
	complain(request, at, "%s: %s is given where %s is wanted", argument->name,
		 json_type_name(json), wanted);
	return false;
}

static bool read_texts(struct api_request *request, const struct api_argument *argument,
		       const json_t *json)
{
	struct api_value *value = value_of(request, argument);
	const size_t count = json_array_size(json);
	char at[API_POINTER_MAX];
	const json_t *item;
	size_t i;

	if ((int64_t)count > argument->most) {
		complain(request, argument->name, "%s: %zu are given; at most %lld are allowed",
			 argument->name, count, (long long)argument->most);
		return false;
	}
	struct slice *texts = arena_calloc(&request->arena, count + 1, sizeof(*texts));
	check(texts != NULL);
	json_array_foreach(json, i, item)
	{
		snprintf(at, sizeof(at), "/%s/%zu", argument->name, i);
		if (!json_is_string(item))
			return refuse_type(request, argument, at, item, "a text");
		texts[i] = slice_make(json_string_value(item), json_string_length(item));
	}
	*value = (struct api_value){.given = true, .texts = texts, .text_count = count};
	return true;
}

static bool read_member(struct api_request *request, const struct api_argument *argument,
			const json_t *json)
{
	const char *at = argument->name;

	/* What is there, though wrong, is not missing. */
	value_of(request, argument)->given = true;
	if (argument->kind == API_COUNT) {
		if (!json_is_integer(json))
			return refuse_type(request, argument, at, json, "a whole number");
		return read_count(request, argument, json_integer_value(json));
	}
	if (argument->kind == API_FLAG) {
		if (!json_is_boolean(json))
			return refuse_type(request, argument, at, json, "true or false");
		*value_of(request, argument) =
			(struct api_value){.given = true, .number = json_is_true(json)};
		return true;
	}
	if (argument->kind == API_TEXTS) {
		if (!json_is_array(json))
			return refuse_type(request, argument, at, json, "a list of texts");
		return read_texts(request, argument, json);
	}
	if (!json_is_string(json))
		return refuse_type(request, argument, at, json,
				   argument->kind == API_AMOUNT ? "a decimal text such as \"10.00\""
								: "a text");
	return read_written(request, argument,
			    slice_make(json_string_value(json), json_string_length(json)));
}

/* RFC 6901: '~' and '/' of a name are escaped. */
static void make_pointer(const char *name, char pointer[API_POINTER_MAX])
{
	size_t used = 0;

	pointer[used++] = '/';
	for (; *name != '\0' && used + 2 < API_POINTER_MAX; name++) {
		const bool escaped = *name == '~' || *name == '/';
		if (escaped)
			pointer[used++] = '~';
		pointer[used++] = (char)(*name == '~' ? '0' : *name == '/' ? '1' : *name);
	}
	pointer[used] = '\0';
}

static bool refuse_unknown_member(struct api_request *request, const char *name)
{
	char pointer[API_POINTER_MAX];
	char shown[TEXT_SHOWN_MAX];

	text_show(slice_of(name), shown);
	make_pointer(shown, pointer);
	return complain_of_name(request, pointer, "body has a member", shown, API_BODY);
}

static bool parse_body(struct api_request *request)
{
	const struct slice body = text_slice(&request->body);
	char shown[JSON_ERROR_TEXT_LENGTH];
	json_error_t error;

	if (body.length == 0) {
		api_answer_problem(request, API_MALFORMED, NULL,
				   "The body is empty; a JSON object is wanted");
		return false;
	}
	request->json = json_loadb(body.data, body.length, JSON_REJECT_DUPLICATES, &error);
	if (request->json == NULL) {
		snprintf(shown, sizeof(shown), "%s", error.text);
		api_answer_problem(request, API_MALFORMED, NULL,
				   "The body is not JSON: line %d, column %d: %s", error.line,
				   error.column, shown);
		return false;
	}
	if (!json_is_object(request->json)) {
		api_answer_problem(request, API_MALFORMED, NULL,
				   "The body is %s; a JSON object is wanted",
				   json_type_name(request->json));
		return false;
	}
	return true;
}

static bool read_body(struct api_request *request)
{
	const struct api_argument *argument;
	const char *name;
	json_t *json;

	if (!parse_body(request))
		return false;
	json_object_foreach(request->json, name, json)
	{
		argument = api_route_find_argument(request->route, API_BODY, slice_of(name));
		if (argument == NULL)
			refuse_unknown_member(request, name);
		else
			read_member(request, argument, json);
	}
	return true;
}

/* ---- all of them ---- */

static void read_path_and_headers(struct api_request *request)
{
	const struct api_route *route = request->route;
	size_t segment = 0;

	for (size_t i = 0; i < route->argument_count; i++) {
		const struct api_argument *argument = &route->arguments[i];
		if (argument->place == API_PATH)
			read_value(request, argument, request->segments[segment++]);
		if (argument->place == API_HEADER && request->idempotency_key.length > 0)
			read_written(request, argument, request->idempotency_key);
	}
}

static void require(struct api_request *request)
{
	for (size_t i = 0; i < request->route->argument_count; i++) {
		const struct api_argument *argument = &request->route->arguments[i];
		if (argument->required && !request->values[i].given)
			complain(request, argument->name, "%s is missing: %s", argument->name,
				 argument->sentence);
	}
}

bool api_arguments_read(struct api_request *request)
{
	check(request->route->argument_count <= API_ARGUMENTS_MAX);
	read_path_and_headers(request);
	read_query(request);
	if (api_route_takes_body(request->route) && (request->route->flags & API_EVENTS) == 0 &&
	    !read_body(request))
		return false;
	require(request);
	if (request->errors == NULL)
		return true;
	api_answer_errors(request);
	return false;
}

/* ---- pages ---- */

int api_after(struct api_request *request, const char *prefix, uint64_t *ret_id,
	      struct fault *fault)
{
	const struct api_value *after = api_argument(request, "after");

	*ret_id = 0;
	return !after->given || id_parse(prefix, after->text, ret_id)
		       ? 0
		       : api_no_cursor(request, fault);
}

int api_no_cursor(struct api_request *request, struct fault *fault)
{
	char shown[TEXT_SHOWN_MAX];

	return api_at(request, "after",
		      fault_set(fault, FAULT_INPUT,
				"after: \"%s\" is no cursor of this list; give `next` of the page "
				"before",
				text_show(api_argument(request, "after")->text, shown)));
}

size_t api_limit(const struct api_request *request)
{
	return api_argument_number(request, "limit", API_PAGE_DEFAULT);
}

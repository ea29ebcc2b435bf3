/* The OpenAPI 3.1 document, from the tables of routes, schemas and problems. */
#include "api/api_internal.h"

#include <stdio.h>

#include "api/event.h"
#include "api/schemas.h"
#include "base/check.h"

#define AMOUNT_PATTERN "^-?[0-9]+\\.[0-9]{2,9}$"
#define MONTH_PATTERN  "^[0-9]{4}-(0[1-9]|1[0-2])$"
#define STATUS_MAX     12

/* ---- schemas of answers ---- */

static json_t *reference(const char *schema)
{
	return json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%s", schema));
}

static json_t *words(const char *of)
{
	struct slice rest = slice_of(of);
	struct slice word;
	json_t *list = json_array();

	while (slice_cut(&rest, '|', &word))
		json_array_append_new(list, json_stringn(word.data, word.length));
	return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

static json_t *type_schema(const struct api_member *member)
{
	switch (member->type) {
	case API_IS_TEXT:
	case API_IS_ID:
		return json_pack("{s:s}", "type", "string");
	case API_IS_AMOUNT:
		return json_pack("{s:s, s:s}", "type", "string", "pattern", AMOUNT_PATTERN);
	case API_IS_COUNT:
		return json_pack("{s:s, s:s}", "type", "integer", "format", "int64");
	case API_IS_TIME:
		return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
	case API_IS_MONTH:
		return json_pack("{s:s, s:s}", "type", "string", "pattern", MONTH_PATTERN);
	case API_IS_FLAG:
		return json_pack("{s:s}", "type", "boolean");
	case API_IS_CHOICE:
		return words(member->of);
	case API_IS_OBJECT:
		return reference(member->of);
	case API_IS_FIGURE:
		return json_pack("{s:[{s:s}, {s:s, s:s}]}", "anyOf", "type", "integer", "type",
				 "string", "pattern", AMOUNT_PATTERN);
	case API_IS_SCHEMA:
		return json_pack("{s:s}", "type", "object");
	}
	check_failed(__FILE__, __LINE__, __func__, member->name);
}

static json_t *member_schema(const struct api_member *member)
{
	json_t *schema = type_schema(member);

	if ((member->shape & API_LIST_OF) != 0)
		schema = json_pack("{s:s, s:o}", "type", "array", "items", schema);
	if ((member->shape & API_MAP_OF) != 0)
		schema = json_pack("{s:s, s:o}", "type", "object", "additionalProperties", schema);
	if ((member->shape & API_OR_NULL) != 0)
		schema = json_pack("{s:[o, {s:s}]}", "anyOf", schema, "type", "null");
	json_object_set_new(schema, "description", json_string(member->sentence));
	return schema;
}

static json_t *schema_json(const struct api_schema *schema)
{
	json_t *properties = json_object();
	json_t *required = json_array();

	for (size_t i = 0; i < schema->member_count; i++) {
		const struct api_member *member = &schema->members[i];
		json_object_set_new(properties, member->name, member_schema(member));
		if ((member->shape & API_MAY_LACK) == 0)
			json_array_append_new(required, json_string(member->name));
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:b}", "type", "object", "description",
			 schema->sentence, "properties", properties, "required", required,
			 "additionalProperties", 0);
}

static json_t *answer_schema(const struct api_route *route)
{
	if (route->answer == NULL)
		return json_pack("{s:s}", "type",
				 (route->flags & (API_METRICS | API_PLAIN)) != 0 ? "string"
										 : "object");
	if ((route->flags & API_LISTS) == 0)
		return reference(route->answer);
	return json_pack("{s:s, s:{s:{s:s, s:o}, s:{s:[s, s], s:s}}, s:[s, s], s:b}", "type",
			 "object", "properties", "items", "type", "array", "items",
			 reference(route->answer), "next", "type", "string", "null", "description",
			 "give it as `after` for the next page; null behind the last one",
			 "required", "items", "next", "additionalProperties", 0);
}

/* ---- arguments ---- */

static json_t *choices_schema(const char *const *choices)
{
	json_t *list = json_array();

	for (size_t i = 0; choices[i] != NULL; i++)
		json_array_append_new(list, json_string(choices[i]));
	return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

/* Bounds of a text are bytes, which JSON Schema has no word for: so many characters fit at most. */
static json_t *argument_schema(const struct api_argument *argument)
{
	switch (argument->kind) {
	case API_TEXT:
		return json_pack("{s:s, s:I, s:I}", "type", "string", "minLength",
				 (json_int_t)(argument->least > 0), "maxLength",
				 (json_int_t)argument->most);
	case API_TEXTS:
		return json_pack("{s:s, s:{s:s}, s:I}", "type", "array", "items", "type", "string",
				 "maxItems", (json_int_t)argument->most);
	case API_AMOUNT:
		return json_pack("{s:s, s:s}", "type", "string", "pattern",
				 "^[0-9]+(\\.[0-9]{1,9})?$");
	case API_COUNT:
		return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum",
				 (json_int_t)argument->least, "maximum",
				 (json_int_t)argument->most);
	case API_CHOICE:
		return choices_schema(argument->choices);
	case API_MONTH:
		return json_pack("{s:s, s:s}", "type", "string", "pattern", MONTH_PATTERN);
	case API_EXPIRY:
	case API_PAST:
		return json_pack("{s:s}", "type", "string");
	case API_FLAG:
		return json_pack("{s:s}", "type", "boolean");
	}
	check_failed(__FILE__, __LINE__, __func__, argument->name);
}

static json_t *parameters(const struct api_route *route)
{
	static const char *const places[] = {
		[API_PATH] = "path", [API_QUERY] = "query", [API_HEADER] = "header"};
	json_t *list = json_array();

	for (size_t i = 0; i < route->argument_count; i++) {
		const struct api_argument *argument = &route->arguments[i];
		if (argument->place == API_BODY)
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s, s:o}", "name",
						      argument->name, "in", places[argument->place],
						      "required", argument->required, "description",
						      argument->sentence, "schema",
						      argument_schema(argument)));
	}
	return list;
}

static json_t *body_json(const struct api_route *route)
{
	json_t *properties = json_object();
	json_t *required = json_array();

	for (size_t i = 0; i < route->argument_count; i++) {
		const struct api_argument *argument = &route->arguments[i];
		if (argument->place != API_BODY)
			continue;
		json_t *schema = argument_schema(argument);
		json_object_set_new(schema, "description", json_string(argument->sentence));
		json_object_set_new(properties, argument->name, schema);
		if (argument->required)
			json_array_append_new(required, json_string(argument->name));
	}
	return json_pack("{s:b, s:{s:{s:{s:s, s:o, s:o, s:b}}}}", "required", 1, "content",
			 "application/json", "schema", "type", "object", "properties", properties,
			 "required", required, "additionalProperties", 0);
}

/* CloudEvents in the three ways that HTTP carries them: api/event.h. */
static json_t *events_json(void)
{
	json_t *data = json_pack(
		"{s:s, s:{s:{s:s}, s:{s:s, s:{s:s, s:i, s:I}, s:i, s:i}}, s:[s, s], s:b}", "type",
		"object", "properties", "service", "type", "string", "units", "type", "object",
		"additionalProperties", "type", "integer", "minimum", 1, "maximum",
		(json_int_t)API_EVENT_UNIT_MOST, "minProperties", 1, "maxProperties",
		RATING_UNITS_MAX, "required", "service", "units", "additionalProperties", 0);
	json_t *event = json_pack(
		"{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s, s:i}, s:{s:s, s:i}, s:{s:s, s:s}, "
		"s:{s:s, s:s}, s:O}, s:[s, s, s, s, s, s]}",
		"type", "object", "properties", "specversion", "const", "1.0", "type", "const",
		API_EVENT_TYPE, "source", "type", "string", "maxLength", API_EVENT_TEXT_MAX, "id",
		"type", "string", "maxLength", API_EVENT_TEXT_MAX, "subject", "type", "string",
		"description", "the app, `account/app`", "time", "type", "string", "format",
		"date-time", "data", data, "required", "specversion", "type", "source", "id",
		"subject", "data");

	return json_pack("{s:b, s:{s:{s:O}, s:{s:{s:s, s:o, s:i, s:i}}, s:{s:o}}}", "required", 1,
			 "content", "application/cloudevents+json", "schema", event,
			 "application/cloudevents-batch+json", "schema", "type", "array", "items",
			 event, "minItems", 1, "maxItems", API_EVENTS_MAX, "application/json",
			 "schema", data);
}

/* ---- answers ---- */

static void set_success(json_t *answers, const struct api_route *route, const char *status,
			const char *description)
{
	json_object_set_new(answers, status,
			    json_pack("{s:s, s:{s:{s:o}}}", "description", description, "content",
				      api_route_media_type(route), "schema", answer_schema(route)));
}

/* Problems of one status share an answer; their types tell them apart. */
static json_t *problems_json(uint32_t problems, unsigned status)
{
	json_t *types = json_array();
	struct text titles;

	text_init(&titles, 4096);
	for (int i = 0; i < API_PROBLEM_COUNT; i++) {
		const struct api_problem_text *problem = api_problem_text((enum api_problem)i);
		if ((problems & (1u << i)) == 0 || problem->status != status)
			continue;
		text_printf(&titles, "%s%s", titles.length > 0 ? "; or: " : "", problem->title);
		json_array_append_new(types, json_string(problem->type));
	}
	json_t *schema = json_pack("{s:[o, {s:{s:{s:o}}}]}", "allOf", reference("Problem"),
				   "properties", "type", "enum", types);
	json_t *answer = json_pack("{s:s, s:{s:{s:o}}}", "description", titles.data, "content",
				   "application/problem+json", "schema", schema);
	check(answer != NULL);
	text_fini(&titles);
	return answer;
}

static json_t *answers_json(const struct api_route *route)
{
	json_t *answers = json_object();
	const uint32_t problems = api_route_problems(route);
	char status[STATUS_MAX];

	set_success(answers, route, "200",
		    (route->flags & API_MAKES) != 0 ? "It was there" : "As asked for");
	if ((route->flags & API_MAKES) != 0)
		set_success(answers, route, "201", "Made");
	for (int i = 0; i < API_PROBLEM_COUNT; i++) {
		const unsigned number = api_problem_text((enum api_problem)i)->status;
		snprintf(status, sizeof(status), "%u", number);
		if ((problems & (1u << i)) != 0 && json_object_get(answers, status) == NULL)
			json_object_set_new(answers, status, problems_json(problems, number));
	}
	/* What is no HTTP, too large or too slow has the status that HTTP has for it. */
	json_object_set_new(
		answers, "4XX",
		problems_json(1u << API_REQUEST, api_problem_text(API_REQUEST)->status));
	return answers;
}

/* ---- the document ---- */

static json_t *operation_json(const struct api_route *route)
{
	json_t *operation = json_pack("{s:s, s:s, s:o}", "operationId", route->name, "summary",
				      route->sentence, "responses", answers_json(route));
	json_t *list = parameters(route);

	if (json_array_size(list) > 0)
		json_object_set(operation, "parameters", list);
	json_decref(list);
	if (api_route_takes_body(route))
		json_object_set_new(operation, "requestBody",
				    (route->flags & API_EVENTS) != 0 ? events_json()
								     : body_json(route));
	if ((route->flags & API_OPEN) != 0)
		json_object_set_new(operation, "security", json_array());
	return operation;
}

static json_t *paths_json(void)
{
	json_t *paths = json_object();
	char method[16];

	for (size_t i = 0; i < api_route_count; i++) {
		const struct api_route *route = &api_routes[i];
		json_t *path = json_object_get(paths, route->path);
		if (path == NULL) {
			path = json_object();
			json_object_set_new(paths, route->path, path);
		}
		size_t length = 0;
		for (; route->method[length] != '\0'; length++)
			method[length] = (char)(route->method[length] | 0x20);
		method[length] = '\0';
		json_object_set_new(path, method, operation_json(route));
	}
	return paths;
}

json_t *api_openapi(void)
{
	json_t *schemas = json_object();

	for (size_t i = 0; i < api_schema_count; i++)
		json_object_set_new(schemas, api_schemas[i].name, schema_json(&api_schemas[i]));
	json_t *document = json_pack(
		"{s:s, s:{s:s, s:s, s:s, s:{s:s, s:s}}, s:[{s:[]}], s:o, s:{s:o, s:{s:{s:s, s:s, "
		"s:s}}}}",
		"openapi", "3.1.0", "info", "title", "Stoa", "version", STOA_VERSION, "description",
		"The control plane of a Stoa cloud. Its address is in the cloud's file "
		"api.address.",
		"license", "name", "Apache-2.0", "identifier", "Apache-2.0", "security", "token",
		"paths", paths_json(), "components", "schemas", schemas, "securitySchemes", "token",
		"type", "http", "scheme", "bearer", "description",
		"the admin token, in the cloud's file admin.token");
	check(document != NULL);
	return document;
}

int api_openapi_show(struct api_request *request, struct fault *fault)
{
	(void)fault;
	request->answer = api_openapi();
	return 0;
}

/* docs/api.md, from the tables. */
#include "api/api_internal.h"

#include <inttypes.h>
#include <string.h>

#include "api/schemas.h"

static const char *const place_names[] = {
	[API_PATH] = "path", [API_QUERY] = "query", [API_BODY] = "body", [API_HEADER] = "header"};

static void append_kind(struct text *text, const struct api_argument *argument)
{
	switch (argument->kind) {
	case API_TEXT:
		text_printf(text, "text, at most %" PRId64 " bytes", argument->most);
		break;
	case API_TEXTS:
		text_printf(text, "list of texts, at most %" PRId64, argument->most);
		break;
	case API_AMOUNT:
		text_append_text(text, "decimal text, `\"10.00\"`");
		break;
	case API_COUNT:
		text_printf(text, "whole number, %" PRId64 " to %" PRId64, argument->least,
			    argument->most);
		break;
	case API_CHOICE:
		for (size_t i = 0; argument->choices[i] != NULL; i++)
			text_printf(text, "%s`%s`", i > 0 ? " or " : "", argument->choices[i]);
		break;
	case API_MONTH:
		text_append_text(text, "month, `2026-11`");
		break;
	case API_EXPIRY:
	case API_PAST:
		text_append_text(text, "time or duration");
		break;
	case API_FLAG:
		text_append_text(text, "true or false");
		break;
	}
}

static void append_arguments(struct text *text, const struct api_route *route)
{
	if (route->argument_count == 0)
		return;
	text_append_text(text, "\n| argument | in | kind | | meaning |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < route->argument_count; i++) {
		const struct api_argument *argument = &route->arguments[i];
		text_printf(text, "| `%s` | %s | ", argument->name, place_names[argument->place]);
		append_kind(text, argument);
		text_printf(text, " | %s | %s |\n", argument->required ? "required" : "",
			    argument->sentence);
	}
}

static void append_answer(struct text *text, const struct api_route *route)
{
	const char *made = (route->flags & API_MAKES) != 0 ? "201 or 200" : "200";
	const uint32_t problems = route->problems;
	bool first = true;

	if (route->answer == NULL)
		text_printf(text, "\nAnswers %s with the document.", made);
	else
		text_printf(text, "\nAnswers %s with %s[%s](#%s).", made,
			    (route->flags & API_LISTS) != 0 ? "a list of " : "", route->answer,
			    route->answer);
	for (int i = 0; i < API_PROBLEM_COUNT; i++) {
		if ((problems & (1u << i)) == 0)
			continue;
		const struct api_problem_text *problem = api_problem_text((enum api_problem)i);
		text_printf(text, "%s %u `%s`", first ? " Refuses with" : ",", problem->status,
			    problem->type + strlen(API_PROBLEM_PREFIX));
		first = false;
	}
	text_append_text(text, first ? "\n" : ".\n");
}

static void append_route(struct text *text, const struct api_route *route)
{
	text_printf(text, "\n### %s %s\n\n%s\n", route->method, route->path, route->sentence);
	append_arguments(text, route);
	append_answer(text, route);
}

static void append_type(struct text *text, const struct api_member *member)
{
	static const char *const names[] = {
		[API_IS_TEXT] = "text",          [API_IS_ID] = "id",
		[API_IS_AMOUNT] = "amount",      [API_IS_COUNT] = "whole number",
		[API_IS_TIME] = "time",          [API_IS_MONTH] = "month",
		[API_IS_FLAG] = "true or false", [API_IS_FIGURE] = "whole number or amount",
		[API_IS_SCHEMA] = "object"};
	struct slice rest;
	struct slice word;
	bool first = true;

	if ((member->shape & API_LIST_OF) != 0)
		text_append_text(text, "list of ");
	if ((member->shape & API_MAP_OF) != 0)
		text_append_text(text, "object of ");
	if (member->type == API_IS_OBJECT)
		text_printf(text, "[%s](#%s)", member->of, member->of);
	else if (member->type != API_IS_CHOICE)
		text_append_text(text, names[member->type]);
	rest = slice_of(member->type == API_IS_CHOICE ? member->of : "");
	for (; slice_cut(&rest, '|', &word); first = false)
		text_printf(text, "%s`%.*s`", first ? "" : ", ", SLICE_ARGS(word));
	if ((member->shape & API_OR_NULL) != 0)
		text_append_text(text, " or null");
}

static void append_schema(struct text *text, const struct api_schema *schema)
{
	text_printf(text, "\n### %s\n\n%s\n\n| member | kind | | meaning |\n|---|---|---|---|\n",
		    schema->name, schema->sentence);
	for (size_t i = 0; i < schema->member_count; i++) {
		const struct api_member *member = &schema->members[i];
		text_printf(text, "| `%s` | ", member->name);
		append_type(text, member);
		text_printf(text, " | %s | %s |\n",
			    (member->shape & API_MAY_LACK) != 0 ? "may be missing" : "",
			    member->sentence);
	}
}

void api_routes_document(struct text *text)
{
	text_append_text(
		text,
		"# The API of the control plane\n\n"
		"This page is made from the tables in `src/api/`; `build/src/api/api_document` "
		"prints it.\n\n"
		"The API speaks JSON over HTTP/1.1 on the address in the cloud's file "
		"`api.address`. Every request but `GET /healthz` carries the token in the file "
		"`admin.token`:\n\n"
		"```console\n$ curl -H \"Authorization: Bearer $(cat cloud/admin.token)\" "
		"http://$(cat cloud/api.address)/v1/status\n```\n\n"
		"Amounts are decimal texts in the cloud's currency, ids opaque texts, times "
		"RFC 3339 in UTC. A list answers `{\"items\": [...], \"next\": ...}`; give `next` "
		"as `after` for the next page, it is null behind the last one. What an answer "
		"acknowledges is in force.\n\n"
		"Bodies are JSON objects (`Content-Type: application/json`, at most 2 MiB). What a "
		"route does not know is refused, in the query as in the body.\n\n"
		"A POST may carry an `Idempotency-Key` of 1 to 255 bytes. Within 24 hours the same "
		"request under the same key is done once: it gets the first answer again, with "
		"`Idempotency-Replayed: true`, but never a key's text a second time. Another "
		"request "
		"under the key is refused. What was refused or failed is not kept, so it may be "
		"tried "
		"again under its key.\n\n"
		"Every change is entered in a log, in the transaction that makes it: `GET "
		"/v1/changes` "
		"tells it. Entries are never changed or deleted and hold no secret.\n\n"
		"## Problems\n\n"
		"Whatever is refused is answered as `application/problem+json` (RFC 9457) with "
		"`type`, `title`, `status` and `detail`; where one argument is at fault also with "
		"`pointer`, a JSON pointer into the body, or `parameter`, the name of what stands "
		"in the path, the query or a header. Where several arguments are wrong, "
		"`errors` tells all of them; `complaints` tells all that is wrong with a manifest. "
		"For what is misspelt, `suggestion` is the nearest name.\n\n"
		"| type | status | meaning |\n|---|---|---|\n");
	for (int i = 0; i < API_PROBLEM_COUNT; i++) {
		const struct api_problem_text *problem = api_problem_text((enum api_problem)i);
		text_printf(text, "| `%s` | %u | %s |\n", problem->type, problem->status,
			    problem->title);
	}
	text_append_text(text,
			 "\n## Routes\n\nAny request may be refused with one of the first "
			 "problems above, or as `busy` or `internal`; a route names the others.\n");
	for (size_t i = 0; i < api_route_count; i++)
		append_route(text, &api_routes[i]);
	text_append_text(text, "\n## What answers hold\n");
	for (size_t i = 0; i < api_schema_count; i++)
		append_schema(text, &api_schemas[i]);
}

/* docs/api.md, from the tables. */
#include "api/api_internal.h"

#include <inttypes.h>

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
		text_append_text(text, "time or duration");
		break;
	}
}

static void append_route(struct text *text, const struct api_route *route)
{
	text_printf(text, "\n## %s %s\n\n%s\n", route->method, route->path, route->sentence);
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
		"## Problems\n\n"
		"Whatever is refused is answered as `application/problem+json` (RFC 9457) with "
		"`type`, `title`, `status` and `detail`; where one argument is at fault also with "
		"`pointer`, a JSON pointer into the body, or `parameter`, the name of what stands "
		"in the path, the query or a header. A manifest's `complaints` are a list of "
		"`line`, `column` and `text`.\n\n"
		"| type | status | meaning |\n|---|---|---|\n");
	for (int i = 0; i < API_PROBLEM_COUNT; i++) {
		const struct api_problem_text *problem = api_problem_text((enum api_problem)i);
		text_printf(text, "| `%s` | %u | %s |\n", problem->type, problem->status,
			    problem->title);
	}
	for (size_t i = 0; i < api_route_count; i++)
		append_route(text, &api_routes[i]);
}

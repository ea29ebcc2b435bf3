/* Prints the C header from which src/cli asks: for every route a struct of its arguments and a
 * function that makes a request of them. A command that means a path, a method or an argument
 * which is not in the table does not compile. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"

static const char *const place_names[] = {
	[API_PATH] = "path", [API_QUERY] = "query", [API_BODY] = "body", [API_HEADER] = "header"};

/* A member of the kind in C, and how the function of cli_internal.h that takes one ends. */
static const struct {
	const char *type, *function;
} kinds[] = {
	[API_TEXT] = {"const char *", ""},   [API_TEXTS] = {"json_t *", "_texts"},
	[API_AMOUNT] = {"const char *", ""}, [API_COUNT] = {"uint64_t ", "_count"},
	[API_CHOICE] = {"const char *", ""}, [API_MONTH] = {"const char *", ""},
	[API_EXPIRY] = {"const char *", ""}, [API_FLAG] = {"bool ", "_flag"},
	[API_PAST] = {"const char *", ""},
};

/* "Idempotency-Key" as a member, `idempotency_key`. */
static void append_member(struct text *text, const char *name)
{
	for (; *name != '\0'; name++)
		text_printf(text, "%c", *name == '-' ? '_' : tolower((unsigned char)*name));
}

static void append_arguments(struct text *text, const struct api_route *route)
{
	text_printf(text, "struct route_%s {\n", route->name);
	for (size_t i = 0; i < route->argument_count; i++) {
		const struct api_argument *argument = &route->arguments[i];
		text_printf(text, "\t%s", kinds[argument->kind].type);
		append_member(text, argument->name);
		text_printf(text, "; /* %s%s: %s */\n", place_names[argument->place],
			    argument->required ? "" : ", optional", argument->sentence);
	}
	text_append_text(text, "};\n\n");
}

/* By the function of cli_internal.h for arguments of this place and kind. */
static void append_argument(struct text *text, const struct api_argument *argument)
{
	text_printf(text, "\tcli_request_%s%s(&request, ", place_names[argument->place],
		    kinds[argument->kind].function);
	if (argument->place != API_PATH)
		text_printf(text, "\"%s\", ", argument->name);
	text_append_text(text, "arguments.");
	append_member(text, argument->name);
	text_append_text(text, ");\n");
}

/* Piece by piece: the arguments of a path stand in the order of its braces. */
static void append_path(struct text *text, const struct api_route *route)
{
	struct slice rest = slice_of(route->path);

	for (size_t i = 0; rest.length > 0; i++) {
		const size_t open = slice_find_byte(rest, '{', 0);
		text_printf(text, "\ttext_append_text(&request.path, \"%.*s\");\n", (int)open,
			    rest.data);
		if (open == rest.length)
			break;
		append_argument(text, &route->arguments[i]);
		rest = slice_part(rest, slice_find_byte(rest, '}', open) + 1, rest.length);
	}
}

static bool has_pages(const struct api_route *route)
{
	return api_route_find_argument(route, API_QUERY, slice_of("after")) != NULL &&
	       api_route_find_argument(route, API_QUERY, slice_of("limit")) != NULL;
}

static void append_route(struct text *text, const struct api_route *route)
{
	text_printf(text, "/* %s %s: %s */\n", route->method, route->path, route->sentence);
	if (route->argument_count > 0)
		append_arguments(text, route);
	text_printf(text, "static inline struct cli_request route_%s(", route->name);
	if (route->argument_count > 0)
		text_printf(text, "struct route_%s arguments", route->name);
	text_printf(text, "%s)\n{\n", route->argument_count > 0 ? "" : "void");
	text_printf(text, "\tstruct cli_request request = cli_request_make(\"%s\", %s, %s);\n\n",
		    route->method, api_route_takes_body(route) ? "true" : "false",
		    has_pages(route) ? "true" : "false");
	append_path(text, route);
	for (size_t i = 0; i < route->argument_count; i++) {
		if (route->arguments[i].place != API_PATH)
			append_argument(text, &route->arguments[i]);
	}
	text_append_text(text, "\treturn request;\n}\n\n");
}

int main(void)
{
	struct text text;

	text_init(&text, 1u << 20);
	text_append_text(
		&text,
		"/* Written by the build, from the API's table of routes (src/api/routes.c).\n"
		" * What is optional is left out where it is NULL, 0 or false. */\n"
		"#pragma once\n\n#include \"cli/cli_internal.h\"\n\n");
	for (size_t i = 0; i < api_route_count; i++)
		append_route(&text, &api_routes[i]);
	const bool good = !text.failed && fwrite(text.data, 1, text.length, stdout) == text.length;
	text_fini(&text);
	return good && fflush(stdout) == 0 ? 0 : 1;
}

/* Prints docs/api.md, which a test compares with the file, or with `openapi` the OpenAPI document,
 * which tests compare answers with. */
#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"

int main(int argc, char **argv)
{
	struct text text;

	if (argc == 2 && strcmp(argv[1], "openapi") == 0) {
		json_t *document = api_openapi();
		const bool printed = json_dumpf(document, stdout, JSON_INDENT(1)) == 0;
		json_decref(document);
		return printed && putchar('\n') != EOF && fflush(stdout) == 0 ? 0 : 1;
	}

	text_init(&text, 1u << 20);
	api_routes_document(&text);
	const bool good = !text.failed && fwrite(text.data, 1, text.length, stdout) == text.length;
	text_fini(&text);
	return good && fflush(stdout) == 0 ? 0 : 1;
}

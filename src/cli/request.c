/* What the functions of cli/routes.h make requests of. */
#include "cli/cli_internal.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

#define PATH_BYTES_MAX 8192
#define COUNT_MAX      24

struct cli_request cli_request_make(const char *method, bool takes_body, bool has_pages)
{
	struct cli_request request = {.method = method,
				      .body = takes_body ? json_object() : NULL,
				      .has_pages = has_pages};

	text_init(&request.path, PATH_BYTES_MAX);
	return request;
}

void cli_request_fini(struct cli_request *request)
{
	text_fini(&request->path);
	json_decref(request->body);
	free(request->header);
	request->header = NULL;
}

/* ---- path and query ---- */

void cli_request_path(struct cli_request *request, const char *segment)
{
	char *escaped = curl_easy_escape(NULL, segment, 0);

	check(escaped != NULL);
	text_append_text(&request->path, escaped);
	curl_free(escaped);
}

void cli_request_path_count(struct cli_request *request, uint64_t segment)
{
	text_printf(&request->path, "%" PRIu64, segment);
}

void cli_request_query(struct cli_request *request, const char *name, const char *value)
{
	const struct slice before = text_slice(&request->path);

	if (value == NULL)
		return;
	text_printf(&request->path,
		    "%c%s=", slice_find_byte(before, '?', 0) == before.length ? '?' : '&', name);
	cli_request_path(request, value);
}

void cli_request_query_count(struct cli_request *request, const char *name, uint64_t value)
{
	char text[COUNT_MAX];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	cli_request_query(request, name, value > 0 ? text : NULL);
}

/* ---- body and header ---- */

static void set(struct cli_request *request, const char *name, json_t *value)
{
	check(value != NULL);
	check(json_object_set_new(request->body, name, value) == 0);
}

void cli_request_body(struct cli_request *request, const char *name, const char *value)
{
	if (value != NULL)
		set(request, name, json_string(value));
}

void cli_request_body_count(struct cli_request *request, const char *name, uint64_t value)
{
	if (value > 0)
		set(request, name, json_integer((json_int_t)value));
}

void cli_request_body_flag(struct cli_request *request, const char *name, bool value)
{
	if (value)
		set(request, name, json_true());
}

void cli_request_body_texts(struct cli_request *request, const char *name, json_t *texts)
{
	if (texts != NULL)
		set(request, name, texts);
}

void cli_request_header(struct cli_request *request, const char *name, const char *value)
{
	check(request->header == NULL);
	if (value != NULL)
		check(asprintf(&request->header, "%s: %s", name, value) >= 0);
}

/* The API's client, over libcurl. */
#include "cli/cli_internal.h"

#include <curl/curl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/disk.h"

#define PAGE "1000" /* items asked for at once */

/* The first line of DIR/NAME. */
static int read_line(struct cli *cli, const char *name, char *line, size_t line_bytes_max)
{
	char path[PATH_MAX];
	struct fault fault;
	char *text = NULL;
	size_t length;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", cli->folder, name) >= sizeof(path))
		return cli_fail(cli, "the path of the cloud's folder is too long");
	const int code = disk_read_file(path, 4096, &text, &length, &fault);
	if (code == FAULT_NOT_FOUND)
		return cli_fail(cli,
				"there is no running cloud in %s (no %s); start one with "
				"`stoa serve --cloud %s`",
				cli->folder, name, cli->folder);
	if (code < 0)
		return cli_fail(cli, "%s", fault.text);
	struct slice rest = slice_make(text, length);
	struct slice first = {0};
	slice_cut(&rest, '\n', &first);
	const bool good = first.length > 0 && slice_to_text(first, line, line_bytes_max);
	sodium_memzero(text, length);
	free(text);
	return good ? CLI_DONE : cli_fail(cli, "%s is not as `stoa serve` writes it", path);
}

int cli_connect(struct cli *cli)
{
	if (cli->curl != NULL)
		return CLI_DONE;
	int status = read_line(cli, "api.address", cli->address, sizeof(cli->address));
	if (status == CLI_DONE)
		status = read_line(cli, "admin.token", cli->token, sizeof(cli->token));
	if (status != CLI_DONE)
		return status;
	check(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	cli->curl = curl_easy_init();
	check(cli->curl != NULL);
	return CLI_DONE;
}

void cli_disconnect(struct cli *cli)
{
	sodium_memzero(cli->token, sizeof(cli->token));
	if (cli->curl == NULL)
		return;
	curl_easy_cleanup(cli->curl);
	curl_global_cleanup();
	cli->curl = NULL;
}

/* ---- one request ---- */

struct exchange {
	CURL *curl;
	struct text answer;
	FILE *file; /* for the bytes of a 2xx answer, instead of `answer`; NULL: none */
	struct curl_slist *headers;
	char *body;
	char error[CURL_ERROR_SIZE];
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
	struct exchange *exchange = context;
	long http_status = 0;

	if (exchange->file != NULL)
		curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &http_status);
	if (http_status >= 200 && http_status < 300)
		return fwrite(bytes, 1, size * count, exchange->file);
	text_append(&exchange->answer, slice_make(bytes, size * count));
	return exchange->answer.failed ? 0 : size * count;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
	struct cli *cli = context;
	const struct slice line = slice_make(bytes, size * count);
	const struct slice name = slice_of("idempotency-replayed:");

	if (slice_equal_ignore_case(slice_part(line, 0, name.length), name))
		cli->given_again = true;
	return size * count;
}

/* Curl asks about once a second. */
static int on_waiting(void *context, curl_off_t download, curl_off_t downloaded, curl_off_t upload,
		      curl_off_t uploaded)
{
	(void)download, (void)downloaded, (void)upload, (void)uploaded;
	cli_progress_show(context);
	return 0;
}

static void add_header(struct exchange *exchange, const char *header)
{
	struct curl_slist *longer = curl_slist_append(exchange->headers, header);

	check(longer != NULL);
	exchange->headers = longer;
}

static void prepare(struct cli *cli, struct exchange *exchange, const struct cli_request *request)
{
	CURL *curl = cli->curl;
	char authorization[CLI_TOKEN_MAX + 32];
	char url[CLI_ADDRESS_MAX + 16];
	struct text whole;
	const bool local = strncmp(cli->address, "unix:", 5) == 0;

	exchange->curl = curl;
	snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", cli->token);
	add_header(exchange, authorization);
	sodium_memzero(authorization, sizeof(authorization));
	if (request->header != NULL)
		add_header(exchange, request->header);
	snprintf(url, sizeof(url), "http://%s", local ? "localhost" : cli->address);
	text_init(&whole, 1u << 20);
	text_printf(&whole, "%s%s", url, request->path.data);
	check(!whole.failed);
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, whole.data);
	text_fini(&whole);
	if (local)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, cli->address + 5);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	if (request->body != NULL) {
		exchange->body = json_dumps(request->body, JSON_COMPACT);
		check(exchange->body != NULL);
		add_header(exchange, request->type == NULL ? "Content-Type: application/json"
							   : request->type);
		add_header(exchange, "Expect:");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)strlen(exchange->body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, exchange->body);
	}
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, exchange->headers);
	cli->given_again = false;
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, cli);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_waiting);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, cli);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->error);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)cli->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
}

static void exchange_fini(struct exchange *exchange)
{
	curl_slist_free_all(exchange->headers);
	free(exchange->body);
	if (exchange->answer.data != NULL)
		sodium_memzero(exchange->answer.data, exchange->answer.length);
	text_fini(&exchange->answer);
}

/* A manifest's complaints stand each on a line of its own, as a compiler's do. */
static int tell_problem(struct cli *cli, const json_t *problem, long http_status)
{
	const json_t *complaints = json_object_get(problem, "complaints");
	const json_t *complaint;
	size_t i;

	if (cli->json && problem != NULL) {
		json_dumpf(problem, stderr, JSON_COMPACT);
		fputc('\n', stderr);
		return CLI_FAILED;
	}
	json_array_foreach(complaints, i, complaint)
		fprintf(stderr, "%s\n", cli_text(complaint, "text"));
	if (json_array_size(complaints) > 0)
		return cli_fail(cli, "nothing was published");
	if (cli_text(problem, "detail")[0] == '\0')
		return cli_fail(cli, "the API answered with status %ld and no reason", http_status);
	return cli_fail(cli, "%s", cli_text(problem, "detail"));
}

/* The JSON of an answer, NULL where it is none; a new reference. */
static json_t *json_of(const struct text *answer)
{
	return json_loadb(answer->length > 0 ? answer->data : "", answer->length,
			  JSON_REJECT_DUPLICATES, NULL);
}

/* CLI_DONE where the answer is a 2xx. */
static int perform(struct cli *cli, struct exchange *exchange)
{
	long http_status = 0;

	cli_progress_begin(cli);
	const CURLcode code = curl_easy_perform(cli->curl);
	cli_progress_end(cli);

	if (code == CURLE_COULDNT_CONNECT)
		return cli_fail(cli,
				"the cloud in %s does not run: nobody answers at %s; "
				"start it with `stoa serve --cloud %s`",
				cli->folder, cli->address, cli->folder);
	if (code != CURLE_OK)
		return cli_fail(cli, "%s at %s: %s", curl_easy_strerror(code), cli->address,
				exchange->error);
	curl_easy_getinfo(cli->curl, CURLINFO_RESPONSE_CODE, &http_status);
	if (http_status >= 200 && http_status < 300)
		return CLI_DONE;
	json_t *problem = json_of(&exchange->answer);
	const int status = tell_problem(cli, problem, http_status);
	json_decref(problem);
	return status;
}

/* Consumes the request. */
static int ask(struct cli *cli, struct exchange *exchange, struct cli_request *request)
{
	int status = request->path.failed ? cli_misuse(cli, "an argument is too long")
					  : cli_connect(cli);

	text_init(&exchange->answer, CLI_ANSWER_MAX);
	if (status == CLI_DONE) {
		prepare(cli, exchange, request);
		status = perform(cli, exchange);
	}
	cli_request_fini(request);
	return status;
}

int cli_ask(struct cli *cli, struct cli_request request, json_t **ret_answer)
{
	struct exchange exchange = {0};
	json_t *answer = NULL;
	int status = ask(cli, &exchange, &request);

	if (status == CLI_DONE) {
		answer = json_of(&exchange.answer);
		status = answer != NULL ? CLI_DONE
					: cli_fail(cli, "what answers at %s is no cloud's API",
						   cli->address);
	}
	if (status == CLI_DONE)
		*ret_answer = answer;
	exchange_fini(&exchange);
	return status;
}

int cli_ask_text(struct cli *cli, struct cli_request request, struct text *ret_answer)
{
	struct exchange exchange = {0};
	const int status = ask(cli, &exchange, &request);

	*ret_answer = exchange.answer;
	exchange.answer = (struct text){0};
	exchange_fini(&exchange);
	return status;
}

int cli_download(struct cli *cli, struct cli_request request, FILE *file)
{
	struct exchange exchange = {.file = file};
	const int status = ask(cli, &exchange, &request);

	exchange_fini(&exchange);
	return status;
}

/* ---- lists ---- */

/* The request for the page behind `after`; NULL: for the first. */
static struct cli_request page_of(const struct cli_request *list, const char *after)
{
	struct cli_request page = cli_request_make(list->method, false, true);

	text_append(&page.path, text_slice(&list->path));
	page.path.failed = list->path.failed;
	cli_request_query(&page, "limit", PAGE);
	cli_request_query(&page, "after", after);
	return page;
}

int cli_ask_pages(struct cli *cli, struct cli_request request, const char *list, cli_page_fn page,
		  void *context)
{
	char *after = NULL;
	int status;

	check(request.has_pages);
	do {
		json_t *answer = NULL;
		status = cli_ask(cli, page_of(&request, after), &answer);
		free(after);
		after = NULL;
		if (status == CLI_DONE) {
			const json_t *items = json_object_get(answer, list);
			page(context, answer);
			/* The journal has no end: its page behind the last record is empty. */
			if (json_is_string(json_object_get(answer, "next")) &&
			    json_array_size(items) > 0)
				after = strdup(cli_text(answer, "next"));
			json_decref(answer);
		}
	} while (after != NULL);
	cli_request_fini(&request);
	return status;
}

struct whole {
	const char *list;
	json_t *items;  /* of all pages */
	json_t *answer; /* the last page */
};

static void keep_page(void *context, json_t *answer)
{
	struct whole *whole = context;

	json_array_extend(whole->items, json_object_get(answer, whole->list));
	json_decref(whole->answer);
	whole->answer = json_incref(answer);
}

int cli_ask_list(struct cli *cli, struct cli_request request, const char *list, json_t **ret_answer)
{
	struct whole whole = {list, json_array(), NULL};
	const int status = cli_ask_pages(cli, request, list, keep_page, &whole);

	if (status == CLI_DONE) {
		json_object_set(whole.answer, list, whole.items);
		*ret_answer = json_incref(whole.answer);
	}
	json_decref(whole.answer);
	json_decref(whole.items);
	return status;
}

/* One call through the gateway, body and answer streamed. */
#include "cli/cli_internal.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/units.h"
#include "cli/routes.h"

#define CONNECT_MS_MAX 10000L
#define TIMEOUT_MS_MAX (24 * 3600 * 1000) /* a day */
#define CHARGE_MAX     64
#define CALL_MAX       64
#define REASON_MAX     64
/* Of a pipe, what is read before the call: a body that ends within it is sent with its length,
 * which many services need; a longer one is sent in chunks as it comes. */
#define AHEAD_BYTES_MAX 65536
#define WORD_MAX        65536 /* bytes of SERVICE, PATH and KEY, each; the gateway takes less */

struct call {
	struct cli *cli;
	FILE *body;          /* NULL: none */
	int64_t body_bytes;  /* -1: unknown */
	uint64_t timeout_ms; /* 0: none */
	char *ahead;         /* what was read of the body already */
	size_t ahead_bytes;
	size_t ahead_sent;
	const char *method;
	char address[CLI_ADDRESS_MAX]; /* of the gateway */
	char charge[CHARGE_MAX];
	char id[CALL_MAX];
	char reason[REASON_MAX]; /* "200 OK" */
	bool head_is_over;
	char error[CURL_ERROR_SIZE];
};

/* ---- the gateway's address ---- */

/* Where to connect for an address that means every one of the machine. */
static const char *reachable(const char *address, char text[CLI_ADDRESS_MAX])
{
	const struct slice whole = slice_of(address);
	const struct slice any4 = slice_of("0.0.0.0:");
	const struct slice any6 = slice_of("[::]:");

	if (slice_starts_with(whole, any4))
		snprintf(text, CLI_ADDRESS_MAX, "127.0.0.1:%s", address + any4.length);
	else if (slice_starts_with(whole, any6))
		snprintf(text, CLI_ADDRESS_MAX, "[::1]:%s", address + any6.length);
	else
		snprintf(text, CLI_ADDRESS_MAX, "%s", address);
	return text;
}

/* The first that speaks in plain; NULL: there is none. */
static const char *plain_address(const json_t *addresses)
{
	const json_t *item;
	size_t i;

	json_array_foreach(addresses, i, item)
	{
		const char *address = json_string_value(item);
		if (address != NULL && strncmp(address, "tls:", 4) != 0)
			return address;
	}
	return NULL;
}

static int find_gateway(struct call *call)
{
	json_t *answer = NULL;
	int status = cli_ask(call->cli, route_status(), &answer);
	const char *address = plain_address(json_object_get(answer, "gateway"));

	if (status == CLI_DONE && address == NULL)
		status = cli_fail(call->cli, "the cloud's gateway speaks TLS alone, which this "
					     "command does not: use curl with the --cacert of "
					     "docs/tls.md, or add a listener in plain");
	if (status == CLI_DONE)
		reachable(address, call->address);
	json_decref(answer);
	return status;
}

/* ---- the request's body ---- */

static bool is_file_or_pipe(int descriptor, int64_t *ret_bytes)
{
	struct stat about;

	*ret_bytes = -1;
	if (fstat(descriptor, &about) != 0)
		return false;
	if (S_ISREG(about.st_mode))
		*ret_bytes = about.st_size;
	return S_ISREG(about.st_mode) || S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode);
}

static int open_body(struct call *call)
{
	const char *file = cli_option(call->cli, "--data");

	call->body_bytes = -1;
	if (file == NULL || strcmp(file, "-") == 0) {
		const bool there = is_file_or_pipe(STDIN_FILENO, &call->body_bytes);
		/* A file may have been read from before. */
		if (there && lseek(STDIN_FILENO, 0, SEEK_CUR) > 0)
			call->body_bytes = -1;
		call->body = there || file != NULL ? stdin : NULL;
		return CLI_DONE;
	}
	call->body = fopen(file, "rbe");
	if (call->body == NULL)
		return cli_fail(call->cli, "%s: %s", file, strerror(errno));
	is_file_or_pipe(fileno(call->body), &call->body_bytes);
	return CLI_DONE;
}

static int read_ahead(struct call *call)
{
	call->ahead = malloc(AHEAD_BYTES_MAX);
	check(call->ahead != NULL);
	call->ahead_bytes = fread(call->ahead, 1, AHEAD_BYTES_MAX, call->body);
	if (ferror(call->body))
		return cli_fail(call->cli, "the body cannot be read: %s", strerror(errno));
	if (call->ahead_bytes < AHEAD_BYTES_MAX)
		call->body_bytes = (int64_t)call->ahead_bytes;
	return CLI_DONE;
}

static size_t read_body(char *bytes, size_t size, size_t count, void *context)
{
	struct call *call = context;
	const size_t left = call->ahead_bytes - call->ahead_sent;

	if (left > 0) {
		const size_t part = left < size * count ? left : size * count;
		memcpy(bytes, call->ahead + call->ahead_sent, part);
		call->ahead_sent += part;
		return part;
	}
	const size_t got = fread(bytes, 1, size * count, call->body);
	return got == 0 && ferror(call->body) ? CURL_READFUNC_ABORT : got;
}

/* ---- the answer ---- */

static size_t write_body(char *bytes, size_t size, size_t count, void *context)
{
	const size_t written = fwrite(bytes, size, count, stdout);

	(void)context;
	/* Events of a stream are seen when they come. */
	return fflush(stdout) == 0 ? written : 0;
}

static void keep_value(struct slice line, const char *name, char *value, size_t value_bytes_max)
{
	struct slice field;

	if (!slice_cut(&line, ':', &field) || !slice_equal_ignore_case(field, slice_of(name)))
		return;
	while (slice_ends_with(line, slice_of("\n")) || slice_ends_with(line, slice_of("\r")))
		line.length--;
	slice_to_text(slice_trim(line), value, value_bytes_max);
}

/* Header and trailer fields. */
static size_t read_header(char *bytes, size_t size, size_t count, void *context)
{
	struct call *call = context;
	const struct slice line = slice_make(bytes, size * count);

	if (slice_starts_with(line, slice_of("HTTP/"))) {
		const struct slice reason = slice_part(line, slice_find_byte(line, ' ', 0) + 1,
						       slice_find_byte(line, '\r', 0));
		slice_to_text(reason, call->reason, sizeof(call->reason));
		call->head_is_over = false;
	}
	if (cli_has_option(call->cli, "--head") && !call->head_is_over)
		fwrite(bytes, size, count, stdout);
	if (slice_equal(line, slice_of("\r\n")))
		call->head_is_over = true;
	keep_value(line, "stoa-charge", call->charge, sizeof(call->charge));
	keep_value(line, "stoa-call", call->id, sizeof(call->id));
	return size * count;
}

static void tell_charge(const struct call *call, long http_status)
{
	if (call->cli->json) {
		json_t *json = json_pack("{s:I, s:s, s:s}", "status", (json_int_t)http_status,
					 "charge", call->charge, "call", call->id);
		check(json != NULL);
		json_dumpf(json, stderr, JSON_COMPACT);
		fputc('\n', stderr);
		json_decref(json);
		return;
	}
	fprintf(stderr, "%s, %s%s%s\n", call->reason,
		call->charge[0] != '\0' ? call->charge : "not charged",
		call->id[0] != '\0' ? ", call " : "", call->id);
}

/* ---- the call ---- */

static struct curl_slist *headers_of(const struct call *call, const char *key)
{
	const struct cli *cli = call->cli;
	struct curl_slist *headers = NULL;
	struct text text;

	text_init(&text, WORD_MAX + 64);
	text_printf(&text, "Host: %s.localhost", cli->arguments[0]);
	check(!text.failed);
	headers = curl_slist_append(headers, text.data);
	text_clear(&text);
	text_printf(&text, "Authorization: Bearer %s", key);
	check(!text.failed);
	headers = curl_slist_append(headers, text.data);
	headers = curl_slist_append(headers, "Expect:");
	for (size_t i = 0; i < cli->given_count; i++) {
		if (strcmp(cli->given[i].name, "--header") == 0)
			headers = curl_slist_append(headers, cli->given[i].value);
	}
	text_fini(&text);
	check(headers != NULL);
	return headers;
}

static void set_target(const struct call *call, CURL *curl)
{
	const bool local = strncmp(call->address, "unix:", 5) == 0;
	struct text url;

	text_init(&url, WORD_MAX + CLI_ADDRESS_MAX + 16);
	text_printf(&url, "http://%s%s", local ? "localhost" : call->address,
		    call->cli->arguments[1]);
	check(!url.failed);
	curl_easy_setopt(curl, CURLOPT_URL, url.data);
	text_fini(&url);
	if (local)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, call->address + 5);
}

static int perform(struct call *call, const char *key)
{
	CURL *curl = call->cli->curl;
	struct curl_slist *headers = headers_of(call, key);
	long http_status = 0;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS_MAX);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
	set_target(call, curl);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->error);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, read_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_body);
	if (call->body != NULL) {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_bytes);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_body);
		curl_easy_setopt(curl, CURLOPT_READDATA, call);
	}
	if (strcmp(call->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	const CURLcode code = curl_easy_perform(curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_status);
	/* It was paid for, whatever became of it; the program tells what was wrong with its output.
	 */
	if (code == CURLE_WRITE_ERROR && ferror(stdout)) {
		tell_charge(call, http_status);
		return CLI_FAILED;
	}
	if (code != CURLE_OK)
		return cli_fail(call->cli, "%s at %s%s%s", curl_easy_strerror(code), call->address,
				call->error[0] != '\0' ? ": " : "", call->error);
	fflush(stdout);
	tell_charge(call, http_status);
	return http_status < 400 ? CLI_DONE : CLI_FAILED;
}

/* What has another meaning in a request's head than to stand in one of its words. */
static bool has_byte_up_to(const char *word, unsigned char most)
{
	for (; *word != '\0'; word++) {
		if ((unsigned char)*word <= most || *word == 0x7f)
			return true;
	}
	return false;
}

/* Whether the word can stand in a request's head; CLI_WRONG_USAGE after telling. */
static int check_word(const struct cli *cli, const char *name, const char *word)
{
	if (strlen(word) > WORD_MAX)
		return cli_misuse(cli, "%s has more than %d bytes", name, WORD_MAX);
	if (has_byte_up_to(word, ' '))
		return cli_misuse(cli, "%s has a space or a control character in it%s", name,
				  strcmp(name, "PATH") == 0 ? "; a space is written %20" : "");
	return CLI_DONE;
}

static int check_header(const struct cli *cli, const char *header)
{
	if (strchr(header, ':') == NULL || header[0] == ':')
		return cli_misuse(cli, "--header %s: \"NAME: VALUE\" is allowed", header);
	if (has_byte_up_to(header, '\t' - 1) || strpbrk(header, "\n\v\f\r") != NULL)
		return cli_misuse(cli, "--header: a control character is in it");
	return CLI_DONE;
}

/* What can be wrong with the words before anything is done. */
static int read_words(struct call *call, const char *key)
{
	const struct cli *cli = call->cli;
	const char *timeout = cli_option(cli, "--timeout");
	int status = check_word(cli, "SERVICE", cli->arguments[0]);
	uint64_t ns = 0;

	if (status == CLI_DONE)
		status = check_word(cli, "PATH", cli->arguments[1]);
	if (status == CLI_DONE)
		status = check_word(cli, "the key", key);
	if (status == CLI_DONE && cli_option(cli, "--method") != NULL)
		status = check_word(cli, "--method", cli_option(cli, "--method"));
	for (size_t i = 0; status == CLI_DONE && i < cli->given_count; i++) {
		if (strcmp(cli->given[i].name, "--header") == 0)
			status = check_header(cli, cli->given[i].value);
	}
	if (status != CLI_DONE)
		return status;
	if (cli->arguments[1][0] != '/')
		return cli_misuse(cli, "PATH begins with a slash: /%s", cli->arguments[1]);
	if (timeout != NULL && (!units_parse_duration_ns(slice_of(timeout), &ns) ||
				ns < CLOCK_NS_PER_MS || ns / CLOCK_NS_PER_MS > TIMEOUT_MS_MAX))
		return cli_misuse(cli, "--timeout %s: a duration from 1ms to 1d is allowed",
				  timeout);
	call->timeout_ms = ns / CLOCK_NS_PER_MS;
	return CLI_DONE;
}

int cli_call(struct cli *cli)
{
	struct call call = {.cli = cli};
	const char *key = cli_option(cli, "--key");

	if (key == NULL)
		key = getenv("STOA_KEY");
	if (key == NULL || key[0] == '\0')
		return cli_misuse(cli, "an API key is needed: --key KEY, or STOA_KEY in the "
				       "environment; `stoa key create` makes one");
	int status = read_words(&call, key);
	if (status == CLI_DONE)
		status = open_body(&call);
	if (status == CLI_DONE && call.body != NULL && call.body_bytes < 0)
		status = read_ahead(&call);
	if (status == CLI_DONE)
		status = find_gateway(&call);
	if (status == CLI_DONE) {
		call.method = cli_option(cli, "--method");
		if (call.method == NULL)
			call.method = call.body != NULL ? "POST" : "GET";
		status = perform(&call, key);
	}
	if (call.body != NULL && call.body != stdin)
		fclose(call.body);
	free(call.ahead);
	return status;
}

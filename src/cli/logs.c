#include "cli/cli_internal.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define LINES_MAX     10000
#define LINES_DEFAULT 100
#define FOLLOW_MS     200 /* between two looks */

static void print_lines(const struct cli *cli, const json_t *answer)
{
	const json_t *lines = json_object_get(answer, "lines");
	const json_t *line;
	size_t i;

	if (cli->json) {
		cli_print_json(answer);
		return;
	}
	json_array_foreach(lines, i, line) puts(json_string_value(line));
}

/* Until nobody reads what is printed any more. */
static bool wait_for_more(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO};

	return fflush(stdout) == 0 && poll(&output, 1, FOLLOW_MS) <= 0;
}

static int follow(struct cli *cli, const char *path, json_t *answer)
{
	int status = CLI_DONE;

	while (status == CLI_DONE && wait_for_more()) {
		struct text next;
		json_t *more = NULL;
		text_init(&next, 8192);
		text_append_text(&next, path);
		cli_query_append(&next, "lines", "10000");
		cli_query_append(&next, "after", cli_text(answer, "next"));
		status = cli_ask(cli, "GET", next.data, NULL, NULL, &more);
		text_fini(&next);
		if (status != CLI_DONE)
			break;
		json_decref(answer);
		answer = more;
		if (json_array_size(json_object_get(answer, "lines")) > 0)
			print_lines(cli, answer);
	}
	json_decref(answer);
	return status;
}

int cli_logs(struct cli *cli)
{
	struct text path, last;
	json_t *answer = NULL;
	uint64_t lines;
	int status = cli_option_count(cli, "--lines", 1, LINES_MAX, LINES_DEFAULT, &lines);

	if (status != CLI_DONE)
		return status;
	text_init(&path, 4096);
	text_append_text(&path, "/v1/services/");
	cli_path_append(&path, cli->arguments[0]);
	text_append_text(&path, "/logs");
	text_init(&last, 4200);
	text_append(&last, text_slice(&path));
	cli_query_append(&last, "lines", cli_option(cli, "--lines"));
	status = path.failed || last.failed ? cli_misuse(cli, "an argument is too long")
					    : cli_ask(cli, "GET", last.data, NULL, NULL, &answer);
	if (status == CLI_DONE)
		print_lines(cli, answer);
	if (status == CLI_DONE && cli_has_option(cli, "--follow")) {
		status = follow(cli, path.data, answer);
		answer = NULL;
	}
	text_fini(&path);
	text_fini(&last);
	json_decref(answer);
	return status;
}

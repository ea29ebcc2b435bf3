#include "cli/cli_internal.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/routes.h"

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

static int follow(struct cli *cli, json_t *answer)
{
	int status = CLI_DONE;

	while (status == CLI_DONE && wait_for_more()) {
		json_t *more = NULL;
		const struct route_services_logs next = {.name = cli->arguments[0],
							 .lines = LINES_MAX,
							 .after = cli_text(answer, "next")};
		status = cli_ask(cli, route_services_logs(next), &more);
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
	json_t *answer = NULL;
	uint64_t lines;
	int status = cli_option_count(cli, "--lines", 1, LINES_MAX, LINES_DEFAULT, &lines);

	if (status != CLI_DONE)
		return status;
	const struct route_services_logs last = {.name = cli->arguments[0], .lines = lines};
	status = cli_ask(cli, route_services_logs(last), &answer);
	if (status == CLI_DONE)
		print_lines(cli, answer);
	if (status == CLI_DONE && cli_has_option(cli, "--follow")) {
		status = follow(cli, answer);
		answer = NULL;
	}
	json_decref(answer);
	return status;
}

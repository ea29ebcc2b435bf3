#include "cli/cli_internal.h"

#include <stdio.h>

#define LINES_MAX     10000
#define LINES_DEFAULT 100

int cli_logs(struct cli *cli)
{
	struct text path;
	json_t *answer = NULL;
	const json_t *line;
	uint64_t lines;
	size_t i;

	const int misuse = cli_option_count(cli, "--lines", 1, LINES_MAX, LINES_DEFAULT, &lines);
	if (misuse != CLI_DONE)
		return misuse;
	text_init(&path, 4096);
	text_append_text(&path, "/v1/services/");
	cli_path_append(&path, cli->arguments[0]);
	text_append_text(&path, "/logs");
	cli_query_append(&path, "lines", cli_option(cli, "--lines"));
	const int status = path.failed ? cli_misuse(cli, "an argument is too long")
				       : cli_ask(cli, "GET", path.data, NULL, NULL, &answer);
	if (status == CLI_DONE && cli->json) {
		cli_print_json(answer);
	} else if (status == CLI_DONE) {
		json_array_foreach(json_object_get(answer, "lines"), i, line)
			puts(json_string_value(line));
	}
	text_fini(&path);
	json_decref(answer);
	return status;
}

#include "cli/cli_internal.h"

#include <stdio.h>

#define LINES_MAX     1000
#define LINES_DEFAULT 100

static void print_transfers(const json_t *items)
{
	static const struct cli_column columns[] = {
		{"TIME", CLI_TIME, "at"},       {"KIND", CLI_LEFT, "kind"},
		{"PHASE", CLI_LEFT, "phase"},   {"FROM", CLI_LEFT, "debit"},
		{"TO", CLI_LEFT, "credit"},     {"AMOUNT", CLI_MONEY, "amount"},
		{"PERIOD", CLI_LEFT, "period"},
	};

	cli_table_print(items, columns, sizeof(columns) / sizeof(columns[0]));
}

int cli_ledger_transfers(struct cli *cli)
{
	struct text path;
	json_t *answer = NULL;
	char limit[24];
	uint64_t lines;
	int status = cli_option_count(cli, "--lines", 1, LINES_MAX, LINES_DEFAULT, &lines);

	if (status != CLI_DONE)
		return status;
	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)lines);
	text_init(&path, 8192);
	text_append_text(&path, "/v1/ledger/");
	cli_path_append(&path, cli->arguments[0]);
	text_append_text(&path, "/transfers");
	cli_query_append(&path, "limit", limit);
	cli_query_append(&path, "after", cli_option(cli, "--after"));
	status = path.failed ? cli_misuse(cli, "an argument is too long")
			     : cli_ask(cli, "GET", path.data, NULL, NULL, &answer);
	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_transfers(json_object_get(answer, "items"));
	if (status == CLI_DONE && !cli->json && cli_text(answer, "next")[0] != '\0')
		fprintf(stderr, "there are more: --after %s\n", cli_text(answer, "next"));
	text_fini(&path);
	json_decref(answer);
	return status;
}

#include "cli/cli_internal.h"

#include <stdio.h>

#include "cli/routes.h"

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
	json_t *answer = NULL;
	uint64_t lines;
	int status = cli_option_count(cli, "--lines", 1, LINES_MAX, LINES_DEFAULT, &lines);

	if (status != CLI_DONE)
		return status;
	const struct route_transfers_list wanted = {
		.account = cli->arguments[0], .limit = lines, .after = cli_option(cli, "--after")};
	status = cli_ask(cli, route_transfers_list(wanted), &answer);
	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_transfers(json_object_get(answer, "items"));
	if (status == CLI_DONE && !cli->json && cli_text(answer, "next")[0] != '\0')
		fprintf(stderr, "there are more: --after %s\n", cli_text(answer, "next"));
	json_decref(answer);
	return status;
}

#include "cli/cli_internal.h"

#include <stdio.h>

int cli_account_create(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask(cli, "POST", "/v1/accounts",
				   json_pack("{s:s}", "name", cli->arguments[0]), NULL, &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		printf("account %s (%s)\n", cli_text(answer, "name"), cli_text(answer, "id"));
	json_decref(answer);
	return status;
}

static void print_accounts(const json_t *items)
{
	static const struct cli_column columns[] = {
		{"NAME", CLI_LEFT},    {"BALANCE", CLI_MONEY}, {"AVAILABLE", CLI_MONEY},
		{"LEASED", CLI_MONEY}, {"OWED", CLI_MONEY},    {"CREATED", CLI_LEFT}};
	struct cli_table table;
	char time[CLI_TIME_MAX];
	const json_t *item;
	size_t i;

	cli_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]),
			cli_text(json_array_get(items, 0), "currency"));
	json_array_foreach(items, i, item)
	{
		cli_table_add(&table, cli_text(item, "name"));
		cli_table_add(&table, cli_text(item, "balance"));
		cli_table_add(&table, cli_text(item, "available"));
		cli_table_add(&table, cli_text(item, "leased"));
		cli_table_add(&table, cli_text(item, "owed"));
		cli_table_add(&table, cli_time(item, "created", time));
	}
	cli_table_end(&table);
}

int cli_account_list(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask_list(cli, "/v1/accounts", &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_accounts(json_object_get(answer, "items"));
	json_decref(answer);
	return status;
}

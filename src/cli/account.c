#include "cli/cli_internal.h"

#include <stdio.h>

#include "cli/routes.h"

int cli_account_create(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask(
		cli,
		route_accounts_create((struct route_accounts_create){.name = cli->arguments[0]}),
		&answer);

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
		{"NAME", CLI_LEFT, "name"},
		{"BALANCE", CLI_MONEY, "balance"},
		{"AVAILABLE", CLI_MONEY, "available"},
		{"LEASED", CLI_MONEY, "leased"},
		{"OWED", CLI_MONEY, "owed"},
		{"CREATED", CLI_TIME, "created"},
	};

	cli_table_print(items, columns, sizeof(columns) / sizeof(columns[0]));
}

int cli_account_list(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask_list(cli, route_accounts_list((struct route_accounts_list){0}),
					"items", &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_accounts(json_object_get(answer, "items"));
	json_decref(answer);
	return status;
}

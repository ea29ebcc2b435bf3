#include "cli/cli_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/routes.h"

int cli_app_create(struct cli *cli)
{
	char *account = strdup(cli->arguments[0]);
	const char *name = cli_split(account, '/');
	json_t *answer = NULL;
	const int status = name == NULL
				   ? cli_misuse(cli, "\"%s\" is not ACCOUNT/APP", cli->arguments[0])
				   : cli_ask(cli,
					     route_apps_create((struct route_apps_create){
						     .account = account, .name = name}),
					     &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		printf("app %s (%s)\n", cli_text(answer, "app"), cli_text(answer, "id"));
	free(account);
	json_decref(answer);
	return status;
}

static void print_apps(const json_t *items)
{
	static const struct cli_column columns[] = {
		{"APP", CLI_LEFT, "app"},
		{"ID", CLI_LEFT, "id"},
		{"CREATED", CLI_TIME, "created"},
	};

	cli_table_print(items, columns, sizeof(columns) / sizeof(columns[0]));
}

int cli_app_list(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask_list(
		cli, route_apps_list((struct route_apps_list){.account = cli_argument(cli, 0)}),
		"items", &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_apps(json_object_get(answer, "items"));
	json_decref(answer);
	return status;
}

#include "cli/cli_internal.h"

#include <stdio.h>

int cli_app_create(struct cli *cli)
{
	const struct slice path = slice_of(cli->arguments[0]);
	const size_t slash = slice_find_byte(path, '/', 0);
	json_t *answer = NULL;

	if (slash == path.length)
		return cli_misuse(cli, "\"%s\" is not ACCOUNT/APP", path.data);
	const int status = cli_ask(cli, "POST", "/v1/apps",
				   json_pack("{s:s%, s:s}", "account", path.data, slash, "name",
					     path.data + slash + 1),
				   NULL, &answer);
	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		printf("app %s (%s)\n", cli_text(answer, "app"), cli_text(answer, "id"));
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
	struct text path;
	json_t *answer = NULL;

	text_init(&path, 4096);
	text_append_text(&path, "/v1/apps");
	cli_query_append(&path, "account", cli->argument_count > 0 ? cli->arguments[0] : NULL);
	const int status = path.failed ? cli_misuse(cli, "the argument is too long")
				       : cli_ask_list(cli, path.data, &answer);
	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_apps(json_object_get(answer, "items"));
	text_fini(&path);
	json_decref(answer);
	return status;
}

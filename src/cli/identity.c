#include "cli/cli_internal.h"

#include "cli/routes.h"

static int ask_and_print(struct cli *cli, struct cli_request request)
{
	static const struct cli_column columns[] = {{"KEY ID", CLI_LEFT, "keyid"},
						    {"USE", CLI_LEFT, "use"},
						    {"SECRET", CLI_LEFT, "secret"}};
	json_t *answer = NULL;
	const int status = cli_ask(cli, request, &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		cli_table_print(json_object_get(answer, "keys"), columns,
				sizeof(columns) / sizeof(columns[0]));
	if (status == CLI_DONE && !cli->json && !json_is_true(json_object_get(answer, "signed")))
		fprintf(stderr,
			"calls of %s are not signed; `identity: signed` in its manifest asks for "
			"it\n",
			cli_text(answer, "service"));
	json_decref(answer);
	return status;
}

int cli_identity_show(struct cli *cli)
{
	const struct route_identity_show wanted = {.name = cli->arguments[0]};

	return ask_and_print(cli, route_identity_show(wanted));
}

int cli_identity_rotate(struct cli *cli)
{
	const struct route_identity_rotate wanted = {.name = cli->arguments[0]};

	return ask_and_print(cli, route_identity_rotate(wanted));
}

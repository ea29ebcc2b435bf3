#include "cli/cli_internal.h"

#include <stdio.h>

#include "cli/routes.h"

int cli_token_create(struct cli *cli)
{
	const char *role = cli_option(cli, "--role");
	const struct route_tokens_create made = {
		.account = cli->arguments[0],
		.role = role != NULL ? role : "provider",
		.expires = cli_option(cli, "--expires"),
	};
	json_t *answer = NULL;
	const int status = cli_ask(cli, route_tokens_create(made), &answer);

	if (status == CLI_DONE && cli->json) {
		cli_print_json(answer);
	} else if (status == CLI_DONE) {
		puts(cli_text(answer, "token"));
		fprintf(stderr, "%s of %s; keep it, for it is not shown again\n",
			cli_text(answer, "id"), cli_text(answer, "account"));
	}
	json_decref(answer);
	return status;
}

int cli_token_list(struct cli *cli)
{
	static const struct cli_column columns[] = {
		{"ID", CLI_LEFT, "id"},           {"ACCOUNT", CLI_LEFT, "account"},
		{"ROLE", CLI_LEFT, "role"},       {"ENDS WITH", CLI_LEFT, "last_four"},
		{"EXPIRES", CLI_TIME, "expires"}, {"REVOKED", CLI_TIME, "revoked"},
		{"CREATED", CLI_TIME, "created"}};
	const struct route_tokens_list wanted = {
		.account = cli->argument_count > 0 ? cli->arguments[0] : NULL};
	json_t *answer = NULL;
	const int status = cli_ask_list(cli, route_tokens_list(wanted), "items", &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		cli_table_print(json_object_get(answer, "items"), columns,
				sizeof(columns) / sizeof(columns[0]));
	json_decref(answer);
	return status;
}

int cli_token_revoke(struct cli *cli)
{
	const struct route_tokens_revoke revoked = {.id = cli->arguments[0]};
	json_t *answer = NULL;
	char time[CLI_TIME_MAX];

	if (cli_check_id(cli, "token", "last") != CLI_DONE)
		return CLI_WRONG_USAGE;
	const int status = cli_ask(cli, route_tokens_revoke(revoked), &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		printf("%s of %s is revoked since %s\n", cli_text(answer, "id"),
		       cli_text(answer, "account"), cli_time(answer, "revoked", time));
	json_decref(answer);
	return status;
}

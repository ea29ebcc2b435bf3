#include "cli/cli_internal.h"

#include <stdio.h>

#include "cli/routes.h"

static void print_funding(const json_t *answer, bool now)
{
	printf("%s %s funded with %s %s%s; its balance %s %s %s\n", cli_text(answer, "account"),
	       now ? "was" : "had been", cli_text(answer, "amount"), cli_text(answer, "currency"),
	       now ? "" : " under this key", now ? "is" : "was then", cli_text(answer, "balance"),
	       cli_text(answer, "currency"));
}

int cli_fund(struct cli *cli)
{
	const struct route_accounts_fund funding = {
		.account = cli->arguments[0],
		.amount = cli->arguments[1],
		.idempotency_key = cli_option(cli, "--idempotency-key"),
	};
	json_t *answer = NULL;
	const int status = cli_ask(cli, route_accounts_fund(funding), &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_funding(answer, json_is_true(json_object_get(answer, "created")) &&
					      !cli->given_again);
	json_decref(answer);
	return status;
}

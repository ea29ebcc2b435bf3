#include "cli/cli_internal.h"

#include <stdio.h>

#include "cli/routes.h"

int cli_receipt(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask(
		cli, route_receipts_show((struct route_receipts_show){.call = cli->arguments[0]}),
		&answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		fputs(cli_text(answer, "receipt"), stdout);
	json_decref(answer);
	return status;
}

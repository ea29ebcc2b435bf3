#include "cli/cli_internal.h"

#include <stdio.h>

int cli_receipt(struct cli *cli)
{
	struct text path;
	json_t *answer = NULL;

	text_init(&path, 8192);
	text_append_text(&path, "/v1/receipts/");
	cli_path_append(&path, cli->arguments[0]);
	const int status = path.failed ? cli_misuse(cli, "an argument is too long")
				       : cli_ask(cli, "GET", path.data, NULL, NULL, &answer);
	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		fputs(cli_text(answer, "receipt"), stdout);
	text_fini(&path);
	json_decref(answer);
	return status;
}

#include "cli/cli_internal.h"

#include <stdio.h>

static void print_funding(const json_t *answer, bool now)
{
	printf("%s %s funded with %s %s%s; its balance %s %s %s\n", cli_text(answer, "account"),
	       now ? "was" : "had been", cli_text(answer, "amount"), cli_text(answer, "currency"),
	       now ? "" : " under this key", now ? "is" : "was then", cli_text(answer, "balance"),
	       cli_text(answer, "currency"));
}

int cli_fund(struct cli *cli)
{
	const char *key = cli_option(cli, "--idempotency-key");
	struct text path;
	struct text header;
	json_t *answer = NULL;

	text_init(&path, 4096);
	text_append_text(&path, "/v1/accounts/");
	cli_path_append(&path, cli->arguments[0]);
	text_append_text(&path, "/funds");
	text_init(&header, 1024);
	text_printf(&header, "Idempotency-Key: %s", key != NULL ? key : "");
	const char *headers[] = {key != NULL ? header.data : NULL, NULL};
	int status = path.failed || header.failed ? cli_misuse(cli, "an argument is too long")
						  : CLI_DONE;
	if (status == CLI_DONE)
		status = cli_ask(cli, "POST", path.data,
				 json_pack("{s:s}", "amount", cli->arguments[1]), headers, &answer);
	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_funding(answer, json_is_true(json_object_get(answer, "created")) &&
					      !cli->given_again);
	text_fini(&path);
	text_fini(&header);
	json_decref(answer);
	return status;
}

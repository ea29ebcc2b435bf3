#include "cli/cli_internal.h"

#include <stdio.h>

#include "cli/routes.h"

static int find_subscription(struct cli *cli, json_t **ret_items)
{
	const struct route_subscriptions_list wanted = {.app = cli->arguments[0],
							.service = cli->arguments[1]};

	return cli_ask_list(cli, route_subscriptions_list(wanted), "items", ret_items);
}

static int end_subscription(struct cli *cli, const char *id, json_t **ret_answer)
{
	const struct route_subscriptions_end ended = {.id = id, .wait = cli_wait_ms(cli)};

	return cli_ask(cli, route_subscriptions_end(ended), ret_answer);
}

static int tell_ended(const struct cli *cli, const json_t *answer)
{
	char time[CLI_TIME_MAX];

	if (cli->json)
		cli_print_json(answer);
	else
		printf("%s may not call %s any more, since %s\n", cli_text(answer, "app"),
		       cli_text(answer, "service"), cli_time(answer, "ended", time));
	return cli_tell_applied(cli, answer);
}

int cli_unsubscribe(struct cli *cli)
{
	json_t *found = NULL, *answer = NULL;
	int status = find_subscription(cli, &found);

	/* An app has at most one active subscription to a service. */
	const json_t *item = json_array_get(json_object_get(found, "items"), 0);
	if (status == CLI_DONE && item == NULL)
		status = cli_fail(cli,
				  "%s is not subscribed to %s; `stoa subscription list` shows what "
				  "there is",
				  cli->arguments[0], cli->arguments[1]);
	if (status == CLI_DONE)
		status = end_subscription(cli, cli_text(item, "id"), &answer);
	if (status == CLI_DONE)
		status = tell_ended(cli, answer);
	json_decref(answer);
	json_decref(found);
	return status;
}

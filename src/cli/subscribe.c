#include "cli/cli_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/routes.h"

/* "SERVICE[:PLAN]" and "AMOUNT[/month]", split at their marks. */
static struct cli_request request_of(const struct cli *cli)
{
	const char *budget = cli_option(cli, "--budget");
	char *service = strdup(cli->arguments[1]);
	char *amount = budget != NULL ? strdup(budget) : NULL;
	const struct cli_request request =
		route_subscriptions_create((struct route_subscriptions_create){
			.app = cli->arguments[0],
			.plan = cli_split(service, ':'),
			.service = service,
			.budget_period = cli_split(amount, '/'),
			.budget = amount,
		});

	free(service);
	free(amount);
	return request;
}

static void print_subscription(const json_t *answer)
{
	const char *budget = cli_text(answer, "budget");

	printf("%s may call %s on plan %s (version %lld)", cli_text(answer, "app"),
	       cli_text(answer, "service"), cli_text(answer, "plan"),
	       (long long)cli_number(answer, "plan_version"));
	if (budget[0] != '\0')
		printf(", for at most %s %s%s", budget, cli_text(answer, "currency"),
		       strcmp(cli_text(answer, "budget_period"), "month") == 0 ? " a month" : "");
	else
		fputs(", with no budget", stdout);
	if (strcmp(cli_text(answer, "outcome"), "same") == 0)
		fputs(", as before", stdout);
	putchar('\n');
}

int cli_subscribe(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask(cli, request_of(cli), &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_subscription(answer);
	json_decref(answer);
	return status;
}

/* ---- list ---- */

static void print_list(const json_t *items)
{
	static const struct cli_column columns[] = {
		{"APP", CLI_LEFT, "app"},         {"SERVICE", CLI_LEFT, "service"},
		{"PLAN", CLI_LEFT, "plan"},       {"VERSION", CLI_RIGHT, "plan_version"},
		{"BUDGET", CLI_MONEY, "budget"},  {"PERIOD", CLI_LEFT, "budget_period"},
		{"CREATED", CLI_TIME, "created"},
	};

	json_t *moves = json_array();
	json_t *item;
	size_t i;

	cli_table_print(items, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(items, i, item)
		json_array_append(moves, json_object_get(item, "change"));
	cli_print_moves(moves);
	json_decref(moves);
}

int cli_subscription_list(struct cli *cli)
{
	const struct route_subscriptions_list wanted = {.app = cli_argument(cli, 0)};
	json_t *answer = NULL;
	const int status = cli_ask_list(cli, route_subscriptions_list(wanted), "items", &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_list(json_object_get(answer, "items"));
	json_decref(answer);
	return status;
}

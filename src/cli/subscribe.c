#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>

/* "SERVICE[:PLAN]" and "AMOUNT[/month]", split at their marks. */
static json_t *body_of(const struct cli *cli)
{
	struct slice plan = slice_of(cli->arguments[1]);
	struct slice period = slice_of(cli_option(cli, "--budget"));
	struct slice service = {0};
	struct slice amount = {0};

	slice_cut(&plan, ':', &service);
	json_t *body = json_pack("{s:s, s:s%}", "app", cli->arguments[0], "service", service.data,
				 service.length);
	if (plan.length > 0)
		json_object_set_new(body, "plan", json_stringn(plan.data, plan.length));
	if (!slice_cut(&period, '/', &amount))
		return body;
	json_object_set_new(body, "budget", json_stringn(amount.data, amount.length));
	if (period.length > 0)
		json_object_set_new(body, "budget_period",
				    json_stringn(period.data, period.length));
	return body;
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
	json_t *body = cli->arguments[1][0] != '\0' ? body_of(cli) : NULL;
	json_t *answer = NULL;

	if (body == NULL)
		return cli_misuse(cli, "an argument is empty or is not UTF-8 text");
	const int status = cli_ask(cli, "POST", "/v1/subscriptions", body, NULL, &answer);
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

	cli_table_print(items, columns, sizeof(columns) / sizeof(columns[0]));
}

int cli_subscription_list(struct cli *cli)
{
	struct text path;
	json_t *answer = NULL;

	text_init(&path, 4096);
	text_append_text(&path, "/v1/subscriptions");
	cli_query_append(&path, "app", cli->argument_count > 0 ? cli->arguments[0] : NULL);
	const int status = path.failed ? cli_misuse(cli, "the argument is too long")
				       : cli_ask_list(cli, path.data, &answer);
	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_list(json_object_get(answer, "items"));
	text_fini(&path);
	json_decref(answer);
	return status;
}

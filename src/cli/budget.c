#include "cli/cli_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/routes.h"

static void print_budgets(const json_t *answer)
{
	static const struct cli_column columns[] = {
		{"OF", CLI_LEFT, "of"},          {"LEVEL", CLI_LEFT, "level"},
		{"BUDGET", CLI_MONEY, "amount"}, {"PERIOD", CLI_LEFT, "period"},
		{"SPENT", CLI_MONEY, "spent"},   {"LEFT", CLI_MONEY, "left"},
	};
	const json_t *budgets = json_object_get(answer, "budgets");

	if (json_array_size(budgets) > 0)
		cli_table_print(budgets, columns, sizeof(columns) / sizeof(columns[0]));
	else
		printf("%s has no budget: the balance alone bounds it\n", cli_text(answer, "of"));
}

static int ask(struct cli *cli, struct cli_request request)
{
	json_t *answer = NULL;
	const int status = cli_ask(cli, request, &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_budgets(answer);
	json_decref(answer);
	return status;
}

int cli_budget_set(struct cli *cli)
{
	char *amount = strdup(cli->arguments[1]);
	struct route_budgets_set wanted = {.of = cli->arguments[0],
					   .period = cli_split(amount, '/')};

	wanted.amount = amount;
	const int status = ask(cli, route_budgets_set(wanted));
	free(amount);
	return status;
}

int cli_budget_show(struct cli *cli)
{
	return ask(cli, route_budgets_show((struct route_budgets_show){.of = cli->arguments[0]}));
}

int cli_budget_remove(struct cli *cli)
{
	return ask(cli,
		   route_budgets_remove((struct route_budgets_remove){.of = cli->arguments[0]}));
}

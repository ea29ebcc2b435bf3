#include "cli/cli_internal.h"

#include <stdio.h>

#include "cli/routes.h"

static const struct cli_column columns[] = {
	{"ACCOUNT", CLI_LEFT},          {"DEBITS PENDING", CLI_MONEY}, {"DEBITS POSTED", CLI_MONEY},
	{"CREDITS PENDING", CLI_MONEY}, {"CREDITS POSTED", CLI_MONEY},
};

static void add_row(struct cli_table *table, const char *name, const json_t *row)
{
	cli_table_add(table, name);
	cli_table_add(table, cli_text(row, "debits_pending"));
	cli_table_add(table, cli_text(row, "debits_posted"));
	cli_table_add(table, cli_text(row, "credits_pending"));
	cli_table_add(table, cli_text(row, "credits_posted"));
}

static void print_one(const json_t *answer, const json_t *sum)
{
	struct cli_table table;
	const json_t *account;
	size_t i;

	printf("ledger %s\n", cli_text(sum, "name"));
	cli_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]),
			cli_text(answer, "currency"));
	json_array_foreach(json_object_get(answer, "accounts"), i, account)
	{
		if (cli_number(account, "ledger") == cli_number(sum, "ledger"))
			add_row(&table, cli_text(account, "name"), account);
	}
	add_row(&table, "sum", sum);
	cli_table_end(&table);
	puts(json_is_true(json_object_get(sum, "balances"))
		     ? "it balances: debits and credits sum to zero\n"
		     : "IT DOES NOT BALANCE\n");
}

/* Fails where a ledger does not balance, so that scripts may rely on it. */
int cli_ledger(struct cli *cli)
{
	json_t *answer = NULL;
	int status = cli_ask_list(cli, route_ledger_show((struct route_ledger_show){0}), "accounts",
				  &answer);
	const json_t *sum;
	size_t i;

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	json_array_foreach(json_object_get(answer, "sums"), i, sum)
	{
		if (!cli->json && cli_number(sum, "accounts") > 0)
			print_one(answer, sum);
		if (!json_is_true(json_object_get(sum, "balances")))
			status = cli_fail(cli, "the ledger %s does not balance",
					  cli_text(sum, "name"));
	}
	json_decref(answer);
	return status;
}

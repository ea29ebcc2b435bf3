/* What a month would cost under a plan. */
#include "cli/cli_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/routes.h"

#define QUANTITIES_MAX 1001 /* bytes with the NUL; the route takes no more */

static void add_price(struct cli_table *table, const json_t *part)
{
	const int64_t per = cli_number(part, "per");
	char text[96];

	if (per > 1)
		snprintf(text, sizeof(text), "%s per %" PRId64, cli_text(part, "price"), per);
	else
		snprintf(text, sizeof(text), "%s", cli_text(part, "price"));
	cli_table_add(table, text);
}

/* A fraction of a nano, where there is one. */
static void add_end(struct cli_table *table, const json_t *object)
{
	cli_table_add(table, cli_text(object, "fraction"));
	cli_table_add(table, cli_text(object, "amount"));
}

static void add_line(struct cli_table *table, const json_t *line)
{
	const json_t *part;
	size_t i;

	json_array_foreach(json_object_get(line, "parts"), i, part)
	{
		cli_table_add(table, "");
		cli_table_add(table, cli_text(part, "part"));
		cli_table_add_number(table, cli_number(part, "quantity"));
		add_price(table, part);
		add_end(table, part);
	}
	cli_table_add(table, cli_text(line, "meter"));
	cli_table_add(table, cli_text(line, "model"));
	cli_table_add_number(table, cli_number(line, "quantity"));
	cli_table_add(table, "");
	add_end(table, line);
}

static void add_sum(struct cli_table *table, const char *what, const char *amount)
{
	cli_table_add(table, what);
	for (int i = 0; i < 4; i++)
		cli_table_add(table, "");
	cli_table_add(table, amount);
}

static void print_preview(const json_t *preview)
{
	static const struct cli_column columns[] = {
		{"METER", CLI_LEFT},           {"HOW", CLI_LEFT},
		{"QUANTITY", CLI_RIGHT},       {"PRICE", CLI_RIGHT},
		{"PART OF A NANO", CLI_RIGHT}, {"AMOUNT", CLI_MONEY}};
	const json_t *discounts = json_object_get(preview, "discounts");
	struct cli_table table;
	const json_t *item;
	size_t i;

	printf("a month of %s on plan %s (version %" PRId64 ")", cli_text(preview, "service"),
	       cli_text(preview, "plan"), cli_number(preview, "plan_version"));
	if (cli_text(preview, "app")[0] != '\0')
		printf(", with what %s used in %s", cli_text(preview, "app"),
		       cli_text(preview, "period"));
	fputs("\n\n", stdout);
	cli_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]),
			cli_text(preview, "currency"));
	json_array_foreach(json_object_get(preview, "lines"), i, item) add_line(&table, item);
	if (json_array_size(discounts) > 0)
		add_sum(&table, "list", cli_text(preview, "list"));
	json_array_foreach(discounts, i, item)
		add_sum(&table, cli_text(item, "discount"), cli_text(item, "amount"));
	add_sum(&table, "total", cli_text(preview, "total"));
	if (cli_text(preview, "charged")[0] != '\0')
		add_sum(&table, "it was charged", cli_text(preview, "charged"));
	cli_table_end(&table);
}

/* "METER=COUNT" with commas between; false where they are too many. */
static bool join_quantities(const struct cli *cli, char quantities[QUANTITIES_MAX])
{
	size_t length = 0;

	quantities[0] = '\0';
	for (size_t i = 1; i < cli->argument_count; i++) {
		const int added = snprintf(quantities + length, QUANTITIES_MAX - length, "%s%s",
					   i > 1 ? "," : "", cli->arguments[i]);
		if (added < 0 || (size_t)added >= QUANTITIES_MAX - length)
			return false;
		length += (size_t)added;
	}
	return true;
}

int cli_price(struct cli *cli)
{
	char quantities[QUANTITIES_MAX];
	json_t *answer = NULL;

	if (!join_quantities(cli, quantities))
		return cli_misuse(cli, "the quantities have more than %d bytes",
				  QUANTITIES_MAX - 1);
	char *service = strdup(cli->arguments[0]);
	const char *plan = cli_split(service, ':');
	const struct cli_request request = route_price_show((struct route_price_show){
		.service = service,
		.plan = plan,
		.quantities = quantities[0] != '\0' ? quantities : NULL,
		.app = cli_option(cli, "--app"),
		.period = cli_option(cli, "--period"),
	});
	free(service);
	const int status = cli_ask(cli, request, &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_preview(answer);
	json_decref(answer);
	return status;
}

/* Who changed what, and when. */
#include "cli/cli_internal.h"

#include <stdlib.h>

#include "cli/routes.h"

/* "amount=10.00 currency=USD": the facts of a change on one line. */
static void add_facts(struct cli_table *table, json_t *facts)
{
	struct text text;
	const char *name;
	json_t *value;

	text_init(&text, 1u << 20);
	json_object_foreach(facts, name, value)
	{
		char *shown = json_is_string(value)
				      ? NULL
				      : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		text_printf(&text, "%s%s=%s", text.length > 0 ? " " : "", name,
			    shown != NULL ? shown : json_string_value(value));
		free(shown);
	}
	cli_table_add(table, text.length > 0 ? text.data : "");
	text_fini(&text);
}

static void print_page(const json_t *items)
{
	static const struct cli_column columns[] = {{"TIME", CLI_LEFT},      {"WHO", CLI_LEFT},
						    {"OPERATION", CLI_LEFT}, {"KIND", CLI_LEFT},
						    {"NAME", CLI_LEFT},      {"FACTS", CLI_LEFT}};
	struct cli_table table;
	char time[CLI_TIME_MAX];
	const json_t *item;
	size_t i;

	cli_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]), "");
	json_array_foreach(items, i, item)
	{
		cli_table_add(&table, cli_time(item, "at", time));
		cli_table_add(&table, cli_text(item, "actor"));
		cli_table_add(&table, cli_text(item, "operation"));
		cli_table_add(&table, cli_text(item, "kind"));
		cli_table_add(&table, cli_text(item, "name"));
		add_facts(&table, json_object_get(item, "facts"));
	}
	cli_table_end(&table);
}

static void show_page(void *context, json_t *answer)
{
	const struct cli *cli = context;
	const json_t *items = json_object_get(answer, "items");
	const json_t *item;
	size_t i;

	if (!cli->json) {
		print_page(items);
		return;
	}
	json_array_foreach(items, i, item) cli_print_json(item);
}

int cli_changes(struct cli *cli)
{
	const struct route_changes_list wanted = {.kind = cli_option(cli, "--kind"),
						  .name = cli_option(cli, "--name")};

	return cli_ask_pages(cli, route_changes_list(wanted), "items", show_page, cli);
}

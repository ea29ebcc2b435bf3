#include "cli/cli_internal.h"
#include "cli/routes.h"

static void print_records(void *context, json_t *answer)
{
	const json_t *record;
	size_t i;

	(void)context;
	json_array_foreach(json_object_get(answer, "items"), i, record) cli_print_json(record);
}

int cli_journal_cat(struct cli *cli)
{
	return cli_ask_pages(cli, route_journal_list((struct route_journal_list){0}), "items",
			     print_records, NULL);
}

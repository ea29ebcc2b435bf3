#include "cli/cli_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* Page by page: a journal may be larger than memory. */
int cli_journal_cat(struct cli *cli)
{
	char *after = NULL;
	size_t count;
	int status;

	do {
		struct text path;
		json_t *answer = NULL;
		const json_t *record;
		size_t i;
		text_init(&path, 1u << 16);
		text_append_text(&path, "/v1/journal?limit=1000");
		cli_query_append(&path, "after", after);
		status = cli_ask(cli, "GET", path.data, NULL, NULL, &answer);
		json_array_foreach(json_object_get(answer, "items"), i, record)
			cli_print_json(record);
		count = i;
		free(after);
		after = strdup(cli_text(answer, "next"));
		check(after != NULL);
		json_decref(answer);
		text_fini(&path);
	} while (status == CLI_DONE && count > 0);
	free(after);
	return status;
}

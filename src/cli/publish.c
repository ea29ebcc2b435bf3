#include "cli/cli_internal.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/disk.h"
#include "cli/routes.h"

#define MANIFEST_MAX (1u << 20) /* bytes */

/* The absolute folder of the file, links resolved. */
static int folder_of(struct cli *cli, const char *file, char folder[PATH_MAX])
{
	char copy[PATH_MAX];

	if (!slice_to_text(slice_of(file), copy, sizeof(copy)))
		return cli_fail(cli, "the path of the manifest is too long");
	if (realpath(dirname(copy), folder) == NULL)
		return cli_fail(cli, "%s: %s", file, strerror(errno));
	return CLI_DONE;
}

static const char *change_text(const json_t *answer)
{
	const bool tried = json_is_true(json_object_get(answer, "dry_run"));

	if (json_is_true(json_object_get(answer, "created")))
		return tried ? "would be published" : "is published";
	if (json_is_true(json_object_get(answer, "changed")))
		return tried ? "would be published anew" : "is published anew";
	return tried ? "is published already; nothing would change"
		     : "is published already; nothing changed";
}

static void print_change(const json_t *answer)
{
	const json_t *plan;
	size_t i;

	printf("%s %s %s\n", cli_text(answer, "service"), cli_text(answer, "version"),
	       change_text(answer));
	json_array_foreach(json_object_get(answer, "plans"), i, plan)
	{
		printf("  plan %s version %lld: %s", cli_text(plan, "name"),
		       (long long)cli_number(plan, "version"), cli_text(plan, "change"));
		if (cli_text(plan, "effective")[0] != '\0')
			printf("; for who has an earlier one from %.10s on",
			       cli_text(plan, "effective"));
		cli_print_dearer(plan);
		putchar('\n');
	}
}

int cli_publish(struct cli *cli)
{
	const char *file = cli->arguments[0];
	const char *account = cli_option(cli, "--as");
	char folder[PATH_MAX];
	struct fault fault;
	char *text = NULL;
	size_t length;
	json_t *answer = NULL;

	if (account == NULL)
		return cli_misuse(cli, "--as ACCOUNT is missing: who provides the service");
	if (disk_read_file(file, MANIFEST_MAX, &text, &length, &fault) < 0)
		return cli_fail(cli, "%s", fault.text);
	int status = folder_of(cli, file, folder);
	const struct route_services_publish published = {.account = account,
							 .file = file,
							 .folder = folder,
							 .manifest = text,
							 .dry_run =
								 cli_has_option(cli, "--dry-run")};
	if (status == CLI_DONE && !cli_is_text(slice_make(text, length)))
		status = cli_fail(cli, "%s is not UTF-8 text", file);
	if (status == CLI_DONE)
		status = cli_ask(cli, route_services_publish(published), &answer);
	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_change(answer);
	free(text);
	json_decref(answer);
	return status;
}

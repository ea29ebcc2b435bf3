#include "cli/cli_internal.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/disk.h"
#include "base/yaml.h"
#include "cli/routes.h"

#define MANIFEST_MAX (1u << 20) /* bytes */
#define PEM_MAX      65535      /* bytes: a file that `tls` of a manifest names */

enum tls_file { TLS_CA, TLS_CERTIFICATE, TLS_KEY, TLS_FILES };

/* What the files that `tls` names hold; NULL: not named, or not to be read. */
struct tls_files {
	char *of[TLS_FILES];
	size_t bytes[TLS_FILES];
};

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

static const struct yaml_node *under(const struct yaml_node *node, const char *key)
{
	return node != NULL && node->kind == YAML_MAPPING ? yaml_find(node, key) : NULL;
}

static void read_tls_file(const struct yaml_node *node, const char *folder, char **ret_text,
			  size_t *ret_bytes)
{
	char path[2 * PATH_MAX];
	struct fault fault;

	if (node == NULL || node->kind != YAML_SCALAR || node->scalar.length == 0 ||
	    node->scalar.length >= PATH_MAX)
		return;
	snprintf(path, sizeof(path), "%s/%.*s", node->scalar.data[0] == '/' ? "" : folder,
		 SLICE_ARGS(node->scalar));
	if (disk_read_file(path, PEM_MAX, ret_text, ret_bytes, &fault) < 0) {
		fprintf(stderr, "stoa: %s\n", fault.text);
		return;
	}
	/* What is no text is no PEM either, and is complained of as that. */
	if (!cli_is_text(slice_make(*ret_text, *ret_bytes)))
		(*ret_text)[0] = '\0';
}

/* Mistakes are for who reads the whole manifest: here they only leave files unread. */
static void read_tls_files(const char *file, struct slice manifest, const char *folder,
			   struct tls_files *files)
{
	static const char *const keys[TLS_FILES] = {"ca", "certificate", "key"};
	struct yaml *yaml = NULL;
	struct fault fault;

	if (yaml_parse(file, manifest, &yaml, &fault) < 0)
		return;
	const struct yaml_node *tls = under(yaml_root(yaml), "tls");
	for (int i = 0; i < TLS_FILES; i++) {
		const struct yaml_node *node = under(tls, keys[i]);
		if (node != NULL && !(i == TLS_CA && slice_equal(node->scalar, slice_of("cloud"))))
			read_tls_file(node, folder, &files->of[i], &files->bytes[i]);
	}
	yaml_free(yaml);
}

static void forget_tls_files(struct tls_files *files)
{
	for (int i = 0; i < TLS_FILES; i++) {
		if (files->of[i] != NULL)
			explicit_bzero(files->of[i], files->bytes[i]);
		free(files->of[i]);
	}
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
	const json_t *plan, *warning;
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
	json_array_foreach(json_object_get(answer, "warnings"), i, warning)
		fprintf(stderr, "stoa: warning: %s\n", json_string_value(warning));
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
	struct tls_files files = {0};
	if (status == CLI_DONE)
		read_tls_files(file, slice_make(text, length), folder, &files);
	const struct route_services_publish published = {
		.account = account,
		.file = file,
		.folder = folder,
		.manifest = text,
		.tls_ca = files.of[TLS_CA],
		.tls_certificate = files.of[TLS_CERTIFICATE],
		.tls_key = files.of[TLS_KEY],
		.dry_run = cli_has_option(cli, "--dry-run")};
	if (status == CLI_DONE && !cli_is_text(slice_make(text, length)))
		status = cli_fail(cli, "%s is not UTF-8 text", file);
	if (status == CLI_DONE)
		status = cli_ask(cli, route_services_publish(published), &answer);
	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_change(answer);
	forget_tls_files(&files);
	free(text);
	json_decref(answer);
	return status;
}

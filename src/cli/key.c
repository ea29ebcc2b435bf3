#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "cli/routes.h"

#define KEYS_MAX     1000000
#define KEYS_AT_ONCE 10000 /* asked for in one request */

/* ---- create ---- */

/* NULL: it may do what its app may. */
static json_t *scopes_of(const struct cli *cli)
{
	json_t *scopes = cli_option(cli, "--scope") != NULL ? json_array() : NULL;

	for (size_t i = 0; i < cli->given_count; i++) {
		if (strcmp(cli->given[i].name, "--scope") == 0)
			json_array_append_new(scopes, json_string(cli->given[i].value));
	}
	return scopes;
}

static void print_keys(const struct cli *cli, const json_t *items)
{
	const bool lines = cli->json || cli_option(cli, "--count") != NULL;
	const json_t *item, *warning;
	size_t i;

	/* All keys of a request have the same scopes. */
	json_array_foreach(json_object_get(json_array_get(items, 0), "warnings"), i, warning)
		fprintf(stderr, "stoa key create: warning: %s\n", json_string_value(warning));
	json_array_foreach(items, i, item)
	{
		if (lines)
			cli_print_json(item);
		else
			puts(cli_text(item, "key"));
	}
	if (!lines && json_array_size(items) > 0)
		fprintf(stderr, "%s of %s; keep it, for it is not shown again\n",
			cli_text(json_array_get(items, 0), "id"), cli->arguments[0]);
}

static int create_some(struct cli *cli, uint64_t count)
{
	const struct route_keys_create made = {
		.app = cli->arguments[0],
		.scopes = scopes_of(cli),
		.expires = cli_option(cli, "--expires"),
		.count = count,
	};
	json_t *answer = NULL;
	const int status = cli_ask(cli, route_keys_create(made), &answer);

	if (status == CLI_DONE)
		print_keys(cli, json_object_get(answer, "items"));
	json_decref(answer);
	return status;
}

int cli_key_create(struct cli *cli)
{
	uint64_t left;
	int status = cli_option_count(cli, "--count", 1, KEYS_MAX, 1, &left);

	cli->total = left > KEYS_AT_ONCE ? left : 0;
	while (status == CLI_DONE && left > 0) {
		const uint64_t count = left < KEYS_AT_ONCE ? left : KEYS_AT_ONCE;
		status = create_some(cli, count);
		left -= count;
		cli->done += count;
	}
	return status;
}

/* ---- list ---- */

static const char *scopes_text(const json_t *item, struct text *text)
{
	const json_t *scope;
	size_t i;

	text_clear(text);
	json_array_foreach(json_object_get(item, "scopes"), i, scope)
		text_printf(text, "%s%s", i > 0 ? " " : "", json_string_value(scope));
	return text->length > 0 ? text->data : "all";
}

static void print_list(const json_t *items)
{
	static const struct cli_column columns[] = {
		{"ID", CLI_LEFT},      {"APP", CLI_LEFT},     {"KEY", CLI_LEFT},
		{"SCOPES", CLI_LEFT},  {"CALLS", CLI_RIGHT},  {"LAST USED", CLI_LEFT},
		{"EXPIRES", CLI_LEFT}, {"REVOKED", CLI_LEFT}, {"CREATED", CLI_LEFT}};
	struct cli_table table;
	struct text text;
	char time[CLI_TIME_MAX];
	char shown[64];
	const json_t *item;
	size_t i;

	text_init(&text, 4096);
	cli_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]), "");
	json_array_foreach(items, i, item)
	{
		cli_table_add(&table, cli_text(item, "id"));
		cli_table_add(&table, cli_text(item, "app"));
		snprintf(shown, sizeof(shown), "%s...%s", cli_text(item, "prefix"),
			 cli_text(item, "last_four"));
		/* Of a client certificate its serial number, or the name that is mapped. */
		cli_table_add(&table,
			      cli_text(item, "name")[0] != '\0' ? cli_text(item, "name") : shown);
		cli_table_add(&table, scopes_text(item, &text));
		cli_table_add_number(&table, cli_number(item, "calls"));
		cli_table_add(&table, cli_time(item, "last_used", time));
		cli_table_add(&table, cli_time(item, "expires", time));
		cli_table_add(&table, cli_time(item, "revoked", time));
		cli_table_add(&table, cli_time(item, "created", time));
	}
	cli_table_end(&table);
	text_fini(&text);
}

int cli_key_list(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask_list(
		cli, route_keys_list((struct route_keys_list){.app = cli_argument(cli, 0)}),
		"items", &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_list(json_object_get(answer, "items"));
	json_decref(answer);
	return status;
}

/* ---- rotate ---- */

int cli_check_id(const struct cli *cli, const char *kind, const char *shown)
{
	if (strncmp(cli->arguments[0], "stoa_", 5) != 0)
		return CLI_DONE;
	return cli_misuse(cli,
			  "this is a %s's text; its ID, such as %s_2, is wanted: "
			  "`stoa %s list` shows it beside the text's %s letters",
			  kind, kind, kind, shown);
}

int cli_key_rotate(struct cli *cli)
{
	const struct route_keys_rotate rotated = {.id = cli->arguments[0],
						  .overlap = cli_option(cli, "--overlap")};
	json_t *answer = NULL;
	char time[CLI_TIME_MAX];

	if (cli_check_id(cli, "key", "first") != CLI_DONE)
		return CLI_WRONG_USAGE;
	const int status = cli_ask(cli, route_keys_rotate(rotated), &answer);
	if (status == CLI_DONE && cli->json) {
		cli_print_json(answer);
	} else if (status == CLI_DONE) {
		const json_t *before = json_object_get(answer, "replaces");
		puts(cli_text(answer, "key"));
		fprintf(stderr, "%s of %s; keep it, for it is not shown again; %s ends %s\n",
			cli_text(answer, "id"), cli_text(answer, "app"), cli_text(before, "id"),
			cli_time(before, "expires", time));
	}
	json_decref(answer);
	return status;
}

/* ---- revoke ---- */

static int tell_revoked(const struct cli *cli, const json_t *answer)
{
	char time[CLI_TIME_MAX];

	if (cli->json)
		cli_print_json(answer);
	else
		printf("%s of %s is revoked since %s\n", cli_text(answer, "id"),
		       cli_text(answer, "app"), cli_time(answer, "revoked", time));
	return cli_tell_applied(cli, answer);
}

int cli_key_revoke(struct cli *cli)
{
	const struct route_keys_revoke revoked = {.id = cli->arguments[0],
						  .wait = cli_wait_ms(cli)};
	json_t *answer = NULL;

	if (cli_check_id(cli, "key", "first") != CLI_DONE)
		return CLI_WRONG_USAGE;
	int status = cli_ask(cli, route_keys_revoke(revoked), &answer);
	if (status == CLI_DONE)
		status = tell_revoked(cli, answer);
	json_decref(answer);
	return status;
}

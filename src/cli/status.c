#include "cli/cli_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/routes.h"

static void print_row(const char *name)
{
	printf("%-10s", name);
}

/* "name 12, other 3.00 USD": members that are not nothing; texts are amounts. */
static void print_members(const char *title, json_t *object, const char *currency)
{
	const char *name;
	json_t *value;
	bool first = true;

	print_row(title);
	json_object_foreach(object, name, value)
	{
		const char *text = json_string_value(value);
		if (text == NULL && json_integer_value(value) == 0)
			continue;
		fputs(first ? "" : ", ", stdout);
		first = false;
		if (text != NULL)
			printf("%s %s %s", name, text, currency);
		else
			printf("%s %" PRId64, name, (int64_t)json_integer_value(value));
	}
	puts(first ? "nothing yet" : "");
}

static void print_journal(const json_t *journal)
{
	const json_t *stream;
	size_t i;
	int64_t written = 0;
	int64_t durable = 0;
	int64_t posted = 0;

	json_array_foreach(json_object_get(journal, "streams"), i, stream)
	{
		written += cli_number(stream, "written");
		durable += cli_number(stream, "durable");
		posted += cli_number(stream, "posted");
	}
	print_row("journal");
	printf("%" PRId64 " records, %" PRId64 " durable, %" PRId64 " posted%s\n", written, durable,
	       posted, json_is_true(json_object_get(journal, "failed")) ? "; IT FAILED" : "");
}

static void print_instances(const json_t *instances)
{
	static const struct cli_column columns[] = {
		{"INSTANCE", CLI_LEFT, "id"},   {"SERVICE", CLI_LEFT, "service"},
		{"STATE", CLI_LEFT, "state"},   {"PID", CLI_RIGHT, "pid"},
		{"SINCE", CLI_TIME, "since"},   {"STARTS", CLI_RIGHT, "starts"},
		{"REASON", CLI_LEFT, "reason"},
	};

	if (json_array_size(instances) == 0)
		return;
	putchar('\n');
	cli_table_print(instances, columns, sizeof(columns) / sizeof(columns[0]));
}

static void print_troubles(const json_t *troubles)
{
	const json_t *trouble;
	char time[CLI_TIME_MAX];
	size_t i;

	json_array_foreach(troubles, i, trouble)
	{
		print_row("TROUBLE");
		printf("%s, since %s: %s\n", cli_text(trouble, "part"),
		       cli_time(trouble, "since", time), cli_text(trouble, "reason"));
		print_row("");
		printf("it means: %s\n", cli_text(trouble, "effect"));
		print_row("");
		printf("to do: %s\n", cli_text(trouble, "advice"));
	}
}

static void print_status(const json_t *status)
{
	char time[CLI_TIME_MAX];
	const json_t *address;
	size_t i;

	print_row("cloud");
	printf("%s (%s), stoa %s, up since %s\n", cli_text(status, "cloud"),
	       cli_text(status, "currency"), cli_text(status, "version"),
	       cli_time(status, "started", time));
	print_troubles(json_object_get(status, "troubles"));
	print_row("gateway");
	json_array_foreach(json_object_get(status, "gateway"), i, address)
		printf("%s%s", i > 0 ? ", " : "", json_string_value(address));
	printf(" (%s, %" PRId64 " %s)\n", cli_text(status, "io"), cli_number(status, "workers"),
	       cli_number(status, "workers") == 1 ? "worker" : "workers");
	print_members("calls", json_object_get(status, "calls"), "");
	print_members("poster", json_object_get(status, "poster"), cli_text(status, "currency"));
	print_journal(json_object_get(status, "journal"));
	print_row("log key");
	puts(cli_text(status, "log_key"));
	print_instances(json_object_get(status, "instances"));
}

int cli_status(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask(cli, route_status(), &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_status(answer);
	json_decref(answer);
	return status;
}

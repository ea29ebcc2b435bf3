#include "cli/cli_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/amount.h"
#include "rating/rating.h"
#include "cli/routes.h"

/* The rate card counts memory and processor time in small units, so that they are integers; people
 * read them in the unit that the meter is named after. */
static void add_quantity(struct cli_table *table, const json_t *line)
{
	const int64_t quantity = cli_number(line, "quantity");
	const char *meter = cli_text(line, "meter");
	const bool cloud = strcmp(cli_text(line, "kind"), "cloud") == 0;
	int64_t per = 0;
	int64_t millionths;
	char text[32];

	if (cloud && strcmp(meter, rating_cloud_meter_name(RATING_CLOUD_MIB_US)) == 0)
		per = RATING_MIB_US_PER_GIB_SECOND;
	else if (cloud && strcmp(meter, rating_cloud_meter_name(RATING_CLOUD_MCPU_US)) == 0)
		per = RATING_MCPU_US_PER_VCPU_SECOND;
	if (per == 0 || !amount_scale(quantity, 1000000, per, &millionths)) {
		cli_table_add_number(table, quantity);
		return;
	}
	snprintf(text, sizeof(text), "%lld.%06lld", (long long)(millionths / 1000000),
		 (long long)(millionths % 1000000));
	cli_table_add(table, text);
}

static bool is_discount(const json_t *line)
{
	for (int step = 0; step < RATING_STEPS; step++) {
		if (strcmp(cli_text(line, "model"), rating_step_name((enum rating_step)step)) == 0)
			return true;
	}
	return false;
}

static void add_line(struct cli_table *table, const json_t *line)
{
	cli_table_add(table, cli_text(line, "service"));
	cli_table_add(table, cli_text(line, "plan"));
	cli_table_add(table, cli_text(line, "app"));
	cli_table_add(table, cli_text(line, "role"));
	cli_table_add(table, cli_text(line, "kind"));
	/* A fee and a discount are taken from an amount, not from a quantity of something. */
	if (strcmp(cli_text(line, "kind"), "fee") == 0 || is_discount(line)) {
		cli_table_add(table, cli_text(line, "model"));
		cli_table_add(table, "");
	} else {
		cli_table_add(table, cli_text(line, "meter"));
		add_quantity(table, line);
	}
	cli_table_add(table, cli_text(line, "amount"));
}

static void print_statement(const json_t *statement)
{
	static const struct cli_column columns[] = {{"SERVICE", CLI_LEFT},   {"PLAN", CLI_LEFT},
						    {"APP", CLI_LEFT},       {"ROLE", CLI_LEFT},
						    {"KIND", CLI_LEFT},      {"METER", CLI_LEFT},
						    {"QUANTITY", CLI_RIGHT}, {"AMOUNT", CLI_MONEY}};
	struct cli_table table;
	const json_t *line;
	size_t i;

	printf("statement of %s for %s (UTC)\n\n", cli_text(statement, "account"),
	       cli_text(statement, "period"));
	cli_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]),
			cli_text(statement, "currency"));
	json_array_foreach(json_object_get(statement, "lines"), i, line) add_line(&table, line);
	cli_table_add(&table, "total");
	for (i = 1; i + 1 < sizeof(columns) / sizeof(columns[0]); i++)
		cli_table_add(&table, "");
	cli_table_add(&table, cli_text(statement, "total"));
	cli_table_end(&table);
	cli_print_moves(json_object_get(statement, "changes"));
}

static struct cli_request bill_of(const struct cli *cli)
{
	return route_accounts_bill((struct route_accounts_bill){
		.account = cli->arguments[0], .period = cli_option(cli, "--period")});
}

/* Written beside and renamed, so that the file is whole or not there. What is no regular file (a
 * device, a link, a folder) would be replaced by that, so it is refused. */
static int write_bill(struct cli *cli, const char *target)
{
	char beside[PATH_MAX];
	struct stat about;
	int descriptor = -1;
	FILE *file = NULL;

	if (strcmp(target, "-") == 0)
		return cli_download(cli, bill_of(cli), stdout);
	if (lstat(target, &about) == 0 && !S_ISREG(about.st_mode))
		return cli_fail(cli,
				"cannot write %s: it is there and no regular file; "
				"--bill - writes to standard output",
				target);
	if ((size_t)snprintf(beside, sizeof(beside), "%s.XXXXXX", target) < sizeof(beside))
		descriptor = mkostemp(beside, O_CLOEXEC);
	if (descriptor >= 0)
		file = fdopen(descriptor, "w");
	if (file == NULL)
		return cli_fail(cli, "cannot write %s: %s", target, strerror(errno));
	int status = cli_download(cli, bill_of(cli), file);
	const bool written = fflush(file) == 0 && fsync(descriptor) == 0;
	if (fclose(file) != 0 || !written || (status == CLI_DONE && rename(beside, target) != 0))
		status = status == CLI_DONE
				 ? cli_fail(cli, "cannot write %s: %s", target, strerror(errno))
				 : status;
	if (status != CLI_DONE)
		unlink(beside);
	else if (!cli->json)
		printf("the bill is in %s; `stoa verify %s` checks it\n", target, target);
	return status;
}

static int bill(struct cli *cli)
{
	if (cli_option(cli, "--app") != NULL || cli_option(cli, "--service") != NULL)
		return cli_misuse(cli, "a bill is of the whole account: --bill goes without --app "
				       "and --service");
	return write_bill(cli, cli_option(cli, "--bill"));
}

int cli_statement(struct cli *cli)
{
	const struct route_accounts_statement wanted = {
		.account = cli->arguments[0],
		.period = cli_option(cli, "--period"),
		.app = cli_option(cli, "--app"),
		.service = cli_option(cli, "--service"),
	};
	json_t *answer = NULL;

	if (cli_option(cli, "--bill") != NULL)
		return bill(cli);
	const int status = cli_ask_list(cli, route_accounts_statement(wanted), "lines", &answer);
	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_statement(answer);
	json_decref(answer);
	return status;
}

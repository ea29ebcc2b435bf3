/* How much was called over time: a row for each service or app, and the steps of a single one. */
#include "cli/cli_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/routes.h"

#define BAR_WIDTH   24 /* characters of the longest bar */
#define TREND_WIDTH 30 /* characters of a trend */

/* ---- figures for people ---- */

/* Two or three digits that count: "850 us", "1.2 ms", "34 s". */
static void add_duration(struct cli_table *table, int64_t us)
{
	static const char *const units[] = {"us", "ms", "s"};
	size_t unit = 0;
	int64_t tenths = us > INT64_MAX / 10 ? INT64_MAX : 10 * us;
	char text[40];

	for (; unit + 1 < sizeof(units) / sizeof(units[0]) && tenths >= 10000; unit++)
		tenths = (tenths + 500) / 1000;
	if (tenths % 10 == 0 || tenths >= 1000)
		snprintf(text, sizeof(text), "%" PRId64 " %s", (tenths + 5) / 10, units[unit]);
	else
		snprintf(text, sizeof(text), "%" PRId64 ".%" PRId64 " %s", tenths / 10, tenths % 10,
			 units[unit]);
	cli_table_add(table, text);
}

/* "14 B", "3.5 KiB". */
static void add_bytes(struct cli_table *table, int64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t unit = 0;
	int64_t rest = 0; /* of 1024 */
	char text[40];

	for (; bytes >= 1024; unit++) {
		rest = bytes % 1024;
		bytes /= 1024;
	}
	if (unit == 0)
		snprintf(text, sizeof(text), "%" PRId64 " B", bytes);
	else
		snprintf(text, sizeof(text), "%" PRId64 ".%" PRId64 " %s", bytes, rest * 10 / 1024,
			 units[unit]);
	cli_table_add(table, text);
}

/* ---- pictures ---- */

/* The `eighths` of one character, from nothing to full. */
static const char *const lying[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
static const char *const standing[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

/* How many of `whole` eighths; what is not nothing is seen. */
static int64_t eighths_of(int64_t value, int64_t most, int64_t whole)
{
	const int64_t eighths = most > 0 ? (int64_t)((__int128)value * whole / most) : 0;

	return eighths == 0 && value > 0 ? 1 : eighths;
}

static void add_bar(struct cli_table *table, int64_t value, int64_t most)
{
	int64_t eighths = eighths_of(value, most, 8 * BAR_WIDTH);
	char text[4 * BAR_WIDTH] = "";
	size_t used = 0;

	for (; eighths > 0; eighths -= 8)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s",
					 lying[eighths < 8 ? eighths : 8]);
	cli_table_add(table, text);
}

/* The calls of the whole time, from left to right. */
static void add_trend(struct cli_table *table, const json_t *usage, const json_t *series)
{
	int64_t calls[TREND_WIDTH] = {0};
	char text[4 * TREND_WIDTH] = "";
	uint64_t from, to, at;
	int64_t most = 0;
	size_t used = 0;
	const json_t *point;
	size_t i;

	if (!clock_parse_wall(slice_of(cli_text(usage, "from")), &from) ||
	    !clock_parse_wall(slice_of(cli_text(usage, "to")), &to) || from >= to) {
		cli_table_add(table, "");
		return;
	}
	json_array_foreach(json_object_get(series, "points"), i, point)
	{
		if (!clock_parse_wall(slice_of(cli_text(point, "at")), &at) || at < from ||
		    at >= to)
			continue;
		/* Steps are whole minutes: seconds are exact, and do not overflow. */
		const uint64_t place = (at - from) / CLOCK_NS_PER_S * TREND_WIDTH /
				       ((to - from) / CLOCK_NS_PER_S + 1);
		calls[place] += cli_number(point, "calls");
		most = calls[place] > most ? calls[place] : most;
	}
	for (i = 0; i < TREND_WIDTH; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s",
					 standing[eighths_of(calls[i], most, 8)]);
	cli_table_add(table, text);
}

/* ---- tables ---- */

static void add_figures(struct cli_table *table, const json_t *sum)
{
	cli_table_add_number(table, cli_number(sum, "calls"));
	cli_table_add_number(table, cli_number(sum, "errors"));
	add_duration(table, cli_number(sum, "p50_us"));
	add_duration(table, cli_number(sum, "p90_us"));
	add_duration(table, cli_number(sum, "p99_us"));
	add_bytes(table, cli_number(sum, "request_bytes"));
	add_bytes(table, cli_number(sum, "response_bytes"));
}

#define FIGURES                                                                              \
	{"CALLS", CLI_RIGHT}, {"ERRORS", CLI_RIGHT}, {"P50", CLI_RIGHT}, {"P90", CLI_RIGHT}, \
		{"P99", CLI_RIGHT}, {"IN", CLI_RIGHT},                                       \
	{                                                                                    \
		"OUT", CLI_RIGHT                                                             \
	}

static void print_series(const json_t *usage)
{
	static const struct cli_column columns[] = {
		{"SERVICE", CLI_LEFT}, {"APP", CLI_LEFT}, FIGURES, {"TREND", CLI_LEFT}};
	const json_t *list = json_object_get(usage, "series");
	struct cli_table table;
	const json_t *series;
	size_t i;

	cli_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]), "");
	json_array_foreach(list, i, series)
	{
		const char *app = cli_text(series, "app");
		cli_table_add(&table, cli_text(series, "service"));
		cli_table_add(&table, app[0] != '\0' ? app : "all");
		add_figures(&table, json_object_get(series, "total"));
		add_trend(&table, usage, series);
	}
	if (json_array_size(list) > 1) {
		cli_table_add(&table, "total");
		cli_table_add(&table, "");
		add_figures(&table, json_object_get(usage, "total"));
		cli_table_add(&table, "");
	}
	cli_table_end(&table);
}

static void print_points(const json_t *points)
{
	static const struct cli_column columns[] = {{"FROM", CLI_LEFT}, FIGURES, {"", CLI_LEFT}};
	struct cli_table table;
	char time[CLI_TIME_MAX];
	int64_t most = 0;
	const json_t *point;
	size_t i;

	json_array_foreach(points, i, point)
	{
		const int64_t calls = cli_number(point, "calls");
		most = calls > most ? calls : most;
	}
	cli_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]), "");
	json_array_foreach(points, i, point)
	{
		cli_table_add(&table, cli_time(point, "at", time));
		add_figures(&table, point);
		add_bar(&table, cli_number(point, "calls"), most);
	}
	cli_table_end(&table);
}

/* What a service reports beside calls and bytes. */
static void print_units(const json_t *total)
{
	json_t *units = json_object_get(total, "units");
	const char *name;
	const json_t *count;

	json_object_foreach(units, name, count)
		printf("%" PRId64 " %s\n", (int64_t)json_integer_value(count), name);
}

static void print_usage(const json_t *usage)
{
	const json_t *list = json_object_get(usage, "series");
	const json_t *only = json_array_size(list) == 1 ? json_array_get(list, 0) : NULL;
	char from[CLI_TIME_MAX];
	char to[CLI_TIME_MAX];

	printf("calls from %s to %s, by the %s\n\n", cli_time(usage, "from", from),
	       cli_time(usage, "to", to), cli_text(usage, "step"));
	if (json_array_size(list) == 0) {
		puts("none");
		return;
	}
	print_series(usage);
	if (only == NULL)
		return;
	print_units(json_object_get(only, "total"));
	putchar('\n');
	print_points(json_object_get(only, "points"));
}

int cli_usage(struct cli *cli)
{
	const struct route_usage_show wanted = {
		.service = cli_option(cli, "--service"),
		.account = cli_option(cli, "--account"),
		.app = cli_option(cli, "--app"),
		.step = cli_option(cli, "--step"),
		.from = cli_option(cli, "--from"),
		.to = cli_option(cli, "--to"),
	};
	json_t *answer = NULL;
	const int status = cli_ask(cli, route_usage_show(wanted), &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_usage(answer);
	json_decref(answer);
	return status;
}

/* What is printed: JSON for programs, tables for people. */
#include "cli/cli_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define GAP 2 /* spaces between columns */

void cli_print_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
}

const char *cli_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

int64_t cli_number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

const char *cli_time(const json_t *object, const char *name, char text[CLI_TIME_MAX])
{
	const struct slice time = slice_of(cli_text(object, name));

	if (time.length < 20)
		return "-";
	snprintf(text, CLI_TIME_MAX, "%.10s %.8s UTC", time.data, time.data + 11);
	return text;
}

/* ---- tables ---- */

void cli_table_begin(struct cli_table *table, const struct cli_column *columns, size_t column_count,
		     const char *unit)
{
	check(column_count <= CLI_COLUMNS_MAX);
	*table = (struct cli_table){.columns = columns, .column_count = column_count, .unit = unit};
}

void cli_table_add(struct cli_table *table, const char *cell)
{
	if (table->cell_count == table->cell_capacity) {
		table->cell_capacity = table->cell_capacity > 0 ? 2 * table->cell_capacity : 64;
		table->cells = realloc(table->cells, table->cell_capacity * sizeof(*table->cells));
		check(table->cells != NULL);
	}
	table->cells[table->cell_count] = strdup(cell);
	check(table->cells[table->cell_count] != NULL);
	table->cell_count++;
}

void cli_table_add_number(struct cli_table *table, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, number);
	cli_table_add(table, text);
}

static size_t places_of(const char *amount)
{
	const char *point = strchr(amount, '.');

	return point != NULL ? strlen(point + 1) : 0;
}

/* Gives the amounts of a column equally many places, and the unit. */
static void align_money(struct cli_table *table, size_t column)
{
	size_t most = 0;

	for (size_t i = column; i < table->cell_count; i += table->column_count) {
		const size_t places = places_of(table->cells[i]);
		most = places > most ? places : most;
	}
	for (size_t i = column; i < table->cell_count; i += table->column_count) {
		char *amount = table->cells[i];
		if (amount[0] == '\0')
			continue;
		struct text text;
		text_init(&text, 256);
		text_append_text(&text, amount);
		for (size_t places = places_of(amount); places < most; places++)
			text_append_text(&text, "0");
		text_printf(&text, " %s", table->unit);
		check(!text.failed);
		free(amount);
		table->cells[i] = text.data;
	}
}

/* Columns on a screen: one a character. */
static size_t width_of(const char *cell)
{
	const struct slice text = slice_of(cell);
	size_t width = 0;
	size_t length;

	for (size_t at = 0; at < text.length; at += length) {
		length = text_utf8_length(text, at);
		length = length > 0 ? length : 1;
		width++;
	}
	return width;
}

static void print_cell(const char *cell, enum cli_align align, size_t width, bool last)
{
	const size_t padding = width - width_of(cell);
	const bool left = align == CLI_LEFT || align == CLI_TIME;

	if (!left)
		printf("%*s", (int)padding, "");
	fputs(cell, stdout);
	if (last)
		putchar('\n');
	else
		printf("%*s", (int)(GAP + (left ? padding : 0)), "");
}

void cli_table_end(struct cli_table *table)
{
	const size_t columns = table->column_count;
	size_t widths[CLI_COLUMNS_MAX];

	for (size_t column = 0; column < columns; column++) {
		widths[column] = width_of(table->columns[column].title);
		if (table->columns[column].align == CLI_MONEY)
			align_money(table, column);
		for (size_t i = column; i < table->cell_count; i += columns) {
			const size_t width = width_of(table->cells[i]);
			widths[column] = width > widths[column] ? width : widths[column];
		}
	}
	for (size_t column = 0; column < columns; column++)
		print_cell(table->columns[column].title, table->columns[column].align,
			   widths[column], column + 1 == columns);
	for (size_t i = 0; i < table->cell_count; i++) {
		const size_t column = i % columns;
		print_cell(table->cells[i], table->columns[column].align, widths[column],
			   column + 1 == columns);
		free(table->cells[i]);
	}
	free(table->cells);
	*table = (struct cli_table){0};
}

void cli_table_print(const json_t *items, const struct cli_column *columns, size_t column_count)
{
	struct cli_table table;
	char time[CLI_TIME_MAX];
	const json_t *item;
	size_t i;

	cli_table_begin(&table, columns, column_count,
			cli_text(json_array_get(items, 0), "currency"));
	json_array_foreach(items, i, item)
	{
		for (size_t column = 0; column < column_count; column++) {
			const char *member = columns[column].member;
			if (json_is_integer(json_object_get(item, member)))
				cli_table_add_number(&table, cli_number(item, member));
			else if (columns[column].align == CLI_TIME)
				cli_table_add(&table, cli_time(item, member, time));
			else
				cli_table_add(&table, cli_text(item, member));
		}
	}
	cli_table_end(&table);
}

/* ---- plan versions to come ---- */

void cli_print_dearer(const json_t *move)
{
	const json_t *what;
	size_t i;

	json_array_foreach(json_object_get(move, "dearer"), i, what)
		printf("%s%s", i == 0 ? "; dearer or less: " : ", ", json_string_value(what));
}

void cli_print_moves(const json_t *moves)
{
	const json_t *move;
	size_t i;

	json_array_foreach(moves, i, move)
	{
		if (!json_is_object(move))
			continue;
		printf("%s gets version %lld of %s:%s on %.10s", cli_text(move, "app"),
		       (long long)cli_number(move, "version"), cli_text(move, "service"),
		       cli_text(move, "plan"), cli_text(move, "effective"));
		cli_print_dearer(move);
		putchar('\n');
	}
}

/* ---- what is waited for ---- */

#define WAIT_MS 5000 /* far above what it takes */

uint64_t cli_wait_ms(const struct cli *cli)
{
	return cli_has_option(cli, "--wait") ? WAIT_MS : 0;
}

int cli_tell_applied(const struct cli *cli, const json_t *answer)
{
	const json_t *applied = json_object_get(answer, "applied_us");

	if (!cli_has_option(cli, "--wait"))
		return CLI_DONE;
	if (!json_is_integer(applied))
		return cli_fail(cli, "not every worker had applied it after %d ms", WAIT_MS);
	if (!cli->json)
		printf("every worker has applied it, after %.1f ms\n",
		       (double)json_integer_value(applied) / 1000);
	return CLI_DONE;
}

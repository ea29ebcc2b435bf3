/* What Prometheus is told, for people: the page's samples as a table. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>

#include "cli/routes.h"

struct sample {
	struct slice name, labels, value; /* labels: `a="b",c="d"` */
};

/* One line of the text format, `name{labels} value`; false on comments. A label's value may hold
 * spaces, so the number is what stands behind the last one. */
static bool read_sample(struct slice line, struct sample *ret_sample)
{
	size_t space = line.length;

	while (space > 0 && line.data[space - 1] != ' ')
		space--;
	if (space == 0 || line.data[0] == '#')
		return false;
	const struct slice series = slice_part(line, 0, space - 1);
	const size_t brace = slice_find_byte(series, '{', 0);
	const bool labelled = slice_ends_with(series, slice_of("}")) && brace + 1 < series.length;
	ret_sample->value = slice_part(line, space, line.length);
	ret_sample->name = slice_part(series, 0, brace);
	ret_sample->labels =
		slice_part(series, labelled ? brace + 1 : 0, labelled ? series.length - 1 : 0);
	return true;
}

/* Takes `"value"` with \\, \" and \n in it; *at moves behind it. */
static json_t *take_value(struct slice labels, size_t *at)
{
	struct text value;

	text_init(&value, labels.length + 1);
	for (++*at; *at < labels.length && labels.data[*at] != '"'; ++*at) {
		const bool escaped = labels.data[*at] == '\\' && *at + 1 < labels.length;
		*at += escaped;
		const struct slice byte = slice_part(labels, *at, *at + 1);
		text_append(&value, escaped && byte.data[0] == 'n' ? slice_of("\n") : byte);
	}
	++*at;
	json_t *json = json_stringn(value.length > 0 ? value.data : "", value.length);
	text_fini(&value);
	return json;
}

/* `a="b",c="d"`. */
static json_t *labels_json(struct slice labels)
{
	json_t *json = json_object();

	for (size_t at = 0; at < labels.length; at++) {
		const size_t equals = slice_find_byte(labels, '=', at);
		const struct slice name = slice_part(labels, at, equals);
		at = equals + 1;
		json_object_setn_new(json, name.data, name.length, take_value(labels, &at));
	}
	return json;
}

static json_t *sample_json(const struct sample *sample)
{
	return json_pack("{s:s%, s:o, s:s%}", "metric", sample->name.data, sample->name.length,
			 "labels", labels_json(sample->labels), "value", sample->value.data,
			 sample->value.length);
}

static void add_cell(struct cli_table *table, struct slice cell)
{
	struct text text;

	text_init(&text, cell.length + 1);
	text_append(&text, cell);
	cli_table_add(table, text.data != NULL ? text.data : "");
	text_fini(&text);
}

/* The name has the word in it. */
static bool is_wanted(const struct cli *cli, struct slice name)
{
	const char *word = cli->argument_count > 0 ? cli->arguments[0] : "";

	return memmem(name.data, name.length, word, strlen(word)) != NULL;
}

static void print_samples(const struct cli *cli, struct slice page)
{
	static const struct cli_column columns[] = {
		{"METRIC", CLI_LEFT}, {"LABELS", CLI_LEFT}, {"VALUE", CLI_RIGHT}};
	json_t *items = json_array();
	struct cli_table table;
	struct sample sample;
	struct slice line;
	bool any = false;

	cli_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]), "");
	while (slice_cut(&page, '\n', &line)) {
		if (!read_sample(line, &sample) || !is_wanted(cli, sample.name))
			continue;
		any = true;
		if (cli->json) {
			json_array_append_new(items, sample_json(&sample));
		} else if (!slice_ends_with(sample.name, slice_of("_bucket"))) {
			add_cell(&table, sample.name);
			add_cell(&table, sample.labels);
			add_cell(&table, sample.value);
		}
	}
	if (cli->json)
		cli_print_json(items);
	else
		cli_table_end(&table);
	if (!any && !cli->json && cli->argument_count > 0)
		cli_fail(cli, "nothing matches \"%s\"", cli->arguments[0]);
	json_decref(items);
}

int cli_metrics(struct cli *cli)
{
	struct text page;

	if (cli_has_option(cli, "--page") && (cli->json || cli->argument_count > 0))
		return cli_misuse(cli, "--page is the whole page as it is: it goes without WORD "
				       "and --json");
	const int status = cli_ask_text(cli, route_metrics(), &page);

	if (status == CLI_DONE && cli_has_option(cli, "--page"))
		fwrite(page.data, 1, page.length, stdout);
	else if (status == CLI_DONE)
		print_samples(cli, text_slice(&page));
	text_fini(&page);
	return status;
}

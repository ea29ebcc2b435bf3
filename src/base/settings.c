#include "base/settings.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/units.h"

#define SHOWN_BYTES_MAX   64u /* of a value, in a complaint */
#define PERCENT_PLACES    4   /* a millionth is 0.0001 % */
#define PERCENT_PPM_MAX   1000000000
#define ALLOWED_BYTES_MAX 512u
#define NAMES_SHOWN_MAX   12u
#define PART_SLIP_BYTES   4u /* a name's last part, from this length on, may have one slip */

/* What a kind is called, and how one is written. */
static const struct {
	const char *name;
	const char *example;
} kinds[] = {
	[SETTINGS_BOOL] = {"truth value", "true or false"},
	[SETTINGS_COUNT] = {"count", "a whole number like 100, 20k or 5M"},
	[SETTINGS_BYTES] = {"size", "a size like 64KiB, 128MiB or 512B"},
	[SETTINGS_DURATION] = {"duration", "a duration like 250ms, 5s, 2m, 1h or 14d"},
	[SETTINGS_PERCENT] = {"percentage", "a percentage like 3% or 0.25%"},
	[SETTINGS_AMOUNT] = {"amount", "an amount like 0.05 or 10, at most 9 decimal places"},
	[SETTINGS_ENUM] = {"choice", "one of the choices"},
	[SETTINGS_TEXT] = {"text", "a text"},
	[SETTINGS_OTHER] = {"structure", "a structure"},
};

static bool parse_percent(struct slice text, int64_t *ret_ppm)
{
	return slice_ends_with(text, slice_of("%")) &&
	       units_parse_decimal(slice_part(text, 0, text.length - 1), PERCENT_PLACES, ret_ppm) &&
	       *ret_ppm >= 0 && *ret_ppm <= PERCENT_PPM_MAX;
}

static bool parse_choice(const char *const *choices, struct slice text, int64_t *ret_index)
{
	for (int64_t i = 0; choices[i]; i++) {
		if (slice_equal(text, slice_of(choices[i]))) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

/* Any kind as a number that its bounds compare with; a text is its length. Without bounds. */
static bool parse_number(const struct settings_row *row, struct slice text, int64_t *ret_number)
{
	static const char *const truths[] = {"false", "true", NULL};
	struct amount amount;
	uint64_t unsigned_number = 0;
	bool good = false;

	switch (row->kind) {
	case SETTINGS_BOOL:
		return parse_choice(truths, text, ret_number);
	case SETTINGS_ENUM:
		return parse_choice(row->choices, text, ret_number);
	case SETTINGS_PERCENT:
		return parse_percent(text, ret_number);
	case SETTINGS_AMOUNT:
		good = amount_parse(text, &amount);
		if (good)
			*ret_number = amount.nano;
		return good;
	case SETTINGS_COUNT:
		good = units_parse_count(text, &unsigned_number);
		break;
	case SETTINGS_BYTES:
		good = units_parse_bytes(text, &unsigned_number);
		break;
	case SETTINGS_DURATION:
		good = units_parse_duration_ns(text, &unsigned_number);
		break;
	case SETTINGS_TEXT:
		unsigned_number = text.length;
		good = true;
		break;
	case SETTINGS_OTHER:
		break;
	}
	if (good)
		*ret_number = (int64_t)unsigned_number;
	return good;
}

/* A bound of the table; a text's bounds are counts of bytes. */
static int64_t bound_of(const struct settings_row *row, const char *bound, int64_t otherwise)
{
	struct settings_row as_bound = *row;
	int64_t number = 0;

	if (bound == NULL)
		return otherwise;
	if (row->kind == SETTINGS_TEXT)
		as_bound.kind = SETTINGS_COUNT;
	check(parse_number(&as_bound, slice_of(bound), &number));
	return number;
}

static int64_t least_of(const struct settings_row *row)
{
	return bound_of(row, row->least, INT64_MIN);
}

static int64_t most_of(const struct settings_row *row)
{
	const int64_t otherwise = row->kind == SETTINGS_TEXT ? SETTINGS_TEXT_BYTES_MAX : INT64_MAX;
	return bound_of(row, row->most, otherwise);
}

static void append_choices(const char *const *choices, struct text *text)
{
	for (size_t i = 0; choices[i]; i++)
		text_printf(text, i > 0 ? ", %s" : "%s", choices[i]);
}

/* "1 to 64", "at least 1s", "auto, uring, epoll"; empty where the kind says it all. */
static void append_allowed(const struct settings_row *row, struct text *text)
{
	const char *unit = row->kind == SETTINGS_TEXT ? " bytes" : "";

	if (row->kind == SETTINGS_BOOL)
		text_append_text(text, "true, false");
	else if (row->kind == SETTINGS_ENUM)
		append_choices(row->choices, text);
	else if (row->least && row->most && least_of(row) == most_of(row))
		text_printf(text, "%s%s", row->least, unit);
	else if (row->least && row->most)
		text_printf(text, "%s to %s%s", row->least, row->most, unit);
	else if (row->least)
		text_printf(text, "at least %s%s", row->least, unit);
	else if (row->most)
		text_printf(text, "at most %s%s", row->most, unit);
}

/* The beginning of one line, cut between characters. */
static struct slice shown(struct slice value)
{
	size_t end = 0;

	while (end < value.length && (uint8_t)value.data[end] >= 0x20) {
		const size_t length = text_utf8_length(value, end);
		if (length == 0 || end + length > SHOWN_BYTES_MAX)
			break;
		end += length;
	}
	return slice_part(value, 0, end);
}

static const char *nearest_choice(const struct settings_row *row, struct slice value)
{
	char word[SHOWN_BYTES_MAX + 1];
	size_t count = 0;

	if (row->kind != SETTINGS_ENUM || !slice_to_text(value, word, sizeof(word)))
		return NULL;
	while (row->choices[count])
		count++;
	return text_nearest(word, row->choices, count);
}

/* A text is not shown: it may be a password, or an address with one. */
static int value_fault(const struct settings_row *row, struct slice value, const char *what,
		       struct fault *fault)
{
	const struct slice part = row->kind == SETTINGS_TEXT ? slice_of("the text") : shown(value);
	const char *quote = row->kind == SETTINGS_TEXT ? "" : "\"";
	const char *nearest = nearest_choice(row, value);
	struct text allowed;

	text_init(&allowed, ALLOWED_BYTES_MAX);
	append_allowed(row, &allowed);
	const bool bounded = allowed.length > 0;
	fault_set(fault, FAULT_INPUT, "%s: %s%.*s%s %s; write %s%s%s%s%s%s%s", row->name, quote,
		  SLICE_ARGS(part), quote, what, kinds[row->kind].example,
		  bounded ? " (allowed: " : "", bounded ? allowed.data : "", bounded ? ")" : "",
		  nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
	text_fini(&allowed);
	return FAULT_INPUT;
}

static int parse_value(const struct settings_row *row, struct slice value, int64_t *ret_number,
		       struct fault *fault)
{
	char what[64];
	int64_t number;

	if (value.length == 0 && row->kind != SETTINGS_TEXT)
		return value_fault(row, value, "is no value", fault);
	if (!parse_number(row, value, &number)) {
		snprintf(what, sizeof(what), "is not a %s", kinds[row->kind].name);
		return value_fault(row, value, what, fault);
	}
	if (number < least_of(row))
		return value_fault(row, value,
				   row->kind == SETTINGS_TEXT ? "is too short" : "is too little",
				   fault);
	if (number > most_of(row))
		return value_fault(row, value,
				   row->kind == SETTINGS_TEXT ? "is too long" : "is too much",
				   fault);
	*ret_number = number;
	return 0;
}

/* After parse_value. */
static int store_value(const struct settings_row *row, struct slice value, int64_t number,
		       struct arena *arena, void *values, struct fault *fault)
{
	char *at = (char *)values + row->offset;
	const char *text;

	switch (row->kind) {
	case SETTINGS_BOOL:
		*(bool *)at = number != 0;
		break;
	case SETTINGS_COUNT:
	case SETTINGS_BYTES:
	case SETTINGS_DURATION:
		*(uint64_t *)at = (uint64_t)number;
		break;
	case SETTINGS_PERCENT:
		*(uint32_t *)at = (uint32_t)number;
		break;
	case SETTINGS_AMOUNT:
		*(struct amount *)at = amount_nano(number);
		break;
	case SETTINGS_ENUM:
		*(unsigned *)at = (unsigned)number;
		break;
	case SETTINGS_TEXT:
		text = arena_text(arena, value);
		if (text == NULL)
			return fault_set(fault, FAULT_LIMIT, "%s: no memory is left for its text",
					 row->name);
		*(const char **)at = text;
		break;
	case SETTINGS_OTHER:
		break;
	}
	return 0;
}

static void check_rows(const struct settings_row *rows, size_t row_count)
{
	struct fault fault;
	int64_t number;

	check_at_most(row_count, SETTINGS_ROWS_MAX);
	for (size_t i = 0; i < row_count; i++) {
		check(strlen(rows[i].name) < SETTINGS_NAME_BYTES_MAX);
		check((rows[i].kind == SETTINGS_ENUM) == (rows[i].choices != NULL));
		check(least_of(&rows[i]) <= most_of(&rows[i]));
		if (rows[i].standard && rows[i].kind != SETTINGS_OTHER)
			check(parse_value(&rows[i], slice_of(rows[i].standard), &number, &fault) ==
			      0);
	}
}

static const struct settings_row *row_find(const struct settings_row *rows, size_t row_count,
					   struct slice name)
{
	for (size_t i = 0; i < row_count; i++) {
		if (slice_equal(name, slice_of(rows[i].name)))
			return &rows[i];
	}
	return NULL;
}

/* Everything is in the section "". */
static bool is_beneath(const struct settings_row *row, struct slice section)
{
	const struct slice full = slice_of(row->name);

	return section.length == 0 ||
	       (full.length > section.length && full.data[section.length] == '.' &&
		slice_starts_with(full, section));
}

static bool is_section(const struct settings_row *rows, size_t row_count, struct slice name)
{
	for (size_t i = 0; i < row_count; i++) {
		if (is_beneath(&rows[i], name))
			return true;
	}
	return false;
}

/* "rates.gib.host, rates.gib.zone, ...": the first settings of a section. */
static void append_names(const struct settings_row *rows, size_t row_count, struct slice section,
			 struct text *text)
{
	size_t count = 0;

	for (size_t i = 0; i < row_count; i++) {
		if (!is_beneath(&rows[i], section))
			continue;
		if (count++ == NAMES_SHOWN_MAX) {
			text_append_text(text, ", ...");
			return;
		}
		text_printf(text, count > 1 ? ", %s" : "%s", rows[i].name);
	}
}

static const char *last_part(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot ? dot + 1 : name;
}

/* By the whole name, else by its last part alone: what stands in the wrong section. A part is
 * short, so it must be the same but for a slip, or any word would be near to one of them. */
static const char *nearest_name(const struct settings_row *rows, size_t row_count, const char *name)
{
	const char *names[SETTINGS_ROWS_MAX] = {0};

	for (size_t i = 0; i < row_count; i++)
		names[i] = rows[i].name;
	const char *nearest = text_nearest(name, names, row_count);
	if (nearest)
		return nearest;
	for (size_t i = 0; i < row_count; i++)
		names[i] = last_part(rows[i].name);
	nearest = text_nearest_within(
		last_part(name), strlen(last_part(name)) / PART_SLIP_BYTES > 0, names, row_count);
	for (size_t i = 0; i < row_count; i++) {
		if (nearest && names[i] == nearest)
			return rows[i].name;
	}
	return NULL;
}

static int unknown_fault(const struct settings_row *rows, size_t row_count, const struct yaml *yaml,
			 const struct yaml_node *node, const char *name, struct fault *fault)
{
	const struct yaml_node at = {.line = node->key_line, .column = node->key_column};
	const struct slice part = shown(slice_of(name));
	const char *nearest = nearest_name(rows, row_count, name);
	struct text known;

	if (nearest && strcmp(nearest, name) == 0)
		return yaml_fault(
			yaml, &at, fault,
			"%s: write each part of the name in a section of its own, without a dot",
			name);
	if (nearest)
		return yaml_fault(yaml, &at, fault,
				  "unknown setting \"%.*s\"; did you mean \"%s\"?",
				  SLICE_ARGS(part), nearest);
	text_init(&known, ALLOWED_BYTES_MAX);
	append_names(rows, row_count, slice_of(""), &known);
	yaml_fault(yaml, &at, fault, "unknown setting \"%.*s\"; allowed are %s", SLICE_ARGS(part),
		   known.length > 0 ? known.data : "none");
	text_fini(&known);
	return FAULT_INPUT;
}

static int section_fault(const struct settings_row *rows, size_t row_count, const struct yaml *yaml,
			 const struct yaml_node *node, const char *name, struct fault *fault)
{
	struct text known;

	text_init(&known, ALLOWED_BYTES_MAX);
	append_names(rows, row_count, slice_of(name), &known);
	yaml_fault(yaml, node, fault,
		   "%s: is a section, not a value; write its settings beneath it, one a line: %s",
		   name, known.length > 0 ? known.data : "none");
	text_fini(&known);
	return FAULT_INPUT;
}

/* Every key of the mapping is a setting or a section. */
static int check_keys(const struct settings_row *rows, size_t row_count, const struct yaml *yaml,
		      const struct yaml_node *mapping, const char *section, struct fault *fault)
{
	char name[SETTINGS_NAME_BYTES_MAX];

	for (const struct yaml_node *node = mapping->first; node; node = node->next) {
		int code = 0;
		const int length = snprintf(name, sizeof(name), "%s%s%.*s", section,
					    section[0] ? "." : "", SLICE_ARGS(node->key));
		const bool whole = length > 0 && (size_t)length < sizeof(name);
		/* A dot within a key would name a section that is none. */
		const bool plain = slice_find_byte(node->key, '.', 0) == node->key.length;

		if (whole && plain && row_find(rows, row_count, slice_of(name)))
			continue;
		if (!whole || !plain || !is_section(rows, row_count, slice_of(name)))
			return unknown_fault(rows, row_count, yaml, node, name, fault);
		if (node->kind != YAML_MAPPING)
			return section_fault(rows, row_count, yaml, node, name, fault);
		code = check_keys(rows, row_count, yaml, node, name, fault);
		if (code < 0)
			return code;
	}
	return 0;
}

static const struct yaml_node *node_find(const struct yaml_node *mapping, const char *name)
{
	struct slice rest = slice_of(name), part;
	const struct yaml_node *node = mapping;
	char key[SETTINGS_NAME_BYTES_MAX];

	while (node && slice_cut(&rest, '.', &part)) {
		check(slice_to_text(part, key, sizeof(key)));
		node = node->kind == YAML_MAPPING ? yaml_find(node, key) : NULL;
	}
	return node;
}

/* One row's value, from its node or its default; stored only where `values` is given. */
static int read_row(const struct settings_row *row, const struct yaml *yaml,
		    const struct yaml_node *mapping, struct arena *arena, void *values,
		    struct fault *fault)
{
	const struct yaml_node *node = mapping ? node_find(mapping, row->name) : NULL;
	const struct yaml_node nowhere = {.line = 1, .column = 1};
	struct slice value = slice_of(row->standard);
	int64_t number = 0;
	int code;

	if (node == NULL && row->standard == NULL && row->kind != SETTINGS_OTHER) {
		if (yaml == NULL)
			return fault_set(fault, FAULT_INPUT, "%s must be given: %s", row->name,
					 row->sentence);
		return yaml_fault(yaml, mapping ? mapping : &nowhere, fault, "%s must be given: %s",
				  row->name, row->sentence);
	}
	if (row->kind == SETTINGS_OTHER) {
		if (values)
			*(const struct yaml_node **)((char *)values + row->offset) = node;
		return 0;
	}
	if (node && node->kind != YAML_SCALAR)
		return yaml_fault(yaml, node, fault, "%s: a %s is not a %s; write %s", row->name,
				  node->kind == YAML_SEQUENCE ? "list" : "mapping",
				  kinds[row->kind].name, kinds[row->kind].example);
	if (node)
		value = node->scalar;
	code = parse_value(row, value, &number, fault);
	if (code < 0)
		return fault_prefix(fault, "%s:%u:%u", yaml_name(yaml), node->line, node->column);
	return values ? store_value(row, value, number, arena, values, fault) : 0;
}

int settings_read(const struct settings_row *rows, size_t row_count, const struct yaml *yaml,
		  const struct yaml_node *mapping, struct arena *arena, void *values,
		  struct fault *fault)
{
	int code = 0;

	check_rows(rows, row_count);
	check(mapping == NULL || yaml != NULL);
	if (mapping && mapping->kind != YAML_MAPPING)
		return yaml_fault(yaml, mapping, fault, "settings are written as name: value");
	if (mapping)
		code = check_keys(rows, row_count, yaml, mapping, "", fault);
	/* First all of them without storing, so that a fault changes nothing. */
	for (size_t i = 0; code == 0 && i < row_count; i++)
		code = read_row(&rows[i], yaml, mapping, arena, NULL, fault);
	for (size_t i = 0; code == 0 && i < row_count; i++)
		code = read_row(&rows[i], yaml, mapping, arena, values, fault);
	return code;
}

int settings_put(const struct settings_row *rows, size_t row_count, const char *name,
		 struct slice text, struct arena *arena, void *values, struct fault *fault)
{
	const struct settings_row *row = row_find(rows, row_count, slice_of(name));
	int64_t number;

	check_rows(rows, row_count);
	if (row == NULL || row->kind == SETTINGS_OTHER) {
		const char *nearest = nearest_name(rows, row_count, name);
		const struct slice part = shown(slice_of(name));
		return fault_set(fault, FAULT_INPUT, "unknown setting \"%.*s\"%s%s%s",
				 SLICE_ARGS(part), nearest ? "; did you mean \"" : "",
				 nearest ? nearest : "", nearest ? "\"?" : "");
	}
	const int code = parse_value(row, text, &number, fault);
	return code < 0 ? code : store_value(row, text, number, arena, values, fault);
}

void settings_show(const struct settings_row *rows, size_t row_count,
		   const struct yaml_node *mapping, settings_show_fn each, void *context)
{
	char text[SETTINGS_TEXT_BYTES_MAX + 1];

	check_rows(rows, row_count);
	for (size_t i = 0; i < row_count; i++) {
		const struct settings_row *row = &rows[i];
		const struct yaml_node *node = mapping ? node_find(mapping, row->name) : NULL;
		const bool given = node != NULL && row->kind != SETTINGS_OTHER;
		if (given)
			check(slice_to_text(node->scalar, text, sizeof(text)));
		each(context, row, given ? text : row->standard, node ? node->line : 0);
	}
}

void settings_document(const struct settings_row *rows, size_t row_count, struct text *text)
{
	check_rows(rows, row_count);
	text_append_text(text, "| setting | kind | default | allowed | meaning |\n"
			       "|---|---|---|---|---|\n");
	for (size_t i = 0; i < row_count; i++) {
		const struct settings_row *row = &rows[i];

		text_printf(text, "| `%s` | %s | ", row->name, kinds[row->kind].name);
		if (row->standard && row->standard[0])
			text_printf(text, "`%s`", row->standard);
		else if (row->standard == NULL && row->kind != SETTINGS_OTHER)
			text_append_text(text, "must be given");
		text_append_text(text, " | ");
		append_allowed(row, text);
		text_printf(text, " | %s |\n", row->sentence);
	}
}

void settings_kinds_document(struct text *text)
{
	text_append_text(text, "| kind | write |\n|---|---|\n");
	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
		if (kind != SETTINGS_OTHER && kind != SETTINGS_TEXT)
			text_printf(text, "| %s | %s |\n", kinds[kind].name, kinds[kind].example);
	}
}

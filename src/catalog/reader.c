#include "catalog/reader_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"

#define KNOWN_MAX      32
#define KNOWN_TEXT_MAX 256

/* ---- complaints ---- */

/* Keeps the first ones by place in the file. */
__attribute__((format(printf, 4, 0))) static void complain_at(struct reader *reader, unsigned line,
							      unsigned column, const char *format,
							      va_list arguments)
{
	struct catalog_complaints *complaints = reader->complaints;
	uint32_t at = complaints->count;

	reader->complaint_count++;
	while (at > 0 &&
	       (complaints->of[at - 1].line > line ||
		(complaints->of[at - 1].line == line && complaints->of[at - 1].column > column)))
		at--;
	if (at == CATALOG_COMPLAINTS_MAX)
		return;
	if (complaints->count < CATALOG_COMPLAINTS_MAX)
		complaints->count++;
	memmove(&complaints->of[at + 1], &complaints->of[at],
		(complaints->count - at - 1) * sizeof(complaints->of[0]));
	complaints->of[at].line = line;
	complaints->of[at].column = column;
	char *text = complaints->of[at].text;
	const int used = snprintf(text, CATALOG_COMPLAINT_MAX,
				  "%s:%u:%u: ", yaml_name(reader->yaml), line, column);
	if (used >= 0 && used < CATALOG_COMPLAINT_MAX)
		vsnprintf(text + used, CATALOG_COMPLAINT_MAX - (size_t)used, format, arguments);
}

void reader_complain(struct reader *reader, const struct yaml_node *node, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain_at(reader, node->line, node->column, format, arguments);
	va_end(arguments);
}

void reader_complain_of_key(struct reader *reader, const struct yaml_node *node, const char *format,
			    ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain_at(reader, node->key_line, node->key_column, format, arguments);
	va_end(arguments);
}

/* How a complaint calls the value: its key, or that of its list. */
static const char *name_of(const struct reader *reader, const struct yaml_node *node,
			   char text[TEXT_SHOWN_MAX])
{
	if (node->key.length == 0 && reader->list != NULL)
		node = reader->list;
	return text_show(node->key, text);
}

void reader_complain_of_value(struct reader *reader, const struct yaml_node *node,
			      const char *allowed)
{
	char name[TEXT_SHOWN_MAX];
	char value[TEXT_SHOWN_MAX];

	reader_complain(reader, node, "%s: \"%s\" is not allowed; allowed: %s",
			name_of(reader, node, name), text_show(node->scalar, value), allowed);
}

/* ---- mappings and lists ---- */

static bool is_empty(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && node->scalar.length == 0 && !node->quoted;
}

static const char *kind_text(const struct yaml_node *node)
{
	static const char *const texts[] = {"a single value", "a list", "a mapping"};

	return is_empty(node) ? "nothing" : texts[node->kind];
}

static void join_words(const char *const *words, size_t count, char text[KNOWN_TEXT_MAX])
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < count && used < KNOWN_TEXT_MAX; i++)
		used += (size_t)snprintf(text + used, KNOWN_TEXT_MAX - used, "%s%s",
					 i > 0 ? ", " : "", words[i]);
}

static void complain_of_unknown(struct reader *reader, const struct yaml_node *child,
				const char *what, const char *const *known, size_t known_count)
{
	char key[TEXT_SHOWN_MAX];
	char all[KNOWN_TEXT_MAX];

	text_show(child->key, key);
	const char *nearest = text_nearest(key, known, known_count);
	if (nearest != NULL) {
		reader_complain_of_key(reader, child,
				       "%s: unknown key \"%s\"; did you mean \"%s\"?", what, key,
				       nearest);
		return;
	}
	join_words(known, known_count, all);
	reader_complain_of_key(reader, child, "%s: unknown key \"%s\"; allowed: %s", what, key,
			       all);
}

bool reader_mapping(struct reader *reader, const struct yaml_node *node, const char *what,
		    const char *const *known, size_t known_count,
		    const struct yaml_node **ret_values)
{
	char all[KNOWN_TEXT_MAX];

	check(known_count <= KNOWN_MAX);
	memset(ret_values, 0, known_count * sizeof(*ret_values));
	if (node == NULL)
		return false;
	if (node->kind != YAML_MAPPING && !is_empty(node)) {
		join_words(known, known_count, all);
		reader_complain(reader, node, "%s: %s is not allowed; allowed: a mapping of %s",
				what, kind_text(node), all);
		return false;
	}
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		size_t i = 0;
		while (i < known_count && !slice_equal(child->key, slice_of(known[i])))
			i++;
		if (i < known_count)
			ret_values[i] = child;
		else
			complain_of_unknown(reader, child, what, known, known_count);
	}
	return true;
}

bool reader_names(struct reader *reader, const struct yaml_node *node, size_t most)
{
	char name[TEXT_SHOWN_MAX];

	if (node == NULL)
		return false;
	if (node->kind != YAML_MAPPING) {
		reader_complain(reader, node, "%s: %s is not allowed; allowed: a mapping",
				name_of(reader, node, name), kind_text(node));
		return false;
	}
	if (node->child_count <= most)
		return true;
	reader_complain(reader, node, "%s: %zu entries; at most %zu are allowed",
			name_of(reader, node, name), node->child_count, most);
	return false;
}

bool reader_list(struct reader *reader, const struct yaml_node *node, size_t least, size_t most,
		 const char *example)
{
	char name[TEXT_SHOWN_MAX];

	if (node == NULL)
		return false;
	if (node->kind != YAML_SEQUENCE) {
		reader_complain(reader, node, "%s: %s is not allowed; allowed: a list, as %s",
				name_of(reader, node, name), kind_text(node), example);
		return false;
	}
	reader->list = node;
	if (node->child_count >= least && node->child_count <= most)
		return true;
	reader_complain(reader, node, "%s: %zu entries; %zu to %zu are allowed",
			name_of(reader, node, name), node->child_count, least, most);
	return false;
}

bool reader_need(struct reader *reader, const struct yaml_node *mapping, const char *what,
		 const struct yaml_node *value, const char *key)
{
	if (value != NULL)
		return true;
	reader_complain(reader, mapping, "%s: \"%s\" is missing", what, key);
	return false;
}

/* ---- values ---- */

bool reader_scalar(struct reader *reader, const struct yaml_node *node, struct slice *ret_text)
{
	char name[TEXT_SHOWN_MAX];

	if (node == NULL)
		return false;
	if (node->kind == YAML_SCALAR && node->scalar.length > 0) {
		*ret_text = node->scalar;
		return true;
	}
	reader_complain(reader, node, "%s: %s is not allowed; allowed: a value",
			name_of(reader, node, name),
			node->kind == YAML_SCALAR ? "an empty text" : kind_text(node));
	return false;
}

bool reader_line(struct reader *reader, const struct yaml_node *node, size_t bytes_max,
		 const char **ret_text)
{
	char name[TEXT_SHOWN_MAX];
	struct slice text;

	if (!reader_scalar(reader, node, &text))
		return false;
	if (text.length >= bytes_max) {
		reader_complain(reader, node, "%s: %zu bytes long; at most %zu are allowed",
				name_of(reader, node, name), text.length, bytes_max - 1);
		return false;
	}
	for (size_t i = 0; i < text.length; i++) {
		const uint8_t byte = (uint8_t)text.data[i];
		if (byte < 0x20 || byte == 0x7f) {
			reader_complain(reader, node,
					"%s: a control character (0x%02x) is not allowed; allowed: "
					"one line of text",
					name_of(reader, node, name), byte);
			return false;
		}
	}
	*ret_text = reader_copy(reader, text);
	return true;
}

bool reader_word(struct reader *reader, const struct yaml_node *node, const char *const *words,
		 size_t word_count, size_t *ret_index)
{
	char all[KNOWN_TEXT_MAX];
	struct slice text;

	if (!reader_scalar(reader, node, &text))
		return false;
	for (size_t i = 0; i < word_count; i++) {
		if (slice_equal(text, slice_of(words[i]))) {
			*ret_index = i;
			return true;
		}
	}
	join_words(words, word_count, all);
	reader_complain_of_value(reader, node, all);
	return false;
}

bool reader_count(struct reader *reader, const struct yaml_node *node, uint64_t least,
		  uint64_t most, uint64_t *ret_count)
{
	char allowed[96];
	struct slice text;
	uint64_t count;

	if (!reader_scalar(reader, node, &text))
		return false;
	if (units_parse_count(text, &count) && count >= least && count <= most) {
		*ret_count = count;
		return true;
	}
	snprintf(allowed, sizeof(allowed), "a whole number from %" PRIu64 " to %" PRIu64, least,
		 most);
	reader_complain_of_value(reader, node, allowed);
	return false;
}

bool reader_bytes(struct reader *reader, const struct yaml_node *node, uint64_t least,
		  uint64_t most, uint64_t *ret_bytes)
{
	char low[UNITS_TEXT_MAX];
	char high[UNITS_TEXT_MAX];
	char allowed[128];
	struct slice text;
	uint64_t bytes;

	if (!reader_scalar(reader, node, &text))
		return false;
	if (units_parse_bytes(text, &bytes) && bytes >= least && bytes <= most) {
		*ret_bytes = bytes;
		return true;
	}
	units_format_bytes(least, low);
	units_format_bytes(most, high);
	snprintf(allowed, sizeof(allowed), "a size from %s to %s, as 128MiB", low, high);
	reader_complain_of_value(reader, node, allowed);
	return false;
}

bool reader_duration_ns(struct reader *reader, const struct yaml_node *node, uint64_t least,
			uint64_t most, uint64_t *ret_ns)
{
	char low[UNITS_TEXT_MAX];
	char high[UNITS_TEXT_MAX];
	char allowed[128];
	struct slice text;
	uint64_t ns;

	if (!reader_scalar(reader, node, &text))
		return false;
	if (units_parse_duration_ns(text, &ns) && ns >= least && ns <= most) {
		*ret_ns = ns;
		return true;
	}
	units_format_duration_ns(least, low);
	units_format_duration_ns(most, high);
	snprintf(allowed, sizeof(allowed), "a duration from %s to %s, as %s", low, high,
		 least < 24 * 3600 * CLOCK_NS_PER_S ? "30s" : "14d");
	reader_complain_of_value(reader, node, allowed);
	return false;
}

/* ---- memory ---- */

const char *reader_copy(struct reader *reader, struct slice text)
{
	const char *copy = arena_text(reader->arena, text);

	check(copy != NULL);
	return copy;
}

void *reader_alloc(struct reader *reader, size_t count, size_t size)
{
	void *memory = arena_calloc(reader->arena, count, size);

	check(memory != NULL);
	return memory;
}

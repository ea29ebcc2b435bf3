#include "base/yaml.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/text.h"

/* Nodes, their texts (a scalar is never longer than what it was written as) and the name. */
#define YAML_MEMORY_MAX (YAML_NODES_MAX * 256ull + 2ull * YAML_BYTES_MAX + 65536)
#define NAME_BYTES_MAX  4096u

struct yaml {
	struct arena arena;
	const char *name;
	struct yaml_node *root;
};

/* A mapping or sequence whose end was not seen yet. */
struct open_node {
	struct yaml_node *node;
	struct yaml_node *last; /* child */
	bool has_key;           /* a mapping's: the key of the next child was read */
	struct slice key;
	unsigned key_line, key_column;
};

struct builder {
	struct yaml *yaml;
	struct fault *fault;
	struct map keys; /* (mapping, key) -> the node that has it */
	size_t node_count;
	size_t documents;
	size_t depth;
	struct open_node open[YAML_DEPTH_MAX];
};

struct place {
	unsigned line, column;
};

__attribute__((format(printf, 4, 5))) static int
fault_at(const struct yaml *yaml, struct place place, struct fault *fault, const char *format, ...)
{
	char text[FAULT_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return fault_set(fault, FAULT_INPUT, "%s:%u:%u: %s", yaml->name, place.line, place.column,
			 text);
}

static struct place place_of(const struct fy_mark *mark)
{
	if (mark == NULL || mark->line < 0 || mark->column < 0)
		return (struct place){1, 1};
	return (struct place){(unsigned)mark->line + 1, (unsigned)mark->column + 1};
}

static struct place place_of_token(struct fy_token *token)
{
	return place_of(token ? fy_token_start_mark(token) : NULL);
}

/* libfyaml marks the byte after a quote, an `&` or a `*`. */
static struct place place_before(struct place place)
{
	place.column -= place.column > 1;
	return place;
}

static struct place place_of_anchor(struct fy_token *token)
{
	return place_before(place_of_token(token));
}

/* A copy in the document's memory, NUL-terminated; it cannot lack room under the limits. */
static struct slice token_text(struct yaml *yaml, struct fy_token *token)
{
	size_t length = 0;
	const char *text = token ? fy_token_get_text(token, &length) : NULL;
	const struct slice copy = arena_copy(&yaml->arena, slice_make(text, text ? length : 0));

	check(copy.data != NULL);
	return copy;
}

static struct slice part_for_message(struct slice text)
{
	return slice_part(text, 0, 64);
}

/* Keys of one mapping are unique; one map serves all mappings of the document. */
static int key_register(struct builder *builder, struct yaml_node *node)
{
	const struct open_node *parent = &builder->open[builder->depth - 1];
	const size_t length = sizeof(parent->node) + node->key.length;
	char *compound = malloc(length);

	check(compound != NULL);
	memcpy(compound, &parent->node, sizeof(parent->node));
	memcpy(compound + sizeof(parent->node), node->key.data, node->key.length);
	const struct yaml_node *before =
		map_put_bytes(&builder->keys, slice_make(compound, length), node);
	free(compound);
	if (before == NULL)
		return 0;
	return fault_at(builder->yaml, (struct place){node->key_line, node->key_column},
			builder->fault,
			"the key \"%.*s\" stands here again; it was given in line %u",
			SLICE_ARGS(part_for_message(node->key)), before->key_line);
}

/* Hangs the node into its parent, under the key that was read before it. */
static int node_attach(struct builder *builder, struct yaml_node *node)
{
	if (builder->depth == 0) {
		builder->yaml->root = node;
		return 0;
	}
	struct open_node *parent = &builder->open[builder->depth - 1];

	if (parent->last)
		parent->last->next = node;
	else
		parent->node->first = node;
	parent->last = node;
	parent->node->child_count++;
	if (parent->node->kind != YAML_MAPPING)
		return 0;
	node->key = parent->key;
	node->key_line = parent->key_line;
	node->key_column = parent->key_column;
	parent->has_key = false;
	return key_register(builder, node);
}

static bool is_key(const struct builder *builder)
{
	return builder->depth > 0 && builder->open[builder->depth - 1].node->kind == YAML_MAPPING &&
	       !builder->open[builder->depth - 1].has_key;
}

static int node_new(struct builder *builder, enum yaml_kind kind, struct place place,
		    struct yaml_node **ret_node)
{
	if (builder->node_count == YAML_NODES_MAX)
		return fault_at(builder->yaml, place, builder->fault,
				"more than %d values; split the file", YAML_NODES_MAX);
	struct yaml_node *node = arena_calloc(&builder->yaml->arena, 1, sizeof(*node));

	check(node != NULL);
	builder->node_count++;
	node->kind = kind;
	node->line = place.line;
	node->column = place.column;
	*ret_node = node;
	return 0;
}

static bool is_in_quotes(struct fy_token *token)
{
	const enum fy_scalar_style style = fy_scalar_token_get_style(token);
	return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
}

/* A value that is not written stands where its key does, or its list. */
static struct place place_of_value(const struct builder *builder, struct fy_token *token)
{
	const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

	if (mark != NULL && is_in_quotes(token))
		return place_before(place_of(mark));
	if (mark != NULL || builder->depth == 0)
		return place_of(mark);
	const struct open_node *parent = &builder->open[builder->depth - 1];
	if (parent->has_key)
		return (struct place){parent->key_line, parent->key_column};
	return (struct place){parent->node->line, parent->node->column};
}

static int take_scalar(struct builder *builder, struct fy_event *event)
{
	struct fy_token *token = event->scalar.value;
	const struct place place = place_of_value(builder, token);

	if (is_key(builder)) {
		struct open_node *parent = &builder->open[builder->depth - 1];
		parent->has_key = true;
		parent->key = token_text(builder->yaml, token);
		parent->key_line = place.line;
		parent->key_column = place.column;
		return 0;
	}
	struct yaml_node *node = NULL;
	const int code = node_new(builder, YAML_SCALAR, place, &node);
	if (code < 0)
		return code;
	node->scalar = token_text(builder->yaml, token);
	node->quoted = token && fy_scalar_token_get_style(token) != FYSS_PLAIN;
	return node_attach(builder, node);
}

static int take_start(struct builder *builder, enum yaml_kind kind, struct place place)
{
	if (is_key(builder))
		return fault_at(builder->yaml, place, builder->fault,
				"a key is a plain word or a quoted text, not a list or a mapping");
	if (builder->depth == YAML_DEPTH_MAX)
		return fault_at(builder->yaml, place, builder->fault,
				"nested more than %d levels deep", YAML_DEPTH_MAX);
	struct yaml_node *node = NULL;
	int code = node_new(builder, kind, place, &node);
	if (code == 0)
		code = node_attach(builder, node);
	if (code == 0)
		builder->open[builder->depth++] = (struct open_node){.node = node};
	return code;
}

static int refuse_marks(struct builder *builder, struct fy_token *anchor, struct fy_token *tag)
{
	if (anchor)
		return fault_at(builder->yaml, place_of_anchor(anchor), builder->fault,
				"anchors are not allowed; write the value where it is used");
	if (tag)
		return fault_at(builder->yaml, place_of_token(tag), builder->fault,
				"tags are not allowed; the kind of a value is known by its key");
	return 0;
}

static int take_event(struct builder *builder, struct fy_event *event)
{
	int code = 0;

	switch (event->type) {
	case FYET_SCALAR:
		code = refuse_marks(builder, event->scalar.anchor, event->scalar.tag);
		return code < 0 ? code : take_scalar(builder, event);
	case FYET_SEQUENCE_START:
		code = refuse_marks(builder, event->sequence_start.anchor,
				    event->sequence_start.tag);
		return code < 0 ? code
				: take_start(builder, YAML_SEQUENCE,
					     place_of_token(event->sequence_start.sequence_start));
	case FYET_MAPPING_START:
		code = refuse_marks(builder, event->mapping_start.anchor, event->mapping_start.tag);
		return code < 0 ? code
				: take_start(builder, YAML_MAPPING,
					     place_of_token(event->mapping_start.mapping_start));
	case FYET_SEQUENCE_END:
	case FYET_MAPPING_END:
		check(builder->depth > 0);
		builder->depth--;
		return 0;
	case FYET_ALIAS:
		return fault_at(builder->yaml, place_of_anchor(event->alias.anchor), builder->fault,
				"aliases are not allowed; write the value where it is used");
	case FYET_DOCUMENT_START:
		if (++builder->documents > 1)
			return fault_at(builder->yaml,
					place_of_token(event->document_start.document_start),
					builder->fault, "a second document; one file holds one");
		return 0;
	default:
		return 0;
	}
}

/* The parser's own complaint: the first one is the cause, the others follow from it. */
static int syntax_fault(struct yaml *yaml, struct fy_diag *diag, struct fault *fault)
{
	void *cursor = NULL;
	const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &cursor);

	if (error == NULL)
		return fault_at(yaml, (struct place){1, 1}, fault, "not valid YAML");
	const struct place place = {
		error->line > 0 ? (unsigned)error->line : 1,
		error->column > 0 ? (unsigned)error->column : 1,
	};
	return fault_at(yaml, place, fault, "not valid YAML: %s", error->msg);
}

static int build(struct builder *builder, struct fy_parser *parser, struct fy_diag *diag)
{
	struct fy_event *event;
	int code = 0;

	while (code == 0 && (event = fy_parser_parse(parser)) != NULL) {
		code = take_event(builder, event);
		fy_parser_event_free(parser, event);
	}
	if (code < 0)
		return code;
	if (fy_parser_get_stream_error(parser))
		return syntax_fault(builder->yaml, diag, builder->fault);
	check_equal(builder->depth, 0);
	if (builder->yaml->root == NULL)
		return fault_at(builder->yaml, (struct place){1, 1}, builder->fault,
				"the file is empty");
	return 0;
}

#define OPEN_MAX 32768 /* brackets, those in texts and comments too */

/* libfyaml ends silently at bytes that are no text. */
static int check_text(const struct yaml *yaml, struct slice bytes, struct fault *fault)
{
	struct place place = {1, 1};
	int64_t open = 0;

	for (size_t at = 0; at < bytes.length;) {
		const size_t length = text_utf8_length(bytes, at);
		const uint8_t byte = (uint8_t)bytes.data[at];
		if (length == 0 || byte == 0)
			return fault_at(yaml, place, fault, "byte 0x%02x is not UTF-8 text", byte);
		/* libfyaml looks far ahead before it tells of the first one, ever slower. */
		open += (byte == '[' || byte == '{') - (byte == ']' || byte == '}');
		if (open > OPEN_MAX)
			return fault_at(yaml, place, fault,
					"more than %d brackets are open; at most %d levels are "
					"allowed",
					OPEN_MAX, YAML_DEPTH_MAX);
		place.column = byte == '\n' ? 1 : place.column + 1;
		place.line += byte == '\n';
		at += length;
	}
	return 0;
}

static int parse_into(struct yaml *yaml, struct slice bytes, struct fault *fault)
{
	struct builder builder = {.yaml = yaml, .fault = fault};
	struct fy_diag_cfg diag_settings = {0};
	int code;

	fy_diag_cfg_default(&diag_settings);
	struct fy_diag *diag = fy_diag_create(&diag_settings);
	check(diag != NULL);
	fy_diag_set_collect_errors(diag, true);
	const struct fy_parse_cfg settings = {
		.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 |
			 FYPCF_JSON_NONE,
		.diag = diag,
	};
	struct fy_parser *parser = fy_parser_create(&settings);
	check(parser != NULL);

	map_init(&builder.keys);
	if (fy_parser_set_string(parser, bytes.data, bytes.length) == 0)
		code = build(&builder, parser, diag);
	else
		code = syntax_fault(yaml, diag, fault);
	map_fini(&builder.keys);
	fy_parser_destroy(parser);
	fy_diag_destroy(diag);
	return code;
}

int yaml_parse(const char *name, struct slice bytes, struct yaml **ret_yaml, struct fault *fault)
{
	if (bytes.length > YAML_BYTES_MAX)
		return fault_set(fault, FAULT_LIMIT, "%s: %zu bytes long; at most %u are allowed",
				 name, bytes.length, YAML_BYTES_MAX);
	struct yaml *yaml = calloc(1, sizeof(*yaml));
	check(yaml != NULL);
	arena_init(&yaml->arena, YAML_MEMORY_MAX);
	yaml->name = arena_text(&yaml->arena, slice_part(slice_of(name), 0, NAME_BYTES_MAX));
	check(yaml->name != NULL);

	int code = check_text(yaml, bytes, fault);
	if (code == 0)
		code = parse_into(yaml, bytes, fault);
	if (code < 0) {
		yaml_free(yaml);
		return code;
	}
	*ret_yaml = yaml;
	return 0;
}

void yaml_free(struct yaml *yaml)
{
	if (yaml == NULL)
		return;
	arena_fini(&yaml->arena);
	free(yaml);
}

const struct yaml_node *yaml_root(const struct yaml *yaml)
{
	return yaml->root;
}

const char *yaml_name(const struct yaml *yaml)
{
	return yaml->name;
}

const struct yaml_node *yaml_find(const struct yaml_node *mapping, const char *key)
{
	check(mapping->kind == YAML_MAPPING);
	for (const struct yaml_node *child = mapping->first; child; child = child->next) {
		if (slice_equal(child->key, slice_of(key)))
			return child;
	}
	return NULL;
}

int yaml_fault(const struct yaml *yaml, const struct yaml_node *node, struct fault *fault,
	       const char *format, ...)
{
	char text[FAULT_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return fault_at(yaml, (struct place){node->line, node->column}, fault, "%s", text);
}

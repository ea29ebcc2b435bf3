#include "catalog/manifest_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "catalog/reader_internal.h"

/* What a file of YAML_BYTES_MAX can be copied into, with pointers to its parts. */
#define MANIFEST_MEMORY_MAX (4ull * YAML_BYTES_MAX)
#define TAG_MAX             32 /* bytes with the NUL */
#define UNIT_NAME_MAX       32

struct manifest_holder {
	struct catalog_manifest manifest; /* first: what is handed out */
	struct arena arena;
};

/* ---- texts ---- */

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_lower(char byte)
{
	return byte >= 'a' && byte <= 'z';
}

/* A DNS label, of the node's value or (of_key) of its key. */
static bool label_read(struct reader *reader, const struct yaml_node *node, bool of_key,
		       const char *what, const char **ret_label)
{
	struct slice text;
	struct fault fault;

	if (of_key)
		text = node->key;
	else if (!reader_scalar(reader, node, &text))
		return false;
	if (account_name_check(what, text, &fault) == 0) {
		*ret_label = reader_copy(reader, text);
		return true;
	}
	if (of_key)
		reader_complain_of_key(reader, node, "%s", fault.text);
	else
		reader_complain(reader, node, "%s", fault.text);
	return false;
}

/* semver.org 2.0.0: a dot-separated list of identifiers; numbers without leading zeros where
 * `strict`. */
static bool are_identifiers(struct slice text, bool strict)
{
	struct slice part;
	bool any = false;

	if (text.length > 0 && text.data[text.length - 1] == '.')
		return false;
	while (slice_cut(&text, '.', &part)) {
		bool number = true;
		for (size_t i = 0; i < part.length; i++) {
			const char byte = part.data[i];
			const bool letter = is_lower(byte) || (byte >= 'A' && byte <= 'Z');
			if (!letter && !is_digit(byte) && byte != '-')
				return false;
			number = number && is_digit(byte);
		}
		if (part.length == 0 ||
		    (strict && number && part.length > 1 && part.data[0] == '0'))
			return false;
		any = true;
	}
	return any;
}

static bool is_core(struct slice text)
{
	size_t numbers = 0;
	struct slice part;

	while (slice_cut(&text, '.', &part)) {
		uint64_t number;
		if (!slice_to_u64(part, INT64_MAX, &number))
			return false;
		if (part.length > 1 && part.data[0] == '0')
			return false;
		numbers++;
	}
	return numbers == 3;
}

static bool is_version(struct slice text)
{
	const size_t plus = slice_find_byte(text, '+', 0);
	const struct slice precedence = slice_part(text, 0, plus);
	const size_t dash = slice_find_byte(precedence, '-', 0);

	if (plus < text.length && !are_identifiers(slice_part(text, plus + 1, text.length), false))
		return false;
	if (dash < precedence.length &&
	    !are_identifiers(slice_part(precedence, dash + 1, precedence.length), true))
		return false;
	return text.length < CATALOG_VERSION_MAX && is_core(slice_part(precedence, 0, dash)) &&
	       precedence.data[dash - 1] != '.';
}

static void version_read(struct reader *reader, const struct yaml_node *node, const char **ret_text)
{
	struct slice text;

	if (!reader_scalar(reader, node, &text))
		return;
	if (is_version(text))
		*ret_text = reader_copy(reader, text);
	else
		reader_complain_of_value(reader, node,
					 "a semantic version, as 1.4.0 or 2.0.0-rc.1");
}

/* A path that cannot leave the manifest's folder. */
static void path_read(struct reader *reader, const struct yaml_node *node, const char **ret_path)
{
	const char *path;
	struct slice rest;
	struct slice part;

	if (!reader_line(reader, node, CATALOG_TEXT_MAX, &path))
		return;
	rest = slice_of(path);
	bool inside = path[0] != '/';
	while (inside && slice_cut(&rest, '/', &part))
		inside = !slice_equal(part, slice_of(".."));
	if (inside)
		*ret_path = path;
	else
		reader_complain_of_value(reader, node, "a path beside the manifest, as README.md");
}

static void tags_read(struct reader *reader, const struct yaml_node *node,
		      struct catalog_description *description)
{
	size_t count = 0;

	if (!reader_list(reader, node, 0, CATALOG_TAGS_MAX, "[images]"))
		return;
	const char **tags = reader_alloc(reader, node->child_count + 1, sizeof(*tags));
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		const char *tag;
		bool again = false;
		if (!label_read(reader, child, false, "tag", &tag))
			continue;
		if (strlen(tag) >= TAG_MAX) {
			reader_complain(reader, child,
					"tag \"%s\": %zu bytes long; at most %d are allowed", tag,
					strlen(tag), TAG_MAX - 1);
			continue;
		}
		for (size_t i = 0; i < count; i++)
			again = again || strcmp(tags[i], tag) == 0;
		if (again)
			reader_complain(reader, child, "tag \"%s\" stands here again", tag);
		else
			tags[count++] = tag;
	}
	description->tags = tags;
}

/* ---- meters ---- */

static bool is_unit_name(struct slice name)
{
	if (name.length < 1 || name.length >= UNIT_NAME_MAX || !is_lower(name.data[0]))
		return false;
	for (size_t i = 0; i < name.length; i++) {
		const char byte = name.data[i];
		if (!is_lower(byte) && !is_digit(byte) && byte != '_')
			return false;
	}
	return true;
}

static void unit_read(struct reader *reader, const struct yaml_node *node,
		      struct catalog_unit *ret_unit)
{
	static const char *const keys[] = {"reported_by", "unit"};
	static const char *const reporters[] = {"Stoa-Units"};
	const struct yaml_node *values[2];
	char shown[TEXT_SHOWN_MAX];
	size_t index;

	if (!is_unit_name(node->key)) {
		reader_complain_of_key(reader, node,
				       "meter \"%s\": 1 to %d of a-z, 0-9 and '_' are allowed, a "
				       "letter first",
				       text_show(node->key, shown), UNIT_NAME_MAX - 1);
		return;
	}
	for (int meter = 0; meter < RATING_METERS; meter++) {
		if (!slice_equal(node->key, slice_of(rating_meter_name(meter))))
			continue;
		reader_complain_of_key(reader, node,
				       "meter \"%s\": the name is taken by Stoa's own; choose "
				       "another",
				       rating_meter_name(meter));
		return;
	}
	ret_unit->name = reader_copy(reader, node->key);
	ret_unit->unit = ret_unit->name;
	if (!reader_mapping(reader, node, "meter", keys, READER_COUNT_OF(keys), values))
		return;
	reader_word(reader, values[0], reporters, READER_COUNT_OF(reporters), &index);
	reader_line(reader, values[1], UNIT_NAME_MAX, &ret_unit->unit);
}

static void meters_read(struct reader *reader, const struct yaml_node *node,
			struct catalog_description *description)
{
	size_t count = 0;

	if (!reader_names(reader, node, RATING_UNITS_MAX))
		return;
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		unit_read(reader, child, &description->units[count]);
		count += description->units[count].name != NULL;
	}
}

static struct manifest_meters meters_of(const struct catalog_description *description)
{
	struct manifest_meters meters = {.units = description->units};

	for (; meters.count < RATING_UNIT_0; meters.count++)
		meters.names[meters.count] = rating_meter_name(meters.count);
	for (size_t i = 0; i < RATING_UNITS_MAX && description->units[i].name != NULL; i++)
		meters.names[meters.count++] = description->units[i].name;
	return meters;
}

/* ---- the whole ---- */

static void plans_read(struct reader *reader, const struct yaml_node *node,
		       struct catalog_manifest *manifest)
{
	const struct manifest_meters meters = meters_of(&manifest->description);

	if (!reader_names(reader, node, CATALOG_PLANS_MAX))
		return;
	if (node->child_count == 0)
		reader_complain(reader, node,
				"plans: no plan; at least one is needed to be "
				"subscribed to, as {free: {}}");
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		struct catalog_manifest_plan *plan = &manifest->plans[manifest->plan_count];
		if (!label_read(reader, child, true, "plan name", &plan->name))
			continue;
		manifest_plan_read(reader, child, &meters, plan);
		manifest->plan_count++;
	}
}

static void root_read(struct reader *reader, const struct yaml_node *root,
		      const struct catalog_files *files, struct catalog_manifest *manifest)
{
	enum {
		SERVICE,
		VERSION,
		SUMMARY,
		TAGS,
		DOCS,
		OPENAPI,
		PROTOCOL,
		IDENTITY,
		RUN,
		UPSTREAM,
		TLS,
		METERS,
		PLANS,
		KEYS
	};
	static const char *const keys[KEYS] = {
		[SERVICE] = "service",   [VERSION] = "version",   [SUMMARY] = "summary",
		[TAGS] = "tags",         [DOCS] = "docs",         [OPENAPI] = "openapi",
		[PROTOCOL] = "protocol", [IDENTITY] = "identity", [RUN] = "run",
		[UPSTREAM] = "upstream", [TLS] = "tls",           [METERS] = "meters",
		[PLANS] = "plans",
	};
	static const char *const protocols[] = {
#define X(protocol, name) name,
		CATALOG_PROTOCOLS(X)
#undef X
	};
	static const char *const identities[] = {"unsigned", "signed"};
	static const char *const no_tags[] = {NULL};
	size_t protocol, identity;
	struct catalog_description *description = &manifest->description;
	const struct yaml_node *values[KEYS];

	description->summary = "";
	description->tags = no_tags;
	if (!reader_mapping(reader, root, "manifest", keys, KEYS, values))
		return;
	reader_need(reader, root, "manifest", values[SERVICE], keys[SERVICE]);
	reader_need(reader, root, "manifest", values[VERSION], keys[VERSION]);
	reader_need(reader, root, "manifest", values[PLANS], keys[PLANS]);
	if (values[SERVICE] != NULL)
		label_read(reader, values[SERVICE], false, "service name", &description->name);
	version_read(reader, values[VERSION], &description->version);
	reader_line(reader, values[SUMMARY], CATALOG_TEXT_MAX, &description->summary);
	tags_read(reader, values[TAGS], description);
	path_read(reader, values[DOCS], &description->docs);
	path_read(reader, values[OPENAPI], &description->openapi);
	if (reader_word(reader, values[PROTOCOL], protocols, READER_COUNT_OF(protocols), &protocol))
		description->protocol = (enum catalog_protocol)protocol;
	if (reader_word(reader, values[IDENTITY], identities, READER_COUNT_OF(identities),
			&identity))
		description->signed_calls = identity == 1;

	if (values[RUN] != NULL && values[UPSTREAM] != NULL)
		reader_complain_of_key(reader, values[UPSTREAM],
				       "upstream: \"run\" is there too; a service is either run by "
				       "the cloud or reached where it runs already");
	else if (values[RUN] == NULL && values[UPSTREAM] == NULL)
		reader_complain(reader, root,
				"manifest: \"run\" or \"upstream\" is missing: how to start the "
				"service, or where it runs already");
	manifest_run_read(reader, values[RUN], description);
	manifest_upstreams_read(reader, values[UPSTREAM], description);
	manifest_tls_read(reader, values[TLS], files, manifest);
	meters_read(reader, values[METERS], description);
	plans_read(reader, values[PLANS], manifest);
}

int catalog_manifest_parse(const char *file, struct slice bytes,
			   struct catalog_manifest **ret_manifest,
			   struct catalog_complaints *ret_complaints, struct fault *fault)
{
	const struct catalog_files none = {.now_ns = 0};

	return catalog_manifest_parse_with(file, bytes, &none, ret_manifest, ret_complaints, fault);
}

int catalog_manifest_parse_with(const char *file, struct slice bytes,
				const struct catalog_files *files,
				struct catalog_manifest **ret_manifest,
				struct catalog_complaints *ret_complaints, struct fault *fault)
{
	struct yaml *yaml = NULL;
	struct fault syntax;

	ret_complaints->count = 0;
	/* What the parser complains of is the only complaint, for there is nothing to read. */
	if (yaml_parse(file, bytes, &yaml, &syntax) < 0) {
		ret_complaints->count = 1;
		ret_complaints->of[0].line = 1;
		ret_complaints->of[0].column = 1;
		snprintf(ret_complaints->of[0].text, CATALOG_COMPLAINT_MAX, "%.*s",
			 CATALOG_COMPLAINT_MAX - 1, syntax.text);
		return fault_set(fault, FAULT_INPUT, "%s", syntax.text);
	}

	struct manifest_holder *holder = calloc(1, sizeof(*holder));
	check(holder != NULL);
	arena_init(&holder->arena, MANIFEST_MEMORY_MAX);
	struct reader reader = {
		.yaml = yaml, .arena = &holder->arena, .complaints = ret_complaints};
	root_read(&reader, yaml_root(yaml), files, &holder->manifest);
	yaml_free(yaml);
	if (reader.complaint_count > 0) {
		catalog_manifest_free(&holder->manifest);
		return fault_set(fault, FAULT_INPUT, "%s", ret_complaints->of[0].text);
	}
	*ret_manifest = &holder->manifest;
	return 0;
}

void catalog_manifest_free(struct catalog_manifest *manifest)
{
	struct manifest_holder *holder = (struct manifest_holder *)manifest;

	if (holder == NULL)
		return;
	arena_fini(&holder->arena);
	free(holder);
}

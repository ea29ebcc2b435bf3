/* What docs/manifest.md shows can be published as it stands there. Its path is the argument. */
#include "base/testing.h"

#include <string.h>

#include "base/disk.h"
#include "base/text.h"
#include "base/yaml.h"
#include "catalog/catalog.h"
#include "catalog/tls_rig_internal.h"

static const char *document_path;
static struct tls_pair pair; /* for examples that name files */

static bool has_key(struct slice block, const char *key)
{
	struct slice line;

	while (slice_cut(&block, '\n', &line)) {
		if (slice_starts_with(line, slice_of(key)))
			return true;
	}
	return false;
}

/* A part of a manifest is completed by the least that the rest can be. */
static void assert_publishable(struct slice block)
{
	struct catalog_manifest *manifest = NULL;
	struct catalog_complaints complaints;
	struct fault fault;
	struct text text;

	text_init(&text, YAML_BYTES_MAX);
	if (!has_key(block, "service:"))
		text_append_text(&text, "service: a\nversion: 1.0.0\n");
	if (!has_key(block, "run:") && !has_key(block, "upstream:"))
		text_append_text(&text, "run: {command: [./a]}\n");
	if (!has_key(block, "plans:"))
		text_append_text(&text, "plans: {free: {}}\n");
	text_append(&text, block);
	const struct catalog_files files = {.tls_ca = slice_of(pair.certificate),
					    .tls_certificate = slice_of(pair.certificate),
					    .tls_key = slice_of(pair.key),
					    .now_ns = pair.now_ns};
	if (catalog_manifest_parse_with("manifest.md", text_slice(&text), &files, &manifest,
					&complaints, &fault) < 0)
		fail_msg("%s\n%.*s", fault.text, SLICE_ARGS(block));
	catalog_manifest_free(manifest);
	text_fini(&text);
}

static void every_example_of_the_reference_can_be_published(void **state)
{
	static const char fence[] = "```yaml\n";
	struct fault fault;
	size_t length;
	size_t count = 0;
	char *text;

	(void)state;
	assert_int_equal(disk_read_file(document_path, YAML_BYTES_MAX, &text, &length, &fault), 0);
	for (const char *at = strstr(text, fence); at != NULL; at = strstr(at, fence)) {
		const char *start = at + strlen(fence);
		const char *end = strstr(start, "```");
		assert_non_null(end);
		assert_publishable(slice_make(start, (size_t)(end - start)));
		count++;
		at = end;
	}
	assert_true(count >= 6);
	free(text);
}

int main(int argument_count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_example_of_the_reference_can_be_published),
	};

	if (argument_count != 2)
		return 2;
	document_path = arguments[1];
	tls_pair_make(&pair, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

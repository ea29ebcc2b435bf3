#include "base/testing.h"

#include <string.h>

#include "base/text.h"
#include "base/yaml.h"

static struct fault fault;

static struct yaml *parse(const char *text)
{
	struct yaml *yaml = NULL;

	fault.text[0] = '\0';
	if (yaml_parse("f.yaml", slice_of(text), &yaml, &fault) != 0)
		fail_msg("%s", fault.text);
	return yaml;
}

static void assert_refused(const char *text, const char *complaint)
{
	struct yaml *yaml = NULL;

	assert_int_equal(yaml_parse("f.yaml", slice_of(text), &yaml, &fault), FAULT_INPUT);
	assert_null(yaml);
	assert_string_equal(fault.text, complaint);
}

static void assert_scalar(const struct yaml_node *node, const char *value, unsigned line,
			  unsigned column)
{
	assert_non_null(node);
	assert_int_equal(node->kind, YAML_SCALAR);
	assert_string_equal(node->scalar.data, value);
	assert_int_equal(node->scalar.length, strlen(value));
	assert_int_equal(node->line, line);
	assert_int_equal(node->column, column);
}

static void every_value_and_key_knows_its_line_and_column(void **state)
{
	struct yaml *yaml = parse("a: 1\n"
				  "list:\n"
				  "  - x\n"
				  "  - {y: 2, z: \"q\"}\n"
				  "empty:\n"
				  "last: 'hi'\n");
	const struct yaml_node *root = yaml_root(yaml);

	(void)state;
	assert_int_equal(root->kind, YAML_MAPPING);
	assert_int_equal(root->child_count, 4);
	assert_scalar(yaml_find(root, "a"), "1", 1, 4);
	const struct yaml_node *list = yaml_find(root, "list");
	assert_int_equal(list->kind, YAML_SEQUENCE);
	assert_int_equal(list->child_count, 2);
	assert_int_equal(list->key_line, 2);
	assert_int_equal(list->key_column, 1);
	assert_scalar(list->first, "x", 3, 5);
	assert_scalar(yaml_find(list->first->next, "z"), "q", 4, 15);
	assert_int_equal(yaml_find(list->first->next, "z")->key_column, 12);
	assert_null(list->first->next->next);
	assert_scalar(yaml_find(root, "empty"), "", 5, 1);
	assert_scalar(yaml_find(root, "last"), "hi", 6, 7);
	assert_null(yaml_find(root, "las"));
	assert_string_equal(yaml_name(yaml), "f.yaml");
	yaml_free(yaml);
}

static void quotes_are_told_from_plain_words(void **state)
{
	struct yaml *yaml =
		parse("plain: 10\nsingle: '10'\ndouble: \"1\\u00e4\"\nblock: |\n  a\n  b\n");
	const struct yaml_node *root = yaml_root(yaml);

	(void)state;
	assert_false(yaml_find(root, "plain")->quoted);
	assert_true(yaml_find(root, "single")->quoted);
	assert_true(yaml_find(root, "double")->quoted);
	assert_string_equal(yaml_find(root, "double")->scalar.data, "1\xc3\xa4");
	assert_true(yaml_find(root, "block")->quoted);
	assert_string_equal(yaml_find(root, "block")->scalar.data, "a\nb\n");
	yaml_free(yaml);
}

static void words_that_other_readers_guess_at_stay_text(void **state)
{
	struct yaml *yaml = parse("a: yes\nb: 012\nc: ~\nd: 1.10\ne: 2001-01-01\n<<: x\n");
	const struct yaml_node *root = yaml_root(yaml);

	(void)state;
	assert_scalar(yaml_find(root, "a"), "yes", 1, 4);
	assert_scalar(yaml_find(root, "b"), "012", 2, 4);
	assert_scalar(yaml_find(root, "c"), "~", 3, 4);
	assert_scalar(yaml_find(root, "d"), "1.10", 4, 4);
	assert_scalar(yaml_find(root, "e"), "2001-01-01", 5, 4);
	assert_scalar(yaml_find(root, "<<"), "x", 6, 5);
	yaml_free(yaml);
}

static void anchors_aliases_and_tags_are_refused_where_they_stand(void **state)
{
	(void)state;
	assert_refused("a: &x 1\n",
		       "f.yaml:1:4: anchors are not allowed; write the value where it is used");
	assert_refused("a: &x {b: 1}\n",
		       "f.yaml:1:4: anchors are not allowed; write the value where it is used");
	assert_refused("a:\n  b: *x\n",
		       "f.yaml:2:6: aliases are not allowed; write the value where it is used");
	assert_refused("*x : 1\n",
		       "f.yaml:1:1: aliases are not allowed; write the value where it is used");
	assert_refused("a: !!int 3\n",
		       "f.yaml:1:4: tags are not allowed; the kind of a value is known by its key");
	assert_refused("a: !local [1]\n",
		       "f.yaml:1:4: tags are not allowed; the kind of a value is known by its key");
	assert_refused("&k a: 1\n",
		       "f.yaml:1:1: anchors are not allowed; write the value where it is used");
}

static void a_key_given_twice_is_refused_with_both_places(void **state)
{
	struct yaml *yaml;

	(void)state;
	assert_refused("a: 1\nb: 2\na: 3\n",
		       "f.yaml:3:1: the key \"a\" stands here again; it was given in line 1");
	assert_refused("x: {a: 1, 'a': 2}\n",
		       "f.yaml:1:11: the key \"a\" stands here again; it was given in line 1");
	/* The same name in another mapping is another key. */
	yaml = parse("a: {a: {a: 1}}\nb: {a: 1}\n");
	yaml_free(yaml);
}

static void broken_syntax_is_told_with_line_and_column(void **state)
{
	static const char *const cases[][2] = {
		{"a: [1, 2\nb: 3\n",
		 "f.yaml:3:1: not valid YAML: flow sequence without a closing bracket"},
		{"a:\n\t- b\n",
		 "f.yaml:2:1: not valid YAML: tab character may not be used as indentation"},
		{"a: b: c\n",
		 "f.yaml:1:5: not valid YAML: invalid nested block mapping on the same line"},
		{"a: \"x\n",
		 "f.yaml:1:5: not valid YAML: double-quoted scalar without closing quote"},
		{"a:\n  b: 1\n c: 2\n",
		 "f.yaml:3:2: not valid YAML: invalid indentation in mapping"},
		{"@x: 1\n", "f.yaml:1:1: not valid YAML: plain scalar cannot start with '@'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i][0], cases[i][1]);
}

static void a_file_holds_one_document_of_text(void **state)
{
	struct yaml *yaml = NULL;

	(void)state;
	assert_refused("", "f.yaml:1:1: the file is empty");
	assert_refused("# only a comment\n", "f.yaml:1:1: the file is empty");
	assert_refused("--- a\n--- b\n", "f.yaml:2:1: a second document; one file holds one");
	assert_refused("a: 1\nb: \xc3\x28\n", "f.yaml:2:4: byte 0xc3 is not UTF-8 text");
	assert_refused("\xff\xfe", "f.yaml:1:1: byte 0xff is not UTF-8 text");
	assert_int_equal(yaml_parse("f.yaml", slice_make("a: \0", 4), &yaml, &fault), FAULT_INPUT);
	assert_string_equal(fault.text, "f.yaml:1:4: byte 0x00 is not UTF-8 text");
	assert_refused(
		"{[a]: b}",
		"f.yaml:1:2: a key is a plain word or a quoted text, not a list or a mapping");
	yaml = parse("\xef\xbb\xbf---\na: 1\n...\n");
	assert_string_equal(yaml_find(yaml_root(yaml), "a")->scalar.data, "1");
	yaml_free(yaml);
}

static void assert_bomb(const char *piece, size_t times, int code, const char *complaint)
{
	struct yaml *yaml = NULL;
	struct text text;

	text_init(&text, 4 * YAML_BYTES_MAX);
	for (size_t i = 0; i < times; i++)
		text_append_text(&text, piece);
	assert_int_equal(yaml_parse("f.yaml", text_slice(&text), &yaml, &fault), code);
	assert_non_null(strstr(fault.text, complaint));
	text_fini(&text);
}

static void depth_count_and_size_are_bounded(void **state)
{
	(void)state;
	assert_bomb("[", 20000, FAULT_INPUT, "f.yaml:1:33: nested more than 32 levels deep");
	assert_bomb("[", YAML_BYTES_MAX, FAULT_INPUT,
		    "f.yaml:1:32769: more than 32768 brackets are open");
	assert_bomb("{a: ", 5000, FAULT_INPUT, "nested more than 32 levels deep");
	assert_bomb("- ", 20000, FAULT_INPUT, "nested more than 32 levels deep");
	assert_bomb("- a\n", YAML_NODES_MAX, FAULT_INPUT,
		    "f.yaml:20000:3: more than 20000 values; split the file");
	assert_bomb("# a comment of 32 bytes, longish\n", YAML_BYTES_MAX / 32, FAULT_LIMIT,
		    "at most 1048576 are allowed");
}

static void the_limits_themselves_are_allowed(void **state)
{
	struct yaml *yaml = NULL;
	struct text text;

	(void)state;
	text_init(&text, YAML_BYTES_MAX);
	for (int i = 0; i < YAML_DEPTH_MAX; i++)
		text_append_text(&text, "[");
	for (int i = 0; i < YAML_DEPTH_MAX; i++)
		text_append_text(&text, "]");
	assert_int_equal(yaml_parse("f", text_slice(&text), &yaml, &fault), 0);
	yaml_free(yaml);

	text_clear(&text);
	for (int i = 0; i < YAML_NODES_MAX - 1; i++)
		text_printf(&text, "k%d: 1\n", i);
	assert_int_equal(yaml_parse("f", text_slice(&text), &yaml, &fault), 0);
	assert_int_equal(yaml_root(yaml)->child_count, YAML_NODES_MAX - 1);
	yaml_free(yaml);

	text_clear(&text);
	text_append_text(&text, "a: ");
	while (text.length < YAML_BYTES_MAX)
		text_append_text(&text, "x");
	assert_int_equal(yaml_parse("f", text_slice(&text), &yaml, &fault), 0);
	assert_int_equal(yaml_root(yaml)->first->scalar.length, YAML_BYTES_MAX - 3);
	yaml_free(yaml);
	text_fini(&text);
}

static void a_complaint_names_file_line_and_column(void **state)
{
	struct yaml *yaml = parse("run:\n  memory: 5\n");

	(void)state;
	const struct yaml_node *run = yaml_find(yaml_root(yaml), "run");
	assert_int_equal(yaml_fault(yaml, yaml_find(run, "memory"), &fault, "%d is too little", 5),
			 FAULT_INPUT);
	assert_string_equal(fault.text, "f.yaml:2:11: 5 is too little");
	yaml_free(yaml);
	yaml_free(NULL);
}

static void bytes_changed_at_random_never_do_harm(void **state)
{
	static const char source[] = "service: thumbs\nrun:\n  command: [./thumbs, \"-x\"]\n"
				     "plans:\n  payg: {prices: [{meter: calls, price: '0.05'}]}\n"
				     "text: |\n  a\n  b\n? q\n: r\n";
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int i = 0; i < 3000; i++) {
		struct yaml *yaml = NULL;
		char *text = malloc(sizeof(source) - 1);

		memcpy(text, source, sizeof(source) - 1);
		for (int j = 0; j < 3; j++)
			text[random_below(&random.random, sizeof(source) - 1)] =
				(char)(i % 2 ? random_u64(&random.random)
					     : (unsigned char)"[]{}:-?&*!|>'\"#%@\n\t "
						       [random_below(&random.random, 20)]);
		const int code =
			yaml_parse("f", slice_make(text, sizeof(source) - 1), &yaml, &fault);
		assert_int_equal(code == 0, yaml != NULL);
		if (code == 0)
			assert_non_null(yaml_root(yaml));
		yaml_free(yaml);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_and_key_knows_its_line_and_column),
		cmocka_unit_test(quotes_are_told_from_plain_words),
		cmocka_unit_test(words_that_other_readers_guess_at_stay_text),
		cmocka_unit_test(anchors_aliases_and_tags_are_refused_where_they_stand),
		cmocka_unit_test(a_key_given_twice_is_refused_with_both_places),
		cmocka_unit_test(broken_syntax_is_told_with_line_and_column),
		cmocka_unit_test(a_file_holds_one_document_of_text),
		cmocka_unit_test(depth_count_and_size_are_bounded),
		cmocka_unit_test(the_limits_themselves_are_allowed),
		cmocka_unit_test(a_complaint_names_file_line_and_column),
		cmocka_unit_test(bytes_changed_at_random_never_do_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

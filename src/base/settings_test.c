#include "base/testing.h"

#include <string.h>

#include "base/settings.h"

static const char *const io_names[] = {"auto", "uring", "epoll", NULL};

#define TEST_SETTINGS(X)                                                                       \
	X(TEXT, name, "name", NULL, "1", "16", NULL, "What the cloud is called")               \
	X(COUNT, workers, "workers", "1", "1", "64", NULL, "Threads that serve")               \
	X(ENUM, io, "io", "auto", NULL, NULL, io_names, "How events are waited for")           \
	X(BOOL, colour, "log.colour", "false", NULL, NULL, NULL, "Whether lines are coloured") \
	X(BYTES, line, "log.line", "4KiB", "64B", NULL, NULL, "The longest line")              \
	X(DURATION, head_timeout_ns, "http.head.timeout", "10s", "10ms", "1h", NULL,           \
	  "How long a head may take")                                                          \
	X(PERCENT, fee_ppm, "fee", "3%", "0%", "100%", NULL, "The operator's share")           \
	X(AMOUNT, call, "rates.call", "0", NULL, "1000.5", NULL, "Price of a call")            \
	X(OTHER, listeners, "gateway", NULL, NULL, NULL, NULL, "Where calls come in")

struct test_settings {
	TEST_SETTINGS(SETTINGS_MEMBER)
};

#define TEST_ROW(...) SETTINGS_ROW(struct test_settings, __VA_ARGS__)
static const struct settings_row rows[] = {TEST_SETTINGS(TEST_ROW)};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static struct arena arena;
static struct fault fault;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 16);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static int read_text(const char *text, struct test_settings *ret_settings)
{
	struct yaml *yaml;

	assert_int_equal(yaml_parse("cloud.yaml", slice_of(text), &yaml, &fault), 0);
	const int code =
		settings_read(rows, ROW_COUNT, yaml, yaml_root(yaml), &arena, ret_settings, &fault);
	if (code == 0 && ret_settings->listeners)
		assert_int_equal(ret_settings->listeners->kind, YAML_SEQUENCE);
	yaml_free(yaml);
	return code;
}

static void what_is_given_is_read_and_the_rest_is_the_default(void **state)
{
	struct test_settings settings;

	(void)state;
	assert_int_equal(read_text("name: athens\n", &settings), 0);
	assert_string_equal(settings.name, "athens");
	assert_int_equal(settings.workers, 1);
	assert_int_equal(settings.io, 0);
	assert_false(settings.colour);
	assert_int_equal(settings.line, 4096);
	assert_int_equal(settings.head_timeout_ns, 10000000000);
	assert_int_equal(settings.fee_ppm, 30000);
	assert_int_equal(settings.call.nano, 0);
	assert_null(settings.listeners);

	assert_int_equal(
		read_text("name: 'a b'\nworkers: 64\nio: epoll\nfee: 0.25%\n"
			  "log: {colour: true, line: 1MiB}\nhttp: {head: {timeout: 1.5s}}\n"
			  "rates:\n  call: 0.000001\ngateway: [127.0.0.1:8080]\n",
			  &settings),
		0);
	assert_string_equal(settings.name, "a b");
	assert_int_equal(settings.workers, 64);
	assert_int_equal(settings.io, 2);
	assert_true(settings.colour);
	assert_int_equal(settings.line, 1048576);
	assert_int_equal(settings.head_timeout_ns, 1500000000);
	assert_int_equal(settings.fee_ppm, 2500);
	assert_int_equal(settings.call.nano, 1000);
	assert_non_null(settings.listeners);
}

static void every_complaint_names_place_value_and_what_is_allowed(void **state)
{
	static const char *const cases[][2] = {
		{"name: a\nworkers: many\n", "cloud.yaml:2:10: workers: \"many\" is not a count; "
					     "write a whole number like 100, "
					     "20k or 5M (allowed: 1 to 64)"},
		{"name: a\nworkers: 65\n", "cloud.yaml:2:10: workers: \"65\" is too much; write a "
					   "whole number like 100, 20k or "
					   "5M (allowed: 1 to 64)"},
		{"name: a\nworkers: 0\n", "cloud.yaml:2:10: workers: \"0\" is too little; write a "
					  "whole number like 100, 20k "
					  "or 5M (allowed: 1 to 64)"},
		{"name: a\nworkers:\n", "cloud.yaml:2:1: workers: \"\" is no value; write a whole "
					"number like 100, 20k or 5M "
					"(allowed: 1 to 64)"},
		{"name: a\nworkers: [1]\n",
		 "cloud.yaml:2:10: workers: a list is not a count; write a whole number like 100, "
		 "20k or 5M"},
		{"name: a\nio: urng\n",
		 "cloud.yaml:2:5: io: \"urng\" is not a choice; write one of the choices (allowed: "
		 "auto, uring, epoll); did you mean \"uring\"?"},
		{"name: a\nlog:\n  colour: yes\n",
		 "cloud.yaml:3:11: log.colour: \"yes\" is not a truth value; write true or false "
		 "(allowed: true, false)"},
		{"name: a\nlog: {line: 63}\n", "cloud.yaml:2:13: log.line: \"63\" is too little; "
					       "write a size like 64KiB, 128MiB or "
					       "512B (allowed: at least 64B)"},
		{"name: a\nhttp: {head: {timeout: 10}}\n",
		 "cloud.yaml:2:24: http.head.timeout: \"10\" is not a duration; write a duration "
		 "like "
		 "250ms, 5s, 2m, 1h or 14d (allowed: 10ms to 1h)"},
		{"name: a\nfee: 3\n", "cloud.yaml:2:6: fee: \"3\" is not a percentage; write a "
				      "percentage like 3% or 0.25% "
				      "(allowed: 0% to 100%)"},
		{"name: a\nrates: {call: 1000.500000001}\n",
		 "cloud.yaml:2:15: rates.call: \"1000.500000001\" is too much; write an amount "
		 "like "
		 "0.05 or 10, at most 9 decimal places (allowed: at most 1000.5)"},
		{"workers: 2\n", "cloud.yaml:1:1: name must be given: What the cloud is called"},
		{"name: ''\n", "cloud.yaml:1:7: name: the text is too short; write a text "
			       "(allowed: 1 to 16 bytes)"},
		{"name: a secret that is too long\n", "cloud.yaml:1:7: name: the text is too long; "
						      "write a text (allowed: 1 to 16 bytes)"},
	};
	struct test_settings settings, before;

	(void)state;
	memset(&settings, 0x5a, sizeof(settings));
	before = settings;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_text(cases[i][0], &settings), FAULT_INPUT);
		assert_string_equal(fault.text, cases[i][1]);
	}
	/* And nothing was changed by any of them. */
	assert_memory_equal(&settings, &before, sizeof(settings));
}

static void what_is_not_known_is_refused_with_the_nearest_name(void **state)
{
	static const char *const cases[][2] = {
		{"name: a\nwokers: 2\n",
		 "cloud.yaml:2:1: unknown setting \"wokers\"; did you mean \"workers\"?"},
		{"name: a\nlog: {color: true}\n",
		 "cloud.yaml:2:7: unknown setting \"log.color\"; did you mean \"log.colour\"?"},
		{"name: a\ntimeout: 3s\n", "cloud.yaml:2:1: unknown setting \"timeout\"; did you "
					   "mean \"http.head.timeout\"?"},
		{"name: a\nlog.colour: true\n", "cloud.yaml:2:1: log.colour: write each part of "
						"the name in a section of its own, without a dot"},
		{"name: a\nlog: loud\n",
		 "cloud.yaml:2:6: log: is a section, not a value; write its settings beneath it, "
		 "one a line: log.colour, log.line"},
		/* Near to a part of some name, but not that part with a slip. */
		{"name: a\ncolumn: 1\n",
		 "cloud.yaml:2:1: unknown setting \"column\"; allowed are name, workers, io, "
		 "log.colour, log.line, http.head.timeout, fee, rates.call, gateway"},
		{"name: a\ntimeuot: 3s\n", "cloud.yaml:2:1: unknown setting \"timeuot\"; did you "
					   "mean \"http.head.timeout\"?"},
		{"name: a\nwholly-else: 1\n",
		 "cloud.yaml:2:1: unknown setting \"wholly-else\"; allowed are name, workers, io, "
		 "log.colour, log.line, http.head.timeout, fee, rates.call, gateway"},
		{"- a\n", "cloud.yaml:1:1: settings are written as name: value"},
		{"name: {a: b}\n", "cloud.yaml:1:7: name: a mapping is not a text; write a text"},
	};
	struct test_settings settings;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_text(cases[i][0], &settings), FAULT_INPUT);
		assert_string_equal(fault.text, cases[i][1]);
	}
}

static void without_a_mapping_the_defaults_hold_where_there_are_some(void **state)
{
	struct test_settings settings = {.name = "unchanged"};

	(void)state;
	assert_int_equal(
		settings_read(rows + 1, ROW_COUNT - 1, NULL, NULL, &arena, &settings, &fault), 0);
	assert_int_equal(settings.workers, 1);
	assert_string_equal(settings.name, "unchanged");
	assert_int_equal(settings_read(rows, ROW_COUNT, NULL, NULL, &arena, &settings, &fault),
			 FAULT_INPUT);
	assert_string_equal(fault.text, "name must be given: What the cloud is called");
}

static void one_value_may_be_put_by_name(void **state)
{
	struct test_settings settings = {0};

	(void)state;
	assert_int_equal(
		settings_put(rows, ROW_COUNT, "workers", slice_of("8"), &arena, &settings, &fault),
		0);
	assert_int_equal(settings.workers, 8);
	assert_int_equal(
		settings_put(rows, ROW_COUNT, "io", slice_of("uring"), &arena, &settings, &fault),
		0);
	assert_int_equal(settings.io, 1);
	assert_int_equal(
		settings_put(rows, ROW_COUNT, "workers", slice_of("x"), &arena, &settings, &fault),
		FAULT_INPUT);
	assert_string_equal(fault.text, "workers: \"x\" is not a count; write a whole number like "
					"100, 20k or 5M (allowed: 1 to 64)");
	assert_int_equal(settings.workers, 8);
	assert_int_equal(
		settings_put(rows, ROW_COUNT, "worker", slice_of("1"), &arena, &settings, &fault),
		FAULT_INPUT);
	assert_string_equal(fault.text, "unknown setting \"worker\"; did you mean \"workers\"?");
}

static void the_documentation_comes_from_the_same_rows(void **state)
{
	struct text text;

	(void)state;
	text_init(&text, 4096);
	settings_document(rows, 5, &text);
	assert_string_equal(
		text.data,
		"| setting | kind | default | allowed | meaning |\n"
		"|---|---|---|---|---|\n"
		"| `name` | text | must be given | 1 to 16 bytes | What the cloud is called |\n"
		"| `workers` | count | `1` | 1 to 64 | Threads that serve |\n"
		"| `io` | choice | `auto` | auto, uring, epoll | How events are waited for |\n"
		"| `log.colour` | truth value | `false` | true, false | Whether lines are coloured "
		"|\n"
		"| `log.line` | size | `4KiB` | at least 64B | The longest line |\n");
	text_fini(&text);
}

static void show_one(void *context, const struct settings_row *row, const char *text, unsigned line)
{
	text_printf(context, "%s=%s:%u\n", row->name, text ? text : "-", line);
}

static void what_holds_is_shown_with_the_line_that_says_so(void **state)
{
	struct yaml *yaml;
	struct text text;

	(void)state;
	assert_int_equal(yaml_parse("cloud.yaml",
				    slice_of("name: a\nlog:\n  colour: true\ngateway: x\n"), &yaml,
				    &fault),
			 0);
	text_init(&text, 4096);
	settings_show(rows, ROW_COUNT, yaml_root(yaml), show_one, &text);
	assert_string_equal(text.data, "name=a:1\nworkers=1:0\nio=auto:0\nlog.colour=true:3\n"
				       "log.line=4KiB:0\nhttp.head.timeout=10s:0\nfee=3%:0\n"
				       "rates.call=0:0\ngateway=-:4\n");
	text_fini(&text);
	yaml_free(yaml);
}

static void read_default_out_of_bounds(void)
{
	const struct settings_row bad = {
		.name = "n", .kind = SETTINGS_COUNT, .standard = "9", .most = "8", .sentence = "x"};
	uint64_t value;
	settings_read(&bad, 1, NULL, NULL, &arena, &value, &fault);
}

static void read_bound_that_is_none(void)
{
	const struct settings_row bad = {.name = "n",
					 .kind = SETTINGS_DURATION,
					 .standard = "9s",
					 .most = "8",
					 .sentence = "x"};
	uint64_t value;
	settings_read(&bad, 1, NULL, NULL, &arena, &value, &fault);
}

static void a_table_that_contradicts_itself_is_a_bug(void **state)
{
	(void)state;
	assert_true(testing_aborts(read_default_out_of_bounds));
	assert_true(testing_aborts(read_bound_that_is_none));
}

static void a_hostile_value_is_shown_in_part_only(void **state)
{
	struct test_settings settings;
	struct text text;

	(void)state;
	text_init(&text, 1 << 16);
	text_append_text(&text, "name: a\nworkers: \"1\\n\\e[31m");
	for (int i = 0; i < 1000; i++)
		text_append_text(&text, "\xc3\xa4");
	text_append_text(&text, "\"\n");
	assert_int_equal(read_text(text.data, &settings), FAULT_INPUT);
	assert_non_null(strstr(fault.text, "workers: \"1\" is not a count"));
	text_clear(&text);
	text_append_text(&text, "name: a\n");
	for (int i = 0; i < 1000; i++)
		text_append_text(&text, "\xc3\xa4");
	text_append_text(&text, ": 1\n");
	assert_int_equal(read_text(text.data, &settings), FAULT_INPUT);
	for (size_t at = 0; at < strlen(fault.text);) {
		const size_t length = text_utf8_length(slice_of(fault.text), at);
		assert_true(length > 0);
		at += length;
	}
	text_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_given_is_read_and_the_rest_is_the_default),
		cmocka_unit_test(every_complaint_names_place_value_and_what_is_allowed),
		cmocka_unit_test(what_is_not_known_is_refused_with_the_nearest_name),
		cmocka_unit_test(without_a_mapping_the_defaults_hold_where_there_are_some),
		cmocka_unit_test(one_value_may_be_put_by_name),
		cmocka_unit_test(what_holds_is_shown_with_the_line_that_says_so),
		cmocka_unit_test(the_documentation_comes_from_the_same_rows),
		cmocka_unit_test(a_table_that_contradicts_itself_is_a_bug),
		cmocka_unit_test(a_hostile_value_is_shown_in_part_only),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

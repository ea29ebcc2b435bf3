#include "base/testing.h"
#include "cli/routes.h"

#include <string.h>

#include "cli/cli_internal.h"

/* ---- splitting ---- */

/* Parses a line whose words have a space between; `text` keeps them. */
static int parse(struct cli *cli, char *text)
{
	char *words[CLI_ARGUMENTS_MAX] = {text};
	int count = 1;

	for (; *text != '\0'; text++) {
		if (*text == ' ') {
			*text = '\0';
			words[count++] = text + 1;
		}
	}
	return cli_parse(cli, count, words);
}

static void options_stand_anywhere_and_words_keep_their_order(void **state)
{
	char text[] =
		"stoa --cloud here key --scope=a create --json acme/shop --scope b -- --count";
	struct cli cli = {0};

	(void)state;
	assert_int_equal(parse(&cli, text), CLI_DONE);
	assert_string_equal(cli.folder, "here");
	assert_true(cli.json);
	assert_int_equal(cli.word_count, 4);
	assert_string_equal(cli.words[1], "create");
	assert_string_equal(cli.words[3], "--count");
	assert_string_equal(cli_option(&cli, "--scope"), "b");
}

static void an_option_may_be_written_by_its_letter(void **state)
{
	char text[] = "stoa call echo /x -i -d body -X PUT";
	char unknown[] = "stoa call echo /x -q";
	struct cli cli = {0};

	(void)state;
	assert_int_equal(parse(&cli, text), CLI_DONE);
	assert_true(cli_has_option(&cli, "--head"));
	assert_string_equal(cli_option(&cli, "--data"), "body");
	assert_string_equal(cli_option(&cli, "--method"), "PUT");
	assert_int_equal(cli.word_count, 3);
	assert_int_equal(parse(&(struct cli){0}, unknown), CLI_WRONG_USAGE);
}

static void a_single_dash_is_a_word(void **state)
{
	char text[] = "stoa call - --data -";
	struct cli cli = {0};

	(void)state;
	assert_int_equal(parse(&cli, text), CLI_DONE);
	assert_string_equal(cli.words[1], "-");
	assert_string_equal(cli_option(&cli, "--data"), "-");
}

static void wrong_options_are_wrong_usage(void **state)
{
	char unknown[] = "stoa fund --nope";
	char valued[] = "stoa status --json=yes";
	char valueless[] = "stoa status --cloud";

	(void)state;
	assert_int_equal(parse(&(struct cli){0}, unknown), CLI_WRONG_USAGE);
	assert_int_equal(parse(&(struct cli){0}, valued), CLI_WRONG_USAGE);
	assert_int_equal(parse(&(struct cli){0}, valueless), CLI_WRONG_USAGE);
}

static int checked(const char *first, const char *second, const char *third)
{
	struct cli cli = {.words = {first, second, third}};

	cli.word_count = (first != NULL) + (second != NULL) + (third != NULL);
	return cli_parse_command(&cli);
}

static void arguments_are_counted(void **state)
{
	(void)state;
	assert_int_equal(checked("fund", "acme", "1"), CLI_DONE);
	assert_int_equal(checked("fund", "acme", NULL), CLI_WRONG_USAGE);
	assert_int_equal(checked("status", "now", NULL), CLI_WRONG_USAGE);
	assert_int_equal(checked("key", NULL, NULL), CLI_WRONG_USAGE);
	assert_int_equal(checked("key", "nope", NULL), CLI_WRONG_USAGE);
	assert_int_equal(checked("nope", NULL, NULL), CLI_WRONG_USAGE);
	assert_int_equal(checked("serve", "now", NULL), CLI_WRONG_USAGE);
}

static void an_option_of_another_command_is_refused(void **state)
{
	char text[] = "stoa status --as acme";
	struct cli cli = {0};

	(void)state;
	assert_int_equal(parse(&cli, text), CLI_DONE);
	assert_int_equal(cli_parse_command(&cli), CLI_WRONG_USAGE);
}

static void only_what_repeats_may_be_given_twice(void **state)
{
	char text[] = "stoa key create a/b --count 1 --count 2";
	struct cli cli = {0};

	(void)state;
	assert_int_equal(parse(&cli, text), CLI_DONE);
	assert_int_equal(cli_parse_command(&cli), CLI_WRONG_USAGE);
}

/* ---- the table ---- */

static void the_longest_name_wins(void **state)
{
	const char *const search[] = {"catalog", "search", "pictures"};
	const char *const list[] = {"catalog"};

	(void)state;
	assert_string_equal(cli_find_command(search, 3)->name, "catalog search");
	assert_string_equal(cli_find_command(list, 1)->name, "catalog");
}

static void every_command_teaches_by_an_example_of_itself(void **state)
{
	char wanted[128];

	(void)state;
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *command = &cli_commands[i];
		snprintf(wanted, sizeof(wanted), "$ stoa %s", command->name);
		assert_non_null(strstr(command->example, wanted));
		assert_true(command->summary[0] >= 'A' && command->summary[0] <= 'Z');
		assert_null(strchr(command->summary, '\n'));
		assert_true(command->least <= command->most);
		assert_true(command->most <= CLI_ARGUMENTS_MAX);
	}
}

static void assert_same_shape(const struct cli_option *option, const struct cli_command *other)
{
	for (size_t i = 0; i < other->option_count; i++) {
		if (strcmp(other->options[i].name, option->name) != 0) {
			assert_true(option->letter == 0 ||
				    other->options[i].letter != option->letter);
			continue;
		}
		assert_int_equal(other->options[i].value == NULL, option->value == NULL);
		assert_int_equal(other->options[i].letter, option->letter);
	}
}

static void an_option_means_the_same_shape_everywhere(void **state)
{
	(void)state;
	/* The line is split before the command is known: a name has a value or it has not. */
	for (size_t i = 0; i < cli_command_count; i++) {
		for (size_t k = 0; k < cli_commands[i].option_count; k++) {
			const struct cli_option *option = &cli_commands[i].options[k];
			assert_int_equal(strncmp(option->name, "--", 2), 0);
			assert_int_not_equal(option->letter, 'h'); /* -h asks for help */
			for (size_t g = 0; g < cli_global_option_count; g++)
				assert_string_not_equal(option->name, cli_global_options[g].name);
			for (size_t j = 0; j < i; j++)
				assert_same_shape(option, &cli_commands[j]);
		}
	}
}

/* ---- paths and tables ---- */

static void paths_and_queries_are_escaped(void **state)
{
	struct cli_request request = route_accounts_statement((struct route_accounts_statement){
		.account = "a/b ?\xc3\xa9", .app = "acme/shop", .service = "1&2=3"});

	(void)state;
	assert_string_equal(
		request.path.data,
		"/v1/accounts/a%2Fb%20%3F%C3%A9/statement?app=acme%2Fshop&service=1%262%3D3");
	cli_request_fini(&request);
}

/* What `print` writes to standard output. */
static void assert_printed(void (*print)(void), const char *wanted)
{
	char printed[4096];
	FILE *file = tmpfile();
	const int before = dup(STDOUT_FILENO);

	assert_non_null(file);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	print();
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	close(before);
	rewind(file);
	printed[fread(printed, 1, sizeof(printed) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(printed, wanted);
}

static void print_table(void)
{
	static const struct cli_column columns[] = {
		{"NAME", CLI_LEFT}, {"COUNT", CLI_RIGHT}, {"AMOUNT", CLI_MONEY}};
	struct cli_table table;

	cli_table_begin(&table, columns, 3, "USD");
	cli_table_add(&table, "caf\xc3\xa9");
	cli_table_add_number(&table, 1234567);
	cli_table_add(&table, "-0.05");
	cli_table_add(&table, "total");
	cli_table_add(&table, "");
	cli_table_add(&table, "10.000012");
	cli_table_end(&table);
}

static void columns_are_aligned_and_amounts_have_equally_many_places(void **state)
{
	(void)state;
	assert_printed(print_table, "NAME     COUNT         AMOUNT\n"
				    "caf\xc3\xa9   1234567  -0.050000 USD\n"
				    "total           10.000012 USD\n");
}

static void times_say_their_zone(void **state)
{
	json_t *object = json_pack("{s:s, s:n}", "at", "2026-11-24T04:10:57.123Z", "never");
	char text[CLI_TIME_MAX];

	(void)state;
	assert_string_equal(cli_time(object, "at", text), "2026-11-24 04:10:57 UTC");
	assert_string_equal(cli_time(object, "never", text), "-");
	assert_string_equal(cli_time(object, "missing", text), "-");
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere_and_words_keep_their_order),
		cmocka_unit_test(an_option_may_be_written_by_its_letter),
		cmocka_unit_test(a_single_dash_is_a_word),
		cmocka_unit_test(wrong_options_are_wrong_usage),
		cmocka_unit_test(arguments_are_counted),
		cmocka_unit_test(an_option_of_another_command_is_refused),
		cmocka_unit_test(only_what_repeats_may_be_given_twice),
		cmocka_unit_test(the_longest_name_wins),
		cmocka_unit_test(every_command_teaches_by_an_example_of_itself),
		cmocka_unit_test(an_option_means_the_same_shape_everywhere),
		cmocka_unit_test(paths_and_queries_are_escaped),
		cmocka_unit_test(columns_are_aligned_and_amounts_have_equally_many_places),
		cmocka_unit_test(times_say_their_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

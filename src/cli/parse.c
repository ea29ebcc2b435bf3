/* The command line: words and options in any order, checked against the table of commands. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define COMMANDS_MAX   64
#define NAME_MAX_BYTES 64

/* ---- words and options ---- */

/* By "--name", or "-n" where it has a letter. */
static const struct cli_option *find_option(const struct cli_option *options, size_t count,
					    struct slice name)
{
	for (size_t i = 0; i < count; i++) {
		const char letter[] = {'-', options[i].letter};
		if (slice_equal(slice_of(options[i].name), name) ||
		    (letter[1] != '\0' && slice_equal(slice_make(letter, 2), name)))
			return &options[i];
	}
	return NULL;
}

/* Which words belong to an option must be known before the command is. */
const struct cli_option *cli_find_option(struct slice name)
{
	const struct cli_option *option =
		find_option(cli_global_options, cli_global_option_count, name);

	for (size_t i = 0; option == NULL && i < cli_command_count; i++)
		option = find_option(cli_commands[i].options, cli_commands[i].option_count, name);
	return option;
}

static int unknown_option(struct cli *cli, struct slice name)
{
	const char *known[COMMANDS_MAX];
	char shown[TEXT_SHOWN_MAX];
	char own[512] = "";
	size_t used = 0;
	size_t count = 0;

	cli->command = cli_find_command(cli->words, cli->word_count);
	for (size_t i = 0; i < cli_global_option_count; i++)
		known[count++] = cli_global_options[i].name;
	for (size_t i = 0; cli->command != NULL && i < cli->command->option_count; i++)
		known[count++] = cli->command->options[i].name;
	const char *nearest = text_nearest(text_show(name, shown), known, count);
	if (nearest != NULL)
		return cli_misuse(cli, "there is no option %s; did you mean %s?", shown, nearest);
	for (size_t i = cli_global_option_count; i < count && used < sizeof(own); i++)
		used += (size_t)snprintf(own + used, sizeof(own) - used, "%s %s",
					 used > 0 ? "," : "; there is", known[i]);
	return cli_misuse(cli, "there is no option %s%s", shown, own);
}

/* `*at` is the option's place, and moves to its value's where that stands apart. */
static int take_option(struct cli *cli, int argc, char **argv, int *at)
{
	const struct slice text = slice_of(argv[*at]);
	const size_t equals = slice_find_byte(text, '=', 0);
	const struct slice name = slice_part(text, 0, equals);
	const struct cli_option *option = cli_find_option(name);
	const char *value = equals < text.length ? argv[*at] + equals + 1 : NULL;

	if (option == NULL)
		return unknown_option(cli, name);
	if (option->value == NULL && value != NULL)
		return cli_misuse(cli, "%s takes no value", option->name);
	if (option->value != NULL && value == NULL && *at + 1 < argc)
		value = argv[++*at];
	/* `--budget "$BUDGET"` of a variable that is not set must not mean: without one. */
	if (option->value != NULL && (value == NULL || value[0] == '\0')) {
		cli->command = cli_find_command(cli->words, cli->word_count);
		return cli_misuse(cli, "%s needs a value: %s", option->name, option->value);
	}
	if (cli->given_count == CLI_OPTIONS_MAX)
		return cli_misuse(cli, "there are more than %d options", CLI_OPTIONS_MAX);
	cli->given[cli->given_count++] = (struct cli_given){option->name, value};
	return CLI_DONE;
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
	bool only_words = false;

	for (int i = 1; i < argc; i++) {
		/* A number below zero is a word: what it was meant for refuses it better. */
		const bool option = !only_words && argv[i][0] == '-' && argv[i][1] != '\0' &&
				    !(argv[i][1] >= '0' && argv[i][1] <= '9');
		int status = CLI_DONE;
		if (option && strcmp(argv[i], "--") == 0)
			only_words = true;
		else if (option && strcmp(argv[i], "--version") == 0)
			cli->version = true;
		else if (option && strcmp(argv[i], "-h") == 0)
			cli->help = true;
		else if (option)
			status = take_option(cli, argc, argv, &i);
		else if (cli->word_count == CLI_ARGUMENTS_MAX)
			status = cli_misuse(cli, "there are more than %d words", CLI_ARGUMENTS_MAX);
		else
			cli->words[cli->word_count++] = argv[i];
		if (status != CLI_DONE)
			return status;
	}
	for (size_t i = 0; i < cli->given_count; i++) {
		cli->json = cli->json || strcmp(cli->given[i].name, "--json") == 0;
		cli->help = cli->help || strcmp(cli->given[i].name, "--help") == 0;
	}
	cli->folder = cli_option(cli, "--cloud");
	if (cli->folder == NULL)
		cli->folder = getenv("STOA_CLOUD");
	if (cli->folder == NULL || cli->folder[0] == '\0')
		cli->folder = "./cloud";
	return CLI_DONE;
}

const char *cli_option(const struct cli *cli, const char *name)
{
	for (size_t i = cli->given_count; i > 0; i--) {
		if (strcmp(cli->given[i - 1].name, name) == 0)
			return cli->given[i - 1].value;
	}
	return NULL;
}

size_t cli_option_values(const struct cli *cli, const char *name, const char **values,
			 size_t values_max)
{
	size_t count = 0;

	for (size_t i = 0; i < cli->given_count; i++) {
		if (strcmp(cli->given[i].name, name) != 0)
			continue;
		if (count < values_max)
			values[count] = cli->given[i].value;
		count++;
	}
	return count;
}

bool cli_has_option(const struct cli *cli, const char *name)
{
	for (size_t i = 0; i < cli->given_count; i++) {
		if (strcmp(cli->given[i].name, name) == 0)
			return true;
	}
	return false;
}

int cli_option_count(const struct cli *cli, const char *name, uint64_t least, uint64_t most,
		     uint64_t otherwise, uint64_t *ret_count)
{
	const char *value = cli_option(cli, name);

	*ret_count = otherwise;
	if (value == NULL)
		return CLI_DONE;
	if (!units_parse_count(slice_of(value), ret_count) || *ret_count < least ||
	    *ret_count > most)
		return cli_misuse(cli, "%s %s: a whole number from %llu to %llu is allowed", name,
				  value, (unsigned long long)least, (unsigned long long)most);
	return CLI_DONE;
}

/* ---- the command ---- */

size_t cli_name_words(const struct cli_command *command)
{
	return strchr(command->name, ' ') != NULL ? 2 : 1;
}

/* At most two words, a space between. */
static void join(const char *const *words, size_t count, char name[NAME_MAX_BYTES])
{
	snprintf(name, NAME_MAX_BYTES, "%s%s%s", words[0], count > 1 ? " " : "",
		 count > 1 ? words[1] : "");
}

const struct cli_command *cli_find_command(const char *const *words, size_t count)
{
	char name[NAME_MAX_BYTES];

	for (size_t length = count < 2 ? count : 2; length > 0; length--) {
		join(words, length, name);
		for (size_t i = 0; i < cli_command_count; i++) {
			if (strcmp(cli_commands[i].name, name) == 0)
				return &cli_commands[i];
		}
	}
	return NULL;
}

/* The first words of all commands' names. */
static size_t first_words(char firsts[COMMANDS_MAX][NAME_MAX_BYTES], const char **known)
{
	size_t count = 0;

	for (; count < cli_command_count && count < COMMANDS_MAX; count++) {
		snprintf(firsts[count], NAME_MAX_BYTES, "%s", cli_commands[count].name);
		firsts[count][strcspn(firsts[count], " ")] = '\0';
		known[count] = firsts[count];
	}
	return count;
}

static size_t all_names(const char **known)
{
	size_t count = 0;

	for (; count < cli_command_count && count < COMMANDS_MAX; count++)
		known[count] = cli_commands[count].name;
	return count;
}

int cli_unknown_command(struct cli *cli, const char *const *words, size_t count)
{
	const bool group = cli_has_group(words[0]);
	char firsts[COMMANDS_MAX][NAME_MAX_BYTES];
	const char *known[COMMANDS_MAX];
	char name[NAME_MAX_BYTES];
	const size_t known_count = all_names(known);

	if (group && count == 1)
		return cli_misuse(cli, "\"%s\" is half a command; stoa %s --help lists the rest",
				  words[0], words[0]);
	join(words, count, name);
	const char *nearest = text_nearest(name, known, known_count);
	if (nearest == NULL && !group) {
		join(words, 1, name);
		nearest = text_nearest(name, known, first_words(firsts, known));
	}
	if (nearest != NULL)
		return cli_misuse(cli, "there is no command \"%s\"; did you mean \"stoa %s\"?",
				  name, nearest);
	return cli_misuse(cli, "there is no command \"%s\"", name);
}

/* "catalog serch": more of a command's name was meant than there is. */
static int too_many_words(struct cli *cli)
{
	const struct cli_command *command = cli->command;
	const char *known[COMMANDS_MAX];
	char name[NAME_MAX_BYTES];
	const size_t known_count = all_names(known);

	join(cli->words, cli->word_count, name);
	const char *nearest = text_nearest(name, known, known_count);
	if (cli_name_words(command) == 1 && nearest != NULL && strchr(nearest, ' ') != NULL)
		return cli_misuse(cli, "\"%s\" is too much; did you mean \"stoa %s\"?",
				  cli->arguments[command->most], nearest);
	return cli_misuse(cli, "\"%s\" is too much", cli->arguments[command->most]);
}

char *cli_split(char *word, char mark)
{
	char *found = word != NULL ? strchr(word, mark) : NULL;

	if (found == NULL)
		return NULL;
	*found = '\0';
	return found + 1;
}

bool cli_is_text(struct slice text)
{
	size_t length;

	for (size_t at = 0; at < text.length; at += length) {
		length = text.data[at] != '\0' ? text_utf8_length(text, at) : 0;
		if (length == 0)
			return false;
	}
	return true;
}

/* What JSON cannot hold must not be left out of a request. */
static int check_text(struct cli *cli)
{
	char shown[TEXT_SHOWN_MAX];

	for (size_t i = 0; i < cli->word_count; i++) {
		if (!cli_is_text(slice_of(cli->words[i])))
			return cli_misuse(cli, "\"%s\" is not UTF-8 text",
					  text_show(slice_of(cli->words[i]), shown));
	}
	for (size_t i = 0; i < cli->given_count; i++) {
		if (cli->given[i].value != NULL && !cli_is_text(slice_of(cli->given[i].value)))
			return cli_misuse(cli, "%s %s: this is not UTF-8 text", cli->given[i].name,
					  text_show(slice_of(cli->given[i].value), shown));
	}
	return CLI_DONE;
}

/* The options given are the command's or for all. */
static int check_options(struct cli *cli)
{
	const struct cli_command *command = cli->command;

	for (size_t i = 0; i < cli->given_count; i++) {
		const struct slice name = slice_of(cli->given[i].name);
		const struct cli_option *option =
			find_option(command->options, command->option_count, name);
		if (option == NULL)
			option = find_option(cli_global_options, cli_global_option_count, name);
		if (option == NULL)
			return unknown_option(cli, name);
		for (size_t k = 0; k < i && !option->repeated; k++) {
			if (strcmp(cli->given[k].name, option->name) == 0)
				return cli_misuse(cli, "%s is given twice", option->name);
		}
	}
	return CLI_DONE;
}

int cli_parse_command(struct cli *cli)
{
	const struct cli_command *command = cli_find_command(cli->words, cli->word_count);

	if (command == NULL)
		return cli_unknown_command(cli, cli->words, cli->word_count);
	cli->command = command;
	cli->arguments = cli->words + cli_name_words(command);
	cli->argument_count = cli->word_count - cli_name_words(command);
	if (cli->argument_count < command->least)
		return cli_misuse(cli, "%s missing",
				  cli->argument_count + 1 == command->least ? "an argument is"
									    : "arguments are");
	if (cli->argument_count > command->most)
		return too_many_words(cli);
	const int status = check_options(cli);
	return status == CLI_DONE ? check_text(cli) : status;
}

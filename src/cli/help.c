/* Help: from the table of commands, by example. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>

#define SUMMARY_COLUMN 19

static void print_summaries(const char *group)
{
	const size_t length = strlen(group);

	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *command = &cli_commands[i];
		if (strncmp(command->name, group, length) == 0 &&
		    (length == 0 || command->name[length] == ' '))
			printf("  %-*s%s\n", SUMMARY_COLUMN, command->name, command->summary);
	}
}

static void print_overview(void)
{
	puts("stoa: a cloud where services are published, called and paid for, call by call.\n\n"
	     "usage: stoa COMMAND [ARGUMENTS] [--cloud DIR] [--json]\n");
	print_summaries("");
	puts("\nstoa COMMAND --help shows how a command is used, with an example.\n"
	     "The cloud is in DIR; without --cloud in $STOA_CLOUD, else in ./cloud.\n"
	     "Exit status: 0 done, 1 refused or failed, 2 wrong usage.");
}

static void print_options(const struct cli_option *options, size_t count)
{
	char letter[] = "-x, ";
	char shown[64];

	for (size_t i = 0; i < count; i++) {
		letter[1] = options[i].letter;
		snprintf(shown, sizeof(shown), "%s%s%s%s%s",
			 options[i].letter != '\0' ? letter : "", options[i].name,
			 options[i].value != NULL ? " " : "",
			 options[i].value != NULL ? options[i].value : "",
			 options[i].repeated ? " ..." : "");
		printf("  %-25s  %s\n", shown, options[i].sentence);
	}
}

static void print_example(const char *example)
{
	struct slice rest = slice_of(example);
	struct slice line;

	puts("\nexample:");
	while (slice_cut(&rest, '\n', &line))
		printf("  %.*s\n", SLICE_ARGS(line));
}

bool cli_has_group(const char *word)
{
	const size_t length = strlen(word);

	for (size_t i = 0; i < cli_command_count; i++) {
		if (strncmp(cli_commands[i].name, word, length) == 0 &&
		    cli_commands[i].name[length] == ' ')
			return true;
	}
	return false;
}

static void print_command(const struct cli_command *command)
{
	printf("usage: stoa %s%s%s\n\n%s.\n", command->name,
	       command->arguments[0] != '\0' ? " " : "", command->arguments, command->summary);
	if (command->about != NULL)
		puts(command->about);
	puts("");
	print_options(command->options, command->option_count);
	print_options(cli_global_options, cli_global_option_count);
	print_example(command->example);
	if (cli_has_group(command->name)) {
		puts("\nsee also:");
		print_summaries(command->name);
	}
}

int cli_help_words(struct cli *cli, const char *const *words, size_t count)
{
	if (count == 0) {
		print_overview();
		return CLI_DONE;
	}
	const struct cli_command *command = cli_find_command(words, count);
	if (command != NULL) {
		print_command(command);
		return CLI_DONE;
	}
	if (count == 1 && cli_has_group(words[0])) {
		printf("usage: stoa %s COMMAND\n\n", words[0]);
		print_summaries(words[0]);
		printf("\nstoa %s COMMAND --help shows how it is used, with an example.\n",
		       words[0]);
		return CLI_DONE;
	}
	return cli_unknown_command(cli, words, count);
}

int cli_help(struct cli *cli)
{
	return cli_help_words(cli, cli->arguments, cli->argument_count);
}

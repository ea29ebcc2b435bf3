/* docs/cli.md, from the table of commands. */
#include "cli/cli_internal.h"

#include <string.h>

static void append_options(struct text *text, const struct cli_option *options, size_t count)
{
	text_append_text(text, count > 0 ? "\n" : "");
	for (size_t i = 0; i < count; i++) {
		const struct cli_option *option = &options[i];
		text_append_text(text, "- ");
		if (option->letter != '\0')
			text_printf(text, "`-%c`, ", option->letter);
		text_printf(text, "`%s%s%s`%s: %s\n", option->name,
			    option->value != NULL ? " " : "",
			    option->value != NULL ? option->value : "",
			    option->repeated ? ", may be given often" : "", option->sentence);
	}
}

static void append_command(struct text *text, const struct cli_command *command)
{
	text_printf(text, "\n## stoa %s\n\n", command->name);
	if (command->arguments[0] != '\0')
		text_printf(text, "`stoa %s %s`\n\n", command->name, command->arguments);
	text_printf(text, "%s.\n", command->summary);
	if (command->about != NULL)
		text_printf(text, "%s\n", command->about);
	append_options(text, command->options, command->option_count);
	text_printf(text, "\n```console\n%s```\n", command->example);
}

void cli_document(struct text *text)
{
	text_append_text(
		text,
		"# The command line\n\n"
		"This page is made from the table in `src/cli/commands.c`; "
		"`build/src/cli/command_document` prints it. `stoa COMMAND --help` shows the "
		"same.\n\n"
		"All commands but `serve`, `backup`, `restore`, `verify` and `config` speak to the "
		"API of the cloud in `--cloud`, which must run. They print tables for people; "
		"amounts have their currency, times are UTC and say so. With `--json` they print "
		"what "
		"the API answered (`docs/api.md`). What was asked for goes to standard output, all "
		"else to standard error.\n\n"
		"| exit status | meaning |\n|---|---|\n"
		"| 0 | done |\n"
		"| 1 | refused or failed: standard error says in a sentence what and why, with "
		"`--json` the API's problem |\n"
		"| 2 | wrong usage: no such command or option, or an argument missing, too much or "
		"not allowed; nothing was done |\n\n"
		"Options stand anywhere behind the command, as `--name value` or `--name=value`; "
		"what "
		"stands behind `--` is no option. Every command takes:\n");
	append_options(text, cli_global_options, cli_global_option_count);
	for (size_t i = 0; i < cli_command_count; i++)
		append_command(text, &cli_commands[i]);
}

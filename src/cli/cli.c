#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "cli/cli_internal.h"

__attribute__((format(printf, 2, 0))) static void tell(const struct cli *cli, const char *format,
						       va_list arguments)
{
	fprintf(stderr, "stoa%s%s: ", cli->command != NULL ? " " : "",
		cli->command != NULL ? cli->command->name : "");
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

int cli_fail(const struct cli *cli, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(cli, format, arguments);
	va_end(arguments);
	return CLI_FAILED;
}

int cli_misuse(const struct cli *cli, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(cli, format, arguments);
	va_end(arguments);
	if (cli->command != NULL)
		fprintf(stderr, "usage: stoa %s%s%s\nstoa %s --help shows an example.\n",
			cli->command->name, cli->command->arguments[0] != '\0' ? " " : "",
			cli->command->arguments, cli->command->name);
	else
		fputs("stoa help lists the commands.\n", stderr);
	return CLI_WRONG_USAGE;
}

const char *cli_folder(const struct cli *cli)
{
	return cli->folder;
}

bool cli_wants_json(const struct cli *cli)
{
	return cli->json;
}

const char *cli_argument(const struct cli *cli, size_t index)
{
	return index < cli->argument_count ? cli->arguments[index] : NULL;
}

static int run_command(struct cli *cli, const struct cli_own_command *own, size_t own_count)
{
	if (cli->command->run != NULL)
		return cli->command->run(cli);
	for (size_t i = 0; i < own_count; i++) {
		if (strcmp(own[i].name, cli->command->name) == 0)
			return own[i].run(cli);
	}
	check(false); /* what the program hands in has each command without a function */
	return CLI_FAILED;
}

static int run(struct cli *cli, int argc, char **argv, const struct cli_own_command *own,
	       size_t own_count)
{
	int status = cli_parse(cli, argc, argv);

	if (status != CLI_DONE)
		return status;
	if (cli->version) {
		puts("stoa " STOA_VERSION);
		return CLI_DONE;
	}
	if (cli->help || cli->word_count == 0) {
		status = cli_help_words(cli, cli->words, cli->word_count);
		return cli->help ? status : CLI_WRONG_USAGE;
	}
	status = cli_parse_command(cli);
	return status == CLI_DONE ? run_command(cli, own, own_count) : status;
}

int cli_main(int argc, char **argv, const struct cli_own_command *own, size_t own_count)
{
	struct cli cli = {0};
	const int status = run(&cli, argc, argv, own, own_count);

	cli_disconnect(&cli);
	return status;
}

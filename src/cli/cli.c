#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

static int run(struct cli *cli, int argc, char **argv)
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
	return status == CLI_DONE ? cli->command->run(cli) : status;
}

int cli_main(int argc, char **argv)
{
	struct cli cli = {0};
	const int status = run(&cli, argc, argv);

	cli_disconnect(&cli);
	return status;
}

/* Prints the manual page stoa(1), in man(7), from the table of commands. */
#include <stdio.h>

#include "cli/cli_internal.h"

/* A line's first '.' or '\'' would be a request, and '\\' and '-' mean something else. */
static void print_text(const char *text)
{
	bool starts = true;

	for (; *text != '\0'; text++) {
		if (starts && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
		starts = *text == '\n';
	}
}

static void print_line(const char *text, const char *end)
{
	print_text(text);
	fputs(end, stdout);
}

static void print_options(const struct cli_option *options, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fputs(".TP\n\\fB", stdout);
		print_line(options[i].name, "\\fR");
		if (options[i].value != NULL) {
			fputs(" \\fI", stdout);
			print_line(options[i].value, "\\fR");
		}
		puts(options[i].repeated ? " ..." : "");
		print_line(options[i].sentence, ".\n");
	}
}

static void print_command(const struct cli_command *command)
{
	fputs(".SS stoa ", stdout);
	print_line(command->name, " ");
	print_line(command->arguments, "\n");
	print_line(command->summary, ".\n");
	if (command->about != NULL)
		print_line(command->about, "\n");
	print_options(command->options, command->option_count);
	fputs(".PP\n.nf\n.RS\n", stdout);
	print_text(command->example);
	fputs(".RE\n.fi\n", stdout);
}

int main(void)
{
	puts(".TH STOA 1 \"\" \"stoa " STOA_VERSION "\" \"Stoa\"\n"
	     ".SH NAME\n"
	     "stoa \\- a cloud where services are published, called and paid for, call by call\n"
	     ".SH SYNOPSIS\n"
	     "\\fBstoa\\fR \\fICOMMAND\\fR [\\fIARGUMENTS\\fR] [\\fB\\-\\-cloud\\fR \\fIDIR\\fR] "
	     "[\\fB\\-\\-json\\fR]\n"
	     ".SH OPTIONS OF EVERY COMMAND");
	print_options(cli_global_options, cli_global_option_count);
	puts(".SH COMMANDS");
	for (size_t i = 0; i < cli_command_count; i++)
		print_command(&cli_commands[i]);
	puts(".SH EXIT STATUS\n"
	     "0 done, 1 refused or failed, 2 wrong usage.\n"
	     ".SH ENVIRONMENT\n"
	     ".TP\n\\fBSTOA_CLOUD\\fR\nThe cloud's folder where \\-\\-cloud is not given.\n"
	     ".TP\n\\fBSTOA_KEY\\fR\nThe API key of stoa call where \\-\\-key is not given.\n"
	     ".SH FILES\n"
	     ".TP\n\\fI/var/lib/stoa\\fR\nThe cloud of the service stoa.service.\n"
	     ".TP\n\\fI/usr/share/doc/stoa\\fR\nHow to run a cloud, every setting, the API.");
	return 0;
}

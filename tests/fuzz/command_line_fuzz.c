/* A command line, one word a line: it is understood, or it is wrong usage; nothing else. */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "cli/cli_internal.h"

#define WORDS_MAX 128

/* A stream of its own, since libFuzzer tells what it does on the other. */
static void silence(void)
{
	static FILE *nowhere;

	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "w");
	check(nowhere != NULL);
	stderr = nowhere;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char program[] = "stoa";
	char *words[WORDS_MAX + 1] = {program};
	struct cli cli = {0};
	int count = 1;

	/* What is wrong is told on standard error, a hundred thousand times. */
	silence();
	char *text = malloc(size + 1);
	check(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *rest = text, *word; count < WORDS_MAX && (word = strsep(&rest, "\n")) != NULL;)
		words[count++] = word;

	int status = cli_parse(&cli, count, words);
	check(status == CLI_DONE || status == CLI_WRONG_USAGE);
	check_at_most(cli.word_count, CLI_ARGUMENTS_MAX);
	if (status == CLI_DONE && cli.word_count > 0) {
		status = cli_parse_command(&cli);
		check(status == CLI_DONE || status == CLI_WRONG_USAGE);
	}
	if (status == CLI_DONE && cli.word_count > 0) {
		check(cli.argument_count >= cli.command->least);
		check(cli.argument_count <= cli.command->most);
	}
	free(text);
	return 0;
}

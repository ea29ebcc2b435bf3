#include "node/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static int misuse(const struct command *command, const char *what, const char *word)
{
	fprintf(stderr, "stoa %s: %s%s%s\nstoa %s --help shows an example.\n", command->name, what,
		word[0] != '\0' ? ": " : "", word, command->name);
	return COMMAND_WRONG_USAGE;
}

static int take_folder(struct command *command, int argc, char **argv, int *at)
{
	static const char option[] = "--cloud";
	const char *word = argv[*at] + sizeof(option) - 1;

	if (word[0] == '=')
		command->folder = word + 1;
	else if (*at + 1 < argc)
		command->folder = argv[++*at];
	else
		return misuse(command, "--cloud needs a value", "");
	return COMMAND_DONE;
}

static int take(struct command *command, int argc, char **argv, int *at)
{
	const char *word = argv[*at];

	if (strcmp(word, "--json") == 0) {
		command->json = true;
		return COMMAND_DONE;
	}
	if (strcmp(word, "--cloud") == 0 || strncmp(word, "--cloud=", 8) == 0)
		return take_folder(command, argc, argv, at);
	if (word[0] == '-' && word[1] != '\0')
		return misuse(command, "there is no such option", word);
	if (command->word_count == COMMAND_WORDS_MAX)
		return misuse(command, "too much", word);
	command->words[command->word_count++] = word;
	return COMMAND_DONE;
}

int command_parse(struct command *command, const char *name, size_t least, size_t most, int argc,
		  char **argv)
{
	check_at_most(most, COMMAND_WORDS_MAX);
	*command = (struct command){.name = name, .folder = getenv("STOA_CLOUD")};
	if (command->folder == NULL || command->folder[0] == '\0')
		command->folder = "./cloud";
	for (int at = strchr(name, ' ') != NULL ? 2 : 1; at < argc; at++) {
		const int status = take(command, argc, argv, &at);
		if (status != COMMAND_DONE)
			return status;
	}
	if (command->word_count < least)
		return misuse(command, "an argument is missing", "");
	if (command->word_count > most)
		return misuse(command, "too much", command->words[most]);
	return COMMAND_DONE;
}

int command_fail(const struct command *command, const struct fault *fault)
{
	fprintf(stderr, "stoa %s: %s\n", command->name, fault->text);
	return COMMAND_FAILED;
}

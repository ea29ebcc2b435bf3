/*
 * command: the node's commands beside `stoa serve`: those that work on the cloud's files and
 * need no node that runs. Private to the node, but for their entries in node.h.
 *
 * The command line's table (src/cli/commands.c) has their help; here they only read their words.
 * Threads: the program's first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/fault.h"

#define COMMAND_WORDS_MAX 4

enum { COMMAND_DONE = 0, COMMAND_FAILED = 1, COMMAND_WRONG_USAGE = 2 };

struct command {
	const char *name;   /* "config check" */
	const char *folder; /* --cloud, else $STOA_CLOUD, else ./cloud */
	bool json;
	const char *words[COMMAND_WORDS_MAX]; /* behind the name */
	size_t word_count;
};

/* argv begins with the command's own words. COMMAND_DONE, or COMMAND_WRONG_USAGE after telling. */
int command_parse(struct command *command, const char *name, size_t least, size_t most, int argc,
		  char **argv);
/* Tells on standard error and returns COMMAND_FAILED. */
int command_fail(const struct command *command, const struct fault *fault);

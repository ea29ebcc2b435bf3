/* stoa: some commands are a node's own and work on the cloud's files, everything else speaks to a
 * node that runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "node/node.h"

/* By the words that the command line begins with. */
static const struct {
	const char *first, *second; /* NULL: one word */
	int (*run)(int argc, char **argv);
} own_commands[] = {
	{"serve", NULL, node_main},
	{"backup", NULL, node_backup_main},
	{"restore", NULL, node_restore_main},
	{"config", "check", node_config_check_main},
	{"config", "show", node_config_show_main},
};

static int asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return 1;
	}
	return 0;
}

static int run(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(own_commands) / sizeof(own_commands[0]); i++) {
		const char *second = own_commands[i].second;
		if (argc < 2 || strcmp(argv[1], own_commands[i].first) != 0 ||
		    (second != NULL && (argc < 3 || strcmp(argv[2], second) != 0)))
			continue;
		/* The table of commands knows how they are used. */
		if (asks_for_help(argc, argv))
			break;
		return own_commands[i].run(argc - 1, argv + 1);
	}
	return cli_main(argc, argv);
}

int main(int argc, char **argv)
{
	const int status = run(argc, argv);

	/* What was asked for and could not be told was not done. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "stoa: standard output: %s\n", strerror(errno));
		return status == CLI_DONE ? CLI_FAILED : status;
	}
	return status;
}

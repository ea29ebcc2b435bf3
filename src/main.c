/* stoa: `serve` is a node of the cloud, everything else speaks to one. */
#include <string.h>

#include "cli/cli.h"
#include "node/node.h"

int main(int argc, char **argv)
{
	static char command[] = "serve", option[] = "--help";
	char *serve_help[] = {command, option, NULL};

	if (argc >= 2 && strcmp(argv[1], "serve") == 0)
		return node_main(argc - 1, argv + 1);
	if (argc == 3 && strcmp(argv[1], "help") == 0 && strcmp(argv[2], "serve") == 0)
		return node_main(2, serve_help);
	return cli_main(argc, argv);
}

#include "node/node.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

enum { EXIT_USAGE = 2 };

static int wrong_usage(const char *what, const char *value)
{
	fprintf(stderr, "stoa serve: %s%s%s\nstoa serve --help shows how to use it.\n", what,
		value[0] != '\0' ? ": " : "", value);
	return EXIT_USAGE;
}

static bool parse_io(const char *text, struct node_options *options)
{
	static const struct {
		const char *name;
		enum loop_io io;
	} known[] = {{"auto", LOOP_IO_AUTO}, {"uring", LOOP_IO_URING}, {"epoll", LOOP_IO_EPOLL}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(text, known[i].name) == 0) {
			options->io = known[i].io;
			options->has_io = true;
			return true;
		}
	}
	return false;
}

int node_main(int argc, char **argv)
{
	static const struct option long_options[] = {{"cloud", required_argument, NULL, 'c'},
						     {"gateway", required_argument, NULL, 'g'},
						     {"api", required_argument, NULL, 'a'},
						     {"workers", required_argument, NULL, 'w'},
						     {"io", required_argument, NULL, 'i'},
						     {"json", no_argument, NULL, 'j'},
						     {0}};
	struct node_options options = {.folder = getenv("STOA_CLOUD")};
	struct fault fault;
	uint64_t workers;
	int option;

	if (options.folder == NULL || options.folder[0] == '\0')
		options.folder = "./cloud";
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.folder = optarg;
			break;
		case 'g':
			if (options.gateway_count == NODE_LISTENERS_MAX)
				return wrong_usage("too many --gateway addresses", "");
			options.gateways[options.gateway_count++] = optarg;
			break;
		case 'a':
			options.api = optarg;
			break;
		case 'w':
			if (!slice_to_u64(slice_of(optarg), 64, &workers) || workers == 0)
				return wrong_usage("--workers takes 1 to 64", optarg);
			options.workers = (uint32_t)workers;
			break;
		case 'i':
			if (!parse_io(optarg, &options))
				return wrong_usage("--io takes auto, uring or epoll", optarg);
			break;
		case 'j':
			break; /* the ready line and the log are for programs already */
		default:
			return wrong_usage("unknown option, or one without its value",
					   argv[optind - 1]);
		}
	}
	if (optind < argc)
		return wrong_usage("unexpected word", argv[optind]);
	if (node_serve(&options, &fault) < 0) {
		fprintf(stderr, "stoa serve: %s\n", fault.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

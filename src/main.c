/* stoa: some commands are a node's own and work on the cloud's files, everything else speaks to a
 * node that runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "cli/cli.h"
#include "node/node.h"

#define WORKERS_MAX 63

/* ---- serve ---- */

static int take_io(const struct cli *cli, struct node_options *options)
{
	static const struct {
		const char *name;
		enum loop_io io;
	} known[] = {{"auto", LOOP_IO_AUTO}, {"uring", LOOP_IO_URING}, {"epoll", LOOP_IO_EPOLL}};
	const char *text = cli_option(cli, "--io");

	if (text == NULL)
		return CLI_DONE;
	options->has_io = true;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		options->io = known[i].io;
		if (strcmp(text, known[i].name) == 0)
			return CLI_DONE;
	}
	return cli_misuse(cli, "--io %s: auto, uring or epoll is allowed", text);
}

/* Before a folder is made for the cloud. */
static int check_address(const struct cli *cli, const char *option, const char *text)
{
	struct loop_address address;
	struct fault fault;

	if (loop_address_parse(slice_of(text), &address, &fault) == 0)
		return CLI_DONE;
	return cli_misuse(cli, "%s %s: %s", option, text, fault.text);
}

static int check_listener(const struct cli *cli, const char *text)
{
	struct fault fault;

	if (node_listener_check(text, &fault) == 0)
		return CLI_DONE;
	return cli_misuse(cli, "--gateway %s: %s", text, fault.text);
}

static int take_addresses(const struct cli *cli, struct node_options *options)
{
	const size_t count =
		cli_option_values(cli, "--gateway", options->gateways, NODE_LISTENERS_MAX);
	int status = CLI_DONE;

	if (count > NODE_LISTENERS_MAX)
		return cli_misuse(cli, "there are more than %d --gateway", NODE_LISTENERS_MAX);
	options->gateway_count = (uint32_t)count;
	for (size_t i = 0; status == CLI_DONE && i < count; i++)
		status = check_listener(cli, options->gateways[i]);
	options->api = cli_option(cli, "--api");
	if (status == CLI_DONE && options->api != NULL)
		status = check_address(cli, "--api", options->api);
	return status;
}

/* Where a node's function went wrong, tells so. */
static int end(const struct cli *cli, int code, const struct fault *fault)
{
	return code == 0 ? CLI_DONE : cli_fail(cli, "%s", fault->text);
}

static int serve(struct cli *cli)
{
	struct node_options options = {.folder = cli_folder(cli)};
	struct fault fault;
	uint64_t workers;
	int status = cli_option_count(cli, "--workers", 1, WORKERS_MAX, 0, &workers);

	if (status == CLI_DONE)
		status = take_io(cli, &options);
	if (status == CLI_DONE)
		status = take_addresses(cli, &options);
	if (status != CLI_DONE)
		return status;
	options.workers = (uint32_t)workers;
	return end(cli, node_serve(&options, &fault), &fault);
}

/* ---- what works on files ---- */

static int backup(struct cli *cli)
{
	struct fault fault;
	const int code =
		node_backup(cli_folder(cli), cli_argument(cli, 0), cli_wants_json(cli), &fault);

	return end(cli, code, &fault);
}

static int restore(struct cli *cli)
{
	struct fault fault;
	const int code = node_restore(cli_argument(cli, 0), cli_argument(cli, 1),
				      cli_wants_json(cli), &fault);

	return end(cli, code, &fault);
}

/* The file or folder given, else the cloud's own. */
static const char *config_path(const struct cli *cli)
{
	const char *path = cli_argument(cli, 0);

	return path != NULL ? path : cli_folder(cli);
}

static int config_check(struct cli *cli)
{
	struct fault fault;
	const int code = node_config_check(config_path(cli), cli_wants_json(cli), &fault);

	return end(cli, code, &fault);
}

static int config_show(struct cli *cli)
{
	struct fault fault;
	const int code = node_config_show(config_path(cli), cli_wants_json(cli), &fault);

	return end(cli, code, &fault);
}

int main(int argc, char **argv)
{
	static const struct cli_own_command own[] = {
		{"serve", serve},
		{"backup", backup},
		{"restore", restore},
		{"config check", config_check},
		{"config show", config_show},
	};
	const int status = cli_main(argc, argv, own, sizeof(own) / sizeof(own[0]));

	/* What was asked for and could not be told was not done. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "stoa: standard output: %s\n", strerror(errno));
		return status == CLI_DONE ? CLI_FAILED : status;
	}
	return status;
}

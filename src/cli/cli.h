/*
 * cli: the command line.
 *
 * A command speaks to the API of the cloud in --cloud DIR ($STOA_CLOUD, else ./cloud):
 * DIR/api.address says where it is, DIR/admin.token opens it. People get tables; --json prints
 * what the API answered. One table (commands.c) has every command with its usage, options and an
 * example; one file a command does the work. What a node itself does (`stoa serve`) the program
 * hands in: its lines are parsed, checked and explained here like all others.
 *
 * Exit status: 0 done, 1 refused or failed, 2 wrong usage. What was asked for goes to standard
 * output, everything else to standard error.
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_WRONG_USAGE = 2 };

/* A command line that was checked against the table. */
struct cli;

/* A command of the table that is done elsewhere; returns the exit status. */
struct cli_own_command {
	const char *name; /* "config check" */
	int (*run)(struct cli *cli);
};

/* argv[0] is the program, argv[1] the command. Returns the exit status. */
int cli_main(int argc, char **argv, const struct cli_own_command *own, size_t own_count);

/* The cloud's, of --cloud. */
const char *cli_folder(const struct cli *cli);
bool cli_wants_json(const struct cli *cli);
/* A word behind the command's, or NULL where there are fewer. */
const char *cli_argument(const struct cli *cli, size_t index);
/* The last value given, or NULL. */
const char *cli_option(const struct cli *cli, const char *name);
/* All values given, in order, up to `values_max`; returns how many there are. */
size_t cli_option_values(const struct cli *cli, const char *name, const char **values,
			 size_t values_max);
/* A whole number in [least, most]; `otherwise` where not given; CLI_WRONG_USAGE after telling. */
int cli_option_count(const struct cli *cli, const char *name, uint64_t least, uint64_t most,
		     uint64_t otherwise, uint64_t *ret_count);

/* Tell on standard error and return their status. */
int cli_fail(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_misuse(const struct cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

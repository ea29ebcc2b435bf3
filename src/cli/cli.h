/*
 * cli: the command line, but for `stoa serve`.
 *
 * A command speaks to the API of the cloud in --cloud DIR ($STOA_CLOUD, else ./cloud):
 * DIR/api.address says where it is, DIR/admin.token opens it. People get tables; --json prints
 * what the API answered. One table (commands.c) has every command with its usage, options and an
 * example; one file a command does the work.
 *
 * Exit status: 0 done, 1 refused or failed, 2 wrong usage. What was asked for goes to standard
 * output, everything else to standard error.
 * Threads: one.
 */
#pragma once

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_WRONG_USAGE = 2 };

/* argv[0] is the program, argv[1] the command. Returns the exit status. */
int cli_main(int argc, char **argv);

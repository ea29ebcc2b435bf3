/*
 * node: `stoa serve`: one machine of a cloud, in one process. Wiring and threads; it holds no
 * rule of its own.
 *
 *	control		this thread: API, signals, changes to the gateway's directory, instances'
 *fate worker 0..n	the gateway poster		journal -> ledger; leases sync
 *makes the journal durable and its next segments ready fleet		runs instances
 *
 * Start: lock the folder, open store and journal, post what the last run left, fill the
 * directory, open the listeners, start instances, print the ready line. Stop (SIGINT, SIGTERM):
 * close the listeners, end calls in flight, drain and stop instances, post the rest, return the
 * leases. After kill -9 at any point the next start finds everything as the journal says.
 *
 * Threads: node_serve is called once, in the program's first thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "loop/loop.h"

#define NODE_LISTENERS_MAX 8

struct node_options {
	const char *folder; /* made where it is missing */
	uint32_t gateway_count;
	const char *gateways[NODE_LISTENERS_MAX]; /* in place of the configuration's */
	const char *api;                          /* NULL: the configuration's */
	uint32_t workers;                         /* 0: the configuration's */
	bool has_io;
	enum loop_io io;
};

/* Returns 0 after an orderly stop. */
int node_serve(const struct node_options *options, struct fault *fault);

/* Arguments of `stoa serve` (argv[0] is "serve"); returns the exit status: 0 done, 1 failed, 2
 * wrong usage. */
int node_main(int argc, char **argv);

/* `stoa config check` and `config show`, the same way; argv[0] is "config". */
int node_config_check_main(int argc, char **argv);
int node_config_show_main(int argc, char **argv);
/* `stoa backup DIR` and `stoa restore BACKUP DIR`. */
int node_backup_main(int argc, char **argv);
int node_restore_main(int argc, char **argv);

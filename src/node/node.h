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
 * Beside it, what works on a cloud's files and needs no node that runs.
 *
 * Threads: all functions are called in the program's first thread, node_serve once.
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

/* Whether the gateway can be told to listen there: 0, or what is wrong with the text. */
int node_listener_check(const char *text, struct fault *fault);

/* Returns 0 after an orderly stop. */
int node_serve(const struct node_options *options, struct fault *fault);

/* These tell what they did on standard output, as one line of JSON where `json`. */

/* Of a cloud.yaml, or of the one in a folder. */
int node_config_check(const char *path, bool json, struct fault *fault);
int node_config_show(const char *path, bool json, struct fault *fault);
/* Copies the cloud in `folder` to `target`, which must not be there yet. */
int node_backup(const char *folder, const char *target, bool json, struct fault *fault);
/* Makes `target`, empty or not there, from a backup. */
int node_restore(const char *backup, const char *target, bool json, struct fault *fault);

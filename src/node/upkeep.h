/*
 * upkeep: what a node does beside its work: its log file's size and name, and signs of life for
 * the service manager. Private to the node.
 *
 * The log file is opened anew where its name no longer leads to it (somebody rotated it), where
 * it has grown to its most (then it becomes FILE.1), and on SIGHUP. The new file takes the old
 * one's descriptor (dup3), so that threads that log meanwhile neither wait nor lose a line.
 * Threads: control.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/notify.h"
#include "loop/loop.h"

struct upkeep {
	struct loop *loop;
	struct loop_timer timer;
	struct notify notify;
	uint64_t interval_ns;
	const char *log_path; /* NULL: the log goes to standard error */
	int log_descriptor;
	uint64_t log_bytes_max;
	bool log_failed; /* told already */
};

/* Before the first thread. */
int upkeep_open(struct upkeep *upkeep, struct fault *fault);
/* The descriptor to log to; `path` "": standard error. The path must outlive it. */
int upkeep_log_open(struct upkeep *upkeep, const char *path, uint64_t bytes_max,
		    int *ret_descriptor, struct fault *fault);
/* The node is ready: tells so, and works from here on. */
void upkeep_start(struct upkeep *upkeep, struct loop *loop);
/* SIGHUP. */
void upkeep_reopen(struct upkeep *upkeep);
/* The node stops, which may take its `drain`; before its loop is freed. */
void upkeep_stop(struct upkeep *upkeep);
void upkeep_close(struct upkeep *upkeep);

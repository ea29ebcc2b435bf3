/*
 * upkeep: what a node does beside its work: its log file's size and name, and signs of life for
 * the service manager. Private to the node.
 *
 * The log file is looked at every second (base/log_file.h), and opened anew on SIGHUP.
 * Threads: control.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/log_file.h"
#include "base/notify.h"
#include "loop/loop.h"

struct upkeep {
	struct loop *loop;
	struct loop_timer timer;
	struct notify notify;
	uint64_t interval_ns;
	struct log_file log; /* path NULL: the log goes to standard error */
	bool log_failed;     /* told already */
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

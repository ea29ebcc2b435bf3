/*
 * spawn: starting and signalling processes, as a seam, so that scenarios run without any.
 *
 * A started process leads its own process group, has a clean environment (only what is given),
 * closed descriptors but 0 (/dev/null), 1 and 2 (`output`), and is killed by the kernel when
 * the thread that started it dies (PR_SET_PDEATHSIG), so that even kill -9 of the parent
 * leaves no orphan.
 *
 * Threads: start from one long-lived thread only (PR_SET_PDEATHSIG is bound to it).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fault.h"

struct spawn_request {
	const char *folder;	      /* working directory */
	const char *const *arguments; /* NULL-terminated; [0] is the program, as execve wants it */
	const char *const *environment; /* NULL-terminated "NAME=value" */
	int output;		      /* becomes descriptors 1 and 2 */
	uint64_t memory_bytes_max;    /* RLIMIT_AS; 0: none */
	uint64_t files_max;	      /* RLIMIT_NOFILE; 0: inherited */
	uint64_t processes_max;	      /* RLIMIT_NPROC; 0: inherited */
};

struct spawn_exit {
	bool exited; /* false: still running */
	int status;  /* as waitpid gives it */
};

struct spawner {
	int (*start)(struct spawner *spawner, const struct spawn_request *request, pid_t *ret_pid,
		     struct fault *fault);
	/* To the whole process group. */
	int (*signal)(struct spawner *spawner, pid_t pid, int signal_number, struct fault *fault);
	/* Never blocks. Once it reported the exit, the pid is gone, and so is what the process
	 * left behind in its group: it is killed. */
	int (*poll_exit)(struct spawner *spawner, pid_t pid, struct spawn_exit *ret_exit,
			 struct fault *fault);
};

struct spawner *spawner_system(void);

/*
 * spawn: starting and signalling processes, as a seam, so that scenarios run without any.
 *
 * A started process leads its own process group, has a clean environment (only what is given),
 * closed descriptors but 0 (/dev/null), 1 and 2 (`output`), no signal blocked or ignored, and
 * is killed by the kernel when the thread that started it dies (PR_SET_PDEATHSIG), so that even
 * kill -9 of the parent leaves no orphan.
 *
 * The kernel does that for the process itself, not for what it has started in turn. A guarded
 * spawner therefore has a keeper: a small process that knows the groups alive and kills them
 * once its parent is gone. What leaves its group (setsid) escapes both, but not a control group
 * (base/cgroup.h), which the keeper ends too where there is one.
 *
 * Threads: start from one long-lived thread only (PR_SET_PDEATHSIG is bound to it).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cgroup.h"
#include "base/fault.h"

#define SPAWN_GUARDED_MAX 4096 /* processes alive at once, by a guarded spawner */

struct spawn_request {
	const char *folder;           /* working directory */
	const char *const *arguments; /* NULL-terminated; [0] is the program, as execve wants it */
	const char *const *environment; /* NULL-terminated "NAME=value" */
	int output;                     /* becomes descriptors 1 and 2 */
	/* 0: inherited, as is what is lower already. */
	uint64_t memory_bytes_max; /* RLIMIT_AS */
	uint64_t data_bytes_max;   /* RLIMIT_DATA */
	uint64_t stack_bytes;      /* RLIMIT_STACK, also the size of a new thread's stack
				    * where the program chooses none; it may raise it up to
				    * what is inherited; 0: inherited */
	uint64_t files_max;        /* RLIMIT_NOFILE */
	uint64_t processes_max;    /* RLIMIT_NPROC */
	int group_file;            /* of cgroup_make: its control group; 0: ours */
};

struct spawn_exit {
	bool exited; /* false: still running */
	int status;  /* as waitpid gives it */
};

struct spawner {
	/* Fails also where the program cannot be executed: then no process is left. */
	int (*start)(struct spawner *spawner, const struct spawn_request *request, pid_t *ret_pid,
		     struct fault *fault);
	/* To the whole process group. FAULT_NOT_FOUND when it is gone. */
	int (*signal)(struct spawner *spawner, pid_t pid, int signal_number, struct fault *fault);
	/* Never blocks. Once it reported the exit, the pid is gone, and so is what the process
	 * left behind in its group: it is killed. */
	int (*poll_exit)(struct spawner *spawner, pid_t pid, struct spawn_exit *ret_exit,
			 struct fault *fault);
};

/* Without a keeper. */
struct spawner *spawner_system(void);

struct spawner_guarded {
	struct spawner spawner; /* first: hand out &guarded.spawner */
	int keeper_socket;
	pid_t keeper;
	size_t alive_count;
};

/* Forks the keeper: call it early, before the first thread and before memory is large. It ends the
 * groups too; NULL: there are none. */
int spawner_guarded_open(struct spawner_guarded *guarded, const struct cgroups *groups,
			 struct fault *fault);
/* Kills every group that is alive, ends the keeper and waits for it. */
void spawner_guarded_close(struct spawner_guarded *guarded);

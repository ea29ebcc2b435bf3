/*
 * cgroup: control groups (version 2) for the processes that we start, where the kernel and whoever
 * manages the machine let us have them; elsewhere nothing is made, and `why` says why.
 *
 *	OURS/			what this process may divide (its own group, or the root)
 *	  stoa-PID-TIME/	all that it starts; its cgroup.kill ends all of it at once
 *	    NUMBER/		one process with whatever it starts in turn, under any session
 *	  node-PID-TIME/	this process itself, where limits need it out of OURS
 *
 * Under systemd a group is ours only where the unit says Delegate=. Limits (memory.max, cpu.max)
 * are set where the controllers are there; without them groups are for ending what is in them.
 *
 * Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst; systemd's
 * CGROUP_DELEGATION.md. Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"

#define CGROUP_PATH_MAX 512 /* bytes with the NUL */
#define CGROUP_WHY_MAX  256 /* bytes with the NUL */

struct cgroups {
	char path[CGROUP_PATH_MAX]; /* of the group for all; "": there is none */
	bool limits;                /* memory.max and cpu.max of each are set */
	char why[CGROUP_WHY_MAX];   /* why there are no groups, or no limits; else "" */
};

/* Never fails: where nothing can be had, nothing is. Before the first thread. */
void cgroups_open(struct cgroups *ret_groups);
/* One line for people: what there is, and why there is no more. */
void cgroups_describe(const struct cgroups *groups, char text[CGROUP_WHY_MAX + 64]);
/* Ends what is left in it and removes it. */
void cgroups_close(struct cgroups *groups);
/* The same for a group that an earlier process left; a path that cannot be one of its is let be. */
void cgroups_remove(const char *path);

/* A group, and the file by which a process enters it; close it. 0 bytes, 0 cpu: no limit. Only
 * where there is a group for all. */
int cgroup_make(const struct cgroups *groups, uint64_t number, uint64_t memory_bytes,
		uint32_t cpu_milli, int *ret_file, struct fault *fault);
/* Kills whatever is in it, and removes it. Waits a moment for what it killed, 100 ms at most; what
 * is still there then goes with cgroups_close. */
void cgroup_end(const struct cgroups *groups, uint64_t number);

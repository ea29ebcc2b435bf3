/*
 * staging: a folder that is there whole or not at all. It grows beside its place as
 * PATH.partial, and takes its name once everything in it is on the disk. Private to the node.
 *
 * A kill leaves PATH.partial; the next staging of the same path clears it. A mark in it tells
 * it from somebody else's folder, and a lock from one that is still growing.
 * Threads: one.
 */
#pragma once

#include <stdint.h>

#include "base/fault.h"

#define STAGING_PATH_MAX 4096

struct staging {
	char target[STAGING_PATH_MAX];
	char path[STAGING_PATH_MAX]; /* where to write */
	int descriptor;              /* of the folder, locked */
};

/* FAULT_CONFLICT where `target` is there and not an empty folder, FAULT_BUSY where another
 * process stages it. */
int staging_begin(const char *target, struct staging *ret_staging, struct fault *fault);
/* FAULT_LIMIT where its file system has less than so many bytes to spare. */
int staging_check_space(const struct staging *staging, uint64_t bytes, struct fault *fault);
/* Makes the folders that a file at this path below the staging needs. */
int staging_make_parents(const struct staging *staging, const char *path, struct fault *fault);
/* Its file was written on: begins to bring it to the disk. */
void staging_file_written(int descriptor);
/* Makes the file durable where `code` is 0, and closes it; returns what came of both. */
int staging_file_close(const struct staging *staging, int descriptor, int code,
		       struct fault *fault);
/* Syncs the folders and renames; its files are closed. After a fault it is still to be dropped. */
int staging_finish(struct staging *staging, struct fault *fault);
/* Removes it. */
void staging_drop(struct staging *staging);

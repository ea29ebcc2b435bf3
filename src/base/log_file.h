/*
 * log_file: a file of log lines that somebody may rename at any time, and that never outgrows a
 * bound: where its name no longer leads to it, it is opened anew; where it would grow beyond its
 * most, it becomes FILE.1. The new file takes the old one's descriptor (dup3), so that threads that
 * write meanwhile neither wait nor lose a line, and the old one goes on where there is no new one.
 *
 * Threads: one at a time; others may write to the descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct log_file {
	const char *path;   /* the owner's; it must outlive this */
	uint64_t bytes_max; /* of the file */
	int flags;          /* for open(2), beside those of any log */
	int descriptor;     /* -1: not open */
};

/* Opens it, or opens it anew whatever its name leads to. False: errno says why, and what was open
 * still is. */
bool log_file_open(struct log_file *file);
/* Opens it where it must be, and makes room for so many bytes more; a file is never renamed while
 * it is empty. False: errno says why and *ret_at what failed ("open", "rename"); it can still be
 * written where a descriptor is there. */
bool log_file_ready(struct log_file *file, uint64_t bytes, const char **ret_at);
void log_file_close(struct log_file *file);

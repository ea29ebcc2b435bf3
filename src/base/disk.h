/*
 * disk: files as a seam. The journal and the configuration touch the disk only through this
 * table, so that tests can fail, tear and lose writes.
 *
 * Paths are relative to the process or absolute. All functions return 0 or a negative fault:
 * FAULT_NOT_FOUND for what is not there, FAULT_CONFLICT for what is there and may not be,
 * FAULT_DAMAGED for a file shorter than its map, FAULT_LIMIT for one too long.
 * Threads: any; a file belongs to one thread, but a mapped file's bytes may be read by others
 * under the owner's own rules.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"

struct disk_file {
	int descriptor; /* -1: none */
	void *map;	/* NULL: not mapped */
	size_t map_bytes;
};

/* Called for each entry of a folder but "." and "..", in no order. Stops at the first non-zero
 * answer; a negative one becomes the listing's result. */
typedef int (*disk_entry_fn)(void *context, const char *name);

struct disk {
	/* A folder that is there already is fine, and keeps its mode. */
	int (*folder_make)(struct disk *disk, const char *path, unsigned mode, struct fault *fault);
	int (*folder_list)(struct disk *disk, const char *path, disk_entry_fn each, void *context,
			   struct fault *fault);
	/* Makes durable which names the folder holds. */
	int (*folder_sync)(struct disk *disk, const char *path, struct fault *fault);
	/* Opens for reading and writing. With `create`, the file must not exist. */
	int (*file_open)(struct disk *disk, const char *path, bool create, unsigned mode,
			 struct disk_file *ret_file, struct fault *fault);
	/* Reserves the blocks, so that a later write into the map cannot lack space. */
	int (*file_reserve)(struct disk *disk, struct disk_file *file, size_t bytes,
			    struct fault *fault);
	/* The file's first `bytes`, which must be there; once a file. */
	int (*file_map)(struct disk *disk, struct disk_file *file, size_t bytes, bool writable,
			struct fault *fault);
	int (*file_size)(struct disk *disk, struct disk_file *file, size_t *ret_bytes,
			 struct fault *fault);
	/* The first bytes at or behind `offset` that may be other than zero: [*ret_from, *ret_to).
	 * Both are the file's size where there are none. Space that was reserved and never
	 * written is passed over unread. */
	int (*file_data)(struct disk *disk, struct disk_file *file, size_t offset,
			 size_t *ret_from, size_t *ret_to, struct fault *fault);
	/* fdatasync: also what was written through the map. A failure is final for the file. */
	int (*file_sync)(struct disk *disk, struct disk_file *file, struct fault *fault);
	/* The same for some bytes of the map only; the others stay as they are, and their pages
	 * as writable as they were (a sync makes the next write into its pages a fault). */
	int (*file_sync_part)(struct disk *disk, struct disk_file *file, size_t offset,
			      size_t bytes, struct fault *fault);
	/* A hint: these bytes of the map will be read soon. Without it a read brings in no more
	 * than its page. */
	void (*file_expect_read)(struct disk *disk, struct disk_file *file, size_t offset,
				 size_t bytes);
	/* A hint: takes the page faults of coming writes into these bytes of the map upon
	 * itself. A fault costs the writer some 15 us, here a page costs 1. */
	void (*file_warm)(struct disk *disk, struct disk_file *file, size_t offset, size_t bytes);
	void (*file_close)(struct disk *disk, struct disk_file *file); /* also unmaps */
	int (*file_remove)(struct disk *disk, const char *path, struct fault *fault);
};

struct disk *disk_system(void);

/* Conveniences over a system disk, for files that fit into memory. The text is malloc'ed,
 * NUL-terminated. */
int disk_read_file(const char *path, size_t bytes_max, char **ret_text, size_t *ret_bytes,
		   struct fault *fault);
/* Writes beside, syncs, renames over: readers see the old or the new content, whole. */
int disk_write_file(const char *path, unsigned mode, const void *bytes, size_t length,
		    struct fault *fault);
/* The same without syncs, for what can be made again: after a power cut the file may be missing,
 * old, or shorter than it was. */
int disk_replace_file(const char *path, unsigned mode, const void *bytes, size_t length,
		      struct fault *fault);

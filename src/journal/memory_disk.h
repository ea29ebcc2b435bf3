/*
 * memory_disk: for tests, a disk in memory that can lose power, run full and fail.
 *
 * Maps of one file share its bytes. file_sync and folder_sync copy what is live to what would
 * survive; memory_disk_power_cut keeps what was synced, and of the rest each sector of 512
 * bytes, each new file and each removal as chance wills.
 *
 * Threads: the disk's functions may be called by any; the memory_disk_ ones by one alone.
 */
#pragma once

#include <pthread.h>

#include "base/disk.h"
#include "base/random.h"

#define MEMORY_DISK_FILES_MAX 256
#define MEMORY_DISK_SECTOR    512

struct memory_file {
	char *path;
	bool folder;
	bool live;    /* the name is there */
	bool durable; /* the name is there after a power cut */
	uint8_t *bytes;
	uint8_t *synced; /* what a power cut leaves for certain */
	size_t size;
	size_t synced_size;
};

struct memory_disk {
	struct disk disk; /* first: hand out &memory.disk */
	pthread_mutex_t lock;
	struct memory_file files[MEMORY_DISK_FILES_MAX];
	size_t file_count;
	uint64_t space_bytes;    /* what may still be reserved */
	int64_t changes_allowed; /* creating, reserving, syncing and removing fail beyond it */
	int64_t syncs_allowed;   /* of files */
	int open_count;
};

void memory_disk_init(struct memory_disk *memory);
void memory_disk_fini(struct memory_disk *memory);
/* Everything must be closed. Afterwards nothing fails any more. */
void memory_disk_power_cut(struct memory_disk *memory, struct random *random);
/* NULL where there is no such file. */
struct memory_file *memory_disk_file(struct memory_disk *memory, const char *path);
/* Makes or replaces a file, durably. */
void memory_disk_put(struct memory_disk *memory, const char *path, const void *bytes, size_t size);
void memory_disk_cut(struct memory_disk *memory, const char *path, size_t size);

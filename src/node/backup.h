/*
 * backup: a cloud's folder at one moment, in a folder of its own, with a manifest that has a
 * SHA-256 for each MiB of each file. Private to the node; docs/operations.md has the format.
 *
 *	stoa backup 1
 *	cloud NAME
 *	made 2026-11-24T04:10:57.123Z
 *	file BYTES WHOLE PATH		of the cloud's WHOLE bytes; those behind BYTES are zero
 *	block SHA-256			of the file's first MiB, and one for each after it
 *	program BYTES WHOLE PATH	a file that its owner may execute
 *	end FILES SHA-256		of everything before this line
 *
 * What is not in it: the admin token, the lock, the API's address, sockets of instances.
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/slice.h"

#define BACKUP_BLOCK_BYTES  (1u << 20)
#define BACKUP_FILES_MAX    (1u << 20)
#define BACKUP_PATH_MAX     512 /* bytes with the NUL */
#define BACKUP_MANIFEST     "manifest"
#define BACKUP_DIGEST_BYTES 32
#define BACKUP_NAME_MAX     64
#define BACKUP_STORE        "store.db"
#define BACKUP_STORE_LOG    BACKUP_STORE "-wal"
#define BACKUP_JOURNAL      "journal"

struct backup_digest {
	uint8_t bytes[BACKUP_DIGEST_BYTES];
};

struct backup_file {
	char *path; /* below the backup's and the cloud's folder */
	uint64_t bytes, whole;
	bool executable; /* by its owner */
	size_t block;    /* its first; the others follow */
};

struct backup_manifest {
	char cloud[BACKUP_NAME_MAX];
	char made[BACKUP_NAME_MAX];
	struct backup_file *files;
	size_t file_count, file_capacity;
	struct backup_digest *blocks;
	size_t block_count, block_capacity;
};

/* Whether the cloud's file belongs to a node that runs, or is made anew by a restored one. */
bool backup_path_is_left_out(struct slice path);
/* Whether a file of the backup may have it: below the folder and nowhere else, on one line, not the
 * manifest's own and none that is left out. */
bool backup_path_is_sound(struct slice path);

void backup_manifest_fini(struct backup_manifest *manifest);
/* A file without bytes yet. */
void backup_manifest_add(struct backup_manifest *manifest, const char *path, uint64_t whole);
/* The next block of the file added last; all but a file's last have BACKUP_BLOCK_BYTES. */
void backup_manifest_add_block(struct backup_manifest *manifest, struct slice block);
uint64_t backup_manifest_bytes(const struct backup_manifest *manifest);

/* FOLDER/manifest. */
int backup_manifest_write(const struct backup_manifest *manifest, const char *folder,
			  struct fault *fault);
/* FAULT_DAMAGED names the file and where in it; nothing in a manifest is trusted before that. */
int backup_manifest_read(const char *folder, struct backup_manifest *ret_manifest,
			 struct fault *fault);

struct backup_digest backup_digest_of(struct slice bytes);
/* Told on standard error, where that is a terminal, once the work takes a second. */
struct backup_progress {
	const char *what;
	uint64_t total, done; /* bytes */
	uint64_t begun_ns, told_ns;
};
void backup_progress_begin(struct backup_progress *progress, const char *what, uint64_t total);
void backup_progress_move(struct backup_progress *progress, uint64_t bytes);
void backup_progress_end(struct backup_progress *progress);

/* `stoa backup DIR`: the cloud's files at one moment, while it serves or not.
 *
 * The order makes them fit each other. First everything that follows the journal (the audit's
 * tiles), so that none of it is ahead of the journal's copy; then how many call records there
 * are; then one view of the store; at last the journal up to those records, or further where the
 * store has posted more. So each record in the copy is of a subscription and of money that the
 * copied store knows, and nothing is posted whose record is missing. */
#include "node/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/text.h"
#include "node/config.h"
#include "node/node_internal.h"
#include "node/staging.h"

#define DEPTH_MAX    16
#define READ_BYTES   (256u << 10)
#define RECORD_BYTES JOURNAL_RECORD_BYTES

struct backup {
	char folder[NODE_PATH_MAX]; /* the cloud's */
	struct staging staging;
	struct backup_manifest manifest;
	struct backup_progress progress;
	uint64_t bytes;            /* what the walk found */
	bool sizing;               /* the walk only sums */
	uint64_t store_done_bytes; /* told to the progress */
	uint64_t posted[JOURNAL_STREAMS_MAX], heads[JOURNAL_STREAMS_MAX];
	/* the file that is written */
	int output; /* -1: it stands already and is only read */
	char block[BACKUP_BLOCK_BYTES];
	size_t block_bytes;
};

/* ---- one file of the backup ---- */

static int output_open(struct backup *backup, const char *path, uint64_t whole, bool stands,
		       struct fault *fault)
{
	backup->output = -1;
	backup->block_bytes = 0;
	backup_manifest_add(&backup->manifest, path, whole);
	if (stands)
		return 0;
	const int code = staging_make_parents(&backup->staging, path, fault);
	if (code < 0)
		return code;
	backup->output = openat(backup->staging.descriptor, path,
				O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return backup->output >= 0 ? 0
				   : fault_set_errno(fault, errno, "cannot make %s/%s",
						     backup->staging.path, path);
}

static int block_end(struct backup *backup, struct fault *fault)
{
	const struct slice block = slice_make(backup->block, backup->block_bytes);

	backup->block_bytes = 0;
	if (block.length == 0)
		return 0;
	backup_manifest_add_block(&backup->manifest, block);
	for (size_t done = 0; backup->output >= 0 && done < block.length;) {
		const ssize_t wrote = write(backup->output, block.data + done, block.length - done);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return fault_set_errno(fault, errno, "cannot write in %s",
					       backup->staging.path);
		done += (size_t)wrote;
	}
	if (backup->output >= 0) {
		staging_file_written(backup->output);
		backup_progress_move(&backup->progress, block.length);
	}
	return 0;
}

static int output_take(struct backup *backup, struct slice bytes, struct fault *fault)
{
	int code = 0;

	while (code == 0 && bytes.length > 0) {
		const size_t room = sizeof(backup->block) - backup->block_bytes;
		const size_t taken = bytes.length < room ? bytes.length : room;
		memcpy(backup->block + backup->block_bytes, bytes.data, taken);
		backup->block_bytes += taken;
		bytes = slice_part(bytes, taken, bytes.length);
		if (backup->block_bytes == sizeof(backup->block))
			code = block_end(backup, fault);
	}
	return code;
}

static int output_close(struct backup *backup, int code, struct fault *fault)
{
	if (code == 0)
		code = block_end(backup, fault);
	if (backup->output >= 0)
		code = staging_file_close(&backup->staging, backup->output, code, fault);
	return code;
}

static int take_descriptor(struct backup *backup, int descriptor, const char *path,
			   struct fault *fault)
{
	static char bytes[READ_BYTES];
	ssize_t got;

	do {
		got = read(descriptor, bytes, sizeof(bytes));
		if (got < 0 && errno != EINTR)
			return fault_set_errno(fault, errno, "cannot read %s", path);
		const int code =
			got > 0 ? output_take(backup, slice_make(bytes, (size_t)got), fault) : 0;
		if (code < 0)
			return code;
	} while (got != 0);
	return 0;
}

/* ---- everything but store and journal ---- */

static int copy_file(struct backup *backup, const char *path, struct fault *fault)
{
	char from[NODE_PATH_MAX + BACKUP_PATH_MAX];

	snprintf(from, sizeof(from), "%s/%s", backup->folder, path);
	const int descriptor = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	/* Written beside and renamed, rotated, or grown out of meanwhile: it was not there. */
	if (descriptor < 0 && errno == ENOENT)
		return 0;
	if (descriptor < 0)
		return fault_set_errno(fault, errno, "cannot open %s", from);
	struct stat status;
	int code = fstat(descriptor, &status) < 0
			   ? fault_set_errno(fault, errno, "cannot look at %s", from)
			   : output_open(backup, path, 0, false, fault);
	if (code == 0) {
		backup->manifest.files[backup->manifest.file_count - 1].executable =
			(status.st_mode & S_IXUSR) != 0;
		code = output_close(backup, take_descriptor(backup, descriptor, from, fault),
				    fault);
	}
	close(descriptor);
	return code;
}

static int walk(struct backup *backup, const char *folder, unsigned depth, struct fault *fault);

/* Links, sockets and the like are the operator's business. */
static int visit(struct backup *backup, const char *path, bool folders, unsigned depth,
		 struct fault *fault)
{
	char full[NODE_PATH_MAX + BACKUP_PATH_MAX];
	char shown[TEXT_SHOWN_MAX];
	struct stat status;

	/* Store and journal are copied on their own. */
	if (backup_path_is_left_out(slice_of(path)) || strcmp(path, BACKUP_STORE) == 0 ||
	    strcmp(path, BACKUP_JOURNAL) == 0)
		return 0;
	/* Told now, for the restore would refuse it. */
	if (!backup_path_is_sound(slice_of(path)))
		return fault_set(fault, FAULT_INPUT,
				 "%s: \"%s\" is no name that a backup can hold; move it elsewhere",
				 backup->folder, text_show(slice_of(path), shown));
	snprintf(full, sizeof(full), "%s/%s", backup->folder, path);
	if (lstat(full, &status) < 0)
		return errno == ENOENT ? 0
				       : fault_set_errno(fault, errno, "cannot look at %s", full);
	if (folders && S_ISDIR(status.st_mode))
		return walk(backup, path, depth + 1, fault);
	if (folders || !S_ISREG(status.st_mode))
		return 0;
	backup->bytes += backup->sizing ? (uint64_t)status.st_size : 0;
	return backup->sizing ? 0 : copy_file(backup, path, fault);
}

/* A folder's files before its folders: what names others (a checkpoint) before what it names. */
static int walk(struct backup *backup, const char *folder, unsigned depth, struct fault *fault)
{
	char full[NODE_PATH_MAX + BACKUP_PATH_MAX], path[BACKUP_PATH_MAX];
	int code = 0;

	if (depth > DEPTH_MAX)
		return fault_set(fault, FAULT_LIMIT, "%s/%s: folders are nested too deep",
				 backup->folder, folder);
	snprintf(full, sizeof(full), "%s/%s", backup->folder, folder);
	DIR *entries = opendir(full);
	if (entries == NULL)
		return errno == ENOENT ? 0 : fault_set_errno(fault, errno, "cannot list %s", full);
	for (int folders = 0; code == 0 && folders < 2; folders++) {
		struct dirent *entry;
		rewinddir(entries);
		while (code == 0 && (entry = readdir(entries)) != NULL) {
			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			const int length = snprintf(path, sizeof(path), "%s%s%s", folder,
						    folder[0] != '\0' ? "/" : "", entry->d_name);
			code = length < (int)sizeof(path)
				       ? visit(backup, path, folders == 1, depth, fault)
				       : fault_set(fault, FAULT_LIMIT, "%s: a path is too long",
						   full);
		}
	}
	closedir(entries);
	return code;
}

/* ---- store and journal ---- */

static void on_pages(void *context, uint64_t done, uint64_t total)
{
	struct backup *backup = context;
	struct stat status;
	char path[STAGING_PATH_MAX + 16];

	/* The size of a page is the database's own; the file tells. */
	(void)total;
	snprintf(path, sizeof(path), "%s/" BACKUP_STORE, backup->staging.path);
	if (done == 0 || stat(path, &status) < 0)
		return;
	const uint64_t bytes = (uint64_t)status.st_size;
	if (bytes > backup->store_done_bytes)
		backup_progress_move(&backup->progress, bytes - backup->store_done_bytes);
	backup->store_done_bytes = bytes;
}

static int copy_view(struct store *store, void *context, struct fault *fault)
{
	struct backup *backup = context;
	char path[STAGING_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/" BACKUP_STORE, backup->staging.path);
	unlink(path); /* of an attempt before */
	int code = store_copy(store, path, on_pages, backup, fault);
	if (code == 0)
		code = billing_positions_load(store, NODE_NUMBER, backup->posted, fault);
	return code;
}

static int copy_store(struct backup *backup, struct fault *fault)
{
	char path[NODE_PATH_MAX + 16];
	struct store *store;

	snprintf(path, sizeof(path), "%s/" BACKUP_STORE, backup->folder);
	int code = store_open(path, &store, fault);
	if (code < 0)
		return code;
	code = store_transaction_read(store, copy_view, backup, fault);
	store_close(store);
	if (code < 0)
		return code;
	const int descriptor = openat(backup->staging.descriptor, BACKUP_STORE, O_RDWR | O_CLOEXEC);
	if (descriptor < 0)
		return fault_set_errno(fault, errno, "cannot read the store's copy");
	code = output_open(backup, BACKUP_STORE, 0, true, fault);
	if (code == 0)
		code = output_close(
			backup, take_descriptor(backup, descriptor, BACKUP_STORE, fault), fault);
	return staging_file_close(&backup->staging, descriptor, code, fault);
}

static int take_journal_file(void *context, const struct journal_copy_file *file,
			     struct fault *fault)
{
	struct backup *backup = context;
	char path[BACKUP_PATH_MAX];

	snprintf(path, sizeof(path), BACKUP_JOURNAL "/%s", file->name);
	int code = output_open(backup, path, file->bytes, false, fault);
	if (code < 0)
		return code;
	for (size_t i = 0; code == 0 && i < sizeof(file->parts) / sizeof(file->parts[0]); i++)
		code = output_take(backup, file->parts[i], fault);
	return output_close(backup, code, fault);
}

static int copy_journal(struct backup *backup, const char *journal, struct fault *fault)
{
	uint64_t upto[JOURNAL_STREAMS_MAX];

	for (uint32_t i = 0; i < JOURNAL_STREAMS_MAX; i++)
		upto[i] =
			backup->heads[i] > backup->posted[i] ? backup->heads[i] : backup->posted[i];
	int code = journal_copy(disk_system(), journal, upto, take_journal_file, backup,
				backup->heads, fault);
	for (uint32_t i = 0; code == 0 && i < JOURNAL_STREAMS_MAX; i++) {
		if (backup->heads[i] < backup->posted[i])
			code = fault_set(fault, FAULT_DAMAGED,
					 "%s/%" PRIu32 ": %" PRIu64 " records are posted and "
					 "%" PRIu64 " are there",
					 journal, i, backup->posted[i], backup->heads[i]);
	}
	return code;
}

/* ---- all of it ---- */

static uint64_t file_bytes(const struct backup *backup, const char *name)
{
	char path[NODE_PATH_MAX + 32];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", backup->folder, name);
	return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static int check_space(struct backup *backup, struct fault *fault)
{
	backup->sizing = true;
	int code = walk(backup, "", 0, fault);
	backup->sizing = false;
	uint64_t bytes = backup->bytes + file_bytes(backup, BACKUP_STORE) +
			 file_bytes(backup, BACKUP_STORE_LOG);
	for (uint32_t i = 0; i < JOURNAL_STREAMS_MAX; i++)
		bytes += backup->heads[i] * RECORD_BYTES;
	if (code == 0)
		code = staging_check_space(&backup->staging, bytes, fault);
	backup_progress_begin(&backup->progress, "backup", bytes);
	return code;
}

static int fill(struct backup *backup, struct fault *fault)
{
	char journal[NODE_PATH_MAX + 16];

	snprintf(journal, sizeof(journal), "%s/" BACKUP_JOURNAL, backup->folder);
	int code = journal_heads(disk_system(), journal, backup->heads, fault);
	if (code == 0)
		code = check_space(backup, fault);
	if (code == 0)
		code = walk(backup, "", 0, fault);
	if (code == 0)
		code = journal_heads(disk_system(), journal, backup->heads, fault);
	if (code == 0)
		code = copy_store(backup, fault);
	if (code == 0)
		code = copy_journal(backup, journal, fault);
	if (code == 0)
		code = backup_manifest_write(&backup->manifest, backup->staging.path, fault);
	backup_progress_end(&backup->progress);
	return code;
}

/* Finds the cloud's folder, and refuses where its store is not in it. */
static int find_cloud(struct backup *backup, const char *folder, struct fault *fault)
{
	char path[NODE_PATH_MAX + 32];
	struct config config;

	if (realpath(folder, backup->folder) == NULL)
		return fault_set_errno(fault, errno, "there is no cloud in %s", folder);
	snprintf(path, sizeof(path), "%s/" BACKUP_STORE, backup->folder);
	int code = access(path, F_OK) == 0
			   ? config_load(backup->folder, &config, fault)
			   : fault_set_errno(fault, errno, "there is no cloud in %s: %s", folder,
					     path);
	if (code == 0 && config.store[0] != '\0')
		code = fault_set(
			fault, FAULT_UNSUPPORTED,
			"the store of this cloud is elsewhere (cloud.yaml's `store`); only "
			"one in the cloud's folder can be backed up");
	if (code == 0)
		snprintf(backup->manifest.cloud, sizeof(backup->manifest.cloud), "%.63s",
			 config.name);
	return code;
}

static int make_backup(struct backup *backup, const char *folder, const char *target,
		       struct fault *fault)
{
	char inside[NODE_PATH_MAX + 2], parent[NODE_PATH_MAX];

	int code = find_cloud(backup, folder, fault);
	if (code == 0)
		code = staging_begin(target, &backup->staging, fault);
	if (code < 0)
		return code;
	snprintf(inside, sizeof(inside), "%s/", backup->folder);
	if (realpath(backup->staging.path, parent) != NULL &&
	    strncmp(parent, inside, strlen(inside)) == 0)
		code = fault_set(fault, FAULT_INPUT, "%s is in the cloud's own folder", target);
	clock_format_wall(clock_wall_ns(clock_system()), backup->manifest.made);
	if (code == 0)
		code = fill(backup, fault);
	if (code == 0)
		code = staging_finish(&backup->staging, fault);
	if (code < 0)
		staging_drop(&backup->staging);
	return code;
}

static void tell(const struct backup *backup, bool json)
{
	const uint64_t bytes = backup_manifest_bytes(&backup->manifest);
	uint64_t records = 0, posted = 0;

	for (uint32_t i = 0; i < JOURNAL_STREAMS_MAX; i++) {
		records += backup->heads[i];
		posted += backup->posted[i];
	}
	if (!json) {
		printf("%s: %zu files, %" PRIu64 " bytes; %" PRIu64 " call records, %" PRIu64
		       " of them posted\n",
		       backup->staging.target, backup->manifest.file_count, bytes, records, posted);
		return;
	}
	json_t *answer =
		json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "backup", backup->staging.target,
			  "cloud", backup->manifest.cloud, "made", backup->manifest.made, "files",
			  (json_int_t)backup->manifest.file_count, "bytes", (json_int_t)bytes,
			  "records", (json_int_t)records, "posted", (json_int_t)posted);
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(answer);
}

int node_backup(const char *folder, const char *target, bool json, struct fault *fault)
{
	struct backup *backup = calloc(1, sizeof(*backup));

	check(backup != NULL);
	const int code = make_backup(backup, folder, target, fault);
	if (code == 0)
		tell(backup, json);
	backup_manifest_fini(&backup->manifest);
	free(backup);
	return code;
}

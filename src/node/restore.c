/* `stoa restore BACKUP DIR`: every checksum first, then the files, then whether they fit. */
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
#include "base/disk.h"
#include "ledger/ledger.h"
#include "node/backup.h"
#include "node/config.h"
#include "node/node_internal.h"
#include "node/staging.h"

struct restore {
	const char *folder; /* the backup's */
	struct staging staging;
	struct backup_manifest manifest;
	struct backup_progress progress;
	uint64_t records, posted;
	char block[BACKUP_BLOCK_BYTES];
};

/* ---- the backup's files ---- */

static int damaged(const struct restore *restore, const struct backup_file *file, uint64_t offset,
		   const char *what, struct fault *fault)
{
	return fault_set(fault, FAULT_DAMAGED, "%s/%s: offset %" PRIu64 ": %s", restore->folder,
			 file->path, offset, what);
}

/* Reads whole blocks; less only at the end. */
static int read_block(int descriptor, char *block, size_t wanted, size_t *ret_bytes)
{
	size_t bytes = 0;

	while (bytes < wanted) {
		const ssize_t got = read(descriptor, block + bytes, wanted - bytes);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		bytes += (size_t)got;
	}
	*ret_bytes = bytes;
	return 0;
}

static int write_block(int output, const char *block, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		const ssize_t wrote = write(output, block + done, bytes - done);
		if (wrote < 0 && errno != EINTR)
			return -1;
		done += wrote > 0 ? (size_t)wrote : 0;
	}
	return 0;
}

/* Checks the blocks and writes them to `output`, unless it is -1. */
static int pass_blocks(struct restore *restore, const struct backup_file *file, int descriptor,
		       int output, struct fault *fault)
{
	uint64_t offset = 0;

	for (size_t i = file->block; offset < file->bytes; i++) {
		const uint64_t left = file->bytes - offset;
		const size_t wanted =
			left < sizeof(restore->block) ? (size_t)left : sizeof(restore->block);
		size_t bytes;
		if (read_block(descriptor, restore->block, wanted, &bytes) < 0)
			return fault_set_errno(fault, errno, "cannot read %s/%s", restore->folder,
					       file->path);
		if (bytes < wanted)
			return damaged(restore, file, offset + bytes, "the file is cut here",
				       fault);
		const struct backup_digest found =
			backup_digest_of(slice_make(restore->block, bytes));
		if (memcmp(&found, &restore->manifest.blocks[i], sizeof(found)) != 0)
			return damaged(restore, file, offset,
				       "this block was changed: its checksum differs", fault);
		if (output >= 0 && write_block(output, restore->block, bytes) < 0)
			return fault_set_errno(fault, errno, "cannot write in %s",
					       restore->staging.path);
		if (output >= 0)
			staging_file_written(output);
		offset += bytes;
		backup_progress_move(&restore->progress, bytes);
	}
	return 0;
}

static int check_size(struct restore *restore, const struct backup_file *file, int descriptor,
		      struct fault *fault)
{
	struct stat status;

	if (fstat(descriptor, &status) < 0 || !S_ISREG(status.st_mode))
		return damaged(restore, file, 0, "this is no regular file", fault);
	if ((uint64_t)status.st_size > file->bytes)
		return damaged(restore, file, file->bytes, "bytes were added here", fault);
	return 0;
}

static int open_input(const struct restore *restore, const struct backup_file *file,
		      int *ret_descriptor, struct fault *fault)
{
	char path[STAGING_PATH_MAX + BACKUP_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", restore->folder, file->path);
	*ret_descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*ret_descriptor >= 0)
		return 0;
	return errno == ENOENT ? damaged(restore, file, 0, "the file is missing", fault)
			       : fault_set_errno(fault, errno, "cannot open %s", path);
}

static int verify_file(struct restore *restore, const struct backup_file *file, struct fault *fault)
{
	int descriptor;
	int code = open_input(restore, file, &descriptor, fault);

	if (code < 0)
		return code;
	code = check_size(restore, file, descriptor, fault);
	if (code == 0)
		code = pass_blocks(restore, file, descriptor, -1, fault);
	close(descriptor);
	return code;
}

static int verify_files(struct restore *restore, struct fault *fault)
{
	int code = 0;
	bool has_config = false, has_store = false;

	backup_progress_begin(&restore->progress, "verified",
			      backup_manifest_bytes(&restore->manifest));
	for (size_t i = 0; code == 0 && i < restore->manifest.file_count; i++) {
		const struct backup_file *file = &restore->manifest.files[i];
		has_config |= strcmp(file->path, CONFIG_FILE) == 0;
		has_store |= strcmp(file->path, BACKUP_STORE) == 0;
		code = verify_file(restore, file, fault);
	}
	backup_progress_end(&restore->progress);
	if (code == 0 && !(has_config && has_store))
		code = fault_set(fault, FAULT_DAMAGED,
				 "%s holds no cloud: " CONFIG_FILE " or " BACKUP_STORE
				 " is not in its manifest",
				 restore->folder);
	return code;
}

/* ---- the cloud's ---- */

static int restore_file(struct restore *restore, const struct backup_file *file,
			struct fault *fault)
{
	int input;
	int code = open_input(restore, file, &input, fault);

	if (code < 0)
		return code;
	code = staging_make_parents(&restore->staging, file->path, fault);
	if (code < 0) {
		close(input);
		return code;
	}
	const int output = openat(restore->staging.descriptor, file->path,
				  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				  file->executable ? 0700 : 0600);
	if (output < 0)
		code = fault_set_errno(fault, errno, "cannot make %s/%s", restore->staging.path,
				       file->path);
	/* Checked once more: the backup may lie where others write. */
	if (code == 0)
		code = pass_blocks(restore, file, input, output, fault);
	if (code == 0 && file->whole > file->bytes) {
		const int error = posix_fallocate(output, 0, (off_t)file->whole);
		if (error != 0)
			code = fault_set_errno(fault, error, "cannot reserve %" PRIu64 " bytes",
					       file->whole);
	}
	close(input);
	return output >= 0 ? staging_file_close(&restore->staging, output, code, fault) : code;
}

static int restore_files(struct restore *restore, struct fault *fault)
{
	uint64_t whole = 0;

	for (size_t i = 0; i < restore->manifest.file_count; i++) {
		if (__builtin_add_overflow(whole, restore->manifest.files[i].whole, &whole))
			return damaged(restore, &restore->manifest.files[i], 0,
				       "the sizes in the manifest overflow", fault);
	}
	int code = staging_check_space(&restore->staging, whole, fault);
	backup_progress_begin(&restore->progress, "restored",
			      backup_manifest_bytes(&restore->manifest));
	for (size_t i = 0; code == 0 && i < restore->manifest.file_count; i++)
		code = restore_file(restore, &restore->manifest.files[i], fault);
	backup_progress_end(&restore->progress);
	return code;
}

/* ---- whether they fit each other ---- */

static int audit_store(struct store *store, void *context, struct fault *fault)
{
	struct ledger_audit audit;
	struct ledger *ledger;
	int code = billing_positions_load(store, NODE_NUMBER, context, fault);

	if (code == 0)
		code = ledger_new(store, &ledger, fault);
	if (code < 0)
		return code;
	code = ledger_audit(ledger, &audit, fault);
	ledger_free(ledger);
	return code;
}

static int check_fit(struct restore *restore, struct fault *fault)
{
	uint64_t posted[JOURNAL_STREAMS_MAX] = {0}, heads[JOURNAL_STREAMS_MAX];
	char path[STAGING_PATH_MAX + 16];
	struct store *store;

	int code = config_check(restore->staging.path, NULL, NULL, fault);
	if (code < 0)
		return code;
	snprintf(path, sizeof(path), "%s/" BACKUP_STORE, restore->staging.path);
	code = store_open(path, &store, fault);
	if (code < 0)
		return code;
	code = store_transaction_read(store, audit_store, posted, fault);
	store_close(store);
	snprintf(path, sizeof(path), "%s/" BACKUP_JOURNAL, restore->staging.path);
	if (code == 0)
		code = journal_heads(disk_system(), path, heads, fault);
	for (uint32_t i = 0; code == 0 && i < JOURNAL_STREAMS_MAX; i++) {
		restore->records += heads[i];
		restore->posted += posted[i];
		if (heads[i] < posted[i])
			code = fault_set(fault, FAULT_DAMAGED,
					 "%s/%" PRIu32 ": %" PRIu64 " records are posted and "
					 "%" PRIu64 " are there",
					 path, i, posted[i], heads[i]);
	}
	return code;
}

static int restore_all(struct restore *restore, const char *target, struct fault *fault)
{
	int code = backup_manifest_read(restore->folder, &restore->manifest, fault);

	if (code == 0)
		code = verify_files(restore, fault);
	if (code == 0)
		code = staging_begin(target, &restore->staging, fault);
	if (code < 0)
		return code;
	code = restore_files(restore, fault);
	if (code == 0)
		code = check_fit(restore, fault);
	if (code == 0)
		code = staging_finish(&restore->staging, fault);
	if (code < 0)
		staging_drop(&restore->staging);
	return code;
}

static void tell(const struct restore *restore, bool json)
{
	const struct backup_manifest *manifest = &restore->manifest;

	if (!json) {
		printf("%s: cloud %s as of %s; %" PRIu64 " call records, of which `stoa serve` "
		       "will post %" PRIu64 "\n"
		       "It gets a new admin token at its first start. Never run it while the "
		       "original runs: both\nwould spend the same balances and sign different "
		       "records under one key.\n",
		       restore->staging.target, manifest->cloud, manifest->made, restore->records,
		       restore->records - restore->posted);
		return;
	}
	json_t *answer = json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:I}", "folder", restore->staging.target, "cloud",
		manifest->cloud, "made", manifest->made, "files", (json_int_t)manifest->file_count,
		"records", (json_int_t)restore->records, "posted", (json_int_t)restore->posted);
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(answer);
}

int node_restore(const char *backup, const char *target, bool json, struct fault *fault)
{
	struct restore *restore = calloc(1, sizeof(*restore));

	check(restore != NULL);
	restore->folder = backup;
	const int code = restore_all(restore, target, fault);
	if (code == 0)
		tell(restore, json);
	backup_manifest_fini(&restore->manifest);
	free(restore);
	return code;
}

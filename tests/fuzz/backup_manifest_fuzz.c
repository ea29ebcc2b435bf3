/* The manifest of a backup, with a checksum that fits and as it is: a path leads below the folder
 * and nowhere else, and what is read can be written and read again. */
#include "replay.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "node/backup.h"
#include "scratch_folder.h"

static void check_paths(const struct backup_manifest *manifest)
{
	size_t blocks = 0;

	for (size_t i = 0; i < manifest->file_count; i++) {
		const struct backup_file *file = &manifest->files[i];
		check(file->path[0] != '\0' && file->path[0] != '/');
		check(strcmp(file->path, "..") != 0 && strncmp(file->path, "../", 3) != 0);
		check(strstr(file->path, "/../") == NULL);
		check(file->whole >= file->bytes);
		check_equal(file->block, blocks);
		blocks += (file->bytes + BACKUP_BLOCK_BYTES - 1) / BACKUP_BLOCK_BYTES;
	}
	check_equal(manifest->block_count, blocks);
}

static void check_written_again(const struct backup_manifest *manifest)
{
	struct backup_manifest again;
	struct fault fault;

	check_equal(backup_manifest_write(manifest, scratch_folder(), &fault), 0);
	check_equal(backup_manifest_read(scratch_folder(), &again, &fault), 0);
	check(strcmp(again.cloud, manifest->cloud) == 0 && strcmp(again.made, manifest->made) == 0);
	check_equal(again.file_count, manifest->file_count);
	check_equal(again.block_count, manifest->block_count);
	for (size_t i = 0; i < again.file_count; i++) {
		const struct backup_file *one = &again.files[i], *other = &manifest->files[i];
		check(strcmp(one->path, other->path) == 0);
		check(one->bytes == other->bytes && one->whole == other->whole);
	}
	for (size_t i = 0; i < again.block_count; i++)
		check(memcmp(&again.blocks[i], &manifest->blocks[i], sizeof(again.blocks[i])) == 0);
	backup_manifest_fini(&again);
}

static void read_manifest(struct slice first, struct slice second)
{
	struct backup_manifest manifest;
	struct fault fault = {0};

	scratch_file(BACKUP_MANIFEST, first, second);
	const int code = backup_manifest_read(scratch_folder(), &manifest, &fault);
	check(code == 0 || code == FAULT_DAMAGED || code == FAULT_UNSUPPORTED);
	check((code < 0) == (fault.text[0] != '\0'));
	if (code < 0)
		return;
	check_paths(&manifest);
	check_written_again(&manifest);
	backup_manifest_fini(&manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice body = slice_make(data, size);
	const struct backup_digest digest = backup_digest_of(body);
	char end[128], hex[2 * BACKUP_DIGEST_BYTES + 1];
	size_t files = 0;

	for (struct slice rest = body, line; slice_cut(&rest, '\n', &line);)
		files += slice_starts_with(line, slice_of("file "));
	text_hex(digest.bytes, sizeof(digest.bytes), hex);
	snprintf(end, sizeof(end), "end %zu %s\n", files, hex);
	read_manifest(body, (struct slice){0});
	read_manifest(body, slice_of(end));
	return 0;
}

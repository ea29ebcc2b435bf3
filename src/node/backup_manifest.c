#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/text.h"
#include "node/backup.h"

#define MANIFEST_BYTES_MAX (256u << 20)
#define FIRST_LINE         "stoa backup 1"
#define HEX_BYTES          (2 * BACKUP_DIGEST_BYTES)
#define PROGRESS_NS        CLOCK_NS_PER_S

struct backup_digest backup_digest_of(struct slice bytes)
{
	struct backup_digest digest;

	crypto_hash_sha256(digest.bytes, (const unsigned char *)bytes.data, bytes.length);
	return digest;
}

/* ---- building ---- */

static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return array;
	*capacity = *capacity == 0 ? 64 : 2 * *capacity;
	array = reallocarray(array, *capacity, size);
	check(array != NULL);
	return array;
}

void backup_manifest_fini(struct backup_manifest *manifest)
{
	for (size_t i = 0; i < manifest->file_count; i++)
		free(manifest->files[i].path);
	free(manifest->files);
	free(manifest->blocks);
	*manifest = (struct backup_manifest){0};
}

void backup_manifest_add(struct backup_manifest *manifest, const char *path, uint64_t whole)
{
	struct backup_file file = {
		.path = strdup(path), .whole = whole, .block = manifest->block_count};

	check(file.path != NULL);
	manifest->files =
		grow(manifest->files, manifest->file_count, &manifest->file_capacity, sizeof(file));
	manifest->files[manifest->file_count++] = file;
}

static void add_digest(struct backup_manifest *manifest, struct backup_digest digest)
{
	manifest->blocks = grow(manifest->blocks, manifest->block_count, &manifest->block_capacity,
				sizeof(digest));
	manifest->blocks[manifest->block_count++] = digest;
}

void backup_manifest_add_block(struct backup_manifest *manifest, struct slice block)
{
	check(manifest->file_count > 0 && block.length > 0);
	struct backup_file *file = &manifest->files[manifest->file_count - 1];

	check_equal(file->bytes % BACKUP_BLOCK_BYTES, 0);
	add_digest(manifest, backup_digest_of(block));
	file->bytes += block.length;
	if (file->whole < file->bytes)
		file->whole = file->bytes;
}

uint64_t backup_manifest_bytes(const struct backup_manifest *manifest)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < manifest->file_count; i++)
		bytes += manifest->files[i].bytes;
	return bytes;
}

/* ---- as text ---- */

static size_t block_count_of(uint64_t bytes)
{
	return (size_t)((bytes + BACKUP_BLOCK_BYTES - 1) / BACKUP_BLOCK_BYTES);
}

static void append_digest(struct text *text, const struct backup_digest *digest)
{
	char hex[HEX_BYTES + 1];

	text_hex(digest->bytes, sizeof(digest->bytes), hex);
	text_append_text(text, hex);
}

int backup_manifest_write(const struct backup_manifest *manifest, const char *folder,
			  struct fault *fault)
{
	struct text text;
	char *path;

	text_init(&text, MANIFEST_BYTES_MAX);
	text_printf(&text, FIRST_LINE "\ncloud %s\nmade %s\n", manifest->cloud, manifest->made);
	for (size_t i = 0; i < manifest->file_count; i++) {
		const struct backup_file *file = &manifest->files[i];
		text_printf(&text, "%s %" PRIu64 " %" PRIu64 " %s\n",
			    file->executable ? "program" : "file", file->bytes, file->whole,
			    file->path);
		for (size_t block = 0; block < block_count_of(file->bytes); block++) {
			text_append_text(&text, "block ");
			append_digest(&text, &manifest->blocks[file->block + block]);
			text_append_text(&text, "\n");
		}
	}
	const struct backup_digest all = backup_digest_of(text_slice(&text));
	text_printf(&text, "end %zu ", manifest->file_count);
	append_digest(&text, &all);
	text_append_text(&text, "\n");
	check(asprintf(&path, "%s/" BACKUP_MANIFEST, folder) > 0);
	int code = text.failed ? fault_set(fault, FAULT_LIMIT, "%s would be too long", path)
			       : disk_write_file(path, 0600, text.data, text.length, fault);
	free(path);
	text_fini(&text);
	return code;
}

/* ---- reading ---- */

struct reading {
	const char *path;
	struct slice whole, rest;
	struct backup_manifest manifest;
	size_t blocks_wanted; /* of the file read last */
};

static int damaged(const struct reading *reading, struct slice line, const char *what,
		   struct fault *fault)
{
	return fault_set(fault, FAULT_DAMAGED, "%s: offset %zu: %s", reading->path,
			 (size_t)(line.data - reading->whole.data), what);
}

bool backup_path_is_left_out(struct slice path)
{
	static const char *const names[] = {
		"lock",           "api.address",       "admin.token",          "instances",
		BACKUP_STORE_LOG, BACKUP_STORE "-shm", BACKUP_STORE "-journal"};
	struct slice first;

	slice_cut(&path, '/', &first);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (slice_equal(first, slice_of(names[i])))
			return true;
	}
	return false;
}

bool backup_path_is_sound(struct slice path)
{
	struct slice rest = path, part;

	if (path.length == 0 || path.length >= BACKUP_PATH_MAX ||
	    path.data[path.length - 1] == '/' || slice_equal(path, slice_of(BACKUP_MANIFEST)) ||
	    backup_path_is_left_out(path))
		return false;
	for (size_t i = 0; i < path.length; i++) {
		if ((unsigned char)path.data[i] < ' ' || path.data[i] == 0x7f)
			return false;
	}
	while (slice_cut(&rest, '/', &part)) {
		if (part.length == 0 || slice_equal(part, slice_of(".")) ||
		    slice_equal(part, slice_of("..")))
			return false;
	}
	return true;
}

static bool take_word(struct slice *rest, struct slice *ret_word)
{
	return slice_cut(rest, ' ', ret_word) && ret_word->length > 0;
}

static int read_file_line(struct reading *reading, struct slice line, struct fault *fault)
{
	struct slice rest = line;
	struct slice kind, bytes_word, whole_word;
	char path[BACKUP_PATH_MAX];
	uint64_t bytes, whole;

	if (!take_word(&rest, &kind) || !take_word(&rest, &bytes_word) ||
	    !slice_to_u64(bytes_word, INT64_MAX, &bytes) || !take_word(&rest, &whole_word) ||
	    !slice_to_u64(whole_word, INT64_MAX, &whole) || whole < bytes ||
	    !backup_path_is_sound(rest) || !slice_to_text(rest, path, sizeof(path)))
		return damaged(reading, line, "a file's line is not sound", fault);
	if (reading->manifest.file_count == BACKUP_FILES_MAX)
		return damaged(reading, line, "there are too many files", fault);
	backup_manifest_add(&reading->manifest, path, whole);
	struct backup_file *file = &reading->manifest.files[reading->manifest.file_count - 1];
	file->bytes = bytes;
	file->executable = slice_equal(kind, slice_of("program"));
	reading->blocks_wanted = block_count_of(bytes);
	return 0;
}

static bool read_digest(struct slice hex, struct backup_digest *ret_digest)
{
	return hex.length == HEX_BYTES &&
	       text_from_hex(hex, ret_digest->bytes, sizeof(ret_digest->bytes));
}

static int read_line(struct reading *reading, struct slice line, struct fault *fault)
{
	struct backup_digest digest;

	if (slice_starts_with(line, slice_of("block "))) {
		if (reading->blocks_wanted == 0 ||
		    !read_digest(slice_part(line, strlen("block "), line.length), &digest))
			return damaged(reading, line, "a block's line is not sound", fault);
		reading->blocks_wanted--;
		add_digest(&reading->manifest, digest);
		return 0;
	}
	if (reading->blocks_wanted > 0)
		return damaged(reading, line, "a file lacks blocks", fault);
	if (slice_starts_with(line, slice_of("file ")) ||
	    slice_starts_with(line, slice_of("program ")))
		return read_file_line(reading, line, fault);
	return damaged(reading, line, "a line is neither a file's nor a block's", fault);
}

/* "cloud NAME", "made TIME". */
static int read_title(struct reading *reading, const char *name, char text[BACKUP_NAME_MAX],
		      struct fault *fault)
{
	struct slice line = reading->rest;

	if (!slice_cut(&reading->rest, '\n', &line) || !slice_starts_with(line, slice_of(name)) ||
	    !slice_to_text(slice_part(line, strlen(name), line.length), text, BACKUP_NAME_MAX))
		return damaged(reading, line, "the title is not sound", fault);
	return 0;
}

/* Cuts the last line off, whose digest must be that of everything before it. */
static int read_end(struct reading *reading, uint64_t *ret_files, struct fault *fault)
{
	const struct slice whole = reading->whole;
	struct backup_digest told, found;
	struct slice word;
	size_t start = whole.length;

	if (whole.length == 0 || whole.data[whole.length - 1] != '\n')
		return damaged(reading, slice_part(whole, whole.length, whole.length),
			       "the file is cut: its last line is missing", fault);
	for (start--; start > 0 && whole.data[start - 1] != '\n';)
		start--;
	struct slice rest = slice_part(whole, start, whole.length - 1);
	const struct slice line = rest;
	if (!take_word(&rest, &word) || !slice_equal(word, slice_of("end")) ||
	    !take_word(&rest, &word) || !slice_to_u64(word, BACKUP_FILES_MAX, ret_files) ||
	    !read_digest(rest, &told))
		return damaged(reading, line, "the file is cut: its last line is missing", fault);
	reading->rest = slice_part(whole, 0, start);
	found = backup_digest_of(reading->rest);
	if (memcmp(&found, &told, sizeof(told)) != 0)
		return damaged(reading, line, "the manifest was changed: its checksum differs",
			       fault);
	return 0;
}

static int read_all(struct reading *reading, struct fault *fault)
{
	struct slice line;
	uint64_t files = 0;
	int code = read_end(reading, &files, fault);

	if (code < 0)
		return code;
	if (!slice_cut(&reading->rest, '\n', &line) || !slice_equal(line, slice_of(FIRST_LINE)))
		return fault_set(fault, FAULT_UNSUPPORTED,
				 "%s: this program reads backups that begin with \"" FIRST_LINE
				 "\"",
				 reading->path);
	code = read_title(reading, "cloud ", reading->manifest.cloud, fault);
	if (code == 0)
		code = read_title(reading, "made ", reading->manifest.made, fault);
	while (code == 0 && reading->rest.length > 0 && slice_cut(&reading->rest, '\n', &line))
		code = read_line(reading, line, fault);
	if (code == 0 && (reading->blocks_wanted > 0 || files != reading->manifest.file_count))
		code = damaged(reading, reading->rest, "files or blocks are missing", fault);
	return code;
}

int backup_manifest_read(const char *folder, struct backup_manifest *ret_manifest,
			 struct fault *fault)
{
	struct reading reading = {0};
	char *path, *text;
	size_t length;

	check(asprintf(&path, "%s/" BACKUP_MANIFEST, folder) > 0);
	int code = disk_read_file(path, MANIFEST_BYTES_MAX, &text, &length, fault);
	if (code == 0) {
		reading.path = path;
		reading.whole = slice_make(text, length);
		code = read_all(&reading, fault);
		free(text);
	} else if (code == FAULT_NOT_FOUND) {
		fault_prefix(fault, "%s is no backup, or one that was not finished", folder);
	}
	free(path);
	if (code < 0)
		backup_manifest_fini(&reading.manifest);
	else
		*ret_manifest = reading.manifest;
	return code;
}

/* ---- progress ---- */

void backup_progress_begin(struct backup_progress *progress, const char *what, uint64_t total)
{
	*progress = (struct backup_progress){.what = what, .total = total};
	if (isatty(STDERR_FILENO))
		progress->begun_ns = progress->told_ns = clock_monotonic_ns(clock_system());
}

void backup_progress_move(struct backup_progress *progress, uint64_t bytes)
{
	progress->done += bytes;
	if (progress->begun_ns == 0)
		return;
	const uint64_t now_ns = clock_monotonic_ns(clock_system());
	if (now_ns - progress->told_ns < PROGRESS_NS)
		return;
	progress->told_ns = now_ns;
	const uint64_t done = progress->done < progress->total ? progress->done : progress->total;
	fprintf(stderr, "\r%s: %" PRIu64 " of %" PRIu64 " MiB ", progress->what, done >> 20,
		progress->total >> 20);
}

void backup_progress_end(struct backup_progress *progress)
{
	if (progress->told_ns != progress->begun_ns)
		fputc('\n', stderr);
}

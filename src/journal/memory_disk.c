#include "journal/memory_disk.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static struct memory_disk *memory_of(struct disk *disk)
{
	return (struct memory_disk *)disk;
}

static void unlock(pthread_mutex_t **lock)
{
	check(pthread_mutex_unlock(*lock) == 0);
}

/* Until the end of the block. */
#define LOCKED __attribute__((cleanup(unlock), unused)) pthread_mutex_t *

static pthread_mutex_t *lock(struct memory_disk *memory)
{
	check(pthread_mutex_lock(&memory->lock) == 0);
	return &memory->lock;
}

static struct memory_file *file_of(struct memory_disk *memory, const struct disk_file *file)
{
	check(file->descriptor >= 0 && (size_t)file->descriptor < memory->file_count);
	return &memory->files[file->descriptor];
}

struct memory_file *memory_disk_file(struct memory_disk *memory, const char *path)
{
	for (size_t i = 0; i < memory->file_count; i++) {
		if (memory->files[i].live && strcmp(memory->files[i].path, path) == 0)
			return &memory->files[i];
	}
	return NULL;
}

static struct memory_file *file_add(struct memory_disk *memory, const char *path, bool folder)
{
	check(memory->file_count < MEMORY_DISK_FILES_MAX);
	struct memory_file *file = &memory->files[memory->file_count++];
	*file = (struct memory_file){.path = strdup(path), .folder = folder, .live = true};
	check(file->path != NULL);
	return file;
}

static int change(struct memory_disk *memory, const char *what, struct fault *fault)
{
	if (memory->changes_allowed <= 0)
		return fault_set(fault, FAULT_SYSTEM, "cannot %s: the disk fails", what);
	memory->changes_allowed--;
	return 0;
}

static int memory_folder_make(struct disk *disk, const char *path, unsigned mode,
			      struct fault *fault)
{
	struct memory_disk *memory = memory_of(disk);
	LOCKED held = lock(memory);

	(void)mode;
	if (memory_disk_file(memory, path) != NULL)
		return 0;
	const int result = change(memory, "make a folder", fault);
	if (result == 0)
		file_add(memory, path, true);
	return result;
}

/* The name of an entry of the folder, NULL where the path is not one. */
static const char *name_in(const char *path, const char *folder)
{
	const size_t length = strlen(folder);

	if (strncmp(path, folder, length) != 0 || path[length] != '/')
		return NULL;
	return strchr(path + length + 1, '/') ? NULL : path + length + 1;
}

static int memory_folder_list(struct disk *disk, const char *path, disk_entry_fn each,
			      void *context, struct fault *fault)
{
	struct memory_disk *memory = memory_of(disk);
	LOCKED held = lock(memory);

	(void)fault;
	for (size_t i = 0; i < memory->file_count; i++) {
		const char *name = name_in(memory->files[i].path, path);
		if (!memory->files[i].live || name == NULL)
			continue;
		const int answer = each(context, name);
		if (answer != 0)
			return answer < 0 ? answer : 0;
	}
	return 0;
}

static int memory_folder_sync(struct disk *disk, const char *path, struct fault *fault)
{
	struct memory_disk *memory = memory_of(disk);
	LOCKED held = lock(memory);

	const int result = change(memory, "sync a folder", fault);
	for (size_t i = 0; result == 0 && i < memory->file_count; i++) {
		if (name_in(memory->files[i].path, path) != NULL)
			memory->files[i].durable = memory->files[i].live;
	}
	return result;
}

static int memory_file_open(struct disk *disk, const char *path, bool create, unsigned mode,
			    struct disk_file *ret_file, struct fault *fault)
{
	struct memory_disk *memory = memory_of(disk);
	LOCKED held = lock(memory);
	struct memory_file *file = memory_disk_file(memory, path);

	(void)mode;
	if (create && file != NULL)
		return fault_set(fault, FAULT_CONFLICT, "cannot create %s: it exists", path);
	if (!create && file == NULL)
		return fault_set(fault, FAULT_NOT_FOUND, "cannot open %s: it is not there", path);
	if (create) {
		const int result = change(memory, "create a file", fault);
		if (result < 0)
			return result;
		file = file_add(memory, path, false);
	}
	*ret_file = (struct disk_file){.descriptor = (int)(file - memory->files)};
	memory->open_count++;
	return 0;
}

static void file_resize(struct memory_file *file, size_t size)
{
	uint8_t *bytes = aligned_alloc(4096, (size + 4096) / 4096 * 4096);

	check(bytes != NULL);
	memset(bytes, 0, (size + 4096) / 4096 * 4096);
	const size_t kept = size < file->size ? size : file->size;
	if (kept > 0)
		memcpy(bytes, file->bytes, kept);
	free(file->bytes);
	file->bytes = bytes;
	file->size = size;
}

static int memory_file_reserve(struct disk *disk, struct disk_file *handle, size_t bytes,
			       struct fault *fault)
{
	struct memory_disk *memory = memory_of(disk);
	LOCKED held = lock(memory);

	const int result = change(memory, "reserve space", fault);
	if (result < 0)
		return result;
	if (bytes > memory->space_bytes)
		return fault_set(fault, FAULT_SYSTEM,
				 "cannot reserve %zu bytes on disk: No space left on device",
				 bytes);
	memory->space_bytes -= bytes;
	file_resize(file_of(memory, handle), bytes);
	return 0;
}

static int memory_file_map(struct disk *disk, struct disk_file *handle, size_t bytes, bool writable,
			   struct fault *fault)
{
	LOCKED held = lock(memory_of(disk));
	struct memory_file *file = file_of(memory_of(disk), handle);

	(void)writable;
	if (file->size < bytes)
		return fault_set(fault, FAULT_DAMAGED, "a file of %zu bytes is shorter than %zu",
				 file->size, bytes);
	handle->map = file->bytes;
	handle->map_bytes = bytes;
	return 0;
}

static int memory_file_size(struct disk *disk, struct disk_file *handle, size_t *ret_bytes,
			    struct fault *fault)
{
	LOCKED held = lock(memory_of(disk));
	(void)fault;
	*ret_bytes = file_of(memory_of(disk), handle)->size;
	return 0;
}

static int memory_file_data(struct disk *disk, struct disk_file *handle, size_t offset,
			    size_t *ret_from, size_t *ret_to, struct fault *fault)
{
	LOCKED held = lock(memory_of(disk));
	const struct memory_file *file = file_of(memory_of(disk), handle);

	(void)fault;
	while (offset < file->size && file->bytes[offset] == 0)
		offset++;
	*ret_from = offset;
	while (offset < file->size && file->bytes[offset] != 0)
		offset++;
	*ret_to = offset;
	return 0;
}

/* As the kernel does it: while others write. */
__attribute__((no_sanitize("thread"))) static void copy_live(uint8_t *to, const uint8_t *from,
							     size_t length)
{
	for (size_t i = 0; i < length; i++)
		to[i] = ((const volatile uint8_t *)from)[i];
}

static int sync_allowed(struct memory_disk *memory, struct fault *fault)
{
	const int result = change(memory, "sync a file", fault);

	if (result < 0)
		return result;
	if (memory->syncs_allowed <= 0)
		return fault_set(fault, FAULT_SYSTEM,
				 "cannot sync a file to disk: Input/output error");
	memory->syncs_allowed--;
	return 0;
}

static int memory_file_sync(struct disk *disk, struct disk_file *handle, struct fault *fault)
{
	struct memory_disk *memory = memory_of(disk);
	LOCKED held = lock(memory);
	struct memory_file *file = file_of(memory, handle);

	const int result = sync_allowed(memory, fault);
	if (result < 0)
		return result;
	if (file->synced_size != file->size) {
		free(file->synced);
		file->synced = calloc(1, file->size);
		check(file->synced != NULL);
		file->synced_size = file->size;
	}
	copy_live(file->synced, file->bytes, file->size);
	return 0;
}

static int memory_file_sync_part(struct disk *disk, struct disk_file *handle, size_t offset,
				 size_t bytes, struct fault *fault)
{
	struct memory_disk *memory = memory_of(disk);
	LOCKED held = lock(memory);
	struct memory_file *file = file_of(memory, handle);

	const int result = sync_allowed(memory, fault);
	if (result < 0)
		return result;
	check_equal(file->synced_size, file->size);
	check_at_most(offset + bytes, file->size);
	copy_live(file->synced + offset, file->bytes + offset, bytes);
	return 0;
}

static void memory_file_hint(struct disk *disk, struct disk_file *handle, size_t offset,
			     size_t bytes)
{
	(void)disk;
	check_at_most(offset + bytes, handle->map_bytes);
}

static void memory_file_close(struct disk *disk, struct disk_file *handle)
{
	LOCKED held = lock(memory_of(disk));
	if (handle->descriptor >= 0)
		memory_of(disk)->open_count--;
	*handle = (struct disk_file){.descriptor = -1};
}

static int memory_file_remove(struct disk *disk, const char *path, struct fault *fault)
{
	struct memory_disk *memory = memory_of(disk);
	LOCKED held = lock(memory);
	struct memory_file *file = memory_disk_file(memory, path);

	if (file == NULL)
		return fault_set(fault, FAULT_NOT_FOUND, "cannot remove %s: not there", path);
	const int result = change(memory, "remove a file", fault);
	if (result == 0) {
		file->live = false;
		memory->space_bytes += file->size;
	}
	return result;
}

static void memory_disk_heal(struct memory_disk *memory)
{
	memory->space_bytes = UINT64_MAX / 2;
	memory->changes_allowed = INT64_MAX;
	memory->syncs_allowed = INT64_MAX;
}

void memory_disk_init(struct memory_disk *memory)
{
	*memory = (struct memory_disk){
		.disk =
			{
				.folder_make = memory_folder_make,
				.folder_list = memory_folder_list,
				.folder_sync = memory_folder_sync,
				.file_open = memory_file_open,
				.file_reserve = memory_file_reserve,
				.file_map = memory_file_map,
				.file_size = memory_file_size,
				.file_data = memory_file_data,
				.file_sync = memory_file_sync,
				.file_sync_part = memory_file_sync_part,
				.file_expect_read = memory_file_hint,
				.file_warm = memory_file_hint,
				.file_close = memory_file_close,
				.file_remove = memory_file_remove,
			},
	};
	check(pthread_mutex_init(&memory->lock, NULL) == 0);
	memory_disk_heal(memory);
}

void memory_disk_fini(struct memory_disk *memory)
{
	check_equal(memory->open_count, 0);
	for (size_t i = 0; i < memory->file_count; i++) {
		free(memory->files[i].path);
		free(memory->files[i].bytes);
		free(memory->files[i].synced);
	}
	memory->file_count = 0;
	check(pthread_mutex_destroy(&memory->lock) == 0);
}

static void file_power_cut(struct memory_file *file, struct random *random)
{
	if (file->live != file->durable)
		file->live = file->durable = random_below(random, 2);
	if (!file->live || file->folder)
		return;
	/* A size that was not synced may be the old or the new one. */
	if (file->size != file->synced_size && random_below(random, 2))
		file_resize(file, file->synced_size);
	for (size_t at = 0; at < file->size; at += MEMORY_DISK_SECTOR) {
		const size_t left = file->size - at;
		const size_t length = left < MEMORY_DISK_SECTOR ? left : MEMORY_DISK_SECTOR;
		if (random_below(random, 2))
			continue;
		if (at + length <= file->synced_size)
			memcpy(file->bytes + at, file->synced + at, length);
		else
			memset(file->bytes + at, 0, length);
	}
	free(file->synced);
	file->synced = NULL;
	file->synced_size = file->size;
	if (file->size > 0) {
		file->synced = malloc(file->size);
		check(file->synced != NULL);
		memcpy(file->synced, file->bytes, file->size);
	}
}

void memory_disk_power_cut(struct memory_disk *memory, struct random *random)
{
	check_equal(memory->open_count, 0);
	for (size_t i = 0; i < memory->file_count; i++)
		file_power_cut(&memory->files[i], random);
	memory_disk_heal(memory);
}

void memory_disk_put(struct memory_disk *memory, const char *path, const void *bytes, size_t size)
{
	struct memory_file *file = memory_disk_file(memory, path);

	if (file == NULL)
		file = file_add(memory, path, false);
	file_resize(file, size);
	memcpy(file->bytes, bytes, size);
	free(file->synced);
	file->synced = malloc(size + 1);
	check(file->synced != NULL);
	memcpy(file->synced, bytes, size);
	file->synced_size = size;
	file->durable = true;
}

void memory_disk_cut(struct memory_disk *memory, const char *path, size_t size)
{
	struct memory_file *file = memory_disk_file(memory, path);

	check(file != NULL && size <= file->size);
	file_resize(file, size);
}

#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

#define TEMPORARY_SUFFIX ".XXXXXX"
#define READ_BYTES       (64u << 10) /* of a file, at first */

/* Tells apart what callers tell apart: not there, there already, all else. */
static int path_fault(struct fault *fault, int error, const char *attempt, const char *path)
{
	fault_set_errno(fault, error, "cannot %s %s", attempt, path);
	const int code = error == ENOENT   ? FAULT_NOT_FOUND
			 : error == EEXIST ? FAULT_CONFLICT
					   : FAULT_SYSTEM;
	if (fault)
		fault->code = code;
	return code;
}

static int system_folder_make(struct disk *disk, const char *path, unsigned mode,
			      struct fault *fault)
{
	struct stat status;

	(void)disk;
	if (mkdir(path, mode) == 0)
		return 0;
	const int error = errno;
	if (error == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return 0;
	return path_fault(fault, error, "make the folder", path);
}

static int system_folder_list(struct disk *disk, const char *path, disk_entry_fn each,
			      void *context, struct fault *fault)
{
	const struct dirent *entry;
	int answer = 0;

	(void)disk;
	DIR *folder = opendir(path);
	if (folder == NULL)
		return path_fault(fault, errno, "list the folder", path);
	errno = 0;
	while (answer == 0 && (entry = readdir(folder)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			answer = each(context, entry->d_name);
		errno = 0;
	}
	if (answer == 0 && errno != 0)
		answer = path_fault(fault, errno, "list the folder", path);
	closedir(folder);
	return answer < 0 ? answer : 0;
}

static int system_folder_sync(struct disk *disk, const char *path, struct fault *fault)
{
	int error = 0;

	(void)disk;
	const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0)
		return path_fault(fault, errno, "open the folder", path);
	if (fsync(descriptor) != 0)
		error = errno;
	close(descriptor);
	return error ? path_fault(fault, error, "sync the folder", path) : 0;
}

static int system_file_open(struct disk *disk, const char *path, bool create, unsigned mode,
			    struct disk_file *ret_file, struct fault *fault)
{
	(void)disk;
	const int descriptor =
		open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), mode);
	if (descriptor < 0)
		return path_fault(fault, errno, create ? "create" : "open", path);
	*ret_file = (struct disk_file){.descriptor = descriptor};
	return 0;
}

static int system_file_reserve(struct disk *disk, struct disk_file *file, size_t bytes,
			       struct fault *fault)
{
	int error;

	(void)disk;
	check_at_most(bytes, INT64_MAX);
	do
		error = posix_fallocate(file->descriptor, 0, (off_t)bytes);
	while (error == EINTR);
	return error ? fault_set_errno(fault, error, "cannot reserve %zu bytes on disk", bytes) : 0;
}

static int system_file_size(struct disk *disk, struct disk_file *file, size_t *ret_bytes,
			    struct fault *fault)
{
	struct stat status;

	(void)disk;
	if (fstat(file->descriptor, &status) != 0)
		return fault_set_errno(fault, errno, "cannot read the size of a file");
	*ret_bytes = (size_t)status.st_size;
	return 0;
}

static int system_file_data(struct disk *disk, struct disk_file *file, size_t offset,
			    size_t *ret_from, size_t *ret_to, struct fault *fault)
{
	size_t size;

	check_at_most(offset, INT64_MAX);
	const int code = system_file_size(disk, file, &size, fault);
	if (code < 0)
		return code;
	off_t from = lseek(file->descriptor, (off_t)offset, SEEK_DATA);
	off_t to = from < 0 ? -1 : lseek(file->descriptor, from, SEEK_HOLE);
	/* A file system that knows no holes has data everywhere. */
	if (to < 0 && errno == EINVAL) {
		from = (off_t)(offset < size ? offset : size);
		to = (off_t)size;
	} else if (to < 0 && errno == ENXIO) {
		from = to = (off_t)size;
	}
	if (to < 0)
		return fault_set_errno(fault, errno, "cannot look for data in a file");
	*ret_from = (size_t)from;
	*ret_to = (size_t)to;
	return 0;
}

static int system_file_map(struct disk *disk, struct disk_file *file, size_t bytes, bool writable,
			   struct fault *fault)
{
	size_t size;

	check(file->map == NULL);
	check(bytes > 0);
	const int code = system_file_size(disk, file, &size, fault);
	if (code < 0)
		return code;
	/* A map beyond the end would be a SIGBUS at the first touch. */
	if (size < bytes)
		return fault_set(fault, FAULT_DAMAGED,
				 "a file of %zu bytes is shorter than the %zu to map", size, bytes);
	void *map = mmap(NULL, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
			 file->descriptor, 0);
	if (map == MAP_FAILED)
		return fault_set_errno(fault, errno, "cannot map %zu bytes of a file", bytes);
	/* Else the first touch of a page reads megabytes around it, of which most were never
	 * written. Who reads in order says so with file_expect_read. */
	madvise(map, bytes, MADV_RANDOM);
	file->map = map;
	file->map_bytes = bytes;
	return 0;
}

static int system_file_sync(struct disk *disk, struct disk_file *file, struct fault *fault)
{
	(void)disk;
	if (fdatasync(file->descriptor) != 0)
		return fault_set_errno(fault, errno, "cannot sync a file to disk");
	return 0;
}

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Cuts [offset, offset + bytes) to the map and widens it to whole pages. */
static void *map_pages(const struct disk_file *file, size_t offset, size_t bytes,
		       size_t *ret_length)
{
	check(file->map != NULL);
	check_at_most(offset, file->map_bytes);
	if (bytes > file->map_bytes - offset)
		bytes = file->map_bytes - offset;
	const size_t first = offset / page_bytes() * page_bytes();
	*ret_length = offset + bytes - first;
	return (char *)file->map + first;
}

static int system_file_sync_part(struct disk *disk, struct disk_file *file, size_t offset,
				 size_t bytes, struct fault *fault)
{
	size_t length;

	(void)disk;
	void *pages = map_pages(file, offset, bytes, &length);
	/* What is not in our page tables need not be made read-only there, page by page, each
	 * with an interrupt to the writer's core. The bytes stay, in the file's own pages; the
	 * last page too, which the writer is in: it would have to fault there anyway. */
	madvise(pages, length, MADV_DONTNEED);
	if (msync(pages, length, MS_SYNC) != 0)
		return fault_set_errno(fault, errno, "cannot sync a file to disk");
	return 0;
}

static void system_file_expect_read(struct disk *disk, struct disk_file *file, size_t offset,
				    size_t bytes)
{
	size_t length;

	(void)disk;
	void *pages = map_pages(file, offset, bytes, &length);
	madvise(pages, length, MADV_WILLNEED);
}

static void system_file_warm(struct disk *disk, struct disk_file *file, size_t offset, size_t bytes)
{
	size_t length;

	(void)disk;
	void *pages = map_pages(file, offset, bytes, &length);
	/* Since Linux 5.14; an older one refuses and the writer takes its faults. */
	madvise(pages, length, MADV_POPULATE_WRITE);
}

static void system_file_close(struct disk *disk, struct disk_file *file)
{
	(void)disk;
	if (file->map)
		check(munmap(file->map, file->map_bytes) == 0);
	if (file->descriptor >= 0)
		close(file->descriptor);
	*file = (struct disk_file){.descriptor = -1};
}

static int system_file_remove(struct disk *disk, const char *path, struct fault *fault)
{
	(void)disk;
	return unlink(path) == 0 ? 0 : path_fault(fault, errno, "remove", path);
}

struct disk *disk_system(void)
{
	static struct disk system_disk = {
		.folder_make = system_folder_make,
		.folder_list = system_folder_list,
		.folder_sync = system_folder_sync,
		.file_open = system_file_open,
		.file_reserve = system_file_reserve,
		.file_map = system_file_map,
		.file_size = system_file_size,
		.file_data = system_file_data,
		.file_sync = system_file_sync,
		.file_sync_part = system_file_sync_part,
		.file_expect_read = system_file_expect_read,
		.file_warm = system_file_warm,
		.file_close = system_file_close,
		.file_remove = system_file_remove,
	};
	return &system_disk;
}

/* Reads to the end into memory that grows with what comes, and ends it with a NUL; one byte more
 * than bytes_max when there was more. */
static int read_up_to(int descriptor, size_t bytes_max, char **text, size_t *used)
{
	size_t capacity = 0;

	for (;;) {
		if (*used == capacity) {
			capacity = capacity == 0 ? READ_BYTES : 2 * capacity;
			if (capacity > bytes_max + 1)
				capacity = bytes_max + 1;
			*text = realloc(*text, capacity + 1);
			check(*text != NULL);
		}
		const ssize_t got = read(descriptor, *text + *used, capacity - *used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		*used += (size_t)got;
		(*text)[*used] = '\0';
		if (got == 0 || *used > bytes_max)
			return 0;
	}
}

int disk_read_file(const char *path, size_t bytes_max, char **ret_text, size_t *ret_bytes,
		   struct fault *fault)
{
	char *text = NULL;
	size_t used = 0;
	int code = 0;

	check(bytes_max < SIZE_MAX / 2);
	const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return path_fault(fault, errno, "open", path);
	if (read_up_to(descriptor, bytes_max, &text, &used) != 0)
		code = path_fault(fault, errno, "read", path);
	else if (used > bytes_max)
		code = fault_set(fault, FAULT_LIMIT, "%s is longer than the %zu bytes allowed",
				 path, bytes_max);
	close(descriptor);
	if (code < 0) {
		free(text);
		return code;
	}
	*ret_text = text;
	*ret_bytes = used;
	return 0;
}

static bool write_all(int descriptor, const char *bytes, size_t length)
{
	while (length > 0) {
		const ssize_t written = write(descriptor, bytes, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return false;
		bytes += written;
		length -= (size_t)written;
	}
	return true;
}

static int parent_sync(const char *path, struct fault *fault)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	return system_folder_sync(NULL, dirname(copy), fault);
}

static int replace_file(const char *path, unsigned mode, const void *bytes, size_t length,
			bool sync, struct fault *fault)
{
	char temporary[PATH_MAX];
	int error = 0;

	const int needed = snprintf(temporary, sizeof(temporary), "%s" TEMPORARY_SUFFIX, path);
	if (needed < 0 || (size_t)needed >= sizeof(temporary))
		return path_fault(fault, ENAMETOOLONG, "write", path);
	const int descriptor = mkostemp(temporary, O_CLOEXEC);
	if (descriptor < 0)
		return path_fault(fault, errno, "write beside", path);

	if (fchmod(descriptor, mode) != 0 || !write_all(descriptor, bytes, length) ||
	    (sync && fsync(descriptor) != 0))
		error = errno;
	if (close(descriptor) != 0 && error == 0)
		error = errno;
	if (error == 0 && rename(temporary, path) != 0)
		error = errno;
	if (error != 0) {
		unlink(temporary);
		return path_fault(fault, error, "write", path);
	}
	return 0;
}

int disk_write_file(const char *path, unsigned mode, const void *bytes, size_t length,
		    struct fault *fault)
{
	const int code = replace_file(path, mode, bytes, length, true, fault);

	return code < 0 ? code : parent_sync(path, fault);
}

int disk_replace_file(const char *path, unsigned mode, const void *bytes, size_t length,
		      struct fault *fault)
{
	return replace_file(path, mode, bytes, length, false, fault);
}

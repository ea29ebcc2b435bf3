#include "node/staging.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/disk.h"

#define MARK            ".stoa-partial"
#define DESCRIPTORS_MAX 16
#define SPARE_PERMILLE  20 /* folders, and what grows meanwhile */
#define SPARE_BYTES     (4u << 20)

static int set_path(char path[STAGING_PATH_MAX], const char *folder, const char *name,
		    struct fault *fault)
{
	const int length = snprintf(path, STAGING_PATH_MAX, "%s%s", folder, name);

	return length < STAGING_PATH_MAX
		       ? 0
		       : fault_set(fault, FAULT_LIMIT, "the path %.64s... is too long", folder);
}

/* Entries but "." and ".."; 0 where the folder is not there. */
static int count_entries(const char *path, const char *but, size_t *ret_count, struct fault *fault)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	*ret_count = 0;
	if (folder == NULL)
		return errno == ENOENT ? 0 : fault_set_errno(fault, errno, "cannot list %s", path);
	while ((entry = readdir(folder)) != NULL)
		*ret_count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			      strcmp(entry->d_name, but) != 0;
	closedir(folder);
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	/* The mark goes last, so that what is left of a clearing can be cleared again. */
	if (place->level == 0 || (place->level == 1 && strcmp(path + place->base, MARK) == 0))
		return 0;
	return remove(path);
}

static int clear(const char *path, struct fault *fault)
{
	if (nftw(path, remove_one, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS) != 0)
		return fault_set_errno(fault, errno, "cannot clear %s", path);
	return 0;
}

static int sync_folder(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)place;
	return kind == FTW_D ? disk_system()->folder_sync(disk_system(), path, NULL) : 0;
}

static int make_mark(const struct staging *staging, struct fault *fault)
{
	const int mark = openat(staging->descriptor, MARK, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (mark < 0)
		return fault_set_errno(fault, errno, "cannot write in %s", staging->path);
	close(mark);
	return 0;
}

static int take_over(struct staging *staging, struct fault *fault)
{
	size_t others;

	staging->descriptor = open(staging->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (staging->descriptor < 0)
		return fault_set_errno(fault, errno, "cannot open %s", staging->path);
	if (flock(staging->descriptor, LOCK_EX | LOCK_NB) < 0)
		return fault_set(fault, FAULT_BUSY, "another process is writing %s", staging->path);
	int code = count_entries(staging->path, MARK, &others, fault);
	if (code == 0 && others > 0 && faccessat(staging->descriptor, MARK, F_OK, 0) < 0)
		code = fault_set(fault, FAULT_CONFLICT,
				 "%s is there, and nothing that was left behind here; remove it",
				 staging->path);
	if (code == 0)
		code = make_mark(staging, fault);
	return code < 0 ? code : clear(staging->path, fault);
}

int staging_begin(const char *target, struct staging *ret_staging, struct fault *fault)
{
	struct staging staging = {.descriptor = -1};
	size_t entries;

	int code = set_path(staging.target, target, "", fault);
	if (code < 0)
		return code;
	for (size_t length = strlen(staging.target); length > 1 && target[length - 1] == '/';)
		staging.target[--length] = '\0';
	code = set_path(staging.path, staging.target, ".partial", fault);
	if (code == 0)
		code = count_entries(staging.target, "", &entries, fault);
	if (code == 0 && entries > 0)
		code = fault_set(fault, FAULT_CONFLICT, "%s is there and not empty",
				 staging.target);
	if (code == 0 && mkdir(staging.path, 0700) < 0 && errno != EEXIST)
		code = fault_set_errno(fault, errno, "cannot make the folder %s", staging.path);
	if (code == 0)
		code = take_over(&staging, fault);
	if (code < 0) {
		if (staging.descriptor >= 0)
			close(staging.descriptor);
		return code;
	}
	*ret_staging = staging;
	return 0;
}

int staging_check_space(const struct staging *staging, uint64_t bytes, struct fault *fault)
{
	struct statvfs space;

	if (fstatvfs(staging->descriptor, &space) < 0)
		return fault_set_errno(fault, errno, "cannot ask for the space of %s",
				       staging->path);
	const uint64_t there = (uint64_t)space.f_bavail * space.f_frsize;
	const uint64_t needed = bytes + bytes / 1000 * SPARE_PERMILLE + SPARE_BYTES;
	if (there >= needed)
		return 0;
	return fault_set(fault, FAULT_LIMIT,
			 "%s: %" PRIu64 " MiB are needed and %" PRIu64 " MiB are free",
			 staging->path, needed >> 20, there >> 20);
}

int staging_make_parents(const struct staging *staging, const char *path, struct fault *fault)
{
	char part[STAGING_PATH_MAX];

	const int code = set_path(part, path, "", fault);
	if (code < 0)
		return code;
	for (char *slash = strchr(part, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(staging->descriptor, part, 0700) < 0 && errno != EEXIST)
			return fault_set_errno(fault, errno, "cannot make the folder %s/%s",
					       staging->path, part);
		*slash = '/';
	}
	return 0;
}

void staging_file_written(int descriptor)
{
	/* What waits to be written is written by the by: one large sync at the end would hold up
	 * whoever else syncs on this disk, the node's journal too. */
	sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int staging_file_close(const struct staging *staging, int descriptor, int code, struct fault *fault)
{
	if (code == 0 && fsync(descriptor) < 0)
		code = fault_set_errno(fault, errno, "cannot sync a file of %s", staging->path);
	close(descriptor);
	return code;
}

int staging_finish(struct staging *staging, struct fault *fault)
{
	char parent[STAGING_PATH_MAX];

	if (nftw(staging->path, sync_folder, DESCRIPTORS_MAX, FTW_PHYS) != 0)
		return fault_set_errno(fault, errno, "cannot sync %s", staging->path);
	if (unlinkat(staging->descriptor, MARK, 0) < 0 || fsync(staging->descriptor) < 0)
		return fault_set_errno(fault, errno, "cannot finish %s", staging->path);
	if (rename(staging->path, staging->target) < 0) {
		const int error = errno;
		make_mark(staging, NULL);
		return fault_set_errno(fault, error, "cannot rename %s to %s", staging->path,
				       staging->target);
	}
	close(staging->descriptor);
	snprintf(parent, sizeof(parent), "%s", staging->target);
	return disk_system()->folder_sync(disk_system(), dirname(parent), fault);
}

void staging_drop(struct staging *staging)
{
	char mark[STAGING_PATH_MAX];

	if (clear(staging->path, NULL) == 0 && set_path(mark, staging->path, "/" MARK, NULL) == 0) {
		unlink(mark);
		rmdir(staging->path);
	}
	close(staging->descriptor);
}

/* Tiles as files: C2SP tlog-tiles. */
#include "audit/audit_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

#define NUMBER_GROUPS_MAX 7 /* of three digits: all of uint64_t */
#define FILE_MODE         0600
#define FOLDER_MODE       0700

unsigned audit_tile_width(uint64_t size, unsigned level, uint64_t number)
{
	check(level < LEVELS_MAX);
	const uint64_t hashes = size >> (8 * level);

	if (number >= (hashes >> 8))
		return number == (hashes >> 8) ? (unsigned)(hashes & 255) : 0;
	return AUDIT_TILE_WIDTH;
}

void audit_tile_path(unsigned level, uint64_t number, unsigned width, char path[TILE_PATH_MAX])
{
	unsigned groups[NUMBER_GROUPS_MAX];
	unsigned count = 0;
	int used = snprintf(path, TILE_PATH_MAX, "tile/%u", level);

	do {
		groups[count++] = (unsigned)(number % 1000);
		number /= 1000;
	} while (number > 0);
	while (count-- > 0)
		used += snprintf(path + used, TILE_PATH_MAX - (size_t)used, "/%s%03u",
				 count > 0 ? "x" : "", groups[count]);
	if (width < AUDIT_TILE_WIDTH)
		used += snprintf(path + used, TILE_PATH_MAX - (size_t)used, ".p/%u", width);
	check(used < TILE_PATH_MAX);
}

static int full_path(const char *folder, unsigned level, uint64_t number, unsigned width,
		     char path[AUDIT_PATH_MAX], struct fault *fault)
{
	char tile[TILE_PATH_MAX];

	audit_tile_path(level, number, width, tile);
	const int length = snprintf(path, AUDIT_PATH_MAX, "%s/%s", folder, tile);
	if (length >= AUDIT_PATH_MAX)
		return fault_set(fault, FAULT_INPUT, "the path of the log in %s is too long",
				 folder);
	return 0;
}

static int make_folders(const char *folder, char path[AUDIT_PATH_MAX], struct fault *fault)
{
	for (char *slash = strchr(path + strlen(folder) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		const bool made = mkdir(path, FOLDER_MODE) == 0 || errno == EEXIST;
		*slash = '/';
		if (!made)
			return fault_set_errno(fault, errno, "make the folders of %s", path);
	}
	return 0;
}

int audit_tile_write(const char *folder, unsigned level, uint64_t number, unsigned width,
		     const struct audit_hash *hashes, struct fault *fault)
{
	char path[AUDIT_PATH_MAX];
	const size_t bytes = width * sizeof(*hashes);
	int code = full_path(folder, level, number, width, path, fault);

	if (code < 0)
		return code;
	code = disk_replace_file(path, FILE_MODE, hashes, bytes, fault);
	if (code != FAULT_NOT_FOUND)
		return code;
	code = make_folders(folder, path, fault);
	return code < 0 ? code : disk_replace_file(path, FILE_MODE, hashes, bytes, fault);
}

/* The file has exactly `width` hashes, of which `wanted` are read. */
static int read_file(const char *path, unsigned width, unsigned wanted,
		     struct audit_hash *ret_hashes, struct fault *fault)
{
	const size_t bytes = wanted * sizeof(*ret_hashes);
	struct stat status;
	int code = 0;

	const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0 && errno != ENOENT)
		return fault_set_errno(fault, errno, "open %s", path);
	if (descriptor < 0)
		return fault_set(fault, FAULT_NOT_FOUND, "there is no %s", path);
	if (fstat(descriptor, &status) != 0)
		code = fault_set_errno(fault, errno, "read the size of %s", path);
	else if ((size_t)status.st_size != width * sizeof(*ret_hashes))
		code = fault_set(fault, FAULT_NOT_FOUND, "%s was cut short", path);
	else if (read(descriptor, ret_hashes, bytes) != (ssize_t)bytes)
		code = fault_set_errno(fault, errno, "read %s", path);
	close(descriptor);
	return code;
}

int audit_tile_read(const char *folder, unsigned level, uint64_t number, unsigned width,
		    struct audit_hash *ret_hashes, struct fault *fault)
{
	char path[AUDIT_PATH_MAX];
	int code = full_path(folder, level, number, AUDIT_TILE_WIDTH, path, fault);

	if (code == 0)
		code = read_file(path, AUDIT_TILE_WIDTH, width, ret_hashes, fault);
	if (code != FAULT_NOT_FOUND || width == AUDIT_TILE_WIDTH)
		return code;
	code = full_path(folder, level, number, width, path, fault);
	return code < 0 ? code : read_file(path, width, width, ret_hashes, fault);
}

/* What cannot be removed is in nobody's way. */
void audit_tile_remove_partial(const char *folder, unsigned level, uint64_t number)
{
	char path[AUDIT_PATH_MAX];
	const struct dirent *entry;

	if (full_path(folder, level, number, 1, path, NULL) < 0)
		return;
	*strrchr(path, '/') = '\0';
	DIR *partial = opendir(path);
	if (partial == NULL)
		return;
	while ((entry = readdir(partial)) != NULL) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(partial), entry->d_name, 0);
	}
	closedir(partial);
	rmdir(path);
}

#include "base/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

#define MODE 0640

bool log_file_open(struct log_file *file)
{
	const int fresh =
		open(file->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | file->flags, MODE);

	if (fresh < 0 || file->descriptor < 0) {
		if (fresh >= 0)
			file->descriptor = fresh;
		return fresh >= 0;
	}
	const bool taken = dup3(fresh, file->descriptor, O_CLOEXEC) >= 0;
	const int error = errno;
	close(fresh);
	errno = error;
	return taken;
}

static bool is_elsewhere(const struct log_file *file, const struct stat *own)
{
	struct stat named;

	return stat(file->path, &named) != 0 || named.st_ino != own->st_ino ||
	       named.st_dev != own->st_dev;
}

static bool move_away(const struct log_file *file)
{
	char *older;

	check(asprintf(&older, "%s.1", file->path) > 0);
	const bool moved = rename(file->path, older) == 0;
	const int error = errno;
	free(older);
	errno = error;
	return moved;
}

bool log_file_ready(struct log_file *file, uint64_t bytes, const char **ret_at)
{
	struct stat own;

	*ret_at = "open";
	if (file->descriptor < 0 && !log_file_open(file))
		return false;
	if (fstat(file->descriptor, &own) != 0)
		return false;
	if (is_elsewhere(file, &own))
		return log_file_open(file);
	if (!S_ISREG(own.st_mode) || own.st_size == 0 ||
	    (uint64_t)own.st_size + bytes <= file->bytes_max)
		return true;
	*ret_at = "rename";
	if (!move_away(file))
		return false;
	*ret_at = "open";
	return log_file_open(file);
}

void log_file_close(struct log_file *file)
{
	if (file->descriptor >= 0)
		close(file->descriptor);
	file->descriptor = -1;
}

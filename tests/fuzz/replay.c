/* Replays files, or all files of folders, through a fuzz target: a corpus as an ordinary test. */
#include "replay.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/check.h"

static unsigned replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat status;

	check(file != NULL);
	check(fstat(fileno(file), &status) == 0);
	const size_t size = (size_t)status.st_size;
	uint8_t *data = malloc(size > 0 ? size : 1);
	check(data != NULL);
	check_equal(fread(data, 1, size, file), size);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

static unsigned replay(const char *path)
{
	DIR *folder = opendir(path);
	char name[4096];
	unsigned count = 0;

	if (folder == NULL)
		return replay_file(path);
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		count += replay(name);
	}
	closedir(folder);
	return count;
}

int main(int argument_count, char **arguments)
{
	unsigned count = 0;

	for (int i = 1; i < argument_count; i++)
		count += replay(arguments[i]);
	printf("%u inputs\n", count);
	return count > 0 ? 0 : 1;
}

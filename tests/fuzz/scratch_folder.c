#include "scratch_folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

static char folder[64];

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status, (void)kind, (void)where;
	return remove(path);
}

static void remove_all(void)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_folder(void)
{
	if (folder[0] == '\0') {
		snprintf(folder, sizeof(folder), "/tmp/stoa-fuzz.XXXXXX");
		check(mkdtemp(folder) != NULL);
		atexit(remove_all);
	}
	return folder;
}

/* An empty part may have no bytes to point at. */
static void write_part(FILE *file, struct slice part)
{
	if (part.length > 0)
		check_equal(fwrite(part.data, 1, part.length, file), part.length);
}

void scratch_file(const char *name, struct slice first, struct slice second)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", scratch_folder(), name);
	FILE *file = fopen(path, "wb");
	check(file != NULL);
	write_part(file, first);
	write_part(file, second);
	check_equal(fclose(file), 0);
}

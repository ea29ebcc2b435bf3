/*
 * store_testing: for tests: a folder of its own for a store's files, gone with the test. It lies
 * on /dev/shm where there is one, for a test proves what is written, not how fast the disk is.
 *
 * Threads: one.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"

struct store_testing {
	char folder[64];
	char path[96]; /* of the store, which does not exist yet */
};

static inline void store_testing_init(struct store_testing *testing)
{
	const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	snprintf(testing->folder, sizeof(testing->folder), "%s/store_test_XXXXXX", place);
	check(mkdtemp(testing->folder) != NULL);
	snprintf(testing->path, sizeof(testing->path), "%s/store.db", testing->folder);
}

static inline void store_testing_fini(struct store_testing *testing)
{
	char path[sizeof(testing->folder) + 256 + 1];
	DIR *folder = opendir(testing->folder);

	check(folder != NULL);
	for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
		snprintf(path, sizeof(path), "%s/%s", testing->folder, entry->d_name);
		if (entry->d_name[0] != '.')
			check(unlink(path) == 0);
	}
	closedir(folder);
	check(rmdir(testing->folder) == 0);
}

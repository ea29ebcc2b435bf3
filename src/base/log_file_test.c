#include "base/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log_file.h"

#define PATH_MOST 64

struct rig {
	char folder[PATH_MOST - 24], path[PATH_MOST], older[PATH_MOST];
	struct log_file file;
	const char *at;
};

static void rig_open(struct rig *rig, uint64_t bytes_max)
{
	*rig = (struct rig){.folder = "/tmp/log_file_test.XXXXXX"};
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/log", rig->folder);
	snprintf(rig->older, sizeof(rig->older), "%s/log.1", rig->folder);
	rig->file = (struct log_file){.path = rig->path, .bytes_max = bytes_max, .descriptor = -1};
}

static void rig_close(struct rig *rig)
{
	log_file_close(&rig->file);
	assert_int_equal(rig->file.descriptor, -1);
	unlink(rig->path);
	unlink(rig->older);
	assert_int_equal(rmdir(rig->folder), 0);
}

static void put(struct rig *rig, const char *line)
{
	const size_t length = strlen(line);

	assert_true(log_file_ready(&rig->file, length, &rig->at));
	assert_int_equal(write(rig->file.descriptor, line, length), length);
}

static void assert_holds(const char *path, const char *expected)
{
	char text[PATH_MOST] = "";
	const int descriptor = open(path, O_RDONLY);

	assert_true(descriptor >= 0);
	assert_int_equal(read(descriptor, text, sizeof(text) - 1), strlen(expected));
	assert_string_equal(text, expected);
	close(descriptor);
}

static void a_file_that_is_full_becomes_the_one_before(void **state)
{
	struct rig rig;
	struct stat about;

	(void)state;
	rig_open(&rig, 8);
	put(&rig, "longer than all\n"); /* of an empty file there is none before */
	put(&rig, "abc\n");
	assert_holds(rig.older, "longer than all\n");
	put(&rig, "def\n"); /* just fits */
	assert_holds(rig.path, "abc\ndef\n");
	const int descriptor = rig.file.descriptor;
	put(&rig, "g\n");
	assert_int_equal(rig.file.descriptor, descriptor);
	assert_holds(rig.older, "abc\ndef\n");
	assert_holds(rig.path, "g\n");
	assert_int_equal(stat(rig.path, &about), 0);
	assert_int_equal(about.st_mode & 0777 & ~0640, 0);
	rig_close(&rig);
}

static void a_file_that_was_renamed_or_removed_is_made_again(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 64);
	put(&rig, "one\n");
	assert_int_equal(rename(rig.path, rig.older), 0);
	put(&rig, "two\n");
	assert_holds(rig.older, "one\n");
	assert_holds(rig.path, "two\n");
	assert_int_equal(unlink(rig.path), 0);
	put(&rig, "three\n");
	assert_holds(rig.path, "three\n");
	rig_close(&rig);
}

static void what_cannot_be_opened_anew_goes_on(void **state)
{
	struct rig rig;
	char moved[PATH_MOST], held[PATH_MOST + 8];

	(void)state;
	rig_open(&rig, 64);
	put(&rig, "one\n");
	snprintf(moved, sizeof(moved), "%s.moved", rig.folder);
	assert_int_equal(rename(rig.folder, moved), 0);
	assert_false(log_file_ready(&rig.file, 1, &rig.at));
	assert_int_equal(errno, ENOENT);
	assert_string_equal(rig.at, "open");
	assert_int_equal(write(rig.file.descriptor, "two\n", 4), 4);
	snprintf(held, sizeof(held), "%s/log", moved);
	assert_holds(held, "one\ntwo\n");
	assert_int_equal(rename(moved, rig.folder), 0);
	rig_close(&rig);
}

static void what_cannot_be_renamed_is_told_and_goes_on(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4);
	put(&rig, "one\n");
	assert_int_equal(mkdir(rig.older, 0700), 0);
	assert_false(log_file_ready(&rig.file, 1, &rig.at));
	assert_int_equal(errno, EISDIR);
	assert_string_equal(rig.at, "rename");
	assert_true(rig.file.descriptor >= 0);
	assert_int_equal(rmdir(rig.older), 0);
	put(&rig, "two\n");
	assert_holds(rig.older, "one\n");
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_is_full_becomes_the_one_before),
		cmocka_unit_test(a_file_that_was_renamed_or_removed_is_made_again),
		cmocka_unit_test(what_cannot_be_opened_anew_goes_on),
		cmocka_unit_test(what_cannot_be_renamed_is_told_and_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

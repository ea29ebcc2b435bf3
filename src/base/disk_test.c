#include "base/testing.h"

#include <string.h>
#include <sys/stat.h>

#include "base/disk.h"

static char folder[] = P_tmpdir "/stoa-disk-XXXXXX";
static struct fault fault;

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void a_folder_may_be_there_but_a_file_in_its_place_may_not(void **state)
{
	struct disk *disk = disk_system();

	(void)state;
	assert_int_equal(disk->folder_make(disk, "made", 0700, &fault), 0);
	assert_int_equal(disk->folder_make(disk, "made", 0700, &fault), 0);
	assert_int_equal(disk->folder_make(disk, "no/made", 0700, &fault), FAULT_NOT_FOUND);
	assert_string_equal(fault.text,
			    "cannot make the folder no/made: No such file or directory");
	assert_int_equal(disk->folder_sync(disk, "made", &fault), 0);
	assert_int_equal(disk->folder_sync(disk, "none", &fault), FAULT_NOT_FOUND);
	assert_int_equal(rmdir("made"), 0);

	assert_int_equal(disk_write_file("file", 0600, "", 0, &fault), 0);
	assert_int_equal(disk->folder_make(disk, "file", 0700, &fault), FAULT_CONFLICT);
	assert_int_equal(disk->file_remove(disk, "file", &fault), 0);
}

static int count_entry(void *context, const char *name)
{
	size_t *count = context;

	assert_true(strcmp(name, "a") == 0 || strcmp(name, "b") == 0);
	++*count;
	return 0;
}

static int stop_at_entry(void *context, const char *name)
{
	(void)name;
	++*(size_t *)context;
	return FAULT_DAMAGED;
}

static void a_listing_names_each_entry_and_stops_when_told(void **state)
{
	struct disk *disk = disk_system();
	size_t count = 0;

	(void)state;
	assert_int_equal(disk_write_file("a", 0600, "1", 1, &fault), 0);
	assert_int_equal(disk_write_file("b", 0600, "2", 1, &fault), 0);
	assert_int_equal(disk->folder_list(disk, ".", count_entry, &count, &fault), 0);
	assert_int_equal(count, 2);
	assert_int_equal(disk->folder_list(disk, ".", stop_at_entry, &count, &fault),
			 FAULT_DAMAGED);
	assert_int_equal(count, 3);
	assert_int_equal(disk->folder_list(disk, "none", count_entry, &count, &fault),
			 FAULT_NOT_FOUND);
	disk->file_remove(disk, "a", &fault);
	disk->file_remove(disk, "b", &fault);
	assert_int_equal(disk->file_remove(disk, "b", &fault), FAULT_NOT_FOUND);
}

static void creating_what_exists_is_refused(void **state)
{
	struct disk *disk = disk_system();
	struct disk_file file, untouched = {.descriptor = 77};

	(void)state;
	assert_int_equal(disk->file_open(disk, "j", false, 0, &untouched, &fault), FAULT_NOT_FOUND);
	assert_int_equal(disk->file_open(disk, "j", true, 0600, &file, &fault), 0);
	assert_int_equal(disk->file_open(disk, "j", true, 0600, &untouched, &fault),
			 FAULT_CONFLICT);
	assert_int_equal(untouched.descriptor, 77);
	disk->file_close(disk, &file);
	assert_int_equal(file.descriptor, -1);
	disk->file_close(disk, &file);
	disk->file_remove(disk, "j", &fault);
}

static void what_is_written_into_a_map_is_in_the_file(void **state)
{
	struct disk *disk = disk_system();
	struct disk_file file;
	size_t bytes = 0, from = 0, to = 0;
	char *text;

	(void)state;
	assert_int_equal(disk->file_open(disk, "j", true, 0600, &file, &fault), 0);
	assert_int_equal(disk->file_map(disk, &file, 8192, true, &fault), FAULT_DAMAGED);
	assert_int_equal(disk->file_reserve(disk, &file, 8192, &fault), 0);
	assert_int_equal(disk->file_size(disk, &file, &bytes, &fault), 0);
	assert_int_equal(bytes, 8192);
	assert_int_equal(disk->file_data(disk, &file, 8192, &from, &to, &fault), 0);
	assert_int_equal(from, 8192);
	assert_int_equal(to, 8192);
	assert_int_equal(disk->file_map(disk, &file, 8192, true, &fault), 0);
	memcpy((char *)file.map + 8187, "hello", 5);
	assert_int_equal(disk->file_sync(disk, &file, &fault), 0);
	assert_int_equal(disk->file_data(disk, &file, 10, &from, &to, &fault), 0);
	assert_in_range(from, 10, 8187);
	assert_int_equal(to, 8192);
	disk->file_expect_read(disk, &file, 5, 100000);
	disk->file_warm(disk, &file, 5, 100000);
	assert_int_equal(disk->file_sync_part(disk, &file, 8187, 5, &fault), 0);
	disk->file_close(disk, &file);

	assert_int_equal(disk->file_open(disk, "j", false, 0, &file, &fault), 0);
	assert_int_equal(disk->file_map(disk, &file, 8192, false, &fault), 0);
	assert_memory_equal((char *)file.map + 8187, "hello", 5);
	disk->file_close(disk, &file);
	assert_int_equal(disk_read_file("j", 8192, &text, &bytes, &fault), 0);
	assert_memory_equal(text + 8187, "hello", 6);
	free(text);
	disk->file_remove(disk, "j", &fault);
}

static void a_small_file_is_read_whole_or_not_at_all(void **state)
{
	char *text = NULL;
	size_t bytes = 77;

	(void)state;
	assert_int_equal(disk_write_file("f", 0640, "12345678", 8, &fault), 0);
	assert_int_equal(disk_read_file("f", 7, &text, &bytes, &fault), FAULT_LIMIT);
	assert_string_equal(fault.text, "f is longer than the 7 bytes allowed");
	assert_int_equal(disk_read_file("none", 7, &text, &bytes, &fault), FAULT_NOT_FOUND);
	assert_int_equal(disk_read_file(".", 7, &text, &bytes, &fault), FAULT_SYSTEM);
	assert_null(text);
	assert_int_equal(bytes, 77);
	assert_int_equal(disk_read_file("f", 8, &text, &bytes, &fault), 0);
	assert_int_equal(bytes, 8);
	assert_string_equal(text, "12345678");
	free(text);
	unlink("f");
}

static void replacing_a_file_sets_its_mode_and_leaves_nothing_beside(void **state)
{
	struct stat status;
	size_t count = 0, bytes;
	char *text;

	(void)state;
	assert_int_equal(disk_write_file("a", 0644, "old", 3, &fault), 0);
	const int reader = open("a", O_RDONLY);
	assert_true(reader >= 0);
	assert_int_equal(disk_write_file("a", 0600, "new and longer", 14, &fault), 0);

	/* Who had it open reads on in the old one. */
	char before[8] = {0};
	assert_int_equal(read(reader, before, sizeof(before)), 3);
	assert_string_equal(before, "old");
	close(reader);
	assert_int_equal(stat("a", &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(disk_read_file("a", 64, &text, &bytes, &fault), 0);
	assert_string_equal(text, "new and longer");
	free(text);
	assert_int_equal(
		disk_system()->folder_list(disk_system(), ".", count_entry, &count, &fault), 0);
	assert_int_equal(count, 1);
	assert_int_equal(disk_write_file("none/a", 0600, "", 0, &fault), FAULT_NOT_FOUND);
	unlink("a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_may_be_there_but_a_file_in_its_place_may_not),
		cmocka_unit_test(a_listing_names_each_entry_and_stops_when_told),
		cmocka_unit_test(creating_what_exists_is_refused),
		cmocka_unit_test(what_is_written_into_a_map_is_in_the_file),
		cmocka_unit_test(a_small_file_is_read_whole_or_not_at_all),
		cmocka_unit_test(replacing_a_file_sets_its_mode_and_leaves_nothing_beside),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

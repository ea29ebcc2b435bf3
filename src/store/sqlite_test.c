/* What is SQLite's own: files, settings, damage. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/store_internal.h"
#include "store/store_testing.h"

struct bench {
	struct store_testing files;
	struct store *store;
	struct fault fault;
};

static int set_up(void **state)
{
	static struct bench bench;

	*state = &bench;
	bench.store = NULL;
	store_testing_init(&bench.files);
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	store_close(bench->store);
	store_testing_fini(&bench->files);
	return 0;
}

static void open_store(struct bench *bench)
{
	if (store_open(bench->files.path, &bench->store, &bench->fault) < 0)
		fail_msg("%s", bench->fault.text);
}

static void expect_setting(struct bench *bench, const char *sql, int64_t expected)
{
	STORE_STATEMENT select = NULL;
	bool row = false;

	assert_int_equal(store_prepare(bench->store, sql, &select, &bench->fault), 0);
	assert_int_equal(store_step(select, &row, &bench->fault), 0);
	assert_true(row);
	if (store_column_int64(select, 0) != expected)
		fail_msg("%s: %lld", sql, (long long)store_column_int64(select, 0));
}

static void every_handle_has_the_settings_that_durability_needs(void **state)
{
	struct bench *bench = *state;

	for (unsigned round = 0; round < 2; round++) {
		open_store(bench);
		expect_setting(bench, "PRAGMA synchronous", 2);
		expect_setting(bench, "PRAGMA foreign_keys", 1);
		expect_setting(bench, "PRAGMA cell_size_check", 1);
		expect_setting(bench, "PRAGMA recursive_triggers", 1);
		expect_setting(bench, "PRAGMA mmap_size", 0);
		expect_setting(bench, "PRAGMA wal_autocheckpoint", 4096);
		expect_setting(bench, "PRAGMA busy_timeout", STORE_BUSY_TIMEOUT_MS);
		expect_setting(bench, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", 1);
		store_close(bench->store);
		bench->store = NULL;
	}
}

static void the_files_are_their_owners_alone(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	struct bench *bench = *state;

	open_store(bench);
	assert_int_equal(store_run(bench->store, "CREATE TABLE t (id BIGINT)", &bench->fault), 0);
	for (size_t index = 0; index < 3; index++) {
		char path[sizeof(bench->files.path) + 8];
		struct stat status;
		snprintf(path, sizeof(path), "%s%s", bench->files.path, suffixes[index]);
		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_mode & 0777, 0600);
	}
}

static void an_address_may_name_its_driver(void **state)
{
	struct bench *bench = *state;
	char address[sizeof(bench->files.path) + 8];

	snprintf(address, sizeof(address), "sqlite:%s", bench->files.path);
	assert_int_equal(store_open(address, &bench->store, &bench->fault), 0);
	assert_int_equal(access(bench->files.path, F_OK), 0);
}

static void an_address_that_leads_nowhere_is_told(void **state)
{
	static const struct {
		const char *address;
		int code;
		const char *told;
	} cases[] = {
		{"sqlite:", FAULT_INPUT, "names no file"},
		{"", FAULT_INPUT, "names no file"},
		{"postgresql://localhost/stoa", FAULT_UNSUPPORTED, "no driver"},
		{"/nowhere/at/all/store.db", FAULT_STORE, "/nowhere/at/all/store.db"},
		{"/", FAULT_STORE, "\"/\""},
		{"sqlite::memory:", FAULT_UNSUPPORTED, "write-ahead log"},
	};
	struct bench *bench = *state;

	for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
		assert_int_equal(store_open(cases[index].address, &bench->store, &bench->fault),
				 cases[index].code);
		assert_non_null(strstr(bench->fault.text, cases[index].told));
	}
}

static void a_file_that_is_no_database_is_damage_and_left_alone(void **state)
{
	static const char text[8192] = "This was a shopping list.";
	struct bench *bench = *state;
	char back[sizeof(text)];

	int file = open(bench->files.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(file, text, sizeof(text)), sizeof(text));
	close(file);
	assert_int_equal(store_open(bench->files.path, &bench->store, &bench->fault),
			 FAULT_DAMAGED);
	assert_non_null(strstr(bench->fault.text, bench->files.path));
	file = open(bench->files.path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(file, back, sizeof(back)), sizeof(back));
	close(file);
	assert_memory_equal(text, back, sizeof(text));
}

static void a_damaged_page_is_told_when_it_is_read(void **state)
{
	struct bench *bench = *state;
	char junk[4096];
	bool row;

	open_store(bench);
	assert_int_equal(store_run(bench->store,
				   "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);"
				   "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
				   " WHERE i < 500)"
				   " INSERT INTO t SELECT i, 'some text to fill a page' FROM n",
				   &bench->fault),
			 0);
	store_close(bench->store);
	bench->store = NULL;
	memset(junk, 0x5a, sizeof(junk));
	const int file = open(bench->files.path, O_WRONLY | O_CLOEXEC);
	for (off_t page = 1; page < 5; page++)
		assert_int_equal(pwrite(file, junk, sizeof(junk), page * 4096), sizeof(junk));
	close(file);

	open_store(bench);
	STORE_STATEMENT select = NULL;
	assert_int_equal(store_prepare(bench->store, "SELECT body FROM t WHERE id = 250", &select,
				       &bench->fault),
			 0);
	assert_int_equal(store_step(select, &row, &bench->fault), FAULT_DAMAGED);
}

static void a_full_disk_fails_the_transaction_and_nothing_else(void **state)
{
	struct bench *bench = *state;
	int code = 0;

	open_store(bench);
	assert_int_equal(store_run(bench->store,
				   "CREATE TABLE t (body TEXT);"
				   "PRAGMA max_page_count = 20",
				   &bench->fault),
			 0);
	assert_int_equal(store_run(bench->store, "INSERT INTO t VALUES ('kept')", &bench->fault),
			 0);
	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	for (unsigned round = 0; round < 100 && code == 0; round++)
		code = store_run(bench->store, "INSERT INTO t VALUES (hex(zeroblob(2000)))",
				 &bench->fault);
	assert_int_equal(code, FAULT_STORE);
	assert_non_null(strstr(bench->fault.text, "full"));
	assert_int_equal(store_commit(bench->store, &bench->fault), FAULT_STORE);
	expect_setting(bench, "SELECT count(*) FROM t", 1);
	assert_int_equal(store_begin(bench->store, STORE_WRITE, &bench->fault), 0);
	assert_int_equal(store_commit(bench->store, &bench->fault), 0);
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(every_handle_has_the_settings_that_durability_needs),
		CLAIM(the_files_are_their_owners_alone),
		CLAIM(an_address_may_name_its_driver),
		CLAIM(an_address_that_leads_nowhere_is_told),
		CLAIM(a_file_that_is_no_database_is_damage_and_left_alone),
		CLAIM(a_damaged_page_is_told_when_it_is_read),
		CLAIM(a_full_disk_fails_the_transaction_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "node/upkeep.h"

#define WRITERS   4
#define LINES     5000 /* of a writer */
#define FILES_MAX 64
#define PATH_MOST 128

static struct fault fault;

struct rig {
	char folder[PATH_MOST / 2];
	char path[PATH_MOST];
	struct upkeep upkeep;
	struct loop *loop;
};

static void rig_open(struct rig *rig, uint64_t bytes_max)
{
	const struct loop_options options = {.io = LOOP_IO_EPOLL, .clock = clock_system()};
	int descriptor;

	*rig = (struct rig){.folder = "/tmp/upkeep_test.XXXXXX"};
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/log", rig->folder);
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(upkeep_open(&rig->upkeep, &fault), 0);
	assert_int_equal(upkeep_log_open(&rig->upkeep, rig->path, bytes_max, &descriptor, &fault),
			 0);
	log_configure(descriptor, LOG_INFO, LOG_FORMAT_LOGFMT, clock_system());
	assert_int_equal(loop_new(&options, &rig->loop, &fault), 0);
	rig->upkeep.interval_ns = CLOCK_NS_PER_MS;
	upkeep_start(&rig->upkeep, rig->loop);
}

static void rig_close(struct rig *rig)
{
	char older[PATH_MOST + 8];

	upkeep_stop(&rig->upkeep);
	loop_free(rig->loop);
	upkeep_close(&rig->upkeep);
	unlink(rig->path);
	snprintf(older, sizeof(older), "%s.1", rig->path);
	unlink(older);
	assert_int_equal(rmdir(rig->folder), 0);
}

static uint64_t size_of(const char *path)
{
	struct stat found;

	return stat(path, &found) == 0 ? (uint64_t)found.st_size : 0;
}

/* ---- writers ---- */

static _Atomic uint32_t writers_done;

static void *write_lines(void *number)
{
	for (int64_t i = 0; i < LINES; i++)
		log_event(LOG_INFO, "test.line", log_number("writer", (intptr_t)number),
			  log_number("line", i));
	atomic_fetch_add(&writers_done, 1);
	return NULL;
}

static void writers_start(pthread_t *threads)
{
	atomic_store(&writers_done, 0);
	for (intptr_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)i), 0);
}

static void writers_join(const pthread_t *threads)
{
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* Every line of the file is whole, and each writer's next one. */
static void read_lines(const char *path, int64_t *next)
{
	FILE *file = fopen(path, "r");
	char line[256], level[8];
	int64_t number, writer;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		int end = 0;
		const int found = sscanf(line,
					 "time=%*s level=%7s event=test.line writer=%" SCNd64
					 " line=%" SCNd64 "\n%n",
					 level, &writer, &number, &end);
		assert_int_equal(found, 3);
		assert_int_equal((size_t)end, strlen(line));
		assert_in_range(writer, 0, WRITERS - 1);
		assert_int_equal(number, next[writer]++);
	}
	fclose(file);
}

/* ---- tests ---- */

static void a_log_that_is_renamed_and_reopened_under_load_loses_and_tears_no_line(void **state)
{
	struct rig rig;
	pthread_t threads[WRITERS];
	char names[FILES_MAX][PATH_MOST + 16];
	int64_t next[WRITERS] = {0};
	int count = 0;

	(void)state;
	rig_open(&rig, UINT64_MAX);
	writers_start(threads);
	while (atomic_load(&writers_done) < WRITERS && count < FILES_MAX) {
		if (size_of(rig.path) < 4096)
			continue;
		snprintf(names[count], sizeof(names[count]), "%s.old%d", rig.path, count);
		assert_int_equal(rename(rig.path, names[count++]), 0);
		upkeep_reopen(&rig.upkeep);
	}
	writers_join(threads);
	assert_true(count > 0);
	for (int i = 0; i < count; i++) {
		read_lines(names[i], next);
		unlink(names[i]);
	}
	read_lines(rig.path, next);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(next[i], LINES);
	rig_close(&rig);
}

static void a_log_that_somebody_took_away_is_there_again_by_itself(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, UINT64_MAX);
	assert_int_equal(unlink(rig.path), 0);
	while (access(rig.path, F_OK) != 0)
		assert_int_equal(loop_turn(rig.loop, CLOCK_NS_PER_MS, &fault), 0);
	log_event(LOG_INFO, "test.line", log_number("writer", 0), log_number("line", 0));
	assert_true(size_of(rig.path) > 0);
	rig_close(&rig);
}

static void a_log_is_two_files_of_its_most_and_what_came_between_two_looks(void **state)
{
	enum { MOST = 65536, BETWEEN = 100 };
	struct rig rig;
	char older[PATH_MOST + 8];

	(void)state;
	rig_open(&rig, MOST);
	snprintf(older, sizeof(older), "%s.1", rig.path);
	for (int64_t i = 0, looks = 0; looks < 5000; looks++) {
		for (int line = 0; line < BETWEEN; line++)
			log_event(LOG_INFO, "test.line", log_number("writer", 0),
				  log_number("line", i++));
		const uint64_t due_ns = loop_now_ns(rig.loop) + 2 * CLOCK_NS_PER_MS;
		while (size_of(rig.path) >= MOST && loop_now_ns(rig.loop) < due_ns)
			assert_int_equal(loop_turn(rig.loop, CLOCK_NS_PER_MS, &fault), 0);
		assert_in_range(size_of(rig.path), 0, MOST);
		assert_in_range(size_of(older), 0, MOST + BETWEEN * 128);
	}
	assert_true(size_of(older) >= MOST);
	rig_close(&rig);
}

static void a_log_that_cannot_be_opened_is_a_fault_that_names_it(void **state)
{
	struct upkeep upkeep;
	int descriptor;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(upkeep_open(&upkeep, &fault), 0);
	assert_true(upkeep_log_open(&upkeep, "/nowhere/log", 1, &descriptor, &fault) < 0);
	assert_non_null(strstr(fault.text, "/nowhere/log"));
	upkeep_close(&upkeep);
}

static void a_log_whose_folder_is_gone_goes_on_in_the_file_that_is_open(void **state)
{
	struct rig rig;
	char moved[PATH_MOST], path[PATH_MOST + 8];
	int64_t next[WRITERS] = {0};

	(void)state;
	rig_open(&rig, UINT64_MAX);
	log_event(LOG_INFO, "test.line", log_number("writer", 0), log_number("line", 0));
	snprintf(moved, sizeof(moved), "%s.moved", rig.folder);
	assert_int_equal(rename(rig.folder, moved), 0);
	rig.upkeep.log_failed = true; /* told already */
	upkeep_reopen(&rig.upkeep);
	log_event(LOG_INFO, "test.line", log_number("writer", 0), log_number("line", 1));
	snprintf(path, sizeof(path), "%s/log", moved);
	read_lines(path, next);
	assert_int_equal(next[0], 2);
	assert_int_equal(rename(moved, rig.folder), 0);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_log_that_is_renamed_and_reopened_under_load_loses_and_tears_no_line),
		cmocka_unit_test(a_log_that_somebody_took_away_is_there_again_by_itself),
		cmocka_unit_test(a_log_is_two_files_of_its_most_and_what_came_between_two_looks),
		cmocka_unit_test(a_log_that_cannot_be_opened_is_a_fault_that_names_it),
		cmocka_unit_test(a_log_whose_folder_is_gone_goes_on_in_the_file_that_is_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

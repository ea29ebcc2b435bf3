#include "base/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "journal/memory_disk.h"
#include "journal/sample.h"

#define SEGMENT 8
#define STREAMS 2

static struct fault fault;
static uint64_t all[JOURNAL_STREAMS_MAX]; /* of each stream */

static struct journal *must_open(struct memory_disk *memory, const char *folder)
{
	const struct journal_options options = {.disk = &memory->disk,
						.clock = clock_system(),
						.folder = folder,
						.segment_records = SEGMENT};
	struct journal *journal;

	fault = (struct fault){0};
	const int result = journal_open(&options, &journal, &fault);
	if (result < 0)
		fail_msg("%s", fault.text);
	return journal;
}

/* Puts a file of the copy below "copy" on the disk. */
static int put(void *context, const struct journal_copy_file *file, struct fault *unused)
{
	struct memory_disk *memory = context;
	uint8_t *bytes = calloc(1, file->bytes + 1);
	char path[64], *slash;
	size_t at = 0;

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		assert_true(at + file->parts[i].length <= file->bytes);
		if (file->parts[i].length > 0)
			memcpy(bytes + at, file->parts[i].data, file->parts[i].length);
		at += file->parts[i].length;
	}
	snprintf(path, sizeof(path), "copy/%s", file->name);
	slash = strrchr(path, '/');
	*slash = '\0';
	assert_int_equal(memory->disk.folder_make(&memory->disk, path, 0700, NULL), 0);
	*slash = '/';
	memory_disk_put(memory, path, bytes, file->bytes);
	free(bytes);
	return 0;
}

static uint64_t must_read(struct journal *journal, uint32_t number)
{
	const struct journal_record *records;
	struct journal_reader *reader;
	uint64_t total = 0;
	uint32_t count = 0;

	if (journal_stream_head(journal, number) == 0)
		return 0;
	assert_int_equal(journal_reader_open(journal, number, 0, &reader, NULL), 0);
	do {
		assert_int_equal(journal_reader_next(reader, 5, &records, &count, &fault), 0);
		for (uint32_t i = 0; i < count; i++)
			assert_true(sample_matches(number, total + i, &records[i]));
		total += count;
	} while (count > 0);
	journal_reader_close(reader);
	return total;
}

/* Opens the copy: whole, closed in order, and with `heads` records. It can be written on. */
static void check_copy(struct memory_disk *memory, const uint64_t heads[JOURNAL_STREAMS_MAX])
{
	struct journal *journal = must_open(memory, "copy");
	struct journal_stream *stream;

	assert_int_equal(journal_torn_count(journal), 0);
	for (uint32_t i = 0; i < STREAMS; i++) {
		assert_int_equal(journal_stream_head(journal, i), heads[i]);
		assert_int_equal(must_read(journal, i), heads[i]);
	}
	assert_int_equal(journal_stream_open(journal, 0, &stream, &fault), 0);
	sample_append(stream, 0, heads[0]);
	assert_int_equal(must_read(journal, 0), heads[0] + 1);
	assert_int_equal(journal_close(journal, &fault), 0);
}

static void append(struct journal *journal, struct journal_stream *stream, uint32_t number)
{
	bool synced;

	if (journal_stream_room(stream) == 0)
		assert_int_equal(journal_maintain(journal, &synced, NULL), 0);
	sample_append(stream, number, journal_stream_head(journal, number));
}

/* A copy of the first records only. */
static void check_part(struct memory_disk *from, uint64_t count, uint64_t part)
{
	const uint64_t upto[JOURNAL_STREAMS_MAX] = {part};
	uint64_t heads[JOURNAL_STREAMS_MAX];
	struct memory_disk to;

	assert_int_equal(journal_heads(&from->disk, "j", heads, &fault), 0);
	assert_int_equal(heads[0], count);
	assert_int_equal(heads[1], 1);
	memory_disk_init(&to);
	assert_int_equal(journal_copy(&from->disk, "j", upto, put, &to, heads, &fault), 0);
	assert_int_equal(heads[0], part);
	assert_int_equal(heads[1], 0);
	check_copy(&to, heads);
	memory_disk_fini(&to);
}

static void what_is_written_is_in_the_copy_durable_or_not(void **state)
{
	(void)state;
	for (uint64_t count = 0; count <= 3 * SEGMENT + 1; count++) {
		struct journal_stream *streams[STREAMS];
		uint64_t heads[JOURNAL_STREAMS_MAX];
		struct memory_disk from, to;
		bool synced;

		memory_disk_init(&from);
		memory_disk_init(&to);
		struct journal *journal = must_open(&from, "j");
		for (uint32_t i = 0; i < STREAMS; i++)
			assert_int_equal(journal_stream_open(journal, i, &streams[i], NULL), 0);
		for (uint64_t i = 0; i < count; i++) {
			append(journal, streams[0], 0);
			if (i == count / 2)
				journal_maintain(journal, &synced, NULL);
		}
		append(journal, streams[1], 1);
		if (journal_copy(&from.disk, "j", all, put, &to, heads, &fault) < 0)
			fail_msg("%s", fault.text);
		assert_int_equal(heads[0], count);
		assert_int_equal(heads[1], 1);
		check_copy(&to, heads);
		check_part(&from, count, count / 3);
		/* It changed nothing. */
		journal_close(journal, NULL);
		journal = must_open(&from, "j");
		assert_int_equal(must_read(journal, 0), count);
		journal_close(journal, NULL);
		memory_disk_fini(&from);
		memory_disk_fini(&to);
	}
}

static void damage_below_the_durable_position_is_told_and_above_it_ends_the_copy(void **state)
{
	(void)state;
	for (uint64_t position = 0; position < 2 * SEGMENT; position++) {
		const uint64_t durable = SEGMENT + 3;
		struct journal_stream *stream;
		uint64_t heads[JOURNAL_STREAMS_MAX];
		struct memory_disk from, to;
		char path[64], wanted[128];
		bool synced;

		memory_disk_init(&from);
		memory_disk_init(&to);
		struct journal *journal = must_open(&from, "j");
		assert_int_equal(journal_stream_open(journal, 0, &stream, NULL), 0);
		for (uint64_t i = 0; i < 2 * SEGMENT; i++) {
			append(journal, stream, 0);
			if (i + 1 == durable)
				journal_maintain(journal, &synced, NULL);
		}
		const size_t offset = 4096 + (position % SEGMENT) * JOURNAL_RECORD_BYTES;
		snprintf(path, sizeof(path), "j/0/%016x.journal",
			 (unsigned)(position / SEGMENT * SEGMENT));
		memory_disk_file(&from, path)->bytes[offset + 100] ^= 1;
		const int result = journal_copy(&from.disk, "j", all, put, &to, heads, &fault);
		if (position < durable) {
			assert_int_equal(result, FAULT_DAMAGED);
			snprintf(wanted, sizeof(wanted), "%s: offset %zu: ", path, offset);
			assert_non_null(strstr(fault.text, wanted));
			assert_int_equal(to.file_count, 0);
		} else {
			assert_int_equal(result, 0);
			assert_int_equal(heads[0], position);
			check_copy(&to, heads);
		}
		from.changes_allowed = 0;
		journal_close(journal, NULL);
		memory_disk_fini(&from);
		memory_disk_fini(&to);
	}
}

struct writing {
	struct journal *journal;
	struct journal_stream *stream;
	_Atomic bool stop;
};

static void *write_on(void *context)
{
	struct writing *writing = context;
	bool synced;

	while (!atomic_load(&writing->stop)) {
		for (int i = 0; i < 7 && journal_stream_head(writing->journal, 0) < 20000; i++)
			append(writing->journal, writing->stream, 0);
		journal_maintain(writing->journal, &synced, NULL);
	}
	return NULL;
}

/* On real files: a writer at work while the copies are made. */
static void a_copy_of_a_journal_that_is_written_is_one_moment_of_it(void **state)
{
	char folder[] = "/tmp/journal-copy-XXXXXX", command[64], path[64];
	const struct journal_options options = {.disk = disk_system(),
						.clock = clock_system(),
						.folder = path,
						.segment_records = 512};
	struct writing writing = {0};
	uint64_t heads[JOURNAL_STREAMS_MAX];
	pthread_t thread;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/j", folder);
	assert_int_equal(journal_open(&options, &writing.journal, &fault), 0);
	assert_int_equal(journal_stream_open(writing.journal, 0, &writing.stream, &fault), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
	for (int i = 0; i < 10; i++) {
		const uint64_t before = journal_stream_head(writing.journal, 0);
		struct memory_disk to;
		memory_disk_init(&to);
		if (journal_copy(disk_system(), path, all, put, &to, heads, &fault) < 0)
			fail_msg("%s", fault.text);
		assert_true(heads[0] >= before);
		check_copy(&to, heads);
		memory_disk_fini(&to);
	}
	atomic_store(&writing.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(journal_close(writing.journal, &fault), 0);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_in_the_copy_durable_or_not),
		cmocka_unit_test(
			damage_below_the_durable_position_is_told_and_above_it_ends_the_copy),
		cmocka_unit_test(a_copy_of_a_journal_that_is_written_is_one_moment_of_it),
	};

	memset(all, 0xff, sizeof(all));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

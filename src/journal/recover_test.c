#include "base/testing.h"

#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "journal/journal.h"
#include "journal/memory_disk.h"
#include "journal/sample.h"

#define SEGMENT      8
#define SMALL        (SEGMENT + 3) /* records of the small journal: one full segment, one begun */
#define HEADER_BYTES 4096

static int try_open(struct disk *disk, const char *folder, struct journal **ret_journal,
		    struct fault *fault)
{
	const struct journal_options options = {
		.disk = disk,
		.clock = clock_system(),
		.folder = folder,
		.segment_records = SEGMENT,
	};

	return journal_open(&options, ret_journal, fault);
}

static void append(struct journal *journal, struct journal_stream *stream, uint64_t count)
{
	bool synced;

	for (uint64_t i = 0; i < count; i++) {
		if (journal_stream_room(stream) == 0)
			journal_maintain(journal, &synced, NULL);
		sample_append(stream, 0, journal_stream_head(journal, 0));
	}
}

/* Reads stream 0 to its end. Fails the test where a record is not what was written. Returns the
 * reader's fault. */
static int read_all(struct journal *journal, uint64_t *ret_count, struct fault *fault)
{
	const struct journal_record *records;
	struct journal_reader *reader;
	uint32_t count = 0;

	*ret_count = 0;
	int result = journal_reader_open(journal, 0, 0, &reader, fault);
	if (result < 0)
		return result;
	do {
		result = journal_reader_next(reader, 1, &records, &count, fault);
		if (result < 0)
			break;
		for (uint32_t i = 0; i < count; i++)
			assert_true(sample_matches(0, *ret_count + i, &records[i]));
		*ret_count += count;
	} while (count > 0);
	journal_reader_close(reader);
	return result;
}

/* SMALL records in stream 0; `synced` of them durable and said so on the disk. */
static void make_small(struct memory_disk *memory, uint64_t synced)
{
	struct journal_stream *stream;
	struct journal *journal;
	bool any;

	memory_disk_init(memory);
	assert_int_equal(try_open(&memory->disk, "j", &journal, NULL), 0);
	assert_int_equal(journal_stream_open(journal, 0, &stream, NULL), 0);
	append(journal, stream, synced);
	journal_maintain(journal, &any, NULL);
	journal_maintain(journal, &any, NULL);
	append(journal, stream, SMALL - synced);
	/* As if killed: nothing more is written. */
	memory->changes_allowed = 0;
	journal_close(journal, NULL);
	memory->changes_allowed = INT64_MAX;
}

static const char *const small_files[] = {
	"j/0/0000000000000000.journal",
	"j/0/0000000000000008.journal",
	"j/0/0000000000000010.journal",
};
#define SMALL_FILES (sizeof(small_files) / sizeof(small_files[0]))

/* Where the byte stands: in the record with this position? */
static bool in_record(size_t file, size_t offset, uint64_t *ret_position)
{
	if (offset < HEADER_BYTES)
		return false;
	*ret_position = file * SEGMENT + (offset - HEADER_BYTES) / JOURNAL_RECORD_BYTES;
	return true;
}

static void must_name(const struct fault *fault, const char *path)
{
	if (strstr(fault->text, path) == NULL || strstr(fault->text, "offset ") == NULL)
		fail_msg("names neither file nor offset: %s", fault->text);
}

/* One flipped byte, in a journal whose first `durable` records are known to be on disk. */
static void flip(struct memory_disk *memory, uint64_t durable, size_t file, size_t offset,
		 uint8_t mask)
{
	const char *path = small_files[file];
	uint64_t position = 0, count = 0;
	struct journal *journal;
	struct fault fault = {0};

	memory_disk_file(memory, path)->bytes[offset] ^= mask;
	const bool record = in_record(file, offset, &position);
	const bool mark = offset >= 512 && offset < 2 * 512 + 32;
	int result = try_open(&memory->disk, "j", &journal, &fault);
	if (result < 0) {
		assert_true(result == FAULT_DAMAGED || result == FAULT_UNSUPPORTED);
		if (result == FAULT_DAMAGED)
			must_name(&fault, path);
		assert_true(!record || position < durable);
		return;
	}
	result = read_all(journal, &count, &fault);
	if (result < 0) {
		/* In a segment that was full and durable: found when it is read. */
		assert_int_equal(result, FAULT_DAMAGED);
		must_name(&fault, path);
		assert_true(record && position < durable);
	} else if (record) {
		assert_true(position >= durable);
		assert_int_equal(count, position < SMALL ? position : SMALL);
		assert_true(journal_torn_count(journal) > 0);
	} else {
		assert_true(mark);
		assert_int_equal(count, SMALL);
	}
	const bool torn = journal_torn_count(journal) > 0;
	journal_close(journal, NULL);
	/* What was torn is gone, not only hidden. */
	if (torn) {
		assert_int_equal(try_open(&memory->disk, "j", &journal, &fault), 0);
		assert_int_equal(journal_torn_count(journal), 0);
		journal_close(journal, NULL);
	}
}

static void flip_each_byte(uint64_t durable)
{
	struct random_seeded random;

	random_seeded_init(&random, testing_seed());
	for (size_t file = 0; file < SMALL_FILES; file++) {
		const size_t bytes = HEADER_BYTES + SEGMENT * JOURNAL_RECORD_BYTES;
		for (size_t offset = 0; offset < bytes; offset++) {
			/* Most of the header page is zero and told by one check. */
			if (offset > 1200 && offset < HEADER_BYTES - 4 && offset % 97 != 0)
				continue;
			struct memory_disk memory;
			make_small(&memory, durable);
			flip(&memory, durable, file, offset,
			     (uint8_t)(1 + random_below(&random.random, 255)));
			memory_disk_fini(&memory);
		}
	}
}

static void no_flipped_byte_is_accepted_in_what_was_durable(void **state)
{
	(void)state;
	flip_each_byte(SMALL);
}

static void a_flipped_byte_above_the_durable_position_ends_the_stream_there(void **state)
{
	(void)state;
	flip_each_byte(SEGMENT + 1);
}

static void a_file_cut_anywhere_is_damage_with_its_name(void **state)
{
	(void)state;
	for (size_t file = 0; file < SMALL_FILES; file++) {
		const size_t bytes = HEADER_BYTES + SEGMENT * JOURNAL_RECORD_BYTES;
		for (size_t size = 0; size < bytes; size += 1 + (size > 200 ? 37 : 0)) {
			struct memory_disk memory;
			struct journal *journal;
			struct fault fault = {0};
			make_small(&memory, SMALL);
			memory_disk_cut(&memory, small_files[file], size);
			assert_int_equal(try_open(&memory.disk, "j", &journal, &fault),
					 FAULT_DAMAGED);
			must_name(&fault, small_files[file]);
			memory_disk_fini(&memory);
		}
	}
}

static void a_missing_segment_is_damage_with_its_name(void **state)
{
	(void)state;
	for (size_t file = 0; file < SMALL_FILES; file++) {
		struct memory_disk memory;
		struct journal *journal;
		struct fault fault = {0};
		make_small(&memory, SMALL);
		memory.disk.file_remove(&memory.disk, small_files[file], NULL);
		assert_int_equal(try_open(&memory.disk, "j", &journal, &fault), FAULT_DAMAGED);
		must_name(&fault, small_files[file]);
		assert_non_null(strstr(fault.text, "missing"));
		memory_disk_fini(&memory);
	}
}

static void all_segments_missing_is_damage(void **state)
{
	struct memory_disk memory;
	struct journal *journal;
	struct fault fault = {0};

	(void)state;
	make_small(&memory, SMALL);
	for (size_t file = 0; file < SMALL_FILES; file++)
		memory.disk.file_remove(&memory.disk, small_files[file], NULL);
	assert_int_equal(try_open(&memory.disk, "j", &journal, &fault), FAULT_DAMAGED);
	must_name(&fault, small_files[0]);
	memory_disk_fini(&memory);
}

static void a_segment_of_another_stream_is_damage(void **state)
{
	struct memory_disk memory;
	struct journal *journal;
	struct fault fault = {0};

	(void)state;
	make_small(&memory, SMALL);
	const struct memory_file *file = memory_disk_file(&memory, small_files[0]);
	memory.disk.folder_make(&memory.disk, "j/1", 0700, NULL);
	memory_disk_put(&memory, "j/1/0000000000000000.journal", file->bytes, file->size);
	assert_int_equal(try_open(&memory.disk, "j", &journal, &fault), FAULT_DAMAGED);
	must_name(&fault, "j/1/0000000000000000.journal");
	assert_non_null(strstr(fault.text, "belongs to stream 0, not 1"));
	memory_disk_fini(&memory);
}

static void a_segment_under_another_name_is_damage(void **state)
{
	struct memory_disk memory;
	struct journal *journal;
	struct fault fault = {0};

	(void)state;
	make_small(&memory, SMALL);
	const struct memory_file *first = memory_disk_file(&memory, small_files[0]);
	memory_disk_put(&memory, small_files[1], first->bytes, first->size);
	assert_int_equal(try_open(&memory.disk, "j", &journal, &fault), FAULT_DAMAGED);
	must_name(&fault, small_files[1]);
	memory_disk_fini(&memory);
}

static void damage_in_one_stream_changes_nothing_in_any(void **state)
{
	struct memory_disk memory;
	struct journal *journal;

	(void)state;
	make_small(&memory, SEGMENT + 1);
	/* Stream 0 has something torn, stream 1 is damaged. */
	struct memory_file *torn = memory_disk_file(&memory, small_files[1]);
	torn->bytes[HEADER_BYTES + 2 * JOURNAL_RECORD_BYTES + 50] ^= 1;
	memory.disk.folder_make(&memory.disk, "j/1", 0700, NULL);
	memory_disk_put(&memory, "j/1/0000000000000000.journal", "nonsense", 8);

	uint8_t *before = malloc(torn->size);
	memcpy(before, torn->bytes, torn->size);
	assert_int_equal(try_open(&memory.disk, "j", &journal, NULL), FAULT_DAMAGED);
	assert_memory_equal(before, torn->bytes, torn->size);
	free(before);
	memory_disk_fini(&memory);
}

static void strange_names_are_left_alone(void **state)
{
	struct memory_disk memory;
	struct journal *journal;
	uint64_t count;

	(void)state;
	make_small(&memory, SMALL);
	memory_disk_put(&memory, "j/notes", "x", 1);
	memory_disk_put(&memory, "j/99", "x", 1);
	memory_disk_put(&memory, "j/0/0000000000000000.journal.old", "x", 1);
	memory_disk_put(&memory, "j/0/0.journal", "x", 1);
	assert_int_equal(try_open(&memory.disk, "j", &journal, NULL), 0);
	assert_int_equal(journal_stream_count(journal), 1);
	assert_int_equal(read_all(journal, &count, NULL), 0);
	assert_int_equal(count, SMALL);
	journal_close(journal, NULL);
	assert_non_null(memory_disk_file(&memory, "j/0/0.journal"));
	memory_disk_fini(&memory);
}

/* One life between two power cuts: appends and syncs as chance wills, and loses power in the
 * middle of a change to the disk. Returns what was known to be durable at that moment. */
static uint64_t live_until_power_cut(struct memory_disk *memory, struct random *random)
{
	struct journal_stream *stream;
	struct journal *journal;
	struct fault fault = {0};
	uint64_t durable = 0;
	bool synced;

	memory->changes_allowed = (int64_t)random_below(random, 60);
	if (try_open(&memory->disk, "j", &journal, &fault) < 0) {
		if (fault.code == FAULT_DAMAGED)
			fail_msg("%s", fault.text);
		return 0;
	}
	if (journal_stream_open(journal, 0, &stream, NULL) == 0) {
		while (memory->changes_allowed > 0) {
			uint64_t burst = random_below(random, SEGMENT);
			while (burst-- > 0 && journal_stream_room(stream) > 0)
				append(journal, stream, 1);
			journal_maintain(journal, &synced, NULL);
			append(journal, stream, journal_stream_room(stream) > 0);
		}
	}
	durable = journal_stream_durable(journal, 0);
	journal_close(journal, NULL);
	return durable;
}

static void a_power_cut_loses_nothing_durable_and_is_never_taken_for_damage(void **state)
{
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (unsigned round = 0; round < 60; round++) {
		struct memory_disk memory;
		memory_disk_init(&memory);
		uint64_t durable = 0;
		for (unsigned life = 0; life < 6; life++) {
			struct journal *journal;
			struct fault fault = {0};
			uint64_t count = 0;
			const uint64_t now = live_until_power_cut(&memory, &random.random);
			durable = now > durable ? now : durable;
			memory_disk_power_cut(&memory, &random.random);

			if (try_open(&memory.disk, "j", &journal, &fault) < 0)
				fail_msg("round %u life %u: %s", round, life, fault.text);
			if (journal_stream_count(journal) > 0)
				assert_int_equal(read_all(journal, &count, &fault), 0);
			if (count < durable)
				fail_msg("round %u life %u: %ju records of %ju durable ones", round,
					 life, (uintmax_t)count, (uintmax_t)durable);
			journal_close(journal, NULL);
			assert_int_equal(try_open(&memory.disk, "j", &journal, &fault), 0);
			assert_int_equal(journal_torn_count(journal), 0);
			assert_int_equal(journal_stream_head(journal, 0), count);
			journal_close(journal, NULL);
		}
		memory_disk_fini(&memory);
	}
}

/* ---- kill -9: a real process on a real disk ---- */

/* Appends until it is killed, and says after each append which record is there now. */
_Noreturn static void append_forever(const char *folder, int report)
{
	struct journal_stream *stream;
	struct journal *journal;
	bool synced;

	if (try_open(disk_system(), folder, &journal, NULL) < 0 ||
	    journal_stream_open(journal, 0, &stream, NULL) < 0)
		_exit(1);
	for (uint64_t position = journal_stream_head(journal, 0);; position++) {
		if (position % 5 == 0 || journal_stream_room(stream) == 0)
			journal_maintain(journal, &synced, NULL);
		sample_append(stream, 0, position);
		if (write(report, &position, sizeof(position)) != sizeof(position))
			_exit(1);
	}
}

/* Kills the child after `count` reports; returns the last that it made. */
static uint64_t kill_after(pid_t child, int reports, uint64_t count)
{
	uint64_t last = 0, position;
	int status;

	for (uint64_t i = 0; i < count; i++) {
		assert_int_equal(read(reports, &position, sizeof(position)), sizeof(position));
		last = position;
	}
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	while (read(reports, &position, sizeof(position)) == sizeof(position))
		last = position;
	return last;
}

static void kill_once(const char *folder, struct random *random)
{
	struct journal *journal;
	struct fault fault = {0};
	uint64_t count;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(ends[0]);
		append_forever(folder, ends[1]);
	}
	close(ends[1]);
	const uint64_t last = kill_after(child, ends[0], 1 + random_below(random, 60));
	close(ends[0]);

	if (try_open(disk_system(), folder, &journal, &fault) < 0)
		fail_msg("%s", fault.text);
	assert_int_equal(read_all(journal, &count, &fault), 0);
	/* At most one record is there that was not reported: the one in work. */
	assert_in_range(count, last + 1, last + 2);
	assert_in_range(journal_torn_count(journal), 0, 1);
	journal_close(journal, NULL);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static void every_reported_record_survives_kill_9_at_any_moment(void **state)
{
	char folder[] = "/tmp/journal_kill_XXXXXX";
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, testing_seed());
	assert_non_null(mkdtemp(folder));
	for (unsigned i = 0; i < 50; i++)
		kill_once(folder, &random.random);
	assert_int_equal(nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_flipped_byte_is_accepted_in_what_was_durable),
		cmocka_unit_test(a_flipped_byte_above_the_durable_position_ends_the_stream_there),
		cmocka_unit_test(a_file_cut_anywhere_is_damage_with_its_name),
		cmocka_unit_test(a_missing_segment_is_damage_with_its_name),
		cmocka_unit_test(all_segments_missing_is_damage),
		cmocka_unit_test(a_segment_of_another_stream_is_damage),
		cmocka_unit_test(a_segment_under_another_name_is_damage),
		cmocka_unit_test(damage_in_one_stream_changes_nothing_in_any),
		cmocka_unit_test(strange_names_are_left_alone),
		cmocka_unit_test(a_power_cut_loses_nothing_durable_and_is_never_taken_for_damage),
		cmocka_unit_test(every_reported_record_survives_kill_9_at_any_moment),
	};

	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}

/* A segment file of any content: it opens to whole records and goes on from there, or it is
 * damage and stays as it was. The first byte says which checksums to make good before, so that
 * the fuzzer gets behind them. */
#include "replay.h"

#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "journal/journal_internal.h"
#include "journal/memory_disk.h"

#define PATH           "j/0/0000000000000000.journal"
#define FILE_BYTES_MAX 65536

enum repair { REPAIR_HEADER = 1, REPAIR_MARKS = 2, REPAIR_RECORDS = 4 };

static void crc_make_good(uint8_t *from, size_t length, uint8_t *crc)
{
	const uint32_t value = crc32c(0, from, length);

	memcpy(crc, &value, sizeof(value));
}

static void repair(uint8_t *bytes, size_t size, unsigned what)
{
	if (size < SEGMENT_HEADER_BYTES)
		return;
	if (what & REPAIR_HEADER)
		crc_make_good(bytes, offsetof(struct segment_header, crc),
			      bytes + offsetof(struct segment_header, crc));
	for (unsigned i = 1; i <= 2 && what & REPAIR_MARKS; i++) {
		uint8_t *mark = bytes + i * SEGMENT_MARK_OFFSET;
		crc_make_good(mark, offsetof(struct segment_mark, crc),
			      mark + offsetof(struct segment_mark, crc));
	}
	if (!(what & REPAIR_RECORDS))
		return;
	for (size_t at = SEGMENT_HEADER_BYTES; at + JOURNAL_RECORD_BYTES <= size;
	     at += JOURNAL_RECORD_BYTES)
		if (!segment_is_zero(bytes + at, JOURNAL_RECORD_BYTES))
			crc_make_good(bytes + at + 4, JOURNAL_RECORD_BYTES - 4, bytes + at);
}

static int open_journal(struct memory_disk *memory, struct journal **ret_journal)
{
	const struct journal_options options = {
		.disk = &memory->disk,
		.clock = clock_system(),
		.folder = "j",
		.segment_records = 8,
	};

	return journal_open(&options, ret_journal, NULL);
}

static uint64_t read_all(struct journal *journal)
{
	const struct journal_record *records;
	struct journal_reader *reader;
	uint64_t total = 0;
	uint32_t count = 0;
	int result;

	check_equal(journal_reader_open(journal, 0, 0, &reader, NULL), 0);
	do {
		result = journal_reader_next(reader, 3, &records, &count, NULL);
		check(result == 0 || result == FAULT_DAMAGED);
		for (uint32_t i = 0; result == 0 && i < count; i++)
			check(segment_record_complaint(&records[i], total++) == NULL);
	} while (result == 0 && count > 0);
	journal_reader_close(reader);
	return total;
}

static void go_on(struct memory_disk *memory, struct journal *journal)
{
	struct journal_record record = {.outcome = JOURNAL_ANSWERED};
	struct journal_stream *stream;
	bool synced;

	const uint64_t head = journal_stream_head(journal, 0);
	check_at_most(read_all(journal), head);
	check_equal(journal_stream_open(journal, 0, &stream, NULL), 0);
	for (unsigned i = 0; i < 12; i++) {
		check_equal(journal_maintain(journal, &synced, NULL), 0);
		journal_append(stream, &record);
	}
	check_equal(journal_close(journal, NULL), 0);

	check_equal(open_journal(memory, &journal), 0);
	check_equal(journal_torn_count(journal), 0);
	check_equal(journal_stream_head(journal, 0), head + 12);
	check_equal(journal_close(journal, NULL), 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t before[FILE_BYTES_MAX];
	struct memory_disk memory;
	struct journal *journal;

	if (size < 1 || size > FILE_BYTES_MAX)
		return 0;
	memcpy(before, data + 1, size - 1);
	repair(before, size - 1, data[0]);

	memory_disk_init(&memory);
	memory.disk.folder_make(&memory.disk, "j", 0700, NULL);
	memory.disk.folder_make(&memory.disk, "j/0", 0700, NULL);
	memory_disk_put(&memory, PATH, before, size - 1);
	const int result = open_journal(&memory, &journal);
	if (result == 0) {
		go_on(&memory, journal);
	} else {
		const struct memory_file *file = memory_disk_file(&memory, PATH);
		check(result == FAULT_DAMAGED || result == FAULT_UNSUPPORTED);
		check_equal(file->size, size - 1);
		check(size == 1 || memcmp(file->bytes, before, size - 1) == 0);
	}
	memory_disk_fini(&memory);
	return 0;
}

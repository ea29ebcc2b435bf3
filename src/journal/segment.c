#include "journal/journal_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/text.h"

static const char segment_magic[8] = "STOAJRNL";

size_t segment_bytes(uint64_t records)
{
	return SEGMENT_HEADER_BYTES + (size_t)records * JOURNAL_RECORD_BYTES;
}

int segment_path(const struct journal *journal, uint32_t stream, const char *name,
		 char path[JOURNAL_PATH_MAX], struct fault *fault)
{
	const int length = snprintf(path, JOURNAL_PATH_MAX, "%s/%" PRIu32 "%s%s", journal->folder,
				    stream, name ? "/" : "", name ? name : "");

	if (length >= JOURNAL_PATH_MAX)
		return fault_set(fault, FAULT_LIMIT, "the journal's path %.64s... is too long",
				 journal->folder);
	return 0;
}

void segment_name(uint64_t first, char name[SEGMENT_NAME_MAX])
{
	snprintf(name, SEGMENT_NAME_MAX, "%016" PRIx64 ".journal", first);
}

bool segment_name_parse(const char *name, uint64_t *ret_first)
{
	char again[SEGMENT_NAME_MAX];
	uint8_t digits[sizeof(*ret_first)];
	uint64_t first = 0;

	if (strlen(name) < 2 * sizeof(digits) ||
	    !text_from_hex(slice_make(name, 2 * sizeof(digits)), digits, sizeof(digits)))
		return false;
	for (size_t i = 0; i < sizeof(digits); i++)
		first = first << 8 | digits[i];
	segment_name(first, again);
	if (strcmp(name, again) != 0)
		return false;
	*ret_first = first;
	return true;
}

bool segment_is_zero(const void *bytes, size_t length)
{
	const uint8_t *data = bytes;

	return length == 0 || (data[0] == 0 && memcmp(data, data + 1, length - 1) == 0);
}

static uint32_t header_crc(const struct segment_header *header)
{
	return crc32c(0, header, offsetof(struct segment_header, crc));
}

static uint32_t mark_crc(const struct segment_mark *mark)
{
	return crc32c(0, mark, offsetof(struct segment_mark, crc));
}

void segment_mark_write(struct segment *segment, uint32_t stream, uint64_t durable,
			uint64_t reserved)
{
	struct segment_mark mark = {
		.durable = durable,
		.reserved = reserved,
		.first = segment->extent.first,
		.stream = stream,
	};
	mark.crc = mark_crc(&mark);

	uint8_t *page = segment->file.map;
	memcpy(page + SEGMENT_MARK_OFFSET * (1 + segment->mark_next), &mark, sizeof(mark));
	segment->mark_next ^= 1;
}

static void header_write(struct segment *segment, uint32_t stream, uint64_t created_ns)
{
	struct segment_header header = {
		.version = SEGMENT_VERSION,
		.record_bytes = JOURNAL_RECORD_BYTES,
		.stream = stream,
		.records = (uint32_t)segment->extent.records,
		.first = segment->extent.first,
		.created_ns = created_ns,
	};
	memcpy(header.magic, segment_magic, sizeof(header.magic));
	header.crc = header_crc(&header);

	/* Nothing is claimed yet. */
	segment_mark_write(segment, stream, 0, 0);
	segment_mark_write(segment, stream, 0, 0);
	memcpy(segment->file.map, &header, sizeof(header));
}

static void segment_map_set(struct segment *segment, struct extent extent)
{
	segment->extent = extent;
	segment->records = (void *)((uint8_t *)segment->file.map + SEGMENT_HEADER_BYTES);
	segment->mark_next = 0;
}

static int segment_fill(struct journal *journal, uint32_t stream, struct extent extent,
			struct segment *segment, struct fault *fault)
{
	struct disk *disk = journal->disk;
	const size_t bytes = segment_bytes(extent.records);

	if (disk->file_reserve(disk, &segment->file, bytes, fault) < 0 ||
	    disk->file_map(disk, &segment->file, bytes, true, fault) < 0)
		return fault_prefix(fault, "make a journal segment of %zu bytes", bytes);
	segment_map_set(segment, extent);
	header_write(segment, stream, clock_wall_ns(journal->clock));
	return disk->file_sync(disk, &segment->file, fault);
}

int segment_create(struct journal *journal, uint32_t stream, uint64_t first, uint64_t records,
		   struct segment *ret_segment, struct fault *fault)
{
	struct disk *disk = journal->disk;
	struct segment segment = {.file.descriptor = -1};
	char name[SEGMENT_NAME_MAX];
	char path[JOURNAL_PATH_MAX];
	char folder[JOURNAL_PATH_MAX];

	segment_name(first, name);
	if (segment_path(journal, stream, name, path, fault) < 0 ||
	    segment_path(journal, stream, NULL, folder, fault) < 0)
		return FAULT_LIMIT;
	int result = disk->file_open(disk, path, true, 0600, &segment.file, fault);
	if (result < 0)
		return result;
	result = segment_fill(journal, stream, (struct extent){first, records}, &segment, fault);
	if (result == 0)
		result = disk->folder_sync(disk, folder, fault);
	if (result < 0) {
		disk->file_close(disk, &segment.file);
		disk->file_remove(disk, path, NULL);
		return result;
	}
	*ret_segment = segment;
	return 0;
}

int segment_open(struct journal *journal, uint32_t stream, struct extent extent, bool writable,
		 struct segment *ret_segment, struct fault *fault)
{
	struct disk *disk = journal->disk;
	struct segment segment = {.file.descriptor = -1};
	char name[SEGMENT_NAME_MAX];
	char path[JOURNAL_PATH_MAX];
	size_t bytes = 0;
	uint64_t records = 0;

	segment_name(extent.first, name);
	if (segment_path(journal, stream, name, path, fault) < 0)
		return FAULT_LIMIT;
	int result = disk->file_open(disk, path, false, 0, &segment.file, fault);
	if (result < 0)
		return result;
	result = disk->file_size(disk, &segment.file, &bytes, fault);
	if (result == 0 && bytes != segment_bytes(extent.records))
		result = fault_set(fault, FAULT_DAMAGED, "%s: has %zu bytes, should have %zu", path,
				   bytes, segment_bytes(extent.records));
	if (result == 0)
		result = disk->file_map(disk, &segment.file, bytes, writable, fault);
	if (result == 0)
		result = segment_header_check(segment.file.map, path, stream, extent.first,
					      &records, fault);
	if (result == 0 && records != extent.records)
		result = fault_set(fault, FAULT_DAMAGED, "%s: changed while in use", path);
	if (result < 0) {
		disk->file_close(disk, &segment.file);
		return result;
	}
	segment_map_set(&segment, extent);
	*ret_segment = segment;
	return 0;
}

void segment_close(struct journal *journal, struct segment *segment)
{
	journal->disk->file_close(journal->disk, &segment->file);
	*segment = (struct segment){.file.descriptor = -1};
}

static int damaged(struct fault *fault, const char *path, size_t offset, const char *what)
{
	return fault_set(fault, FAULT_DAMAGED, "%s: offset %zu: %s", path, offset, what);
}

int segment_header_check(const uint8_t *page, const char *path, uint32_t stream, uint64_t first,
			 uint64_t *ret_records, struct fault *fault)
{
	struct segment_header header;
	const size_t mark_end = SEGMENT_MARK_OFFSET + sizeof(struct segment_mark);

	memcpy(&header, page, sizeof(header));
	if (memcmp(header.magic, segment_magic, sizeof(header.magic)) != 0)
		return damaged(fault, path, 0, "this is not a journal segment");
	if (header.crc != header_crc(&header))
		return damaged(fault, path, 0, "the header's checksum does not match");
	if (header.version != SEGMENT_VERSION || header.record_bytes != JOURNAL_RECORD_BYTES)
		return fault_set(fault, FAULT_UNSUPPORTED,
				 "%s: version %" PRIu32 " with records of %" PRIu32
				 " bytes; this program reads version %d with records of %d bytes",
				 path, header.version, header.record_bytes, SEGMENT_VERSION,
				 JOURNAL_RECORD_BYTES);
	if (header.stream != stream)
		return fault_set(fault, FAULT_DAMAGED,
				 "%s: offset %zu: belongs to stream %" PRIu32 ", not %" PRIu32,
				 path, offsetof(struct segment_header, stream), header.stream,
				 stream);
	if (header.first != first)
		return damaged(fault, path, offsetof(struct segment_header, first),
			       "the first position is not the one that the file's name says");
	if (header.records == 0 || header.records > SEGMENT_RECORDS_MAX)
		return damaged(fault, path, offsetof(struct segment_header, records),
			       "the number of records is out of range");
	if (!segment_is_zero(page + sizeof(header), SEGMENT_MARK_OFFSET - sizeof(header)) ||
	    !segment_is_zero(page + mark_end, 2 * SEGMENT_MARK_OFFSET - mark_end) ||
	    !segment_is_zero(page + SEGMENT_MARK_OFFSET + mark_end,
			     SEGMENT_HEADER_BYTES - SEGMENT_MARK_OFFSET - mark_end))
		return damaged(fault, path, sizeof(header),
			       "the header page has bytes where none belong");
	*ret_records = header.records;
	return 0;
}

/* Both numbers only grow, so the highest of each counts. */
int segment_marks_read(const uint8_t *page, const char *path, uint32_t stream, uint64_t first,
		       struct segment_mark *ret_mark, struct fault *fault)
{
	struct segment_mark best = {0};
	bool found = false;

	for (unsigned i = 0; i < 2; i++) {
		struct segment_mark mark;
		memcpy(&mark, page + SEGMENT_MARK_OFFSET * (1 + i), sizeof(mark));
		if (mark.crc != mark_crc(&mark) || mark.stream != stream || mark.first != first)
			continue;
		best.durable = mark.durable > best.durable ? mark.durable : best.durable;
		best.reserved = mark.reserved > best.reserved ? mark.reserved : best.reserved;
		found = true;
	}
	if (!found)
		return damaged(fault, path, SEGMENT_MARK_OFFSET, "neither mark is whole");
	*ret_mark = best;
	return 0;
}

bool segment_header_may_be_ours(const uint8_t *page, size_t bytes)
{
	const size_t length = bytes < sizeof(segment_magic) ? bytes : sizeof(segment_magic);

	return length == 0 || segment_is_zero(page, length) ||
	       memcmp(page, segment_magic, length) == 0;
}

const char *segment_record_complaint(const struct journal_record *record, uint64_t position)
{
	const uint8_t *bytes = (const uint8_t *)record;

	if (record->crc != crc32c(0, bytes + 4, JOURNAL_RECORD_BYTES - 4))
		return "the checksum does not match";
	if (record->version != 1)
		return "the version is unknown";
	if (record->position != position)
		return "the record stands at the wrong position";
	return NULL;
}

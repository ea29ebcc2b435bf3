#include "journal/journal_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/slice.h"

#define DATA_RANGES_MAX 64 /* of a segment; what is behind the last counts to it */

/* What is learnt of one stream before anything is changed. */
struct recovery {
	struct journal *journal;
	struct journal_stream *stream;
	uint64_t *firsts; /* of the segment files, in order */
	size_t count;
	bool ready;       /* the file that says so is there */
	bool unfinished;  /* the last file is one whose making was interrupted */
	uint64_t durable; /* the highest of all marks */
	uint64_t reserved;
	uint64_t head;
	uint64_t torn; /* slots at or above head that are not zero */
};

static int each_stream(void *context, const char *name)
{
	uint64_t *numbers = context;
	uint64_t number;

	if (slice_to_u64(slice_of(name), JOURNAL_STREAMS_MAX - 1, &number) &&
	    (name[0] != '0' || name[1] == '\0'))
		*numbers |= UINT64_C(1) << number;
	return 0;
}

static int each_segment(void *context, const char *name)
{
	struct recovery *recovery = context;
	uint64_t first;

	if (strcmp(name, "ready") == 0)
		recovery->ready = true;
	if (!segment_name_parse(name, &first))
		return 0;
	recovery->firsts = realloc(recovery->firsts, (recovery->count + 1) * sizeof(first));
	check(recovery->firsts != NULL);
	recovery->firsts[recovery->count++] = first;
	return 0;
}

static int compare_firsts(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left;
	const uint64_t b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static int recovery_path(const struct recovery *recovery, uint64_t first,
			 char path[JOURNAL_PATH_MAX], struct fault *fault)
{
	char name[SEGMENT_NAME_MAX];

	segment_name(first, name);
	return segment_path(recovery->journal, recovery->stream->number, name, path, fault);
}

static int missing(const struct recovery *recovery, uint64_t first, struct fault *fault)
{
	char path[JOURNAL_PATH_MAX];

	if (recovery_path(recovery, first, path, fault) < 0)
		return FAULT_LIMIT;
	return fault_set(fault, FAULT_DAMAGED, "%s: offset 0: the segment is missing", path);
}

/* Its making was interrupted: nothing says that it was finished, and it holds no record. */
static bool is_unfinished(const struct recovery *recovery, size_t index,
			  const struct disk_file *file)
{
	const uint8_t *bytes = file->map;

	if (index + 1 < recovery->count || recovery->firsts[index] < recovery->reserved ||
	    (index == 0 && recovery->ready))
		return false;
	return segment_header_may_be_ours(bytes, file->map_bytes) &&
	       (file->map_bytes <= SEGMENT_HEADER_BYTES ||
		segment_is_zero(bytes + SEGMENT_HEADER_BYTES,
				file->map_bytes - SEGMENT_HEADER_BYTES));
}

static int look_at_map(struct recovery *recovery, size_t index, const char *path,
		       const struct disk_file *file, struct fault *fault)
{
	const size_t bytes = file->map_bytes;
	struct segment_mark mark;
	uint64_t records;

	if (bytes < SEGMENT_HEADER_BYTES)
		return fault_set(fault, FAULT_DAMAGED,
				 "%s: offset %zu: the file ends within its header", path, bytes);
	int result = segment_header_check(file->map, path, recovery->stream->number,
					  recovery->firsts[index], &records, fault);
	if (result == 0)
		result = segment_marks_read(file->map, path, recovery->stream->number,
					    recovery->firsts[index], &mark, fault);
	if (result < 0)
		return result;
	if (bytes != segment_bytes(records))
		return fault_set(fault, FAULT_DAMAGED,
				 "%s: offset %zu: the file ends here, with %" PRIu64
				 " records it would end at %zu",
				 path, bytes, records, segment_bytes(records));
	if (mark.durable > recovery->durable)
		recovery->durable = mark.durable;
	if (mark.reserved > recovery->reserved)
		recovery->reserved = mark.reserved;
	return journal_stream_extent_add(recovery->stream,
					 (struct extent){recovery->firsts[index], records}, fault);
}

static int look_at_file(struct recovery *recovery, size_t index, struct fault *fault)
{
	struct disk *disk = recovery->journal->disk;
	struct disk_file file = {.descriptor = -1};
	char path[JOURNAL_PATH_MAX];
	size_t bytes = 0;

	if (recovery_path(recovery, recovery->firsts[index], path, fault) < 0)
		return FAULT_LIMIT;
	int result = disk->file_open(disk, path, false, 0, &file, fault);
	if (result < 0)
		return result;
	result = disk->file_size(disk, &file, &bytes, fault);
	if (result == 0 && bytes > 0)
		result = disk->file_map(disk, &file, bytes, false, fault);
	if (result == 0) {
		result = look_at_map(recovery, index, path, &file, fault);
		recovery->unfinished =
			result == FAULT_DAMAGED && is_unfinished(recovery, index, &file);
		result = recovery->unfinished ? 0 : result;
	}
	disk->file_close(disk, &file);
	return result;
}

static uint64_t extents_end(const struct journal_stream *stream)
{
	const uint64_t count = atomic_load(&stream->extent_count);
	if (count == 0)
		return 0;
	const struct extent last = journal_stream_extent_at(stream, count - 1);
	return last.first + last.records;
}

static int look_at_files(struct recovery *recovery, struct fault *fault)
{
	for (size_t i = 0; i < recovery->count; i++) {
		const uint64_t end = extents_end(recovery->stream);
		if (recovery->firsts[i] != end)
			return missing(recovery, end, fault);
		const int result = look_at_file(recovery, i, fault);
		if (result < 0)
			return result;
	}
	const uint64_t end = extents_end(recovery->stream);
	if (end < recovery->reserved || (recovery->count == 0 && recovery->ready))
		return missing(recovery, end, fault);
	return 0;
}

/* The records of a segment up to the stream's end, which is where the first invalid one stands. */
static int read_records(struct recovery *recovery, const struct segment *segment,
			struct fault *fault)
{
	const struct extent extent = segment->extent;
	const uint64_t end = extent.first + extent.records;

	while (recovery->head >= extent.first && recovery->head < end) {
		const uint64_t offset = recovery->head - extent.first;
		const char *complaint =
			segment_record_complaint(&segment->records[offset], recovery->head);
		if (complaint != NULL && recovery->head < recovery->durable) {
			char path[JOURNAL_PATH_MAX];
			if (recovery_path(recovery, extent.first, path, fault) < 0)
				return FAULT_LIMIT;
			return fault_set(fault, FAULT_DAMAGED,
					 "%s: offset %zu: record %" PRIu64 ": %s", path,
					 segment_bytes(offset), recovery->head, complaint);
		}
		if (complaint != NULL)
			break;
		recovery->head++;
	}
	return 0;
}

struct data_range {
	size_t from, to;
};

/* Where the segment may have bytes other than zero. All of it is asked before any is read, for
 * reading makes the kernel read ahead, and what it has read counts as data. */
static int data_ranges(struct recovery *recovery, struct segment *segment,
		       struct data_range ranges[DATA_RANGES_MAX], size_t *ret_count,
		       struct fault *fault)
{
	struct disk *disk = recovery->journal->disk;
	const size_t bytes = segment_bytes(segment->extent.records);
	size_t count = 0, at = SEGMENT_HEADER_BYTES;

	while (at < bytes && count < DATA_RANGES_MAX) {
		struct data_range *range = &ranges[count];
		const int result =
			disk->file_data(disk, &segment->file, at, &range->from, &range->to, fault);
		if (result < 0)
			return result;
		at = range->to;
		count += range->from < range->to;
		if (range->from >= range->to)
			break;
	}
	if (count == DATA_RANGES_MAX)
		ranges[count - 1].to = bytes;
	*ret_count = count;
	return 0;
}

/* What stands at the stream's end or behind it, where nothing should. */
static void count_torn(struct recovery *recovery, const struct segment *segment,
		       const struct data_range *ranges, size_t count)
{
	const uint64_t first = segment->extent.first;
	uint64_t i = recovery->head > first ? recovery->head - first : 0;

	for (size_t range = 0; range < count; range++) {
		const uint64_t from =
			(ranges[range].from - SEGMENT_HEADER_BYTES) / JOURNAL_RECORD_BYTES;
		for (i = i > from ? i : from;
		     i < segment->extent.records && segment_bytes(i) < ranges[range].to; i++)
			recovery->torn +=
				!segment_is_zero(&segment->records[i], JOURNAL_RECORD_BYTES);
	}
}

static int read_segment(struct recovery *recovery, struct extent extent, struct fault *fault)
{
	struct disk *disk = recovery->journal->disk;
	struct data_range ranges[DATA_RANGES_MAX];
	struct segment segment;
	size_t count = 0;

	int result = segment_open(recovery->journal, recovery->stream->number, extent, false,
				  &segment, fault);
	if (result < 0)
		return result;
	result = data_ranges(recovery, &segment, ranges, &count, fault);
	for (size_t i = 0; i < count; i++)
		disk->file_expect_read(disk, &segment.file, ranges[i].from,
				       ranges[i].to - ranges[i].from);
	if (result == 0)
		result = read_records(recovery, &segment, fault);
	if (result == 0)
		count_torn(recovery, &segment, ranges, count);
	segment_close(recovery->journal, &segment);
	return result;
}

static int find_head(struct recovery *recovery, struct fault *fault)
{
	const struct journal_stream *stream = recovery->stream;
	const uint64_t count = atomic_load(&stream->extent_count);

	if (recovery->durable > extents_end(stream))
		return missing(recovery, extents_end(stream), fault);
	for (uint64_t i = 0; i < count; i++) {
		const struct extent extent = journal_stream_extent_at(stream, i);
		if (extent.first + extent.records <= recovery->durable) {
			recovery->head = extent.first + extent.records;
			continue;
		}
		const int result = read_segment(recovery, extent, fault);
		if (result < 0)
			return result;
	}
	return 0;
}

static int recovery_look(struct recovery *recovery, struct fault *fault)
{
	struct disk *disk = recovery->journal->disk;
	char folder[JOURNAL_PATH_MAX];

	int result = segment_path(recovery->journal, recovery->stream->number, NULL, folder, fault);
	if (result == 0)
		result = disk->folder_list(disk, folder, each_segment, recovery, fault);
	if (result < 0)
		return result;
	if (recovery->count > 0)
		qsort(recovery->firsts, recovery->count, sizeof(recovery->firsts[0]),
		      compare_firsts);
	result = look_at_files(recovery, fault);
	if (result == 0)
		result = find_head(recovery, fault);
	return result;
}

static int repair_segment(struct recovery *recovery, struct extent extent, struct fault *fault)
{
	struct journal *journal = recovery->journal;
	const uint32_t number = recovery->stream->number;
	const uint64_t end = extent.first + extent.records;
	struct segment segment;

	int result = segment_open(journal, number, extent, true, &segment, fault);
	if (result < 0)
		return result;
	for (uint64_t i = 0; recovery->torn > 0 && i < extent.records; i++) {
		struct journal_record *record = &segment.records[i];
		if (extent.first + i >= recovery->head && !segment_is_zero(record, sizeof(*record)))
			memset(record, 0, sizeof(*record));
	}
	result = journal->disk->file_sync(journal->disk, &segment.file, fault);
	if (result == 0 && recovery->head > recovery->durable && recovery->head >= extent.first &&
	    recovery->head <= end) {
		segment_mark_write(&segment, number, recovery->head, recovery->reserved);
		result = journal->disk->file_sync(journal->disk, &segment.file, fault);
	}
	segment_close(journal, &segment);
	return result;
}

/* Clears what is torn, and makes durable what a killed process had only written. */
static int recovery_repair(struct recovery *recovery, struct fault *fault)
{
	struct journal *journal = recovery->journal;
	struct journal_stream *stream = recovery->stream;
	const uint64_t count = atomic_load(&stream->extent_count);
	char path[JOURNAL_PATH_MAX];
	int result = 0;

	if (recovery->unfinished) {
		result =
			recovery_path(recovery, recovery->firsts[recovery->count - 1], path, fault);
		if (result == 0)
			result = journal->disk->file_remove(journal->disk, path, fault);
	}
	for (uint64_t i = 0; result == 0 && i < count; i++) {
		const struct extent extent = journal_stream_extent_at(stream, i);
		const bool written = extent.first + extent.records > recovery->durable &&
				     extent.first < recovery->head;
		if (written ||
		    (recovery->torn > 0 && extent.first + extent.records > recovery->head))
			result = repair_segment(recovery, extent, fault);
	}
	if (result == 0)
		result = segment_path(journal, stream->number, NULL, path, fault);
	if (result == 0)
		result = journal->disk->folder_sync(journal->disk, path, fault);
	if (result < 0)
		return result;

	atomic_store(&stream->head, recovery->head);
	atomic_store(&stream->durable, recovery->head);
	stream->ready = recovery->ready;
	journal->torn_count += (uint32_t)recovery->torn;
	journal_stream_rewind(stream);
	return 0;
}

int journal_recover(struct journal *journal, struct fault *fault)
{
	struct recovery recoveries[JOURNAL_STREAMS_MAX] = {0};
	uint64_t numbers = 0;

	int result = journal->disk->folder_list(journal->disk, journal->folder, each_stream,
						&numbers, fault);
	for (uint32_t i = 0; result == 0 && i < JOURNAL_STREAMS_MAX; i++) {
		if (!(numbers >> i & 1))
			continue;
		recoveries[i].journal = journal;
		recoveries[i].stream = journal_stream_add(journal, i);
		result = recovery_look(&recoveries[i], fault);
	}
	for (uint32_t i = 0; result == 0 && i < JOURNAL_STREAMS_MAX; i++) {
		if (numbers >> i & 1)
			result = recovery_repair(&recoveries[i], fault);
	}
	for (uint32_t i = 0; i < JOURNAL_STREAMS_MAX; i++)
		free(recoveries[i].firsts);
	return result;
}

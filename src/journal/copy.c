/* A copy of a journal that another process may be writing: what stands now, closed off. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/slice.h"
#include "journal/journal_internal.h"

/* A mark is written in some nanoseconds, and both look torn only while one of them is. */
#define MARK_READS_MAX 1000

struct copy {
	struct journal journal; /* only what finding a segment's file needs */
	journal_copy_fn each;
	void *context;
	uint64_t streams; /* bits */
	/* the stream */
	uint32_t number;
	struct extent *extents; /* in order */
	size_t count;
	bool ready;
	uint64_t durable; /* the highest of all marks */
	uint64_t upto;    /* no further, however many there are */
	uint64_t head;    /* every record below it is whole */
};

static int each_stream(void *context, const char *name)
{
	struct copy *copy = context;
	uint64_t number;

	if (slice_to_u64(slice_of(name), JOURNAL_STREAMS_MAX - 1, &number) &&
	    (name[0] != '0' || name[1] == '\0'))
		copy->streams |= UINT64_C(1) << number;
	return 0;
}

static int each_file(void *context, const char *name)
{
	struct copy *copy = context;
	uint64_t first;

	if (strcmp(name, "ready") == 0)
		copy->ready = true;
	if (!segment_name_parse(name, &first))
		return 0;
	copy->extents = realloc(copy->extents, (copy->count + 1) * sizeof(copy->extents[0]));
	check(copy->extents != NULL);
	copy->extents[copy->count++] = (struct extent){.first = first};
	return 0;
}

static int compare_extents(const void *left, const void *right)
{
	const uint64_t a = ((const struct extent *)left)->first;
	const uint64_t b = ((const struct extent *)right)->first;

	return (a > b) - (a < b);
}

static int path_of(const struct copy *copy, uint64_t first, char path[JOURNAL_PATH_MAX],
		   struct fault *fault)
{
	char name[SEGMENT_NAME_MAX];

	segment_name(first, name);
	return segment_path(&copy->journal, copy->number, name, path, fault);
}

static int missing(const struct copy *copy, uint64_t first, struct fault *fault)
{
	char path[JOURNAL_PATH_MAX];

	if (path_of(copy, first, path, fault) < 0)
		return FAULT_LIMIT;
	return fault_set(fault, FAULT_DAMAGED, "%s: offset 0: the segment is missing", path);
}

/* ---- one segment ---- */

static int read_mark(const struct copy *copy, const uint8_t *page, const char *path, uint64_t first,
		     struct segment_mark *ret_mark, struct fault *fault)
{
	int result = FAULT_DAMAGED;

	for (unsigned i = 0; result == FAULT_DAMAGED && i < MARK_READS_MAX; i++) {
		/* The map is another process's to change. */
		__asm__ volatile("" : : : "memory");
		result = segment_marks_read(page, path, copy->number, first, ret_mark, fault);
	}
	return result;
}

/* Learns the segment's extent and what its marks claim. */
static int look_at(struct copy *copy, size_t index, struct fault *fault)
{
	struct disk *disk = copy->journal.disk;
	struct disk_file file = {.descriptor = -1};
	struct extent *extent = &copy->extents[index];
	struct segment_mark mark = {0};
	char path[JOURNAL_PATH_MAX];
	size_t bytes = 0;

	if (path_of(copy, extent->first, path, fault) < 0)
		return FAULT_LIMIT;
	int result = disk->file_open(disk, path, false, 0, &file, fault);
	if (result < 0)
		return result;
	result = disk->file_size(disk, &file, &bytes, fault);
	if (result == 0 && bytes < SEGMENT_HEADER_BYTES)
		result = fault_set(fault, FAULT_DAMAGED,
				   "%s: offset %zu: the file ends within its header", path, bytes);
	if (result == 0)
		result = disk->file_map(disk, &file, SEGMENT_HEADER_BYTES, false, fault);
	if (result == 0)
		result = segment_header_check(file.map, path, copy->number, extent->first,
					      &extent->records, fault);
	if (result == 0)
		result = read_mark(copy, file.map, path, extent->first, &mark, fault);
	disk->file_close(disk, &file);
	if (result == 0 && mark.durable > copy->durable)
		copy->durable = mark.durable;
	return result;
}

static int hand_on(struct copy *copy, const struct segment *segment, uint64_t end, uint64_t count,
		   struct fault *fault)
{
	uint8_t page[SEGMENT_HEADER_BYTES];
	char name[JOURNAL_COPY_NAME_MAX], file[SEGMENT_NAME_MAX];
	struct segment copied = {.file.map = page, .extent = segment->extent};

	memcpy(page, segment->file.map, sizeof(page));
	/* What the copy holds, no more: later segments stay behind. */
	segment_mark_write(&copied, copy->number, copy->head, end);
	segment_mark_write(&copied, copy->number, copy->head, end);
	segment_name(segment->extent.first, file);
	snprintf(name, sizeof(name), "%" PRIu32 "/%s", copy->number, file);
	const struct journal_copy_file whole = {
		.name = name,
		.bytes = segment_bytes(segment->extent.records),
		.parts = {slice_make((const char *)page, sizeof(page)),
			  slice_make((const char *)segment->records,
				     (size_t)count * JOURNAL_RECORD_BYTES)},
	};
	return copy->each(copy->context, &whole, fault);
}

/* The records of the segment from copy->head on that are whole. */
static int find_head(struct copy *copy, const struct segment *segment, struct fault *fault)
{
	const struct extent extent = segment->extent;

	while (copy->head < extent.first + extent.records && copy->head < copy->upto) {
		const uint64_t offset = copy->head - extent.first;
		const char *complaint =
			segment_record_complaint(&segment->records[offset], copy->head);
		if (complaint != NULL && copy->head < copy->durable) {
			char path[JOURNAL_PATH_MAX];
			if (path_of(copy, extent.first, path, fault) < 0)
				return FAULT_LIMIT;
			return fault_set(fault, FAULT_DAMAGED,
					 "%s: offset %zu: record %" PRIu64 ": %s", path,
					 segment_bytes(offset), copy->head, complaint);
		}
		if (complaint != NULL)
			break;
		copy->head++;
	}
	return 0;
}

/* With `hand`, hands it on; else only finds where the stream ends. */
static int walk_segment(struct copy *copy, struct extent extent, bool hand, uint64_t end,
			struct fault *fault)
{
	struct disk *disk = copy->journal.disk;
	struct segment segment;
	int result = segment_open(&copy->journal, copy->number, extent, false, &segment, fault);

	if (result < 0)
		return result;
	disk->file_expect_read(disk, &segment.file, 0, segment.file.map_bytes);
	if (hand) {
		const uint64_t most = copy->head - extent.first;
		result = hand_on(copy, &segment, end, most < extent.records ? most : extent.records,
				 fault);
	} else {
		result = find_head(copy, &segment, fault);
	}
	segment_close(&copy->journal, &segment);
	return result;
}

/* ---- one stream ---- */

/* How many segments there are to be copied: all up to the one where the next record goes. A
 * segment behind that one may be in the making. */
static int find_extents(struct copy *copy, struct fault *fault)
{
	uint64_t end = 0;

	copy->head = copy->durable = 0;
	for (size_t i = 0; i < copy->count; i++) {
		if (copy->extents[i].first != end)
			return missing(copy, end, fault);
		const int result = look_at(copy, i, fault);
		if (result == FAULT_DAMAGED && (i > 0 || !copy->ready) && copy->durable <= end) {
			copy->count = i;
			break;
		}
		if (result < 0)
			return result;
		end += copy->extents[i].records;
	}
	if (copy->durable > end || (copy->count == 0 && copy->ready))
		return missing(copy, end, fault);
	return 0;
}

static int copy_segments(struct copy *copy, struct fault *fault)
{
	size_t needed = 0;
	uint64_t end = 0;
	int result = 0;

	for (size_t i = 0; result == 0 && i < copy->count && copy->head >= end; i++) {
		end += copy->extents[i].records;
		needed = i + 1;
		/* Where only the head is asked, what is durable need not be read. */
		if (copy->each == NULL && end <= copy->durable)
			copy->head = end;
		else
			result = walk_segment(copy, copy->extents[i], false, 0, fault);
	}
	if (copy->each == NULL)
		return result;
	for (size_t i = 0; result == 0 && i < needed; i++)
		result = walk_segment(copy, copy->extents[i], true, end, fault);
	return result;
}

static int copy_stream(struct copy *copy, struct fault *fault)
{
	struct disk *disk = copy->journal.disk;
	char folder[JOURNAL_PATH_MAX], name[JOURNAL_COPY_NAME_MAX];

	copy->count = 0;
	copy->ready = false;
	int result = segment_path(&copy->journal, copy->number, NULL, folder, fault);
	if (result == 0)
		result = disk->folder_list(disk, folder, each_file, copy, fault);
	if (result < 0)
		return result;
	if (copy->count > 0)
		qsort(copy->extents, copy->count, sizeof(copy->extents[0]), compare_extents);
	result = find_extents(copy, fault);
	/* A stream whose making was interrupted holds nothing. */
	if (result < 0 || copy->count == 0)
		return result;
	result = copy_segments(copy, fault);
	if (result < 0 || !copy->ready || copy->each == NULL)
		return result;
	snprintf(name, sizeof(name), "%" PRIu32 "/ready", copy->number);
	const struct journal_copy_file ready = {.name = name};
	return copy->each(copy->context, &ready, fault);
}

static int walk(struct disk *disk, const char *folder, const uint64_t *upto, journal_copy_fn each,
		void *context, uint64_t ret_heads[JOURNAL_STREAMS_MAX], struct fault *fault)
{
	char *path = strdup(folder);
	struct copy copy = {
		.journal = {.disk = disk, .folder = path}, .each = each, .context = context};
	uint64_t heads[JOURNAL_STREAMS_MAX] = {0};

	check(path != NULL);
	int result = disk->folder_list(disk, path, each_stream, &copy, fault);
	for (uint32_t i = 0; result == 0 && i < JOURNAL_STREAMS_MAX; i++) {
		if (!(copy.streams >> i & 1))
			continue;
		copy.number = i;
		copy.upto = upto != NULL ? upto[i] : UINT64_MAX;
		result = copy_stream(&copy, fault);
		heads[i] = copy.count > 0 ? copy.head : 0;
	}
	free(copy.extents);
	free(path);
	if (result == 0)
		memcpy(ret_heads, heads, sizeof(heads));
	return result;
}

int journal_heads(struct disk *disk, const char *folder, uint64_t ret_heads[JOURNAL_STREAMS_MAX],
		  struct fault *fault)
{
	return walk(disk, folder, NULL, NULL, NULL, ret_heads, fault);
}

int journal_copy(struct disk *disk, const char *folder, const uint64_t upto[JOURNAL_STREAMS_MAX],
		 journal_copy_fn each, void *context, uint64_t ret_heads[JOURNAL_STREAMS_MAX],
		 struct fault *fault)
{
	check(each != NULL);
	return walk(disk, folder, upto, each, context, ret_heads, fault);
}

#include "journal/journal_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct journal_stream *journal_stream_add(struct journal *journal, uint32_t number)
{
	struct journal_stream *stream = aligned_alloc(64, sizeof(*stream));

	check(stream != NULL);
	memset(stream, 0, sizeof(*stream));
	stream->journal = journal;
	stream->number = number;
	atomic_store_explicit(&journal->streams[number], stream, memory_order_release);
	if (number >= journal_stream_count(journal))
		atomic_store_explicit(&journal->stream_count, number + 1, memory_order_release);
	return stream;
}

void journal_stream_free(struct journal_stream *stream)
{
	while (stream->segment_first != stream->segment_end)
		segment_close(
			stream->journal,
			&stream->segments[stream->segment_first++ % STREAM_SEGMENTS_OPEN_MAX]);
	for (uint32_t i = 0; i < EXTENT_CHUNKS_MAX; i++)
		free(stream->extents[i]);
	free(stream);
}

/* ---- extents: readers look while the maintenance thread adds ---- */

int journal_stream_extent_add(struct journal_stream *stream, struct extent extent,
			      struct fault *fault)
{
	const uint64_t count = atomic_load_explicit(&stream->extent_count, memory_order_relaxed);
	const uint64_t chunk = count / EXTENTS_PER_CHUNK;

	if (chunk >= EXTENT_CHUNKS_MAX)
		return fault_set(fault, FAULT_LIMIT,
				 "stream %" PRIu32 " has %" PRIu64
				 " segments, the most there can be",
				 stream->number, count);
	if (stream->extents[chunk] == NULL) {
		stream->extents[chunk] = calloc(EXTENTS_PER_CHUNK, sizeof(struct extent));
		check(stream->extents[chunk] != NULL);
	}
	stream->extents[chunk][count % EXTENTS_PER_CHUNK] = extent;
	atomic_store_explicit(&stream->extent_count, count + 1, memory_order_release);
	return 0;
}

struct extent journal_stream_extent_at(const struct journal_stream *stream, uint64_t index)
{
	return stream->extents[index / EXTENTS_PER_CHUNK][index % EXTENTS_PER_CHUNK];
}

bool journal_stream_extent_find(const struct journal_stream *stream, uint64_t position,
				struct extent *ret_extent)
{
	uint64_t low = 0;
	uint64_t high = atomic_load_explicit(&stream->extent_count, memory_order_acquire);

	while (low < high) {
		const uint64_t middle = low + (high - low) / 2;
		const struct extent extent = journal_stream_extent_at(stream, middle);
		if (position >= extent.first && position - extent.first < extent.records) {
			*ret_extent = extent;
			return true;
		}
		if (position < extent.first)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

void journal_stream_rewind(struct journal_stream *stream)
{
	const uint64_t head = atomic_load_explicit(&stream->head, memory_order_relaxed);
	struct extent extent;

	const bool within = journal_stream_extent_find(stream, head, &extent);
	atomic_store_explicit(&stream->reserved, within ? extent.first : head,
			      memory_order_release);
}

/* ---- the maintenance thread ---- */

static struct segment *segment_number(struct journal_stream *stream, uint32_t number)
{
	return &stream->segments[number % STREAM_SEGMENTS_OPEN_MAX];
}

static void stream_mark(struct journal_stream *stream, uint64_t reserved)
{
	segment_mark_write(segment_number(stream, stream->segment_first), stream->number,
			   atomic_load_explicit(&stream->durable, memory_order_relaxed), reserved);
	stream->mark_dirty = true;
}

static int stream_segment_add(struct journal_stream *stream, uint64_t first, struct fault *fault)
{
	struct journal *journal = stream->journal;
	struct segment segment;
	struct extent extent;
	int result;

	if (journal_stream_extent_find(stream, first, &extent)) {
		result = segment_open(journal, stream->number, extent, true, &segment, fault);
		if (result < 0)
			return result;
	} else {
		extent = (struct extent){first, journal->segment_records};
		result = segment_create(journal, stream->number, first, extent.records, &segment,
					fault);
		if (result < 0)
			return result;
		result = journal_stream_extent_add(stream, extent, fault);
		if (result < 0) {
			segment_close(journal, &segment);
			return result;
		}
	}
	*segment_number(stream, stream->segment_end++) = segment;

	const uint64_t end = extent.first + extent.records;
	stream_mark(stream, end);
	atomic_store_explicit(&stream->reserved, end, memory_order_release);
	return 0;
}

int journal_stream_extend(struct journal_stream *stream, struct fault *fault)
{
	const uint64_t ahead = (uint64_t)STREAM_SEGMENTS_AHEAD * stream->journal->segment_records;

	for (;;) {
		const uint64_t head = atomic_load_explicit(&stream->head, memory_order_relaxed);
		const uint64_t reserved =
			atomic_load_explicit(&stream->reserved, memory_order_relaxed);
		if (reserved >= head + ahead ||
		    stream->segment_end - stream->segment_first == STREAM_SEGMENTS_OPEN_MAX)
			return 0;
		const int result = stream_segment_add(stream, reserved, fault);
		if (result < 0)
			return result;
	}
}

static size_t record_offset(const struct segment *segment, uint64_t position)
{
	return segment_bytes(position - segment->extent.first);
}

/* Of the oldest open segment: the records [durable, upto), or all of it, its marks too. */
static int stream_segment_sync(struct journal_stream *stream, uint64_t durable, uint64_t upto)
{
	struct journal *journal = stream->journal;
	struct disk *disk = journal->disk;
	struct segment *segment = segment_number(stream, stream->segment_first);
	const size_t from = record_offset(segment, durable);
	int result;

	const bool whole = upto == durable ||
			   upto == segment->extent.first + segment->extent.records ||
			   ++stream->part_syncs >= STREAM_PART_SYNCS_MAX;
	if (whole)
		result = disk->file_sync(disk, &segment->file, &journal->failure);
	else
		result = disk->file_sync_part(disk, &segment->file, from,
					      record_offset(segment, upto) - from,
					      &journal->failure);
	if (result < 0) {
		fault_prefix(&journal->failure, "journal stream %" PRIu32 " takes no more records",
			     stream->number);
		atomic_store_explicit(&journal->failed, true, memory_order_release);
		return result;
	}
	if (whole) {
		stream->part_syncs = 0;
		stream->mark_dirty = false;
		stream->warmed_to = 0; /* it made those pages clean, and so read-only */
	}
	return 0;
}

int journal_stream_sync(struct journal_stream *stream, bool *ret_synced)
{
	const uint64_t head = atomic_load_explicit(&stream->head, memory_order_acquire);

	for (;;) {
		const uint64_t durable =
			atomic_load_explicit(&stream->durable, memory_order_relaxed);
		if (durable == head && !stream->mark_dirty)
			return 0;
		const struct extent extent = segment_number(stream, stream->segment_first)->extent;
		const uint64_t end = extent.first + extent.records;
		const uint64_t upto = head < end ? head : end;
		const int result = stream_segment_sync(stream, durable, upto);
		if (result < 0)
			return result;
		*ret_synced = true;

		/* The mark that says so goes to the disk with a later sync, so that it never
		 * gets there before what it claims. */
		if (upto > durable) {
			atomic_store_explicit(&stream->durable, upto, memory_order_release);
			stream_mark(stream,
				    atomic_load_explicit(&stream->reserved, memory_order_relaxed));
		}
		if (upto < end)
			return 0;
		/* Full: it is left behind once its last mark is on disk too. */
		if (!stream->mark_dirty && stream->segment_end - stream->segment_first > 1)
			segment_close(stream->journal,
				      segment_number(stream, stream->segment_first++));
	}
}

static void warm_range(struct journal_stream *stream, uint64_t from, uint64_t to)
{
	struct disk *disk = stream->journal->disk;

	for (uint32_t i = stream->segment_first; i != stream->segment_end; i++) {
		struct segment *segment = segment_number(stream, i);
		const uint64_t end = segment->extent.first + segment->extent.records;
		const uint64_t first = from > segment->extent.first ? from : segment->extent.first;
		const uint64_t last = to < end ? to : end;
		if (first >= last)
			continue;
		const size_t offset = record_offset(segment, first);
		disk->file_warm(disk, &segment->file, offset,
				record_offset(segment, last) - offset);
	}
}

void journal_stream_warm(struct journal_stream *stream)
{
	const uint64_t head = atomic_load_explicit(&stream->head, memory_order_relaxed);
	const uint64_t grown = head - stream->warmed_from;
	if (grown == 0 && stream->warmed_to > head)
		return;

	/* A few times what came since the last time: what is not used now is used later. */
	uint64_t ahead = STREAM_WARM_RECORDS_MIN + 4 * grown;
	ahead = ahead < STREAM_WARM_RECORDS_MAX ? ahead : STREAM_WARM_RECORDS_MAX;
	stream->warmed_from = head;
	/* The page that the sync before has taken away. */
	warm_range(stream, head, head + 1);
	if (stream->warmed_to >= head + ahead / 2)
		return;
	warm_range(stream, stream->warmed_to > head ? stream->warmed_to : head, head + ahead);
	stream->warmed_to = head + ahead;
}

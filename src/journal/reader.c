#include "journal/journal_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"

struct journal_reader {
	struct journal *journal;
	struct journal_stream *stream;
	uint64_t position;
	struct segment segment; /* the one last read from, where its map is not NULL */
};

int journal_reader_open(struct journal *journal, uint32_t number, uint64_t position,
			struct journal_reader **ret_reader, struct fault *fault)
{
	struct journal_stream *stream = NULL;

	if (number < JOURNAL_STREAMS_MAX)
		stream = atomic_load_explicit(&journal->streams[number], memory_order_acquire);
	if (stream == NULL)
		return fault_set(fault, FAULT_NOT_FOUND, "%s: there is no stream %" PRIu32,
				 journal->folder, number);

	const uint64_t first = journal_stream_first(journal, number);
	const uint64_t head = journal_stream_head(journal, number);
	if (position < first || position > head)
		return fault_set(fault, FAULT_NOT_FOUND,
				 "%s/%" PRIu32 ": position %" PRIu64
				 " is not there; it holds %" PRIu64 " up to %" PRIu64,
				 journal->folder, number, position, first, head);

	struct journal_reader *reader = calloc(1, sizeof(*reader));
	check(reader != NULL);
	*reader = (struct journal_reader){
		.journal = journal,
		.stream = stream,
		.position = position,
		.segment.file.descriptor = -1,
	};
	*ret_reader = reader;
	return 0;
}

void journal_reader_close(struct journal_reader *reader)
{
	if (reader->segment.file.map != NULL)
		segment_close(reader->journal, &reader->segment);
	free(reader);
}

uint64_t journal_reader_position(const struct journal_reader *reader)
{
	return reader->position;
}

static int reader_segment(struct journal_reader *reader, uint64_t limit, struct fault *fault)
{
	struct disk *disk = reader->journal->disk;
	const struct extent open = reader->segment.extent;
	struct extent extent;

	if (reader->segment.file.map != NULL && reader->position - open.first < open.records)
		return 0;
	if (reader->segment.file.map != NULL)
		segment_close(reader->journal, &reader->segment);
	check(journal_stream_extent_find(reader->stream, reader->position, &extent));
	const int result = segment_open(reader->journal, reader->stream->number, extent, false,
					&reader->segment, fault);
	if (result < 0)
		return result;

	const uint64_t end = extent.first + extent.records;
	const size_t from = segment_bytes(reader->position - extent.first);
	const size_t to = segment_bytes((limit < end ? limit : end) - extent.first);
	disk->file_expect_read(disk, &reader->segment.file, from, to - from);
	return 0;
}

static int reader_damaged(const struct journal_reader *reader, uint64_t position,
			  const char *complaint, struct fault *fault)
{
	char name[SEGMENT_NAME_MAX];

	segment_name(reader->segment.extent.first, name);
	return fault_set(
		fault, FAULT_DAMAGED, "%s/%" PRIu32 "/%s: offset %zu: record %" PRIu64 ": %s",
		reader->journal->folder, reader->stream->number, name,
		segment_bytes(position - reader->segment.extent.first), position, complaint);
}

static int reader_next(struct journal_reader *reader, uint64_t limit, uint32_t most,
		       const struct journal_record **ret_records, uint32_t *ret_count,
		       struct fault *fault)
{
	if (reader->position >= limit || most == 0) {
		*ret_count = 0;
		return 0;
	}
	const int result = reader_segment(reader, limit, fault);
	if (result < 0)
		return result;

	const struct extent extent = reader->segment.extent;
	const uint64_t offset = reader->position - extent.first;
	uint64_t count = limit - reader->position;
	count = count < extent.records - offset ? count : extent.records - offset;
	count = count < most ? count : most;

	const struct journal_record *records = reader->segment.records + offset;
	for (uint64_t i = 0; i < count; i++) {
		const char *complaint = segment_record_complaint(&records[i], reader->position + i);
		if (complaint != NULL)
			return reader_damaged(reader, reader->position + i, complaint, fault);
	}
	reader->position += count;
	*ret_records = records;
	*ret_count = (uint32_t)count;
	return 0;
}

int journal_reader_next(struct journal_reader *reader, uint32_t most,
			const struct journal_record **ret_records, uint32_t *ret_count,
			struct fault *fault)
{
	const uint64_t head = atomic_load_explicit(&reader->stream->head, memory_order_acquire);

	return reader_next(reader, head, most, ret_records, ret_count, fault);
}

int journal_reader_next_durable(struct journal_reader *reader, uint32_t most,
				const struct journal_record **ret_records, uint32_t *ret_count,
				struct fault *fault)
{
	const uint64_t durable =
		atomic_load_explicit(&reader->stream->durable, memory_order_acquire);

	return reader_next(reader, durable, most, ret_records, ret_count, fault);
}

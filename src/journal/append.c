#include "journal/journal_internal.h"

#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"

uint64_t journal_stream_room(const struct journal_stream *stream)
{
	if (atomic_load_explicit(&stream->journal->failed, memory_order_relaxed))
		return 0;
	return atomic_load_explicit(&stream->reserved, memory_order_acquire) -
	       atomic_load_explicit(&stream->head, memory_order_relaxed);
}

static void stream_next_segment(struct journal_stream *stream, uint64_t position)
{
	/* Acquire: the segment below it is whole in `segments`. */
	check(position < atomic_load_explicit(&stream->reserved, memory_order_acquire));
	if (stream->records != NULL)
		stream->writing++;

	const struct segment *segment =
		&stream->segments[stream->writing % STREAM_SEGMENTS_OPEN_MAX];
	check(position - segment->extent.first < segment->extent.records);
	stream->records = segment->records;
	stream->first = segment->extent.first;
	stream->end = segment->extent.first + segment->extent.records;
}

void journal_append(struct journal_stream *stream, struct journal_record *record)
{
	const uint64_t position = atomic_load_explicit(&stream->head, memory_order_relaxed);

	if (position == stream->end || stream->records == NULL)
		stream_next_segment(stream, position);

	struct journal_record *slot = &stream->records[position - stream->first];
	record->version = 1;
	record->position = position;
	record->crc = crc32c(0, (const uint8_t *)record + sizeof(record->crc),
			     sizeof(*record) - sizeof(record->crc));
	memcpy((uint8_t *)slot + sizeof(slot->crc), (const uint8_t *)record + sizeof(record->crc),
	       sizeof(*record) - sizeof(record->crc));
	/* A kill between these leaves a record without its checksum, which is torn. */
	__atomic_store_n(&slot->crc, record->crc, __ATOMIC_RELEASE);
	atomic_store_explicit(&stream->head, position + 1, memory_order_release);
}

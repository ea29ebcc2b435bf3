/*
 * sample: for tests, records whose every field follows from stream and position, so that a
 * reader can tell whether what it reads is what was written.
 *
 * Threads: any.
 */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "base/random.h"
#include "journal/journal.h"

static inline struct journal_record sample_record(uint32_t stream, uint64_t position)
{
	struct journal_record record;
	struct random_seeded random;

	random_seeded_init(&random, position * JOURNAL_STREAMS_MAX + stream);
	random.random.fill(&random.random, &record, sizeof(record));
	record.outcome = JOURNAL_ANSWERED;
	record.status = 200;
	return record;
}

static inline bool sample_matches(uint32_t stream, uint64_t position,
				  const struct journal_record *record)
{
	struct journal_record wanted = sample_record(stream, position);

	wanted.crc = record->crc;
	wanted.version = 1;
	wanted.position = position;
	return memcmp(&wanted, record, sizeof(wanted)) == 0;
}

static inline void sample_append(struct journal_stream *stream, uint32_t number, uint64_t position)
{
	struct journal_record record = sample_record(number, position);

	journal_append(stream, &record);
}

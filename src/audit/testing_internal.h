/*
 * testing: for tests, a journal in a folder of its own with a log beside it.
 *
 * Everything that must not fail is checked. Threads: one.
 */
#pragma once

#include "base/testing.h"

#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/audit_internal.h"
#include "base/check.h"
#include "journal/sample.h"

#define ORIGIN "cloud/node-1/journal-0"

struct world {
	char folder[64];
	char log_folder[80];
	struct journal *journal;
	struct journal_stream *stream;
	struct audit_signer signer;
	struct audit_log *log;
	struct fault fault;
	uint64_t written;
};

static inline void world_open_journal(struct world *world)
{
	char folder[80];
	const struct journal_options options = {.disk = disk_system(),
						.clock = clock_system(),
						.folder = folder,
						.segment_records = 1024};

	snprintf(folder, sizeof(folder), "%s/journal", world->folder);
	assert_int_equal(journal_open(&options, &world->journal, &world->fault), 0);
	assert_int_equal(journal_stream_open(world->journal, 0, &world->stream, &world->fault), 0);
}

/* The log may be damaged. */
static inline void world_open_log(struct world *world)
{
	const struct audit_log_options options = {.journal = world->journal,
						  .folder = world->log_folder,
						  .origin = ORIGIN,
						  .signer = &world->signer};

	assert_int_equal(audit_log_open(&options, &world->log, &world->fault), 0);
}

static inline void world_init(struct world *world)
{
	*world = (struct world){.folder = "/tmp/stoa-audit.XXXXXX"};
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->log_folder, sizeof(world->log_folder), "%s/log", world->folder);
	assert_int_equal(audit_signer_load(world->folder, "cloud", random_system(), &world->signer,
					   &world->fault),
			 0);
	world_open_journal(world);
	world_open_log(world);
}

static inline int world_remove(const char *path, const struct stat *status, int kind,
			       struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static inline void world_fini(struct world *world)
{
	audit_log_close(world->log);
	assert_int_equal(journal_close(world->journal, &world->fault), 0);
	nftw(world->folder, world_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void world_reopen(struct world *world)
{
	audit_log_close(world->log);
	world_open_log(world);
}

static inline struct journal_record world_record(uint64_t position)
{
	struct journal_record record = sample_record(0, position);

	memset(record.left_nano, 0, sizeof(record.left_nano));
	return record;
}

/* Appends so many records and makes them durable. */
static inline void world_write(struct world *world, uint64_t count)
{
	bool synced;

	for (uint64_t i = 0; i < count; i++) {
		if (journal_stream_room(world->stream) == 0)
			assert_int_equal(journal_maintain(world->journal, &synced, &world->fault),
					 0);
		struct journal_record record = world_record(world->written++);
		journal_append(world->stream, &record);
	}
	assert_int_equal(journal_maintain(world->journal, &synced, &world->fault), 0);
}

static inline struct audit_head world_advance(struct world *world)
{
	struct audit_signed_head head;
	uint64_t taken;

	assert_int_equal(audit_log_advance(world->log, UINT64_MAX, &taken, &world->fault), 0);
	audit_log_head(world->log, &head);
	assert_int_equal(head.head.size, world->written);
	return head.head;
}

/* The record as it stands in the journal. */
static inline struct journal_record world_read(struct world *world, uint64_t position)
{
	struct journal_reader *reader;
	const struct journal_record *records;
	uint32_t count;

	assert_int_equal(journal_reader_open(world->journal, 0, position, &reader, &world->fault),
			 0);
	assert_int_equal(journal_reader_next(reader, 1, &records, &count, &world->fault), 0);
	assert_int_equal(count, 1);
	const struct journal_record record = records[0];
	journal_reader_close(reader);
	return record;
}

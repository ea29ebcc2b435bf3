/*
 * journal: the append-only files of call records, one stream a gateway worker.
 *
 * A record is the fixed-size fact about one finished call, about one part of a call that runs
 * long (all but the last are JOURNAL_RUNNING), or about usage that was reported without a call
 * (JOURNAL_REPORTED: it has no key, instance, status, bytes or durations; started_ns is when the
 * units were used), protected by CRC32C. It is written
 * into a mapped file before the answer's last byte is given to the kernel: a memory write, no
 * system call, so that a caller that received a whole answer is always on record, even when
 * the process is killed by SIGKILL in the next instruction. A power cut can lose at most the
 * records younger than the last journal_stream_sync.
 *
 * Files: DIR/<stream>/<first position, 16 hex digits>.journal, each a header of one page and
 * JOURNAL_SEGMENT_RECORDS records. Space is reserved when a segment is made (ahead of need, off
 * the call path), so an append cannot meet a full disk. All integers are little-endian;
 * docs/architecture.md has the layout byte by byte.
 *
 * Durable: the header also holds the position below which every record is known to be on disk,
 * written after the sync that made it so. It is what tells a torn tail from damage:
 *
 *	an invalid record below it	damage: FAULT_DAMAGED with file and offset; nothing changes
 *	the first invalid one above it	the stream's end: it and all behind it is cleared, for it
 *					was lost or torn by a power cut or a kill
 *
 * After a power cut a position above the durable one may be given to another record. So who
 * acts on records for good (the poster) reads with journal_reader_next_durable.
 * Damage is also: a missing or cut segment file, one of another stream, a bad header. Segments
 * that were full and durable are checked by header and size when the journal is opened; their
 * records are verified each time they are read.
 *
 * Threads: a stream's writer belongs to one thread. Any number of readers follow it, in the
 * same process, without locks: they see a record once `head` covers it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/fault.h"
#include "base/ids.h"
#include "base/slice.h"

#define JOURNAL_RECORD_BYTES    192
#define JOURNAL_RECORD_UNITS    4
#define JOURNAL_SEGMENT_RECORDS (1u << 18) /* 48 MiB and a page */
#define JOURNAL_STREAMS_MAX     64

enum journal_outcome {
	JOURNAL_ANSWERED = 1, /* the whole answer was received from the service */
	JOURNAL_ABORTED = 2,  /* the caller went away; what was delivered counts */
	JOURNAL_FAILED = 3,   /* the service failed after the call was forwarded */
	JOURNAL_CUT = 4,      /* Stoa ended the call: timeout, money, revocation, shutdown */
	JOURNAL_RUNNING = 5,  /* the record is of a part of a long call, which went on */
	JOURNAL_REPORTED = 6  /* no call: units that the service's provider reported afterwards */
};

enum journal_flag {
	JOURNAL_BILLED = 1 << 0,   /* counts for quantities and charges */
	JOURNAL_CONTINUES = 1 << 1 /* it counts no call of its own: a part behind a call's first, or
				      JOURNAL_REPORTED */
};

/* Of a plan's max_charge, what a call's earlier records left; what is more is told as this. */
#define JOURNAL_LEFT_NANO_MAX ((INT64_C(1) << 48) - 1)

/* In memory as on disk. */
struct journal_record {
	uint32_t crc;      /* CRC32C of the 188 bytes behind it */
	uint8_t version;   /* 1 */
	uint8_t outcome;   /* enum journal_outcome */
	uint8_t flags;     /* enum journal_flag */
	uint8_t path;      /* enum rating_path: how far the bytes went */
	uint64_t position; /* in its stream, from 0 without a gap */
	struct call_id call;
	uint64_t started_ns;       /* Unix */
	uint64_t settled_ns;       /* Unix; decides the period */
	uint32_t duration_us;      /* head received .. settled */
	uint32_t service_us;       /* forwarded .. answer's end */
	uint16_t status;           /* of the answer; 0: none */
	uint8_t left_nano[6];      /* of a JOURNAL_CONTINUES: see JOURNAL_LEFT_NANO_MAX; else 0 */
	struct account_id account; /* who pays */
	struct app_id app;
	struct key_id key;
	struct subscription_id subscription;
	struct service_id service;
	struct plan_id plan;
	uint32_t instance;
	uint32_t unit_excess;   /* bits: units cut by a cap, slot by slot */
	uint64_t request_bytes; /* bodies */
	uint64_t response_bytes;
	uint64_t units[JOURNAL_RECORD_UNITS]; /* counted (after caps) */
	uint64_t memory_mib_us; /* share of the instance: rating.h, RATING_CLOUD_MIB_US */
	uint64_t cpu_milli_us;
	int64_t charge_nano; /* what the caller was told: usage and cloud together */
};

_Static_assert(sizeof(struct journal_record) == JOURNAL_RECORD_BYTES, "the format is fixed");

static inline int64_t journal_record_left_nano(const struct journal_record *record)
{
	uint64_t nano = 0;

	for (unsigned i = 0; i < sizeof(record->left_nano); i++)
		nano |= (uint64_t)record->left_nano[i] << 8 * i;
	return (int64_t)nano;
}

/* 0 <= nano <= JOURNAL_LEFT_NANO_MAX. */
static inline void journal_record_set_left_nano(struct journal_record *record, int64_t nano)
{
	for (unsigned i = 0; i < sizeof(record->left_nano); i++)
		record->left_nano[i] = (uint8_t)((uint64_t)nano >> 8 * i);
}

static inline bool journal_record_begins_call(const struct journal_record *record)
{
	return (record->flags & JOURNAL_CONTINUES) == 0;
}

struct journal;
struct journal_stream;

struct journal_options {
	struct disk *disk;
	const struct clock *clock;
	const char *folder;
	uint32_t segment_records; /* 0: JOURNAL_SEGMENT_RECORDS; tests use few */
};

/* Opens the folder (made where missing) and recovers every stream found in it. */
int journal_open(const struct journal_options *options, struct journal **ret_journal,
		 struct fault *fault);
/* Writers and readers must be done. Syncs. */
int journal_close(struct journal *journal, struct fault *fault);
/* How many streams there are: the highest stream number + 1. */
uint32_t journal_stream_count(const struct journal *journal);
/* Records cleared as torn by journal_open, for the log. */
uint32_t journal_torn_count(const struct journal *journal);

/* The stream with this number, made where missing, with a segment ready. One writer each. */
int journal_stream_open(struct journal *journal, uint32_t number,
			struct journal_stream **ret_stream, struct fault *fault);

/* ---- the writer's thread, on the call path ---- */

/* Records that can be appended for certain now, without any system call. */
uint64_t journal_stream_room(const struct journal_stream *stream);
/* Room must be there (a bug otherwise). Fills crc, version and position. */
void journal_append(struct journal_stream *stream, struct journal_record *record);

/* ---- one maintenance thread: never on the call path ---- */

/* Makes segments ahead of need (room for two more is always there) and makes written records
 * durable. Call it every sync interval, also after a fault. *ret_synced says whether there was
 * anything to sync; it is set in any case. On a full disk it fails, room runs down to 0, and
 * returns with the first success. After a failed sync the journal admits nothing more (room is
 * 0): what the disk holds is unknown until it is opened anew. */
int journal_maintain(struct journal *journal, bool *ret_synced, struct fault *fault);
/* A sync failed: only opening anew helps. Any thread. */
bool journal_is_failed(const struct journal *journal);
/* Records of the stream known to be durable: positions below it. Any thread. */
uint64_t journal_stream_durable(const struct journal *journal, uint32_t number);

/* ---- readers: any thread, one each ---- */

/* Positions below it are written. Acquire: what is read after it is whole. */
uint64_t journal_stream_head(const struct journal *journal, uint32_t number);
/* The first position that is still on disk. */
uint64_t journal_stream_first(const struct journal *journal, uint32_t number);

struct journal_reader;

/* FAULT_NOT_FOUND where the stream or the position is no longer or not yet there: a position
 * above the head means that records which somebody has read were lost. */
int journal_reader_open(struct journal *journal, uint32_t number, uint64_t position,
			struct journal_reader **ret_reader, struct fault *fault);
void journal_reader_close(struct journal_reader *reader);
/* Up to `most` written records from the reader's position, which moves behind them. They lie in
 * the map, one after the other, and live until the next call. Each one's checksum was verified.
 * *ret_count 0: nothing new. */
int journal_reader_next(struct journal_reader *reader, uint32_t most,
			const struct journal_record **ret_records, uint32_t *ret_count,
			struct fault *fault);
/* The same, but only records that are durable. */
int journal_reader_next_durable(struct journal_reader *reader, uint32_t most,
				const struct journal_record **ret_records, uint32_t *ret_count,
				struct fault *fault);
uint64_t journal_reader_position(const struct journal_reader *reader);

/* ---- a copy ---- */

#define JOURNAL_COPY_NAME_MAX 48

/* A file of the copy, in the order in which a restored journal needs them. What lies between the
 * end of its parts and `bytes` is zero. */
struct journal_copy_file {
	const char *name; /* "0/0000000000000000.journal", below the journal's folder */
	uint64_t bytes;
	struct slice parts[2];
};

typedef int (*journal_copy_fn)(void *context, const struct journal_copy_file *file,
			       struct fault *fault);

/* Hands on a copy of the journal in the folder, which another process may be writing: the records
 * that are whole, of each stream those below `upto`, in segments whose marks claim exactly that.
 * journal_open takes the copy for a journal that was closed in order. ret_heads: how many records
 * of each stream it has. FAULT_DAMAGED as journal_open; nothing is changed in the folder. Any
 * thread. */
int journal_copy(struct disk *disk, const char *folder, const uint64_t upto[JOURNAL_STREAMS_MAX],
		 journal_copy_fn each, void *context, uint64_t ret_heads[JOURNAL_STREAMS_MAX],
		 struct fault *fault);
/* How many records of each stream are whole now; the same way. */
int journal_heads(struct disk *disk, const char *folder, uint64_t ret_heads[JOURNAL_STREAMS_MAX],
		  struct fault *fault);

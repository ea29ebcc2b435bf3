/*
 * Inside the journal: a segment file's layout, and what a stream keeps in memory.
 *
 *	offset	bytes
 *	0	64	struct segment_header
 *	512	32	struct segment_mark, and a second one at 1024: written in turn, so that
 *			one is whole whenever the process or the power ends
 *	4096	192 n	records
 *	all other bytes of the first page are zero
 *
 * DIR/<stream>/ready is made after the first segment: from then on segments must be there.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include "journal/journal.h"

#define SEGMENT_HEADER_BYTES     4096
#define SEGMENT_MARK_OFFSET      512 /* and twice that: two sectors */
#define SEGMENT_VERSION          1
#define SEGMENT_NAME_MAX         32
#define SEGMENT_RECORDS_MAX      (1u << 24)
#define JOURNAL_PATH_MAX         4096
#define STREAM_SEGMENTS_OPEN_MAX 8 /* one being synced, the writer's, those ahead */
#define STREAM_SEGMENTS_AHEAD    2
#define STREAM_PART_SYNCS_MAX    100 /* a second of work between two syncs of the marks */
#define STREAM_WARM_RECORDS_MIN  512
#define STREAM_WARM_RECORDS_MAX  65536
#define EXTENTS_PER_CHUNK        1024
#define EXTENT_CHUNKS_MAX        1024

struct segment_header {
	char magic[8];
	uint32_t version;
	uint32_t record_bytes;
	uint32_t stream;
	uint32_t records;
	uint64_t first;
	uint64_t created_ns;
	uint8_t reserved[20];
	uint32_t crc; /* of the 60 bytes before it */
};

/* What is true once the bytes are on disk. The highest of all marks of a stream count. */
struct segment_mark {
	uint64_t durable;  /* every record below it is on disk */
	uint64_t reserved; /* every segment that begins below it is on disk */
	uint64_t first;    /* the segment's own */
	uint32_t stream;
	uint32_t crc; /* of the 28 bytes before it */
};

_Static_assert(sizeof(struct segment_header) == 64, "the format is fixed");
_Static_assert(sizeof(struct segment_mark) == 32, "the format is fixed");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "maps are used as they are on disk");

/* Positions [first, first + records). */
struct extent {
	uint64_t first;
	uint64_t records;
};

struct segment {
	struct disk_file file;
	struct extent extent;
	struct journal_record *records;
	uint32_t mark_next; /* which of the two is written next */
};

struct journal_stream {
	/* The writer's. */
	_Alignas(64) _Atomic uint64_t head;
	struct journal_record *records; /* of the segment that it writes, NULL before the first */
	uint64_t first, end;            /* its positions */
	uint32_t writing;               /* its number in `segments` */

	/* The maintenance thread's. */
	_Alignas(
		64) _Atomic uint64_t reserved; /* segments below it are open and known to readers */
	_Atomic uint64_t durable;
	_Atomic bool writable;           /* a writer was opened */
	bool mark_dirty;                 /* a mark was written and not synced yet */
	uint32_t part_syncs;             /* since the marks were synced */
	uint64_t warmed_from, warmed_to; /* the head then; pages below it were made ready */
	bool ready;                      /* the file `ready` is there */
	uint32_t number;
	struct journal *journal;
	uint32_t segment_first, segment_end; /* open ones, numbers modulo the size of: */
	struct segment segments[STREAM_SEGMENTS_OPEN_MAX];

	/* All segments on disk, in order; grows at the end. */
	_Atomic uint64_t extent_count;
	struct extent *extents[EXTENT_CHUNKS_MAX];
};

struct journal {
	struct disk *disk;
	const struct clock *clock;
	char *folder;
	uint32_t segment_records;
	uint32_t torn_count;
	_Atomic bool failed;
	struct fault failure; /* the maintenance thread's: why */
	_Atomic uint32_t stream_count;
	_Atomic(struct journal_stream *) streams[JOURNAL_STREAMS_MAX];
};

/* ---- segment.c: one file ---- */

size_t segment_bytes(uint64_t records);
/* The path of a stream's folder (name NULL) or of a file in it. */
int segment_path(const struct journal *journal, uint32_t stream, const char *name,
		 char path[JOURNAL_PATH_MAX], struct fault *fault);
void segment_name(uint64_t first, char name[SEGMENT_NAME_MAX]);
bool segment_name_parse(const char *name, uint64_t *ret_first);
/* Makes the file with its space, durably. Nothing is left of it on a fault. */
int segment_create(struct journal *journal, uint32_t stream, uint64_t first, uint64_t records,
		   struct segment *ret_segment, struct fault *fault);
/* Opens and maps a file whose extent is known; checks its size and header. */
int segment_open(struct journal *journal, uint32_t stream, struct extent extent, bool writable,
		 struct segment *ret_segment, struct fault *fault);
void segment_close(struct journal *journal, struct segment *segment);
void segment_mark_write(struct segment *segment, uint32_t stream, uint64_t durable,
			uint64_t reserved);
/* Checks a header page that stands at `page`, but for its marks; says how many records follow. */
int segment_header_check(const uint8_t *page, const char *path, uint32_t stream, uint64_t first,
			 uint64_t *ret_records, struct fault *fault);
/* The highest numbers of the marks. For recovery: in a stream in use the maintenance thread
 * writes one mark while the other is read, so that both may look torn. */
int segment_marks_read(const uint8_t *page, const char *path, uint32_t stream, uint64_t first,
		       struct segment_mark *ret_mark, struct fault *fault);
/* The header's sector has been written by segment_create, or not yet. */
bool segment_header_may_be_ours(const uint8_t *page, size_t bytes);
/* NULL where the record is whole and stands where it belongs, else what is wrong with it. */
const char *segment_record_complaint(const struct journal_record *record, uint64_t position);
bool segment_is_zero(const void *bytes, size_t length);

/* ---- stream.c: streams in memory ---- */

/* A new one, known to the journal. */
struct journal_stream *journal_stream_add(struct journal *journal, uint32_t number);
void journal_stream_free(struct journal_stream *stream);
/* After recovery: segments will be opened from the one where the next record goes. */
void journal_stream_rewind(struct journal_stream *stream);
int journal_stream_extent_add(struct journal_stream *stream, struct extent extent,
			      struct fault *fault);
struct extent journal_stream_extent_at(const struct journal_stream *stream, uint64_t index);
/* The extent that holds the position; false where there is none. */
bool journal_stream_extent_find(const struct journal_stream *stream, uint64_t position,
				struct extent *ret_extent);
/* Opens or makes segments until room for two more is there. */
int journal_stream_extend(struct journal_stream *stream, struct fault *fault);
/* Makes durable what is written. A fault is final: the journal's `failure` tells it. */
int journal_stream_sync(struct journal_stream *stream, bool *ret_synced);
/* Makes ready the pages where the next records go. */
void journal_stream_warm(struct journal_stream *stream);

/* ---- recover.c ---- */

/* Finds, checks and repairs every stream of the folder. Changes nothing where any is damaged. */
int journal_recover(struct journal *journal, struct fault *fault);

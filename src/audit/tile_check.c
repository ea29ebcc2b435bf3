/* What tiles must be: worked out from the journal, level by level. */
#include "audit/audit_internal.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/log.h"

/* The leaves of [from, from + count) from the journal. */
static int hash_records(struct audit_log *log, uint64_t from, unsigned count,
			struct audit_hash *ret_hashes, struct fault *fault)
{
	struct journal_reader *reader;
	const struct journal_record *records;
	uint32_t got = 1;
	unsigned done = 0;
	int code = journal_reader_open(log->journal, log->stream, from, &reader, fault);

	if (code == FAULT_NOT_FOUND) {
		fault_prefix(fault, "the journal has lost what is in its log");
		return fault->code = FAULT_DAMAGED;
	}
	if (code < 0)
		return code;
	while (code == 0 && done < count && got > 0) {
		code = journal_reader_next(reader, count - done, &records, &got, fault);
		for (uint32_t i = 0; code == 0 && i < got; i++)
			ret_hashes[done++] = audit_hash_record(log->hasher, &records[i]);
	}
	journal_reader_close(reader);
	if (code == 0 && done < count)
		return fault_set(fault, FAULT_DAMAGED,
				 "the journal ends at record %" PRIu64 " of stream %" PRIu32
				 ", and its log goes on to %" PRIu64,
				 from + done, log->stream, from + count);
	return code;
}

/* From the tiles of the level below, or from the records. */
static int work_out(struct audit_log *log, unsigned level, uint64_t number, unsigned width,
		    struct audit_hash *ret_hashes, struct fault *fault)
{
	struct audit_hash below[AUDIT_TILE_WIDTH];
	int code = 0;

	if (level == 0)
		return hash_records(log, number * AUDIT_TILE_WIDTH, width, ret_hashes, fault);
	for (unsigned i = 0; code == 0 && i < width; i++) {
		code = audit_tile_get(log, level - 1, number * AUDIT_TILE_WIDTH + i,
				      AUDIT_TILE_WIDTH, below, fault);
		if (code == 0)
			ret_hashes[i] = audit_tree_fold(log->hasher, below, AUDIT_TILE_WIDTH);
	}
	return code;
}

int audit_tile_get(struct audit_log *log, unsigned level, uint64_t number, unsigned width,
		   struct audit_hash *ret_hashes, struct fault *fault)
{
	char path[TILE_PATH_MAX];
	int code = audit_tile_read(log->folder, level, number, width, ret_hashes, fault);

	if (code != FAULT_NOT_FOUND)
		return code;
	code = work_out(log, level, number, width, ret_hashes, fault);
	if (code == 0)
		code = audit_tile_write(log->folder, level, number, width, ret_hashes, fault);
	if (code < 0)
		return code;
	log->rebuilt++;
	audit_tile_path(level, number, width, path);
	log_event(LOG_WARN, "audit.tile_rebuilt", log_text("log", log->origin),
		  log_text("tile", path));
	return 0;
}

int audit_tile_check(struct audit_log *log, unsigned level, uint64_t number, unsigned width,
		     struct fault *fault)
{
	struct audit_hash stored[AUDIT_TILE_WIDTH];
	struct audit_hash wanted[AUDIT_TILE_WIDTH];
	char path[TILE_PATH_MAX];
	int code = audit_tile_get(log, level, number, width, stored, fault);

	if (code == 0)
		code = work_out(log, level, number, width, wanted, fault);
	for (unsigned i = 0; code == 0 && i < width; i++) {
		if (audit_hash_equal(&stored[i], &wanted[i]))
			continue;
		audit_tile_path(level, number, width, path);
		const uint64_t index = number * AUDIT_TILE_WIDTH + i;
		if (level == 0)
			return fault_set(fault, FAULT_DAMAGED,
					 "%s/%s: hash %u is not that of record %" PRIu64
					 " in the journal's stream %" PRIu32
					 ": one of the two was changed",
					 log->folder, path, i, index, log->stream);
		return fault_set(fault, FAULT_DAMAGED,
				 "%s/%s: hash %u is not that of tile %" PRIu64
				 " below it: one of the two was changed",
				 log->folder, path, i, index);
	}
	return code;
}

int audit_path_check(struct audit_log *log, uint64_t size, uint64_t index, struct fault *fault)
{
	int code = 0;

	for (unsigned level = 0; code == 0 && level < LEVELS_MAX; level++) {
		const uint64_t number = (index >> (8 * level)) / AUDIT_TILE_WIDTH;
		const unsigned width = audit_tile_width(size, level, number);
		if (width > 0)
			code = audit_tile_check(log, level, number, width, fault);
	}
	return code;
}

int audit_log_note_damage(struct audit_log *log, int code, const struct fault *fault)
{
	if (code == FAULT_DAMAGED && !log->damaged) {
		log->damaged = true;
		log->damage = *fault;
		log_event(LOG_ERROR, "audit.damaged", log_text("log", log->origin),
			  log_text("fault", fault->text));
	}
	return code;
}

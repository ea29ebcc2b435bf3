/* A log: takes in records, keeps the tree's right edge, signs heads. */
#include "audit/audit_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"

#define BATCH_RECORDS   4096 /* taken in under the lock at once: some milliseconds */
#define CHECKPOINT_MODE 0600

/* ---- the right edge ---- */

/* The root of what the edges hold: each level's hashes are the roots of full subtrees, the
 * largest to the left. */
static struct audit_hash root_of_edges(struct audit_log *log)
{
	struct audit_hash root;
	bool begun = false;

	for (unsigned level = 0; level < LEVELS_MAX; level++) {
		const struct audit_edge *edge = &log->edges[level];
		for (unsigned left = edge->width; left > 0;) {
			const unsigned count = left & -left;
			left -= count;
			const struct audit_hash part =
				audit_tree_fold(log->hasher, edge->hashes + left, count);
			root = begun ? audit_hash_node(log->hasher, &part, &root) : part;
			begun = true;
		}
	}
	return begun ? root : audit_tree_empty(log->hasher);
}

/* Writes the tile that became full and passes its root on to the level above. */
static int pass_on(struct audit_log *log, unsigned level, struct fault *fault)
{
	struct audit_edge *edge = &log->edges[level];
	struct audit_edge *above = &log->edges[level + 1];

	check(level + 1 < LEVELS_MAX);
	if (edge->width < AUDIT_TILE_WIDTH)
		return 0;
	const int code = audit_tile_write(log->folder, level, edge->number, AUDIT_TILE_WIDTH,
					  edge->hashes, fault);
	if (code < 0)
		return code;
	if (edge->written > 0)
		audit_tile_remove_partial(log->folder, level, edge->number);
	above->hashes[above->width++] =
		audit_tree_fold(log->hasher, edge->hashes, AUDIT_TILE_WIDTH);
	edge->number++;
	edge->width = 0;
	edge->written = 0;
	return pass_on(log, level + 1, fault);
}

/* Tiles that could not be written when they became full. */
static int pass_on_full(struct audit_log *log, struct fault *fault)
{
	int code = 0;

	for (unsigned level = LEVELS_MAX - 1; code == 0 && level-- > 0;)
		code = pass_on(log, level, fault);
	return code;
}

static int write_partial(struct audit_log *log, struct fault *fault)
{
	int code = 0;

	for (unsigned level = 0; code == 0 && level < LEVELS_MAX; level++) {
		struct audit_edge *edge = &log->edges[level];
		if (edge->width == edge->written)
			continue;
		code = audit_tile_write(log->folder, level, edge->number, edge->width, edge->hashes,
					fault);
		if (code == 0)
			edge->written = edge->width;
	}
	return code;
}

/* ---- heads ---- */

static int checkpoint_path(const struct audit_log *log, char path[AUDIT_PATH_MAX],
			   struct fault *fault)
{
	if (snprintf(path, AUDIT_PATH_MAX, "%s/checkpoint", log->folder) < AUDIT_PATH_MAX)
		return 0;
	return fault_set(fault, FAULT_INPUT, "the path of the log in %s is too long", log->folder);
}

static int sign_head(struct audit_log *log, struct fault *fault)
{
	struct audit_signed_head next = {.head.size = log->size, .head.root = root_of_edges(log)};
	char path[AUDIT_PATH_MAX];
	int code = checkpoint_path(log, path, fault);

	if (code < 0)
		return code;
	memcpy(next.head.origin, log->origin, sizeof(log->origin));
	audit_checkpoint_sign(log->signer, &next.head, next.note);
	code = disk_write_file(path, CHECKPOINT_MODE, next.note, strlen(next.note), fault);
	if (code == 0)
		log->signed_head = next;
	return code;
}

/* ---- taking in ---- */

static int open_reader(struct audit_log *log, struct fault *fault)
{
	if (log->reader != NULL)
		return 0;
	const int code =
		journal_reader_open(log->journal, log->stream, log->size, &log->reader, fault);
	if (code != FAULT_NOT_FOUND)
		return code;
	fault_prefix(fault, "the journal has lost what is in its log");
	return fault->code = FAULT_DAMAGED;
}

static int take_batch(struct audit_log *log, uint32_t most, uint32_t *ret_count,
		      struct fault *fault)
{
	struct audit_edge *leaves = &log->edges[0];
	const struct journal_record *records;
	uint32_t count;
	int code = pass_on_full(log, fault);

	if (code == 0)
		code = open_reader(log, fault);
	if (code == 0)
		code = journal_reader_next_durable(log->reader, most, &records, &count, fault);
	if (code < 0)
		return code;
	for (uint32_t i = 0; code == 0 && i < count; i++) {
		check_equal(records[i].position, log->size);
		leaves->hashes[leaves->width++] = audit_hash_record(log->hasher, &records[i]);
		log->size++;
		code = pass_on(log, 0, fault);
	}
	if (code < 0) { /* the reader stands behind what was taken in */
		journal_reader_close(log->reader);
		log->reader = NULL;
		return code;
	}
	*ret_count = count;
	return 0;
}

static int seal(struct audit_log *log, struct fault *fault)
{
	int code = 0;

	if (log->size == log->signed_head.head.size)
		return 0;
	code = write_partial(log, fault);
	return code < 0 ? code : sign_head(log, fault);
}

static void enter(struct audit_log *log)
{
	check_equal(pthread_mutex_lock(&log->lock), 0);
}

static void leave(struct audit_log *log)
{
	check_equal(pthread_mutex_unlock(&log->lock), 0);
}

static int told_damage(const struct audit_log *log, struct fault *fault)
{
	*fault = log->damage;
	return fault->code;
}

int audit_log_advance(struct audit_log *log, uint64_t most, uint64_t *ret_taken,
		      struct fault *fault)
{
	uint64_t taken = 0;
	uint32_t count = 1;
	int code = 0;

	while (code == 0 && taken < most && count > 0) {
		const uint64_t left = most - taken;
		enter(log);
		code = log->damaged
			       ? told_damage(log, fault)
			       : take_batch(log,
					    left < BATCH_RECORDS ? (uint32_t)left : BATCH_RECORDS,
					    &count, fault);
		audit_log_note_damage(log, code, fault);
		leave(log);
		taken += code == 0 ? count : 0;
	}
	enter(log);
	if (code == 0)
		code = seal(log, fault);
	leave(log);
	if (code == 0)
		*ret_taken = taken;
	return code;
}

/* ---- opening ---- */

static int load_edges(struct audit_log *log, struct fault *fault)
{
	int code = 0;

	for (unsigned level = 0; code == 0 && level < LEVELS_MAX; level++) {
		struct audit_edge *edge = &log->edges[level];
		edge->number = log->size >> (8 * level) >> 8;
		edge->width = (unsigned)(log->size >> (8 * level)) & (AUDIT_TILE_WIDTH - 1);
		edge->written = edge->width;
		if (edge->width > 0)
			code = audit_tile_get(log, level, edge->number, edge->width, edge->hashes,
					      fault);
	}
	return code;
}

/* Edge and last records must be what was signed; where they are not, the tiles say what differs. */
static int check_edges(struct audit_log *log, struct fault *fault)
{
	const struct audit_hash root = root_of_edges(log);

	if (log->size == 0)
		return 0;
	const uint64_t last = (log->size - 1) / AUDIT_TILE_WIDTH;
	int code = audit_tile_check(log, 0, last, audit_tile_width(log->size, 0, last), fault);
	if (code < 0 || audit_hash_equal(&root, &log->signed_head.head.root))
		return code;
	for (unsigned level = 0; code == 0 && level < LEVELS_MAX; level++) {
		if (log->edges[level].width > 0)
			code = audit_tile_check(log, level, log->edges[level].number,
						log->edges[level].width, fault);
	}
	if (code < 0)
		return code;
	return fault_set(fault, FAULT_DAMAGED,
			 "%s: the journal's first %" PRIu64 " records of stream %" PRIu32
			 " are not those that checkpoint was signed for",
			 log->folder, log->size, log->stream);
}

/* *ret_found false: nothing was ever signed. */
static int read_checkpoint(struct audit_log *log, bool *ret_found, struct fault *fault)
{
	struct audit_signed_head *head = &log->signed_head;
	char path[AUDIT_PATH_MAX];
	char *text;
	size_t length;
	int code = checkpoint_path(log, path, fault);

	*ret_found = false;
	if (code == 0)
		code = disk_read_file(path, AUDIT_CHECKPOINT_MAX - 1, &text, &length, fault);
	if (code < 0)
		return code == FAULT_NOT_FOUND ? 0 : code;
	code = audit_checkpoint_open(&log->signer->key, slice_make(text, length), &head->head,
				     fault);
	if (code == 0 && strcmp(head->head.origin, log->origin) != 0)
		code = fault_set(fault, FAULT_INPUT, "it is a checkpoint of %s, not of %s",
				 head->head.origin, log->origin);
	if (code == 0)
		memcpy(head->note, text, length + 1);
	free(text);
	if (code < 0) {
		fault_prefix(fault, "%s", path);
		return fault->code = FAULT_DAMAGED;
	}
	*ret_found = true;
	return 0;
}

static int recover(struct audit_log *log, struct fault *fault)
{
	bool found;
	int code = read_checkpoint(log, &found, fault);

	if (code < 0 || !found)
		return code;
	log->size = log->signed_head.head.size;
	if (log->size > journal_stream_head(log->journal, log->stream))
		return fault_set(fault, FAULT_DAMAGED,
				 "%s: checkpoint was signed for %" PRIu64
				 " records, and the journal's stream %" PRIu32 " has %" PRIu64,
				 log->folder, log->size, log->stream,
				 journal_stream_head(log->journal, log->stream));
	code = load_edges(log, fault);
	return code < 0 ? code : check_edges(log, fault);
}

int audit_log_open(const struct audit_log_options *options, struct audit_log **ret_log,
		   struct fault *fault)
{
	struct audit_log *log = calloc(1, sizeof(*log));

	check(log != NULL);
	log->journal = options->journal;
	log->stream = options->stream;
	log->signer = options->signer;
	log->folder = strdup(options->folder);
	log->hasher = audit_hasher_new();
	check(log->folder != NULL);
	check(slice_to_text(slice_of(options->origin), log->origin, sizeof(log->origin)));
	check_equal(pthread_mutex_init(&log->lock, NULL), 0);
	int code = disk_system()->folder_make(disk_system(), log->folder, 0700, fault);
	if (code == 0)
		code = recover(log, fault);
	/* Damage is told by whatever is asked of the log. */
	if (audit_log_note_damage(log, code, fault) == FAULT_DAMAGED)
		code = 0;
	if (code < 0) {
		audit_log_close(log);
		return code;
	}
	*ret_log = log;
	return 0;
}

void audit_log_close(struct audit_log *log)
{
	if (log == NULL)
		return;
	if (log->reader != NULL)
		journal_reader_close(log->reader);
	audit_hasher_free(log->hasher);
	pthread_mutex_destroy(&log->lock);
	free(log->folder);
	free(log);
}

/* ---- looking ---- */

void audit_log_head(struct audit_log *log, struct audit_signed_head *ret_head)
{
	enter(log);
	*ret_head = log->signed_head;
	leave(log);
}

bool audit_log_is_damaged(struct audit_log *log, struct fault *ret_fault)
{
	enter(log);
	const bool damaged = log->damaged;
	if (damaged)
		*ret_fault = log->damage;
	leave(log);
	return damaged;
}

uint64_t audit_log_rebuilt(struct audit_log *log)
{
	enter(log);
	const uint64_t rebuilt = log->rebuilt;
	leave(log);
	return rebuilt;
}

int audit_log_tile_read(struct audit_log *log, unsigned level, uint64_t number, unsigned width,
			struct audit_hash hashes[AUDIT_TILE_WIDTH], struct fault *fault)
{
	enter(log);
	const uint64_t size = log->signed_head.head.size;
	int code = 0;
	if (width == 0 || level >= LEVELS_MAX || width > audit_tile_width(size, level, number))
		code = fault_set(fault, FAULT_NOT_FOUND,
				 "the log of %" PRIu64 " records has no such tile", size);
	else
		code = audit_tile_get(log, level, number, width, hashes, fault);
	audit_log_note_damage(log, code, fault);
	leave(log);
	return code;
}

/* The next tile of the patrol; false at the end of a round. */
static bool patrol_next(struct audit_log *log, unsigned *ret_width)
{
	const uint64_t size = log->signed_head.head.size;

	for (; log->patrol_level < LEVELS_MAX; log->patrol_level++, log->patrol_number = 0) {
		*ret_width = audit_tile_width(size, log->patrol_level, log->patrol_number);
		if (*ret_width > 0)
			return true;
	}
	log->patrol_level = 0;
	return false;
}

int audit_log_patrol(struct audit_log *log, uint32_t most, struct fault *fault)
{
	unsigned width;
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < most; i++) {
		enter(log);
		const bool found = !log->damaged && patrol_next(log, &width);
		if (found)
			code = audit_tile_check(log, log->patrol_level, log->patrol_number++, width,
						fault);
		audit_log_note_damage(log, code, fault);
		leave(log);
		if (!found)
			break;
	}
	return code;
}

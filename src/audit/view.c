/* Proofs of a log at one of its heads, from its tiles. */
#include "audit/audit_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"

/* The tile that was read last at a level. */
struct seen_tile {
	uint64_t number;
	unsigned width; /* 0: none */
	struct audit_hash hashes[AUDIT_TILE_WIDTH];
};

struct audit_view {
	struct audit_log *log;
	struct audit_hasher *hasher;
	struct audit_signed_head head;
	struct seen_tile tiles[LEVELS_MAX];
};

int audit_view_open(struct audit_log *log, struct audit_view **ret_view, struct fault *fault)
{
	if (audit_log_is_damaged(log, fault))
		return fault->code;
	struct audit_view *view = calloc(1, sizeof(*view));

	check(view != NULL);
	view->log = log;
	view->hasher = audit_hasher_new();
	audit_log_head(log, &view->head);
	*ret_view = view;
	return 0;
}

void audit_view_close(struct audit_view *view)
{
	if (view == NULL)
		return;
	audit_hasher_free(view->hasher);
	free(view);
}

const struct audit_signed_head *audit_view_head(const struct audit_view *view)
{
	return &view->head;
}

static int see_tile(struct audit_view *view, unsigned level, uint64_t number,
		    const struct seen_tile **ret_tile, struct fault *fault)
{
	struct seen_tile *tile = &view->tiles[level];
	const unsigned width = audit_tile_width(view->head.head.size, level, number);

	check(width > 0);
	if (tile->width == 0 || tile->number != number) {
		tile->width = 0;
		const int code =
			audit_log_tile_read(view->log, level, number, width, tile->hashes, fault);
		if (code < 0)
			return code;
		tile->number = number;
		tile->width = width;
	}
	*ret_tile = tile;
	return 0;
}

/* Of 2^height leaves from `from` on, a multiple of that. */
static int full_subtree(struct audit_view *view, uint64_t from, unsigned height,
			struct audit_hash *ret_hash, struct fault *fault)
{
	const unsigned level = height / 8;
	const uint64_t first = from >> (8 * level); /* among the level's nodes */
	const unsigned count = 1u << (height % 8);
	const unsigned offset = (unsigned)(first % AUDIT_TILE_WIDTH);
	const struct seen_tile *tile;
	const int code = see_tile(view, level, first / AUDIT_TILE_WIDTH, &tile, fault);

	if (code < 0)
		return code;
	check_at_most(offset + count, tile->width);
	*ret_hash = audit_tree_fold(view->hasher, tile->hashes + offset, count);
	return 0;
}

int audit_view_subtree(struct audit_view *view, uint64_t from, uint64_t to,
		       struct audit_hash *ret_hash, struct fault *fault)
{
	const uint64_t count = to - from;
	struct audit_hash left;
	struct audit_hash right;

	check(from < to && to <= view->head.head.size);
	if ((count & (count - 1)) == 0)
		return full_subtree(view, from, (unsigned)__builtin_ctzll(count), ret_hash, fault);
	const uint64_t middle = audit_tree_split(from, to);
	int code = audit_view_subtree(view, from, middle, &left, fault);
	if (code == 0)
		code = audit_view_subtree(view, middle, to, &right, fault);
	if (code == 0)
		*ret_hash = audit_hash_node(view->hasher, &left, &right);
	return code;
}

/* Of the leaf within [from, to); appends what stands beside it, from below. */
static int collect_proof(struct audit_view *view, uint64_t index, uint64_t from, uint64_t to,
			 struct audit_hash proof[AUDIT_PROOF_MAX], size_t *length,
			 struct fault *fault)
{
	if (to - from == 1)
		return 0;
	const uint64_t middle = audit_tree_split(from, to);
	const bool left = index < middle;
	const int code = collect_proof(view, index, left ? from : middle, left ? middle : to, proof,
				       length, fault);

	if (code < 0)
		return code;
	check(*length < AUDIT_PROOF_MAX);
	return audit_view_subtree(view, left ? middle : from, left ? to : middle,
				  &proof[(*length)++], fault);
}

static int tell_what_differs(struct audit_view *view, uint64_t index, struct fault *fault)
{
	struct audit_log *log = view->log;

	check_equal(pthread_mutex_lock(&log->lock), 0);
	int code = audit_path_check(log, view->head.head.size, index, fault);
	if (code == 0)
		code = fault_set(fault, FAULT_DAMAGED,
				 "%s: record %" PRIu64 " is not in the tree that was signed",
				 log->folder, index);
	audit_log_note_damage(log, code, fault);
	check_equal(pthread_mutex_unlock(&log->lock), 0);
	return code;
}

int audit_view_prove(struct audit_view *view, const struct journal_record *record,
		     struct audit_hash proof[AUDIT_PROOF_MAX], size_t *ret_length,
		     struct fault *fault)
{
	const uint64_t size = view->head.head.size;
	struct audit_hash root;
	size_t length = 0;

	if (record->position >= size)
		return fault_set(fault, FAULT_NOT_FOUND,
				 "record %" PRIu64 " is not in the log yet; it has %" PRIu64,
				 record->position, size);
	const int code = collect_proof(view, record->position, 0, size, proof, &length, fault);
	if (code < 0)
		return code;
	const struct audit_hash leaf = audit_hash_record(view->hasher, record);
	if (!audit_tree_root_of(view->hasher, record->position, size, &leaf, proof, length,
				&root) ||
	    !audit_hash_equal(&root, &view->head.head.root))
		return tell_what_differs(view, record->position, fault);
	*ret_length = length;
	return 0;
}

/* What the files of the audit share: trees over ranges of leaves, and tiles. */
#pragma once

#include <pthread.h>

#include "audit/audit.h"

#define LEVELS_MAX     8 /* of tiles: 256^8 leaves */
#define TILE_PATH_MAX  64
#define AUDIT_PATH_MAX 4096

/* Exactly `length` bytes, written as base64 of RFC 4648 writes them. */
bool audit_base64_decode(struct slice text, void *bytes, size_t length);

/* ---- keys and notes ---- */

/* A key's secret half: AUDIT_SKEY_PREFIX "name+id+base64 of 0x01 and the seed". */
#define AUDIT_SKEY_PREFIX "PRIVATE+KEY+"
#define AUDIT_SKEY_MAX    (AUDIT_VKEY_MAX + sizeof(AUDIT_SKEY_PREFIX))

void audit_key_format_secret(const struct audit_signer *signer, char text[AUDIT_SKEY_MAX]);
bool audit_key_parse_secret(struct slice text, struct audit_signer *ret_signer);
/* Printable ASCII without spaces and '+', not empty. */
bool audit_name_is_good(struct slice name);
void audit_checkpoint_sign(const struct audit_signer *signer, const struct audit_head *head,
			   char ret_note[AUDIT_CHECKPOINT_MAX]);

/* ---- trees ---- */

/* Where the tree over the leaves [from, to), two or more, parts into its two subtrees. */
uint64_t audit_tree_split(uint64_t from, uint64_t to);
/* The root over so many (1 .. 256) nodes of one height. */
struct audit_hash audit_tree_fold(struct audit_hasher *hasher, const struct audit_hash *hashes,
				  unsigned count);

/* ---- tiles ---- */

/* How many hashes the tile has in a tree of this size: 0 .. 256. */
unsigned audit_tile_width(uint64_t size, unsigned level, uint64_t number);
/* "tile/0/x001/234" or "tile/0/x001/234.p/17". */
void audit_tile_path(unsigned level, uint64_t number, unsigned width, char path[TILE_PATH_MAX]);
/* Writes the file below `folder`, beside and renamed over; makes the folders above it. */
int audit_tile_write(const char *folder, unsigned level, uint64_t number, unsigned width,
		     const struct audit_hash *hashes, struct fault *fault);
/* Reads `width` hashes from the file of this width, or from a wider whole one. FAULT_NOT_FOUND
 * where there is none of the size that it must have. */
int audit_tile_read(const char *folder, unsigned level, uint64_t number, unsigned width,
		    struct audit_hash *ret_hashes, struct fault *fault);
/* Removes the partial ones of a tile that is whole. */
void audit_tile_remove_partial(const char *folder, unsigned level, uint64_t number);

/* ---- logs ---- */

/* The hashes at the right edge of one level: those of its tile that is not full. */
struct audit_edge {
	uint64_t number; /* of the tile */
	unsigned width;
	unsigned written; /* the width in which it stands in a file; 0: in none */
	struct audit_hash hashes[AUDIT_TILE_WIDTH];
};

struct audit_log {
	struct journal *journal;
	uint32_t stream;
	char *folder;
	char origin[AUDIT_NAME_MAX];
	const struct audit_signer *signer;
	/* Under the lock: */
	pthread_mutex_t lock;
	struct audit_hasher *hasher;
	struct journal_reader *reader; /* at `size`; NULL: not open */
	struct audit_edge edges[LEVELS_MAX];
	uint64_t size; /* records taken in */
	struct audit_signed_head signed_head;
	bool damaged;
	struct fault damage;
	uint64_t rebuilt;
	unsigned patrol_level;
	uint64_t patrol_number;
};

/* tile_check.c, under the lock: what the tiles must be, worked out from the journal. */

/* The tile from its file; built from what is below it, and written, where it is missing. */
int audit_tile_get(struct audit_log *log, unsigned level, uint64_t number, unsigned width,
		   struct audit_hash *ret_hashes, struct fault *fault);
/* Compares the tile with what is below it: FAULT_DAMAGED names what differs. */
int audit_tile_check(struct audit_log *log, unsigned level, uint64_t number, unsigned width,
		     struct fault *fault);
/* The same for those that a path from the leaf up to the root goes through. */
int audit_path_check(struct audit_log *log, uint64_t size, uint64_t index, struct fault *fault);
/* Marks the log damaged where the code says so, and hands it on. */
int audit_log_note_damage(struct audit_log *log, int code, const struct fault *fault);

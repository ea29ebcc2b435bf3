/*
 * audit: the journal as a transparency log, and what anybody can check with it.
 *
 * Each stream of the journal is a Merkle tree (RFC 6962, SHA-256): leaf i is the hash of the
 * record at position i, its 192 bytes as on disk. Only durable records enter, so a tree never
 * loses one. Its hashes are kept as C2SP tlog-tiles beside the journal, its head as a C2SP
 * checkpoint signed by the cloud's Ed25519 key; docs/receipts.md has every format byte by byte.
 *
 *	log	a stream's tree: takes in what became durable, signs its new head
 *	view	reads a log's tiles for proofs, at one size of the tree
 *	receipt	one record with its proof, a C2SP tlog-proof
 *
 * Tiles follow from the journal. One that is missing, or was cut short by a power cut, is built
 * again; one that is whole and says something else than the journal is damage, which is told
 * with its name and never repaired: either it or the journal was changed. A head is never signed
 * unless it is the one signed before, with more records behind it.
 *
 * Files, below the log's folder: `checkpoint`, `tile/<level>/<number>[.p/<width>]`.
 *
 * Faults: FAULT_DAMAGED for what is not as it was written or signed, FAULT_INPUT for a text that
 * somebody handed in, FAULT_SYSTEM for the disk.
 * Threads: a log's functions may be called from any; everything else belongs to one thread at a
 * time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/disk.h"
#include "base/fault.h"
#include "base/random.h"
#include "base/slice.h"
#include "base/text.h"
#include "journal/journal.h"
#include "rating/rating.h"

#define AUDIT_HASH_BYTES     32
#define AUDIT_HASH_TEXT_MAX  45          /* base64, with the NUL */
#define AUDIT_NAME_MAX       256         /* bytes of a key's name or an origin, with the NUL */
#define AUDIT_VKEY_MAX       352         /* of a public key's line, with the NUL */
#define AUDIT_NOTE_MAX       (64u << 10) /* of a note that is read */
#define AUDIT_CHECKPOINT_MAX 1024        /* of one that is written, with the NUL */
#define AUDIT_TILE_WIDTH     256
#define AUDIT_PROOF_MAX      64 /* hashes of an inclusion proof */

struct audit_hash {
	uint8_t bytes[AUDIT_HASH_BYTES];
};

bool audit_hash_equal(const struct audit_hash *a, const struct audit_hash *b);
void audit_hash_format(const struct audit_hash *hash, char text[AUDIT_HASH_TEXT_MAX]);
bool audit_hash_parse(struct slice text, struct audit_hash *ret_hash);

/* ---- hashing ---- */

/* A context of libcrypto, used again for every hash. */
struct audit_hasher;

struct audit_hasher *audit_hasher_new(void);
/* NULL is allowed. */
void audit_hasher_free(struct audit_hasher *hasher);
/* SHA-256 over 0x00 and the record's bytes. */
struct audit_hash audit_hash_record(struct audit_hasher *hasher,
				    const struct journal_record *record);
/* SHA-256 over 0x01 and both. */
struct audit_hash audit_hash_node(struct audit_hasher *hasher, const struct audit_hash *left,
				  const struct audit_hash *right);
/* Of a text of any length, piece by piece. */
void audit_hash_begin(struct audit_hasher *hasher);
void audit_hash_add(struct audit_hasher *hasher, struct slice bytes);
struct audit_hash audit_hash_end(struct audit_hasher *hasher);

/* ---- trees ---- */

/* The hash of a tree without a leaf: of nothing. */
struct audit_hash audit_tree_empty(struct audit_hasher *hasher);

/* Where an inclusion proof's root would be. False where the proof has the wrong length. */
bool audit_tree_root_of(struct audit_hasher *hasher, uint64_t index, uint64_t size,
			const struct audit_hash *leaf, const struct audit_hash *proof,
			size_t proof_length, struct audit_hash *ret_root);

/* ---- keys and notes (C2SP signed-note) ---- */

/* Who signs: one key a cloud, under the cloud's name. What it signs begins with that name and a
 * slash, and the signature stands under the note's whole first line, so that each log's key has
 * the log's name, as tools expect it. */
struct audit_key {
	char name[AUDIT_NAME_MAX];
	uint8_t public_key[32];
};

struct audit_signer {
	struct audit_key key;
	uint8_t secret_key[64];
};

/* "<name>+<key id, 8 hex digits>+<base64 of 0x01 and the public key>". */
void audit_key_format(const struct audit_key *key, char text[AUDIT_VKEY_MAX]);
int audit_key_parse(struct slice text, struct audit_key *ret_key, struct fault *fault);
/* The same key under another name, as tools want it that know one name a log. */
struct audit_key audit_key_named(const struct audit_key *key, const char *name);

/* What of the name a note may carry: letters, digits, '.', '_', '-' as they are, all else as
 * %XX. */
void audit_name_clean(struct slice name, char text[AUDIT_NAME_MAX]);

/* Reads FOLDER/log.key, or makes the key (under `name`, cleaned) where there is none; writes
 * FOLDER/log.pub where it is missing. Once made a key keeps its name. audit_signer_fini wipes. */
int audit_signer_load(const char *folder, const char *name, struct random *random,
		      struct audit_signer *ret_signer, struct fault *fault);
void audit_signer_fini(struct audit_signer *signer);

/* Appends the note: `text` (which ends with a newline), an empty line, the signature. */
void audit_note_sign(const struct audit_signer *signer, struct slice text, struct text *note);
/* Checks that the key signed the note under its first line, a name below the key's own;
 * *ret_text is what was signed, within `note`. */
int audit_note_open(const struct audit_key *key, struct slice note, struct slice *ret_text,
		    struct fault *fault);

/* ---- checkpoints (C2SP tlog-checkpoint) ---- */

struct audit_head {
	char origin[AUDIT_NAME_MAX];
	uint64_t size;
	struct audit_hash root;
};

/* Opens the note and reads it. */
int audit_checkpoint_open(const struct audit_key *key, struct slice note,
			  struct audit_head *ret_head, struct fault *fault);

/* ---- logs ---- */

struct audit_log;

struct audit_log_options {
	struct journal *journal;
	uint32_t stream;
	const char *folder;                /* the log's own; made where missing */
	const char *origin;                /* "<cloud>/node-1/journal-0" */
	const struct audit_signer *signer; /* outlives the log */
};

/* Reads the last head and checks it: its signature, that the journal still has its records, that
 * tiles and the last records give its root. */
int audit_log_open(const struct audit_log_options *options, struct audit_log **ret_log,
		   struct fault *fault);
void audit_log_close(struct audit_log *log);

/* Takes in up to `most` durable records and, when there was one, writes the tiles and signs the
 * new head. *ret_taken is how many it were. After a fault the same call goes on where it failed;
 * after FAULT_DAMAGED the log stays as it is for ever. */
int audit_log_advance(struct audit_log *log, uint64_t most, uint64_t *ret_taken,
		      struct fault *fault);
/* The next `most` tiles in turn: that they are there and are what the journal gives. Damage is
 * told, and the log signs no more. */
int audit_log_patrol(struct audit_log *log, uint32_t most, struct fault *fault);

/* The last head signed, and its note (NUL-terminated): "" before the first. */
struct audit_signed_head {
	struct audit_head head;
	char note[AUDIT_CHECKPOINT_MAX];
};
void audit_log_head(struct audit_log *log, struct audit_signed_head *ret_head);
/* Set once damage was found, in `fault`. */
bool audit_log_is_damaged(struct audit_log *log, struct fault *ret_fault);
/* Tiles that were missing or cut short and were built again, since it was opened. */
uint64_t audit_log_rebuilt(struct audit_log *log);

/* A tile's hashes as they stand in its file, of `width` (1 .. 256). FAULT_NOT_FOUND where the
 * head has no such tile. */
int audit_log_tile_read(struct audit_log *log, unsigned level, uint64_t number, unsigned width,
			struct audit_hash hashes[AUDIT_TILE_WIDTH], struct fault *fault);

/* ---- all logs of a node ---- */

struct audit_logs;

struct audit_logs_options {
	struct journal *journal;
	const char *folder; /* a stream's log is FOLDER/<stream> */
	uint32_t node;      /* origins are "<key's name>/node-<node>/journal-<stream>" */
	const struct audit_signer *signer;
};

/* A stream's log is opened when it has its first durable record. */
int audit_logs_open(const struct audit_logs_options *options, struct audit_logs **ret_logs,
		    struct fault *fault);
void audit_logs_close(struct audit_logs *logs);
/* Advances the stream's log; nothing where the stream has no record. */
int audit_logs_advance(struct audit_logs *logs, uint32_t stream, uint64_t most, uint64_t *ret_taken,
		       struct fault *fault);
/* NULL where the stream has none yet. */
struct audit_log *audit_logs_find(struct audit_logs *logs, uint32_t stream);
const struct audit_key *audit_logs_key(const struct audit_logs *logs);
const struct audit_signer *audit_logs_signer(const struct audit_logs *logs);

/* The record of a call, written by now: looked for among those that settled from a minute before
 * the call's own time on, `most` at the most, then among the million before them, for the clock may
 * have been set back. *ret_whole false: more follow those. FAULT_NOT_FOUND where it is in neither.
 */
int audit_call_find(struct journal *journal, uint32_t stream, struct call_id call, uint64_t most,
		    bool *ret_whole, struct journal_record *ret_record, struct fault *fault);

/* ---- views: proofs of a log at one of its heads ---- */

struct audit_view;

/* At the log's head. The log outlives it. */
int audit_view_open(struct audit_log *log, struct audit_view **ret_view, struct fault *fault);
void audit_view_close(struct audit_view *view);
const struct audit_signed_head *audit_view_head(const struct audit_view *view);
/* Of the subtree over the leaves [from, to), which is one of the tree's. */
int audit_view_subtree(struct audit_view *view, uint64_t from, uint64_t to,
		       struct audit_hash *ret_hash, struct fault *fault);
/* From the leaf's sibling up to the root's child. What it gives was checked against the root. */
int audit_view_prove(struct audit_view *view, const struct journal_record *record,
		     struct audit_hash proof[AUDIT_PROOF_MAX], size_t *ret_length,
		     struct fault *fault);

/* ---- records ---- */

#define AUDIT_RECORD_TEXT_MAX 257 /* base64, with the NUL */

void audit_record_format(const struct journal_record *record, char text[AUDIT_RECORD_TEXT_MAX]);
/* NULL where its checksum, version and reserved bytes are in order, else what is wrong. */
const char *audit_record_complaint(const struct journal_record *record);

/* What a record counts under a plan: capped quantities, and those of the rate card. False where
 * a number in it is out of range. */
bool audit_quantities_of(const struct rating_plan *plan, const struct journal_record *record,
			 struct rating_quantities *ret_call,
			 struct rating_cloud_quantities *ret_cloud_call);

/* ---- the parts of a tree that some of its leaves leave over ---- */

/* Walks a tree of `size` leaves from the left, and gives the largest subtrees without one of the
 * chosen leaves. Their hashes and those leaves give the root. */
struct audit_cover {
	struct audit_cover_part {
		uint64_t from;
		uint64_t to;
	} parts[2 * AUDIT_PROOF_MAX]; /* what is still to be walked, the next one last */
	unsigned part_count;
};

void audit_cover_begin(struct audit_cover *cover, uint64_t size);
/* The next subtree before the chosen leaf (or, from the last one on, before the end: `leaf` is the
 * size). False once the leaf, or the end, was reached. */
bool audit_cover_next(struct audit_cover *cover, uint64_t leaf, uint64_t *ret_from,
		      uint64_t *ret_to);

/* ---- receipts (C2SP tlog-proof) ---- */

/* Appends the record (as `extra`), its place, its proof and the checkpoint. */
int audit_receipt_make(struct audit_view *view, const struct journal_record *record,
		       struct text *receipt, struct fault *fault);
/* Checks all of it; a FAULT_INPUT says what is wrong. */
int audit_receipt_verify(struct slice receipt, const struct audit_key *key,
			 struct journal_record *ret_record, struct audit_head *ret_head,
			 struct fault *fault);
#define AUDIT_RECEIPT_FIRST_LINE "c2sp.org/tlog-proof@v1"

/* ---- bills ---- */

/* docs/receipts.md: a JSON document that ends in AUDIT_BILL_SIGNATURE and a note under the name of
 * the key and AUDIT_BILL_ORIGIN, which signs the hash of all that stands before. */
#define AUDIT_BILL_FORMAT    "stoa-bill/1"
#define AUDIT_BILL_ORIGIN    "/bill"
#define AUDIT_BILL_SIGNATURE ",\n\"signature\":"
#define AUDIT_OPERATOR       "operator" /* the account that earns cloud and fee */
#define AUDIT_BILL_MAX       (1u << 30) /* bytes of one: some four million calls */
#define AUDIT_POINTER_MAX    256

/* What a bill says, once it was checked. */
struct audit_bill {
	char cloud[AUDIT_NAME_MAX];
	char currency[8];
	char account[136];         /* whose it is */
	char made[CLOCK_TEXT_MAX]; /* when */
	uint32_t month;
	int64_t total_nano;
	uint64_t lines;
	uint64_t calls; /* that begin in it: a later part of a long one is none of its own */
};

/* The first thing that is wrong with one. */
struct audit_complaint {
	char pointer[AUDIT_POINTER_MAX]; /* where, a JSON pointer (RFC 6901) */
	char reason[FAULT_TEXT_MAX];     /* one sentence, no full stop */
};

/* Who waits for a long bill. */
struct audit_progress {
	/* So many bytes of the file were looked at; called every few thousand records. */
	void (*tell)(void *context, size_t bytes);
	void *context;
};

/* Whether all of it holds: every record is whole, of the account and the month, in a tree that the
 * key signed, and there once; quantities, lines and total are what the records come to under the
 * terms that the bill states; and the key signed the bill as it stands. Nothing but the two is
 * looked at. `progress` may be NULL. The file may be anything; memory is bounded by its largest
 * value, its terms and lines, and 16 bytes a record. */
bool audit_bill_verify(struct slice file, const struct audit_key *key,
		       const struct audit_progress *progress, struct audit_bill *ret_bill,
		       struct audit_complaint *ret_complaint);

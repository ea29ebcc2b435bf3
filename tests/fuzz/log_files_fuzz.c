/* What a log reads of its own folder: a checkpoint that its key signed, whatever is in it, and
 * tiles of any size. */
#include "replay.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/audit_internal.h"
#include "base/check.h"
#include "base/text.h"
#include "scratch_folder.h"

static const struct audit_signer *signer_of_test(void)
{
	static const uint8_t seed[crypto_sign_ed25519_SEEDBYTES] = {7};
	static struct audit_signer signer;

	snprintf(signer.key.name, sizeof(signer.key.name), "test");
	crypto_sign_ed25519_seed_keypair(signer.key.public_key, signer.secret_key, seed);
	return &signer;
}

static void read_checkpoint(struct slice body)
{
	const struct audit_signer *signer = signer_of_test();
	const size_t line = slice_find_byte(body, '\n', 0);
	char again[AUDIT_CHECKPOINT_MAX];
	struct audit_head head, same;
	struct fault fault = {0};
	struct text note;

	/* What a signer signs: its first line is a name, its last one is whole. */
	if (!audit_name_is_good(slice_part(body, 0, line)) ||
	    !slice_ends_with(body, slice_of("\n")))
		return;
	text_init(&note, AUDIT_NOTE_MAX);
	audit_note_sign(signer, body, &note);
	const int code =
		note.failed ? FAULT_INPUT
			    : audit_checkpoint_open(&signer->key, text_slice(&note), &head, &fault);
	if (code == 0) {
		check(head.size <= INT64_MAX);
		audit_checkpoint_sign(signer, &head, again);
		check_equal(audit_checkpoint_open(&signer->key, slice_of(again), &same, &fault), 0);
		check(strcmp(head.origin, same.origin) == 0 && head.size == same.size);
		check(memcmp(&head.root, &same.root, sizeof(head.root)) == 0);
	} else {
		check_equal(code, FAULT_INPUT);
		check(note.failed || fault.text[0] != '\0');
	}
	text_fini(&note);
}

/* A tile's file has the hashes of its width, or it is none. */
static void read_tile(struct slice body)
{
	struct audit_hash hashes[AUDIT_TILE_WIDTH];
	char folder[256], path[TILE_PATH_MAX];
	struct fault fault;

	snprintf(folder, sizeof(folder), "%s/tile", scratch_folder());
	mkdir(folder, 0700);
	snprintf(folder, sizeof(folder), "%s/tile/0", scratch_folder());
	mkdir(folder, 0700);
	audit_tile_path(0, 7, AUDIT_TILE_WIDTH, path);
	scratch_file(path, body, (struct slice){0});
	const int code = audit_tile_read(scratch_folder(), 0, 7, AUDIT_TILE_WIDTH, hashes, &fault);
	check((code == 0) == (body.length == sizeof(hashes)));
	check(code == 0 ? memcmp(hashes, body.data, sizeof(hashes)) == 0 : code == FAULT_NOT_FOUND);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_checkpoint(slice_make(data, size));
	read_tile(slice_make(data, size));
	return 0;
}

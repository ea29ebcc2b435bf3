/* C2SP signed-note and tlog-checkpoint. */
#include "audit/audit_internal.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define ED25519_TYPE       0x01
#define KEY_ID_BYTES       4
#define PUBLIC_BYTES       32
#define SIGNATURE_MARK     "\xE2\x80\x94 " /* em dash, space */
#define SIGNATURE_TEXT_MAX 96              /* base64 of 68 bytes, with the NUL */

static_assert(crypto_sign_ed25519_PUBLICKEYBYTES == PUBLIC_BYTES, "an Ed25519 key");

bool audit_name_is_good(struct slice name)
{
	if (name.length == 0 || name.length >= AUDIT_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.length; i++) {
		const unsigned char byte = (unsigned char)name.data[i];
		if (byte <= ' ' || byte >= 0x7f || byte == '+')
			return false;
	}
	return true;
}

void audit_name_clean(struct slice name, char text[AUDIT_NAME_MAX])
{
	size_t used = 0;

	for (size_t i = 0; i < name.length && used + 4 < AUDIT_NAME_MAX; i++) {
		const unsigned char byte = (unsigned char)name.data[i];
		if ((byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
		    (byte >= 'a' && byte <= 'z') || (byte != 0 && strchr("._-", byte) != NULL))
			text[used++] = (char)byte;
		else
			used += (size_t)snprintf(text + used, AUDIT_NAME_MAX - used, "%%%02X",
						 byte);
	}
	if (used == 0)
		text[used++] = '_';
	text[used] = '\0';
}

/* ---- keys ---- */

/* The first four bytes of SHA-256 over name, newline, type and public key. */
static void key_id_of(struct slice name, const uint8_t public_key[PUBLIC_BYTES],
		      uint8_t ret_id[KEY_ID_BYTES])
{
	static const uint8_t between[2] = {'\n', ED25519_TYPE};
	uint8_t digest[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const uint8_t *)name.data, name.length);
	crypto_hash_sha256_update(&state, between, sizeof(between));
	crypto_hash_sha256_update(&state, public_key, PUBLIC_BYTES);
	crypto_hash_sha256_final(&state, digest);
	memcpy(ret_id, digest, KEY_ID_BYTES);
}

static void format_key(const struct audit_key *key, const uint8_t bytes[PUBLIC_BYTES], char *text,
		       size_t text_bytes_max)
{
	uint8_t id[KEY_ID_BYTES];
	uint8_t typed[1 + PUBLIC_BYTES] = {ED25519_TYPE};
	char id_text[2 * KEY_ID_BYTES + 1];
	char base64[64];

	key_id_of(slice_of(key->name), key->public_key, id);
	memcpy(typed + 1, bytes, PUBLIC_BYTES);
	text_hex(id, sizeof(id), id_text);
	sodium_bin2base64(base64, sizeof(base64), typed, sizeof(typed),
			  sodium_base64_VARIANT_ORIGINAL);
	const int length = snprintf(text, text_bytes_max, "%s+%s+%s", key->name, id_text, base64);
	check((size_t)length < text_bytes_max);
	sodium_memzero(typed, sizeof(typed));
	sodium_memzero(base64, sizeof(base64));
}

void audit_key_format(const struct audit_key *key, char text[AUDIT_VKEY_MAX])
{
	format_key(key, key->public_key, text, AUDIT_VKEY_MAX);
}

void audit_key_format_secret(const struct audit_signer *signer, char text[AUDIT_SKEY_MAX])
{
	const size_t used = (size_t)snprintf(text, AUDIT_SKEY_MAX, AUDIT_SKEY_PREFIX);

	/* Its first half is the seed (RFC 8032), the other the public key. */
	format_key(&signer->key, signer->secret_key, text + used, AUDIT_SKEY_MAX - used);
}

/* "name+id+base64" with whichever 32 bytes; the id is not looked at. */
static bool parse_key(struct slice text, char name[AUDIT_NAME_MAX], uint8_t ret_id[KEY_ID_BYTES],
		      uint8_t ret_bytes[PUBLIC_BYTES])
{
	uint8_t typed[1 + PUBLIC_BYTES];
	struct slice name_part;
	struct slice id_part;

	if (!slice_cut(&text, '+', &name_part) || !audit_name_is_good(name_part) ||
	    !slice_cut(&text, '+', &id_part) || id_part.length != 2 * KEY_ID_BYTES ||
	    !text_from_hex(id_part, ret_id, KEY_ID_BYTES) ||
	    !audit_base64_decode(text, typed, sizeof(typed)) || typed[0] != ED25519_TYPE)
		return false;
	memcpy(ret_bytes, typed + 1, PUBLIC_BYTES);
	sodium_memzero(typed, sizeof(typed));
	return slice_to_text(name_part, name, AUDIT_NAME_MAX);
}

static bool id_is_of(const uint8_t id[KEY_ID_BYTES], struct slice name,
		     const uint8_t public_key[PUBLIC_BYTES])
{
	uint8_t wanted[KEY_ID_BYTES];

	key_id_of(name, public_key, wanted);
	return memcmp(id, wanted, KEY_ID_BYTES) == 0;
}

int audit_key_parse(struct slice text, struct audit_key *ret_key, struct fault *fault)
{
	struct audit_key key;
	uint8_t id[KEY_ID_BYTES];
	char shown[TEXT_SHOWN_MAX];

	if (!parse_key(text, key.name, id, key.public_key) ||
	    !id_is_of(id, slice_of(key.name), key.public_key))
		return fault_set(fault, FAULT_INPUT,
				 "\"%s\" is no public key of a log: `name+id+base64`, as log.pub "
				 "in the cloud's folder has it",
				 text_show(text, shown));
	*ret_key = key;
	return 0;
}

bool audit_key_parse_secret(struct slice text, struct audit_signer *ret_signer)
{
	const struct slice prefix = slice_of(AUDIT_SKEY_PREFIX);
	struct audit_signer signer;
	uint8_t id[KEY_ID_BYTES];
	uint8_t seed[crypto_sign_ed25519_SEEDBYTES];

	if (!slice_starts_with(text, prefix) ||
	    !parse_key(slice_part(text, prefix.length, text.length), signer.key.name, id, seed))
		return false;
	crypto_sign_ed25519_seed_keypair(signer.key.public_key, signer.secret_key, seed);
	sodium_memzero(seed, sizeof(seed));
	const bool good = id_is_of(id, slice_of(signer.key.name), signer.key.public_key);
	if (good)
		*ret_signer = signer;
	sodium_memzero(&signer, sizeof(signer));
	return good;
}

struct audit_key audit_key_named(const struct audit_key *key, const char *name)
{
	struct audit_key named = *key;

	check(slice_to_text(slice_of(name), named.name, sizeof(named.name)));
	return named;
}

/* ---- signing ---- */

static struct slice first_line(struct slice text)
{
	return slice_part(text, 0, slice_find_byte(text, '\n', 0));
}

void audit_note_sign(const struct audit_signer *signer, struct slice text, struct text *note)
{
	uint8_t signature[KEY_ID_BYTES + crypto_sign_ed25519_BYTES];
	char base64[SIGNATURE_TEXT_MAX];
	const struct slice origin = first_line(text);

	check(audit_name_is_good(origin));
	check(slice_ends_with(text, slice_of("\n")));
	key_id_of(origin, signer->key.public_key, signature);
	crypto_sign_ed25519_detached(signature + KEY_ID_BYTES, NULL, (const uint8_t *)text.data,
				     text.length, signer->secret_key);
	sodium_bin2base64(base64, sizeof(base64), signature, sizeof(signature),
			  sodium_base64_VARIANT_ORIGINAL);
	text_append(note, text);
	text_printf(note, "\n" SIGNATURE_MARK "%.*s %s\n", SLICE_ARGS(origin), base64);
}

/* ---- opening ---- */

enum verdict { NOT_OURS, SIGNED, FORGED };

static enum verdict judge_signature(const struct audit_key *key, struct slice text,
				    struct slice line)
{
	uint8_t signature[KEY_ID_BYTES + crypto_sign_ed25519_BYTES];
	struct slice name;

	if (!slice_cut(&line, ' ', &name) || !slice_equal(name, first_line(text)) ||
	    !audit_base64_decode(line, signature, sizeof(signature)) ||
	    !id_is_of(signature, name, key->public_key))
		return NOT_OURS;
	return crypto_sign_ed25519_verify_detached(signature + KEY_ID_BYTES,
						   (const uint8_t *)text.data, text.length,
						   key->public_key) == 0
		       ? SIGNED
		       : FORGED;
}

/* Where the last empty line ends the text; the note's length where there is none. */
static size_t text_end(struct slice note)
{
	for (size_t at = note.length; at >= 2; at--) {
		if (note.data[at - 1] == '\n' && note.data[at - 2] == '\n')
			return at - 1;
	}
	return note.length;
}

static bool is_below(struct slice origin, const char *name)
{
	const size_t length = strlen(name);

	return origin.length > length + 1 && origin.data[length] == '/' &&
	       slice_starts_with(origin, slice_of(name));
}

static bool has_only_lines(struct slice note)
{
	for (size_t i = 0; i < note.length; i++) {
		if ((unsigned char)note.data[i] < ' ' && note.data[i] != '\n')
			return false;
	}
	return note.length > 0 && note.length <= AUDIT_NOTE_MAX &&
	       note.data[note.length - 1] == '\n';
}

int audit_note_open(const struct audit_key *key, struct slice note, struct slice *ret_text,
		    struct fault *fault)
{
	const struct slice mark = slice_of(SIGNATURE_MARK);
	enum verdict verdict = NOT_OURS;
	struct slice line;
	char shown[TEXT_SHOWN_MAX];

	if (!has_only_lines(note))
		return fault_set(fault, FAULT_INPUT, "the note is not lines of text");
	const size_t end = text_end(note);
	const struct slice text = slice_part(note, 0, end);
	struct slice rest = slice_part(note, end + 1, note.length > end ? note.length : end + 1);
	if (end == note.length || rest.length == 0)
		return fault_set(fault, FAULT_INPUT, "the note has no signature");
	const struct slice origin = first_line(text);
	if (!audit_name_is_good(origin) || !is_below(origin, key->name))
		return fault_set(fault, FAULT_INPUT, "\"%s\" is not a log of the key's cloud, %s",
				 text_show(origin, shown), key->name);
	while (slice_cut(&rest, '\n', &line)) {
		if (!slice_starts_with(line, mark))
			return fault_set(fault, FAULT_INPUT,
					 "a line behind the note's text is no signature");
		const enum verdict found =
			judge_signature(key, text, slice_part(line, mark.length, line.length));
		if (found == FORGED)
			return fault_set(fault, FAULT_INPUT,
					 "the signature of %s does not fit the text above it",
					 text_show(origin, shown));
		verdict = found == SIGNED ? SIGNED : verdict;
	}
	if (verdict != SIGNED)
		return fault_set(fault, FAULT_INPUT, "no signature of %s is by the given key",
				 text_show(origin, shown));
	*ret_text = text;
	return 0;
}

/* ---- checkpoints ---- */

void audit_checkpoint_sign(const struct audit_signer *signer, const struct audit_head *head,
			   char ret_note[AUDIT_CHECKPOINT_MAX])
{
	char root[AUDIT_HASH_TEXT_MAX];
	struct text body;
	struct text note;

	audit_hash_format(&head->root, root);
	text_init(&body, AUDIT_CHECKPOINT_MAX);
	text_init(&note, AUDIT_CHECKPOINT_MAX);
	text_printf(&body, "%s\n%" PRIu64 "\n%s\n", head->origin, head->size, root);
	audit_note_sign(signer, text_slice(&body), &note);
	check(!body.failed && !note.failed);
	check(slice_to_text(text_slice(&note), ret_note, AUDIT_CHECKPOINT_MAX));
	text_fini(&body);
	text_fini(&note);
}

int audit_checkpoint_open(const struct audit_key *key, struct slice note,
			  struct audit_head *ret_head, struct fault *fault)
{
	struct audit_head head = {0};
	struct slice text;
	struct slice origin;
	struct slice size = {0};
	struct slice root = {0};
	const int code = audit_note_open(key, note, &text, fault);

	if (code < 0)
		return code;
	slice_cut(&text, '\n', &origin);
	slice_cut(&text, '\n', &size);
	slice_cut(&text, '\n', &root);
	if (!slice_to_text(origin, head.origin, sizeof(head.origin)) ||
	    !slice_to_u64(size, INT64_MAX, &head.size) ||
	    (size.length > 1 && size.data[0] == '0') || !audit_hash_parse(root, &head.root))
		return fault_set(fault, FAULT_INPUT, "the note of %s is no checkpoint",
				 head.origin);
	*ret_head = head;
	return 0;
}

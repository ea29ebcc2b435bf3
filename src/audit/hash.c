#include "audit/audit_internal.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define LEAF_PREFIX 0x00
#define NODE_PREFIX 0x01

struct audit_hasher {
	EVP_MD *algorithm;
	EVP_MD_CTX *context;
};

/* libcrypto's SHA-256 uses the processor's own instructions; it refuses only without memory. */
struct audit_hasher *audit_hasher_new(void)
{
	struct audit_hasher *hasher = calloc(1, sizeof(*hasher));

	check(hasher != NULL);
	hasher->algorithm = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	hasher->context = EVP_MD_CTX_new();
	check(hasher->algorithm != NULL);
	check(hasher->context != NULL);
	return hasher;
}

void audit_hasher_free(struct audit_hasher *hasher)
{
	if (hasher == NULL)
		return;
	EVP_MD_CTX_free(hasher->context);
	EVP_MD_free(hasher->algorithm);
	free(hasher);
}

void audit_hash_begin(struct audit_hasher *hasher)
{
	check(EVP_DigestInit_ex2(hasher->context, hasher->algorithm, NULL) == 1);
}

void audit_hash_add(struct audit_hasher *hasher, struct slice bytes)
{
	check(EVP_DigestUpdate(hasher->context, bytes.data, bytes.length) == 1);
}

struct audit_hash audit_hash_end(struct audit_hasher *hasher)
{
	struct audit_hash hash;
	unsigned length;

	check(EVP_DigestFinal_ex(hasher->context, hash.bytes, &length) == 1);
	check_equal(length, AUDIT_HASH_BYTES);
	return hash;
}

static struct audit_hash hash_once(struct audit_hasher *hasher, const uint8_t *bytes, size_t length)
{
	audit_hash_begin(hasher);
	audit_hash_add(hasher, slice_make(bytes, length));
	return audit_hash_end(hasher);
}

struct audit_hash audit_hash_record(struct audit_hasher *hasher,
				    const struct journal_record *record)
{
	uint8_t bytes[1 + JOURNAL_RECORD_BYTES];

	bytes[0] = LEAF_PREFIX;
	memcpy(bytes + 1, record, JOURNAL_RECORD_BYTES);
	return hash_once(hasher, bytes, sizeof(bytes));
}

struct audit_hash audit_hash_node(struct audit_hasher *hasher, const struct audit_hash *left,
				  const struct audit_hash *right)
{
	uint8_t bytes[1 + 2 * AUDIT_HASH_BYTES];

	bytes[0] = NODE_PREFIX;
	memcpy(bytes + 1, left->bytes, AUDIT_HASH_BYTES);
	memcpy(bytes + 1 + AUDIT_HASH_BYTES, right->bytes, AUDIT_HASH_BYTES);
	return hash_once(hasher, bytes, sizeof(bytes));
}

bool audit_hash_equal(const struct audit_hash *a, const struct audit_hash *b)
{
	return memcmp(a->bytes, b->bytes, AUDIT_HASH_BYTES) == 0;
}

void audit_hash_format(const struct audit_hash *hash, char text[AUDIT_HASH_TEXT_MAX])
{
	sodium_bin2base64(text, AUDIT_HASH_TEXT_MAX, hash->bytes, AUDIT_HASH_BYTES,
			  sodium_base64_VARIANT_ORIGINAL);
}

bool audit_hash_parse(struct slice text, struct audit_hash *ret_hash)
{
	struct audit_hash hash;

	if (!audit_base64_decode(text, hash.bytes, sizeof(hash.bytes)))
		return false;
	*ret_hash = hash;
	return true;
}

bool audit_base64_decode(struct slice text, void *bytes, size_t length)
{
	const char *end;
	size_t decoded;

	return text.length > 0 &&
	       sodium_base642bin(bytes, length, text.data, text.length, NULL, &decoded, &end,
				 sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       end == text.data + text.length && decoded == length;
}

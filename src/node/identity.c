/* What calls are signed with: a secret for each service and number, made from the cloud's own, so
 * that the store holds none of them. FOLDER/identity.key is its owner's alone. */
#include "node/node_internal.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/text.h"

#define KEY_FILE     "identity.key"
#define KEY_LINE_MAX (2 * NODE_IDENTITY_SECRET + 2)

static int make_secret(struct node *node, const char *path, struct fault *fault)
{
	char line[KEY_LINE_MAX];

	node->random->fill(node->random, node->identity_secret, NODE_IDENTITY_SECRET);
	text_hex(node->identity_secret, NODE_IDENTITY_SECRET, line);
	memcpy(line + strlen(line), "\n", 2);
	const int code = disk_write_file(path, 0600, line, strlen(line), fault);
	sodium_memzero(line, sizeof(line));
	return code;
}

static int read_secret(struct node *node, const char *path, struct fault *fault)
{
	char *text;
	size_t length, bytes = 0;
	const char *end = NULL;
	const int code = disk_read_file(path, KEY_LINE_MAX, &text, &length, fault);

	if (code < 0)
		return code;
	const bool good = sodium_hex2bin(node->identity_secret, NODE_IDENTITY_SECRET, text, length,
					 NULL, &bytes, &end) == 0 &&
			  bytes == NODE_IDENTITY_SECRET &&
			  (end == text + length || slice_equal(slice_make(end, 1), slice_of("\n")));
	sodium_memzero(text, length);
	free(text);
	return good ? 0
		    : fault_set(fault, FAULT_DAMAGED,
				"%s does not hold what calls are signed with; restore it: with "
				"another one every service that asks for signed calls would refuse "
				"them",
				path);
}

int identity_open(struct node *node, struct fault *fault)
{
	char path[NODE_PATH_MAX + sizeof(KEY_FILE) + 1];

	snprintf(path, sizeof(path), "%s/" KEY_FILE, node->folder);
	const int code = read_secret(node, path, fault);
	return code == FAULT_NOT_FOUND ? make_secret(node, path, fault) : code;
}

void identity_close(struct node *node)
{
	sodium_memzero(node->identity_secret, sizeof(node->identity_secret));
}

void identity_key(const struct node *node, struct service_id service, uint32_t number,
		  struct gateway_identity *ret_key)
{
	static_assert(crypto_auth_hmacsha256_BYTES == GATEWAY_IDENTITY_SECRET, "one is the other");
	static_assert(crypto_auth_hmacsha256_KEYBYTES == NODE_IDENTITY_SECRET, "one is the other");
	snprintf(ret_key->key_id, sizeof(ret_key->key_id), "svc_%" PRIu64 "-%" PRIu32,
		 service.value, number);
	crypto_auth_hmacsha256(ret_key->secret, (const unsigned char *)ret_key->key_id,
			       strlen(ret_key->key_id), node->identity_secret);
}

void identity_tell(void *context, struct service_id service, uint32_t number,
		   struct api_identity_key *ret_key)
{
	struct gateway_identity key;

	identity_key(context, service, number, &key);
	snprintf(ret_key->key_id, sizeof(ret_key->key_id), "%s", key.key_id);
	text_hex(key.secret, sizeof(key.secret), ret_key->secret);
	sodium_memzero(&key, sizeof(key));
}

void identity_keys_format(const struct node *node, struct service_id service, uint32_t number,
			  char text[NODE_IDENTITY_KEYS_MAX])
{
	struct gateway_identity key;
	char hex[2 * GATEWAY_IDENTITY_SECRET + 1];
	size_t length = 0;

	/* The next one too: what it is rotated to is known before it is used. */
	for (uint32_t i = 0; i < 2; i++) {
		identity_key(node, service, number + i, &key);
		text_hex(key.secret, sizeof(key.secret), hex);
		length += (size_t)snprintf(text + length, NODE_IDENTITY_KEYS_MAX - length,
					   "%s%s:%s", i > 0 ? " " : "", key.key_id, hex);
		check(length < NODE_IDENTITY_KEYS_MAX);
	}
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(hex, sizeof(hex));
}

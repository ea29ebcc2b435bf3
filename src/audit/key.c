/* The cloud's key as files: log.key, its owner's alone, and log.pub, for everybody. */
#include "audit/audit_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

static int key_path(const char *folder, const char *name, char path[AUDIT_PATH_MAX],
		    struct fault *fault)
{
	if (snprintf(path, AUDIT_PATH_MAX, "%s/%s", folder, name) < AUDIT_PATH_MAX)
		return 0;
	return fault_set(fault, FAULT_INPUT, "the path of the cloud's folder is too long");
}

static int make_key(const char *folder, const char *path, const char *name, struct random *random,
		    struct audit_signer *ret_signer, struct fault *fault)
{
	uint8_t seed[crypto_sign_ed25519_SEEDBYTES];
	char line[AUDIT_SKEY_MAX + 1];
	char public_path[AUDIT_PATH_MAX];

	if (key_path(folder, "log.pub", public_path, fault) < 0)
		return fault->code;
	if (access(public_path, F_OK) == 0)
		return fault_set(fault, FAULT_DAMAGED,
				 "%s is there and log.key beside it is not; restore it: "
				 "with another one nobody could check the bills there are",
				 public_path);
	audit_name_clean(slice_of(name), ret_signer->key.name);
	random->fill(random, seed, sizeof(seed));
	crypto_sign_ed25519_seed_keypair(ret_signer->key.public_key, ret_signer->secret_key, seed);
	sodium_memzero(seed, sizeof(seed));
	audit_key_format_secret(ret_signer, line);
	memcpy(line + strlen(line), "\n", 2);
	const int code = disk_write_file(path, 0600, line, strlen(line), fault);
	sodium_memzero(line, sizeof(line));
	return code;
}

static int read_key(const char *path, struct audit_signer *ret_signer, struct fault *fault)
{
	char *text;
	size_t length;
	const int code = disk_read_file(path, AUDIT_SKEY_MAX, &text, &length, fault);

	if (code < 0)
		return code;
	const struct slice all = slice_make(text, length);
	const struct slice line = slice_part(all, 0, slice_find_byte(all, '\n', 0));
	const bool good = audit_key_parse_secret(line, ret_signer);
	sodium_memzero(text, length);
	free(text);
	if (!good)
		return fault_set(fault, FAULT_DAMAGED,
				 "%s does not hold the key that signs the log; restore it: "
				 "with another one nobody could check the bills there are",
				 path);
	return 0;
}

static int write_public(const char *folder, const struct audit_key *key, struct fault *fault)
{
	char path[AUDIT_PATH_MAX];
	char line[AUDIT_VKEY_MAX + 1];
	char *text = NULL;
	size_t length = 0;
	int code = key_path(folder, "log.pub", path, fault);

	if (code < 0)
		return code;
	audit_key_format(key, line);
	memcpy(line + strlen(line), "\n", 2);
	code = disk_read_file(path, AUDIT_VKEY_MAX, &text, &length, fault);
	if (code == FAULT_NOT_FOUND)
		return disk_write_file(path, 0644, line, strlen(line), fault);
	if (code == 0 && !slice_equal(slice_make(text, length), slice_of(line)))
		code = fault_set(fault, FAULT_DAMAGED,
				 "%s is not the public half of log.key beside it", path);
	free(text);
	return code;
}

int audit_signer_load(const char *folder, const char *name, struct random *random,
		      struct audit_signer *ret_signer, struct fault *fault)
{
	char path[AUDIT_PATH_MAX];
	struct audit_signer signer;
	int code = key_path(folder, "log.key", path, fault);

	if (code == 0)
		code = read_key(path, &signer, fault);
	if (code == FAULT_NOT_FOUND)
		code = make_key(folder, path, name, random, &signer, fault);
	if (code == 0)
		code = write_public(folder, &signer.key, fault);
	if (code == 0)
		*ret_signer = signer;
	sodium_memzero(&signer, sizeof(signer));
	return code;
}

void audit_signer_fini(struct audit_signer *signer)
{
	sodium_memzero(signer, sizeof(*signer));
}

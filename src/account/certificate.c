/* Client certificates: keys without a text. */
#include <stdio.h>
#include <string.h>

#include "account/account_internal.h"
#include "base/check.h"
#include "base/text.h"

#define DIGEST_TEXT (2 * API_KEY_DIGEST_BYTES + 1)

int account_certificate_add(struct store *store, struct app_id app,
			    const struct api_key_digest *fingerprint, const char *serial,
			    uint64_t ends_ns, uint64_t now_ns, struct account_key *ret_key,
			    struct fault *fault)
{
	struct account_key key = {.kind = ACCOUNT_KEY_CERTIFICATE,
				  .app = app,
				  .digest = *fingerprint,
				  .created_ns = now_ns,
				  .expires_ns = ends_ns};

	check(store_in_transaction(store));
	check(ends_ns > now_ns);
	check((size_t)snprintf(key.name, sizeof(key.name), "%s", serial) < sizeof(key.name));
	const int code = account_key_add(store, &key, fault);
	return code < 0 ? code : account_key_get(store, key.id, ret_key, fault);
}

/* ---- names ---- */

/* The key of that digest; *ret_id is 0 where there is none. */
static int find_by_digest(struct store *store, const char *digest, struct key_id *ret_id,
			  struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code =
		store_prepare(store, "SELECT id FROM api_keys WHERE digest = $1", &select, fault);

	if (code < 0)
		return code;
	store_bind_text(select, 1, slice_of(digest));
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	ret_id->value = row ? (uint64_t)store_column_int64(select, 0) : 0;
	return 0;
}

/* One that is over gives the digest up, for a digest finds one key: what takes its place is its
 * own id's, which no name has. */
static int give_up_digest(struct store *store, struct key_id id, struct fault *fault)
{
	STORE_STATEMENT update = NULL;
	char text[ID_TEXT_MAX], hexadecimal[DIGEST_TEXT];
	const int code = store_prepare(store, "UPDATE api_keys SET digest = $1 WHERE id = $2",
				       &update, fault);

	if (code < 0)
		return code;
	id_format("key", id.value, text);
	const struct api_key_digest digest = api_key_digest(slice_of(text));
	text_hex(digest.bytes, sizeof(digest.bytes), hexadecimal);
	store_bind_text(update, 1, slice_of(hexadecimal));
	store_bind_int64(update, 2, (int64_t)id.value);
	return store_execute(update, fault);
}

static int make_room(struct store *store, const struct account_key *key, uint64_t now_ns,
		     struct fault *fault)
{
	char digest[DIGEST_TEXT], id[ID_TEXT_MAX];
	struct account_key before;
	struct account_app app;
	struct key_id found;

	text_hex(key->digest.bytes, sizeof(key->digest.bytes), digest);
	int code = find_by_digest(store, digest, &found, fault);
	if (code < 0 || found.value == 0)
		return code;
	code = account_key_get(store, found, &before, fault);
	if (code < 0)
		return code;
	if (!account_key_valid(&before, now_ns))
		return give_up_digest(store, found, fault);
	code = account_app_get_by_id(store, before.app, &app, fault);
	if (code < 0)
		return code;
	id_format("key", found.value, id);
	return fault_set(fault, FAULT_CONFLICT,
			 "%s is mapped to %s already (%s); `stoa tls revoke %s` first", key->name,
			 app.path, id, id);
}

int account_name_map(struct store *store, struct app_id app, struct slice name, uint64_t expires_ns,
		     uint64_t now_ns, struct account_key *ret_key, struct fault *fault)
{
	struct account_key key = {.kind = ACCOUNT_KEY_NAME,
				  .app = app,
				  .created_ns = now_ns,
				  .expires_ns = expires_ns};

	check(store_in_transaction(store));
	int code = client_name_read(name, key.name, fault);
	if (code < 0)
		return code;
	key.digest = api_key_digest(slice_of(key.name));
	if (expires_ns != 0 && expires_ns <= now_ns)
		return fault_set(fault, FAULT_INPUT,
				 "the mapping would expire in the past; give a time to come");
	code = make_room(store, &key, now_ns, fault);
	if (code == 0)
		code = account_key_add(store, &key, fault);
	return code < 0 ? code : account_key_get(store, key.id, ret_key, fault);
}

int account_certificate_list(struct store *store, struct app_id app, bool only_valid,
			     uint64_t now_ns, struct key_id after, struct account_key *keys,
			     size_t most, size_t *ret_count, struct fault *fault)
{
	return account_key_page(store, ACCOUNT_KEYS_CERTIFICATES, app, only_valid, now_ns, after,
				keys, most, ret_count, fault);
}

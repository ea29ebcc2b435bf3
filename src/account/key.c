#include <sodium.h>
#include <string.h>

#include "account/account.h"
#include "account/account_internal.h"
#include "base/check.h"
#include "base/scope.h"
#include "base/text.h"

#define PREFIX_CHARS (sizeof(((struct account_key *)NULL)->prefix) - 1)
#define LAST_CHARS   (sizeof(((struct account_key *)NULL)->last_four) - 1)
#define DIGEST_TEXT  (2 * API_KEY_DIGEST_BYTES + 1)

#define KEY_COLUMNS                                                                       \
	"api_keys.id, api_keys.app, apps.account, api_keys.digest, api_keys.prefix,"      \
	" api_keys.last_four, api_keys.scopes, api_keys.created_ns, api_keys.expires_ns," \
	" api_keys.revoked_ns, api_keys.successor, api_keys.kind, api_keys.name"
#define KEY_TABLES "api_keys JOIN apps ON apps.id = api_keys.app"

static void read_key(const struct store_statement *statement, void *row)
{
	struct account_key *key = row;

	key->id.value = (uint64_t)store_column_int64(statement, 0);
	key->app.value = (uint64_t)store_column_int64(statement, 1);
	key->account.value = (uint64_t)store_column_int64(statement, 2);
	check(text_from_hex(store_column_text(statement, 3), key->digest.bytes,
			    sizeof(key->digest.bytes)));
	account_column_copy(statement, 4, key->prefix, sizeof(key->prefix));
	account_column_copy(statement, 5, key->last_four, sizeof(key->last_four));
	account_column_copy(statement, 6, key->scopes, sizeof(key->scopes));
	key->created_ns = (uint64_t)store_column_int64(statement, 7);
	key->expires_ns = (uint64_t)store_column_int64(statement, 8);
	key->revoked_ns = (uint64_t)store_column_int64(statement, 9);
	key->successor.value = (uint64_t)store_column_int64(statement, 10);
	key->kind = (enum account_key_kind)store_column_int64(statement, 11);
	account_column_copy(statement, 12, key->name, sizeof(key->name));
	check(key->id.value > 0);
	check(key->kind <= ACCOUNT_KEY_NAME);
}

/* ---- making ---- */

static int join_scopes(const struct account_key_options *options, char text[ACCOUNT_SCOPES_BYTES],
		       struct fault *fault)
{
	size_t used = 0;

	if (options->scope_count > ACCOUNT_SCOPES_MAX)
		return fault_set(fault, FAULT_INPUT, "%zu scopes are given; at most %d are allowed",
				 options->scope_count, ACCOUNT_SCOPES_MAX);
	for (size_t i = 0; i < options->scope_count; i++) {
		const struct slice scope = options->scopes[i];
		const int code = scope_check(scope, fault);
		if (code < 0)
			return code;
		if (used + (i > 0) + scope.length >= ACCOUNT_SCOPES_BYTES)
			return fault_set(fault, FAULT_INPUT,
					 "the scopes are longer than %d characters together",
					 ACCOUNT_SCOPES_BYTES - 1);
		if (i > 0)
			text[used++] = ' ';
		memcpy(text + used, scope.data, scope.length);
		used += scope.length;
	}
	text[used] = '\0';
	return 0;
}

static int key_insert(struct store *store, const struct account_key *key, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	char digest[DIGEST_TEXT];
	const int code = store_prepare(store,
				       "INSERT INTO api_keys (id, app, digest, prefix, last_four,"
				       " scopes, created_ns, expires_ns, kind, name, revoked_ns,"
				       " successor)"
				       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0)",
				       &insert, fault);

	if (code < 0)
		return code;
	text_hex(key->digest.bytes, sizeof(key->digest.bytes), digest);
	store_bind_int64(insert, 1, (int64_t)key->id.value);
	store_bind_int64(insert, 2, (int64_t)key->app.value);
	store_bind_text(insert, 3, slice_of(digest));
	store_bind_text(insert, 4, slice_of(key->prefix));
	store_bind_text(insert, 5, slice_of(key->last_four));
	store_bind_text(insert, 6, slice_of(key->scopes));
	store_bind_int64(insert, 7, (int64_t)key->created_ns);
	store_bind_int64(insert, 8, (int64_t)key->expires_ns);
	store_bind_int64(insert, 9, (int64_t)key->kind);
	store_bind_text(insert, 10, slice_of(key->name));
	return store_execute(insert, fault);
}

int account_key_add(struct store *store, struct account_key *key, struct fault *fault)
{
	int64_t id;
	const int code = store_sequence_take(store, "api_keys", 1, &id, fault);

	if (code < 0)
		return code;
	key->id.value = (uint64_t)id;
	return key_insert(store, key, fault);
}

static void key_make(struct random *random, struct account_key_made *made)
{
	struct account_key *key = &made->key;

	api_key_make(random, made->text);
	key->digest = api_key_digest(slice_of(made->text));
	memcpy(key->prefix, made->text, PREFIX_CHARS);
	key->prefix[PREFIX_CHARS] = '\0';
	memcpy(key->last_four, made->text + API_KEY_CHARS - LAST_CHARS, LAST_CHARS + 1);
}

static int keys_make(struct store *store, struct random *random, const struct account_key *like,
		     size_t count, struct account_key_made *ret_keys, struct fault *fault)
{
	int64_t first;
	int code = store_sequence_take(store, "api_keys", (int64_t)count, &first, fault);

	for (size_t i = 0; code == 0 && i < count; i++) {
		ret_keys[i].key = *like;
		ret_keys[i].key.id.value = (uint64_t)first + i;
		key_make(random, &ret_keys[i]);
		code = key_insert(store, &ret_keys[i].key, fault);
	}
	if (code < 0)
		sodium_memzero(ret_keys, count * sizeof(*ret_keys));
	return code;
}

int account_key_create(struct store *store, struct random *random,
		       const struct account_key_options *options, size_t count, uint64_t now_ns,
		       struct account_key_made *ret_keys, struct fault *fault)
{
	struct account_key like = {
		.app = options->app, .created_ns = now_ns, .expires_ns = options->expires_ns};
	struct account_app app;

	check(store_in_transaction(store));
	if (count < 1 || count > ACCOUNT_KEYS_MAKE_MAX)
		return fault_set(fault, FAULT_INPUT, "%zu keys: 1 to %d at once are allowed", count,
				 ACCOUNT_KEYS_MAKE_MAX);
	if (options->expires_ns != 0 && options->expires_ns <= now_ns)
		return fault_set(fault, FAULT_INPUT,
				 "the key would expire in the past; give a time to come");
	int code = join_scopes(options, like.scopes, fault);
	if (code == 0)
		code = account_app_get_by_id(store, options->app, &app, fault);
	if (code < 0)
		return code;
	like.account = app.account;
	return keys_make(store, random, &like, count, ret_keys, fault);
}

/* ---- finding ---- */

int account_key_get(struct store *store, struct key_id id, struct account_key *ret_key,
		    struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct account_key key = {.id = {0}};
	bool found = false;
	int code = store_prepare(
		store, "SELECT " KEY_COLUMNS " FROM " KEY_TABLES " WHERE api_keys.id = $1", &select,
		fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)id.value);
	code = account_read_one(select, read_key, &key, &found, fault);
	if (code < 0)
		return code;
	if (!found)
		return account_id_not_found("key", id.value, fault);
	*ret_key = key;
	return 0;
}

#define KEYS_BEHIND " WHERE api_keys.id > $1"
#define KEYS_VALID                                 \
	" AND ($3 = 0 OR (api_keys.revoked_ns = 0" \
	" AND (api_keys.expires_ns = 0 OR api_keys.expires_ns > $4)))"
#define KEYS_PAGE " ORDER BY api_keys.id LIMIT $2"

#define KEYS_OF_KINDS " AND api_keys.kind >= $5"
#define KEYS_ALL(more)        \
	"SELECT " KEY_COLUMNS \
	" FROM " KEY_TABLES KEYS_BEHIND more KEYS_VALID KEYS_OF_KINDS KEYS_PAGE

int account_key_page(struct store *store, enum account_key_filter filter, struct app_id app,
		     bool only_valid, uint64_t now_ns, struct key_id after,
		     struct account_key *keys, size_t most, size_t *ret_count, struct fault *fault)
{
	static const char all[] = KEYS_ALL("");
	static const char of_app[] = KEYS_ALL(" AND api_keys.app = $6");
	STORE_STATEMENT select = NULL;
	const int code = store_prepare(store, app.value == 0 ? all : of_app, &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)after.value);
	store_bind_int64(select, 2, (int64_t)most);
	store_bind_int64(select, 3, only_valid);
	store_bind_int64(select, 4, (int64_t)now_ns);
	store_bind_int64(select, 5,
			 filter == ACCOUNT_KEYS_ALL ? ACCOUNT_KEY_TEXT : ACCOUNT_KEY_CERTIFICATE);
	if (app.value != 0)
		store_bind_int64(select, 6, (int64_t)app.value);
	return account_read_page(select, read_key, keys, sizeof(*keys), most, ret_count, fault);
}

int account_key_list(struct store *store, struct app_id app, bool only_valid, uint64_t now_ns,
		     struct key_id after, struct account_key *keys, size_t most, size_t *ret_count,
		     struct fault *fault)
{
	return account_key_page(store, ACCOUNT_KEYS_ALL, app, only_valid, now_ns, after, keys, most,
				ret_count, fault);
}

static void read_right(const struct store_statement *statement, struct account_key *key)
{
	key->id.value = (uint64_t)store_column_int64(statement, 0);
	key->app.value = (uint64_t)store_column_int64(statement, 1);
	check(text_from_hex(store_column_text(statement, 2), key->digest.bytes,
			    sizeof(key->digest.bytes)));
	account_column_copy(statement, 3, key->scopes, sizeof(key->scopes));
	key->expires_ns = (uint64_t)store_column_int64(statement, 4);
}

int account_key_each(struct store *store, uint64_t now_ns, account_key_fn each, void *context,
		     uint64_t *ret_count, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct account_key key = {.id = {0}};
	uint64_t count = 0;
	bool row;
	int code = store_prepare(store,
				 "SELECT id, app, digest, scopes, expires_ns FROM api_keys"
				 " WHERE revoked_ns = 0 AND (expires_ns = 0 OR expires_ns > $1)"
				 " ORDER BY id",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)now_ns);
	while ((code = store_step(select, &row, fault)) == 0 && row) {
		read_right(select, &key);
		code = each(context, &key, fault);
		if (code < 0)
			return code;
		count++;
	}
	if (code == 0)
		*ret_count = count;
	return code;
}

int account_key_count(struct store *store, uint64_t *ret_count, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store, "SELECT COUNT(*) FROM api_keys", &select, fault);

	if (code == 0)
		code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	check(row);
	*ret_count = (uint64_t)store_column_int64(select, 0);
	return 0;
}

/* ---- changing ---- */

/* Runs an update whose parameters are a time and an id. */
static int key_update(struct store *store, const char *sql, struct key_id id, uint64_t time_ns,
		      struct fault *fault)
{
	STORE_STATEMENT update = NULL;

	check(store_in_transaction(store));
	const int code = store_prepare(store, sql, &update, fault);
	if (code < 0)
		return code;
	store_bind_int64(update, 1, (int64_t)time_ns);
	store_bind_int64(update, 2, (int64_t)id.value);
	return store_execute(update, fault);
}

int account_key_revoke(struct store *store, struct key_id id, uint64_t now_ns,
		       struct account_key *ret_key, struct fault *fault)
{
	const int code = key_update(
		store, "UPDATE api_keys SET revoked_ns = $1 WHERE id = $2 AND revoked_ns = 0", id,
		now_ns, fault);

	return code < 0 ? code : account_key_get(store, id, ret_key, fault);
}

static int key_succeed(struct store *store, const struct account_key *key, struct fault *fault)
{
	STORE_STATEMENT update = NULL;
	const int code = store_prepare(
		store, "UPDATE api_keys SET expires_ns = $2, successor = $3 WHERE id = $1", &update,
		fault);

	if (code < 0)
		return code;
	store_bind_int64(update, 1, (int64_t)key->id.value);
	store_bind_int64(update, 2, (int64_t)key->expires_ns);
	store_bind_int64(update, 3, (int64_t)key->successor.value);
	return store_execute(update, fault);
}

static int may_rotate(const struct account_key *key, uint64_t now_ns, struct fault *fault)
{
	char id[ID_TEXT_MAX], successor[ID_TEXT_MAX];

	id_format("key", key->id.value, id);
	if (key->kind != ACCOUNT_KEY_TEXT)
		return fault_set(
			fault, FAULT_REFUSED,
			"%s is a client certificate's; instead of rotating it issue another "
			"one with `stoa tls client`, and revoke this one later",
			id);
	if (!account_key_valid(key, now_ns))
		return fault_set(fault, FAULT_REFUSED,
				 "%s is %s; make a new key instead of rotating it", id,
				 key->revoked_ns != 0 ? "revoked" : "expired");
	if (key->successor.value == 0)
		return 0;
	id_format("key", key->successor.value, successor);
	return fault_set(fault, FAULT_REFUSED, "%s was rotated already: its successor is %s", id,
			 successor);
}

int account_key_rotate(struct store *store, struct random *random, struct key_id id,
		       uint64_t overlap_ns, uint64_t now_ns, struct account_key_made *ret_made,
		       struct account_key *ret_before, struct fault *fault)
{
	struct account_key before;
	uint64_t end_ns;

	check(store_in_transaction(store));
	int code = account_key_get(store, id, &before, fault);
	if (code == 0)
		code = may_rotate(&before, now_ns, fault);
	if (code < 0)
		return code;
	struct account_key like = {.app = before.app,
				   .account = before.account,
				   .created_ns = now_ns,
				   .expires_ns = before.expires_ns};
	memcpy(like.scopes, before.scopes, sizeof(like.scopes));
	code = keys_make(store, random, &like, 1, ret_made, fault);
	if (code < 0)
		return code;
	if (__builtin_add_overflow(now_ns, overlap_ns, &end_ns) || end_ns > INT64_MAX)
		end_ns = INT64_MAX;
	if (before.expires_ns == 0 || before.expires_ns > end_ns)
		before.expires_ns = end_ns;
	before.successor = ret_made->key.id;
	code = key_succeed(store, &before, fault);
	if (code < 0)
		sodium_memzero(ret_made, sizeof(*ret_made));
	else
		*ret_before = before;
	return code;
}

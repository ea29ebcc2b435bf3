#include <string.h>

#include "account/account.h"
#include "account/account_internal.h"
#include "base/check.h"
#include "base/text.h"

#define LAST_CHARS  (sizeof(((struct account_token *)NULL)->last_four) - 1)
#define DIGEST_TEXT (2 * API_KEY_DIGEST_BYTES + 1)

#define TOKENS                                                                               \
	"SELECT access_tokens.id, access_tokens.account, accounts.name, access_tokens.role," \
	" access_tokens.digest, access_tokens.last_four, access_tokens.created_ns,"          \
	" access_tokens.expires_ns, access_tokens.revoked_ns"                                \
	" FROM access_tokens JOIN accounts ON accounts.id = access_tokens.account"

static void read_token(const struct store_statement *statement, void *row)
{
	struct account_token *token = row;

	token->id.value = (uint64_t)store_column_int64(statement, 0);
	token->account.value = (uint64_t)store_column_int64(statement, 1);
	account_column_copy(statement, 2, token->account_name, sizeof(token->account_name));
	account_column_copy(statement, 3, token->role, sizeof(token->role));
	check(text_from_hex(store_column_text(statement, 4), token->digest.bytes,
			    sizeof(token->digest.bytes)));
	account_column_copy(statement, 5, token->last_four, sizeof(token->last_four));
	token->created_ns = (uint64_t)store_column_int64(statement, 6);
	token->expires_ns = (uint64_t)store_column_int64(statement, 7);
	token->revoked_ns = (uint64_t)store_column_int64(statement, 8);
}

static int insert_token(struct store *store, const struct account_token *token, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	char digest[DIGEST_TEXT];
	const int code = store_prepare(store,
				       "INSERT INTO access_tokens (id, account, role, digest,"
				       " last_four, created_ns, expires_ns, revoked_ns)"
				       " VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
				       &insert, fault);

	if (code < 0)
		return code;
	text_hex(token->digest.bytes, sizeof(token->digest.bytes), digest);
	store_bind_int64(insert, 1, (int64_t)token->id.value);
	store_bind_int64(insert, 2, (int64_t)token->account.value);
	store_bind_text(insert, 3, slice_of(token->role));
	store_bind_text(insert, 4, slice_of(digest));
	store_bind_text(insert, 5, slice_of(token->last_four));
	store_bind_int64(insert, 6, (int64_t)token->created_ns);
	store_bind_int64(insert, 7, (int64_t)token->expires_ns);
	return store_execute(insert, fault);
}

int account_token_create(struct store *store, struct random *random, struct slice account_name,
			 uint64_t expires_ns, uint64_t now_ns, struct account_token *ret_token,
			 char ret_text[API_KEY_TEXT_MAX], struct fault *fault)
{
	struct account_token token = {
		.role = ACCOUNT_ROLE_PROVIDER, .created_ns = now_ns, .expires_ns = expires_ns};
	struct account account;
	int64_t id;

	check(store_in_transaction(store));
	if (expires_ns != 0 && expires_ns <= now_ns)
		return fault_set(fault, FAULT_INPUT,
				 "the token would expire in the past; give a time to come");
	int code = account_get(store, account_name, &account, fault);
	if (code == 0)
		code = store_sequence_take(store, "access_tokens", 1, &id, fault);
	if (code < 0)
		return code;
	token.id.value = (uint64_t)id;
	token.account = account.id;
	memcpy(token.account_name, account.name, sizeof(token.account_name));
	api_key_make(random, ret_text);
	token.digest = api_key_digest(slice_of(ret_text));
	memcpy(token.last_four, ret_text + API_KEY_CHARS - LAST_CHARS, LAST_CHARS + 1);
	code = insert_token(store, &token, fault);
	if (code == 0)
		*ret_token = token;
	return code;
}

int account_token_find(struct store *store, const struct api_key_digest *digest, uint64_t now_ns,
		       struct account_token *ret_token, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct account_token token = {0};
	char text[DIGEST_TEXT];
	bool found = false;
	int code = store_prepare(store,
				 TOKENS " WHERE access_tokens.digest = $1"
					" AND access_tokens.revoked_ns = 0"
					" AND (access_tokens.expires_ns = 0"
					" OR access_tokens.expires_ns > $2)",
				 &select, fault);

	if (code < 0)
		return code;
	text_hex(digest->bytes, sizeof(digest->bytes), text);
	store_bind_text(select, 1, slice_of(text));
	store_bind_int64(select, 2, (int64_t)now_ns);
	code = account_read_one(select, read_token, &token, &found, fault);
	if (code < 0)
		return code;
	if (!found)
		return fault_set(fault, FAULT_NOT_FOUND, "there is no such token");
	*ret_token = token;
	return 0;
}

int account_token_list(struct store *store, struct account_id account, struct token_id after,
		       struct account_token *tokens, size_t most, size_t *ret_count,
		       struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	const int code = store_prepare(store,
				       TOKENS " WHERE access_tokens.id > $1"
					      " AND ($3 = 0 OR access_tokens.account = $3)"
					      " ORDER BY access_tokens.id LIMIT $2",
				       &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)after.value);
	store_bind_int64(select, 2, (int64_t)most);
	store_bind_int64(select, 3, (int64_t)account.value);
	return account_read_page(select, read_token, tokens, sizeof(*tokens), most, ret_count,
				 fault);
}

static int get_token(struct store *store, struct token_id id, struct account_token *ret_token,
		     struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct account_token token = {0};
	bool found = false;
	int code = store_prepare(store, TOKENS " WHERE access_tokens.id = $1", &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)id.value);
	code = account_read_one(select, read_token, &token, &found, fault);
	if (code < 0)
		return code;
	if (!found)
		return account_id_not_found("token", id.value, fault);
	*ret_token = token;
	return 0;
}

int account_token_revoke(struct store *store, struct token_id id, uint64_t now_ns,
			 struct account_token *ret_token, struct fault *fault)
{
	STORE_STATEMENT update = NULL;
	int code = store_prepare(store,
				 "UPDATE access_tokens SET revoked_ns = $1"
				 " WHERE id = $2 AND revoked_ns = 0",
				 &update, fault);

	check(store_in_transaction(store));
	if (code < 0)
		return code;
	store_bind_int64(update, 1, (int64_t)now_ns);
	store_bind_int64(update, 2, (int64_t)id.value);
	code = store_execute(update, fault);
	return code < 0 ? code : get_token(store, id, ret_token, fault);
}

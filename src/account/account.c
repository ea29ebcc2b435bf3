#include "account/account.h"

#include <string.h>

#include "account/account_internal.h"
#include "base/check.h"
#include "base/text.h"

#define NEAR_NAMES_MAX 1000 /* looked through for the nearest */

const struct store_migration account_migrations[] = {
	{.domain = "account",
	 .number = 1,
	 .sql = "CREATE TABLE accounts ("
		" id INTEGER PRIMARY KEY,"
		" name TEXT NOT NULL UNIQUE,"
		" created_ns BIGINT NOT NULL);"
		"CREATE TABLE apps ("
		" id INTEGER PRIMARY KEY,"
		" account BIGINT NOT NULL REFERENCES accounts (id),"
		" name TEXT NOT NULL,"
		" created_ns BIGINT NOT NULL,"
		" UNIQUE (account, name));"
		"CREATE TABLE api_keys ("
		" id INTEGER PRIMARY KEY,"
		" app BIGINT NOT NULL REFERENCES apps (id),"
		" digest TEXT NOT NULL UNIQUE,"
		" prefix TEXT NOT NULL,"
		" last_four TEXT NOT NULL,"
		" scopes TEXT NOT NULL,"
		" created_ns BIGINT NOT NULL,"
		" expires_ns BIGINT NOT NULL,"
		" revoked_ns BIGINT NOT NULL,"
		" last_used_ns BIGINT NOT NULL);"
		"CREATE INDEX api_keys_by_app ON api_keys (app, id)"},
	/* When a key was last used, meter knows. */
	{.domain = "account",
	 .number = 2,
	 .sql = "ALTER TABLE api_keys DROP COLUMN last_used_ns;"
		"ALTER TABLE api_keys ADD COLUMN successor BIGINT NOT NULL DEFAULT 0"},
	{.domain = "account",
	 .number = 3,
	 .sql = "CREATE TABLE access_tokens ("
		" id INTEGER PRIMARY KEY,"
		" account BIGINT NOT NULL REFERENCES accounts (id),"
		" role TEXT NOT NULL,"
		" digest TEXT NOT NULL UNIQUE,"
		" last_four TEXT NOT NULL,"
		" created_ns BIGINT NOT NULL,"
		" expires_ns BIGINT NOT NULL,"
		" revoked_ns BIGINT NOT NULL)"},
	/* Client certificates stand beside keys: enum account_key_kind. */
	{.domain = "account",
	 .number = 4,
	 .sql = "ALTER TABLE api_keys ADD COLUMN kind BIGINT NOT NULL DEFAULT 0;"
		"ALTER TABLE api_keys ADD COLUMN name TEXT NOT NULL DEFAULT ''"},
};
const size_t account_migration_count = sizeof(account_migrations) / sizeof(account_migrations[0]);

int account_migrate(struct store *store, struct fault *fault)
{
	return store_migrate(store, account_migrations, account_migration_count, fault);
}

/* ---- what the files of this folder share ---- */

int account_name_not_found(struct store *store, const char *sql, int64_t owner, const char *what,
			   struct slice name, struct fault *fault)
{
	static_assert(ACCOUNT_PATH_MAX >= ACCOUNT_NAME_MAX, "a path holds a name");
	STORE_STATEMENT select = NULL;
	char shown[TEXT_SHOWN_MAX];
	char known[ACCOUNT_PATH_MAX];
	char nearest[ACCOUNT_PATH_MAX] = "";
	const char *candidates[2] = {nearest, known};
	size_t seen = 0;
	bool row = true;

	text_show(name, shown);
	int code = store_prepare(store, sql, &select, fault);
	if (code < 0)
		return code;
	if (owner != 0)
		store_bind_int64(select, 1, owner);
	for (; row && seen < NEAR_NAMES_MAX; seen++) {
		code = store_step(select, &row, fault);
		if (code < 0)
			return code;
		if (!row)
			break;
		account_column_copy(select, 0, known, sizeof(known));
		if (text_nearest(shown, candidates, 2) == known)
			memcpy(nearest, known, sizeof(nearest));
	}
	return fault_set_near(fault, FAULT_NOT_FOUND, nearest, "there is no %s \"%s\"", what,
			      shown);
}

int account_id_not_found(const char *prefix, uint64_t id, struct fault *fault)
{
	char text[ID_TEXT_MAX];

	id_format(prefix, id, text);
	return fault_set(fault, FAULT_NOT_FOUND, "there is no %s", text);
}

int account_read_one(struct store_statement *statement, account_read_fn read, void *row,
		     bool *ret_row, struct fault *fault)
{
	const int code = store_step(statement, ret_row, fault);

	if (code == 0 && *ret_row) {
		read(statement, row);
		store_reset(statement);
	}
	return code;
}

int account_read_page(struct store_statement *statement, account_read_fn read, void *rows,
		      size_t row_bytes, size_t most, size_t *ret_count, struct fault *fault)
{
	size_t count = 0;
	bool row = true;

	while (count < most) {
		const int code = store_step(statement, &row, fault);
		if (code < 0)
			return code;
		if (!row)
			break;
		read(statement, (char *)rows + count * row_bytes);
		count++;
	}
	*ret_count = count;
	return 0;
}

void account_column_copy(const struct store_statement *statement, unsigned column, char *text,
			 size_t text_bytes_max)
{
	check(slice_to_text(store_column_text(statement, column), text, text_bytes_max));
}

int account_name_check(const char *what, struct slice name, struct fault *fault)
{
	char shown[TEXT_SHOWN_MAX];
	bool good = name.length >= 1 && name.length < ACCOUNT_NAME_MAX;

	for (size_t i = 0; good && i < name.length; i++) {
		const char byte = name.data[i];
		const bool inside = i > 0 && i + 1 < name.length;
		good = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
		       (byte == '-' && inside);
	}
	if (good)
		return 0;
	return fault_set(fault, FAULT_INPUT,
			 "%s \"%s\": 1 to %d of a-z, 0-9 and '-' are allowed, with no '-' at "
			 "either end",
			 what, text_show(name, shown), ACCOUNT_NAME_MAX - 1);
}

/* ---- accounts ---- */

#define ACCOUNT_COLUMNS "id, name, created_ns"

static void read_account(const struct store_statement *statement, void *row)
{
	struct account *account = row;

	account->id.value = (uint64_t)store_column_int64(statement, 0);
	account_column_copy(statement, 1, account->name, sizeof(account->name));
	account->created_ns = (uint64_t)store_column_int64(statement, 2);
	check(account->id.value > 0);
}

static int account_find(struct store *store, struct slice name, struct account *ret_account,
			bool *ret_found, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	const int code = store_prepare(
		store, "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE name = $1", &select, fault);

	if (code < 0)
		return code;
	store_bind_text(select, 1, name);
	return account_read_one(select, read_account, ret_account, ret_found, fault);
}

static int account_insert(struct store *store, struct slice name, uint64_t now_ns,
			  struct account *ret_account, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	struct account account = {.created_ns = now_ns};
	int64_t id;

	check(slice_to_text(name, account.name, sizeof(account.name)));
	int code = store_sequence_take(store, "accounts", 1, &id, fault);
	if (code == 0)
		code = store_prepare(
			store, "INSERT INTO accounts (" ACCOUNT_COLUMNS ") VALUES ($1, $2, $3)",
			&insert, fault);
	if (code < 0)
		return code;
	store_bind_int64(insert, 1, id);
	store_bind_text(insert, 2, name);
	store_bind_int64(insert, 3, (int64_t)now_ns);
	code = store_execute(insert, fault);
	account.id.value = (uint64_t)id;
	if (code == 0)
		*ret_account = account;
	return code;
}

int account_create(struct store *store, struct slice name, uint64_t now_ns,
		   struct account *ret_account, struct fault *fault)
{
	struct account before;
	bool found = false;

	check(store_in_transaction(store));
	int code = account_name_check("account name", name, fault);
	if (code < 0)
		return code;
	if (slice_equal(name, slice_of(ACCOUNT_OPERATOR)))
		return fault_set(fault, FAULT_INPUT,
				 "the account name \"" ACCOUNT_OPERATOR
				 "\" is the cloud owner's; choose another");
	if (slice_equal(name, slice_of(ACCOUNT_OUTSIDE)))
		return fault_set(fault, FAULT_INPUT,
				 "the account name \"" ACCOUNT_OUTSIDE
				 "\" stands for where money comes from; choose another");
	code = account_find(store, name, &before, &found, fault);
	if (code < 0)
		return code;
	if (found)
		return fault_set(fault, FAULT_CONFLICT, "the account \"%s\" exists already",
				 before.name);
	return account_insert(store, name, now_ns, ret_account, fault);
}

int account_operator_ensure(struct store *store, uint64_t now_ns, struct account *ret_account,
			    struct fault *fault)
{
	const struct slice name = slice_of(ACCOUNT_OPERATOR);
	struct account account = {.id = {0}};
	bool found = false;

	check(store_in_transaction(store));
	int code = account_find(store, name, &account, &found, fault);
	if (code == 0 && !found)
		code = account_insert(store, name, now_ns, &account, fault);
	if (code == 0)
		*ret_account = account;
	return code;
}

int account_get(struct store *store, struct slice name, struct account *ret_account,
		struct fault *fault)
{
	struct account account = {.id = {0}};
	bool found = false;
	const int code = account_find(store, name, &account, &found, fault);

	if (code < 0)
		return code;
	if (!found)
		return account_name_not_found(store, "SELECT name FROM accounts ORDER BY name", 0,
					      "account", name, fault);
	*ret_account = account;
	return 0;
}

int account_get_by_id(struct store *store, struct account_id id, struct account *ret_account,
		      struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct account account = {.id = {0}};
	bool found = false;
	int code = store_prepare(store, "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE id = $1",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)id.value);
	code = account_read_one(select, read_account, &account, &found, fault);
	if (code < 0)
		return code;
	if (!found)
		return account_id_not_found("acct", id.value, fault);
	*ret_account = account;
	return 0;
}

int account_list(struct store *store, struct account_id after, struct account *accounts,
		 size_t most, size_t *ret_count, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	const int code = store_prepare(store,
				       "SELECT " ACCOUNT_COLUMNS
				       " FROM accounts WHERE id > $1 ORDER BY id LIMIT $2",
				       &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)after.value);
	store_bind_int64(select, 2, (int64_t)most);
	return account_read_page(select, read_account, accounts, sizeof(*accounts), most, ret_count,
				 fault);
}

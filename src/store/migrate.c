/*
 * Migrations and sequences: the two tables that the store itself owns.
 */
#include <sodium.h>
#include <string.h>

#include "base/check.h"
#include "store/store_internal.h"

#define DIGEST_BYTES    16
#define DIGEST_TEXT_MAX (2 * DIGEST_BYTES + 1)

static const char own_tables[] = "CREATE TABLE IF NOT EXISTS store_migrations ("
				 " domain TEXT NOT NULL,"
				 " number BIGINT NOT NULL,"
				 " digest TEXT NOT NULL,"
				 " PRIMARY KEY (domain, number));"
				 "CREATE TABLE IF NOT EXISTS store_sequences ("
				 " name TEXT NOT NULL PRIMARY KEY,"
				 " value BIGINT NOT NULL)";

struct migrating {
	const struct store_migration *migrations;
	size_t count;
};

static int own_tables_create(struct store *store, void *context, struct fault *fault);
static int all_verify(struct store *store, void *context, struct fault *fault);
static int one_apply(struct store *store, void *context, struct fault *fault);
static void numbers_check(const struct store_migration *migrations, size_t count);
static int digest_find(struct store *store, const struct store_migration *migration,
		       char digest[DIGEST_TEXT_MAX], bool *ret_applied, struct fault *fault);
static void digest_make(const struct store_migration *migration, char digest[DIGEST_TEXT_MAX]);

int store_migrate(struct store *store, const struct store_migration *migrations, size_t count,
		  struct fault *fault)
{
	struct migrating migrating = {.migrations = migrations, .count = count};

	numbers_check(migrations, count);
	int code = store_transaction(store, own_tables_create, NULL, fault);
	if (code == 0)
		code = store_transaction_read(store, all_verify, &migrating, fault);
	for (size_t index = 0; code == 0 && index < count; index++) {
		struct store_migration migration = migrations[index];
		code = store_transaction(store, one_apply, &migration, fault);
	}
	return code;
}

static int own_tables_create(struct store *store, void *context, struct fault *fault)
{
	(void)context;
	return store_run(store, own_tables, fault);
}

/* Each domain's numbers are 1, 2, 3 .. in the order of the array. */
static void numbers_check(const struct store_migration *migrations, size_t count)
{
	for (size_t index = 0; index < count; index++) {
		unsigned before = 0;
		for (size_t earlier = 0; earlier < index; earlier++) {
			if (strcmp(migrations[earlier].domain, migrations[index].domain) == 0)
				before = migrations[earlier].number;
		}
		check_equal(migrations[index].number, before + 1);
	}
}

static int newest_verify(struct store *store, const struct migrating *migrating, const char *domain,
			 struct fault *fault)
{
	int64_t known = 0;
	for (size_t index = 0; index < migrating->count; index++) {
		if (strcmp(migrating->migrations[index].domain, domain) == 0)
			known = migrating->migrations[index].number;
	}

	STORE_STATEMENT select = NULL;
	int code = store_prepare(
		store, "SELECT coalesce(max(number), 0) FROM store_migrations WHERE domain = $1",
		&select, fault);
	if (code < 0)
		return code;
	store_bind_text(select, 1, slice_of(domain));
	bool row;
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	check(row);
	const int64_t applied = store_column_int64(select, 0);
	if (applied > known)
		return fault_set(
			fault, FAULT_UNSUPPORTED,
			"the store was made by a newer program: its tables of \"%s\" are at "
			"step %lld, this program knows %lld",
			domain, (long long)applied, (long long)known);
	return 0;
}

static int all_verify(struct store *store, void *context, struct fault *fault)
{
	const struct migrating *migrating = context;

	for (size_t index = 0; index < migrating->count; index++) {
		const struct store_migration *migration = &migrating->migrations[index];
		char stored[DIGEST_TEXT_MAX], expected[DIGEST_TEXT_MAX];
		bool applied;
		int code = newest_verify(store, migrating, migration->domain, fault);
		if (code == 0)
			code = digest_find(store, migration, stored, &applied, fault);
		if (code < 0)
			return code;
		digest_make(migration, expected);
		if (applied && strcmp(stored, expected) != 0)
			return fault_set(
				fault, FAULT_DAMAGED,
				"step %u of the tables of \"%s\" differs from the one that "
				"this store was made with",
				migration->number, migration->domain);
	}
	return 0;
}

static int one_apply(struct store *store, void *context, struct fault *fault)
{
	const struct store_migration *migration = context;
	char digest[DIGEST_TEXT_MAX];
	bool applied;

	int code = digest_find(store, migration, digest, &applied, fault);
	if (code < 0 || applied)
		return code;
	code = store_run(store, migration->sql, fault);
	if (code == 0 && migration->sqlite != NULL && store_connection(store)->driver->sqlite)
		code = store_run(store, migration->sqlite, fault);
	if (code < 0)
		return fault_prefix(fault, "step %u of the tables of \"%s\"", migration->number,
				    migration->domain);

	STORE_STATEMENT insert = NULL;
	code = store_prepare(
		store, "INSERT INTO store_migrations (domain, number, digest) VALUES ($1, $2, $3)",
		&insert, fault);
	if (code < 0)
		return code;
	digest_make(migration, digest);
	store_bind_text(insert, 1, slice_of(migration->domain));
	store_bind_int64(insert, 2, migration->number);
	store_bind_text(insert, 3, slice_of(digest));
	return store_execute(insert, fault);
}

static int digest_find(struct store *store, const struct store_migration *migration,
		       char digest[DIGEST_TEXT_MAX], bool *ret_applied, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	int code = store_prepare(
		store, "SELECT digest FROM store_migrations WHERE domain = $1 AND number = $2",
		&select, fault);
	if (code < 0)
		return code;
	store_bind_text(select, 1, slice_of(migration->domain));
	store_bind_int64(select, 2, migration->number);
	bool row;
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (row) {
		const struct slice stored = store_column_text(select, 0);
		if (stored.length >= DIGEST_TEXT_MAX)
			return fault_set(fault, FAULT_DAMAGED,
					 "the store's record of step %u of \"%s\" is no digest",
					 migration->number, migration->domain);
		memcpy(digest, stored.data, stored.length);
		digest[stored.length] = '\0';
	}
	*ret_applied = row;
	return 0;
}

static void digest_make(const struct store_migration *migration, char digest[DIGEST_TEXT_MAX])
{
	crypto_generichash_state state;
	unsigned char bytes[DIGEST_BYTES];
	const char *sqlite = migration->sqlite != NULL ? migration->sqlite : "";

	check_equal(crypto_generichash_init(&state, NULL, 0, sizeof(bytes)), 0);
	crypto_generichash_update(&state, (const unsigned char *)migration->sql,
				  strlen(migration->sql) + 1);
	crypto_generichash_update(&state, (const unsigned char *)sqlite, strlen(sqlite));
	crypto_generichash_final(&state, bytes, sizeof(bytes));
	sodium_bin2hex(digest, DIGEST_TEXT_MAX, bytes, sizeof(bytes));
}

/* ---- sequences ---- */

int store_sequence_take(struct store *store, const char *name, int64_t count, int64_t *ret_first,
			struct fault *fault)
{
	check(count >= 1);

	STORE_STATEMENT take = NULL;
	int code = store_prepare(store,
				 "INSERT INTO store_sequences (name, value) VALUES ($1, $2)"
				 " ON CONFLICT (name) DO UPDATE"
				 " SET value = store_sequences.value + excluded.value"
				 " RETURNING value",
				 &take, fault);
	if (code < 0)
		return code;
	store_bind_text(take, 1, slice_of(name));
	store_bind_int64(take, 2, count);
	bool row;
	code = store_step(take, &row, fault);
	if (code < 0)
		return code;
	check(row);
	*ret_first = store_column_int64(take, 0) - count + 1;
	return 0;
}

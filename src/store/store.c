#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "store/store_internal.h"

#define STORE_BUCKETS 256 /* of the statement cache */

static_assert((STORE_BUCKETS & (STORE_BUCKETS - 1)) == 0, "buckets are chosen by mask");

struct store_statement {
	struct store *store;
	struct store_cursor *cursor;
	char *sql;
	uint64_t hash;
	uint64_t used_at; /* counts prepares, for finding the longest unused */
	bool in_use;
	bool cached; /* else it is finished on release */
	bool row;    /* a row stands */
	struct store_statement *bucket_next;
	struct store_statement *next; /* in the store's list of all */
	struct store_statement *previous;
};

struct store {
	struct store_connection *connection;
	const struct store_driver *driver;
	enum store_access access;
	bool in_transaction;
	bool failed; /* the open transaction met a fault */
	uint64_t prepares;
	size_t cached_count;
	struct store_statement *all;
	struct store_statement *buckets[STORE_BUCKETS];
};

static int transaction_run(struct store *store, enum store_access access, store_transaction_fn work,
			   void *context, struct fault *fault);
static int usable(const struct store *store, struct fault *fault);
static int noted(struct store *store, int code);
static void statements_reset(struct store *store);
static void statements_drop(struct store *store);
static struct store_statement *cache_find(struct store *store, const char *sql, uint64_t hash);
static void cache_make_room(struct store *store);
static void statement_finish(struct store_statement *statement);
static void statement_bind(struct store_statement *statement, unsigned parameter,
			   const struct store_value *value);
static uint64_t text_hash(const char *text);

/* ---- opening ---- */

int store_open(const char *address, struct store **ret_store, struct fault *fault)
{
	return store_open_patient(address, STORE_BUSY_TIMEOUT_MS, ret_store, fault);
}

int store_open_patient(const char *address, unsigned busy_timeout_ms, struct store **ret_store,
		       struct fault *fault)
{
	static const char sqlite[] = "sqlite:";
	const char *path = address;

	if (strncmp(address, sqlite, strlen(sqlite)) == 0)
		path = address + strlen(sqlite);
	else if (strncmp(address, "postgresql:", strlen("postgresql:")) == 0)
		return fault_set(fault, FAULT_UNSUPPORTED,
				 "this build has no driver for the store \"%s\"", address);
	if (*path == '\0')
		return fault_set(fault, FAULT_INPUT, "the store's address \"%s\" names no file",
				 address);

	struct store_connection *connection;
	const int code = store_sqlite_open(path, busy_timeout_ms, &connection, fault);
	if (code < 0)
		return code;
	*ret_store = store_over(connection);
	return 0;
}

struct store *store_over(struct store_connection *connection)
{
	struct store *store = calloc(1, sizeof(*store));
	check(store != NULL);
	store->connection = connection;
	store->driver = connection->driver;
	return store;
}

struct store_connection *store_connection(struct store *store)
{
	return store->connection;
}

void store_decorate(struct store *store, struct store_connection *outer)
{
	statements_drop(store);
	store->connection = outer;
	store->driver = outer->driver;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	store_rollback(store);
	statements_drop(store);
	store->driver->close(store->connection);
	free(store);
}

/* ---- transactions ---- */

int store_begin(struct store *store, enum store_access access, struct fault *fault)
{
	check(!store->in_transaction);

	const int code = store->driver->begin(store->connection, access, fault);
	if (code < 0)
		return code;
	store->in_transaction = true;
	store->failed = false;
	store->access = access;
	return 0;
}

int store_commit(struct store *store, struct fault *fault)
{
	check(store->in_transaction);

	int code = usable(store, fault);
	if (code < 0) {
		store_rollback(store);
		return code;
	}
	statements_reset(store);
	store->in_transaction = false;
	return store->driver->commit(store->connection, fault);
}

void store_rollback(struct store *store)
{
	if (!store->in_transaction)
		return;
	statements_reset(store);
	store->driver->rollback(store->connection);
	store->in_transaction = false;
	store->failed = false;
}

bool store_in_transaction(const struct store *store)
{
	return store->in_transaction;
}

int store_copy(struct store *store, const char *path, store_progress_fn progress, void *context,
	       struct fault *fault)
{
	check(store->in_transaction && store->access == STORE_READ);
	return store->connection->driver->copy(store->connection, path, progress, context, fault);
}

int store_transaction(struct store *store, store_transaction_fn work, void *context,
		      struct fault *fault)
{
	return transaction_run(store, STORE_WRITE, work, context, fault);
}

int store_transaction_read(struct store *store, store_transaction_fn work, void *context,
			   struct fault *fault)
{
	return transaction_run(store, STORE_READ, work, context, fault);
}

/* The driver has waited for the lock by itself, so the next attempt comes at once. */
static int transaction_run(struct store *store, enum store_access access, store_transaction_fn work,
			   void *context, struct fault *fault)
{
	int code = FAULT_BUSY;

	for (unsigned attempt = 0; attempt < STORE_ATTEMPTS_MAX && code == FAULT_BUSY; attempt++) {
		code = store_begin(store, access, fault);
		if (code < 0)
			continue;
		code = work(store, context, fault);
		check_at_most(code, 0);
		check(store->in_transaction);
		if (code == 0)
			code = store_commit(store, fault);
		else
			store_rollback(store);
	}
	return code;
}

static int usable(const struct store *store, struct fault *fault)
{
	if (store->in_transaction && store->failed)
		return fault_set(fault, FAULT_STORE,
				 "the transaction failed before and can only be rolled back");
	return 0;
}

/* A fault inside a transaction ends its usefulness, on every driver alike. */
static int noted(struct store *store, int code)
{
	if (code < 0 && store->in_transaction)
		store->failed = true;
	return code;
}

/* ---- statements ---- */

int store_run(struct store *store, const char *sql, struct fault *fault)
{
	const int code = usable(store, fault);
	if (code < 0)
		return code;
	return noted(store, store->driver->run(store->connection, sql, fault));
}

int store_prepare(struct store *store, const char *sql, struct store_statement **ret_statement,
		  struct fault *fault)
{
	int code = usable(store, fault);
	if (code < 0)
		return code;

	const uint64_t hash = text_hash(sql);
	struct store_statement *statement = cache_find(store, sql, hash);
	const bool known = statement != NULL;
	if (!known || statement->in_use) {
		struct store_cursor *cursor;
		code = store->driver->prepare(store->connection, sql, &cursor, fault);
		if (code < 0)
			return noted(store, code);
		statement = calloc(1, sizeof(*statement));
		check(statement != NULL);
		statement->sql = strdup(sql);
		check(statement->sql != NULL);
		statement->store = store;
		statement->cursor = cursor;
		statement->hash = hash;
		statement->next = store->all;
		if (store->all != NULL)
			store->all->previous = statement;
		store->all = statement;
		if (!known) {
			cache_make_room(store);
			struct store_statement **bucket = &store->buckets[hash % STORE_BUCKETS];
			statement->cached = true;
			statement->bucket_next = *bucket;
			*bucket = statement;
			store->cached_count++;
		}
	}
	statement->in_use = true;
	statement->used_at = ++store->prepares;
	*ret_statement = statement;
	return 0;
}

void store_statement_release(struct store_statement **statement)
{
	struct store_statement *released = *statement;

	if (released == NULL)
		return;
	*statement = NULL;
	check(released->in_use);
	store_reset(released);
	released->store->driver->clear(released->cursor);
	released->in_use = false;
	if (!released->cached)
		statement_finish(released);
}

void store_bind_int64(struct store_statement *statement, unsigned parameter, int64_t value)
{
	statement_bind(statement, parameter,
		       &(struct store_value){.kind = STORE_VALUE_INT64, .number = value});
}

void store_bind_text(struct store_statement *statement, unsigned parameter, struct slice text)
{
	statement_bind(statement, parameter,
		       &(struct store_value){.kind = STORE_VALUE_TEXT, .bytes = text});
}

void store_bind_blob(struct store_statement *statement, unsigned parameter, struct slice bytes)
{
	statement_bind(statement, parameter,
		       &(struct store_value){.kind = STORE_VALUE_BLOB, .bytes = bytes});
}

void store_bind_null(struct store_statement *statement, unsigned parameter)
{
	statement_bind(statement, parameter, &(struct store_value){.kind = STORE_VALUE_NULL});
}

static void statement_bind(struct store_statement *statement, unsigned parameter,
			   const struct store_value *value)
{
	check(statement->in_use);
	check(!statement->row);
	check(parameter >= 1 && parameter <= STORE_PARAMETERS_MAX);
	statement->store->driver->bind(statement->cursor, parameter, value);
}

int store_step(struct store_statement *statement, bool *ret_row, struct fault *fault)
{
	struct store *store = statement->store;
	check(statement->in_use);

	int code = usable(store, fault);
	if (code < 0)
		return code;
	bool row;
	code = noted(store, store->driver->step(statement->cursor, &row, fault));
	statement->row = code == 0 && row;
	if (!statement->row)
		store->driver->reset(statement->cursor);
	if (code == 0)
		*ret_row = row;
	return code;
}

int store_execute(struct store_statement *statement, struct fault *fault)
{
	bool row;

	do {
		const int code = store_step(statement, &row, fault);
		if (code < 0)
			return code;
	} while (row);
	return 0;
}

void store_reset(struct store_statement *statement)
{
	if (!statement->row)
		return;
	statement->row = false;
	statement->store->driver->reset(statement->cursor);
}

int64_t store_changes(const struct store_statement *statement)
{
	return statement->store->driver->changes(statement->store->connection);
}

static struct store_value column_of(const struct store_statement *statement, unsigned column)
{
	struct store_value value;

	check(statement->row);
	statement->store->driver->column(statement->cursor, column, &value);
	return value;
}

int64_t store_column_int64(const struct store_statement *statement, unsigned column)
{
	const struct store_value value = column_of(statement, column);

	check(value.kind == STORE_VALUE_INT64 || value.kind == STORE_VALUE_NULL);
	return value.number;
}

struct slice store_column_text(const struct store_statement *statement, unsigned column)
{
	const struct store_value value = column_of(statement, column);

	check(value.kind == STORE_VALUE_TEXT || value.kind == STORE_VALUE_NULL);
	return value.bytes;
}

struct slice store_column_blob(const struct store_statement *statement, unsigned column)
{
	const struct store_value value = column_of(statement, column);

	check(value.kind == STORE_VALUE_BLOB || value.kind == STORE_VALUE_NULL);
	return value.bytes;
}

bool store_column_is_null(const struct store_statement *statement, unsigned column)
{
	return column_of(statement, column).kind == STORE_VALUE_NULL;
}

static void statements_reset(struct store *store)
{
	for (struct store_statement *statement = store->all; statement != NULL;
	     statement = statement->next)
		store_reset(statement);
}

static void statements_drop(struct store *store)
{
	while (store->all != NULL) {
		check(!store->all->in_use);
		statement_finish(store->all);
	}
}

static struct store_statement *cache_find(struct store *store, const char *sql, uint64_t hash)
{
	struct store_statement *statement = store->buckets[hash % STORE_BUCKETS];

	while (statement != NULL && (statement->hash != hash || strcmp(statement->sql, sql) != 0))
		statement = statement->bucket_next;
	return statement;
}

/* Below the maximum by one, unless all are in use. */
static void cache_make_room(struct store *store)
{
	struct store_statement *oldest = NULL;

	if (store->cached_count < STORE_STATEMENTS_MAX)
		return;
	for (struct store_statement *statement = store->all; statement != NULL;
	     statement = statement->next) {
		if (!statement->in_use && statement->cached &&
		    (oldest == NULL || statement->used_at < oldest->used_at))
			oldest = statement;
	}
	if (oldest != NULL)
		statement_finish(oldest);
}

static void statement_finish(struct store_statement *statement)
{
	struct store *store = statement->store;

	if (statement->cached) {
		struct store_statement **link = &store->buckets[statement->hash % STORE_BUCKETS];
		while (*link != statement)
			link = &(*link)->bucket_next;
		*link = statement->bucket_next;
		store->cached_count--;
	}
	if (statement->previous != NULL)
		statement->previous->next = statement->next;
	else
		store->all = statement->next;
	if (statement->next != NULL)
		statement->next->previous = statement->previous;
	store->driver->finish(statement->cursor);
	free(statement->sql);
	free(statement);
}

/* FNV-1a; the texts are the program's own. */
static uint64_t text_hash(const char *text)
{
	uint64_t hash = 14695981039346656037u;

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash;
}

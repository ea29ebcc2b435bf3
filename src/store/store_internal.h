/*
 * store_internal: what a driver is. SQLite is one, PostgreSQL becomes one, and a decorator is one
 * that has another inside. store.c keeps the rules that all of them share (cache, retries, what a
 * fault does to a transaction), so a driver only translates.
 *
 * Threads: a connection and its cursors belong to one thread at a time.
 */
#pragma once

#include "store/store.h"

struct store_driver;

/* First member of each driver's own struct. */
struct store_connection {
	const struct store_driver *driver;
};

/* A prepared statement of a connection; first member of each driver's own struct. */
struct store_cursor {
	const struct store_driver *driver;
};

enum store_value_kind { STORE_VALUE_NULL, STORE_VALUE_INT64, STORE_VALUE_TEXT, STORE_VALUE_BLOB };

struct store_value {
	enum store_value_kind kind;
	int64_t number;     /* STORE_VALUE_INT64 */
	struct slice bytes; /* STORE_VALUE_TEXT, STORE_VALUE_BLOB */
};

/* Functions that may fail return 0 or a negative fault. */
struct store_driver {
	bool sqlite; /* speaks SQLite's dialect: migrations' `sqlite` part is run */
	void (*close)(struct store_connection *connection);
	int (*begin)(struct store_connection *connection, enum store_access access,
		     struct fault *fault);
	/* Has ended the transaction in either case. */
	int (*commit)(struct store_connection *connection, struct fault *fault);
	void (*rollback)(struct store_connection *connection);
	int (*run)(struct store_connection *connection, const char *sql, struct fault *fault);
	int64_t (*changes)(struct store_connection *connection);
	int (*prepare)(struct store_connection *connection, const char *sql,
		       struct store_cursor **ret_cursor, struct fault *fault);
	void (*finish)(struct store_cursor *cursor);
	void (*bind)(struct store_cursor *cursor, unsigned parameter,
		     const struct store_value *value);
	int (*step)(struct store_cursor *cursor, bool *ret_row, struct fault *fault);
	void (*reset)(struct store_cursor *cursor);
	void (*clear)(struct store_cursor *cursor); /* all parameters are NULL again */
	void (*column)(struct store_cursor *cursor, unsigned column, struct store_value *ret_value);
	/* What the open read transaction sees, into a new file. */
	int (*copy)(struct store_connection *connection, const char *path,
		    store_progress_fn progress, void *context, struct fault *fault);
};

/* `path` is a file's; `busy_timeout_ms` how long to wait for another writer. */
int store_sqlite_open(const char *path, unsigned busy_timeout_ms,
		      struct store_connection **ret_connection, struct fault *fault);

/* Puts a store around an open connection, which it then owns. */
struct store *store_over(struct store_connection *connection);
struct store_connection *store_connection(struct store *store);

/* Replaces the connection by one that has the present one inside. No statement may be in use. */
void store_decorate(struct store *store, struct store_connection *outer);

/* Both are told of an operation, `before` with code 0 and row false. A negative answer of `before`
 * makes the operation fail without being done, one of `after` once it was done well. They fill
 * the fault. Each may be NULL; `close` ends the context's life with the connection's. */
struct store_hooks {
	int (*before)(void *context, const struct store_trace *trace, struct fault *fault);
	int (*after)(void *context, const struct store_trace *trace, struct fault *fault);
	void (*close)(void *context);
};

struct store_connection *store_hooked(struct store_connection *inner,
				      const struct store_hooks *hooks, void *context);

/*
 * store: tables that survive. Transactions, statements and migrations over SQLite, and over
 * whatever becomes a second driver; it knows no table but its own two.
 *
 * What is committed is on the disk, whole, when store_commit returns (WAL, synchronous=FULL);
 * what is not committed nobody else ever sees. Speed comes from doing much in one transaction.
 *
 * SQL is kept to what SQLite and PostgreSQL share: parameters are $1, $2, ..; columns are
 * BIGINT or TEXT (BLOB where bytes are meant), a key that is one integer is written
 * INTEGER PRIMARY KEY (64 bits everywhere); INSERT .. ON CONFLICT and RETURNING are there.
 * New ids come from store_sequence_take, not from the database's own counters.
 *
 *	static int rename_account(struct store *store, void *context, struct fault *fault)
 *	{
 *		const struct rename *rename = context;
 *		STORE_STATEMENT update = NULL;
 *		int code = store_prepare(store, "UPDATE account SET name = $1 WHERE id = $2",
 *					 &update, fault);
 *		if (code < 0)
 *			return code;
 *		store_bind_text(update, 1, rename->name);
 *		store_bind_int64(update, 2, rename->id);
 *		return store_execute(update, fault);
 *	}
 *	...
 *	code = store_transaction(store, rename_account, &rename, fault);
 *
 * Faults: FAULT_BUSY (try the transaction again), FAULT_CONFLICT (a unique key is taken),
 * FAULT_REFUSED (another constraint or a trigger said no), FAULT_DAMAGED (the file is not a
 * sound database, or was changed behind our back), FAULT_UNSUPPORTED (made by a newer program),
 * FAULT_STORE (disk full, I/O, everything else). After any fault inside a transaction only
 * store_rollback is left: further work in it faults too.
 *
 * Threads: a handle and its statements belong to one thread at a time; open one a thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/slice.h"

#define STORE_PARAMETERS_MAX  32
#define STORE_STATEMENTS_MAX  256  /* kept prepared by a handle; the longest unused goes first */
#define STORE_ATTEMPTS_MAX    5    /* of store_transaction, first one included */
#define STORE_BUSY_TIMEOUT_MS 5000 /* how long one attempt waits for another writer */

struct store;
struct store_statement;

/* Declares a statement that is given back when the variable leaves its scope. */
#define STORE_STATEMENT __attribute__((cleanup(store_statement_release))) struct store_statement *

/* ---- opening ---- */

/* "sqlite:PATH" or just PATH; a missing file is created, readable by its owner only. */
int store_open(const char *address, struct store **ret_store, struct fault *fault);
/* As store_open, for who waits so long for another writer in each attempt and no longer. */
int store_open_patient(const char *address, unsigned busy_timeout_ms, struct store **ret_store,
		       struct fault *fault);
/* Rolls back what is open. NULL is allowed. */
void store_close(struct store *store);

/* ---- transactions ---- */

enum store_access {
	STORE_READ,  /* one unmoving view of what was committed; writing in it is a bug */
	STORE_WRITE, /* alone among writers from the first statement on */
};

int store_begin(struct store *store, enum store_access access, struct fault *fault);
/* On a fault nothing was committed, or, where the disk failed during the commit, that cannot be
 * known; either way the transaction has ended. */
int store_commit(struct store *store, struct fault *fault);
/* Nothing happens where no transaction is open. */
void store_rollback(struct store *store);
bool store_in_transaction(const struct store *store);

/* The work of a transaction: 0 commits, negative rolls back and is handed on. */
typedef int (*store_transaction_fn)(struct store *store, void *context, struct fault *fault);

/* Runs `work` in a STORE_WRITE transaction. On FAULT_BUSY it is rolled back and run again, at
 * most STORE_ATTEMPTS_MAX times in all; so `work` must start afresh each time it is called and
 * touch nothing but the store and its context. */
int store_transaction(struct store *store, store_transaction_fn work, void *context,
		      struct fault *fault);
/* The same, STORE_READ. */
int store_transaction_read(struct store *store, store_transaction_fn work, void *context,
			   struct fault *fault);

/* ---- a copy ---- */

/* How far a copy is; the parts are of some size. */
typedef void (*store_progress_fn)(void *context, uint64_t done, uint64_t total);

/* Writes what the open STORE_READ transaction sees into a new file at `path`, a store of its own,
 * while others go on writing (their log grows until the transaction ends). Not synced: that is
 * the caller's. `progress` may be NULL. */
int store_copy(struct store *store, const char *path, store_progress_fn progress, void *context,
	       struct fault *fault);

/* ---- statements ---- */

/* One or several statements without parameters and results; without a transaction around, each
 * is one of its own. */
int store_run(struct store *store, const char *sql, struct fault *fault);

/* Gives a prepared statement, from the cache where the same text was prepared before; `sql` must
 * be a text that lives as long as the program (a literal). Reading works without a transaction
 * too, each statement then has its own view; writing needs one. Commit and rollback reset every
 * statement. */
int store_prepare(struct store *store, const char *sql, struct store_statement **ret_statement,
		  struct fault *fault);
/* Ends the statement's use: sets *statement to NULL. NULL inside is allowed. */
void store_statement_release(struct store_statement **statement);

/* Parameters count from 1; unbound ones are NULL. Bytes are copied. What goes wrong here
 * (memory) is told by the next step. Bindings stay over a reset. */
void store_bind_int64(struct store_statement *statement, unsigned parameter, int64_t value);
void store_bind_text(struct store_statement *statement, unsigned parameter, struct slice text);
void store_bind_blob(struct store_statement *statement, unsigned parameter, struct slice bytes);
void store_bind_null(struct store_statement *statement, unsigned parameter);

/* *ret_row is true with a row to read, false at the end, where the statement is reset too. */
int store_step(struct store_statement *statement, bool *ret_row, struct fault *fault);
/* Steps to the end and resets; rows, if any, are dropped. */
int store_execute(struct store_statement *statement, struct fault *fault);
/* For binding and stepping again. */
void store_reset(struct store_statement *statement);
/* Rows that the last finished INSERT, UPDATE or DELETE of this handle touched. */
int64_t store_changes(const struct store_statement *statement);

/* Columns count from 0 and exist while a row stands. NULL reads as 0 or as the empty slice; a
 * value of another type is a bug. Bytes live until the next step, reset or release. */
int64_t store_column_int64(const struct store_statement *statement, unsigned column);
struct slice store_column_text(const struct store_statement *statement, unsigned column);
struct slice store_column_blob(const struct store_statement *statement, unsigned column);
bool store_column_is_null(const struct store_statement *statement, unsigned column);

/* ---- ids ---- */

/* Takes `count` numbers of the named sequence; *ret_first is the first, from 1 on. They are
 * given out once, and again only if the transaction around is rolled back. After store_migrate. */
int store_sequence_take(struct store *store, const char *name, int64_t count, int64_t *ret_first,
			struct fault *fault);

/* ---- migrations ---- */

/* A domain's tables, as numbered steps: 1, 2, 3 .. without a gap. A step that was released
 * never changes; what changes is a new step. */
struct store_migration {
	const char *domain;
	unsigned number;
	const char *sql;    /* one or several statements */
	const char *sqlite; /* run behind it on SQLite only (triggers); or NULL */
};

/* Applies what is missing, each step in a transaction of its own, in the order given. Several
 * domains may stand in one array or come in several calls. FAULT_UNSUPPORTED where the database
 * has steps of a domain that the array lacks, FAULT_DAMAGED where a step differs from what was
 * applied under its number: nothing is changed then. */
int store_migrate(struct store *store, const struct store_migration *migrations, size_t count,
		  struct fault *fault);

/* ---- decorators: drivers around the driver of an open store, for tests and for looking ---- */

enum store_operation {
	STORE_OPERATION_BEGIN,
	STORE_OPERATION_COMMIT,
	STORE_OPERATION_ROLLBACK,
	STORE_OPERATION_RUN,
	STORE_OPERATION_PREPARE,
	STORE_OPERATION_STEP,
};

const char *store_operation_name(enum store_operation operation);

struct store_trace {
	enum store_operation operation;
	const char *sql; /* NULL for begin, commit, rollback; the text only, never a value */
	int code;        /* 0 or the fault */
	bool row;        /* STEP: a row came */
};

typedef void (*store_trace_fn)(void *context, const struct store_trace *trace);

/* Tells `trace` of every operation after it was done. No statement may be in use. */
void store_trace(struct store *store, store_trace_fn trace, void *context);

/* Which operations fail. Begin, commit, run, prepare and step are counted from 1; a rollback
 * always works. The struct is the caller's and may be changed between operations. */
struct store_failure {
	uint64_t calls;   /* counted so far; reset it to start over */
	uint64_t fail_at; /* this one fails; 0: none */
	bool for_ever;    /* and all later ones */
	bool afterwards;  /* it is done first, then told as failed: the answer was lost */
	int code;         /* 0 stands for FAULT_STORE */
};

/* Makes the store fail as `failure` says. No statement may be in use. */
void store_fail(struct store *store, struct store_failure *failure);

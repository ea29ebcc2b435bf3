/*
 * account_internal: what the files of this folder share.
 */
#pragma once

#include "account/account.h"

/* FAULT_NOT_FOUND: `there is no WHAT "NAME"`, with the nearest of the names that `sql` (one
 * column; $1 is `owner` where it is not 0) gives. */
int account_not_found(struct store *store, const char *sql, int64_t owner, const char *what,
		      struct slice name, struct fault *fault);
/* The same for an id, "WHAT_12". */
int account_id_not_found(const char *prefix, uint64_t id, struct fault *fault);

/* Reads one row by `read`; *ret_row false where there is none. */
typedef void (*account_read_fn)(const struct store_statement *statement, void *row);
int account_read_one(struct store_statement *statement, account_read_fn read, void *row,
		     bool *ret_row, struct fault *fault);
/* Reads up to `most` rows of row_bytes each. */
int account_read_page(struct store_statement *statement, account_read_fn read, void *rows,
		      size_t row_bytes, size_t most, size_t *ret_count, struct fault *fault);

/* Copies a column that the table keeps within its maximum. */
void account_column_copy(const struct store_statement *statement, unsigned column, char *text,
			 size_t text_bytes_max);

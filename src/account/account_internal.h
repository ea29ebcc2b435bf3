/*
 * account_internal: what the files of this folder share.
 */
#pragma once

#include "account/account.h"

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

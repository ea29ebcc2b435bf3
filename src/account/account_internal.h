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

/* ---- key.c, for certificate.c ---- */

/* With a new id, which it sets. */
int account_key_add(struct store *store, struct account_key *key, struct fault *fault);
enum account_key_filter { ACCOUNT_KEYS_ALL, ACCOUNT_KEYS_CERTIFICATES };
int account_key_page(struct store *store, enum account_key_filter filter, struct app_id app,
		     bool only_valid, uint64_t now_ns, struct key_id after,
		     struct account_key *keys, size_t most, size_t *ret_count, struct fault *fault);

/*
 * changes: the log of every change that was made through the API: when, by whom, with which
 * operation, to what, and in short what is other than before. Entries are only ever appended, in
 * the transaction of the change itself; no secret stands in one.
 *
 * Threads: the API's.
 */
#pragma once

#include "api/api_internal.h"

extern const struct store_migration api_migrations[];
extern const size_t api_migration_count;

/* Appends request->change; within the change's write transaction. */
int changes_append(struct api_request *request, struct store *store, struct fault *fault);

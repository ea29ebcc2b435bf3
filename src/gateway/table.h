/*
 * table: a liburcu hash table of the directory, with its own growth.
 *
 * Left to itself the library lets eight entries share a bucket before it grows a large table, and
 * every lookup then walks through memory that is in no cache. Here the publisher, who alone
 * adds, keeps at least one bucket an entry. A table never shrinks.
 *
 * Threads: lookups (on `of`) any thread that is registered with RCU; the rest is the
 * publisher's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <urcu/rculfhash.h>

struct table {
	struct cds_lfht *of;
	size_t entries, buckets;
};

/* False: no memory. */
bool table_init(struct table *table);
/* Takes every entry out and hands it to `free_entry`. Nobody looks anything up any more. A table
 * that was never made is fine. */
void table_fini(struct table *table, void (*free_entry)(struct cds_lfht_node *node));

/* After an entry was added, or taken out. What replaced another was not added. */
void table_added(struct table *table);
void table_removed(struct table *table);

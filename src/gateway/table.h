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

/* The thread sanitizer does not see into liburcu: it is told that what stands in an entry before it
 * is added is seen by who finds it. Elsewhere nothing is done. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define TABLE_RELEASE(entry) __tsan_release(entry)
#define TABLE_ACQUIRE(entry) __tsan_acquire(entry)
#else
#define TABLE_RELEASE(entry) ((void)(entry))
#define TABLE_ACQUIRE(entry) ((void)(entry))
#endif

struct table {
	struct cds_lfht *of;
	size_t entries, buckets;
};

/* False: no memory. */
bool table_init(struct table *table);
/* Takes every entry out and hands it to `free_entry`. Nobody looks anything up any more. A table
 * that was never made is fine. */
void table_fini(struct table *table, void (*free_entry)(struct cds_lfht_node *node));

/* Right before the entry is added: all that it holds is there. */
static inline void table_entry_init(struct cds_lfht_node *node)
{
	cds_lfht_node_init(node);
	TABLE_RELEASE(node);
}

/* What a lookup has found, or NULL. */
static inline struct cds_lfht_node *table_found(struct cds_lfht_iter *iterator)
{
	struct cds_lfht_node *node = cds_lfht_iter_get_node(iterator);

	if (node != NULL)
		TABLE_ACQUIRE(node);
	return node;
}

/* Room for so many entries, so that it need not grow step by step. */
void table_reserve(struct table *table, size_t entries);

/* After an entry was added, or taken out. What replaced another was not added. */
void table_added(struct table *table);
void table_removed(struct table *table);

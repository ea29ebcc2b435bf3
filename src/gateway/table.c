#include "gateway/table.h"

#include <urcu/urcu-qsbr.h>

#include "base/check.h"

#define BUCKETS_FIRST 64

bool table_init(struct table *table)
{
	*table = (struct table){.buckets = BUCKETS_FIRST};
	table->of =
		cds_lfht_new_flavor(BUCKETS_FIRST, BUCKETS_FIRST, 0, 0, &urcu_qsbr_flavor, NULL);
	return table->of != NULL;
}

void table_fini(struct table *table, void (*free_entry)(struct cds_lfht_node *node))
{
	struct cds_lfht_iter iterator;
	struct cds_lfht_node *node;

	if (table->of == NULL)
		return;
	for (cds_lfht_first(table->of, &iterator);
	     (node = cds_lfht_iter_get_node(&iterator)) != NULL;) {
		cds_lfht_next(table->of, &iterator);
		cds_lfht_del(table->of, node);
		free_entry(node);
	}
	cds_lfht_destroy(table->of, NULL);
}

void table_reserve(struct table *table, size_t entries)
{
	size_t buckets = table->buckets;

	while (buckets < entries)
		buckets *= 2;
	if (buckets == table->buckets)
		return;
	table->buckets = buckets;
	cds_lfht_resize(table->of, buckets);
}

void table_added(struct table *table)
{
	table->entries++;
	if (table->entries <= table->buckets)
		return;
	table_reserve(table, table->entries);
}

void table_removed(struct table *table)
{
	check(table->entries > 0);
	table->entries--;
}

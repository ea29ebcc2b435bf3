#include "gateway/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <urcu/urcu-qsbr.h>

#include "base/check.h"
#include "base/testing.h"

#define ENTRIES 20000

struct entry {
	struct cds_lfht_node node;
	unsigned long number;
};

static unsigned long hash_of(unsigned long number)
{
	return number * 0x9e3779b97f4a7c15ul;
}

static int match(struct cds_lfht_node *node, const void *key)
{
	return ((struct entry *)node)->number == *(const unsigned long *)key;
}

static struct entry *find(struct table *table, unsigned long number)
{
	struct cds_lfht_iter iterator;

	cds_lfht_lookup(table->of, hash_of(number), match, &number, &iterator);
	return (struct entry *)cds_lfht_iter_get_node(&iterator);
}

static struct entry *put(struct table *table, unsigned long number)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	check(entry != NULL);
	entry->number = number;
	cds_lfht_node_init(&entry->node);
	cds_lfht_add(table->of, hash_of(number), &entry->node);
	table_added(table);
	return entry;
}

static void free_entry(struct cds_lfht_node *node)
{
	free(node);
}

static void grows_to_a_bucket_an_entry_and_finds_all(void **state)
{
	struct table table;

	(void)state;
	urcu_qsbr_register_thread();
	assert_true(table_init(&table));
	for (unsigned long i = 0; i < ENTRIES; i++) {
		put(&table, i);
		assert_true(table.buckets >= table.entries);
	}
	for (unsigned long i = 0; i < ENTRIES; i++)
		assert_int_equal(find(&table, i)->number, i);
	assert_null(find(&table, ENTRIES));
	table_fini(&table, free_entry);
	urcu_qsbr_unregister_thread();
}

static void stays_as_large_when_entries_come_and_go(void **state)
{
	struct table table;

	(void)state;
	urcu_qsbr_register_thread();
	assert_true(table_init(&table));
	const size_t buckets = table.buckets;
	for (unsigned long i = 0; i < ENTRIES; i++) {
		struct entry *entry = put(&table, i);
		cds_lfht_del(table.of, &entry->node);
		table_removed(&table);
		free(entry);
	}
	assert_int_equal(table.buckets, buckets);
	assert_int_equal(table.entries, 0);
	table_fini(&table, free_entry);
	urcu_qsbr_unregister_thread();
}

struct reading {
	struct table *table;
	atomic_bool stop;
	uint64_t lookups;
};

static void *read_on(void *context)
{
	struct reading *reading = context;

	urcu_qsbr_register_thread();
	do {
		check(find(reading->table, 0) != NULL);
		reading->lookups++;
		urcu_qsbr_quiescent_state();
	} while (!atomic_load(&reading->stop));
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void a_reader_finds_its_entry_while_the_table_grows(void **state)
{
	struct table table;
	pthread_t thread;

	(void)state;
	urcu_qsbr_register_thread();
	assert_true(table_init(&table));
	put(&table, 0);
	struct reading reading = {.table = &table};
	assert_int_equal(pthread_create(&thread, NULL, read_on, &reading), 0);
	for (unsigned long i = 1; i < ENTRIES; i++)
		put(&table, i);
	atomic_store(&reading.stop, true);
	urcu_qsbr_thread_offline();
	assert_int_equal(pthread_join(thread, NULL), 0);
	urcu_qsbr_thread_online();
	assert_true(reading.lookups > 0);
	table_fini(&table, free_entry);
	urcu_qsbr_unregister_thread();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_to_a_bucket_an_entry_and_finds_all),
		cmocka_unit_test(stays_as_large_when_entries_come_and_go),
		cmocka_unit_test(a_reader_finds_its_entry_while_the_table_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "billing/key_uses.h"

#include <stdlib.h>

#include "base/check.h"

#define MINUTE_NS (60 * CLOCK_NS_PER_S)

void key_uses_init(struct key_uses *uses)
{
	*uses = (struct key_uses){0};
	map_init(&uses->by_key);
}

static void free_all(struct key_use *use)
{
	while (use != NULL) {
		struct key_use *next = use->next;
		free(use);
		use = next;
	}
}

void key_uses_fini(struct key_uses *uses)
{
	size_t cursor = 0;
	uint64_t key;
	void *value;

	while (map_next(&uses->by_key, &cursor, &key, &value))
		free_all(value);
	map_fini(&uses->by_key);
}

static struct key_use *meet(struct key_uses *uses, struct key_id key, uint32_t month)
{
	struct key_use *first = map_find(&uses->by_key, key.value);
	struct key_use *use = first;

	while (use != NULL && use->sum.month != month)
		use = use->next;
	if (use == NULL) {
		use = calloc(1, sizeof(*use));
		check(use != NULL);
		use->sum.key = key;
		use->sum.month = month;
		use->next = first;
		map_put(&uses->by_key, key.value, use);
	}
	if (!use->touched) {
		use->touched = true;
		use->next_touched = uses->touched;
		uses->touched = use;
	}
	return use;
}

void key_uses_add(struct key_uses *uses, const struct journal_record *record, uint32_t month)
{
	const uint64_t minute = record->settled_ns / MINUTE_NS;

	if (record->key.value == 0)
		return;
	struct meter_key *sum = &meet(uses, record->key, month)->sum;
	sum->calls += journal_record_begins_call(record);
	if (minute > sum->last_minute)
		sum->last_minute = minute;
}

int key_uses_save(struct key_uses *uses, struct store *store, struct fault *fault)
{
	struct meter_key stored;
	int code = 0;

	for (struct key_use *use = uses->touched; code == 0 && use != NULL;
	     use = use->next_touched) {
		if (!use->loaded) {
			code = meter_key_load(store, use->sum.key, use->sum.month, &stored, fault);
			if (code < 0)
				return code;
			use->sum.calls += stored.calls;
			if (stored.last_minute > use->sum.last_minute)
				use->sum.last_minute = stored.last_minute;
			use->loaded = true;
		}
		code = meter_key_save(store, &use->sum, fault);
	}
	return code;
}

void key_uses_committed(struct key_uses *uses)
{
	for (struct key_use *use = uses->touched; use != NULL; use = use->next_touched)
		use->touched = false;
	uses->touched = NULL;
}

void key_uses_sweep(struct key_uses *uses, uint64_t minute)
{
	size_t cursor = 0;
	uint64_t key;
	void *value;

	check(uses->touched == NULL);
	while (map_next(&uses->by_key, &cursor, &key, &value)) {
		struct key_use *first = value;
		uint64_t last_minute = 0;
		for (struct key_use *use = first; use != NULL; use = use->next) {
			if (use->sum.last_minute > last_minute)
				last_minute = use->sum.last_minute;
		}
		if (last_minute >= minute)
			continue;
		map_remove(&uses->by_key, key);
		free_all(first);
	}
}

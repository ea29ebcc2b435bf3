/*
 * map: from a 64-bit number, or from bytes, to a pointer. Open addressing, power-of-two size,
 * grows at three quarters. Byte keys are hashed by SipHash-2-4 under a random key, and numbers with
 * one, so that hostile names and ids cannot make it slow. For tables off the call path; tables that
 * the workers read while others write are liburcu's.
 *
 * Ownership: values are the caller's; byte keys are copied. Threads: one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct map_slot;

struct map {
	struct map_slot *slots;
	size_t capacity;
	size_t count;
	size_t filled; /* with tombstones */
	uint8_t hash_key[16];
};

void map_init(struct map *map);
void map_fini(struct map *map);

/* NULL when there is none. */
void *map_find(const struct map *map, uint64_t key);
/* Replaces; returns the value before, or NULL. `value` is not NULL. Aborts without memory. */
void *map_put(struct map *map, uint64_t key, void *value);
void *map_remove(struct map *map, uint64_t key);

void *map_find_bytes(const struct map *map, struct slice key);
void *map_put_bytes(struct map *map, struct slice key, void *value);
void *map_remove_bytes(struct map *map, struct slice key);

/* Start with *cursor = 0; false at the end. In no order. The map may not change meanwhile, but
 * the value just given may be removed. map_next gives the number keys, map_next_bytes the
 * others, with a key that lives until its removal. */
bool map_next(const struct map *map, size_t *cursor, uint64_t *ret_key, void **ret_value);
bool map_next_bytes(const struct map *map, size_t *cursor, struct slice *ret_key,
		    void **ret_value);

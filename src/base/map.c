#include "base/map.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/random.h"

#define MAP_CAPACITY_LEAST 16u

enum slot_state { SLOT_EMPTY, SLOT_NUMBER, SLOT_BYTES, SLOT_REMOVED };

struct map_slot {
	uint64_t key; /* SLOT_BYTES: the hash */
	void *value;
	char *bytes; /* SLOT_BYTES: the key, ours */
	size_t length;
	enum slot_state state;
};

/* What is looked for: a number, or bytes with their hash. */
struct wanted {
	enum slot_state state;
	uint64_t key;
	struct slice bytes;
};

static_assert(sizeof(((struct map *)NULL)->hash_key) == crypto_shorthash_KEYBYTES, "SipHash key");

void map_init(struct map *map)
{
	struct random *random = random_system();

	*map = (struct map){0};
	random->fill(random, map->hash_key, sizeof(map->hash_key));
}

void map_fini(struct map *map)
{
	for (size_t i = 0; i < map->capacity; i++) {
		if (map->slots[i].state == SLOT_BYTES)
			free(map->slots[i].bytes);
	}
	free(map->slots);
	*map = (struct map){0};
}

static struct wanted wanted_number(uint64_t key)
{
	return (struct wanted){.state = SLOT_NUMBER, .key = key};
}

static struct wanted wanted_bytes(const struct map *map, struct slice key)
{
	struct wanted wanted = {.state = SLOT_BYTES, .bytes = key};

	crypto_shorthash((unsigned char *)&wanted.key, (const unsigned char *)key.data, key.length,
			 map->hash_key);
	return wanted;
}

/* Numbers come in sequence: spread them (the finalizer of splitmix64). Whoever chooses them must
 * not choose where they go: without the secret, as the finalizer can be run backwards. */
static size_t slot_start(const struct map *map, uint64_t key)
{
	uint64_t secret;

	memcpy(&secret, map->hash_key, sizeof(secret));
	key ^= secret;
	key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9u;
	key = (key ^ (key >> 27)) * 0x94d049bb133111ebu;
	return (size_t)(key ^ (key >> 31)) & (map->capacity - 1);
}

static bool slot_matches(const struct map_slot *slot, const struct wanted *wanted)
{
	if (slot->state != wanted->state || slot->key != wanted->key)
		return false;
	return slot->state == SLOT_NUMBER ||
	       slice_equal(slice_make(slot->bytes, slot->length), wanted->bytes);
}

static struct map_slot *slot_find(const struct map *map, const struct wanted *wanted)
{
	if (map->count == 0)
		return NULL;
	/* Ends: at least a quarter of the slots is empty. */
	for (size_t i = slot_start(map, wanted->key);; i = (i + 1) & (map->capacity - 1)) {
		struct map_slot *slot = &map->slots[i];
		if (slot->state == SLOT_EMPTY)
			return NULL;
		if (slot_matches(slot, wanted))
			return slot;
	}
}

static struct map_slot *slot_free(const struct map *map, uint64_t key)
{
	size_t i = slot_start(map, key);

	while (map->slots[i].state == SLOT_NUMBER || map->slots[i].state == SLOT_BYTES)
		i = (i + 1) & (map->capacity - 1);
	return &map->slots[i];
}

/* To twice the size, or to the same where only tombstones fill it. */
static void map_rebuild(struct map *map)
{
	const struct map before = *map;

	if (map->capacity == 0)
		map->capacity = MAP_CAPACITY_LEAST;
	else if (map->count >= map->capacity / 2)
		map->capacity *= 2;
	map->slots = calloc(map->capacity, sizeof(struct map_slot));
	check(map->slots != NULL);
	map->filled = map->count;
	for (size_t i = 0; i < before.capacity; i++) {
		const struct map_slot *slot = &before.slots[i];
		if (slot->state == SLOT_NUMBER || slot->state == SLOT_BYTES)
			*slot_free(map, slot->key) = *slot;
	}
	free(before.slots);
}

static void *put(struct map *map, const struct wanted *wanted, void *value)
{
	check(value != NULL);
	struct map_slot *slot = slot_find(map, wanted);
	if (slot) {
		void *before = slot->value;
		slot->value = value;
		return before;
	}
	if (map->filled + 1 > map->capacity / 4 * 3)
		map_rebuild(map);

	slot = slot_free(map, wanted->key);
	map->filled += slot->state == SLOT_EMPTY;
	map->count++;
	*slot = (struct map_slot){.key = wanted->key, .value = value, .state = wanted->state};
	if (wanted->state == SLOT_BYTES) {
		slot->length = wanted->bytes.length;
		slot->bytes = malloc(slot->length + 1);
		check(slot->bytes != NULL);
		check(slice_to_text(wanted->bytes, slot->bytes, slot->length + 1));
	}
	return NULL;
}

static void *find(const struct map *map, const struct wanted *wanted)
{
	const struct map_slot *slot = slot_find(map, wanted);
	return slot ? slot->value : NULL;
}

static void *remove_slot(struct map *map, const struct wanted *wanted)
{
	struct map_slot *slot = slot_find(map, wanted);

	if (slot == NULL)
		return NULL;
	void *value = slot->value;
	free(slot->bytes);
	*slot = (struct map_slot){.state = SLOT_REMOVED};
	map->count--;
	return value;
}

void *map_find(const struct map *map, uint64_t key)
{
	const struct wanted wanted = wanted_number(key);
	return find(map, &wanted);
}

void *map_put(struct map *map, uint64_t key, void *value)
{
	const struct wanted wanted = wanted_number(key);
	return put(map, &wanted, value);
}

void *map_remove(struct map *map, uint64_t key)
{
	const struct wanted wanted = wanted_number(key);
	return remove_slot(map, &wanted);
}

void *map_find_bytes(const struct map *map, struct slice key)
{
	const struct wanted wanted = wanted_bytes(map, key);
	return find(map, &wanted);
}

void *map_put_bytes(struct map *map, struct slice key, void *value)
{
	const struct wanted wanted = wanted_bytes(map, key);
	return put(map, &wanted, value);
}

void *map_remove_bytes(struct map *map, struct slice key)
{
	const struct wanted wanted = wanted_bytes(map, key);
	return remove_slot(map, &wanted);
}

static const struct map_slot *next(const struct map *map, size_t *cursor, enum slot_state state)
{
	while (*cursor < map->capacity) {
		const struct map_slot *slot = &map->slots[(*cursor)++];
		if (slot->state == state)
			return slot;
	}
	return NULL;
}

bool map_next(const struct map *map, size_t *cursor, uint64_t *ret_key, void **ret_value)
{
	const struct map_slot *slot = next(map, cursor, SLOT_NUMBER);

	if (slot == NULL)
		return false;
	*ret_key = slot->key;
	*ret_value = slot->value;
	return true;
}

bool map_next_bytes(const struct map *map, size_t *cursor, struct slice *ret_key, void **ret_value)
{
	const struct map_slot *slot = next(map, cursor, SLOT_BYTES);

	if (slot == NULL)
		return false;
	*ret_key = slice_make(slot->bytes, slot->length);
	*ret_value = slot->value;
	return true;
}

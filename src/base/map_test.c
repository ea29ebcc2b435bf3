#include "base/testing.h"

#include <string.h>

#include "base/map.h"

enum { KEYS = 300 };

/* What the map should hold, as two arrays. */
struct model {
	void *numbers[KEYS];
	void *names[KEYS];
	size_t count;
};

static struct slice name_of(size_t key, char text[16])
{
	/* Also the empty key, and keys that are each other's beginnings. */
	memset(text, 'x', 16);
	return slice_make(text, key < 12 ? key : (size_t)snprintf(text, 16, "name%zu", key));
}

static void *model_put(struct model *model, void **place, void *value)
{
	void *before = *place;

	model->count += before == NULL && value != NULL;
	model->count -= before != NULL && value == NULL;
	*place = value;
	return before;
}

static void step(struct map *map, struct model *model, struct random *random, bool shrinking)
{
	const size_t key = random_below(random, KEYS);
	void *value = &model->numbers[random_below(random, KEYS)];
	const bool put = random_below(random, 10) < (shrinking ? 2 : 6);
	char text[16];
	const struct slice name = name_of(key, text);

	if (random_below(random, 2) == 0) {
		void **place = &model->numbers[key];
		assert_ptr_equal(map_find(map, key), *place);
		if (put)
			assert_ptr_equal(map_put(map, key, value), model_put(model, place, value));
		else
			assert_ptr_equal(map_remove(map, key), model_put(model, place, NULL));
	} else {
		void **place = &model->names[key];
		assert_ptr_equal(map_find_bytes(map, name), *place);
		if (put)
			assert_ptr_equal(map_put_bytes(map, name, value),
					 model_put(model, place, value));
		else
			assert_ptr_equal(map_remove_bytes(map, name),
					 model_put(model, place, NULL));
	}
	assert_int_equal(map->count, model->count);
}

static void compare_whole(const struct map *map, const struct model *model)
{
	size_t cursor = 0, seen = 0;
	uint64_t key;
	struct slice name;
	void *value;
	char text[16];

	while (map_next(map, &cursor, &key, &value)) {
		assert_true(key < KEYS);
		assert_ptr_equal(value, model->numbers[key]);
		seen++;
	}
	cursor = 0;
	while (map_next_bytes(map, &cursor, &name, &value)) {
		assert_ptr_equal(map_find_bytes(map, name), value);
		seen++;
	}
	for (size_t i = 0; i < KEYS; i++)
		assert_ptr_equal(map_find_bytes(map, name_of(i, text)), model->names[i]);
	assert_int_equal(seen, model->count);
}

static void a_map_is_what_a_plain_model_says(void **state)
{
	struct random_seeded random;
	struct model model = {0};
	struct map map;

	(void)state;
	random_seeded_init(&random, testing_seed());
	map_init(&map);
	for (int i = 0; i < 60000; i++) {
		step(&map, &model, &random.random, i / 10000 % 2 == 1);
		if (i % 1000 == 0)
			compare_whole(&map, &model);
	}
	map_fini(&map);
}

static void adding_and_removing_for_ever_does_not_grow_it(void **state)
{
	struct map map;

	(void)state;
	map_init(&map);
	for (uint64_t key = 0; key < 100000; key++) {
		assert_null(map_put(&map, key, &map));
		if (key >= 4)
			assert_ptr_equal(map_remove(&map, key - 4), &map);
	}
	assert_int_equal(map.count, 4);
	assert_true(map.capacity <= 32);
	map_fini(&map);
}

static void what_was_just_visited_may_be_removed(void **state)
{
	struct map map;
	size_t cursor = 0, seen = 0;
	uint64_t key;
	void *value;

	(void)state;
	map_init(&map);
	for (key = 0; key < 1000; key++)
		map_put(&map, key, &map);
	while (map_next(&map, &cursor, &key, &value)) {
		map_remove(&map, key);
		seen++;
	}
	assert_int_equal(seen, 1000);
	assert_int_equal(map.count, 0);
	assert_null(map_find(&map, 5));
	map_fini(&map);
}

static void keys_of_bytes_are_copied_and_may_hold_zeros(void **state)
{
	struct map map;
	char key[] = {'a', '\0', 'b'};
	int first, second;

	(void)state;
	map_init(&map);
	map_put_bytes(&map, slice_make(key, 3), &first);
	map_put_bytes(&map, slice_make(key, 1), &second);
	key[2] = 'c';
	assert_null(map_find_bytes(&map, slice_make(key, 3)));
	key[2] = 'b';
	assert_ptr_equal(map_find_bytes(&map, slice_make(key, 3)), &first);
	assert_ptr_equal(map_find_bytes(&map, slice_make(key, 1)), &second);
	map_fini(&map);
}

static void an_empty_map_holds_nothing(void **state)
{
	struct map map;
	size_t cursor = 0;
	uint64_t key;
	void *value;

	(void)state;
	map_init(&map);
	assert_null(map_find(&map, 1));
	assert_null(map_remove(&map, 1));
	assert_null(map_find_bytes(&map, slice_make(NULL, 0)));
	assert_false(map_next(&map, &cursor, &key, &value));
	map_fini(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_map_is_what_a_plain_model_says),
		cmocka_unit_test(adding_and_removing_for_ever_does_not_grow_it),
		cmocka_unit_test(what_was_just_visited_may_be_removed),
		cmocka_unit_test(keys_of_bytes_are_copied_and_may_hold_zeros),
		cmocka_unit_test(an_empty_map_holds_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/testing.h"

#include <string.h>

#include "base/arena.h"

static void pieces_are_aligned_apart_and_keep_their_bytes(void **state)
{
	enum { PIECES = 400 };
	struct random_seeded random;
	struct arena arena;
	uint8_t *pieces[PIECES];
	size_t sizes[PIECES];

	(void)state;
	random_seeded_init(&random, testing_seed());
	arena_init(&arena, SIZE_MAX);
	for (int life = 0; life < 5; life++) {
		for (size_t i = 0; i < PIECES; i++) {
			sizes[i] = random_below(&random.random, i % 50 == 0 ? 100000 : 300);
			pieces[i] = arena_alloc(&arena, sizes[i]);
			assert_non_null(pieces[i]);
			assert_int_equal((uintptr_t)pieces[i] % 16, 0);
			memset(pieces[i], (int)i & 0xff, sizes[i]);
		}
		for (size_t i = 0; i < PIECES; i++) {
			for (size_t j = 0; j < sizes[i]; j++)
				assert_int_equal(pieces[i][j], i & 0xff);
		}
		arena_reset(&arena);
		assert_int_equal(arena.taken_bytes, 0);
	}
	arena_fini(&arena);
}

static void beyond_the_maximum_there_is_nothing_and_the_rest_stays_usable(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 1024);
	assert_non_null(arena_alloc(&arena, 1000));
	assert_null(arena_alloc(&arena, 100));
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_calloc(&arena, SIZE_MAX / 2, 3));
	assert_null(arena_copy(&arena, slice_of("sixteen bytes and more")).data);
	assert_null(arena_printf(&arena, "%s", "sixteen bytes and more"));
	assert_non_null(arena_alloc(&arena, 16));
	assert_null(arena_alloc(&arena, 0));
	arena_reset(&arena);
	assert_non_null(arena_alloc(&arena, 1024));
	arena_fini(&arena);
}

static void an_unused_arena_costs_nothing(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 1024);
	assert_null(arena.first);
	arena_reset(&arena);
	arena_fini(&arena);
	assert_null(arena.first);
}

static void texts_are_copies_with_an_end(void **state)
{
	struct arena arena;
	char source[] = "hello";

	(void)state;
	arena_init(&arena, 1024);
	const struct slice copy = arena_copy(&arena, slice_of(source));
	char *text = arena_text(&arena, slice_part(slice_of(source), 0, 4));
	source[0] = 'j';
	assert_string_equal(copy.data, "hello");
	assert_int_equal(copy.length, 5);
	assert_string_equal(text, "hell");
	assert_string_equal(arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
	assert_string_equal(arena_text(&arena, slice_make(NULL, 0)), "");
	assert_int_equal(*(uint64_t *)arena_calloc(&arena, 1, 8), 0);
	arena_fini(&arena);
}

#ifndef ARENA_TWIN

static void a_reset_keeps_the_first_block_for_the_next_user(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, SIZE_MAX);
	const void *first = arena_alloc(&arena, 64);
	for (int i = 0; i < 100; i++)
		assert_non_null(arena_alloc(&arena, 5000));
	arena_reset(&arena);
	assert_ptr_equal(arena_alloc(&arena, 64), first);
	arena_fini(&arena);
}

static void a_huge_first_block_is_not_kept(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, SIZE_MAX);
	assert_non_null(arena_alloc(&arena, 1000000));
	arena_reset(&arena);
	assert_null(arena.first);
	arena_fini(&arena);
}

#else

static void a_reset_keeps_the_first_block_for_the_next_user(void **state)
{
	(void)state;
	skip(); /* the twin has no blocks */
}

static void a_huge_first_block_is_not_kept(void **state)
{
	(void)state;
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_aligned_apart_and_keep_their_bytes),
		cmocka_unit_test(beyond_the_maximum_there_is_nothing_and_the_rest_stays_usable),
		cmocka_unit_test(an_unused_arena_costs_nothing),
		cmocka_unit_test(texts_are_copies_with_an_end),
		cmocka_unit_test(a_reset_keeps_the_first_block_for_the_next_user),
		cmocka_unit_test(a_huge_first_block_is_not_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

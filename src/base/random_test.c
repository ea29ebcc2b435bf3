#include "base/testing.h"

#include <string.h>

#include "base/random.h"

static void the_same_seed_gives_the_same_sequence(void **state)
{
	struct random_seeded a, b, other;

	(void)state;
	random_seeded_init(&a, 1);
	random_seeded_init(&b, 1);
	random_seeded_init(&other, 2);
	for (int i = 0; i < 100; i++) {
		const uint64_t word = random_seeded_next(&a);
		assert_true(word == random_seeded_next(&b));
		assert_true(word != random_seeded_next(&other));
	}
}

/* The authors' C code (prng.di.unimi.it), seeded by splitmix64 from 0. */
static void the_generator_is_xoshiro256_starstar(void **state)
{
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, 0);
	assert_true(random.state[0] == 0xe220a8397b1dcdafu);
	assert_true(random.state[1] == 0x6e789e6aa1b965f4u);
	assert_true(random.state[2] == 0x06c45d188009454fu);
	assert_true(random.state[3] == 0xf88bb8a8724c81ecu);
	assert_true(random_seeded_next(&random) == 0x99ec5f36cb75f2b4u);
	assert_true(random_seeded_next(&random) == 0xbf6e1f784956452au);
}

static void fill_writes_every_byte_asked_and_none_beyond(void **state)
{
	struct random_seeded random;
	uint8_t bytes[24];
	uint8_t touched[24] = {0};

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int round = 0; round < 64; round++) {
		memset(bytes, 0, sizeof(bytes));
		random.random.fill(&random.random, bytes, 21);
		for (size_t i = 0; i < sizeof(bytes); i++)
			touched[i] |= bytes[i];
	}
	for (size_t i = 0; i < 21; i++)
		assert_int_not_equal(touched[i], 0);
	for (size_t i = 21; i < sizeof(bytes); i++)
		assert_int_equal(touched[i], 0);
}

static void below_stays_below_and_reaches_every_value_evenly(void **state)
{
	enum { BOUND = 7, ROUNDS = 70000 };
	struct random_seeded random;
	unsigned seen[BOUND] = {0};

	(void)state;
	random_seeded_init(&random, testing_seed());
	assert_int_equal(random_below(&random.random, 1), 0);
	for (int i = 0; i < ROUNDS; i++) {
		const uint64_t value = random_below(&random.random, BOUND);
		assert_true(value < BOUND);
		seen[value]++;
	}
	/* The standard deviation is 93: seven of them. */
	for (size_t i = 0; i < BOUND; i++)
		assert_in_range(seen[i], ROUNDS / BOUND - 650, ROUNDS / BOUND + 650);
	const uint64_t huge = (1ull << 63) + 1;
	for (int i = 0; i < 100; i++)
		assert_true(random_below(&random.random, huge) < huge);
}

static void the_system_s_words_differ(void **state)
{
	(void)state;
	assert_true(random_u64(random_system()) != random_u64(random_system()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_gives_the_same_sequence),
		cmocka_unit_test(the_generator_is_xoshiro256_starstar),
		cmocka_unit_test(fill_writes_every_byte_asked_and_none_beyond),
		cmocka_unit_test(below_stays_below_and_reaches_every_value_evenly),
		cmocka_unit_test(the_system_s_words_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

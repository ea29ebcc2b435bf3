#include "base/testing.h"

#include <string.h>

#include "base/crc32c.h"

/* RFC 3720, B.4. */
static void the_examples_of_the_standard_hold(void **state)
{
	uint8_t bytes[32];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
	assert_int_equal(crc32c(0, bytes, 0), 0);
}

static void the_machine_and_the_table_agree_on_any_bytes_and_any_cut(void **state)
{
	struct random_seeded random;
	uint8_t bytes[300];

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int i = 0; i < 2000; i++) {
		random.random.fill(&random.random, bytes, sizeof(bytes));
		const size_t from = random_below(&random.random, 16);
		const size_t length = random_below(&random.random, sizeof(bytes) - from + 1);
		const size_t cut = random_below(&random.random, length + 1);
		const uint32_t whole = crc32c(0, bytes + from, length);

		assert_int_equal(whole, crc32c_portable(0, bytes + from, length));
		assert_int_equal(whole, crc32c(crc32c(0, bytes + from, cut), bytes + from + cut,
					       length - cut));
	}
}

static void every_single_bit_counts(void **state)
{
	uint8_t bytes[64] = {0};

	(void)state;
	const uint32_t before = crc32c(0, bytes, sizeof(bytes));
	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(crc32c(0, bytes, sizeof(bytes)), before);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_standard_hold),
		cmocka_unit_test(the_machine_and_the_table_agree_on_any_bytes_and_any_cut),
		cmocka_unit_test(every_single_bit_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

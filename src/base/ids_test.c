#include "base/testing.h"

#include <string.h>

#include "base/ids.h"

static void an_id_is_read_back_from_its_text(void **state)
{
	static const uint64_t values[] = {1, 12, 999999, INT64_MAX};
	char text[ID_TEXT_MAX];
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		id_format("ledger", values[i], text);
		assert_true(id_parse("ledger", slice_of(text), &value));
		assert_true(value == values[i]);
	}
	id_format("acct", 12, text);
	assert_string_equal(text, "acct_12");
}

static void an_id_has_one_text_and_one_kind(void **state)
{
	static const char *const refused[] = {
		"",        "acct",    "acct_",   "acct_0", "acct_01", "acct_-1",
		"acct_1 ", "app_12",  "Acct_12", "acct12", "acct__1", "acct_9223372036854775808",
		"12",      "acct_1x",
	};
	uint64_t value = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(id_parse("acct", slice_of(refused[i]), &value));
	assert_int_equal(value, 77);
}

/* The example of RFC 9562, appendix A.6. */
static void a_call_id_is_a_uuid_of_version_7(void **state)
{
	static const uint8_t entropy[10] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc,
					    0x0c, 0x0c, 0x07, 0x39, 0x8f};
	char text[CALL_ID_TEXT_MAX];

	(void)state;
	call_id_format(call_id_make(0x017f22e279b0, entropy), text);
	assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void call_ids_sort_by_time(void **state)
{
	struct random_seeded random;
	struct call_id before = {{0}};

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (uint64_t unix_ms = 1; unix_ms < 1ull << 48; unix_ms = unix_ms * 3 + 1) {
		uint8_t entropy[10];
		random.random.fill(&random.random, entropy, sizeof(entropy));
		const struct call_id id = call_id_make(unix_ms, entropy);
		assert_true(memcmp(before.bytes, id.bytes, sizeof(id.bytes)) < 0);
		before = id;
	}
}

static void a_call_id_is_read_back_and_nothing_else_is_one(void **state)
{
	static const char *const refused[] = {
		"",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
		"017f22e279b0-7cc3-98c4-dc0c0c07398f--",
		"017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-18c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
		"017f22e2_79b0-7cc3-98c4-dc0c0c07398f",
	};
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int i = 0; i < 1000; i++) {
		char text[CALL_ID_TEXT_MAX];
		uint8_t entropy[10];
		struct call_id read;

		random.random.fill(&random.random, entropy, sizeof(entropy));
		const struct call_id id = call_id_make(random_u64(&random.random) >> 16, entropy);
		call_id_format(id, text);
		assert_true(call_id_parse(slice_of(text), &read));
		assert_memory_equal(read.bytes, id.bytes, sizeof(id.bytes));
	}
	struct call_id untouched = {{7}};
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(call_id_parse(slice_of(refused[i]), &untouched));
	assert_int_equal(untouched.bytes[0], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_read_back_from_its_text),
		cmocka_unit_test(an_id_has_one_text_and_one_kind),
		cmocka_unit_test(a_call_id_is_a_uuid_of_version_7),
		cmocka_unit_test(call_ids_sort_by_time),
		cmocka_unit_test(a_call_id_is_read_back_and_nothing_else_is_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

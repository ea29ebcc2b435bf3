#include "base/testing.h"

#include <string.h>

#include "base/text.h"

static void a_text_grows_by_what_is_appended(void **state)
{
	struct text text;
	char expected[4096] = "";

	(void)state;
	text_init(&text, sizeof(expected));
	for (int i = 0; i < 300; i++) {
		text_printf(&text, "%d,", i);
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "%d,",
			 i);
	}
	text_append_text(&text, "end");
	text_append(&text, slice_make(NULL, 0));
	snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "end");
	assert_false(text.failed);
	assert_string_equal(text.data, expected);
	assert_int_equal(text_slice(&text).length, strlen(expected));
	text_clear(&text);
	assert_string_equal(text.data, "");
	text_fini(&text);
}

/* What is given back is looked at before it is (the linker's --wrap). */
static const char *looked_for;
static unsigned found, given_back;
static const struct text *watched;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
	if (watched != NULL && memory != NULL && memory == watched->data) {
		given_back++;
		found += memmem(memory, watched->capacity, looked_for, strlen(looked_for)) != NULL;
	}
	__real_free(memory);
}

static void a_secret_text_leaves_nothing_behind_where_it_was(void **state)
{
	struct text text;

	(void)state;
	for (int secret = 0; secret < 2; secret++) {
		text_init(&text, 4096);
		text.is_secret = secret == 1;
		looked_for = "open sesame", watched = &text, found = given_back = 0;
		text_printf(&text, "say: %s", looked_for);
		while (text.length < 1000)
			text_append_text(&text, " and more");
		text_clear(&text);
		text_fini(&text);
		watched = NULL;
		assert_int_equal(found, 1 - secret);
		assert_in_range(given_back, 1 + 2 * secret, 10);
	}
}

static void beyond_its_maximum_a_text_fails_and_stays_failed(void **state)
{
	struct text text;

	(void)state;
	text_init(&text, 8);
	text_append_text(&text, "12345678");
	assert_false(text.failed);
	text_append_text(&text, "9");
	assert_true(text.failed);
	text_printf(&text, "%s", "");
	assert_string_equal(text.data, "12345678");
	text_clear(&text);
	text_printf(&text, "%d", 123456789);
	assert_true(text.failed);
	assert_int_equal(text.length, 0);
	text_fini(&text);
}

static void hexadecimal_is_read_back_in_either_case(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x9f, 0xa0, 0xff};
	char hex[2 * sizeof(bytes) + 1];
	uint8_t read[sizeof(bytes)] = {0};

	(void)state;
	text_hex(bytes, sizeof(bytes), hex);
	assert_string_equal(hex, "009fa0ff");
	assert_true(text_from_hex(slice_of(hex), read, sizeof(read)));
	assert_memory_equal(read, bytes, sizeof(bytes));
	assert_true(text_from_hex(slice_of("009FA0FF"), read, sizeof(read)));
	assert_memory_equal(read, bytes, sizeof(bytes));

	assert_false(text_from_hex(slice_of("009fa0"), read, sizeof(read)));
	assert_false(text_from_hex(slice_of("009fa0f"), read, sizeof(read)));
	assert_false(text_from_hex(slice_of("11111g11"), read, sizeof(read)));
	assert_memory_equal(read, bytes, sizeof(bytes));
}

static void utf8_is_what_the_standard_calls_well_formed(void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} cases[] = {
		{"a", 1},
		{"\xc3\xa4", 2},
		{"\xe2\x82\xac", 3},
		{"\xf0\x9f\x8e\x89", 4},
		{"\x80", 0},
		{"\xc0\xaf", 0},
		{"\xc3", 0},
		{"\xe0\x9f\xbf", 0},
		{"\xed\xa0\x80", 0},
		{"\xf0\x8f\xbf\xbf", 0},
		{"\xf4\x90\x80\x80", 0},
		{"\xf5\x80\x80\x80", 0},
		{"\xe2\x82", 0},
		{"\xe2\x28\xa1", 0},
		{"\xff", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(text_utf8_length(slice_of(cases[i].text), 0), cases[i].length);
}

static void the_nearest_word_is_within_a_third_of_edits(void **state)
{
	static const char *const known[] = {"memory", "concurrency", "command", "cpu"};

	(void)state;
	assert_string_equal(text_nearest("memroy", known, 4), "memory");
	assert_string_equal(text_nearest("concurency", known, 4), "concurrency");
	assert_string_equal(text_nearest("comand", known, 4), "command");
	assert_string_equal(text_nearest("cqu", known, 4), "cpu");
	assert_string_equal(text_nearest("cpu", known, 4), "cpu");
	assert_null(text_nearest("c", known, 4));
	assert_null(text_nearest("", known, 4));
	assert_null(text_nearest("unrelated", known, 4));
	assert_null(text_nearest("memory", known, 0));
}

/* By the definition, without a table: exponential, for short words. */
static size_t slow_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	if (a_length == 0 || b_length == 0)
		return a_length + b_length;
	size_t best = slow_distance(a, a_length - 1, b, b_length - 1) +
		      (a[a_length - 1] != b[b_length - 1]);
	const size_t without_a = slow_distance(a, a_length - 1, b, b_length) + 1;
	const size_t without_b = slow_distance(a, a_length, b, b_length - 1) + 1;

	best = without_a < best ? without_a : best;
	best = without_b < best ? without_b : best;
	if (a_length > 1 && b_length > 1 && a[a_length - 1] == b[b_length - 2] &&
	    a[a_length - 2] == b[b_length - 1]) {
		const size_t swapped = slow_distance(a, a_length - 2, b, b_length - 2) + 1;
		best = swapped < best ? swapped : best;
	}
	return best;
}

static void nearness_agrees_with_the_definition_for_random_words(void **state)
{
	struct random_seeded random;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int round = 0; round < 2000; round++) {
		char word[8] = "", candidate[8] = "";
		const size_t length = random_below(&random.random, 7);
		const size_t candidate_length = random_below(&random.random, 7);

		for (size_t i = 0; i < length; i++)
			word[i] = (char)('a' + random_below(&random.random, 3));
		for (size_t i = 0; i < candidate_length; i++)
			candidate[i] = (char)('a' + random_below(&random.random, 3));
		const char *const known[] = {candidate};
		const bool near =
			slow_distance(word, length, candidate, candidate_length) <= length / 3;
		assert_int_equal(text_nearest(word, known, 1) != NULL, near);
	}
}

static void what_others_wrote_is_shown_without_its_tricks(void **state)
{
	char shown[TEXT_SHOWN_MAX];
	char longer[100];

	(void)state;
	assert_string_equal(text_show(slice_of("plain \xc3\xa9 \"x\""), shown),
			    "plain \xc3\xa9 \"x\"");
	assert_string_equal(text_show(slice_make("a\n\x1b[31m\0\x7f", 9), shown), "a??[31m??");
	assert_string_equal(text_show(slice_of("\xff\xc2\x9b\xc3"), shown), "???");
	assert_string_equal(text_show(slice_make(NULL, 0), shown), "");
	memset(longer, 'x', sizeof(longer));
	assert_int_equal(strlen(text_show(slice_make(longer, 64), shown)), 64);
	text_show(slice_make(longer, 65), shown);
	assert_int_equal(strlen(shown), 67);
	assert_string_equal(shown + 62, "xx...");
	memcpy(longer + 63, "\xc3\xa9", 2);
	text_show(slice_make(longer, 65), shown);
	assert_string_equal(shown + 61, "xx...");
}

static void a_sentence_that_quotes_others_is_tamed_in_place(void **state)
{
	char text[] = "a\n\x1b[31m \xc3\xa9 \xc2\x9b \xff \xc3";

	(void)state;
	text_tame(text);
	assert_string_equal(text, "a??[31m \xc3\xa9 ?? ? ?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_grows_by_what_is_appended),
		cmocka_unit_test(a_secret_text_leaves_nothing_behind_where_it_was),
		cmocka_unit_test(beyond_its_maximum_a_text_fails_and_stays_failed),
		cmocka_unit_test(hexadecimal_is_read_back_in_either_case),
		cmocka_unit_test(utf8_is_what_the_standard_calls_well_formed),
		cmocka_unit_test(the_nearest_word_is_within_a_third_of_edits),
		cmocka_unit_test(what_others_wrote_is_shown_without_its_tricks),
		cmocka_unit_test(a_sentence_that_quotes_others_is_tamed_in_place),
		cmocka_unit_test(nearness_agrees_with_the_definition_for_random_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

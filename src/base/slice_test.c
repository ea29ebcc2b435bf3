#include "base/testing.h"

#include "base/slice.h"

static void assert_slice(struct slice slice, const char *expected)
{
	assert_true(slice_equal(slice, slice_of(expected)));
}

static void empty_slices_are_equal_whatever_they_point_to(void **state)
{
	(void)state;
	assert_true(slice_equal(slice_make(NULL, 0), slice_of("")));
	assert_true(slice_equal_ignore_case(slice_make(NULL, 0), slice_of("")));
	assert_true(slice_starts_with(slice_of("abc"), slice_make(NULL, 0)));
	assert_true(slice_ends_with(slice_make(NULL, 0), slice_of("")));
	assert_slice(slice_part(slice_make(NULL, 0), 3, 9), "");
	assert_slice(slice_trim(slice_make(NULL, 0)), "");
}

static void case_is_ignored_for_ascii_letters_alone(void **state)
{
	(void)state;
	assert_true(
		slice_equal_ignore_case(slice_of("Content-LENGTH"), slice_of("content-length")));
	assert_false(slice_equal_ignore_case(slice_of("a@"), slice_of("a`")));
	assert_false(slice_equal_ignore_case(slice_of("\xc4"), slice_of("\xe4")));
	assert_false(slice_equal_ignore_case(slice_of("ab"), slice_of("abc")));
}

static void ends_are_found_and_a_longer_end_is_none(void **state)
{
	(void)state;
	assert_true(slice_starts_with(slice_of("stoa_key"), slice_of("stoa_")));
	assert_false(slice_starts_with(slice_of("sto"), slice_of("stoa_")));
	assert_true(slice_ends_with(slice_of("a.yaml"), slice_of(".yaml")));
	assert_false(slice_ends_with(slice_of("yaml"), slice_of(".yaml")));
}

static void a_byte_that_is_not_there_is_at_the_end(void **state)
{
	(void)state;
	assert_int_equal(slice_find_byte(slice_of("a:b:c"), ':', 0), 1);
	assert_int_equal(slice_find_byte(slice_of("a:b:c"), ':', 2), 3);
	assert_int_equal(slice_find_byte(slice_of("a:b:c"), ':', 4), 5);
	assert_int_equal(slice_find_byte(slice_of("abc"), ':', 99), 3);
}

static void parts_are_cut_to_the_length(void **state)
{
	(void)state;
	assert_slice(slice_part(slice_of("hello"), 1, 3), "el");
	assert_slice(slice_part(slice_of("hello"), 3, 99), "lo");
	assert_slice(slice_part(slice_of("hello"), 9, 99), "");
	assert_slice(slice_trim(slice_of(" \t a b\t ")), "a b");
	assert_slice(slice_trim(slice_of(" \t ")), "");
}

static void cutting_visits_each_piece_once(void **state)
{
	struct slice rest = slice_of("a,,b"), head;

	(void)state;
	assert_true(slice_cut(&rest, ',', &head));
	assert_slice(head, "a");
	assert_true(slice_cut(&rest, ',', &head));
	assert_slice(head, "");
	assert_true(slice_cut(&rest, ',', &head));
	assert_slice(head, "b");
	assert_false(slice_cut(&rest, ',', &head));
	assert_slice(head, "");
}

static void decimals_are_digits_up_to_the_most(void **state)
{
	uint64_t value = 77;

	(void)state;
	assert_true(slice_to_u64(slice_of("18446744073709551615"), UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	assert_true(slice_to_u64(slice_of("007"), 7, &value));
	assert_int_equal(value, 7);

	value = 77;
	const char *const refused[] = {"",
				       "-1",
				       "+1",
				       " 1",
				       "1 ",
				       "1.0",
				       "0x1",
				       "18446744073709551616",
				       "99999999999999999999999"};
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(slice_to_u64(slice_of(refused[i]), UINT64_MAX, &value));
	assert_false(slice_to_u64(slice_of("8"), 7, &value));
	assert_false(slice_to_u64(slice_of("256"), 255, &value));
	assert_int_equal(value, 77);
}

static void a_text_that_does_not_fit_writes_nothing(void **state)
{
	char text[4] = "...";

	(void)state;
	assert_false(slice_to_text(slice_of("1234"), text, sizeof(text)));
	assert_string_equal(text, "...");
	assert_true(slice_to_text(slice_of("123"), text, sizeof(text)));
	assert_string_equal(text, "123");
	assert_true(slice_to_text(slice_make(NULL, 0), text, sizeof(text)));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_slices_are_equal_whatever_they_point_to),
		cmocka_unit_test(case_is_ignored_for_ascii_letters_alone),
		cmocka_unit_test(ends_are_found_and_a_longer_end_is_none),
		cmocka_unit_test(a_byte_that_is_not_there_is_at_the_end),
		cmocka_unit_test(parts_are_cut_to_the_length),
		cmocka_unit_test(cutting_visits_each_piece_once),
		cmocka_unit_test(decimals_are_digits_up_to_the_most),
		cmocka_unit_test(a_text_that_does_not_fit_writes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

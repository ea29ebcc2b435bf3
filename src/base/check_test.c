#include "base/testing.h"

#include "base/check.h"

static void fail_plainly(void)
{
	check(1 + 1 == 3);
}

static void fail_equal(void)
{
	check_equal(1, 2);
}

static void fail_at_most(void)
{
	check_at_most(3, 2);
}

static void hold(void)
{
	check(1);
	check_equal(-1, -1);
	check_at_most(2, 2);
}

static void a_false_check_aborts_in_every_form(void **state)
{
	(void)state;
	assert_true(testing_aborts(fail_plainly));
	assert_true(testing_aborts(fail_equal));
	assert_true(testing_aborts(fail_at_most));
	assert_false(testing_aborts(hold));
}

static void a_failed_comparison_tells_place_and_both_values(void **state)
{
	char text[512] = {0};
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		check_compare_failed(7, -8, "file.c", 12, "function", "left == right");
	}
	close(ends[1]);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	waitpid(child, NULL, 0);
	assert_string_equal(text, "file.c:12: function: check failed: left == right (7, -8)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_false_check_aborts_in_every_form),
		cmocka_unit_test(a_failed_comparison_tells_place_and_both_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/testing.h"

#include <errno.h>
#include <string.h>

#include "base/fault.h"

static void a_fault_is_a_code_and_a_sentence(void **state)
{
	struct fault fault;

	(void)state;
	assert_int_equal(fault_set(&fault, FAULT_INPUT, "no %s here", "sense"), FAULT_INPUT);
	assert_int_equal(fault.code, FAULT_INPUT);
	assert_string_equal(fault.text, "no sense here");
}

static void a_system_fault_ends_with_the_error_s_name(void **state)
{
	struct fault fault;

	(void)state;
	assert_int_equal(fault_set_errno(&fault, ENOENT, "cannot open %s", "x"), FAULT_SYSTEM);
	assert_string_equal(fault.text, "cannot open x: No such file or directory");
}

static void a_near_name_is_asked_for_and_kept(void **state)
{
	struct fault fault;

	(void)state;
	assert_int_equal(fault_set_near(&fault, FAULT_NOT_FOUND, "acme", "there is no %s", "amce"),
			 FAULT_NOT_FOUND);
	assert_string_equal(fault.text, "there is no amce; did you mean \"acme\"?");
	assert_string_equal(fault.near, "acme");
	fault_prefix(&fault, "account");
	assert_string_equal(fault.near, "acme");
	fault_set_near(&fault, FAULT_NOT_FOUND, "", "there is no %s", "x");
	assert_string_equal(fault.text, "there is no x");
	assert_string_equal(fault.near, "");
}

static void a_prefix_keeps_code_and_sentence(void **state)
{
	struct fault fault;

	(void)state;
	fault_set(&fault, FAULT_BUSY, "locked");
	assert_int_equal(fault_prefix(&fault, "store %d", 3), FAULT_BUSY);
	assert_string_equal(fault.text, "store 3: locked");
}

static void a_text_too_long_is_cut_and_terminated(void **state)
{
	char big[2 * FAULT_TEXT_MAX];
	struct fault fault;

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	fault_set_errno(&fault, ENOENT, "%s", big);
	assert_int_equal(strlen(fault.text), FAULT_TEXT_MAX - 1);
	fault_prefix(&fault, "%s", big);
	assert_int_equal(strlen(fault.text), FAULT_TEXT_MAX - 1);
}

static void without_a_fault_only_the_code_is_returned(void **state)
{
	(void)state;
	assert_int_equal(fault_set(NULL, FAULT_LIMIT, "x"), FAULT_LIMIT);
	assert_int_equal(fault_set_errno(NULL, EIO, "x"), FAULT_SYSTEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_is_a_code_and_a_sentence),
		cmocka_unit_test(a_system_fault_ends_with_the_error_s_name),
		cmocka_unit_test(a_near_name_is_asked_for_and_kept),
		cmocka_unit_test(a_prefix_keeps_code_and_sentence),
		cmocka_unit_test(a_text_too_long_is_cut_and_terminated),
		cmocka_unit_test(without_a_fault_only_the_code_is_returned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

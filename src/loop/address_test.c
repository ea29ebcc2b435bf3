#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void what_is_parsed_is_formatted_alike(void **state)
{
	const char *const texts[][2] = {
		{"127.0.0.1:8080", "127.0.0.1:8080"},     {"localhost:0", "127.0.0.1:0"},
		{"[::1]:65535", "[::1]:65535"},           {"0.0.0.0:80", "0.0.0.0:80"},
		{"unix:/run/a.sock", "unix:/run/a.sock"}, {"unix:a", "unix:a"},
	};
	struct loop_address address, again;
	char text[LOOP_ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(loop_address_parse(slice_of(texts[i][0]), &address, NULL), 0);
		loop_address_format(&address, text);
		assert_string_equal(text, texts[i][1]);
		assert_int_equal(loop_address_parse(slice_of(text), &again, NULL), 0);
		assert_true(loop_address_equal(&address, &again));
	}
}

static void what_is_no_address_is_refused_and_named(void **state)
{
	const char *const texts[] = {
		"",
		"8080",
		":8080",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:-1",
		"127.0.0.1: 80",
		"example.com:80",
		"::1:80",
		"[::1]",
		"[::1:80",
		"[127.0.0.1]:80",
		"unix:",
		"[]:80",
	};
	struct loop_address address;
	struct fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		fault = (struct fault){0};
		if (loop_address_parse(slice_of(texts[i]), &address, &fault) != FAULT_INPUT)
			fail_msg("\"%s\" was taken", texts[i]);
		assert_int_equal(fault.code, FAULT_INPUT);
	}
}

static void a_path_may_be_as_long_as_the_kernel_takes_and_no_longer(void **state)
{
	char text[5 + 108 + 1] = "unix:";
	struct loop_address address;

	(void)state;
	for (int i = 5; i < 5 + 107; i++)
		text[i] = 'x';
	assert_int_equal(loop_address_parse(slice_of(text), &address, NULL), 0);
	text[5 + 107] = 'x';
	assert_int_equal(loop_address_parse(slice_of(text), &address, NULL), FAULT_INPUT);
}

static void different_addresses_are_not_equal(void **state)
{
	const char *const texts[] = {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.2:1",
				     "[::1]:1",     "unix:/a",     "unix:/b"};
	struct loop_address a, b;

	(void)state;
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 6; j++) {
			assert_int_equal(loop_address_parse(slice_of(texts[i]), &a, NULL), 0);
			assert_int_equal(loop_address_parse(slice_of(texts[j]), &b, NULL), 0);
			assert_int_equal(loop_address_equal(&a, &b), i == j);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_parsed_is_formatted_alike),
		cmocka_unit_test(what_is_no_address_is_refused_and_named),
		cmocka_unit_test(a_path_may_be_as_long_as_the_kernel_takes_and_no_longer),
		cmocka_unit_test(different_addresses_are_not_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

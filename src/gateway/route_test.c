#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "gateway/limits.h"
#include "base/scope.h"
#include "gateway/problem.h"
#include "gateway/route.h"
#include "gateway/units.h"

static void the_first_label_of_a_host_names_a_service(void **unused)
{
	(void)unused;
	static const struct {
		const char *authority, *label;
	} cases[] = {
		{"thumbs.localhost", "thumbs"},
		{"thumbs.localhost:8080", "thumbs"},
		{"Thumbs.Stoa.Internal", "Thumbs"},
		{"localhost", NULL},
		{"localhost:8080", NULL},
		{"127.0.0.1:8080", NULL},
		{"10.0.0.1", NULL},
		{"[::1]:8080", NULL},
		{"", NULL},
		{".localhost", NULL},
		{"thumbs.", NULL},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice label = {0};
		const bool found = route_host_label(slice_of(cases[i].authority), &label);
		assert_int_equal(found, cases[i].label != NULL);
		if (found)
			assert_true(slice_equal(label, slice_of(cases[i].label)));
	}
}

static void the_first_segment_of_a_path_names_a_service_and_is_stripped(void **unused)
{
	(void)unused;
	static const struct {
		const char *target, *segment, *rest;
		bool bare;
	} cases[] = {
		{"/thumbs/resize?w=2", "thumbs", "/resize?w=2", false},
		{"/thumbs", "thumbs", "", true},
		{"/thumbs/", "thumbs", "/", false},
		{"/thumbs?w=2", "thumbs", "?w=2", true},
		{"/thumbs//x", "thumbs", "//x", false},
		{"/", NULL, NULL, false},
		{"//x", NULL, NULL, false},
		{"*", NULL, NULL, false},
		{"/?thumbs", NULL, NULL, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice segment, rest;
		bool bare;
		const bool found =
			route_path_segment(slice_of(cases[i].target), &segment, &rest, &bare);
		assert_int_equal(found, cases[i].segment != NULL);
		if (!found)
			continue;
		assert_true(slice_equal(segment, slice_of(cases[i].segment)));
		assert_true(slice_equal(rest, slice_of(cases[i].rest)));
		assert_int_equal(bare, cases[i].bare);
	}
}

static void units_are_read_by_name_and_what_is_not_a_number_is_told(void **unused)
{
	(void)unused;
	static _Atomic(const char *) names[RATING_UNITS_MAX] = {"pixels", "tokens"};
	static const struct {
		const char *value;
		enum units_outcome outcome;
		int64_t pixels, tokens;
	} cases[] = {
		{"pixels=120000", UNITS_READ, 120000, 0},
		{"pixels=1, tokens=2", UNITS_READ, 1, 2},
		{"pixels=1,pixels=2", UNITS_READ, 3, 0},
		{" pixels=0 ,, tokens=9", UNITS_READ, 0, 9},
		{"", UNITS_READ, 0, 0},
		{"pixel=5, tokens=2", UNITS_UNKNOWN, 0, 2},
		{"pixels=-1", UNITS_INVALID, 0, 0},
		{"pixels=+1", UNITS_INVALID, 0, 0},
		{"pixels=1.5", UNITS_INVALID, 0, 0},
		{"pixels=1e3", UNITS_INVALID, 0, 0},
		{"pixels= 1", UNITS_INVALID, 0, 0},
		{"pixels", UNITS_INVALID, 0, 0},
		{"pixels=9223372036854775808", UNITS_INVALID, 0, 0},
		{"pixels=9223372036854775807, pixels=1", UNITS_READ, GATEWAY_CALL_UNITS_MAX, 0},
		{"pixels=7, pixels=999999999999999", UNITS_READ, GATEWAY_CALL_UNITS_MAX, 0},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rating_quantities read = {0};
		assert_int_equal(units_read(slice_of(cases[i].value), names, &read),
				 cases[i].outcome);
		assert_int_equal(read.of[RATING_UNIT_0], cases[i].pixels);
		assert_int_equal(read.of[RATING_UNIT_1], cases[i].tokens);
	}
}

static void every_problem_fits_its_body_and_needs_no_escaping(void **unused)
{
	(void)unused;
	char body[PROBLEM_BODY_MAX], scope[SCOPE_TEXT_MAX];

	memset(scope, 'a', sizeof(scope));
	for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
		const struct problem_text *text = problem_text((enum problem)i);
		const char *texts[] = {text->type, text->title, text->next};
		for (unsigned j = 0; j < 3; j++)
			assert_int_equal(strcspn(texts[j], "\"\\\n\r\t"), strlen(texts[j]));
		const struct slice call = slice_of("0199c1c8-7b1e-7000-8000-000000000000");
		const struct slice left = slice_of("9223372036.854775807 ABCDEFG");
		size_t length = problem_compose((enum problem)i,
						&(struct problem_facts){.call = call, .left = left},
						body, sizeof(body));
		assert_int_equal(length, strlen(body));
		assert_int_equal(body[length - 2], '}');
		const struct problem_facts missing = {
			.scope = slice_make(scope, SCOPE_TEXT_MAX - 1)};
		length = problem_compose((enum problem)i, &missing, body, sizeof(body));
		assert_int_equal(length, strlen(body));
		assert_int_equal(body[length - 2], '}');
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(text->type, problem_text((enum problem)j)->type);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_label_of_a_host_names_a_service),
		cmocka_unit_test(the_first_segment_of_a_path_names_a_service_and_is_stripped),
		cmocka_unit_test(units_are_read_by_name_and_what_is_not_a_number_is_told),
		cmocka_unit_test(every_problem_fits_its_body_and_needs_no_escaping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

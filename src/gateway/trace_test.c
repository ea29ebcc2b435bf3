#include "base/testing.h"

#include "gateway/trace.h"

static const struct call_id call = {{0x01, 0x93, 0x5a, 0x00, 0x11, 0x22, 0x73, 0x33, 0x84, 0x44,
				     0x55, 0x66, 0x77, 0x88, 0x99, 0xaa}};
static const char call_text[] = "01935a001122733384445566778899aa";
static const char span_text[] = "84445566778899aa";

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static char made[TRACE_BYTES + 1];

static bool make(const char *parent)
{
	return trace_make(parent == NULL ? (struct slice){0} : slice_of(parent), call, made);
}

static void expect(const char *trace, const char *flags)
{
	char wanted[TRACE_BYTES + 1];

	snprintf(wanted, sizeof(wanted), "00-%s-%s-%s", trace, span_text, flags);
	assert_string_equal(made, wanted);
}

static void a_valid_trace_goes_on_under_a_span_of_the_call(void **unused)
{
	(void)unused;
	assert_true(make("00-" TRACE "-" PARENT "-01"));
	expect(TRACE, "01");
	assert_true(make("00-" TRACE "-" PARENT "-00"));
	expect(TRACE, "00");
}

static void flags_without_a_meaning_are_not_passed_on(void **unused)
{
	(void)unused;
	static const char *const flags[][2] = {{"02", "02"}, {"03", "03"}, {"fd", "01"},
					       {"0a", "02"}, {"f0", "00"}, {"ff", "03"}};
	char parent[TRACE_BYTES + 1];

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		snprintf(parent, sizeof(parent), "00-" TRACE "-" PARENT "-%s", flags[i][0]);
		assert_true(make(parent));
		expect(TRACE, flags[i][1]);
	}
}

static void a_later_version_is_read_as_far_as_it_is_known(void **unused)
{
	(void)unused;
	assert_true(make("01-" TRACE "-" PARENT "-01"));
	expect(TRACE, "01");
	assert_true(make("cc-" TRACE "-" PARENT "-01-what-the-future-will-be-like"));
	expect(TRACE, "01");
	assert_false(make("cc-" TRACE "-" PARENT "-01.what"));
}

static void what_is_no_trace_begins_one_with_the_call_id(void **unused)
{
	(void)unused;
	static const char *const wrong[] = {
		NULL,
		"",
		"00",
		"00-" TRACE "-" PARENT "-0",
		"00-" TRACE "-" PARENT "-01-more",
		"00-" TRACE "-" PARENT "-011",
		"ff-" TRACE "-" PARENT "-01",
		"0-" TRACE "-" PARENT "-001",
		"00-00000000000000000000000000000000-" PARENT "-01",
		"00-" TRACE "-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
		"00-0af7651916cd43dd8448eb211c80319g-" PARENT "-01",
		"00_" TRACE "-" PARENT "-01",
		"00-" TRACE "_" PARENT "-01",
		"00-" TRACE "-" PARENT "_01",
		"00-" TRACE "-" PARENT "-0x",
		"xx-" TRACE "-" PARENT "-01",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_false(make(wrong[i]));
		expect(call_text, "01");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_valid_trace_goes_on_under_a_span_of_the_call),
		cmocka_unit_test(flags_without_a_meaning_are_not_passed_on),
		cmocka_unit_test(a_later_version_is_read_as_far_as_it_is_known),
		cmocka_unit_test(what_is_no_trace_begins_one_with_the_call_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/scope.h"

static bool allows(const char *scopes, const char *service, const char *method, const char *target)
{
	return scope_allows(slice_of(scopes), slice_of(service), slice_of(method),
			    slice_of(target));
}

static void a_scope_names_service_methods_and_path(void **unused)
{
	(void)unused;
	static const struct {
		const char *scopes, *service, *method, *target;
		bool allowed;
	} rows[] = {
		{"thumbs", "thumbs", "DELETE", "/any", true},
		{"thumbs", "thumbs2", "GET", "/", false},
		{"thumbs", "thumb", "GET", "/", false},
		{"thumbs:GET", "thumbs", "GET", "/any?x=1", true},
		{"thumbs:GET", "thumbs", "HEAD", "/any", false},
		{"thumbs:GET", "thumbs", "GETS", "/any", false},
		{"thumbs:GET,POST", "thumbs", "POST", "/any", true},
		{"thumbs:GET,POST", "thumbs", "PUT", "/any", false},
		{"thumbs:*", "thumbs", "PUT", "/any", true},
		{"*:GET", "words", "GET", "/any", true},
		{"*:GET", "words", "POST", "/any", false},
		{"*", "words", "POST", "/any", true},
		{"a b:GET c", "b", "GET", "/", true},
		{"a b:GET c", "b", "POST", "/", false},
		{"a b:GET c", "c", "POST", "/", true},
		{"", "b", "GET", "/", false},
		{"t:GET:/resize", "t", "GET", "/resize", true},
		{"t:GET:/resize", "t", "GET", "/resize/", true},
		{"t:GET:/resize", "t", "GET", "/resize?w=200", true},
		{"t:GET:/resize", "t", "GET", "/resize/a/b?w=../..", true},
		{"t:GET:/resize", "t", "GET", "/resizes", false},
		{"t:GET:/resize", "t", "GET", "/Resize", false},
		{"t:GET:/resize", "t", "GET", "/resiz", false},
		{"t:GET:/resize", "t", "GET", "/", false},
		{"t:GET:/resize", "t", "GET", "", false},
		{"t:GET:/resize", "t", "GET", "?w=/resize", false},
		{"t:GET:/", "t", "GET", "", true},
		{"t:GET:/", "t", "GET", "?x", true},
		{"t:GET:/", "t", "GET", "/any", true},
		{"t:*:/v1/", "t", "GET", "/v1/x", true},
		{"t:*:/v1/", "t", "GET", "/v1", false},
		{"t:*:/v1/", "t", "GET", "/v12", false},
		{"t:*:/a:b", "t", "GET", "/a:b/c", true},
		{"t:GET:/resize", "t", "GET", "/re%73ize/x", true},
		{"t:GET:/resize", "t", "GET", "/resize/%C3%A9t%C3%A9", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (allows(rows[i].scopes, rows[i].service, rows[i].method, rows[i].target) !=
		    rows[i].allowed)
			fail_msg("%s for %s of %s %s", rows[i].scopes, rows[i].method,
				 rows[i].service, rows[i].target);
	}
}

static void a_path_that_reads_in_two_ways_is_in_no_scope_with_a_path(void **unused)
{
	(void)unused;
	static const char *const targets[] = {
		"/resize/../admin",
		"/resize/..",
		"/resize/.",
		"/resize/./x",
		"/resize/.../x",
		"/resize/.. /x",
		"/resize/%2e%2e/admin",
		"/resize/%2E./admin",
		"/resize/.%2e",
		"/resize/..%2fadmin",
		"/resize%2f..%2fadmin",
		"/resize%2Fx",
		"/resize/%252e%252e/admin",
		"/resize/..%5cadmin",
		"/resize/..\\admin",
		"/resize//admin",
		"//resize",
		"/resize/x//",
		"/resize/..;/admin",
		"/resize;x=1/../admin",
		"/resize/%2e%2e%3b/admin",
		"/resize/x%00",
		"/resize/x%0a",
		"/resize/%c0%ae%c0%ae/admin",
		"/resize/%e0%80%ae./admin",
		"/resize/%f0%80%80%ae./admin",
		"/resize/%u002e%u002e/admin",
		"/resize/%",
		"/resize/%2",
		"/resize/%zz",
		"/resize/x%3fy",
		"/resize/x#/../admin",
		"resize",
		"*",
		"http://elsewhere/resize",
	};

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		if (allows("t:GET:/resize", "t", "GET", targets[i]) ||
		    allows("t:GET:/", "t", "GET", targets[i]))
			fail_msg("%s is allowed", targets[i]);
		if (!allows("t:GET", "t", "GET", targets[i]))
			fail_msg("%s is refused by a scope without a path", targets[i]);
	}
}

static void what_is_no_scope_is_refused_and_allows_nothing(void **unused)
{
	(void)unused;
	static const char *const wrong[] = {
		":GET",
		"Thumbs",
		"thumbs:",
		"thumbs:get",
		"thumbs:GET,",
		"-thumbs",
		"thumbs-",
		"thumbs:,GET",
		"thumbs:GET:",
		"thumbs:GET:resize",
		"t:GET:/a?",
		"t:GET:/a//b",
		"t:GET:/../a",
		"t:GET:/a/.",
		"t:GET:/a%2f",
		"t:GET:/a;",
		"t:GET:/a\\b",
		"t::/a",
		"t:*,GET",
		"t:GET POST",
		"**",
		"th*mbs",
		"t:GET:/a\"b",
		"thumbs/resize",
		"",
		"t:GET:/\x80",
		"t:G3T",
		"thumbs:/resize",
		"t:GET,*",
		"t:GET:/a#b",
	};
	static const char *const right[] = {"t",
					    "*",
					    "t:GET",
					    "t:M-SEARCH",
					    "t:*:/a/b-c_d.e~f",
					    "t:GET:/a:b",
					    "0-a:PATCH,PUT:/"};
	char long_scope[SCOPE_TEXT_MAX + 1];
	struct fault fault;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		fault.text[0] = '\0';
		if (scope_check(slice_of(wrong[i]), &fault) != FAULT_INPUT)
			fail_msg("\"%s\" is a scope", wrong[i]);
		assert_non_null(strstr(fault.text, "SERVICE[:METHODS[:PATH]]"));
		if (strchr(wrong[i], ' ') == NULL)
			assert_false(allows(wrong[i], "t", "GET", "/a"));
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		if (scope_check(slice_of(right[i]), &fault) != 0)
			fail_msg("\"%s\" is no scope: %s", right[i], fault.text);
	}
	memset(long_scope, 'a', sizeof(long_scope));
	memcpy(long_scope, "t:GET:/", 7);
	assert_int_equal(scope_check(slice_make(long_scope, SCOPE_TEXT_MAX - 1), &fault), 0);
	assert_int_equal(scope_check(slice_make(long_scope, SCOPE_TEXT_MAX), &fault), FAULT_INPUT);
}

static void a_common_method_that_is_misspelt_is_told(void **unused)
{
	(void)unused;
	static const char *const rows[][2] = {
		{"t:GTE", "GET"},      {"t:GET,PSOT:/a", "POST"}, {"t:PTACH", "PATCH"},
		{"t:DELET", "DELETE"}, {"*:OPTION", "OPTIONS"},   {"t:HEADD:/", "HEAD"},
	};
	static const char *const fine[] = {"t:SET", "t:PURGE,GET", "t:PROPPATCH", "t:LINK:/",
					   "t:M-SEARCH"};
	struct fault fault;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(scope_check(slice_of(rows[i][0]), &fault), FAULT_INPUT);
		assert_string_equal(fault.near, rows[i][1]);
	}
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		assert_int_equal(scope_check(slice_of(fine[i]), &fault), 0);
	assert_int_equal(scope_check(slice_of("t:GTE"), &fault), FAULT_INPUT);
	assert_string_equal(fault.text, "scope \"t:GTE\": there is no method \"GTE\"; "
					"did you mean \"GET\"?");
}

static void the_scope_that_is_needed_allows_what_needs_it(void **unused)
{
	(void)unused;
	char text[SCOPE_TEXT_MAX], target[2 * SCOPE_TEXT_MAX];

	assert_string_equal(
		scope_needed(slice_of("t"), slice_of("POST"), slice_of("/a/b?c=d"), text),
		"t:POST:/a/b");
	assert_true(allows(text, "t", "POST", "/a/b?c=d"));
	assert_string_equal(scope_needed(slice_of("t"), slice_of("GET"), slice_of(""), text),
			    "t:GET:/");
	assert_string_equal(scope_needed(slice_of("t"), slice_of("GET"), slice_of("/a/../b"), text),
			    "t:GET");
	assert_string_equal(scope_needed(slice_of("t"), slice_of("GET"), slice_of("/\"}"), text),
			    "t:GET");
	memset(target, 'a', sizeof(target));
	target[0] = '/';
	assert_string_equal(scope_needed(slice_of("t"), slice_of("GET"),
					 slice_make(target, sizeof(target)), text),
			    "t:GET");
	for (size_t length = SCOPE_TEXT_MAX - 10; length < SCOPE_TEXT_MAX + 3; length++) {
		const struct slice path = slice_make(target, length);
		scope_needed(slice_of("t"), slice_of("GET"), path, text);
		assert_true(scope_allows(slice_of(text), slice_of("t"), slice_of("GET"), path));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scope_names_service_methods_and_path),
		cmocka_unit_test(a_path_that_reads_in_two_ways_is_in_no_scope_with_a_path),
		cmocka_unit_test(what_is_no_scope_is_refused_and_allows_nothing),
		cmocka_unit_test(a_common_method_that_is_misspelt_is_told),
		cmocka_unit_test(the_scope_that_is_needed_allows_what_needs_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

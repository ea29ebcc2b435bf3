#include "base/testing.h"

#include <string.h>

#include "api/api_internal.h"
#include "api/schemas.h"

/* ---- routes ---- */

static const struct api_route *found(const char *method, const char *path, struct arena *arena,
				     struct slice *segments, char *allowed)
{
	return api_route_find(slice_of(method), slice_of(path), arena, segments, allowed);
}

static void a_route_is_found_by_method_and_path(void **state)
{
	struct slice segments[API_SEGMENTS_MAX];
	char allowed[API_ALLOWED_MAX];
	struct arena arena;

	(void)state;
	arena_init(&arena, API_ARENA_BYTES);
	const struct api_route *route =
		found("POST", "/v1/accounts/ac%6De/funds", &arena, segments, allowed);
	assert_non_null(route);
	assert_string_equal(route->path, "/v1/accounts/{account}/funds");
	assert_true(slice_equal(segments[0], slice_of("acme")));
	assert_null(found("DELETE", "/v1/accounts", &arena, segments, allowed));
	assert_string_equal(allowed, "POST, GET");
	arena_fini(&arena);
}

static void what_is_nearly_a_path_is_none(void **state)
{
	static const char *const bad[] = {"/",
					  "//",
					  "/v1",
					  "/v1/",
					  "/v1/accounts/",
					  "/v1//accounts",
					  "/v1/accounts//funds",
					  "/v1/accounts/a/funds/b",
					  "/v1/accounts/a%2/funds",
					  "/v1/accounts/a%00/funds",
					  "/v1/Accounts",
					  "/v2/accounts",
					  "healthz"};
	struct slice segments[API_SEGMENTS_MAX];
	char allowed[API_ALLOWED_MAX];
	struct arena arena;

	(void)state;
	arena_init(&arena, API_ARENA_BYTES);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (found("GET", bad[i], &arena, segments, allowed) != NULL || allowed[0] != '\0')
			fail_msg("%s was taken for a path", bad[i]);
	}
	arena_fini(&arena);
}

static void every_name_in_a_path_is_an_argument_in_its_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_route_count; i++) {
		const struct api_route *route = &api_routes[i];
		const char *at = route->path;
		assert_true(route->argument_count <= API_ARGUMENTS_MAX);
		for (size_t k = 0; k < route->argument_count; k++) {
			const char *name = route->arguments[k].name;
			if (route->arguments[k].place != API_PATH)
				continue;
			at = strchr(at, '{');
			assert_non_null(at);
			assert_memory_equal(at + 1, name, strlen(name));
			assert_int_equal(at[1 + strlen(name)], '}');
			at++;
		}
		assert_null(strchr(at, '{'));
	}
}

static void only_the_health_is_told_without_a_token(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_route_count; i++)
		assert_int_equal((api_routes[i].flags & API_OPEN) != 0,
				 strcmp(api_routes[i].path, "/healthz") == 0);
}

/* ---- schemas ---- */

static bool is_referred_to(const char *name)
{
	for (size_t i = 0; i < api_route_count; i++) {
		if (api_routes[i].answer != NULL && strcmp(api_routes[i].answer, name) == 0)
			return true;
	}
	for (size_t i = 0; i < api_schema_count; i++) {
		for (size_t k = 0; k < api_schemas[i].member_count; k++) {
			const struct api_member *member = &api_schemas[i].members[k];
			if (member->type == API_IS_OBJECT && strcmp(member->of, name) == 0)
				return true;
		}
	}
	return strcmp(name, "Problem") == 0;
}

static const struct api_schema *schema_find(const char *name)
{
	for (size_t i = 0; i < api_schema_count; i++) {
		if (strcmp(api_schemas[i].name, name) == 0)
			return &api_schemas[i];
	}
	return NULL;
}

static void every_schema_that_is_named_exists_and_every_one_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_route_count; i++) {
		if (api_routes[i].answer != NULL && !schema_find(api_routes[i].answer))
			fail_msg("%s %s", api_routes[i].path, api_routes[i].answer);
	}
	for (size_t i = 0; i < api_schema_count; i++) {
		assert_ptr_equal(schema_find(api_schemas[i].name), &api_schemas[i]);
		if (!is_referred_to(api_schemas[i].name))
			fail_msg("nothing answers with %s", api_schemas[i].name);
	}
	assert_null(schema_find("Nothing"));
}

static void a_member_has_what_its_type_needs(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_schema_count; i++) {
		for (size_t k = 0; k < api_schemas[i].member_count; k++) {
			const struct api_member *member = &api_schemas[i].members[k];
			const bool has_of =
				member->type == API_IS_CHOICE || member->type == API_IS_OBJECT;
			assert_int_equal(member->of != NULL, has_of);
			if (member->type == API_IS_OBJECT)
				assert_non_null(schema_find(member->of));
			for (size_t before = 0; before < k; before++)
				assert_string_not_equal(api_schemas[i].members[before].name,
							member->name);
		}
	}
}

/* ---- values ---- */

static void assert_wide(__int128 nano, const char *text)
{
	json_t *json = api_json_wide_amount(nano);

	assert_string_equal(json_string_value(json), text);
	json_decref(json);
}

static void sums_beyond_64_bits_are_told_to_the_nano(void **state)
{
	(void)state;
	assert_wide(0, "0.00");
	assert_wide(1, "0.000000001");
	assert_wide(-50000000, "-0.05");
	assert_wide((__int128)INT64_MAX * 1000, "9223372036854.775807");
	assert_wide((__int128)INT64_MIN * 1000, "-9223372036854.775808");
	assert_wide(10 * AMOUNT_NANO_PER_UNIT, "10.00");
}

static void what_is_no_text_is_shown_as_such(void **state)
{
	json_t *json = api_json_shown(slice_make("a\tb\x1b[1m\xff\xc3\xa9\0", 11));

	(void)state;
	assert_string_equal(json_string_value(json),
			    "a\tb\xEF\xBF\xBD[1m\xEF\xBF\xBD\xc3\xa9\xEF\xBF\xBD");
	json_decref(json);
	json = api_json_shown(slice_of(""));
	assert_string_equal(json_string_value(json), "");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_route_is_found_by_method_and_path),
		cmocka_unit_test(what_is_nearly_a_path_is_none),
		cmocka_unit_test(every_name_in_a_path_is_an_argument_in_its_order),
		cmocka_unit_test(only_the_health_is_told_without_a_token),
		cmocka_unit_test(every_schema_that_is_named_exists_and_every_one_is_named),
		cmocka_unit_test(a_member_has_what_its_type_needs),
		cmocka_unit_test(sums_beyond_64_bits_are_told_to_the_nano),
		cmocka_unit_test(what_is_no_text_is_shown_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

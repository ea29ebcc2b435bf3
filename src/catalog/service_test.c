#include "catalog/testing_internal.h"

#define MANIFEST(name, summary, tags)                                                     \
	"service: " name "\nversion: 1.0.0\nsummary: \"" summary "\"\ntags: [" tags "]\n" \
	"upstream: [unix:/s]\nplans: {free: {}}\n"

static void publish_four(struct bench *bench)
{
	bench_publish(bench, MANIFEST("thumbs", "Thumbnails of 100% of pictures", "images, fast"));
	bench_publish(bench, MANIFEST("images", "Store and find them", "storage"));
	bench_publish(bench, MANIFEST("big-images", "Nothing else", ""));
	bench_publish(bench, MANIFEST("words", "Counts words, not Images", "text"));
}

static void assert_found(struct bench *bench, const char *words, const char *expected)
{
	struct catalog_hit hits[8];
	char names[256] = "";
	size_t count;

	must(bench, catalog_search(bench->store, slice_of(words), hits, 8, &count, &bench->fault));
	for (size_t i = 0; i < count; i++) {
		const size_t used = strlen(names);
		snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? " " : "",
			 hits[i].name);
	}
	assert_string_equal(names, expected);
}

static void a_search_finds_the_nearest_first(void **state)
{
	struct bench *bench = *state;

	publish_four(bench);
	assert_found(bench, "", "big-images images thumbs words");
	assert_found(bench, "images", "images thumbs big-images words");
	assert_found(bench, "IMAGES", "images thumbs big-images words");
	assert_found(bench, "thumb", "thumbs");
	assert_found(bench, "images  fast", "thumbs");
	assert_found(bench, "find store", "images");
	assert_found(bench, "absent", "");
	assert_found(bench, "images absent", "");
}

static void a_search_takes_no_character_for_a_wildcard(void **state)
{
	struct bench *bench = *state;

	publish_four(bench);
	assert_found(bench, "100%", "thumbs");
	assert_found(bench, "%", "thumbs");
	assert_found(bench, "_", "");
	assert_found(bench, "\\", "");
	assert_found(bench, "'; DROP", "");
}

static void a_search_gives_at_most_what_is_asked(void **state)
{
	struct bench *bench = *state;
	struct catalog_hit hits[2];
	size_t count;

	publish_four(bench);
	must(bench,
	     catalog_search(bench->store, slice_of("images"), hits, 2, &count, &bench->fault));
	assert_int_equal(count, 2);
	assert_string_equal(hits[0].name, "images");
	assert_string_equal(hits[0].version, "1.0.0");
	assert_string_equal(hits[0].account_name, "acme");
	assert_string_equal(hits[1].name, "thumbs");
	assert_string_equal(hits[1].summary, "Thumbnails of 100% of pictures");
	assert_true(hits[0].score > hits[1].score);
}

static void a_search_with_too_many_or_too_long_words_is_refused(void **state)
{
	struct bench *bench = *state;
	struct catalog_hit hits[1];
	char longer[70];
	size_t count;

	assert_fault(bench,
		     catalog_search(bench->store, slice_of("a b c d e f g h i"), hits, 1, &count,
				    &bench->fault),
		     FAULT_INPUT, "more than 8 words to search for");
	memset(longer, 'x', sizeof(longer));
	assert_int_equal(catalog_search(bench->store, slice_make(longer, sizeof(longer)), hits, 1,
					&count, &bench->fault),
			 FAULT_INPUT);
}

static void services_are_loaded_one_after_the_other(void **state)
{
	struct bench *bench = *state;
	struct service_id after = {0};
	struct catalog_service *service;
	char names[128] = "";

	publish_four(bench);
	for (;;) {
		must(bench, catalog_service_next(bench->store, after, &service, &bench->fault));
		if (service == NULL)
			break;
		const size_t used = strlen(names);
		snprintf(names + used, sizeof(names) - used, "%s ", service->description.name);
		assert_true(service->id.value > after.value);
		after = service->id;
		catalog_service_free(service);
	}
	assert_string_equal(names, "thumbs images big-images words ");
}

static void a_service_that_is_not_there_is_told_with_the_nearest(void **state)
{
	struct bench *bench = *state;
	struct catalog_service *service = NULL;

	publish_four(bench);
	assert_fault(bench,
		     catalog_service_get(bench->store, slice_of("thumb"), &service, &bench->fault),
		     FAULT_NOT_FOUND, "there is no service \"thumb\"; did you mean \"thumbs\"?");
	assert_fault(bench,
		     catalog_service_get_by_id(bench->store, (struct service_id){99}, &service,
					       &bench->fault),
		     FAULT_NOT_FOUND, "there is no svc_99");
	assert_null(service);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of(a_search_finds_the_nearest_first),
		test_of(a_search_takes_no_character_for_a_wildcard),
		test_of(a_search_gives_at_most_what_is_asked),
		test_of(a_search_with_too_many_or_too_long_words_is_refused),
		test_of(services_are_loaded_one_after_the_other),
		test_of(a_service_that_is_not_there_is_told_with_the_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

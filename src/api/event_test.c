#include "base/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/event.h"

#define SINGLE   "application/cloudevents+json"
#define BATCH    "application/cloudevents-batch+json; charset=utf-8"
#define DATA     "application/json"
#define SOUND_ID "\"specversion\":\"1.0\",\"type\":\"stoa.usage.v1\",\"source\":\"/s\",\"id\":\"1\""
#define SOUND    SOUND_ID ",\"subject\":\"acme/shop\""
#define USED     "\"data\":{\"service\":\"thumbs\",\"units\":{\"jobs\":3}}"

struct rig {
	struct api_request request;
	struct api_events events;
};

static int start(void **state)
{
	struct slice segments[API_SEGMENTS_MAX];
	char allowed[API_ALLOWED_MAX];
	struct rig *rig = calloc(1, sizeof(*rig));

	arena_init(&rig->request.arena, API_ARENA_BYTES);
	rig->request.route = api_route_find(slice_of("POST"), slice_of("/v1/usage"),
					    &rig->request.arena, segments, allowed);
	assert_non_null(rig->request.route);
	*state = rig;
	return 0;
}

static void forget(struct rig *rig)
{
	api_events_free(&rig->events);
	json_decref(rig->request.json);
	json_decref(rig->request.event);
	rig->request.json = rig->request.event = NULL;
	text_fini(&rig->request.body);
}

static int end(void **state)
{
	struct rig *rig = *state;

	forget(rig);
	arena_fini(&rig->request.arena);
	free(rig);
	return 0;
}

/* The first event of what was sent; `fields` are names and values in turn. */
static const struct api_event *sent(struct rig *rig, const char *type, const char *const *fields,
				    size_t field_count, const char *body)
{
	struct http_header headers[8] = {{.name = slice_of("Content-Type"),
					  .value = slice_of(type),
					  .known = HTTP_CONTENT_TYPE}};
	struct http_request head = {.headers = headers, .header_count = 1 + field_count};

	for (size_t i = 0; i < field_count; i++)
		headers[1 + i] = (struct http_header){.name = slice_of(fields[2 * i]),
						      .value = slice_of(fields[2 * i + 1])};
	forget(rig);
	text_init(&rig->request.body, API_BODY_MAX);
	text_append_text(&rig->request.body, body);
	assert_true(api_event_admit(&rig->request, &head));
	assert_true(api_events_read(&rig->request, &rig->events));
	return &rig->events.of[0];
}

static const struct api_event *sent_whole(struct rig *rig, const char *body)
{
	return sent(rig, SINGLE, NULL, 0, body);
}

static void assert_only_mistake(const struct api_event *event, const char *key, const char *where,
				const char *why)
{
	const json_t *error = json_array_get(event->errors, 0);
	const char *detail = json_string_value(json_object_get(error, "detail"));
	const char *told = json_string_value(json_object_get(error, key));

	assert_non_null(detail);
	if (json_array_size(event->errors) != 1 || strstr(detail, why) == NULL || told == NULL ||
	    strcmp(told, where) != 0 || !text_is_tame(detail))
		fail_msg("%zu mistakes, the first at %s: %s", json_array_size(event->errors),
			 told != NULL ? told : "nowhere", detail);
}

/* ---- what it says ---- */

static void an_event_is_read_whole(void **state)
{
	const struct api_event *event =
		sent_whole(*state, "{" SOUND ",\"time\":\"2026-11-24T04:10:57Z\",\"more\":[{}],"
				   "\"data\":{\"units\":{\"pixels\":1,\"jobs\":9007199254740991},"
				   "\"service\":\"thumbs\"}}");

	assert_null(event->errors);
	assert_true(slice_equal(event->app, slice_of("acme/shop")));
	assert_true(slice_equal(event->service, slice_of("thumbs")));
	assert_true(slice_equal(event->source, slice_of("/s")));
	assert_true(slice_equal(event->id, slice_of("1")));
	assert_int_equal(event->used_ns, 1795493457ull * CLOCK_NS_PER_S);
	assert_int_equal(event->unit_count, 2);
	assert_string_equal(event->units[0].name, "jobs");
	assert_int_equal(event->units[0].quantity, API_EVENT_UNIT_MOST);
	assert_string_equal(event->units[1].name, "pixels");
	assert_int_equal(event->units[1].quantity, 1);
}

static void what_an_event_says_is_one_digest_however_it_is_laid_out(void **state)
{
	static const char *const same[] = {
		"{" USED "," SOUND "}", " {\n" SOUND ", \"extension\": 7," USED "}\n",
		"{\"specversion\":\"1.0\",\"type\":\"stoa.usage.v1\",\"source\":\"else\","
		"\"id\":\"2\",\"subject\":\"\\u0061cme/shop\"," USED "}"};
	static const char *const others[] = {
		"{" SOUND_ID ",\"subject\":\"acme/shopt\",\"data\":{\"service\":\"humbs\","
		"\"units\":{\"jobs\":3}}}",
		"{" SOUND ",\"data\":{\"service\":\"thumbs\",\"units\":{\"jobs\":4}}}",
		"{" SOUND ",\"data\":{\"service\":\"thumbs\",\"units\":{\"job\":3}}}",
		"{" SOUND ",\"data\":{\"service\":\"thumbs\",\"units\":{\"jobs\":3,\"n\":1}}}",
		"{" SOUND ",\"time\":\"2026-11-24T04:10:57Z\"," USED "}"};
	uint8_t digest[API_EVENT_DIGEST];

	memcpy(digest, sent_whole(*state, "{" SOUND "," USED "}")->digest, sizeof(digest));
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_memory_equal(sent_whole(*state, same[i])->digest, digest, sizeof(digest));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct api_event *event = sent_whole(*state, others[i]);
		assert_null(event->errors);
		assert_memory_not_equal(event->digest, digest, sizeof(digest));
	}
}

/* ---- what is wrong with it ---- */

static void each_mistake_is_told_by_its_place(void **state)
{
	static const struct {
		const char *event, *pointer, *why;
	} mistakes[] = {
		{"{" SOUND "}", "/data", "an object"},
		{"{" SOUND ",\"data\":[]}", "/data", "an object"},
		{"{" SOUND_ID "," USED "}", "/subject", "missing"},
		{"{" SOUND_ID ",\"subject\":{\"a\":1}," USED "}", "/subject", "a text is wanted"},
		{"{" SOUND_ID ",\"subject\":\"\"," USED "}", "/subject", "0 bytes"},
		{"{" SOUND ",\"time\":\"yesterday\"," USED "}", "/time", "RFC 3339"},
		{"{" SOUND ",\"time\":1795493457," USED "}", "/time", "RFC 3339"},
		{"{" SOUND ",\"time\":\"1970-01-01T00:00:00Z\"," USED "}", "/time", "RFC 3339"},
		{"{" SOUND ",\"datacontenttype\":\"text/plain\"," USED "}", "/datacontenttype",
		 "application/json"},
		{"{" SOUND ",\"data_base64\":\"e30=\"," USED "}", "/data_base64", "instead"},
		{"{" SOUND ",\"data\":{\"units\":{\"jobs\":3}}}", "/data/service", "missing"},
		{"{" SOUND ",\"data\":{\"service\":\"thumbs\"}}", "/data/units", "1 to 4 units"},
		{"{" SOUND ",\"data\":{\"service\":\"thumbs\",\"units\":{}}}", "/data/units",
		 "1 to 4 units"},
		{"{" SOUND ",\"data\":{\"service\":\"thumbs\",\"units\":[1]}}", "/data/units",
		 "1 to 4 units"},
		{"{" SOUND ",\"data\":{\"service\":\"thumbs\",\"units\":"
		 "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1}}}",
		 "/data/units", "1 to 4 units"},
		{"{" SOUND ",\"data\":{\"service\":\"thumbs\",\"units\":{\"jobs\":3},"
		 "\"\\u001b[2J\":1}}",
		 "/data", "not known"},
	};

	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		assert_only_mistake(sent_whole(*state, mistakes[i].event), "pointer",
				    mistakes[i].pointer, mistakes[i].why);
}

static void a_quantity_is_a_whole_number_above_zero(void **state)
{
	static const char *const bad[] = {
		"0",    "-1",   "1.0", "1e3",          "9007199254740992",    "\"3\"",
		"true", "null", "[3]", "{\"jobs\":3}", "-9223372036854775808"};
	char body[512];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(body, sizeof(body),
			 "{" SOUND ",\"data\":{\"service\":\"thumbs\",\"units\":{\"jobs\":%s}}}",
			 bad[i]);
		const struct api_event *event = sent_whole(*state, body);
		assert_only_mistake(event, "pointer", "/data/units", "whole number");
		assert_int_equal(event->unit_count, 0);
	}
}

static void a_text_is_bounded(void **state)
{
	char id[API_EVENT_TEXT_MAX + 2], body[1024];

	memset(id, 'i', sizeof(id));
	for (size_t length = API_EVENT_TEXT_MAX; length <= API_EVENT_TEXT_MAX + 1; length++) {
		snprintf(body, sizeof(body),
			 "{\"specversion\":\"1.0\",\"type\":\"stoa.usage.v1\",\"source\":\"/s\","
			 "\"subject\":\"acme/shop\",\"id\":\"%.*s\"," USED "}",
			 (int)length, id);
		const struct api_event *event = sent_whole(*state, body);
		if (length <= API_EVENT_TEXT_MAX)
			assert_null(event->errors);
		else
			assert_only_mistake(event, "pointer", "/id", "256 bytes");
	}
}

static void what_is_no_event_says_nothing_about_the_others(void **state)
{
	struct rig *rig = *state;
	const struct api_event *events =
		sent(rig, BATCH, NULL, 0, "[null, {" SOUND "," USED "}, [], {}, \"{}\"]");

	assert_int_equal(rig->events.count, 5);
	assert_false(rig->events.single);
	assert_only_mistake(&events[0], "pointer", "/0", "an object");
	assert_null(events[1].errors);
	assert_only_mistake(&events[2], "pointer", "/2", "an object");
	assert_in_range(json_array_size(events[3].errors), 6, API_ERRORS_MAX);
	assert_only_mistake(&events[4], "pointer", "/4", "an object");
}

/* ---- attributes in fields ---- */

#define FIELDS_MAX 6
static const char *const sound_fields[] = {"ce-specversion", "1.0",      "CE-Type", "stoa.usage.v1",
					   "Ce-Source",      "/s",       "ce-id",   "%C3%A9 1",
					   "ce-subject",     "acme/shop"};
#define SOUND_FIELDS (sizeof(sound_fields) / sizeof(sound_fields[0]) / 2)

/* The sound fields and one more. */
static const struct api_event *sent_in_fields(struct rig *rig, const char *name, const char *value)
{
	const char *fields[2 * FIELDS_MAX];

	memcpy(fields, sound_fields, sizeof(sound_fields));
	fields[2 * SOUND_FIELDS] = name;
	fields[2 * SOUND_FIELDS + 1] = value;
	return sent(rig, DATA, fields, FIELDS_MAX,
		    "{\"service\":\"thumbs\",\"units\":{\"jobs\":3}}");
}

static void attributes_in_fields_are_decoded(void **state)
{
	const struct api_event *event =
		sent_in_fields(*state, "ce-data", "%7B%22service%22%3A%22other%22%7D");

	assert_null(event->errors);
	assert_true(event->binary);
	assert_true(slice_equal(event->id, slice_of("\xC3\xA9 1")));
	assert_true(slice_equal(event->service, slice_of("thumbs")));
}

static void a_field_that_is_no_text_or_comes_twice_is_told_by_its_name(void **state)
{
	static const char *const fields[][3] = {
		{"CE-ID", "2", "a text is wanted"}, {"ce-time", "%FF", "RFC 3339"},
		{"ce-time", "%00", "RFC 3339"},     {"ce-time", "2026-%", "RFC 3339"},
		{"ce-data_base64", "", "instead"},  {"ce-datacontenttype", "%ff", "wanted"}};
	static const char *const places[] = {"ce-id",   "ce-time",        "ce-time",
					     "ce-time", "ce-data_base64", "ce-datacontenttype"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		assert_only_mistake(sent_in_fields(*state, fields[i][0], fields[i][1]), "parameter",
				    places[i], fields[i][2]);
}

static void a_field_of_any_length_is_survived(void **state)
{
	char name[512], value[4096];

	memset(name, 'n', sizeof(name) - 1);
	memcpy(name, "ce-", 3);
	name[sizeof(name) - 1] = '\0';
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	assert_null(sent_in_fields(*state, name, value)->errors);
	assert_null(sent_in_fields(*state, "ce-x", value)->errors);
	assert_null(sent_in_fields(*state, "ce-", value)->errors);
	assert_non_null(sent_in_fields(*state, "ce-time", value)->errors);
}

int main(void)
{
#define EVENT(name) cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		EVENT(an_event_is_read_whole),
		EVENT(what_an_event_says_is_one_digest_however_it_is_laid_out),
		EVENT(each_mistake_is_told_by_its_place),
		EVENT(a_quantity_is_a_whole_number_above_zero),
		EVENT(a_text_is_bounded),
		EVENT(what_is_no_event_says_nothing_about_the_others),
		EVENT(attributes_in_fields_are_decoded),
		EVENT(a_field_that_is_no_text_or_comes_twice_is_told_by_its_name),
		EVENT(a_field_of_any_length_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

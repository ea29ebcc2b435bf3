#include "api/event.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define TYPE_SINGLE "application/cloudevents+json"
#define TYPE_BATCH  "application/cloudevents-batch+json"
#define TYPE_DATA   "application/json"
#define FIELD_MARK  "ce-"

static_assert(API_EVENT_DIGEST == crypto_hash_sha256_BYTES, "it is SHA-256");

/* ---- what is wrong ---- */

const char *api_event_place(const struct api_event *event, const char *attribute,
			    char place[API_POINTER_MAX])
{
	const bool is_data = slice_starts_with(slice_of(attribute), slice_of("data/"));

	if (!event->binary)
		snprintf(place, API_POINTER_MAX, "%s/%s", event->at, attribute);
	else if (is_data)
		snprintf(place, API_POINTER_MAX, "%s", attribute + strlen("data"));
	else
		snprintf(place, API_POINTER_MAX, FIELD_MARK "%s", attribute);
	return place;
}

__attribute__((format(printf, 4, 5))) static void complain(struct api_request *request,
							   struct api_event *event,
							   const char *attribute,
							   const char *detail, ...)
{
	char text[FAULT_TEXT_MAX], place[API_POINTER_MAX];
	va_list arguments;
	int length = snprintf(text, sizeof(text), "%s: ", attribute);

	va_start(arguments, detail);
	vsnprintf(text + length, sizeof(text) - (size_t)length, detail, arguments);
	va_end(arguments);
	if (event->errors == NULL)
		event->errors = json_array();
	if (json_array_size(event->errors) < API_ERRORS_MAX)
		json_array_append_new(event->errors,
				      api_error_json(request,
						     api_event_place(event, attribute, place), NULL,
						     text));
}

/* ---- attributes ---- */

static struct slice read_text(struct api_request *request, struct api_event *event,
			      const json_t *json, const char *name, const char *attribute,
			      size_t most)
{
	const json_t *value = json_object_get(json, name);
	const size_t length = json_string_length(value);

	if (value == NULL)
		complain(request, event, attribute, "it is missing");
	else if (!json_is_string(value))
		complain(request, event, attribute, "a text is wanted");
	else if (length < 1 || length > most)
		complain(request, event, attribute, "%zu bytes are given; 1 to %zu are allowed",
			 length, most);
	else
		return slice_make(json_string_value(value), length);
	return (struct slice){0};
}

static void demand_text(struct api_request *request, struct api_event *event, const json_t *json,
			const char *name, const char *wanted)
{
	const struct slice given = read_text(request, event, json, name, name, API_EVENT_TEXT_MAX);
	char shown[TEXT_SHOWN_MAX];

	if (given.length > 0 && !slice_equal(given, slice_of(wanted)))
		complain(request, event, name, "\"%s\" is given; \"%s\" is wanted",
			 text_show(given, shown), wanted);
}

static void read_time(struct api_request *request, struct api_event *event, const json_t *json)
{
	const json_t *value = json_object_get(json, "time");

	if (value == NULL)
		return;
	if (!json_is_string(value) ||
	    !clock_parse_wall(slice_make(json_string_value(value), json_string_length(value)),
			      &event->used_ns) ||
	    event->used_ns == 0)
		complain(request, event, "time",
			 "a time such as 2026-11-24T04:10:57Z (RFC 3339) is wanted");
}

static void read_media_type(struct api_request *request, struct api_event *event,
			    const json_t *json)
{
	const json_t *value = json_object_get(json, "datacontenttype");

	if (value != NULL &&
	    (!json_is_string(value) || strcmp(json_string_value(value), TYPE_DATA) != 0))
		complain(request, event, "datacontenttype", "\"" TYPE_DATA "\" is wanted");
	if (json_object_get(json, "data_base64") != NULL)
		complain(request, event, "data_base64", "`data`, an object, is wanted instead");
}

/* ---- data ---- */

static int compare_units(const void *left, const void *right)
{
	const struct api_event_unit *a = left, *b = right;

	return strcmp(a->name, b->name);
}

static void read_units(struct api_request *request, struct api_event *event, json_t *units)
{
	const char *name;
	json_t *quantity;

	if (!json_is_object(units) || json_object_size(units) < 1 ||
	    json_object_size(units) > RATING_UNITS_MAX) {
		complain(request, event, "data/units",
			 "an object of 1 to %d units with their quantities is wanted, such as "
			 "{\"jobs\": 3}",
			 RATING_UNITS_MAX);
		return;
	}
	json_object_foreach(units, name, quantity)
	{
		const int64_t number = json_integer_value(quantity);
		if (!json_is_integer(quantity) || number < 1 || number > API_EVENT_UNIT_MOST)
			complain(request, event, "data/units",
				 "of each unit a whole number from 1 to %lld is wanted",
				 (long long)API_EVENT_UNIT_MOST);
		else
			event->units[event->unit_count++] =
				(struct api_event_unit){.name = name, .quantity = number};
	}
	qsort(event->units, event->unit_count, sizeof(event->units[0]), compare_units);
}

static void read_data(struct api_request *request, struct api_event *event, json_t *data)
{
	const char *name;
	json_t *value;

	if (!json_is_object(data)) {
		complain(request, event, "data", "an object with `service` and `units` is wanted");
		return;
	}
	json_object_foreach(data, name, value)
	{
		char shown[TEXT_SHOWN_MAX];
		if (strcmp(name, "service") != 0 && strcmp(name, "units") != 0)
			complain(request, event, "data",
				 "it has a member \"%s\", which is not known; `service` and "
				 "`units` are",
				 text_show(slice_of(name), shown));
	}
	event->service =
		read_text(request, event, data, "service", "data/service", CATALOG_NAME_MAX - 1);
	read_units(request, event, json_object_get(data, "units"));
}

/* ---- an event ---- */

static void hash(crypto_hash_sha256_state *state, const void *bytes, size_t length)
{
	const uint64_t bytes_before = length;

	crypto_hash_sha256_update(state, (const unsigned char *)&bytes_before,
				  sizeof(bytes_before));
	if (length > 0)
		crypto_hash_sha256_update(state, bytes, length);
}

static void digest(struct api_event *event)
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	hash(&state, event->app.data, event->app.length);
	hash(&state, event->service.data, event->service.length);
	hash(&state, &event->used_ns, sizeof(event->used_ns));
	for (size_t i = 0; i < event->unit_count; i++) {
		hash(&state, event->units[i].name, strlen(event->units[i].name));
		hash(&state, &event->units[i].quantity, sizeof(event->units[i].quantity));
	}
	crypto_hash_sha256_final(&state, event->digest);
}

/* What else CloudEvents has, extensions too, is let through unread. */
static void read_event(struct api_request *request, struct api_event *event, const json_t *json)
{
	if (!json_is_object(json)) {
		event->errors = json_array();
		json_array_append_new(event->errors,
				      api_error_json(request,
						     event->at[0] != '\0' ? event->at : NULL, NULL,
						     "an event is an object"));
		return;
	}
	demand_text(request, event, json, "specversion", "1.0");
	demand_text(request, event, json, "type", API_EVENT_TYPE);
	event->source = read_text(request, event, json, "source", "source", API_EVENT_TEXT_MAX);
	event->id = read_text(request, event, json, "id", "id", API_EVENT_TEXT_MAX);
	event->app = read_text(request, event, json, "subject", "subject", ACCOUNT_PATH_MAX - 1);
	read_time(request, event, json);
	read_media_type(request, event, json);
	read_data(request, event, json_object_get(json, "data"));
	digest(event);
}

/* ---- a request ---- */

static bool has_type(const struct http_request *head, const char *wanted)
{
	const struct http_header *header =
		http_header_find(head->headers, head->header_count, HTTP_CONTENT_TYPE);
	struct slice rest, type;

	if (header == NULL)
		return false;
	rest = header->value;
	return slice_cut(&rest, ';', &type) &&
	       slice_equal_ignore_case(slice_trim(type), slice_of(wanted));
}

static bool is_attribute(const struct http_header *header)
{
	const size_t mark = strlen(FIELD_MARK);

	return header->name.length > mark &&
	       slice_equal_ignore_case(slice_part(header->name, 0, mark), slice_of(FIELD_MARK));
}

static void take_attributes(struct api_request *request, const struct http_request *head)
{
	char name[64], value[API_EVENT_TEXT_MAX + 64];
	size_t length;

	for (size_t i = 0; i < head->header_count; i++) {
		const struct http_header *header = &head->headers[i];
		if (!is_attribute(header))
			continue;
		if (request->event == NULL)
			request->event = json_object();
		const struct slice given =
			slice_part(header->name, strlen(FIELD_MARK), header->name.length);
		/* What does not fit, or is no text, is of the wrong type: null. */
		json_t *json = NULL;
		if (given.length >= sizeof(name))
			continue;
		for (size_t j = 0; j < given.length; j++)
			name[j] = (char)(given.data[j] >= 'A' && given.data[j] <= 'Z'
						 ? given.data[j] | 0x20
						 : given.data[j]);
		name[given.length] = '\0';
		if (json_object_get(request->event, name) == NULL &&
		    http_percent_decode(header->value, value, sizeof(value), &length))
			json = json_stringn(value, length);
		json_object_set_new(request->event, name, json != NULL ? json : json_null());
	}
}

bool api_event_admit(struct api_request *request, const struct http_request *head)
{
	request->event_batch = has_type(head, TYPE_BATCH);
	if (has_type(head, TYPE_DATA))
		take_attributes(request, head);
	if (has_type(head, TYPE_SINGLE) || has_type(head, TYPE_BATCH) ||
	    (has_type(head, TYPE_DATA) && request->event != NULL))
		return true;
	api_answer_problem(request, API_MEDIA_TYPE, NULL,
			   "Send a CloudEvent as `" TYPE_SINGLE "`, a list of them as "
			   "`" TYPE_BATCH "`, or an event's data as `" TYPE_DATA
			   "` with its attributes in `ce-` header fields");
	return false;
}

static bool parse(struct api_request *request)
{
	const struct slice body = text_slice(&request->body);
	json_error_t error;

	if (body.length > API_EVENT_BYTES_MAX) {
		api_answer_problem(request, API_MALFORMED, NULL,
				   "The body has %zu bytes; %u are allowed: report in several "
				   "requests",
				   body.length, API_EVENT_BYTES_MAX);
		return false;
	}
	request->json = json_loadb(body.length > 0 ? body.data : "", body.length,
				   JSON_REJECT_DUPLICATES, &error);
	if (request->json == NULL)
		api_answer_problem(request, API_MALFORMED, NULL,
				   "The body is not JSON: line %d, column %d: %s", error.line,
				   error.column, error.text);
	return request->json != NULL;
}

static bool count_events(struct api_request *request, struct api_events *events)
{
	events->single = !request->event_batch;
	events->count = 1;
	if (events->single)
		return true;
	events->count = json_array_size(request->json);
	if (json_is_array(request->json) && events->count >= 1 && events->count <= API_EVENTS_MAX)
		return true;
	api_answer_problem(request, API_MALFORMED, NULL, "A batch is a list of 1 to %d events",
			   API_EVENTS_MAX);
	return false;
}

bool api_events_read(struct api_request *request, struct api_events *ret_events)
{
	struct api_events events = {0};

	if (!parse(request) || !count_events(request, &events))
		return false;
	events.of = calloc(events.count, sizeof(*events.of));
	check(events.of != NULL);
	if (request->event != NULL) {
		events.of[0].binary = true;
		json_object_set(request->event, "data", request->json);
	}
	for (size_t i = 0; i < events.count; i++) {
		struct api_event *event = &events.of[i];
		if (!events.single)
			snprintf(event->at, sizeof(event->at), "/%u", (unsigned)i);
		read_event(request, event,
			   request->event != NULL ? request->event
			   : events.single        ? request->json
						  : json_array_get(request->json, i));
	}
	*ret_events = events;
	return true;
}

void api_events_free(struct api_events *events)
{
	for (size_t i = 0; i < events->count; i++)
		json_decref(events->of[i].errors);
	free(events->of);
	*events = (struct api_events){0};
}

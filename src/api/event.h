/*
 * event: usage as providers report it, CloudEvents 1.0 in the three ways that HTTP carries them.
 *
 *	application/cloudevents+json		one event, whole
 *	application/cloudevents-batch+json	a list of them
 *	application/json and ce-* fields	one event: the body is its data
 *
 * An event says which app of which service used how many units, and when. What is wrong with one
 * is told all at once, and says nothing about the others of its batch.
 *
 * Threads: the control thread's. Memory: texts are the parsed body's, which the request keeps.
 */
#pragma once

#include "api/api_internal.h"

#define API_EVENT_TYPE      "stoa.usage.v1"
#define API_EVENTS_MAX      1000
#define API_EVENT_BYTES_MAX (1u << 20)               /* of a body */
#define API_EVENT_TEXT_MAX  255                      /* bytes of id and source */
#define API_EVENT_UNIT_MOST ((INT64_C(1) << 53) - 1) /* what every JSON reader takes whole */
#define API_EVENT_DIGEST    32

struct api_event_unit {
	const char *name;
	int64_t quantity; /* 1 .. API_EVENT_UNIT_MOST */
};

struct api_event {
	char at[16];             /* of the event in the body: "", "/3" */
	bool binary;             /* its attributes are header fields */
	struct slice source, id; /* empty where they are not there */
	struct slice app;        /* "account/app" */
	struct slice service;
	uint64_t used_ns; /* Unix; 0: it says no time */
	size_t unit_count;
	struct api_event_unit units[RATING_UNITS_MAX]; /* by name */
	json_t *errors;                                /* api_error_json; NULL: it is well formed */
	uint8_t digest[API_EVENT_DIGEST]; /* of what it says, however that is laid out */
};

struct api_events {
	bool single; /* it was no batch */
	size_t count;
	struct api_event *of;
};

/* When the head has come: takes an event's attributes from its fields, `ce-id` and so on. False:
 * the media type is none of the three, and the problem is answered. */
bool api_event_admit(struct api_request *request, const struct http_request *head);
/* Reads the body. False: it is not even a list of events, and the problem is answered. */
bool api_events_read(struct api_request *request, struct api_events *ret_events);
void api_events_free(struct api_events *events);

/* Where a part of the event ("data/units", "id") stands: its pointer in the body, or of a binary
 * one's attributes the header field. */
const char *api_event_place(const struct api_event *event, const char *attribute,
			    char place[API_POINTER_MAX]);

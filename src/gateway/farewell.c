#include "gateway/farewell.h"

#include <stdio.h>

#include "base/check.h"
#include "gateway/part.h"

#define EVENTS_TAIL 4u /* bytes: two ends of lines, of two bytes each */

#define CLOSE_FRAME      0x88u /* FIN, opcode 8 */
#define CLOSE_OPCODE     0x8u
#define CLOSE_REASON_MAX 123u
#define CLOSE_CODE       4000u /* 4000 to 4999 are for applications */

/* ---- event streams ---- */

/* Compressed: no event can be put between what there is. */
static bool is_coded(const struct http_header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (headers[i].known == HTTP_OTHER &&
		    slice_equal_ignore_case(headers[i].name, slice_of("content-encoding")) &&
		    !slice_equal_ignore_case(headers[i].value, slice_of("identity")))
			return true;
	}
	return false;
}

enum events_place events_begin(const struct http_header *headers, size_t count)
{
	static const char type[] = "text/event-stream";
	const struct http_header *field = http_header_find(headers, count, HTTP_CONTENT_TYPE);

	if (field == NULL || is_coded(headers, count))
		return EVENTS_NONE;
	const struct slice value =
		slice_trim(slice_part(field->value, 0, slice_find_byte(field->value, ';', 0)));
	return slice_equal_ignore_case(value, slice_make(type, sizeof(type) - 1)) ? EVENTS_BETWEEN
										  : EVENTS_NONE;
}

static enum events_place events_step(enum events_place place, char byte)
{
	const bool within = place == EVENTS_LINE;

	if (byte == '\r')
		return within ? EVENTS_WITHIN_CR : EVENTS_BETWEEN_CR;
	if (byte != '\n')
		return EVENTS_LINE;
	return within || place == EVENTS_WITHIN_CR ? EVENTS_WITHIN : EVENTS_BETWEEN;
}

enum events_place events_follow(enum events_place place, struct slice bytes)
{
	size_t at = 0;

	if (place == EVENTS_NONE)
		return place;
	if (bytes.length > EVENTS_TAIL) {
		at = bytes.length - EVENTS_TAIL;
		place = EVENTS_LINE; /* whether what is before it ended a line changes nothing then
				      */
	}
	for (; at < bytes.length; at++)
		place = events_step(place, bytes.data[at]);
	return place;
}

/* ---- WebSocket ---- */

void websocket_begin(struct websocket_place *place, struct slice protocol)
{
	*place = (struct websocket_place){
		.known = slice_equal_ignore_case(protocol, slice_of("websocket"))};
}

static void take_header(struct websocket_place *place, uint8_t byte)
{
	const uint8_t opcode = byte & 0xf;

	switch (place->header_bytes++) {
	case 0:
		place->known = opcode <= 2 || (opcode >= CLOSE_OPCODE && opcode <= 0xa);
		place->closed |= opcode == CLOSE_OPCODE;
		return;
	case 1:
		place->known = (byte & 0x80) == 0; /* a server does not mask */
		place->payload_bytes = byte;
		place->length_bytes = byte == 127 ? 8 : byte == 126 ? 2 : 0;
		if (place->length_bytes > 0)
			place->payload_bytes = 0;
		break;
	default:
		place->payload_bytes = place->payload_bytes << 8 | byte;
	}
	if (place->header_bytes == 2u + place->length_bytes) {
		place->header_bytes = 0;
		place->known &= place->payload_bytes <= INT64_MAX;
	}
}

void websocket_follow(struct websocket_place *place, struct slice bytes)
{
	size_t at = 0;

	while (place->known && at < bytes.length) {
		const uint64_t left = bytes.length - at;
		if (place->header_bytes > 0 || place->payload_bytes == 0) {
			take_header(place, (uint8_t)bytes.data[at++]);
			continue;
		}
		const uint64_t skipped = left < place->payload_bytes ? left : place->payload_bytes;
		place->payload_bytes -= skipped;
		at += skipped;
	}
}

bool websocket_is_between(const struct websocket_place *place)
{
	return place->known && !place->closed && place->header_bytes == 0 &&
	       place->payload_bytes == 0;
}

/* ---- the words ---- */

static size_t compose_close(enum problem problem, char text[FAREWELL_MAX])
{
	const struct problem_text *row = problem_text(problem);
	const unsigned code = CLOSE_CODE + row->status;
	size_t reason_bytes = strlen(row->title);

	if (reason_bytes > CLOSE_REASON_MAX)
		reason_bytes = CLOSE_REASON_MAX;
	text[0] = (char)CLOSE_FRAME;
	text[1] = (char)(2 + reason_bytes);
	text[2] = (char)(code >> 8);
	text[3] = (char)(code & 0xff);
	memcpy(text + 4, row->title, reason_bytes);
	return 4 + reason_bytes;
}

static size_t compose_event(const struct call *call, enum problem problem, char text[FAREWELL_MAX])
{
	static const char begin[] = "event: stoa-problem\ndata: ";
	const size_t begin_bytes = sizeof(begin) - 1;

	memcpy(text, begin, begin_bytes);
	const struct problem_facts facts = {.call = slice_of(call->id_text)};
	size_t bytes = begin_bytes + problem_compose(problem, &facts, text + begin_bytes,
						     FAREWELL_MAX - begin_bytes - 1);
	text[bytes++] = '\n'; /* the JSON has one already: this is the empty line */
	return bytes;
}

size_t farewell_compose(const struct call *call, enum problem problem, char text[FAREWELL_MAX])
{
	/* What the service breaks is told by breaking. */
	if (problem == PROBLEM_SERVICE_UNREACHABLE || problem == PROBLEM_SERVICE_INVALID)
		return 0;
	if (call->tunnel)
		return call->parts != NULL && websocket_is_between(&call->parts->place)
			       ? compose_close(problem, text)
			       : 0;
	return call->events == EVENTS_BETWEEN || call->events == EVENTS_BETWEEN_CR
		       ? compose_event(call, problem, text)
		       : 0;
}

/*
 * h2_service: a service that speaks HTTP/2 frame by frame behind client_rig, for the tests of
 * this folder: what it says is put together here, right or wrong, without nghttp2's session.
 *
 * Threads: one.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "base/text.h"
#include "http/client_rig_internal.h"
#include "http/h2_frames_internal.h"

#define H2_SERVICE_STREAMS_MAX 64

/* What the rig's calls are heard as, and what is often said. */
#define H2_GET(id)  "H" #id "[:method=GET :scheme=http :authority=a :path=/x]. "
#define H2_POST(id) "H" #id "[:method=POST :scheme=http :authority=a :path=/x] "
#define H2_OK       ":status: 200"
#define H2_END      NGHTTP2_FLAG_END_STREAM

/* One connection, as the service has it. */
struct h2_service_peer {
	nghttp2_hd_inflater *inflater;
	struct text received; /* not yet understood */
	bool preface_came;
	int64_t window_bytes;                         /* given for the connection */
	int64_t stream_bytes[H2_SERVICE_STREAMS_MAX]; /* given for each stream */
	uint32_t ping_acks;
};

struct h2_service {
	struct client_rig *rig;
	struct h2_service_peer peers[CLIENT_RIG_UPSTREAMS_MAX];
	struct text said; /* frames that are sent by h2_service_say */
	struct text log;
};

/* First in a test, and last; rig and service end with the test. */
struct h2_service *h2_service_begin(void **state);
void h2_service_end(struct h2_service *service);

/* Begins, with a call that connection 0 has heard and that is not answered yet. */
struct h2_service *h2_service_begin_with_call(void **state);

/* ---- what it will say ---- */

void h2_service_frame(struct h2_service *service, uint8_t type, uint8_t flags, uint32_t id,
		      struct slice payload);
/* `fields`: "name: value" lines, each behind a '\n'. Flags: END_HEADERS is added. */
void h2_service_head(struct h2_service *service, uint8_t flags, uint32_t id, const char *fields);
void h2_service_data(struct h2_service *service, uint8_t flags, uint32_t id, const char *text);
/* Of RST_STREAM, WINDOW_UPDATE: one number. */
void h2_service_number(struct h2_service *service, uint8_t type, uint32_t id, uint32_t number);
void h2_service_goaway(struct h2_service *service, uint32_t last_id, uint32_t code);
void h2_service_setting(struct h2_service *service, uint16_t name, uint32_t value);
/* Empty settings, and that the client's are agreed to. */
void h2_service_greet(struct h2_service *service);
/* All of it to connection `number`; then nothing waits to be said. The client is given the time
 * to settle before and after. */
void h2_service_say(struct h2_service *service, int number);
/* The same at once: for tests of many frames, with an `expect_soon` behind it. */
void h2_service_send(struct h2_service *service, int number);

/* Says "hi" as the whole answer of a stream. */
void h2_service_answer(struct h2_service *service, int number, uint32_t id);

/* ---- what it heard ---- */

/* The frames since the last time: "H1[:method=GET ...]. D1(abc). R1(8) G(0)", a '.' for the
 * stream's end. Settings are left out; pings and windows are counted. */
void h2_service_expect(struct h2_service *service, int number, const char *words);
/* The same as soon as so much was heard: what comes later stands in what is heard next. */
void h2_service_expect_soon(struct h2_service *service, int number, const char *words);
/* Listens, and says nothing of it. */
void h2_service_hear(struct h2_service *service, int number);

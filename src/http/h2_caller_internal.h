/*
 * h2_caller: a client that speaks HTTP/2 frame by frame to the server of `rig`, for the tests of
 * this folder: what it says is put together here, right or wrong, without nghttp2's session.
 *
 * Threads: one.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "base/text.h"
#include "http/h2_frames_internal.h"
#include "http/rig_internal.h"

#define H2_CALLER_END     NGHTTP2_FLAG_END_STREAM
#define H2_CALLER_STREAMS 512

struct h2_caller {
	struct rig *rig;
	nghttp2_hd_inflater *inflater;
	struct text said; /* frames that are sent by h2_caller_say */
	struct text log;
	int64_t window_bytes;                    /* given by the server for the connection */
	int64_t stream_bytes[H2_CALLER_STREAMS]; /* and for each stream */
	size_t data_bytes[H2_CALLER_STREAMS];    /* heard of each */
	uint32_t ping_acks;
};

/* Serves and connects; limits are set in the rig before. The caller ends with h2_caller_end. */
struct h2_caller *h2_caller_begin(struct rig *rig);
/* A new connection, that has said nothing. */
void h2_caller_connect(struct h2_caller *caller);
void h2_caller_end(struct h2_caller *caller);

/* ---- what it will say ---- */

/* Preface, empty settings, and that the server's are agreed to. */
void h2_caller_greet(struct h2_caller *caller);
void h2_caller_frame(struct h2_caller *caller, uint8_t type, uint8_t flags, uint32_t id,
		     const void *payload, size_t length);
/* `fields`: "name: value" lines, each but the last with a '\n' behind it. */
void h2_caller_block(struct h2_caller *caller, uint8_t type, uint8_t flags, uint32_t id,
		     const char *fields);
/* A HEADERS frame that holds all of them. */
void h2_caller_head(struct h2_caller *caller, uint8_t flags, uint32_t id, const char *fields);
void h2_caller_data(struct h2_caller *caller, uint8_t flags, uint32_t id, const char *text);
/* Of RST_STREAM and WINDOW_UPDATE: one number. */
void h2_caller_number(struct h2_caller *caller, uint8_t type, uint32_t id, uint32_t number);
void h2_caller_setting(struct h2_caller *caller, uint16_t name, uint32_t value);
/* All of it. */
void h2_caller_say(struct h2_caller *caller);

/* ---- what it heard ---- */

/* The frames since the last time: "H1[:status=200 ...]. D1(abc). R1(8) G5(0)" (GOAWAY with the
 * last stream), "P" for a PING; a '.' for a stream's end. Settings and dates are left out, acks
 * and windows counted. */
void h2_caller_expect(struct h2_caller *caller, const char *words);
/* Listens, and says nothing of it. */
void h2_caller_hear(struct h2_caller *caller);

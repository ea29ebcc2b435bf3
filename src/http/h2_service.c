#include "http/h2_service_internal.h"

#include <errno.h>
#include <stdlib.h>

#define SECTION_PART_MAX 16384 /* of a header section in one frame */
#define TEXT_MAX         (1024 * 1024)

struct h2_service *h2_service_begin(void **state)
{
	struct h2_service *service = calloc(1, sizeof(*service));

	assert_non_null(service);
	service->rig = client_rig_begin_h2(state);
	text_init(&service->said, TEXT_MAX);
	text_init(&service->log, TEXT_MAX);
	for (int i = 0; i < CLIENT_RIG_UPSTREAMS_MAX; i++) {
		text_init(&service->peers[i].received, TEXT_MAX);
		assert_int_equal(nghttp2_hd_inflate_new(&service->peers[i].inflater), 0);
	}
	return service;
}

void h2_service_end(struct h2_service *service)
{
	for (int i = 0; i < CLIENT_RIG_UPSTREAMS_MAX; i++) {
		text_fini(&service->peers[i].received);
		nghttp2_hd_inflate_del(service->peers[i].inflater);
	}
	text_fini(&service->said);
	text_fini(&service->log);
	free(service);
}

struct h2_service *h2_service_begin_with_call(void **state)
{
	struct h2_service *service = h2_service_begin(state);

	client_rig_call(service->rig, "GET", 0);
	h2_service_expect(service, 0, H2_GET(1));
	h2_service_greet(service);
	h2_service_say(service, 0);
	return service;
}

/* ---- what it will say ---- */

void h2_service_frame(struct h2_service *service, uint8_t type, uint8_t flags, uint32_t id,
		      struct slice payload)
{
	h2_put_frame(&service->said, type, flags, id, payload);
}

void h2_service_head(struct h2_service *service, uint8_t flags, uint32_t id, const char *fields)
{
	struct text block;

	text_init(&block, TEXT_MAX);
	h2_put_fields(&block, fields);
	const struct slice all = text_slice(&block);
	const size_t first = all.length < SECTION_PART_MAX ? all.length : SECTION_PART_MAX;
	h2_service_frame(service, NGHTTP2_HEADERS,
			 flags | (first == all.length ? NGHTTP2_FLAG_END_HEADERS : 0), id,
			 slice_part(all, 0, first));
	for (size_t at = first; at < all.length; at += SECTION_PART_MAX)
		h2_service_frame(service, NGHTTP2_CONTINUATION,
				 at + SECTION_PART_MAX < all.length ? 0 : NGHTTP2_FLAG_END_HEADERS,
				 id, slice_part(all, at, at + SECTION_PART_MAX));
	text_fini(&block);
}

void h2_service_data(struct h2_service *service, uint8_t flags, uint32_t id, const char *text)
{
	h2_service_frame(service, NGHTTP2_DATA, flags, id, slice_of(text));
}

void h2_service_number(struct h2_service *service, uint8_t type, uint32_t id, uint32_t number)
{
	h2_put_number_frame(&service->said, type, id, number);
}

void h2_service_goaway(struct h2_service *service, uint32_t last_id, uint32_t code)
{
	struct text payload;

	text_init(&payload, TEXT_MAX);
	h2_put_number(&payload, last_id, 4);
	h2_put_number(&payload, code, 4);
	h2_service_frame(service, NGHTTP2_GOAWAY, 0, 0, text_slice(&payload));
	text_fini(&payload);
}

void h2_service_setting(struct h2_service *service, uint16_t name, uint32_t value)
{
	h2_put_setting(&service->said, name, value);
}

void h2_service_greet(struct h2_service *service)
{
	h2_service_frame(service, NGHTTP2_SETTINGS, 0, 0, slice_of(""));
	h2_service_frame(service, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, slice_of(""));
}

void h2_service_send(struct h2_service *service, int number)
{
	assert_true(number < service->rig->upstream_count);
	client_rig_send_bytes(service->rig, number, text_slice(&service->said));
	text_clear(&service->said);
}

void h2_service_say(struct h2_service *service, int number)
{
	client_rig_settle(service->rig);
	h2_service_send(service, number);
	client_rig_settle(service->rig);
}

void h2_service_answer(struct h2_service *service, int number, uint32_t id)
{
	h2_service_head(service, 0, id, H2_OK);
	h2_service_data(service, H2_END, id, "hi");
	h2_service_say(service, number);
}

/* ---- what it heard ---- */

static void note_frame(struct h2_service *service, struct h2_service_peer *peer, uint8_t type,
		       uint8_t flags, uint32_t id, struct slice payload)
{
	const char *end = (flags & NGHTTP2_FLAG_END_STREAM) != 0 ? ". " : " ";

	switch (type) {
	case NGHTTP2_HEADERS:
		assert_int_equal(flags & ~NGHTTP2_FLAG_END_STREAM, NGHTTP2_FLAG_END_HEADERS);
		text_printf(&service->log, "H%u[", id);
		h2_log_fields(&service->log, peer->inflater, payload, NULL);
		text_printf(&service->log, "]%s", end);
		break;
	case NGHTTP2_DATA:
		if (payload.length < 100)
			text_printf(&service->log, "D%u(%.*s)%s", id, SLICE_ARGS(payload), end);
		else
			text_printf(&service->log, "D%u(%zu bytes)%s", id, payload.length, end);
		break;
	case NGHTTP2_RST_STREAM:
		text_printf(&service->log, "R%u(%u) ", id, h2_number_at(payload, 0, 4));
		break;
	case NGHTTP2_GOAWAY:
		text_printf(&service->log, "G(%u) ", h2_number_at(payload, 4, 4));
		break;
	case NGHTTP2_PING:
		peer->ping_acks++;
		break;
	case NGHTTP2_WINDOW_UPDATE:
		assert_true(id < H2_SERVICE_STREAMS_MAX);
		*(id == 0 ? &peer->window_bytes : &peer->stream_bytes[id]) +=
			h2_number_at(payload, 0, 4);
		break;
	default:
		assert_int_equal(type, NGHTTP2_SETTINGS);
	}
}

/* The number of bytes that are understood. */
static size_t note_frames(struct h2_service *service, struct h2_service_peer *peer)
{
	const struct slice received = text_slice(&peer->received);
	size_t at = 0;

	if (!peer->preface_came && received.length >= NGHTTP2_CLIENT_MAGIC_LEN) {
		assert_true(slice_starts_with(received, slice_of(NGHTTP2_CLIENT_MAGIC)));
		peer->preface_came = true;
		at = NGHTTP2_CLIENT_MAGIC_LEN;
	}
	while (peer->preface_came && received.length - at >= H2_FRAME_HEAD_BYTES) {
		const size_t length = h2_number_at(received, at, 3);
		if (received.length - at < H2_FRAME_HEAD_BYTES + length)
			break;
		note_frame(service, peer, (uint8_t)received.data[at + 3],
			   (uint8_t)received.data[at + 4], h2_number_at(received, at + 5, 4),
			   slice_part(received, at + H2_FRAME_HEAD_BYTES,
				      at + H2_FRAME_HEAD_BYTES + length));
		at += H2_FRAME_HEAD_BYTES + length;
	}
	return at;
}

static void hear(struct h2_service *service, int number)
{
	struct h2_service_peer *peer = &service->peers[number];
	char bytes[65536];

	assert_true(number < service->rig->upstream_count);
	for (ssize_t got = 1; got > 0;) {
		got = read(service->rig->upstreams[number], bytes, sizeof(bytes));
		if (got > 0)
			text_append(&peer->received, slice_make(bytes, (size_t)got));
	}
	const size_t understood = note_frames(service, peer);
	if (understood == 0)
		return;
	peer->received.length -= understood;
	memmove(peer->received.data, peer->received.data + understood, peer->received.length);
}

void h2_service_hear(struct h2_service *service, int number)
{
	client_rig_settle(service->rig);
	hear(service, number);
}

static void expect_heard(struct h2_service *service, const char *words)
{
	text_append_text(&service->log, "");
	assert_string_equal(service->log.data, words);
	text_clear(&service->log);
}

void h2_service_expect(struct h2_service *service, int number, const char *words)
{
	h2_service_hear(service, number);
	expect_heard(service, words);
}

void h2_service_expect_soon(struct h2_service *service, int number, const char *words)
{
	const size_t length = strlen(words);

	for (int i = 0; i < CLIENT_RIG_SOON_TURNS && service->log.length < length; i++) {
		client_rig_turn(service->rig, CLIENT_RIG_TURN_NS);
		hear(service, number);
	}
	expect_heard(service, words);
}

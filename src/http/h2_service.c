#include "http/h2_service_internal.h"

#include <errno.h>
#include <stdlib.h>

#define FRAME_HEAD_BYTES 9
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

static void put_number(struct text *text, uint64_t number, int bytes)
{
	while (bytes-- > 0) {
		const char byte = (char)(number >> (8 * bytes));
		text_append(text, slice_make(&byte, 1));
	}
}

void h2_service_frame(struct h2_service *service, uint8_t type, uint8_t flags, uint32_t id,
		      struct slice payload)
{
	put_number(&service->said, payload.length, 3);
	put_number(&service->said, type, 1);
	put_number(&service->said, flags, 1);
	put_number(&service->said, id, 4);
	text_append(&service->said, payload);
}

/* RFC 7541 5.2, without Huffman. */
static void put_literal(struct text *block, struct slice literal)
{
	if (literal.length < 127) {
		put_number(block, literal.length, 1);
	} else {
		size_t rest = literal.length - 127;
		put_number(block, 127, 1);
		for (; rest >= 128; rest /= 128)
			put_number(block, rest % 128 + 128, 1);
		put_number(block, rest, 1);
	}
	text_append(block, literal);
}

void h2_service_head(struct h2_service *service, uint8_t flags, uint32_t id, const char *fields)
{
	struct slice rest = slice_of(fields);
	struct text block;

	text_init(&block, TEXT_MAX);
	while (rest.length > 0) {
		const size_t end = slice_find_byte(rest, '\n', 0);
		const struct slice line = slice_part(rest, 0, end);
		const size_t colon = slice_find_byte(line, ':', 1);
		put_number(&block, 0, 1); /* literal, not to be indexed, new name */
		put_literal(&block, slice_part(line, 0, colon));
		put_literal(&block, slice_part(line, colon + 2, line.length));
		rest = slice_part(rest, end < rest.length ? end + 1 : end, rest.length);
	}
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
	const uint8_t bytes[] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
				 (uint8_t)(number >> 8), (uint8_t)number};

	h2_service_frame(service, type, 0, id, slice_make(bytes, sizeof(bytes)));
}

void h2_service_goaway(struct h2_service *service, uint32_t last_id, uint32_t code)
{
	struct text payload;

	text_init(&payload, TEXT_MAX);
	put_number(&payload, last_id, 4);
	put_number(&payload, code, 4);
	h2_service_frame(service, NGHTTP2_GOAWAY, 0, 0, text_slice(&payload));
	text_fini(&payload);
}

void h2_service_setting(struct h2_service *service, uint16_t name, uint32_t value)
{
	struct text payload;

	text_init(&payload, TEXT_MAX);
	put_number(&payload, name, 2);
	put_number(&payload, value, 4);
	h2_service_frame(service, NGHTTP2_SETTINGS, 0, 0, text_slice(&payload));
	text_fini(&payload);
}

void h2_service_greet(struct h2_service *service)
{
	h2_service_frame(service, NGHTTP2_SETTINGS, 0, 0, slice_of(""));
	h2_service_frame(service, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, slice_of(""));
}

void h2_service_say(struct h2_service *service, int number)
{
	client_rig_settle(service->rig);
	assert_true(number < service->rig->upstream_count);
	client_rig_answer_bytes(service->rig, number, text_slice(&service->said));
	text_clear(&service->said);
}

void h2_service_answer(struct h2_service *service, int number, uint32_t id)
{
	h2_service_head(service, 0, id, H2_OK);
	h2_service_data(service, H2_END, id, "hi");
	h2_service_say(service, number);
}

/* ---- what it heard ---- */

static uint32_t number_at(struct slice bytes, size_t at, size_t length)
{
	uint32_t number = 0;

	assert_true(at + length <= bytes.length);
	for (size_t i = 0; i < length; i++)
		number = number << 8 | (uint8_t)bytes.data[at + i];
	return number;
}

static void note_fields(struct h2_service *service, struct h2_service_peer *peer,
			struct slice block)
{
	const uint8_t *at = (const uint8_t *)block.data;
	size_t left = block.length;
	const char *space = "";

	for (;;) {
		nghttp2_nv pair;
		int flags = 0;
		const ssize_t used =
			nghttp2_hd_inflate_hd2(peer->inflater, &pair, &flags, at, left, 1);
		assert_true(used >= 0);
		at += used;
		left -= (size_t)used;
		if (flags & NGHTTP2_HD_INFLATE_EMIT) {
			text_printf(&service->log, "%s%.*s=%.*s", space, (int)pair.namelen,
				    pair.name, (int)pair.valuelen, pair.value);
			space = " ";
		}
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			break;
	}
	nghttp2_hd_inflate_end_headers(peer->inflater);
}

static void note_frame(struct h2_service *service, struct h2_service_peer *peer, uint8_t type,
		       uint8_t flags, uint32_t id, struct slice payload)
{
	const char *end = (flags & NGHTTP2_FLAG_END_STREAM) != 0 ? ". " : " ";

	switch (type) {
	case NGHTTP2_HEADERS:
		assert_int_equal(flags & ~NGHTTP2_FLAG_END_STREAM, NGHTTP2_FLAG_END_HEADERS);
		text_printf(&service->log, "H%u[", id);
		note_fields(service, peer, payload);
		text_printf(&service->log, "]%s", end);
		break;
	case NGHTTP2_DATA:
		if (payload.length < 100)
			text_printf(&service->log, "D%u(%.*s)%s", id, SLICE_ARGS(payload), end);
		else
			text_printf(&service->log, "D%u(%zu bytes)%s", id, payload.length, end);
		break;
	case NGHTTP2_RST_STREAM:
		text_printf(&service->log, "R%u(%u) ", id, number_at(payload, 0, 4));
		break;
	case NGHTTP2_GOAWAY:
		text_printf(&service->log, "G(%u) ", number_at(payload, 4, 4));
		break;
	case NGHTTP2_PING:
		peer->ping_acks++;
		break;
	case NGHTTP2_WINDOW_UPDATE:
		assert_true(id < H2_SERVICE_STREAMS_MAX);
		*(id == 0 ? &peer->window_bytes : &peer->stream_bytes[id]) +=
			number_at(payload, 0, 4);
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
	while (peer->preface_came && received.length - at >= FRAME_HEAD_BYTES) {
		const size_t length = number_at(received, at, 3);
		if (received.length - at < FRAME_HEAD_BYTES + length)
			break;
		note_frame(service, peer, (uint8_t)received.data[at + 3],
			   (uint8_t)received.data[at + 4], number_at(received, at + 5, 4),
			   slice_part(received, at + FRAME_HEAD_BYTES,
				      at + FRAME_HEAD_BYTES + length));
		at += FRAME_HEAD_BYTES + length;
	}
	return at;
}

void h2_service_hear(struct h2_service *service, int number)
{
	struct h2_service_peer *peer = &service->peers[number];
	char bytes[65536];

	client_rig_settle(service->rig);
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

void h2_service_expect(struct h2_service *service, int number, const char *words)
{
	h2_service_hear(service, number);
	text_append_text(&service->log, "");
	assert_string_equal(service->log.data, words);
	text_clear(&service->log);
}

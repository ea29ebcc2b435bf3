#include "http/h2_caller_internal.h"

#include <stdlib.h>

#define TEXT_MAX (4 * 1024 * 1024)

/* ---- life ---- */

struct h2_caller *h2_caller_begin(struct rig *rig)
{
	struct h2_caller *caller = calloc(1, sizeof(*caller));

	rig_serve(rig);
	assert_non_null(caller);
	caller->rig = rig;
	text_init(&caller->said, TEXT_MAX);
	text_init(&caller->log, TEXT_MAX);
	h2_caller_connect(caller);
	return caller;
}

void h2_caller_connect(struct h2_caller *caller)
{
	if (caller->inflater != NULL)
		nghttp2_hd_inflate_del(caller->inflater);
	assert_int_equal(nghttp2_hd_inflate_new(&caller->inflater), 0);
	memset(caller->data_bytes, 0, sizeof(caller->data_bytes));
	memset(caller->stream_bytes, 0, sizeof(caller->stream_bytes));
	caller->window_bytes = 0;
	caller->rig->received_length = 0;
	text_clear(&caller->said);
	text_clear(&caller->log);
	rig_connect(caller->rig);
}

void h2_caller_end(struct h2_caller *caller)
{
	nghttp2_hd_inflate_del(caller->inflater);
	text_fini(&caller->said);
	text_fini(&caller->log);
	free(caller);
}

/* ---- what it will say ---- */

void h2_caller_frame(struct h2_caller *caller, uint8_t type, uint8_t flags, uint32_t id,
		     const void *payload, size_t length)
{
	h2_put_frame(&caller->said, type, flags, id, slice_make(payload, length));
}

void h2_caller_greet(struct h2_caller *caller)
{
	text_append_text(&caller->said, NGHTTP2_CLIENT_MAGIC);
	h2_caller_frame(caller, NGHTTP2_SETTINGS, 0, 0, "", 0);
	h2_caller_frame(caller, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, "", 0);
}

void h2_caller_block(struct h2_caller *caller, uint8_t type, uint8_t flags, uint32_t id,
		     const char *fields)
{
	struct text block;

	text_init(&block, TEXT_MAX);
	h2_put_fields(&block, fields);
	h2_caller_frame(caller, type, flags, id, block.data, block.length);
	text_fini(&block);
}

void h2_caller_head(struct h2_caller *caller, uint8_t flags, uint32_t id, const char *fields)
{
	h2_caller_block(caller, NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, id, fields);
}

void h2_caller_data(struct h2_caller *caller, uint8_t flags, uint32_t id, const char *text)
{
	h2_caller_frame(caller, NGHTTP2_DATA, flags, id, text, strlen(text));
}

void h2_caller_number(struct h2_caller *caller, uint8_t type, uint32_t id, uint32_t number)
{
	h2_put_number_frame(&caller->said, type, id, number);
}

void h2_caller_setting(struct h2_caller *caller, uint16_t name, uint32_t value)
{
	h2_put_setting(&caller->said, name, value);
}

void h2_caller_say(struct h2_caller *caller)
{
	rig_send(caller->rig, caller->said.data, caller->said.length);
	text_clear(&caller->said);
	h2_caller_hear(caller);
}

/* ---- what it heard ---- */

static void note_data(struct h2_caller *caller, uint32_t id, struct slice content, const char *end)
{
	assert_true(id < H2_CALLER_STREAMS);
	caller->data_bytes[id] += content.length;
	if (content.length < 400)
		text_printf(&caller->log, "D%u(%.*s)%s", id, SLICE_ARGS(content), end);
	else
		text_printf(&caller->log, "D%u(%zu bytes)%s", id, content.length, end);
}

static void note_frame(struct h2_caller *caller, struct slice head, struct slice payload)
{
	const uint8_t flags = (uint8_t)head.data[4];
	const uint32_t id = h2_number_at(head, 5, 4);
	const char *end = (flags & NGHTTP2_FLAG_END_STREAM) != 0 ? ". " : " ";

	switch ((uint8_t)head.data[3]) {
	case NGHTTP2_HEADERS:
		assert_int_equal(flags & ~NGHTTP2_FLAG_END_STREAM, NGHTTP2_FLAG_END_HEADERS);
		text_printf(&caller->log, "H%u[", id);
		h2_log_fields(&caller->log, caller->inflater, payload, "date");
		text_printf(&caller->log, "]%s", end);
		break;
	case NGHTTP2_DATA:
		note_data(caller, id, payload, end);
		break;
	case NGHTTP2_RST_STREAM:
		text_printf(&caller->log, "R%u(%u) ", id, h2_number_at(payload, 0, 4));
		break;
	case NGHTTP2_GOAWAY:
		text_printf(&caller->log, "G%u(%u) ", h2_number_at(payload, 0, 4),
			    h2_number_at(payload, 4, 4));
		break;
	case NGHTTP2_PING:
		if ((flags & NGHTTP2_FLAG_ACK) != 0)
			caller->ping_acks++;
		else
			text_append_text(&caller->log, "P ");
		break;
	case NGHTTP2_WINDOW_UPDATE:
		assert_true(id < H2_CALLER_STREAMS);
		*(id == 0 ? &caller->window_bytes : &caller->stream_bytes[id]) +=
			h2_number_at(payload, 0, 4);
		break;
	default:
		assert_int_equal(head.data[3], NGHTTP2_SETTINGS);
	}
}

void h2_caller_hear(struct h2_caller *caller)
{
	struct rig *rig = caller->rig;

	rig_settle(rig);
	struct slice rest = slice_make(rig->received, rig->received_length);
	while (rest.length >= H2_FRAME_HEAD_BYTES) {
		const size_t end = H2_FRAME_HEAD_BYTES + h2_number_at(rest, 0, 3);
		if (rest.length < end)
			break;
		note_frame(caller, slice_part(rest, 0, H2_FRAME_HEAD_BYTES),
			   slice_part(rest, H2_FRAME_HEAD_BYTES, end));
		rest = slice_part(rest, end, rest.length);
	}
	memmove(rig->received, rest.data, rest.length);
	rig->received_length = rest.length;
}

void h2_caller_expect(struct h2_caller *caller, const char *words)
{
	h2_caller_hear(caller);
	text_append_text(&caller->log, "");
	assert_string_equal(caller->log.data, words);
	text_clear(&caller->log);
}

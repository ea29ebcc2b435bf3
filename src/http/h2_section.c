/*
 * A request of HTTP/2, written down as HTTP/1.1 would have it and judged as such.
 *
 * nghttp2 has looked at each field and at the section as a whole (which pseudo fields there are
 * and where, nothing that belongs to a connection, no upper case). What could still become another
 * request when it is a line (control characters, a space in the method or the target, a target
 * that is no path) is refused here, before it is written.
 */
#include "base/check.h"
#include "http/h2_server_internal.h"
#include "http/syntax_internal.h"

#define SECTION_EXCESS 4 /* times head_bytes_max that a client may offer before it is reset */

static const struct slice line_end = {.data = "\r\n", .length = 2};

/* ---- text ---- */

static void grow(struct http_h2_session *session, size_t bytes)
{
	struct http_blocks *blocks = &http_h2_server_of(session)->blocks;
	struct http_block *old = session->section.text;
	struct http_block *text = http_block_take(blocks, bytes);

	if (old != NULL) {
		memcpy(text->bytes, old->bytes, old->used);
		text->used = old->used;
		http_block_give(blocks, old);
	}
	session->section.text = text;
}

/* The section is refused where it gets longer than a head may be. */
static bool has_room(struct http_h2_session *session, size_t bytes)
{
	struct http_h2_section *section = &session->section;
	const size_t used = section->text == NULL ? 0 : section->text->used;
	const size_t bytes_max = http_h2_limits(session)->head_bytes_max;

	if (section->refused != HTTP_REFUSED_NOT)
		return false;
	if (bytes > bytes_max - used) {
		section->refused = HTTP_REFUSED_HEAD_LENGTH;
		return false;
	}
	if (section->text == NULL)
		grow(session, bytes);
	else if (bytes > section->text->capacity - used)
		grow(session, bytes_max);
	return true;
}

static void put(struct http_h2_session *session, struct slice bytes)
{
	if (bytes.length == 0 || !has_room(session, bytes.length))
		return;
	struct http_block *text = session->section.text;
	memcpy(text->bytes + text->used, bytes.data, bytes.length);
	text->used += (uint32_t)bytes.length;
}

static void put_line(struct http_h2_session *session, struct slice name, struct slice value)
{
	put(session, name);
	put(session, slice_of(": "));
	put(session, value);
	put(session, line_end);
}

/* ---- pseudo fields ---- */

static struct slice text_of(nghttp2_rcbuf *buffer)
{
	if (buffer == NULL)
		return (struct slice){0};
	const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
	return slice_make(bytes.base, bytes.len);
}

static nghttp2_rcbuf **place_of(struct http_h2_section *section, struct slice name)
{
	if (slice_equal(name, slice_of(":method")))
		return &section->method;
	if (slice_equal(name, slice_of(":scheme")))
		return &section->scheme;
	if (slice_equal(name, slice_of(":authority")))
		return &section->authority;
	if (slice_equal(name, slice_of(":path")))
		return &section->path;
	if (slice_equal(name, slice_of(":protocol")))
		return &section->protocol;
	return NULL;
}

static void release(nghttp2_rcbuf **buffer)
{
	if (*buffer != NULL)
		nghttp2_rcbuf_decref(*buffer);
	*buffer = NULL;
}

void http_h2_section_clear(struct http_h2_session *session)
{
	struct http_h2_section *section = &session->section;

	release(&section->method);
	release(&section->scheme);
	release(&section->authority);
	release(&section->path);
	release(&section->protocol);
	if (section->text != NULL)
		http_block_give(&http_h2_server_of(session)->blocks, section->text);
	*section = (struct http_h2_section){0};
	session->section_due_ns = 0;
}

/* Where a line's text would end, or a word of it, nothing may stand. */
static bool is_one_word(struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.data[i] <= ' ' || (unsigned char)text.data[i] >= 0x7f)
			return false;
	return text.length > 0;
}

/* What llhttp knows, which is asked when the head is read; and CONNECT, which is a tunnel to
 * anywhere unless it names a protocol (RFC 8441). */
static enum http_refused refuse_start(const struct http_h2_section *section)
{
	const struct slice method = text_of(section->method), path = text_of(section->path);
	const struct slice scheme = text_of(section->scheme);

	if (!http_is_token(method))
		return HTTP_REFUSED_START_LINE;
	if (slice_equal(method, slice_of("CONNECT")) != (section->protocol != NULL))
		return HTTP_REFUSED_METHOD;
	if (section->protocol != NULL && !http_is_token(text_of(section->protocol)))
		return HTTP_REFUSED_FIELD;
	if (!slice_equal(scheme, slice_of("http")) && !slice_equal(scheme, slice_of("https")))
		return HTTP_REFUSED_TARGET;
	if (!is_one_word(path) || (path.data[0] != '/' && !slice_equal(path, slice_of("*"))))
		return HTTP_REFUSED_TARGET;
	if (section->authority != NULL && !http_is_authority(text_of(section->authority)))
		return HTTP_REFUSED_HOST;
	return HTTP_REFUSED_NOT;
}

/* A key is what an upgrade of HTTP/1.1 begins with, and its answer shows that the server knows
 * WebSocket; HTTP/2 has `:protocol` for that, so any key will do. */
static void put_upgrade(struct http_h2_session *session)
{
	struct http_h2_section *section = &session->section;
	const struct slice protocol = text_of(section->protocol);

	section->websocket = slice_equal_ignore_case(protocol, slice_of("websocket"));
	put_line(session, slice_of("connection"), slice_of("upgrade"));
	put_line(session, slice_of("upgrade"), protocol);
	if (section->websocket)
		put_line(session, slice_of("sec-websocket-key"),
			 slice_of("dGhlIHNhbXBsZSBub25jZQ=="));
}

/* When the pseudo fields are over. */
static void put_start(struct http_h2_session *session)
{
	struct http_h2_section *section = &session->section;

	section->started = true;
	if (section->refused == HTTP_REFUSED_NOT)
		section->refused = refuse_start(section);
	if (section->refused != HTTP_REFUSED_NOT)
		return;
	put(session, section->protocol != NULL ? slice_of("GET") : text_of(section->method));
	put(session, slice_of(" "));
	put(session, text_of(section->path));
	put(session, slice_of(" HTTP/1.1\r\n"));
	if (section->authority != NULL)
		put_line(session, slice_of("host"), text_of(section->authority));
	if (section->protocol != NULL)
		put_upgrade(session);
}

/* ---- regular fields ---- */

/* RFC 9113 8.2.3: cookies may come in crumbs, and are one field where they go on. */
static void put_cookie(struct http_h2_session *session, struct slice value)
{
	struct http_h2_section *section = &session->section;
	const struct slice between = slice_of("; ");

	if (section->cookie_end == 0) {
		put_line(session, slice_of("cookie"), value);
		if (section->refused == HTTP_REFUSED_NOT)
			section->cookie_end = section->text->used - line_end.length;
		return;
	}
	if (!has_room(session, between.length + value.length))
		return;
	struct http_block *text = section->text;
	char *at = text->bytes + section->cookie_end;
	memmove(at + between.length + value.length, at, text->used - section->cookie_end);
	memcpy(at, between.data, between.length);
	if (value.length > 0)
		memcpy(at + between.length, value.data, value.length);
	text->used += (uint32_t)(between.length + value.length);
	section->cookie_end += between.length + value.length;
}

/* True where the field is not one of the request's own: it was said by the pseudo fields. */
static bool is_said_already(struct http_h2_section *section, enum http_name known,
			    struct slice value)
{
	if (known == HTTP_HOST && section->authority != NULL) {
		if (!slice_equal_ignore_case(value, text_of(section->authority)))
			section->refused = HTTP_REFUSED_HOST;
		return true;
	}
	return section->websocket && known == HTTP_WEBSOCKET_KEY;
}

static void put_field(struct http_h2_session *session, struct slice name, struct slice value)
{
	struct http_h2_section *section = &session->section;
	const enum http_name known = http_name_classify(name);

	if (!section->trailing && !section->started)
		put_start(session);
	if (section->refused != HTTP_REFUSED_NOT)
		return;
	if (!http_is_token(name) || !http_is_field_text(value) || known == HTTP_CONNECTION ||
	    known == HTTP_TRANSFER_ENCODING || known == HTTP_UPGRADE) {
		section->refused = HTTP_REFUSED_FIELD;
		return;
	}
	if (section->trailing) {
		put_line(session, name, value);
		return;
	}
	if (is_said_already(section, known, value))
		return;
	section->has_length |= known == HTTP_CONTENT_LENGTH;
	if (slice_equal(name, slice_of("cookie")))
		put_cookie(session, value);
	else
		put_line(session, name, value);
}

/* ---- a section comes ---- */

static int on_begin_section(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
	struct http_h2_session *session = context;

	(void)nghttp2;
	http_h2_section_clear(session);
	session->section.stream_id = frame->hd.stream_id;
	session->section.trailing = frame->headers.cat != NGHTTP2_HCAT_REQUEST;
	session->section.open = true;
	session->section_due_ns = loop_now_ns(session->connection->wire.loop) +
				  http_h2_limits(session)->head_timeout_ns;
	http_h2_due_at(session, session->section_due_ns);
	return 0;
}

static int reset(struct http_h2_session *session)
{
	http_h2_section_clear(session);
	http_h2_lose_patience(session, HTTP_H2_RESET_COST_NS);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_field(nghttp2_session *nghttp2, const nghttp2_frame *frame, nghttp2_rcbuf *name,
		    nghttp2_rcbuf *value, uint8_t flags, void *context)
{
	struct http_h2_session *session = context;
	struct http_h2_section *section = &session->section;
	const struct slice name_text = text_of(name);

	(void)nghttp2;
	(void)flags;
	if (!section->open || section->stream_id != frame->hd.stream_id)
		return 0;
	/* A name's table entry costs a client a byte and us a copy. */
	section->offered_bytes += name_text.length + text_of(value).length;
	if (section->offered_bytes > SECTION_EXCESS * http_h2_limits(session)->head_bytes_max)
		return reset(session);
	nghttp2_rcbuf **place =
		section->trailing || section->started ? NULL : place_of(section, name_text);
	if (place != NULL) {
		release(place);
		nghttp2_rcbuf_incref(value);
		*place = value;
		return 0;
	}
	put_field(session, name_text, text_of(value));
	return 0;
}

/* A field that nghttp2 finds malformed makes the message so. */
static int on_bad_field(nghttp2_session *nghttp2, const nghttp2_frame *frame, nghttp2_rcbuf *name,
			nghttp2_rcbuf *value, uint8_t flags, void *context)
{
	(void)nghttp2;
	(void)frame;
	(void)name;
	(void)value;
	(void)flags;
	return reset(context);
}
/* ---- it is whole ---- */

enum http_refused http_h2_section_read(struct http_h2_session *session, bool ends)
{
	struct http_h2_section *section = &session->section;
	struct http_server *server = http_h2_server_of(session);
	const struct http_limits *limits = &server->options.limits;
	size_t position = 0;
	uint32_t blank_lines = 0;
	struct slice head;
	enum http_refused refused = HTTP_REFUSED_FIELD;

	if (!section->started)
		put_start(session);
	if (!ends && !section->has_length && section->protocol == NULL)
		put_line(session, slice_of("transfer-encoding"), slice_of("chunked"));
	put(session, line_end);
	if (section->refused != HTTP_REFUSED_NOT)
		return section->refused;
	struct slice text = slice_make(section->text->bytes, section->text->used);
	switch (http_head_find(&text, &position, &blank_lines, limits, &head, &refused)) {
	case HTTP_HEAD_REFUSED:
		return refused;
	case HTTP_HEAD_MORE:
		return HTTP_REFUSED_HEAD_LENGTH;
	case HTTP_HEAD_WHOLE:
		break;
	}
	if (text.length > 0)
		return HTTP_REFUSED_FIELD;
	refused = http_request_read(head, limits, &server->head, &server->read);
	if (refused == HTTP_REFUSED_NOT && section->protocol != NULL &&
	    (!server->read.request.upgrade || server->read.request.body_bytes != 0))
		return HTTP_REFUSED_FIELD;
	server->read.request.http_2 = true;
	return refused;
}

bool http_h2_section_is_head(const struct http_h2_session *session)
{
	return slice_equal(text_of(session->section.method), slice_of("HEAD"));
}

struct http_block *http_h2_section_trailers(struct http_h2_session *session)
{
	struct http_h2_section *section = &session->section;

	put(session, line_end);
	if (section->refused != HTTP_REFUSED_NOT)
		return NULL;
	struct http_block *text = section->text;
	section->text = NULL;
	return text;
}

void http_h2_section_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_section);
	nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_field);
	nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_bad_field);
}

#include "base/check.h"
#include "http/message_internal.h"
#include "http/syntax_internal.h"

void http_body_begin(struct http_body *body, enum http_body_kind kind, int64_t length,
		     const struct http_limits *limits)
{
	check(length >= 0);
	*body = (struct http_body){
		.kind = kind,
		.left_bytes = (uint64_t)length,
		.bytes_max = limits->body_bytes_max,
		.trailer_bytes_max = limits->head_bytes_max,
	};
	switch (kind) {
	case HTTP_BODY_NONE:
		body->part = HTTP_BODY_OVER;
		break;
	case HTTP_BODY_CHUNKED:
		body->part = HTTP_BODY_CHUNK_LINE;
		break;
	case HTTP_BODY_LENGTH:
		check(length > 0);
		body->part = HTTP_BODY_DATA;
		break;
	case HTTP_BODY_UNTIL_CLOSE:
		body->left_bytes = INT64_MAX;
		body->part = HTTP_BODY_DATA;
		break;
	}
}

/* Digits, then the end or an extension, which is dropped. */
static bool read_chunk_size(struct slice line, uint64_t *ret_size)
{
	uint64_t size = 0;
	size_t digits = 0;

	for (; digits < line.length; digits++) {
		const char byte = line.data[digits];
		const char lower = (char)(byte | 0x20);
		unsigned value;
		if (byte >= '0' && byte <= '9')
			value = (unsigned)(byte - '0');
		else if (lower >= 'a' && lower <= 'f')
			value = (unsigned)(lower - 'a' + 10);
		else
			break;
		if (digits == HTTP_CHUNK_DIGITS_MAX)
			return false;
		size = size * 16 + value;
	}
	*ret_size = size;
	return digits > 0 && (digits == line.length || line.data[digits] == ';');
}

/* Framing that outweighs its content (tiny chunks, long extensions) is work without payload:
 * each chunk may have 16 bytes of it and twice its size, and all together a bit beyond that. */
static bool is_excessive(struct http_body *body, size_t line_bytes, uint64_t size)
{
	const int64_t fair_bytes = size < 4096 ? 16 + 2 * (int64_t)size : 16 + 2 * 4096;

	body->excess += (int64_t)line_bytes + 2 - fair_bytes;
	if (body->excess < 0)
		body->excess = 0;
	return body->excess > HTTP_CHUNK_EXCESS_MAX;
}

static enum http_body_event refuse(enum http_refused refused, enum http_refused *ret_refused)
{
	*ret_refused = refused;
	return HTTP_BODY_REFUSED;
}

/* NOT: *ret_taken bytes are a chunk's line, 0 where it is not whole yet. */
static enum http_refused take_chunk_line(struct http_body *body, struct slice bytes,
					 size_t *ret_taken)
{
	uint64_t size;

	*ret_taken = 0;
	switch (http_line_scan(slice_part(bytes, 0, HTTP_CHUNK_LINE_MAX), ret_taken)) {
	case HTTP_SCAN_MORE:
		return bytes.length < HTTP_CHUNK_LINE_MAX ? HTTP_REFUSED_NOT : HTTP_REFUSED_BODY;
	case HTTP_SCAN_INVALID:
		return HTTP_REFUSED_BODY;
	case HTTP_SCAN_WHOLE:
		break;
	}
	if (!read_chunk_size(slice_part(bytes, 0, *ret_taken - 2), &size))
		return HTTP_REFUSED_BODY;
	if (is_excessive(body, *ret_taken, size))
		return HTTP_REFUSED_BODY;
	if (size > body->bytes_max - body->seen_bytes)
		return HTTP_REFUSED_BODY_LENGTH;
	body->left_bytes = size;
	body->part = size > 0 ? HTTP_BODY_DATA : HTTP_BODY_TRAILERS;
	return HTTP_REFUSED_NOT;
}

static enum http_refused take_chunk_end(struct http_body *body, struct slice bytes,
					size_t *ret_taken)
{
	*ret_taken = 0;
	if (bytes.data[0] != '\r' || (bytes.length > 1 && bytes.data[1] != '\n'))
		return HTTP_REFUSED_BODY;
	if (bytes.length > 1) {
		*ret_taken = 2;
		body->part = HTTP_BODY_CHUNK_LINE;
	}
	return HTTP_REFUSED_NOT;
}

/* NOT: *ret_taken bytes are the whole trailer section, 0 where it is not whole yet. */
static enum http_refused take_trailers(struct http_body *body, struct slice bytes,
				       struct http_trailers *trailers, size_t *ret_taken)
{
	*ret_taken = 0;
	switch (http_lines_scan(slice_part(bytes, 0, body->trailer_bytes_max), &body->scanned)) {
	case HTTP_SCAN_MORE:
		return bytes.length < body->trailer_bytes_max ? HTTP_REFUSED_NOT
							      : HTTP_REFUSED_HEAD_LENGTH;
	case HTTP_SCAN_INVALID:
		return HTTP_REFUSED_BODY;
	case HTTP_SCAN_WHOLE:
		break;
	}
	*ret_taken = body->scanned;
	body->part = HTTP_BODY_OVER;
	return http_trailers_read(trailers, slice_part(bytes, 0, body->scanned));
}

static struct slice take_data(struct http_body *body, struct slice *bytes)
{
	const size_t length =
		bytes->length < body->left_bytes ? bytes->length : (size_t)body->left_bytes;
	const struct slice piece = slice_part(*bytes, 0, length);

	*bytes = http_rest(*bytes, length);
	body->left_bytes -= length;
	body->seen_bytes += length;
	if (body->left_bytes == 0)
		body->part = body->kind == HTTP_BODY_CHUNKED ? HTTP_BODY_CHUNK_END : HTTP_BODY_OVER;
	return piece;
}

enum http_body_event http_body_next(struct http_body *body, struct slice *bytes,
				    struct slice *ret_piece, struct http_trailers *trailers,
				    enum http_refused *ret_refused)
{
	enum http_refused refused = HTTP_REFUSED_NOT;
	size_t taken;

	trailers->count = 0;
	for (;;) {
		if (body->part == HTTP_BODY_OVER)
			return HTTP_BODY_ENDED;
		if (bytes->length == 0)
			return HTTP_BODY_STARVED;
		switch (body->part) {
		case HTTP_BODY_OVER:
			check(false);
		case HTTP_BODY_DATA:
			*ret_piece = take_data(body, bytes);
			return HTTP_BODY_PIECE;
		case HTTP_BODY_CHUNK_LINE:
			refused = take_chunk_line(body, *bytes, &taken);
			break;
		case HTTP_BODY_CHUNK_END:
			refused = take_chunk_end(body, *bytes, &taken);
			break;
		case HTTP_BODY_TRAILERS:
			refused = take_trailers(body, *bytes, trailers, &taken);
			break;
		}
		if (refused != HTTP_REFUSED_NOT)
			return refuse(refused, ret_refused);
		if (taken == 0)
			return HTTP_BODY_STARVED;
		*bytes = http_rest(*bytes, taken);
	}
}

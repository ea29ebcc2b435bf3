#include "http/h2_frames_internal.h"

#include "base/testing.h"

/* ---- put together ---- */

void h2_put_number(struct text *text, uint64_t number, int bytes)
{
	while (bytes-- > 0) {
		const char byte = (char)(number >> (8 * bytes));
		text_append(text, slice_make(&byte, 1));
	}
}

void h2_put_frame(struct text *text, uint8_t type, uint8_t flags, uint32_t id, struct slice payload)
{
	h2_put_number(text, payload.length, 3);
	h2_put_number(text, type, 1);
	h2_put_number(text, flags, 1);
	h2_put_number(text, id, 4);
	text_append(text, payload);
}

void h2_put_number_frame(struct text *text, uint8_t type, uint32_t id, uint32_t number)
{
	const uint8_t bytes[] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
				 (uint8_t)(number >> 8), (uint8_t)number};

	h2_put_frame(text, type, 0, id, slice_make(bytes, sizeof(bytes)));
}

void h2_put_setting(struct text *text, uint16_t name, uint32_t value)
{
	const uint8_t bytes[] = {(uint8_t)(name >> 8),   (uint8_t)name,
				 (uint8_t)(value >> 24), (uint8_t)(value >> 16),
				 (uint8_t)(value >> 8),  (uint8_t)value};

	h2_put_frame(text, NGHTTP2_SETTINGS, 0, 0, slice_make(bytes, sizeof(bytes)));
}

static struct slice next_line(struct slice *rest)
{
	const size_t end = slice_find_byte(*rest, '\n', 0);
	const struct slice line = slice_part(*rest, 0, end);

	*rest = slice_part(*rest, end < rest->length ? end + 1 : end, rest->length);
	return line;
}

/* RFC 7541 5.2, without Huffman. */
static void put_literal(struct text *block, struct slice literal)
{
	size_t rest = literal.length;

	h2_put_number(block, rest < 127 ? rest : 127, 1);
	if (rest >= 127) {
		for (rest -= 127; rest >= 128; rest /= 128)
			h2_put_number(block, rest % 128 + 128, 1);
		h2_put_number(block, rest, 1);
	}
	text_append(block, literal);
}

void h2_put_fields(struct text *block, const char *fields)
{
	struct slice rest = slice_of(fields);

	while (rest.length > 0) {
		const struct slice line = next_line(&rest);
		const size_t colon = slice_find_byte(line, ':', 1);
		h2_put_number(block, 0, 1); /* a literal that no table keeps */
		put_literal(block, slice_part(line, 0, colon));
		put_literal(block, slice_part(line, colon + 2, line.length));
	}
}

/* ---- taken apart ---- */

uint32_t h2_number_at(struct slice bytes, size_t at, size_t length)
{
	uint32_t number = 0;

	assert_true(at + length <= bytes.length);
	for (size_t i = 0; i < length; i++)
		number = number << 8 | (uint8_t)bytes.data[at + i];
	return number;
}

void h2_log_fields(struct text *log, nghttp2_hd_inflater *inflater, struct slice block,
		   const char *but)
{
	const char *space = "";
	int flags = 0;

	while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
		nghttp2_nv pair;
		const ssize_t used = nghttp2_hd_inflate_hd2(
			inflater, &pair, &flags, (const uint8_t *)block.data, block.length, 1);
		assert_true(used >= 0);
		block = slice_part(block, (size_t)used, block.length);
		if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 ||
		    (but != NULL &&
		     slice_equal(slice_make(pair.name, pair.namelen), slice_of(but))))
			continue;
		text_printf(log, "%s%.*s=%.*s", space, (int)pair.namelen, pair.name,
			    (int)pair.valuelen, pair.value);
		space = " ";
	}
	nghttp2_hd_inflate_end_headers(inflater);
}

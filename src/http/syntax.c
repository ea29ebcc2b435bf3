#include "http/syntax_internal.h"

#include <arpa/inet.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "http/http.h"

#define ONES  0x0101010101010101ull
#define HIGHS 0x8080808080808080ull

/* RFC 9110 5.6.2. */
static const bool token_bytes[256] = {
	['!'] = true,         ['#'] = true,         ['$'] = true, ['%'] = true,
	['&'] = true,         ['\''] = true,        ['*'] = true, ['+'] = true,
	['-'] = true,         ['.'] = true,         ['^'] = true, ['_'] = true,
	['`'] = true,         ['|'] = true,         ['~'] = true, ['0' ... '9'] = true,
	['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

static bool is_control(unsigned char byte)
{
	return byte < 0x20 || byte == 0x7f;
}

/* The index of the first control character at or after `at`, or the length. Eight bytes at a
 * time: a byte below 0x20 borrows from its high bit, 0x7f becomes 0 and does likewise. The
 * lowest mark is exact, those above it may not be. */
static size_t find_control_by_words(struct slice bytes, size_t at)
{
	for (; at + 8 <= bytes.length; at += 8) {
		uint64_t word;
		memcpy(&word, bytes.data + at, sizeof(word));
		word = le64toh(word);
		const uint64_t low = (word - ONES * 0x20) & ~word;
		const uint64_t flipped = word ^ (ONES * 0x7f);
		const uint64_t marks = (low | ((flipped - ONES) & ~flipped)) & HIGHS;
		if (marks != 0)
			return at + (size_t)__builtin_ctzll(marks) / 8;
	}
	for (; at < bytes.length; at++)
		if (is_control((unsigned char)bytes.data[at]))
			return at;
	return bytes.length;
}

#ifdef __SSE2__
/* One bit for each of sixteen bytes that is a control character. */
static unsigned control_mask(const char *bytes)
{
	const __m128i last = _mm_set1_epi8(0x1f), delete = _mm_set1_epi8(0x7f);
	const __m128i piece = _mm_loadu_si128((const void *)bytes);
	const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(piece, last), piece);

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(piece, delete)));
}

/* The same sixteen bytes at a time; what is left at the end, with some of those before it. */
static size_t find_control(struct slice bytes, size_t at)
{
	if (bytes.length < 16)
		return find_control_by_words(bytes, at);
	for (; at + 16 <= bytes.length; at += 16) {
		const unsigned mask = control_mask(bytes.data + at);
		if (mask != 0)
			return at + (size_t)__builtin_ctz(mask);
	}
	if (at == bytes.length)
		return at;
	const size_t last = bytes.length - 16;
	const unsigned mask = control_mask(bytes.data + last) >> (at - last);
	return mask != 0 ? at + (size_t)__builtin_ctz(mask) : bytes.length;
}
#else
static size_t find_control(struct slice bytes, size_t at)
{
	return find_control_by_words(bytes, at);
}
#endif

/* Where the line that *position is in ends; *position moves behind its CR LF. */
static enum http_scan scan_line_end(struct slice bytes, size_t *position)
{
	size_t at = *position;

	for (;;) {
		at = find_control(bytes, at);
		*position = at;
		if (at == bytes.length)
			return HTTP_SCAN_MORE;
		if (bytes.data[at] == '\t') {
			at++;
			continue;
		}
		if (bytes.data[at] != '\r')
			return HTTP_SCAN_INVALID;
		if (at + 1 == bytes.length)
			return HTTP_SCAN_MORE;
		if (bytes.data[at + 1] != '\n')
			return HTTP_SCAN_INVALID;
		*position = at + 2;
		return HTTP_SCAN_WHOLE;
	}
}

enum http_scan http_line_scan(struct slice bytes, size_t *ret_length)
{
	size_t position = 0;
	const enum http_scan scan = scan_line_end(bytes, &position);

	if (scan == HTTP_SCAN_WHOLE)
		*ret_length = position;
	return scan;
}

/* A position left by an earlier call stands inside a line or at the begin of one. Only at the
 * begin, which the LF before it tells, can the next bytes be the empty line or a fold. */
enum http_scan http_lines_scan(struct slice bytes, size_t *position)
{
	for (;;) {
		const size_t at = *position;
		const bool first = at == 0;
		const bool begins = first || bytes.data[at - 1] == '\n';

		if (at == bytes.length)
			return HTTP_SCAN_MORE;
		if (begins && !first && (bytes.data[at] == ' ' || bytes.data[at] == '\t'))
			return HTTP_SCAN_INVALID;
		const enum http_scan scan = scan_line_end(bytes, position);
		if (scan != HTTP_SCAN_WHOLE)
			return scan;
		if (begins && *position == at + 2)
			return HTTP_SCAN_WHOLE;
	}
}

bool http_is_field_text(struct slice text)
{
	for (size_t at = find_control(text, 0); at < text.length; at = find_control(text, at + 1))
		if (text.data[at] != '\t')
			return false;
	return true;
}

bool http_is_token(struct slice text)
{
	bool all = text.length > 0;

	for (size_t i = 0; i < text.length; i++)
		all &= token_bytes[(unsigned char)text.data[i]];
	return all;
}

static bool is_port(struct slice text)
{
	uint64_t port;

	return text.length <= 5 && slice_to_u64(text, UINT16_MAX, &port) && port > 0;
}

static bool is_host_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_';
}

/* *ret_length: of the bracketed address at the begin of `text`. */
static bool is_bracketed_ip6(struct slice text, size_t *ret_length)
{
	const size_t end = slice_find_byte(text, ']', 0);
	char address[INET6_ADDRSTRLEN];
	struct in6_addr parsed;

	if (end == text.length ||
	    !slice_to_text(slice_part(text, 1, end), address, sizeof(address)))
		return false;
	*ret_length = end + 1;
	return inet_pton(AF_INET6, address, &parsed) == 1;
}

bool http_is_authority(struct slice text)
{
	size_t length = 0;

	if (text.length > 0 && text.data[0] == '[') {
		if (!is_bracketed_ip6(text, &length))
			return false;
	} else {
		while (length < text.length && is_host_byte(text.data[length]))
			length++;
	}
	if (length == 0)
		return false;
	if (length == text.length)
		return true;
	return text.data[length] == ':' && is_port(slice_part(text, length + 1, text.length));
}

bool http_list_next(struct slice *list, struct slice *ret_element)
{
	struct slice element;

	while (slice_cut(list, ',', &element)) {
		element = slice_trim(element);
		if (element.length == 0)
			continue;
		*ret_element = element;
		return true;
	}
	return false;
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool http_percent_decode(struct slice text, char *decoded, size_t decoded_bytes_max,
			 size_t *ret_length)
{
	size_t length = 0;

	for (size_t at = 0; at < text.length; at++, length++) {
		char byte = text.data[at];
		if (byte == '%') {
			if (at + 2 >= text.length)
				return false;
			const int high = hex_value(text.data[at + 1]);
			const int low = hex_value(text.data[at + 2]);
			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return false;
			byte = (char)(high * 16 + low);
			at += 2;
		}
		if (length == decoded_bytes_max)
			return false;
		decoded[length] = byte;
	}
	*ret_length = length;
	return true;
}

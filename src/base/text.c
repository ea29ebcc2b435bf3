#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define TEXT_CAPACITY_LEAST 64u

void text_init(struct text *text, size_t bytes_max)
{
	*text = (struct text){.bytes_max = bytes_max};
}

static void give_back(const struct text *text)
{
	if (text->is_secret && text->data != NULL)
		explicit_bzero(text->data, text->capacity);
	free(text->data);
}

/* The same bytes in larger memory, or NULL with nothing changed. */
static char *moved(const struct text *text, size_t capacity)
{
	if (!text->is_secret)
		return realloc(text->data, capacity);
	/* realloc may leave a copy behind. */
	char *data = malloc(capacity);
	if (data == NULL)
		return NULL;
	if (text->data != NULL)
		memcpy(data, text->data, text->length + 1);
	give_back(text);
	return data;
}

void text_fini(struct text *text)
{
	give_back(text);
	*text = (struct text){.bytes_max = text->bytes_max, .is_secret = text->is_secret};
}

void text_clear(struct text *text)
{
	text->length = 0;
	text->failed = false;
	if (text->data)
		text->data[0] = '\0';
}

/* Room for `more` bytes and the NUL. */
static bool text_grow(struct text *text, size_t more)
{
	if (text->failed || more > text->bytes_max - text->length) {
		text->failed = true;
		return false;
	}
	const size_t needed = text->length + more + 1;
	if (needed <= text->capacity)
		return true;
	size_t capacity = text->capacity > 0 ? 2 * text->capacity : TEXT_CAPACITY_LEAST;
	if (capacity < needed)
		capacity = needed;
	char *data = moved(text, capacity);
	if (data == NULL) {
		text->failed = true;
		return false;
	}
	text->data = data;
	text->capacity = capacity;
	return true;
}

void text_append(struct text *text, struct slice bytes)
{
	if (!text_grow(text, bytes.length))
		return;
	if (bytes.length > 0)
		memcpy(text->data + text->length, bytes.data, bytes.length);
	text->length += bytes.length;
	text->data[text->length] = '\0';
}

void text_append_text(struct text *text, const char *bytes)
{
	text_append(text, slice_of(bytes));
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	const int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0) {
		text->failed = true;
		return;
	}
	if (!text_grow(text, (size_t)length))
		return;
	va_start(arguments, format);
	vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t)length;
}

#define HEX_ROW(high)                                                                         \
	high "0" high "1" high "2" high "3" high "4" high "5" high "6" high "7" high "8" high \
	     "9" high "a" high "b" high "c" high "d" high "e" high "f"

/* Two digits a byte from one table: call ids are written on every call. */
void text_hex(const void *bytes, size_t length, char *text)
{
	static const char pairs[] = HEX_ROW("0") HEX_ROW("1") HEX_ROW("2") HEX_ROW("3") HEX_ROW("4")
		HEX_ROW("5") HEX_ROW("6") HEX_ROW("7") HEX_ROW("8") HEX_ROW("9") HEX_ROW("a")
			HEX_ROW("b") HEX_ROW("c") HEX_ROW("d") HEX_ROW("e") HEX_ROW("f");
	const uint8_t *from = bytes;

	for (size_t i = 0; i < length; i++)
		memcpy(text + 2 * i, pairs + (size_t)2 * from[i], 2);
	text[2 * length] = '\0';
}

#define DECIMAL_ROW(high) \
	high "0" high "1" high "2" high "3" high "4" high "5" high "6" high "7" high "8" high "9"

/* Two digits a division: several numbers are written on every call. */
char *text_decimal(uint64_t value, char *text)
{
	static const char pairs[] = DECIMAL_ROW("0") DECIMAL_ROW("1") DECIMAL_ROW("2")
		DECIMAL_ROW("3") DECIMAL_ROW("4") DECIMAL_ROW("5") DECIMAL_ROW("6") DECIMAL_ROW("7")
			DECIMAL_ROW("8") DECIMAL_ROW("9");
	char digits[20], *at = digits + sizeof(digits);

	for (; value >= 100; value /= 100)
		memcpy(at -= 2, pairs + 2 * (value % 100), 2);
	if (value >= 10)
		memcpy(at -= 2, pairs + 2 * value, 2);
	else
		*--at = (char)('0' + value);
	const size_t count = (size_t)(digits + sizeof(digits) - at);
	memcpy(text, at, count);
	return text + count;
}

/* One more than the digit's value; 0: no digit. */
static const uint8_t hex_digits[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static int hex_digit(char byte)
{
	return hex_digits[(uint8_t)byte] - 1;
}

bool text_from_hex(struct slice hex, void *bytes, size_t length)
{
	uint8_t *to = bytes;

	if (hex.length % 2 != 0 || hex.length / 2 != length)
		return false;
	for (size_t i = 0; i < hex.length; i++) {
		if (hex_digit(hex.data[i]) < 0)
			return false;
	}
	for (size_t i = 0; i < length; i++)
		to[i] = (uint8_t)(hex_digit(hex.data[2 * i]) << 4 | hex_digit(hex.data[2 * i + 1]));
	return true;
}

size_t text_utf8_length(struct slice text, size_t at)
{
	const uint8_t *bytes = (const uint8_t *)text.data + at;
	const size_t left = text.length - at;
	const uint8_t first = bytes[0];
	const size_t length = first < 0x80   ? 1
			      : first < 0xc2 ? 0
			      : first < 0xe0 ? 2
			      : first < 0xf0 ? 3
			      : first < 0xf5 ? 4
					     : 0;

	if (length < 2)
		return length;
	if (left < length)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
	}
	const uint8_t second = bytes[1];
	if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
	    (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
		return 0;
	return length;
}

#define NEAREST_BYTES_MAX 64u

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t edit_distance(struct slice a, struct slice b)
{
	/* Three rows of the table: a transposition looks two rows back. */
	size_t rows[3][NEAREST_BYTES_MAX + 1];

	for (size_t j = 0; j <= b.length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.length; i++) {
		size_t *row = rows[i % 3];
		const size_t *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b.length; j++) {
			const bool same = a.data[i - 1] == b.data[j - 1];
			row[j] = least(before[j - 1] + !same, least(before[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
			    a.data[i - 2] == b.data[j - 1])
				row[j] = least(row[j], two_before[j - 2] + 1);
		}
	}
	return rows[a.length % 3][b.length];
}

const char *text_nearest(const char *word, const char *const *known, size_t known_count)
{
	return text_nearest_within(word, strlen(word) / 3, known, known_count);
}

const char *text_nearest_within(const char *word, size_t edits_max, const char *const *known,
				size_t known_count)
{
	const struct slice wanted = slice_of(word);
	const char *nearest = NULL;
	size_t nearest_distance = edits_max + 1;

	if (wanted.length > NEAREST_BYTES_MAX)
		return NULL;
	for (size_t i = 0; i < known_count; i++) {
		const struct slice candidate = slice_of(known[i]);
		if (candidate.length > NEAREST_BYTES_MAX)
			continue;
		const size_t distance = edit_distance(wanted, candidate);
		if (distance < nearest_distance) {
			nearest = known[i];
			nearest_distance = distance;
		}
	}
	return nearest;
}

#define SHOWN_BYTES 64u

static_assert(TEXT_SHOWN_MAX == SHOWN_BYTES + sizeof("..."), "room for what is shown");

/* C0, DEL, and C1 (which UTF-8 writes as 0xc2 0x80 .. 0x9f). */
static bool is_control(struct slice bytes, size_t at, size_t length)
{
	const uint8_t byte = (uint8_t)bytes.data[at];

	if (length == 1)
		return byte < 0x20 || byte == 0x7f;
	return byte == 0xc2 && (uint8_t)bytes.data[at + 1] < 0xa0;
}

const char *text_show(struct slice bytes, char text[TEXT_SHOWN_MAX])
{
	size_t used = 0;

	for (size_t at = 0; at < bytes.length;) {
		const size_t length = text_utf8_length(bytes, at);
		const bool shown = length > 0 && !is_control(bytes, at, length);
		const size_t taken = shown ? length : 1;
		if (used + taken > SHOWN_BYTES) {
			memcpy(text + used, "...", sizeof("..."));
			return text;
		}
		memcpy(text + used, shown ? bytes.data + at : "?", taken);
		used += taken;
		at += length > 0 ? length : 1;
	}
	text[used] = '\0';
	return text;
}

void text_tame(char *text)
{
	const struct slice bytes = slice_of(text);

	for (size_t at = 0; at < bytes.length;) {
		const size_t length = text_utf8_length(bytes, at);
		const size_t taken = length > 0 ? length : 1;
		if (length == 0 || is_control(bytes, at, length))
			memset(text + at, '?', taken);
		at += taken;
	}
}

bool text_is_tame(const char *text)
{
	const struct slice bytes = slice_of(text);

	for (size_t at = 0; at < bytes.length;) {
		const size_t length = text_utf8_length(bytes, at);
		if (length == 0 || is_control(bytes, at, length))
			return false;
		at += length;
	}
	return true;
}

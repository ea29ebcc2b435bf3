#include "base/slice.h"

#include "base/check.h"

static char lower(char byte)
{
	return (char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
}

bool slice_equal_ignore_case(struct slice a, struct slice b)
{
	if (a.length != b.length)
		return false;
	for (size_t i = 0; i < a.length; i++) {
		if (lower(a.data[i]) != lower(b.data[i]))
			return false;
	}
	return true;
}

bool slice_cut(struct slice *text, char separator, struct slice *ret_head)
{
	if (text->length == 0) {
		*ret_head = *text;
		return false;
	}
	const size_t at = slice_find_byte(*text, separator, 0);

	*ret_head = slice_part(*text, 0, at);
	*text = at == text->length ? slice_part(*text, at, at)
				   : slice_part(*text, at + 1, text->length);
	return true;
}

bool slice_to_u64(struct slice text, uint64_t most, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (text.length == 0)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		const uint64_t digit = (uint64_t)(text.data[i] - '0');
		if (digit > most || value > (most - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return true;
}

bool slice_to_text(struct slice slice, char *text, size_t text_bytes_max)
{
	if (slice.length >= text_bytes_max)
		return false;
	if (slice.length > 0)
		memcpy(text, slice.data, slice.length);
	text[slice.length] = '\0';
	return true;
}

#include "base/ids.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"

void id_format(const char *prefix, uint64_t value, char text[ID_TEXT_MAX])
{
	const int length = snprintf(text, ID_TEXT_MAX, "%s_%" PRIu64, prefix, value);
	check(length > 0 && length < ID_TEXT_MAX);
}

bool id_parse(const char *prefix, struct slice text, uint64_t *ret_value)
{
	const struct slice before = slice_of(prefix);

	if (!slice_starts_with(text, before) || text.length <= before.length + 1 ||
	    text.data[before.length] != '_')
		return false;
	/* One text an id: no leading zero, which also keeps out 0 itself. */
	const struct slice number = slice_part(text, before.length + 1, text.length);
	return number.data[0] != '0' && slice_to_u64(number, INT64_MAX, ret_value);
}

struct call_id call_id_make(uint64_t unix_ms, const uint8_t entropy[10])
{
	struct call_id id;

	for (size_t i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(unix_ms >> (8 * (5 - i)));
	memcpy(id.bytes + 6, entropy, 10);
	id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x70); /* version 7 */
	id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80); /* variant of RFC 9562 */
	return id;
}

/* Lengths in bytes of the five groups of a UUID's text. */
static const size_t groups[] = {4, 2, 2, 2, 6};
#define GROUP_COUNT (sizeof(groups) / sizeof(groups[0]))

void call_id_format(struct call_id id, char text[CALL_ID_TEXT_MAX])
{
	char digits[2 * sizeof(id.bytes) + 1];
	const char *from = digits;

	text_hex(id.bytes, sizeof(id.bytes), digits);
	for (size_t i = 0; i < GROUP_COUNT; i++) {
		if (i > 0)
			*text++ = '-';
		memcpy(text, from, 2 * groups[i]);
		from += 2 * groups[i];
		text += 2 * groups[i];
	}
	*text = '\0';
}

bool call_id_parse(struct slice text, struct call_id *ret_id)
{
	struct call_id id;
	uint8_t *to = id.bytes;
	size_t at = 0;

	if (text.length != CALL_ID_TEXT_MAX - 1)
		return false;
	for (size_t i = 0; i < GROUP_COUNT; i++) {
		if (i > 0 && text.data[at++] != '-')
			return false;
		if (!text_from_hex(slice_part(text, at, at + 2 * groups[i]), to, groups[i]))
			return false;
		to += groups[i];
		at += 2 * groups[i];
	}
	if ((id.bytes[6] & 0xf0) != 0x70 || (id.bytes[8] & 0xc0) != 0x80)
		return false;
	*ret_id = id;
	return true;
}

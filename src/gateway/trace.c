#include "gateway/trace.h"

#include <string.h>

#include "base/text.h"

#define SPAN_ID_AT 36
#define FLAGS_AT   53

static bool is_hexadecimal(const char *text, size_t length)
{
	bool good = true;

	for (size_t i = 0; i < length; i++)
		good &= (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
	return good;
}

static bool is_zero(const char *text, size_t length)
{
	bool zero = true;

	for (size_t i = 0; i < length; i++)
		zero &= text[i] == '0';
	return zero;
}

/* Version 00 is exactly so long; a later one may go on behind another '-' (3.2.2.1). */
static bool is_valid(struct slice parent)
{
	if (parent.length < TRACE_BYTES)
		return false;
	const char *at = parent.data;
	if (at[2] != '-' || at[35] != '-' || at[52] != '-' || !is_hexadecimal(at, 2) ||
	    !is_hexadecimal(at + TRACE_ID_AT, 32) || !is_hexadecimal(at + SPAN_ID_AT, 16) ||
	    !is_hexadecimal(at + FLAGS_AT, 2))
		return false;
	if (memcmp(at, "ff", 2) == 0 || is_zero(at + TRACE_ID_AT, 32) ||
	    is_zero(at + SPAN_ID_AT, 16))
		return false;
	if (parent.length == TRACE_BYTES)
		return true;
	return memcmp(at, "00", 2) != 0 && at[TRACE_BYTES] == '-';
}

/* "sampled" and "random" go on; bits that have no meaning yet are sent as 0. */
static char known_flags(char digit)
{
	const int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;

	return (char)('0' + (value & 3));
}

bool trace_make(struct slice parent, struct call_id call, char text[TRACE_BYTES])
{
	char id[2 * sizeof(call.bytes) + 1];
	const bool goes_on = parent.data != NULL && is_valid(parent);

	text_hex(call.bytes, sizeof(call.bytes), id);
	memcpy(text, "00-", TRACE_ID_AT);
	memcpy(text + TRACE_ID_AT, goes_on ? parent.data + TRACE_ID_AT : id, TRACE_ID_TEXT_BYTES);
	text[35] = '-';
	/* The half of the call id that is random. */
	memcpy(text + SPAN_ID_AT, id + 16, 16);
	memcpy(text + 52, "-01", 3);
	if (goes_on)
		text[FLAGS_AT + 1] = known_flags(parent.data[FLAGS_AT + 1]);
	return goes_on;
}

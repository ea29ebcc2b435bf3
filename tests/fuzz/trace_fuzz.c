/* The field traceparent: whatever a caller sends, the service gets a well-formed one. */
#include "replay.h"

#include "base/check.h"
#include "gateway/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct call_id call = {.bytes = {1, 0x9b, 0x0c, 0x5e}};
	const struct slice parent = slice_make(data, size);
	char text[TRACE_BYTES];

	const bool goes_on = trace_make(parent, call, text);
	for (size_t i = 0; i < TRACE_BYTES; i++) {
		const bool dash = i == 2 || i == 35 || i == 52;
		const bool digit = (text[i] >= '0' && text[i] <= '9') ||
				   (text[i] >= 'a' && text[i] <= 'f');
		check(dash ? text[i] == '-' : digit);
	}
	check(text[0] == '0' && text[1] == '0');
	if (goes_on)
		check(memcmp(text + TRACE_ID_AT, data + TRACE_ID_AT, TRACE_ID_TEXT_BYTES) == 0);
	return 0;
}

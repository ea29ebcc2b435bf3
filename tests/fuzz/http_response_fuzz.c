#include "message_fuzz.h"
#include "replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	message_fuzz(HTTP_HEAD_RESPONSE, false, slice_make(data, size));
	message_fuzz(HTTP_HEAD_RESPONSE, true, slice_make(data, size));
	return 0;
}

/* The record of an instance's process that an earlier node left: its process is named, or there
 * is none; never the first one of the system, nor a group of ours. */
#include "replay.h"

#include "base/check.h"
#include "fleet/fleet_internal.h"

#define BOOT "a1b2c3d4-0000-4000-8000-000000000000"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = slice_make(data, size);
	struct leftover leftover = {0};

	if (!leftover_parse(text, slice_of(BOOT), &leftover))
		return 0;
	check(leftover.pid >= 2);
	check(slice_ends_with(text, slice_of(" " BOOT "\n")));
	return 0;
}

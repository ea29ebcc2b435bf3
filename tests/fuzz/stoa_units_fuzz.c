/* The field Stoa-Units: it never takes away, never exceeds what one call may report, and what is
 * declared in one field or in several is the same. */
#include "replay.h"

#include "base/check.h"
#include "gateway/limits.h"
#include "gateway/units.h"

static _Atomic(const char *) const names[RATING_UNITS_MAX] = {"pixels", "tokens", NULL, "a"};

static void expect_within(const struct rating_quantities *quantities)
{
	for (unsigned i = 0; i < RATING_METERS; i++)
		check(quantities->of[i] >= 0 && quantities->of[i] <= GATEWAY_CALL_UNITS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rating_quantities whole = {0}, pieces = {0};
	struct slice rest = slice_make(data, size), part;

	const enum units_outcome outcome = units_read(rest, names, &whole);
	expect_within(&whole);
	for (bool valid = true; valid && slice_cut(&rest, ',', &part);)
		valid = units_read(part, names, &pieces) != UNITS_INVALID;
	check(memcmp(&whole, &pieces, sizeof(whole)) == 0);
	if (outcome == UNITS_INVALID)
		check(size > 0);
	return 0;
}

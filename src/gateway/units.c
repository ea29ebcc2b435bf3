#include "gateway/units.h"

#include "gateway/limits.h"

enum units_outcome units_read(struct slice value,
			      _Atomic(const char *) const names[RATING_UNITS_MAX],
			      struct rating_quantities *quantities)
{
	enum units_outcome outcome = UNITS_READ;
	struct slice part;

	while (slice_cut(&value, ',', &part)) {
		struct slice number = slice_trim(part);
		struct slice name;
		uint64_t count;
		if (number.length == 0)
			continue;
		if (slice_find_byte(number, '=', 0) == number.length ||
		    !slice_cut(&number, '=', &name) || !slice_to_u64(number, INT64_MAX, &count))
			return UNITS_INVALID;
		unsigned slot = 0;
		for (; slot < RATING_UNITS_MAX; slot++) {
			const char *known =
				atomic_load_explicit(&names[slot], memory_order_acquire);
			if (known != NULL && slice_equal(name, slice_of(known)))
				break;
		}
		if (slot == RATING_UNITS_MAX) {
			outcome = UNITS_UNKNOWN;
			continue;
		}
		int64_t *quantity = &quantities->of[RATING_UNIT_0 + slot];
		const int64_t room = GATEWAY_CALL_UNITS_MAX - *quantity;
		*quantity += (int64_t)count < room ? (int64_t)count : room;
	}
	return outcome;
}

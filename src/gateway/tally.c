#include "gateway/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static const uint64_t bounds_us[] = {
#define X(us, seconds) us,
	GATEWAY_TOOK_BOUNDS(X)
#undef X
};

struct tally *tally_new(uint32_t workers)
{
	struct tally *tallies = aligned_alloc(_Alignof(struct tally), workers * sizeof(*tallies));

	if (tallies != NULL)
		memset((void *)tallies, 0, workers * sizeof(*tallies));
	return tallies;
}

static_assert(sizeof(bounds_us) / sizeof(bounds_us[0]) + 1 == GATEWAY_TOOK_BUCKETS,
	      "one for what is longer than all bounds");

/* Its owner alone writes it, so no locked instruction is needed. */
static void add(_Atomic uint64_t *count, uint64_t by)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + by,
			      memory_order_relaxed);
}

static enum gateway_call_class class_of(uint16_t status, enum journal_outcome outcome)
{
	switch (outcome) {
	case JOURNAL_ABORTED:
		return GATEWAY_CALL_ABORTED;
	case JOURNAL_CUT:
		return GATEWAY_CALL_CUT;
	case JOURNAL_FAILED:
		return GATEWAY_CALL_FAILED;
	default:
		return (enum gateway_call_class)(GATEWAY_CALL_1XX + status / 100 - 1);
	}
}

void tally_note(struct tally *own, uint16_t status, enum journal_outcome outcome, uint64_t took_us)
{
	uint32_t bucket = 0;

	while (bucket + 1 < GATEWAY_TOOK_BUCKETS && took_us > bounds_us[bucket])
		bucket++;
	add(&own->calls[class_of(status, outcome)], 1);
	add(&own->took[bucket], 1);
	add(&own->took_us, took_us);
}

void tally_read(const struct tally *tallies, uint32_t workers,
		struct gateway_service_counts *ret_counts)
{
	for (uint32_t worker = 0; worker < workers; worker++) {
		const struct tally *tally = &tallies[worker];
		for (unsigned i = 0; i < GATEWAY_CALL_CLASSES; i++)
			ret_counts->calls[i] +=
				atomic_load_explicit(&tally->calls[i], memory_order_relaxed);
		for (unsigned i = 0; i < GATEWAY_TOOK_BUCKETS; i++)
			ret_counts->took[i] +=
				atomic_load_explicit(&tally->took[i], memory_order_relaxed);
		ret_counts->took_us += atomic_load_explicit(&tally->took_us, memory_order_relaxed);
	}
}

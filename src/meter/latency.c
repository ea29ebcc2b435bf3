#include "meter/meter.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define LINEAR       16u /* microseconds that have a bucket each */
#define PER_OCTAVE   8u
#define FIRST_OCTAVE 4u /* 16 = 2^4 */

static_assert(METER_LATENCY_BUCKETS == LINEAR + (32 - FIRST_OCTAVE) * PER_OCTAVE,
	      "every uint32 has a bucket");
/* "239:18446744073709551615 " */
static_assert(METER_LATENCY_TEXT_MAX / 25 >= METER_LATENCY_BUCKETS, "the longest text fits");

static unsigned bucket_of(uint32_t duration_us)
{
	if (duration_us < LINEAR)
		return duration_us;
	const unsigned octave = 31u - (unsigned)__builtin_clz(duration_us);
	return LINEAR + (octave - FIRST_OCTAVE) * PER_OCTAVE +
	       (duration_us >> (octave - 3) & (PER_OCTAVE - 1));
}

/* The largest duration in the bucket. */
static uint32_t bucket_upper_us(unsigned bucket)
{
	if (bucket < LINEAR)
		return bucket;
	const unsigned octave = FIRST_OCTAVE + (bucket - LINEAR) / PER_OCTAVE;
	const uint64_t part = (bucket - LINEAR) % PER_OCTAVE;
	return (uint32_t)(((PER_OCTAVE + part + 1) << (octave - 3)) - 1);
}

void meter_latency_add(struct meter_latency *latency, uint32_t duration_us)
{
	latency->of[bucket_of(duration_us)]++;
}

void meter_latency_merge(struct meter_latency *sum, const struct meter_latency *part)
{
	for (unsigned i = 0; i < METER_LATENCY_BUCKETS; i++)
		sum->of[i] += part->of[i];
}

uint32_t meter_latency_quantile_us(const struct meter_latency *latency, uint32_t permille)
{
	check_at_most(permille, 1000);
	unsigned __int128 total = 0;
	unsigned __int128 below = 0;

	for (unsigned i = 0; i < METER_LATENCY_BUCKETS; i++)
		total += latency->of[i];
	for (unsigned i = 0; i < METER_LATENCY_BUCKETS; i++) {
		below += latency->of[i];
		if (below > 0 && below * 1000 >= total * permille)
			return bucket_upper_us(i);
	}
	return 0;
}

size_t meter_latency_format(const struct meter_latency *latency, char text[METER_LATENCY_TEXT_MAX])
{
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < METER_LATENCY_BUCKETS; i++) {
		if (latency->of[i] == 0)
			continue;
		const int wrote =
			snprintf(text + length, METER_LATENCY_TEXT_MAX - length, "%s%u:%llu",
				 length > 0 ? " " : "", i, (unsigned long long)latency->of[i]);
		check(wrote > 0 && (size_t)wrote < METER_LATENCY_TEXT_MAX - length);
		length += (size_t)wrote;
	}
	return length;
}

bool meter_latency_parse(struct slice text, struct meter_latency *ret_latency)
{
	struct meter_latency latency = {0};
	struct slice pair;

	while (slice_cut(&text, ' ', &pair)) {
		struct slice index;
		uint64_t bucket;
		uint64_t count;
		if (!slice_cut(&pair, ':', &index) ||
		    !slice_to_u64(index, METER_LATENCY_BUCKETS - 1, &bucket) ||
		    !slice_to_u64(pair, UINT64_MAX, &count) || count == 0 ||
		    latency.of[bucket] != 0)
			return false;
		latency.of[bucket] = count;
	}
	*ret_latency = latency;
	return true;
}

/* What one call costs to rate: the design's example plan and a rate card with every meter. */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/clock.h"
#include "rating/rating.h"

#define ROUNDS 2000000

int main(void)
{
	const struct rating_plan plan = {
		.price_count = 2,
		.max_charge_nano = 200000000,
		.max_units = {50000000, INT64_MAX, INT64_MAX, INT64_MAX},
		.prices =
			{
				{.meter = RATING_CALLS,
				 .model = RATING_UNIT,
				 .rate = {50000000, 1}},
				{.meter = RATING_UNIT_0,
				 .model = RATING_GRADUATED,
				 .free_units = 1000000,
				 .tier_count = 2,
				 .tiers = {{100000000, {100000000, 1000000}},
					   {INT64_MAX, {40000000, 1000000}}}},
			},
	};
	const struct rating_card card = {
		.of = {
			[RATING_CLOUD_CALLS] = {200, 1},
			[RATING_CLOUD_MIB_US] = {16667, RATING_MIB_US_PER_GIB_SECOND},
			[RATING_CLOUD_MCPU_US] = {24001, RATING_MCPU_US_PER_VCPU_SECOND},
			[RATING_CLOUD_BYTES_HOST] = {1000000, RATING_BYTES_PER_GIB},
		}};
	struct rating_quantities used = {{0}};
	struct rating_cloud_quantities cloud_used = {{0}};
	int64_t total = 0;
	const uint64_t start_ns = clock_monotonic_ns(clock_system());

	for (int i = 0; i < ROUNDS; i++) {
		struct rating_quantities call = {
			.of = {[RATING_CALLS] = 1, [RATING_UNIT_0] = 100 + i % 1000}};
		struct rating_cloud_quantities cloud_call;
		int64_t usage;
		int64_t cloud;
		rating_call_cap(&plan, &call);
		rating_cloud_of_call(128, 500, 8, 300 + i % 100, RATING_PATH_HOST, 2000,
				     &cloud_call);
		check(rating_plan_advance(&plan, &used, &call, &usage));
		check(rating_cloud_advance(&card, &cloud_used, &cloud_call, &cloud));
		total += usage + cloud;
	}
	const uint64_t taken_ns = clock_monotonic_ns(clock_system()) - start_ns;
	printf("cap + share + plan advance + cloud advance: %" PRIu64 " ns a call (charged %" PRId64
	       ")\n",
	       taken_ns / ROUNDS, total);
	return 0;
}

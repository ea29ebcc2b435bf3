/*
 * testing: chance and claims, for the tests of this folder.
 */
#pragma once

#include "base/testing.h"

#include "base/random.h"
#include "rating/rating.h"

#define CASES 120000

static struct random_seeded chance;
static uint64_t seed;

static inline int64_t below(int64_t bound)
{
	return (int64_t)random_below(&chance.random, (uint64_t)bound);
}

/* cmocka's asserts are slow in loops of millions, and do not tell the seed. */
#define claim(condition) ((condition) ? (void)0 : claim_failed(__LINE__, #condition))

static inline void claim_failed(int line, const char *condition)
{
	print_error("seed %" PRIu64 "\n", seed);
	_assert_true(0, condition, __FILE__, line);
}

static inline struct rating_rate random_rate(void)
{
	static const int64_t pers[] = {1, 1, 1, 2, 3, 7, 10, 100, 1000, 4096, 1000000};

	return (struct rating_rate){
		.nano = below(4) == 0 ? below(20) : below(300000000),
		.per = pers[below(sizeof(pers) / sizeof(pers[0]))],
	};
}

static inline struct rating_price random_price(enum rating_meter meter)
{
	struct rating_price price = {
		.meter = meter,
		.model = (enum rating_model)below(RATING_MODELS),
		.free_units = below(2) ? below(50) : 0,
		.rate = random_rate(),
	};
	int64_t up_to = 0;

	if (price.model == RATING_FLAT)
		price.meter = RATING_CALLS;
	else if (price.model != RATING_FREE && below(3) == 0)
		price.minimum_nano = below(2) ? below(3000) : below(3000000000);
	if (price.model != RATING_GRADUATED)
		return price;
	price.tier_count = 1 + (uint32_t)below(RATING_TIERS_MAX);
	for (uint32_t i = 0; i < price.tier_count; i++) {
		up_to += 1 + below(40);
		price.tiers[i].up_to = i + 1 == price.tier_count ? INT64_MAX : up_to;
		price.tiers[i].rate = random_rate();
	}
	return price;
}

static inline struct rating_plan random_plan(void)
{
	struct rating_plan plan = {.max_charge_nano = -1};

	for (int unit = 0; unit < RATING_UNITS_MAX; unit++)
		plan.max_units[unit] = below(2) ? below(60) : INT64_MAX;
	plan.price_count = 1 + (uint32_t)below(RATING_PRICES_MAX);
	for (uint32_t i = 0; i < plan.price_count; i++)
		plan.prices[i] = random_price((enum rating_meter)below(RATING_METERS));
	if (below(2)) {
		plan.max_charge_nano = below(2) ? below(2000) : below(2000000000);
		if (!rating_plan_valid(&plan))
			plan.max_charge_nano = -1;
	}
	if (below(3) == 0)
		plan.discount_ppm =
			below(2) ? 10000 * (uint32_t)below(101) : (uint32_t)below(1000001);
	if (below(4) == 0)
		plan.discount_nano = below(2) ? below(3000) : below(3000000000);
	claim(rating_plan_valid(&plan));
	return plan;
}

static inline struct rating_quantities random_quantities(int64_t bound)
{
	struct rating_quantities quantities;

	for (int meter = 0; meter < RATING_METERS; meter++)
		quantities.of[meter] = below(3) ? below(bound) : 0;
	return quantities;
}

static inline struct rating_quantities random_call(void)
{
	struct rating_quantities call = random_quantities(below(2) ? 8 : 200);

	call.of[RATING_CALLS] = 1;
	return call;
}

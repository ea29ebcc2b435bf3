/* What counts as a rise: a table of terms before and after, as a manifest says them. */
#include "base/text.h"
#include "catalog/testing_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD                                                                            \
	"service: s\nversion: 1.0.0\nupstream: [unix:/s]\nmeters: {px: {unit: pixel}, " \
	"tk: {unit: token}}\n"

struct row {
	const char *before; /* members of a plan */
	const char *after;
	const char *rises; /* "": none */
};

static const struct row rows[] = {
	{"", "", ""},
	/* By the unit. */
	{"prices: [{meter: calls, price: 1}]", "prices: [{meter: calls, price: 1}]", ""},
	{"prices: [{meter: calls, price: 1}]", "prices: [{meter: calls, price: 0.999999999}]", ""},
	{"prices: [{meter: calls, price: 1}]", "prices: [{meter: calls, price: 1.000000001}]",
	 "calls"},
	{"prices: [{meter: calls, price: 1 per 3}]", "prices: [{meter: calls, price: 2 per 6}]",
	 ""},
	{"prices: [{meter: calls, price: 1 per 3}]", "prices: [{meter: calls, price: 2 per 5}]",
	 "calls"},
	{"prices: [{meter: calls, price: 1}]", "", ""},
	{"", "prices: [{meter: calls, price: 1}]", "calls"},
	{"", "prices: [{meter: calls, model: free}]", ""},
	{"prices: [{meter: calls, price: 2, free: 10}]", "prices: [{meter: calls, price: 1}]",
	 "calls"},
	{"prices: [{meter: calls, price: 1, free: 10}]",
	 "prices: [{meter: calls, price: 1, free: 11}]", ""},
	{"prices: [{meter: calls, price: 1, free: 10}]",
	 "prices: [{meter: calls, price: 1, free: 9}]", "calls"},
	/* In tiers. */
	{"prices: [{meter: calls, model: graduated, tiers: [{up_to: 10, price: 3}, {price: 1}]}]",
	 "prices: [{meter: calls, price: 1}]", ""},
	{"prices: [{meter: calls, model: graduated, tiers: [{up_to: 10, price: 3}, {price: 1}]}]",
	 "prices: [{meter: calls, price: 2}]", "calls"},
	{"prices: [{meter: calls, price: 2}]",
	 "prices: [{meter: calls, model: graduated, tiers: [{up_to: 10, price: 2}, {price: 1}]}]",
	 ""},
	{"prices: [{meter: calls, model: graduated, tiers: [{up_to: 10, price: 3}, {price: 1}]}]",
	 "prices: [{meter: calls, model: graduated, tiers: [{up_to: 9, price: 3}, {price: 1}]}]",
	 ""},
	{"prices: [{meter: calls, model: graduated, tiers: [{up_to: 10, price: 3}, {price: 1}]}]",
	 "prices: [{meter: calls, model: graduated, tiers: [{up_to: 11, price: 3}, {price: 1}]}]",
	 "calls"},
	{"prices: [{meter: calls, model: graduated, free: 5, tiers: [{up_to: 10, price: 3}, "
	 "{price: 1}]}]",
	 "prices: [{meter: calls, model: graduated, free: 6, tiers: [{up_to: 10, price: 3}, "
	 "{price: 1}]}]",
	 "calls"}, /* the sixteenth cost 1 and costs 3 */
	/* Flat, and in packages. */
	{"prices: [{model: flat, price: 5}]", "prices: [{model: flat, price: 5}]", ""},
	{"prices: [{model: flat, price: 5}]", "prices: [{model: flat, price: 6}]", "calls"},
	{"prices: [{meter: calls, price: 1}]",
	 "prices: [{meter: calls, price: 1}, {model: flat, price: 1}]", "calls"},
	{"prices: [{meter: calls, model: package, price: 1, size: 10}]",
	 "prices: [{meter: calls, model: package, price: 1, size: 11}]", ""},
	{"prices: [{meter: calls, model: package, price: 1, size: 10}]",
	 "prices: [{meter: calls, model: package, price: 1, size: 9}]", "calls"},
	{"prices: [{meter: calls, model: package, price: 1, size: 10}]",
	 "prices: [{meter: calls, price: 0.1}]", "calls"},
	/* Minimums and discounts. */
	{"prices: [{meter: calls, price: 1, minimum: 5}]",
	 "prices: [{meter: calls, price: 1, minimum: 4}]", ""},
	{"prices: [{meter: calls, price: 1, minimum: 5}]",
	 "prices: [{meter: calls, price: 1, minimum: 6}]", "calls"},
	{"", "prices: [{meter: calls, price: 0, minimum: 6}]", "calls"},
	{"discount: 10%", "discount: 11%", ""},
	{"discount: 10%", "discount: 9%", "discount"},
	{"discount: 10%", "", "discount"},
	{"discount: 2.00", "discount: 2.01", ""},
	{"discount: 2.00", "discount: 1.99", "discount"},
	{"discount: 2.00", "discount: 100%", "discount"}, /* not told for certain */
	/* Meters of its own. */
	{"prices: [{meter: tk, price: 1 per 1M}], max_charge: 1",
	 "prices: [{meter: tk, price: 2 per 1M}, {meter: px, price: 1 per 1M}], max_charge: 1",
	 "px tk"},
	{"max_units: {px: 5}", "max_units: {px: 4}", ""},
	{"max_units: {px: 5}", "max_units: {px: 6}", "max_units"},
	{"max_units: {px: 5}", "", "max_units"},
	{"max_charge: 2", "max_charge: 1", ""},
	{"max_charge: 2", "max_charge: 3", "max_charge"},
	{"max_charge: 2", "", "max_charge"},
	{"", "max_charge: 2", ""},
	{"bill_on: always", "", ""},
	{"", "bill_on: always", "bill_on"},
	/* Limits. */
	{"limits: {rate: 60/m, burst: 2}", "limits: {rate: 1/s, burst: 1}", "burst"},
	{"limits: {rate: 60/m, burst: 5}", "limits: {rate: 1/s, burst: 5}", ""},
	{"limits: {rate: 60/m, burst: 5}", "limits: {rate: 59/m, burst: 6}", "rate"},
	{"limits: {rate: 1/s}", "", ""},
	{"", "limits: {rate: 1000/s}", "rate"},
	{"limits: {quota: 10/month}", "limits: {quota: 11/month}", ""},
	{"limits: {quota: 10/month}", "limits: {quota: 9/month}", "quota"},
	{"", "limits: {quota: 1M/month}", "quota"},
	{"limits: {concurrency: 5}", "", ""},
	{"limits: {concurrency: 5}", "limits: {concurrency: 4}", "concurrency"},
	{"limits: {timeout: 5s}", "limits: {timeout: 4s}", "timeout"},
	{"limits: {timeout: 5s}", "limits: {timeout: 6s}", ""},
	{"notice: 30d", "notice: 29d", "notice"},
	{"", "notice: 30d", ""},
};

static struct catalog_manifest *manifest_with(struct bench *bench, const char *plan)
{
	char text[1024];

	assert_true((size_t)snprintf(text, sizeof(text), HEAD "plans: {p: {%s}}\n", plan) <
		    sizeof(text));
	return bench_manifest(bench, text);
}

static void each_change_is_a_rise_or_none(void **state)
{
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct catalog_manifest *before = manifest_with(bench, rows[i].before);
		struct catalog_manifest *after = manifest_with(bench, rows[i].after);
		const uint32_t rises =
			catalog_terms_rises(&before->plans[0].terms, &after->plans[0].terms);
		struct text found;
		text_init(&found, 256);
		for (unsigned rise = 0; rise < CATALOG_RISES_END; rise++) {
			if (!(rises >> rise & 1))
				continue;
			text_printf(&found, "%s%s", found.length > 0 ? " " : "",
				    catalog_rise_name(rise, after->description.units));
		}
		if (!slice_equal(text_slice(&found), slice_of(rows[i].rises)))
			fail_msg("from {%s} to {%s}: \"%.*s\" instead of \"%s\"", rows[i].before,
				 rows[i].after, SLICE_ARGS(text_slice(&found)), rows[i].rises);
		text_fini(&found);
		catalog_manifest_free(before);
		catalog_manifest_free(after);
	}
}

/* ---- against R itself ---- */

static int64_t draw(uint64_t *seed, int64_t most)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (int64_t)((*seed >> 33) % (uint64_t)(most + 1));
}

static struct rating_price random_price(uint64_t *seed)
{
	static const enum rating_model models[] = {RATING_FREE, RATING_UNIT, RATING_PACKAGE,
						   RATING_GRADUATED};
	struct rating_price price = {
		.meter = RATING_CALLS,
		.model = models[draw(seed, 3)],
		.free_units = draw(seed, 3),
		.rate = {.nano = draw(seed, 4), .per = 1 + draw(seed, 2)},
		.minimum_nano = draw(seed, 1) * draw(seed, 6),
	};
	int64_t below = 0;

	if (price.model == RATING_FREE)
		price.minimum_nano = 0;
	if (price.model != RATING_GRADUATED)
		return price;
	price.tier_count = 1 + (uint32_t)draw(seed, 2);
	for (uint32_t i = 0; i < price.tier_count; i++) {
		below += 1 + draw(seed, 3);
		price.tiers[i] = (struct rating_tier){
			.up_to = i + 1 == price.tier_count ? INT64_MAX : below,
			.rate = {.nano = draw(seed, 4), .per = 1 + draw(seed, 2)},
		};
	}
	return price;
}

static struct catalog_terms terms_of(struct rating_price price)
{
	struct catalog_terms terms = {.rating = {.price_count = 1, .max_charge_nano = -1},
				      .limits = {.quota_calls = -1}};

	for (int i = 0; i < RATING_UNITS_MAX; i++)
		terms.rating.max_units[i] = INT64_MAX;
	terms.rating.prices[0] = price;
	return terms;
}

static void what_is_no_rise_never_costs_more(void **state)
{
	uint64_t seed = 20261124;
	unsigned cheaper = 0;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		const struct catalog_terms before = terms_of(random_price(&seed));
		const struct catalog_terms after = terms_of(random_price(&seed));
		assert_true(rating_plan_valid(&before.rating));
		if (catalog_terms_rises(&before, &after) != 0)
			continue;
		cheaper++;
		for (int64_t quantity = 0; quantity < 24; quantity++) {
			int64_t old_nano;
			int64_t new_nano;
			assert_true(rating_charge(&before.rating.prices[0], quantity, &old_nano));
			assert_true(rating_charge(&after.rating.prices[0], quantity, &new_nano));
			if (new_nano > old_nano)
				fail_msg("round %d: %lld of them cost %lld instead of %lld", round,
					 (long long)quantity, (long long)new_nano,
					 (long long)old_nano);
		}
	}
	assert_true(cheaper > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of(each_change_is_a_rise_or_none),
		cmocka_unit_test(what_is_no_rise_never_costs_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

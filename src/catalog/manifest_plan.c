#include <stdio.h>
#include <string.h>

#include "base/amount.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include "catalog/manifest_internal.h"

#define RATE_PER_S_MOST  10000000
#define BURST_MOST       1000000
#define CONCURRENCY_MOST 1000000
#define QUOTA_MOST       1000000000000000ull
#define TIMEOUT_LEAST    CLOCK_NS_PER_MS
#define TIMEOUT_MOST     (24 * 3600 * CLOCK_NS_PER_S)
#define PERCENT_PLACES   4 /* a millionth is 0.0001 % */
#define PERCENT_PPM_MAX  1000000
#define NOTICE_LEAST     (24 * 3600 * CLOCK_NS_PER_S)
#define NOTICE_MOST      (366 * 24 * 3600 * CLOCK_NS_PER_S)

/* ---- limits ---- */

static uint64_t period_ns(enum units_period period)
{
	static const uint64_t periods[] = {
		[UNITS_SECOND] = CLOCK_NS_PER_S,
		[UNITS_MINUTE] = 60 * CLOCK_NS_PER_S,
		[UNITS_HOUR] = 3600 * CLOCK_NS_PER_S,
		[UNITS_DAY] = 86400 * CLOCK_NS_PER_S,
		[UNITS_MONTH] = 0, /* has no fixed length */
	};
	return periods[period];
}

static void rate_read(struct reader *reader, const struct yaml_node *node,
		      struct catalog_limits *limits)
{
	enum units_period period;
	struct slice text;
	uint64_t calls;

	if (!reader_scalar(reader, node, &text))
		return;
	if (!units_parse_rate(text, &calls, &period) || period == UNITS_MONTH || calls < 1 ||
	    calls > RATE_PER_S_MOST * (period_ns(period) / CLOCK_NS_PER_S)) {
		reader_complain_of_value(reader, node,
					 "calls per s, m, h or d, at most 10M/s, as 100/s");
		return;
	}
	limits->rate_calls = calls;
	limits->rate_per_ns = period_ns(period);
	/* What a second brings may come at once. */
	const uint64_t burst = calls * CLOCK_NS_PER_S / limits->rate_per_ns;
	limits->burst = burst < 1 ? 1 : burst > BURST_MOST ? BURST_MOST : (uint32_t)burst;
}

static void burst_read(struct reader *reader, const struct yaml_node *node,
		       const struct yaml_node *rate, struct catalog_limits *limits)
{
	uint64_t burst;

	if (!reader_count(reader, node, 1, BURST_MOST, &burst))
		return;
	if (rate == NULL)
		reader_complain_of_key(reader, node,
				       "burst: limits nothing without a rate; give \"rate\" too");
	limits->burst = (uint32_t)burst;
}

static void quota_read(struct reader *reader, const struct yaml_node *node, int64_t *ret_quota)
{
	enum units_period period;
	struct slice text;
	uint64_t calls;

	if (!reader_scalar(reader, node, &text))
		return;
	if (units_parse_rate(text, &calls, &period) && period == UNITS_MONTH && calls >= 1 &&
	    calls <= QUOTA_MOST)
		*ret_quota = (int64_t)calls;
	else
		reader_complain_of_value(reader, node, "calls per month, as 1M/month");
}

static void limits_read(struct reader *reader, const struct yaml_node *node,
			struct catalog_limits *limits)
{
	enum { RATE, BURST, QUOTA, CONCURRENCY, TIMEOUT, KEYS };
	static const char *const keys[KEYS] = {"rate", "burst", "quota", "concurrency", "timeout"};
	const struct yaml_node *values[KEYS];
	uint64_t concurrency;

	if (!reader_mapping(reader, node, "limits", keys, KEYS, values))
		return;
	rate_read(reader, values[RATE], limits);
	burst_read(reader, values[BURST], values[RATE], limits);
	quota_read(reader, values[QUOTA], &limits->quota_calls);
	if (reader_count(reader, values[CONCURRENCY], 1, CONCURRENCY_MOST, &concurrency))
		limits->concurrency = (uint32_t)concurrency;
	reader_duration_ns(reader, values[TIMEOUT], TIMEOUT_LEAST, TIMEOUT_MOST,
			   &limits->timeout_ns);
}

/* ---- what bounds a call ---- */

static void max_charge_read(struct reader *reader, const struct yaml_node *node,
			    int64_t *ret_max_charge)
{
	struct amount amount;
	struct slice text;

	if (!reader_scalar(reader, node, &text))
		return;
	if (amount_parse(text, &amount) && amount.nano >= 0 &&
	    amount.nano <= MANIFEST_PRICE_NANO_MAX)
		*ret_max_charge = amount.nano;
	else
		reader_complain_of_value(
			reader, node, "an amount up to 1000000 with at most 9 decimals, as 0.20");
}

static void max_units_read(struct reader *reader, const struct yaml_node *node,
			   const struct manifest_meters *meters, struct rating_plan *plan)
{
	const size_t unit_count = meters->count - RATING_UNIT_0;
	const char *const *units = meters->names + RATING_UNIT_0;
	const struct yaml_node *values[RATING_UNITS_MAX];

	if (node != NULL && unit_count == 0) {
		reader_complain_of_key(reader, node,
				       "max_units: the service declares no meters of its own");
		return;
	}
	if (!reader_mapping(reader, node, "max_units", units, unit_count, values))
		return;
	for (size_t i = 0; i < unit_count; i++) {
		uint64_t most;
		if (reader_count(reader, values[i], 1, MANIFEST_QUANTITY_MAX, &most))
			plan->max_units[i] = (int64_t)most < plan->max_units[i]
						     ? (int64_t)most
						     : plan->max_units[i];
	}
}

/* ---- discounts ---- */

static void one_discount_read(struct reader *reader, const struct yaml_node *node,
			      struct rating_plan *plan)
{
	struct amount amount;
	struct slice text;
	int64_t ppm;

	if (!reader_scalar(reader, node, &text))
		return;
	if (slice_ends_with(text, slice_of("%")) &&
	    units_parse_decimal(slice_part(text, 0, text.length - 1), PERCENT_PLACES, &ppm) &&
	    ppm > 0 && ppm <= PERCENT_PPM_MAX) {
		if (plan->discount_ppm > 0)
			reader_complain(reader, node, "discount: one in per cent is there already");
		plan->discount_ppm = (uint32_t)ppm;
	} else if (amount_parse(text, &amount) && amount.nano > 0 &&
		   amount.nano <= MANIFEST_PRICE_NANO_MAX) {
		if (plan->discount_nano > 0)
			reader_complain(reader, node, "discount: an amount is there already");
		plan->discount_nano = amount.nano;
	} else {
		reader_complain_of_value(
			reader, node,
			"per cent up to 100% with at most 4 decimals, as 10%, or an "
			"amount up to 1000000, as 5.00");
	}
}

/* One, or a list of one in per cent and one amount. */
static void discount_read(struct reader *reader, const struct yaml_node *node,
			  struct rating_plan *plan)
{
	if (node == NULL || node->kind != YAML_SEQUENCE) {
		one_discount_read(reader, node, plan);
		return;
	}
	if (!reader_list(reader, node, 1, 2, "[10%, 5.00]"))
		return;
	for (const struct yaml_node *child = node->first; child != NULL; child = child->next)
		one_discount_read(reader, child, plan);
}

static bool price_costs(const struct rating_price *price)
{
	bool costs = price->model != RATING_FREE && price->rate.nano > 0;

	for (uint32_t i = 0; i < price->tier_count; i++)
		costs = costs || price->tiers[i].rate.nano > 0;
	return costs;
}

/* A hold must cover what a call can cost, so something must say what that is. */
static void bounds_check(struct reader *reader, const struct rating_plan *plan,
			 const struct manifest_meters *meters,
			 const struct yaml_node *const places[RATING_PRICES_MAX])
{
	if (plan->max_charge_nano >= 0)
		return;
	for (uint32_t i = 0; i < plan->price_count; i++) {
		const enum rating_meter meter = plan->prices[i].meter;
		const char *name = meters->names[meter];
		if (meter == RATING_CALLS || !price_costs(&plan->prices[i]))
			continue;
		if (meter < RATING_UNIT_0)
			reader_complain(reader, places[i],
					"meter: nothing bounds the \"%s\" of one call, so no money "
					"could be held for it; add \"max_charge\" to the plan",
					name);
		else if (plan->max_units[meter - RATING_UNIT_0] == INT64_MAX)
			reader_complain(reader, places[i],
					"meter: nothing bounds the \"%s\" of one call, so no money "
					"could be held for it; add \"max_charge\" or \"max_units: "
					"{%s: ..}\" to the plan",
					name, name);
	}
}

static void max_charge_check(struct reader *reader, const struct yaml_node *node,
			     const struct rating_plan *plan)
{
	const struct rating_quantities one_call = {.of = {[RATING_CALLS] = 1}};
	struct rating_plan uncapped = *plan;
	char given[AMOUNT_TEXT_MAX];
	char least[AMOUNT_TEXT_MAX];
	int64_t nano;

	if (node == NULL || plan->max_charge_nano < 0)
		return;
	uncapped.max_charge_nano = -1;
	uncapped.discount_ppm = 0;
	check(rating_plan_call_most(&uncapped, &one_call, &nano));
	if (nano <= plan->max_charge_nano)
		return;
	amount_format(amount_nano(plan->max_charge_nano), given);
	amount_format(amount_nano(nano), least);
	reader_complain(reader, node,
			"max_charge: \"%s\" is below the price of one call, %s; allowed: %s or "
			"more",
			given, least, least);
}

bool catalog_terms_finish(struct catalog_terms *terms)
{
	struct rating_quantities most = {.of = {[RATING_CALLS] = 1}};

	for (int meter = RATING_CALLS + 1; meter < RATING_METERS; meter++)
		most.of[meter] = INT64_MAX;
	return rating_plan_call_most(&terms->rating, &most, &terms->call_most_nano);
}

/* ---- a plan ---- */

void manifest_plan_read(struct reader *reader, const struct yaml_node *node,
			const struct manifest_meters *meters, struct catalog_manifest_plan *plan)
{
	enum { PRICES, DISCOUNT, MAX_CHARGE, MAX_UNITS, LIMITS, BILL_ON, NOTICE, KEYS };
	static const char *const keys[KEYS] = {"prices", "discount", "max_charge", "max_units",
					       "limits", "bill_on",  "notice"};
	static const char *const bill_ons[] = {"answered", "always"};
	const uint32_t complaints = reader->complaint_count;
	struct rating_plan *rating = &plan->terms.rating;
	const struct yaml_node *places[RATING_PRICES_MAX];
	const struct yaml_node *values[KEYS];
	size_t bill_on;

	plan->terms.limits.quota_calls = -1;
	plan->terms.limits.timeout_ns = MANIFEST_TIMEOUT_DEFAULT;
	plan->terms.notice_ns = CATALOG_NOTICE_USUAL_NS;
	rating->max_charge_nano = -1;
	for (int unit = 0; unit < RATING_UNITS_MAX; unit++)
		rating->max_units[unit] = INT64_MAX;
	if (!reader_mapping(reader, node, "plan", keys, KEYS, values))
		return;
	manifest_prices_read(reader, values[PRICES], meters, rating, places);
	discount_read(reader, values[DISCOUNT], rating);
	max_charge_read(reader, values[MAX_CHARGE], &rating->max_charge_nano);
	max_units_read(reader, values[MAX_UNITS], meters, rating);
	limits_read(reader, values[LIMITS], &plan->terms.limits);
	reader_duration_ns(reader, values[NOTICE], NOTICE_LEAST, NOTICE_MOST,
			   &plan->terms.notice_ns);
	if (reader_word(reader, values[BILL_ON], bill_ons, READER_COUNT_OF(bill_ons), &bill_on))
		rating->bill_always = bill_on == 1;
	if (reader->complaint_count > complaints)
		return;

	bounds_check(reader, rating, meters, places);
	max_charge_check(reader, values[MAX_CHARGE], rating);
	if (reader->complaint_count > complaints)
		return;
	check(rating_plan_valid(rating));
	if (!catalog_terms_finish(&plan->terms))
		reader_complain(reader, node,
				"plan: one call could cost more than can be counted; add "
				"\"max_charge\" or lower \"max_units\"");
}

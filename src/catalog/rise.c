/* What new terms make dearer, or allow less of. */
#include "base/check.h"
#include "catalog/catalog.h"

static_assert(CATALOG_RISES_END <= 32, "a bit each");

static uint32_t bit_if(bool rises, unsigned rise)
{
	return rises ? 1u << rise : 0;
}

/* ---- prices ---- */

static bool is_dearer_rate(struct rating_rate before, struct rating_rate after)
{
	return (__int128)after.nano * before.per > (__int128)before.nano * after.per;
}

static bool is_by_unit(const struct rating_price *price)
{
	return price->model == RATING_FREE || price->model == RATING_UNIT ||
	       price->model == RATING_GRADUATED;
}

/* What the unit behind so many costs. */
static struct rating_rate rate_behind(const struct rating_price *price, int64_t quantity)
{
	const struct rating_rate nothing = {.nano = 0, .per = 1};
	uint32_t tier = 0;

	if (price->model == RATING_FREE || quantity < price->free_units)
		return nothing;
	if (price->model == RATING_UNIT)
		return price->rate;
	while (tier + 1 < price->tier_count &&
	       quantity - price->free_units >= price->tiers[tier].up_to)
		tier++;
	return price->tiers[tier].rate;
}

/* Whether any unit is, of those behind the places where one of the two begins another rate:
 * between them nothing changes. */
static bool is_dearer_anywhere(const struct rating_price *before, const struct rating_price *after,
			       const struct rating_price *places)
{
	int64_t place = places->free_units;

	if (is_dearer_rate(rate_behind(before, place), rate_behind(after, place)))
		return true;
	if (places->model != RATING_GRADUATED)
		return false;
	for (uint32_t i = 0; i + 1 < places->tier_count; i++) {
		if (__builtin_add_overflow(places->free_units, places->tiers[i].up_to, &place))
			return false; /* beyond what can be counted */
		if (is_dearer_rate(rate_behind(before, place), rate_behind(after, place)))
			return true;
	}
	return false;
}

static bool is_dearer_price(const struct rating_price *before, const struct rating_price *after)
{
	if (after->minimum_nano > before->minimum_nano)
		return true;
	if (is_by_unit(before) && is_by_unit(after))
		return is_dearer_rate(rate_behind(before, 0), rate_behind(after, 0)) ||
		       is_dearer_anywhere(before, after, before) ||
		       is_dearer_anywhere(before, after, after);
	if (before->model != after->model)
		return true;
	if (after->model == RATING_PACKAGE && after->rate.per < before->rate.per)
		return true;
	return after->free_units < before->free_units || after->rate.nano > before->rate.nano;
}

/* With what was compared above made the same: what is left to differ is not known to be cheaper. */
static bool is_otherwise_same(const struct rating_price *before, const struct rating_price *after)
{
	const struct rating_plan plan = {.price_count = 1, .prices = {*before}};
	struct rating_plan other = {.price_count = 1, .prices = {*after}};
	struct rating_price *price = &other.prices[0];

	price->model = before->model;
	price->free_units = before->free_units;
	price->minimum_nano = before->minimum_nano;
	price->rate = before->rate;
	price->tier_count = before->tier_count;
	for (int i = 0; i < RATING_TIERS_MAX; i++)
		price->tiers[i] = before->tiers[i];
	return rating_plan_equal(&plan, &other);
}

/* A meter has one price, and beside that of `calls` there may be flat ones. */
static const struct rating_price *price_like(const struct rating_plan *plan,
					     const struct rating_price *price)
{
	for (uint32_t i = 0; i < plan->price_count; i++) {
		const struct rating_price *other = &plan->prices[i];
		if (other->meter == price->meter &&
		    (other->model == RATING_FLAT) == (price->model == RATING_FLAT))
			return other;
	}
	return NULL;
}

static uint32_t price_rises(const struct rating_plan *before, const struct rating_plan *after)
{
	uint32_t rises = 0;

	for (uint32_t i = 0; i < after->price_count; i++) {
		const struct rating_price *price = &after->prices[i];
		const struct rating_price *old = price_like(before, price);
		const struct rating_price nothing = {.meter = price->meter, .model = RATING_FREE};
		if (old == NULL)
			old = &nothing;
		if (old == &nothing && price->model == RATING_FLAT)
			rises |= bit_if(price->rate.nano > 0, price->meter);
		else
			rises |= bit_if(is_dearer_price(old, price) ||
						!is_otherwise_same(old, price),
					price->meter);
	}
	return rises;
}

/* ---- bounds and limits ---- */

static uint32_t bound_rises(const struct rating_plan *before, const struct rating_plan *after)
{
	struct rating_plan other = *after;
	uint32_t rises = 0;

	for (int unit = 0; unit < RATING_UNITS_MAX; unit++)
		rises |= bit_if(after->max_units[unit] > before->max_units[unit],
				CATALOG_RISE_MAX_UNITS);
	if (before->max_charge_nano >= 0)
		rises |= bit_if(after->max_charge_nano < 0 ||
					after->max_charge_nano > before->max_charge_nano,
				CATALOG_RISE_MAX_CHARGE);
	rises |= bit_if(after->discount_ppm < before->discount_ppm ||
				after->discount_nano < before->discount_nano,
			CATALOG_RISE_DISCOUNT);
	rises |= bit_if(after->bill_always && !before->bill_always, CATALOG_RISE_BILL_ON);
	/* What a plan has beside prices and the bounds above is not known to be cheaper. */
	other.price_count = before->price_count;
	for (uint32_t i = 0; i < RATING_PRICES_MAX; i++)
		other.prices[i] = before->prices[i];
	for (int unit = 0; unit < RATING_UNITS_MAX; unit++)
		other.max_units[unit] = before->max_units[unit];
	other.max_charge_nano = before->max_charge_nano;
	other.bill_always = before->bill_always;
	other.discount_ppm = before->discount_ppm;
	other.discount_nano = before->discount_nano;
	return rises | bit_if(!rating_plan_equal(before, &other), CATALOG_RISE_PRICES);
}

static uint32_t limit_rises(const struct catalog_limits *before, const struct catalog_limits *after)
{
	const bool had_rate = before->rate_per_ns != 0;
	const bool has_rate = after->rate_per_ns != 0;
	uint32_t rises = 0;

	if (has_rate)
		rises |= bit_if(!had_rate ||
					(__int128)after->rate_calls * before->rate_per_ns <
						(__int128)before->rate_calls * after->rate_per_ns,
				CATALOG_RISE_RATE);
	rises |= bit_if(has_rate && had_rate && after->burst < before->burst, CATALOG_RISE_BURST);
	if (after->quota_calls >= 0)
		rises |= bit_if(before->quota_calls < 0 || after->quota_calls < before->quota_calls,
				CATALOG_RISE_QUOTA);
	if (after->concurrency != 0)
		rises |=
			bit_if(before->concurrency == 0 || after->concurrency < before->concurrency,
			       CATALOG_RISE_CONCURRENCY);
	return rises | bit_if(after->timeout_ns < before->timeout_ns, CATALOG_RISE_TIMEOUT);
}

uint32_t catalog_terms_rises(const struct catalog_terms *before, const struct catalog_terms *after)
{
	return price_rises(&before->rating, &after->rating) |
	       bound_rises(&before->rating, &after->rating) |
	       limit_rises(&before->limits, &after->limits) |
	       bit_if(after->notice_ns < before->notice_ns, CATALOG_RISE_NOTICE);
}

const char *catalog_rise_name(unsigned rise, const struct catalog_unit units[RATING_UNITS_MAX])
{
	if (rise >= RATING_UNIT_0 && rise < RATING_METERS &&
	    units[rise - RATING_UNIT_0].name != NULL)
		return units[rise - RATING_UNIT_0].name;
	if (rise < RATING_METERS)
		return rating_meter_name((enum rating_meter)rise);
	switch (rise) {
#define X(rise, name) \
	case rise:    \
		return name;
		CATALOG_RISES(X)
#undef X
	default:
		break;
	}
	check(rise < CATALOG_RISES_END);
	return "";
}

#include "rating/rating.h"

#include "base/check.h"
#include "rating/exact_internal.h"

/* ---- a plan's prices ---- */

static bool rate_valid(struct rating_rate rate)
{
	return rate.nano >= 0 && rate.per >= 1;
}

static bool tiers_valid(const struct rating_price *price)
{
	int64_t below = 0;
	int64_t common = 1;

	if (price->tier_count < 1 || price->tier_count > RATING_TIERS_MAX)
		return false;
	for (uint32_t i = 0; i < price->tier_count; i++) {
		const struct rating_tier *tier = &price->tiers[i];
		if (!rate_valid(tier->rate) || tier->up_to <= below)
			return false;
		if (!least_common_multiple(common, tier->rate.per, &common))
			return false;
		below = tier->up_to;
	}
	return below == INT64_MAX;
}

bool rating_price_valid(const struct rating_price *price)
{
	if ((unsigned)price->meter >= RATING_METERS || price->free_units < 0 ||
	    price->minimum_nano < 0)
		return false;
	switch (price->model) {
	case RATING_FREE:
		return price->minimum_nano == 0;
	case RATING_FLAT:
		return price->meter == RATING_CALLS && rate_valid(price->rate) &&
		       price->minimum_nano == 0;
	case RATING_UNIT:
	case RATING_PACKAGE:
		return rate_valid(price->rate);
	case RATING_GRADUATED:
		return tiers_valid(price);
	}
	return false;
}

static int64_t package_charge(const struct rating_price *price, int64_t units, bool *ret_fits)
{
	const int64_t packages = units / price->rate.per + (units % price->rate.per != 0);
	int64_t nano = 0;

	*ret_fits = !__builtin_mul_overflow(packages, price->rate.nano, &nano);
	return nano;
}

static bool graduated_charge(const struct rating_price *price, int64_t units, int64_t *ret_nano)
{
	struct exact sum = {.denominator = 1};
	int64_t below = 0;

	for (uint32_t i = 0; below < units; i++) {
		check(i < price->tier_count);
		const struct rating_tier *tier = &price->tiers[i];
		const int64_t upper = units < tier->up_to ? units : tier->up_to;
		if (!exact_add(&sum, upper - below, tier->rate))
			return false;
		below = upper;
	}
	return exact_round(&sum, ret_nano);
}

bool rating_charge(const struct rating_price *price, int64_t quantity, int64_t *ret_nano)
{
	check(quantity >= 0);
	const int64_t units = quantity > price->free_units ? quantity - price->free_units : 0;
	bool fits = true;
	int64_t nano = 0;

	switch (price->model) {
	case RATING_FREE:
		break;
	case RATING_FLAT:
		nano = quantity > 0 ? price->rate.nano : 0;
		break;
	case RATING_UNIT:
		fits = rate_charge(price->rate, units, &nano);
		break;
	case RATING_PACKAGE:
		nano = package_charge(price, units, &fits);
		break;
	case RATING_GRADUATED:
		fits = graduated_charge(price, units, &nano);
		break;
	}
	if (quantity > 0 && nano < price->minimum_nano)
		nano = price->minimum_nano;
	if (fits)
		*ret_nano = nano;
	return fits;
}

bool rating_plan_list(const struct rating_plan *plan, const struct rating_quantities *quantities,
		      int64_t *ret_nano)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < plan->price_count; i++) {
		const struct rating_price *price = &plan->prices[i];
		int64_t nano;
		if (!rating_charge(price, quantities->of[price->meter], &nano))
			return false;
		if (__builtin_add_overflow(sum, nano, &sum))
			return false;
	}
	*ret_nano = sum;
	return true;
}

bool rating_plan_list_advance(const struct rating_plan *plan, struct rating_quantities *before,
			      const struct rating_quantities *call, int64_t *ret_nano)
{
	struct rating_quantities after;
	int64_t sum = 0;

	for (int meter = 0; meter < RATING_METERS; meter++) {
		check(call->of[meter] >= 0);
		if (__builtin_add_overflow(before->of[meter], call->of[meter], &after.of[meter]))
			return false;
	}
	for (uint32_t i = 0; i < plan->price_count; i++) {
		const struct rating_price *price = &plan->prices[i];
		int64_t nano_before;
		int64_t nano_after;
		if (call->of[price->meter] == 0)
			continue;
		if (!rating_charge(price, after.of[price->meter], &nano_after))
			return false;
		if (!rating_charge(price, before->of[price->meter], &nano_before))
			return false;
		if (__builtin_add_overflow(sum, nano_after - nano_before, &sum))
			return false;
	}
	*before = after;
	*ret_nano = sum;
	return true;
}

/* ---- the most that a call can cost ---- */

static bool rate_below(struct rating_rate a, struct rating_rate b)
{
	return (__int128)a.nano * b.per < (__int128)b.nano * a.per;
}

static struct rating_rate dearest_rate(const struct rating_price *price)
{
	struct rating_rate dearest = price->rate;

	if (price->model != RATING_GRADUATED)
		return dearest;
	dearest = price->tiers[0].rate;
	for (uint32_t i = 1; i < price->tier_count; i++) {
		if (rate_below(dearest, price->tiers[i].rate))
			dearest = price->tiers[i].rate;
	}
	return dearest;
}

/* Whether R can be no whole number before it is rounded. */
static bool price_rounds(const struct rating_price *price)
{
	if (price->model != RATING_GRADUATED)
		return !rate_is_whole(price->rate);
	for (uint32_t i = 0; i < price->tier_count; i++) {
		if (!rate_is_whole(price->tiers[i].rate))
			return true;
	}
	return false;
}

/* The most that `units` of one call can add to a price. */
static bool price_most(const struct rating_price *price, int64_t units, int64_t *ret_nano)
{
	bool fits = true;
	int64_t nano = 0;

	switch (price->model) {
	case RATING_FREE:
	case RATING_FLAT:
		break;
	case RATING_PACKAGE:
		nano = package_charge(price, units, &fits);
		break;
	case RATING_UNIT:
	case RATING_GRADUATED:
		fits = rate_most(dearest_rate(price), price_rounds(price), units, &nano);
		break;
	}
	if (fits)
		*ret_nano = nano;
	return fits;
}

int64_t rating_price_units_within(const struct rating_price *price, int64_t nano)
{
	const struct rating_rate rate = dearest_rate(price);
	__int128 units;

	if (price->model == RATING_FREE || price->model == RATING_FLAT || rate.nano == 0)
		return INT64_MAX;
	if (price->model == RATING_PACKAGE)
		units = (__int128)(nano / rate.nano) * rate.per;
	else if (nano == 0)
		units = 0;
	else
		units = ((__int128)nano * rate.per - price_rounds(price)) / rate.nano;
	return units < INT64_MAX ? (int64_t)units : INT64_MAX;
}

struct rating_left rating_left_of(const struct rating_plan *plan)
{
	struct rating_left left = {.charge_nano = plan->max_charge_nano};

	for (int unit = 0; unit < RATING_UNITS_MAX; unit++)
		left.units[unit] = plan->max_units[unit];
	return left;
}

/* What is left for the other meters, once the price of the calls is set aside. */
static int64_t beside_calls(const struct rating_plan *plan, int64_t left, int64_t calls)
{
	for (uint32_t i = 0; i < plan->price_count; i++) {
		int64_t nano;
		if (plan->prices[i].meter != RATING_CALLS)
			continue;
		if (!price_most(&plan->prices[i], calls, &nano) || nano > left)
			return 0;
		left -= nano;
	}
	return left;
}

void rating_call_cap(const struct rating_plan *plan, struct rating_quantities *call)
{
	const struct rating_left left = rating_left_of(plan);

	rating_part_cap(plan, &left, call);
}

void rating_part_cap(const struct rating_plan *plan, const struct rating_left *bounds,
		     struct rating_quantities *call)
{
	for (int unit = 0; unit < RATING_UNITS_MAX; unit++) {
		int64_t *counted = &call->of[RATING_UNIT_0 + unit];
		if (*counted > bounds->units[unit])
			*counted = bounds->units[unit];
	}
	if (bounds->charge_nano < 0)
		return;

	int64_t left = beside_calls(plan, bounds->charge_nano, call->of[RATING_CALLS]);
	for (uint32_t i = 0; i < plan->price_count; i++) {
		const struct rating_price *price = &plan->prices[i];
		int64_t *counted = &call->of[price->meter];
		int64_t nano;
		if (price->meter == RATING_CALLS)
			continue;
		if (!price_most(price, *counted, &nano) || nano > left) {
			*counted = rating_price_units_within(price, left);
			check(price_most(price, *counted, &nano));
			check_at_most(nano, left);
		}
		left -= nano;
	}
}

void rating_left_take(const struct rating_plan *plan, const struct rating_quantities *part,
		      struct rating_left *left)
{
	for (int unit = 0; unit < RATING_UNITS_MAX; unit++)
		left->units[unit] -= part->of[RATING_UNIT_0 + unit];
	if (left->charge_nano < 0)
		return;
	for (uint32_t i = 0; i < plan->price_count; i++) {
		int64_t nano;
		check(price_most(&plan->prices[i], part->of[plan->prices[i].meter], &nano));
		check_at_most(nano, left->charge_nano);
		left->charge_nano -= nano;
	}
}

static bool part_most_uncapped(const struct rating_plan *plan, const struct rating_left *left,
			       const struct rating_quantities *most, int64_t *ret_nano)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < plan->price_count; i++) {
		const struct rating_price *price = &plan->prices[i];
		int64_t units = most->of[price->meter];
		int64_t nano;
		if (price->model == RATING_FREE || price->model == RATING_FLAT)
			continue;
		if (dearest_rate(price).nano == 0)
			continue;
		if (price->meter >= RATING_UNIT_0) {
			const int64_t cut = left->units[price->meter - RATING_UNIT_0];
			units = units < cut ? units : cut;
		}
		if (units == INT64_MAX || !price_most(price, units, &nano))
			return false;
		if (__builtin_add_overflow(sum, nano, &sum))
			return false;
	}
	*ret_nano = sum;
	return true;
}

bool rating_plan_call_most(const struct rating_plan *plan, const struct rating_quantities *most,
			   int64_t *ret_nano)
{
	const struct rating_left left = rating_left_of(plan);

	return rating_part_most(plan, &left, most, ret_nano);
}

bool rating_part_most(const struct rating_plan *plan, const struct rating_left *left,
		      const struct rating_quantities *most, int64_t *ret_nano)
{
	const bool capped = left->charge_nano >= 0;
	int64_t nano;

	if (!part_most_uncapped(plan, left, most, &nano)) {
		if (!capped)
			return false;
		nano = left->charge_nano;
	}
	nano = capped && nano > left->charge_nano ? left->charge_nano : nano;
	*ret_nano = net_most(plan, nano);
	return true;
}

/* With the first use of its meter. */
static int64_t price_first(const struct rating_price *price)
{
	return price->model == RATING_FLAT ? price->rate.nano : price->minimum_nano;
}

int64_t rating_plan_first(const struct rating_plan *plan, const struct rating_quantities *used)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < plan->price_count; i++) {
		if (used->of[plan->prices[i].meter] == 0)
			check(!__builtin_add_overflow(sum, price_first(&plan->prices[i]), &sum));
	}
	return net_most(plan, sum);
}

static bool same_rate(struct rating_rate a, struct rating_rate b)
{
	return a.nano == b.nano && a.per == b.per;
}

static bool same_price(const struct rating_price *a, const struct rating_price *b)
{
	bool same = a->meter == b->meter && a->model == b->model &&
		    a->free_units == b->free_units && same_rate(a->rate, b->rate) &&
		    a->tier_count == b->tier_count && a->minimum_nano == b->minimum_nano;

	for (uint32_t i = 0; same && i < a->tier_count; i++)
		same = a->tiers[i].up_to == b->tiers[i].up_to &&
		       same_rate(a->tiers[i].rate, b->tiers[i].rate);
	return same;
}

bool rating_plan_equal(const struct rating_plan *a, const struct rating_plan *b)
{
	bool same = a->price_count == b->price_count && a->max_charge_nano == b->max_charge_nano &&
		    a->bill_always == b->bill_always && a->discount_ppm == b->discount_ppm &&
		    a->discount_nano == b->discount_nano;

	for (uint32_t i = 0; same && i < a->price_count; i++)
		same = same_price(&a->prices[i], &b->prices[i]);
	for (int unit = 0; same && unit < RATING_UNITS_MAX; unit++)
		same = a->max_units[unit] == b->max_units[unit];
	return same;
}

bool rating_plan_valid(const struct rating_plan *plan)
{
	int64_t first = 0;
	int64_t calls = 0;

	if (plan->price_count > RATING_PRICES_MAX || plan->max_charge_nano < -1 ||
	    plan->discount_ppm > PPM || plan->discount_nano < 0)
		return false;
	for (int unit = 0; unit < RATING_UNITS_MAX; unit++) {
		if (plan->max_units[unit] < 0)
			return false;
	}
	for (uint32_t i = 0; i < plan->price_count; i++) {
		const struct rating_price *price = &plan->prices[i];
		int64_t nano = 0;
		if (!rating_price_valid(price))
			return false;
		if (__builtin_add_overflow(first, price_first(price), &first))
			return false;
		if (price->meter == RATING_CALLS &&
		    (!price_most(price, 1, &nano) || __builtin_add_overflow(calls, nano, &calls)))
			return false;
	}
	return plan->max_charge_nano < 0 || calls <= plan->max_charge_nano;
}

/* ---- names ---- */

const char *rating_meter_name(enum rating_meter meter)
{
	static const char *const names[RATING_METERS] = {
		"calls",  "request_bytes", "response_bytes", "duration_ms",
		"unit_0", "unit_1",        "unit_2",         "unit_3",
	};
	check(meter < RATING_METERS);
	return names[meter];
}

const char *rating_model_name(enum rating_model model)
{
	static const char *const names[RATING_MODELS] = {
		"free", "flat", "unit", "package", "graduated",
	};
	check(model < RATING_MODELS);
	return names[model];
}

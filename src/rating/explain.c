/* How a price's charge comes about, part by part, for people to follow. */
#include "base/check.h"
#include "rating/exact_internal.h"
#include "rating/rating.h"

static bool add_part(struct rating_explained *explained, struct exact *sum,
		     enum rating_part_kind kind, int64_t units, struct rating_rate rate)
{
	struct exact amount = {.denominator = 1};

	if (units == 0)
		return true;
	check(explained->part_count < RATING_PARTS_MAX);
	if (!exact_add(&amount, units, rate) || !exact_add(sum, units, rate) ||
	    amount.whole > INT64_MAX)
		return false;
	const int64_t common = greatest_common_divisor(amount.denominator, amount.numerator);
	explained->parts[explained->part_count++] = (struct rating_part){
		.kind = kind,
		.units = units,
		.rate = rate,
		.nano = (int64_t)amount.whole,
		.numerator = amount.numerator / common,
		.denominator = amount.denominator / common,
	};
	return true;
}

static bool add_tiers(const struct rating_price *price, int64_t units,
		      struct rating_explained *explained, struct exact *sum)
{
	int64_t below = 0;

	for (uint32_t i = 0; below < units; i++) {
		const struct rating_tier *tier = &price->tiers[i];
		const int64_t upper = units < tier->up_to ? units : tier->up_to;
		if (!add_part(explained, sum, RATING_PART_TIER, upper - below, tier->rate))
			return false;
		below = upper;
	}
	return true;
}

static bool add_priced(const struct rating_price *price, int64_t units,
		       struct rating_explained *explained, struct exact *sum)
{
	const struct rating_rate each = {.nano = price->rate.nano, .per = 1};

	switch (price->model) {
	case RATING_FREE:
	case RATING_FLAT:
		return true;
	case RATING_UNIT:
		return add_part(explained, sum, RATING_PART_UNITS, units, price->rate);
	case RATING_PACKAGE:
		return add_part(explained, sum, RATING_PART_PACKAGES,
				units / price->rate.per + (units % price->rate.per != 0), each);
	case RATING_GRADUATED:
		return add_tiers(price, units, explained, sum);
	}
	return false;
}

bool rating_explain(const struct rating_price *price, int64_t quantity,
		    struct rating_explained *ret_explained)
{
	const struct rating_rate nothing = {.nano = 0, .per = 1};
	const bool is_flat = price->model == RATING_FLAT;
	const int64_t free_units = price->model == RATING_FREE    ? quantity
				   : quantity < price->free_units ? quantity
								  : price->free_units;
	struct rating_explained explained = {.part_count = 0};
	struct exact sum = {.denominator = 1};
	int64_t rounded;

	check(quantity >= 0);
	if (!add_part(&explained, &sum, RATING_PART_FREE, is_flat ? 0 : free_units, nothing) ||
	    !add_part(&explained, &sum, RATING_PART_MONTH, is_flat && quantity > 0, price->rate) ||
	    !add_priced(price, quantity - free_units, &explained, &sum) ||
	    !exact_round(&sum, &rounded) || !rating_charge(price, quantity, &explained.nano))
		return false;
	const struct rating_rate missing = {.nano = explained.nano - rounded, .per = 1};
	if (missing.nano > 0 && !add_part(&explained, &(struct exact){.denominator = 1},
					  RATING_PART_MINIMUM, 1, missing))
		return false;
	const int64_t common = greatest_common_divisor(sum.denominator, sum.numerator);
	explained.numerator = sum.numerator / common;
	explained.denominator = sum.denominator / common;
	*ret_explained = explained;
	return true;
}

const char *rating_part_name(enum rating_part_kind kind)
{
	static const char *const names[RATING_PART_KINDS] = {"free",     "month", "units",
							     "packages", "tier",  "minimum"};

	check((unsigned)kind < RATING_PART_KINDS);
	return names[kind];
}

/*
 * exact: a rate times units, summed without loss and rounded once, half to even; and the most
 * that such a charge can grow by.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "rating/rating.h"

#define PPM 1000000 /* millionths in the whole */

/* An exact sum of units x rate: whole + numerator / denominator, 0 <= numerator < denominator. */
struct exact {
	__int128 whole;
	int64_t numerator;
	int64_t denominator;
};

static inline int64_t greatest_common_divisor(int64_t a, int64_t b)
{
	while (b != 0) {
		const int64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* False where the least common multiple does not fit int64. */
static inline bool least_common_multiple(int64_t a, int64_t b, int64_t *ret_multiple)
{
	return !__builtin_mul_overflow(a / greatest_common_divisor(a, b), b, ret_multiple);
}

static inline bool exact_add_fraction(struct exact *sum, int64_t numerator, int64_t denominator)
{
	int64_t common = denominator;

	if (numerator == 0)
		return true;
	if (sum->denominator != denominator) {
		if (!least_common_multiple(sum->denominator, denominator, &common))
			return false;
		sum->numerator *= common / sum->denominator;
		sum->denominator = common;
		numerator *= common / denominator;
	}
	const uint64_t total = (uint64_t)sum->numerator + (uint64_t)numerator;
	const bool carry = total >= (uint64_t)common;
	sum->whole += carry;
	sum->numerator = (int64_t)(total - (carry ? (uint64_t)common : 0));
	return true;
}

static inline bool exact_add(struct exact *sum, int64_t units, struct rating_rate rate)
{
	int64_t product;

	if (units == 0 || rate.nano == 0)
		return true;
	if (rate.per == 1) {
		sum->whole += (__int128)units * rate.nano;
		return true;
	}
	check(rate.per > 1);
	/* A division of 64 bits costs a tenth of one of 128, and is nearly always enough. */
	if (!__builtin_mul_overflow(units, rate.nano, &product)) {
		sum->whole += product / rate.per;
		return exact_add_fraction(sum, product % rate.per, rate.per);
	}
	const __int128 wide = (__int128)units * rate.nano;
	sum->whole += wide / rate.per;
	return exact_add_fraction(sum, (int64_t)(wide % rate.per), rate.per);
}

/* Half to even. */
static inline bool exact_round(const struct exact *sum, int64_t *ret_nano)
{
	const int64_t beyond_half = sum->numerator - (sum->denominator - sum->numerator);
	const bool up = beyond_half > 0 || (beyond_half == 0 && (sum->whole & 1));
	const __int128 rounded = sum->whole + up;

	if (rounded > INT64_MAX)
		return false;
	*ret_nano = (int64_t)rounded;
	return true;
}

/* R of one rate; also what the rate card and the fee use. */
static inline bool rate_charge(struct rating_rate rate, int64_t units, int64_t *ret_nano)
{
	struct exact sum = {.denominator = 1};

	return exact_add(&sum, units, rate) && exact_round(&sum, ret_nano);
}

static inline bool rate_is_whole(struct rating_rate rate)
{
	return rate.per == 1 || rate.nano % rate.per == 0;
}

/* The largest R(Q + units) - R(Q) of a rate: where R rounds, both ends may round apart, so that
 * the difference is less than x + 1 or, between two ties, equal to it: floor(x) + 1 at most. */
static inline bool rate_most(struct rating_rate rate, bool rounds, int64_t units, int64_t *ret_nano)
{
	int64_t product;

	if (units == 0 || rate.nano == 0) {
		*ret_nano = 0;
		return true;
	}
	if (!__builtin_mul_overflow(units, rate.nano, &product))
		return !__builtin_add_overflow(product / rate.per, (int64_t)rounds, ret_nano);
	const __int128 nano = (__int128)units * rate.nano / rate.per + rounds;
	if (nano > INT64_MAX)
		return false;
	*ret_nano = (int64_t)nano;
	return true;
}

/* What a discount in per cent leaves of one nano. */
static inline struct rating_rate discounted_rate(const struct rating_plan *plan)
{
	return (struct rating_rate){.nano = PPM - plan->discount_ppm, .per = PPM};
}

/* The largest N(U + nano) - N(U). An amount that is taken off may be used up by then. A part of
 * less than the whole, rounded apart, is still no more than the whole. */
static inline int64_t net_most(const struct rating_plan *plan, int64_t nano)
{
	const struct rating_rate rate = discounted_rate(plan);
	int64_t most = nano;

	if (plan->discount_ppm > 0)
		check(rate_most(rate, !rate_is_whole(rate), nano, &most));
	return most < nano ? most : nano;
}

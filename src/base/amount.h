/*
 * amount: money, in nano-units (1e-9) of the cloud's currency.
 *
 * Integers only. Sums and products are checked: a function that could overflow returns false
 * and leaves its result alone, so no wrong amount can be read by mistake.
 *
 * Threads: any (values).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define AMOUNT_NANO_PER_UNIT 1000000000ll
#define AMOUNT_TEXT_MAX	     24 /* bytes: sign, 10 digits, point, 9 digits, NUL */

struct amount {
	int64_t nano;
};

static inline struct amount amount_nano(int64_t nano)
{
	return (struct amount){.nano = nano};
}

bool amount_add(struct amount a, struct amount b, struct amount *ret_sum)
	__attribute__((warn_unused_result));
bool amount_subtract(struct amount a, struct amount b, struct amount *ret_difference)
	__attribute__((warn_unused_result));

/* value * numerator / denominator, rounded half to even, exact in 128 bits.
 * False when the result does not fit int64_t. denominator >= 1. */
bool amount_scale(int64_t value, int64_t numerator, int64_t denominator, int64_t *ret_value)
	__attribute__((warn_unused_result));

/* dividend / divisor, half to even; divisor >= 1. False when it does not fit int64_t. */
bool amount_divide_half_even(__int128 dividend, __int128 divisor, int64_t *ret_quotient)
	__attribute__((warn_unused_result));

/* Decimal text: "[-]digits[.1 to 9 digits]", nothing else. False where it is not that or
 * does not fit. */
bool amount_parse(struct slice text, struct amount *ret_amount)
	__attribute__((warn_unused_result));

/* The shortest exact decimal with at least two places ("0.05", "10.00", "0.050012");
 * returns its length. */
size_t amount_format(struct amount amount, char text[AMOUNT_TEXT_MAX]);

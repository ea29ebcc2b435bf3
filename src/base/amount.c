#include "base/amount.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/units.h"

#define AMOUNT_PLACES       9
#define AMOUNT_PLACES_SHOWN 2 /* at least */

bool amount_add(struct amount a, struct amount b, struct amount *ret_sum)
{
	int64_t sum;

	if (__builtin_add_overflow(a.nano, b.nano, &sum))
		return false;
	ret_sum->nano = sum;
	return true;
}

bool amount_subtract(struct amount a, struct amount b, struct amount *ret_difference)
{
	int64_t difference;

	if (__builtin_sub_overflow(a.nano, b.nano, &difference))
		return false;
	ret_difference->nano = difference;
	return true;
}

bool amount_scale(int64_t value, int64_t numerator, int64_t denominator, int64_t *ret_value)
{
	return amount_divide_half_even((__int128)value * numerator, denominator, ret_value);
}

bool amount_divide_half_even(__int128 dividend, __int128 divisor, int64_t *ret_quotient)
{
	check(divisor >= 1);
	__int128 quotient = dividend / divisor;
	const __int128 remainder = dividend % divisor;
	const __int128 above = remainder < 0 ? -remainder : remainder; /* what truncation dropped */
	const __int128 below = divisor - above;                        /* to the next, outwards */

	if (above > below || (above == below && quotient % 2 != 0))
		quotient += dividend < 0 ? -1 : 1;
	if (quotient < INT64_MIN || quotient > INT64_MAX)
		return false;
	*ret_quotient = (int64_t)quotient;
	return true;
}

bool amount_parse(struct slice text, struct amount *ret_amount)
{
	return units_parse_decimal(text, AMOUNT_PLACES, &ret_amount->nano);
}

size_t amount_format(struct amount amount, char text[AMOUNT_TEXT_MAX])
{
	const uint64_t nano_per_unit = AMOUNT_NANO_PER_UNIT;
	const uint64_t size = amount.nano < 0 ? -(uint64_t)amount.nano : (uint64_t)amount.nano;
	int length =
		snprintf(text, AMOUNT_TEXT_MAX, "%s%" PRIu64 ".%09" PRIu64,
			 amount.nano < 0 ? "-" : "", size / nano_per_unit, size % nano_per_unit);

	check(length > 0 && length < AMOUNT_TEXT_MAX);
	for (int spare = AMOUNT_PLACES - AMOUNT_PLACES_SHOWN; spare > 0; spare--) {
		if (text[length - 1] != '0')
			break;
		length--;
	}
	text[length] = '\0';
	return (size_t)length;
}

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

/* Without printf: a charge is written on every answer. */
size_t amount_format(struct amount amount, char text[AMOUNT_TEXT_MAX])
{
	const uint64_t size = amount.nano < 0 ? -(uint64_t)amount.nano : (uint64_t)amount.nano;
	uint64_t units = size / AMOUNT_NANO_PER_UNIT;
	uint64_t places = size % AMOUNT_NANO_PER_UNIT;
	char digits[AMOUNT_TEXT_MAX];
	char *begin = digits + sizeof(digits);
	char *end;

	for (int i = 0; i < AMOUNT_PLACES; i++, places /= 10)
		*--begin = (char)('0' + places % 10);
	*--begin = '.';
	do {
		*--begin = (char)('0' + units % 10);
		units /= 10;
	} while (units > 0);
	if (amount.nano < 0)
		*--begin = '-';
	end = digits + sizeof(digits);
	for (int spare = AMOUNT_PLACES - AMOUNT_PLACES_SHOWN; spare > 0 && end[-1] == '0'; spare--)
		end--;
	memcpy(text, begin, (size_t)(end - begin));
	text[end - begin] = '\0';
	return (size_t)(end - begin);
}

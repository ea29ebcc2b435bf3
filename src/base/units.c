#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit byte_units[] = {
	{"TiB", 1ull << 40},
	{"GiB", 1ull << 30},
	{"MiB", 1ull << 20},
	{"KiB", 1ull << 10},
	{"TB", 1000000000000ull},
	{"GB", 1000000000ull},
	{"MB", 1000000ull},
	{"kB", 1000ull},
	{"B", 1},
	{"", 1},
};

static const struct unit duration_units[] = {
	{"d", 86400000000000ull},
	{"h", 3600000000000ull},
	{"m", 60000000000ull},
	{"s", 1000000000ull},
	{"ms", 1000000ull},
	{"us", 1000ull},
	{"ns", 1},
};

static const struct unit count_units[] = {
	{"T", 1000000000000ull}, {"G", 1000000000ull}, {"M", 1000000ull}, {"k", 1000ull}, {"", 1},
};

static const char *const period_names[] = {
	[UNITS_SECOND] = "s", [UNITS_MINUTE] = "m",    [UNITS_HOUR] = "h",
	[UNITS_DAY] = "d",    [UNITS_MONTH] = "month",
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* "digits[.digits]" as digits * 10^-places, at most `places_max` places; false beyond 64 bits. */
static bool parse_digits(struct slice text, unsigned places_max, uint64_t *ret_digits,
			 unsigned *ret_places)
{
	const size_t point = slice_find_byte(text, '.', 0);
	const size_t places = point < text.length ? text.length - point - 1 : 0;
	uint64_t whole, fraction = 0, scale = 1;

	if (!slice_to_u64(slice_part(text, 0, point), UINT64_MAX, &whole) || places > places_max)
		return false;
	if (point < text.length &&
	    !slice_to_u64(slice_part(text, point + 1, text.length), UINT64_MAX, &fraction))
		return false;
	for (size_t i = 0; i < places; i++)
		scale *= 10;
	if (__builtin_mul_overflow(whole, scale, &whole) ||
	    __builtin_add_overflow(whole, fraction, ret_digits))
		return false;
	*ret_places = (unsigned)places;
	return true;
}

#define UNITS_PLACES_MAX 9 /* after the point, before a suffix */

/* number and suffix; the product must be whole. */
static bool parse_with_unit(struct slice text, const struct unit *units, size_t unit_count,
			    uint64_t *ret_value)
{
	size_t split = 0;

	while (split < text.length &&
	       ((text.data[split] >= '0' && text.data[split] <= '9') || text.data[split] == '.'))
		split++;
	uint64_t digits, scale = 1;
	unsigned places;
	if (!parse_digits(slice_part(text, 0, split), UNITS_PLACES_MAX, &digits, &places))
		return false;
	for (unsigned i = 0; i < places; i++)
		scale *= 10;

	const struct slice suffix = slice_part(text, split, text.length);
	for (size_t i = 0; i < unit_count; i++) {
		if (!slice_equal(suffix, slice_of(units[i].name)))
			continue;
		const unsigned __int128 product = (unsigned __int128)digits * units[i].factor;
		if (product % scale != 0 || product / scale > INT64_MAX)
			return false;
		*ret_value = (uint64_t)(product / scale);
		return true;
	}
	return false;
}

bool units_parse_bytes(struct slice text, uint64_t *ret_bytes)
{
	return parse_with_unit(text, byte_units, COUNT_OF(byte_units), ret_bytes);
}

bool units_parse_duration_ns(struct slice text, uint64_t *ret_ns)
{
	return parse_with_unit(text, duration_units, COUNT_OF(duration_units), ret_ns);
}

bool units_parse_count(struct slice text, uint64_t *ret_count)
{
	return parse_with_unit(text, count_units, COUNT_OF(count_units), ret_count);
}

bool units_parse_rate(struct slice text, uint64_t *ret_count, enum units_period *ret_period)
{
	const size_t slash = slice_find_byte(text, '/', 0);
	uint64_t count;

	if (slash == text.length || !units_parse_count(slice_part(text, 0, slash), &count))
		return false;
	for (size_t i = 0; i < COUNT_OF(period_names); i++) {
		if (slice_equal(slice_part(text, slash + 1, text.length),
				slice_of(period_names[i]))) {
			*ret_count = count;
			*ret_period = (enum units_period)i;
			return true;
		}
	}
	return false;
}

bool units_parse_decimal(struct slice text, unsigned places, int64_t *ret_value)
{
	check_at_most(places, UNITS_DECIMAL_PLACES_MAX);
	const bool negative = text.length > 0 && text.data[0] == '-';
	uint64_t digits;
	unsigned given;

	if (!parse_digits(slice_part(text, negative, text.length), places, &digits, &given))
		return false;
	for (unsigned i = given; i < places; i++) {
		if (__builtin_mul_overflow(digits, 10, &digits))
			return false;
	}
	if (digits > (uint64_t)INT64_MAX + negative)
		return false;
	*ret_value = negative ? (int64_t)-digits : (int64_t)digits;
	return true;
}

/* In the largest unit that divides it; zero in the smallest. */
static void format_with_unit(uint64_t value, const struct unit *units, size_t unit_count,
			     char text[UNITS_TEXT_MAX])
{
	size_t chosen = unit_count - 1;

	for (size_t i = 0; i < unit_count; i++) {
		if (value > 0 && value % units[i].factor == 0) {
			chosen = i;
			break;
		}
	}
	snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 "%s", value / units[chosen].factor,
		 units[chosen].name);
}

void units_format_bytes(uint64_t bytes, char text[UNITS_TEXT_MAX])
{
	/* Binary units only: what a size of ours is written in. */
	static const struct unit binary_units[] = {
		{"TiB", 1ull << 40},
		{"GiB", 1ull << 30},
		{"MiB", 1ull << 20},
		{"KiB", 1ull << 10},
		{"B", 1},
	};
	format_with_unit(bytes, binary_units, COUNT_OF(binary_units), text);
}

void units_format_duration_ns(uint64_t ns, char text[UNITS_TEXT_MAX])
{
	if (ns == 0)
		snprintf(text, UNITS_TEXT_MAX, "0s");
	else
		format_with_unit(ns, duration_units, COUNT_OF(duration_units), text);
}

/* RFC 3339, read. */
#include "base/clock.h"

/* Exactly `count` digits from *at on. */
static bool take_digits(struct slice text, size_t *at, size_t count, uint64_t *ret_value)
{
	if (!slice_to_u64(slice_part(text, *at, *at + count), UINT32_MAX, ret_value) ||
	    *at + count > text.length)
		return false;
	*at += count;
	return true;
}

static bool take(struct slice text, size_t *at, char byte)
{
	if (*at >= text.length || text.data[*at] != byte)
		return false;
	++*at;
	return true;
}

/* Days since 1970 of a date of the Gregorian calendar; false where there is no such day. */
static bool days_of(uint64_t year, uint64_t month, uint64_t day, uint64_t *ret_days)
{
	static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	uint64_t days = 0;

	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
	    day > lengths[month - 1] + (leap && month == 2 ? 1u : 0u))
		return false;
	for (uint64_t i = 1; i < month; i++)
		days += lengths[i - 1] + (leap && i == 2 ? 1u : 0u);
	const uint64_t before = year - 1;
	days += 365 * (year - 1970) + (before / 4 - 1969 / 4) - (before / 100 - 1969 / 100) +
		(before / 400 - 1969 / 400);
	*ret_days = days + day - 1;
	return true;
}

/* Up to nine digits behind a point, where there is one. */
static bool take_fraction(struct slice text, size_t *at, uint64_t *ret_ns)
{
	uint64_t unit = CLOCK_NS_PER_S / 10;

	*ret_ns = 0;
	if (!take(text, at, '.'))
		return true;
	const size_t start = *at;
	for (; *at < text.length && text.data[*at] >= '0' && text.data[*at] <= '9'; ++*at) {
		*ret_ns += unit * (uint64_t)(text.data[*at] - '0');
		unit /= 10;
	}
	return *at > start && *at <= start + 9;
}

/* "Z", or an offset that is subtracted. */
static bool take_zone(struct slice text, size_t *at, int64_t *ret_seconds)
{
	uint64_t hours;
	uint64_t minutes;

	*ret_seconds = 0;
	if (take(text, at, 'Z') || take(text, at, 'z'))
		return true;
	const bool east = take(text, at, '+');
	if ((!east && !take(text, at, '-')) || !take_digits(text, at, 2, &hours) ||
	    !take(text, at, ':') || !take_digits(text, at, 2, &minutes) || hours > 23 ||
	    minutes > 59)
		return false;
	*ret_seconds = (int64_t)(hours * 3600 + minutes * 60) * (east ? 1 : -1);
	return true;
}

bool clock_parse_wall(struct slice text, uint64_t *ret_ns)
{
	uint64_t year, month, day, hour, minute, second, fraction_ns, days;
	int64_t offset_s;
	size_t at = 0;

	if (!take_digits(text, &at, 4, &year) || !take(text, &at, '-') ||
	    !take_digits(text, &at, 2, &month) || !take(text, &at, '-') ||
	    !take_digits(text, &at, 2, &day) ||
	    !(take(text, &at, 'T') || take(text, &at, 't') || take(text, &at, ' ')) ||
	    !take_digits(text, &at, 2, &hour) || !take(text, &at, ':') ||
	    !take_digits(text, &at, 2, &minute) || !take(text, &at, ':') ||
	    !take_digits(text, &at, 2, &second) || !take_fraction(text, &at, &fraction_ns) ||
	    !take_zone(text, &at, &offset_s) || at != text.length)
		return false;
	if (hour > 23 || minute > 59 || second > 59 || !days_of(year, month, day, &days))
		return false;
	const int64_t seconds =
		(int64_t)(days * 86400 + hour * 3600 + minute * 60 + second) - offset_s;
	if (seconds < 0 || (uint64_t)seconds > UINT64_MAX / CLOCK_NS_PER_S - 1)
		return false;
	*ret_ns = (uint64_t)seconds * CLOCK_NS_PER_S + fraction_ns;
	return true;
}

#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/check.h"

static uint64_t now_ns(clockid_t which)
{
	struct timespec now;

	check(clock_gettime(which, &now) == 0);
	check(now.tv_sec >= 0);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t system_monotonic_ns(const struct clock *clock)
{
	(void)clock;
	return now_ns(CLOCK_MONOTONIC);
}

static uint64_t system_wall_ns(const struct clock *clock)
{
	(void)clock;
	return now_ns(CLOCK_REALTIME);
}

const struct clock *clock_system(void)
{
	static const struct clock system_clock = {
		.monotonic_ns = system_monotonic_ns,
		.wall_ns = system_wall_ns,
	};
	return &system_clock;
}

static uint64_t manual_monotonic_ns(const struct clock *clock)
{
	return atomic_load(&((const struct clock_manual *)clock)->now_monotonic_ns);
}

static uint64_t manual_wall_ns(const struct clock *clock)
{
	return atomic_load(&((const struct clock_manual *)clock)->now_wall_ns);
}

void clock_manual_init(struct clock_manual *manual, uint64_t monotonic_ns, uint64_t wall_ns)
{
	manual->clock.monotonic_ns = manual_monotonic_ns;
	manual->clock.wall_ns = manual_wall_ns;
	atomic_init(&manual->now_monotonic_ns, monotonic_ns);
	atomic_init(&manual->now_wall_ns, wall_ns);
}

void clock_manual_advance(struct clock_manual *manual, uint64_t ns)
{
	atomic_fetch_add(&manual->now_monotonic_ns, ns);
	atomic_fetch_add(&manual->now_wall_ns, ns);
}

struct date {
	uint64_t year;
	unsigned month; /* 1 .. 12 */
	unsigned day;   /* 1 .. 31 */
};

#define SECONDS_PER_DAY 86400u
#define DAYS_PER_ERA    146097u /* 400 years */
/* From 1 March 0000 to 1 January 1970. A year that begins in March ends with its leap day. */
#define DAYS_TO_EPOCH 719468u

/* Days since 1 January 1970 to a date of the Gregorian calendar, after Howard Hinnant's
 * "chrono-Compatible Low-Level Date Algorithms". */
static struct date date_of_days(uint64_t days)
{
	days += DAYS_TO_EPOCH;
	const uint64_t era = days / DAYS_PER_ERA;
	const unsigned day_of_era = (unsigned)(days % DAYS_PER_ERA);
	const unsigned year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	const unsigned day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	const unsigned month_from_march = (5 * day_of_year + 2) / 153;
	const unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;

	return (struct date){
		.year = era * 400 + year_of_era + (month <= 2),
		.month = month,
		.day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
	};
}

static uint64_t days_of_date(struct date date)
{
	const uint64_t year = date.year - (date.month <= 2);
	const unsigned year_of_era = (unsigned)(year % 400);
	const unsigned month_from_march = date.month > 2 ? date.month - 3 : date.month + 9;
	const unsigned day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
	const unsigned day_of_era =
		year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return year / 400 * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH;
}

uint32_t clock_month_of(uint64_t wall_ns)
{
	const struct date date = date_of_days(wall_ns / CLOCK_NS_PER_S / SECONDS_PER_DAY);
	return (uint32_t)((date.year - 1970) * 12 + date.month - 1);
}

uint64_t clock_month_start_ns(uint32_t month)
{
	check_at_most(month, CLOCK_MONTH_MAX);
	const struct date date = {.year = 1970 + month / 12, .month = month % 12 + 1, .day = 1};
	return days_of_date(date) * SECONDS_PER_DAY * CLOCK_NS_PER_S;
}

void clock_month_format(uint32_t month, char *text)
{
	check_at_most(month, CLOCK_MONTH_MAX);
	snprintf(text, CLOCK_MONTH_TEXT_MAX, "%04u-%02u", 1970 + month / 12, month % 12 + 1);
}

bool clock_month_parse(struct slice text, uint32_t *ret_month)
{
	uint64_t year, month;

	if (text.length != 7 || text.data[4] != '-' ||
	    !slice_to_u64(slice_part(text, 0, 4), 9999, &year) ||
	    !slice_to_u64(slice_part(text, 5, 7), 12, &month))
		return false;
	if (year < 1970 || month == 0 || (year - 1970) * 12 + month - 1 > CLOCK_MONTH_MAX)
		return false;
	*ret_month = (uint32_t)((year - 1970) * 12 + month - 1);
	return true;
}

void clock_format_wall(uint64_t wall_ns, char text[CLOCK_TEXT_MAX])
{
	const uint64_t seconds = wall_ns / CLOCK_NS_PER_S;
	const struct date date = date_of_days(seconds / SECONDS_PER_DAY);
	const unsigned of_day = (unsigned)(seconds % SECONDS_PER_DAY);

	snprintf(text, CLOCK_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		 (unsigned)date.year % 10000, date.month, date.day, of_day / 3600, of_day / 60 % 60,
		 of_day % 60, (unsigned)(wall_ns % CLOCK_NS_PER_S / CLOCK_NS_PER_MS));
}

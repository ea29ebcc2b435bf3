/*
 * clock: time is handed in, never taken from the system directly, so that tests and whole
 * scenarios run in virtual time.
 *
 * Monotonic time orders and measures; wall time (Unix, UTC) dates records and periods.
 * Both are nanoseconds. A manual clock moves only when told.
 *
 * Threads: reading is safe from any thread; a manual clock is moved by one.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define CLOCK_NS_PER_US 1000ull
#define CLOCK_NS_PER_MS 1000000ull
#define CLOCK_NS_PER_S	1000000000ull

struct clock {
	uint64_t (*monotonic_ns)(const struct clock *clock);
	uint64_t (*wall_ns)(const struct clock *clock);
};

/* The machine's own. Never freed. */
const struct clock *clock_system(void);

struct clock_manual {
	struct clock clock; /* first: hand out &manual.clock */
	_Atomic uint64_t now_monotonic_ns;
	_Atomic uint64_t now_wall_ns;
};

void clock_manual_init(struct clock_manual *manual, uint64_t monotonic_ns, uint64_t wall_ns);
/* Moves both. */
void clock_manual_advance(struct clock_manual *manual, uint64_t ns);

static inline uint64_t clock_monotonic_ns(const struct clock *clock)
{
	return clock->monotonic_ns(clock);
}

static inline uint64_t clock_wall_ns(const struct clock *clock)
{
	return clock->wall_ns(clock);
}

#define CLOCK_MONTH_MAX	     7014u /* July 2554: the last that starts within 64 bits of ns */
#define CLOCK_MONTH_TEXT_MAX 12

/* A calendar month in UTC, counted from January 1970 = 0: the billing period's number. */
uint32_t clock_month_of(uint64_t wall_ns);
uint64_t clock_month_start_ns(uint32_t month);
/* "2026-11"; `text` holds at least CLOCK_MONTH_TEXT_MAX bytes. */
void clock_month_format(uint32_t month, char *text);
bool clock_month_parse(struct slice text, uint32_t *ret_month);

/* RFC 3339 with milliseconds and Z: "2026-11-24T04:10:57.123Z"; at least 25 bytes. */
#define CLOCK_TEXT_MAX 32
void clock_format_wall(uint64_t wall_ns, char text[CLOCK_TEXT_MAX]);
/* RFC 3339: "2026-11-24T04:10:57Z", with a fraction or an offset ("+01:00"). False on anything
 * else, and outside of 1970 .. 2554. */
bool clock_parse_wall(struct slice text, uint64_t *ret_ns);

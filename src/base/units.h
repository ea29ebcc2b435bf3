/*
 * units: quantities as people write them, read exactly into integers.
 *
 *	sizes      128MiB, 1GiB, 64KiB, 1MB, 512 (bytes)
 *	durations  5s, 250ms, 1.5s, 2m, 1h, 14d
 *	counts     1000, 50M, 1.5k, 2G (decimal multiples)
 *	rates      100/s, 6000/m, 1M/month (a count per s, m, h, d or month)
 *
 * No floating point, and no rounding: "1.5k" is 1500, "1.5" of what comes whole is refused.
 * Values fit int64_t. Each function returns false, and no result, on anything else.
 * Threads: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define UNITS_DECIMAL_PLACES_MAX 18
#define UNITS_TEXT_MAX		 32 /* bytes, with the NUL */

/* A month is a calendar's: it has no fixed length. */
enum units_period { UNITS_SECOND, UNITS_MINUTE, UNITS_HOUR, UNITS_DAY, UNITS_MONTH };

bool units_parse_bytes(struct slice text, uint64_t *ret_bytes);
bool units_parse_duration_ns(struct slice text, uint64_t *ret_ns);
bool units_parse_count(struct slice text, uint64_t *ret_count);
bool units_parse_rate(struct slice text, uint64_t *ret_count, enum units_period *ret_period);
/* "[-]digits[.digits]"; "0.5" with 3 places gives 500; at most `places` digits after the point. */
bool units_parse_decimal(struct slice text, unsigned places, int64_t *ret_value);

/* The shortest exact text that the parser above reads back: "128MiB", "1500ms". */
void units_format_bytes(uint64_t bytes, char text[UNITS_TEXT_MAX]);
void units_format_duration_ns(uint64_t ns, char text[UNITS_TEXT_MAX]);

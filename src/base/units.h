/*
 * units: quantities as people write them, read exactly into integers.
 *
 *	sizes      128MiB, 1GiB, 64KiB, 1MB, 512 (bytes)
 *	durations  5s, 250ms, 1.5s, 2m, 1h, 14d
 *	counts     1000, 50M, 1.5k, 2G (decimal multiples)
 *	rates      100/s, 6000/m, 1M/month (a count per a time)
 *
 * No floating point. Each returns false, and no result, on anything else or out of range.
 * Threads: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

bool units_parse_bytes(struct slice text, uint64_t *ret_bytes);
bool units_parse_duration_ns(struct slice text, uint64_t *ret_ns);
bool units_parse_count(struct slice text, uint64_t *ret_count);
/* "0.5" with 3 places gives 500; at most `places` digits after the point. */
bool units_parse_decimal(struct slice text, unsigned places, int64_t *ret_value);

/*
 * testing: chance and claims, for the tests of this folder.
 */
#pragma once

#include "base/testing.h"

#include "base/random.h"
#include "rating/rating.h"

#define CASES 120000

static struct random_seeded chance;
static uint64_t seed;

static inline int64_t below(int64_t bound)
{
	return (int64_t)random_below(&chance.random, (uint64_t)bound);
}

/* cmocka's asserts are slow in loops of millions, and do not tell the seed. */
#define claim(condition) ((condition) ? (void)0 : claim_failed(__LINE__, #condition))

static inline void claim_failed(int line, const char *condition)
{
	print_error("seed %" PRIu64 "\n", seed);
	_assert_true(0, condition, __FILE__, line);
}

static inline struct rating_rate random_rate(void)
{
	static const int64_t pers[] = {1, 1, 1, 2, 3, 7, 10, 100, 1000, 4096, 1000000};

	return (struct rating_rate){
		.nano = below(4) == 0 ? below(20) : below(300000000),
		.per = pers[below(sizeof(pers) / sizeof(pers[0]))],
	};
}

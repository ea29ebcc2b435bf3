/*
 * random: where chance comes from is handed in. The system's source is cryptographic
 * (libsodium); a seeded one replays and is for tests and for choices that need no secrecy.
 *
 * Threads: random_system may be used from any thread; a seeded source by one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct random {
	void (*fill)(struct random *random, void *bytes, size_t length);
};

struct random *random_system(void);

/* xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64. Not for secrets. */
struct random_seeded {
	struct random random; /* first: hand out &seeded.random */
	uint64_t state[4];
};

void random_seeded_init(struct random_seeded *seeded, uint64_t seed);
uint64_t random_seeded_next(struct random_seeded *seeded);

uint64_t random_u64(struct random *random);
/* Uniform in [0, bound), without bias; bound >= 1. */
uint64_t random_below(struct random *random, uint64_t bound);

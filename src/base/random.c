#include "base/random.h"

#include <sodium.h>
#include <string.h>

#include "base/check.h"

static void system_fill(struct random *random, void *bytes, size_t length)
{
	(void)random;
	randombytes_buf(bytes, length);
}

struct random *random_system(void)
{
	static struct random system_random = {.fill = system_fill};

	/* Safe from any thread and cheap when it was done before. */
	check(sodium_init() >= 0);
	return &system_random;
}

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t mixed = (*state += 0x9e3779b97f4a7c15u);

	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
	return mixed ^ (mixed >> 31);
}

static void seeded_fill(struct random *random, void *bytes, size_t length)
{
	struct random_seeded *seeded = (struct random_seeded *)random;
	uint8_t *to = bytes;

	while (length > 0) {
		const uint64_t word = random_seeded_next(seeded);
		const size_t piece = length < sizeof(word) ? length : sizeof(word);
		memcpy(to, &word, piece);
		to += piece;
		length -= piece;
	}
}

void random_seeded_init(struct random_seeded *seeded, uint64_t seed)
{
	seeded->random.fill = seeded_fill;
	for (size_t i = 0; i < 4; i++)
		seeded->state[i] = splitmix64(&seed);
}

static uint64_t rotate_left(uint64_t word, int bits)
{
	return word << bits | word >> (64 - bits);
}

uint64_t random_seeded_next(struct random_seeded *seeded)
{
	uint64_t *state = seeded->state;
	const uint64_t result = rotate_left(state[1] * 5, 7) * 9;
	const uint64_t shifted = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= shifted;
	state[3] = rotate_left(state[3], 45);
	return result;
}

uint64_t random_u64(struct random *random)
{
	uint64_t word;

	random->fill(random, &word, sizeof(word));
	return word;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
	check(bound >= 1);
	/* 2^64 mod bound: the words below it would make the first remainders likelier. */
	const uint64_t surplus = -bound % bound;
	uint64_t word;

	do
		word = random_u64(random);
	while (word < surplus);
	return word % bound;
}

/*
 * Runs under valgrind: what is secret is marked as if it had never been set, and memcheck complains
 * wherever a branch or an address depends on it (A. Langley's ctgrind). What may be known, the
 * outcome, is marked as known before it is looked at.
 *
 *	constant_time key|checksum|digest|directory
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/memcheck.h>

#include "base/api_key.h"
#include "base/check.h"
#include "base/secret.h"
#include "gateway/directory.h"

/* By memory, so that the compiler hands it over as it is. */
static bool known(bool outcome)
{
	volatile bool shown = outcome;

	(void)VALGRIND_MAKE_MEM_DEFINED((void *)(uintptr_t)&shown, sizeof(shown));
	return shown;
}

static void make_key(uint64_t seed, char text[API_KEY_TEXT_MAX])
{
	struct random_seeded random;

	random_seeded_init(&random, seed);
	api_key_make(&random.random, text);
}

/* A connection's key, that a next call's is compared with: gateway/authenticate.c. */
static void compare_keys(void)
{
	char first[API_KEY_TEXT_MAX], same[API_KEY_TEXT_MAX], other[API_KEY_TEXT_MAX];

	make_key(1, first);
	make_key(1, same);
	make_key(2, other);
	(void)VALGRIND_MAKE_MEM_UNDEFINED(first, API_KEY_CHARS);
	check(known(secret_equal(first, same, API_KEY_CHARS)));
	check(!known(secret_equal(first, other, API_KEY_CHARS)));
}

static void check_checksum(void)
{
	char right[API_KEY_TEXT_MAX], wrong[API_KEY_TEXT_MAX];

	make_key(1, right);
	make_key(1, wrong);
	wrong[API_KEY_CHARS - 1] = wrong[API_KEY_CHARS - 1] == '0' ? '1' : '0';
	(void)VALGRIND_MAKE_MEM_UNDEFINED(right, API_KEY_CHARS);
	(void)VALGRIND_MAKE_MEM_UNDEFINED(wrong, API_KEY_CHARS);
	check(known(api_key_shape(slice_make(right, API_KEY_CHARS))));
	check(!known(api_key_shape(slice_make(wrong, API_KEY_CHARS))));
}

/* The API's tokens: api/request.c. */
static void compare_digests(void)
{
	struct api_key_digest token = api_key_digest(slice_of("token"));
	const struct api_key_digest same = api_key_digest(slice_of("token"));
	const struct api_key_digest other = api_key_digest(slice_of("taken"));

	(void)VALGRIND_MAKE_MEM_UNDEFINED(&token, sizeof(token));
	check(known(api_key_digest_equal(&token, &same)));
	check(!known(api_key_digest_equal(&token, &other)));
}

/* The digests of the directory's entries are secret. A lookup is led by its own digest; what the
 * table decides by the outcome of a comparison is in constant_time.supp. */
static void find_in_directory(void)
{
	struct gateway_key_entry entry = {.id = {1}, .app = {1}};
	struct rating_card card = {0};
	struct directory directory;
	uint8_t wanted[32], near[32];
	struct fault fault;
	bool replaced;

	urcu_qsbr_register_thread();
	check_equal(directory_init(&directory, &card, 1, &fault), 0);
	memset(entry.digest, 7, sizeof(entry.digest));
	memcpy(wanted, entry.digest, sizeof(wanted));
	memcpy(near, entry.digest, sizeof(near));
	near[31] ^= 1; /* in the same bucket */
	check_equal(directory_put_key(&directory, &entry, &replaced, &fault), 0);
	struct directory_key *key =
		(struct directory_key *)(uintptr_t)directory_find_key(&directory, wanted);
	check(key != NULL);
	(void)VALGRIND_MAKE_MEM_UNDEFINED(key->digest, sizeof(key->digest));
	check(directory_find_key(&directory, wanted) == key);
	check(directory_find_key(&directory, near) == NULL);
	directory_fini(&directory);
	urcu_qsbr_unregister_thread();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{"key", compare_keys},
		{"checksum", check_checksum},
		{"digest", compare_digests},
		{"directory", find_in_directory},
	};

	if (RUNNING_ON_VALGRIND == 0) {
		fprintf(stderr, "constant_time: says something under valgrind only\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (argc == 2 && strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			return 0;
		}
	}
	fprintf(stderr, "usage: constant_time key|checksum|digest|directory\n");
	return 2;
}

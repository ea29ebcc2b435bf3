/*
 * account_testing: for tests, a migrated store on a real file with a write transaction open, and
 * what every test makes in it first. Everything that must not fail is checked. Threads: one.
 */
#pragma once

#include "account/account.h"
#include "base/random.h"
#include "store/store_testing.h"

#define NOW 1764000000000000000ull

struct account_bench {
	struct store_testing files;
	struct store *store;
	struct random_seeded random;
	struct fault fault;
};

/* cmocka's; *state is the bench. */
int account_testing_set_up(void **state);
int account_testing_tear_down(void **state);

struct account made_account(struct account_bench *bench, const char *name);
struct account_app made_app(struct account_bench *bench, struct account account, const char *name);
struct account_key_made made_key(struct account_bench *bench, struct app_id app,
				 uint64_t expires_ns);

#define assert_fault(bench, call, expected_code, expected_text)          \
	do {                                                             \
		assert_int_equal(call, expected_code);                   \
		assert_int_equal((bench)->fault.code, expected_code);    \
		assert_string_equal((bench)->fault.text, expected_text); \
	} while (0)

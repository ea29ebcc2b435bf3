/*
 * ledger_testing: for tests: a ledger on a store of its own, and short forms of what tests do all
 * the time. A fault where none is expected fails the test.
 *
 * Threads: one.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/ledger.h"
#include "store/store_testing.h"

#define LEDGER_TESTING_NOW_NS 1700000000000000000ull
#define LEDGER_TESTING_S_NS   1000000000ull

struct ledger_testing {
	struct store_testing files;
	struct store *store;
	struct ledger *ledger;
	struct fault fault;
};

#define ledger_testing_good(testing, code)                     \
	do {                                                   \
		if ((code) != 0)                               \
			fail_msg("%s", (testing)->fault.text); \
	} while (0)

/* Another handle on the same store. */
static inline void ledger_testing_open(struct ledger_testing *testing)
{
	ledger_testing_good(testing,
			    store_open(testing->files.path, &testing->store, &testing->fault));
	ledger_testing_good(testing, store_migrate(testing->store, ledger_migrations,
						   ledger_migration_count, &testing->fault));
	ledger_testing_good(testing, ledger_new(testing->store, &testing->ledger, &testing->fault));
}

static inline void ledger_testing_close(struct ledger_testing *testing)
{
	ledger_free(testing->ledger);
	store_close(testing->store);
}

static inline void ledger_testing_init(struct ledger_testing *testing)
{
	store_testing_init(&testing->files);
	ledger_testing_open(testing);
}

static inline void ledger_testing_fini(struct ledger_testing *testing)
{
	ledger_testing_close(testing);
	store_testing_fini(&testing->files);
}

static inline void ledger_testing_begin(struct ledger_testing *testing)
{
	ledger_testing_good(testing, store_begin(testing->store, STORE_WRITE, &testing->fault));
}

static inline void ledger_testing_commit(struct ledger_testing *testing)
{
	ledger_testing_good(testing, store_commit(testing->store, &testing->fault));
}

static inline struct ledger_account_id ledger_testing_account(struct ledger_testing *testing,
							      uint32_t number, const char *name,
							      uint32_t flags)
{
	struct ledger_account account = {.ledger = number, .code = 1, .flags = flags};
	struct ledger_account_id id = {0};

	snprintf(account.name, sizeof(account.name), "%s", name);
	ledger_testing_begin(testing);
	ledger_testing_good(testing,
			    ledger_account_create(testing->ledger, &account, &id, &testing->fault));
	ledger_testing_commit(testing);
	return id;
}

/* In a transaction of its own. */
static inline void ledger_testing_batch(struct ledger_testing *testing,
					const struct ledger_transfer *transfers, size_t count,
					uint64_t now_ns, enum ledger_outcome *outcomes)
{
	ledger_testing_begin(testing);
	ledger_testing_good(testing, ledger_transfers_create(testing->ledger, transfers, count,
							     now_ns, outcomes, &testing->fault));
	ledger_testing_commit(testing);
}

static inline enum ledger_outcome
ledger_testing_one(struct ledger_testing *testing, struct ledger_transfer transfer, uint64_t now_ns)
{
	enum ledger_outcome outcome = LEDGER_OUTCOMES_COUNT;

	ledger_testing_batch(testing, &transfer, 1, now_ns, &outcome);
	return outcome;
}

static inline struct ledger_account ledger_testing_get(struct ledger_testing *testing,
						       struct ledger_account_id id)
{
	struct ledger_account account = {0};

	ledger_testing_good(testing,
			    ledger_account_get(testing->ledger, id, &account, &testing->fault));
	return account;
}

static inline struct ledger_audit ledger_testing_audit(struct ledger_testing *testing)
{
	struct ledger_audit audit = {0};

	store_rollback(testing->store); /* what a test that failed has left */

	ledger_testing_good(testing, store_begin(testing->store, STORE_READ, &testing->fault));
	ledger_testing_good(testing, ledger_audit(testing->ledger, &audit, &testing->fault));
	store_rollback(testing->store);
	return audit;
}

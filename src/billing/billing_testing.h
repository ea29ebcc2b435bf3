/*
 * billing_testing: for tests, a small cloud around a poster: a store on a file, a journal on a
 * disk in memory, terms in an array, time that moves when told, and a gateway that holds,
 * settles and records calls by the same rules as the real one (gateway/admit.h, gateway/lease.h)
 * with nothing of HTTP.
 *
 * Everything that must not fail is checked. Threads: one.
 */
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "billing/billing.h"
#include "journal/journal.h"
#include "journal/memory_disk.h"
#include "ledger/ledger.h"
#include "store/store.h"
#include "store/store_testing.h"

#define TESTING_TERMS_MAX  128
#define TESTING_LEASES_MAX 64
#define TESTING_STREAMS    2
#define TESTING_CENT       (AMOUNT_NANO_PER_UNIT / 100)
#define TESTING_START_NS   1795478400000000000ull /* 2026-11-24T00:00:00Z */

struct testing_lease {
	int64_t available_nano;
	int64_t wanted_nano;
	int64_t taken_nano;
	uint64_t expires_ns;
	bool has_more;
	uint64_t granted_count;
};

/* A subscription as the gateway has it: what it counted in a month. */
struct testing_subscription {
	struct billing_terms terms;
	struct billing_terms moved; /* from this month on; 0: it stays */
	uint32_t moved_month;
	uint32_t month;
	struct rating_quantities used;
	struct rating_cloud_quantities cloud_used;
	struct testing_lease *account_lease; /* NULL: calls are not held */
	struct testing_lease *budget_leases[BILLING_LEVELS];
};

struct testing {
	struct store_testing files;
	struct store *store; /* the poster's */
	struct store *other; /* of everybody else */
	struct memory_disk disk;
	struct clock_manual clock;
	struct journal *journal;
	struct journal_stream *streams[TESTING_STREAMS];
	struct testing_subscription subscriptions[TESTING_TERMS_MAX];
	size_t subscription_count;
	struct testing_lease *leases[TESTING_LEASES_MAX];
	size_t lease_count;
	uint32_t segment_records;
	uint64_t call_count; /* settled; tells their ids apart */
	bool terms_hidden;   /* the source knows nothing */
	struct billing_options options;
	struct billing_poster *poster;
	struct fault fault;
	uint64_t changed_count;
};

/* Opens everything but the poster. The rate card charges nothing, the fee is 3 %. */
void testing_init(struct testing *testing);
/* The journal's segments are of this size, for more records than tests have. */
void testing_init_sized(struct testing *testing, uint32_t segment_records);
void testing_fini(struct testing *testing);

/* Opens a poster and recovers. */
void testing_start(struct testing *testing);
/* As a kill does: poster, journal and store are opened anew; what the gateway knew is gone, and
 * it starts from what was posted. */
void testing_kill(struct testing *testing);

/* The ids are the index + 1; consumer, provider and service share the number of their names. */
struct testing_subscription *testing_subscribe(struct testing *testing, const char *consumer,
					       const char *provider,
					       const struct rating_plan *plan);
/* From the month's start on it has another plan. */
void testing_move(struct testing_subscription *subscription, uint32_t month,
		  const struct rating_plan *plan);
const struct billing_terms *testing_terms(const struct testing_subscription *subscription,
					  uint32_t month);
struct rating_plan testing_unit_plan(int64_t nano, int64_t per);

void testing_fund(struct testing *testing, const char *account, int64_t nano);
/* The lease of the account; the poster is told. */
struct testing_lease *testing_lease_new(struct testing *testing, const char *account);
struct testing_lease *testing_budget_lease_new(struct testing *testing,
					       const struct testing_subscription *subscription);
/* The lease of a budget of any level, for all subscriptions that it bounds. */
struct testing_lease *testing_level_lease_new(struct testing *testing,
					      struct billing_budget_key key);

/* ---- calls ---- */

struct testing_call {
	struct testing_subscription *subscription;
	struct testing_lease *leases[1 + BILLING_LEVELS]; /* that it holds from; NULL: none */
	int64_t held_nano;
	uint64_t request_bytes;
	uint64_t response_bytes;
	uint32_t service_us;
	uint16_t status;
	bool is_report; /* of units alone, as JOURNAL_REPORTED: no call of its own */
	uint64_t units[JOURNAL_RECORD_UNITS];
	uint64_t memory_mib_us;
	uint64_t cpu_milli_us;
	enum rating_path path;
};

enum testing_outcome { TESTING_ADMITTED, TESTING_WAITS, TESTING_REFUSED };

/* Takes hold_nano from the leases that the subscription has. */
enum testing_outcome testing_admit(struct testing *testing, struct testing_call *call,
				   int64_t hold_nano);
/* Charges, writes the record into the stream, gives back what was not needed. Returns the
 * charge. */
int64_t testing_settle(struct testing *testing, struct testing_call *call, uint32_t stream);
/* A call that nobody holds anything for: the gateway's counters and the record. */
int64_t testing_call(struct testing *testing, struct testing_subscription *subscription,
		     uint32_t stream);

/* ---- what came of it ---- */

/* Makes the journal durable and turns until nothing is left; returns the records posted. */
uint64_t testing_post(struct testing *testing);
/* Credits posted less debits posted; 0 where there is no such account. */
int64_t testing_balance(struct testing *testing, uint32_t ledger, const char *name);
int64_t testing_pending(struct testing *testing, uint32_t ledger, const char *name);
/* Audits the ledger: sums zero, balances the fold of the transfers. */
void testing_audit(struct testing *testing);
/* Of the account's transfers of these kinds in the period: debits less credits. */
int64_t testing_charged(struct testing *testing, const char *name, uint32_t period);
struct billing_counts testing_counts(const struct testing *testing);
uint64_t testing_seed(void); /* of this run, printed; STOA_SEED gives it */

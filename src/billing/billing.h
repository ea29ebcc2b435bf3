/*
 * billing: from call records to money that changed hands: charges, leases, statements.
 *
 * The poster follows the journal. One turn reads what is new, sums it by subscription and
 * calendar month (UTC, of the settlement), and in ONE store transaction writes how far it read,
 * the new quantities, the minutes, the transfers and the leases:
 *
 *	usage	consumer -> provider	R(Q + q) - R(Q), the plan's prices
 *	cloud	consumer -> operator	the same by the operator's rate card
 *	fee	provider -> operator	F(U + u) - F(U), millionths of the usage charged
 *
 * so that each record counts exactly once, whatever is killed when. The ids of transfers derive
 * from (node, records posted before the turn, subscription, month, kind): the same records
 * posted again would meet their own transfers.
 *
 * A lease is money that the ledger has reserved for this node: a pending transfer from the
 * account to `leases:<node>`. The gateway admits calls against it (struct billing_lease_port is
 * its face here). Always, for each lease:
 *
 *	pending in the ledger >= free in the gateway + held by calls + settled and not yet posted
 *
 * and therefore what is charged never exceeds what is pending: the gateway's holds cover each
 * call at its dearest, R is monotone, and the records that were posted are some of those that
 * the gateway settled. Money leaves the gateway before the ledger lets it go, and comes to the
 * gateway after the ledger has it. A budget (of a subscription, an app or an account) is a ledger
 * account of its own (in LEDGER_BUDGETS), leased and charged in the same way beside the account's
 * lease.
 *
 * What cannot be rated (subscription or plan unknown) is parked: stored whole in the same
 * transaction in which the cursor moves past it, told by the status, and posted once its terms
 * are there. A charge that its account cannot pay (which leases rule out, unless one expired) is
 * never dropped: it is owed, by the account `owed:<name>`, and counted. That what callers were
 * told sums to what was posted is compared whenever the journal is drained; a difference is
 * counted and logged, never fatal.
 *
 * Faults: the store's, the journal's; FAULT_DAMAGED where quantities, charges and ledger do not
 * fit each other. After a fault nothing has changed but in memory, and the turn is done again.
 * Threads: a poster belongs to one thread, but for the functions marked "any thread". The others
 * belong to the thread of their store handle.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/audit.h"
#include "base/amount.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/ids.h"
#include "base/slice.h"
#include "base/text.h"
#include "journal/journal.h"
#include "ledger/ledger.h"
#include "rating/rating.h"
#include "store/store.h"

#define BILLING_NAME_MAX        136   /* bytes of a name, with the NUL: "account/app" */
#define BILLING_TURN_RECORDS    65536 /* read in one turn, unless the options say less */
#define BILLING_PARKED_MAX      65536 /* records; with more the poster stops and says so */
#define BILLING_NODES_MAX       256
#define BILLING_LEASE_TIMEOUT_S 120     /* in the ledger */
#define BILLING_LEASE_GATEWAY_S 60      /* in the gateway: so much earlier it stops */
#define BILLING_LEASE_IDLE_S    5       /* without a call: the money goes back */
#define BILLING_LINES_MAX       1000000 /* of a statement */

/* Names in the ledger. An account's ledger account has its name. */
#define BILLING_OPERATOR "operator" /* the cloud owner: earns cloud and fee; may go below zero */
#define BILLING_OUTSIDE  "outside"  /* where money comes from and goes to */
/* leases:<node>, owed:<account>; in LEDGER_BUDGETS: budgets, spent, leases:<node>,
 * budget:<subscription>, budget:app:<app>, budget:account:<account>, and of those that come anew
 * each month with the month behind it: budget:<subscription>:<2026-11> */

/* What ledger accounts are for: struct ledger_account, code. */
enum billing_code {
	BILLING_CODE_ACCOUNT = 1,
	BILLING_CODE_OPERATOR = 2,
	BILLING_CODE_OUTSIDE = 3,
	BILLING_CODE_LEASES = 4,
	BILLING_CODE_OWED = 5,
	BILLING_CODE_BUDGET = 6,
	BILLING_CODE_BUDGETS = 7, /* where budgets come from */
	BILLING_CODE_SPENT = 8,   /* where they go */
};

/* Creates and updates the tables; after those of ledger and meter. Outside of a transaction. */
int billing_migrate(struct store *store, struct fault *fault);
/* Up to which position each stream of the node's journal is posted: the poster's cursors. */
int billing_positions_load(struct store *store, uint32_t node,
			   uint64_t ret_positions[JOURNAL_STREAMS_MAX], struct fault *fault);

/* ---- what a call's price depends on ---- */

/* Everything that posting and statements ask of a subscription in a month. But for the budget it
 * never changes: a month has one plan version, though the next may have another. */
struct billing_terms {
	struct subscription_id subscription;
	struct plan_id plan;
	struct account_id account; /* the consumer */
	struct app_id app;
	struct service_id service;
	struct account_id provider;
	struct rating_plan rating;
	int64_t budget_nano; /* -1: none */
	bool budget_monthly; /* else for the subscription's whole life */
	char account_name[BILLING_NAME_MAX];
	char app_name[BILLING_NAME_MAX]; /* "account/app" */
	char service_name[BILLING_NAME_MAX];
	char provider_name[BILLING_NAME_MAX];
	char plan_name[BILLING_NAME_MAX];
	char units[RATING_UNITS_MAX][BILLING_NAME_MAX]; /* slot -> name; "": free slot */
};

/* Where terms come from. `store` is the handle of who asks. FAULT_NOT_FOUND: unknown. */
struct billing_terms_source {
	int (*find)(void *context, struct store *store, struct subscription_id subscription,
		    uint32_t month, struct billing_terms *ret_terms, struct fault *fault);
	void *context;
};

/* From catalog and account. */
struct billing_terms_source billing_terms_of_catalog(void);

/* What was posted for a subscription in a month, under the rate card now in force: where the
 * gateway starts counting from. After billing_poster_recover. */
int billing_used(struct store *store, struct subscription_id subscription, uint32_t month,
		 struct rating_quantities *ret_used, struct rating_cloud_quantities *ret_cloud_used,
		 struct fault *fault);

/* ---- accounts and money ---- */

/* The ledger account of an account, FAULT_NOT_FOUND where it has none yet. */
int billing_account_find(struct store *store, struct slice account_name,
			 struct ledger_account_id *ret_id, struct fault *fault);
/* The same, made where missing. In the caller's write transaction. */
int billing_account_ensure(struct store *store, struct slice account_name,
			   struct ledger_account_id *ret_id, struct fault *fault);

/* outside -> account, once for each `key` (any text; a caller's idempotency key). The same again
 * changes nothing and succeeds; another account or amount under the key is FAULT_CONFLICT.
 * *ret_created false: it was there. What the account owes is paid first. In the caller's write
 * transaction; afterwards billing_poster_wake. */
int billing_fund(struct store *store, struct slice account_name, struct amount amount,
		 struct slice key, uint64_t now_ns, bool *ret_created, struct fault *fault);

struct billing_balance {
	struct ledger_account_id ledger_account;
	int64_t available_nano; /* may be spent now; leased money is not in it */
	int64_t leased_nano;    /* reserved for nodes */
	int64_t owed_nano;      /* charged and not paid */
	int64_t balance_nano;   /* available + leased - owed */
};

/* FAULT_NOT_FOUND where the account has no ledger account. */
int billing_balance_get(struct store *store, struct slice account_name,
			struct billing_balance *ret_balance, struct fault *fault);

/* ---- budgets: bounds on what is spent, beside the balance ---- */

/* Whom a budget bounds. A call needs room at every level that has one. */
enum billing_level {
	BILLING_LEVEL_SUBSCRIPTION,
	BILLING_LEVEL_APP,     /* all of its subscriptions together */
	BILLING_LEVEL_ACCOUNT, /* all of its apps together */
	BILLING_LEVELS
};

struct billing_budget_key {
	enum billing_level level;
	uint64_t id; /* of the subscription, the app or the account */
};

struct billing_budget {
	struct billing_budget_key key;
	int64_t nano; /* -1: none */
	bool monthly; /* else for ever */
};

/* Whose budget it is; 0: no subscription's. */
static inline struct subscription_id billing_budget_subscription(struct billing_budget_key key)
{
	return (struct subscription_id){key.level == BILLING_LEVEL_SUBSCRIPTION ? key.id : 0};
}

/* Of an app or an account: sets it, or removes it (-1). What was spent stays counted: a budget
 * that is set again in its period goes on where it stood. *ret_changed false: it was so. In the
 * caller's write transaction; afterwards billing_poster_budget_changed. */
int billing_budget_put(struct store *store, const struct billing_budget *budget, bool *ret_changed,
		       struct fault *fault);
/* Of an app or an account; nano -1 where there is none. */
int billing_budget_get(struct store *store, struct billing_budget_key key,
		       struct billing_budget *ret_budget, struct fault *fault);
/* What was charged to the budget in its period, which `month` is in, as far as it is posted. Of
 * any level. */
int billing_budget_spent(struct store *store, const struct billing_budget *budget, uint32_t month,
			 int64_t *ret_nano, struct fault *fault);

/* ---- leases, as the poster sees whoever spends them ---- */

struct billing_lease_state {
	int64_t available_nano; /* no call holds it */
	int64_t wanted_nano;    /* the largest hold asked in vain since the last poll; 0: none */
	int64_t taken_nano;     /* holds taken since the beginning */
};

/* Called in the poster's thread. `handle` is what was given to billing_poster_lease_add. */
struct billing_lease_port {
	struct billing_lease_state (*poll)(void *context, void *handle);
	/* Adds money (0 is allowed) and moves the expiry (monotonic). */
	void (*grant)(void *context, void *handle, int64_t nano, uint64_t expires_ns);
	/* Takes back at most `nano` that no call holds; returns how much. */
	int64_t (*reclaim)(void *context, void *handle, int64_t nano);
	/* Whether the ledger has more: if not, calls are refused instead of waiting. */
	void (*set_source)(void *context, void *handle, bool has_more);
	/* Grants or sources changed: waiting calls look again. */
	void (*changed)(void *context);
	void *context;
};

/* ---- the poster ---- */

struct billing_options {
	struct store *store; /* the poster's own handle */
	struct journal *journal;
	const struct clock *clock;
	struct billing_terms_source terms;
	struct billing_lease_port leases;
	struct rating_card card;
	uint32_t fee_ppm;      /* of usage; 0 .. 1,000,000 */
	uint32_t node;         /* 1 .. BILLING_NODES_MAX - 1 */
	uint32_t turn_records; /* 0: BILLING_TURN_RECORDS; tests use few */
};

struct billing_poster;

/* The store was migrated. Makes the cloud's own ledger accounts. */
int billing_poster_open(const struct billing_options *options, struct billing_poster **ret_poster,
			struct fault *fault);
/* Changes nothing in the store: what was leased stays pending until it is recovered or expires. */
void billing_poster_close(struct billing_poster *poster);

/* Before the gateway opens, once: posts the whole journal (its records at the prices that were
 * in force), then voids what an earlier run of this node had leased, then puts the options' rate
 * card in force. After a fault it may be called again. */
int billing_poster_recover(struct billing_poster *poster, struct fault *fault);

/* One turn. *ret_posted is how many records it posted or parked; less than turn_records means
 * that the journal's durable records are drained. Call it when woken, and every 10 ms. */
int billing_poster_turn(struct billing_poster *poster, uint64_t *ret_posted, struct fault *fault);

/* After the gateway has stopped and the journal is durable to its end (FAULT_BUSY else): posts
 * what is left and gives all leases back to the ledger. */
int billing_poster_finish(struct billing_poster *poster, struct fault *fault);

/* ---- any thread; taken up by the next turn ---- */

/* From now on the handle has the lease of this account (LEDGER_MONEY), as the only one. */
void billing_poster_lease_add(struct billing_poster *poster, struct ledger_account_id account,
			      void *handle);
/* The handle has the lease of this budget, month after month. */
void billing_poster_budget_add(struct billing_poster *poster, struct billing_budget_key budget,
			       void *handle);
/* The budget of an app or an account was set or removed. */
void billing_poster_budget_changed(struct billing_poster *poster, struct billing_budget_key budget);
/* Takes back what no call holds; the handle is not used any more once `released` was called
 * in the poster's thread, when no call can hold anything either. */
void billing_poster_lease_remove(struct billing_poster *poster, void *handle,
				 void (*released)(void *context, void *handle), void *context);
/* The account got money. */
void billing_poster_wake(struct billing_poster *poster, struct ledger_account_id account);
/* The budget of the subscription was changed: its terms are read again. */
void billing_poster_terms_changed(struct billing_poster *poster,
				  struct subscription_id subscription);

/* COUNTER or GAUGE, name, sentence */
#define BILLING_COUNTS(X)                                                                         \
	X(COUNTER, turns, "transactions committed")                                               \
	X(COUNTER, records, "call records read from the journal")                                 \
	X(COUNTER, records_billed, "of them, those that counted for charges")                     \
	X(COUNTER, transfers, "ledger transfers made for charges and leases")                     \
	X(GAUGE, parked, "records whose subscription or plan is unknown, waiting, now")           \
	X(GAUGE, leases, "leases, now")                                                           \
	X(GAUGE, leased_nano, "money reserved in the ledger for this node, now")                  \
	X(COUNTER, owed, "charges that their account could not pay")                              \
	X(COUNTER, lease_overruns, "leases that were charged more than was pending")              \
	X(COUNTER, mismatches, "times that what callers were told differed from what was posted") \
	X(COUNTER, mismatch_nano, "by how much, signs dropped, summed")                           \
	X(COUNTER, faults, "turns that failed and were done again")

struct billing_counts {
#define X(kind, name, sentence) uint64_t name;
	BILLING_COUNTS(X)
#undef X
};

void billing_poster_counts(const struct billing_poster *poster, struct billing_counts *ret_counts);
/* Every record of the stream below it is in the ledger. */
uint64_t billing_poster_position(const struct billing_poster *poster, uint32_t stream);

/* ---- statements ---- */

enum billing_kind { BILLING_USAGE, BILLING_CLOUD, BILLING_FEE };
/* In which part of the trade the account has the line. */
enum billing_role { BILLING_CONSUMER, BILLING_PROVIDER, BILLING_AS_OPERATOR };

const char *billing_kind_name(enum billing_kind kind); /* usage, cloud, fee */
const char *billing_role_name(enum billing_role role); /* consumer, provider, operator */

/* A consumer's lines are one for each subscription; a provider's and the operator's are summed
 * over subscriptions, and have no app. Quantities are as they were counted: calls, bytes,
 * milliseconds, units; of a discount (meter "usage") the usage (nano) that it is taken from; of
 * `gib_seconds` MiB x microseconds and of `vcpu_seconds` thousandths x microseconds (rating.h has
 * the divisors); of a fee the usage (nano) that it is taken from. */
struct billing_line {
	enum billing_kind kind;
	enum billing_role role;
	struct service_id service;
	struct plan_id plan;
	struct app_id app;
	struct subscription_id subscription;
	const char *service_name;
	const char *plan_name;
	const char *app_name; /* "account/app", or "" */
	const char *meter;    /* of the price; units by their name; of fee and discount: "usage" */
	const char *model; /* of the price; rating_step_name of a discount; "" for cloud and fee */
	int64_t quantity;  /* see below */
	int64_t amount_nano; /* owed by the account; below zero: owed to it */
};

/* Zero stands for any. */
struct billing_statement_query {
	struct slice account_name;
	uint32_t month;
	struct app_id app;
	struct subscription_id subscription;
	struct service_id service;
};

struct billing_statement {
	uint32_t month;
	size_t line_count;
	struct billing_line *lines; /* by role, service, plan, app, kind */
	int64_t total_nano;         /* the sum of amounts: what the account owes for the month */
};

/* Every line is recomputed from its quantity and compared with what was charged; FAULT_DAMAGED
 * where they differ. Without filters the total is what the account's ledger transfers of the
 * month sum to (kinds usage, cloud and fee). Freed by billing_statement_free. */
int billing_statement_make(struct store *store, const struct billing_terms_source *terms,
			   const struct billing_statement_query *query,
			   struct billing_statement **ret_statement, struct fault *fault);
/* NULL is allowed. */
void billing_statement_free(struct billing_statement *statement);

/* ---- bills: a month's statement that anybody can check (audit_bill_verify) ---- */

struct billing_bill_options {
	struct store *store;
	const struct billing_terms_source *terms;
	struct journal *journal;
	struct audit_logs *logs; /* the journal's */
	uint32_t node;
	const char *currency;
	struct slice account_name;
	uint32_t month;
	uint64_t now_ns;
};

struct billing_bill;

/* Takes what the bill says as the store has it now; later calls do not enter it. FAULT_BUSY where
 * the logs have not caught up with its records yet. What `options` points to outlives the bill,
 * but for the account's name. */
int billing_bill_open(const struct billing_bill_options *options, struct billing_bill **ret_bill,
		      struct fault *fault);
/* NULL is allowed. */
void billing_bill_close(struct billing_bill *bill);
/* Appends the next piece, some ten KiB beyond the first, which has the lines; it may be empty, when
 * nothing of the account was in what was read. *ret_done: that was the last. After a fault the
 * bill cannot be made. */
int billing_bill_next(struct billing_bill *bill, struct text *output, bool *ret_done,
		      struct fault *fault);

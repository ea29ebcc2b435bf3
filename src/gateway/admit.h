/*
 * admit: who may call, how often, how much at once and for how much money; and what it cost in
 * the end. Knows no HTTP, so that any other way to call shares it.
 *
 *	admit_enter	rate (GCRA), concurrency, quota
 *	admit_hold	the most that the call can cost, from the leases of the account's money and
 *			of the budgets of subscription, app and account: from all or from none
 *	admit_extend	more of the same while a long transfer goes on
 *	admit_hold_again	what the next part of a long call can cost
 *	admit_settle	the actual charge by R(Q + q) - R(Q); the rest of the hold goes back
 *	admit_leave	the end of what admit_enter began
 *
 * Invariant: whatever the interleaving over threads, the sum of charges settled never exceeds
 * the sum of holds taken, and equals R of the summed quantities to the nano.
 *
 * Threads: any. All state is a subscription's atomics.
 * Time: handed in; now_ns is monotonic, wall_ns Unix.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gateway/gateway.h"
#include "gateway/lease.h"

/* The quantities of one calendar month, so far. */
struct admit_period {
	_Atomic uint32_t month;
	_Atomic int64_t calls_admitted; /* for the quota */
	_Atomic int64_t used[RATING_METERS];
	_Atomic int64_t cloud_used[RATING_CLOUD_METERS];
	_Atomic int64_t list_nano; /* U, where the plan discounts it */
};

struct admit_plan {
	struct rating_plan rating;
	struct gateway_limits limits;
	int64_t call_most_nano; /* of its first part */
	int64_t first_nano;     /* rating_plan_first of a month in which nothing was used */
	uint64_t part_ns;       /* of a call: what one hold covers */
};

/* The mutable state of a subscription: each part on cache lines of its own. */
struct admit_state {
	_Alignas(64) _Atomic uint64_t arrival_ns; /* GCRA's theoretical arrival time */
	_Atomic uint32_t in_flight;
	_Alignas(64) struct admit_period periods[2]; /* by month modulo 2 */
};

/* What a caller may still do after this call, as of its admission. */
struct admit_left {
	uint64_t rate_calls; /* at once */
	uint64_t more_ns;    /* until one more is; 0: none is lacking */
	uint64_t quota_calls;
};

enum admit_outcome {
	ADMIT_DONE,
	ADMIT_WAIT,        /* admit_hold, admit_extend: the ledger was asked; try again */
	ADMIT_RATE,        /* too soon */
	ADMIT_CONCURRENCY, /* too many at once */
	ADMIT_QUOTA,
	ADMIT_BALANCE, /* the account cannot pay */
	ADMIT_BUDGET,  /* the subscription's budget does not cover it; those behind: the same .. */
	ADMIT_BUDGET_OF_APP,
	ADMIT_BUDGET_OF_ACCOUNT,
};

/* What a call holds; part of the call's own memory. */
struct admit_hold {
	struct gateway_lease *account;
	struct gateway_lease *budgets[GATEWAY_LEVELS]; /* or NULL */
	int64_t nano;
	int64_t left_nano; /* after a refusal: what whoever refused has for calls */
};

/* What a call used, capped, and what it cost. */
struct admit_charge {
	struct rating_quantities used;
	struct rating_cloud_quantities cloud_used;
	int64_t usage_nano;
	int64_t cloud_nano;
};

/* Sets the quantities known to be used in `month`, whose list usage is list_nano. Before the state
 * is shared. */
void admit_state_init(struct admit_state *state, uint32_t month,
		      const struct rating_quantities *used,
		      const struct rating_cloud_quantities *cloud_used, int64_t list_nano);

/* On a refusal nothing is left behind; *ret_retry_after_ns is set for ADMIT_RATE. */
enum admit_outcome admit_enter(struct admit_state *state, const struct admit_plan *plan,
			       uint64_t now_ns, uint64_t wall_ns, uint64_t *ret_retry_after_ns);

/* After admit_enter, whatever it said; of a limit that the plan has not, 0. */
void admit_left(struct admit_state *state, const struct admit_plan *plan, uint64_t now_ns,
		uint64_t wall_ns, struct admit_left *ret_left);

/* The most that a month's first use of a meter may bring with a call that settles soon. */
int64_t admit_first_nano(struct admit_state *state, const struct admit_plan *plan,
			 uint64_t wall_ns);

/* Takes call_most, admit_first_nano and cloud_most_nano. `hold`
 * has its leases set and nano 0; nothing is held unless ADMIT_DONE. */
enum admit_outcome admit_hold(struct admit_state *state, const struct admit_plan *plan,
			      int64_t cloud_most_nano, uint64_t now_ns, uint64_t wall_ns,
			      struct admit_hold *hold);
enum admit_outcome admit_extend(struct admit_hold *hold, int64_t nano, uint64_t now_ns);

/* Charges `charge->used`, which is capped here to what is `left` of the call's bounds, and
 * `charge->cloud_used`. The rest of the hold is released, but where the call goes on: this is a
 * part of it then. False where a quantity overflows or the charge would exceed the hold (a service
 * that was resized in between): then nothing is charged, and so of the whole hold. */
bool admit_settle(struct admit_state *state, const struct admit_plan *plan,
		  const struct rating_card *card, uint64_t wall_ns, const struct rating_left *left,
		  bool goes_on, struct admit_hold *hold, struct admit_charge *charge);
/* Makes the hold so much, by giving back or taking. On a refusal it stays as it is. */
enum admit_outcome admit_hold_again(struct admit_hold *hold, int64_t nano, uint64_t now_ns);
/* Gives the whole hold back: the call costs nothing. */
void admit_release(struct admit_hold *hold);

/* `counted`: the call counts for the quota. wall_ns: that of admit_enter. */
void admit_leave(struct admit_state *state, const struct admit_plan *plan, uint64_t wall_ns,
		 bool counted);

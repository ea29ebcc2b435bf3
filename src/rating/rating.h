/*
 * rating: from quantities to charges. Pure: no clock, no store, no memory of its own.
 *
 * A period's charge for one meter of one subscription is R(Q), a function of the cumulative
 * integer quantity Q alone. A posting that moves Q by q charges R(Q + q) - R(Q). So:
 *
 *   - postings sum to R(Q) to the nano, however the quantities were split and in any order;
 *   - rounding (half to even) happens once, inside R, and never accumulates;
 *   - free allowances and tiers are exact call by call;
 *   - anybody can recompute a bill from its quantities.
 *
 * R is monotone: a posting is never negative.
 *
 * A call's quantities are capped before they count (rating_call_cap), by a rule that looks at
 * the call and the plan only, never at Q, so that the order of calls still does not matter.
 *
 * What the prices come to together, U, is the list usage. A plan's discount makes of it what is
 * charged: N(U), again a pure and monotone function of a cumulative integer, which grows by no more
 * than U does. So two levels telescope: each R over its quantity, and N over U.
 *
 * Rounding is the reason for one nano more: with a rate that is no whole number of nano, the
 * same q costs floor(q x rate) or one nano more, as the rounding of R falls. Whatever speaks of
 * the most that a call can cost (rating_call_cap, rating_plan_call_most, rating_cloud_most)
 * counts that nano in.
 *
 * Threads: any (values). Errors: only overflow of int64, reported as false; results are then
 * left alone. A negative quantity is a bug.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/amount.h"

#define RATING_TIERS_MAX  8
#define RATING_PRICES_MAX 8
#define RATING_UNITS_MAX  4 /* custom units of a plan's service */

/* What can be counted of a call. The first four are measured by the gateway, the rest are
 * declared by the service; which unit has which slot is the service's (catalog). */
enum rating_meter {
	RATING_CALLS,
	RATING_REQUEST_BYTES,
	RATING_RESPONSE_BYTES,
	RATING_DURATION_MS,
	RATING_UNIT_0,
	RATING_UNIT_1,
	RATING_UNIT_2,
	RATING_UNIT_3,
	RATING_METERS
};

struct rating_quantities {
	int64_t of[RATING_METERS]; /* >= 0 */
};

/* `nano` for every `per` units; exact, not a quotient. */
struct rating_rate {
	int64_t nano; /* >= 0 */
	int64_t per;  /* >= 1 */
};

enum rating_model {
	RATING_FREE,     /* nothing */
	RATING_FLAT,     /* rate.nano once a period, with the period's first call */
	RATING_UNIT,     /* rate times what is over the allowance, one rounding */
	RATING_PACKAGE,  /* rate.nano for each begun package of rate.per units */
	RATING_GRADUATED /* each tier's units at the tier's rate, one rounding of the sum */
};
#define RATING_MODELS (RATING_GRADUATED + 1)

struct rating_tier {
	int64_t up_to; /* inclusive, counted after the allowance; the last one INT64_MAX */
	struct rating_rate rate;
};

struct rating_price {
	enum rating_meter meter; /* RATING_CALLS for RATING_FLAT */
	enum rating_model model;
	int64_t free_units; /* allowance a period */
	struct rating_rate rate;
	uint32_t tier_count;
	struct rating_tier tiers[RATING_TIERS_MAX];
	int64_t minimum_nano; /* what a period with any use of the meter costs at least */
};

struct rating_plan {
	uint32_t price_count;
	struct rating_price prices[RATING_PRICES_MAX];
	int64_t max_units[RATING_UNITS_MAX]; /* most that one call may count; INT64_MAX: any */
	int64_t max_charge_nano;             /* most that one call may cost; -1: none stated */
	bool bill_always;                    /* else only calls answered below 500 */
	uint32_t discount_ppm;               /* off a period's list usage; 0 .. 1,000,000 */
	int64_t discount_nano;               /* off what is left of it then; >= 0 */
};

/* Whether the functions below may be given this: rates and counts in range, tiers that ascend
 * to INT64_MAX, rates whose sum has an exact common denominator within int64, and a max_charge
 * that covers the price of one call. Publishing refuses what is not. */
bool rating_price_valid(const struct rating_price *price);
bool rating_plan_valid(const struct rating_plan *plan);
/* The same prices in the same order, and the same bounds. */
bool rating_plan_equal(const struct rating_plan *a, const struct rating_plan *b);

/* R(Q) of one price. Q >= 0. */
bool rating_charge(const struct rating_price *price, int64_t quantity, int64_t *ret_nano)
	__attribute__((warn_unused_result));

/* U: the sum of R over all prices of the plan. */
bool rating_plan_list(const struct rating_plan *plan, const struct rating_quantities *quantities,
		      int64_t *ret_nano) __attribute__((warn_unused_result));
/* N(U): what the quantities cost. */
bool rating_plan_charge(const struct rating_plan *plan, const struct rating_quantities *quantities,
			int64_t *ret_nano) __attribute__((warn_unused_result));

/* What this call adds to U, and *before moves on. Of meters that the call does not move, *before is
 * not looked at. On overflow, of a quantity, of a price's R or of the sum returned, nothing
 * moves. */
bool rating_plan_list_advance(const struct rating_plan *plan, struct rating_quantities *before,
			      const struct rating_quantities *call, int64_t *ret_nano)
	__attribute__((warn_unused_result));
/* What this call adds to N(U); *before is of the whole period, and moves on. */
bool rating_plan_advance(const struct rating_plan *plan, struct rating_quantities *before,
			 const struct rating_quantities *call, int64_t *ret_nano)
	__attribute__((warn_unused_result));

/* ---- from the list usage U to what is charged, N(U) ---- */

/* One after the other, each rounded by itself. */
enum rating_step {
	RATING_PERCENT_OFF, /* discount_ppm millionths; what is left is rounded half to even */
	RATING_AMOUNT_OFF   /* discount_nano, or all there is */
};
#define RATING_STEPS (RATING_AMOUNT_OFF + 1)

/* Whether N(U) can be another than U. */
bool rating_plan_discounts(const struct rating_plan *plan);
/* What a step takes off what the one before it left. */
struct rating_discount {
	enum rating_step step;
	int64_t from_nano;
	int64_t off_nano; /* 0 .. from_nano */
};
/* The steps that the plan has and that find more than nothing; returns how many. */
unsigned rating_plan_steps(const struct rating_plan *plan, int64_t list_nano,
			   struct rating_discount ret_steps[RATING_STEPS]);
int64_t rating_plan_net(const struct rating_plan *plan, int64_t list_nano);
/* "percent_off", "amount_off" */
const char *rating_step_name(enum rating_step step);

/* What of a call counts: units are cut to max_units, and, where max_charge is stated, the
 * meters are cut one after the other, in the order of the plan's prices, to what max_charge
 * still covers at the meter's dearest rate. `calls` is never cut: its price is set aside first
 * (a plan whose price for one call exceeds max_charge is refused when it is published). */
void rating_call_cap(const struct rating_plan *plan, struct rating_quantities *call);

/* A call that is counted in parts, one after the other: what the earlier parts left of max_charge
 * and max_units. What each part may count follows from this and the part alone, so that a part can
 * be rated without the others; together they stay within the call's bounds. */
struct rating_left {
	int64_t charge_nano; /* -1: no max_charge */
	int64_t units[RATING_UNITS_MAX];
};

/* Of a call that has not begun. */
struct rating_left rating_left_of(const struct rating_plan *plan);
/* rating_call_cap for one part; its `calls` is 1 or, behind the first, 0. */
void rating_part_cap(const struct rating_plan *plan, const struct rating_left *left,
		     struct rating_quantities *part);
/* Takes off what a part, capped, counted: at the most that it can have cost. */
void rating_left_take(const struct rating_plan *plan, const struct rating_quantities *part,
		      struct rating_left *left);

/* The most units of one call that cost at most so much by this price, whatever Q is. */
int64_t rating_price_units_within(const struct rating_price *price, int64_t nano);

/* The most that one call can cost beyond rating_plan_first, whatever Q is: worked out from `most`,
 * the largest quantities of one call (units also by max_units), and never above max_charge where
 * that is stated. A discount of so many per cent lowers it, one of an amount does not. False where
 * it is not stated and a priced meter has no bound (most->of[m] == INT64_MAX) or the sum overflows.
 */
bool rating_plan_call_most(const struct rating_plan *plan, const struct rating_quantities *most,
			   int64_t *ret_nano) __attribute__((warn_unused_result));
/* The same for one part of it. */
bool rating_part_most(const struct rating_plan *plan, const struct rating_left *left,
		      const struct rating_quantities *most, int64_t *ret_nano)
	__attribute__((warn_unused_result));
/* The most that a call can bring with it because it is the period's first to use a meter: flat
 * prices and minimums of meters that `used` has at zero. */
int64_t rating_plan_first(const struct rating_plan *plan, const struct rating_quantities *used);

/* ---- how R(Q) comes about, for people to follow ---- */

enum rating_part_kind {
	RATING_PART_FREE,     /* the allowance; costs nothing */
	RATING_PART_MONTH,    /* a flat price, once */
	RATING_PART_UNITS,    /* at the price's rate */
	RATING_PART_PACKAGES, /* begun */
	RATING_PART_TIER,     /* what of the quantity lies in it */
	RATING_PART_MINIMUM   /* what is missing to it */
};
#define RATING_PART_KINDS (RATING_PART_MINIMUM + 1)
#define RATING_PARTS_MAX  (RATING_TIERS_MAX + 2)

struct rating_part {
	enum rating_part_kind kind;
	int64_t units;           /* of the meter; of packages and months how many */
	struct rating_rate rate; /* of one of them, or of `per` */
	int64_t nano;            /* what they come to: so many nano .. */
	int64_t numerator;       /* .. and this fraction of one, in lowest terms */
	int64_t denominator;
};

struct rating_explained {
	unsigned part_count;
	struct rating_part parts[RATING_PARTS_MAX];
	int64_t nano;      /* R(Q) */
	int64_t numerator; /* the fraction of a nano of all parts, which is rounded half to even */
	int64_t denominator;
};

/* False on overflow. */
bool rating_explain(const struct rating_price *price, int64_t quantity,
		    struct rating_explained *ret_explained) __attribute__((warn_unused_result));
const char *rating_part_name(enum rating_part_kind kind); /* "free", "month", .. */

/* ---- what the cloud charges to run a call: the operator's rate card ---- */

enum rating_path {
	RATING_PATH_HOST,
	RATING_PATH_ZONE,
	RATING_PATH_CLOUD,
	RATING_PATH_INTERCLOUD,
	RATING_PATHS
};

enum rating_cloud_meter {
	RATING_CLOUD_CALLS,
	RATING_CLOUD_MIB_US,  /* memory share: declared MiB x microseconds / concurrency */
	RATING_CLOUD_MCPU_US, /* cpu share: declared thousandths x microseconds / concurrency */
	RATING_CLOUD_BYTES_HOST,
	RATING_CLOUD_BYTES_ZONE,
	RATING_CLOUD_BYTES_CLOUD,
	RATING_CLOUD_BYTES_INTERCLOUD,
	RATING_CLOUD_METERS
};

#define RATING_MIB_US_PER_GIB_SECOND   (1024ll * 1000000)
#define RATING_MCPU_US_PER_VCPU_SECOND (1000ll * 1000000)
#define RATING_BYTES_PER_GIB           (1ll << 30)

struct rating_cloud_quantities {
	int64_t of[RATING_CLOUD_METERS]; /* >= 0 */
};

struct rating_card {
	struct rating_rate of[RATING_CLOUD_METERS]; /* nano 0: not charged */
};

bool rating_cloud_meter_charge(const struct rating_card *card, enum rating_cloud_meter meter,
			       int64_t quantity, int64_t *ret_nano)
	__attribute__((warn_unused_result));
bool rating_cloud_charge(const struct rating_card *card,
			 const struct rating_cloud_quantities *quantities, int64_t *ret_nano)
	__attribute__((warn_unused_result));
bool rating_cloud_advance(const struct rating_card *card, struct rating_cloud_quantities *before,
			  const struct rating_cloud_quantities *call, int64_t *ret_nano)
	__attribute__((warn_unused_result));

/* The most that these quantities can add, whatever came before. */
bool rating_cloud_most(const struct rating_card *card, const struct rating_cloud_quantities *call,
		       int64_t *ret_nano) __attribute__((warn_unused_result));

/* A call's shares. memory_mib and cpu_milli are the instance's declared size (0 for an
 * upstream that the cloud does not run), concurrency the calls that it serves at once. */
void rating_cloud_of_call(uint32_t memory_mib, uint32_t cpu_milli, uint32_t concurrency,
			  uint64_t duration_us, enum rating_path path, uint64_t bytes,
			  struct rating_cloud_quantities *ret_call);

/* ---- the operator's fee on usage ---- */

/* F(U): `fee_ppm` millionths of the cumulative usage charge, half to even. Telescopes like R. */
bool rating_fee(int64_t usage_nano, uint32_t fee_ppm, int64_t *ret_nano)
	__attribute__((warn_unused_result));

/* How a service's time counts for RATING_DURATION_MS: begun milliseconds. */
static inline int64_t rating_milliseconds(uint64_t duration_us)
{
	return (int64_t)(duration_us / 1000 + (duration_us % 1000 != 0));
}

/* ---- names, for manifests, statements and records ---- */

const char *rating_meter_name(enum rating_meter meter); /* units: "unit_0" .. */
const char *rating_model_name(enum rating_model model);
/* "calls", "gib_seconds", "vcpu_seconds", "bytes_host", "bytes_zone", "bytes_cloud",
 * "bytes_intercloud". */
const char *rating_cloud_meter_name(enum rating_cloud_meter meter);

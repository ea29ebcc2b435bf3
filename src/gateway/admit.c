#include "gateway/admit.h"

#include "base/check.h"

#define PERIOD_CHANGING UINT32_MAX /* a worker empties the slot for its new month */

/* The slot of a month. Whoever comes first in a new month empties the slot of two months ago;
 * the others wait these few stores. */
static struct admit_period *period_of(struct admit_state *state, uint64_t wall_ns)
{
	const uint32_t month = clock_month_of(wall_ns);
	struct admit_period *period = &state->periods[month % 2];
	uint32_t seen = atomic_load_explicit(&period->month, memory_order_acquire);

	while (seen != month) {
		if (seen == PERIOD_CHANGING) {
			seen = atomic_load_explicit(&period->month, memory_order_acquire);
			continue;
		}
		if (!atomic_compare_exchange_weak(&period->month, &seen, PERIOD_CHANGING))
			continue;
		atomic_store(&period->calls_admitted, 0);
		for (unsigned i = 0; i < RATING_METERS; i++)
			atomic_store(&period->used[i], 0);
		for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
			atomic_store(&period->cloud_used[i], 0);
		atomic_store(&period->list_nano, 0);
		atomic_store_explicit(&period->month, month, memory_order_release);
		break;
	}
	return period;
}

void admit_state_init(struct admit_state *state, uint32_t month,
		      const struct rating_quantities *used,
		      const struct rating_cloud_quantities *cloud_used, int64_t list_nano)
{
	*state = (struct admit_state){0};
	struct admit_period *period = &state->periods[month % 2];

	atomic_store(&period->month, month);
	atomic_store(&period->calls_admitted, used->of[RATING_CALLS]);
	for (unsigned i = 0; i < RATING_METERS; i++)
		atomic_store(&period->used[i], used->of[i]);
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		atomic_store(&period->cloud_used[i], cloud_used->of[i]);
	atomic_store(&period->list_nano, list_nano);
}

/* GCRA, ITU-T I.371, "virtual scheduling". Nothing else is published with the word, so relaxed
 * order is enough. */
static bool rate_take(struct admit_state *state, const struct gateway_limits *limits,
		      uint64_t now_ns, uint64_t *ret_retry_after_ns)
{
	const uint64_t interval_ns = limits->rate_interval_ns;
	const uint64_t depth_ns = interval_ns * limits->burst;
	uint64_t seen_ns = atomic_load_explicit(&state->arrival_ns, memory_order_relaxed);
	uint64_t full_ns;

	do {
		full_ns = (seen_ns > now_ns ? seen_ns : now_ns) + interval_ns;
		if (full_ns - now_ns > depth_ns) {
			*ret_retry_after_ns = full_ns - now_ns - depth_ns;
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&state->arrival_ns, &seen_ns, full_ns, memory_order_relaxed, memory_order_relaxed));
	return true;
}

enum admit_outcome admit_enter(struct admit_state *state, const struct admit_plan *plan,
			       uint64_t now_ns, uint64_t wall_ns, uint64_t *ret_retry_after_ns)
{
	const struct gateway_limits *limits = &plan->limits;
	const uint32_t before =
		atomic_fetch_add_explicit(&state->in_flight, 1, memory_order_relaxed);

	if (limits->concurrency != 0 && before >= limits->concurrency) {
		atomic_fetch_sub_explicit(&state->in_flight, 1, memory_order_release);
		return ADMIT_CONCURRENCY;
	}
	if (limits->quota_calls >= 0) {
		struct admit_period *period = period_of(state, wall_ns);
		const int64_t admitted =
			atomic_fetch_add_explicit(&period->calls_admitted, 1, memory_order_relaxed);
		if (admitted >= limits->quota_calls) {
			atomic_fetch_sub_explicit(&period->calls_admitted, 1, memory_order_relaxed);
			atomic_fetch_sub_explicit(&state->in_flight, 1, memory_order_release);
			return ADMIT_QUOTA;
		}
	}
	if (limits->rate_interval_ns != 0 &&
	    !rate_take(state, limits, now_ns, ret_retry_after_ns)) {
		admit_leave(state, plan, wall_ns, false);
		return ADMIT_RATE;
	}
	return ADMIT_DONE;
}

void admit_left(struct admit_state *state, const struct admit_plan *plan, uint64_t now_ns,
		uint64_t wall_ns, struct admit_left *ret_left)
{
	const struct gateway_limits *limits = &plan->limits;
	struct admit_left left = {0};

	if (limits->rate_interval_ns != 0) {
		const uint64_t full_at_ns =
			atomic_load_explicit(&state->arrival_ns, memory_order_relaxed);
		const uint64_t interval_ns = limits->rate_interval_ns;
		const uint64_t depth_ns = interval_ns * limits->burst;
		const uint64_t lacking_ns = full_at_ns > now_ns ? full_at_ns - now_ns : 0;
		if (lacking_ns < depth_ns)
			left.rate_calls = (depth_ns - lacking_ns) / interval_ns;
		if (lacking_ns > 0)
			left.more_ns =
				lacking_ns - (depth_ns - (left.rate_calls + 1) * interval_ns);
	}
	if (limits->quota_calls >= 0) {
		const int64_t admitted = atomic_load_explicit(
			&period_of(state, wall_ns)->calls_admitted, memory_order_relaxed);
		if (admitted < limits->quota_calls)
			left.quota_calls = (uint64_t)(limits->quota_calls - admitted);
	}
	*ret_left = left;
}

void admit_leave(struct admit_state *state, const struct admit_plan *plan, uint64_t wall_ns,
		 bool counted)
{
	if (!counted && plan->limits.quota_calls >= 0)
		atomic_fetch_sub_explicit(&period_of(state, wall_ns)->calls_admitted, 1,
					  memory_order_relaxed);
	const uint32_t before =
		atomic_fetch_sub_explicit(&state->in_flight, 1, memory_order_release);
	check(before > 0);
}

/* The account's money first, then the budgets by their level. */
#define LEASES (1 + GATEWAY_LEVELS)

static_assert(ADMIT_BUDGET == ADMIT_BALANCE + 1 &&
		      ADMIT_BUDGET_OF_APP == ADMIT_BUDGET + GATEWAY_LEVEL_APP &&
		      ADMIT_BUDGET_OF_ACCOUNT == ADMIT_BUDGET + GATEWAY_LEVEL_ACCOUNT,
	      "refusals stand in the order of the leases");

static struct gateway_lease *lease_at(const struct admit_hold *hold, unsigned at)
{
	return at == 0 ? hold->account : hold->budgets[at - 1];
}

/* From every lease or from none. Where one has to wait the others behind it are asked all the
 * same, so that a call waits once for all of them, and not for what another refuses. */
static enum admit_outcome take_all(struct admit_hold *hold, int64_t nano, uint64_t now_ns)
{
	unsigned taken = 0; /* a bit for each */
	enum admit_outcome result = ADMIT_DONE;

	for (unsigned i = 0; i < LEASES; i++) {
		struct gateway_lease *lease = lease_at(hold, i);
		if (lease == NULL)
			continue;
		const enum lease_outcome outcome = lease_take(lease, nano, now_ns);
		if (outcome == LEASE_TAKEN)
			taken |= 1u << i;
		if (outcome == LEASE_REFUSED) {
			result = (enum admit_outcome)(ADMIT_BALANCE + i);
			hold->left_nano = atomic_load(&lease->available_nano);
			break;
		}
		if (outcome == LEASE_WAIT)
			result = ADMIT_WAIT;
	}
	if (result == ADMIT_DONE) {
		hold->nano += nano;
		return ADMIT_DONE;
	}
	for (unsigned i = 0; i < LEASES; i++) {
		if (taken & 1u << i)
			lease_release(lease_at(hold, i), nano);
	}
	return result;
}

int64_t admit_first_nano(struct admit_state *state, const struct admit_plan *plan, uint64_t wall_ns)
{
	const uint64_t later_ns = wall_ns + 2 * 86400 * CLOCK_NS_PER_S;
	struct rating_quantities used;

	/* A month's end may fall between hold and settlement, so that is held as well unless the
	 * month has two days to go. */
	if (plan->first_nano == 0 || clock_month_of(later_ns) != clock_month_of(wall_ns))
		return plan->first_nano;
	const struct admit_period *period = period_of(state, wall_ns);
	for (unsigned i = 0; i < RATING_METERS; i++)
		used.of[i] = atomic_load_explicit(&period->used[i], memory_order_relaxed);
	return rating_plan_first(&plan->rating, &used);
}

enum admit_outcome admit_hold(struct admit_state *state, const struct admit_plan *plan,
			      int64_t cloud_most_nano, uint64_t now_ns, uint64_t wall_ns,
			      struct admit_hold *hold)
{
	check_equal(hold->nano, 0);
	int64_t nano;

	if (__builtin_add_overflow(plan->call_most_nano, cloud_most_nano, &nano))
		return ADMIT_BALANCE;
	if (plan->first_nano != 0 &&
	    __builtin_add_overflow(nano, admit_first_nano(state, plan, wall_ns), &nano))
		return ADMIT_BALANCE;
	return take_all(hold, nano, now_ns);
}

enum admit_outcome admit_extend(struct admit_hold *hold, int64_t nano, uint64_t now_ns)
{
	return take_all(hold, nano, now_ns);
}

static void release(struct admit_hold *hold, int64_t nano)
{
	lease_release(hold->account, nano);
	for (unsigned level = 0; level < GATEWAY_LEVELS; level++) {
		if (hold->budgets[level] != NULL)
			lease_release(hold->budgets[level], nano);
	}
	hold->nano -= nano;
}

enum admit_outcome admit_hold_again(struct admit_hold *hold, int64_t nano, uint64_t now_ns)
{
	if (nano > hold->nano)
		return take_all(hold, nano - hold->nano, now_ns);
	release(hold, hold->nano - nano);
	return ADMIT_DONE;
}

void admit_release(struct admit_hold *hold)
{
	if (hold->nano > 0)
		release(hold, hold->nano);
}

/* Moves the shared counters by the call's quantities; `before` is what they were. Each call gets
 * an interval [before, before + q) of its own, so the charges telescope over all threads. */
static void period_advance(struct admit_period *period, const struct admit_charge *charge, int sign,
			   struct rating_quantities *before,
			   struct rating_cloud_quantities *cloud_before)
{
	for (unsigned i = 0; i < RATING_METERS; i++) {
		const int64_t quantity = charge->used.of[i];
		before->of[i] =
			quantity == 0 ? 0
				      : atomic_fetch_add_explicit(&period->used[i], sign * quantity,
								  memory_order_relaxed);
	}
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++) {
		const int64_t quantity = charge->cloud_used.of[i];
		cloud_before->of[i] =
			quantity == 0
				? 0
				: atomic_fetch_add_explicit(&period->cloud_used[i], sign * quantity,
							    memory_order_relaxed);
	}
}

/* N(U + u) - N(U), u being what the call adds to the list usage. U has a counter of its own, from
 * which each call takes its interval as it does of each quantity: so N telescopes over all threads
 * too, whichever of them took its quantities first. */
static int64_t discount(struct admit_period *period, const struct rating_plan *plan,
			int64_t list_nano)
{
	const int64_t before_nano =
		atomic_fetch_add_explicit(&period->list_nano, list_nano, memory_order_relaxed);
	int64_t after_nano;

	if (before_nano < 0 || __builtin_add_overflow(before_nano, list_nano, &after_nano))
		return INT64_MAX;
	return rating_plan_net(plan, after_nano) - rating_plan_net(plan, before_nano);
}

/* A sum that has just been filled by another call is negative until that one takes its part back.
 */
static bool is_countable(const struct rating_quantities *before,
			 const struct rating_cloud_quantities *cloud_before)
{
	for (unsigned i = 0; i < RATING_METERS; i++) {
		if (before->of[i] < 0)
			return false;
	}
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++) {
		if (cloud_before->of[i] < 0)
			return false;
	}
	return true;
}

bool admit_settle(struct admit_state *state, const struct admit_plan *plan,
		  const struct rating_card *card, uint64_t wall_ns, const struct rating_left *left,
		  bool goes_on, struct admit_hold *hold, struct admit_charge *charge)
{
	struct admit_period *period = period_of(state, wall_ns);
	struct rating_quantities before;
	struct rating_cloud_quantities cloud_before;
	const bool discounts = rating_plan_discounts(&plan->rating);
	int64_t list_nano = 0;
	int64_t nano = 0;

	rating_part_cap(&plan->rating, left, &charge->used);
	period_advance(period, charge, 1, &before, &cloud_before);
	const bool rated =
		is_countable(&before, &cloud_before) &&
		rating_plan_list_advance(&plan->rating, &before, &charge->used, &list_nano);
	charge->usage_nano = list_nano;
	if (rated && discounts)
		charge->usage_nano = discount(period, &plan->rating, list_nano);
	if (rated &&
	    rating_cloud_advance(card, &cloud_before, &charge->cloud_used, &charge->cloud_nano) &&
	    !__builtin_add_overflow(charge->usage_nano, charge->cloud_nano, &nano) &&
	    nano <= hold->nano) {
		hold->nano -= nano;
		if (!goes_on)
			admit_release(hold);
		return true;
	}
	if (rated && discounts)
		atomic_fetch_sub_explicit(&period->list_nano, list_nano, memory_order_relaxed);
	period_advance(period, charge, -1, &before, &cloud_before);
	charge->usage_nano = 0;
	charge->cloud_nano = 0;
	if (!goes_on)
		admit_release(hold);
	return false;
}

#include "gateway/version.h"

#include "gateway/part.h"

static uint64_t now_wall_ns(const struct call *call)
{
	return loop_wall_ns(call->worker->loop);
}

/* Mostly: then no time need be looked at. */
static bool is_only_version(const struct call *call)
{
	const struct directory_plan *plan = call->plan;

	return atomic_load_explicit(&call->subscription->plan, memory_order_acquire) == plan &&
	       atomic_load_explicit(&plan->next, memory_order_acquire) == NULL;
}

const struct directory_plan *version_to_come(const struct call *call)
{
	if (is_only_version(call))
		return call->plan;
	return directory_plan_at(call->subscription, now_wall_ns(call) + VERSION_AHEAD_NS);
}

int64_t version_hold(const struct call *call, int64_t nano)
{
	if (is_only_version(call))
		return nano;
	const struct admit_plan *now = &call->plan->admit;
	const struct admit_plan *then = &version_to_come(call)->admit;
	/* Near a month's end all that a first use may bring is held, too. */
	const __int128 most_now = (__int128)now->call_most_nano + now->first_nano;
	const __int128 most_then = (__int128)then->call_most_nano + then->first_nano;
	const __int128 most = nano + (most_then > most_now ? most_then - most_now : 0);

	return most > INT64_MAX ? INT64_MAX : (int64_t)most;
}

struct rating_left version_left(const struct directory_plan *plan, const struct rating_left *left)
{
	struct rating_left fresh = rating_left_of(&plan->admit.rating);

	if (fresh.charge_nano >= 0 && left->charge_nano >= 0 &&
	    left->charge_nano < fresh.charge_nano)
		fresh.charge_nano = left->charge_nano;
	for (int unit = 0; unit < RATING_UNITS_MAX; unit++) {
		if (left->units[unit] < fresh.units[unit])
			fresh.units[unit] = left->units[unit];
	}
	return fresh;
}

void version_follow(struct call *call)
{
	if (is_only_version(call))
		return;
	const struct directory_plan *plan =
		directory_plan_at(call->subscription, now_wall_ns(call));
	if (plan == call->plan)
		return;
	call->plan = plan;
	if (call->parts == NULL)
		return;
	call->parts->left = version_left(plan, &call->parts->left);
	if (call->parts->left.charge_nano > JOURNAL_LEFT_NANO_MAX) /* as much as a record holds */
		call->parts->left.charge_nano = JOURNAL_LEFT_NANO_MAX;
}

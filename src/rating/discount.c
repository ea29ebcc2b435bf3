/* From a period's list usage to what is charged. */
#include "base/check.h"
#include "rating/exact_internal.h"
#include "rating/rating.h"

bool rating_plan_discounts(const struct rating_plan *plan)
{
	return plan->discount_ppm > 0 || plan->discount_nano > 0;
}

static int64_t off(const struct rating_plan *plan, enum rating_step step, int64_t nano)
{
	int64_t left = 0;

	switch (step) {
	case RATING_PERCENT_OFF:
		/* No more than nano is left, so it fits. */
		check(rate_charge(discounted_rate(plan), nano, &left));
		return nano - left;
	case RATING_AMOUNT_OFF:
		return nano < plan->discount_nano ? nano : plan->discount_nano;
	}
	return 0;
}

unsigned rating_plan_steps(const struct rating_plan *plan, int64_t list_nano,
			   struct rating_discount ret_steps[RATING_STEPS])
{
	const bool has[RATING_STEPS] = {plan->discount_ppm > 0, plan->discount_nano > 0};
	int64_t nano = list_nano;
	unsigned count = 0;

	check(list_nano >= 0);
	for (int step = 0; step < RATING_STEPS && nano > 0; step++) {
		if (!has[step])
			continue;
		ret_steps[count] = (struct rating_discount){
			.step = (enum rating_step)step,
			.from_nano = nano,
			.off_nano = off(plan, (enum rating_step)step, nano),
		};
		nano -= ret_steps[count++].off_nano;
	}
	return count;
}

int64_t rating_plan_net(const struct rating_plan *plan, int64_t list_nano)
{
	struct rating_discount steps[RATING_STEPS];
	const unsigned count = rating_plan_steps(plan, list_nano, steps);
	int64_t nano = list_nano;

	for (unsigned i = 0; i < count; i++)
		nano -= steps[i].off_nano;
	return nano;
}

bool rating_plan_charge(const struct rating_plan *plan, const struct rating_quantities *quantities,
			int64_t *ret_nano)
{
	int64_t list_nano;

	if (!rating_plan_list(plan, quantities, &list_nano))
		return false;
	*ret_nano = rating_plan_net(plan, list_nano);
	return true;
}

bool rating_plan_advance(const struct rating_plan *plan, struct rating_quantities *before,
			 const struct rating_quantities *call, int64_t *ret_nano)
{
	struct rating_quantities after = *before;
	int64_t list_before;
	int64_t list_nano;
	int64_t list_after;

	if (!rating_plan_discounts(plan))
		return rating_plan_list_advance(plan, before, call, ret_nano);
	if (!rating_plan_list(plan, before, &list_before) ||
	    !rating_plan_list_advance(plan, &after, call, &list_nano) ||
	    __builtin_add_overflow(list_before, list_nano, &list_after))
		return false;
	*ret_nano = rating_plan_net(plan, list_after) - rating_plan_net(plan, list_before);
	*before = after;
	return true;
}

const char *rating_step_name(enum rating_step step)
{
	static const char *const names[RATING_STEPS] = {"percent_off", "amount_off"};

	check((unsigned)step < RATING_STEPS);
	return names[step];
}

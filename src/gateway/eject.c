#include "gateway/eject.h"

#include "gateway/directory.h"

#define TIMES_MAX 32u
#define MILLION   1000000u

static uint32_t load(const _Atomic uint32_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

static void store(_Atomic uint32_t *count, uint32_t value)
{
	atomic_store_explicit(count, value, memory_order_relaxed);
}

bool eject_probe(struct eject_state *state)
{
	return !atomic_exchange(&state->probing, true);
}

void eject_probe_over(struct eject_state *state)
{
	atomic_store(&state->probing, false);
}

static bool has_room(const struct directory_instances *instances,
		     const struct gateway_ejection *policy)
{
	uint32_t out = 0;

	for (uint32_t i = 0; i < instances->count; i++)
		out += atomic_load_explicit(&instances->of[i]->ejection.until_ns,
					    memory_order_relaxed) != 0;
	return instances->count > 1 && policy->share_ppm != 0 &&
	       ((uint64_t)(out + 1) * MILLION <= (uint64_t)instances->count * policy->share_ppm ||
		out == 0);
}

/* From `seen_ns`, so that of several workers one ejects. */
static enum eject_change eject(struct eject_state *state, const struct gateway_ejection *policy,
			       uint64_t seen_ns, uint64_t now_ns, uint64_t *ret_for_ns)
{
	uint64_t for_ns = policy->time_ns;
	const uint32_t times = load(&state->times);

	for (uint32_t i = 0; i < times && for_ns < policy->time_most_ns; i++)
		for_ns *= 2;
	if (for_ns > policy->time_most_ns)
		for_ns = policy->time_most_ns;
	if (!atomic_compare_exchange_strong(&state->until_ns, &seen_ns, now_ns + for_ns))
		return EJECT_NONE;
	store(&state->times, times < TIMES_MAX ? times + 1 : times);
	store(&state->failures, 0);
	*ret_for_ns = for_ns;
	return EJECT_OUT;
}

static uint64_t success_ppm(uint64_t calls, uint64_t failed)
{
	return failed >= calls ? 0 : (calls - failed) * MILLION / calls;
}

/* Whether far fewer of its calls succeed than of the others' together. */
static bool is_outlier(const struct directory_instances *instances,
		       const struct directory_instance *instance,
		       const struct gateway_ejection *policy)
{
	uint64_t calls = 0, failed = 0, own_calls = 0, own_failed = 0;

	for (uint32_t i = 0; i < instances->count; i++) {
		const struct eject_state *state = &instances->of[i]->ejection;
		const uint64_t all = (uint64_t)load(&state->calls) + load(&state->calls_before);
		const uint64_t bad = (uint64_t)load(&state->failed) + load(&state->failed_before);
		*(instances->of[i] == instance ? &own_calls : &calls) += all;
		*(instances->of[i] == instance ? &own_failed : &failed) += bad;
	}
	return own_calls >= EJECT_CALLS_MIN && calls >= EJECT_CALLS_MIN &&
	       success_ppm(own_calls, own_failed) + policy->worse_ppm <= success_ppm(calls, failed);
}

/* An interval is over; one worker closes it. */
static void next_interval(struct eject_state *state, const struct gateway_ejection *policy,
			  uint64_t ends_ns, uint64_t now_ns)
{
	if (!atomic_compare_exchange_strong(&state->interval_ends_ns, &ends_ns,
					    now_ns + policy->interval_ns))
		return;
	const uint32_t failed = load(&state->failed);
	const uint32_t times = load(&state->times);
	store(&state->calls_before, load(&state->calls));
	store(&state->failed_before, failed);
	store(&state->calls, 0);
	store(&state->failed, 0);
	if (failed == 0 && times > 0)
		store(&state->times, times - 1);
}

static enum eject_change note_success(struct eject_state *state, uint64_t now_ns)
{
	uint64_t until_ns = atomic_load_explicit(&state->until_ns, memory_order_relaxed);

	if (load(&state->failures) != 0)
		store(&state->failures, 0);
	/* A call from before the ejection says nothing about now. */
	if (until_ns == 0 || now_ns < until_ns ||
	    !atomic_compare_exchange_strong(&state->until_ns, &until_ns, 0))
		return EJECT_NONE;
	/* It begins anew, or what it failed before would eject it at once. */
	store(&state->calls, 0);
	store(&state->failed, 0);
	store(&state->calls_before, 0);
	store(&state->failed_before, 0);
	return EJECT_BACK;
}

enum eject_change eject_note(const struct directory_instances *instances,
			     struct directory_instance *instance,
			     const struct gateway_ejection *policy, bool failed, uint64_t now_ns,
			     uint64_t *ret_for_ns)
{
	struct eject_state *state = &instance->ejection;
	const uint64_t ends_ns =
		atomic_load_explicit(&state->interval_ends_ns, memory_order_relaxed);

	if (now_ns >= ends_ns)
		next_interval(state, policy, ends_ns, now_ns);
	store(&state->calls, load(&state->calls) + 1);
	if (!failed)
		return note_success(state, now_ns);

	store(&state->failed, load(&state->failed) + 1);
	const uint64_t until_ns = atomic_load_explicit(&state->until_ns, memory_order_relaxed);
	const uint32_t in_a_row =
		atomic_fetch_add_explicit(&state->failures, 1, memory_order_relaxed) + 1;
	if (until_ns != 0)
		return now_ns < until_ns ? EJECT_NONE
					 : eject(state, policy, until_ns, now_ns, ret_for_ns);
	if ((in_a_row < policy->failures && !is_outlier(instances, instance, policy)) ||
	    !has_room(instances, policy))
		return EJECT_NONE;
	return eject(state, policy, 0, now_ns, ret_for_ns);
}

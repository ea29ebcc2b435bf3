#include "gateway/call.h"

#include "base/check.h"

static bool take_place(struct directory_instance *instance)
{
	const uint32_t before =
		atomic_fetch_add_explicit(&instance->in_flight, 1, memory_order_relaxed);

	if (instance->concurrency == 0 || before < instance->concurrency)
		return true;
	atomic_fetch_sub_explicit(&instance->in_flight, 1, memory_order_relaxed);
	return false;
}

static uint64_t cost_of(const struct directory_instance *instance, uint64_t now_ns)
{
	const uint64_t in_flight = atomic_load_explicit(&instance->in_flight, memory_order_relaxed);
	const uint64_t latency_us =
		atomic_load_explicit(&instance->latency_us, memory_order_relaxed);

	if (now_ns < atomic_load_explicit(&instance->ejected_until_ns, memory_order_relaxed) ||
	    (instance->concurrency != 0 && in_flight >= instance->concurrency))
		return UINT64_MAX;
	return (in_flight + 1) * (latency_us + 1);
}

/* Power of two choices (Mitzenmacher 2001) on calls in flight weighted by latency; when both
 * are full or ejected, the first in order that has a place, ejected ones last. */
struct directory_instance *balance_choose(struct call *call, const struct directory_instance *but)
{
	struct worker *worker = call->worker;
	struct directory_instances *instances =
		atomic_load_explicit(&call->service->instances, memory_order_acquire);
	const uint64_t now_ns = loop_now_ns(worker->loop);

	if (instances == NULL || instances->count == 0)
		return NULL;
	if (instances->count == 1)
		return instances->of[0] != but && take_place(instances->of[0]) ? instances->of[0]
									       : NULL;

	const uint64_t chance = random_seeded_next(&worker->random);
	const uint32_t first = (uint32_t)chance % instances->count;
	uint32_t second = (uint32_t)(chance >> 32) % (instances->count - 1);
	if (second >= first)
		second++;
	struct directory_instance *a = instances->of[first], *b = instances->of[second];
	const uint64_t cost_a = a == but ? UINT64_MAX : cost_of(a, now_ns);
	const uint64_t cost_b = b == but ? UINT64_MAX : cost_of(b, now_ns);
	struct directory_instance *better = cost_a <= cost_b ? a : b;
	if ((cost_a != UINT64_MAX || cost_b != UINT64_MAX) && take_place(better))
		return better;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < instances->count; i++) {
			struct directory_instance *instance = instances->of[i];
			const bool wanted = pass == 1 || cost_of(instance, now_ns) != UINT64_MAX;
			if (instance != but && wanted && take_place(instance))
				return instance;
		}
	}
	return NULL;
}

void balance_release(struct directory_instance *instance)
{
	/* Release: the publisher frees a retired instance once it sees 0. */
	const uint32_t before =
		atomic_fetch_sub_explicit(&instance->in_flight, 1, memory_order_release);

	check(before > 0);
}

void balance_failed(struct directory_instance *instance, uint64_t now_ns)
{
	if (atomic_fetch_add_explicit(&instance->failures, 1, memory_order_relaxed) + 1 >=
	    GATEWAY_EJECT_FAILURES)
		atomic_store_explicit(&instance->ejected_until_ns, now_ns + GATEWAY_EJECT_NS,
				      memory_order_relaxed);
}

void balance_answered(struct directory_instance *instance, uint32_t latency_us)
{
	const uint32_t seen = atomic_load_explicit(&instance->latency_us, memory_order_relaxed);
	const int64_t step = ((int64_t)latency_us - (int64_t)seen) / 8;

	/* Two workers may overwrite each other: an average forgives that. */
	atomic_store_explicit(&instance->latency_us,
			      seen == 0 ? latency_us : (uint32_t)((int64_t)seen + step),
			      memory_order_relaxed);
	if (atomic_load_explicit(&instance->failures, memory_order_relaxed) != 0)
		atomic_store_explicit(&instance->failures, 0, memory_order_relaxed);
}

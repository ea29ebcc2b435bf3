#include "gateway/call.h"

#include "base/check.h"
#include "base/log.h"

static bool take_place(struct call *call, struct directory_instance *instance, bool probe)
{
	const uint32_t before =
		atomic_fetch_add_explicit(&instance->in_flight, 1, memory_order_relaxed);

	if ((instance->concurrency == 0 || before < instance->concurrency) &&
	    (!probe || eject_probe(&instance->ejection))) {
		call->probe = probe;
		return true;
	}
	atomic_fetch_sub_explicit(&instance->in_flight, 1, memory_order_relaxed);
	return false;
}

/* UINT64_MAX: not to be chosen. */
static uint64_t cost_of(const struct directory_instance *instance, uint32_t but, uint64_t now_ns,
			bool *ret_probe)
{
	const uint64_t in_flight = atomic_load_explicit(&instance->in_flight, memory_order_relaxed);
	const uint64_t latency_us =
		atomic_load_explicit(&instance->latency_us, memory_order_relaxed);

	if (instance->id == but || !eject_allows(&instance->ejection, now_ns, ret_probe) ||
	    (instance->concurrency != 0 && in_flight >= instance->concurrency))
		return UINT64_MAX;
	return (in_flight + 1) * (latency_us + 1);
}

/* Where the two that chance chose cannot take the call: the first in order that has a place,
 * ejected ones last. */
static struct directory_instance *choose_any(struct call *call,
					     const struct directory_instances *instances,
					     uint32_t but, uint64_t now_ns)
{
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < instances->count; i++) {
			struct directory_instance *instance = instances->of[i];
			bool probe = false;
			if (instance->id == but ||
			    (pass == 0 && cost_of(instance, but, now_ns, &probe) == UINT64_MAX))
				continue;
			if (take_place(call, instance, pass == 0 && probe))
				return instance;
		}
	}
	return NULL;
}

/* Power of two choices (Mitzenmacher 2001) on calls in flight weighted by latency. */
struct directory_instance *balance_choose(struct call *call, uint32_t but)
{
	struct worker *worker = call->worker;
	struct directory_instances *instances =
		atomic_load_explicit(&call->service->instances, memory_order_acquire);
	const uint64_t now_ns = loop_now_ns(worker->loop);
	bool probe_a = false, probe_b = false;

	if (instances == NULL || instances->count == 0)
		return NULL;
	if (instances->count == 1) {
		struct directory_instance *only = instances->of[0];
		return only->id != but && take_place(call, only, false) ? only : NULL;
	}

	const uint64_t chance = random_seeded_next(&worker->random);
	const uint32_t first = (uint32_t)chance % instances->count;
	uint32_t second = (uint32_t)(chance >> 32) % (instances->count - 1);
	if (second >= first)
		second++;
	struct directory_instance *a = instances->of[first], *b = instances->of[second];
	const uint64_t cost_a = cost_of(a, but, now_ns, &probe_a);
	const uint64_t cost_b = cost_of(b, but, now_ns, &probe_b);
	/* One that waits for a try gets it, whatever it costs: else its old latency could keep it
	 * out for ever. */
	const bool takes_a = cost_b == UINT64_MAX ||
			     (cost_a != UINT64_MAX && !probe_b && (probe_a || cost_a <= cost_b));
	struct directory_instance *better = takes_a ? a : b;
	if ((cost_a != UINT64_MAX || cost_b != UINT64_MAX) &&
	    take_place(call, better, takes_a ? probe_a : probe_b))
		return better;
	return choose_any(call, instances, but, now_ns);
}

static void probe_over(struct call *call)
{
	if (call->probe)
		eject_probe_over(&call->instance->ejection);
	call->probe = false;
}

void balance_release(struct call *call)
{
	struct directory_instance *instance = call->instance;

	probe_over(call);
	call->instance = NULL;
	/* Release: the publisher frees a retired instance once it sees 0. */
	const uint32_t before =
		atomic_fetch_sub_explicit(&instance->in_flight, 1, memory_order_release);

	check(before > 0);
}

void balance_note(struct call *call, bool failed)
{
	struct worker *worker = call->worker;
	const struct directory_service *service = call->service;
	const struct directory_instances *instances =
		atomic_load_explicit(&service->instances, memory_order_acquire);
	uint64_t for_ns = 0;

	if (instances == NULL)
		return;
	const enum eject_change change =
		eject_note(instances, call->instance, &worker->gateway->options.ejection, failed,
			   loop_now_ns(worker->loop), &for_ns);
	probe_over(call);
	switch (change) {
	case EJECT_NONE:
		break;
	case EJECT_OUT:
		worker_count(&worker->counts.ejections, 1);
		log_event(LOG_WARN, "instance.ejected", log_text("service", service->name),
			  log_number("instance", call->instance->id),
			  log_number("for_ms", (int64_t)(for_ns / CLOCK_NS_PER_MS)));
		break;
	case EJECT_BACK:
		log_event(LOG_INFO, "instance.recovered", log_text("service", service->name),
			  log_number("instance", call->instance->id));
		break;
	}
}

void balance_answered(struct directory_instance *instance, uint32_t latency_us)
{
	const uint32_t seen = atomic_load_explicit(&instance->latency_us, memory_order_relaxed);
	const int64_t step = ((int64_t)latency_us - (int64_t)seen) / 8;

	/* Two workers may overwrite each other: an average forgives that. */
	atomic_store_explicit(&instance->latency_us,
			      seen == 0 ? latency_us : (uint32_t)((int64_t)seen + step),
			      memory_order_relaxed);
}

/* How calls end: refused, failed, settled. */
#include "gateway/call.h"

#include "base/check.h"
#include "base/log.h"
#include "gateway/durable.h"
#include "gateway/note.h"
#include "gateway/part.h"
#include "gateway/version.h"

/* A tunnel, unless the service broke it. Else answered below 500, or always where the plan says so;
 * of a call that its caller left, or that ended with its key or money, and of one that runs long,
 * what the service had begun to answer. */
static bool is_billed(const struct call *call, enum journal_outcome outcome)
{
	const bool left = outcome == JOURNAL_ABORTED || outcome == JOURNAL_RUNNING ||
			  (call->cut_for_caller && call->responded);

	if (call->tunnel)
		return outcome != JOURNAL_FAILED;
	if (outcome != JOURNAL_ANSWERED && !(left && call->response_bytes > 0))
		return false;
	return call->status < 500 || call->plan->admit.rating.bill_always;
}

/* What the whole call used, in so much of the service's time. */
static void measure_all(const struct call *call, uint64_t service_us, struct admit_charge *charge)
{
	const struct directory_instance *instance = call->instance;
	const uint32_t divisor = instance->concurrency == 0 ? 1 : instance->concurrency;

	charge->used = call->units;
	charge->used.of[RATING_CALLS] = 1;
	charge->used.of[RATING_REQUEST_BYTES] = (int64_t)call->request_bytes;
	charge->used.of[RATING_RESPONSE_BYTES] = (int64_t)call->response_bytes;
	charge->used.of[RATING_DURATION_MS] = rating_milliseconds(service_us);
	rating_cloud_of_call(instance->memory_mib, instance->cpu_milli, divisor, service_us,
			     instance->path, call->request_bytes + call->response_bytes,
			     &charge->cloud_used);
	/* An instance that grew while the call waited is not the caller's to pay. */
	const int64_t memory_most = (int64_t)(call->memory_mib_share * service_us);
	const int64_t cpu_most = (int64_t)(call->cpu_milli_share * service_us);
	if (charge->cloud_used.of[RATING_CLOUD_MIB_US] > memory_most)
		charge->cloud_used.of[RATING_CLOUD_MIB_US] = memory_most;
	if (charge->cloud_used.of[RATING_CLOUD_MCPU_US] > cpu_most)
		charge->cloud_used.of[RATING_CLOUD_MCPU_US] = cpu_most;
}

/* What it used that is not on record, in so much of the service's time. */
static void measure(const struct call *call, uint64_t service_us, struct admit_charge *charge)
{
	const struct call_parts *parts = call->parts;

	measure_all(call, service_us + (parts == NULL ? 0 : parts->service_us), charge);
	if (parts == NULL)
		return;
	for (unsigned i = 0; i < RATING_METERS; i++)
		charge->used.of[i] -= parts->used.of[i];
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		charge->cloud_used.of[i] -= parts->cloud_used.of[i];
}

/* Returns its position. */
static uint64_t write_record(const struct call *call, enum journal_outcome outcome, bool billed,
			     uint64_t service_us, const struct rating_quantities *measured,
			     const struct admit_charge *charge)
{
	struct worker *worker = call->worker;
	const uint64_t duration_us =
		(loop_now_ns(worker->loop) - call->started_ns) / CLOCK_NS_PER_US;
	struct journal_record record = {
		.outcome = (uint8_t)outcome,
		.flags = billed ? JOURNAL_BILLED : 0,
		.path = (uint8_t)call->instance->path,
		.call = call->id,
		.started_ns = call->started_wall_ns,
		.settled_ns = loop_wall_ns(worker->loop),
		.duration_us = duration_us > UINT32_MAX ? UINT32_MAX : (uint32_t)duration_us,
		.service_us = service_us > UINT32_MAX ? UINT32_MAX : (uint32_t)service_us,
		.status = call->status,
		.account = call->subscription->account,
		.app = call->subscription->app,
		.key = call->key,
		.subscription = call->subscription->id,
		.service = call->service->id,
		.plan = call->plan->id,
		.instance = call->instance->id,
		.request_bytes = (uint64_t)measured->of[RATING_REQUEST_BYTES],
		.response_bytes = (uint64_t)measured->of[RATING_RESPONSE_BYTES],
		.memory_mib_us = (uint64_t)charge->cloud_used.of[RATING_CLOUD_MIB_US],
		.cpu_milli_us = (uint64_t)charge->cloud_used.of[RATING_CLOUD_MCPU_US],
		.charge_nano = charge->usage_nano + charge->cloud_nano,
	};

	for (unsigned i = 0; i < JOURNAL_RECORD_UNITS; i++) {
		record.units[i] = (uint64_t)charge->used.of[RATING_UNIT_0 + i];
		if (charge->used.of[RATING_UNIT_0 + i] != measured->of[RATING_UNIT_0 + i])
			record.unit_excess |= 1u << i;
	}
	if (call->parts != NULL && call->parts->records > 0) {
		record.flags |= JOURNAL_CONTINUES;
		if (call->parts->left.charge_nano >= 0)
			journal_record_set_left_nano(&record, call->parts->left.charge_nano);
	}
	journal_append(worker->stream, &record);
	return record.position;
}

static void count_end(struct call *call, enum journal_outcome outcome)
{
	struct worker *worker = call->worker;
	const uint64_t took_us = (loop_now_ns(worker->loop) - call->started_ns) / CLOCK_NS_PER_US;

	tally_note(&call->service->tallies[worker->number], call->status, outcome, took_us);

	switch (outcome) {
	case JOURNAL_ANSWERED:
		worker_count(&worker->counts.calls_answered, 1);
		break;
	case JOURNAL_ABORTED:
		worker_count(&worker->counts.calls_aborted, 1);
		break;
	default:
		worker_count(&worker->counts.calls_failed, 1);
	}
}

/* Charges what is due of what was used in so much of the service's time since the last record, and
 * writes the record of it. Returns that record's position. */
static uint64_t settle(struct call *call, enum journal_outcome outcome, uint64_t service_us,
		       struct admit_charge *charge)
{
	struct worker *worker = call->worker;

	version_follow(call);
	const struct admit_plan *plan = &call->plan->admit;
	const struct rating_left left =
		call->parts == NULL ? rating_left_of(&plan->rating) : call->parts->left;
	bool billed = is_billed(call, outcome);

	measure(call, service_us, charge);
	const struct rating_quantities measured = charge->used;
	if (!billed) {
		rating_part_cap(&plan->rating, &left, &charge->used);
	} else if (!admit_settle(&call->subscription->admit, plan, &worker->gateway->directory.card,
				 loop_wall_ns(worker->loop), &left, outcome == JOURNAL_RUNNING,
				 &call->hold, charge)) {
		billed = false;
		if (worker_complaint_due(worker, &call->service->not_chargeable_ns,
					 WORKER_COMPLAINT_NS))
			log_event(LOG_ERROR, "call.not_chargeable",
				  log_text("service", call->service->name),
				  log_text("plan", call->plan->name));
	}
	const uint64_t position =
		write_record(call, outcome, billed, service_us, &measured, charge);
	if (call->parts != NULL)
		part_note(call, service_us, billed, &measured, charge);
	call->billed |= billed;
	return position;
}

void call_settle_part(struct call *call, uint64_t service_us)
{
	struct admit_charge charge = {0};

	check(call->step == CALL_ANSWER && call->parts != NULL);
	settle(call, JOURNAL_RUNNING, service_us, &charge);
}

void call_settle(struct call *call, enum journal_outcome outcome, int64_t *ret_charge_nano)
{
	struct worker *worker = call->worker;
	struct admit_charge charge = {0};
	uint64_t service_us = part_used_us(call);

	check(call->step == CALL_ANSWER);
	if (service_us > UINT32_MAX) /* what a record holds, and bills are recomputed from */
		service_us = UINT32_MAX;
	const uint64_t position = settle(call, outcome, service_us, &charge);
	if (worker->gateway->options.durable_answers && outcome == JOURNAL_ANSWERED)
		durable_hold(call, position);
	*ret_charge_nano = charge.usage_nano + charge.cloud_nano;
	if (call->parts != NULL) {
		*ret_charge_nano = call->parts->charge_nano;
		service_us = call->parts->service_us;
	}
	count_end(call, outcome);
	if (worker->access != NULL)
		note_settled(call, outcome, service_us, *ret_charge_nano);
	call_let_go(call, call->billed);
	call->step = CALL_OVER;
}

static void count_problem(struct worker *worker, enum problem problem)
{
	worker_count(&worker->problems[problem], 1);
}

static void count_refusal(struct worker *worker, unsigned status)
{
	switch (status) {
	case 401:
		worker_count(&worker->counts.refused_key, 1);
		break;
	case 402:
		worker_count(&worker->counts.refused_money, 1);
		break;
	case 403:
		worker_count(&worker->counts.refused_right, 1);
		break;
	case 404:
		worker_count(&worker->counts.refused_route, 1);
		break;
	case 429:
		worker_count(&worker->counts.refused_rate, 1);
		break;
	default:
		worker_count(&worker->counts.refused_other, 1);
	}
}

enum call_step call_refuse(struct call *call, enum problem problem, uint64_t retry_after_ns)
{
	count_refusal(call->worker, problem_text(problem)->status);
	count_problem(call->worker, problem);
	call->step = CALL_OVER;
	present_problem(call, problem, retry_after_ns);
	if (call->worker->access != NULL)
		note_refused(call, problem);
	call_let_go(call, false);
	return CALL_OVER;
}

void call_fail(struct call *call, enum problem problem, enum journal_outcome outcome)
{
	int64_t charge_nano;
	char farewell[FAREWELL_MAX];

	count_problem(call->worker, problem);
	call->failed_by = (uint8_t)problem;
	if (call->upstream != NULL)
		http_call_cancel(call->upstream);
	call->upstream = NULL;
	if (!call->responded)
		call->status = (uint16_t)problem_text(problem)->status;
	const size_t farewell_bytes =
		call->responded ? farewell_compose(call, problem, farewell) : 0;
	call_settle(call, outcome, &charge_nano);
	if (call->responded)
		present_cut(call, problem, slice_make(farewell, farewell_bytes));
	else
		present_problem(call, problem, 0);
}

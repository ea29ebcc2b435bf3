#include "gateway/part.h"

#include <stdlib.h>

#include "base/check.h"
#include "gateway/version.h"

#define REST_RETRY_NS 5000000ull /* how soon a call that rests looks for money again */

/* ---- memory ---- */

struct call_parts *part_take(struct call *call)
{
	struct worker *worker = call->worker;
	struct call_parts *parts = call->parts;

	if (parts != NULL)
		return parts;
	parts = worker->parts_idle;
	if (parts != NULL)
		worker->parts_idle = parts->next;
	else
		parts = malloc(sizeof(*parts));
	if (parts == NULL)
		return NULL;
	*parts = (struct call_parts){
		.began_ns = call->forwarded_ns,
		.covered_us = call->plan->admit.part_ns / CLOCK_NS_PER_US,
		.left = rating_left_of(&call->plan->admit.rating),
	};
	call->parts = parts;
	return parts;
}

void part_give(struct call *call)
{
	struct worker *worker = call->worker;

	if (call->parts == NULL)
		return;
	call->parts->next = worker->parts_idle;
	worker->parts_idle = call->parts;
	call->parts = NULL;
}

void part_list_free(struct call_parts *first)
{
	while (first != NULL) {
		struct call_parts *next = first->next;
		free(first);
		first = next;
	}
}

/* ---- time ---- */

uint64_t part_due_ns(const struct call *call)
{
	const struct call_parts *parts = call->parts;

	return parts == NULL ? call->forwarded_ns + call->plan->admit.part_ns
			     : parts->began_ns + parts->covered_us * CLOCK_NS_PER_US;
}

uint64_t part_used_us(const struct call *call)
{
	const struct call_parts *parts = call->parts;
	const uint64_t began_ns = parts == NULL ? call->forwarded_ns : parts->began_ns;
	const uint64_t covered_us =
		parts == NULL ? call->plan->admit.part_ns / CLOCK_NS_PER_US : parts->covered_us;
	const uint64_t now_ns = loop_now_ns(call->worker->loop);
	const uint64_t used_us = now_ns < began_ns ? 0 : (now_ns - began_ns) / CLOCK_NS_PER_US;

	return used_us < covered_us ? used_us : covered_us;
}

static uint64_t part_us(const struct call *call)
{
	return call->plan->admit.part_ns / CLOCK_NS_PER_US;
}

/* A record tells the service's time in so many bits. A call that was not answered for so long is
 * settled for as much as one can tell: what is charged must follow from the record. */
static bool fills_a_record(const struct call *call)
{
	return call->parts->covered_us + part_us(call) >
	       call->worker->gateway->options.record_us_most;
}

/* ---- the next hold ---- */

static int64_t most_under(const struct admit_plan *plan, const struct rating_left *left,
			  uint64_t duration_us)
{
	struct rating_quantities most;
	int64_t nano;

	for (unsigned i = 0; i < RATING_METERS; i++)
		most.of[i] = INT64_MAX;
	most.of[RATING_CALLS] = 0;
	most.of[RATING_DURATION_MS] = rating_milliseconds(duration_us);
	if (!rating_part_most(&plan->rating, left, &most, &nano))
		nano = plan->call_most_nano; /* nothing else bounds it */
	return nano;
}

/* The most that a plan's prices can add for so much more time, and for all that may come with it
 * whatever the time. */
static int64_t plan_most(const struct call *call, uint64_t duration_us)
{
	const struct directory_plan *then = version_to_come(call);
	const struct rating_left *left = &call->parts->left;
	const int64_t most_now = most_under(&call->plan->admit, left, duration_us);

	if (then == call->plan)
		return most_now;
	const struct rating_left left_then = version_left(then, left);
	const int64_t most_then = most_under(&then->admit, &left_then, duration_us);
	return most_then > most_now ? most_then : most_now;
}

/* The most that the first use of a meter can bring, also under a version to come. */
static int64_t first_most(const struct call *call)
{
	const struct directory_plan *then = version_to_come(call);
	const int64_t now_nano = admit_first_nano(&call->subscription->admit, &call->plan->admit,
						  loop_wall_ns(call->worker->loop));

	return then != call->plan && then->admit.first_nano > now_nano ? then->admit.first_nano
								       : now_nano;
}

static bool cloud_most(const struct call *call, uint64_t duration_us, uint64_t bytes,
		       int64_t *ret_nano)
{
	struct rating_cloud_quantities most;

	rating_cloud_of_call(call->memory_mib_share, call->cpu_milli_share, 1, duration_us,
			     call->instance->path, bytes, &most);
	most.of[RATING_CLOUD_CALLS] = 0;
	return rating_cloud_most(&call->worker->gateway->directory.card, &most, ret_nano);
}

static enum admit_outcome hold_next(struct call *call)
{
	const struct call_parts *parts = call->parts;
	const uint64_t now_ns = loop_now_ns(call->worker->loop);
	int64_t cloud_nano;

	if (fills_a_record(call))
		return ADMIT_DONE;
	int64_t usage_nano = plan_most(call, parts->covered_us + part_us(call));
	if (parts->covered_us > 0) {
		/* Nothing was settled: the rest is held already. */
		usage_nano -= plan_most(call, parts->covered_us);
		return cloud_most(call, part_us(call), 0, &cloud_nano)
			       ? admit_extend(&call->hold, usage_nano + cloud_nano, now_ns)
			       : ADMIT_BALANCE;
	}
	if (!cloud_most(call, part_us(call), GATEWAY_HOLD_BYTES, &cloud_nano) ||
	    __builtin_add_overflow(usage_nano, cloud_nano, &usage_nano) ||
	    __builtin_add_overflow(usage_nano, first_most(call), &usage_nano))
		return ADMIT_BALANCE;
	/* All is settled: from here on a budget counts that was set since the last part. */
	directory_draw(call->subscription, &call->hold);
	return admit_hold_again(&call->hold, usage_nano, now_ns);
}

/* ---- from part to part ---- */

static bool can_settle(const struct call *call)
{
	const struct worker *worker = call->worker;
	const bool answered = call->responded && call->response_bytes > 0 &&
			      (call->status < 500 || call->plan->admit.rating.bill_always);

	/* Each call in flight has a record's room of its own; this is one more. */
	return (call->tunnel || answered) && call->parts->covered_us > 0 &&
	       journal_stream_room(worker->stream) > worker->unsettled;
}

static void end_part(struct call *call)
{
	struct call_parts *parts = call->parts;

	if (can_settle(call)) {
		call_settle_part(call, parts->covered_us);
		parts->began_ns += parts->covered_us * CLOCK_NS_PER_US;
		parts->covered_us = 0;
		call->hold_bytes = call->request_bytes + call->response_bytes + GATEWAY_HOLD_BYTES;
	}
	parts->rested = false;
	parts->wait_due_ns =
		loop_now_ns(call->worker->loop) + call->worker->gateway->options.lease_wait_ns;
}

static void rest(struct call *call)
{
	struct worker *worker = call->worker;

	call->parts->rested = true;
	call->starved_request = call->starved_answer = true;
	http_exchange_pause(call->exchange);
	if (call->upstream != NULL)
		http_call_pause(call->upstream);
	loop_timer_set(worker->loop, &call->timer, loop_now_ns(worker->loop) + REST_RETRY_NS);
}

static void begin_part(struct call *call)
{
	struct call_parts *parts = call->parts;

	if (parts->rested)
		parts->began_ns += loop_now_ns(call->worker->loop) - part_due_ns(call);
	if (fills_a_record(call))
		parts->began_ns += call->plan->admit.part_ns;
	else
		parts->covered_us += part_us(call);
	parts->wait_due_ns = 0;
}

bool part_next(struct call *call)
{
	struct call_parts *parts = part_take(call);

	if (parts == NULL) {
		call_fail(call, PROBLEM_OVERLOADED, JOURNAL_CUT);
		return false;
	}
	if (parts->wait_due_ns == 0)
		end_part(call);
	const enum admit_outcome outcome = hold_next(call);
	switch (outcome) {
	case ADMIT_DONE:
		begin_part(call);
		return true;
	case ADMIT_WAIT:
		if (loop_now_ns(call->worker->loop) < parts->wait_due_ns)
			rest(call);
		else
			call_cut_for_money(call, PROBLEM_LEDGER_AWAY);
		return false;
	default:
		call_cut_for_money(call, call_problem_of_money(outcome));
		return false;
	}
}

void part_note(struct call *call, uint64_t service_us, bool billed,
	       const struct rating_quantities *measured, const struct admit_charge *charge)
{
	struct call_parts *parts = call->parts;

	for (unsigned i = 0; i < RATING_METERS; i++)
		parts->used.of[i] += measured->of[i];
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		parts->cloud_used.of[i] += charge->cloud_used.of[i];
	if (billed)
		rating_left_take(&call->plan->admit.rating, &charge->used, &parts->left);
	if (parts->left.charge_nano > JOURNAL_LEFT_NANO_MAX)
		parts->left.charge_nano = JOURNAL_LEFT_NANO_MAX;
	parts->charge_nano += charge->usage_nano + charge->cloud_nano;
	parts->service_us += service_us;
	parts->records++;
}

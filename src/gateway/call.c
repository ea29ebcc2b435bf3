#include "gateway/call.h"

#include <stdio.h>

#include "base/check.h"
#include "gateway/durable.h"
#include "gateway/grpc.h"
#include "gateway/note.h"
#include "gateway/part.h"
#include "gateway/route.h"
#include "gateway/tunnel.h"
#include "gateway/version.h"

#define RESERVE_MARGIN_BYTES 65536u       /* at least one receive buffer on each side */
#define MISSED_RETRY_NS      250000000ull /* how soon an instance that was missed is tried again */
#define RESERVE_RETRY_NS     5000000ull   /* how soon a starved transfer asks again */

static enum call_step call_route(struct call *call);
static enum call_step call_admit(struct call *call);
static enum call_step call_hold(struct call *call);
static enum call_step call_balance(struct call *call);
static enum call_step call_forward(struct call *call);

static enum call_step (*const steps[])(struct call *call) = {
#define X(step, function, sentence) function,
	CALL_STEPS(X)
#undef X
};

static void call_wait(struct call *call);
static void call_on_time(struct loop_timer *timer);

void call_run(struct call *call)
{
	while (call->step < CALL_ANSWER) {
		const enum call_step next = steps[call->step](call);
		if (next == CALL_WAIT) {
			call_wait(call);
			return;
		}
		call->step = next;
	}
}

static void on_request(struct http_exchange *exchange, const struct http_request *request)
{
	struct call *call = http_exchange_state(exchange);

	call->exchange = exchange;
	call->worker = http_server_owner(http_exchange_server(exchange));
	call->request = request;
	call->accepts_trailers = request->accepts_trailers;
	call->head_only = request->head_only;
	call->started_ns = loop_now_ns(call->worker->loop);
	call->started_wall_ns = loop_wall_ns(call->worker->loop);
	call->failed_by = PROBLEM_COUNT;
	call->grpc_code = CALL_GRPC_SILENT;
	call->grpc = !request->idempotent && /* it is always a POST */
		     grpc_is_message(request->headers, request->header_count);
	call->timer.on_due = call_on_time;
	call->step = CALL_ROUTE;
	call_run(call);
	call->request = NULL;
}

/* ---- the steps ---- */

static enum call_step call_route(struct call *call)
{
	struct directory *directory = &call->worker->gateway->directory;
	const struct http_request *request = call->request;
	struct slice name, rest;
	bool bare;

	call->target = request->target;
	if (route_host_label(request->authority, &name))
		call->service = directory_find_service(directory, name);
	if (call->service == NULL && route_path_segment(request->target, &name, &rest, &bare)) {
		call->service = directory_find_service(directory, name);
		if (call->service != NULL)
			call->target = rest;
		call->target_bare = call->service != NULL && bare;
	}
	if (call->service == NULL)
		return call_refuse_unknown(call, PROBLEM_NO_SUCH_SERVICE);
	const enum tunnel_wish wish = tunnel_wish(request);
	call->upgrade = wish == TUNNEL_WANTED;
	return wish == TUNNEL_REFUSED ? call_refuse(call, PROBLEM_UPGRADE, 0) : CALL_AUTHENTICATE;
}

static void admitted_add(struct call *call)
{
	struct worker *worker = call->worker;

	call->admitted_next = worker->admitted_first;
	if (call->admitted_next != NULL)
		call->admitted_next->admitted_previous = call;
	worker->admitted_first = call;
}

static void admitted_remove(struct call *call)
{
	*(call->admitted_previous == NULL ? &call->worker->admitted_first
					  : &call->admitted_previous->admitted_next) =
		call->admitted_next;
	if (call->admitted_next != NULL)
		call->admitted_next->admitted_previous = call->admitted_previous;
}

static void apply_callers_deadline(struct call *call)
{
	const struct http_request *request = call->request;
	uint64_t timeout_ns;

	if (!grpc_timeout_read(request->headers, request->header_count, &timeout_ns) ||
	    timeout_ns >= call->deadline_ns - call->started_ns)
		return;
	call->deadline_ns = call->started_ns + timeout_ns;
	call->callers_deadline = true;
}

static enum call_step call_admit(struct call *call)
{
	struct worker *worker = call->worker;
	uint64_t retry_after_ns = 0;
	uint8_t entropy[16];

	call->plan = directory_plan_at(call->subscription, call->started_wall_ns);
	call->deadline_ns = call->started_ns + call->plan->admit.limits.timeout_ns;
	if (call->deadline_ns > call->key_ends_ns)
		call->deadline_ns = call->key_ends_ns;
	if (call->grpc)
		apply_callers_deadline(call);
	const enum admit_outcome outcome =
		admit_enter(&call->subscription->admit, &call->plan->admit, call->started_ns,
			    call->started_wall_ns, &retry_after_ns);
	if (call->plan->allowance_bytes > 0)
		admit_left(&call->subscription->admit, &call->plan->admit, call->started_ns,
			   call->started_wall_ns, &call->left);
	switch (outcome) {
	case ADMIT_RATE:
		return call_refuse(call, PROBLEM_RATE, retry_after_ns);
	case ADMIT_CONCURRENCY:
		return call_refuse(call, PROBLEM_CONCURRENCY, 0);
	case ADMIT_QUOTA:
		return call_refuse(call, PROBLEM_QUOTA, 0);
	default:
		break;
	}
	call->entered = true;
	admitted_add(call);
	worker_count(&worker->counts.calls_in_flight, 1);
	worker->unsettled++;
	if (journal_stream_room(worker->stream) < worker->unsettled)
		return call_refuse(call, PROBLEM_JOURNAL_FULL, 0);

	for (unsigned i = 0; i < 2; i++) {
		const uint64_t chance = random_seeded_next(&worker->random);
		memcpy(entropy + 8 * i, &chance, sizeof(chance));
	}
	call->id = call_id_make(call->started_wall_ns / CLOCK_NS_PER_MS, entropy);
	call_id_format(call->id, call->id_text);
	call->keep = keep_take(&worker->keeps, call->request, call->target_bare, call->target);
	if (call->keep == NULL)
		return call_refuse(call, PROBLEM_OVERLOADED, 0);
	return CALL_HOLD;
}

static enum call_step call_hold(struct call *call)
{
	struct worker *worker = call->worker;
	const struct directory_shape *shape = &call->service->shape;

	/* The shape before the hold that was worked out from it: see directory.c. */
	call->memory_mib_share = atomic_load(&shape->memory_mib_share);
	call->cpu_milli_share = atomic_load(&shape->cpu_milli_share);
	directory_draw(call->subscription, &call->hold);
	const enum admit_outcome outcome =
		admit_hold(&call->subscription->admit, &call->plan->admit,
			   version_hold(call, atomic_load(&call->subscription->cloud_most_nano)),
			   loop_now_ns(worker->loop), call->started_wall_ns, &call->hold);
	switch (outcome) {
	case ADMIT_DONE:
		call->hold_bytes = GATEWAY_HOLD_BYTES;
		return CALL_BALANCE;
	case ADMIT_WAIT:
		return CALL_WAIT;
	default:
		return call_refuse(call, call_problem_of_money(outcome), 0);
	}
}

static enum call_step call_balance(struct call *call)
{
	call->instance = balance_choose(call, call->missed);
	if (call->instance == NULL) {
		/* Look again once whoever frees a place knows that this worker waits. */
		atomic_fetch_or(&call->service->waiting_workers, 1ull << call->worker->number);
		call->instance = balance_choose(call, call->missed);
	}
	return call->instance == NULL ? CALL_WAIT : CALL_FORWARD;
}

static struct http_origin *origin_of(struct call *call)
{
	struct worker *worker = call->worker;
	struct worker_origin **slot = &call->instance->origins[worker->number];

	if (*slot == NULL)
		*slot = worker_origin_new(worker, call->instance);
	return *slot == NULL ? NULL : (*slot)->origin;
}

static enum call_step call_forward(struct call *call)
{
	struct worker *worker = call->worker;
	struct keep *keep = call->keep;
	struct http_origin *origin = origin_of(call);

	if (origin == NULL)
		return call_refuse(call, PROBLEM_OVERLOADED, 0);
	if (call->forwarded_ns == 0) {
		call->forwarded_ns = loop_now_ns(worker->loop);
		worker->retry_credit += worker->retry_credit < WORKER_RETRY_CREDIT_MAX;
	}
	call->step = CALL_ANSWER;
	loop_timer_set(worker->loop, &call->timer, call_due_ns(call));
	present_request(call, origin);
	/* The rest of the body comes by on_body; what a waiting client is told to send too. */
	const struct slice body = keep_body_slice(keep);
	if (body.length > 0)
		http_call_send(call->upstream, body);
	if (call->request_ended)
		http_call_finish(call->upstream, NULL, 0);
	else
		http_exchange_resume(call->exchange);
	return CALL_ANSWER;
}

/* ---- waiting ---- */

static void waiting_remove(struct call *call)
{
	struct worker *worker = call->worker;

	if (!call->waiting)
		return;
	*(call->previous == NULL ? &worker->waiting_first : &call->previous->next) = call->next;
	*(call->next == NULL ? &worker->waiting_last : &call->next->previous) = call->previous;
	call->next = call->previous = NULL;
	call->waiting = false;
	worker->waiting_count--;
	atomic_fetch_sub_explicit(&call->service->waiting, 1, memory_order_relaxed);
	worker_count(&worker->counts.calls_waiting, -1);
}

/* The instance that it missed is tried again now and then: it may only have been busy. */
static void set_wait_timer(struct call *call)
{
	struct worker *worker = call->worker;
	const uint64_t again_ns = loop_now_ns(worker->loop) + MISSED_RETRY_NS;

	loop_timer_set(worker->loop, &call->timer,
		       call->missed != 0 && again_ns < call->wait_due_ns ? again_ns
									 : call->wait_due_ns);
}

static void call_wait(struct call *call)
{
	struct worker *worker = call->worker;
	const struct gateway_options *options = &worker->gateway->options;
	const uint64_t wait_ns =
		call->step == CALL_HOLD ? options->lease_wait_ns : options->instance_wait_ns;
	const uint64_t now_ns = loop_now_ns(worker->loop);

	if (call->waiting) /* it waits on, for what it waits for by now, no longer than at first */
		return;
	/* Neither the worker's calls nor one service's: others need what those would fill. */
	if (worker->waiting_count >= GATEWAY_QUEUE_MAX ||
	    atomic_load_explicit(&call->service->waiting, memory_order_relaxed) >=
		    options->waiting_max) {
		call->step = call_refuse(call, PROBLEM_OVERLOADED, 0);
		return;
	}
	call->wait_due_ns = call->replaced_by_ns != 0 ? call->replaced_by_ns : now_ns + wait_ns;
	if (call->wait_due_ns > call->deadline_ns)
		call->wait_due_ns = call->deadline_ns;
	call->waiting = true;
	call->previous = worker->waiting_last;
	*(worker->waiting_last == NULL ? &worker->waiting_first : &worker->waiting_last->next) =
		call;
	worker->waiting_last = call;
	worker->waiting_count++;
	atomic_fetch_add_explicit(&call->service->waiting, 1, memory_order_relaxed);
	worker_count(&worker->counts.calls_waiting, 1);
	set_wait_timer(call);
	http_exchange_pause(call->exchange);
}

void call_retry_waiting(struct worker *worker)
{
	const struct directory_service *full = NULL; /* the last one without a place */
	struct call *call = worker->waiting_first;

	while (call != NULL) {
		struct call *next = call->next;
		if (call->step != CALL_BALANCE || call->service != full) {
			call_run(call);
			if (call->step >= CALL_ANSWER)
				waiting_remove(call);
			else if (call->step == CALL_BALANCE && call->missed == 0)
				full = call->service;
		}
		call = next;
	}
}

static bool is_key_over(const struct call *call)
{
	return loop_now_ns(call->worker->loop) >= call->key_ends_ns;
}

static enum problem problem_of_waiting(const struct call *call)
{
	struct directory_instances *instances = atomic_load(&call->service->instances);

	if (is_key_over(call))
		return call_problem_of_key_end(call);
	if (call->callers_deadline && loop_now_ns(call->worker->loop) >= call->deadline_ns)
		return PROBLEM_TIMEOUT;
	if (call->step == CALL_HOLD)
		return PROBLEM_LEDGER_AWAY;
	if (call->replaced_by_ns != 0)
		return PROBLEM_SERVICE_UNREACHABLE;
	return instances == NULL || instances->count == 0 ? PROBLEM_NO_INSTANCE
							  : PROBLEM_OVERLOADED;
}

static void call_on_time(struct loop_timer *timer)
{
	struct call *call = (struct call *)((char *)timer - offsetof(struct call, timer));
	struct worker *worker = call->worker;

	if (call->waiting && loop_now_ns(worker->loop) < call->wait_due_ns) {
		call->missed = 0;
		call_run(call);
		if (call->step >= CALL_ANSWER)
			waiting_remove(call);
		else
			set_wait_timer(call);
	} else if (call->waiting) {
		const enum problem problem = problem_of_waiting(call);
		waiting_remove(call);
		call->step = call_refuse(call, problem, 0);
	} else if (call->step == CALL_ANSWER && is_key_over(call)) {
		call_end(call, call_problem_of_key_end(call));
	} else if (call->step == CALL_ANSWER && loop_now_ns(worker->loop) >= call->deadline_ns) {
		/* A caller that is slow to send its request, or hasty, is none of the instance's;
		 * one that set its own deadline leaves with it. */
		if (call->request_ended && !call->tunnel && !call->callers_deadline)
			balance_note(call, true);
		call_fail(call, PROBLEM_TIMEOUT,
			  call->callers_deadline ? JOURNAL_ABORTED : JOURNAL_CUT);
	} else if (call->step == CALL_ANSWER && tunnel_is_idle(call)) {
		call_fail(call, PROBLEM_TIMEOUT, JOURNAL_CUT);
	} else if (call->step == CALL_ANSWER &&
		   (loop_now_ns(worker->loop) < part_due_ns(call) || part_next(call)) &&
		   call_reserve(call)) {
		loop_timer_set(worker->loop, &call->timer, call_due_ns(call));
		if (call->starved_request)
			http_exchange_resume(call->exchange);
		if (call->starved_answer)
			http_call_resume(call->upstream);
		call->starved_request = call->starved_answer = false;
	}
}

uint64_t call_due_ns(const struct call *call)
{
	const uint64_t ends_ns[] = {part_due_ns(call), tunnel_due_ns(call)};
	uint64_t due_ns = call->deadline_ns;

	for (unsigned i = 0; i < 2; i++) {
		if (ends_ns[i] < due_ns)
			due_ns = ends_ns[i];
	}
	return due_ns;
}

bool call_reserve(struct call *call)
{
	struct worker *worker = call->worker;
	struct directory *directory = &worker->gateway->directory;
	const uint64_t now_ns = loop_now_ns(worker->loop);
	const uint64_t bytes = call->request_bytes + call->response_bytes;

	while (bytes + RESERVE_MARGIN_BYTES > call->hold_bytes) {
		struct rating_cloud_quantities more = {0};
		int64_t nano;
		more.of[RATING_CLOUD_BYTES_HOST + call->instance->path] = GATEWAY_HOLD_BYTES;
		if (!rating_cloud_most(&directory->card, &more, &nano)) {
			call_cut_for_money(call, PROBLEM_BALANCE);
			return false;
		}
		const enum admit_outcome outcome = admit_extend(&call->hold, nano, now_ns);
		switch (outcome) {
		case ADMIT_DONE:
			call->hold_bytes += GATEWAY_HOLD_BYTES;
			break;
		case ADMIT_WAIT:
			loop_timer_set(worker->loop, &call->timer, now_ns + RESERVE_RETRY_NS);
			return false;
		default:
			call_cut_for_money(call, call_problem_of_money(outcome));
			return false;
		}
	}
	return true;
}

/* ---- the request's body ---- */

static void on_body(struct http_exchange *exchange, struct slice bytes)
{
	struct call *call = http_exchange_state(exchange);

	if (call->step == CALL_OVER)
		return;
	call->request_bytes += bytes.length;
	keep_body(call->keep, bytes);
	if (call->upstream == NULL)
		return;
	if (call->tunnel)
		tunnel_moved(call);
	http_call_send(call->upstream, bytes);
	if (!call_reserve(call)) {
		if (call->step != CALL_ANSWER)
			return;
		call->starved_request = true;
		http_exchange_pause(exchange);
	} else if (!http_call_writable(call->upstream)) {
		http_exchange_pause(exchange);
	}
}

static void on_request_end(struct http_exchange *exchange, const struct http_header *trailers,
			   size_t trailer_count)
{
	struct call *call = http_exchange_state(exchange);

	call->request_ended = true;
	if (call->upstream != NULL)
		http_call_finish(call->upstream, trailers, trailer_count);
}

static void on_writable(struct http_exchange *exchange)
{
	struct call *call = http_exchange_state(exchange);

	if (call->upstream != NULL && !call->starved_answer)
		http_call_resume(call->upstream);
}

/* ---- the end ---- */

void call_end(struct call *call, enum problem problem)
{
	if (call->step != CALL_ANSWER) {
		call->step = call_refuse(call, problem, 0);
		return;
	}
	call->cut_for_caller = true;
	call_fail(call, problem, JOURNAL_CUT);
}

enum problem call_problem_of_money(enum admit_outcome outcome)
{
	switch (outcome) {
	case ADMIT_BUDGET:
		return PROBLEM_BUDGET;
	case ADMIT_BUDGET_OF_APP:
		return PROBLEM_BUDGET_OF_APP;
	case ADMIT_BUDGET_OF_ACCOUNT:
		return PROBLEM_BUDGET_OF_ACCOUNT;
	default:
		return PROBLEM_BALANCE;
	}
}

void call_cut_for_money(struct call *call, enum problem problem)
{
	call->cut_for_caller = true;
	call_fail(call, problem, JOURNAL_CUT);
}

void call_let_go(struct call *call, bool counted)
{
	struct worker *worker = call->worker;
	struct directory_service *service = call->service;

	waiting_remove(call);
	loop_timer_clear(worker->loop, &call->timer);
	if (call->keep != NULL)
		keep_give(&worker->keeps, call->keep);
	call->keep = NULL;
	if (call->held != NULL)
		keep_give(&worker->keeps, call->held);
	call->held = NULL;
	part_give(call);
	admit_release(&call->hold);
	if (call->entered) {
		admitted_remove(call);
		/* By the version under which it entered: its plan may be the next by now. */
		admit_leave(&call->subscription->admit,
			    &directory_plan_at(call->subscription, call->started_wall_ns)->admit,
			    call->started_wall_ns, counted);
		worker->unsettled--;
		worker_count(&worker->counts.calls_in_flight, -1);
	}
	if (call->tunnel)
		worker_count(&worker->counts.tunnels, -1);
	call->tunnel = false;
	call->entered = false;
	call->subscription = NULL; /* may go away from here on */
	if (call->instance == NULL)
		return;
	balance_release(call);
	worker_place_free(worker, service);
}

static void on_abort(struct http_exchange *exchange, enum http_abort reason)
{
	struct call *call = http_exchange_state(exchange);
	int64_t charge_nano;

	(void)reason;
	if (call->step == CALL_OVER)
		return;
	if (call->upstream != NULL)
		http_call_cancel(call->upstream);
	call->upstream = NULL;
	if (call->step == CALL_ANSWER) {
		call_settle(call, JOURNAL_ABORTED, &charge_nano);
	} else {
		if (call->worker->access != NULL)
			note_refused(call, PROBLEM_COUNT);
		call_let_go(call, false);
	}
	call->step = CALL_OVER;
}

static void on_over(struct http_exchange *exchange)
{
	struct call *call = http_exchange_state(exchange);

	durable_forget(call);
	check(call->step == CALL_OVER);
	check(!call->entered && call->keep == NULL && call->upstream == NULL);
}

static size_t refuse(struct http_server *server, const struct http_refusal *refusal, char *body,
		     size_t body_bytes_max)
{
	struct worker *worker = http_server_owner(server);

	worker_count(&worker->counts.refused_other, 1);
	worker_count(&worker->problems[PROBLEM_REQUEST_INVALID], 1);
	if (worker->access != NULL)
		note_invalid(worker, refusal->status);
	const int length = snprintf(body, body_bytes_max,
				    "{\"type\":\"" PROBLEM_TYPE_PREFIX
				    "request-invalid\",\"title\":\"%s\",\"status\":%u,"
				    "\"detail\":\"%s\"}\n",
				    refusal->title, refusal->status, refusal->detail);
	check(length > 0 && (size_t)length < body_bytes_max);
	return (size_t)length;
}

const struct http_server_events call_server_events = {
	.on_request = on_request,
	.on_body = on_body,
	.on_request_end = on_request_end,
	.on_writable = on_writable,
	.on_abort = on_abort,
	.on_over = on_over,
	.refuse = refuse,
};

#include "gateway/durable.h"

#include "gateway/call.h"

static void remove_from_list(struct call *call)
{
	struct worker *worker = call->worker;

	*(call->durable_previous == NULL ? &worker->durable_first
					 : &call->durable_previous->durable_next) =
		call->durable_next;
	*(call->durable_next == NULL ? &worker->durable_last
				     : &call->durable_next->durable_previous) =
		call->durable_previous;
	call->durable_next = call->durable_previous = NULL;
	call->durable_waits = false;
}

/* They wait in the order of their records. */
static void on_synced(struct loop_message *message)
{
	struct worker *worker =
		(struct worker *)((char *)message - offsetof(struct worker, durable_synced));
	const struct journal *journal = worker->gateway->options.journal;

	/* Cleared first: what is synced from here on is told again. */
	atomic_store(&worker->durable_told, false);
	const bool failed = journal_is_failed(journal);
	const uint64_t durable = journal_stream_durable(journal, worker->number);
	for (;;) {
		struct call *call = worker->durable_first;
		if (call == NULL || (call->durable_position >= durable && !failed))
			break;
		remove_from_list(call);
		if (call->durable_position < durable)
			http_exchange_release(call->exchange);
		else
			http_exchange_abort(call->exchange);
	}
	atomic_store(&worker->durable_waits, worker->durable_first != NULL);
}

/* At the end of the turn: all of its records are there. */
static void on_turn_end(struct loop_task *task)
{
	struct worker *worker =
		(struct worker *)((char *)task - offsetof(struct worker, durable_demand));
	const struct gateway_options *options = &worker->gateway->options;

	atomic_store(&worker->durable_waits, true);
	options->on_sync_demand(options->context);
}

void durable_begin(struct worker *worker)
{
	worker->durable_synced.deliver = on_synced;
	worker->durable_demand.run = on_turn_end;
}

void durable_hold(struct call *call, uint64_t position)
{
	struct worker *worker = call->worker;

	call->durable_position = position;
	call->durable_waits = true;
	call->durable_previous = worker->durable_last;
	*(worker->durable_last == NULL ? &worker->durable_first
				       : &worker->durable_last->durable_next) = call;
	worker->durable_last = call;
	http_exchange_hold(call->exchange);
	loop_defer(worker->loop, &worker->durable_demand);
}

void durable_forget(struct call *call)
{
	if (call->durable_waits)
		remove_from_list(call);
}

void gateway_journal_synced(struct gateway *gateway)
{
	if (!gateway->options.durable_answers)
		return;
	pthread_mutex_lock(&gateway->lock);
	for (uint32_t i = 0; i < gateway->options.workers; i++) {
		struct worker *worker = gateway->workers[i];
		if (worker != NULL && atomic_load(&worker->durable_waits) &&
		    !atomic_exchange(&worker->durable_told, true))
			loop_post(worker->loop, &worker->durable_synced);
	}
	pthread_mutex_unlock(&gateway->lock);
}

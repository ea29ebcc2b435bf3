/* Usage that is reported to the API: held and recorded by the gateway, in a journal stream of the
 * control thread's own, which is the one behind the workers' and made with the first report. */
#include "node/node_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "meter/meter.h"

#define HOLD_WAIT_NS (2 * CLOCK_NS_PER_S) /* for the ledger, in one request */
#define SYNC_WAIT_NS (10 * CLOCK_NS_PER_S)

static_assert(GATEWAY_WORKERS_MAX < JOURNAL_STREAMS_MAX, "a stream is left for reports");

/* Another thread does what is waited for, and tells. */
static bool wait_until(struct node *node, uint64_t due_ns)
{
	const uint64_t now_ns = clock_monotonic_ns(clock_system());

	if (now_ns >= due_ns)
		return false;
	posting_wait(&node->report_wake, due_ns - now_ns);
	return true;
}

static uint64_t due_in(uint64_t ns)
{
	return clock_monotonic_ns(clock_system()) + ns;
}

/* ---- at start ---- */

static int forget_lost(struct store *store, void *context, struct fault *fault)
{
	const struct node *node = context;
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < JOURNAL_STREAMS_MAX; i++)
		code = meter_reported_forget_lost(store, i, journal_stream_head(node->journal, i),
						  fault);
	return code;
}

int reporting_recover(struct node *node, struct fault *fault)
{
	return store_transaction(node->store, forget_lost, node, fault);
}

/* ---- the API's ports ---- */

int reporting_begin(void *context, size_t count, uint32_t *ret_stream, uint64_t *ret_position,
		    struct fault *fault)
{
	struct node *node = context;
	const uint32_t number = node->worker_count;

	if (node->poster == NULL || atomic_load(&node->stopping))
		return fault_set(fault, FAULT_BUSY, "the node is about to stop; try again");
	if (node->report_stream == NULL) {
		const int code =
			journal_stream_open(node->journal, number, &node->report_stream, fault);
		if (code < 0)
			return code;
	}
	if (journal_stream_room(node->report_stream) < count)
		return fault_set(fault, FAULT_BUSY,
				 "the journal has no room for %zu records now; try again", count);
	node->report_due_ns = due_in(HOLD_WAIT_NS);
	*ret_stream = number;
	*ret_position = journal_stream_head(node->journal, number);
	return 0;
}

enum api_usage_outcome reporting_hold(void *context, struct api_usage *usage)
{
	static const enum api_usage_outcome outcomes[] = {
		[GATEWAY_REPORT_HELD] = API_USAGE_HELD,
		[GATEWAY_REPORT_NO_SUBSCRIPTION] = API_USAGE_NO_SUBSCRIPTION,
		[GATEWAY_REPORT_TOO_MUCH] = API_USAGE_TOO_MUCH,
		[GATEWAY_REPORT_BALANCE] = API_USAGE_BALANCE,
		[GATEWAY_REPORT_BUDGET] = API_USAGE_BUDGET,
		[GATEWAY_REPORT_WAIT] = API_USAGE_BUSY,
	};
	struct node *node = context;
	struct gateway_report *report = calloc(1, sizeof(*report));
	enum gateway_reported reported;

	check(report != NULL);
	report->app = usage->app;
	report->service = usage->service;
	report->call = usage->call;
	report->used_ns = usage->used_ns;
	for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
		report->units[i] = usage->units[i];
	do
		reported = gateway_report_hold(node->gateway, report);
	while (reported == GATEWAY_REPORT_WAIT && wait_until(node, node->report_due_ns));
	if (reported == GATEWAY_REPORT_HELD)
		usage->held = report;
	else
		free(report);
	return outcomes[reported];
}

void reporting_release(void *context, struct api_usage *usage)
{
	(void)context;
	gateway_report_release(usage->held);
	free(usage->held);
	usage->held = NULL;
}

bool reporting_record(void *context, struct api_usage *usage, int64_t *ret_charge_nano)
{
	struct node *node = context;
	const bool billed = gateway_report_record(node->gateway, usage->held, node->report_stream,
						  ret_charge_nano);

	free(usage->held);
	usage->held = NULL;
	return billed;
}

int reporting_sync(void *context, struct fault *fault)
{
	struct node *node = context;
	const uint32_t number = node->worker_count;
	const uint64_t head = journal_stream_head(node->journal, number);
	const uint64_t due_ns = due_in(SYNC_WAIT_NS);

	posting_wake_sync(node);
	while (journal_stream_durable(node->journal, number) < head) {
		if (journal_is_failed(node->journal))
			return fault_set(fault, FAULT_STORE,
					 "the journal cannot be written; report the same again "
					 "once the node was started anew");
		if (!wait_until(node, due_ns))
			return fault_set(fault, FAULT_BUSY,
					 "the disk is slow; report the same again, which counts "
					 "nothing twice");
	}
	return 0;
}

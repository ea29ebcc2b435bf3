#include "node/node_internal.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/check.h"
#include "base/log.h"

/* A turn is a transaction: few large ones are cheaper than many small ones, and leases cover
 * seconds. Whoever needs money wakes the poster at once. */
#define TURN_INTERVAL_NS  (100 * CLOCK_NS_PER_MS)
#define FAULT_INTERVAL_NS (200 * CLOCK_NS_PER_MS)

/* Any thread. */
static void wake(struct node_wake *wake)
{
	if (!atomic_exchange(&wake->told, true))
		sem_post(&wake->woken);
}

/* ---- the gateway's leases, as billing sees them ---- */

static struct billing_lease_state port_poll(void *context, void *handle)
{
	struct node_lease *lease = handle;

	(void)context;
	atomic_store(&lease->refreshed, false);
	const struct gateway_lease_state state = gateway_lease_poll(lease->lease);

	return (struct billing_lease_state){.available_nano = state.available_nano,
					    .wanted_nano = state.wanted_nano,
					    .taken_nano = state.taken_nano};
}

static void port_grant(void *context, void *handle, int64_t nano, uint64_t expires_ns)
{
	const struct node_lease *lease = handle;

	(void)context;
	gateway_lease_grant(lease->lease, nano, expires_ns);
}

static int64_t port_reclaim(void *context, void *handle, int64_t nano)
{
	const struct node_lease *lease = handle;

	(void)context;
	return gateway_lease_reclaim(lease->lease, nano);
}

static void port_set_source(void *context, void *handle, bool has_more)
{
	struct node_lease *lease = handle;

	(void)context;
	gateway_lease_set_source(lease->lease, has_more);
	/* Looked at after the store, so that one of the two sees the other. */
	if (!has_more && atomic_load(&lease->refreshed))
		gateway_lease_set_source(lease->lease, true);
}

static void port_changed(void *context)
{
	struct node *node = context;

	if (node->gateway != NULL)
		gateway_leases_changed(node->gateway);
	wake(&node->report_wake);
}

void posting_refresh(struct node *node, struct node_lease *lease)
{
	if (lease != NULL) {
		atomic_store(&lease->refreshed, true);
		gateway_lease_set_source(lease->lease, true);
	}
	posting_wake(node);
}

/* ---- threads ---- */

void posting_wake(void *context)
{
	struct node *node = context;

	wake(&node->poster_wake);
}

void posting_wake_sync(void *context)
{
	struct node *node = context;

	wake(&node->sync_wake);
}

/* Waits on the machine's clock whatever the node's: this paces work, it decides nothing. */
void posting_wait(struct node_wake *wake, uint64_t most_ns)
{
	const uint64_t due_ns = clock_monotonic_ns(clock_system()) + most_ns;
	const struct timespec due = {.tv_sec = (time_t)(due_ns / CLOCK_NS_PER_S),
				     .tv_nsec = (long)(due_ns % CLOCK_NS_PER_S)};

	while (sem_clockwait(&wake->woken, CLOCK_MONOTONIC, &due) < 0 && errno == EINTR)
		;
	/* Cleared before the turn looks: what comes from here on wakes the next one. */
	atomic_store(&wake->told, false);
}

static void *run_poster(void *context)
{
	struct node *node = context;

	while (!atomic_load(&node->stopping)) {
		struct fault fault;
		uint64_t posted = 0;
		if (billing_poster_turn(node->poster, &posted, &fault) < 0) {
			troubles_note(&node->troubles, TROUBLE_POSTER, clock_wall_ns(node->clock),
				      &fault);
			posting_wait(&node->poster_wake, FAULT_INTERVAL_NS);
			continue;
		}
		troubles_note(&node->troubles, TROUBLE_POSTER, clock_wall_ns(node->clock), NULL);
		if (posted < BILLING_TURN_RECORDS)
			posting_wait(&node->poster_wake, TURN_INTERVAL_NS);
	}
	return NULL;
}

static void maintain(struct node *node)
{
	struct fault fault;
	bool synced;
	const bool failed = journal_maintain(node->journal, &synced, &fault) < 0;

	troubles_note(&node->troubles, TROUBLE_JOURNAL, clock_wall_ns(node->clock),
		      failed ? &fault : NULL);
	if (node->gateway != NULL) /* a start may fail before there is one */
		gateway_journal_synced(node->gateway);
	wake(&node->report_wake);
}

static void *run_sync(void *context)
{
	struct node *node = context;

	while (!atomic_load(&node->stopping)) {
		maintain(node);
		posting_wait(&node->sync_wake, node->config.sync_interval_ns);
	}
	return NULL;
}

int posting_open(struct node *node, struct fault *fault)
{
	const struct billing_options options = {
		.store = node->poster_store,
		.journal = node->journal,
		.clock = node->clock,
		.terms = billing_terms_of_catalog(),
		.leases = {.poll = port_poll,
			   .grant = port_grant,
			   .reclaim = port_reclaim,
			   .set_source = port_set_source,
			   .changed = port_changed,
			   .context = node},
		.card = node->config.card,
		.fee_ppm = node->config.fee_ppm,
		.node = NODE_NUMBER,
	};
	int code = billing_poster_open(&options, &node->poster, fault);

	if (code == 0)
		code = billing_poster_recover(node->poster, fault);
	return code;
}

int posting_start(struct node *node, struct fault *fault)
{
	int error = pthread_create(&node->sync_thread, NULL, run_sync, node);

	if (error != 0)
		return fault_set_errno(fault, error, "start the journal's thread");
	pthread_setname_np(node->sync_thread, "sync");
	node->sync_running = true;
	error = pthread_create(&node->poster_thread, NULL, run_poster, node);
	if (error != 0)
		return fault_set_errno(fault, error, "start the poster's thread");
	pthread_setname_np(node->poster_thread, "poster");
	node->poster_running = true;
	return 0;
}

void posting_stop(struct node *node)
{
	struct fault fault;

	atomic_store(&node->stopping, true);
	posting_wake(node);
	posting_wake_sync(node);
	if (node->poster_running)
		check_equal(pthread_join(node->poster_thread, NULL), 0);
	if (node->sync_running)
		check_equal(pthread_join(node->sync_thread, NULL), 0);
	node->poster_running = node->sync_running = false;
	if (node->poster == NULL)
		return;
	maintain(node);
	if (billing_poster_finish(node->poster, &fault) < 0)
		log_event(LOG_ERROR, "poster.unfinished", log_text("fault", fault.text));
	billing_poster_close(node->poster);
	node->poster = NULL;
}

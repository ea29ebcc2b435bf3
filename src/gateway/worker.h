/*
 * worker: one thread's part of the gateway. Private to the gateway.
 *
 * A worker owns its loop, its client connections, its connections to instances and one journal
 * stream; it shares only the directory and the atomics of subscriptions, leases and instances.
 */
#pragma once

#include <pthread.h>

#include "base/random.h"
#include "gateway/access.h"
#include "gateway/directory.h"
#include "gateway/gateway.h"
#include "gateway/keep.h"
#include "gateway/problem.h"

struct call;

/* Sending a call again costs 10 of this credit, sending one at all earns 1: retries stay below a
 * tenth of the calls. */
#define WORKER_RETRY_CREDIT_MAX 1000u
#define WORKER_RETRY_COST       10u
#define WORKER_COMPLAINT_NS     (10 * CLOCK_NS_PER_S) /* between two lines about one service */

/* A connection to an instance's address, as one worker has it. */
struct worker_origin {
	struct directory_instance *instance;
	struct http_origin *origin;
	struct worker_origin *next, *previous;
};

struct worker {
	struct gateway *gateway;
	uint32_t number;
	struct loop *loop;
	struct http_server *server;
	struct http_client *client;
	struct journal_stream *stream;
	struct random_seeded random;
	struct http_date date; /* of what is signed */
	struct keep_pool keeps;
	struct call_parts *parts_idle;
	struct call *waiting_first, *waiting_last; /* for money or an instance, oldest first */
	struct call *admitted_first;               /* all that call_let_go is owed, newest first */
	uint32_t waiting_count;
	struct worker_origin *first_origin;
	struct access_ring *access; /* NULL: no access log */
	uint32_t retry_credit;
	uint64_t month_ends_ns;                    /* Unix; of the month that was looked at last */
	uint32_t unsettled;                        /* calls that will still need a record */
	struct loop_task retry;                    /* waiting calls look again at the turn's end */
	struct call *durable_first, *durable_last; /* answers that wait for the disk: durable.h */
	struct loop_task durable_demand;
	struct loop_message durable_synced;
	_Atomic bool durable_waits, durable_told;
	struct loop_message nudge;
	_Atomic bool nudged;
	struct loop_message stop, hurry;
	struct loop_timer stop_timer;
	bool stopping;
	_Atomic uint32_t connections; /* for choosing the least loaded; as of the last change */
	uint64_t tls_told_ns;         /* when a refused connection was logged last; 0: never */
	/* Written by this worker only, read by any. */
	struct {
#define X(kind, name, sentence) _Atomic uint64_t name;
		GATEWAY_COUNTS(X)
#undef X
	} counts;
	_Atomic uint64_t problems[PROBLEM_COUNT]; /* that it answered with */
};

struct gateway {
	struct gateway_options options;
	struct directory directory;
	struct access_log *access; /* NULL: none */
	/* Of workers[] and their starting and stopping, and of the endings. */
	pthread_mutex_t lock;
	uint32_t endings_open; /* told to a worker and not yet applied: see ending.h */
	pthread_cond_t endings_applied;
	struct worker *workers[GATEWAY_WORKERS_MAX]; /* those whose loop takes messages */
	struct loop_address addresses[GATEWAY_LISTENERS_MAX];
	struct loop_listener listeners[GATEWAY_LISTENERS_MAX];
	struct http_tls *tls[GATEWAY_LISTENERS_MAX]; /* with the lock; NULL: plain */
	bool may_fail[GATEWAY_LISTENERS_MAX];
	uint32_t listener_count;
	uint32_t listeners_open;
	struct gateway_lease *first_lease;
	const char *io_reason;
	enum loop_io io;
	_Atomic uint64_t stop_grace_ns;
	_Atomic bool stopping, hurrying;
	struct worker of[]; /* options.workers of them */
};

static inline void worker_count(_Atomic uint64_t *count, int64_t step)
{
	/* One writer, so no locked instruction is needed. */
	atomic_store_explicit(count,
			      atomic_load_explicit(count, memory_order_relaxed) + (uint64_t)step,
			      memory_order_relaxed);
}

/* The worker looks at its waiting calls again. Any thread, while it runs. */
void worker_nudge(struct worker *worker);

/* Whether a log line of this kind is due again, on whichever worker: so that it is seen and a flood
 * is not. `told_ns` is when the last one was, 0 before the first. */
bool worker_complaint_due(const struct worker *worker, _Atomic uint64_t *told_ns,
			  uint64_t interval_ns);

/* NULL without memory. */
struct worker_origin *worker_origin_new(struct worker *worker, struct directory_instance *instance);
/* A place on an instance of the service became free: whoever waits for one is told. */
void worker_place_free(struct worker *worker, struct directory_service *service);

/* directory.farewell. */
uint32_t worker_farewell(void *context, struct directory_instance *instance);

/* The events of server and client, implemented by call.c and answer.c. */
extern const struct http_server_events call_server_events;
extern const struct http_client_events call_client_events;

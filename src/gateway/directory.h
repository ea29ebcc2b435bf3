/*
 * directory: what a worker can look up during a call. Private to the gateway.
 *
 * Three tables (services by name, subscriptions by app and service, keys by digest) in liburcu's
 * lock-free hash table, read by the workers inside a loop turn (QSBR: a turn's end is a quiescent
 * state, a waiting loop is offline), changed by the publisher only.
 *
 * What a call keeps beyond a turn: services, plans and leases live as long as the gateway; a
 * subscription or an instance counts its calls in flight and goes after the last.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#define URCU_INLINE_SMALL_FUNCTIONS
#include <urcu/urcu-qsbr.h>

#include "base/map.h"
#include "gateway/admit.h"
#include "gateway/allowance.h"
#include "gateway/eject.h"
#include "gateway/gateway.h"
#include "gateway/identity.h"
#include "gateway/lease.h"
#include "gateway/table.h"
#include "gateway/tally.h"

/* Never freed before the gateway, never changed, but for what comes after it. */
struct directory_plan {
	struct plan_id id;
	/* Which version takes its place, or NULL, and since when this one takes the place of those
	 * that name it (Unix). They change long before that time or not at all. */
	_Atomic(const struct directory_plan *) next;
	_Atomic uint64_t begins_ns;
	char name[GATEWAY_NAME_MAX];
	struct admit_plan admit;
	char allowance[ALLOWANCE_POLICY_MAX]; /* RateLimit-Policy */
	size_t allowance_bytes;               /* 0: nothing to tell */
};

struct worker_origin;

/* How much of an instance one call uses, at the most over a service's instances. */
struct directory_shape {
	_Atomic uint32_t memory_mib_share; /* declared MiB / concurrency, rounded up */
	_Atomic uint32_t cpu_milli_share;
	_Atomic uint32_t path; /* the dearest one */
};

struct directory_instance {
	uint32_t id;
	uint32_t memory_mib, cpu_milli, concurrency;
	enum rating_path path;
	bool replaced;
	struct loop_address address;
	enum http_protocol protocol;
	struct http_tls *tls;             /* counted; NULL: plain */
	char authority[GATEWAY_NAME_MAX]; /* "": the caller's */
	struct directory_service *service;
	struct directory_instance *next_retired;
	_Alignas(64) _Atomic uint32_t in_flight;
	_Atomic uint32_t latency_us; /* exponentially weighted over answers, 1/8 each */
	struct eject_state ejection;
	_Atomic uint32_t farewells;      /* workers that have still to forget it, once retired */
	struct worker_origin *origins[]; /* one a worker, made and used by that worker alone */
};

struct directory_instances {
	struct rcu_head rcu;
	uint32_t count;
	struct directory_instance *of[];
};

struct directory_service {
	struct cds_lfht_node by_name;
	struct service_id id;
	char name[GATEWAY_NAME_MAX];
	_Atomic(const char *) units[RATING_UNITS_MAX];   /* set once each */
	_Atomic(struct directory_instances *) instances; /* by RCU; NULL: none */
	_Atomic(struct identity_signer *) signer;        /* by RCU; NULL: none */
	struct directory_shape shape;
	struct tally *tallies;            /* one a worker */
	_Atomic uint32_t waiting;         /* calls */
	_Atomic uint64_t waiting_workers; /* bit n: worker n has calls that wait for an instance */
	_Atomic uint64_t complained_ns;   /* when an unknown unit was last logged */
	_Atomic uint64_t not_chargeable_ns; /* when a call that could not be charged was */
	_Atomic uint64_t tls_failed_ns;     /* when a lack of agreement by TLS was */
};

struct directory_subscription {
	struct cds_lfht_node by_app;
	struct rcu_head rcu;
	struct subscription_id id;
	struct account_id account;
	struct app_id app;
	struct directory_service *service;
	char account_name[GATEWAY_NAME_MAX];
	char app_name[GATEWAY_NAME_MAX];
	struct gateway_lease *account_lease;
	_Atomic(struct gateway_lease *) budget_leases[GATEWAY_LEVELS];
	_Atomic(const struct directory_plan *) plan;
	_Atomic int64_t cloud_most_nano; /* part of a hold; follows plan and shape */
	struct directory_subscription *next_retired;
	_Atomic bool unreachable; /* retired, and the grace period is over */
	struct admit_state admit;
};

struct directory_key {
	struct cds_lfht_node by_digest;
	struct rcu_head rcu;
	uint8_t digest[32];
	struct key_id id;
	struct app_id app;
	/* There may be millions: the two share a word. */
	uint64_t expires_us : 54; /* Unix; 0: never */
	uint64_t scope_bytes : 10;
	char scopes[]; /* 0 bytes: all that the app may */
};

static inline struct slice directory_key_scopes(const struct directory_key *key)
{
	return slice_make(key->scopes, key->scope_bytes);
}

struct directory {
	struct table services, subscriptions, keys;
	_Atomic bool complete; /* what is not in it is not there */
	uint64_t changes;      /* the publisher's count of what it did to the tables and entries */
	struct rating_card card;
	uint64_t part_ns; /* what one hold of a call covers, at most */
	uint32_t workers;
	struct map services_by_id, plans_by_id; /* the publisher's */
	struct directory_instance *first_retired_instance;
	struct directory_subscription *first_retired_subscription;
	/* Tells every worker to forget the instance; each then calls directory_instance_forgotten.
	 * Returns how many were told. */
	uint32_t (*farewell)(void *context, struct directory_instance *instance);
	void *context;
};

int directory_init(struct directory *directory, const struct rating_card *card, uint32_t workers,
		   struct fault *fault);
/* No worker runs any more. */
void directory_fini(struct directory *directory);

/* For workers, within a turn. NULL: there is none. `name` in any case of its letters. */
struct directory_service *directory_find_service(struct directory *directory, struct slice name);
struct directory_subscription *directory_find_subscription(struct directory *directory,
							   struct app_id app,
							   const struct directory_service *service);
/* Compares the whole digest in constant time. */
const struct directory_key *directory_find_key(struct directory *directory,
					       const uint8_t digest[32]);
/* A worker will not use the instance again. */
void directory_instance_forgotten(struct directory_instance *instance);
/* The subscription's plan version at that time (Unix). */
static inline const struct directory_plan *
directory_plan_at(const struct directory_subscription *subscription, uint64_t wall_ns)
{
	const struct directory_plan *plan =
		atomic_load_explicit(&subscription->plan, memory_order_acquire);
	const struct directory_plan *next = atomic_load_explicit(&plan->next, memory_order_acquire);

	while (next != NULL &&
	       wall_ns >= atomic_load_explicit(&next->begins_ns, memory_order_relaxed)) {
		plan = next;
		next = atomic_load_explicit(&plan->next, memory_order_acquire);
	}
	return plan;
}

/* The leases that its calls draw on now; what is held of others goes back. */
static inline void directory_draw(const struct directory_subscription *subscription,
				  struct admit_hold *hold)
{
	hold->account = subscription->account_lease;
	for (unsigned level = 0; level < GATEWAY_LEVELS; level++) {
		struct gateway_lease *budget = atomic_load_explicit(
			&subscription->budget_leases[level], memory_order_acquire);
		if (budget == hold->budgets[level])
			continue;
		admit_release(hold);
		hold->budgets[level] = budget;
	}
}

/* What a plan's calls, or those of the versions that take its place, may cost the cloud at the
 * most, for `bytes` transferred. False: overflow. */
bool directory_cloud_most(const struct rating_card *card, const struct directory_plan *plan,
			  const struct directory_shape *shape, uint64_t bytes, int64_t *ret_nano);

/* For the publisher: see gateway.h. */
int directory_put_plan(struct directory *directory, const struct gateway_plan_entry *entry,
		       struct fault *fault);
int directory_put_move(struct directory *directory, struct plan_id from, struct plan_id to,
		       uint64_t begins_ns, struct fault *fault);
int directory_put_service(struct directory *directory, const struct gateway_service_entry *entry,
			  struct fault *fault);
int directory_put_instance(struct directory *directory, struct service_id service,
			   const struct gateway_instance_entry *entry, struct fault *fault);
int directory_put_subscription(struct directory *directory,
			       const struct gateway_subscription_entry *entry, struct fault *fault);
/* *ret_replaced is set where the key was there and something of it has changed. */
int directory_put_key(struct directory *directory, const struct gateway_key_entry *entry,
		      bool *ret_replaced, struct fault *fault);
void directory_retire_instance(struct directory *directory, struct service_id service, uint32_t id);
bool directory_instance_idle(struct directory *directory, uint32_t id);
void directory_retire_subscription(struct directory *directory, struct app_id app,
				   struct service_id service);
/* Returns its id, 0 where it is not there. */
struct key_id directory_retire_key(struct directory *directory, const uint8_t digest[32]);

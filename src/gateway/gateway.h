/*
 * gateway: the data plane, where a call lives. It authenticates, admits, forwards, settles.
 *
 * A call is admitted only against money that the ledger has reserved for this node (a lease),
 * so money admitted never exceeds money there; it is on record in the journal before the last
 * byte of its answer is given to the kernel. gateway cannot block on a database, for it cannot
 * include one: everything it knows is published to it, everything it learns is a call record.
 *
 * What it knows (the directory): services with their instances, plans, subscriptions, keys.
 * Workers read it through RCU (liburcu, QSBR); one publisher thread changes it, one entry at a
 * time. An identical publish changes nothing; no change disturbs a call in flight, but the end of
 * the key or the subscription that let it in, which cuts it.
 *
 * Threads: gateway_publish_*, gateway_retire_* and gateway_new/free belong to one publisher
 * thread, which has called gateway_publisher_enter. gateway_worker_run belongs to one thread a
 * worker. gateway_lease_* may be called from any thread.
 * Lifetime: plans, services and leases live as long as the gateway. Keys go after a grace
 * period, subscriptions and instances after their last call.
 * Errors: publishing reports faults (limits, memory). A call's errors are the table of
 * problems in gateway/problem.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/network.h"
#include "base/random.h"
#include "base/slice.h"
#include "http/http.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "rating/rating.h"

#define GATEWAY_NAME_MAX      136 /* bytes of a name, "account/app" included, with NUL */
#define GATEWAY_WORKERS_MAX   (JOURNAL_STREAMS_MAX - 1) /* a stream each; one is for reports */
#define GATEWAY_LISTENERS_MAX 8
#define GATEWAY_INSTANCES_MAX 256        /* of one service */
#define GATEWAY_QUEUE_MAX     4096       /* calls that wait on one worker */
#define GATEWAY_HOLD_BYTES    (1u << 20) /* a call's transfer is held for in such pieces */

struct gateway;
struct gateway_lease;

/* When instances that fail are left out for a while: see eject.h. */
struct gateway_ejection {
	uint32_t failures;    /* in a row; 0 here: all of this by default */
	uint64_t interval_ns; /* over which shares are compared */
	uint32_t worse_ppm;   /* success below the others' by so much */
	uint64_t time_ns;     /* the first time; doubles */
	uint64_t time_most_ns;
	uint32_t share_ppm; /* of a service's instances, at most */
};

/* 5 in a row, 30 % worse over 10 s, 500 ms to 30 s, at most half. */
void gateway_ejection_default(struct gateway_ejection *ejection);

/* The access log: one line a call. */
struct gateway_access {
	const char *path; /* NULL: none. It must outlive the gateway */
	enum log_format format;
	bool query; /* the path is followed by its query */
	/* Of a million traces, how many have no line of calls that went well; 0: a line each. */
	uint32_t skipped_ppm;
	uint64_t bytes_max; /* then it becomes FILE.1 */
};

#define GATEWAY_TRUSTED_MAX 64

/* Proxies whose word on the way before them is believed. */
struct gateway_trust {
	struct network networks[GATEWAY_TRUSTED_MAX];
	uint32_t network_count;
	bool unix_sockets; /* so are peers on a Unix socket */
	bool by_forwarded; /* what they write is Forwarded; else X-Forwarded-* */
};

struct gateway_options {
	const struct clock *clock;
	struct random *random;   /* seeds the workers' own sources */
	struct journal *journal; /* one stream a worker */
	struct rating_card card;
	const char *currency; /* for Stoa-Charge: "USD" */
	struct http_limits limits;
	enum loop_io io;
	uint32_t workers;          /* 1 .. GATEWAY_WORKERS_MAX */
	uint64_t instance_wait_ns; /* how long a call waits for an instance; 0: 10 s */
	uint64_t lease_wait_ns;    /* how long a call waits for the ledger; 0: 2 s */
	/* Of a tunnel (WebSocket): without a byte either way; from begin to end. 0: 5 min, 1 h. */
	uint64_t tunnel_idle_ns, tunnel_lifetime_ns;
	/* A call that runs longer is settled each time so much has passed; 0: 5 s. Whole
	 * milliseconds. */
	uint64_t settle_ns;
	uint64_t record_us_most; /* of a record's service_us; 0: all its bits. Tests take less */
	uint32_t waiting_max;    /* calls that wait for one service's instances; 0: 1,024 */
	struct gateway_ejection ejection;
	struct gateway_access access;
	struct gateway_trust trust;
	/* A lease needs money; called from workers, must only wake whoever fills leases. */
	void (*on_lease_demand)(void *context);
	/* An answer ends only when its record is on disk: gateway_journal_synced after each sync.
	 * A sync is waited for; called from workers, must only wake whoever syncs. */
	bool durable_answers;
	void (*on_sync_demand)(void *context);
	void *context;
};

int gateway_new(const struct gateway_options *options, struct gateway **ret_gateway,
		struct fault *fault);
/* After every worker has returned. */
void gateway_free(struct gateway *gateway);

/* Registers the calling thread with RCU, for publishing; leave before the thread ends. */
void gateway_publisher_enter(void);
void gateway_publisher_leave(void);

/* ---- running ---- */

struct gateway_listener {
	struct loop_address address;
	struct http_tls *tls; /* NULL: plain; it is counted */
	/* An address that is taken is left out, with a warning; the last ones only. */
	bool may_fail;
};

/* Before the workers run. Accepted connections go to the least loaded worker. */
int gateway_listen(struct gateway *gateway, const struct gateway_listener *listener,
		   struct fault *fault);
/* Connections to come at a listener of TLS are encrypted so; it is counted. Any thread. */
void gateway_set_tls(struct gateway *gateway, uint32_t index, struct http_tls *tls);
/* Runs worker `number` until the gateway has stopped. `on_ready` is called in its thread once
 * its loop stands (worker 0: and the listeners are open). */
int gateway_worker_run(struct gateway *gateway, uint32_t number,
		       void (*on_ready)(void *context, uint32_t number), struct fault *fault);
/* After worker 0 is ready: the address of listener `index`, a port 0 replaced. */
bool gateway_listener_address(struct gateway *gateway, uint32_t index,
			      struct loop_address *ret_address);
bool gateway_listener_is_tls(const struct gateway *gateway, uint32_t index);
/* Closes the listeners, lets calls in flight end for at most grace_ns, then cuts the rest;
 * every worker returns. Answers say that they are the last of their connection; one that is idle
 * is kept for half a second, for a request that is on its way. Any thread, once, after the
 * workers are ready. */
void gateway_stop(struct gateway *gateway, uint64_t grace_ns);
/* After gateway_stop: cuts what is left now. Any thread, before the last worker is joined. */
void gateway_hurry(struct gateway *gateway);
/* What the loops use and why. After the workers are ready. */
enum loop_io gateway_io(const struct gateway *gateway, const char **ret_reason);

/* The journal was synced, or has failed: answers that waited for it end, or are cut. Any thread. */
void gateway_journal_synced(struct gateway *gateway);

/* ---- leases: money (nano) that this node may admit calls against ---- */

/* Whom a budget bounds, beside the account's balance. */
enum gateway_level {
	GATEWAY_LEVEL_SUBSCRIPTION,
	GATEWAY_LEVEL_APP,
	GATEWAY_LEVEL_ACCOUNT,
	GATEWAY_LEVELS
};

/* Never freed before the gateway. Any thread may hold the pointer. */
int gateway_lease_new(struct gateway *gateway, struct gateway_lease **ret_lease,
		      struct fault *fault);
/* Adds money (0 is allowed), moves the expiry (monotonic). Afterwards gateway_leases_changed. */
void gateway_lease_grant(struct gateway_lease *lease, int64_t nano, uint64_t expires_ns);
/* Takes back at most `nano` that no call holds; returns how much it was. */
int64_t gateway_lease_reclaim(struct gateway_lease *lease, int64_t nano);
/* Says whether the ledger has anything left to lease: if not, a call that the lease cannot pay
 * is refused at once instead of waiting. New leases begin with true. */
void gateway_lease_set_source(struct gateway_lease *lease, bool has_more);

struct gateway_lease_state {
	int64_t available_nano; /* not held */
	int64_t wanted_nano;    /* the largest hold that was asked in vain; 0: nobody waits */
	int64_t taken_nano;     /* holds taken since the beginning: for sizing */
};

/* Reads the state and clears `wanted`. */
struct gateway_lease_state gateway_lease_poll(struct gateway_lease *lease);
/* Calls that wait for money look again. */
void gateway_leases_changed(struct gateway *gateway);

/* ---- usage that a service's provider reports, for work that ended after its call ---- */

enum gateway_reported {
	GATEWAY_REPORT_HELD,
	GATEWAY_REPORT_NO_SUBSCRIPTION, /* none of the app to the service is in force */
	GATEWAY_REPORT_TOO_MUCH,        /* more than max_units or max_charge let one report count */
	GATEWAY_REPORT_BALANCE,         /* the account cannot pay */
	GATEWAY_REPORT_BUDGET,          /* a budget of any level does not cover it */
	GATEWAY_REPORT_WAIT,            /* the ledger was asked; try again */
};

struct directory_subscription;

struct gateway_report {
	struct app_id app;
	struct service_id service;
	struct call_id call;             /* of the record */
	uint64_t used_ns;                /* Unix; it counts in the month in which it is recorded */
	int64_t units[RATING_UNITS_MAX]; /* by the service's slots, none below zero */

	/* the gateway's, while it is held */
	const struct directory_subscription *subscription;
	struct gateway_lease *account, *budgets[GATEWAY_LEVELS];
	int64_t held_nano;
};

/* Holds the most that it can cost, from the leases that calls draw on, so that no cap is passed
 * whoever races. Publisher, which changes no directory before the report is recorded or released.
 */
enum gateway_reported gateway_report_hold(struct gateway *gateway, struct gateway_report *report);
void gateway_report_release(struct gateway_report *report);
/* Charges it and appends its record to the stream, which has room. False where the quantities have
 * become more than can be counted: then the record is one that is not billed. */
bool gateway_report_record(struct gateway *gateway, struct gateway_report *report,
			   struct journal_stream *stream, int64_t *ret_charge_nano);

/* ---- publishing ---- */

struct gateway_limits {
	uint64_t rate_interval_ns; /* time between calls at the full rate; 0: no limit */
	uint32_t burst;            /* calls; >= 1 where a rate is set */
	uint32_t concurrency;      /* calls at once; 0: no limit */
	int64_t quota_calls;       /* in a calendar month (UTC); -1: none */
	uint64_t timeout_ns;       /* of a call, to the answer's end; >= 1 ms */
};

struct gateway_plan_entry {
	struct plan_id id;
	const char *name;
	struct rating_plan rating;
	int64_t call_most_nano; /* rating_plan_call_most: the most of a hold, beside
				   rating_plan_first */
	struct gateway_limits limits;
};

#define GATEWAY_IDENTITY_SECRET     32 /* bytes */
#define GATEWAY_IDENTITY_KEY_ID_MAX 40 /* bytes with the NUL */

/* What a service's calls are signed with, so that it can trust who they say calls: see
 * gateway/identity.h. */
struct gateway_identity {
	char key_id[GATEWAY_IDENTITY_KEY_ID_MAX]; /* letters, digits, '-', '_' */
	uint8_t secret[GATEWAY_IDENTITY_SECRET];
};

struct gateway_service_entry {
	struct service_id id;
	const char *name;                        /* DNS label */
	const struct gateway_identity *identity; /* NULL: its calls are not signed */
	const char *units[RATING_UNITS_MAX];     /* slot -> name in Stoa-Units; NULL: free slot */
};

struct gateway_instance_entry {
	uint32_t id; /* unique within the gateway's life, > 0 */
	struct loop_address address;
	enum http_protocol protocol;
	struct http_tls *tls;  /* a client's, counted for as long as it is there; NULL: plain */
	const char *authority; /* the Host it gets; NULL: the caller's Host goes on to it */
	uint32_t memory_mib;   /* declared; 0 for upstreams */
	uint32_t cpu_milli;
	uint32_t concurrency; /* 0: no limit */
	enum rating_path path;
	/* Whoever runs it puts another one in its place when it dies: a call that could not be
	 * connected to it waits for that one. */
	bool replaced;
};

struct gateway_subscription_entry {
	struct subscription_id id;
	struct account_id account;
	struct app_id app;
	struct service_id service; /* published before */
	struct plan_id plan;       /* published before */
	const char *account_name;
	const char *app_name; /* "account/app" */
	struct gateway_lease *account_lease;
	struct gateway_lease *budget_leases[GATEWAY_LEVELS]; /* NULL: no budget at that level */
	uint32_t month;                /* of the quantities below; clock_month_of */
	struct rating_quantities used; /* posted so far; read at the first publish only */
	struct rating_cloud_quantities cloud_used;
};

struct gateway_key_entry {
	struct key_id id;
	struct app_id app;
	uint8_t digest[32];  /* SHA-256 of the key's text */
	uint64_t expires_ns; /* Unix, below 2^54 microseconds; 0: never */
	const char *scopes;  /* as base/scope.h reads them, a space between; NULL or "": all */
};

int gateway_publish_plan(struct gateway *gateway, const struct gateway_plan_entry *plan,
			 struct fault *fault);
/* From begins_ns (Unix, a month's start) on `to` is the plan of those who have `from`; 0: nothing
 * takes its place (any more). Both were published. No less than an hour before that time, or the
 * time before that it replaces: calls in flight hold for what comes. */
int gateway_publish_move(struct gateway *gateway, struct plan_id from, struct plan_id to,
			 uint64_t begins_ns, struct fault *fault);
int gateway_publish_service(struct gateway *gateway, const struct gateway_service_entry *service,
			    struct fault *fault);
int gateway_publish_instance(struct gateway *gateway, struct service_id service,
			     const struct gateway_instance_entry *instance, struct fault *fault);
/* One for each app and service. It takes the place of the one before: at no moment is there
 * neither, and calls in flight go on under the one that let them in. */
int gateway_publish_subscription(struct gateway *gateway,
				 const struct gateway_subscription_entry *subscription,
				 struct fault *fault);
int gateway_publish_key(struct gateway *gateway, const struct gateway_key_entry *key,
			struct fault *fault);

/* No new call goes to it. It is gone for good once gateway_instance_idle says so. */
void gateway_retire_instance(struct gateway *gateway, struct service_id service, uint32_t id);
/* True when a retired instance has no call in flight any more. */
bool gateway_instance_idle(struct gateway *gateway, uint32_t id);
/* The app's subscription to the service is over: calls in flight are cut as well. */
void gateway_end_subscription(struct gateway *gateway, struct subscription_id id, struct app_id app,
			      struct service_id service);
/* Its calls in flight are cut: those that wait are refused, those that are being answered are
 * settled with what was delivered. The same befalls them when the key expires. */
void gateway_retire_key(struct gateway *gateway, const uint8_t digest[32]);
/* Until every worker has applied all changes of keys and ends of subscriptions so far: no call of
 * theirs begins or goes on. False after most_ns. */
bool gateway_applied_wait(struct gateway *gateway, uint64_t most_ns);

/* Room for so many keys, before they are published one by one. */
void gateway_reserve_keys(struct gateway *gateway, uint64_t count);
/* Whether everything is published that the store has. A gateway that does not know that answers
 * 503 where it would otherwise say that a service, a key or a subscription is not there. It begins
 * with false. */
void gateway_set_complete(struct gateway *gateway, bool complete);

struct gateway_directory_state {
	bool complete;
	uint64_t services, subscriptions, keys;
	uint64_t changes; /* made so far, retirements included; an identical publish is none */
};

struct gateway_directory_state gateway_directory_read(const struct gateway *gateway);

/* ---- what it did, for status; sums over the workers. Any thread ---- */

/* COUNTER or GAUGE, name, sentence */
#define GATEWAY_COUNTS(X)                                                                     \
	X(GAUGE, connections, "client connections open now")                                  \
	X(GAUGE, calls_in_flight, "calls admitted and not yet over, now")                     \
	X(GAUGE, calls_waiting, "calls that wait for an instance or for money, now")          \
	X(GAUGE, tunnels, "calls that are tunnels (WebSocket), now")                          \
	X(COUNTER, calls_answered, "calls whose whole answer came from the service")          \
	X(COUNTER, calls_aborted, "calls that their callers left")                            \
	X(COUNTER, calls_failed, "calls that the service failed or that Stoa cut")            \
	X(COUNTER, refused_key, "requests refused with 401: no valid key")                    \
	X(COUNTER, refused_money, "requests refused with 402: balance, budget or quota")      \
	X(COUNTER, refused_right,                                                             \
	  "requests refused with 403: no subscription, or beyond the scope")                  \
	X(COUNTER, refused_route, "requests refused with 404: no such service")               \
	X(COUNTER, refused_rate, "requests refused with 429: rate or concurrency")            \
	X(COUNTER, refused_other,                                                             \
	  "requests refused for another reason, before a service saw them")                   \
	X(COUNTER, retries, "calls sent again to another instance")                           \
	X(COUNTER, ejections, "instances that were left out for a while since they failed")   \
	X(COUNTER, tls_refused, "connections that ended since their peers broke TLS's terms") \
	X(COUNTER, service_tls_failed,                                                        \
	  "connections to services that failed for lack of an agreement by TLS")              \
	X(COUNTER, access_lines_dropped,                                                      \
	  "calls that the access log has no line of, for its file was slow or full")

struct gateway_counts {
#define X(kind, name, sentence) uint64_t name;
	GATEWAY_COUNTS(X)
#undef X
};

void gateway_counts_read(const struct gateway *gateway, struct gateway_counts *ret_counts);

/* Answers and refusals that Stoa itself gave, by the table of problems: sets the results for row
 * `index`, if there is one, and returns how many rows there are. */
uint32_t gateway_problem_counts(const struct gateway *gateway, uint32_t index,
				const char **ret_type, unsigned *ret_status, uint64_t *ret_count);
/* What no call holds of all leases together. Publisher. */
int64_t gateway_leases_free_nano(const struct gateway *gateway);

/* How the calls that a service saw ended. */
#define GATEWAY_CALL_CLASS_NAMES(X)                                                         \
	X(GATEWAY_CALL_1XX, "1xx", "switched to another protocol, and over")                \
	X(GATEWAY_CALL_2XX, "2xx", "answered")                                              \
	X(GATEWAY_CALL_3XX, "3xx", "answered")                                              \
	X(GATEWAY_CALL_4XX, "4xx", "answered")                                              \
	X(GATEWAY_CALL_5XX, "5xx", "answered")                                              \
	X(GATEWAY_CALL_ABORTED, "aborted", "left by the caller")                            \
	X(GATEWAY_CALL_CUT, "cut", "ended by Stoa: its time, its money or its key is over") \
	X(GATEWAY_CALL_FAILED, "failed", "not answered, or not as HTTP")

enum gateway_call_class {
#define X(name, text, sentence) name,
	GATEWAY_CALL_CLASS_NAMES(X)
#undef X
		GATEWAY_CALL_CLASSES
};

/* Bounds of how long a call took, from its head to its settlement: microseconds, and as text in
 * seconds. One bucket more is for the longest. */
#define GATEWAY_TOOK_BOUNDS(X) \
	X(250, "0.00025")      \
	X(500, "0.0005")       \
	X(1000, "0.001")       \
	X(2500, "0.0025")      \
	X(5000, "0.005")       \
	X(10000, "0.01")       \
	X(25000, "0.025")      \
	X(50000, "0.05")       \
	X(100000, "0.1")       \
	X(250000, "0.25")      \
	X(500000, "0.5")       \
	X(1000000, "1")        \
	X(2500000, "2.5")      \
	X(10000000, "10")      \
	X(60000000, "60")
#define GATEWAY_TOOK_BUCKETS 16

struct gateway_service_counts {
	uint64_t calls[GATEWAY_CALL_CLASSES];
	uint64_t took[GATEWAY_TOOK_BUCKETS]; /* each without the smaller ones */
	uint64_t took_us;
	uint32_t instances, left_out; /* ejected, and not yet back */
	uint32_t in_flight, waiting;
};

/* The first `most` services in the order of publishing; all others together, if there are any, with
 * name NULL. Publisher. */
void gateway_services_read(struct gateway *gateway, uint32_t most,
			   void (*each)(void *context, const char *name,
					const struct gateway_service_counts *counts),
			   void *context);

/* The node's parts and what they share. Private to the node. */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "account/account.h"
#include "api/api.h"
#include "audit/audit.h"
#include "base/map.h"
#include "base/spawn.h"
#include "billing/billing.h"
#include "catalog/catalog.h"
#include "fleet/fleet.h"
#include "gateway/gateway.h"
#include "journal/journal.h"
#include "node/config.h"
#include "node/node.h"
#include "node/tls.h"
#include "node/troubles.h"
#include "node/upkeep.h"
#include "store/store.h"

#define NODE_NUMBER   1u /* of this node in the ledger */
#define NODE_PATH_MAX 4096
#define NODE_FILE_MAX (NODE_PATH_MAX + CONFIG_ADDRESS_MAX)

#define NODE_IDENTITY_SECRET 32 /* bytes */
/* Two keys as "ID:HEX ID:HEX", with the NUL. */
#define NODE_IDENTITY_KEYS_MAX (2 * (GATEWAY_IDENTITY_KEY_ID_MAX + 2 * GATEWAY_IDENTITY_SECRET + 2))

/* What the control thread knows of a published service beyond the store. */
struct node_service {
	struct service_id id;
	uint32_t revision;
	bool runs; /* the fleet has it */
	uint32_t upstream_count;
	uint32_t upstreams[CATALOG_UPSTREAMS_MAX]; /* instance ids in the gateway */
};

/* A lease of the gateway, as billing's handle. */
struct node_lease {
	struct gateway_lease *lease;
	/* Money or a budget came since the poster last looked: what it concludes from before that,
	 * that there is no more, must not be told. */
	_Atomic bool refreshed;
};

/* An instance that the gateway was told to forget. */
struct node_leaving {
	struct node_leaving *next;
	uint32_t id;
	bool tell_fleet; /* it waits for fleet_instance_drained */
};

/* For a thread that works at intervals, and at once when it is woken. */
struct node_wake {
	sem_t woken;
	_Atomic bool told; /* and not yet seen */
};

struct node {
	struct config config;
	char folder[NODE_PATH_MAX];
	char access_path[NODE_FILE_MAX];
	char token[API_TOKEN_MAX];
	char metrics_token[API_TOKEN_MAX]; /* opens GET /metrics alone */
	int lock_descriptor;
	const struct clock *clock;
	struct random *random;
	struct spawner_guarded spawner;
	struct cgroups groups;
	uint8_t identity_secret[NODE_IDENTITY_SECRET]; /* see identity.c */
	uint64_t started_ns;                           /* Unix */
	struct upkeep upkeep;
	struct troubles troubles;
	struct node_tls tls;
	char log_path[NODE_FILE_MAX];

	/* control */
	struct loop *loop;
	struct store *store;
	struct api *api;
	struct loop_watch signals;
	int signal_descriptor;
	bool signals_open;
	struct map services;  /* service id -> node_service */
	struct map instances; /* fleet instance id -> its service id, as a pointer-sized value */
	struct map account_leases;                /* ledger account id -> node_lease */
	struct map budget_leases[BILLING_LEVELS]; /* id of whom it bounds -> node_lease */
	uint32_t next_upstream;
	struct node_leaving *leaving;
	struct loop_timer leaving_timer;
	struct loop_timer publish_timer;
	uint64_t publish_wait_ns; /* before all is published again */
	bool api_stopped;

	struct journal *journal;
	struct gateway *gateway;
	struct fleet *fleet;
	struct loop_address api_address;

	/* workers */
	uint32_t worker_count;
	pthread_t workers[GATEWAY_WORKERS_MAX];
	uint32_t workers_started;
	sem_t workers_ready; /* posted by each worker once it serves, or failed */
	_Atomic uint32_t workers_failed;
	struct node_worker {
		struct node *node;
		uint32_t number;
		struct fault fault;
	} worker_contexts[GATEWAY_WORKERS_MAX];

	/* poster and sync */
	struct store *poster_store;
	struct billing_poster *poster;
	pthread_t poster_thread, sync_thread;
	bool poster_running, sync_running;
	struct node_wake poster_wake, sync_wake;
	_Atomic bool stopping;

	/* usage that is reported: the control thread's */
	struct journal_stream *report_stream; /* NULL: nothing was reported yet */
	uint64_t report_due_ns;               /* until then a request may wait for the ledger */
	struct node_wake report_wake;         /* leases changed, or the journal was synced */

	/* audit */
	struct audit_signer signer;
	struct audit_logs *logs;
	pthread_t audit_thread;
	bool audit_running;
	sem_t audit_stop;
};

/* listening.c: where calls come in. */
int listening_begin(struct node *node, const struct node_options *options, struct fault *fault);
/* Prints the ready line, and logs that the node is. */
void listening_tell(struct node *node);

/* tls_tell.c: the API's ports about TLS. */
int tls_issue(void *node, struct slice request, const char *app, uint64_t now_ns, uint64_t ends_ns,
	      struct api_certificate *ret_certificate, struct fault *fault);
bool tls_has_authority(void *node);
json_t *tls_compose(void *node);
int tls_reload_now(void *node, bool *ret_changed, struct fault *fault);

/* publish.c: from the store to the gateway. Control thread. */
int publish_everything(struct node *node, struct fault *fault);
int publish_service(struct node *node, struct service_id id, struct fault *fault);
int publish_subscription(struct node *node, struct subscription_id id, struct fault *fault);
/* Of an app or an account. */
int publish_budget(struct node *node, struct billing_budget_key key, struct fault *fault);
int publish_keys(struct node *node, const struct account_key *keys, size_t count,
		 struct fault *fault);
/* The store has what the gateway was not told: until all of it could be published again, what the
 * gateway does not find it does not deny. Returns `code`; 0 is no failure. */
int publish_failed(struct node *node, int code, const struct fault *fault);

/* instances.c: between fleet and gateway. */
extern const struct fleet_events instances_events; /* fleet's thread */
int instances_run(struct node *node, const struct catalog_service *service, struct fault *fault);
/* How the calls of a service are put to its instances. */
enum http_protocol instances_protocol(const struct catalog_service *service);
/* Control thread: no new call goes there, and once none is left the fleet is told (or nobody). */
void instances_retire(struct node *node, struct service_id service, uint32_t id, bool tell_fleet);

/* posting.c: the poster's and the sync thread. */
int posting_open(struct node *node, struct fault *fault);
int posting_start(struct node *node, struct fault *fault);
void posting_wake(void *node);      /* any thread */
void posting_wake_sync(void *node); /* any thread */
/* Until it is woken, by the machine's clock. One thread. */
void posting_wait(struct node_wake *wake, uint64_t most_ns);
/* reporting.c: usage that is reported. At start, before anything is recorded: what was put down and
 * never recorded is forgotten. Then the API's ports (api.h). Control thread. */
int reporting_recover(struct node *node, struct fault *fault);
int reporting_begin(void *node, size_t count, uint32_t *ret_stream, uint64_t *ret_position,
		    struct fault *fault);
enum api_usage_outcome reporting_hold(void *node, struct api_usage *usage);
void reporting_release(void *node, struct api_usage *usage);
bool reporting_record(void *node, struct api_usage *usage, int64_t *ret_charge_nano);
int reporting_sync(void *node, struct fault *fault);
/* The ledger has, or may have, more for the lease: calls wait for the poster's word. Control
 * thread; NULL is allowed. */
void posting_refresh(struct node *node, struct node_lease *lease);
/* After the gateway has stopped: posts the rest, gives the leases back. */
void posting_stop(struct node *node);

/* auditing.c: the audit thread. */
int auditing_open(struct node *node, struct fault *fault);
int auditing_start(struct node *node, struct fault *fault);
/* After the journal got its last record and is durable. */
void auditing_stop(struct node *node);

/* identity.c: what the calls of services are signed with. Reads FOLDER/identity.key, or makes it.
 */
int identity_open(struct node *node, struct fault *fault);
void identity_close(struct node *node);
/* Wiped by who asked for it. */
void identity_key(const struct node *node, struct service_id service, uint32_t number,
		  struct gateway_identity *ret_key);
/* The same for the API. */
void identity_tell(void *node, struct service_id service, uint32_t number,
		   struct api_identity_key *ret_key);
/* What an instance is told: this key and the next. */
void identity_keys_format(const struct node *node, struct service_id service, uint32_t number,
			  char text[NODE_IDENTITY_KEYS_MAX]);

/* folder.c: the cloud's folder. */
int folder_open(struct node *node, const char *path, struct fault *fault);
int folder_write_address(struct node *node, struct fault *fault);
void folder_close(struct node *node);

/* status.c */
json_t *status_compose(void *node);

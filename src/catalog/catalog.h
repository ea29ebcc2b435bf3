/*
 * catalog: what can be called here, at what price, and who has subscribed to it.
 *
 * A provider describes a service in a manifest (service.yaml; docs/manifest.md is its reference)
 * and publishes it. The name belongs to the account that published it first. Publishing is
 * declarative and idempotent: what is the same stays the same, and the answer says what changed.
 *
 *	service   keeps its id for ever; each changed description makes its next revision
 *	plan      a price list with limits. A version is immutable; changed content makes the next
 *		  version. New subscriptions get it at once, those that are there at the start of
 *		  a calendar month: the next one, or, where anything gets dearer or less for any of
 *		  them, the first one after the plan's notice. The next version may take that back.
 *		  What the manifest no longer has is withdrawn: kept, but offered to nobody new
 *	unit      a custom meter of the service. Its slot (RATING_UNIT_0 ..) is the service's for
 *		  ever, so that every plan version and every call record means the same by it
 *	subscription  app + service + plan version, with a budget or without. One that is active
 *		  for each app and service; subscribing to another plan version ends it and begins
 *		  a new one, and a version that was announced comes at a month's start, so that
 *		  R(Q) of a subscription's month is R of one plan
 *
 * Transactions: functions that write must stand in the caller's write transaction; functions
 * that read may stand in one. Time is handed in (Unix nanoseconds).
 * Faults: FAULT_INPUT, FAULT_NOT_FOUND (with the nearest name there is), FAULT_REFUSED (the name
 * is another account's), FAULT_LIMIT, FAULT_DAMAGED (what was stored breaks its rules), and the
 * store's.
 * Lists come in the order of ids, from behind `after` on (0: from the start); the last id of a
 * page is the next page's cursor, and a page of less than `most` is the last.
 * Threads: as the store's handle; manifests any one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account/account.h"
#include "base/fault.h"
#include "base/ids.h"
#include "base/slice.h"
#include "rating/rating.h"
#include "store/store.h"

#define CATALOG_NAME_MAX        64  /* bytes with the NUL: a DNS label */
#define CATALOG_VERSION_MAX     64  /* bytes with the NUL: a semantic version */
#define CATALOG_TEXT_MAX        256 /* bytes with the NUL: summary, paths, an address */
#define CATALOG_TAGS_MAX        16
#define CATALOG_COMMAND_MAX     64   /* words */
#define CATALOG_ENVIRONMENT_MAX 64   /* variables */
#define CATALOG_VALUE_MAX       4096 /* bytes with the NUL: a word of a command, a variable */
#define CATALOG_UPSTREAMS_MAX   16
#define CATALOG_INSTANCES_MAX   64
#define CATALOG_PLANS_MAX       16
#define CATALOG_PEM_MAX         65536 /* bytes with the NUL: a file that `tls` names */
#define CATALOG_CHAIN_MAX       5     /* certificates of the cloud's own towards a service */
#define CATALOG_WARNINGS_MAX    4
#define CATALOG_COMPLAINTS_MAX  10
#define CATALOG_NOTICE_USUAL_NS (14 * 86400 * 1000000000ull)
#define CATALOG_COMPLAINT_MAX   512 /* bytes with the NUL */

/* ---- a service as its provider describes it ---- */

enum catalog_listen { CATALOG_LISTEN_SOCKET, CATALOG_LISTEN_PORT };

/* What a service speaks: text, name in manifests. */
#define CATALOG_PROTOCOLS(X)           \
	X(CATALOG_PROTOCOL_1, "http1") \
	X(CATALOG_PROTOCOL_2, "h2")

enum catalog_protocol {
#define X(protocol, name) protocol,
	CATALOG_PROTOCOLS(X)
#undef X
};

const char *catalog_protocol_name(enum catalog_protocol protocol);

struct catalog_run {
	const char *const *command;     /* NULL-terminated */
	const char *const *environment; /* NULL-terminated "NAME=value", in the file's order */
	enum catalog_listen listen;
	const char *health; /* a path, or NULL: taking a connection is enough */
	uint64_t memory_bytes;
	uint32_t cpu_milli;
	uint32_t concurrency;
	uint64_t start_timeout_ns;
	uint32_t instances;
};

/* Either a path (Unix socket), or host and port. */
struct catalog_upstream {
	const char *text; /* as written */
	const char *path; /* absolute; NULL: TCP */
	const char *host; /* a name, an IPv4 address, or an IPv6 one without brackets */
	uint16_t port;
	bool tls; /* https:// */
};

/* Who is behind https:// addresses, and who the cloud is to them. Certificates and key are texts in
 * PEM, not files. */
struct catalog_tls {
	bool by_cloud; /* the cloud's own authority vouches for the service */
	const char
		*authorities; /* who else does; NULL, and not the cloud: whom the system believes */
	const char *server_name; /* what its certificate must name; NULL: the upstream's host */
	const char *certificates, *key; /* what the cloud shows; both or (NULL) none */
};

struct catalog_unit {
	const char *name; /* as in Stoa-Units and in prices; NULL: a free slot */
	const char *unit; /* what one is called, for people: "pixel" */
};

/* Exactly one of `run` and upstreams is there. */
struct catalog_description {
	const char *name;
	const char *version;
	const char *summary;     /* "" where not given */
	const char *const *tags; /* NULL-terminated */
	const char *docs;        /* a path beside the manifest, or NULL */
	const char *openapi;     /* the same */
	enum catalog_protocol protocol;
	bool signed_calls; /* `identity: signed` */
	const struct catalog_run *run;
	uint32_t upstream_count;
	struct catalog_upstream upstreams[CATALOG_UPSTREAMS_MAX];
	const struct catalog_tls *tls; /* NULL: nothing is said of it */
	/* In a manifest: in the file's order. Of a service: by slot, those of earlier revisions
	 * included. Plans beside it count their units the same way. */
	struct catalog_unit units[RATING_UNITS_MAX];
};

struct catalog_limits {
	uint64_t rate_calls;  /* so many calls in each .. */
	uint64_t rate_per_ns; /* .. so long; 0: no limit */
	uint32_t burst;       /* >= 1 where a rate is set */
	uint32_t concurrency; /* 0: no limit */
	int64_t quota_calls;  /* in a calendar month (UTC); -1: none */
	uint64_t timeout_ns;
};

/* The time between two calls at the full rate, rounded up so that no rate is exceeded; 0: no
 * limit. */
static inline uint64_t catalog_limits_interval_ns(const struct catalog_limits *limits)
{
	if (limits->rate_per_ns == 0)
		return 0;
	return (limits->rate_per_ns + limits->rate_calls - 1) / limits->rate_calls;
}

/* What a plan version says, whatever its number. */
struct catalog_terms {
	struct rating_plan rating;
	struct catalog_limits limits;
	uint64_t notice_ns;     /* before a version that is dearer takes this one's place */
	int64_t call_most_nano; /* rating_plan_call_most: the most that a call can cost */
};

/* What other terms may make dearer or less: bit, name in answers. Before them, one bit for the
 * price of each meter. */
#define CATALOG_RISES(X)                           \
	X(CATALOG_RISE_PRICES, "prices")           \
	X(CATALOG_RISE_DISCOUNT, "discount")       \
	X(CATALOG_RISE_MAX_CHARGE, "max_charge")   \
	X(CATALOG_RISE_MAX_UNITS, "max_units")     \
	X(CATALOG_RISE_BILL_ON, "bill_on")         \
	X(CATALOG_RISE_RATE, "rate")               \
	X(CATALOG_RISE_BURST, "burst")             \
	X(CATALOG_RISE_QUOTA, "quota")             \
	X(CATALOG_RISE_CONCURRENCY, "concurrency") \
	X(CATALOG_RISE_TIMEOUT, "timeout")         \
	X(CATALOG_RISE_NOTICE, "notice")

enum catalog_rise {
	CATALOG_RISE_METERS = RATING_METERS - 1,
#define X(rise, name) rise,
	CATALOG_RISES(X)
#undef X
		CATALOG_RISES_END
};

/* Bit n: enum catalog_rise n; 0: under `after` no unit, and no month of the same quantities, costs
 * more than under `before`, no bound of a call is higher, and nothing is limited more. What cannot
 * be told for certain is a rise. Of a call that max_charge cuts a lower price may count more units.
 */
uint32_t catalog_terms_rises(const struct catalog_terms *before, const struct catalog_terms *after);
/* `units` by slot: a meter's name. */
const char *catalog_rise_name(unsigned rise, const struct catalog_unit units[RATING_UNITS_MAX]);

struct catalog_manifest_plan {
	const char *name;
	struct catalog_terms terms;
};

struct catalog_manifest {
	struct catalog_description description;
	/* What can be published and will not work, told as complaints are. */
	uint32_t warning_count;
	const char *warnings[CATALOG_WARNINGS_MAX];
	uint32_t plan_count; /* >= 1 */
	struct catalog_manifest_plan plans[CATALOG_PLANS_MAX];
};

/* What is wrong with a manifest: the first ones, in the file's order, each
 * "file:line:column: key: what is wrong, with the value; what is allowed". */
struct catalog_complaints {
	uint32_t count;
	struct {
		uint32_t line, column;
		char text[CATALOG_COMPLAINT_MAX];
	} of[CATALOG_COMPLAINTS_MAX];
};

/* `file` is how complaints call it. On FAULT_INPUT *ret_complaints has them all and the fault
 * the first. */
int catalog_manifest_parse(const char *file, struct slice bytes,
			   struct catalog_manifest **ret_manifest,
			   struct catalog_complaints *ret_complaints, struct fault *fault);
/* What else a manifest is read by: the contents of the files that its `tls` names, read by whoever
 * reads the manifest (data NULL: not there, or not to be read), and what the cloud can do. */
struct catalog_files {
	struct slice tls_ca, tls_certificate, tls_key;
	uint64_t now_ns;   /* Unix: certificates that are not valid then are warned of */
	bool no_authority; /* the cloud has none of its own, and `ca: cloud` is refused */
};

/* The same with files. */
int catalog_manifest_parse_with(const char *file, struct slice bytes,
				const struct catalog_files *files,
				struct catalog_manifest **ret_manifest,
				struct catalog_complaints *ret_complaints, struct fault *fault);
/* NULL is allowed. */
void catalog_manifest_free(struct catalog_manifest *manifest);

/* ---- publishing ---- */

extern const struct store_migration catalog_migrations[];
extern const size_t catalog_migration_count;

/* Creates and updates the tables; after account_migrate. Outside of a transaction. */
int catalog_migrate(struct store *store, struct fault *fault);

enum catalog_plan_change {
	CATALOG_PLAN_SAME,
	CATALOG_PLAN_NEW,       /* version 1 */
	CATALOG_PLAN_CHANGED,   /* the next version */
	CATALOG_PLAN_BACK,      /* the same as before it was withdrawn */
	CATALOG_PLAN_WITHDRAWN, /* no longer in the manifest */
};

const char *catalog_plan_change_text(enum catalog_plan_change change);

struct catalog_change {
	struct service_id service;
	bool created;      /* the name is new */
	bool described;    /* the description changed (or is new): a new revision */
	bool moved;        /* the folder changed */
	bool anything;     /* false: publishing it was a no-op */
	uint32_t revision; /* the current one */
	uint32_t plan_count;
	struct {
		struct plan_id id; /* of the version that is current now */
		uint32_t version;
		enum catalog_plan_change change;
		/* From which month's start who has an earlier version has this one, and what is
		 * dearer then. 0: it was not announced by this. */
		uint32_t month;
		uint32_t rises;
		char name[CATALOG_NAME_MAX];
	} plans[2 * CATALOG_PLANS_MAX]; /* as in the manifest, then the ones withdrawn by this */
};

/* `folder` is where the manifest stands: absolute, or empty where nothing is run from it.
 * notice_least_ns: the cloud's own least notice of what gets dearer. */
int catalog_publish(struct store *store, const struct catalog_manifest *manifest,
		    struct slice folder, struct account_id account, uint64_t notice_least_ns,
		    uint64_t now_ns, struct catalog_change *ret_change, struct fault *fault);

/* ---- services ---- */

struct catalog_service {
	struct service_id id;
	struct account_id account;
	char account_name[ACCOUNT_NAME_MAX];
	uint32_t revision;
	uint64_t created_ns;
	uint64_t published_ns; /* the current revision */
	uint32_t identity_key; /* the number of what its calls are signed with, from 1 on */
	const char *folder;
	struct catalog_description description; /* the current one */
};

/* Freed by catalog_service_free. */
int catalog_service_get(struct store *store, struct slice name,
			struct catalog_service **ret_service, struct fault *fault);
int catalog_service_get_by_id(struct store *store, struct service_id id,
			      struct catalog_service **ret_service, struct fault *fault);
/* The service behind `after`; NULL at the end. For loading all of them. */
int catalog_service_next(struct store *store, struct service_id after,
			 struct catalog_service **ret_service, struct fault *fault);
/* NULL is allowed. */
void catalog_service_free(struct catalog_service *service);
/* The next identity key is the service's from now on. */
int catalog_identity_rotate(struct store *store, struct service_id service, struct fault *fault);

struct catalog_hit {
	struct service_id id;
	uint32_t score; /* higher is better */
	char name[CATALOG_NAME_MAX];
	char version[CATALOG_VERSION_MAX];
	char account_name[ACCOUNT_NAME_MAX];
	char summary[CATALOG_TEXT_MAX];
};

/* Services that have every one of the words in name, summary or tags, best first; without words
 * all, by name. */
int catalog_search(struct store *store, struct slice words, struct catalog_hit *hits, size_t most,
		   size_t *ret_count, struct fault *fault);

/* ---- plans ---- */

struct catalog_plan {
	struct plan_id id; /* of this version */
	struct service_id service;
	char name[CATALOG_NAME_MAX];
	uint32_t version; /* from 1 */
	bool offered;     /* current, and not withdrawn */
	uint64_t created_ns;
	uint32_t move_month; /* see catalog_move; 0: it does not take the place of earlier ones */
	struct catalog_terms terms; /* units by the service's slots */
};

int catalog_plan_get(struct store *store, struct plan_id id, struct catalog_plan *ret_plan,
		     struct fault *fault);
/* Of one service, or (0) of all; every version, or the offered ones. */
int catalog_plan_list(struct store *store, struct service_id service, bool only_offered,
		      struct plan_id after, struct catalog_plan *plans, size_t most,
		      size_t *ret_count, struct fault *fault);

/* ---- from version to version ---- */

/* What was announced or taken back less than this before a month's start is of the month behind
 * it: by then everybody who charges by it knows. */
#define CATALOG_MOVE_LEAD_NS (3600 * 1000000000ull)

/* From the start of `month` on, who has an earlier version of the plan has this one. */
struct catalog_move {
	struct plan_id plan; /* 0: there is none */
	uint32_t version;
	uint32_t month;
};

/* The first one of those who have `from`, be it past or to come. */
int catalog_move_next(struct store *store, struct plan_id from, struct catalog_move *ret_move,
		      struct fault *fault);
/* What they have in a month: `from` itself with month 0, or where they have moved to. */
int catalog_move_at(struct store *store, struct plan_id from, uint32_t month,
		    struct catalog_move *ret_move, struct fault *fault);

/* ---- subscriptions ---- */

enum catalog_budget_period {
	CATALOG_BUDGET_ONCE, /* the whole life of the subscription */
	CATALOG_BUDGET_MONTH /* anew each calendar month (UTC) */
};

struct catalog_subscription {
	struct subscription_id id;
	struct account_id account;
	struct app_id app;
	struct service_id service;
	struct plan_id plan; /* what it began with: see catalog_move_at */
	int64_t budget_nano; /* -1: none */
	enum catalog_budget_period budget_period;
	uint64_t created_ns;
	uint64_t ended_ns; /* 0: active */
	char app_path[ACCOUNT_PATH_MAX];
	char service_name[CATALOG_NAME_MAX];
	char plan_name[CATALOG_NAME_MAX];
	uint32_t plan_version; /* of `plan` */
};

struct catalog_subscribe {
	struct app_id app;
	struct slice service;
	struct slice plan;   /* may be empty where the service offers one plan only */
	int64_t budget_nano; /* -1: none */
	enum catalog_budget_period budget_period;
};

enum catalog_subscribed {
	CATALOG_SUBSCRIBED_SAME, /* it was there with these terms */
	CATALOG_SUBSCRIBED_NEW,
	CATALOG_SUBSCRIBED_BUDGET,   /* only the budget changed */
	CATALOG_SUBSCRIBED_REPLACED, /* another plan version: *ret_ended was ended */
};

/* What would be subscribed to now: the plan may be empty where the service offers one only. */
int catalog_offer_find(struct store *store, struct slice service, struct slice plan,
		       struct service_id *ret_service, struct plan_id *ret_plan,
		       struct fault *fault);
/* Gets the version of the plan that is offered now: subscribing again accepts a plan's new version.
 * The budget is what is wanted now; one left out (-1, CATALOG_BUDGET_ONCE) is taken away. */
int catalog_subscribe(struct store *store, const struct catalog_subscribe *wanted, uint64_t now_ns,
		      struct catalog_subscription *ret_subscription,
		      enum catalog_subscribed *ret_outcome, struct subscription_id *ret_ended,
		      struct fault *fault);
int catalog_subscription_get(struct store *store, struct subscription_id id,
			     struct catalog_subscription *ret_subscription, struct fault *fault);
/* Zero in a filter stands for any. */
struct catalog_subscription_filter {
	struct account_id account; /* whose app */
	struct app_id app;
	struct service_id service;
	bool only_active;
	uint32_t moves_after; /* a version of the plan comes to it in a month behind this one */
};
int catalog_subscription_list(struct store *store, const struct catalog_subscription_filter *filter,
			      struct subscription_id after,
			      struct catalog_subscription *subscriptions, size_t most,
			      size_t *ret_count, struct fault *fault);
/* Changes the budget alone (-1, CATALOG_BUDGET_ONCE: takes it away). In the caller's write
 * transaction. */
int catalog_subscription_set_budget(struct store *store, struct subscription_id id,
				    int64_t budget_nano, enum catalog_budget_period budget_period,
				    struct fault *fault);
/* Once ended stays ended, at the first time. */
int catalog_subscription_end(struct store *store, struct subscription_id id, uint64_t now_ns,
			     struct catalog_subscription *ret_subscription, struct fault *fault);

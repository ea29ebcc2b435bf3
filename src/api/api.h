/*
 * api: the control plane's JSON API: accounts, apps, keys, services, subscriptions, money, the
 * journal, status. The CLI and the console speak nothing else.
 *
 * One routes table (routes.c) has every route with its method, path, arguments and a sentence;
 * one file a resource has the handlers. Answers are application/json, errors
 * application/problem+json with a JSON pointer where a body is at fault. Amounts are decimal
 * texts, ids opaque texts, times RFC 3339 in UTC.
 *
 * Each request carries the cloud's admin token (`Authorization: Bearer TOKEN`), compared in
 * constant time; without it nothing but `GET /healthz` is answered, and `GET /metrics` to its own.
 * A handler runs to its end in the loop's turn, writes in one store transaction, and tells the node
 * what changed (api_ports) after the commit and before the answer: so what an answer acknowledges
 * is in force.
 *
 * Threads: all of it belongs to the control thread, which runs the loop and owns the store
 * handle. The port's functions are called in that thread.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "account/account.h"
#include "audit/audit.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/text.h"
#include "billing/billing.h"
#include "catalog/catalog.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "store/store.h"

#define API_BODY_MAX     (2u << 20) /* bytes of a request's body */
#define API_TOKEN_MAX    128
#define API_PAGE_MAX     1000 /* items of a list; the default is 100 */
#define API_CURRENCY_MAX 8

#define API_IDENTITY_KEY_ID_MAX 40 /* bytes with the NUL */
#define API_IDENTITY_SECRET_MAX 65 /* hexadecimal, with the NUL */

/* What calls to a service are signed with: docs/identity.md. */
struct api_identity_key {
	char key_id[API_IDENTITY_KEY_ID_MAX];
	char secret[API_IDENTITY_SECRET_MAX];
};

/* Usage that a provider reports, on its way to a record. */
struct api_usage {
	struct app_id app;
	struct service_id service;
	struct call_id call; /* of the record */
	uint64_t used_ns;    /* Unix */
	int64_t units[RATING_UNITS_MAX];
	void *held; /* the node's, from usage_hold to usage_record or usage_release */
};

enum api_usage_outcome {
	API_USAGE_HELD,
	API_USAGE_NO_SUBSCRIPTION,
	API_USAGE_TOO_MUCH, /* for one report */
	API_USAGE_BALANCE,
	API_USAGE_BUDGET,
	API_USAGE_BUSY, /* the ledger was asked, and did not say in time */
};

#define API_CERTIFICATE_MAX 8192 /* bytes with the NUL, in PEM */
#define API_SERIAL_MAX      33   /* hexadecimal, with the NUL */

/* A client's, issued by the cloud's authority. */
struct api_certificate {
	char text[API_CERTIFICATE_MAX];
	uint8_t fingerprint[32]; /* SHA-256 of it in DER */
	char serial[API_SERIAL_MAX];
	uint64_t ends_ns; /* Unix */
};

struct api;

/* What the node does with what the API changed. A fault is answered as 500 and logged; the store
 * holds the change all the same, and it is in force after the next start. */
struct api_ports {
	/* Published anew or changed: runs, routes and plans follow. */
	int (*service_changed)(void *context, struct service_id service, struct fault *fault);
	/* Made, changed, or made in place of another. */
	int (*subscription_changed)(void *context, struct subscription_id subscription,
				    struct fault *fault);
	/* Ended by its owner: its calls in flight are cut. */
	void (*subscription_ended)(void *context, const struct catalog_subscription *subscription);
	/* The budget of an app or an account was set or removed. */
	int (*budget_changed)(void *context, struct billing_budget_key budget, struct fault *fault);
	/* `count` keys, made or revoked. */
	int (*keys_changed)(void *context, const struct account_key *keys, size_t count,
			    struct fault *fault);
	/* The service's key of that number; wiped by the caller. */
	void (*identity_key)(void *context, struct service_id service, uint32_t number,
			     struct api_identity_key *ret_key);
	/* A certificate for the app "account/app" from a request in PEM, with an end behind now_ns.
	 * FAULT_REFUSED: the cloud has no authority. */
	int (*certificate_issue)(void *context, struct slice request, const char *app,
				 uint64_t now_ns, uint64_t ends_ns,
				 struct api_certificate *ret_certificate, struct fault *fault);
	/* Whether the cloud has a certificate authority of its own. */
	bool (*has_authority)(void *context);
	/* The answer to GET /v1/tls. A new reference. */
	json_t *(*tls_show)(void *context);
	/* Looks at the files of certificates now. Negative: one cannot be used. */
	int (*tls_reload)(void *context, bool *ret_changed, struct fault *fault);
	/* Until every worker of the gateway has applied what changed so far; false after most_ns.
	 */
	bool (*wait_applied)(void *context, uint64_t most_ns);
	/* The account got money. */
	void (*account_funded)(void *context, struct ledger_account_id account);
	/* There is room for so many records of reported usage; the first one's place, the others'
	 * are behind it. Holding waits for the ledger for some seconds from here on. */
	int (*usage_begin)(void *context, size_t count, uint32_t *ret_stream,
			   uint64_t *ret_position, struct fault *fault);
	/* Holds what it can cost. The subscription is the one that is in force. */
	enum api_usage_outcome (*usage_hold)(void *context, struct api_usage *usage);
	void (*usage_release)(void *context, struct api_usage *usage);
	/* Charges it and writes the next record. False: it could not be charged. */
	bool (*usage_record)(void *context, struct api_usage *usage, int64_t *ret_charge_nano);
	/* Until the records are on disk. */
	int (*usage_sync)(void *context, struct fault *fault);
	/* Members of the node's part of GET /v1/status: "version", "started", "gateway" (addresses,
	 * io), "workers", "calls", "instances", "poster", "journal". A new reference. */
	json_t *(*status)(void *context);
	/* Appends what GET /metrics tells, in Prometheus' text format. */
	void (*metrics)(void *context, struct text *text);
	void *context;
};

struct api_options {
	struct store *store;
	struct journal *journal;
	struct audit_logs *logs; /* the journal's */
	uint32_t node;           /* the ledger's number of it */
	const struct clock *clock;
	struct random *random;
	struct billing_terms_source terms;
	struct rating_card card;
	uint64_t notice_least_ns; /* of a plan that gets dearer, whatever its own */
	uint64_t usage_late_ns, usage_future_ns; /* from when to when usage may be reported */
	const char *cloud_name;
	const char *currency;      /* "USD" */
	const char *folder;        /* the cloud's: logs of services are read from log/ in it */
	const char *token;         /* the admin token */
	const char *metrics_token; /* opens GET /metrics alone */
	struct api_ports ports;
};

/* Creates and updates the API's own tables: the change log, and answers kept under a key. */
int api_migrate(struct store *store, struct fault *fault);

int api_new(struct loop *loop, const struct api_options *options, struct api **ret_api,
	    struct fault *fault);
/* A TCP (loopback) or Unix address; several are allowed. *ret_address has a port 0 replaced. */
int api_listen(struct api *api, const struct loop_address *address,
	       struct loop_address *ret_address, struct fault *fault);
/* Closes the listeners, lets answers end, then calls `on_stopped` in a later turn. */
void api_stop(struct api *api, void (*on_stopped)(void *context), void *context);
/* After on_stopped. */
void api_free(struct api *api);

/* Bytes that somebody else wrote: what is not UTF-8, or a control character but tab, is shown as
 * U+FFFD. A new reference. */
json_t *api_json_shown(struct slice bytes);

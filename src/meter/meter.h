/*
 * meter: how much of everything was used: the quantities that bills are made from, and the
 * minutes that charts are made from.
 *
 *	usage	cumulative quantities of a subscription in a calendar month, and what was charged
 *		for them so far: the Q of R(Q)
 *	cloud	the same for the running cost and the fee, one row for each rate card that was in
 *		force in the month, so that every charge can be recomputed from its own prices
 *	key	how often an API key called in a calendar month, and the minute of its last call
 *	reported	which events that report usage were taken, and where their records stand
 *	minute	a roll-up of a subscription's calls in one minute: counts, bytes, a histogram of
 *		latencies
 *
 * Rows are written by absolute value: writing one twice is as good as once. Who writes (the
 * poster, alone) keeps them in memory and never adds in SQL; who reads gets what was committed.
 *
 * What a slot of a quantity means, and what it costs, billing knows (rating.h has the same
 * order); to meter they are numbers.
 *
 * Transactions: meter_migrate works outside of one; functions that save must stand in the
 * caller's write transaction; functions that read may stand in one.
 * Faults: the store's, and FAULT_DAMAGED where a stored row breaks its rules.
 * Threads: as the store's handle; values any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/ids.h"
#include "journal/journal.h"
#include "store/store.h"

#define METER_SLOTS       8           /* what a plan can price */
#define METER_CLOUD_SLOTS 7           /* what the cloud can charge */
#define METER_POINTS_MAX  (31 * 1440) /* of one query */

extern const struct store_migration meter_migrations[];
extern const size_t meter_migration_count;

/* Creates and updates the tables. */
int meter_migrate(struct store *store, struct fault *fault);

/* ---- quantities ---- */

struct meter_usage {
	struct subscription_id subscription;
	uint32_t month;          /* clock_month_of the calls' settlement */
	int64_t of[METER_SLOTS]; /* >= 0, capped */
	int64_t usage_nano;      /* charged for them */
	int64_t told_nano;       /* usage and cloud as the callers were told, summed */
};

struct meter_cloud {
	struct subscription_id subscription;
	uint32_t month;
	uint64_t card;                 /* which rate card and fee: billing's number */
	int64_t of[METER_CLOUD_SLOTS]; /* >= 0 */
	int64_t usage_nano; /* usage charged while the card was in force: the fee's base */
	int64_t cloud_nano; /* charged for the quantities */
	int64_t fee_nano;   /* charged on usage_nano */
};

/* The row, or one of zeros under this key where there is none yet. */
int meter_usage_load(struct store *store, struct subscription_id subscription, uint32_t month,
		     struct meter_usage *ret_usage, struct fault *fault);
int meter_cloud_load(struct store *store, struct subscription_id subscription, uint32_t month,
		     uint64_t card, struct meter_cloud *ret_cloud, struct fault *fault);

int meter_usage_save(struct store *store, const struct meter_usage *usage, struct fault *fault);
int meter_cloud_save(struct store *store, const struct meter_cloud *cloud, struct fault *fault);

/* Called for each row; a negative answer ends the walk and is handed on. */
typedef int (*meter_usage_fn)(void *context, const struct meter_usage *usage, struct fault *fault);
typedef int (*meter_cloud_fn)(void *context, const struct meter_cloud *cloud, struct fault *fault);

/* The rows of one subscription, or (0) of all, in one month, by subscription and card. */
int meter_usage_each(struct store *store, struct subscription_id subscription, uint32_t month,
		     meter_usage_fn each, void *context, struct fault *fault);
int meter_cloud_each(struct store *store, struct subscription_id subscription, uint32_t month,
		     meter_cloud_fn each, void *context, struct fault *fault);

/* ---- keys ---- */

struct meter_key {
	struct key_id key;
	uint32_t month;       /* clock_month_of the calls' settlement */
	uint64_t calls;       /* all that are on record, billed or not */
	uint64_t last_minute; /* Unix time / 60 s, of the last one's settlement */
};

/* The row, or one of zeros under this key where there is none yet. */
int meter_key_load(struct store *store, struct key_id key, uint32_t month,
		   struct meter_key *ret_use, struct fault *fault);
int meter_key_save(struct store *store, const struct meter_key *use, struct fault *fault);
/* The calls of one month, and the minute of the last call ever; 0 where there was none. */
int meter_key_used(struct store *store, struct key_id key, uint32_t month, uint64_t *ret_calls,
		   uint64_t *ret_last_minute, struct fault *fault);

/* ---- events that report usage ---- */

#define METER_DIGEST_BYTES 32

/* That an event was taken. Written before its record, which gets this place: the record alone
 * says that it counts. */
struct meter_reported {
	uint8_t key[METER_DIGEST_BYTES];    /* of who reported it and what it is called */
	uint8_t digest[METER_DIGEST_BYTES]; /* of what it says */
	struct call_id call;
	uint32_t stream;
	uint64_t position;
	uint64_t at_ns; /* Unix */
};

int meter_reported_find(struct store *store, const uint8_t key[METER_DIGEST_BYTES], bool *ret_found,
			struct meter_reported *ret_reported, struct fault *fault);
/* Neither its key nor its place may be there. */
int meter_reported_save(struct store *store, const struct meter_reported *reported,
			struct fault *fault);
/* Forgets those of a stream from this position on: their records were never written, or lost by a
 * power cut, and nobody was told that they were taken. Before the stream goes on. */
int meter_reported_forget_lost(struct store *store, uint32_t stream, uint64_t position,
			       struct fault *fault);
/* Forgets those that were taken before. */
int meter_reported_forget_old(struct store *store, uint64_t before_ns, struct fault *fault);

/* ---- latencies ---- */

/* Log-linear, as HdrHistogram: microseconds up to 15 each have a bucket, above each power of two
 * has eight, so a bucket is at most an eighth wider than its lower end. Stored as sparse text,
 * "index:count index:count ..". */
#define METER_LATENCY_BUCKETS  240
#define METER_LATENCY_TEXT_MAX (METER_LATENCY_BUCKETS * 25) /* bytes, with the NUL */

struct meter_latency {
	uint64_t of[METER_LATENCY_BUCKETS];
};

void meter_latency_add(struct meter_latency *latency, uint32_t duration_us);
void meter_latency_merge(struct meter_latency *sum, const struct meter_latency *part);
/* The upper end (us) of the bucket in which the `permille`-th thousandth of calls ends; 0 where
 * there are none. 500 is the median, 990 the 99th percentile. */
uint32_t meter_latency_quantile_us(const struct meter_latency *latency, uint32_t permille);
/* Returns the text's length. */
size_t meter_latency_format(const struct meter_latency *latency, char text[METER_LATENCY_TEXT_MAX]);
bool meter_latency_parse(struct slice text, struct meter_latency *ret_latency);

/* ---- minutes ---- */

struct meter_counts {
	uint64_t calls;
	uint64_t billed_calls;
	uint64_t errors; /* answered with 500 or above, failed, or cut */
	uint64_t request_bytes;
	uint64_t response_bytes;
	uint64_t duration_us; /* summed */
	uint64_t units[JOURNAL_RECORD_UNITS];
};

struct meter_minute {
	struct service_id service;
	struct subscription_id subscription;
	uint64_t minute; /* Unix time / 60 s, of the settlement */
	struct meter_counts counts;
	struct meter_latency latency;
};

/* Counts one record in; the key is the caller's to match. */
void meter_minute_add(struct meter_minute *minute, const struct journal_record *record);
/* Adds what `part` counted. */
void meter_minute_merge(struct meter_minute *sum, const struct meter_minute *part);

/* The row, or one of zeros under this key where there is none yet. */
int meter_minute_load(struct store *store, struct service_id service,
		      struct subscription_id subscription, uint64_t minute,
		      struct meter_minute *ret_minute, struct fault *fault);
int meter_minute_save(struct store *store, const struct meter_minute *minute, struct fault *fault);

/* ---- usage over time ---- */

struct meter_query {
	struct service_id service;
	struct subscription_id subscription; /* 0: all of the service */
	uint64_t from_minute;
	uint64_t to_minute;    /* exclusive */
	uint64_t step_minutes; /* >= 1: minutes summed into one point, counted from from_minute */
};

/* One step's sum; subscription is the query's. */
typedef int (*meter_point_fn)(void *context, const struct meter_minute *point, struct fault *fault);

/* Steps that have anything on record, be it no call but a later part of one or a report, in order
 * of time. FAULT_LIMIT where the range has more than METER_POINTS_MAX steps. */
int meter_query(struct store *store, const struct meter_query *query, meter_point_fn each,
		void *context, struct fault *fault);

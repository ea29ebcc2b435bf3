/*
 * intake: call records summed by subscription, month and minute, until they are posted.
 *
 * Reading touches the store for nothing but terms. What a turn read stays in it until its
 * transaction is committed, so a failed turn is done again with the same content. Between turns
 * a subscription keeps its quantities and its last minutes in memory: the poster is the only
 * writer of them, so the store is read once for each and then only written.
 *
 * Memory: a subscription, a month and a minute are allocated when first met and freed when they
 * were not met for a while; a record allocates nothing, but for one that is parked.
 * Threads: the poster's.
 */
#pragma once

#include "base/map.h"
#include "billing/billing.h"
#include "billing/budget.h"
#include "billing/key_uses.h"
#include "meter/meter.h"

struct intake_subscription;

/* What one turn does to a month, worked out in its transaction. */
struct intake_charges {
	struct meter_usage usage; /* after it */
	struct meter_cloud cloud;
	int64_t usage_nano;
	int64_t cloud_nano;
	int64_t fee_nano;
};

/* A subscription in a month. */
struct intake_posting {
	struct intake_subscription *subscription;
	struct intake_posting *next;         /* of the subscription */
	struct intake_posting *next_touched; /* of the intake */
	uint32_t month;
	struct plan_id plan;              /* the month's, from the terms */
	const struct rating_plan *rating; /* the intake's, shared by its postings */
	bool touched;
	bool loaded;              /* what follows is the store's */
	struct meter_usage usage; /* as committed */
	struct meter_cloud cloud;
	int64_t other_cards_nano; /* charged in the month under other rate cards than cloud's */
	uint64_t records;         /* in this intake, with the sums of what they count */
	struct rating_quantities calls;
	struct rating_cloud_quantities cloud_calls;
	int64_t told_nano;
	struct intake_charges charges;
	/* What callers were told in the month less what was posted, by whatever poster: a run that
	 * was killed may have posted one call of two, and told for both. */
	int64_t difference_nano;
	int64_t difference_known_nano; /* counted already */
	bool compared;
	uint64_t posted_ns; /* monotonic */
};

struct intake_minute {
	struct intake_minute *next; /* of the subscription, newest met first */
	struct intake_minute *next_touched;
	bool touched;
	bool loaded; /* what the store had is in it */
	struct meter_minute sum;
};

struct intake_subscription {
	struct subscription_id id;
	struct intake_posting *postings;
	struct intake_minute *minutes;
	uint64_t met_ns; /* monotonic: of the last turn that had a record of it */
	bool terms_known;
	uint64_t asked_turn; /* terms were looked for in this turn */
	/* From the terms. */
	struct app_id app;
	struct account_id consumer;
	struct budget budget;
	char account_name[BILLING_NAME_MAX];
	char provider_name[BILLING_NAME_MAX];
	/* Found in a transaction; forgotten when one fails, for it may have made them. */
	bool accounts_known;
	struct ledger_account_id account;
	struct ledger_account_id provider;
};

/* Where in a stream the billed records of a month lie. */
struct intake_month {
	struct intake_month *next; /* of the stream, newest met first */
	uint32_t month;
	uint64_t first;
	uint64_t end;
	bool touched;
};

struct intake_stream {
	struct journal_reader *reader; /* NULL: not open */
	uint64_t read;                 /* behind the last record read */
	_Atomic uint64_t posted;       /* behind the last record committed */
	struct intake_month *months;
};

struct intake_parked {
	uint32_t stream;
	uint64_t position;
	struct journal_record record; /* of those newly parked */
};

struct intake_parked_list {
	struct intake_parked *of;
	size_t count;
	size_t capacity;
};

struct intake {
	const struct billing_options *options;
	struct intake_stream streams[JOURNAL_STREAMS_MAX];
	struct map subscriptions; /* id -> struct intake_subscription */
	struct map plans;         /* id -> struct rating_plan */
	struct budgets budgets;   /* of apps and accounts */
	struct key_uses keys;
	uint64_t turn; /* the one that is read for */
	/* In the intake. */
	uint64_t records; /* read from the journal or taken back from the parked ones */
	uint64_t records_billed;
	struct intake_posting *postings;
	struct intake_minute *minutes;
	struct intake_parked_list parked;   /* to be parked */
	struct intake_parked_list unparked; /* to be parked no more */
	/* Parked rows in the store, and where looking through them again stands. */
	uint64_t parked_count;
	bool unparking;
	uint32_t unpark_stream;
	uint64_t unpark_position;
	/* The month that the last record fell into. */
	uint32_t month;
	uint64_t month_start_ns;
	uint64_t month_end_ns;
	uint64_t newest_minute;
	uint64_t swept_minute;
};

/* `options` must outlive it. */
void intake_init(struct intake *intake, const struct billing_options *options);
void intake_fini(struct intake *intake);

/* Reads up to `most` durable records. *ret_drained: there were no more in any stream. After a
 * fault what was read before it is in the intake. */
int intake_read(struct intake *intake, uint64_t most, bool *ret_drained, struct fault *fault);
/* Goes on looking through the parked records (once `unparking` is set): takes back some whose
 * terms are known by now. */
int intake_unpark(struct intake *intake, uint64_t most, struct fault *fault);
/* Written and durable, to the last record, and all of it committed. */
bool intake_is_drained(const struct intake *intake);

/* The subscription, with its terms, or FAULT_NOT_FOUND. */
int intake_subscription_get(struct intake *intake, struct subscription_id id,
			    struct intake_subscription **ret_subscription, struct fault *fault);
/* NULL where it was not met. */
struct intake_subscription *intake_subscription_find(const struct intake *intake,
						     struct subscription_id id);

/* The budget that bounds the subscription at this level, or did so; NULL: none ever did. */
struct budget *intake_budget(struct intake *intake, struct intake_subscription *subscription,
			     enum billing_level level);
/* A budget by its key, with its terms; FAULT_NOT_FOUND where the subscription is unknown. */
int intake_budget_get(struct intake *intake, struct billing_budget_key key,
		      struct budget **ret_budget, struct fault *fault);

/* The transaction of the turn was committed: it is emptied. */
void intake_committed(struct intake *intake, uint64_t now_ns);
/* It failed: the content stays. */
void intake_aborted(struct intake *intake);

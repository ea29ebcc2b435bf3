/*
 * The poster's parts, and its transaction. Threads: the poster's own, but for the inbox and the
 * counts.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "billing/intake.h"
#include "billing/billing.h"
#include "billing/books.h"
#include "billing/card.h"
#include "billing/leases.h"
#include "billing/transfers.h"

enum message_kind {
	MESSAGE_LEASE_ADD,
	MESSAGE_BUDGET_ADD,
	MESSAGE_LEASE_REMOVE,
	MESSAGE_WAKE,
	MESSAGE_TERMS_CHANGED,
	MESSAGE_BUDGET_CHANGED,
};

struct message {
	struct message *next;
	enum message_kind kind;
	struct ledger_account_id account;
	struct subscription_id subscription;
	struct billing_budget_key budget;
	void *handle;
	void (*released)(void *context, void *handle);
	void *context;
};

/* First in, first out. */
struct inbox {
	pthread_mutex_t mutex;
	struct message *first;
	struct message **last;
};

struct poster_counts {
#define X(kind, name, sentence) _Atomic uint64_t name;
	BILLING_COUNTS(X)
#undef X
};

struct billing_poster {
	struct billing_options options;
	struct ledger *ledger;
	struct books books;
	struct card card; /* in force */
	uint64_t phase;   /* of it */
	struct intake intake;
	struct leases leases;
	struct transfers transfers;
	struct inbox inbox;
	struct poster_counts counts;
	uint64_t number;       /* by chance: which poster it is */
	uint64_t turn;         /* the last one committed */
	uint64_t records_done; /* posted or parked up to then */
	bool recovered;
	bool unresolved;   /* whether the last transaction was committed is not known */
	unsigned attempts; /* of the transaction, in this turn */
	uint64_t unparked_ns;
	uint64_t compared_ns;
};

/* Where the node's poster stands. */
int post_position_load(struct billing_poster *poster, struct fault *fault);

/* Tells what there is now in the counts. */
void post_count_state(struct billing_poster *poster);

/* The transaction of intake and leases; then, or when it is known what became of it, both are
 * told. On a fault everything is as before, or `unresolved`. */
int post_turn(struct billing_poster *poster, struct fault *fault);
/* Finds out what became of an unresolved transaction. */
int post_resolve(struct billing_poster *poster, struct fault *fault);

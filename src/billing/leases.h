/*
 * leases: money that the ledger reserved for this node, and how much of it the gateway has.
 *
 * One turn of a lease, around the poster's transaction:
 *
 *	before	leases_plan	poll; decide; take back from the gateway what is to go back
 *	in it	lease_charge	what is posted is the lease's to pay
 *		leases_void	void the old pending transfers of the leases that take part
 *		(the charges)
 *		leases_reserve	new pending transfers: old - charged - taken back + more
 *	after	leases_committed	give the gateway what is new
 *		leases_aborted		or give back what was taken from it
 *
 * A lease takes part when it is charged, needs money, gives some back, or nears its expiry.
 *
 * How much: two seconds of what was taken lately, at least 256 of the holds that were asked in
 * vain and 64 of the largest ever asked. When less than twice that is left in the account the
 * lease gets all of it, so that the last cent can be spent; when nothing is left the gateway is
 * told that there is no source, and refuses instead of waiting. A lease from which nothing was
 * taken for BILLING_LEASE_IDLE_S goes back whole.
 *
 * Threads: the poster's.
 */
#pragma once

#include "base/map.h"
#include "billing/billing.h"
#include "billing/books.h"
#include "billing/intake.h"

struct transfers;

struct lease {
	struct lease *next;
	void *handle;                     /* NULL: of an earlier run; it only shrinks */
	struct budget *budget;            /* NULL: an account's lease */
	struct ledger_account_id account; /* 0: a budget's, not known yet */
	uint32_t number;                  /* enum ledger_number */
	uint32_t month;                   /* of a budget's account */
	void (*released)(void *context, void *handle); /* not NULL: being removed */
	void *released_context;
	/* As committed. */
	struct ledger_transfer_id pending_id;
	int64_t pending_nano;
	uint64_t until_wall_ns; /* the ledger's expiry */
	uint64_t until_ns;      /* the gateway's, monotonic */
	bool has_source;
	bool look_again; /* the account may have got money */
	bool take_all;   /* the gateway may have more than is pending: start afresh */
	/* For sizing. */
	int64_t largest_nano;
	int64_t rate_nano; /* taken in a second */
	int64_t taken_nano;
	uint64_t taken_ns; /* when `taken` last moved */
	int64_t sample_nano;
	uint64_t sample_ns;
	/* Of this turn; kept until a turn is committed. */
	int64_t available_nano;
	int64_t wanted_nano;
	int64_t reclaimed_nano;
	bool needs;
	bool in_turn;
	/* Worked out in the transaction. */
	int64_t charged_nano;
	struct ledger_account_id next_account;
	uint32_t next_month;
	struct ledger_transfer_id next_id;
	int64_t next_nano;
	int64_t granted_nano;
	bool next_source;
	bool next_take_all;
};

struct leases {
	const struct billing_options *options;
	const struct books *books;
	struct lease *all;
	size_t count;
	struct map by_account; /* account -> lease, budgets' leases with a handle left out */
	struct map by_handle;
	struct lease **turn; /* those that take part */
	size_t turn_count;
	size_t turn_capacity;
	size_t planned; /* the first ones in `turn`: decided before the transaction */
	bool releasing; /* everything goes back for good */
	uint64_t now_ns;
	uint64_t now_wall_ns;
	uint64_t overruns; /* since the beginning */
	uint64_t overruns_turn;
};

void leases_init(struct leases *leases, const struct billing_options *options,
		 const struct books *books);
void leases_fini(struct leases *leases);

/* ---- which there are ---- */

/* Takes up what the node's earlier run had pending; outside of a transaction. */
int leases_load(struct leases *leases, struct fault *fault);
struct lease *leases_add(struct leases *leases, struct ledger_account_id account, void *handle);
struct lease *leases_add_budget(struct leases *leases, struct budget *budget, void *handle);
struct lease *leases_find(const struct leases *leases, struct ledger_account_id account);
struct lease *leases_find_handle(const struct leases *leases, void *handle);
int64_t leases_pending(const struct leases *leases);

/* ---- a turn ---- */

/* Returns how many leases take part before anything is charged. */
size_t leases_plan(struct leases *leases);
/* Starts, or starts again, with those that were planned. */
void leases_begin(struct leases *leases);
/* The lease is to pay `nano`, so it takes part. */
void lease_charge(struct leases *leases, struct lease *lease, int64_t nano);
int leases_void(struct leases *leases, struct transfers *transfers, uint64_t turn,
		struct fault *fault);
/* After the charges. */
int leases_reserve(struct leases *leases, struct intake *intake, struct transfers *transfers,
		   struct fault *fault);
void leases_committed(struct leases *leases);
void leases_aborted(struct leases *leases);

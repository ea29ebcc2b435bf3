/*
 * ledger_internal: the working set of one batch. Accounts and transfers that the batch touches
 * are loaded once, changed in memory in the batch's order, and written once at its end. Nothing
 * in it outlives the call that filled it.
 *
 * Threads: the ledger's.
 */
#pragma once

#include "ledger/ledger.h"

/* What became of a pending transfer; the numbers are stored. */
enum ledger_state {
	LEDGER_STATE_NONE = 0, /* was never pending */
	LEDGER_STATE_PENDING = 1,
	LEDGER_STATE_POSTED = 2,
	LEDGER_STATE_VOIDED = 3,
	LEDGER_STATE_EXPIRED = 4,
};

struct ledger_balances {
	int64_t debits_pending;
	int64_t debits_posted;
	int64_t credits_pending;
	int64_t credits_posted;
};

struct batch_account {
	struct ledger_account_id id;
	uint32_t ledger;
	uint32_t flags;
	struct ledger_balances balances;
	uint64_t last; /* sequence of its newest transfer; set while writing */
	bool dirty;
};

struct batch_transfer {
	struct ledger_transfer transfer;
	enum ledger_state state;
	uint64_t expires_ns; /* 0: never */
	bool created;        /* by this batch: to be inserted */
	bool resolved;       /* by this batch: its state is to be updated */
};

/* How to take back one step of a chain. */
struct batch_undo {
	struct batch_account *account; /* NULL: it is about the state of a transfer */
	struct ledger_balances balances;
	struct batch_transfer *transfer;
	enum ledger_state state;
};

/* Debits less credits, summed. */
struct batch_imbalance {
	__int128 pending;
	__int128 posted;
};

struct batch {
	size_t room;             /* transfers that the arrays below are made for */
	size_t slot_count;       /* power of two; of both tables */
	uint32_t *account_slots; /* index + 1 into `accounts`; 0: free */
	uint32_t *transfer_slots;
	struct batch_account *accounts;
	size_t account_count;
	struct batch_transfer *transfers;
	size_t transfer_count;
	size_t created_count;
	struct batch_undo *undos; /* of the chain being applied */
	size_t undo_count;
	struct batch_imbalance loaded;          /* of the accounts, as they were loaded */
	struct store_statement *account_select; /* borrowed for the call */
	struct store_statement *transfer_select;
};

struct ledger {
	struct store *store;
	struct batch batch;
};

/* ---- batch.c ---- */

/* Empties it and makes room for `count` transfers. */
void batch_begin(struct batch *batch, size_t count);
void batch_fini(struct batch *batch);

/* What batch_account_find and batch_transfer_find load with; the caller lends them to the batch. */
int batch_account_select_prepare(struct ledger *ledger, struct store_statement **ret_select,
				 struct fault *fault);
int batch_transfer_select_prepare(struct ledger *ledger, struct store_statement **ret_select,
				  struct fault *fault);

/* *ret is NULL where there is none. Pointers live until the next batch_begin. */
int batch_account_find(struct batch *batch, struct ledger_account_id id,
		       struct batch_account **ret_account, struct fault *fault);
int batch_transfer_find(struct batch *batch, struct ledger_transfer_id id,
			struct batch_transfer **ret_transfer, struct fault *fault);

/* Changes that batch_chain_undo takes back. */
void batch_account_set(struct batch *batch, struct batch_account *account,
		       struct ledger_balances balances);
void batch_state_set(struct batch *batch, struct batch_transfer *transfer, enum ledger_state state);
/* Its id is not in the batch yet. */
struct batch_transfer *batch_transfer_enter(struct batch *batch,
					    const struct batch_transfer *transfer);

struct batch_mark {
	size_t transfer_count;
	size_t created_count;
};

struct batch_mark batch_chain_begin(struct batch *batch);
/* As if the chain had never begun. */
void batch_chain_undo(struct batch *batch, struct batch_mark mark);

/* Writes what changed. */
int batch_write(struct ledger *ledger, uint64_t now_ns, struct fault *fault);

/* ---- tables.c: rows <-> structs ---- */

/* The columns of a transfer, in the order that transfer_of_row reads. */
#define LEDGER_TRANSFER_COLUMNS                                                          \
	"t.sequence, t.id_high, t.id_low, t.debit, t.credit, t.amount, t.kind, t.flags," \
	" t.pending_high, t.pending_low, t.timeout_s, t.subscription, t.period, t.created_ns"
#define LEDGER_TRANSFER_COLUMN_COUNT 14

#define LEDGER_ACCOUNT_COLUMNS                                                     \
	"id, ledger, code, flags, debits_pending, debits_posted, credits_pending," \
	" credits_posted, name"
#define LEDGER_ACCOUNT_COLUMN_COUNT 9

void ledger_transfer_of_row(const struct store_statement *row, struct ledger_transfer *transfer);
void ledger_account_of_row(const struct store_statement *row, struct ledger_account *account);
void ledger_transfer_id_bind(struct store_statement *statement, unsigned parameter,
			     struct ledger_transfer_id id);

/*
 * The audit: every balance once more from the transfers alone, with arithmetic of its own, and
 * nothing of the code that made them.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "ledger/ledger_internal.h"

struct fold_balances {
	__int128 debits_pending;
	__int128 debits_posted;
	__int128 credits_pending;
	__int128 credits_posted;
};

struct fold_account {
	struct ledger_account stored;
	uint64_t stored_last;
	uint64_t last;
	struct fold_balances folded;
};

struct fold {
	struct ledger *ledger;
	struct fold_account *accounts;
	size_t account_count;
	struct map account_of;  /* id -> struct fold_account */
	struct map resolved_of; /* sequence of a pending transfer -> any, once it was resolved */
	uint64_t transfers;
	uint64_t pendings;
	uint64_t resolves_expected; /* pending transfers that say they were posted or voided */
};

/* A row of the scan: the transfer, its own state, and what it resolves. */
struct fold_row {
	struct ledger_transfer transfer;
	uint64_t debit_previous;
	uint64_t credit_previous;
	bool has_state;
	enum ledger_state state;
	bool has_pending;
	uint64_t pending_sequence;
	struct ledger_account_id pending_debit;
	struct ledger_account_id pending_credit;
	int64_t pending_amount;
	enum ledger_state pending_state;
};

static int accounts_load(struct fold *fold, struct fault *fault);
static int transfers_fold(struct fold *fold, struct fault *fault);
static int counts_compare(struct fold *fold, struct fault *fault);
static int accounts_compare(const struct fold *fold, struct fault *fault);
static int sums_compare(struct fold *fold, struct fault *fault);

int ledger_audit(struct ledger *ledger, struct ledger_audit *ret_audit, struct fault *fault)
{
	struct fold fold = {.ledger = ledger};
	check(store_in_transaction(ledger->store));

	map_init(&fold.account_of);
	map_init(&fold.resolved_of);
	int code = accounts_load(&fold, fault);
	if (code == 0)
		code = transfers_fold(&fold, fault);
	if (code == 0)
		code = counts_compare(&fold, fault);
	if (code == 0)
		code = accounts_compare(&fold, fault);
	if (code == 0)
		code = sums_compare(&fold, fault);
	if (code == 0)
		*ret_audit = (struct ledger_audit){.accounts = fold.account_count,
						   .transfers = fold.transfers};
	map_fini(&fold.account_of);
	map_fini(&fold.resolved_of);
	free(fold.accounts);
	return code;
}

static int number_read(struct ledger *ledger, const char *sql, int64_t *ret_number,
		       struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row = false;

	int code = store_prepare(ledger->store, sql, &select, fault);
	if (code == 0)
		code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	check(row);
	*ret_number = store_column_int64(select, 0);
	return 0;
}

static int accounts_load(struct fold *fold, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	int64_t count = 0;
	bool row;

	int code = number_read(fold->ledger, "SELECT count(*) FROM ledger_account", &count, fault);
	if (code == 0)
		code = store_prepare(fold->ledger->store,
				     "SELECT " LEDGER_ACCOUNT_COLUMNS
				     ", last FROM ledger_account ORDER BY id",
				     &select, fault);
	if (code < 0)
		return code;
	fold->accounts = calloc((size_t)count + 1, sizeof(fold->accounts[0]));
	check(fold->accounts != NULL);
	for (code = store_step(select, &row, fault); code == 0 && row;
	     code = store_step(select, &row, fault)) {
		check(fold->account_count < (size_t)count);
		struct fold_account *account = &fold->accounts[fold->account_count++];
		ledger_account_of_row(select, &account->stored);
		account->stored_last =
			(uint64_t)store_column_int64(select, LEDGER_ACCOUNT_COLUMN_COUNT);
		(void)map_put(&fold->account_of, account->stored.id.value, account);
	}
	return code;
}

/* ---- the fold ---- */

static int transfer_fault(struct fault *fault, const struct ledger_transfer *transfer,
			  const char *what)
{
	char text[LEDGER_TRANSFER_ID_MAX];

	ledger_transfer_id_format(transfer->id, text);
	return fault_set(fault, FAULT_DAMAGED, "ledger: transfer %llu (%s) %s",
			 (unsigned long long)transfer->sequence, text, what);
}

static int pending_fold(struct fold *fold, const struct fold_row *row, struct fold_account *debit,
			struct fold_account *credit, struct fault *fault)
{
	if (!row->has_state || row->state < LEDGER_STATE_PENDING ||
	    row->state > LEDGER_STATE_EXPIRED)
		return transfer_fault(fault, &row->transfer, "is pending but has no state");
	fold->pendings++;
	if (row->state == LEDGER_STATE_EXPIRED && row->transfer.timeout_s == 0)
		return transfer_fault(fault, &row->transfer, "expired but has no timeout");
	if (row->state == LEDGER_STATE_POSTED || row->state == LEDGER_STATE_VOIDED)
		fold->resolves_expected++;
	if (row->state == LEDGER_STATE_EXPIRED)
		return 0;
	debit->folded.debits_pending += row->transfer.amount_nano;
	credit->folded.credits_pending += row->transfer.amount_nano;
	return 0;
}

static int resolve_fold(struct fold *fold, const struct fold_row *row, struct fold_account *debit,
			struct fold_account *credit, struct fault *fault)
{
	const struct ledger_transfer *transfer = &row->transfer;
	const bool posts = (transfer->flags & LEDGER_POST) != 0;

	if (!row->has_pending || row->pending_sequence >= transfer->sequence)
		return transfer_fault(fault, transfer, "resolves nothing that came before it");
	if (row->pending_state != (posts ? LEDGER_STATE_POSTED : LEDGER_STATE_VOIDED))
		return transfer_fault(fault, transfer, "does not fit what it resolved");
	if (row->pending_debit.value != transfer->debit.value ||
	    row->pending_credit.value != transfer->credit.value)
		return transfer_fault(fault, transfer, "has other accounts than what it resolved");
	if (transfer->amount_nano > row->pending_amount)
		return transfer_fault(fault, transfer, "posts more than was pending");
	if (map_put(&fold->resolved_of, row->pending_sequence, fold) != NULL)
		return transfer_fault(fault, transfer, "resolves what was resolved before");
	debit->folded.debits_pending -= row->pending_amount;
	credit->folded.credits_pending -= row->pending_amount;
	debit->folded.debits_posted += posts ? transfer->amount_nano : 0;
	credit->folded.credits_posted += posts ? transfer->amount_nano : 0;
	return 0;
}

static int row_fold(struct fold *fold, const struct fold_row *row, struct fault *fault)
{
	const struct ledger_transfer *transfer = &row->transfer;
	struct fold_account *debit = map_find(&fold->account_of, transfer->debit.value);
	struct fold_account *credit = map_find(&fold->account_of, transfer->credit.value);

	if (transfer->sequence != ++fold->transfers)
		return transfer_fault(fault, transfer,
				      "does not follow the one before: some are lost");
	if (debit == NULL || credit == NULL || debit == credit)
		return transfer_fault(fault, transfer, "lacks one of its two accounts");
	if (debit->stored.ledger != credit->stored.ledger)
		return transfer_fault(fault, transfer, "joins two ledgers");
	if (transfer->amount_nano <= 0)
		return transfer_fault(fault, transfer, "has no positive amount");
	if (row->debit_previous != debit->last || row->credit_previous != credit->last)
		return transfer_fault(fault, transfer, "is not linked to the one before it");
	debit->last = transfer->sequence;
	credit->last = transfer->sequence;
	if ((transfer->flags & LEDGER_PENDING) != 0)
		return pending_fold(fold, row, debit, credit, fault);
	if (row->has_state)
		return transfer_fault(fault, transfer, "has a state but was never pending");
	if ((transfer->flags & (LEDGER_POST | LEDGER_VOID)) != 0)
		return resolve_fold(fold, row, debit, credit, fault);
	debit->folded.debits_posted += transfer->amount_nano;
	credit->folded.credits_posted += transfer->amount_nano;
	return 0;
}

static int transfers_fold(struct fold *fold, struct fault *fault)
{
	enum {
		STATE = LEDGER_TRANSFER_COLUMN_COUNT,
		SEQUENCE,
		DEBIT,
		CREDIT,
		AMOUNT,
		RESULT,
		DEBIT_PREVIOUS,
		CREDIT_PREVIOUS
	};
	STORE_STATEMENT select = NULL;
	bool more;

	int code = store_prepare(fold->ledger->store,
				 "SELECT " LEDGER_TRANSFER_COLUMNS
				 ", own.state, p.sequence, p.debit, p.credit, p.amount, s.state,"
				 " t.debit_previous, t.credit_previous"
				 " FROM ledger_transfer AS t"
				 " LEFT JOIN ledger_pending AS own ON own.sequence = t.sequence"
				 " LEFT JOIN ledger_transfer AS p"
				 " ON p.id_high = t.pending_high AND p.id_low = t.pending_low"
				 " LEFT JOIN ledger_pending AS s ON s.sequence = p.sequence"
				 " ORDER BY t.sequence",
				 &select, fault);
	if (code < 0)
		return code;
	for (code = store_step(select, &more, fault); code == 0 && more;
	     code = store_step(select, &more, fault)) {
		struct fold_row row = {
			.debit_previous = (uint64_t)store_column_int64(select, DEBIT_PREVIOUS),
			.credit_previous = (uint64_t)store_column_int64(select, CREDIT_PREVIOUS),
			.has_state = !store_column_is_null(select, STATE),
			.state = (enum ledger_state)store_column_int64(select, STATE),
			.has_pending = !store_column_is_null(select, SEQUENCE),
			.pending_sequence = (uint64_t)store_column_int64(select, SEQUENCE),
			.pending_debit = {(uint64_t)store_column_int64(select, DEBIT)},
			.pending_credit = {(uint64_t)store_column_int64(select, CREDIT)},
			.pending_amount = store_column_int64(select, AMOUNT),
			.pending_state = (enum ledger_state)store_column_int64(select, RESULT),
		};
		ledger_transfer_of_row(select, &row.transfer);
		code = row_fold(fold, &row, fault);
		if (code < 0)
			return code;
	}
	return code;
}

/* ---- comparing ---- */

static int counts_compare(struct fold *fold, struct fault *fault)
{
	int64_t given = 0;
	int64_t states = 0;

	int code = number_read(fold->ledger,
			       "SELECT coalesce(max(value), 0) FROM store_sequences"
			       " WHERE name = 'ledger_transfer'",
			       &given, fault);
	if (code == 0)
		code = number_read(fold->ledger, "SELECT count(*) FROM ledger_pending", &states,
				   fault);
	if (code < 0)
		return code;
	if ((uint64_t)given != fold->transfers)
		return fault_set(fault, FAULT_DAMAGED,
				 "ledger: %lld transfers were made but %llu are there",
				 (long long)given, (unsigned long long)fold->transfers);
	if ((uint64_t)states != fold->pendings)
		return fault_set(fault, FAULT_DAMAGED,
				 "ledger: %lld states of %llu pending transfers", (long long)states,
				 (unsigned long long)fold->pendings);
	if (fold->resolved_of.count != fold->resolves_expected)
		return fault_set(fault, FAULT_DAMAGED,
				 "ledger: %llu pending transfers were posted or voided, by %zu",
				 (unsigned long long)fold->resolves_expected,
				 fold->resolved_of.count);
	return 0;
}

static int balance_compare(const struct ledger_account *account, const char *name, int64_t stored,
			   __int128 folded, struct fault *fault)
{
	if (stored == folded)
		return 0;
	return fault_set(fault, FAULT_DAMAGED,
			 "ledger: account %llu \"%s\" has %s %lld, its transfers sum to %lld more",
			 (unsigned long long)account->id.value, account->name, name,
			 (long long)stored, (long long)(folded - stored));
}

static int accounts_compare(const struct fold *fold, struct fault *fault)
{
	for (size_t index = 0; index < fold->account_count; index++) {
		const struct ledger_account *stored = &fold->accounts[index].stored;
		const struct fold_balances *folded = &fold->accounts[index].folded;
		int code = balance_compare(stored, "debits_pending", stored->debits_pending_nano,
					   folded->debits_pending, fault);
		if (code == 0)
			code = balance_compare(stored, "debits_posted", stored->debits_posted_nano,
					       folded->debits_posted, fault);
		if (code == 0)
			code = balance_compare(stored, "credits_pending",
					       stored->credits_pending_nano,
					       folded->credits_pending, fault);
		if (code == 0)
			code = balance_compare(stored, "credits_posted",
					       stored->credits_posted_nano, folded->credits_posted,
					       fault);
		if (code < 0)
			return code;
		if (fold->accounts[index].stored_last != fold->accounts[index].last)
			return fault_set(fault, FAULT_DAMAGED,
					 "ledger: the list of account %llu \"%s\" lacks its newest",
					 (unsigned long long)stored->id.value, stored->name);
		const bool debits_limited =
			(stored->flags & LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS) != 0;
		const bool credits_limited =
			(stored->flags & LEDGER_CREDITS_MUST_NOT_EXCEED_DEBITS) != 0;
		if ((debits_limited &&
		     folded->debits_pending + folded->debits_posted > folded->credits_posted) ||
		    (credits_limited &&
		     folded->credits_pending + folded->credits_posted > folded->debits_posted))
			return fault_set(fault, FAULT_DAMAGED,
					 "ledger: account %llu \"%s\" is beyond its limit",
					 (unsigned long long)stored->id.value, stored->name);
	}
	return 0;
}

static int sums_compare(struct fold *fold, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;

	int code = store_prepare(fold->ledger->store,
				 "SELECT DISTINCT ledger FROM ledger_account ORDER BY ledger",
				 &select, fault);
	if (code < 0)
		return code;
	for (code = store_step(select, &row, fault); code == 0 && row;
	     code = store_step(select, &row, fault)) {
		const uint32_t number = (uint32_t)store_column_int64(select, 0);
		struct ledger_sum sum;
		code = ledger_sum(fold->ledger, number, &sum, fault);
		if (code < 0)
			return code;
		if (sum.debits_pending_nano != sum.credits_pending_nano ||
		    sum.debits_posted_nano != sum.credits_posted_nano)
			return fault_set(fault, FAULT_DAMAGED,
					 "ledger: debits and credits of ledger %u differ", number);
	}
	return code;
}

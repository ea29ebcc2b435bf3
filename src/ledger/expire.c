/* Timeouts: what pending transfers held is released once their time is over. */
#include "base/check.h"
#include "ledger/ledger_internal.h"

static int due_load(struct ledger *ledger, uint64_t now_ns, size_t count_max, struct fault *fault);
static int due_release(struct batch *batch, struct batch_transfer *due, struct fault *fault);

int ledger_transfers_expire(struct ledger *ledger, uint64_t now_ns, size_t count_max,
			    size_t *ret_count, struct fault *fault)
{
	struct batch *batch = &ledger->batch;
	check(store_in_transaction(ledger->store));
	check(now_ns <= INT64_MAX);
	check(count_max >= 1);

	if (count_max > LEDGER_BATCH_MAX)
		count_max = LEDGER_BATCH_MAX;
	STORE_STATEMENT account_select = NULL;
	int code = batch_account_select_prepare(ledger, &account_select, fault);
	if (code < 0)
		return code;
	batch_begin(batch, count_max);
	batch->account_select = account_select;
	code = due_load(ledger, now_ns, count_max, fault);
	const size_t count = batch->transfer_count;
	for (size_t index = 0; code == 0 && index < count; index++) {
		(void)batch_chain_begin(batch);
		code = due_release(batch, &batch->transfers[index], fault);
	}
	if (code == 0)
		code = batch_write(ledger, now_ns, fault);
	if (code == 0)
		*ret_count = count;
	return code;
}

static int due_load(struct ledger *ledger, uint64_t now_ns, size_t count_max, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row = true;

	int code = store_prepare(ledger->store,
				 "SELECT " LEDGER_TRANSFER_COLUMNS ", p.expires_ns"
				 " FROM ledger_pending AS p"
				 " JOIN ledger_transfer AS t ON t.sequence = p.sequence"
				 " WHERE p.state = 1 AND p.expires_ns > 0 AND p.expires_ns <= $1"
				 " ORDER BY p.expires_ns, p.sequence LIMIT $2",
				 &select, fault);
	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)now_ns);
	store_bind_int64(select, 2, (int64_t)count_max);
	for (code = store_step(select, &row, fault); code == 0 && row;
	     code = store_step(select, &row, fault)) {
		struct batch_transfer due = {.state = LEDGER_STATE_PENDING};
		ledger_transfer_of_row(select, &due.transfer);
		due.expires_ns = (uint64_t)store_column_int64(select, LEDGER_TRANSFER_COLUMN_COUNT);
		check(due.expires_ns <= now_ns); /* never early */
		batch_transfer_enter(&ledger->batch, &due);
	}
	return code;
}

static int due_release(struct batch *batch, struct batch_transfer *due, struct fault *fault)
{
	struct batch_account *debit = NULL;
	struct batch_account *credit = NULL;

	int code = batch_account_find(batch, due->transfer.debit, &debit, fault);
	if (code == 0)
		code = batch_account_find(batch, due->transfer.credit, &credit, fault);
	if (code < 0)
		return code;
	check(debit != NULL);
	check(credit != NULL);
	struct ledger_balances of_debit = debit->balances;
	struct ledger_balances of_credit = credit->balances;
	of_debit.debits_pending -= due->transfer.amount_nano;
	of_credit.credits_pending -= due->transfer.amount_nano;
	batch_account_set(batch, debit, of_debit);
	batch_account_set(batch, credit, of_credit);
	batch_state_set(batch, due, LEDGER_STATE_EXPIRED);
	return 0;
}

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "ledger/ledger_internal.h"

#define TOUCHED_PER_TRANSFER 2 /* accounts; transfers: itself and the one that it resolves */
#define SLOTS_PER_TRANSFER   4 /* tables at most half full */

static_assert(SLOTS_PER_TRANSFER >= 2 * TOUCHED_PER_TRANSFER, "tables at most half full");
static_assert((uint64_t)LEDGER_BATCH_MAX * SLOTS_PER_TRANSFER < UINT32_MAX, "slots fit 32 bits");

static void *renewed(void *memory, size_t count, size_t size)
{
	void *result = reallocarray(memory, count, size);

	check(result != NULL);
	return result;
}

void batch_begin(struct batch *batch, size_t count)
{
	check_at_most(count, LEDGER_BATCH_MAX);

	if (batch->room < count || batch->room == 0) {
		size_t room = batch->room > 0 ? batch->room : 16;
		while (room < count)
			room *= 2;
		const size_t touched = room * TOUCHED_PER_TRANSFER;
		batch->accounts = renewed(batch->accounts, touched, sizeof(batch->accounts[0]));
		batch->transfers = renewed(batch->transfers, touched, sizeof(batch->transfers[0]));
		batch->undos = renewed(batch->undos, room * 3, sizeof(batch->undos[0]));
		batch->account_slots =
			renewed(batch->account_slots, room * SLOTS_PER_TRANSFER, sizeof(uint32_t));
		batch->transfer_slots =
			renewed(batch->transfer_slots, room * SLOTS_PER_TRANSFER, sizeof(uint32_t));
		batch->room = room;
	}
	batch->slot_count = SLOTS_PER_TRANSFER;
	while (batch->slot_count < count * SLOTS_PER_TRANSFER)
		batch->slot_count *= 2;
	memset(batch->account_slots, 0, batch->slot_count * sizeof(uint32_t));
	memset(batch->transfer_slots, 0, batch->slot_count * sizeof(uint32_t));
	batch->account_count = 0;
	batch->transfer_count = 0;
	batch->created_count = 0;
	batch->undo_count = 0;
	batch->loaded = (struct batch_imbalance){0};
}

void batch_fini(struct batch *batch)
{
	free(batch->accounts);
	free(batch->transfers);
	free(batch->undos);
	free(batch->account_slots);
	free(batch->transfer_slots);
	*batch = (struct batch){0};
}

/* ---- accounts ---- */

/* splitmix64's finish. */
static uint64_t mixed(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
	value = (value ^ value >> 27) * 0x94d049bb133111ebu;
	return value ^ value >> 31;
}

static void imbalance_add(struct batch_imbalance *imbalance, struct ledger_balances balances)
{
	imbalance->pending += (__int128)balances.debits_pending - balances.credits_pending;
	imbalance->posted += (__int128)balances.debits_posted - balances.credits_posted;
}

int batch_account_select_prepare(struct ledger *ledger, struct store_statement **ret_select,
				 struct fault *fault)
{
	return store_prepare(ledger->store,
			     "SELECT ledger, flags, debits_pending, debits_posted,"
			     " credits_pending, credits_posted, last"
			     " FROM ledger_account WHERE id = $1",
			     ret_select, fault);
}

int batch_transfer_select_prepare(struct ledger *ledger, struct store_statement **ret_select,
				  struct fault *fault)
{
	return store_prepare(ledger->store,
			     "SELECT " LEDGER_TRANSFER_COLUMNS ", p.state, p.expires_ns"
			     " FROM ledger_transfer AS t LEFT JOIN ledger_pending AS p"
			     " ON p.sequence = t.sequence"
			     " WHERE t.id_high = $1 AND t.id_low = $2",
			     ret_select, fault);
}

static int account_load(struct batch *batch, struct ledger_account_id id,
			struct batch_account *account, bool *ret_found, struct fault *fault)
{
	struct store_statement *select = batch->account_select;
	bool row;

	store_bind_int64(select, 1, (int64_t)id.value);
	const int code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	*ret_found = row;
	if (!row)
		return 0;
	*account = (struct batch_account){
		.id = id,
		.ledger = (uint32_t)store_column_int64(select, 0),
		.flags = (uint32_t)store_column_int64(select, 1),
		.balances = {.debits_pending = store_column_int64(select, 2),
			     .debits_posted = store_column_int64(select, 3),
			     .credits_pending = store_column_int64(select, 4),
			     .credits_posted = store_column_int64(select, 5)},
		.last = (uint64_t)store_column_int64(select, 6),
	};
	store_reset(select);
	return 0;
}

static size_t account_slot(const struct batch *batch, struct ledger_account_id id)
{
	const size_t mask = batch->slot_count - 1;
	size_t slot = mixed(id.value) & mask;

	while (batch->account_slots[slot] != 0 &&
	       batch->accounts[batch->account_slots[slot] - 1].id.value != id.value)
		slot = (slot + 1) & mask;
	return slot;
}

/* It was found before. */
static struct batch_account *account_loaded(const struct batch *batch, struct ledger_account_id id)
{
	const size_t slot = account_slot(batch, id);

	check(batch->account_slots[slot] != 0);
	return &batch->accounts[batch->account_slots[slot] - 1];
}

int batch_account_find(struct batch *batch, struct ledger_account_id id,
		       struct batch_account **ret_account, struct fault *fault)
{
	const size_t slot = account_slot(batch, id);

	if (batch->account_slots[slot] != 0) {
		*ret_account = &batch->accounts[batch->account_slots[slot] - 1];
		return 0;
	}

	check(batch->account_count < batch->room * TOUCHED_PER_TRANSFER);
	struct batch_account *account = &batch->accounts[batch->account_count];
	bool found;
	const int code = account_load(batch, id, account, &found, fault);
	if (code < 0)
		return code;
	*ret_account = NULL;
	if (!found)
		return 0;
	imbalance_add(&batch->loaded, account->balances);
	batch->account_slots[slot] = (uint32_t)++batch->account_count;
	*ret_account = account;
	return 0;
}

void batch_account_set(struct batch *batch, struct batch_account *account,
		       struct ledger_balances balances)
{
	check(balances.debits_pending >= 0 && balances.debits_posted >= 0);
	check(balances.credits_pending >= 0 && balances.credits_posted >= 0);

	check(batch->undo_count < batch->room * 3);
	batch->undos[batch->undo_count++] =
		(struct batch_undo){.account = account, .balances = account->balances};
	account->balances = balances;
	account->dirty = true;
}

/* ---- transfers ---- */

static size_t transfer_slot(const struct batch *batch, struct ledger_transfer_id id)
{
	const size_t mask = batch->slot_count - 1;
	size_t slot = mixed(id.high ^ mixed(id.low)) & mask;

	while (batch->transfer_slots[slot] != 0 &&
	       !ledger_transfer_id_equal(
		       batch->transfers[batch->transfer_slots[slot] - 1].transfer.id, id))
		slot = (slot + 1) & mask;
	return slot;
}

struct batch_transfer *batch_transfer_enter(struct batch *batch,
					    const struct batch_transfer *transfer)
{
	const size_t slot = transfer_slot(batch, transfer->transfer.id);
	check_equal(batch->transfer_slots[slot], 0);
	check(batch->transfer_count < batch->room * TOUCHED_PER_TRANSFER);

	struct batch_transfer *entered = &batch->transfers[batch->transfer_count++];
	*entered = *transfer;
	batch->transfer_slots[slot] = (uint32_t)batch->transfer_count;
	batch->created_count += transfer->created;
	return entered;
}

int batch_transfer_find(struct batch *batch, struct ledger_transfer_id id,
			struct batch_transfer **ret_transfer, struct fault *fault)
{
	const size_t slot = transfer_slot(batch, id);
	struct store_statement *select = batch->transfer_select;
	bool row;

	if (batch->transfer_slots[slot] != 0) {
		*ret_transfer = &batch->transfers[batch->transfer_slots[slot] - 1];
		return 0;
	}
	ledger_transfer_id_bind(select, 1, id);
	const int code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	*ret_transfer = NULL;
	if (!row)
		return 0;
	struct batch_transfer known = {
		.state =
			(enum ledger_state)store_column_int64(select, LEDGER_TRANSFER_COLUMN_COUNT),
		.expires_ns =
			(uint64_t)store_column_int64(select, LEDGER_TRANSFER_COLUMN_COUNT + 1),
	};
	ledger_transfer_of_row(select, &known.transfer);
	store_reset(select);
	*ret_transfer = batch_transfer_enter(batch, &known);
	return 0;
}

void batch_state_set(struct batch *batch, struct batch_transfer *transfer, enum ledger_state state)
{
	check_equal(transfer->state, LEDGER_STATE_PENDING);
	check(state != LEDGER_STATE_NONE && state != LEDGER_STATE_PENDING);

	check(batch->undo_count < batch->room * 3);
	batch->undos[batch->undo_count++] =
		(struct batch_undo){.transfer = transfer, .state = transfer->state};
	transfer->state = state;
	transfer->resolved = true;
}

/* ---- chains ---- */

struct batch_mark batch_chain_begin(struct batch *batch)
{
	batch->undo_count = 0;
	return (struct batch_mark){.transfer_count = batch->transfer_count,
				   .created_count = batch->created_count};
}

void batch_chain_undo(struct batch *batch, struct batch_mark mark)
{
	while (batch->undo_count > 0) {
		const struct batch_undo *undo = &batch->undos[--batch->undo_count];
		if (undo->account != NULL) {
			undo->account->balances = undo->balances;
		} else {
			undo->transfer->state = undo->state;
			undo->transfer->resolved = false;
		}
	}
	/* Newest first, so that each table slot is the last of its run and may simply be freed.
	 * What was loaded meanwhile is unchanged again and may be loaded once more. */
	while (batch->transfer_count > mark.transfer_count) {
		const struct ledger_transfer_id id =
			batch->transfers[batch->transfer_count - 1].transfer.id;
		batch->transfer_slots[transfer_slot(batch, id)] = 0;
		batch->transfer_count--;
	}
	batch->created_count = mark.created_count;
}

/* ---- writing ---- */

static int transfers_insert(struct ledger *ledger, struct fault *fault)
{
	const struct batch *batch = &ledger->batch;
	STORE_STATEMENT insert = NULL;
	int64_t sequence;

	if (batch->created_count == 0)
		return 0;
	int code = store_sequence_take(ledger->store, "ledger_transfer",
				       (int64_t)batch->created_count, &sequence, fault);
	if (code == 0)
		code = store_prepare(
			ledger->store,
			"INSERT INTO ledger_transfer (sequence, id_high, id_low, debit,"
			" credit, amount, kind, flags, pending_high, pending_low,"
			" timeout_s, subscription, period, created_ns,"
			" debit_previous, credit_previous)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
			" $13, $14, $15, $16)",
			&insert, fault);
	for (size_t index = 0; code == 0 && index < batch->transfer_count; index++) {
		struct ledger_transfer *transfer = &batch->transfers[index].transfer;
		if (!batch->transfers[index].created)
			continue;
		struct batch_account *debit = account_loaded(batch, transfer->debit);
		struct batch_account *credit = account_loaded(batch, transfer->credit);
		transfer->sequence = (uint64_t)sequence++;
		store_bind_int64(insert, 1, (int64_t)transfer->sequence);
		ledger_transfer_id_bind(insert, 2, transfer->id);
		store_bind_int64(insert, 4, (int64_t)transfer->debit.value);
		store_bind_int64(insert, 5, (int64_t)transfer->credit.value);
		store_bind_int64(insert, 6, transfer->amount_nano);
		store_bind_int64(insert, 7, transfer->kind);
		store_bind_int64(insert, 8, transfer->flags);
		ledger_transfer_id_bind(insert, 9, transfer->pending_id);
		store_bind_int64(insert, 11, transfer->timeout_s);
		store_bind_int64(insert, 12, (int64_t)transfer->subscription.value);
		store_bind_int64(insert, 13, transfer->period);
		store_bind_int64(insert, 14, (int64_t)transfer->created_ns);
		store_bind_int64(insert, 15, (int64_t)debit->last);
		store_bind_int64(insert, 16, (int64_t)credit->last);
		debit->last = transfer->sequence;
		credit->last = transfer->sequence;
		code = store_execute(insert, fault);
	}
	return code;
}

static int pending_insert(struct ledger *ledger, uint64_t now_ns, struct fault *fault)
{
	const struct batch *batch = &ledger->batch;
	STORE_STATEMENT insert = NULL;

	int code = store_prepare(ledger->store,
				 "INSERT INTO ledger_pending (sequence, debit, credit, amount,"
				 " expires_ns, state, resolved_ns)"
				 " VALUES ($1, $2, $3, $4, $5, $6, $7)",
				 &insert, fault);
	for (size_t index = 0; code == 0 && index < batch->transfer_count; index++) {
		const struct batch_transfer *made = &batch->transfers[index];
		if (!made->created || made->state == LEDGER_STATE_NONE)
			continue;
		store_bind_int64(insert, 1, (int64_t)made->transfer.sequence);
		store_bind_int64(insert, 2, (int64_t)made->transfer.debit.value);
		store_bind_int64(insert, 3, (int64_t)made->transfer.credit.value);
		store_bind_int64(insert, 4, made->transfer.amount_nano);
		store_bind_int64(insert, 5, (int64_t)made->expires_ns);
		store_bind_int64(insert, 6, made->state);
		store_bind_int64(insert, 7, made->resolved ? (int64_t)now_ns : 0);
		code = store_execute(insert, fault);
	}
	return code;
}

static int pending_update(struct ledger *ledger, uint64_t now_ns, struct fault *fault)
{
	const struct batch *batch = &ledger->batch;
	STORE_STATEMENT update = NULL;

	int code = store_prepare(ledger->store,
				 "UPDATE ledger_pending SET state = $2, resolved_ns = $3"
				 " WHERE sequence = $1 AND state = 1",
				 &update, fault);
	for (size_t index = 0; code == 0 && index < batch->transfer_count; index++) {
		const struct batch_transfer *known = &batch->transfers[index];
		if (known->created || !known->resolved)
			continue;
		store_bind_int64(update, 1, (int64_t)known->transfer.sequence);
		store_bind_int64(update, 2, known->state);
		store_bind_int64(update, 3, (int64_t)now_ns);
		code = store_execute(update, fault);
		if (code == 0)
			check_equal(store_changes(update), 1);
	}
	return code;
}

static int accounts_update(struct ledger *ledger, struct fault *fault)
{
	const struct batch *batch = &ledger->batch;
	STORE_STATEMENT update = NULL;

	int code = store_prepare(ledger->store,
				 "UPDATE ledger_account SET debits_pending = $2,"
				 " debits_posted = $3, credits_pending = $4, credits_posted = $5,"
				 " last = $6"
				 " WHERE id = $1",
				 &update, fault);
	for (size_t index = 0; code == 0 && index < batch->account_count; index++) {
		const struct batch_account *account = &batch->accounts[index];
		if (!account->dirty)
			continue;
		store_bind_int64(update, 1, (int64_t)account->id.value);
		store_bind_int64(update, 2, account->balances.debits_pending);
		store_bind_int64(update, 3, account->balances.debits_posted);
		store_bind_int64(update, 4, account->balances.credits_pending);
		store_bind_int64(update, 5, account->balances.credits_posted);
		store_bind_int64(update, 6, (int64_t)account->last);
		code = store_execute(update, fault);
		if (code == 0)
			check_equal(store_changes(update), 1);
	}
	return code;
}

int batch_write(struct ledger *ledger, uint64_t now_ns, struct fault *fault)
{
	const struct batch *batch = &ledger->batch;
	struct batch_imbalance now = {0};

	/* Whatever was debited was credited. */
	for (size_t index = 0; index < batch->account_count; index++)
		imbalance_add(&now, batch->accounts[index].balances);
	check(now.pending == batch->loaded.pending);
	check(now.posted == batch->loaded.posted);

	int code = transfers_insert(ledger, fault);
	if (code == 0)
		code = pending_insert(ledger, now_ns, fault);
	if (code == 0)
		code = pending_update(ledger, now_ns, fault);
	if (code == 0)
		code = accounts_update(ledger, fault);
	return code;
}

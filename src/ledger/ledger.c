/* The ledger's life, its accounts, and what can be asked of its transfers. */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "ledger/ledger_internal.h"

#define ACCOUNT_FLAGS                                                                    \
	(LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS | LEDGER_CREDITS_MUST_NOT_EXCEED_DEBITS | \
	 LEDGER_CLOSED)

int ledger_new(struct store *store, struct ledger **ret_ledger, struct fault *fault)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));

	if (ledger == NULL)
		return fault_set_errno(fault, errno, "cannot make a ledger");
	ledger->store = store;
	*ret_ledger = ledger;
	return 0;
}

void ledger_free(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	batch_fini(&ledger->batch);
	free(ledger);
}

/* ---- accounts ---- */

static int account_insert(struct ledger *ledger, const struct ledger_account *account,
			  struct ledger_account_id *ret_id, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	int64_t id = 0;

	int code = store_sequence_take(ledger->store, "ledger_account", 1, &id, fault);
	if (code == 0)
		code = store_prepare(ledger->store,
				     "INSERT INTO ledger_account (id, ledger, name, code, flags)"
				     " VALUES ($1, $2, $3, $4, $5)",
				     &insert, fault);
	if (code < 0)
		return code;
	store_bind_int64(insert, 1, id);
	store_bind_int64(insert, 2, account->ledger);
	store_bind_text(insert, 3, slice_of(account->name));
	store_bind_int64(insert, 4, account->code);
	store_bind_int64(insert, 5, account->flags);
	code = store_execute(insert, fault);
	if (code == 0)
		*ret_id = (struct ledger_account_id){(uint64_t)id};
	return code;
}

int ledger_account_create(struct ledger *ledger, const struct ledger_account *account,
			  struct ledger_account_id *ret_id, struct fault *fault)
{
	struct ledger_account existing;
	check(store_in_transaction(ledger->store));
	check(account->ledger >= 1);
	check((account->flags & ~(uint32_t)ACCOUNT_FLAGS) == 0);
	check(memchr(account->name, '\0', sizeof(account->name)) != NULL);

	if (account->name[0] == '\0')
		return fault_set(fault, FAULT_INPUT, "a ledger account needs a name");
	const int code = ledger_account_find(ledger, account->ledger, slice_of(account->name),
					     &existing, fault);
	if (code == FAULT_NOT_FOUND)
		return account_insert(ledger, account, ret_id, fault);
	if (code < 0)
		return code;
	if (existing.code != account->code ||
	    ((existing.flags ^ account->flags) & ~(uint32_t)LEDGER_CLOSED) != 0)
		return fault_set(
			fault, FAULT_CONFLICT,
			"the ledger account \"%s\" exists with another code or other flags",
			account->name);
	*ret_id = existing.id;
	return 0;
}

/* Steps once and reads the row, if there is one. */
static int account_step(struct store_statement *select, struct ledger_account *ret_account,
			bool *ret_row, struct fault *fault)
{
	const int code = store_step(select, ret_row, fault);

	if (code == 0 && *ret_row)
		ledger_account_of_row(select, ret_account);
	return code;
}

int ledger_account_get(struct ledger *ledger, struct ledger_account_id id,
		       struct ledger_account *ret_account, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row = false;

	int code =
		store_prepare(ledger->store,
			      "SELECT " LEDGER_ACCOUNT_COLUMNS " FROM ledger_account WHERE id = $1",
			      &select, fault);
	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)id.value);
	code = account_step(select, ret_account, &row, fault);
	if (code == 0 && !row)
		return fault_set(fault, FAULT_NOT_FOUND, "there is no ledger account %llu",
				 (unsigned long long)id.value);
	return code;
}

int ledger_account_find(struct ledger *ledger, uint32_t number, struct slice name,
			struct ledger_account *ret_account, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row = false;

	int code = store_prepare(ledger->store,
				 "SELECT " LEDGER_ACCOUNT_COLUMNS
				 " FROM ledger_account WHERE ledger = $1 AND name = $2",
				 &select, fault);
	if (code < 0)
		return code;
	store_bind_int64(select, 1, number);
	store_bind_text(select, 2, name);
	code = account_step(select, ret_account, &row, fault);
	if (code == 0 && !row)
		return fault_set(fault, FAULT_NOT_FOUND, "ledger %u has no account \"%.*s\"",
				 number, SLICE_ARGS(name));
	return code;
}

int ledger_account_close(struct ledger *ledger, struct ledger_account_id id, bool closed,
			 struct fault *fault)
{
	struct ledger_account account;
	STORE_STATEMENT update = NULL;

	int code = ledger_account_get(ledger, id, &account, fault);
	if (code == 0)
		code = store_prepare(ledger->store,
				     "UPDATE ledger_account SET flags = $2 WHERE id = $1", &update,
				     fault);
	if (code < 0)
		return code;
	const uint32_t others = account.flags & ~(uint32_t)LEDGER_CLOSED;
	store_bind_int64(update, 1, (int64_t)id.value);
	store_bind_int64(update, 2, closed ? others | LEDGER_CLOSED : others);
	return store_execute(update, fault);
}

int ledger_accounts_list(struct ledger *ledger, uint32_t number, struct ledger_account_id after,
			 struct ledger_account *accounts, size_t count_max, size_t *ret_count,
			 struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	size_t count = 0;

	int code = store_prepare(ledger->store,
				 "SELECT " LEDGER_ACCOUNT_COLUMNS
				 " FROM ledger_account WHERE ledger = $1 AND id > $2"
				 " ORDER BY id LIMIT $3",
				 &select, fault);
	if (code < 0)
		return code;
	store_bind_int64(select, 1, number);
	store_bind_int64(select, 2, (int64_t)after.value);
	store_bind_int64(select, 3, (int64_t)count_max);
	for (bool row = true; row && count < count_max; count += row) {
		code = account_step(select, &accounts[count], &row, fault);
		if (code < 0)
			return code;
	}
	*ret_count = count;
	return 0;
}

int ledger_sum(struct ledger *ledger, uint32_t number, struct ledger_sum *ret_sum,
	       struct fault *fault)
{
	struct ledger_sum sum = {0};
	STORE_STATEMENT select = NULL;
	bool row;

	/* Not SUM: that would overflow where a total needs more than 64 bits. */
	int code = store_prepare(ledger->store,
				 "SELECT debits_pending, debits_posted, credits_pending,"
				 " credits_posted FROM ledger_account WHERE ledger = $1",
				 &select, fault);
	if (code < 0)
		return code;
	store_bind_int64(select, 1, number);
	for (code = store_step(select, &row, fault); code == 0 && row;
	     code = store_step(select, &row, fault)) {
		sum.accounts++;
		sum.debits_pending_nano += store_column_int64(select, 0);
		sum.debits_posted_nano += store_column_int64(select, 1);
		sum.credits_pending_nano += store_column_int64(select, 2);
		sum.credits_posted_nano += store_column_int64(select, 3);
	}
	if (code == 0)
		*ret_sum = sum;
	return code;
}

/* ---- transfers ---- */

int ledger_transfer_get(struct ledger *ledger, struct ledger_transfer_id id,
			struct ledger_transfer *ret_transfer, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;

	int code = store_prepare(ledger->store,
				 "SELECT " LEDGER_TRANSFER_COLUMNS " FROM ledger_transfer AS t"
				 " WHERE t.id_high = $1 AND t.id_low = $2",
				 &select, fault);
	if (code < 0)
		return code;
	ledger_transfer_id_bind(select, 1, id);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (!row) {
		char text[LEDGER_TRANSFER_ID_MAX];
		ledger_transfer_id_format(id, text);
		return fault_set(fault, FAULT_NOT_FOUND, "there is no transfer %s", text);
	}
	ledger_transfer_of_row(select, ret_transfer);
	return 0;
}

/* Reads the transfer `sequence` of the account's list; *ret_previous is what follows in it. */
static int list_step(struct store_statement *select, struct ledger_account_id account,
		     uint64_t sequence, struct ledger_transfer *ret_transfer,
		     uint64_t *ret_previous, struct fault *fault)
{
	bool row;

	store_bind_int64(select, 1, (int64_t)sequence);
	const int code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (!row)
		return fault_set(fault, FAULT_DAMAGED, "ledger: transfer %llu is missing",
				 (unsigned long long)sequence);
	ledger_transfer_of_row(select, ret_transfer);
	const bool debited = ret_transfer->debit.value == account.value;
	const uint64_t previous = (uint64_t)store_column_int64(
		select, LEDGER_TRANSFER_COLUMN_COUNT + (debited ? 0 : 1));
	store_reset(select);
	if ((!debited && ret_transfer->credit.value != account.value) || previous >= sequence)
		return fault_set(
			fault, FAULT_DAMAGED,
			"ledger: transfer %llu does not belong into the list of account %llu",
			(unsigned long long)sequence, (unsigned long long)account.value);
	*ret_previous = previous;
	return 0;
}

static int list_newest(struct ledger *ledger, struct ledger_account_id account, uint64_t *ret_last,
		       struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;

	int code = store_prepare(ledger->store, "SELECT last FROM ledger_account WHERE id = $1",
				 &select, fault);
	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)account.value);
	code = store_step(select, &row, fault);
	if (code == 0)
		*ret_last = row ? (uint64_t)store_column_int64(select, 0) : 0;
	return code;
}

/* Where the list goes on below `before`: at once where that is one of its own, else by walking. */
static int list_seek(struct ledger *ledger, struct store_statement *select,
		     struct ledger_account_id account, uint64_t before, uint64_t *ret_next,
		     struct fault *fault)
{
	struct ledger_transfer transfer;
	uint64_t next;

	if (before > 0 && list_step(select, account, before, &transfer, ret_next, fault) == 0)
		return 0;
	int code = list_newest(ledger, account, &next, fault);
	while (code == 0 && before > 0 && next >= before)
		code = list_step(select, account, next, &transfer, &next, fault);
	if (code == 0)
		*ret_next = next;
	return code;
}

int ledger_transfers_list(struct ledger *ledger, struct ledger_account_id account, uint64_t before,
			  struct ledger_transfer *transfers, size_t count_max, size_t *ret_count,
			  struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	size_t count = 0;
	uint64_t next = 0;

	int code = store_prepare(ledger->store,
				 "SELECT " LEDGER_TRANSFER_COLUMNS
				 ", t.debit_previous, t.credit_previous"
				 " FROM ledger_transfer AS t WHERE t.sequence = $1",
				 &select, fault);
	if (code == 0)
		code = list_seek(ledger, select, account, before, &next, fault);
	for (; code == 0 && next > 0 && count < count_max; count += code == 0)
		code = list_step(select, account, next, &transfers[count], &next, fault);
	if (code == 0)
		*ret_count = count;
	return code;
}

int ledger_transfers_after(struct ledger *ledger, uint64_t after, struct ledger_transfer *transfers,
			   size_t count_max, size_t *ret_count, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	size_t count = 0;
	bool row = true;
	int code = store_prepare(ledger->store,
				 "SELECT " LEDGER_TRANSFER_COLUMNS
				 " FROM ledger_transfer AS t WHERE t.sequence > $1"
				 " ORDER BY t.sequence LIMIT $2",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)after);
	store_bind_int64(select, 2, (int64_t)count_max);
	while (code == 0 && row) {
		code = store_step(select, &row, fault);
		if (code == 0 && row)
			ledger_transfer_of_row(select, &transfers[count++]);
	}
	if (code == 0)
		*ret_count = count;
	return code;
}

int ledger_transfers_last(struct ledger *ledger, uint64_t *ret_sequence, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(ledger->store,
				 "SELECT sequence FROM ledger_transfer"
				 " ORDER BY sequence DESC LIMIT 1",
				 &select, fault);

	if (code == 0)
		code = store_step(select, &row, fault);
	if (code == 0)
		*ret_sequence = row ? (uint64_t)store_column_int64(select, 0) : 0;
	return code;
}

/* The two sides apart, each along its own index; no transfer is on both. */
int ledger_pending_list(struct ledger *ledger, struct ledger_account_id account, uint64_t after,
			struct ledger_transfer *transfers, size_t count_max, size_t *ret_count,
			struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	size_t count = 0;

	int code = store_prepare(ledger->store,
				 "SELECT " LEDGER_TRANSFER_COLUMNS " FROM ("
				 " SELECT * FROM (SELECT sequence FROM ledger_pending"
				 "  WHERE debit = $1 AND state = 1 AND sequence > $2"
				 "  ORDER BY sequence LIMIT $3) AS debits"
				 " UNION ALL"
				 " SELECT * FROM (SELECT sequence FROM ledger_pending"
				 "  WHERE credit = $1 AND state = 1 AND sequence > $2"
				 "  ORDER BY sequence LIMIT $3) AS credits) AS p"
				 " JOIN ledger_transfer AS t ON t.sequence = p.sequence"
				 " ORDER BY t.sequence LIMIT $3",
				 &select, fault);
	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)account.value);
	store_bind_int64(select, 2, (int64_t)after);
	store_bind_int64(select, 3, (int64_t)count_max);
	for (bool row = true; row && count < count_max; count += row) {
		code = store_step(select, &row, fault);
		if (code < 0)
			return code;
		if (row)
			ledger_transfer_of_row(select, &transfers[count]);
	}
	*ret_count = count;
	return 0;
}

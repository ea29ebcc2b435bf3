#include "billing/budget.h"

#include "base/check.h"

int budget_granted(struct store *store, struct ledger_account_id account, int64_t *ret_granted_nano,
		   struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code =
		store_prepare(store, "SELECT granted_nano FROM billing_budget WHERE account = $1",
			      &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)account.value);
	code = store_step(select, &row, fault);
	if (code == 0)
		*ret_granted_nano = row ? store_column_int64(select, 0) : 0;
	return code;
}

static int save_granted(struct store *store, struct ledger_account_id account, int64_t granted_nano,
			struct fault *fault)
{
	STORE_STATEMENT save = NULL;
	int code = store_prepare(store,
				 "INSERT INTO billing_budget (account, granted_nano)"
				 " VALUES ($1, $2) ON CONFLICT (account)"
				 " DO UPDATE SET granted_nano = excluded.granted_nano",
				 &save, fault);

	if (code < 0)
		return code;
	store_bind_int64(save, 1, (int64_t)account.value);
	store_bind_int64(save, 2, granted_nano);
	return store_execute(save, fault);
}

/* Moves the account towards `wanted`; *granted is what it got in all. */
static int grant(const struct books *books, const struct ledger_transfer *base, int64_t wanted_nano,
		 int64_t *granted_nano, struct fault *fault)
{
	struct ledger_transfer transfer = *base;
	struct ledger_account account;
	enum ledger_outcome outcome;
	int64_t change = wanted_nano - *granted_nano;
	int code = 0;

	if (change < 0) {
		code = ledger_account_get(books->ledger, base->credit, &account, fault);
		if (code < 0)
			return code;
		const int64_t available = ledger_account_available(&account).nano;
		change = -change < available ? change : -available;
		transfer.debit = base->credit;
		transfer.credit = base->debit;
	}
	if (change == 0)
		return 0;
	transfer.amount_nano = change < 0 ? -change : change;
	code = books_transfer(books->ledger, &transfer, base->created_ns, &outcome, fault);
	if (code == 0)
		*granted_nano += change;
	return code;
}

int budget_ensure(struct store *store, const struct books *books, struct budget *budget,
		  uint32_t month, uint64_t turn, uint64_t now_ns, struct ledger_account_id *ret_id,
		  struct fault *fault)
{
	check(budget->terms.nano >= 0);
	const bool monthly = budget->terms.monthly;
	struct ledger_account_id id;
	int64_t before_nano = 0;

	if (budget->account.value != 0 && (!monthly || budget->month == month)) {
		*ret_id = budget->account;
		return 0;
	}
	int code = books_budget(books->ledger, budget->terms.key, monthly, month, &id, fault);
	if (code == 0)
		code = budget_granted(store, id, &before_nano, fault);
	if (code < 0)
		return code;
	int64_t granted_nano = before_nano;
	const struct ledger_transfer base = {
		/* What was granted before is in the id: lowering may go on within one turn. */
		.id = ledger_transfer_id_derive(LEDGER_KIND_BUDGET, turn, id.value,
						(uint64_t)before_nano),
		.debit = books->budgets,
		.credit = id,
		.kind = LEDGER_KIND_BUDGET,
		.subscription = billing_budget_subscription(budget->terms.key),
		.period = monthly ? month : 0,
		.created_ns = now_ns,
	};
	code = grant(books, &base, budget->terms.nano, &granted_nano, fault);
	if (code == 0 && granted_nano != before_nano)
		code = save_granted(store, id, granted_nano, fault);
	if (code < 0)
		return code;
	/* Remembered once there is nothing more to move. */
	if (granted_nano == budget->terms.nano) {
		budget->account = id;
		budget->month = month;
	}
	*ret_id = id;
	return 0;
}

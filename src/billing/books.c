#include "billing/books.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"

static int ensure(struct ledger *ledger, enum ledger_number number, enum billing_code code,
		  uint32_t flags, struct slice name, struct ledger_account_id *ret_id,
		  struct fault *fault)
{
	struct ledger_account account = {.ledger = number, .code = code, .flags = flags};

	if (!slice_to_text(name, account.name, sizeof(account.name)))
		return fault_set(fault, FAULT_INPUT, "the account name %.*s is too long",
				 SLICE_ARGS(name));
	return ledger_account_create(ledger, &account, ret_id, fault);
}

struct opening {
	struct books *books;
	uint32_t node;
};

static int open_accounts(struct store *store, void *context, struct fault *fault)
{
	const struct opening *opening = context;
	struct books *books = opening->books;
	char leases[LEDGER_NAME_MAX];
	int code;

	(void)store;
	snprintf(leases, sizeof(leases), "leases:%" PRIu32, opening->node);
	code = books_account(books->ledger, slice_of(BILLING_OPERATOR), &books->operator_account,
			     fault);
	if (code == 0)
		code = books_account(books->ledger, slice_of(BILLING_OUTSIDE), &books->outside,
				     fault);
	if (code == 0)
		code = ensure(books->ledger, LEDGER_BUDGETS, BILLING_CODE_BUDGETS, 0,
			      slice_of("budgets"), &books->budgets, fault);
	if (code == 0)
		code = ensure(books->ledger, LEDGER_BUDGETS, BILLING_CODE_SPENT, 0,
			      slice_of("spent"), &books->spent, fault);
	if (code == 0)
		code = ensure(books->ledger, LEDGER_MONEY, BILLING_CODE_LEASES, 0, slice_of(leases),
			      &books->leases[0], fault);
	if (code == 0)
		code = ensure(books->ledger, LEDGER_BUDGETS, BILLING_CODE_LEASES, 0,
			      slice_of(leases), &books->leases[1], fault);
	return code;
}

int books_open(struct store *store, struct ledger *ledger, uint32_t node, struct books *ret_books,
	       struct fault *fault)
{
	struct books books = {.ledger = ledger};
	struct opening opening = {.books = &books, .node = node};
	int code = store_transaction(store, open_accounts, &opening, fault);

	if (code == 0)
		*ret_books = books;
	return code;
}

int books_account(struct ledger *ledger, struct slice account_name,
		  struct ledger_account_id *ret_id, struct fault *fault)
{
	if (slice_equal(account_name, slice_of(BILLING_OPERATOR)))
		return ensure(ledger, LEDGER_MONEY, BILLING_CODE_OPERATOR, 0, account_name, ret_id,
			      fault);
	if (slice_equal(account_name, slice_of(BILLING_OUTSIDE)))
		return ensure(ledger, LEDGER_MONEY, BILLING_CODE_OUTSIDE, 0, account_name, ret_id,
			      fault);
	return ensure(ledger, LEDGER_MONEY, BILLING_CODE_ACCOUNT,
		      LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS, account_name, ret_id, fault);
}

void books_budget_name(struct billing_budget_key key, bool monthly, uint32_t month,
		       char name[LEDGER_NAME_MAX])
{
	static const char *const levels[BILLING_LEVELS] = {
		[BILLING_LEVEL_SUBSCRIPTION] = "",
		[BILLING_LEVEL_APP] = "app:",
		[BILLING_LEVEL_ACCOUNT] = "account:",
	};
	char period[16] = "";

	if (monthly)
		clock_month_format(month, period);
	snprintf(name, LEDGER_NAME_MAX, "budget:%s%" PRIu64 "%s%s", levels[key.level], key.id,
		 monthly ? ":" : "", period);
}

int books_budget(struct ledger *ledger, struct billing_budget_key key, bool monthly, uint32_t month,
		 struct ledger_account_id *ret_id, struct fault *fault)
{
	char name[LEDGER_NAME_MAX];

	books_budget_name(key, monthly, month, name);
	return ensure(ledger, LEDGER_BUDGETS, BILLING_CODE_BUDGET,
		      LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS, slice_of(name), ret_id, fault);
}

void books_owed_name(struct slice name, char owed[LEDGER_NAME_MAX])
{
	const int length = snprintf(owed, LEDGER_NAME_MAX, "owed:%.*s", SLICE_ARGS(name));

	check(length > 0 && length < LEDGER_NAME_MAX);
}

int books_owed(struct ledger *ledger, struct ledger_account_id account,
	       struct ledger_account_id *ret_id, struct fault *fault)
{
	struct ledger_account debtor;
	char owed[LEDGER_NAME_MAX];
	int code = ledger_account_get(ledger, account, &debtor, fault);

	if (code < 0)
		return code;
	books_owed_name(slice_of(debtor.name), owed);
	return ensure(ledger, (enum ledger_number)debtor.ledger, BILLING_CODE_OWED, 0,
		      slice_of(owed), ret_id, fault);
}

int books_transfer(struct ledger *ledger, const struct ledger_transfer *transfer, uint64_t now_ns,
		   enum ledger_outcome *ret_outcome, struct fault *fault)
{
	enum ledger_outcome outcome;
	int code = ledger_transfers_create(ledger, transfer, 1, now_ns, &outcome, fault);

	if (code < 0)
		return code;
	if (!ledger_outcome_stands(outcome))
		return fault_set(fault,
				 outcome == LEDGER_EXISTS_WITH_DIFFERENT ? FAULT_CONFLICT
									 : FAULT_REFUSED,
				 "a %s transfer was refused: %s", ledger_kind_name(transfer->kind),
				 ledger_outcome_sentence(outcome));
	*ret_outcome = outcome;
	return 0;
}

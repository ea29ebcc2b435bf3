/* Accounts and money, as others ask for them: ensure, fund, balance. */
#include "billing/billing.h"

#include "base/check.h"
#include "billing/books.h"

static void ledger_cleanup(struct ledger **ledger)
{
	if (*ledger != NULL)
		ledger_free(*ledger);
}

#define LEDGER __attribute__((cleanup(ledger_cleanup))) struct ledger *

int billing_account_ensure(struct store *store, struct slice account_name,
			   struct ledger_account_id *ret_id, struct fault *fault)
{
	LEDGER ledger = NULL;
	int code = ledger_new(store, &ledger, fault);

	if (code < 0)
		return code;
	return books_account(ledger, account_name, ret_id, fault);
}

int billing_account_find(struct store *store, struct slice account_name,
			 struct ledger_account_id *ret_id, struct fault *fault)
{
	LEDGER ledger = NULL;
	struct ledger_account account;
	int code = ledger_new(store, &ledger, fault);

	if (code == 0)
		code = ledger_account_find(ledger, LEDGER_MONEY, account_name, &account, fault);
	if (code == 0)
		*ret_id = account.id;
	return code;
}

/* The account that holds what `name` owes; FAULT_NOT_FOUND where it never owed anything. */
static int find_owed(struct ledger *ledger, struct slice name, struct ledger_account *ret_owed,
		     struct fault *fault)
{
	char owed[LEDGER_NAME_MAX];

	books_owed_name(name, owed);
	return ledger_account_find(ledger, LEDGER_MONEY, slice_of(owed), ret_owed, fault);
}

static int64_t owed_nano(const struct ledger_account *owed)
{
	return owed->debits_posted_nano - owed->credits_posted_nano;
}

/* Pays what the account owes, as far as it goes. */
static int pay_owed(struct ledger *ledger, struct slice name, struct ledger_account_id id,
		    struct ledger_transfer_id funding, uint64_t now_ns, struct fault *fault)
{
	struct ledger_account owed;
	struct ledger_account account;
	enum ledger_outcome outcome;
	int code = find_owed(ledger, name, &owed, fault);

	if (code == FAULT_NOT_FOUND)
		return 0;
	if (code == 0)
		code = ledger_account_get(ledger, id, &account, fault);
	if (code < 0)
		return code;
	const int64_t available = ledger_account_available(&account).nano;
	const int64_t pays = owed_nano(&owed) < available ? owed_nano(&owed) : available;
	if (pays <= 0)
		return 0;
	const struct ledger_transfer transfer = {
		.id = ledger_transfer_id_derive(LEDGER_KIND_CORRECTION, funding.high, funding.low,
						owed.id.value),
		.debit = id,
		.credit = owed.id,
		.amount_nano = pays,
		.kind = LEDGER_KIND_CORRECTION,
	};
	return books_transfer(ledger, &transfer, now_ns, &outcome, fault);
}

int billing_fund(struct store *store, struct slice account_name, struct amount amount,
		 struct slice key, uint64_t now_ns, bool *ret_created, struct fault *fault)
{
	LEDGER ledger = NULL;
	struct ledger_account_id account;
	struct ledger_account_id outside;
	enum ledger_outcome outcome;

	if (amount.nano <= 0)
		return fault_set(fault, FAULT_INPUT, "only more than zero can be funded");
	int code = ledger_new(store, &ledger, fault);
	if (code == 0)
		code = books_account(ledger, account_name, &account, fault);
	if (code == 0)
		code = books_account(ledger, slice_of(BILLING_OUTSIDE), &outside, fault);
	if (code < 0)
		return code;
	const struct ledger_transfer transfer = {
		.id = ledger_transfer_id_of_key(key),
		.debit = outside,
		.credit = account,
		.amount_nano = amount.nano,
		.kind = LEDGER_KIND_FUNDING,
	};
	code = books_transfer(ledger, &transfer, now_ns, &outcome, fault);
	if (code == 0 && outcome == LEDGER_CREATED)
		code = pay_owed(ledger, account_name, account, transfer.id, now_ns, fault);
	if (code == 0)
		*ret_created = outcome == LEDGER_CREATED;
	return code;
}

int billing_balance_get(struct store *store, struct slice account_name,
			struct billing_balance *ret_balance, struct fault *fault)
{
	LEDGER ledger = NULL;
	struct ledger_account account;
	struct ledger_account owed = {0};
	int code = ledger_new(store, &ledger, fault);

	if (code == 0)
		code = ledger_account_find(ledger, LEDGER_MONEY, account_name, &account, fault);
	if (code < 0)
		return code;
	code = find_owed(ledger, account_name, &owed, fault);
	if (code < 0 && code != FAULT_NOT_FOUND)
		return code;
	*ret_balance = (struct billing_balance){
		.ledger_account = account.id,
		.available_nano = ledger_account_available(&account).nano,
		.leased_nano = account.debits_pending_nano,
		.owed_nano = owed_nano(&owed),
	};
	ret_balance->balance_nano =
		ret_balance->available_nano + ret_balance->leased_nano - ret_balance->owed_nano;
	return 0;
}

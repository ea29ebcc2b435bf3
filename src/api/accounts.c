#include "api/api_internal.h"

#include <stdlib.h>

#include "base/check.h"

static json_t *account_json(const struct api_request *request, const struct account *account,
			    const struct billing_balance *balance)
{
	return json_pack(
		"{s:o, s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "id",
		api_json_id("acct", account->id.value), "name", account->name, "created",
		api_json_time(account->created_ns), "currency", request->api->options.currency,
		"balance", api_json_amount(balance->balance_nano), "available",
		api_json_amount(balance->available_nano), "leased",
		api_json_amount(balance->leased_nano), "owed", api_json_amount(balance->owed_nano));
}

/* ---- making ---- */

static int create(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	struct account account;
	struct ledger_account_id ledger_account;
	int code = api_at(request, "name",
			  account_create(store, api_argument(request, "name")->text,
					 request->now_ns, &account, fault));
	if (code == 0)
		code = billing_account_ensure(store, slice_of(account.name), &ledger_account,
					      fault);
	if (code < 0)
		return code;
	api_changed(request, "account", account.name,
		    json_pack("{s:o}", "id", api_json_id("acct", account.id.value)));
	request->answer = account_json(request, &account, &(struct billing_balance){0});
	return 0;
}

int api_accounts_create(struct api_request *request, struct fault *fault)
{
	request->status = 201;
	return api_change(request, create, request, fault);
}

/* ---- listing ---- */

static int append_account(const struct api_request *request, struct store *store,
			  const struct account *account, json_t *items, struct fault *fault)
{
	struct billing_balance balance = {0};
	const int code = billing_balance_get(store, slice_of(account->name), &balance, fault);

	/* An account of an older cloud may have no ledger account before it is needed. */
	if (code < 0 && code != FAULT_NOT_FOUND)
		return code;
	json_array_append_new(items, account_json(request, account, &balance));
	return 0;
}

static int list(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	const size_t limit = api_limit(request);
	struct account *accounts = calloc(limit, sizeof(*accounts));
	json_t *items = json_array();
	struct account_id after;
	size_t count = 0;

	check(accounts != NULL);
	int code = api_after(request, "acct", &after.value, fault);
	if (code == 0)
		code = account_list(store, after, accounts, limit, &count, fault);
	for (size_t i = 0; code == 0 && i < count; i++)
		code = append_account(request, store, &accounts[i], items, fault);
	if (code == 0) {
		const uint64_t last = count > 0 ? accounts[count - 1].id.value : 0;
		request->answer = api_list(items, api_next("acct", last, count, limit));
	} else {
		json_decref(items);
	}
	free(accounts);
	return code;
}

int api_accounts_list(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, list, request, fault);
}

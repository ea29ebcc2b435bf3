/* The transfers of an account of the ledger, the newest first: how its balance came about. */
#include "api/api_internal.h"

#include <stdlib.h>

#include "base/check.h"

#define NEAR_ACCOUNTS_MAX 1000 /* looked through for the one that was meant */

struct listing {
	struct api_request *request;
	struct ledger_transfer *transfers; /* limit of them */
	size_t count;
	uint64_t before; /* a sequence; 0: from the newest on */
};

static const char *phase_of(const struct ledger_transfer *transfer)
{
	if ((transfer->flags & LEDGER_PENDING) != 0)
		return "pending";
	if ((transfer->flags & LEDGER_POST) != 0)
		return "post";
	return (transfer->flags & LEDGER_VOID) != 0 ? "void" : "single";
}

static json_t *id_json(struct ledger_transfer_id id)
{
	char text[LEDGER_TRANSFER_ID_MAX];

	if (id.high == 0 && id.low == 0)
		return json_null();
	ledger_transfer_id_format(id, text);
	return json_string(text);
}

static int append(const struct api *api, const struct ledger_transfer *transfer, json_t *items,
		  struct fault *fault)
{
	struct ledger *ledger = api->ledger;
	struct ledger_account debit, credit;
	const uint64_t subscription = transfer->subscription.value;
	int code = ledger_account_get(ledger, transfer->debit, &debit, fault);

	if (code == 0)
		code = ledger_account_get(ledger, transfer->credit, &credit, fault);
	if (code < 0)
		return code;
	json_array_append_new(
		items,
		json_pack("{s:o, s:o, s:s, s:s, s:o, s:s, s:s, s:s, s:o, s:o, s:o}", "id",
			  id_json(transfer->id), "at", api_json_time(transfer->created_ns), "kind",
			  ledger_kind_name(transfer->kind), "phase", phase_of(transfer), "amount",
			  api_json_amount(transfer->amount_nano), "currency", api->options.currency,
			  "debit", debit.name, "credit", credit.name, "resolves",
			  id_json(transfer->pending_id), "subscription",
			  subscription != 0 ? api_json_id("sub", subscription) : json_null(),
			  "period",
			  transfer->period != 0 ? api_json_month(transfer->period) : json_null()));
	return 0;
}

/* The account that the route names, or FAULT_NOT_FOUND with the name that was probably meant. */
static int find_account(struct api_request *request, struct ledger_account *ret_account,
			struct fault *fault)
{
	struct ledger *ledger = request->api->ledger;
	const struct slice name = api_argument(request, "account")->text;
	struct ledger_account *known = calloc(NEAR_ACCOUNTS_MAX, sizeof(*known));
	const char *names[NEAR_ACCOUNTS_MAX];
	char shown[TEXT_SHOWN_MAX];
	size_t count;

	check(known != NULL);
	int code = ledger_account_find(ledger, LEDGER_MONEY, name, ret_account, fault);
	if (code == FAULT_NOT_FOUND) {
		code = ledger_accounts_list(ledger, LEDGER_MONEY, (struct ledger_account_id){0},
					    known, NEAR_ACCOUNTS_MAX, &count, fault);
		for (size_t i = 0; code == 0 && i < count; i++)
			names[i] = known[i].name;
		if (code == 0)
			code = fault_set_near(fault, FAULT_NOT_FOUND,
					      text_nearest(text_show(name, shown), names, count),
					      "the ledger of money has no account \"%s\"", shown);
	}
	free(known);
	return api_at(request, "account", code);
}

static int list(struct store *store, void *context, struct fault *fault)
{
	struct listing *listing = context;
	struct api_request *request = listing->request;
	struct ledger *ledger = request->api->ledger;
	const size_t limit = api_limit(request);
	struct ledger_account account;
	json_t *items = json_array();
	int code = find_account(request, &account, fault);

	(void)store;
	if (code == 0)
		code = ledger_transfers_list(ledger, account.id, listing->before,
					     listing->transfers, limit, &listing->count, fault);
	for (size_t i = 0; code == 0 && i < listing->count; i++)
		code = append(request->api, &listing->transfers[i], items, fault);
	if (code == 0) {
		const uint64_t last =
			listing->count > 0 ? listing->transfers[listing->count - 1].sequence : 0;
		request->answer = api_list(json_incref(items),
					   api_next("transfer", last, listing->count, limit));
	}
	json_decref(items);
	return code;
}

int api_transfers_list(struct api_request *request, struct fault *fault)
{
	struct listing listing = {.request = request};
	int code = api_after(request, "transfer", &listing.before, fault);

	if (code < 0)
		return code;
	listing.transfers = calloc(api_limit(request), sizeof(*listing.transfers));
	check(listing.transfers != NULL);
	code = store_transaction_read(request->api->options.store, list, &listing, fault);
	free(listing.transfers);
	return code;
}

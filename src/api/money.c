/* Money: funding, statements, the ledger. */
#include "api/api_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "api/schemas.h"

const struct api_member api_funding_members[] = {
	{"account", API_IS_TEXT, 0, NULL, "the account's name"},
	{"amount", API_IS_AMOUNT, 0, NULL, "what was put in"},
	{"currency", API_IS_TEXT, 0, NULL, "of the amounts"},
	{"created", API_IS_FLAG, 0, NULL, "false where the same key had funded it already"},
	{"balance", API_IS_AMOUNT, 0, NULL, "the account's, now"},
	{"owed", API_IS_AMOUNT, 0, NULL, "charges that it could not pay yet"},
};

/* ---- funding ---- */

#define KEY_BYTES 16

struct funding {
	struct api_request *request;
	char key[2 * KEY_BYTES + 1]; /* where the request has none */
	struct slice key_text;
	bool created;
	struct billing_balance balance;
};

static json_t *amount_json(const struct api_request *request)
{
	return api_json_amount(api_argument(request, "amount")->amount.nano);
}

static json_t *funding_json(const struct funding *funding, const char *name)
{
	return json_pack("{s:s, s:o, s:s, s:b, s:o, s:o}", "account", name, "amount",
			 amount_json(funding->request), "currency",
			 funding->request->api->options.currency, "created", funding->created,
			 "balance", api_json_amount(funding->balance.balance_nano), "owed",
			 api_json_amount(funding->balance.owed_nano));
}

static int fund(struct store *store, void *context, struct fault *fault)
{
	struct funding *funding = context;
	struct api_request *request = funding->request;
	struct account account;
	int code =
		api_at(request, "account",
		       account_get(store, api_argument(request, "account")->text, &account, fault));
	if (code == 0)
		code = api_at(request, "amount",
			      billing_fund(store, slice_of(account.name),
					   api_argument(request, "amount")->amount,
					   funding->key_text, request->now_ns, &funding->created,
					   fault));
	if (code == 0)
		code = billing_balance_get(store, slice_of(account.name), &funding->balance, fault);
	if (code < 0)
		return code;
	if (funding->created)
		api_changed(request, "account", account.name,
			    json_pack("{s:o, s:o, s:s}", "funded", amount_json(request), "balance",
				      api_json_amount(funding->balance.balance_nano), "currency",
				      request->api->options.currency));
	request->status = funding->created ? 201 : 200;
	request->answer = funding_json(funding, account.name);
	return 0;
}

int api_accounts_fund(struct api_request *request, struct fault *fault)
{
	const struct api *api = request->api;
	const struct api_value *key = api_argument(request, "Idempotency-Key");
	struct funding funding = {.request = request, .key_text = key->text};

	if (!key->given) {
		uint8_t chance[KEY_BYTES];
		api->options.random->fill(api->options.random, chance, sizeof(chance));
		text_hex(chance, sizeof(chance), funding.key);
		funding.key_text = slice_of(funding.key);
	}
	const int code = api_change(request, fund, &funding, fault);
	if (code == 0 && !request->given_again)
		api->options.ports.account_funded(api->options.ports.context,
						  funding.balance.ledger_account);
	return code;
}

/* ---- statements ---- */

/* clang-format off */
const struct api_member api_statement_members[] = {
	{"account", API_IS_TEXT, 0, NULL, "the account's name"},
	{"currency", API_IS_TEXT, 0, NULL, "of the amounts"},
	{"period", API_IS_MONTH, 0, NULL, "a calendar month in UTC"},
	{"lines", API_IS_OBJECT, API_LIST_OF, "StatementLine", "one for each thing charged"},
	{"total", API_IS_AMOUNT, 0, NULL, "of all pages; below zero it is owed to the account"},
	{"changes", API_IS_OBJECT, API_LIST_OF, "PlanMove",
	 "plan versions that were announced to its active subscriptions, up to 100"},
	{"next", API_IS_TEXT, API_OR_NULL, NULL, "the next page's `after`; null: it is the last"},
};

const struct api_member api_statement_line_members[] = {
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"plan", API_IS_TEXT, 0, NULL, "the plan's name"},
	{"app", API_IS_TEXT, 0, NULL, "`account/app`; empty in a provider's lines"},
	{"meter", API_IS_TEXT, 0, NULL, "what was counted"},
	{"kind", API_IS_CHOICE, 0, "usage|cloud|fee", "price, running cost, or commission"},
	{"role", API_IS_CHOICE, 0, "consumer|provider|operator", "the account's part in the trade"},
	{"model", API_IS_TEXT, 0, NULL, "how the quantity becomes an amount"},
	{"quantity", API_IS_COUNT, 0, NULL, "how much, in `unit`"},
	{"unit", API_IS_TEXT, 0, NULL, "of the quantity"},
	{"amount", API_IS_AMOUNT, 0, NULL, "what it costs"},
};
/* clang-format on */

/* Of a fee and of a discount the quantity is the usage that it is a part of. */
static bool is_part_of_usage(const struct billing_line *line)
{
	bool part = line->kind == BILLING_FEE;

	for (int step = 0; step < RATING_STEPS; step++)
		part |= strcmp(line->model, rating_step_name((enum rating_step)step)) == 0;
	return part;
}

/* What a line's quantity counts: that of a share of an instance is finer than its meter's name. */
static const char *unit_of(const struct billing_line *line)
{
	static const struct {
		const char *meter;
		const char *unit;
	} units[] = {
		{"calls", "call"},          {"request_bytes", "byte"},
		{"response_bytes", "byte"}, {"duration_ms", "ms"},
		{"gib_seconds", "mib_us"},  {"vcpu_seconds", "mcpu_us"},
		{"bytes_host", "byte"},     {"bytes_zone", "byte"},
		{"bytes_cloud", "byte"},    {"bytes_intercloud", "byte"},
	};

	if (is_part_of_usage(line))
		return "nano";
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (slice_equal(slice_of(units[i].meter), slice_of(line->meter)))
			return units[i].unit;
	}
	return line->meter;
}

static json_t *line_json(const struct billing_line *line)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:o}", "service",
			 line->service_name, "plan", line->plan_name, "app", line->app_name,
			 "meter", line->meter, "kind", billing_kind_name(line->kind), "role",
			 billing_role_name(line->role), "model", line->model, "quantity",
			 (json_int_t)line->quantity, "unit", unit_of(line), "amount",
			 api_json_amount(line->amount_nano));
}

static int read_statement_query(struct api_request *request, struct store *store,
				struct billing_statement_query *query, struct fault *fault)
{
	const struct api_value *app_path = api_argument(request, "app");
	struct account account;
	struct account_app app;
	int code = api_at(request, "account",
			  account_get(store, query->account_name, &account, fault));

	if (code == 0 && app_path->given) {
		code = api_at(request, "app", account_app_get(store, app_path->text, &app, fault));
		if (code == 0)
			query->app = app.id;
	}
	if (code == 0 && api_argument(request, "service")->given)
		code = api_find_service(request, store, &query->service, fault);
	return code;
}

/* A line in the order of the statement. It says which line, not the how many-th, so that a page is
 * not moved by what comes to be charged meanwhile. */
#define CURSOR_MAX 256

static void format_cursor(const struct billing_line *line, char cursor[CURSOR_MAX])
{
	snprintf(cursor, CURSOR_MAX, "%s.%s.%" PRIu64 ".%" PRIu64 ".%" PRIu64 ".%s.%s",
		 billing_role_name(line->role), billing_kind_name(line->kind), line->service.value,
		 line->plan.value, line->subscription.value, line->meter, line->model);
}

/* The line behind the cursor's. */
static int find_first_line(struct api_request *request, const struct billing_statement *statement,
			   size_t *ret_first, struct fault *fault)
{
	const struct api_value *after = api_argument(request, "after");
	char cursor[CURSOR_MAX];

	*ret_first = 0;
	if (!after->given)
		return 0;
	for (size_t i = 0; i < statement->line_count; i++) {
		format_cursor(&statement->lines[i], cursor);
		if (slice_equal(slice_of(cursor), after->text)) {
			*ret_first = i + 1;
			return 0;
		}
	}
	return api_no_cursor(request, fault);
}

static json_t *statement_json(struct api_request *request,
			      const struct billing_statement_query *query,
			      const struct billing_statement *made, size_t first, json_t *moves)
{
	const size_t left = made->line_count - first;
	const size_t count = left < api_limit(request) ? left : api_limit(request);
	json_t *lines = json_array();
	json_t *next = json_null();

	for (size_t i = first; i < first + count; i++)
		json_array_append_new(lines, line_json(&made->lines[i]));
	if (count < left) {
		char cursor[CURSOR_MAX];
		format_cursor(&made->lines[first + count - 1], cursor);
		next = json_string(cursor);
	}
	return json_pack("{s:s%, s:s, s:o, s:o, s:o, s:o, s:o}", "account",
			 query->account_name.data, query->account_name.length, "currency",
			 request->api->options.currency, "period", api_json_month(made->month),
			 "lines", lines, "total", api_json_amount(made->total_nano), "changes",
			 moves, "next", next);
}

static int statement(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	const struct api_options *options = &request->api->options;
	struct billing_statement_query query = {
		.account_name = api_argument(request, "account")->text,
		.month = (uint32_t)api_argument_number(request, "period",
						       clock_month_of(request->now_ns)),
	};
	struct billing_statement *made = NULL;
	json_t *moves = NULL;
	size_t first = 0;
	int code = read_statement_query(request, store, &query, fault);

	if (code == 0)
		code = billing_statement_make(store, &options->terms, &query, &made, fault);
	if (code == 0)
		code = find_first_line(request, made, &first, fault);
	if (code == 0)
		code = api_moves_list(request, store, &query, &moves, fault);
	if (code == 0)
		request->answer = statement_json(request, &query, made, first, moves);
	billing_statement_free(made);
	return code;
}

int api_accounts_statement(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, statement, request, fault);
}

/* ---- the ledger ---- */

static const struct {
	uint32_t number;
	const char *name;
} ledgers[] = {{LEDGER_MONEY, "money"}, {LEDGER_BUDGETS, "budgets"}};

#define LEDGERS (sizeof(ledgers) / sizeof(ledgers[0]))

static json_t *ledger_account_json(const struct ledger_account *account)
{
	return json_pack("{s:o, s:s, s:i, s:o, s:o, s:o, s:o}", "id",
			 api_json_id("ledger", account->id.value), "name", account->name, "ledger",
			 (int)account->ledger, "debits_pending",
			 api_json_amount(account->debits_pending_nano), "debits_posted",
			 api_json_amount(account->debits_posted_nano), "credits_pending",
			 api_json_amount(account->credits_pending_nano), "credits_posted",
			 api_json_amount(account->credits_posted_nano));
}

/* One ledger after the other, each by id, from the cursor on. */
static int list_accounts(struct api_request *request, struct ledger_account *accounts, size_t limit,
			 size_t *ret_count, struct fault *fault)
{
	struct ledger *ledger = request->api->ledger;
	struct ledger_account last = {.ledger = ledgers[0].number};
	size_t found;
	size_t which = 0;
	int code = api_after(request, "ledger", &last.id.value, fault);

	if (code == 0 && last.id.value != 0)
		code = ledger_account_get(ledger, last.id, &last, fault);
	if (code == FAULT_NOT_FOUND)
		return api_no_cursor(request, fault);
	while (code == 0 && ledgers[which].number != last.ledger)
		which++;
	*ret_count = 0;
	for (; code == 0 && which < LEDGERS && *ret_count < limit; which++) {
		code = ledger_accounts_list(ledger, ledgers[which].number, last.id,
					    accounts + *ret_count, limit - *ret_count, &found,
					    fault);
		last.id.value = 0;
		if (code == 0)
			*ret_count += found;
	}
	return code;
}

static int append_sum(struct ledger *ledger, size_t which, json_t *sums, struct fault *fault)
{
	struct ledger_sum sum;
	const int code = ledger_sum(ledger, ledgers[which].number, &sum, fault);

	if (code < 0)
		return code;
	const bool balances = sum.debits_posted_nano == sum.credits_posted_nano &&
			      sum.debits_pending_nano == sum.credits_pending_nano;
	json_array_append_new(
		sums,
		json_pack("{s:i, s:s, s:I, s:o, s:o, s:o, s:o, s:b}", "ledger",
			  (int)ledgers[which].number, "name", ledgers[which].name, "accounts",
			  (json_int_t)sum.accounts, "debits_pending",
			  api_json_wide_amount(sum.debits_pending_nano), "debits_posted",
			  api_json_wide_amount(sum.debits_posted_nano), "credits_pending",
			  api_json_wide_amount(sum.credits_pending_nano), "credits_posted",
			  api_json_wide_amount(sum.credits_posted_nano), "balances", balances));
	return 0;
}

static int show_ledger(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	const size_t limit = api_limit(request);
	struct ledger_account *accounts = calloc(limit, sizeof(*accounts));
	size_t count = 0;
	json_t *sums = json_array();

	(void)store;
	check(accounts != NULL);
	int code = list_accounts(request, accounts, limit, &count, fault);
	for (size_t i = 0; code == 0 && i < LEDGERS; i++)
		code = append_sum(request->api->ledger, i, sums, fault);
	if (code == 0) {
		json_t *list = json_array();
		for (size_t i = 0; i < count; i++)
			json_array_append_new(list, ledger_account_json(&accounts[i]));
		const uint64_t last = count > 0 ? accounts[count - 1].id.value : 0;
		request->answer =
			json_pack("{s:s, s:o, s:O, s:o}", "currency",
				  request->api->options.currency, "accounts", list, "sums", sums,
				  "next", api_next("ledger", last, count, limit));
	}
	free(accounts);
	json_decref(sums);
	return code;
}

int api_ledger_show(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, show_ledger, request, fault);
}

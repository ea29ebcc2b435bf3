#include "billing/statement.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "billing/books.h"
#include "billing/card.h"
#include "billing/lines.h"
#include "billing/party.h"
#include "meter/meter.h"

/* The statement as it is held: its lines' names live in the arena. */
struct held_statement {
	struct billing_statement statement;
	struct lines lines;
};

/* What making one needs. */
struct making {
	struct store *store;
	const struct billing_terms_source *terms_source;
	const struct billing_statement_query *query;
	struct ledger_account_id account;
	bool is_operator;
	struct lines *lines;
	statement_terms_fn each; /* or NULL */
	void *context;
	/* The subscription at hand. */
	struct billing_terms terms;
	bool is_consumer;
	bool is_provider;
	struct billing_line names; /* a line with the names of all roles, as a consumer has it */
	const char *units[RATING_UNITS_MAX];
	int64_t cloud_usage_nano; /* of its cloud rows, summed */
};

const char *billing_kind_name(enum billing_kind kind)
{
	static const char *const names[] = {"usage", "cloud", "fee"};

	check((unsigned)kind < sizeof(names) / sizeof(names[0]));
	return names[kind];
}

const char *billing_role_name(enum billing_role role)
{
	static const char *const names[] = {"consumer", "provider", "operator"};

	check((unsigned)role < sizeof(names) / sizeof(names[0]));
	return names[role];
}

/* ---- lines ---- */

static int add_line(struct making *making, enum billing_role role, enum billing_kind kind,
		    uint32_t order, const char *meter, const char *model, int64_t quantity,
		    int64_t amount_nano, struct fault *fault)
{
	struct billing_line line = making->names;

	line.role = role;
	line.kind = kind;
	line.meter = meter;
	line.model = model;
	line.quantity = quantity;
	line.amount_nano = amount_nano;
	if (role != BILLING_CONSUMER) {
		line.app = (struct app_id){0};
		line.app_name = "";
		line.subscription = (struct subscription_id){0};
	}
	return lines_add(making->lines, &line, order, fault);
}

/* Debit and credit side of one amount, for the roles that the account has in it. */
static int add_both(struct making *making, enum billing_role pays, bool is_payer,
		    enum billing_role earns, bool is_earner, enum billing_kind kind, uint32_t order,
		    const char *meter, const char *model, int64_t quantity, int64_t amount_nano,
		    struct fault *fault)
{
	int code = 0;

	if (is_payer)
		code = add_line(making, pays, kind, order, meter, model, quantity, amount_nano,
				fault);
	if (code == 0 && is_earner)
		code = add_line(making, earns, kind, order, meter, model, quantity, -amount_nano,
				fault);
	return code;
}

static int damaged(const struct making *making, const char *what, struct fault *fault)
{
	return fault_set(fault, FAULT_DAMAGED,
			 "the %s of subscription %" PRIu64 " in month %" PRIu32
			 " is not what its quantities come to",
			 what, making->terms.subscription.value, making->query->month);
}

static const char *meter_name(const struct making *making, enum rating_meter meter)
{
	return meter < RATING_UNIT_0 ? rating_meter_name(meter)
				     : making->units[meter - RATING_UNIT_0];
}

/* What the plan's discounts take off; their lines stand behind those of the prices. */
static int add_discounts(struct making *making, int64_t list_nano, struct fault *fault)
{
	const struct rating_plan *plan = &making->terms.rating;
	struct rating_discount steps[RATING_STEPS];
	const unsigned count = rating_plan_steps(plan, list_nano, steps);
	int code = 0;

	for (unsigned i = 0; code == 0 && i < count; i++)
		code = add_both(making, BILLING_CONSUMER, making->is_consumer, BILLING_PROVIDER,
				making->is_provider, BILLING_USAGE, plan->price_count + i, "usage",
				rating_step_name(steps[i].step), steps[i].from_nano,
				-steps[i].off_nano, fault);
	return code;
}

static int add_usage(struct making *making, const struct meter_usage *usage, struct fault *fault)
{
	const struct rating_plan *plan = &making->terms.rating;
	int64_t sum_nano = 0;
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < plan->price_count; i++) {
		const struct rating_price *price = &plan->prices[i];
		const int64_t quantity = usage->of[price->meter];
		int64_t nano;
		if (quantity == 0)
			continue;
		if (!rating_charge(price, quantity, &nano) ||
		    __builtin_add_overflow(sum_nano, nano, &sum_nano))
			return damaged(making, "usage charge", fault);
		code = add_both(making, BILLING_CONSUMER, making->is_consumer, BILLING_PROVIDER,
				making->is_provider, BILLING_USAGE, i,
				meter_name(making, price->meter), rating_model_name(price->model),
				quantity, nano, fault);
	}
	if (code == 0 && rating_plan_net(plan, sum_nano) != usage->usage_nano)
		return damaged(making, "usage charge", fault);
	return code < 0 ? code : add_discounts(making, sum_nano, fault);
}

static int add_cloud(void *context, const struct meter_cloud *cloud, struct fault *fault)
{
	struct making *making = context;
	struct card card;
	int64_t sum_nano = 0;
	int64_t fee_nano;
	int code = card_get(making->store, cloud->card, &card, fault);

	for (uint32_t i = 0; code == 0 && i < RATING_CLOUD_METERS; i++) {
		const enum rating_cloud_meter meter = (enum rating_cloud_meter)i;
		int64_t nano;
		if (cloud->of[i] == 0 || card.rates.of[i].nano == 0)
			continue;
		if (!rating_cloud_meter_charge(&card.rates, meter, cloud->of[i], &nano) ||
		    __builtin_add_overflow(sum_nano, nano, &sum_nano))
			return damaged(making, "cloud charge", fault);
		code = add_both(making, BILLING_CONSUMER, making->is_consumer, BILLING_AS_OPERATOR,
				making->is_operator, BILLING_CLOUD, i,
				rating_cloud_meter_name(meter), "", cloud->of[i], nano, fault);
	}
	if (code < 0)
		return code;
	if (sum_nano != cloud->cloud_nano)
		return damaged(making, "cloud charge", fault);
	if (!rating_fee(cloud->usage_nano, card.fee_ppm, &fee_nano) || fee_nano != cloud->fee_nano)
		return damaged(making, "fee", fault);
	making->cloud_usage_nano += cloud->usage_nano;
	if (card.fee_ppm == 0 || cloud->usage_nano == 0)
		return 0;
	return add_both(making, BILLING_PROVIDER, making->is_provider, BILLING_AS_OPERATOR,
			making->is_operator, BILLING_FEE, 0, "usage", "", cloud->usage_nano,
			fee_nano, fault);
}

/* ---- subscriptions ---- */

static bool is_asked_for(const struct making *making)
{
	const struct billing_statement_query *query = making->query;
	const struct billing_terms *terms = &making->terms;

	return (query->app.value == 0 || query->app.value == terms->app.value) &&
	       (query->service.value == 0 || query->service.value == terms->service.value);
}

static int copy_names(struct making *making, struct fault *fault)
{
	const struct billing_terms *terms = &making->terms;

	making->names = (struct billing_line){
		.service = terms->service,
		.plan = terms->plan,
		.app = terms->app,
		.subscription = terms->subscription,
		.service_name = lines_name(making->lines, terms->service_name),
		.plan_name = lines_name(making->lines, terms->plan_name),
		.app_name = lines_name(making->lines, terms->app_name),
	};
	bool complete = making->names.service_name != NULL && making->names.plan_name != NULL &&
			making->names.app_name != NULL;
	for (int i = 0; i < RATING_UNITS_MAX; i++) {
		making->units[i] = terms->units[i][0] == '\0'
					   ? rating_meter_name(RATING_UNIT_0 + i)
					   : lines_name(making->lines, terms->units[i]);
		complete &= making->units[i] != NULL;
	}
	if (!complete)
		return fault_set(fault, FAULT_LIMIT, "the statement's names take too much memory");
	return 0;
}

/* Of one subscription, whose roles are known; called where anything was billed in the month, be it
 * only a report or a later part of a call that began before. */
static int add_used(void *context, const struct meter_usage *usage, struct fault *fault)
{
	struct making *making = context;
	const struct billing_terms_source *source = making->terms_source;
	int code = source->find(source->context, making->store, usage->subscription, usage->month,
				&making->terms, fault);

	if (code < 0)
		return code;
	if (!is_asked_for(making))
		return 0;
	making->cloud_usage_nano = 0;
	code = copy_names(making, fault);
	if (code == 0)
		code = add_usage(making, usage, fault);
	if (code == 0)
		code = meter_cloud_each(making->store, usage->subscription, usage->month, add_cloud,
					making, fault);
	if (code == 0 && making->cloud_usage_nano != usage->usage_nano)
		return damaged(making, "fee's base", fault);
	if (code == 0 && making->each != NULL)
		making->each(making->context, &making->terms, (uint64_t)usage->of[RATING_CALLS]);
	return code;
}

static int add_subscription(void *context, const struct party *party, struct fault *fault)
{
	struct making *making = context;

	making->is_consumer = party->account.value == making->account.value;
	making->is_provider = party->provider.value == making->account.value;
	return meter_usage_each(making->store, party->subscription, making->query->month, add_used,
				making, fault);
}

/* ---- the statement ---- */

static int find_account(struct making *making, struct fault *fault)
{
	struct ledger *ledger;
	struct ledger_account account;
	int code = ledger_new(making->store, &ledger, fault);

	if (code < 0)
		return code;
	code = ledger_account_find(ledger, LEDGER_MONEY, making->query->account_name, &account,
				   fault);
	ledger_free(ledger);
	if (code < 0)
		return code;
	making->account = account.id;
	making->is_operator = account.code == BILLING_CODE_OPERATOR;
	return 0;
}

static int collect(struct store *store, void *context, struct fault *fault)
{
	struct making *making = context;
	const struct party_filter filter = {
		.account = making->account,
		.subscription = making->query->subscription,
		.all = making->is_operator,
	};

	lines_fini(making->lines);
	lines_init(making->lines);
	int code = party_each(store, &filter, add_subscription, making, fault);
	return code < 0 ? code : lines_sum(making->lines, fault);
}

static int finish(struct held_statement *held, struct fault *fault)
{
	struct billing_statement *statement = &held->statement;
	const struct lines *lines = &held->lines;

	statement->line_count = lines->count;
	statement->lines = calloc(lines->count + 1, sizeof(*statement->lines));
	check(statement->lines != NULL);
	for (size_t i = 0; i < lines->count; i++) {
		statement->lines[i] = lines->of[i].line;
		if (__builtin_add_overflow(statement->total_nano, lines->of[i].line.amount_nano,
					   &statement->total_nano))
			return fault_set(fault, FAULT_LIMIT,
					 "the statement's total exceeds what can be counted");
	}
	return 0;
}

int billing_statement_make(struct store *store, const struct billing_terms_source *terms,
			   const struct billing_statement_query *query,
			   struct billing_statement **ret_statement, struct fault *fault)
{
	return statement_make(store, terms, query, NULL, NULL, ret_statement, fault);
}

int statement_make(struct store *store, const struct billing_terms_source *terms,
		   const struct billing_statement_query *query, statement_terms_fn each,
		   void *context, struct billing_statement **ret_statement, struct fault *fault)
{
	struct held_statement *held = calloc(1, sizeof(*held));
	struct making *making = calloc(1, sizeof(*making));

	check(held != NULL && making != NULL);
	held->statement.month = query->month;
	lines_init(&held->lines);
	*making = (struct making){.store = store,
				  .terms_source = terms,
				  .query = query,
				  .lines = &held->lines,
				  .each = each,
				  .context = context};
	int code = find_account(making, fault);
	if (code == 0 && store_in_transaction(store))
		code = collect(store, making, fault);
	else if (code == 0)
		code = store_transaction_read(store, collect, making, fault);
	if (code == 0)
		code = finish(held, fault);
	free(making);
	if (code < 0)
		billing_statement_free(&held->statement);
	else
		*ret_statement = &held->statement;
	return code;
}

void billing_statement_free(struct billing_statement *statement)
{
	if (statement == NULL)
		return;
	struct held_statement *held = (struct held_statement *)statement;

	free(held->statement.lines);
	lines_fini(&held->lines);
	free(held);
}

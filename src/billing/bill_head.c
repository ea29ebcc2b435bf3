/* A bill's head: terms, rate cards, lines, total. */
#include "billing/bill.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/check.h"
#include "billing/statement.h"

/* ---- loading ---- */

struct loading {
	struct bill_head *head;
	const struct billing_bill_options *options;
};

static void clear(struct bill_head *head)
{
	billing_statement_free(head->statement);
	for (size_t i = 0; i < head->subscription_count; i++)
		free(head->subscriptions[i]);
	free(head->subscriptions);
	map_fini(&head->by_id);
	free(head->phases);
	free(head->cards);
	free(head->late);
	free(head->parked);
}

static void add_subscription(void *context, const struct billing_terms *terms, uint64_t calls)
{
	struct bill_head *head = context;
	struct billing_terms *copy = malloc(sizeof(*copy));

	check(copy != NULL);
	*copy = *terms;
	if ((head->subscription_count & (head->subscription_count - 1)) == 0) {
		head->subscriptions =
			reallocarray(head->subscriptions, 2 * head->subscription_count + 1,
				     sizeof(*head->subscriptions));
		check(head->subscriptions != NULL);
	}
	head->subscriptions[head->subscription_count++] = copy;
	map_put(&head->by_id, terms->subscription.value, copy);
	head->calls += calls;
}

static int load_parked(struct loading *loading, struct fault *fault)
{
	struct bill_head *head = loading->head;
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(loading->options->store,
				 "SELECT stream, position, record FROM billing_parked"
				 " WHERE node = $1 ORDER BY stream, position",
				 &select, fault);

	head->parked = calloc(BILLING_PARKED_MAX, sizeof(*head->parked));
	check(head->parked != NULL);
	if (code == 0)
		store_bind_int64(select, 1, loading->options->node);
	while (code == 0) {
		struct journal_record record;
		code = store_step(select, &row, fault);
		if (code < 0 || !row)
			break;
		const struct slice bytes = store_column_blob(select, 2);
		if (bytes.length != sizeof(record) || head->parked_count == BILLING_PARKED_MAX)
			return fault_set(fault, FAULT_DAMAGED, "a parked record is not one");
		memcpy(&record, bytes.data, sizeof(record));
		if (map_find(&head->by_id, record.subscription.value) != NULL)
			head->parked[head->parked_count++] = (struct bill_parked){
				.stream = (uint32_t)store_column_int64(select, 0),
				.position = (uint64_t)store_column_int64(select, 1),
			};
	}
	return code;
}

static int load_cards(struct loading *loading, struct fault *fault)
{
	struct bill_head *head = loading->head;
	int code = 0;

	head->cards = calloc(head->phase_count + 1, sizeof(*head->cards));
	check(head->cards != NULL);
	for (size_t i = 0; code == 0 && i < head->phase_count; i++) {
		size_t known = 0;
		while (known < head->card_count &&
		       head->cards[known].number != head->phases[i].card)
			known++;
		if (known == head->card_count)
			code = card_get(loading->options->store, head->phases[i].card,
					&head->cards[head->card_count++], fault);
	}
	return code;
}

static int load(struct store *store, void *context, struct fault *fault)
{
	struct loading *loading = context;
	struct bill_head *head = loading->head;
	const struct billing_bill_options *options = loading->options;
	const struct billing_statement_query query = {.account_name = slice_of(head->account),
						      .month = options->month};
	char account[BILLING_NAME_MAX];

	memcpy(account, head->account, sizeof(account));
	clear(head); /* of an attempt before */
	*head = (struct bill_head){0};
	memcpy(head->account, account, sizeof(account));
	map_init(&head->by_id);
	int code = statement_make(store, options->terms, &query, add_subscription, head,
				  &head->statement, fault);
	if (code == 0)
		code = phase_list(store, options->node, &head->phases, &head->phase_count, fault);
	if (code == 0)
		code = load_cards(loading, fault);
	if (code == 0)
		code = phase_late_list(store, options->node, options->month, &head->late,
				       &head->late_count, fault);
	if (code == 0)
		code = phase_month_load(store, options->node, options->month, head->ranges, fault);
	return code < 0 ? code : load_parked(loading, fault);
}

int bill_head_load(struct bill_head *head, const struct billing_bill_options *options,
		   struct fault *fault)
{
	struct loading loading = {.head = head, .options = options};

	*head = (struct bill_head){0};
	map_init(&head->by_id);
	if (!slice_to_text(options->account_name, head->account, sizeof(head->account)))
		return fault_set(fault, FAULT_NOT_FOUND, "no account has so long a name");
	if (store_in_transaction(options->store))
		return load(options->store, &loading, fault);
	return store_transaction_read(options->store, load, &loading, fault);
}

void bill_head_fini(struct bill_head *head)
{
	clear(head);
	*head = (struct bill_head){0};
}

/* ---- writing ---- */

static int append(const char *bytes, size_t length, void *output)
{
	text_append(output, slice_make(bytes, length));
	return 0;
}

/* Steals the value. */
static void write_value(struct text *output, json_t *value)
{
	check(value != NULL);
	check(json_dump_callback(value, append, output, JSON_COMPACT | JSON_ENCODE_ANY) == 0);
	json_decref(value);
}

static void write_member(struct text *output, const char *name, json_t *value)
{
	text_printf(output, "\"%s\":", name);
	write_value(output, value);
	text_append_text(output, ",\n");
}

/* `first` is of a list. */
static void write_item(struct text *output, bool first, json_t *value)
{
	text_append_text(output, first ? "\n" : ",\n");
	write_value(output, value);
}

static json_t *amount_json(int64_t nano)
{
	char text[AMOUNT_TEXT_MAX];

	amount_format(amount_nano(nano), text);
	return json_string(text);
}

/* What is nothing is left out. */
static json_t *amount_if_any(int64_t nano)
{
	return nano == 0 ? NULL : amount_json(nano);
}

static json_t *rate_json(struct rating_rate rate)
{
	return json_pack("{s:I, s:I}", "nano", (json_int_t)rate.nano, "per", (json_int_t)rate.per);
}

/* What has no bound is null. */
static json_t *bound_json(int64_t bound)
{
	return bound == INT64_MAX ? json_null() : json_integer(bound);
}

static json_t *card_json(const struct card *card)
{
	json_t *rates = json_object();

	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		json_object_set_new(rates, rating_cloud_meter_name((enum rating_cloud_meter)i),
				    rate_json(card->rates.of[i]));
	return json_pack("{s:I, s:I, s:o}", "card", (json_int_t)card->number, "fee_ppm",
			 (json_int_t)card->fee_ppm, "rates", rates);
}

static json_t *price_json(const struct rating_price *price)
{
	json_t *tiers = json_array();

	for (uint32_t i = 0; i < price->tier_count; i++)
		json_array_append_new(tiers, json_pack("{s:o, s:o}", "up_to",
						       bound_json(price->tiers[i].up_to), "rate",
						       rate_json(price->tiers[i].rate)));
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o*}", "meter",
			 rating_meter_name(price->meter), "model", rating_model_name(price->model),
			 "free", (json_int_t)price->free_units, "rate", rate_json(price->rate),
			 "tiers", tiers, "minimum", amount_if_any(price->minimum_nano));
}

static json_t *named_json(uint64_t id, const char *name)
{
	return json_pack("{s:I, s:s}", "id", (json_int_t)id, "name", name);
}

static json_t *subscription_json(const struct billing_terms *terms)
{
	const struct rating_plan *plan = &terms->rating;
	json_t *prices = json_array();
	json_t *units = json_array();

	for (uint32_t i = 0; i < plan->price_count; i++)
		json_array_append_new(prices, price_json(&plan->prices[i]));
	for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
		json_array_append_new(units, json_pack("{s:s, s:o}", "name", terms->units[i], "max",
						       bound_json(plan->max_units[i])));
	return json_pack(
		"{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o*, s:o*, s:b, s:o}", "subscription",
		(json_int_t)terms->subscription.value, "account",
		named_json(terms->account.value, terms->account_name), "app",
		named_json(terms->app.value, terms->app_name), "provider",
		named_json(terms->provider.value, terms->provider_name), "service",
		named_json(terms->service.value, terms->service_name), "plan",
		named_json(terms->plan.value, terms->plan_name), "units", units, "max_charge",
		plan->max_charge_nano < 0 ? json_null() : amount_json(plan->max_charge_nano),
		"discount_ppm", plan->discount_ppm == 0 ? NULL : json_integer(plan->discount_ppm),
		"discount", amount_if_any(plan->discount_nano), "bill_always", plan->bill_always,
		"prices", prices);
}

static json_t *line_json(const struct billing_line *line)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:s, s:s, s:I, s:o}", "role",
			 billing_role_name(line->role), "kind", billing_kind_name(line->kind),
			 "service", named_json(line->service.value, line->service_name), "plan",
			 named_json(line->plan.value, line->plan_name), "app",
			 named_json(line->app.value, line->app_name), "subscription",
			 (json_int_t)line->subscription.value, "meter", line->meter, "model",
			 line->model, "quantity", (json_int_t)line->quantity, "amount",
			 amount_json(line->amount_nano));
}

static void write_terms(const struct bill_head *head, struct text *output)
{
	text_append_text(output, "\"cards\":[");
	for (size_t i = 0; i < head->card_count; i++)
		write_item(output, i == 0, card_json(&head->cards[i]));
	text_append_text(output, "],\n\"phases\":[");
	for (size_t i = 0; i < head->phase_count; i++)
		write_item(output, i == 0,
			   json_pack("{s:I, s:I}", "phase", (json_int_t)head->phases[i].number,
				     "card", (json_int_t)head->phases[i].card));
	text_append_text(output, "],\n\"subscriptions\":[");
	for (size_t i = 0; i < head->subscription_count; i++)
		write_item(output, i == 0, subscription_json(head->subscriptions[i]));
	text_append_text(output, "],\n");
}

void bill_head_write(const struct bill_head *head, const struct billing_bill_options *options,
		     struct text *output)
{
	const struct billing_statement *statement = head->statement;
	char month[CLOCK_MONTH_TEXT_MAX];
	char made[CLOCK_TEXT_MAX];

	clock_month_format(options->month, month);
	clock_format_wall(options->now_ns, made);
	text_append_text(output, "{");
	write_member(output, "format", json_string(AUDIT_BILL_FORMAT));
	write_member(output, "cloud", json_string(audit_logs_key(options->logs)->name));
	write_member(output, "currency", json_string(options->currency));
	write_member(output, "account", json_string(head->account));
	write_member(output, "period", json_string(month));
	write_member(output, "made", json_string(made));
	write_terms(head, output);
	text_append_text(output, "\"lines\":[");
	for (size_t i = 0; i < statement->line_count; i++)
		write_item(output, i == 0, line_json(&statement->lines[i]));
	text_append_text(output, "],\n");
	write_member(output, "total", amount_json(statement->total_nano));
}

/* A bill's terms and lines as values. */
#include "audit/bill_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void *bill_grow(void *list, size_t count, size_t item_bytes)
{
	if ((count & (count - 1)) != 0)
		return list;
	list = reallocarray(list, count == 0 ? 1 : 2 * count, item_bytes);
	check(list != NULL);
	return list;
}

/* ---- rate cards and phases ---- */

static bool read_rate(const struct value *value, int64_t per_least, struct rating_rate *ret_rate)
{
	static const char *const names[] = {"nano", "per", NULL};

	return value_has_only(value, names) &&
	       value_number(value, "nano", 0, INT64_MAX, &ret_rate->nano) &&
	       value_number(value, "per", per_least, INT64_MAX, &ret_rate->per);
}

static bool take_card(void *context, const struct value *value)
{
	static const char *const names[] = {"card", "fee_ppm", "rates", NULL};
	struct bill *bill = context;
	char pointer[AUDIT_POINTER_MAX];
	struct bill_card card = {0};
	int64_t number;
	int64_t fee_ppm;
	struct value rates = {.pointer = pointer, .complaint = value->complaint};

	if (!value_has_only(value, names) || !value_number(value, "card", 0, INT64_MAX, &number) ||
	    !value_number(value, "fee_ppm", 0, 1000000, &fee_ppm) ||
	    !value_member(value, "rates", JSON_OBJECT, &rates.json))
		return false;
	snprintf(pointer, sizeof(pointer), "%s/rates", value->pointer);
	if (json_object_size(rates.json) != RATING_CLOUD_METERS)
		return complain(value->complaint, pointer, "it has not each of the %d rates",
				RATING_CLOUD_METERS);
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++) {
		const char *name = rating_cloud_meter_name((enum rating_cloud_meter)i);
		struct value rate = {.pointer = pointer, .complaint = value->complaint};
		snprintf(pointer, sizeof(pointer), "%s/rates", value->pointer);
		if (!value_member(&rates, name, JSON_OBJECT, &rate.json))
			return false;
		snprintf(pointer, sizeof(pointer), "%s/rates/%s", value->pointer, name);
		if (!read_rate(&rate, 1, &card.rates.of[i]))
			return false;
	}
	for (size_t i = 0; i < bill->card_count; i++) {
		if (bill->cards[i].number == (uint64_t)number)
			return complain(value->complaint, value->pointer,
					"the card is there twice");
	}
	card.number = (uint64_t)number;
	card.fee_ppm = (uint32_t)fee_ppm;
	bill->cards = bill_grow(bill->cards, bill->card_count, sizeof(*bill->cards));
	bill->cards[bill->card_count++] = card;
	return true;
}

bool bill_read_cards(struct bill *bill, struct reader *reader)
{
	return read_list(reader, "/cards", CARDS_MAX, take_card, bill);
}

static bool take_phase(void *context, const struct value *value)
{
	static const char *const names[] = {"phase", "card", NULL};
	struct bill *bill = context;
	int64_t number;
	int64_t card;
	size_t at = 0;

	if (!value_has_only(value, names) || !value_number(value, "phase", 1, INT64_MAX, &number) ||
	    !value_number(value, "card", 0, INT64_MAX, &card))
		return false;
	while (at < bill->card_count && bill->cards[at].number != (uint64_t)card)
		at++;
	if (at == bill->card_count)
		return complain(value->complaint, value->pointer,
				"its card %" PRId64 " is not among the cards", card);
	if (bill->phase_count > 0 && bill->phases[bill->phase_count - 1].number >= (uint64_t)number)
		return complain(value->complaint, value->pointer,
				"it does not come behind the phase before it");
	bill->phases = bill_grow(bill->phases, bill->phase_count, sizeof(*bill->phases));
	bill->phases[bill->phase_count++] =
		(struct bill_phase){.number = (uint64_t)number, .card = at};
	return true;
}

bool bill_read_phases(struct bill *bill, struct reader *reader)
{
	return read_list(reader, "/phases", PHASES_MAX, take_phase, bill);
}

/* ---- subscriptions ---- */

static bool read_named(const struct value *value, const char *name, struct named *ret_named)
{
	static const char *const names[] = {"id", "name", NULL};
	char pointer[AUDIT_POINTER_MAX];
	struct value named = {.pointer = pointer, .complaint = value->complaint};
	int64_t id;

	if (!value_member(value, name, JSON_OBJECT, &named.json))
		return false;
	snprintf(pointer, sizeof(pointer), "%s/%s", value->pointer, name);
	if (!value_has_only(&named, names) || !value_number(&named, "id", 0, INT64_MAX, &id) ||
	    !value_text(&named, "name", ret_named->name, sizeof(ret_named->name)))
		return false;
	ret_named->id = (uint64_t)id;
	return true;
}

static bool find_meter(const char *name, enum rating_meter *ret_meter)
{
	for (int i = 0; i < RATING_METERS; i++) {
		if (strcmp(rating_meter_name((enum rating_meter)i), name) == 0) {
			*ret_meter = (enum rating_meter)i;
			return true;
		}
	}
	return false;
}

static bool find_model(const char *name, enum rating_model *ret_model)
{
	for (int i = 0; i < RATING_MODELS; i++) {
		if (strcmp(rating_model_name((enum rating_model)i), name) == 0) {
			*ret_model = (enum rating_model)i;
			return true;
		}
	}
	return false;
}

static bool read_tiers(const struct value *price_value, json_t *tiers, struct rating_price *price)
{
	static const char *const names[] = {"up_to", "rate", NULL};
	char pointer[AUDIT_POINTER_MAX];
	char rate_pointer[AUDIT_POINTER_MAX];

	if (json_array_size(tiers) > RATING_TIERS_MAX)
		return complain(price_value->complaint, price_value->pointer,
				"it has too many tiers");
	price->tier_count = (uint32_t)json_array_size(tiers);
	for (uint32_t i = 0; i < price->tier_count; i++) {
		const struct value tier = {.json = json_array_get(tiers, i),
					   .pointer = pointer,
					   .complaint = price_value->complaint};
		struct value rate = {.pointer = rate_pointer, .complaint = price_value->complaint};
		snprintf(pointer, sizeof(pointer), "%s/tiers/%" PRIu32, price_value->pointer, i);
		snprintf(rate_pointer, sizeof(rate_pointer), "%s/tiers/%" PRIu32 "/rate",
			 price_value->pointer, i);
		if (!json_is_object(tier.json))
			return complain(tier.complaint, pointer, "it is not an object");
		if (!value_has_only(&tier, names) ||
		    !value_bound(&tier, "up_to", &price->tiers[i].up_to) ||
		    !value_member(&tier, "rate", JSON_OBJECT, &rate.json) ||
		    !read_rate(&rate, 1, &price->tiers[i].rate))
			return false;
	}
	return true;
}

static bool read_price(const struct value *value, struct rating_price *price)
{
	static const char *const names[] = {"meter", "model", "free", "rate", "tiers", NULL};
	static const char *const more[] = {"minimum", NULL};
	char pointer[AUDIT_POINTER_MAX];
	struct value rate = {.pointer = pointer, .complaint = value->complaint};
	char meter[32];
	char model[16];
	json_t *tiers;

	snprintf(pointer, sizeof(pointer), "%s/rate", value->pointer);
	if (!value_has_at_most(value, names, more) ||
	    !value_text(value, "meter", meter, sizeof(meter)) ||
	    !value_text(value, "model", model, sizeof(model)) ||
	    !value_number(value, "free", 0, INT64_MAX, &price->free_units) ||
	    !value_member(value, "rate", JSON_OBJECT, &rate.json))
		return false;
	if (!find_meter(meter, &price->meter) || !find_model(model, &price->model))
		return complain(value->complaint, value->pointer,
				"its meter or its model is not one");
	/* A rate that the model does not use may be 0 for 0. */
	const bool has_rate = price->model != RATING_FREE && price->model != RATING_GRADUATED;
	if (!read_rate(&rate, has_rate ? 1 : 0, &price->rate) ||
	    !value_member(value, "tiers", JSON_ARRAY, &tiers))
		return false;
	if (price->model != RATING_GRADUATED && json_array_size(tiers) > 0)
		return complain(value->complaint, value->pointer, "its model has no tiers");
	if (!has_rate)
		price->rate = (struct rating_rate){.per = 1};
	if (value_has(value, "minimum") && !value_amount(value, "minimum", &price->minimum_nano))
		return false;
	return read_tiers(value, tiers, price);
}

static bool read_prices(const struct value *value, struct rating_plan *plan)
{
	char pointer[AUDIT_POINTER_MAX];
	json_t *prices;

	if (!value_member(value, "prices", JSON_ARRAY, &prices))
		return false;
	if (json_array_size(prices) > RATING_PRICES_MAX)
		return complain(value->complaint, value->pointer, "it has too many prices");
	plan->price_count = (uint32_t)json_array_size(prices);
	for (uint32_t i = 0; i < plan->price_count; i++) {
		const struct value price = {.json = json_array_get(prices, i),
					    .pointer = pointer,
					    .complaint = value->complaint};
		snprintf(pointer, sizeof(pointer), "%s/prices/%" PRIu32, value->pointer, i);
		if (!json_is_object(price.json))
			return complain(value->complaint, pointer, "it is not an object");
		if (!read_price(&price, &plan->prices[i]))
			return false;
	}
	return true;
}

static bool read_units(const struct value *value, struct bill_subscription *subscription)
{
	static const char *const names[] = {"name", "max", NULL};
	char pointer[AUDIT_POINTER_MAX];
	json_t *units;

	if (!value_member(value, "units", JSON_ARRAY, &units))
		return false;
	if (json_array_size(units) != RATING_UNITS_MAX)
		return complain(value->complaint, value->pointer, "it has not each of the %d units",
				RATING_UNITS_MAX);
	for (unsigned i = 0; i < RATING_UNITS_MAX; i++) {
		const struct value unit = {.json = json_array_get(units, i),
					   .pointer = pointer,
					   .complaint = value->complaint};
		snprintf(pointer, sizeof(pointer), "%s/units/%u", value->pointer, i);
		if (!json_is_object(unit.json))
			return complain(value->complaint, pointer, "it is not an object");
		if (!value_has_only(&unit, names) ||
		    !value_text(&unit, "name", subscription->units[i], BILL_NAME_MAX) ||
		    !value_bound(&unit, "max", &subscription->rating.max_units[i]))
			return false;
	}
	return true;
}

/* ---- what is named ---- */

/* NULL after `value` was noted under the key, else what is noted there. */
static const void *note(struct bill *bill, const char *key, const void *value)
{
	const void *known = map_find_bytes(&bill->names, slice_of(key));

	if (known == NULL)
		map_put_bytes(&bill->names, slice_of(key), (void *)(uintptr_t)value);
	return known;
}

/* An id has one name in a bill: lines are told apart by their ids. */
static bool has_one_name(struct bill *bill, const struct value *value, const char *what,
			 const struct named *named)
{
	char key[64];

	snprintf(key, sizeof(key), "%s %" PRIu64, what, named->id);
	const struct named *known = note(bill, key, named);
	return known == NULL || strcmp(known->name, named->name) == 0 ||
	       complain(value->complaint, value->pointer,
			"%s %" PRIu64 " has another name in a subscription before", what,
			named->id);
}

/* And an account's name stands for one account: by it the bill's own is known. */
static bool is_one_account(struct bill *bill, const struct value *value, const struct named *named)
{
	char key[BILL_NAME_MAX + 16];

	snprintf(key, sizeof(key), "name %s", named->name);
	const struct named *known = note(bill, key, named);
	return (known == NULL || known->id == named->id ||
		complain(value->complaint, value->pointer,
			 "the account %s has another id in a subscription before", named->name)) &&
	       has_one_name(bill, value, "account", named);
}

static bool has_plans_terms(struct bill *bill, const struct value *value,
			    const struct bill_subscription *subscription)
{
	char key[64];

	snprintf(key, sizeof(key), "terms %" PRIu64, subscription->plan.id);
	const struct bill_subscription *known = note(bill, key, subscription);
	return known == NULL ||
	       (rating_plan_equal(&known->rating, &subscription->rating) &&
		memcmp(known->units, subscription->units, sizeof(known->units)) == 0) ||
	       complain(value->complaint, value->pointer,
			"plan %" PRIu64 " has other terms in a subscription before",
			subscription->plan.id);
}

static bool fits_those_before(struct bill *bill, const struct value *value,
			      const struct bill_subscription *subscription)
{
	return is_one_account(bill, value, &subscription->account) &&
	       is_one_account(bill, value, &subscription->provider) &&
	       has_one_name(bill, value, "app", &subscription->app) &&
	       has_one_name(bill, value, "service", &subscription->service) &&
	       has_one_name(bill, value, "plan", &subscription->plan) &&
	       has_plans_terms(bill, value, subscription);
}

/* ---- one subscription ---- */

/* As plans are published: a line tells the price by both. */
static bool prices_differ(const struct rating_plan *plan)
{
	for (uint32_t i = 0; i < plan->price_count; i++) {
		for (uint32_t k = 0; k < i; k++) {
			if (plan->prices[i].meter == plan->prices[k].meter &&
			    plan->prices[i].model == plan->prices[k].model)
				return false;
		}
	}
	return true;
}

static bool read_parties(const struct value *value, struct bill_subscription *subscription)
{
	return read_named(value, "account", &subscription->account) &&
	       read_named(value, "app", &subscription->app) &&
	       read_named(value, "provider", &subscription->provider) &&
	       read_named(value, "service", &subscription->service) &&
	       read_named(value, "plan", &subscription->plan);
}

static bool read_discounts(const struct value *value, struct rating_plan *plan)
{
	int64_t ppm = 0;

	if ((value_has(value, "discount_ppm") &&
	     !value_number(value, "discount_ppm", 1, 1000000, &ppm)) ||
	    (value_has(value, "discount") &&
	     !value_amount(value, "discount", &plan->discount_nano)))
		return false;
	plan->discount_ppm = (uint32_t)ppm;
	return true;
}

static bool read_rating(const struct value *value, struct bill_subscription *subscription)
{
	struct rating_plan *plan = &subscription->rating;

	plan->max_charge_nano = -1;
	if (!json_is_null(json_object_get(value->json, "max_charge"))) {
		if (!value_amount(value, "max_charge", &plan->max_charge_nano))
			return false;
		if (plan->max_charge_nano < 0)
			return complain(value->complaint, value->pointer,
					"its max_charge is below zero");
	}
	if (!read_discounts(value, plan) || !value_flag(value, "bill_always", &plan->bill_always) ||
	    !read_units(value, subscription) || !read_prices(value, plan))
		return false;
	if (!rating_plan_valid(plan) || !prices_differ(plan))
		return complain(value->complaint, value->pointer,
				"its prices are no plan that can be rated");
	return true;
}

bool bill_concerns(const struct bill *bill, const struct bill_subscription *subscription)
{
	const char *account = bill->summary->account;

	return strcmp(subscription->account.name, account) == 0 ||
	       strcmp(subscription->provider.name, account) == 0 ||
	       strcmp(account, AUDIT_OPERATOR) == 0;
}

static bool take_subscription(void *context, const struct value *value)
{
	static const char *const names[] = {"subscription", "account", "app",   "provider",
					    "service",      "plan",    "units", "max_charge",
					    "bill_always",  "prices",  NULL};
	static const char *const more[] = {"discount_ppm", "discount", NULL};
	struct bill *bill = context;
	struct bill_subscription *subscription = calloc(1, sizeof(*subscription));
	int64_t id;

	check(subscription != NULL);
	bill->subscriptions = bill_grow(bill->subscriptions, bill->subscription_count,
					sizeof(*bill->subscriptions));
	subscription->index = bill->subscription_count++;
	bill->subscriptions[subscription->index] = subscription;
	if (!value_has_at_most(value, names, more) ||
	    !value_number(value, "subscription", 1, INT64_MAX, &id) ||
	    !read_parties(value, subscription) || !read_rating(value, subscription))
		return false;
	subscription->id = (uint64_t)id;
	if (!bill_concerns(bill, subscription))
		return complain(value->complaint, value->pointer, "it is none of %s",
				bill->summary->account);
	if (!fits_those_before(bill, value, subscription))
		return false;
	if (map_put(&bill->by_id, subscription->id, subscription) != NULL)
		return complain(value->complaint, value->pointer,
				"the subscription is there twice");
	return true;
}

bool bill_read_subscriptions(struct bill *bill, struct reader *reader)
{
	return read_list(reader, "/subscriptions", SUBSCRIPTIONS_MAX, take_subscription, bill);
}

/* ---- lines ---- */

static const char *const role_names[] = {"consumer", "provider", "operator"};
static const char *const kind_names[] = {"usage", "cloud", "fee"};

const char *bill_role_name(enum bill_role role)
{
	return role_names[role];
}

const char *bill_kind_name(enum bill_kind kind)
{
	return kind_names[kind];
}

static bool read_choice(const struct value *value, const char *name, const char *const names[3],
			unsigned *ret_choice)
{
	char text[16];
	char pointer[AUDIT_POINTER_MAX];

	if (!value_text(value, name, text, sizeof(text)))
		return false;
	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret_choice = i;
			return true;
		}
	}
	snprintf(pointer, sizeof(pointer), "%s/%s", value->pointer, name);
	return complain(value->complaint, pointer, "\"%s\" is not known", text);
}

static bool take_line(void *context, const struct value *value)
{
	static const char *const names[] = {"role",     "kind",         "service", "plan",
					    "app",      "subscription", "meter",   "model",
					    "quantity", "amount",       NULL};
	struct bill *bill = context;
	struct bill_line line = {0};
	unsigned role;
	unsigned kind;
	int64_t subscription;

	if (!value_has_only(value, names) || !read_choice(value, "role", role_names, &role) ||
	    !read_choice(value, "kind", kind_names, &kind) ||
	    !read_named(value, "service", &line.service) ||
	    !read_named(value, "plan", &line.plan) || !read_named(value, "app", &line.app) ||
	    !value_number(value, "subscription", 0, INT64_MAX, &subscription) ||
	    !value_text(value, "meter", line.meter, sizeof(line.meter)) ||
	    !value_text(value, "model", line.model, sizeof(line.model)) ||
	    !value_number(value, "quantity", 1, INT64_MAX, &line.quantity) ||
	    !value_amount(value, "amount", &line.amount_nano))
		return false;
	line.role = (enum bill_role)role;
	line.kind = (enum bill_kind)kind;
	line.subscription = (uint64_t)subscription;
	bill->lines = bill_grow(bill->lines, bill->line_count, sizeof(*bill->lines));
	bill->lines[bill->line_count++] = line;
	return true;
}

bool bill_read_lines(struct bill *bill, struct reader *reader)
{
	return read_list(reader, "/lines", LINES_MAX, take_line, bill);
}

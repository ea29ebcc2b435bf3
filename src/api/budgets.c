/* Budgets of subscriptions, apps and accounts. */
#include "api/api_internal.h"

#include "api/schemas.h"
#include "base/check.h"

const struct api_member api_budgets_members[] = {
	{"of", API_IS_TEXT, 0, NULL, "what was asked for"},
	{"budgets", API_IS_OBJECT, API_LIST_OF, "Budget",
	 "those that bound its calls, its own first; without any its balance alone does"},
};

const struct api_member api_budget_members[] = {
	{"of", API_IS_TEXT, 0, NULL, "`account`, `account/app` or `account/app/service`"},
	{"level", API_IS_CHOICE, 0, "subscription|app|account", "whom it bounds"},
	{"currency", API_IS_TEXT, 0, NULL, "of the amounts"},
	{"amount", API_IS_AMOUNT, 0, NULL, "the most that may be spent in the period"},
	{"period", API_IS_CHOICE, 0, "month|once", "each calendar month (UTC), or for ever"},
	{"spent", API_IS_AMOUNT, 0, NULL, "of it in this period, as far as calls are posted"},
	{"left", API_IS_AMOUNT, 0, NULL, "amount less spent, never below zero"},
};

static const char *const level_names[BILLING_LEVELS] = {
	[BILLING_LEVEL_SUBSCRIPTION] = "subscription",
	[BILLING_LEVEL_APP] = "app",
	[BILLING_LEVEL_ACCOUNT] = "account",
};

/* ---- whose ---- */

/* What `of` names, and what stands above it. */
struct place {
	enum billing_level level;
	struct account account;
	struct account_app app;                   /* from the level of apps down */
	struct catalog_subscription subscription; /* of a subscription */
};

static int find_subscription(struct store *store, struct slice service_name, struct place *place,
			     struct fault *fault)
{
	struct catalog_service *service;
	char shown[TEXT_SHOWN_MAX];
	size_t count = 0;
	int code = catalog_service_get(store, service_name, &service, fault);

	if (code < 0)
		return code;
	const struct catalog_subscription_filter wanted = {
		.app = place->app.id, .service = service->id, .only_active = true};
	catalog_service_free(service);
	code = catalog_subscription_list(store, &wanted, (struct subscription_id){0},
					 &place->subscription, 1, &count, fault);
	if (code == 0 && count == 0)
		return fault_set(fault, FAULT_NOT_FOUND,
				 "%s is not subscribed to \"%s\"; subscribe it first",
				 place->app.path, text_show(service_name, shown));
	return code;
}

/* "account", "account/app" or "account/app/service". */
static int find_place(struct store *store, struct slice of, struct place *ret_place,
		      struct fault *fault)
{
	const size_t first = slice_find_byte(of, '/', 0);
	const size_t second = first == of.length ? first : slice_find_byte(of, '/', first + 1);
	struct place place = {.level = first == of.length    ? BILLING_LEVEL_ACCOUNT
				       : second == of.length ? BILLING_LEVEL_APP
							     : BILLING_LEVEL_SUBSCRIPTION};
	int code = account_get(store, slice_make(of.data, first), &place.account, fault);

	if (code == 0 && place.level != BILLING_LEVEL_ACCOUNT)
		code = account_app_get(store, slice_make(of.data, second), &place.app, fault);
	if (code == 0 && place.level == BILLING_LEVEL_SUBSCRIPTION)
		code = find_subscription(store,
					 slice_make(of.data + second + 1, of.length - second - 1),
					 &place, fault);
	if (code == 0)
		*ret_place = place;
	return code;
}

static int read_budget(struct store *store, const struct place *place, enum billing_level level,
		       struct billing_budget *ret_budget, struct fault *fault)
{
	const struct catalog_subscription *subscription = &place->subscription;

	if (level != BILLING_LEVEL_SUBSCRIPTION)
		return billing_budget_get(
			store,
			(struct billing_budget_key){level, level == BILLING_LEVEL_APP
								   ? place->app.id.value
								   : place->account.id.value},
			ret_budget, fault);
	*ret_budget = (struct billing_budget){
		.key = {level, subscription->id.value},
		.nano = subscription->budget_nano,
		.monthly = subscription->budget_period == CATALOG_BUDGET_MONTH,
	};
	return 0;
}

/* ---- showing ---- */

static json_t *name_of(const struct place *place, enum billing_level level)
{
	switch (level) {
	case BILLING_LEVEL_SUBSCRIPTION:
		return json_sprintf("%s/%s", place->app.path, place->subscription.service_name);
	case BILLING_LEVEL_APP:
		return json_string(place->app.path);
	default:
		return json_string(place->account.name);
	}
}

static int append_budget(struct api_request *request, struct store *store,
			 const struct place *place, enum billing_level level, json_t *items,
			 struct fault *fault)
{
	struct billing_budget budget;
	int64_t spent_nano = 0;
	int code = read_budget(store, place, level, &budget, fault);

	if (code < 0 || budget.nano < 0)
		return code;
	code = billing_budget_spent(store, &budget, clock_month_of(request->now_ns), &spent_nano,
				    fault);
	if (code < 0)
		return code;
	const int64_t left_nano = spent_nano < budget.nano ? budget.nano - spent_nano : 0;
	json_array_append_new(items, json_pack("{s:o, s:s, s:s, s:o, s:s, s:o, s:o}", "of",
					       name_of(place, level), "level", level_names[level],
					       "currency", request->api->options.currency, "amount",
					       api_json_amount(budget.nano), "period",
					       budget.monthly ? "month" : "once", "spent",
					       api_json_amount(spent_nano), "left",
					       api_json_amount(left_nano)));
	return 0;
}

static int answer_budgets(struct api_request *request, struct store *store,
			  const struct place *place, struct fault *fault)
{
	json_t *items = json_array();
	int code = 0;

	for (unsigned level = place->level; code == 0 && level < BILLING_LEVELS; level++)
		code = append_budget(request, store, place, (enum billing_level)level, items,
				     fault);
	if (code == 0)
		request->answer = json_pack("{s:o, s:O}", "of", name_of(place, place->level),
					    "budgets", items);
	json_decref(items);
	return code;
}

static int show(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	struct place place;
	const int code = api_at(
		request, "of", find_place(store, api_argument(request, "of")->text, &place, fault));

	return code < 0 ? code : answer_budgets(request, store, &place, fault);
}

int api_budgets_show(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, show, request, fault);
}

/* ---- setting and removing ---- */

struct setting {
	struct api_request *request;
	int64_t nano; /* -1: remove */
	bool monthly;
	struct billing_budget_key key;
	bool changed;
};

static int store_budget(struct store *store, struct setting *setting, struct fault *fault)
{
	const struct billing_budget budget = {
		.key = setting->key, .nano = setting->nano, .monthly = setting->monthly};

	if (setting->key.level != BILLING_LEVEL_SUBSCRIPTION)
		return billing_budget_put(store, &budget, &setting->changed, fault);
	return catalog_subscription_set_budget(
		store, billing_budget_subscription(setting->key), setting->nano,
		setting->monthly ? CATALOG_BUDGET_MONTH : CATALOG_BUDGET_ONCE, fault);
}

static void tell_change(const struct setting *setting, const struct place *place)
{
	struct api_request *request = setting->request;
	const bool set = setting->nano >= 0;
	json_t *facts =
		json_pack("{s:o, s:o}", "budget",
			  set ? api_json_amount(setting->nano) : json_null(), "budget_period",
			  set ? json_string(setting->monthly ? "month" : "once") : json_null());

	if (set)
		json_object_set_new(facts, "currency", json_string(request->api->options.currency));
	if (place->level == BILLING_LEVEL_SUBSCRIPTION)
		json_object_set_new(facts, "service",
				    json_string(place->subscription.service_name));
	api_changed(request, level_names[place->level],
		    place->level == BILLING_LEVEL_ACCOUNT ? place->account.name : place->app.path,
		    facts);
}

static int set(struct store *store, void *context, struct fault *fault)
{
	struct setting *setting = context;
	struct api_request *request = setting->request;
	struct billing_budget before;
	struct place place;
	int code = api_at(request, "of",
			  find_place(store, api_argument(request, "of")->text, &place, fault));

	if (code == 0)
		code = read_budget(store, &place, place.level, &before, fault);
	if (code < 0)
		return code;
	setting->key = before.key;
	setting->changed = before.nano != setting->nano ||
			   (setting->nano >= 0 && before.monthly != setting->monthly);
	if (setting->changed) {
		tell_change(setting, &place);
		code = store_budget(store, setting, fault);
	}
	if (place.level == BILLING_LEVEL_SUBSCRIPTION) {
		place.subscription.budget_nano = setting->nano;
		place.subscription.budget_period =
			setting->monthly ? CATALOG_BUDGET_MONTH : CATALOG_BUDGET_ONCE;
	}
	if (code == 0)
		code = answer_budgets(request, store, &place, fault);
	request->status = setting->nano >= 0 && before.nano < 0 ? 201 : 200;
	return code;
}

static int apply(struct setting *setting, struct fault *fault)
{
	struct api_request *request = setting->request;
	const struct api_ports *ports = &request->api->options.ports;
	const int code = api_change(request, set, setting, fault);

	if (code < 0 || request->given_again || !setting->changed)
		return code;
	if (setting->key.level == BILLING_LEVEL_SUBSCRIPTION)
		return ports->subscription_changed(
			ports->context, billing_budget_subscription(setting->key), fault);
	return ports->budget_changed(ports->context, setting->key, fault);
}

int api_budgets_set(struct api_request *request, struct fault *fault)
{
	const struct api_value *period = api_argument(request, "period");
	struct setting setting = {
		.request = request,
		.nano = api_argument(request, "amount")->amount.nano,
		/* The choices are "month" and "once". */
		.monthly = period->given && period->number == 0,
	};

	return apply(&setting, fault);
}

int api_budgets_remove(struct api_request *request, struct fault *fault)
{
	struct setting setting = {.request = request, .nano = -1};

	return apply(&setting, fault);
}

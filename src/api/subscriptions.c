#include "api/api_internal.h"

#include <stdlib.h>

#include "base/check.h"

static const char *const outcomes[] = {
	[CATALOG_SUBSCRIBED_SAME] = "same",
	[CATALOG_SUBSCRIBED_NEW] = "new",
	[CATALOG_SUBSCRIBED_BUDGET] = "budget",
	[CATALOG_SUBSCRIBED_REPLACED] = "replaced",
};

static int subscription_json(const struct api_request *request, struct store *store,
			     const struct catalog_subscription *subscription, json_t **ret_json,
			     struct fault *fault)
{
	const bool has_budget = subscription->budget_nano >= 0;
	const bool monthly = subscription->budget_period == CATALOG_BUDGET_MONTH;
	uint32_t version;
	json_t *move;
	const int code = api_move_find(request, store, subscription, &version, &move, fault);

	if (code < 0)
		return code;
	*ret_json = json_pack("{s:o, s:s, s:s, s:s, s:i, s:o, s:s, s:o, s:o, s:o, s:o}", "id",
			      api_json_id("sub", subscription->id.value), "app",
			      subscription->app_path, "service", subscription->service_name, "plan",
			      subscription->plan_name, "plan_version", (int)version, "change", move,
			      "currency", request->api->options.currency, "budget",
			      has_budget ? api_json_amount(subscription->budget_nano) : json_null(),
			      "budget_period",
			      has_budget ? json_string(monthly ? "month" : "once") : json_null(),
			      "created", api_json_time(subscription->created_ns), "ended",
			      api_json_time(subscription->ended_ns));
	return 0;
}

/* ---- subscribing ---- */

struct subscribing {
	struct api_request *request;
	struct catalog_subscription subscription;
	enum catalog_subscribed outcome;
	struct subscription_id ended;
};

static int subscribed_json(const struct subscribing *subscribing, struct store *store,
			   json_t **ret_json, struct fault *fault)
{
	const bool replaced = subscribing->outcome == CATALOG_SUBSCRIBED_REPLACED;
	json_t *json;
	const int code = subscription_json(subscribing->request, store, &subscribing->subscription,
					   &json, fault);

	if (code < 0)
		return code;
	json_object_set_new(json, "outcome", json_string(outcomes[subscribing->outcome]));
	json_object_set_new(json, "replaces",
			    replaced ? api_json_id("sub", subscribing->ended.value) : json_null());
	*ret_json = json;
	return 0;
}

static void tell_subscribed(const struct subscribing *subscribing)
{
	static const char *const members[] = {"id",     "service",       "plan",    "plan_version",
					      "budget", "budget_period", "outcome", "replaces"};
	const json_t *answer = subscribing->request->answer;
	json_t *facts = json_object();

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_object_set(facts, members[i], json_object_get(answer, members[i]));
	if (!json_is_null(json_object_get(facts, "budget")))
		json_object_set_new(facts, "currency",
				    json_string(subscribing->request->api->options.currency));
	api_changed(subscribing->request, "subscription", subscribing->subscription.app_path,
		    facts);
}

static int subscribe(struct store *store, void *context, struct fault *fault)
{
	struct subscribing *subscribing = context;
	struct api_request *request = subscribing->request;
	const struct api_value *budget = api_argument(request, "budget");
	const struct api_value *period = api_argument(request, "budget_period");
	struct service_id service;
	struct account_app app;
	int code = api_at(request, "app",
			  account_app_get(store, api_argument(request, "app")->text, &app, fault));
	if (code == 0)
		code = api_find_service(request, store, &service, fault);
	if (code < 0)
		return code;
	const struct catalog_subscribe wanted = {
		.app = app.id,
		.service = api_argument(request, "service")->text,
		.plan = api_argument(request, "plan")->text,
		.budget_nano = budget->given ? budget->amount.nano : -1,
		/* The choices are "month" and "once". */
		.budget_period = period->given && period->number == 0 ? CATALOG_BUDGET_MONTH
								      : CATALOG_BUDGET_ONCE,
	};
	subscribing->ended.value = 0;
	code = api_at(request, "plan",
		      catalog_subscribe(store, &wanted, request->now_ns, &subscribing->subscription,
					&subscribing->outcome, &subscribing->ended, fault));
	if (code == 0)
		code = subscribed_json(subscribing, store, &request->answer, fault);
	if (code < 0)
		return code;
	const bool made = subscribing->outcome == CATALOG_SUBSCRIBED_NEW ||
			  subscribing->outcome == CATALOG_SUBSCRIBED_REPLACED;
	request->status = made ? 201 : 200;
	if (subscribing->outcome != CATALOG_SUBSCRIBED_SAME)
		tell_subscribed(subscribing);
	return 0;
}

static int publish(const struct api_ports *ports, const struct subscribing *subscribing,
		   struct fault *fault)
{
	if (subscribing->outcome == CATALOG_SUBSCRIBED_SAME)
		return 0;
	return ports->subscription_changed(ports->context, subscribing->subscription.id, fault);
}

int api_subscriptions_create(struct api_request *request, struct fault *fault)
{
	struct subscribing subscribing = {.request = request};

	if (api_argument(request, "budget_period")->given &&
	    !api_argument(request, "budget")->given)
		return api_at(request, "budget_period",
			      fault_set(fault, FAULT_INPUT,
					"budget_period: it says nothing without a budget"));
	int code = api_change(request, subscribe, &subscribing, fault);
	if (code == 0 && !request->given_again)
		code = publish(&request->api->options.ports, &subscribing, fault);
	return code;
}

/* ---- ending ---- */

struct end {
	struct api_request *request;
	struct subscription_id id;
	struct catalog_subscription subscription;
};

static int read_id(struct api_request *request, struct subscription_id *ret_id, struct fault *fault)
{
	const struct slice id = api_argument(request, "id")->text;
	char shown[TEXT_SHOWN_MAX];

	if (id_parse("sub", id, &ret_id->value))
		return 0;
	return api_at(request, "id",
		      fault_set(fault, FAULT_NOT_FOUND,
				"there is no subscription \"%s\"; the list of subscriptions tells "
				"their ids",
				text_show(id, shown)));
}

static bool ended_now(const struct end *end)
{
	return end->subscription.ended_ns == end->request->now_ns;
}

static void tell_ended(const struct end *end)
{
	const struct catalog_subscription *subscription = &end->subscription;

	api_changed(end->request, "subscription", subscription->app_path,
		    json_pack("{s:o, s:s, s:o}", "id", api_json_id("sub", end->id.value), "service",
			      subscription->service_name, "ended",
			      api_json_time(subscription->ended_ns)));
}

static int unsubscribe(struct store *store, void *context, struct fault *fault)
{
	struct end *end = context;
	struct api_request *request = end->request;
	int code = api_at(request, "id",
			  catalog_subscription_end(store, end->id, request->now_ns,
						   &end->subscription, fault));

	if (code == 0)
		code = subscription_json(request, store, &end->subscription, &request->answer,
					 fault);
	if (code < 0)
		return code;
	if (ended_now(end))
		tell_ended(end);
	json_object_set_new(request->answer, "applied_us", json_null());
	return 0;
}

int api_subscriptions_end(struct api_request *request, struct fault *fault)
{
	const struct api_ports *ports = &request->api->options.ports;
	const uint64_t begun_ns = clock_monotonic_ns(request->api->options.clock);
	struct end end = {.request = request};
	int code = read_id(request, &end.id, fault);

	if (code == 0)
		code = api_change(request, unsubscribe, &end, fault);
	if (code < 0)
		return code;
	if (ended_now(&end))
		ports->subscription_ended(ports->context, &end.subscription);
	api_wait_applied(request, begun_ns);
	return 0;
}

/* ---- listing ---- */

int api_subscription_filter(struct api_request *request, struct store *store,
			    struct catalog_subscription_filter *filter, struct fault *fault)
{
	const struct api_value *account_name = api_argument(request, "account");
	const struct api_value *app_path = api_argument(request, "app");
	struct account account;
	struct account_app app;
	int code = 0;

	if (account_name->given) {
		code = api_at(request, "account",
			      account_get(store, account_name->text, &account, fault));
		if (code == 0)
			filter->account = account.id;
	}
	if (code == 0 && app_path->given) {
		code = api_at(request, "app", account_app_get(store, app_path->text, &app, fault));
		if (code == 0)
			filter->app = app.id;
	}
	if (code == 0 && api_argument(request, "service")->given)
		code = api_find_service(request, store, &filter->service, fault);
	return code;
}

static int list(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	struct catalog_subscription_filter filter = {.only_active = true};
	const size_t limit = api_limit(request);
	struct catalog_subscription *subscriptions = calloc(limit, sizeof(*subscriptions));
	struct subscription_id after;
	size_t count = 0;
	int code = api_after(request, "sub", &after.value, fault);

	check(subscriptions != NULL);
	if (code == 0)
		code = api_subscription_filter(request, store, &filter, fault);
	if (code == 0)
		code = catalog_subscription_list(store, &filter, after, subscriptions, limit,
						 &count, fault);
	json_t *items = json_array();
	for (size_t i = 0; code == 0 && i < count; i++) {
		json_t *item;
		code = subscription_json(request, store, &subscriptions[i], &item, fault);
		if (code == 0)
			json_array_append_new(items, item);
	}
	const uint64_t last = count > 0 ? subscriptions[count - 1].id.value : 0;
	free(subscriptions);
	if (code == 0)
		request->answer = api_list(items, api_next("sub", last, count, limit));
	else
		json_decref(items);
	return code;
}

int api_subscriptions_list(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, list, request, fault);
}

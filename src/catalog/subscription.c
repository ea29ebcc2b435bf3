#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "catalog/catalog_internal.h"

/* ---- reading ---- */

#define SUBSCRIPTION_SELECT                                                                \
	"SELECT subscriptions.id, apps.account, subscriptions.app, subscriptions.service," \
	" subscriptions.plan, subscriptions.budget_nano, subscriptions.budget_period,"     \
	" subscriptions.created_ns, subscriptions.ended_ns, accounts.name, apps.name,"     \
	" services.name, plans.name, plans.version FROM subscriptions"                     \
	" JOIN apps ON apps.id = subscriptions.app"                                        \
	" JOIN accounts ON accounts.id = apps.account"                                     \
	" JOIN services ON services.id = subscriptions.service"                            \
	" JOIN plans ON plans.id = subscriptions.plan"

static void subscription_read(const struct store_statement *row,
			      struct catalog_subscription *subscription)
{
	char account_name[ACCOUNT_NAME_MAX];
	char app_name[ACCOUNT_NAME_MAX];

	*subscription = (struct catalog_subscription){
		.id = {(uint64_t)store_column_int64(row, 0)},
		.account = {(uint64_t)store_column_int64(row, 1)},
		.app = {(uint64_t)store_column_int64(row, 2)},
		.service = {(uint64_t)store_column_int64(row, 3)},
		.plan = {(uint64_t)store_column_int64(row, 4)},
		.budget_nano = store_column_int64(row, 5),
		.budget_period = (enum catalog_budget_period)store_column_int64(row, 6),
		.created_ns = (uint64_t)store_column_int64(row, 7),
		.ended_ns = (uint64_t)store_column_int64(row, 8),
		.plan_version = (uint32_t)store_column_int64(row, 13),
	};
	catalog_column_copy(row, 9, account_name, sizeof(account_name));
	catalog_column_copy(row, 10, app_name, sizeof(app_name));
	snprintf(subscription->app_path, sizeof(subscription->app_path), "%s/%s", account_name,
		 app_name);
	catalog_column_copy(row, 11, subscription->service_name,
			    sizeof(subscription->service_name));
	catalog_column_copy(row, 12, subscription->plan_name, sizeof(subscription->plan_name));
	check(subscription->id.value > 0);
	check(subscription->budget_nano >= -1);
	check(subscription->budget_period <= CATALOG_BUDGET_MONTH);
}

int catalog_subscription_get(struct store *store, struct subscription_id id,
			     struct catalog_subscription *ret_subscription, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store, SUBSCRIPTION_SELECT " WHERE subscriptions.id = $1", &select,
				 fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)id.value);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (!row)
		return account_id_not_found("sub", id.value, fault);
	subscription_read(select, ret_subscription);
	return 0;
}

#define FILTERED                                                                                 \
	" WHERE subscriptions.id > $1 AND ($3 = 0 OR apps.account = $3)"                         \
	" AND ($4 = 0 OR subscriptions.service = $4) AND ($5 = 0 OR subscriptions.ended_ns = 0)" \
	" AND ($6 = 0 OR EXISTS (SELECT 1 FROM plans AS later"                                   \
	" WHERE later.service = plans.service AND later.name = plans.name"                       \
	" AND later.version > plans.version AND later.move_month > $6))"
#define PAGE " ORDER BY subscriptions.id LIMIT $2"

int catalog_subscription_list(struct store *store, const struct catalog_subscription_filter *filter,
			      struct subscription_id after,
			      struct catalog_subscription *subscriptions, size_t most,
			      size_t *ret_count, struct fault *fault)
{
	static const char of_all[] = SUBSCRIPTION_SELECT FILTERED PAGE;
	static const char of_app[] =
		SUBSCRIPTION_SELECT FILTERED " AND subscriptions.app = $7" PAGE;
	STORE_STATEMENT select = NULL;
	size_t count = 0;
	bool row;
	int code = store_prepare(store, filter->app.value == 0 ? of_all : of_app, &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)after.value);
	store_bind_int64(select, 2, (int64_t)most);
	store_bind_int64(select, 3, (int64_t)filter->account.value);
	store_bind_int64(select, 4, (int64_t)filter->service.value);
	store_bind_int64(select, 5, filter->only_active);
	store_bind_int64(select, 6, filter->moves_after);
	if (filter->app.value != 0)
		store_bind_int64(select, 7, (int64_t)filter->app.value);
	while (count < most && (code = store_step(select, &row, fault)) == 0 && row)
		subscription_read(select, &subscriptions[count++]);
	if (code == 0)
		*ret_count = count;
	return code;
}

/* ---- subscribing ---- */

static int active_find(struct store *store, struct app_id app, struct service_id service,
		       struct catalog_subscription *ret_subscription, bool *ret_found,
		       struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	int code = store_prepare(store,
				 SUBSCRIPTION_SELECT
				 " WHERE subscriptions.app = $1 AND subscriptions.service = $2"
				 " AND subscriptions.ended_ns = 0",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)app.value);
	store_bind_int64(select, 2, (int64_t)service.value);
	code = store_step(select, ret_found, fault);
	if (code == 0 && *ret_found)
		subscription_read(select, ret_subscription);
	return code;
}

/* What the service offers, told where the wish does not name one of several. */
static int plan_unclear(const char *service, const struct text *names, size_t count,
			struct fault *fault)
{
	if (count == 0)
		return fault_set(fault, FAULT_REFUSED,
				 "the service \"%s\" offers no plan to subscribe to", service);
	return fault_set(fault, FAULT_INPUT,
			 "the service \"%s\" offers several plans; name one of %.*s", service,
			 SLICE_ARGS(text_slice(names)));
}

/* The only plan offered, where the wish names none. */
static int plan_only(struct store *store, const struct catalog_service_head *service,
		     const char *service_name, struct plan_id *ret_plan, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct text names;
	size_t count = 0;
	bool row;
	int code = store_prepare(store,
				 "SELECT id, name FROM plans WHERE service = $1 AND offered = 1"
				 " ORDER BY name",
				 &select, fault);

	if (code < 0)
		return code;
	text_init(&names, CATALOG_PLANS_MAX * (2 * CATALOG_NAME_MAX + 3));
	store_bind_int64(select, 1, (int64_t)service->id.value);
	while ((code = store_step(select, &row, fault)) == 0 && row) {
		ret_plan->value = (uint64_t)store_column_int64(select, 0);
		text_printf(&names, "%s%s:%.*s", count++ > 0 ? ", " : "", service_name,
			    SLICE_ARGS(store_column_text(select, 1)));
	}
	if (code == 0 && count != 1)
		code = plan_unclear(service_name, &names, count, fault);
	text_fini(&names);
	return code;
}

static int plan_named(struct store *store, const struct catalog_service_head *service,
		      const char *service_name, struct slice name, struct plan_id *ret_plan,
		      struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	char what[CATALOG_NAME_MAX + 32];
	bool row;
	int code = store_prepare(store,
				 "SELECT id FROM plans"
				 " WHERE service = $1 AND name = $2 AND offered = 1",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)service->id.value);
	store_bind_text(select, 2, name);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (!row) {
		snprintf(what, sizeof(what), "plan of \"%s\" offered as", service_name);
		return account_name_not_found(
			store,
			"SELECT name FROM plans WHERE service = $1 AND offered = 1 ORDER BY name",
			(int64_t)service->id.value, what, name, fault);
	}
	ret_plan->value = (uint64_t)store_column_int64(select, 0);
	return 0;
}

int catalog_offer_find(struct store *store, struct slice service_wanted, struct slice plan_wanted,
		       struct service_id *ret_service, struct plan_id *ret_plan,
		       struct fault *fault)
{
	struct catalog_service_head service;
	char service_name[CATALOG_NAME_MAX];
	bool found = false;

	int code = catalog_service_find(store, service_wanted, &service, &found, fault);
	if (code < 0)
		return code;
	if (!found)
		return catalog_service_not_found(store, service_wanted, fault);
	check(slice_to_text(service_wanted, service_name, sizeof(service_name)));
	*ret_service = service.id;
	if (plan_wanted.length == 0)
		return plan_only(store, &service, service_name, ret_plan, fault);
	return plan_named(store, &service, service_name, plan_wanted, ret_plan, fault);
}

static int subscription_insert(struct store *store, const struct catalog_subscribe *wanted,
			       struct service_id service, struct plan_id plan, uint64_t now_ns,
			       struct subscription_id *ret_id, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	int64_t id;

	int code = store_sequence_take(store, "subscriptions", 1, &id, fault);
	if (code == 0)
		code = store_prepare(store,
				     "INSERT INTO subscriptions (id, app, service, plan,"
				     " budget_nano, budget_period, created_ns, ended_ns)"
				     " VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
				     &insert, fault);
	if (code < 0)
		return code;
	store_bind_int64(insert, 1, id);
	store_bind_int64(insert, 2, (int64_t)wanted->app.value);
	store_bind_int64(insert, 3, (int64_t)service.value);
	store_bind_int64(insert, 4, (int64_t)plan.value);
	store_bind_int64(insert, 5, wanted->budget_nano);
	store_bind_int64(insert, 6, wanted->budget_period);
	store_bind_int64(insert, 7, (int64_t)now_ns);
	ret_id->value = (uint64_t)id;
	return store_execute(insert, fault);
}

int catalog_subscription_set_budget(struct store *store, struct subscription_id id,
				    int64_t budget_nano, enum catalog_budget_period budget_period,
				    struct fault *fault)
{
	STORE_STATEMENT update = NULL;

	check(budget_nano >= -1);
	check(budget_nano >= 0 || budget_period == CATALOG_BUDGET_ONCE);
	const int code = store_prepare(store,
				       "UPDATE subscriptions SET budget_nano = $2,"
				       " budget_period = $3 WHERE id = $1",
				       &update, fault);

	if (code < 0)
		return code;
	store_bind_int64(update, 1, (int64_t)id.value);
	store_bind_int64(update, 2, budget_nano);
	store_bind_int64(update, 3, budget_period);
	return store_execute(update, fault);
}

static int end_update(struct store *store, struct subscription_id id, uint64_t now_ns,
		      struct fault *fault)
{
	STORE_STATEMENT update = NULL;
	const int code = store_prepare(
		store, "UPDATE subscriptions SET ended_ns = $2 WHERE id = $1 AND ended_ns = 0",
		&update, fault);

	if (code < 0)
		return code;
	store_bind_int64(update, 1, (int64_t)id.value);
	store_bind_int64(update, 2, (int64_t)now_ns);
	return store_execute(update, fault);
}

/* `in_force`: what the one before has by now. */
static enum catalog_subscribed outcome_of(const struct catalog_subscribe *wanted, bool found,
					  const struct catalog_subscription *before,
					  struct plan_id in_force, struct plan_id plan)
{
	if (!found)
		return CATALOG_SUBSCRIBED_NEW;
	if (in_force.value != plan.value)
		return CATALOG_SUBSCRIBED_REPLACED;
	if (before->budget_nano != wanted->budget_nano ||
	    before->budget_period != wanted->budget_period)
		return CATALOG_SUBSCRIBED_BUDGET;
	return CATALOG_SUBSCRIBED_SAME;
}

int catalog_subscribe(struct store *store, const struct catalog_subscribe *wanted, uint64_t now_ns,
		      struct catalog_subscription *ret_subscription,
		      enum catalog_subscribed *ret_outcome, struct subscription_id *ret_ended,
		      struct fault *fault)
{
	struct catalog_subscription before = {.id = {0}};
	struct account_app app;
	struct service_id service = {0};
	struct plan_id plan = {0};
	struct catalog_move in_force = {.month = 0};
	bool found = false;

	check(store_in_transaction(store));
	check(wanted->budget_nano >= -1);
	check(wanted->budget_nano >= 0 || wanted->budget_period == CATALOG_BUDGET_ONCE);
	int code = account_app_get_by_id(store, wanted->app, &app, fault);
	if (code == 0)
		code = catalog_offer_find(store, wanted->service, wanted->plan, &service, &plan,
					  fault);
	if (code == 0)
		code = active_find(store, wanted->app, service, &before, &found, fault);
	if (code == 0 && found)
		code = catalog_move_at(store, before.plan, clock_month_of(now_ns), &in_force,
				       fault);
	if (code < 0)
		return code;

	const enum catalog_subscribed outcome =
		outcome_of(wanted, found, &before, in_force.plan, plan);
	struct subscription_id id = before.id;
	if (outcome == CATALOG_SUBSCRIBED_REPLACED)
		code = end_update(store, before.id, now_ns, fault);
	if (code == 0 && outcome == CATALOG_SUBSCRIBED_BUDGET)
		code = catalog_subscription_set_budget(store, id, wanted->budget_nano,
						       wanted->budget_period, fault);
	else if (code == 0 && outcome != CATALOG_SUBSCRIBED_SAME)
		code = subscription_insert(store, wanted, service, plan, now_ns, &id, fault);
	if (code == 0)
		code = catalog_subscription_get(store, id, ret_subscription, fault);
	if (code < 0)
		return code;
	*ret_outcome = outcome;
	*ret_ended =
		outcome == CATALOG_SUBSCRIBED_REPLACED ? before.id : (struct subscription_id){0};
	return 0;
}

int catalog_subscription_end(struct store *store, struct subscription_id id, uint64_t now_ns,
			     struct catalog_subscription *ret_subscription, struct fault *fault)
{
	check(store_in_transaction(store));
	const int code = end_update(store, id, now_ns, fault);
	return code < 0 ? code : catalog_subscription_get(store, id, ret_subscription, fault);
}

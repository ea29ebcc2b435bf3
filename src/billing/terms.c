/* Terms from catalog and account. */
#include "billing/billing.h"

#include "base/check.h"
#include "catalog/catalog.h"

static_assert(BILLING_NAME_MAX >= ACCOUNT_PATH_MAX && BILLING_NAME_MAX >= CATALOG_NAME_MAX,
	      "every name fits");

static void copy_name(char name[BILLING_NAME_MAX], const char *from)
{
	check(slice_to_text(slice_of(from), name, BILLING_NAME_MAX));
}

static int copy_service(struct store *store, struct billing_terms *terms, struct fault *fault)
{
	struct catalog_service *service;
	int code = catalog_service_get_by_id(store, terms->service, &service, fault);

	if (code < 0)
		return code;
	terms->provider = service->account;
	copy_name(terms->provider_name, service->account_name);
	for (unsigned i = 0; i < RATING_UNITS_MAX; i++) {
		const char *name = service->description.units[i].name;
		copy_name(terms->units[i], name == NULL ? "" : name);
	}
	catalog_service_free(service);
	return 0;
}

static int find(void *context, struct store *store, struct subscription_id id, uint32_t month,
		struct billing_terms *ret_terms, struct fault *fault)
{
	struct catalog_subscription subscription;
	struct catalog_move in_force;
	struct catalog_plan plan;
	struct account account;
	int code = catalog_subscription_get(store, id, &subscription, fault);

	(void)context;
	if (code == 0)
		code = catalog_move_at(store, subscription.plan, month, &in_force, fault);
	if (code == 0)
		code = catalog_plan_get(store, in_force.plan, &plan, fault);
	if (code == 0)
		code = account_get_by_id(store, subscription.account, &account, fault);
	if (code < 0)
		return code;
	*ret_terms = (struct billing_terms){
		.subscription = id,
		.plan = plan.id,
		.account = subscription.account,
		.app = subscription.app,
		.service = subscription.service,
		.rating = plan.terms.rating,
		.budget_nano = subscription.budget_nano,
		.budget_monthly = subscription.budget_period == CATALOG_BUDGET_MONTH,
	};
	copy_name(ret_terms->account_name, account.name);
	copy_name(ret_terms->app_name, subscription.app_path);
	copy_name(ret_terms->service_name, subscription.service_name);
	copy_name(ret_terms->plan_name, subscription.plan_name);
	return copy_service(store, ret_terms, fault);
}

struct billing_terms_source billing_terms_of_catalog(void)
{
	return (struct billing_terms_source){.find = find};
}

#include "gateway/directory_internal.h"

#include <stdlib.h>

#include "base/check.h"

/* The finalizer of splitmix64. */
static unsigned long hash_pair(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9e3779b97f4a7c15ull + b;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

struct app_service {
	struct app_id app;
	const struct directory_service *service;
};

static int match_subscription(struct cds_lfht_node *node, const void *key)
{
	const struct directory_subscription *subscription =
		entry_of(node, struct directory_subscription, by_app);
	const struct app_service *wanted = key;

	return subscription->app.value == wanted->app.value &&
	       subscription->service == wanted->service;
}

struct directory_subscription *directory_find_subscription(struct directory *directory,
							   struct app_id app,
							   const struct directory_service *service)
{
	const struct app_service wanted = {.app = app, .service = service};
	struct cds_lfht_iter iterator;

	cds_lfht_lookup(directory->subscriptions.of, hash_pair(app.value, service->id.value),
			match_subscription, &wanted, &iterator);
	struct cds_lfht_node *node = table_found(&iterator);
	return node == NULL ? NULL : entry_of(node, struct directory_subscription, by_app);
}

void directory_free_subscription(struct cds_lfht_node *node)
{
	free(entry_of(node, struct directory_subscription, by_app));
}

bool directory_cloud_most(const struct rating_card *card, const struct directory_plan *plan,
			  const struct directory_shape *shape, uint64_t bytes, int64_t *ret_nano)
{
	struct rating_cloud_quantities most;
	uint64_t part_ns = 0;

	for (; plan != NULL; plan = atomic_load(&plan->next))
		part_ns = plan->admit.part_ns > part_ns ? plan->admit.part_ns : part_ns;
	rating_cloud_of_call(atomic_load(&shape->memory_mib_share),
			     atomic_load(&shape->cpu_milli_share), 1, part_ns / CLOCK_NS_PER_US,
			     (enum rating_path)atomic_load(&shape->path), bytes, &most);
	return rating_cloud_most(card, &most, ret_nano);
}

static int refresh_hold(struct directory *directory, struct directory_subscription *subscription,
			struct fault *fault)
{
	const struct directory_plan *plan = atomic_load(&subscription->plan);
	int64_t nano;

	if (!directory_cloud_most(&directory->card, plan, &subscription->service->shape,
				  GATEWAY_HOLD_BYTES, &nano))
		return fault_set(fault, FAULT_LIMIT,
				 "a call of plan %s could cost the cloud more than an amount holds",
				 plan->name);
	atomic_store(&subscription->cloud_most_nano, nano);
	return 0;
}

/* A hold covers the longest part of a call under any version to come. */
static int link_plan(struct directory *directory, struct directory_plan *from,
		     const struct directory_plan *to, struct fault *fault)
{
	const struct directory_plan *before = atomic_load(&from->next);
	struct cds_lfht_iter iterator;
	struct cds_lfht_node *node;
	int code = 0;

	atomic_store(&from->next, to);
	cds_lfht_for_each(directory->subscriptions.of, &iterator, node)
	{
		if (code == 0)
			code = refresh_hold(directory,
					    entry_of(node, struct directory_subscription, by_app),
					    fault);
	}
	if (code < 0)
		atomic_store(&from->next, before);
	return code;
}

int directory_put_move(struct directory *directory, struct plan_id from_id, struct plan_id to_id,
		       uint64_t begins_ns, struct fault *fault)
{
	struct directory_plan *from = directory_plan_by_id(directory, from_id);
	struct directory_plan *to = directory_plan_by_id(directory, to_id);

	if (from == NULL || (to == NULL && to_id.value != 0))
		return fault_set(fault, FAULT_NOT_FOUND, "a plan's next version is not in force");
	check(to != from);
	if (atomic_load(&from->next) == to &&
	    (to == NULL || atomic_load(&to->begins_ns) == begins_ns))
		return 0;
	directory->changes++;
	if (to != NULL)
		atomic_store(&to->begins_ns, begins_ns);
	return link_plan(directory, from, to, fault);
}

static void sweep_subscriptions(struct directory *directory)
{
	struct directory_subscription **link = &directory->first_retired_subscription;

	while (*link != NULL) {
		struct directory_subscription *subscription = *link;
		if (atomic_load(&subscription->unreachable) &&
		    atomic_load_explicit(&subscription->admit.in_flight, memory_order_acquire) ==
			    0) {
			*link = subscription->next_retired;
			free(subscription);
		} else {
			link = &subscription->next_retired;
		}
	}
}

static void mark_unreachable(struct rcu_head *head)
{
	atomic_store(&entry_of(head, struct directory_subscription, rcu)->unreachable, true);
}

/* It is no longer in the table; calls may still be in flight under it. */
static void retire(struct directory *directory, struct directory_subscription *subscription)
{
	subscription->next_retired = directory->first_retired_subscription;
	directory->first_retired_subscription = subscription;
	urcu_qsbr_call_rcu(&subscription->rcu, mark_unreachable);
}

/* Returns whether one of them is another than before. */
static bool put_budgets(struct directory_subscription *subscription,
			struct gateway_lease *const budgets[GATEWAY_LEVELS])
{
	bool changed = false;

	for (unsigned level = 0; level < GATEWAY_LEVELS; level++) {
		if (atomic_load(&subscription->budget_leases[level]) == budgets[level])
			continue;
		atomic_store(&subscription->budget_leases[level], budgets[level]);
		changed = true;
	}
	return changed;
}

static int change_terms(struct directory *directory, struct directory_subscription *subscription,
			const struct directory_plan *plan,
			struct gateway_lease *const budgets[GATEWAY_LEVELS], struct fault *fault)
{
	const bool has_other_budgets = put_budgets(subscription, budgets);

	if (atomic_load(&subscription->plan) == plan && !has_other_budgets)
		return 0;
	directory->changes++;
	atomic_store(&subscription->plan, plan);
	return refresh_hold(directory, subscription, fault);
}

/* Goes on from what was used so far, whose list usage is that of the version in force then. */
static int init_admission(struct directory_subscription *subscription,
			  const struct gateway_subscription_entry *entry, struct fault *fault)
{
	const struct directory_plan *plan =
		directory_plan_at(subscription, clock_month_start_ns(entry->month));
	int64_t list_nano;

	if (!rating_plan_list(&plan->admit.rating, &entry->used, &list_nano))
		return fault_set(fault, FAULT_LIMIT,
				 "app %s: its usage exceeds what can be counted", entry->app_name);
	admit_state_init(&subscription->admit, entry->month, &entry->used, &entry->cloud_used,
			 list_nano);
	return 0;
}

int directory_put_subscription(struct directory *directory,
			       const struct gateway_subscription_entry *entry, struct fault *fault)
{
	struct directory_service *service = directory_service_by_id(directory, entry->service);
	const struct directory_plan *plan = directory_plan_by_id(directory, entry->plan);

	check(entry->account_lease != NULL);
	sweep_subscriptions(directory);
	if (service == NULL || plan == NULL)
		return fault_set(fault, FAULT_NOT_FOUND,
				 "the %s that app %s is subscribed to is not in force",
				 service == NULL ? "service" : "plan", entry->app_name);
	struct directory_subscription *subscription =
		directory_find_subscription(directory, entry->app, service);
	if (subscription != NULL && subscription->id.value == entry->id.value)
		return change_terms(directory, subscription, plan, entry->budget_leases, fault);

	subscription = aligned_alloc(64, sizeof(*subscription));
	if (subscription == NULL)
		return fault_set(fault, FAULT_SYSTEM, "no memory for a subscription");
	memset(subscription, 0, sizeof(*subscription));
	subscription->id = entry->id;
	subscription->account = entry->account;
	subscription->app = entry->app;
	subscription->service = service;
	subscription->account_lease = entry->account_lease;
	put_budgets(subscription, entry->budget_leases);
	atomic_store(&subscription->plan, plan);
	int code = init_admission(subscription, entry, fault);
	if (code < 0) {
		free(subscription);
		return code;
	}
	if (!directory_copy_name(subscription->account_name, entry->account_name) ||
	    !directory_copy_name(subscription->app_name, entry->app_name)) {
		free(subscription);
		return fault_set(fault, FAULT_LIMIT, "app %s: the name does not fit",
				 entry->app_name);
	}
	code = refresh_hold(directory, subscription, fault);
	if (code < 0) {
		free(subscription);
		return code;
	}
	table_entry_init(&subscription->by_app);
	const struct app_service key = {.app = entry->app, .service = service};
	struct cds_lfht_node *before = cds_lfht_add_replace(
		directory->subscriptions.of, hash_pair(entry->app.value, service->id.value),
		match_subscription, &key, &subscription->by_app);
	if (before != NULL)
		retire(directory, entry_of(before, struct directory_subscription, by_app));
	else
		table_added(&directory->subscriptions);
	directory->changes++;
	return 0;
}

void directory_retire_subscription(struct directory *directory, struct app_id app,
				   struct service_id id)
{
	struct directory_service *service = directory_service_by_id(directory, id);
	struct directory_subscription *subscription =
		service == NULL ? NULL : directory_find_subscription(directory, app, service);

	if (subscription == NULL)
		return;
	cds_lfht_del(directory->subscriptions.of, &subscription->by_app);
	table_removed(&directory->subscriptions);
	directory->changes++;
	retire(directory, subscription);
}

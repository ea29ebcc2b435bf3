#include "gateway/directory.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/scope.h"
#include "base/secret.h"

/* FNV-1a over lower-cased bytes. The table's names are the cloud's own, so nobody can choose
 * colliding ones but its providers, and service names are few. */
static unsigned long hash_name(struct slice name)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < name.length; i++) {
		uint8_t byte = (uint8_t)name.data[i];
		if (byte >= 'A' && byte <= 'Z')
			byte |= 0x20;
		hash = (hash ^ byte) * 0x100000001b3ull;
	}
	return hash ^ (hash >> 32);
}

/* The finalizer of splitmix64. */
static unsigned long hash_pair(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9e3779b97f4a7c15ull + b;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static unsigned long hash_digest(const uint8_t digest[32])
{
	uint64_t hash;

	memcpy(&hash, digest, sizeof(hash));
	return hash;
}

#define entry_of(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

int directory_init(struct directory *directory, const struct rating_card *card, uint32_t workers,
		   struct fault *fault)
{
	*directory = (struct directory){.card = *card, .workers = workers};
	map_init(&directory->services_by_id);
	map_init(&directory->plans_by_id);
	if (!table_init(&directory->services) || !table_init(&directory->subscriptions) ||
	    !table_init(&directory->keys)) {
		directory_fini(directory);
		return fault_set(fault, FAULT_SYSTEM, "no memory for the directory");
	}
	return 0;
}

static void free_service(struct cds_lfht_node *node)
{
	struct directory_service *service = entry_of(node, struct directory_service, by_name);
	struct directory_instances *instances = atomic_load(&service->instances);

	for (uint32_t i = 0; instances != NULL && i < instances->count; i++)
		free(instances->of[i]);
	free(instances);
	for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
		free((void *)(uintptr_t)atomic_load(&service->units[i]));
	free(service->tallies);
	free(service);
}

static void free_subscription(struct cds_lfht_node *node)
{
	free(entry_of(node, struct directory_subscription, by_app));
}

static void free_key(struct cds_lfht_node *node)
{
	free(entry_of(node, struct directory_key, by_digest));
}

void directory_fini(struct directory *directory)
{
	urcu_qsbr_barrier(); /* frees that wait for a grace period */
	table_fini(&directory->keys, free_key);
	table_fini(&directory->subscriptions, free_subscription);
	table_fini(&directory->services, free_service);
	size_t cursor = 0;
	uint64_t id;
	void *plan;
	while (map_next(&directory->plans_by_id, &cursor, &id, &plan))
		free(plan);
	map_fini(&directory->plans_by_id);
	map_fini(&directory->services_by_id);
	while (directory->first_retired_instance != NULL) {
		struct directory_instance *instance = directory->first_retired_instance;
		directory->first_retired_instance = instance->next_retired;
		free(instance);
	}
	while (directory->first_retired_subscription != NULL) {
		struct directory_subscription *subscription = directory->first_retired_subscription;
		directory->first_retired_subscription = subscription->next_retired;
		free(subscription);
	}
}

/* ---- lookups ---- */

static int match_name(struct cds_lfht_node *node, const void *key)
{
	const struct slice *name = key;

	return slice_equal_ignore_case(
		slice_of(entry_of(node, struct directory_service, by_name)->name), *name);
}

struct directory_service *directory_find_service(struct directory *directory, struct slice name)
{
	struct cds_lfht_iter iterator;

	cds_lfht_lookup(directory->services.of, hash_name(name), match_name, &name, &iterator);
	struct cds_lfht_node *node = table_found(&iterator);
	return node == NULL ? NULL : entry_of(node, struct directory_service, by_name);
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

static int match_digest(struct cds_lfht_node *node, const void *key)
{
	return secret_equal(entry_of(node, struct directory_key, by_digest)->digest, key, 32);
}

static struct directory_key *find_key(struct directory *directory, const uint8_t digest[32])
{
	struct cds_lfht_iter iterator;

	cds_lfht_lookup(directory->keys.of, hash_digest(digest), match_digest, digest, &iterator);
	struct cds_lfht_node *node = table_found(&iterator);
	return node == NULL ? NULL : entry_of(node, struct directory_key, by_digest);
}

const struct directory_key *directory_find_key(struct directory *directory,
					       const uint8_t digest[32])
{
	return find_key(directory, digest);
}

bool directory_cloud_most(const struct rating_card *card, const struct directory_plan *plan,
			  const struct directory_shape *shape, uint64_t bytes, int64_t *ret_nano)
{
	struct rating_cloud_quantities most;

	rating_cloud_of_call(atomic_load(&shape->memory_mib_share),
			     atomic_load(&shape->cpu_milli_share), 1,
			     plan->admit.limits.timeout_ns / CLOCK_NS_PER_US,
			     (enum rating_path)atomic_load(&shape->path), bytes, &most);
	return rating_cloud_most(card, &most, ret_nano);
}

void directory_instance_forgotten(struct directory_instance *instance)
{
	atomic_fetch_sub(&instance->farewells, 1);
}

/* ---- publishing ---- */

static bool copy_name(char to[GATEWAY_NAME_MAX], const char *from)
{
	return slice_to_text(slice_of(from), to, GATEWAY_NAME_MAX);
}

static struct directory_plan *find_plan(struct directory *directory, struct plan_id id)
{
	return map_find(&directory->plans_by_id, id.value);
}

static struct directory_service *find_service_id(struct directory *directory, struct service_id id)
{
	return map_find(&directory->services_by_id, id.value);
}

int directory_put_plan(struct directory *directory, const struct gateway_plan_entry *entry,
		       struct fault *fault)
{
	if (find_plan(directory, entry->id) != NULL)
		return 0; /* a plan version never changes */
	if (entry->limits.timeout_ns < CLOCK_NS_PER_MS ||
	    (entry->limits.rate_interval_ns != 0 && entry->limits.burst == 0))
		return fault_set(fault, FAULT_INPUT, "plan %s has limits out of range",
				 entry->name);

	struct directory_plan *plan = calloc(1, sizeof(*plan));
	if (plan == NULL || !copy_name(plan->name, entry->name)) {
		free(plan);
		return fault_set(fault, FAULT_LIMIT, "plan %s does not fit", entry->name);
	}
	plan->id = entry->id;
	plan->admit = (struct admit_plan){
		.rating = entry->rating,
		.limits = entry->limits,
		.call_most_nano = entry->call_most_nano,
		.flat_nano = rating_plan_flat(&entry->rating),
	};
	plan->allowance_bytes = allowance_policy(&entry->limits, plan->allowance);
	map_put(&directory->plans_by_id, plan->id.value, plan);
	directory->changes++;
	return 0;
}

int directory_put_service(struct directory *directory, const struct gateway_service_entry *entry,
			  struct fault *fault)
{
	struct directory_service *service = find_service_id(directory, entry->id);

	if (service == NULL) {
		service = calloc(1, sizeof(*service));
		struct tally *tallies = tally_new(directory->workers);
		if (service == NULL || tallies == NULL || !copy_name(service->name, entry->name)) {
			free(tallies);
			free(service);
			return fault_set(fault, FAULT_LIMIT, "service %s does not fit",
					 entry->name);
		}
		service->id = entry->id;
		service->tallies = tallies;
		map_put(&directory->services_by_id, service->id.value, service);
		table_entry_init(&service->by_name);
		cds_lfht_add(directory->services.of, hash_name(slice_of(service->name)),
			     &service->by_name);
		table_added(&directory->services);
		directory->changes++;
	}
	for (unsigned i = 0; i < RATING_UNITS_MAX; i++) {
		if (entry->units[i] == NULL || atomic_load(&service->units[i]) != NULL)
			continue;
		char *unit = strdup(entry->units[i]);
		if (unit == NULL)
			return fault_set(fault, FAULT_SYSTEM, "no memory for a unit's name");
		atomic_store(&service->units[i], unit);
		directory->changes++;
	}
	return 0;
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

/* Holds first, then the shape: a worker reads the shape first, so that what it may charge is
 * never more than what it holds. */
static int widen_shape(struct directory *directory, struct directory_service *service,
		       const struct gateway_instance_entry *entry, struct fault *fault)
{
	const uint32_t divisor = entry->concurrency == 0 ? 1 : entry->concurrency;
	const uint32_t memory = (entry->memory_mib + divisor - 1) / divisor;
	const uint32_t cpu = (entry->cpu_milli + divisor - 1) / divisor;
	const struct directory_shape before = service->shape;
	const struct rating_rate *rates = &directory->card.of[RATING_CLOUD_BYTES_HOST];
	struct directory_shape wider = before;

	if (memory > before.memory_mib_share)
		wider.memory_mib_share = memory;
	if (cpu > before.cpu_milli_share)
		wider.cpu_milli_share = cpu;
	if ((__int128)rates[entry->path].nano * rates[before.path].per >
	    (__int128)rates[before.path].nano * rates[entry->path].per)
		wider.path = entry->path;

	struct cds_lfht_iter iterator;
	struct cds_lfht_node *node;
	struct directory_service widened = {.shape = wider};
	cds_lfht_for_each(directory->subscriptions.of, &iterator, node)
	{
		struct directory_subscription *subscription =
			entry_of(node, struct directory_subscription, by_app);
		if (subscription->service != service)
			continue;
		int64_t nano;
		if (!directory_cloud_most(&directory->card, atomic_load(&subscription->plan),
					  &widened.shape, GATEWAY_HOLD_BYTES, &nano))
			return fault_set(fault, FAULT_LIMIT,
					 "a call of service %s could cost the cloud more than an "
					 "amount holds",
					 service->name);
		atomic_store(&subscription->cloud_most_nano, nano);
	}
	atomic_store(&service->shape.memory_mib_share, wider.memory_mib_share);
	atomic_store(&service->shape.cpu_milli_share, wider.cpu_milli_share);
	atomic_store(&service->shape.path, wider.path);
	return 0;
}

static void free_instances(struct rcu_head *head)
{
	free(entry_of(head, struct directory_instances, rcu));
}

static void replace_instances(struct directory_service *service, struct directory_instances *after)
{
	struct directory_instances *before = atomic_exchange(&service->instances, after);

	if (before != NULL)
		urcu_qsbr_call_rcu(&before->rcu, free_instances);
}

static struct directory_instances *instances_new(uint32_t count)
{
	struct directory_instances *instances =
		calloc(1, sizeof(*instances) + count * sizeof(instances->of[0]));

	check(instances != NULL);
	instances->count = count;
	return instances;
}

int directory_put_instance(struct directory *directory, struct service_id id,
			   const struct gateway_instance_entry *entry, struct fault *fault)
{
	struct directory_service *service = find_service_id(directory, id);

	check(service != NULL && entry->id > 0);
	struct directory_instances *before = atomic_load(&service->instances);
	const uint32_t count = before == NULL ? 0 : before->count;

	for (uint32_t i = 0; i < count; i++) {
		if (before->of[i]->id == entry->id)
			return 0; /* an instance never changes */
	}
	if (count == GATEWAY_INSTANCES_MAX)
		return fault_set(fault, FAULT_LIMIT, "service %s has %u instances already",
				 service->name, count);
	const int code = widen_shape(directory, service, entry, fault);
	if (code < 0)
		return code;

	const size_t bytes = sizeof(struct directory_instance) +
			     directory->workers * sizeof(struct worker_origin *);
	struct directory_instance *instance = aligned_alloc(64, (bytes + 63) / 64 * 64);
	if (instance == NULL)
		return fault_set(fault, FAULT_SYSTEM, "no memory for an instance");
	memset(instance, 0, bytes);
	instance->id = entry->id;
	instance->memory_mib = entry->memory_mib;
	instance->cpu_milli = entry->cpu_milli;
	instance->concurrency = entry->concurrency;
	instance->path = entry->path;
	instance->replaced = entry->replaced;
	instance->address = entry->address;
	instance->service = service;
	if (entry->authority != NULL && !copy_name(instance->authority, entry->authority)) {
		free(instance);
		return fault_set(fault, FAULT_LIMIT, "the upstream's name is too long");
	}

	struct directory_instances *after = instances_new(count + 1);
	for (uint32_t i = 0; i < count; i++)
		after->of[i] = before->of[i];
	after->of[count] = instance;
	directory->changes++;
	replace_instances(service, after);
	return 0;
}

void directory_retire_instance(struct directory *directory, struct service_id id, uint32_t number)
{
	struct directory_service *service = find_service_id(directory, id);
	struct directory_instances *before =
		service == NULL ? NULL : atomic_load(&service->instances);
	struct directory_instance *instance = NULL;

	for (uint32_t i = 0; before != NULL && i < before->count; i++) {
		if (before->of[i]->id == number)
			instance = before->of[i];
	}
	if (instance == NULL)
		return;
	struct directory_instances *after = instances_new(before->count - 1);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < before->count; i++) {
		if (before->of[i] != instance)
			after->of[kept++] = before->of[i];
	}
	directory->changes++;
	replace_instances(service, after);
	instance->next_retired = directory->first_retired_instance;
	directory->first_retired_instance = instance;
	/* A worker that has forgotten it has also ended the turn in which it could choose it. */
	atomic_store(&instance->farewells, directory->workers);
	const uint32_t told = directory->farewell(directory->context, instance);
	atomic_fetch_sub(&instance->farewells, directory->workers - told);
}

bool directory_instance_idle(struct directory *directory, uint32_t id)
{
	struct directory_instance **link = &directory->first_retired_instance;

	while (*link != NULL && (*link)->id != id)
		link = &(*link)->next_retired;
	struct directory_instance *instance = *link;
	if (instance == NULL)
		return true;
	if (atomic_load(&instance->farewells) != 0 || atomic_load(&instance->in_flight) != 0)
		return false;
	*link = instance->next_retired;
	free(instance);
	return true;
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

static int change_terms(struct directory *directory, struct directory_subscription *subscription,
			const struct directory_plan *plan, struct gateway_lease *budget,
			struct fault *fault)
{
	if (atomic_load(&subscription->plan) == plan &&
	    atomic_load(&subscription->budget_lease) == budget)
		return 0;
	directory->changes++;
	atomic_store(&subscription->plan, plan);
	atomic_store(&subscription->budget_lease, budget);
	return refresh_hold(directory, subscription, fault);
}

int directory_put_subscription(struct directory *directory,
			       const struct gateway_subscription_entry *entry, struct fault *fault)
{
	struct directory_service *service = find_service_id(directory, entry->service);
	const struct directory_plan *plan = find_plan(directory, entry->plan);

	check(service != NULL && plan != NULL && entry->account_lease != NULL);
	sweep_subscriptions(directory);
	struct directory_subscription *subscription =
		directory_find_subscription(directory, entry->app, service);
	if (subscription != NULL && subscription->id.value == entry->id.value)
		return change_terms(directory, subscription, plan, entry->budget_lease, fault);
	if (subscription != NULL)
		directory_retire_subscription(directory, entry->app, entry->service);

	subscription = aligned_alloc(64, sizeof(*subscription));
	if (subscription == NULL)
		return fault_set(fault, FAULT_SYSTEM, "no memory for a subscription");
	memset(subscription, 0, sizeof(*subscription));
	subscription->id = entry->id;
	subscription->account = entry->account;
	subscription->app = entry->app;
	subscription->service = service;
	subscription->account_lease = entry->account_lease;
	atomic_store(&subscription->budget_lease, entry->budget_lease);
	atomic_store(&subscription->plan, plan);
	admit_state_init(&subscription->admit, entry->month, &entry->used, &entry->cloud_used);
	if (!copy_name(subscription->account_name, entry->account_name) ||
	    !copy_name(subscription->app_name, entry->app_name)) {
		free(subscription);
		return fault_set(fault, FAULT_LIMIT, "app %s: the name is too long",
				 entry->app_name);
	}
	const int code = refresh_hold(directory, subscription, fault);
	if (code < 0) {
		free(subscription);
		return code;
	}
	table_entry_init(&subscription->by_app);
	cds_lfht_add(directory->subscriptions.of, hash_pair(entry->app.value, service->id.value),
		     &subscription->by_app);
	table_added(&directory->subscriptions);
	directory->changes++;
	return 0;
}

static void mark_unreachable(struct rcu_head *head)
{
	atomic_store(&entry_of(head, struct directory_subscription, rcu)->unreachable, true);
}

void directory_retire_subscription(struct directory *directory, struct app_id app,
				   struct service_id id)
{
	struct directory_service *service = find_service_id(directory, id);
	struct directory_subscription *subscription =
		service == NULL ? NULL : directory_find_subscription(directory, app, service);

	if (subscription == NULL)
		return;
	cds_lfht_del(directory->subscriptions.of, &subscription->by_app);
	table_removed(&directory->subscriptions);
	directory->changes++;
	subscription->next_retired = directory->first_retired_subscription;
	directory->first_retired_subscription = subscription;
	urcu_qsbr_call_rcu(&subscription->rcu, mark_unreachable);
}

static void free_key_later(struct rcu_head *head)
{
	free(entry_of(head, struct directory_key, rcu));
}

int directory_put_key(struct directory *directory, const struct gateway_key_entry *entry,
		      bool *ret_replaced, struct fault *fault)
{
	struct directory_key *before = find_key(directory, entry->digest);
	const struct slice scopes = slice_of(entry->scopes);
	const uint64_t expires_us = entry->expires_ns / CLOCK_NS_PER_US;

	check(scopes.length < SCOPE_TEXT_MAX && expires_us < 1ull << 54);
	if (before != NULL && before->id.value == entry->id.value &&
	    before->app.value == entry->app.value && before->expires_us == expires_us &&
	    slice_equal(directory_key_scopes(before), scopes))
		return 0;
	struct directory_key *key = malloc(sizeof(*key) + scopes.length);
	if (key == NULL)
		return fault_set(fault, FAULT_SYSTEM, "no memory for a key");
	*key = (struct directory_key){.id = entry->id,
				      .app = entry->app,
				      .expires_us = expires_us,
				      .scope_bytes = scopes.length};
	memcpy(key->digest, entry->digest, sizeof(key->digest));
	if (scopes.length > 0)
		memcpy(key->scopes, scopes.data, scopes.length);
	table_entry_init(&key->by_digest);
	struct cds_lfht_node *replaced =
		cds_lfht_add_replace(directory->keys.of, hash_digest(key->digest), match_digest,
				     key->digest, &key->by_digest);
	directory->changes++;
	*ret_replaced = replaced != NULL;
	if (replaced == NULL)
		table_added(&directory->keys);
	else
		urcu_qsbr_call_rcu(&entry_of(replaced, struct directory_key, by_digest)->rcu,
				   free_key_later);
	return 0;
}

struct key_id directory_retire_key(struct directory *directory, const uint8_t digest[32])
{
	struct directory_key *key = find_key(directory, digest);

	if (key == NULL)
		return (struct key_id){0};
	const struct key_id id = key->id;
	directory->changes++;
	cds_lfht_del(directory->keys.of, &key->by_digest);
	table_removed(&directory->keys);
	urcu_qsbr_call_rcu(&key->rcu, free_key_later);
	return id;
}

#include "gateway/directory_internal.h"

#include <stdlib.h>

#include "base/check.h"

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
		directory_instance_free(instances->of[i]);
	free(instances);
	for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
		free((void *)(uintptr_t)atomic_load(&service->units[i]));
	directory_free_signer(atomic_load(&service->signer));
	free(service->tallies);
	free(service);
}

void directory_fini(struct directory *directory)
{
	urcu_qsbr_barrier(); /* frees that wait for a grace period */
	table_fini(&directory->keys, directory_free_key);
	table_fini(&directory->subscriptions, directory_free_subscription);
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
		directory_instance_free(instance);
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

/* ---- publishing ---- */

bool directory_copy_name(char to[GATEWAY_NAME_MAX], const char *from)
{
	for (const char *at = from; *at != '\0'; at++) {
		if ((uint8_t)*at < 0x20 || *at == 0x7f)
			return false;
	}
	return slice_to_text(slice_of(from), to, GATEWAY_NAME_MAX);
}

struct directory_plan *directory_plan_by_id(struct directory *directory, struct plan_id id)
{
	return map_find(&directory->plans_by_id, id.value);
}

struct directory_service *directory_service_by_id(struct directory *directory, struct service_id id)
{
	return map_find(&directory->services_by_id, id.value);
}

/* The most that a call can cost until its first part is over. */
static int64_t first_most(const struct gateway_plan_entry *entry, uint64_t part_ns)
{
	struct rating_quantities most;
	int64_t nano;

	for (unsigned i = 0; i < RATING_METERS; i++)
		most.of[i] = INT64_MAX;
	most.of[RATING_CALLS] = 1;
	most.of[RATING_DURATION_MS] = rating_milliseconds(part_ns / CLOCK_NS_PER_US);
	return rating_plan_call_most(&entry->rating, &most, &nano) && nano < entry->call_most_nano
		       ? nano
		       : entry->call_most_nano;
}

int directory_put_plan(struct directory *directory, const struct gateway_plan_entry *entry,
		       struct fault *fault)
{
	if (directory_plan_by_id(directory, entry->id) != NULL)
		return 0; /* a plan version never changes */
	if (entry->limits.timeout_ns < CLOCK_NS_PER_MS ||
	    (entry->limits.rate_interval_ns != 0 && entry->limits.burst == 0))
		return fault_set(fault, FAULT_INPUT, "plan %s has limits out of range",
				 entry->name);

	struct directory_plan *plan = calloc(1, sizeof(*plan));
	if (plan == NULL || !directory_copy_name(plan->name, entry->name)) {
		free(plan);
		return fault_set(fault, FAULT_LIMIT, "plan %s does not fit", entry->name);
	}
	plan->id = entry->id;
	const uint64_t part_ns = entry->limits.timeout_ns < directory->part_ns
					 ? entry->limits.timeout_ns
					 : directory->part_ns;
	plan->admit = (struct admit_plan){
		.rating = entry->rating,
		.limits = entry->limits,
		.call_most_nano = first_most(entry, part_ns),
		.part_ns = part_ns,
		.first_nano = rating_plan_first(&entry->rating, &(struct rating_quantities){{0}}),
	};
	plan->allowance_bytes = allowance_policy(&entry->limits, plan->allowance);
	map_put(&directory->plans_by_id, plan->id.value, plan);
	directory->changes++;
	return 0;
}

int directory_put_service(struct directory *directory, const struct gateway_service_entry *entry,
			  struct fault *fault)
{
	struct directory_service *service = directory_service_by_id(directory, entry->id);

	if (service == NULL) {
		service = calloc(1, sizeof(*service));
		struct tally *tallies = tally_new(directory->workers);
		if (service == NULL || tallies == NULL ||
		    !directory_copy_name(service->name, entry->name)) {
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
	return directory_put_identity(directory, service, entry->identity, fault);
}

#include "gateway/directory_internal.h"

#include <stdlib.h>

#include "base/check.h"

void directory_instance_forgotten(struct directory_instance *instance)
{
	atomic_fetch_sub(&instance->farewells, 1);
}

void directory_instance_free(struct directory_instance *instance)
{
	http_tls_unref(instance->tls);
	free(instance);
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
	struct directory_service *service = directory_service_by_id(directory, id);

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
	instance->protocol = entry->protocol;
	if (entry->tls != NULL)
		instance->tls = http_tls_ref(entry->tls);
	instance->service = service;
	if (entry->authority != NULL &&
	    !directory_copy_name(instance->authority, entry->authority)) {
		directory_instance_free(instance);
		return fault_set(fault, FAULT_LIMIT, "the upstream's name does not fit");
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
	struct directory_service *service = directory_service_by_id(directory, id);
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
	directory_instance_free(instance);
	return true;
}

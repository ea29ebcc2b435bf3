/* What the gateway did, for whoever watches it. */
#include <stdlib.h>

#include "base/check.h"
#include "gateway/problem.h"
#include "gateway/worker.h"

void gateway_counts_read(const struct gateway *gateway, struct gateway_counts *ret_counts)
{
	*ret_counts = (struct gateway_counts){0};
	for (uint32_t i = 0; i < gateway->options.workers; i++) {
		const struct worker *worker = &gateway->of[i];
#define X(kind, name, sentence) ret_counts->name += atomic_load(&worker->counts.name);
		GATEWAY_COUNTS(X)
#undef X
		ret_counts->connections += atomic_load(&worker->connections);
	}
	if (gateway->access != NULL)
		ret_counts->access_lines_dropped += access_lost(gateway->access);
}

uint32_t gateway_problem_counts(const struct gateway *gateway, uint32_t index,
				const char **ret_type, unsigned *ret_status, uint64_t *ret_count)
{
	if (index >= PROBLEM_COUNT)
		return PROBLEM_COUNT;
	*ret_type = problem_text((enum problem)index)->type;
	*ret_status = problem_text((enum problem)index)->status;
	*ret_count = 0;
	for (uint32_t i = 0; i < gateway->options.workers; i++)
		*ret_count += atomic_load(&gateway->of[i].problems[index]);
	return PROBLEM_COUNT;
}

int64_t gateway_leases_free_nano(const struct gateway *gateway)
{
	int64_t nano = 0;

	for (const struct gateway_lease *lease = gateway->first_lease; lease != NULL;
	     lease = lease->next) {
		/* A sum of balances that the ledger holds: it fits, but for a moment's doubt. */
		if (__builtin_add_overflow(nano, atomic_load(&lease->available_nano), &nano))
			return INT64_MAX;
	}
	return nano;
}

static void read_service(const struct gateway *gateway, const struct directory_service *service,
			 struct gateway_service_counts *counts)
{
	const struct directory_instances *instances = atomic_load(&service->instances);

	tally_read(service->tallies, gateway->options.workers, counts);
	counts->waiting += atomic_load(&service->waiting);
	for (uint32_t i = 0; instances != NULL && i < instances->count; i++) {
		counts->instances++;
		counts->in_flight += atomic_load(&instances->of[i]->in_flight);
		counts->left_out += atomic_load(&instances->of[i]->ejection.until_ns) != 0;
	}
}

static int by_id(const void *a, const void *b)
{
	const struct directory_service *const *one = a, *const *other = b;

	return (*one)->id.value < (*other)->id.value ? -1 : (*one)->id.value > (*other)->id.value;
}

/* By their ids, which follow the order of publishing: so those that are told apart stay the same
 * while others come, and no count goes back. */
static struct directory_service **sorted_services(struct gateway *gateway, size_t *ret_count)
{
	struct map *map = &gateway->directory.services_by_id;
	size_t cursor = 0, count = 0, room = 64;
	struct directory_service **services = malloc(room * sizeof(*services));
	uint64_t id;
	void *service;

	check(services != NULL);
	while (map_next(map, &cursor, &id, &service)) {
		if (count == room) {
			room *= 2;
			services = realloc(services, room * sizeof(struct directory_service *));
			check(services != NULL);
		}
		services[count++] = service;
	}
	qsort(services, count, sizeof(struct directory_service *), by_id);
	*ret_count = count;
	return services;
}

void gateway_services_read(struct gateway *gateway, uint32_t most,
			   void (*each)(void *context, const char *name,
					const struct gateway_service_counts *counts),
			   void *context)
{
	struct gateway_service_counts others = {0};
	size_t count;

	urcu_qsbr_thread_online();
	struct directory_service **services = sorted_services(gateway, &count);
	for (size_t i = 0; i < count; i++) {
		struct gateway_service_counts counts = {0};
		read_service(gateway, services[i], i < most ? &counts : &others);
		if (i < most)
			each(context, services[i]->name, &counts);
	}
	urcu_qsbr_thread_offline();
	if (count > most)
		each(context, NULL, &others);
	free(services);
}

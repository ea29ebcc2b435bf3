#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "fleet/fleet_internal.h"

/*
 * At most two generations are wanted at a time: the newest, and the promoted one before it that
 * serves until the newest is healthy in all places. All others are retired: their places leave.
 */

static struct service *of_review(struct loop_task *task)
{
	return (struct service *)((uintptr_t)task - offsetof(struct service, review));
}

void service_changed(struct service *service)
{
	loop_defer(service->fleet->loop, &service->review);
}

/* ---- generations ---- */

static void retire(struct generation *generation)
{
	if (generation->retired)
		return;
	generation->retired = true;
	for (struct place *place = generation->first_place; place != NULL; place = place->next)
		place_leave(place);
}

static struct generation *older_wanted(const struct generation *generation)
{
	struct generation *older = generation->next;

	while (older != NULL && older->retired)
		older = older->next;
	return older;
}

static bool is_all_healthy(const struct generation *generation)
{
	for (const struct place *place = generation->first_place; place; place = place->next)
		if (!place->leaving && place->state != FLEET_HEALTHY)
			return false;
	return true;
}

static bool is_any_healthy(const struct generation *generation)
{
	for (const struct place *place = generation->first_place; place; place = place->next)
		if (place->state == FLEET_HEALTHY)
			return true;
	return false;
}

static bool has_place(const struct generation *generation, uint32_t number)
{
	for (const struct place *place = generation->first_place; place; place = place->next)
		if (place->number == number && !place->leaving)
			return true;
	return false;
}

static void set_count(struct generation *generation, uint32_t count)
{
	generation->specification->count = count;
	for (struct place *place = generation->first_place; place != NULL; place = place->next)
		if (place->number >= count)
			place_leave(place);
	for (uint32_t number = 0; number < count; number++) {
		if (has_place(generation, number))
			continue;
		struct place *place = place_new(generation, number);
		place->next = generation->first_place;
		generation->first_place = place;
	}
	service_changed(generation->service);
}

static void add_generation(struct service *service, struct fleet_service *specification)
{
	struct generation *newest = service->newest;
	struct generation *added = calloc(1, sizeof(*added));

	check(added != NULL);
	/* One that never served makes room; the one that it was to replace goes on. But the only
	 * one stays while it serves at all. */
	if (newest != NULL && !newest->retired && !newest->promoted &&
	    (older_wanted(newest) != NULL || !is_any_healthy(newest)))
		retire(newest);
	*added = (struct generation){
		.service = service,
		.next = newest,
		.specification = specification,
	};
	service->newest = added;
	set_count(added, specification->count);
}

static struct generation *wanted_as(const struct service *service,
				    const struct fleet_service *specification)
{
	for (struct generation *generation = service->newest; generation != NULL;
	     generation = generation->next)
		if (!generation->retired &&
		    specification_equal(generation->specification, specification))
			return generation;
	return NULL;
}

/* ---- what is asked for ---- */

struct service *service_find(struct fleet *fleet, struct service_id id)
{
	for (struct service *service = fleet->first_service; service; service = service->next)
		if (service->id.value == id.value)
			return service;
	return NULL;
}

static void review(struct loop_task *task);

static struct service *service_new(struct fleet *fleet, const struct fleet_service *specification)
{
	struct service *service = calloc(1, sizeof(*service));

	check(service != NULL);
	service->fleet = fleet;
	service->id = specification->id;
	service->review.run = review;
	service->next = fleet->first_service;
	fleet->first_service = service;
	service_log_init(&service->log, fleet->log_folder, specification->name,
		      fleet->options.log_bytes_max);
	return service;
}

void service_set(struct fleet *fleet, struct fleet_service *specification)
{
	struct service *service = service_find(fleet, specification->id);

	if (service == NULL)
		service = service_new(fleet, specification);
	struct generation *same = wanted_as(service, specification);
	if (same == NULL) {
		add_generation(service, specification);
		return;
	}
	const uint32_t count = specification->count;
	free(specification);
	/* Back to the one that still serves: what was to replace it is not wanted any more. */
	for (struct generation *newer = service->newest; newer != same; newer = newer->next)
		retire(newer);
	for (struct generation *wanted = same; wanted != NULL; wanted = older_wanted(wanted))
		set_count(wanted, count);
}

void service_remove(struct service *service)
{
	for (struct generation *each = service->newest; each != NULL; each = each->next)
		retire(each);
	service_changed(service);
}

void service_kill(struct service *service)
{
	for (struct generation *each = service->newest; each != NULL; each = each->next) {
		each->retired = true;
		for (struct place *place = each->first_place; place; place = place->next)
			place_kill(place);
	}
	service_changed(service);
}

/* ---- the review ---- */

static void promote_newest(struct service *service)
{
	struct generation *newest = service->newest;

	if (newest == NULL || newest->retired || newest->promoted || !is_all_healthy(newest))
		return;
	newest->promoted = true;
	for (struct generation *older = newest->next; older != NULL; older = older->next)
		retire(older);
}

static void free_places(struct generation *generation)
{
	struct place **link = &generation->first_place;

	while (*link != NULL) {
		struct place *place = *link;
		if (place_is_over(place)) {
			*link = place->next;
			free(place);
		} else {
			link = &place->next;
		}
	}
}

static void free_generations(struct service *service)
{
	struct generation **link = &service->newest;

	while (*link != NULL) {
		struct generation *generation = *link;
		free_places(generation);
		if (generation->retired && generation->first_place == NULL) {
			*link = generation->next;
			free(generation->specification);
			free(generation);
		} else {
			link = &generation->next;
		}
	}
}

static void service_free(struct service *service)
{
	struct service **link = &service->fleet->first_service;

	while (*link != service)
		link = &(*link)->next;
	*link = service->next;
	service_log_fini(&service->log);
	free(service);
}

static void review(struct loop_task *task)
{
	struct service *service = of_review(task);
	struct fleet *fleet = service->fleet;

	promote_newest(service);
	free_generations(service);
	/* Where it is to run once more, it is looked at again. */
	if (service->newest != NULL || service->review.queued)
		return;
	service_free(service);
	fleet_review(fleet);
}

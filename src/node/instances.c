#include "node/node_internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"

#define LEAVING_INTERVAL_NS (5 * CLOCK_NS_PER_MS)

/* ---- from the fleet's thread to the control thread ---- */

enum fate { FATE_READY, FATE_DRAINING, FATE_GONE };

struct fate_message {
	struct loop_message message;
	struct node *node;
	enum fate fate;
	struct instance_id id;
	struct service_id service;
	struct gateway_instance_entry entry;
};

static void on_fate(struct loop_message *message);

static void tell(struct node *node, enum fate fate, struct instance_id id,
		 const struct fleet_instance *instance)
{
	struct fate_message *message = calloc(1, sizeof(*message));

	check(message != NULL);
	message->message.deliver = on_fate;
	message->node = node;
	message->fate = fate;
	message->id = id;
	if (instance != NULL) {
		message->service = instance->service;
		message->entry = (struct gateway_instance_entry){
			.id = (uint32_t)id.value,
			.address = instance->address,
			.protocol = instance->protocol,
			.memory_mib = (uint32_t)((instance->memory_bytes + (1u << 20) - 1) >> 20),
			.cpu_milli = instance->cpu_milli,
			.concurrency = instance->concurrency,
			.path = RATING_PATH_HOST,
			.replaced = true,
		};
	}
	loop_post(node->loop, &message->message);
}

static void on_ready(void *owner, const struct fleet_instance *instance)
{
	tell(owner, FATE_READY, instance->id, instance);
}

static void on_draining(void *owner, struct instance_id id)
{
	struct node *node = owner;

	/* The gateway has stopped by then: no call can be in flight. */
	if (atomic_load(&node->stopping))
		fleet_instance_drained(node->fleet, id);
	else
		tell(node, FATE_DRAINING, id, NULL);
}

static void on_gone(void *owner, struct instance_id id)
{
	struct node *node = owner;

	if (!atomic_load(&node->stopping))
		tell(node, FATE_GONE, id, NULL);
}

const struct fleet_events instances_events = {
	.on_ready = on_ready, .on_draining = on_draining, .on_gone = on_gone};

/* ---- in the control thread ---- */

static void on_leaving_due(struct loop_timer *timer)
{
	struct node *node = (struct node *)((char *)timer - offsetof(struct node, leaving_timer));
	struct node_leaving **link = &node->leaving;

	while (*link != NULL) {
		struct node_leaving *leaving = *link;
		if (!gateway_instance_idle(node->gateway, leaving->id)) {
			link = &leaving->next;
			continue;
		}
		if (leaving->tell_fleet)
			fleet_instance_drained(node->fleet,
					       (struct instance_id){.value = leaving->id});
		*link = leaving->next;
		free(leaving);
	}
	if (node->leaving != NULL)
		loop_timer_set(node->loop, timer, loop_now_ns(node->loop) + LEAVING_INTERVAL_NS);
}

void instances_retire(struct node *node, struct service_id service, uint32_t id, bool tell_fleet)
{
	struct node_leaving *leaving = calloc(1, sizeof(*leaving));

	check(leaving != NULL);
	gateway_retire_instance(node->gateway, service, id);
	*leaving = (struct node_leaving){.next = node->leaving, .id = id, .tell_fleet = tell_fleet};
	node->leaving = leaving;
	node->leaving_timer.on_due = on_leaving_due;
	loop_timer_set(node->loop, &node->leaving_timer, loop_now_ns(node->loop) + 1);
}

/* Which service the instance was announced for, once; 0 if it was not, or is retired already. */
static struct service_id forget(struct node *node, struct instance_id id)
{
	void *service = map_remove(&node->instances, id.value);

	return (struct service_id){.value = (uintptr_t)service};
}

static void on_fate(struct loop_message *message)
{
	struct fate_message *fate = (struct fate_message *)message;
	struct node *node = fate->node;
	struct fault fault;

	if (fate->fate == FATE_READY) {
		map_put(&node->instances, fate->id.value, (void *)(uintptr_t)fate->service.value);
		if (gateway_publish_instance(node->gateway, fate->service, &fate->entry, &fault) <
		    0)
			log_event(LOG_ERROR, "instance.unpublished",
				  log_number("instance", (int64_t)fate->id.value),
				  log_text("fault", fault.text));
	} else {
		const struct service_id service = forget(node, fate->id);
		if (service.value != 0)
			instances_retire(node, service, (uint32_t)fate->id.value,
					 fate->fate == FATE_DRAINING);
		else if (fate->fate == FATE_DRAINING)
			fleet_instance_drained(node->fleet, fate->id);
	}
	free(fate);
}

enum http_protocol instances_protocol(const struct catalog_service *service)
{
	return service->description.protocol == CATALOG_PROTOCOL_2 ? HTTP_PROTOCOL_2
								   : HTTP_PROTOCOL_1;
}

int instances_run(struct node *node, const struct catalog_service *service, struct fault *fault)
{
	const struct catalog_run *run = service->description.run;
	char keys[NODE_IDENTITY_KEYS_MAX];

	if (service->description.signed_calls)
		identity_keys_format(node, service->id, service->identity_key, keys);
	const struct fleet_service specification = {
		.id = service->id,
		.name = service->description.name,
		.version = service->description.version,
		.folder = service->folder,
		.command = run->command,
		.environment = run->environment,
		.identity_keys = service->description.signed_calls ? keys : NULL,
		.listen = run->listen == CATALOG_LISTEN_PORT ? FLEET_LISTEN_PORT
							     : FLEET_LISTEN_SOCKET,
		.protocol = instances_protocol(service),
		.health_path = run->health,
		.memory_bytes = run->memory_bytes,
		.cpu_milli = run->cpu_milli,
		.concurrency = run->concurrency,
		.start_timeout_ns = run->start_timeout_ns,
		.count = run->instances,
	};

	const int code = fleet_service_set(node->fleet, &specification, fault);
	sodium_memzero(keys, sizeof(keys));
	return code;
}

#include "gateway/gateway.h"

#include <stdlib.h>

#include "base/check.h"
#include "gateway/ending.h"
#include "gateway/worker.h"

#define INSTANCE_WAIT_NS (10 * CLOCK_NS_PER_S)
#define WAITING_MAX      1024u
#define LEASE_WAIT_NS    (2 * CLOCK_NS_PER_S)
#define TUNNEL_IDLE_NS   (300 * CLOCK_NS_PER_S)
#define TUNNEL_LIFE_NS   (3600 * CLOCK_NS_PER_S)
#define SETTLE_NS        (5 * CLOCK_NS_PER_S)

void gateway_ejection_default(struct gateway_ejection *ejection)
{
	*ejection = (struct gateway_ejection){.failures = 5,
					      .interval_ns = 10 * CLOCK_NS_PER_S,
					      .worse_ppm = 300000,
					      .time_ns = 500 * CLOCK_NS_PER_MS,
					      .time_most_ns = 30 * CLOCK_NS_PER_S,
					      .share_ppm = 500000};
}

int gateway_new(const struct gateway_options *options, struct gateway **ret_gateway,
		struct fault *fault)
{
	check(options->workers >= 1 && options->workers <= GATEWAY_WORKERS_MAX);
	const size_t bytes = sizeof(struct gateway) + options->workers * sizeof(struct worker);
	struct gateway *gateway = aligned_alloc(64, (bytes + 63) / 64 * 64);

	if (gateway == NULL)
		return fault_set(fault, FAULT_SYSTEM, "no memory for the gateway");
	memset(gateway, 0, bytes);
	gateway->options = *options;
	if (gateway->options.instance_wait_ns == 0)
		gateway->options.instance_wait_ns = INSTANCE_WAIT_NS;
	if (gateway->options.lease_wait_ns == 0)
		gateway->options.lease_wait_ns = LEASE_WAIT_NS;
	if (gateway->options.waiting_max == 0)
		gateway->options.waiting_max = WAITING_MAX;
	if (gateway->options.ejection.failures == 0)
		gateway_ejection_default(&gateway->options.ejection);
	if (gateway->options.tunnel_idle_ns == 0)
		gateway->options.tunnel_idle_ns = TUNNEL_IDLE_NS;
	if (gateway->options.tunnel_lifetime_ns == 0)
		gateway->options.tunnel_lifetime_ns = TUNNEL_LIFE_NS;
	if (gateway->options.settle_ns == 0)
		gateway->options.settle_ns = SETTLE_NS;
	check_equal(gateway->options.settle_ns % CLOCK_NS_PER_MS, 0);
	if (gateway->options.record_us_most == 0)
		gateway->options.record_us_most = UINT32_MAX;
	pthread_mutex_init(&gateway->lock, NULL);
	pthread_cond_init(&gateway->endings_applied, NULL);
	int code = directory_init(&gateway->directory, &options->card, options->workers, fault);
	gateway->directory.part_ns = gateway->options.settle_ns;
	if (code == 0 && options->access.path != NULL) {
		code = access_open(&options->access, options->clock, options->workers,
				   &gateway->access, fault);
		if (code < 0)
			directory_fini(&gateway->directory);
	}
	if (code < 0) {
		free(gateway);
		return code;
	}
	gateway->directory.farewell = worker_farewell;
	gateway->directory.context = gateway;
	*ret_gateway = gateway;
	return 0;
}

void gateway_free(struct gateway *gateway)
{
	if (gateway->access != NULL) /* its lines name services and plans */
		access_close(gateway->access);
	directory_fini(&gateway->directory);
	for (uint32_t i = 0; i < GATEWAY_LISTENERS_MAX; i++)
		http_tls_unref(gateway->tls[i]);
	while (gateway->first_lease != NULL) {
		struct gateway_lease *lease = gateway->first_lease;
		gateway->first_lease = lease->next;
		free(lease);
	}
	pthread_cond_destroy(&gateway->endings_applied);
	pthread_mutex_destroy(&gateway->lock);
	free(gateway);
}

void gateway_publisher_enter(void)
{
	urcu_qsbr_register_thread();
	urcu_qsbr_thread_offline();
}

void gateway_publisher_leave(void)
{
	urcu_qsbr_unregister_thread();
}

int gateway_listen(struct gateway *gateway, const struct gateway_listener *listener,
		   struct fault *fault)
{
	const uint32_t index = gateway->listener_count;

	if (index == GATEWAY_LISTENERS_MAX)
		return fault_set(fault, FAULT_LIMIT, "more than %d gateway listeners",
				 GATEWAY_LISTENERS_MAX);
	gateway->addresses[index] = listener->address;
	gateway->tls[index] = listener->tls != NULL ? http_tls_ref(listener->tls) : NULL;
	gateway->may_fail[index] = listener->may_fail;
	gateway->listener_count++;
	return 0;
}

void gateway_set_tls(struct gateway *gateway, uint32_t index, struct http_tls *tls)
{
	check(index < GATEWAY_LISTENERS_MAX);
	http_tls_ref(tls);
	pthread_mutex_lock(&gateway->lock);
	struct http_tls *before = gateway->tls[index];
	check(before != NULL);
	gateway->tls[index] = tls;
	pthread_mutex_unlock(&gateway->lock);
	http_tls_unref(before);
}

bool gateway_listener_is_tls(const struct gateway *gateway, uint32_t index)
{
	return index < gateway->listener_count && gateway->tls[index] != NULL;
}

bool gateway_listener_address(struct gateway *gateway, uint32_t index,
			      struct loop_address *ret_address)
{
	if (index >= gateway->listener_count)
		return false;
	*ret_address = gateway->addresses[index];
	return true;
}

enum loop_io gateway_io(const struct gateway *gateway, const char **ret_reason)
{
	*ret_reason = gateway->io_reason;
	return gateway->io;
}

int gateway_lease_new(struct gateway *gateway, struct gateway_lease **ret_lease,
		      struct fault *fault)
{
	struct gateway_lease *lease = aligned_alloc(64, sizeof(*lease));

	if (lease == NULL)
		return fault_set(fault, FAULT_SYSTEM, "no memory for a lease");
	memset(lease, 0, sizeof(*lease));
	atomic_store(&lease->has_more, true);
	lease->on_demand = gateway->options.on_lease_demand;
	lease->context = gateway->options.context;
	lease->next = gateway->first_lease;
	gateway->first_lease = lease;
	*ret_lease = lease;
	return 0;
}

static void nudge_all(struct gateway *gateway)
{
	pthread_mutex_lock(&gateway->lock);
	for (uint32_t i = 0; i < gateway->options.workers; i++) {
		if (gateway->workers[i] != NULL)
			worker_nudge(gateway->workers[i]);
	}
	pthread_mutex_unlock(&gateway->lock);
}

void gateway_leases_changed(struct gateway *gateway)
{
	nudge_all(gateway);
}

/* ---- publishing: the publisher reads the tables as a worker does, so it is online meanwhile ----
 */

int gateway_publish_plan(struct gateway *gateway, const struct gateway_plan_entry *plan,
			 struct fault *fault)
{
	return directory_put_plan(&gateway->directory, plan, fault);
}

int gateway_publish_move(struct gateway *gateway, struct plan_id from, struct plan_id to,
			 uint64_t begins_ns, struct fault *fault)
{
	urcu_qsbr_thread_online();
	const int code = directory_put_move(&gateway->directory, from, to, begins_ns, fault);
	urcu_qsbr_thread_offline();
	return code;
}

int gateway_publish_service(struct gateway *gateway, const struct gateway_service_entry *service,
			    struct fault *fault)
{
	urcu_qsbr_thread_online();
	const int code = directory_put_service(&gateway->directory, service, fault);
	urcu_qsbr_thread_offline();
	return code;
}

int gateway_publish_instance(struct gateway *gateway, struct service_id service,
			     const struct gateway_instance_entry *instance, struct fault *fault)
{
	urcu_qsbr_thread_online();
	const int code = directory_put_instance(&gateway->directory, service, instance, fault);
	urcu_qsbr_thread_offline();
	if (code == 0)
		nudge_all(gateway);
	return code;
}

int gateway_publish_subscription(struct gateway *gateway,
				 const struct gateway_subscription_entry *subscription,
				 struct fault *fault)
{
	urcu_qsbr_thread_online();
	const int code = directory_put_subscription(&gateway->directory, subscription, fault);
	urcu_qsbr_thread_offline();
	return code;
}

int gateway_publish_key(struct gateway *gateway, const struct gateway_key_entry *key,
			struct fault *fault)
{
	urcu_qsbr_thread_online();
	bool replaced = false;
	const int code = directory_put_key(&gateway->directory, key, &replaced, fault);
	urcu_qsbr_thread_offline();
	if (replaced)
		ending_tell_key(gateway, key->id,
				key->expires_ns == 0 ? UINT64_MAX
						     : key->expires_ns / CLOCK_NS_PER_US);
	return code;
}

void gateway_retire_instance(struct gateway *gateway, struct service_id service, uint32_t id)
{
	urcu_qsbr_thread_online();
	directory_retire_instance(&gateway->directory, service, id);
	urcu_qsbr_thread_offline();
}

bool gateway_instance_idle(struct gateway *gateway, uint32_t id)
{
	return directory_instance_idle(&gateway->directory, id);
}

void gateway_end_subscription(struct gateway *gateway, struct subscription_id id, struct app_id app,
			      struct service_id service)
{
	urcu_qsbr_thread_online();
	directory_retire_subscription(&gateway->directory, app, service);
	urcu_qsbr_thread_offline();
	ending_tell_subscription(gateway, id);
}

void gateway_retire_key(struct gateway *gateway, const uint8_t digest[32])
{
	urcu_qsbr_thread_online();
	const struct key_id key = directory_retire_key(&gateway->directory, digest);
	urcu_qsbr_thread_offline();
	if (key.value != 0)
		ending_tell_key(gateway, key, 0);
}

bool gateway_applied_wait(struct gateway *gateway, uint64_t most_ns)
{
	return ending_wait(gateway, most_ns);
}

void gateway_reserve_keys(struct gateway *gateway, uint64_t count)
{
	table_reserve(&gateway->directory.keys, count);
}

void gateway_set_complete(struct gateway *gateway, bool complete)
{
	atomic_store(&gateway->directory.complete, complete);
}

struct gateway_directory_state gateway_directory_read(const struct gateway *gateway)
{
	const struct directory *directory = &gateway->directory;

	return (struct gateway_directory_state){
		.complete = atomic_load(&directory->complete),
		.services = directory->services.entries,
		.subscriptions = directory->subscriptions.entries,
		.keys = directory->keys.entries,
		.changes = directory->changes,
	};
}

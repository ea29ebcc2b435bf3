#include "gateway/worker.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "gateway/call.h"
#include "gateway/proxied.h"
#include "gateway/durable.h"
#include "gateway/part.h"

/* How long an idle connection is kept when the gateway stops, for a request on its way. */
#define DRAIN_IDLE_NS (500 * CLOCK_NS_PER_MS)
#define PENDING_MAX   4096u /* connections accepted when the listeners close */
/* Closing is the kernel's affair, of microseconds; a turn waits for a millisecond. */
#define CLOSING_TURNS_MAX 5000u

/* ---- connections ---- */

struct handover {
	struct loop_message message;
	struct worker *worker;
	int descriptor;
	struct http_tls *tls; /* counted; NULL: plain */
};

static void adopt(struct worker *worker, int descriptor, struct http_tls *tls)
{
	http_server_adopt(worker->server, descriptor, tls);
	http_tls_unref(tls);
}

static void on_handover(struct loop_message *message)
{
	struct handover *handover = (struct handover *)message;

	adopt(handover->worker, handover->descriptor, handover->tls);
	free(handover);
}

/* Of those that run; with the lock, so that it runs until the lock is given back. */
static struct worker *least_loaded(struct gateway *gateway)
{
	struct worker *least = gateway->workers[0];

	for (uint32_t i = 1; i < gateway->options.workers; i++) {
		struct worker *worker = gateway->workers[i];
		if (worker != NULL &&
		    atomic_load(&worker->connections) < atomic_load(&least->connections))
			least = worker;
	}
	return least;
}

static void on_accept(struct loop_listener *listener, int descriptor)
{
	struct gateway *gateway = listener->owner;
	struct worker *own = gateway->workers[0];

	pthread_mutex_lock(&gateway->lock);
	struct http_tls *tls = gateway->tls[listener - gateway->listeners];
	if (tls != NULL)
		http_tls_ref(tls);
	/* Another one may have drained by now. */
	struct worker *worker = atomic_load(&gateway->stopping) ? own : least_loaded(gateway);
	struct handover *handover = worker == own ? NULL : malloc(sizeof(*handover));
	if (handover == NULL)
		worker = own;
	atomic_fetch_add(&worker->connections, 1);
	if (handover != NULL) {
		*handover = (struct handover){.message.deliver = on_handover,
					      .worker = worker,
					      .descriptor = descriptor,
					      .tls = tls};
		loop_post(worker->loop, &handover->message);
	}
	pthread_mutex_unlock(&gateway->lock);
	if (handover == NULL)
		adopt(own, descriptor, tls);
}

static void on_connection_opened(void *owner, void *connection_state, int descriptor,
				 bool encrypted)
{
	const struct worker *worker = owner;
	const struct gateway_trust *trust = &worker->gateway->options.trust;
	struct call_connection *connection = connection_state;

	forwarded_peer_read(&connection->peer, descriptor);
	connection->proxy = proxied_is_trusted(trust, &connection->peer);
	connection->encrypted = encrypted;
}

static void on_tls_peer(void *owner, void *connection_state, const struct http_tls_peer *peer)
{
	struct call_connection *connection = connection_state;

	(void)owner;
	connection->certificate = certificate_new(peer);
}

static void on_connection_closed(void *owner, void *connection_state)
{
	struct worker *worker = owner;
	struct call_connection *connection = connection_state;

	explicit_bzero(connection->key, sizeof(connection->key));
	certificate_free(connection->certificate);
	atomic_fetch_sub(&worker->connections, 1);
}

/* A port that is open to the world hears much that is no TLS: a line a second says enough. */
static void on_tls_refused(void *owner, const char *why)
{
	struct worker *worker = owner;
	const uint64_t now_ns = loop_now_ns(worker->loop);

	worker_count(&worker->counts.tls_refused, 1);
	if (worker->tls_told_ns != 0 && now_ns - worker->tls_told_ns < CLOCK_NS_PER_S)
		return;
	worker->tls_told_ns = now_ns;
	log_event(LOG_INFO, "gateway.tls_refused", log_text("why", why));
}

/* ---- instances ---- */

bool worker_complaint_due(const struct worker *worker, _Atomic uint64_t *told_ns,
			  uint64_t interval_ns)
{
	const uint64_t now_ns = loop_now_ns(worker->loop);
	uint64_t last_ns = atomic_load_explicit(told_ns, memory_order_relaxed);

	return (last_ns == 0 || now_ns >= last_ns + interval_ns) &&
	       atomic_compare_exchange_strong(told_ns, &last_ns, now_ns);
}

/* Each call of a service that cannot be trusted fails so: a line a second says enough. */
static void on_tls_failed(void *owner, void *origin_owner, enum http_tls_reason reason,
			  const char *why)
{
	struct worker *worker = owner;
	const struct directory_instance *instance = origin_owner;
	char address[LOOP_ADDRESS_TEXT_MAX];

	worker_count(&worker->counts.service_tls_failed, 1);
	if (!worker_complaint_due(worker, &instance->service->tls_failed_ns, CLOCK_NS_PER_S))
		return;
	loop_address_format(&instance->address, address);
	log_event(LOG_WARN, "service.tls_failed", log_text("service", instance->service->name),
		  log_text("address", address), log_text("reason", http_tls_reason_name(reason)),
		  log_text("why", why));
}

struct worker_origin *worker_origin_new(struct worker *worker, struct directory_instance *instance)
{
	struct worker_origin *origin = malloc(sizeof(*origin));
	const struct http_origin_options options = {.address = instance->address,
						    .protocol = instance->protocol,
						    .tls = instance->tls,
						    .owner = instance};

	if (origin == NULL)
		return NULL;
	*origin = (struct worker_origin){
		.instance = instance,
		.origin = http_origin_new(worker->client, &options),
		.next = worker->first_origin,
	};
	if (origin->origin == NULL) {
		free(origin);
		return NULL;
	}
	if (origin->next != NULL)
		origin->next->previous = origin;
	worker->first_origin = origin;
	return origin;
}

static void origin_free(struct worker *worker, struct worker_origin *origin)
{
	*(origin->previous == NULL ? &worker->first_origin : &origin->previous->next) =
		origin->next;
	if (origin->next != NULL)
		origin->next->previous = origin->previous;
	origin->instance->origins[worker->number] = NULL;
	http_origin_free(origin->origin);
	free(origin);
}

struct farewell {
	struct loop_message message;
	struct worker *worker;
	struct directory_instance *instance;
};

static void on_farewell(struct loop_message *message)
{
	struct farewell *farewell = (struct farewell *)message;
	struct worker *worker = farewell->worker;
	struct worker_origin *origin = farewell->instance->origins[worker->number];

	if (origin != NULL)
		origin_free(worker, origin);
	directory_instance_forgotten(farewell->instance);
	free(farewell);
}

uint32_t worker_farewell(void *context, struct directory_instance *instance)
{
	struct gateway *gateway = context;
	uint32_t told = 0;

	pthread_mutex_lock(&gateway->lock);
	for (uint32_t i = 0; i < gateway->options.workers; i++) {
		struct worker *worker = gateway->workers[i];
		if (worker == NULL)
			continue;
		struct farewell *farewell = malloc(sizeof(*farewell));
		check(farewell != NULL);
		*farewell = (struct farewell){
			.message.deliver = on_farewell, .worker = worker, .instance = instance};
		loop_post(worker->loop, &farewell->message);
		told++;
	}
	pthread_mutex_unlock(&gateway->lock);
	return told;
}

/* ---- waiting calls ---- */

static void on_retry(struct loop_task *task)
{
	struct worker *worker = (struct worker *)((char *)task - offsetof(struct worker, retry));

	call_retry_waiting(worker);
}

static void on_nudge(struct loop_message *message)
{
	struct worker *worker = (struct worker *)((char *)message - offsetof(struct worker, nudge));

	/* Cleared first: what is told from here on nudges again. */
	atomic_store(&worker->nudged, false);
	loop_defer(worker->loop, &worker->retry);
}

void worker_nudge(struct worker *worker)
{
	if (!atomic_exchange(&worker->nudged, true))
		loop_post(worker->loop, &worker->nudge);
}

/* It may have stopped, with its bit left behind by calls that were cut while they waited. */
static void nudge_other(struct gateway *gateway, struct directory_service *service, uint32_t other)
{
	atomic_fetch_and(&service->waiting_workers, ~(1ull << other));
	pthread_mutex_lock(&gateway->lock);
	if (gateway->workers[other] != NULL)
		worker_nudge(gateway->workers[other]);
	pthread_mutex_unlock(&gateway->lock);
}

void worker_place_free(struct worker *worker, struct directory_service *service)
{
	const uint64_t own = 1ull << worker->number;
	uint64_t waiting = atomic_load_explicit(&service->waiting_workers, memory_order_acquire);

	if (waiting == 0)
		return;
	if (waiting & own) {
		atomic_fetch_and(&service->waiting_workers, ~own);
		loop_defer(worker->loop, &worker->retry);
		waiting &= ~own;
	}
	if (waiting != 0)
		nudge_other(worker->gateway, service, (uint32_t)__builtin_ctzll(waiting));
}

/* ---- stopping ---- */

static void on_drained(void *owner)
{
	struct worker *worker = owner;

	loop_timer_clear(worker->loop, &worker->stop_timer);
	loop_stop(worker->loop);
}

static void on_grace_over(struct loop_timer *timer)
{
	struct worker *worker =
		(struct worker *)((char *)timer - offsetof(struct worker, stop_timer));

	http_server_close(worker->server);
}

static void on_listener_closed(struct loop_listener *listener)
{
	struct gateway *gateway = listener->owner;

	gateway->listeners_open--;
}

/* Closing would reset those that the kernel has accepted. */
static void accept_pending(struct loop_listener *listener)
{
	struct pollfd pending = {.fd = listener->descriptor, .events = POLLIN};

	for (uint32_t i = 0; i < PENDING_MAX && poll(&pending, 1, 0) == 1; i++) {
		const int descriptor = accept4(listener->descriptor, NULL, NULL, SOCK_CLOEXEC);
		if (descriptor < 0)
			return;
		on_accept(listener, descriptor);
	}
}

/* Those that were opened: where one could not be, the ones behind it were not tried. */
static void listeners_close(struct worker *worker)
{
	struct gateway *gateway = worker->gateway;
	const uint32_t count = worker->number == 0 ? gateway->listeners_open : 0;

	for (uint32_t i = 0; i < count; i++) {
		accept_pending(&gateway->listeners[i]);
		loop_listener_close(&gateway->listeners[i]);
	}
}

static void on_stop(struct loop_message *message)
{
	struct worker *worker = (struct worker *)((char *)message - offsetof(struct worker, stop));
	struct gateway *gateway = worker->gateway;

	const uint64_t grace_ns = atomic_load(&gateway->stop_grace_ns);

	worker->stopping = true;
	listeners_close(worker);
	worker->stop_timer.on_due = on_grace_over;
	loop_timer_set(worker->loop, &worker->stop_timer, loop_now_ns(worker->loop) + grace_ns);
	http_server_drain(worker->server, grace_ns < DRAIN_IDLE_NS ? grace_ns : DRAIN_IDLE_NS,
			  on_drained);
}

static void on_hurry(struct loop_message *message)
{
	struct worker *worker = (struct worker *)((char *)message - offsetof(struct worker, hurry));

	http_server_close(worker->server);
}

/* ---- life ---- */

static void before_wait(void *context)
{
	(void)context;
	urcu_qsbr_thread_offline();
}

static void after_wait(void *context)
{
	(void)context;
	urcu_qsbr_thread_online();
}

static int worker_open(struct worker *worker, struct fault *fault)
{
	struct gateway *gateway = worker->gateway;
	const struct gateway_options *options = &gateway->options;
	const struct loop_options loop_options = {
		.io = options->io, .clock = options->clock, .batched = true};
	int code = loop_new(&loop_options, &worker->loop, fault);

	if (code < 0)
		return code;
	loop_set_wait_hooks(worker->loop, before_wait, after_wait, worker);
	const struct http_server_options server_options = {
		.limits = options->limits,
		.events = &call_server_events,
		.owner = worker,
		.exchange_state_bytes = sizeof(struct call),
		.connection_state_bytes = sizeof(struct call_connection),
		.on_connection_opened = on_connection_opened,
		.on_connection_closed = on_connection_closed,
		.on_tls_refused = on_tls_refused,
		.on_tls_peer = on_tls_peer,
	};
	code = http_server_new(worker->loop, &server_options, &worker->server, fault);
	if (code < 0)
		return code;
	const struct http_client_options client_options = {.limits = options->limits,
							   .events = &call_client_events,
							   .on_tls_failed = on_tls_failed,
							   .owner = worker};
	code = http_client_new(worker->loop, &client_options, &worker->client, fault);
	if (code < 0)
		return code;
	return journal_stream_open(options->journal, worker->number, &worker->stream, fault);
}

static int listeners_open(struct worker *worker, struct fault *fault)
{
	struct gateway *gateway = worker->gateway;

	for (uint32_t i = 0; i < gateway->listener_count; i++) {
		struct loop_listener *listener = &gateway->listeners[i];
		listener->on_accept = on_accept;
		listener->on_closed = on_listener_closed;
		listener->owner = gateway;
		const int code =
			loop_listener_open(worker->loop, listener, &gateway->addresses[i], fault);
		if (code < 0 && gateway->may_fail[i]) {
			log_event(LOG_WARN, "gateway.left_out", log_text("fault", fault->text));
			gateway->listener_count = i;
			return 0;
		}
		if (code < 0)
			return code;
		gateway->listeners_open++;
		loop_listener_address(listener, &gateway->addresses[i]);
	}
	return 0;
}

/* After the server has drained: connections to instances and listeners end, and messages that are
 * still on their way are delivered. Nothing of the loop is open any more then (loop_free checks).
 */
static void worker_close(struct worker *worker)
{
	struct gateway *gateway = worker->gateway;
	struct fault fault;

	pthread_mutex_lock(&gateway->lock);
	gateway->workers[worker->number] = NULL;
	pthread_mutex_unlock(&gateway->lock);
	while (worker->first_origin != NULL)
		origin_free(worker, worker->first_origin);
	if (!worker->stopping)
		listeners_close(worker);
	if (worker->server != NULL && !worker->stopping)
		http_server_close(worker->server);
	uint32_t turns = 1;
	while (loop_turn(worker->loop, loop_is_empty(worker->loop) ? 0 : CLOCK_NS_PER_MS, &fault) ==
		       0 &&
	       !loop_is_empty(worker->loop) && turns < CLOSING_TURNS_MAX)
		turns++;
	if (worker->client != NULL)
		http_client_free(worker->client);
	if (worker->server != NULL)
		http_server_free(worker->server);
	loop_free(worker->loop);
	keep_pool_fini(&worker->keeps);
	part_list_free(worker->parts_idle);
}

int gateway_worker_run(struct gateway *gateway, uint32_t number,
		       void (*on_ready)(void *context, uint32_t number), struct fault *fault)
{
	struct worker *worker = &gateway->of[number];

	check(number < gateway->options.workers);
	*worker = (struct worker){.gateway = gateway,
				  .number = number,
				  .retry_credit = WORKER_RETRY_CREDIT_MAX / 10,
				  .retry.run = on_retry,
				  .nudge.deliver = on_nudge,
				  .stop.deliver = on_stop,
				  .hurry.deliver = on_hurry};
	durable_begin(worker);
	if (gateway->access != NULL)
		worker->access = access_ring_of(gateway->access, number);
	random_seeded_init(&worker->random, random_u64(gateway->options.random));
	urcu_qsbr_register_thread();
	int code = worker_open(worker, fault);
	if (code == 0) {
		pthread_mutex_lock(&gateway->lock);
		gateway->workers[number] = worker;
		gateway->io = loop_io_used(worker->loop);
		gateway->io_reason = loop_io_reason(worker->loop);
		pthread_mutex_unlock(&gateway->lock);
		if (number == 0)
			code = listeners_open(worker, fault);
	}
	if (code == 0) {
		on_ready(gateway->options.context, number);
		code = loop_run(worker->loop, fault);
	}
	if (worker->loop != NULL)
		worker_close(worker);
	urcu_qsbr_unregister_thread();
	return code;
}

void gateway_stop(struct gateway *gateway, uint64_t grace_ns)
{
	atomic_store(&gateway->stop_grace_ns, grace_ns);
	atomic_store(&gateway->stopping, true);
	pthread_mutex_lock(&gateway->lock);
	for (uint32_t i = 0; i < gateway->options.workers; i++) {
		struct worker *worker = gateway->workers[i];
		if (worker != NULL)
			loop_post(worker->loop, &worker->stop);
	}
	pthread_mutex_unlock(&gateway->lock);
}

void gateway_hurry(struct gateway *gateway)
{
	if (atomic_exchange(&gateway->hurrying, true))
		return;
	pthread_mutex_lock(&gateway->lock);
	for (uint32_t i = 0; i < gateway->options.workers; i++) {
		struct worker *worker = gateway->workers[i];
		if (worker != NULL)
			loop_post(worker->loop, &worker->hurry);
	}
	pthread_mutex_unlock(&gateway->lock);
}

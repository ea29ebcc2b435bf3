#include "node/node_internal.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"

#define FIRST_UPSTREAM 0x80000000u /* the fleet's own ids stay below */
#define PAGE           256
#define PLANS_PAGE     16 /* of a service; a plan is large */

/* ---- services, with plans and upstreams ---- */

static int publish_plan(struct node *node, const struct catalog_plan *plan, struct fault *fault)
{
	const struct catalog_limits *limits = &plan->terms.limits;
	const struct gateway_plan_entry entry = {
		.id = plan->id,
		.name = plan->name,
		.rating = plan->terms.rating,
		.call_most_nano = plan->terms.call_most_nano,
		.limits = {.rate_interval_ns = catalog_limits_interval_ns(limits),
			   .burst = limits->burst,
			   .concurrency = limits->concurrency,
			   .quota_calls = limits->quota_calls,
			   .timeout_ns = limits->timeout_ns},
	};

	return gateway_publish_plan(node->gateway, &entry, fault);
}

/* Which version takes the plan's place, and when. */
static int publish_move(struct node *node, const struct catalog_plan *plan, struct fault *fault)
{
	struct catalog_move move;
	const int code = catalog_move_next(node->store, plan->id, &move, fault);

	return code < 0 ? code
			: gateway_publish_move(node->gateway, plan->id, move.plan,
					       clock_month_start_ns(move.month), fault);
}

static int each_plan(struct node *node, struct service_id id,
		     int (*publish)(struct node *node, const struct catalog_plan *plan,
				    struct fault *fault),
		     struct fault *fault)
{
	struct catalog_plan *plans = calloc(PLANS_PAGE, sizeof(*plans));
	struct plan_id after = {0};
	size_t count;
	int code;

	check(plans != NULL);
	do {
		code = catalog_plan_list(node->store, id, false, after, plans, PLANS_PAGE, &count,
					 fault);
		for (size_t i = 0; code == 0 && i < count; i++) {
			code = publish(node, &plans[i], fault);
			after = plans[i].id;
		}
	} while (code == 0 && count == PLANS_PAGE);
	free(plans);
	return code;
}

/* Moves once all versions are there. */
static int publish_plans(struct node *node, struct service_id id, struct fault *fault)
{
	const int code = each_plan(node, id, publish_plan, fault);

	return code < 0 ? code : each_plan(node, id, publish_move, fault);
}

static void put_authority(const char *host, uint16_t port, char *text, size_t text_max)
{
	snprintf(text, text_max, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
}

static int resolve(const struct catalog_upstream *upstream, struct loop_address *ret_address,
		   enum rating_path *ret_path, struct fault *fault)
{
	char text[CONFIG_ADDRESS_MAX];

	*ret_path = RATING_PATH_HOST;
	if (upstream->path != NULL) {
		snprintf(text, sizeof(text), "unix:%s", upstream->path);
		return loop_address_parse(slice_of(text), ret_address, fault);
	}
	put_authority(upstream->host, upstream->port, text, sizeof(text));
	const int code = loop_address_parse(slice_of(text), ret_address, fault);
	if (code < 0)
		return code;
	const bool loopback = ret_address->any.sa_family == AF_INET
				      ? ntohl(ret_address->ip4.sin_addr.s_addr) >> 24 == 127
				      : IN6_IS_ADDR_LOOPBACK(&ret_address->ip6.sin6_addr);
	if (!loopback)
		*ret_path = RATING_PATH_CLOUD;
	return 0;
}

/* What the certificate of an upstream with https:// must name; it is also asked for by that. */
static const char *verified_name(const struct catalog_service *service,
				 const struct catalog_upstream *upstream)
{
	const struct catalog_tls *said = service->description.tls;

	return said != NULL && said->server_name != NULL ? said->server_name : upstream->host;
}

/* The cloud's side of TLS with an upstream. */
static int tls_towards(struct node *node, const struct catalog_service *service,
		       const struct catalog_upstream *upstream, struct http_tls **ret_tls,
		       struct fault *fault)
{
	static const struct catalog_tls nothing_said;
	const struct catalog_tls *said =
		service->description.tls != NULL ? service->description.tls : &nothing_said;
	const struct http_tls_identity identity = {
		.certificates = slice_of(said->certificates != NULL ? said->certificates : ""),
		.key = slice_of(said->key != NULL ? said->key : ""),
		.certificates_name = "tls.certificate",
		.key_name = "tls.key",
	};
	struct http_tls_options options = {
		.identities = &identity,
		.identity_count = said->certificates != NULL,
		.authorities = slice_of(said->authorities != NULL ? said->authorities : ""),
		.authorities_name = "tls.ca",
		.http_2 = instances_protocol(service) == HTTP_PROTOCOL_2,
		.server_name = verified_name(service, upstream),
	};
	char *own = NULL;
	size_t length;
	int code = 0;

	if (said->by_cloud) {
		code = tls_authority_read(&node->tls, &own, &length, fault);
		if (code == 0)
			options.authorities = slice_make(own, length);
	}
	if (code == 0)
		code = http_tls_new(&options, ret_tls, fault);
	free(own);
	return code;
}

static int publish_upstreams(struct node *node, struct node_service *known,
			     const struct catalog_service *service, struct fault *fault)
{
	const struct catalog_description *description = &service->description;
	uint32_t fresh[CATALOG_UPSTREAMS_MAX];

	for (uint32_t i = 0; i < description->upstream_count; i++) {
		const struct catalog_upstream *upstream = &description->upstreams[i];
		struct gateway_instance_entry entry = {.id = FIRST_UPSTREAM + node->next_upstream,
						       .protocol = instances_protocol(service)};
		char authority[CATALOG_TEXT_MAX];
		int code = resolve(upstream, &entry.address, &entry.path, fault);
		if (code == 0 && upstream->tls)
			code = tls_towards(node, service, upstream, &entry.tls, fault);
		if (code < 0)
			return code;
		if (upstream->path == NULL) {
			put_authority(upstream->tls ? verified_name(service, upstream)
						    : upstream->host,
				      upstream->port, authority, sizeof(authority));
			entry.authority = authority;
		}
		code = gateway_publish_instance(node->gateway, service->id, &entry, fault);
		http_tls_unref(entry.tls);
		if (code < 0)
			return code;
		fresh[i] = entry.id;
		node->next_upstream++;
	}
	/* The new ones are there before the old ones go. */
	for (uint32_t i = 0; i < known->upstream_count; i++)
		instances_retire(node, service->id, known->upstreams[i], false);
	memcpy(known->upstreams, fresh, sizeof(fresh));
	known->upstream_count = description->upstream_count;
	return 0;
}

static int publish_way(struct node *node, struct node_service *known,
		       const struct catalog_service *service, struct fault *fault)
{
	if (known->revision == service->revision && !known->runs)
		return 0;
	int code = publish_upstreams(node, known, service, fault);
	if (code < 0)
		return code;
	known->revision = service->revision;
	if (service->description.run != NULL)
		code = instances_run(node, service, fault);
	else if (known->runs)
		fleet_service_remove(node->fleet, service->id);
	known->runs = service->description.run != NULL;
	return code;
}

/* What can be subscribed to and called, be there an instance or not. */
static int publish_offer(struct node *node, const struct catalog_service *service,
			 struct fault *fault)
{
	struct gateway_service_entry entry = {.id = service->id, .name = service->description.name};

	struct gateway_identity identity;

	for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
		entry.units[i] = service->description.units[i].name;
	if (service->description.signed_calls) {
		identity_key(node, service->id, service->identity_key, &identity);
		entry.identity = &identity;
	}
	const int code = gateway_publish_service(node->gateway, &entry, fault);
	sodium_memzero(&identity, sizeof(identity));
	return code < 0 ? code : publish_plans(node, service->id, fault);
}

static struct node_service *known_service(struct node *node, struct service_id id)
{
	struct node_service *known = map_find(&node->services, id.value);

	if (known == NULL) {
		known = calloc(1, sizeof(*known));
		check(known != NULL);
		known->id = id;
		map_put(&node->services, id.value, known);
	}
	return known;
}

int publish_service(struct node *node, struct service_id id, struct fault *fault)
{
	struct catalog_service *service;
	int code = catalog_service_get_by_id(node->store, id, &service, fault);

	if (code < 0)
		return code;
	code = publish_offer(node, service, fault);
	if (code == 0)
		code = publish_way(node, known_service(node, id), service, fault);
	catalog_service_free(service);
	return code;
}

/* A service that cannot be put in force (an upstream's name that does not resolve, a command that
 * is gone) must not keep the others from starting. *left_out grows by those that the gateway does
 * not know. */
static int publish_services(struct node *node, uint64_t *left_out, struct fault *fault)
{
	struct service_id after = {0};

	for (;;) {
		struct catalog_service *service;
		int code = catalog_service_next(node->store, after, &service, fault);
		if (code < 0 || service == NULL)
			return code;
		code = publish_offer(node, service, fault);
		*left_out += code < 0;
		if (code == 0)
			code = publish_way(node, known_service(node, service->id), service, fault);
		if (code < 0)
			log_event(LOG_ERROR, "service.not_in_force",
				  log_text("service", service->description.name),
				  log_text("fault", fault->text));
		after = service->id;
		catalog_service_free(service);
	}
}

/* ---- subscriptions, with leases ---- */

static int lease_new(struct node *node, struct map *map, uint64_t id, struct node_lease **ret_lease,
		     struct fault *fault)
{
	struct node_lease *lease = calloc(1, sizeof(*lease));

	check(lease != NULL);
	const int code = gateway_lease_new(node->gateway, &lease->lease, fault);
	if (code < 0) {
		free(lease);
		return code;
	}
	map_put(map, id, lease);
	*ret_lease = lease;
	return 0;
}

static int account_lease(struct node *node, const char *account_name,
			 struct gateway_lease **ret_lease, struct fault *fault)
{
	struct ledger_account_id id;
	int code = billing_account_find(node->store, slice_of(account_name), &id, fault);

	if (code < 0)
		return code;
	struct node_lease *lease = map_find(&node->account_leases, id.value);
	if (lease == NULL) {
		code = lease_new(node, &node->account_leases, id.value, &lease, fault);
		if (code < 0)
			return code;
		billing_poster_lease_add(node->poster, id, lease);
	}
	*ret_lease = lease->lease;
	return 0;
}

static_assert((int)BILLING_LEVEL_SUBSCRIPTION == (int)GATEWAY_LEVEL_SUBSCRIPTION &&
		      (int)BILLING_LEVEL_APP == (int)GATEWAY_LEVEL_APP &&
		      (int)BILLING_LEVEL_ACCOUNT == (int)GATEWAY_LEVEL_ACCOUNT &&
		      (int)BILLING_LEVELS == (int)GATEWAY_LEVELS,
	      "billing and gateway know the same levels");

/* *ret_lease stays NULL where the budget is none. */
static int budget_lease(struct node *node, const struct billing_budget *budget,
			struct gateway_lease **ret_lease, struct fault *fault)
{
	struct map *leases = &node->budget_leases[budget->key.level];
	struct node_lease *lease = map_find(leases, budget->key.id);

	if (budget->nano < 0)
		return 0;
	if (lease == NULL) {
		const int code = lease_new(node, leases, budget->key.id, &lease, fault);
		if (code < 0)
			return code;
		billing_poster_budget_add(node->poster, budget->key, lease);
	}
	*ret_lease = lease->lease;
	return 0;
}

static int budget_leases(struct node *node, const struct catalog_subscription *subscription,
			 struct gateway_lease *ret_leases[GATEWAY_LEVELS], struct fault *fault)
{
	const uint64_t ids[BILLING_LEVELS] = {
		[BILLING_LEVEL_SUBSCRIPTION] = subscription->id.value,
		[BILLING_LEVEL_APP] = subscription->app.value,
		[BILLING_LEVEL_ACCOUNT] = subscription->account.value,
	};
	int code = 0;

	for (unsigned level = 0; code == 0 && level < BILLING_LEVELS; level++) {
		struct billing_budget budget = {
			.key = {(enum billing_level)level, ids[level]},
			.nano = subscription->budget_nano,
		};
		if (level != BILLING_LEVEL_SUBSCRIPTION)
			code = billing_budget_get(node->store, budget.key, &budget, fault);
		if (code == 0)
			code = budget_lease(node, &budget, &ret_leases[level], fault);
	}
	return code;
}

static int publish_found_subscription(struct node *node,
				      const struct catalog_subscription *subscription,
				      struct fault *fault)
{
	check_equal(subscription->ended_ns, 0);
	char account_name[ACCOUNT_PATH_MAX];
	snprintf(account_name, sizeof(account_name), "%.*s",
		 (int)strcspn(subscription->app_path, "/"), subscription->app_path);
	struct gateway_subscription_entry entry = {
		.id = subscription->id,
		.account = subscription->account,
		.app = subscription->app,
		.service = subscription->service,
		.account_name = account_name,
		.app_name = subscription->app_path,
		.month = clock_month_of(clock_wall_ns(node->clock)),
	};
	struct catalog_move in_force;
	/* As of the month before, for clocks go back, too; the gateway knows what has come since.
	 */
	int code =
		catalog_move_at(node->store, subscription->plan, entry.month - 1, &in_force, fault);
	entry.plan = in_force.plan;
	if (code == 0)
		code = account_lease(node, account_name, &entry.account_lease, fault);
	if (code == 0)
		code = budget_leases(node, subscription, entry.budget_leases, fault);
	if (code == 0)
		code = billing_used(node->store, subscription->id, entry.month, &entry.used,
				    &entry.cloud_used, fault);
	if (code == 0)
		code = gateway_publish_subscription(node->gateway, &entry, fault);
	return code;
}

/* Only the one that the poster was told of: of another it would not say again that it has no
 * more, and calls would wait for that. */
static void refresh_budget(struct node *node, struct billing_budget_key key)
{
	posting_refresh(node, map_find(&node->budget_leases[key.level], key.id));
}

int publish_subscription(struct node *node, struct subscription_id id, struct fault *fault)
{
	struct catalog_subscription subscription;
	const int code = catalog_subscription_get(node->store, id, &subscription, fault);

	if (code < 0)
		return code;
	billing_poster_terms_changed(node->poster, id);
	refresh_budget(node, (struct billing_budget_key){BILLING_LEVEL_SUBSCRIPTION, id.value});
	return publish_found_subscription(node, &subscription, fault);
}

/* One that cannot be put in force, as its service could not, is left out. */
static int publish_subscriptions(struct node *node, const struct catalog_subscription_filter *which,
				 uint64_t *left_out, struct fault *fault)
{
	struct catalog_subscription *page = calloc(PAGE, sizeof(*page));
	struct subscription_id after = {0};
	size_t count;
	int code;

	check(page != NULL);
	check(which->only_active);
	do {
		code = catalog_subscription_list(node->store, which, after, page, PAGE, &count,
						 fault);
		for (size_t i = 0; code == 0 && i < count; i++) {
			code = publish_found_subscription(node, &page[i], fault);
			after = page[i].id;
			if (code != FAULT_NOT_FOUND)
				continue;
			log_event(LOG_ERROR, "subscription.not_in_force",
				  log_text("app", page[i].app_path),
				  log_text("fault", fault->text));
			++*left_out;
			code = 0;
		}
	} while (code == 0 && count == PAGE);
	free(page);
	return code;
}

int publish_budget(struct node *node, struct billing_budget_key key, struct fault *fault)
{
	struct catalog_subscription_filter bounded = {.only_active = true};
	uint64_t left_out = 0;

	if (key.level == BILLING_LEVEL_APP)
		bounded.app.value = key.id;
	else
		bounded.account.value = key.id;
	billing_poster_budget_changed(node->poster, key);
	refresh_budget(node, key);
	return publish_subscriptions(node, &bounded, &left_out, fault);
}

/* ---- keys ---- */

static int publish_key(void *context, const struct account_key *key, struct fault *fault)
{
	struct node *node = context;
	struct gateway_key_entry entry = {.id = key->id,
					  .app = key->app,
					  .expires_ns = key->expires_ns,
					  .scopes = key->scopes};

	memcpy(entry.digest, key->digest.bytes, sizeof(entry.digest));
	return gateway_publish_key(node->gateway, &entry, fault);
}

int publish_keys(struct node *node, const struct account_key *keys, size_t count,
		 struct fault *fault)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < count; i++) {
		if (keys[i].revoked_ns != 0)
			gateway_retire_key(node->gateway, keys[i].digest.bytes);
		else
			code = publish_key(node, &keys[i], fault);
	}
	return code;
}

static int publish_all_keys(struct node *node, struct fault *fault)
{
	uint64_t count;
	int code = account_key_count(node->store, &count, fault);

	if (code < 0)
		return code;
	gateway_reserve_keys(node->gateway, count);
	return account_key_each(node->store, clock_wall_ns(node->clock), publish_key, node, &count,
				fault);
}

/* ---- all of it ---- */

struct publishing {
	struct node *node;
	uint64_t left_out;
};

static int publish_view(struct store *store, void *context, struct fault *fault)
{
	const struct catalog_subscription_filter all = {.only_active = true};
	struct publishing *publishing = context;
	struct node *node = publishing->node;

	(void)store;
	publishing->left_out = 0;
	int code = publish_services(node, &publishing->left_out, fault);
	if (code == 0)
		code = publish_subscriptions(node, &all, &publishing->left_out, fault);
	return code < 0 ? code : publish_all_keys(node, fault);
}

/* A million keys take seconds to read: what goes on failing must not have all of the thread. */
#define AGAIN_NS      CLOCK_NS_PER_S
#define AGAIN_MOST_NS (32 * CLOCK_NS_PER_S)

static void on_publish_again(struct loop_timer *timer)
{
	struct node *node = (struct node *)((char *)timer - offsetof(struct node, publish_timer));
	struct fault fault;

	if (node->publish_wait_ns < AGAIN_MOST_NS)
		node->publish_wait_ns *= 2;
	publish_failed(node, publish_everything(node, &fault), &fault);
}

static void publish_again(struct node *node)
{
	gateway_set_complete(node->gateway, false);
	node->publish_timer.on_due = on_publish_again;
	if (node->publish_wait_ns == 0)
		node->publish_wait_ns = AGAIN_NS;
	loop_timer_set(node->loop, &node->publish_timer,
		       clock_monotonic_ns(node->clock) + node->publish_wait_ns);
}

int publish_everything(struct node *node, struct fault *fault)
{
	const uint64_t begun_ns = clock_monotonic_ns(node->clock);
	struct publishing publishing = {.node = node};
	const int code = store_transaction_read(node->store, publish_view, &publishing, fault);

	if (code < 0)
		return code;
	if (publishing.left_out > 0) {
		publish_again(node);
	} else {
		gateway_set_complete(node->gateway, true);
		node->publish_wait_ns = 0;
	}
	const struct gateway_directory_state state = gateway_directory_read(node->gateway);
	log_event(LOG_INFO, "directory.published", log_number("services", (int64_t)state.services),
		  log_number("subscriptions", (int64_t)state.subscriptions),
		  log_number("keys", (int64_t)state.keys),
		  log_number("left_out", (int64_t)publishing.left_out),
		  log_number("ms", (int64_t)((clock_monotonic_ns(node->clock) - begun_ns) /
					     CLOCK_NS_PER_MS)));
	return 0;
}

int publish_failed(struct node *node, int code, const struct fault *fault)
{
	if (code == 0)
		return 0;
	log_event(LOG_ERROR, "directory.incomplete", log_text("fault", fault->text));
	publish_again(node);
	return code;
}

#include <stdio.h>

#include "base/log.h"
#include "node/node_internal.h"

int listening_begin(struct node *node, const struct node_options *options, struct fault *fault)
{
	const struct config *config = &node->config;
	const bool by_options = options->gateway_count > 0;
	const uint32_t count = by_options ? options->gateway_count : config->gateway_count;
	struct config_listener listeners[GATEWAY_LISTENERS_MAX] = {0};
	int code = 0;

	if (count > GATEWAY_LISTENERS_MAX)
		return fault_set(fault, FAULT_LIMIT, "more than %d gateway listeners",
				 GATEWAY_LISTENERS_MAX);
	for (uint32_t i = 0; code == 0 && i < count; i++)
		code = config_listener_parse(
			slice_of(by_options ? options->gateways[i] : config->gateways[i]),
			&listeners[i], fault);
	if (code == 0)
		code = tls_open(&node->tls, node->folder, config, listeners, count, node->clock,
				node->random, fault);
	for (uint32_t i = 0; code == 0 && i < count; i++) {
		const struct gateway_listener listener = {
			.address = listeners[i].address,
			.tls = listeners[i].tls ? node->tls.listeners[i]->current : NULL,
			.may_fail = !by_options && config->gateways_are_default && i > 0};
		code = gateway_listen(node->gateway, &listener, fault);
	}
	return code;
}

/* `before` stands before the first of them, and a comma before each other one. False: none. */
static bool print_listeners(struct node *node, bool tls, const char *before, const char *prefix)
{
	bool any = false;
	char text[LOOP_ADDRESS_TEXT_MAX];
	struct loop_address address;

	for (uint32_t i = 0; gateway_listener_address(node->gateway, i, &address); i++) {
		if (gateway_listener_is_tls(node->gateway, i) != tls)
			continue;
		loop_address_format(&address, text);
		printf("%s%s%s", any ? "," : before, prefix, text);
		any = true;
	}
	return any;
}

void listening_tell(struct node *node)
{
	char api[LOOP_ADDRESS_TEXT_MAX];
	char isolation[CGROUP_WHY_MAX + 64];
	const char *reason;

	const enum loop_io io = gateway_io(node->gateway, &reason);
	cgroups_describe(&node->groups, isolation);
	log_event(LOG_INFO, "node.ready", log_text("cloud", node->config.name),
		  log_text("io", io == LOOP_IO_URING ? "uring" : "epoll"),
		  log_text("reason", reason), log_number("workers", node->worker_count),
		  log_text("instances_are", isolation));
	loop_address_format(&node->api_address, api);
	printf("ready");
	if (!print_listeners(node, false, " gateway=", ""))
		print_listeners(node, true, " gateway=", "tls:");
	printf(" api=%s", api);
	print_listeners(node, true, " tls=", "");
	printf("\n");
	fflush(stdout);
}

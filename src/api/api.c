#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/check.h"

static void free_texts(struct api_options *options)
{
	free((char *)(uintptr_t)options->cloud_name);
	free((char *)(uintptr_t)options->currency);
	free((char *)(uintptr_t)options->folder);
}

/* The API's own copies; the token's text is not kept, only its digest. */
static void copy_options(struct api *api, const struct api_options *options)
{
	api->options = *options;
	api->options.cloud_name = strdup(options->cloud_name);
	api->options.currency = strdup(options->currency);
	api->options.folder = strdup(options->folder);
	api->options.token = api->options.metrics_token = NULL;
	check(api->options.cloud_name && api->options.currency && api->options.folder);
	api->token = api_key_digest(slice_of(options->token));
	api->metrics_token = api_key_digest(slice_of(options->metrics_token));
}

int api_new(struct loop *loop, const struct api_options *options, struct api **ret_api,
	    struct fault *fault)
{
	struct http_server_options server = {
		.events = &api_server_events,
		.exchange_state_bytes = sizeof(struct api_request),
	};
	struct api *api;

	check(options->metrics_token[0] != '\0');
	check(options->token[0] != '\0' && strlen(options->token) < API_TOKEN_MAX);
	check(strlen(options->currency) < API_CURRENCY_MAX);
	api = calloc(1, sizeof(*api));
	check(api != NULL);
	api->loop = loop;
	copy_options(api, options);
	http_limits_default(&server.limits);
	server.limits.body_bytes_max = API_BODY_MAX;
	server.owner = api;
	int code = ledger_new(options->store, &api->ledger, fault);
	if (code == 0)
		code = http_server_new(loop, &server, &api->server, fault);
	if (code < 0) {
		if (api->ledger != NULL)
			ledger_free(api->ledger);
		free_texts(&api->options);
		free(api);
		return code;
	}
	*ret_api = api;
	return 0;
}

/* ---- listening ---- */

static void on_accept(struct loop_listener *listener, int descriptor)
{
	const struct api_listener *owner = listener->owner;

	http_server_adopt(owner->api->server, descriptor, NULL);
}

static void one_stopped(struct api *api)
{
	check(api->stopping > 0);
	if (--api->stopping == 0)
		loop_post(api->loop, &api->stopped);
}

static void on_listener_closed(struct loop_listener *listener)
{
	const struct api_listener *owner = listener->owner;

	one_stopped(owner->api);
}

int api_listen(struct api *api, const struct loop_address *address,
	       struct loop_address *ret_address, struct fault *fault)
{
	if (api->listener_count == API_LISTENERS_MAX)
		return fault_set(fault, FAULT_LIMIT, "the API listens on %d addresses at most",
				 API_LISTENERS_MAX);
	struct api_listener *listener = &api->listeners[api->listener_count];
	*listener = (struct api_listener){
		.api = api,
		.listener = {.on_accept = on_accept,
			     .on_closed = on_listener_closed,
			     .owner = listener},
	};
	const int code = loop_listener_open(api->loop, &listener->listener, address, fault);
	if (code < 0)
		return code;
	api->listener_count++;
	loop_listener_address(&listener->listener, ret_address);
	return 0;
}

/* ---- stopping ---- */

static void on_drained(void *owner)
{
	one_stopped(owner);
}

static void tell_stopped(struct loop_message *message)
{
	struct api *api = (struct api *)((char *)message - offsetof(struct api, stopped));

	api->on_stopped(api->stopped_context);
}

void api_stop(struct api *api, void (*on_stopped)(void *context), void *context)
{
	check(api->on_stopped == NULL);
	api->on_stopped = on_stopped;
	api->stopped_context = context;
	api->stopped.deliver = tell_stopped;
	api->stopping = api->listener_count + 1;
	for (uint32_t i = 0; i < api->listener_count; i++)
		loop_listener_close(&api->listeners[i].listener);
	http_server_drain(api->server, 0, on_drained);
}

void api_free(struct api *api)
{
	check_equal(api->stopping, 0);
	http_server_free(api->server);
	ledger_free(api->ledger);
	free_texts(&api->options);
	free(api);
}

#include "loop/simulated_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define MILLION 1000000

void *network_grow(void *memory, size_t count, size_t bytes)
{
	memory = reallocarray(memory, count, bytes);
	check(memory != NULL);
	return memory;
}

/* ---- time and events ---- */

uint64_t network_now(const struct simulated_network *network)
{
	return clock_monotonic_ns(&network->clock->clock);
}

void network_advance_to(struct simulated_network *network, uint64_t now_ns)
{
	const uint64_t before_ns = network_now(network);

	check(now_ns >= before_ns);
	clock_manual_advance(network->clock, now_ns - before_ns);
}

uint64_t network_next_ns(const struct simulated_network *network)
{
	return network->event_count == 0 ? UINT64_MAX : network->events[0].due_ns;
}

static uint64_t below(struct simulated_network *network, uint64_t bound)
{
	return random_below(&network->random.random, bound);
}

static uint64_t draw_delay(struct simulated_network *network)
{
	const struct simulated_options *options = &network->options;

	return options->delay_least_ns +
	       below(network, options->delay_most_ns - options->delay_least_ns + 1);
}

static bool event_before(const struct event *a, const struct event *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

/* Takes a reference to the event's endpoint. */
static void event_add(struct simulated_network *network, struct event event)
{
	if (network->event_count == network->event_room) {
		network->event_room = network->event_room * 2 + 64;
		network->events = network_grow(network->events, network->event_room,
					       sizeof(*network->events));
	}
	event.number = network->event_number++;
	event.endpoint->references++;
	size_t at = network->event_count++;
	while (at > 0 && event_before(&event, &network->events[(at - 1) / 2])) {
		network->events[at] = network->events[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	network->events[at] = event;
}

struct event network_event_take(struct simulated_network *network)
{
	const struct event first = network->events[0];
	const struct event last = network->events[--network->event_count];
	size_t at = 0;

	for (;;) {
		size_t child = at * 2 + 1;
		if (child >= network->event_count)
			break;
		if (child + 1 < network->event_count &&
		    event_before(&network->events[child + 1], &network->events[child]))
			child++;
		if (!event_before(&network->events[child], &last))
			break;
		network->events[at] = network->events[child];
		at = child;
	}
	network->events[at] = last;
	return first;
}

/* To the peer of `endpoint`, behind all that it has sent before. */
static void event_send(struct simulated_network *network, struct endpoint *endpoint,
		       struct event event)
{
	uint64_t arrival_ns = network_now(network) + draw_delay(network);

	if (arrival_ns < endpoint->arrival_ns)
		arrival_ns = endpoint->arrival_ns;
	endpoint->arrival_ns = arrival_ns;
	event.due_ns = arrival_ns;
	event.endpoint = endpoint->peer;
	event_add(network, event);
}

/* ---- endpoints ---- */

struct endpoint *network_endpoint_new(struct simulated_network *network, enum endpoint_kind kind)
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));

	check(endpoint != NULL);
	endpoint->kind = kind;
	endpoint->references = 1;
	endpoint->window = network->options.window_bytes;
	return endpoint;
}

bool network_endpoint_open(struct simulated_network *network, struct endpoint *endpoint)
{
	int descriptor = 1;

	while (descriptor < network->endpoint_room && network->endpoints[descriptor] != NULL)
		descriptor++;
	if ((uint32_t)descriptor > network->options.descriptors_max)
		return false;
	if (descriptor >= network->endpoint_room) {
		const int room = network->endpoint_room * 2 + 64;
		network->endpoints =
			network_grow(network->endpoints, (size_t)room, sizeof(*network->endpoints));
		for (int i = network->endpoint_room; i < room; i++)
			network->endpoints[i] = NULL;
		network->endpoint_room = room;
	}
	network->endpoints[descriptor] = endpoint;
	endpoint->descriptor = descriptor;
	endpoint->references++;
	return true;
}

struct endpoint *network_endpoint(const struct simulated_network *network, int descriptor)
{
	check(descriptor > 0 && descriptor < network->endpoint_room);
	check(network->endpoints[descriptor] != NULL);
	return network->endpoints[descriptor];
}

static void drop_pieces(struct endpoint *endpoint)
{
	while (endpoint->first != NULL) {
		struct loop_held *piece = endpoint->first;
		endpoint->first = piece->next;
		free(piece);
	}
	endpoint->last = NULL;
}

void network_unref(struct endpoint *endpoint)
{
	if (--endpoint->references > 0)
		return;
	drop_pieces(endpoint);
	if (endpoint->peer != NULL)
		network_unref(endpoint->peer);
	free(endpoint);
}

void network_tell(struct endpoint *endpoint)
{
	if (endpoint->owner != NULL)
		loop_ready_add(endpoint->loop, endpoint->owner);
}

void network_reset(struct endpoint *endpoint)
{
	if (endpoint->closed || endpoint->error != 0)
		return;
	endpoint->error = ECONNRESET;
	network_tell(endpoint);
}

void network_endpoint_close(struct simulated_network *network, struct endpoint *endpoint)
{
	struct endpoint *peer = endpoint->peer;

	check(!endpoint->closed);
	endpoint->closed = true;
	endpoint->owner = NULL;
	if (endpoint->kind == ENDPOINT_STREAM && peer != NULL && endpoint->error == 0) {
		if (endpoint->first != NULL)
			event_send(network, endpoint, (struct event){.kind = EVENT_RESET});
		else
			event_send(network, endpoint, (struct event){.kind = EVENT_END});
	}
	/* A cycle of two that are both closed would keep itself alive. */
	if (peer != NULL && peer->closed) {
		endpoint->peer = peer->peer = NULL;
		network_unref(peer);
		network_unref(endpoint);
	}
	while (endpoint->waiting_first != NULL) {
		struct endpoint *waiting = endpoint->waiting_first;
		endpoint->waiting_first = waiting->waiting_next;
		network_endpoint_close(network, waiting);
		network_unref(waiting);
	}
	if (endpoint->descriptor != 0) {
		network->endpoints[endpoint->descriptor] = NULL;
		endpoint->descriptor = 0;
		network_unref(endpoint);
	}
}

void network_join(struct endpoint *a, struct endpoint *b)
{
	a->peer = b;
	b->peer = a;
	a->references++;
	b->references++;
	a->connected = b->connected = true;
}

/* ---- bytes ---- */

size_t network_send(struct simulated_network *network, struct endpoint *endpoint, const char *bytes,
		    size_t length)
{
	size_t sent = 0;

	while (sent < length && endpoint->window > 0) {
		size_t most = length - sent;
		if (most > endpoint->window)
			most = endpoint->window;
		if (most > network->options.piece_bytes_max)
			most = network->options.piece_bytes_max;
		/* Half of the pieces are as long as they can be, so that bulk moves on. */
		if (below(network, 2) == 0)
			most = 1 + below(network, most);
		struct loop_held *piece = malloc(sizeof(*piece) + most);
		check(piece != NULL);
		piece->next = NULL;
		piece->length = most;
		memcpy(piece->bytes, bytes + sent, most);
		if (below(network, MILLION) < network->options.resets_per_million) {
			free(piece);
			event_send(network, endpoint, (struct event){.kind = EVENT_RESET});
			network_reset(endpoint);
			return sent;
		}
		event_send(network, endpoint, (struct event){.kind = EVENT_PIECE, .piece = piece});
		endpoint->window -= most;
		sent += most;
	}
	return sent;
}

void network_send_end(struct simulated_network *network, struct endpoint *endpoint)
{
	if (endpoint->peer != NULL)
		event_send(network, endpoint, (struct event){.kind = EVENT_END});
}

struct loop_held *network_receive(struct simulated_network *network, struct endpoint *endpoint)
{
	struct loop_held *piece = endpoint->first;

	if (piece == NULL)
		return NULL;
	endpoint->first = piece->next;
	if (endpoint->first == NULL)
		endpoint->last = NULL;
	/* Told in large steps, else the pieces that fill it would become ever smaller. */
	endpoint->consumed += piece->length;
	if (endpoint->peer == NULL || endpoint->peer->closed ||
	    endpoint->consumed * 4 < network->options.window_bytes)
		return piece;
	event_add(network, (struct event){.kind = EVENT_WINDOW,
					  .due_ns = network_now(network) + draw_delay(network),
					  .endpoint = endpoint->peer,
					  .window = endpoint->consumed});
	endpoint->consumed = 0;
	return piece;
}

/* ---- connections ---- */

struct endpoint *network_listener(const struct simulated_network *network,
				  const struct loop_address *address)
{
	for (int i = 1; i < network->endpoint_room; i++) {
		struct endpoint *endpoint = network->endpoints[i];
		if (endpoint != NULL && endpoint->kind == ENDPOINT_LISTENER &&
		    loop_address_equal(&endpoint->address, address))
			return endpoint;
	}
	return NULL;
}

void network_connect(struct simulated_network *network, struct endpoint *endpoint,
		     const struct loop_address *address)
{
	endpoint->address = *address;
	event_add(network, (struct event){.kind = EVENT_CONNECT,
					  .due_ns = network_now(network) + draw_delay(network),
					  .endpoint = endpoint});
}

/* The request has reached the other side. */
static void arrive_connect(struct simulated_network *network, const struct event *event)
{
	struct endpoint *client = event->endpoint;
	struct endpoint *listener = network_listener(network, &client->address);
	int error = 0;

	if (client->closed)
		return;
	if (listener == NULL || below(network, MILLION) < network->options.refused_per_million)
		error = ECONNREFUSED;
	else if (network_is_cut(network, client->loop, listener->loop))
		error = EHOSTUNREACH;
	if (error == 0) {
		struct endpoint *server = network_endpoint_new(network, ENDPOINT_STREAM);
		server->from = listener->loop;
		network_join(client, server);
		/* The reference that it was made with is the listener's. */
		if (listener->waiting_last != NULL && listener->waiting_first != NULL)
			listener->waiting_last->waiting_next = server;
		else
			listener->waiting_first = server;
		listener->waiting_last = server;
		network_tell(listener);
		client->connected = false; /* until it hears of it */
	}
	event_add(network, (struct event){.kind = EVENT_CONNECTED,
					  .due_ns = network_now(network) + draw_delay(network),
					  .endpoint = client,
					  .error = error});
}

/* ---- arrivals ---- */

static void arrive_piece(struct simulated_network *network, const struct event *event)
{
	struct endpoint *endpoint = event->endpoint;

	if (endpoint->closed || endpoint->error != 0) {
		free(event->piece);
		/* As TCP: bytes for somebody who is gone are answered by a reset. */
		if (endpoint->closed && endpoint->peer != NULL)
			event_send(network, endpoint, (struct event){.kind = EVENT_RESET});
		return;
	}
	if (endpoint->last != NULL)
		endpoint->last->next = event->piece;
	else
		endpoint->first = event->piece;
	endpoint->last = event->piece;
	network_tell(endpoint);
}

static void arrive(struct simulated_network *network, const struct event *event)
{
	struct endpoint *endpoint = event->endpoint;

	switch (event->kind) {
	case EVENT_PIECE:
		arrive_piece(network, event);
		break;
	case EVENT_END:
		endpoint->ended = true;
		network_tell(endpoint);
		break;
	case EVENT_RESET:
		network_reset(endpoint);
		break;
	case EVENT_WINDOW:
		endpoint->window += event->window;
		network_tell(endpoint);
		break;
	case EVENT_CONNECT:
		arrive_connect(network, event);
		break;
	case EVENT_CONNECTED:
		endpoint->connected = true;
		if (endpoint->error == 0)
			endpoint->error = event->error;
		network_tell(endpoint);
		break;
	}
}

void network_deliver_due(struct simulated_network *network)
{
	while (network_next_ns(network) <= network_now(network)) {
		const struct event event = network_event_take(network);
		arrive(network, &event);
		network_unref(event.endpoint);
	}
}

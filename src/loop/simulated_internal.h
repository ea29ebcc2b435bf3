/*
 * simulated_internal: the network in memory, shared by its three parts: simulated_network.c
 * (events in virtual time, endpoints, what arrives where), simulated_back_end.c (what a loop asks
 * for and is told) and simulated.c (what the user of a network does to it).
 *
 * A change that an event makes to an endpoint is told by its owner's ready list, in the owner's
 * next turn.
 */
#pragma once

#include "base/random.h"
#include "loop/loop_internal.h"
#include "loop/simulated.h"

enum endpoint_kind { ENDPOINT_STREAM, ENDPOINT_LISTENER, ENDPOINT_SIGNAL };

/* What a descriptor means. Kept alive by its descriptor, its peer, the events that are on their
 * way to it and the listener that it waits at. */
struct endpoint {
	enum endpoint_kind kind;
	uint32_t references;
	int descriptor; /* 0: none (any more) */
	bool closed;
	struct loop *loop;        /* NULL: not adopted */
	struct loop_ready *owner; /* the adopting object's entry in the ready list */

	/* a stream's */
	struct endpoint *peer;
	struct loop *from;              /* who connected or accepted it; NULL: a pair's */
	struct loop_held *first, *last; /* arrived, not read */
	uint64_t window;                /* bytes that may still be sent */
	uint64_t consumed;              /* bytes read that its peer was not told of */
	uint64_t arrival_ns;            /* of the newest piece sent: order is kept */
	bool connected, ended;
	int error;

	struct loop_address address; /* where it listens, or connects to */

	/* a listener's */
	struct endpoint *waiting_first, *waiting_last; /* to be accepted */
	struct endpoint *waiting_next;

	/* a signal's */
	bool raised;
};

enum event_kind {
	EVENT_PIECE,
	EVENT_END,
	EVENT_RESET,
	EVENT_WINDOW,
	EVENT_CONNECT,
	EVENT_CONNECTED
};

struct event {
	uint64_t due_ns;
	uint64_t number; /* of those due at once the first made comes first */
	enum event_kind kind;
	struct endpoint *endpoint; /* whom it reaches */
	struct loop_held *piece;
	uint64_t window;
	uint64_t consumed; /* bytes read that its peer was not told of */
	int error;
};

struct simulated_network {
	struct simulated_options options;
	struct clock_manual *clock;
	struct random_seeded random;
	struct event *events; /* a heap: the earliest is first */
	size_t event_count, event_room;
	uint64_t event_number;
	struct endpoint **endpoints; /* by descriptor; 0 is never used */
	int endpoint_room;
	struct loop **loops;
	size_t loop_count;
	struct loop *(*cuts)[2];
	size_t cut_count;
	uint16_t port_next;
};

uint64_t network_now(const struct simulated_network *network);
/* Calls back nobody: what happened is told in the loops' turns. */
void network_deliver_due(struct simulated_network *network);
/* UINT64_MAX: nothing is on its way. */
uint64_t network_next_ns(const struct simulated_network *network);
void network_advance_to(struct simulated_network *network, uint64_t now_ns);
void *network_grow(void *memory, size_t count, size_t bytes);
/* The earliest, with its reference to the endpoint; there must be one. */
struct event network_event_take(struct simulated_network *network);
void network_add_loop(struct simulated_network *network, struct loop *loop);
void network_remove_loop(struct simulated_network *network, struct loop *loop);

/* With one reference, the caller's, and no descriptor. */
struct endpoint *network_endpoint_new(struct simulated_network *network, enum endpoint_kind kind);
/* The descriptor takes a reference of its own; false: EMFILE. */
bool network_endpoint_open(struct simulated_network *network, struct endpoint *endpoint);
struct endpoint *network_endpoint(const struct simulated_network *network, int descriptor);
void network_unref(struct endpoint *endpoint);
/* As close(2): the peer hears the end, or a reset where bytes were not read. */
void network_endpoint_close(struct simulated_network *network, struct endpoint *endpoint);
/* Makes them each other's peers, connected. */
void network_join(struct endpoint *a, struct endpoint *b);
/* At once, unless it has failed or was closed before. */
void network_reset(struct endpoint *endpoint);
bool network_is_cut(const struct simulated_network *network, const struct loop *a,
		    const struct loop *b);
/* Puts the owner's entry on its loop's ready list. */
void network_tell(struct endpoint *endpoint);

/* Sends as much as the window allows and returns it. */
size_t network_send(struct simulated_network *network, struct endpoint *endpoint, const char *bytes,
		    size_t length);
void network_send_end(struct simulated_network *network, struct endpoint *endpoint);
/* The oldest piece that arrived, which becomes the caller's to free; NULL: none. */
struct loop_held *network_receive(struct simulated_network *network, struct endpoint *endpoint);
void network_connect(struct simulated_network *network, struct endpoint *endpoint,
		     const struct loop_address *address);
/* NULL: nobody listens there. */
struct endpoint *network_listener(const struct simulated_network *network,
				  const struct loop_address *address);

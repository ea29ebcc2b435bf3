/*
 * lease: money that the ledger reserved for this node, as the workers draw on it.
 *
 * `available` is what no call holds. A hold is taken before a call is forwarded and what the
 * call did not cost is given back when it settles; so at every instant
 *
 *	reserved in the ledger = available + held by calls + settled, not yet posted.
 *
 * An expired lease gives nothing: the call waits until it is renewed, and is refused if it is
 * not. Threads: any; one cache line of atomics each.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gateway_lease {
	_Alignas(64) _Atomic int64_t available_nano;
	_Atomic int64_t low_nano; /* below it more is asked for, before it runs dry */
	_Atomic int64_t wanted_nano;
	_Atomic int64_t taken_nano;
	_Atomic uint64_t expires_ns; /* monotonic */
	_Atomic bool has_more;       /* the ledger may have more */
	_Atomic bool asked;          /* demand was told since the last poll */
	void (*on_demand)(void *context);
	void *context;
	struct gateway_lease *next; /* the gateway's list, for freeing */
};

enum lease_outcome {
	LEASE_TAKEN,
	LEASE_WAIT,    /* more was asked for; look again when leases change */
	LEASE_REFUSED, /* there is no more */
};

/* nano >= 0. Nothing is taken unless LEASE_TAKEN. */
enum lease_outcome lease_take(struct gateway_lease *lease, int64_t nano, uint64_t now_ns);
/* Returns what a hold did not need. */
void lease_release(struct gateway_lease *lease, int64_t nano);

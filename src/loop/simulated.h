/*
 * loop/simulated: a network in memory, in virtual time, from a seed.
 *
 * Loops made with LOOP_IO_SIMULATED and the same network listen, connect and exchange bytes as
 * if over sockets, but in one process, in one thread, and on a manual clock that jumps to the
 * next event. Addresses are names: whatever loop_address_parse accepts. Delays, cuts of the
 * byte stream into pieces, resets and refusals are drawn from the seed, so that a run repeats
 * exactly: same seed, same program, same events in the same order.
 *
 * Descriptors of a simulated network are its own numbers: they mean nothing to the kernel and
 * go to loop_stream_adopt, loop_watch_open or simulated_close.
 *
 * Invariants: bytes arrive in order, once, or the stream fails; nothing arrives at the time it
 * was sent; virtual time never goes back.
 * Threads: the network and all of its loops belong to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "loop/loop.h"

struct simulated_options {
	uint64_t seed;
	uint64_t delay_least_ns;      /* of a piece, one way; 0: 10 us */
	uint64_t delay_most_ns;       /* 0: 100 us */
	uint32_t piece_bytes_max;     /* pieces are 1 to this long; 0: 16384 */
	uint32_t window_bytes;        /* sent but not received, one way; 0: 65536 */
	uint32_t resets_per_million;  /* pieces that reset their connection instead */
	uint32_t refused_per_million; /* connects that are refused though somebody listens */
	uint32_t descriptors_max;     /* open at once; beyond it EMFILE; 0: 65536 */
};

/* `clock` is moved by the network and must outlive it. */
struct simulated_network *simulated_network_new(const struct simulated_options *options,
						struct clock_manual *clock);
/* Its loops must have been freed before. */
void simulated_network_free(struct simulated_network *network);

/* Runs all loops of the network, moving the clock from event to event, until nothing will
 * happen any more or the next event lies after until_ns; then the clock stands at until_ns.
 * UINT64_MAX: the clock stays at the last event. Returns how many turns did something. */
uint64_t simulated_network_run(struct simulated_network *network, uint64_t until_ns);

/* Two connected descriptors, as socketpair(2). */
void simulated_network_pair(struct simulated_network *network, int ret_descriptors[2]);

/* A descriptor for loop_watch_open that is readable while it was raised and not lowered. */
int simulated_signal_new(struct simulated_network *network);
void simulated_signal_set(struct simulated_network *network, int descriptor, bool raised);

/* What close(2) is to a real one: for descriptors that no loop has adopted. */
void simulated_close(struct simulated_network *network, int descriptor);

/* Cuts the cable: every open connection between the two loops is reset (a == b: the loop's
 * connections with itself), and until it is joined again connects fail with EHOSTUNREACH. */
void simulated_network_cut(struct simulated_network *network, struct loop *a, struct loop *b,
			   bool cut);

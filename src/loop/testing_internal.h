/*
 * testing_internal: what the tests of the loop share. A world is one loop on the back end under
 * test; peers are streams that send and check a pattern told by their nonce, so that a byte lost,
 * doubled, moved or delivered to another connection shows at once.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/random.h"
#include "loop/loop.h"
#include "loop/simulated.h"

#define PEER_BYTES  65536
#define PEERS_MAX   2048
#define WORLD_TURNS 1000000 /* a test that needs more hangs */

struct world {
	enum loop_io io;
	struct loop *loop;
	struct simulated_network *network;
	struct clock_manual clock;
	struct random_seeded random;
	struct loop_listener listener;
	struct loop_address address;
	bool listening;
	struct peer *accepted[PEERS_MAX];
	uint32_t accepted_count;
	void (*on_accepted)(struct peer *peer);
	uint64_t turns;
};

struct peer {
	struct loop_stream stream; /* first */
	struct world *world;
	uint64_t send_nonce, send_position, send_until; /* what it sends, and how much of it */
	uint64_t receive_nonce, receive_position;       /* what it expects */
	bool nonce_known;
	bool echoes;          /* sends back what it gets */
	bool shuts_when_sent; /* half close once all is sent */
	bool closes_when_ended;
	bool inside; /* a call of ours on the stream is under way: nothing may be told */
	uint32_t connects, datas, ends, errors, sents, closes;
	int error; /* of on_connected or on_error */
	void (*on_data)(struct peer *peer);
	void (*on_sent)(struct peer *peer);
	void (*on_told)(struct peer *peer); /* on_connected, on_end, on_error */
	char buffer[PEER_BYTES];
};

/* The back end under test, from the command line: uring, epoll, epoll_batched
 * or simulated. Returns 77, which is meson's word for skipped, where the kernel refuses it. */
int world_choose(int argument_count, char **arguments);
enum loop_io world_io(void);

int world_setup(void **state);
int world_teardown(void **state);

/* Listens on 127.0.0.1 and makes a peer of each connection. */
void world_listen(struct world *world);
void world_stop_listening(struct world *world);
void world_turn(struct world *world);
#define world_until(world, condition)      \
	do {                               \
		(world)->turns = 0;        \
		while (!(condition))       \
			world_turn(world); \
	} while (0)

struct peer *peer_new(struct world *world);
struct peer *peer_adopt(struct world *world, int descriptor);
struct peer *peer_connect(struct world *world);
/* Connects and waits until both sides know; *ret_server is who was accepted. */
struct peer *peer_connect_both(struct world *world, struct peer **ret_server);
/* Sends `bytes` of the pattern of `nonce`. */
void peer_send(struct peer *peer, uint64_t nonce, uint64_t bytes);
bool peer_sent(const struct peer *peer);
void peer_read(struct peer *peer, bool wanted);
void peer_close(struct peer *peer);
/* Closes it if need be, waits for on_closed, frees it. */
void peer_free(struct peer *peer);

uint32_t count_descriptors(void);

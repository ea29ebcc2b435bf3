#include "loop/testing_internal.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "loop/batch_internal.h"

static enum loop_io chosen;
static bool chosen_batched;

static uint8_t pattern_byte(uint64_t nonce, uint64_t position)
{
	const uint64_t word = (nonce + (position >> 3)) * 0x9e3779b97f4a7c15ull;

	return (uint8_t)(word >> (8 * (position & 7)));
}

/* ---- worlds ---- */

static int choose_batched(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
	struct loop_batch *batch = loop_batch_new(4096);
	if (batch == NULL) {
		printf("skipped: Linux AIO is refused\n");
		return 77;
	}
	loop_batch_free(batch);
	return 0;
}

int world_choose(int argument_count, char **arguments)
{
	const char *name = argument_count == 2 ? arguments[1] : "";
	const struct loop_options options = {.io = LOOP_IO_URING};
	struct loop *loop;
	struct fault fault = {0};

	if (strcmp(name, "epoll") == 0) {
		chosen = LOOP_IO_EPOLL;
	} else if (strcmp(name, "epoll_batched") == 0) {
		chosen = LOOP_IO_EPOLL;
		chosen_batched = true;
		return choose_batched();
	} else if (strcmp(name, "simulated") == 0) {
		chosen = LOOP_IO_SIMULATED;
	} else if (strcmp(name, "uring") == 0) {
		chosen = LOOP_IO_URING;
		if (loop_new(&options, &loop, &fault) < 0) {
			printf("skipped: %s\n", fault.text);
			return 77;
		}
		loop_free(loop);
	} else {
		fprintf(stderr, "usage: %s uring|epoll|epoll_batched|simulated\n", arguments[0]);
		return 2;
	}
	return 0;
}

enum loop_io world_io(void)
{
	return chosen;
}

static uint64_t seed_of_run(void)
{
	const char *text = getenv("SEED");
	uint64_t seed;

	if (text == NULL || !slice_to_u64(slice_of(text), UINT64_MAX, &seed))
		seed = random_u64(random_system());
	printf("SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

int world_setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	const uint64_t seed = seed_of_run();
	struct simulated_options simulated = {.seed = seed};
	struct fault fault = {0};

	world->io = chosen;
	random_seeded_init(&world->random, seed);
	if (chosen == LOOP_IO_SIMULATED) {
		clock_manual_init(&world->clock, CLOCK_NS_PER_S, 1700000000 * CLOCK_NS_PER_S);
		world->network = simulated_network_new(&simulated, &world->clock);
	}
	/* Few and small buffers, so that running out of them is ordinary. */
	const struct loop_options options = {.io = chosen,
					     .batched = chosen_batched,
					     .network = world->network,
					     .receive_buffers = 16,
					     .receive_buffer_bytes = 4096};
	if (loop_new(&options, &world->loop, &fault) < 0)
		fail_msg("%s", fault.text);
	*state = world;
	return 0;
}

int world_teardown(void **state)
{
	struct world *world = *state;

	world_stop_listening(world);
	for (uint32_t i = 0; i < world->accepted_count; i++)
		peer_free(world->accepted[i]);
	loop_free(world->loop);
	if (world->network != NULL)
		simulated_network_free(world->network);
	free(world);
	return 0;
}

void world_turn(struct world *world)
{
	struct fault fault = {0};

	if (loop_turn(world->loop, CLOCK_NS_PER_S, &fault) < 0)
		fail_msg("%s", fault.text);
	if (++world->turns > WORLD_TURNS)
		fail_msg("what was waited for has not come in %d turns", WORLD_TURNS);
}

static void on_accept(struct loop_listener *listener, int descriptor)
{
	struct world *world =
		(struct world *)(void *)((char *)listener - offsetof(struct world, listener));

	assert_true(world->accepted_count < PEERS_MAX);
	struct peer *peer = peer_adopt(world, descriptor);
	world->accepted[world->accepted_count++] = peer;
	if (world->on_accepted != NULL)
		world->on_accepted(peer);
}

static void on_listener_closed(struct loop_listener *listener)
{
	struct world *world =
		(struct world *)(void *)((char *)listener - offsetof(struct world, listener));

	assert_true(world->listening);
	world->listening = false;
}

void world_listen(struct world *world)
{
	struct fault fault = {0};

	world->listener.on_accept = on_accept;
	world->listener.on_closed = on_listener_closed;
	assert_int_equal(loop_address_parse(slice_of("127.0.0.1:0"), &world->address, &fault), 0);
	if (loop_listener_open(world->loop, &world->listener, &world->address, &fault) < 0)
		fail_msg("%s", fault.text);
	world->listening = true;
	loop_listener_address(&world->listener, &world->address);
}

void world_stop_listening(struct world *world)
{
	if (!world->listening)
		return;
	loop_listener_close(&world->listener);
	assert_true(world->listening);
	world_until(world, !world->listening);
}

/* ---- peers ---- */

static struct peer *peer_of(struct loop_stream *stream)
{
	struct peer *peer = (struct peer *)(void *)stream;

	assert_false(peer->inside);
	assert_int_equal(peer->closes, 0);
	return peer;
}

/* Nothing but on_closed after loop_stream_close, nothing after an error. */
static void assert_may_speak(const struct peer *peer)
{
	assert_false(loop_stream_closing(&peer->stream));
	assert_int_equal(peer->errors, 0);
}

static void told(struct peer *peer)
{
	if (peer->on_told != NULL)
		peer->on_told(peer);
}

static void send_more(struct peer *peer)
{
	const uint64_t left = peer->send_until - peer->send_position;
	const size_t length = left < PEER_BYTES ? (size_t)left : PEER_BYTES;
	struct iovec parts[3];
	uint32_t count = 0;

	if (length == 0) {
		if (peer->shuts_when_sent)
			loop_stream_shutdown(&peer->stream);
		return;
	}
	for (size_t i = 0; i < length; i++)
		peer->buffer[i] = (char)pattern_byte(peer->send_nonce, peer->send_position + i);
	/* In one to three parts. */
	const size_t first = random_below(&peer->world->random.random, length + 1);
	const size_t second = random_below(&peer->world->random.random, length - first + 1);
	const size_t lengths[] = {first, second, length - first - second};
	char *at = peer->buffer;
	for (int i = 0; i < 3; i++) {
		if (lengths[i] > 0)
			parts[count++] = (struct iovec){.iov_base = at, .iov_len = lengths[i]};
		at += lengths[i];
	}
	peer->send_position += length;
	peer->inside = true;
	loop_stream_send(&peer->stream, parts, count);
	peer->inside = false;
}

static void on_connected(struct loop_stream *stream, int error)
{
	struct peer *peer = peer_of(stream);

	assert_may_speak(peer);
	peer->connects++;
	assert_int_equal(peer->connects, 1);
	peer->error = error;
	told(peer);
}

static void on_data(struct loop_stream *stream, struct slice bytes)
{
	struct peer *peer = peer_of(stream);

	assert_may_speak(peer);
	assert_true(bytes.length > 0);
	assert_int_equal(peer->ends, 0);
	peer->datas++;
	if (peer->echoes) {
		const struct iovec part = {.iov_base = peer->buffer, .iov_len = bytes.length};
		assert_false(loop_stream_sending(stream));
		memcpy(peer->buffer, bytes.data, bytes.length);
		peer_read(peer, false);
		loop_stream_send(stream, &part, 1);
	}
	for (size_t i = 0; i < bytes.length && peer->nonce_known; i++)
		if ((uint8_t)bytes.data[i] !=
		    pattern_byte(peer->receive_nonce, peer->receive_position + i))
			fail_msg("byte %llu is not the one that was sent",
				 (unsigned long long)(peer->receive_position + i));
	peer->receive_position += bytes.length;
	if (peer->on_data != NULL)
		peer->on_data(peer);
}

static void on_sent(struct loop_stream *stream)
{
	struct peer *peer = peer_of(stream);

	assert_may_speak(peer);
	assert_false(loop_stream_sending(stream));
	peer->sents++;
	if (peer->echoes)
		peer_read(peer, true);
	else
		send_more(peer);
	if (peer->on_sent != NULL)
		peer->on_sent(peer);
}

static void on_end(struct loop_stream *stream)
{
	struct peer *peer = peer_of(stream);

	assert_may_speak(peer);
	peer->ends++;
	assert_int_equal(peer->ends, 1);
	told(peer);
	if (peer->closes_when_ended)
		peer_close(peer);
}

static void on_error(struct loop_stream *stream, int error)
{
	struct peer *peer = peer_of(stream);

	assert_may_speak(peer);
	assert_true(error > 0);
	peer->errors++;
	peer->error = error;
	told(peer);
}

static void on_closed(struct loop_stream *stream)
{
	struct peer *peer = peer_of(stream);

	assert_true(loop_stream_closing(stream));
	peer->closes++;
}

static const struct loop_stream_events events = {
	.on_connected = on_connected,
	.on_data = on_data,
	.on_end = on_end,
	.on_sent = on_sent,
	.on_error = on_error,
	.on_closed = on_closed,
};

struct peer *peer_new(struct world *world)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	assert_non_null(peer);
	peer->world = world;
	return peer;
}

struct peer *peer_adopt(struct world *world, int descriptor)
{
	struct peer *peer = peer_new(world);

	loop_stream_adopt(world->loop, &peer->stream, descriptor, &events);
	return peer;
}

struct peer *peer_connect(struct world *world)
{
	struct peer *peer = peer_new(world);
	struct loop_address address = world->address;

	peer->inside = true;
	loop_stream_connect(world->loop, &peer->stream, &address, &events);
	peer->inside = false;
	memset(&address, 0xff, sizeof(address)); /* it is the caller's again */
	return peer;
}

struct peer *peer_connect_both(struct world *world, struct peer **ret_server)
{
	const uint32_t before = world->accepted_count;
	struct peer *client = peer_connect(world);

	world_until(world, client->connects == 1 && world->accepted_count == before + 1);
	assert_int_equal(client->error, 0);
	*ret_server = world->accepted[before];
	return client;
}

void peer_send(struct peer *peer, uint64_t nonce, uint64_t bytes)
{
	peer->send_nonce = nonce;
	peer->send_position = 0;
	peer->send_until = bytes;
	send_more(peer);
}

bool peer_sent(const struct peer *peer)
{
	return peer->send_position == peer->send_until && !loop_stream_sending(&peer->stream);
}

void peer_read(struct peer *peer, bool wanted)
{
	const bool was = peer->inside;

	peer->inside = true;
	loop_stream_read(&peer->stream, wanted);
	peer->inside = was;
}

void peer_close(struct peer *peer)
{
	peer->inside = true;
	loop_stream_close(&peer->stream);
	peer->inside = false;
	assert_true(loop_stream_closing(&peer->stream));
}

void peer_free(struct peer *peer)
{
	if (!loop_stream_closing(&peer->stream))
		peer_close(peer);
	world_until(peer->world, peer->closes == 1);
	free(peer);
}

uint32_t count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	uint32_t count = 0;

	assert_non_null(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

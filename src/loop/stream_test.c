/* Streams, on the back end that the command line names. */
#include "loop/testing_internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS 1000

static uint64_t draw(struct world *world, uint64_t bound)
{
	return random_below(&world->random.random, bound);
}

static void expect(struct peer *peer, uint64_t nonce)
{
	peer->receive_nonce = nonce;
	peer->nonce_known = true;
	peer->receive_position = 0;
	peer_read(peer, true);
}

static void echo_accepted(struct peer *peer)
{
	peer->echoes = true;
	peer->closes_when_ended = true;
	peer_read(peer, true);
}

static uint32_t count_closed(const struct world *world)
{
	uint32_t closed = 0;

	for (uint32_t i = 0; i < world->accepted_count; i++)
		closed += world->accepted[i]->closes;
	return closed;
}

/* `count` connections at once, each of which sends up to `bytes_max` and gets it back. */
static void echo_many(struct world *world, uint32_t count, uint64_t bytes_max)
{
	struct peer **clients = calloc(count, sizeof(*clients));

	world->on_accepted = echo_accepted;
	world_listen(world);
	for (uint32_t i = 0; i < count; i++)
		clients[i] = peer_connect(world);
	for (uint32_t i = 0; i < count; i++) {
		world_until(world, clients[i]->connects == 1);
		assert_int_equal(clients[i]->error, 0);
		const uint64_t nonce = random_u64(&world->random.random);
		expect(clients[i], nonce);
		peer_send(clients[i], nonce, 1 + draw(world, bytes_max));
	}
	for (uint32_t i = 0; i < count; i++) {
		world_until(world, clients[i]->receive_position == clients[i]->send_until);
		assert_int_equal(clients[i]->errors, 0);
	}
	for (uint32_t i = 0; i < count; i++)
		peer_free(clients[i]);
	world_until(world, count_closed(world) == count);
	free(clients);
}

static void echoes_of_random_sizes_come_back_to_their_own_connection(void **state)
{
	echo_many(*state, 40, 400000);
}

static void a_thousand_connections_echo_and_leave_no_descriptor(void **state)
{
	struct world *world = *state;
	const uint32_t before = count_descriptors();

	echo_many(world, CONNECTIONS, 2000);
	world_stop_listening(world);
	assert_int_equal(count_descriptors(), before);
}

static void pause_at_random(struct peer *peer)
{
	if (draw(peer->world, 3) == 0)
		peer_read(peer, false);
}

static void pausing_at_random_loses_and_reorders_nothing(void **state)
{
	struct world *world = *state;
	struct peer *server;
	const uint64_t bytes = 3000000;

	world_listen(world);
	struct peer *client = peer_connect_both(world, &server);
	server->on_data = pause_at_random;
	expect(server, 7);
	client->shuts_when_sent = true;
	peer_send(client, 7, bytes);
	while (server->ends == 0) {
		const uint32_t datas = server->datas;
		/* Off: several turns bring nothing. */
		peer_read(server, false);
		for (int i = 0; i < 3; i++)
			assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
		assert_int_equal(server->datas, datas);
		assert_int_equal(server->ends, 0);
		peer_read(server, true);
		world_until(world, server->datas > datas || server->ends == 1);
	}
	assert_int_equal(server->receive_position, bytes);
	assert_int_equal(server->errors, 0);
	peer_free(client);
}

static void off_and_on_in_one_breath_changes_nothing(void **state)
{
	struct world *world = *state;
	struct peer *server;

	world_listen(world);
	struct peer *client = peer_connect_both(world, &server);
	expect(server, 1);
	peer_send(client, 1, 500000);
	while (server->receive_position < 500000) {
		peer_read(server, false);
		peer_read(server, true);
		world_turn(world);
		peer_read(server, false);
		peer_read(server, true);
		assert_true(++world->turns < WORLD_TURNS);
	}
	peer_free(client);
}

static void the_end_is_held_back_while_reading_is_off(void **state)
{
	struct world *world = *state;
	struct peer *server;

	world_listen(world);
	struct peer *client = peer_connect_both(world, &server);
	expect(server, 3);
	peer_read(server, false);
	client->shuts_when_sent = true;
	peer_send(client, 3, 20000);
	world_until(world, peer_sent(client));
	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
	assert_int_equal(server->ends + server->datas, 0);
	peer_read(server, true);
	world_until(world, server->ends == 1);
	assert_int_equal(server->receive_position, 20000);
	peer_free(client);
}

static void after_a_half_close_the_other_direction_goes_on(void **state)
{
	struct world *world = *state;
	struct peer *server;

	world_listen(world);
	struct peer *client = peer_connect_both(world, &server);
	expect(server, 11);
	expect(client, 12);
	client->shuts_when_sent = true;
	peer_send(client, 11, 100000);
	world_until(world, server->ends == 1);
	assert_int_equal(server->receive_position, 100000);
	server->shuts_when_sent = true;
	peer_send(server, 12, 700000);
	world_until(world, client->ends == 1);
	assert_int_equal(client->receive_position, 700000);
	assert_int_equal(client->errors + server->errors, 0);
	peer_free(client);
}

static void shutdown_waits_for_the_send_under_way(void **state)
{
	struct world *world = *state;
	struct peer *server;

	world_listen(world);
	struct peer *client = peer_connect_both(world, &server);
	expect(server, 5);
	peer_send(client, 5, PEER_BYTES);
	loop_stream_shutdown(&client->stream);
	world_until(world, server->ends == 1);
	assert_int_equal(server->receive_position, PEER_BYTES);
	peer_free(client);
}

/* Closing with bytes unread makes the peer hear a reset. */
static void a_reset_is_told_once_and_after_what_came_before(void **state)
{
	struct world *world = *state;
	struct peer *server;

	world_listen(world);
	struct peer *client = peer_connect_both(world, &server);
	expect(client, 21);
	peer_read(client, false);
	peer_send(client, 22, 1000); /* never read */
	peer_send(server, 21, 5000);
	world_until(world, peer_sent(client) && peer_sent(server));
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_turn(world->loop, CLOCK_NS_PER_MS, NULL), 0);
	peer_close(server);
	world_until(world, server->closes == 1);
	peer_read(client, true);
	world_until(world, client->errors == 1);
	assert_int_equal(client->error, ECONNRESET);
	assert_int_equal(client->receive_position, 5000);
	assert_int_equal(client->ends, 0);
	assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
	assert_int_equal(client->errors, 1);
	peer_free(client);
}

static void sending_to_a_closed_peer_fails_once_and_is_silent_after(void **state)
{
	struct world *world = *state;
	struct peer *server;

	world_listen(world);
	struct peer *client = peer_connect_both(world, &server);
	peer_close(server);
	world_until(world, server->closes == 1);
	/* Reading is off: the failed send is told nevertheless. */
	peer_send(client, 1, 1000ull * PEER_BYTES);
	world_until(world, client->errors == 1);
	assert_true(client->error == EPIPE || client->error == ECONNRESET);
	const uint32_t sents = client->sents;
	peer_send(client, 1, 10);
	assert_false(loop_stream_sending(&client->stream));
	loop_stream_shutdown(&client->stream);
	peer_read(client, true);
	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
	assert_int_equal(client->sents, sents);
	assert_int_equal(client->errors, 1);
	peer_free(client);
}

static void closing_during_a_blocked_send_ends_in_one_on_closed(void **state)
{
	struct world *world = *state;
	struct peer *server;

	world_listen(world);
	struct peer *client = peer_connect_both(world, &server);
	peer_send(client, 1, 1ull << 40); /* the server does not read */
	for (int i = 0; i < 200; i++)
		assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
	assert_true(loop_stream_sending(&client->stream));
	peer_close(client);
	loop_stream_close(&client->stream); /* twice is once */
	assert_int_equal(client->closes, 0);
	world_until(world, client->closes == 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
	peer_free(client);
}

static void close_self(struct peer *peer)
{
	peer_close(peer);
	assert_int_equal(peer->closes, 0);
}

static void closing_from_its_own_callbacks_is_safe(void **state)
{
	struct world *world = *state;
	struct peer *server;

	world_listen(world);
	for (int way = 0; way < 3; way++) {
		struct peer *client = peer_connect_both(world, &server);
		if (way == 0)
			server->on_data = close_self;
		else if (way == 1)
			server->on_told = close_self;
		else
			client->on_sent = close_self;
		expect(server, 9);
		client->shuts_when_sent = way == 1;
		peer_send(client, 9, way == 2 ? 1000 : 100000);
		if (way == 2)
			world_until(world, client->closes == 1);
		else
			world_until(world, server->closes == 1);
		peer_free(client);
	}
}

static void close_all_accepted(struct peer *peer)
{
	struct world *world = peer->world;

	for (uint32_t i = 0; i < world->accepted_count; i++)
		if (!loop_stream_closing(&world->accepted[i]->stream))
			peer_close(world->accepted[i]);
}

static void one_callback_may_close_all_others_of_its_batch(void **state)
{
	struct world *world = *state;
	struct peer *clients[50];

	world_listen(world);
	for (int i = 0; i < 50; i++) {
		struct peer *server;
		clients[i] = peer_connect_both(world, &server);
		expect(server, 1);
		server->on_data = close_all_accepted;
	}
	for (int i = 0; i < 50; i++)
		peer_send(clients[i], 1, 5000);
	world_until(world, count_closed(world) == 50);
	for (int i = 0; i < 50; i++)
		peer_free(clients[i]);
}

static void pause_all_others(struct peer *peer)
{
	struct world *world = peer->world;

	for (uint32_t i = 0; i < world->accepted_count; i++)
		if (world->accepted[i] != peer)
			peer_read(world->accepted[i], false);
}

/* What the back end had received for them by then is told later, whole and in order. */
static void one_callback_may_pause_all_others_of_its_batch(void **state)
{
	enum { BATCH = 6, BYTES = 20000 };
	struct world *world = *state;
	struct peer *clients[BATCH];

	world_listen(world);
	for (uint32_t i = 0; i < BATCH; i++) {
		struct peer *server;
		clients[i] = peer_connect_both(world, &server);
		expect(server, 40 + i);
		server->on_data = pause_all_others;
	}
	for (uint32_t i = 0; i < BATCH; i++)
		peer_send(clients[i], 40 + i, BYTES);
	for (uint32_t whole = 0; whole < BATCH;) {
		world_turn(world);
		whole = 0;
		for (uint32_t i = 0; i < BATCH; i++) {
			whole += world->accepted[i]->receive_position == BYTES;
			peer_read(world->accepted[i], true);
		}
	}
	for (uint32_t i = 0; i < BATCH; i++)
		peer_free(clients[i]);
}

static void closing_while_connecting_tells_nothing_but_closed(void **state)
{
	struct world *world = *state;

	world_listen(world);
	for (int i = 0; i < 20; i++) {
		struct peer *client = peer_connect(world);
		if (i % 2 == 0)
			assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
		if (client->connects == 0)
			peer_close(client);
		const uint32_t connects = client->connects;
		world_until(world, client->closes == 1 || connects == 1);
		assert_int_equal(client->connects, connects);
		peer_free(client);
	}
}

static void connecting_where_nobody_listens_is_refused(void **state)
{
	struct world *world = *state;

	world_listen(world);
	world_stop_listening(world);
	struct peer *client = peer_connect(world);
	world_until(world, client->connects == 1);
	assert_int_equal(client->error, ECONNREFUSED);
	peer_free(client);
}

/* ---- where the kernel is under it ---- */

static void a_socket_file_that_is_not_there_is_told_as_such(void **state)
{
	struct world *world = *state;

	assert_int_equal(
		loop_address_parse(slice_of("unix:/nonexistent/socket"), &world->address, NULL), 0);
	struct peer *client = peer_connect(world);
	world_until(world, client->connects == 1);
	assert_int_equal(client->error, ENOENT);
	peer_free(client);
}

static void a_reset_by_the_kernel_reaches_who_reads(void **state)
{
	struct world *world = *state;
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct loop_address address;

	world_listen(world);
	loop_listener_address(&world->listener, &address);
	const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, &address.any, address.length), 0);
	world_until(world, world->accepted_count == 1);
	struct peer *server = world->accepted[0];
	peer_read(server, true);
	world_turn(world);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(client);
	world_until(world, server->errors == 1);
	assert_int_equal(server->error, ECONNRESET);
}

static void socketpairs_are_streams_too(void **state)
{
	struct world *world = *state;
	int pair[2];
	char bytes[4];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct peer *peer = peer_adopt(world, pair[0]);
	peer_send(peer, 1, 4);
	world_until(world, peer_sent(peer));
	assert_int_equal(read(pair[1], bytes, sizeof(bytes)), 4);
	expect(peer, 1);
	assert_int_equal(write(pair[1], bytes, sizeof(bytes)), 4);
	close(pair[1]);
	world_until(world, peer->ends == 1);
	assert_int_equal(peer->receive_position, 4);
	peer_free(peer);
}

/* ---- anything goes ---- */

/* Clients come, send, pause and go at random; whatever they were told must have been right, and
 * in the end everything is closed. */
static void random_lives_end_in_order(void **state)
{
	struct world *world = *state;
	struct peer *clients[64] = {0};

	world->on_accepted = echo_accepted;
	world_listen(world);
	for (int step = 0; step < 1200; step++) {
		struct peer **at = &clients[draw(world, 64)];
		if (*at == NULL && world->accepted_count < PEERS_MAX - 100) {
			*at = peer_connect(world);
		} else if (*at != NULL && (*at)->connects == 0) {
			if (draw(world, 4) == 0)
				peer_close(*at);
		} else if (*at != NULL && draw(world, 5) == 0) {
			peer_close(*at);
		} else if (*at != NULL && peer_sent(*at) && !loop_stream_closing(&(*at)->stream)) {
			peer_send(*at, draw(world, 100), draw(world, 100000));
		} else if (*at != NULL && !loop_stream_closing(&(*at)->stream)) {
			peer_read(*at, draw(world, 2) == 0);
		}
		assert_int_equal(loop_turn(world->loop, 0, NULL), 0);
		if (*at != NULL && loop_stream_closing(&(*at)->stream)) {
			peer_free(*at);
			*at = NULL;
		}
	}
	for (int i = 0; i < 64; i++)
		if (clients[i] != NULL)
			peer_free(clients[i]);
}

#define world_test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(int argument_count, char **arguments)
{
	const struct CMUnitTest everywhere[] = {
		world_test(echoes_of_random_sizes_come_back_to_their_own_connection),
		world_test(a_thousand_connections_echo_and_leave_no_descriptor),
		world_test(pausing_at_random_loses_and_reorders_nothing),
		world_test(off_and_on_in_one_breath_changes_nothing),
		world_test(the_end_is_held_back_while_reading_is_off),
		world_test(after_a_half_close_the_other_direction_goes_on),
		world_test(shutdown_waits_for_the_send_under_way),
		world_test(a_reset_is_told_once_and_after_what_came_before),
		world_test(sending_to_a_closed_peer_fails_once_and_is_silent_after),
		world_test(closing_during_a_blocked_send_ends_in_one_on_closed),
		world_test(closing_from_its_own_callbacks_is_safe),
		world_test(one_callback_may_close_all_others_of_its_batch),
		world_test(one_callback_may_pause_all_others_of_its_batch),
		world_test(closing_while_connecting_tells_nothing_but_closed),
		world_test(connecting_where_nobody_listens_is_refused),
		world_test(random_lives_end_in_order),
	};
	const struct CMUnitTest with_a_kernel[] = {
		world_test(a_socket_file_that_is_not_there_is_told_as_such),
		world_test(a_reset_by_the_kernel_reaches_who_reads),
		world_test(socketpairs_are_streams_too),
	};
	const int chosen = world_choose(argument_count, arguments);

	if (chosen != 0)
		return chosen;
	int failed = cmocka_run_group_tests(everywhere, NULL, NULL);
	if (world_io() != LOOP_IO_SIMULATED)
		failed += cmocka_run_group_tests(with_a_kernel, NULL, NULL);
	return failed;
}

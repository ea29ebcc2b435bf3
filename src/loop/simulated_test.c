#include "loop/simulated.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CLIENTS 10

/* Clients of one loop send to a server of another, which echoes; every event goes into a hash
 * with its virtual time. */
struct town {
	struct clock_manual clock;
	struct simulated_network *network;
	struct loop *server_loop, *client_loop;
	struct loop_listener listener;
	struct citizen *citizens[CLIENTS * 3];
	uint32_t citizen_count;
	uint64_t history;
	uint32_t echoed, failed;
};

struct citizen {
	struct loop_stream stream; /* first */
	struct town *town;
	bool server, closed;
	uint32_t received;
	char bytes[65536];
};

static void note(struct town *town, uint64_t what)
{
	town->history ^= what + clock_monotonic_ns(&town->clock.clock);
	town->history *= 0x100000001b3ull;
}

static void on_connected(struct loop_stream *stream, int error)
{
	struct citizen *citizen = (struct citizen *)(void *)stream;
	const struct iovec part = {.iov_base = citizen->bytes, .iov_len = 3000};

	note(citizen->town, 1000 + (uint64_t)error);
	if (error != 0) {
		citizen->town->failed++;
		loop_stream_close(stream);
		return;
	}
	loop_stream_read(stream, true);
	loop_stream_send(stream, &part, 1);
}

static void on_data(struct loop_stream *stream, struct slice bytes)
{
	struct citizen *citizen = (struct citizen *)(void *)stream;
	const struct iovec part = {.iov_base = citizen->bytes, .iov_len = bytes.length};

	note(citizen->town, bytes.length);
	citizen->received += (uint32_t)bytes.length;
	if (citizen->server) {
		loop_stream_read(stream, false);
		loop_stream_send(stream, &part, 1);
	} else if (citizen->received == 3000) {
		citizen->town->echoed++;
		loop_stream_close(stream);
	}
}

static void on_sent(struct loop_stream *stream)
{
	loop_stream_read(stream, true);
}

static void on_end(struct loop_stream *stream)
{
	loop_stream_close(stream);
}

static void on_error(struct loop_stream *stream, int error)
{
	struct citizen *citizen = (struct citizen *)(void *)stream;

	note(citizen->town, 2000 + (uint64_t)error);
	if (!citizen->server)
		citizen->town->failed++;
	loop_stream_close(stream);
}

static void on_closed(struct loop_stream *stream)
{
	((struct citizen *)(void *)stream)->closed = true;
}

static const struct loop_stream_events events = {
	.on_connected = on_connected,
	.on_data = on_data,
	.on_end = on_end,
	.on_sent = on_sent,
	.on_error = on_error,
	.on_closed = on_closed,
};

static struct citizen *citizen_new(struct town *town, bool server)
{
	struct citizen *citizen = calloc(1, sizeof(*citizen));

	citizen->town = town;
	citizen->server = server;
	assert_true(town->citizen_count < CLIENTS * 3);
	town->citizens[town->citizen_count++] = citizen;
	return citizen;
}

static struct town *town_of(struct loop_listener *listener)
{
	return (struct town *)(void *)((char *)listener - offsetof(struct town, listener));
}

static void on_accept(struct loop_listener *listener, int descriptor)
{
	struct citizen *citizen = citizen_new(town_of(listener), true);

	loop_stream_adopt(listener->loop, &citizen->stream, descriptor, &events);
	loop_stream_read(&citizen->stream, true);
}

static void on_listener_closed(struct loop_listener *listener)
{
	(void)listener;
}

static void town_begin(struct town *town, struct simulated_options options)
{
	struct loop_options loop_options = {.io = LOOP_IO_SIMULATED};
	struct loop_address address;

	memset(town, 0, sizeof(*town));
	clock_manual_init(&town->clock, 5 * CLOCK_NS_PER_S, 1700000000 * CLOCK_NS_PER_S);
	town->network = simulated_network_new(&options, &town->clock);
	loop_options.network = town->network;
	assert_int_equal(loop_new(&loop_options, &town->server_loop, NULL), 0);
	assert_int_equal(loop_new(&loop_options, &town->client_loop, NULL), 0);
	town->listener.on_accept = on_accept;
	town->listener.on_closed = on_listener_closed;
	assert_int_equal(loop_address_parse(slice_of("unix:/town"), &address, NULL), 0);
	assert_int_equal(loop_listener_open(town->server_loop, &town->listener, &address, NULL), 0);
	for (int i = 0; i < CLIENTS; i++)
		loop_stream_connect(town->client_loop, &citizen_new(town, false)->stream, &address,
				    &events);
}

static void town_end(struct town *town)
{
	for (uint32_t i = 0; i < town->citizen_count; i++)
		if (!town->citizens[i]->closed)
			loop_stream_close(&town->citizens[i]->stream);
	loop_listener_close(&town->listener);
	simulated_network_run(town->network, UINT64_MAX);
	for (uint32_t i = 0; i < town->citizen_count; i++) {
		assert_true(town->citizens[i]->closed);
		free(town->citizens[i]);
	}
	loop_free(town->server_loop);
	loop_free(town->client_loop);
	simulated_network_free(town->network);
}

static uint64_t history_of(struct simulated_options options, uint32_t *ret_failed)
{
	struct town town;

	town_begin(&town, options);
	simulated_network_run(town.network, UINT64_MAX);
	assert_int_equal(town.echoed + town.failed, CLIENTS);
	*ret_failed = town.failed;
	town_end(&town);
	return town.history;
}

static void the_same_seed_gives_the_same_history_and_another_a_different_one(void **state)
{
	uint32_t failed;
	const uint64_t first = history_of((struct simulated_options){.seed = 1}, &failed);

	(void)state;
	assert_int_equal(failed, 0);
	assert_true(history_of((struct simulated_options){.seed = 1}, &failed) == first);
	assert_true(history_of((struct simulated_options){.seed = 2}, &failed) != first);
}

static void resets_and_refusals_come_as_often_as_asked(void **state)
{
	uint32_t failed;

	(void)state;
	history_of((struct simulated_options){.seed = 3, .refused_per_million = 1000000}, &failed);
	assert_int_equal(failed, CLIENTS);
	history_of((struct simulated_options){.seed = 3, .resets_per_million = 1000000}, &failed);
	assert_int_equal(failed, CLIENTS);
	for (uint64_t seed = 0; seed < 200; seed++)
		history_of((struct simulated_options){.seed = seed,
						      .resets_per_million = 100000,
						      .refused_per_million = 100000,
						      .piece_bytes_max = 500,
						      .window_bytes = 700},
			   &failed);
}

static void a_cut_cable_resets_and_refuses_until_it_is_joined(void **state)
{
	struct town town;
	struct loop_address address;

	(void)state;
	/* At 20 ms they are connected, at 30 ms the server has what they sent. */
	town_begin(&town, (struct simulated_options){.seed = 4,
						     .delay_least_ns = 10 * CLOCK_NS_PER_MS,
						     .delay_most_ns = 10 * CLOCK_NS_PER_MS});
	simulated_network_run(town.network,
			      clock_monotonic_ns(&town.clock.clock) + 35 * CLOCK_NS_PER_MS);
	assert_int_equal(town.echoed, 0);
	simulated_network_cut(town.network, town.server_loop, town.client_loop, true);
	simulated_network_run(town.network, UINT64_MAX);
	assert_int_equal(town.failed, CLIENTS);

	loop_listener_address(&town.listener, &address);
	loop_stream_connect(town.client_loop, &citizen_new(&town, false)->stream, &address,
			    &events);
	simulated_network_run(town.network, UINT64_MAX);
	assert_int_equal(town.failed, CLIENTS + 1);
	assert_int_equal(town.echoed, 0);
	town_end(&town);
}

static void descriptors_run_out_and_come_back(void **state)
{
	struct town town;

	(void)state;
	/* Room for the listener, the clients and three of the connections that they wait for. */
	town_begin(&town,
		   (struct simulated_options){.seed = 5, .descriptors_max = 1 + CLIENTS + 3});
	simulated_network_run(town.network, UINT64_MAX);
	assert_int_equal(town.echoed, CLIENTS);
	town_end(&town);
}

struct bell {
	struct loop_watch watch; /* first */
	struct simulated_network *network;
	uint32_t rung, closed;
};

static void on_bell(struct loop_watch *watch)
{
	struct bell *bell = (struct bell *)(void *)watch;

	if (++bell->rung == 3)
		simulated_signal_set(bell->network, watch->descriptor, false);
}

static void on_bell_closed(struct loop_watch *watch)
{
	((struct bell *)(void *)watch)->closed++;
}

static void a_signal_is_told_while_it_is_raised(void **state)
{
	struct town town;
	struct bell bell = {.watch.on_readable = on_bell, .watch.on_closed = on_bell_closed};

	(void)state;
	town_begin(&town, (struct simulated_options){.seed = 6});
	bell.network = town.network;
	const int signal = simulated_signal_new(town.network);
	loop_watch_open(town.client_loop, &bell.watch, signal);
	simulated_network_run(town.network, UINT64_MAX);
	assert_int_equal(bell.rung, 0);
	simulated_signal_set(town.network, signal, true);
	simulated_network_run(town.network, UINT64_MAX);
	assert_int_equal(bell.rung, 3);
	loop_watch_close(&bell.watch);
	simulated_network_run(town.network, UINT64_MAX);
	assert_int_equal(bell.closed, 1);
	simulated_close(town.network, signal);
	town_end(&town);
}

static void time_stops_where_it_was_told_to(void **state)
{
	struct town town;

	(void)state;
	town_begin(&town, (struct simulated_options){.seed = 7});
	const uint64_t until_ns = clock_monotonic_ns(&town.clock.clock) + CLOCK_NS_PER_S;
	assert_true(simulated_network_run(town.network, until_ns) > 0);
	assert_true(clock_monotonic_ns(&town.clock.clock) == until_ns);
	assert_int_equal(simulated_network_run(town.network, UINT64_MAX), 0);
	assert_true(clock_monotonic_ns(&town.clock.clock) == until_ns);
	town_end(&town);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_gives_the_same_history_and_another_a_different_one),
		cmocka_unit_test(resets_and_refusals_come_as_often_as_asked),
		cmocka_unit_test(a_cut_cable_resets_and_refuses_until_it_is_joined),
		cmocka_unit_test(descriptors_run_out_and_come_back),
		cmocka_unit_test(a_signal_is_told_while_it_is_raised),
		cmocka_unit_test(time_stops_where_it_was_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The network as its user sees it: made, cut, run. */
#include "loop/simulated.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "loop/simulated_internal.h"

#define DELAY_LEAST_NS (10 * CLOCK_NS_PER_US)
#define DELAY_MOST_NS  (100 * CLOCK_NS_PER_US)
#define PIECE_BYTES    16384
#define WINDOW_BYTES   65536
#define DESCRIPTORS    65536

/* ---- life ---- */

struct simulated_network *simulated_network_new(const struct simulated_options *options,
						struct clock_manual *clock)
{
	struct simulated_network *network = calloc(1, sizeof(*network));

	check(network != NULL);
	network->options = *options;
	network->clock = clock;
	network->port_next = 40000;
	if (options->delay_least_ns == 0)
		network->options.delay_least_ns = DELAY_LEAST_NS;
	if (options->delay_most_ns == 0)
		network->options.delay_most_ns = DELAY_MOST_NS;
	if (network->options.delay_most_ns < network->options.delay_least_ns)
		network->options.delay_most_ns = network->options.delay_least_ns;
	if (options->piece_bytes_max == 0)
		network->options.piece_bytes_max = PIECE_BYTES;
	if (options->window_bytes == 0)
		network->options.window_bytes = WINDOW_BYTES;
	if (options->descriptors_max == 0)
		network->options.descriptors_max = DESCRIPTORS;
	random_seeded_init(&network->random, options->seed);
	return network;
}

void simulated_network_free(struct simulated_network *network)
{
	check_equal(network->loop_count, 0);
	while (network->event_count > 0) {
		const struct event event = network_event_take(network);
		free(event.piece);
		network_unref(event.endpoint);
	}
	for (int i = 1; i < network->endpoint_room; i++)
		if (network->endpoints[i] != NULL)
			network_endpoint_close(network, network->endpoints[i]);
	while (network->event_count > 0)
		network_unref(network_event_take(network).endpoint);
	free(network->events);
	free(network->endpoints);
	free(network->loops);
	free(network->cuts);
	free(network);
}

void network_add_loop(struct simulated_network *network, struct loop *loop)
{
	network->loops =
		network_grow(network->loops, network->loop_count + 1, sizeof(*network->loops));
	network->loops[network->loop_count++] = loop;
}

void network_remove_loop(struct simulated_network *network, struct loop *loop)
{
	size_t kept = 0;

	for (size_t i = 0; i < network->loop_count; i++)
		if (network->loops[i] != loop)
			network->loops[kept++] = network->loops[i];
	network->loop_count = kept;
	kept = 0;
	for (size_t i = 0; i < network->cut_count; i++) {
		if (network->cuts[i][0] == loop || network->cuts[i][1] == loop)
			continue;
		memcpy(network->cuts[kept++], network->cuts[i], sizeof(network->cuts[i]));
	}
	network->cut_count = kept;
}

void simulated_network_pair(struct simulated_network *network, int ret_descriptors[2])
{
	struct endpoint *ends[2];

	for (int i = 0; i < 2; i++) {
		ends[i] = network_endpoint_new(network, ENDPOINT_STREAM);
		check(network_endpoint_open(network, ends[i]));
		ret_descriptors[i] = ends[i]->descriptor;
	}
	network_join(ends[0], ends[1]);
	network_unref(ends[0]);
	network_unref(ends[1]);
}

int simulated_signal_new(struct simulated_network *network)
{
	struct endpoint *signal = network_endpoint_new(network, ENDPOINT_SIGNAL);

	check(network_endpoint_open(network, signal));
	network_unref(signal);
	return signal->descriptor;
}

void simulated_signal_set(struct simulated_network *network, int descriptor, bool raised)
{
	struct endpoint *signal = network_endpoint(network, descriptor);

	check_equal(signal->kind, ENDPOINT_SIGNAL);
	signal->raised = raised;
	if (raised)
		network_tell(signal);
}

void simulated_close(struct simulated_network *network, int descriptor)
{
	network_endpoint_close(network, network_endpoint(network, descriptor));
}

/* ---- cables ---- */

bool network_is_cut(const struct simulated_network *network, const struct loop *a,
		    const struct loop *b)
{
	for (size_t i = 0; i < network->cut_count; i++) {
		struct loop *const *cut = network->cuts[i];
		if ((cut[0] == a && cut[1] == b) || (cut[0] == b && cut[1] == a))
			return true;
	}
	return false;
}

void simulated_network_cut(struct simulated_network *network, struct loop *a, struct loop *b,
			   bool cut)
{
	size_t kept = 0;

	for (size_t i = 0; i < network->cut_count; i++) {
		struct loop *const *old = network->cuts[i];
		if ((old[0] == a && old[1] == b) || (old[0] == b && old[1] == a))
			continue;
		memcpy(network->cuts[kept++], network->cuts[i], sizeof(network->cuts[i]));
	}
	network->cut_count = kept;
	if (!cut)
		return;
	network->cuts = network_grow(network->cuts, kept + 1, sizeof(*network->cuts));
	network->cuts[kept][0] = a;
	network->cuts[kept][1] = b;
	network->cut_count++;
	for (int i = 1; i < network->endpoint_room; i++) {
		struct endpoint *end = network->endpoints[i];
		if (end == NULL || end->peer == NULL)
			continue;
		const struct loop *here = end->from, *there = end->peer->from;
		if (!((here == a && there == b) || (here == b && there == a)))
			continue;
		/* Both at once, also one that waits to be accepted. */
		network_reset(end);
		network_reset(end->peer);
	}
}

/* ---- running ---- */

static uint64_t loop_next_ns(struct loop *loop, uint64_t now_ns)
{
	if (loop->ready.next != &loop->ready || loop->task_first != NULL ||
	    atomic_load_explicit(&loop->inbox, memory_order_relaxed) != NULL)
		return now_ns;
	return loop_wheel_next_ns(&loop->wheel, now_ns);
}

/* A turn of each loop that has something to do now, beginning with any of them. */
static uint64_t run_now(struct simulated_network *network)
{
	const uint64_t now_ns = network_now(network);
	uint64_t turns = 0;

	if (network->loop_count == 0)
		return 0;
	const size_t begin = random_below(&network->random.random, network->loop_count);
	for (size_t i = 0; i < network->loop_count; i++) {
		struct loop *loop = network->loops[(begin + i) % network->loop_count];
		if (loop_next_ns(loop, now_ns) > now_ns)
			continue;
		check_equal(loop_turn(loop, 0, NULL), 0);
		turns++;
	}
	return turns;
}

uint64_t simulated_network_run(struct simulated_network *network, uint64_t until_ns)
{
	uint64_t turns = 0;

	for (;;) {
		network_deliver_due(network);
		const uint64_t more = run_now(network);
		turns += more;
		if (more > 0)
			continue;
		const uint64_t now_ns = network_now(network);
		uint64_t next_ns = network_next_ns(network);
		for (size_t i = 0; i < network->loop_count; i++) {
			const uint64_t loop_ns = loop_next_ns(network->loops[i], now_ns);
			if (loop_ns < next_ns)
				next_ns = loop_ns;
		}
		if (next_ns == UINT64_MAX || next_ns > until_ns)
			break;
		network_advance_to(network, next_ns);
	}
	if (until_ns != UINT64_MAX && until_ns > network_now(network))
		network_advance_to(network, until_ns);
	return turns;
}

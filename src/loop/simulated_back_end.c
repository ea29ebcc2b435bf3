/* A simulated loop's side of the network in memory. */
#include "loop/simulated_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"

static struct simulated_network *network_of(const struct loop *loop)
{
	return loop->io;
}

static int simulated_open(struct loop *loop, const struct loop_options *options,
			  struct fault *fault)
{
	(void)fault;
	check(options->network != NULL);
	loop->io = options->network;
	loop->clock = &options->network->clock->clock;
	network_add_loop(options->network, loop);
	return 0;
}

static void simulated_back_end_close(struct loop *loop)
{
	network_remove_loop(network_of(loop), loop);
}

static int simulated_wait(struct loop *loop, uint64_t wait_ns, struct fault *fault)
{
	struct simulated_network *network = network_of(loop);
	const uint64_t now_ns = network_now(network);
	const uint64_t until_ns = wait_ns < UINT64_MAX - now_ns ? now_ns + wait_ns : UINT64_MAX;

	network_deliver_due(network);
	while (loop->ready.next == &loop->ready && network_now(network) < until_ns) {
		const uint64_t next_ns = network_next_ns(network);
		if (next_ns == UINT64_MAX && until_ns == UINT64_MAX)
			return fault_set(
				fault, FAULT_CONFLICT,
				"nothing in the simulated network will ever wake the loop");
		network_advance_to(network, next_ns < until_ns ? next_ns : until_ns);
		network_deliver_due(network);
	}
	return 0;
}

/* All that happens is told by the ready list. */
static void simulated_dispatch(struct loop *loop)
{
	(void)loop;
}

static void simulated_wake(struct loop *loop)
{
	(void)loop;
}

/* ---- streams ---- */

static struct endpoint *endpoint_of(const struct loop_stream *stream)
{
	return network_endpoint(network_of(stream->loop), stream->descriptor);
}

static void stream_own(struct loop_stream *stream)
{
	struct endpoint *endpoint = endpoint_of(stream);

	check_equal(endpoint->kind, ENDPOINT_STREAM);
	check(endpoint->owner == NULL);
	endpoint->loop = endpoint->from = stream->loop;
	endpoint->owner = &stream->ready;
}

static void simulated_stream_adopt(struct loop_stream *stream)
{
	stream_own(stream);
}

static void simulated_stream_connect(struct loop_stream *stream, const struct loop_address *address)
{
	struct simulated_network *network = network_of(stream->loop);
	struct endpoint *endpoint = network_endpoint_new(network, ENDPOINT_STREAM);

	if (network_endpoint_open(network, endpoint)) {
		stream->descriptor = endpoint->descriptor;
		stream_own(stream);
		network_connect(network, endpoint, address);
	} else {
		stream->state |= LOOP_STREAM_CONNECTED;
		loop_stream_fail(stream, EMFILE);
	}
	network_unref(endpoint);
}

static void simulated_stream_read(struct loop_stream *stream)
{
	const struct endpoint *endpoint = endpoint_of(stream);

	/* With nothing to tell the turn must be free to wait: only then time goes on. */
	if ((stream->state & LOOP_STREAM_WANTED) &&
	    (endpoint->first != NULL || endpoint->error != 0 ||
	     (endpoint->ended && !(stream->state & LOOP_STREAM_ENDED_TOLD))))
		loop_ready_add(stream->loop, &stream->ready);
}

/* Sends what the window allows; the rest when it opens. */
static void send_on(struct loop_stream *stream)
{
	struct endpoint *endpoint = endpoint_of(stream);
	bool over = false;

	while (!over && endpoint->error == 0) {
		const struct iovec *part = &stream->parts[stream->part_first];
		const size_t sent = network_send(network_of(stream->loop), endpoint, part->iov_base,
						 part->iov_len);
		const bool whole = sent == part->iov_len;
		over = loop_stream_advance(stream, sent);
		if (!whole)
			break;
	}
	stream->state &= ~(uint32_t)LOOP_STREAM_BLOCKED;
	if (endpoint->error != 0) {
		stream->state |= LOOP_STREAM_ERROR_NOW;
		loop_stream_fail(stream, endpoint->error);
	} else if (over) {
		stream->state |= LOOP_STREAM_SENT;
		loop_ready_add(stream->loop, &stream->ready);
	} else {
		stream->state |= LOOP_STREAM_BLOCKED;
	}
}

static void simulated_stream_shutdown(struct loop_stream *stream)
{
	network_send_end(network_of(stream->loop), endpoint_of(stream));
}

static void simulated_stream_close(struct loop_stream *stream)
{
	if (stream->descriptor >= 0)
		network_endpoint_close(network_of(stream->loop), endpoint_of(stream));
	stream->descriptor = -1;
	loop_ready_add(stream->loop, &stream->ready);
}

static void receive(struct loop_stream *stream)
{
	struct simulated_network *network = network_of(stream->loop);
	struct loop_held *piece;

	while ((stream->state & LOOP_STREAM_WANTED) && !loop_stream_silent(stream) &&
	       (piece = network_receive(network, endpoint_of(stream))) != NULL) {
		stream->events->on_data(stream, slice_make(piece->bytes, piece->length));
		free(piece);
	}
}

static void simulated_stream_ready(struct loop_stream *stream)
{
	if (stream->state & LOOP_STREAM_CLOSING) {
		loop_stream_finish(stream);
		return;
	}
	if (stream->state & LOOP_STREAM_CONNECTED) {
		loop_stream_tell_connected(stream, stream->error);
		return;
	}
	if (stream->state & LOOP_STREAM_CONNECTING) {
		struct endpoint *endpoint = endpoint_of(stream);
		if (!endpoint->connected)
			return;
		loop_stream_tell_connected(stream, endpoint->error);
		return;
	}
	if (stream->state & LOOP_STREAM_SENT)
		loop_stream_tell_sent(stream);
	if (!loop_stream_silent(stream) && (stream->state & LOOP_STREAM_BLOCKED))
		send_on(stream);
	receive(stream);
	if (loop_stream_silent(stream))
		return;
	struct endpoint *endpoint = endpoint_of(stream);
	if (endpoint->first != NULL)
		return;
	if (endpoint->ended)
		stream->state |= LOOP_STREAM_ENDED;
	if (stream->error == 0)
		stream->error = endpoint->error;
	loop_stream_tell_end(stream);
}

/* ---- listeners ---- */

static void listener_ready(struct loop_ready *ready)
{
	struct loop_listener *listener = loop_container(ready, struct loop_listener, ready);
	struct simulated_network *network = network_of(listener->loop);

	if (listener->state & LOOP_CLOSING) {
		loop_listener_finish(listener);
		return;
	}
	while (!(listener->state & (LOOP_CLOSING | LOOP_PAUSED))) {
		struct endpoint *endpoint = network_endpoint(network, listener->descriptor);
		struct endpoint *waiting = endpoint->waiting_first;
		if (waiting == NULL)
			return;
		if (!network_endpoint_open(network, waiting)) {
			loop_listener_failed(listener, EMFILE);
			return;
		}
		endpoint->waiting_first = waiting->waiting_next;
		waiting->waiting_next = NULL;
		network_unref(waiting);
		listener->on_accept(listener, waiting->descriptor);
	}
}

static int simulated_listen(struct loop *loop, struct loop_listener *listener,
			    const struct loop_address *address, struct fault *fault)
{
	struct simulated_network *network = network_of(loop);
	struct loop_address named = *address;
	char text[LOOP_ADDRESS_TEXT_MAX];

	if (named.any.sa_family == AF_INET && named.ip4.sin_port == 0)
		named.ip4.sin_port = htons(network->port_next++);
	if (named.any.sa_family == AF_INET6 && named.ip6.sin6_port == 0)
		named.ip6.sin6_port = htons(network->port_next++);
	loop_address_format(&named, text);
	if (network_listener(network, &named) != NULL)
		return fault_set_errno(fault, EADDRINUSE, "listen on %s", text);
	struct endpoint *endpoint = network_endpoint_new(network, ENDPOINT_LISTENER);
	const bool opened = network_endpoint_open(network, endpoint);
	if (opened) {
		endpoint->address = named;
		endpoint->loop = loop;
		endpoint->owner = &listener->ready;
		listener->ready.run = listener_ready;
		listener->descriptor = endpoint->descriptor;
	}
	network_unref(endpoint);
	return opened ? 0 : fault_set_errno(fault, EMFILE, "listen on %s", text);
}

static void simulated_listener_address(const struct loop_listener *listener,
				       struct loop_address *ret_address)
{
	*ret_address = network_endpoint(network_of(listener->loop), listener->descriptor)->address;
}

static void simulated_listener_start(struct loop_listener *listener)
{
	loop_ready_add(listener->loop, &listener->ready);
}

static void simulated_listener_close(struct loop_listener *listener)
{
	struct simulated_network *network = network_of(listener->loop);

	network_endpoint_close(network, network_endpoint(network, listener->descriptor));
	loop_ready_add(listener->loop, &listener->ready);
}

/* ---- watches ---- */

static void watch_ready(struct loop_ready *ready)
{
	struct loop_watch *watch = loop_container(ready, struct loop_watch, ready);
	struct simulated_network *network = network_of(watch->loop);

	if (watch->state & LOOP_CLOSING) {
		watch->loop->objects--;
		watch->on_closed(watch);
		return;
	}
	if (network_endpoint(network, watch->descriptor)->raised)
		watch->on_readable(watch);
	if (!(watch->state & LOOP_CLOSING) && network_endpoint(network, watch->descriptor)->raised)
		loop_ready_add(watch->loop, ready);
}

static void simulated_watch_open(struct loop_watch *watch)
{
	struct endpoint *signal = network_endpoint(network_of(watch->loop), watch->descriptor);

	check_equal(signal->kind, ENDPOINT_SIGNAL);
	check(signal->owner == NULL);
	watch->ready.run = watch_ready;
	signal->loop = watch->loop;
	signal->owner = &watch->ready;
	if (signal->raised)
		loop_ready_add(watch->loop, &watch->ready);
}

static void simulated_watch_close(struct loop_watch *watch)
{
	network_endpoint(network_of(watch->loop), watch->descriptor)->owner = NULL;
	loop_ready_add(watch->loop, &watch->ready);
}

const struct loop_back_end loop_simulated = {
	.io = LOOP_IO_SIMULATED,
	.open = simulated_open,
	.close = simulated_back_end_close,
	.wait = simulated_wait,
	.dispatch = simulated_dispatch,
	.wake = simulated_wake,
	.listen = simulated_listen,
	.listener_address = simulated_listener_address,
	.listener_start = simulated_listener_start,
	.listener_close = simulated_listener_close,
	.stream_adopt = simulated_stream_adopt,
	.stream_connect = simulated_stream_connect,
	.stream_read = simulated_stream_read,
	.stream_send = send_on,
	.stream_shutdown = simulated_stream_shutdown,
	.stream_close = simulated_stream_close,
	.stream_ready = simulated_stream_ready,
	.watch_open = simulated_watch_open,
	.watch_close = simulated_watch_close,
};

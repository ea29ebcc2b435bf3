/*
 * loop_proxy_bench: what a proxied request costs before anybody parses a byte. Every connection
 * gets one of its own to the upstream, and bytes are copied to and fro.
 *
 *	loop_proxy_bench uring|epoll|auto LISTEN UPSTREAM
 *	loop_proxy_bench uring 127.0.0.1:0 127.0.0.1:8000
 *
 * It prints `ready` with its address, and on SIGTERM the CPU time that it used. Divided by the
 * requests that a load tool counted, that is the floor on which the gateway stands.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "loop/loop.h"

#define BUFFER_BYTES 16384

/* One direction: read from `stream`, sent to the other side from `buffer`. */
struct side {
	struct loop_stream stream;
	struct pair *pair;
	struct side *other;
	bool open;
	char buffer[BUFFER_BYTES];
};

struct pair {
	struct side client, upstream;
};

struct proxy {
	struct loop *loop;
	struct loop_listener listener;
	struct loop_watch signals;
	struct loop_address upstream;
	uint64_t pieces;
};

static struct proxy proxy;

static struct side *side_of(struct loop_stream *stream)
{
	return (struct side *)(void *)stream;
}

static void pair_close(struct pair *pair)
{
	loop_stream_close(&pair->client.stream);
	loop_stream_close(&pair->upstream.stream);
}

static void on_connected(struct loop_stream *stream, int error)
{
	struct side *side = side_of(stream);

	if (error != 0) {
		errno = error;
		fprintf(stderr, "upstream: %m\n");
		pair_close(side->pair);
		return;
	}
	loop_stream_read(stream, true);
	loop_stream_read(&side->other->stream, true);
}

static void on_data(struct loop_stream *stream, struct slice bytes)
{
	struct side *side = side_of(stream);
	const struct iovec part = {.iov_base = side->buffer, .iov_len = bytes.length};

	check_at_most(bytes.length, sizeof(side->buffer));
	proxy.pieces++;
	memcpy(side->buffer, bytes.data, bytes.length);
	loop_stream_read(stream, false);
	loop_stream_send(&side->other->stream, &part, 1);
}

static void on_sent(struct loop_stream *stream)
{
	loop_stream_read(&side_of(stream)->other->stream, true);
}

static void on_end(struct loop_stream *stream)
{
	pair_close(side_of(stream)->pair);
}

static void on_error(struct loop_stream *stream, int error)
{
	(void)error;
	pair_close(side_of(stream)->pair);
}

static void on_closed(struct loop_stream *stream)
{
	struct side *side = side_of(stream);

	side->open = false;
	if (!side->other->open)
		free(side->pair);
}

static const struct loop_stream_events events = {
	.on_connected = on_connected,
	.on_data = on_data,
	.on_end = on_end,
	.on_sent = on_sent,
	.on_error = on_error,
	.on_closed = on_closed,
};

static void on_accept(struct loop_listener *listener, int descriptor)
{
	struct pair *pair = malloc(sizeof(*pair));

	check(pair != NULL);
	pair->client.pair = pair->upstream.pair = pair;
	pair->client.other = &pair->upstream;
	pair->upstream.other = &pair->client;
	pair->client.open = pair->upstream.open = true;
	loop_stream_adopt(listener->loop, &pair->client.stream, descriptor, &events);
	loop_stream_connect(listener->loop, &pair->upstream.stream, &proxy.upstream, &events);
}

static void on_listener_closed(struct loop_listener *listener)
{
	(void)listener;
}

static void on_signal(struct loop_watch *watch)
{
	loop_stop(watch->loop);
}

static void on_watch_closed(struct loop_watch *watch)
{
	(void)watch;
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static int watch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argument_count, char **arguments)
{
	struct loop_options options = {.io = LOOP_IO_AUTO};
	struct loop_address address;
	struct fault fault = {0};
	struct rusage usage;
	char text[LOOP_ADDRESS_TEXT_MAX];

	if (argument_count != 4) {
		fprintf(stderr, "usage: loop_proxy_bench uring|epoll|auto LISTEN UPSTREAM\n");
		return 2;
	}
	if (strcmp(arguments[1], "uring") == 0)
		options.io = LOOP_IO_URING;
	else if (strcmp(arguments[1], "epoll") == 0)
		options.io = LOOP_IO_EPOLL;
	proxy.listener.on_accept = on_accept;
	proxy.listener.on_closed = on_listener_closed;
	proxy.signals.on_readable = on_signal;
	proxy.signals.on_closed = on_watch_closed;
	if (loop_new(&options, &proxy.loop, &fault) < 0 ||
	    loop_address_parse(slice_of(arguments[2]), &address, &fault) < 0 ||
	    loop_address_parse(slice_of(arguments[3]), &proxy.upstream, &fault) < 0 ||
	    loop_listener_open(proxy.loop, &proxy.listener, &address, &fault) < 0) {
		fprintf(stderr, "loop_proxy_bench: %s\n", fault.text);
		return 1;
	}
	loop_watch_open(proxy.loop, &proxy.signals, watch_signals());
	loop_listener_address(&proxy.listener, &address);
	loop_address_format(&address, text);
	printf("ready %s (%s)\n", text, loop_io_reason(proxy.loop));
	fflush(stdout);
	if (loop_run(proxy.loop, &fault) < 0) {
		fprintf(stderr, "loop_proxy_bench: %s\n", fault.text);
		return 1;
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("pieces=%llu user=%.3f sys=%.3f\n", (unsigned long long)proxy.pieces,
	       seconds(usage.ru_utime), seconds(usage.ru_stime));
	return 0;
}

/* A caller's bytes behind the preface of HTTP/2, through the whole server: whatever they are, each
 * exchange that begins is well formed, ends once, and nothing happens to it after its end. The
 * service echoes, or does not answer, as the path says; the first byte tells where input is cut. */
#include "replay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/http.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define TURNS   6

struct service {
	bool live, ended, aborted;
	bool echoes, upgrades;
};

static struct clock_manual time;
static struct loop *loop;
static struct http_server *server;
static uint64_t begun, over;

/* ---- the service ---- */

static bool is_printable(struct slice text, char from)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] >= 0 && (text.data[i] < from || text.data[i] == 0x7f) &&
		    !(from == ' ' && text.data[i] == '\t'))
			return false;
	return true;
}

static void on_request(struct http_exchange *exchange, const struct http_request *request)
{
	struct service *service = http_exchange_state(exchange);

	check(!service->live && request->http_2);
	service->live = true;
	service->echoes = slice_starts_with(request->path, slice_of("/echo"));
	begun++;
	check(http_is_token(request->method));
	check(request->target.length > 0 && is_printable(request->target, '!'));
	check(request->target.data[0] == '/' || slice_equal(request->target, slice_of("*")));
	check_at_most(request->header_count, HTTP_HEADERS_MAX);
	for (size_t i = 0; i < request->header_count; i++) {
		check(http_is_token(request->headers[i].name));
		check(is_printable(request->headers[i].value, ' '));
	}
	service->upgrades = service->echoes && request->upgrade;
	if (service->echoes && !service->upgrades)
		http_exchange_respond(exchange, 200, NULL, 0, request->body_bytes);
	http_exchange_resume(exchange);
}

static struct service *alive(struct http_exchange *exchange)
{
	struct service *service = http_exchange_state(exchange);

	check(service->live && !service->aborted);
	return service;
}

static void on_body(struct http_exchange *exchange, struct slice bytes)
{
	const struct service *service = alive(exchange);

	check(!service->ended && bytes.length > 0);
	if (!service->echoes)
		return;
	http_exchange_send(exchange, bytes);
	if (!http_exchange_writable(exchange))
		http_exchange_pause(exchange);
}

static void on_request_end(struct http_exchange *exchange, const struct http_header *trailers,
			   size_t trailer_count)
{
	struct service *service = alive(exchange);

	check(!service->ended);
	if (service->upgrades) {
		service->upgrades = false;
		http_exchange_switch(exchange, slice_of("websocket"), NULL, 0);
		return;
	}
	service->ended = true;
	for (size_t i = 0; i < trailer_count; i++)
		check(is_printable(trailers[i].value, ' '));
	if (service->echoes)
		http_exchange_finish(exchange, trailers, trailer_count);
}

static void on_writable(struct http_exchange *exchange)
{
	alive(exchange);
	http_exchange_resume(exchange);
}

static void on_abort(struct http_exchange *exchange, enum http_abort reason)
{
	(void)reason;
	alive(exchange)->aborted = true;
}

static void on_over(struct http_exchange *exchange)
{
	struct service *service = http_exchange_state(exchange);

	check(service->live);
	service->live = false;
	over++;
}

static const struct http_server_events events = {
	.on_request = on_request,
	.on_body = on_body,
	.on_request_end = on_request_end,
	.on_writable = on_writable,
	.on_abort = on_abort,
	.on_over = on_over,
};

/* ---- the caller ---- */

static void set_up(void)
{
	struct http_server_options options = {
		.events = &events,
		.exchange_state_bytes = sizeof(struct service),
		.half_close_aborts = true,
	};
	struct fault fault;

	clock_manual_init(&time, CLOCK_NS_PER_S, 1785000000 * CLOCK_NS_PER_S);
	check_equal(loop_new(&(struct loop_options){.io = LOOP_IO_EPOLL, .clock = &time.clock},
			     &loop, &fault),
		    0);
	http_limits_default(&options.limits);
	options.limits.head_bytes_max = 4096;
	options.limits.body_bytes_max = 65536;
	check_equal(http_server_new(loop, &options, &server, &fault), 0);
}

static void turn(int raw)
{
	char heard[4096];
	struct fault fault;

	for (int i = 0; i < TURNS; i++) {
		check_equal(loop_turn(loop, 0, &fault), 0);
		while (read(raw, heard, sizeof(heard)) > 0)
			;
	}
}

static void say(int raw, const void *bytes, size_t length)
{
	if (length > 0)
		(void)!send(raw, bytes, length, MSG_NOSIGNAL);
	turn(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fault fault;
	int pair[2];

	if (size == 0 || size > 65536)
		return 0;
	if (server == NULL)
		set_up();
	check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	http_server_adopt(server, pair[1], NULL);
	(void)!send(pair[0], PREFACE, sizeof(PREFACE) - 1, MSG_NOSIGNAL);
	const size_t cut = 1 + data[0] * (size - 1) / 256;
	say(pair[0], data + 1, cut - 1);
	say(pair[0], data + cut, size - cut);
	clock_manual_advance(&time, 120 * CLOCK_NS_PER_S);
	turn(pair[0]);
	close(pair[0]);
	while (http_server_connections(server) > 0)
		check_equal(loop_turn(loop, 0, &fault), 0);
	check_equal(begun, over);
	return 0;
}

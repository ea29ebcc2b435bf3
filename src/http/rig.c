#include "http/rig_internal.h"

#include <errno.h>

#include "base/check.h"

#define SETTLED_TURNS 6

/* ---- the service ---- */

struct service {
	bool echoes, is_late;
};

static struct rig *rig_of(struct http_exchange *exchange)
{
	return http_server_owner(http_exchange_server(exchange));
}

static void note(struct rig *rig, const char *word)
{
	const size_t used = strlen(rig->log);

	snprintf(rig->log + used, sizeof(rig->log) - used, "%s ", word);
}

static void answer_cookies(struct http_exchange *exchange, const struct http_request *request)
{
	http_exchange_respond(exchange, 200, NULL, 0, HTTP_LENGTH_UNKNOWN);
	for (size_t i = 0; i < request->header_count; i++)
		if (slice_equal_ignore_case(request->headers[i].name, slice_of("cookie")))
			http_exchange_send(exchange, request->headers[i].value);
	http_exchange_finish(exchange, NULL, 0);
}

static void on_request(struct http_exchange *exchange, const struct http_request *request)
{
	struct rig *rig = rig_of(exchange);
	struct service *service = http_exchange_state(exchange);
	const struct http_header *type =
		http_header_find(request->headers, request->header_count, HTTP_CONTENT_TYPE);

	note(rig, "request");
	service->echoes = slice_equal(request->path, slice_of("/echo"));
	service->is_late = slice_equal(request->path, slice_of("/late"));
	if (service->echoes) {
		http_exchange_respond(exchange, 200, type, type != NULL, request->body_bytes);
		http_exchange_resume(exchange);
	} else if (service->is_late) {
		http_exchange_resume(exchange);
	} else if (slice_equal(request->path, slice_of("/early"))) {
		http_exchange_respond(exchange, 403, NULL, 0, 5);
		http_exchange_send(exchange, slice_of("early"));
		http_exchange_finish(exchange, NULL, 0);
	} else if (slice_equal(request->path, slice_of("/cookie"))) {
		answer_cookies(exchange, request);
	} else {
		rig->held = exchange;
	}
}

static void on_body(struct http_exchange *exchange, struct slice bytes)
{
	const struct service *service = http_exchange_state(exchange);

	rig_of(exchange)->body_bytes += bytes.length;
	if (!service->echoes)
		return;
	http_exchange_send(exchange, bytes);
	if (!http_exchange_writable(exchange))
		http_exchange_pause(exchange);
}

static void on_request_end(struct http_exchange *exchange, const struct http_header *trailers,
			   size_t trailer_count)
{
	const struct service *service = http_exchange_state(exchange);

	note(rig_of(exchange), "end");
	if (service->is_late) {
		http_exchange_respond(exchange, 200, NULL, 0, 4);
		http_exchange_send(exchange, slice_of("late"));
		http_exchange_finish(exchange, NULL, 0);
	} else if (service->echoes) {
		http_exchange_finish(exchange, trailers, trailer_count);
	}
}

static void on_writable(struct http_exchange *exchange)
{
	note(rig_of(exchange), "writable");
	http_exchange_resume(exchange);
}

static void on_abort(struct http_exchange *exchange, enum http_abort reason)
{
	static const char *const words[] = {"abort:closed", "abort:invalid", "abort:timeout",
					    "abort:shutdown"};

	note(rig_of(exchange), words[reason]);
}

static void on_over(struct http_exchange *exchange)
{
	struct rig *rig = rig_of(exchange);

	note(rig, "over");
	if (rig->held == exchange)
		rig->held = NULL;
}

const struct http_server_events rig_events = {
	.on_request = on_request,
	.on_body = on_body,
	.on_request_end = on_request_end,
	.on_writable = on_writable,
	.on_abort = on_abort,
	.on_over = on_over,
};

/* ---- set up ---- */

static int setup(void **state, enum loop_io io)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct fault fault;

	rig->io = io;
	rig->raw = -1;
	rig->received = calloc(1, RIG_TEXT_MAX);
	clock_manual_init(&rig->clock, CLOCK_NS_PER_S, 1785000000 * CLOCK_NS_PER_S);
	if (loop_new(&(struct loop_options){.io = io, .clock = &rig->clock.clock}, &rig->loop,
		     &fault) != 0) {
		if (io != LOOP_IO_URING)
			fail_msg("%s", fault.text);
		print_message("%s\n", fault.text);
		rig->loop = NULL;
	}
	http_limits_default(&rig->limits);
	*state = rig;
	return 0;
}

int rig_setup_uring(void **state)
{
	return setup(state, LOOP_IO_URING);
}

int rig_setup_epoll(void **state)
{
	return setup(state, LOOP_IO_EPOLL);
}

void rig_serve(struct rig *rig)
{
	const struct http_server_options options = {
		.limits = rig->limits,
		.events = &rig_events,
		.owner = rig,
		.exchange_state_bytes = sizeof(struct service),
		.connection_state_bytes = 24,
		.half_close_aborts = rig->half_close_aborts,
	};
	struct fault fault;

	if (rig->loop == NULL)
		skip();
	assert_int_equal(http_server_new(rig->loop, &options, &rig->server, &fault), 0);
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	if (rig->server != NULL) {
		http_server_close(rig->server);
		while (http_server_connections(rig->server) > 0)
			rig_turn(rig);
		rig_turn(rig);
		http_server_free(rig->server);
	}
	if (rig->raw >= 0)
		close(rig->raw);
	if (rig->loop != NULL)
		loop_free(rig->loop);
	free(rig->received);
	free(rig);
	return 0;
}

/* ---- the raw side ---- */

void rig_connect(struct rig *rig)
{
	int pair[2];

	if (rig->raw >= 0)
		close(rig->raw);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	rig->raw = pair[0];
	rig->raw_ended = false;
	http_server_adopt(rig->server, pair[1], NULL);
}

static void take_out_dates(struct rig *rig)
{
	for (;;) {
		char *date = strstr(rig->received, "Date: ");
		char *end = date != NULL ? strstr(date, "\r\n") : NULL;
		if (end == NULL)
			return;
		const size_t rest = rig->received_length - (size_t)(end + 2 - rig->received);
		memmove(date, end + 2, rest + 1);
		rig->received_length -= (size_t)(end + 2 - date);
	}
}

/* True where anything came. */
static bool raw_receive(struct rig *rig)
{
	bool any = false;

	while (rig->raw >= 0 && !rig->raw_ended) {
		const ssize_t length = read(rig->raw, rig->received + rig->received_length,
					    RIG_TEXT_MAX - 1 - rig->received_length);
		if (length < 0 && errno == EAGAIN)
			break;
		any = true;
		if (length <= 0)
			rig->raw_ended = true;
		else
			rig->received_length += (size_t)length;
		rig->received[rig->received_length] = '\0';
	}
	return any;
}

void rig_turn(struct rig *rig)
{
	struct fault fault;

	assert_int_equal(loop_turn(rig->loop, 0, &fault), 0);
}

void rig_settle(struct rig *rig)
{
	for (int quiet = 0; quiet < SETTLED_TURNS; quiet++) {
		rig_turn(rig);
		if (raw_receive(rig))
			quiet = 0;
	}
	take_out_dates(rig);
}

void rig_advance(struct rig *rig, uint64_t ns)
{
	clock_manual_advance(&rig->clock, ns);
	rig_settle(rig);
}

void rig_send(struct rig *rig, const char *bytes, size_t length)
{
	while (length > 0) {
		const ssize_t sent = send(rig->raw, bytes, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			rig_turn(rig);
			raw_receive(rig);
			continue;
		}
		if (sent < 0)
			return;
		bytes += sent;
		length -= (size_t)sent;
	}
}

void rig_send_text(struct rig *rig, const char *text)
{
	rig_send(rig, text, strlen(text));
}

/* ---- expectations ---- */

static void forget(struct rig *rig)
{
	rig->received_length = 0;
	rig->received[0] = '\0';
}

void rig_expect(struct rig *rig, const char *text)
{
	rig_settle(rig);
	assert_string_equal(rig->received, text);
	forget(rig);
}

void rig_expect_contains(struct rig *rig, const char *text)
{
	rig_settle(rig);
	if (strstr(rig->received, text) == NULL)
		fail_msg("'%s' is not in '%.2000s'", text, rig->received);
	forget(rig);
}

void rig_expect_ended(struct rig *rig, bool ended)
{
	rig_settle(rig);
	assert_int_equal(rig->raw_ended, ended);
}

void rig_expect_log(struct rig *rig, const char *log)
{
	rig_settle(rig);
	assert_string_equal(rig->log, log);
	rig->log[0] = '\0';
}

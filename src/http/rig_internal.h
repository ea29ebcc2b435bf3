/*
 * rig: a loop, an HTTP server with a small service, and raw sockets on its other side, for the
 * tests of this folder.
 *
 * The service, by path:
 *	/echo	answers at once, sends the request's body and trailers back as they come
 *	/late	answers "late" when the request is whole
 *	/early	answers "early" at once and reads nothing
 *	/cookie	answers with the values of the Cookie fields
 *	/hold	does nothing: the test has the exchange in `held`
 *
 * Threads: one. Time stands still unless the test moves it.
 */
#pragma once

#include "base/testing.h"

#include "base/clock.h"
#include "http/http.h"
#include "loop/loop.h"

#define RIG_TEXT_MAX (4 * 1024 * 1024)

struct rig {
	enum loop_io io;
	struct clock_manual clock;
	struct loop *loop;
	struct http_limits limits;
	bool half_close_aborts;
	struct http_server *server;
	struct http_exchange *held;
	char log[4096];    /* the service's events, one word each */
	size_t body_bytes; /* that the service has seen */
	bool drained;

	int raw;        /* the test's end of the latest connection */
	char *received; /* by it, NUL-terminated, Date fields taken out */
	size_t received_length;
	bool raw_ended; /* the server has ended it, or reset it */
};

/* Tests that run on both real back ends: the group's name in the state. */
#define rig_test(function)                                                          \
	{#function " (io_uring)", function, rig_setup_uring, rig_teardown, NULL},   \
	{                                                                           \
#function " (epoll)", function, rig_setup_epoll, rig_teardown, NULL \
	}

int rig_setup_uring(void **state);
int rig_setup_epoll(void **state);
int rig_teardown(void **state);

/* Makes the server; limits and half_close_aborts are set before. */
void rig_serve(struct rig *rig);
/* A new connection to the server. */
void rig_connect(struct rig *rig);
void rig_turn(struct rig *rig);
/* Turns until nothing happens for some turns. */
void rig_settle(struct rig *rig);
void rig_advance(struct rig *rig, uint64_t ns);
void rig_send(struct rig *rig, const char *bytes, size_t length);
void rig_send_text(struct rig *rig, const char *text);
/* Settles, then compares all that was received since the last time. */
void rig_expect(struct rig *rig, const char *text);
void rig_expect_contains(struct rig *rig, const char *text);
/* Settles; the server has ended the connection, or not. */
void rig_expect_ended(struct rig *rig, bool ended);
void rig_expect_log(struct rig *rig, const char *log);

extern const struct http_server_events rig_events;

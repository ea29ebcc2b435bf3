/*
 * client_rig: a loop, an HTTP client with one origin, and raw sockets as the service behind it,
 * for the tests of this folder.
 *
 * Threads: one. Time stands still unless the test moves it.
 */
#pragma once

#include "base/testing.h"

#include "base/clock.h"
#include "http/http.h"
#include "loop/loop.h"

#define CLIENT_RIG_TURN_NS       500000ull
#define CLIENT_RIG_SOON_TURNS    20000 /* then it does not come */
#define CLIENT_RIG_UPSTREAMS_MAX 8
#define CLIENT_RIG_CALLS_MAX     64

struct client_rig;

/* Who makes a call; its events stand in the log behind its name. */
struct client_rig_caller {
	struct client_rig *rig;
	const char *name;
	struct http_call *call; /* NULL: none, or over */
	bool pauses;            /* on_head pauses the call */
	int place;              /* among the others; -1: it is the rig's own */
};

struct client_rig {
	struct clock_manual clock;
	struct loop *loop;
	struct http_limits limits;
	struct http_client *client;
	struct http_origin *origin;
	struct loop_listener listener;
	int upstreams[CLIENT_RIG_UPSTREAMS_MAX]; /* in the order of their acceptance; -1: closed */
	int upstream_count;
	bool listener_closed;
	char log[4096]; /* the calls' events, one word each */
	size_t body_bytes;
	bool pauses;                                    /* on_head pauses the call */
	bool calls_again;                               /* on_end starts a call */
	struct http_call *call;                         /* of `caller` */
	struct client_rig_caller caller;                /* nameless: of client_rig_call */
	struct http_call *others[CLIENT_RIG_CALLS_MAX]; /* under way, of other callers */
};

/* Tests that run on both real back ends. */
#define client_rig_test(function)                                                                 \
	{#function " (io_uring)", function, client_rig_setup_uring, client_rig_teardown, NULL},   \
	{                                                                                         \
#function " (epoll)", function, client_rig_setup_epoll, client_rig_teardown, NULL \
	}

int client_rig_setup_uring(void **state);
int client_rig_setup_epoll(void **state);
int client_rig_teardown(void **state);
/* First in a test: listens and makes client and origin. Skips where there is no io_uring. */
struct client_rig *client_rig_begin(void **state);
/* The same, for a service that speaks HTTP/2. */
struct client_rig *client_rig_begin_h2(void **state);
/* Ends it and sets it up anew, on the same back end: for tests of many connections. */
void client_rig_again(void **state);
void client_rig_close_listener(struct client_rig *rig);

/* Starts a call for /x. */
struct http_call *client_rig_call(struct client_rig *rig, const char *method, int64_t body_bytes);
/* The same for another caller. */
void client_rig_call_of(struct client_rig_caller *caller, struct client_rig *rig, const char *name,
			const char *method, int64_t body_bytes);
void client_rig_cancel(struct client_rig_caller *caller);
void client_rig_turn(struct client_rig *rig, uint64_t wait_ns);
/* Some turns: what can happen has happened. */
void client_rig_settle(struct client_rig *rig);
void client_rig_advance(struct client_rig *rig, uint64_t ns);

/* What connection `number` of the service received since the last time. */
void client_rig_expect_request(struct client_rig *rig, int number, const char *text);
void client_rig_answer(struct client_rig *rig, int number, const char *text);
void client_rig_answer_bytes(struct client_rig *rig, int number, struct slice bytes);
/* The same, and nothing has happened with them yet. */
void client_rig_send_bytes(struct client_rig *rig, int number, struct slice bytes);
void client_rig_close_upstream(struct client_rig *rig, int number);
/* Settles, then compares the events since the last time. */
void client_rig_expect_log(struct client_rig *rig, const char *log);
/* Compares as soon as so much has happened: what comes later stands in what is compared next. */
void client_rig_expect_log_soon(struct client_rig *rig, const char *log);

/*
 * rig: a whole gateway in one test process: real loops and sockets, a real journal, and a
 * counting service behind it. Leases are filled by the test.
 *
 * The service answers `GET /echo/NONCE` with the nonce, `POST /units?N` with Stoa-Units: pixels=N,
 * `/status/NNN` with that status, `/slow` never, `/close` by closing, `/headers` with what it was
 * sent, `/chunked/NONCE` chunked, `/late/NONCE` head and body piece by piece, `/large/N` N bytes.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "gateway/gateway.h"

#define RIG_KEY_TEXT_MAX 64

struct rig_service {
	int listener;
	uint16_t port;
	pthread_t thread;
	_Atomic uint64_t answered; /* whole answers */
	_Atomic uint64_t began;    /* requests whose head was read */
	_Atomic uint32_t visits;   /* connections that are being served */
	_Atomic bool stopping;
};

struct rig {
	char folder[64];
	struct journal *journal;
	struct gateway *gateway;
	struct gateway_lease *lease;
	struct gateway_lease *budget;
	struct rig_service service;
	struct loop_address address;
	uint16_t port;
	uint32_t workers;
	pthread_t threads[4];
	pthread_t sync_thread;
	_Atomic bool stopping;
	_Atomic bool sync_paused; /* the journal is not synced meanwhile */
	_Atomic uint32_t ready;
	_Atomic uint32_t demands, sync_demands;
	bool disk_may_fail;
	bool stopped; /* by the test */
	char key[RIG_KEY_TEXT_MAX];
};

struct rig_options {
	enum loop_io io;
	uint32_t workers;
	struct rating_plan plan;
	int64_t call_most_nano;
	struct gateway_limits limits;
	struct rating_card card;
	int64_t lease_nano;
	int64_t budget_nano; /* -1: none */
	bool has_more;       /* the lease's source */
	uint32_t instance_concurrency;
	bool no_instance;   /* the test publishes it */
	uint64_t settle_ns; /* 0: as the gateway has it */
	uint64_t record_us_most;
	struct gateway_access access;
	const struct gateway_identity *identity; /* NULL: calls are not signed */
	bool durable_answers;
	struct disk *disk; /* NULL: the system's */
};

/* Runs the tests on epoll, plain and batched, then on the best back end that there is. Returns how
 * many failed. */
int rig_run_on_all(const struct CMUnitTest *tests, size_t count);

/* Until the condition holds: for what another thread does soon. */
#define rig_wait_until(condition) \
	while (!(condition))      \
	sched_yield()

/* A price of `nano` a call, no limits, a full lease, the back end that is being tested. */
struct rig_options rig_options_default(int64_t nano);
void rig_begin(struct rig *rig, const struct rig_options *options);
void rig_end(struct rig *rig);
void rig_publish_instance(struct rig *rig, uint32_t id, uint16_t port, uint32_t concurrency);
/* Where options.no_instance: an instance that the test itself plays, connection by connection.
 * Returns the listening descriptor. */
int rig_service_listen(struct rig *rig);

/* Publishes plan, service, instance and subscription once more, as they are. */
void rig_publish_again(struct rig *rig, const struct rig_options *options);
/* Another version of the plan, as its next from begins_ns (Unix) on. */
void rig_publish_next(struct rig *rig, const struct rating_plan *plan, int64_t call_most_nano,
		      uint64_t begins_ns);
/* Makes a key of the rig's app; NULL scopes: all, 0: never. Its text is told. */
void rig_publish_key(struct rig *rig, uint64_t id, const char *scopes, uint64_t expires_ns,
		     char text[RIG_KEY_TEXT_MAX]);

/* A blocking client. Returns the connected descriptor. */
int rig_connect(const struct rig *rig);
/* Sends a request and reads the answer whole (Content-Length or chunked); returns its status, or
 * 0 when the connection ended first. `answer` holds head and body, NUL-terminated. */
unsigned rig_ask(int descriptor, const char *request, char *answer, size_t answer_bytes_max);
/* GET with the rig's key. */
unsigned rig_get(const struct rig *rig, int descriptor, const char *path, char *answer,
		 size_t answer_bytes_max);
/* Records in the journal, all streams; the last one read is copied. */
uint64_t rig_records(struct rig *rig, struct journal_record *ret_last);

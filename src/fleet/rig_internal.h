/*
 * rig_internal: a fleet for tests, with its events as a list to wait on, and services that are
 * small programs of shell and Python which the rig writes into the cloud's folder.
 *
 * Waiting is for an event, never for a time. An event waited for that never comes hangs the test
 * until the runner's limit ends it, and says what was waited for.
 */
#pragma once

#include "base/testing.h"

#include <pthread.h>

#include "fleet/fleet.h"

enum rig_event_kind { RIG_READY, RIG_DRAINING, RIG_GONE };

struct rig_event {
	enum rig_event_kind kind;
	uint64_t instance;
	uint64_t service;
	uint32_t place;
	char version[FLEET_VERSION_MAX];
	struct loop_address address;
};

#define RIG_EVENTS_MAX 1024

struct rig {
	char folder[64]; /* the cloud's; removed by rig_fini */
	struct fleet_options options;
	struct fleet *fleet;
	bool answers_drained; /* at once, from the callback */
	size_t descriptors;   /* open before the fleet was */
	pthread_mutex_t lock;
	pthread_cond_t happened;
	struct rig_event events[RIG_EVENTS_MAX];
	size_t event_count;
};

/* Makes the folder; options may be changed before rig_open. */
void rig_init(struct rig *rig);
void rig_open(struct rig *rig);
/* Closes the fleet and claims: no child, no descriptor more than before, no file of an instance. */
void rig_close(struct rig *rig);
void rig_fini(struct rig *rig);

/* Writes an executable file; returns "./NAME". */
const char *rig_program(struct rig *rig, const char *name, const char *text);
/* One instance of service 1, "thumbs", version "1", in the rig's folder, by socket, with health
 * path /healthz, running ./server. */
struct fleet_service rig_service(struct rig *rig);
/* Python; serves HTTP on STOA_SOCKET or PORT: GET /healthz 200, /pid its pid, /die exits 7,
 * /ill turns the health to 503, /orphan leaves a child in the group. */
void rig_write_server(struct rig *rig);
void rig_set(struct rig *rig, const struct fleet_service *service);

/* Until at least `count` events of the kind have come since the begin; the count-th. */
struct rig_event rig_wait(struct rig *rig, enum rig_event_kind kind, size_t count);
size_t rig_count(struct rig *rig, enum rig_event_kind kind);
/* Until one place's status holds. The copy. */
struct fleet_status rig_wait_status(struct rig *rig,
				    bool (*holds)(const struct fleet_status *status));
/* Sends GET and reads the answer's body; "" where the connection ended before. */
void rig_get(const struct rig_event *instance, const char *target, char body[256]);
/* All of DIR/log/SERVICE.log. malloc'ed. */
char *rig_log(struct rig *rig, const char *service);

/*
 * fleet: runs the services that say `run:` as processes, watches them, and replaces them
 * without a failed call.
 *
 * A service has `count` places; each place holds one instance after the other. An instance is
 * one process (its own process group) with an id that is never given twice. It listens on the
 * Unix socket named by STOA_SOCKET, or on the loopback port named by PORT. Once its health
 * answers it is announced (on_ready) and takes calls. Before it is stopped it is taken back
 * (on_draining): the gateway sends it nothing new and says fleet_instance_drained when no call
 * is in flight; then SIGTERM, a grace, SIGKILL to the whole group, and on_gone.
 *
 *	set     same specification: nothing happens
 *	        only `count` differs: places are added, or the highest are drained
 *	        anything else differs: a new generation is started beside the old one, and the
 *	        old one is drained only when all of the new one is healthy. A generation that
 *	        never becomes healthy costs the old one nothing
 *	crash   the place starts anew after a pause that doubles from 100 ms to 30 s and begins
 *	        again at 100 ms after 10 s of health
 *	logs    both outputs, line by line, go to DIR/log/SERVICE.log with time and instance;
 *	        a flood is cut, with a count of the lines that were dropped
 *	orphans none: the kernel kills an instance with the fleet's thread; a process it left
 *	        behind is found at the next open by the pid and start time in DIR/instances
 *
 * Limits of an instance: RLIMIT_DATA from `memory_bytes` (README.md says why not RLIMIT_AS),
 * RLIMIT_NOFILE from `concurrency`: 1,024 open files, and 8 for each call. Where control groups can
 * be had, each instance has one: what it starts ends with it, even in a session of its own, and
 * where memory and cpu are delegated they are hard bounds for all of its processes together.
 * `cpu_milli` and `concurrency` are declared sizes: they price calls and guide admission.
 *
 * Threads: the fleet runs a thread of its own. Every function here may be called from any
 * thread, the callbacks' included; they return at once, but fleet_open and fleet_close.
 * Callbacks come in the fleet's thread and must not block.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/ids.h"
#include "base/spawn.h"
#include "http/http.h"
#include "loop/loop.h"

#define FLEET_INSTANCES_MAX  64   /* places of one service */
#define FLEET_ARGUMENTS_MAX  64   /* words of a command */
#define FLEET_VARIABLES_MAX  128  /* of a service's environment */
#define FLEET_NAME_MAX       64   /* bytes with the NUL: a DNS label */
#define FLEET_VERSION_MAX    64   /* bytes with the NUL */
#define FLEET_REASON_MAX     256  /* bytes with the NUL */
#define FLEET_LAST_LINES_MAX 1024 /* bytes with the NUL: an instance's last log lines */

/* The life of an instance: name, text, sentence. */
#define FLEET_STATES(X)                                                                         \
	X(FLEET_STARTING, "starting", "the process runs; its health is asked until it answers") \
	X(FLEET_HEALTHY, "healthy", "announced to the gateway; takes calls")                    \
	X(FLEET_DRAINING, "draining", "takes no new call; waits until none is in flight")       \
	X(FLEET_STOPPING, "stopping", "was sent SIGTERM; SIGKILL follows after the grace")      \
	X(FLEET_BACKOFF, "backoff", "ended or never became healthy; waits for the next start")

enum fleet_state {
#define X(name, text, sentence) name,
	FLEET_STATES(X)
#undef X
};

const char *fleet_state_text(enum fleet_state state);

enum fleet_listen {
	FLEET_LISTEN_SOCKET, /* STOA_SOCKET: a path */
	FLEET_LISTEN_PORT    /* PORT: a free port of 127.0.0.1 */
};

/* What to run. Texts are copied by fleet_service_set. */
struct fleet_service {
	struct service_id id;
	const char *name;
	const char *version;
	const char *folder;             /* working directory; the command's "./" */
	const char *const *command;     /* NULL-terminated; [0] with a '/', or looked up in PATH */
	const char *const *environment; /* NULL-terminated "NAME=value"; NULL: none. STOA_* and
					 * PORT are the fleet's and refused here */
	const char *identity_keys;      /* STOA_IDENTITY_KEYS; NULL: none */
	enum fleet_listen listen;
	enum http_protocol protocol;
	const char *health_path; /* GET answers 200..399; NULL: taking a connection is enough */
	uint64_t memory_bytes;   /* 0: no limit */
	uint32_t cpu_milli;
	uint32_t concurrency;
	uint64_t start_timeout_ns; /* until healthy; 0: 10 s */
	uint64_t drain_timeout_ns; /* SIGTERM comes after it even with calls in flight; 0: 30 s */
	uint64_t stop_grace_ns;    /* SIGTERM .. SIGKILL; 0: 5 s */
	uint32_t count;            /* 0 .. FLEET_INSTANCES_MAX */
};

/* Lives until the callback returns. */
struct fleet_instance {
	struct instance_id id;
	struct service_id service;
	const char *service_name;
	const char *version;
	uint32_t place; /* from 0; calls are packed to the lowest where surplus should fall idle */
	struct loop_address address;
	enum http_protocol protocol;
	uint64_t memory_bytes;
	uint32_t cpu_milli;
	uint32_t concurrency;
};

/* For each instance that was ready: on_ready, then perhaps on_draining, then on_gone. One that
 * was never ready is never mentioned. */
struct fleet_events {
	void (*on_ready)(void *owner, const struct fleet_instance *instance);
	/* Send nothing new; call fleet_instance_drained once no call is in flight. */
	void (*on_draining)(void *owner, struct instance_id instance);
	/* The process is gone, by our will or its own; calls in flight on it have failed. */
	void (*on_gone)(void *owner, struct instance_id instance);
};

struct fleet_options {
	const char *folder; /* the cloud's: instances/ and log/ are made in it */
	enum loop_io io;
	const struct clock *clock;    /* NULL: the system's */
	struct spawner *spawner;      /* NULL: the system's */
	const struct cgroups *groups; /* NULL, or without a path: an instance is a process group */
	const struct fleet_events *events;
	void *owner;                 /* handed to the callbacks */
	uint64_t log_bytes_max;      /* of SERVICE.log before it becomes SERVICE.log.1; 0: 8 MiB */
	uint64_t log_bytes_per_s;    /* what an instance may log, with a burst of four seconds;
				      * 0: 256 KiB */
	uint64_t health_interval_ns; /* between two looks at a healthy instance that has a health
				      * path; 0: 5 s. Three bad answers in a row restart it */
};

struct fleet;

/* Makes the folders, ends what an earlier life left running, starts the thread. FAULT_LIMIT
 * where the folder's path is too long for a Unix socket in it. */
int fleet_open(const struct fleet_options *options, struct fleet **ret_fleet, struct fault *fault);
/* fleet_stop gracefully (unless it was called), waits until no process is left, ends the
 * thread. The callbacks go on until it returns, and the drained answers must come. */
void fleet_close(struct fleet *fleet);

/* FAULT_INPUT with a sentence where the specification cannot be run at all. */
int fleet_service_set(struct fleet *fleet, const struct fleet_service *service,
		      struct fault *fault);
/* Drains and stops all its instances. Unknown: nothing happens. */
void fleet_service_remove(struct fleet *fleet, struct service_id service);
/* The answer to on_draining. Unknown or late: nothing happens. */
void fleet_instance_drained(struct fleet *fleet, struct instance_id instance);

enum fleet_stop {
	FLEET_STOP_GRACEFUL, /* drain, SIGTERM, grace, SIGKILL */
	FLEET_STOP_NOW       /* SIGKILL; also hurries a graceful stop under way */
};
/* No service starts any more. */
void fleet_stop(struct fleet *fleet, enum fleet_stop how);

/* One place of a service, as it is now. */
struct fleet_status {
	struct instance_id instance; /* the latest of this place */
	struct service_id service;
	char service_name[FLEET_NAME_MAX];
	char version[FLEET_VERSION_MAX];
	uint32_t place;
	enum fleet_state state;
	pid_t pid;         /* 0: no process */
	uint64_t since_ns; /* Unix: in this state */
	uint64_t retry_ns; /* Unix; FLEET_BACKOFF: the next start */
	uint32_t failures; /* in a row */
	uint32_t starts;   /* of this place */
	char address[LOOP_ADDRESS_TEXT_MAX];
	char reason[FLEET_REASON_MAX]; /* how the one before ended: "exited with status 3", "killed
					* by SIGSEGV", "not healthy within 5000 ms: connection
					* refused"; "" if none has */
	char last_lines[FLEET_LAST_LINES_MAX]; /* of this place's log, whole lines */
};

/* A copy of all places, by service and place; the caller frees *ret_places (NULL where none). */
void fleet_status_list(struct fleet *fleet, struct fleet_status **ret_places, size_t *ret_count);

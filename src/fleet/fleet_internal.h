/*
 * fleet_internal: what the files of this folder share. All of it but the specification's checks
 * belongs to the fleet's thread.
 *
 *	fleet       the thread, the messages to it, all services
 *	service     what was asked for under one id; its generations, newest first
 *	generation  one specification; its places
 *	place       runs one instance after the other (place.c has the table of its life)
 *
 * Memory: a place, a generation and a service are freed in one spot only, service_review, which
 * runs as a deferred task; so nothing that a callback stands in is freed under it.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/log_file.h"
#include "base/map.h"
#include "fleet/fleet.h"
#include "fleet/limits.h"
#include "http/http.h"

struct fleet;
struct service;
struct generation;
struct place;

/* ---- specification.c: any thread ---- */

/* FAULT_INPUT where it cannot be run. */
int specification_check(const struct fleet_service *given, struct fault *fault);
/* One block of memory with all its texts, timeouts filled in; free() it. */
struct fleet_service *specification_copy(const struct fleet_service *given);
/* But for `count`. */
bool specification_equal(const struct fleet_service *a, const struct fleet_service *b);

/* ---- output.c: what an instance writes ---- */

/* DIR/log/SERVICE.log, opened at the first line. */
struct service_log {
	struct log_file file;
	char *path;
	bool failed; /* told already */
	size_t waiting_bytes;
	char waiting[LOG_WAITING_BYTES];
};

void service_log_init(struct service_log *log, const char *folder, const char *service,
		      uint64_t bytes_max);
void service_log_fini(struct service_log *log);

/* The last lines, whole; the oldest go first. */
struct tail {
	size_t length;
	char text[FLEET_LAST_LINES_MAX];
};

struct output {
	/* Set by the owner before output_open; the rest zero. */
	void (*on_closed)(struct output *output);
	struct loop *loop;
	struct service_log *log;
	struct tail *tail;
	struct instance_id instance;
	uint64_t bytes_per_s;

	struct loop_watch watch;
	struct loop_task over;
	int descriptor; /* -1: closed */
	bool ended;     /* the last writer is gone; the watch closes */
	bool closing;
	uint64_t allowance_bytes;   /* may be logged now */
	uint64_t allowance_ns;      /* when that was true */
	uint64_t dropped_lines;     /* since `dropping` was armed */
	struct loop_timer dropping; /* its end: then the count is told */
	size_t line_bytes;
	char line[OUTPUT_LINE_BYTES];
};

/* Takes the descriptor over, which must not block. */
void output_open(struct output *output, int descriptor);
/* Reads what is there, writes the line begun and a line of the fleet's own: how the process has
 * ended (less than FLEET_REASON_MAX bytes). on_closed follows, never from within. */
void output_close(struct output *output, const char *how);

/* ---- health.c: one question at a time ---- */

struct probe {
	void (*on_result)(struct probe *probe, bool healthy, const char *why);
	void (*on_closed)(struct probe *probe);
	struct loop *loop;
	const struct loop_address *address;
	const char *path; /* NULL: a connection is enough */
	struct http_origin *origin;
	struct http_call *call;
	unsigned status; /* of the answer's head; 0: none yet */
	struct loop_stream stream;
	bool stream_open;
	bool asking;
	bool closing;
	struct loop_timer timer; /* the answer's limit; then looks for the last connection's end */
	struct loop_task over;
};

int probe_client_new(struct loop *loop, struct http_client **ret_client, struct fault *fault);
void probe_open(struct probe *probe, struct loop *loop, struct http_client *client,
		const struct loop_address *address, enum http_protocol protocol, const char *path);
/* on_result follows, never from within. Not while asking. */
void probe_ask(struct probe *probe);
/* No result follows; on_closed does, never from within. */
void probe_close(struct probe *probe);

/* ---- leftover.c: what survives the death of a node ---- */

struct leftover {
	uint64_t instance;
	pid_t pid;
	uint64_t began_ticks; /* since the boot */
};

/* A record's text, "PID TICKS BOOT\n". False where it is torn, or of another boot: then nothing
 * of it can be running. `instance` is left, which the file's name has. */
bool leftover_parse(struct slice text, struct slice boot, struct leftover *record);
/* Which process an instance was, in DIR/instances/ID.pid. */
int leftover_write(const char *folder, struct instance_id instance, pid_t pid, struct fault *fault);
void leftover_remove(const char *folder, struct instance_id instance);
/* Ends what is recorded and still runs, removes records and sockets. */
int leftover_sweep(const char *folder, struct fault *fault);
/* Ends the control group of an earlier life, and records this one's. NULL: there is none. */
int leftover_groups(const char *folder, const struct cgroups *groups, struct fault *fault);
/* Reserves instance ids that no earlier life has given: *ret_last + 1 and up, INSTANCES_RESERVED
 * of them. */
int leftover_reserve(const char *folder, uint64_t *ret_last, struct fault *fault);

/* ---- launch.c: from a place to a process ---- */

/* Chooses the address, starts the process. *ret_output is the end of its output to read. */
int launch(struct place *place, int *ret_output, struct fault *fault);

/* ---- place.c ---- */

struct place {
	struct generation *generation;
	struct place *next;
	uint32_t number;
	enum fleet_state state;
	bool leaving;   /* will not be started again */
	bool announced; /* on_ready was told, on_gone was not */
	struct instance_id instance;
	struct loop_address address;
	uint16_t port;       /* 0: a socket */
	pid_t pid;           /* 0: no process */
	int exit_descriptor; /* pidfd; -1: none, then `exit_timer` looks */
	struct loop_watch exit_watch;
	struct loop_timer exit_timer;
	struct loop_timer deadline; /* of the state */
	struct loop_timer next_probe;
	struct probe probe;
	struct output output;
	uint32_t parts_open;    /* of exit_watch, probe and output */
	uint64_t since_ns;      /* Unix */
	uint64_t retry_at_ns;   /* monotonic: the next start */
	uint64_t healthy_at_ns; /* monotonic; 0: it never was */
	uint32_t failures;      /* in a row */
	uint32_t starts;
	uint64_t probe_pause_ns;          /* while starting */
	uint32_t unanswered;              /* probes in a row, while healthy */
	char complaint[FLEET_REASON_MAX]; /* of the last probe */
	char ending[FLEET_REASON_MAX];    /* why we end it; "": not by us */
	char reason[FLEET_REASON_MAX];
	struct tail tail;
};

struct place *place_new(struct generation *generation, uint32_t number);
/* Takes it out of service for good: at once, or by draining. */
void place_leave(struct place *place);
/* Leaves without a grace. */
void place_kill(struct place *place);
/* No call is in flight. */
void place_drained(struct place *place);
/* It left and nothing of it is open: it may be freed. */
bool place_is_over(const struct place *place);
void place_status(const struct place *place, struct fleet_status *ret_status);

/* ---- service.c ---- */

struct generation {
	struct service *service;
	struct generation *next; /* older */
	struct fleet_service *specification;
	struct place *first_place;
	bool promoted; /* was healthy in all places at once */
	bool retired;
};

struct service {
	struct fleet *fleet;
	struct service *next;
	struct service_id id;
	struct generation *newest;
	struct loop_task review;
	struct service_log log;
};

/* Takes the specification over. */
void service_set(struct fleet *fleet, struct fleet_service *specification);
void service_remove(struct service *service);
void service_kill(struct service *service);
struct service *service_find(struct fleet *fleet, struct service_id id);
/* Something about a place has changed. */
void service_changed(struct service *service);

/* ---- fleet.c ---- */

struct fleet {
	struct fleet_options options;
	char *folder; /* absolute */
	char *instances_folder;
	char *log_folder;
	int lock_descriptor;
	struct spawner *spawner;
	struct loop *loop;
	struct http_client *client;
	struct service *first_service;
	struct map instances; /* id -> place, of those that run */
	uint64_t last_instance, last_reserved;
	bool stopping;
	bool closing;

	pthread_t thread;
	pid_t thread_id;
	_Atomic uint64_t messages_posted, messages_delivered;
	_Atomic uint64_t posting; /* threads that still touch the loop */
	pthread_mutex_t lock;
	pthread_cond_t answered; /* a thread waits for the fleet's: its begin, a status */
};

static inline bool fleet_has_groups(const struct fleet *fleet)
{
	return fleet->options.groups != NULL && fleet->options.groups->path[0] != '\0';
}

/* An id that no life of this cloud has given. */
int fleet_next_instance(struct fleet *fleet, struct instance_id *ret_id, struct fault *fault);
/* A service is gone. */
void fleet_review(struct fleet *fleet);

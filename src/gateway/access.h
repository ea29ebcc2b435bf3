/*
 * access: the access log, one line a call. Private to the gateway.
 *
 * A worker fills an entry of its own ring by plain stores, without a system call; a thread of the
 * log's own reads the rings, makes lines of the entries and writes them. Where the file is slow or
 * full, entries and lines are dropped and counted: no call ever waits for the log.
 *
 * What a line holds is in access_line.c; never the key, and the query only where it is asked for.
 * What callers chose (method, path) is quoted and escaped as in any log: see base/log.h.
 *
 * The file is looked at before each round of lines (base/log_file.h).
 *
 * Threads: a ring is filled by its worker and emptied by the log's thread. Lifetime: the gateway's.
 */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/problem.h"
#include "gateway/trace.h"

#define ACCESS_RING_ENTRIES 2048u /* of a worker; the log's thread comes by every 20 ms */
#define ACCESS_TEXT_MAX     832u  /* bytes of app, method and path; a longer path is cut */

struct access_entry {
	uint64_t started_wall_ns;
	struct call_id id;                  /* zeros: not admitted */
	char trace_id[TRACE_ID_TEXT_BYTES]; /* "": it has none */
	const char *service, *plan;         /* of the directory; NULL: not known */
	struct key_id key;                  /* 0: not known, or none was sent */
	struct key_id certificate;          /* 0: none was shown */
	const char *protocol;               /* static; NULL: not known */
	uint64_t request_bytes, response_bytes;
	int64_t charge_nano;
	uint64_t duration_us, service_us;
	uint32_t instance;
	uint16_t status; /* 0: no answer was begun */
	uint8_t outcome; /* enum journal_outcome; 0: refused before a service saw it */
	uint8_t problem; /* enum problem; PROBLEM_COUNT: none */
	uint16_t app_bytes, method_bytes, path_bytes; /* in `text`, in this order */
	bool path_cut;
	uint8_t client_bytes; /* 0: not known */
	char client[INET6_ADDRSTRLEN];
	char text[ACCESS_TEXT_MAX];
};

struct access_ring {
	_Alignas(64) _Atomic uint64_t filled; /* by the worker */
	uint64_t emptied_seen;                /* the worker's */
	_Alignas(64) _Atomic uint64_t emptied;
	struct access_entry *entries;
};

struct access_log;

/* Opens the file and starts the thread. The options are copied, but for the path. */
int access_open(const struct gateway_access *options, const struct clock *clock, uint32_t workers,
		struct access_log **ret_log, struct fault *fault);
/* Writes what is left, but for a file that takes nothing for a second. After the workers. */
void access_close(struct access_log *log);
struct access_ring *access_ring_of(struct access_log *log, uint32_t worker);
bool access_with_query(const struct access_log *log);
/* Whether calls of this trace have lines though they went well: by the last 56 bits of the trace's
 * id, as OpenTelemetry's consistent probability samplers decide. So all calls of a trace have lines
 * or none has, on every node, and those that a tracer samples as often are among them. */
bool access_samples(const struct access_log *log, const char trace_id[TRACE_ID_TEXT_BYTES]);
/* Lines that could not be written. Any thread. */
uint64_t access_lost(const struct access_log *log);

/* NULL where the ring is full: the line is dropped. Its members are those of an older line. */
static inline struct access_entry *access_take(struct access_ring *ring)
{
	const uint64_t at = atomic_load_explicit(&ring->filled, memory_order_relaxed);

	if (at - ring->emptied_seen == ACCESS_RING_ENTRIES)
		ring->emptied_seen = atomic_load_explicit(&ring->emptied, memory_order_acquire);
	return at - ring->emptied_seen == ACCESS_RING_ENTRIES
		       ? NULL
		       : &ring->entries[at % ACCESS_RING_ENTRIES];
}

/* The entry that was taken is filled. */
static inline void access_give(struct access_ring *ring)
{
	const uint64_t at = atomic_load_explicit(&ring->filled, memory_order_relaxed);

	atomic_store_explicit(&ring->filled, at + 1, memory_order_release);
}

/* access_line.c: the entry as a line. Returns its length. */
size_t access_line(const struct access_entry *entry, enum log_format format,
		   char text[LOG_LINE_MAX]);

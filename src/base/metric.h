/*
 * metric: counters and gauges, cheap enough for the call path.
 *
 * A folder lists its metrics in one table and gets an enum and the rows from it. Each thread
 * adds into cells of its own, on cache lines of its own, by a plain load and store: no lock, no
 * locked instruction, no shared line. Whoever reads adds up the cells of all threads.
 *
 *	#define GATEWAY_METRICS(X)                                                    \
 *		X(GATEWAY_CALLS, COUNTER, "stoa_calls_total", "Calls answered")       \
 *		X(GATEWAY_OPEN, GAUGE, "stoa_connections{side=\"client\"}", "Open connections")
 *
 *	enum gateway_metric { GATEWAY_METRICS(METRIC_INDEX) };
 *	static const struct metric gateway_metrics[] = { GATEWAY_METRICS(METRIC_ROW) };
 *
 * Names follow Prometheus: a counter ends in _total, units are base units and stand in the
 * name. Rows that differ in their labels alone stand together and share their first sentence.
 *
 * A sum may miss what another thread adds at that moment; nothing is ever lost or seen twice,
 * so a counter never goes back. A gauge's cell may be negative, its sum not for long.
 *
 * Threads: cells belong to one thread; sets may be read, and cells made, from any.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define METRIC_COUNT_MAX 1024 /* rows of one table */

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

struct metric {
	const char *name; /* with its labels, if any: name{label="value"} */
	enum metric_kind kind;
	const char *sentence; /* for people */
};

#define METRIC_INDEX(index, kind, name, sentence) index,
#define METRIC_ROW(index, kind, name, sentence)	  [index] = {name, METRIC_##kind, sentence},

struct metric_set;

/* Of one thread. */
struct metric_cells {
	struct metric_cells *next; /* within the set; not for users */
	size_t count;
	_Alignas(64) _Atomic int64_t values[];
};

/* The rows must outlive the set. Checks that the table keeps the rules above. */
struct metric_set *metric_set_new(const struct metric *rows, size_t row_count);
/* Frees all cells too: no thread may add any more. */
void metric_set_free(struct metric_set *set);

/* One a thread, kept until the set is freed, so that what an ended thread counted remains. */
struct metric_cells *metric_cells_new(struct metric_set *set);

static inline void metric_add(struct metric_cells *cells, size_t index, int64_t by)
{
	_Atomic int64_t *value = &cells->values[index];

	/* The owner alone writes: a load and a store are enough, and far cheaper than an
	 * atomic addition. */
	atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by,
			      memory_order_relaxed);
}

/* A gauge that is read off rather than counted (a queue's length): this thread's share. */
static inline void metric_put(struct metric_cells *cells, size_t index, int64_t value)
{
	atomic_store_explicit(&cells->values[index], value, memory_order_relaxed);
}

/* Over all threads. */
int64_t metric_sum(const struct metric_set *set, size_t index);

/* Appends the Prometheus text format, version 0.0.4. */
void metric_format(const struct metric_set *set, struct text *text);

/* Appends a table for the documentation: name, kind, sentence. */
void metric_document(const struct metric *rows, size_t row_count, struct text *text);

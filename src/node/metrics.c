#include "node/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/disk.h"
#include "node/node_internal.h"

#define SERIES_OTHER "_other"

enum kind { COUNTER, GAUGE, HISTOGRAM };

static const char *const kind_names[] = {"counter", "gauge", "histogram"};

/* index, kind, name, labels, sentence */
#define FAMILIES(X)                                                                              \
	X(BUILD_INFO, GAUGE, "stoa_build_info", "version, io",                                   \
	  "1; which version runs, on which event system")                                        \
	X(START, GAUGE, "stoa_start_time_seconds", "", "When the node started, Unix time")       \
	X(WORKERS, GAUGE, "stoa_workers", "", "Threads that serve calls")                        \
	X(SERVICE_CALLS, COUNTER, "stoa_service_calls_total", "service, outcome",                \
	  "Calls that a service saw, by how they ended")                                         \
	X(SERVICE_SECONDS, HISTOGRAM, "stoa_service_call_seconds", "service, le",                \
	  "How long those calls took, from their head to their settlement")                      \
	X(SERVICE_IN_FLIGHT, GAUGE, "stoa_service_calls_in_flight", "service",                   \
	  "Calls that its instances work on")                                                    \
	X(SERVICE_WAITING, GAUGE, "stoa_service_calls_waiting", "service",                       \
	  "Calls that wait for an instance or for money")                                        \
	X(SERVICE_INSTANCES, GAUGE, "stoa_service_instances", "service",                         \
	  "Instances that calls may go to")                                                      \
	X(SERVICE_LEFT_OUT, GAUGE, "stoa_service_instances_left_out", "service",                 \
	  "Of them, those that are left out for a while since they failed")                      \
	X(DIRECTORY_COMPLETE, GAUGE, "stoa_directory_complete", "",                              \
	  "0 while the gateway may not know all that the store has: it answers 503, not 404")    \
	X(DIRECTORY_ENTRIES, GAUGE, "stoa_directory_entries", "kind",                            \
	  "Services, subscriptions and keys that the gateway knows")                             \
	X(DIRECTORY_CHANGES, COUNTER, "stoa_directory_changes_total", "",                        \
	  "What was added, changed and taken out; publishing the same again is none")            \
	X(PROBLEMS, COUNTER, "stoa_problems_total", "type, status",                              \
	  "Errors that the gateway answered itself, by the types of docs/problems.md")           \
	X(JOURNAL_RECORDS, COUNTER, "stoa_journal_records_total", "stream, stage",               \
	  "Call records since the cloud began: written, durable, posted to the ledger")          \
	X(JOURNAL_LAG, GAUGE, "stoa_journal_lag_records", "stage",                               \
	  "Call records written, and not yet durable or posted")                                 \
	X(JOURNAL_FAILED, GAUGE, "stoa_journal_failed", "",                                      \
	  "1 while the journal cannot be written: calls are refused")                            \
	X(TROUBLE, GAUGE, "stoa_trouble", "part",                                                \
	  "1 while the part cannot do its work; `stoa status` says why and what to do")          \
	X(LEASES_FREE, GAUGE, "stoa_leases_free", "currency",                                    \
	  "Money of the leases that no call holds, in whole units of the currency")              \
	X(FLEET, GAUGE, "stoa_fleet_instances", "state",                                         \
	  "Places of instances that Stoa runs, by their state")                                  \
	X(RESIDENT, GAUGE, "process_resident_memory_bytes", "", "Memory of the node's process")  \
	X(CPU, COUNTER, "process_cpu_seconds_total", "", "Processor time of the node's process") \
	X(OPEN, GAUGE, "process_open_fds", "", "Its open descriptors")                           \
	X(OPEN_MAX, GAUGE, "process_max_fds", "", "How many it may have")

enum family {
#define X(index, kind, name, labels, sentence) FAMILY_##index,
	FAMILIES(X)
#undef X
};

static const struct family_row {
	enum kind kind;
	const char *name, *labels, *sentence;
} rows[] = {
#define X(index, kind, name, labels, sentence) [FAMILY_##index] = {kind, name, labels, sentence},
	FAMILIES(X)
#undef X
};

/* ---- the format ---- */

static void begin(struct text *text, const char *name, const char *kind, const char *sentence)
{
	text_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, sentence, name, kind);
}

/* Its name, for the samples. */
static const char *family(struct text *text, enum family index)
{
	const struct family_row *row = &rows[index];

	begin(text, row->name, kind_names[row->kind], row->sentence);
	return row->name;
}

static void single(struct text *text, enum family index, uint64_t value)
{
	text_printf(text, "%s %" PRIu64 "\n", family(text, index), value);
}

/* Counts of a table: PREFIX_name, and _total where they only grow. */
static void count(struct text *text, const char *prefix, enum kind kind, const char *name,
		  const char *sentence, uint64_t value)
{
	char full[128];

	snprintf(full, sizeof(full), "%s_%s%s", prefix, name, kind == COUNTER ? "_total" : "");
	begin(text, full, kind_names[kind], sentence);
	text_printf(text, "%s %" PRIu64 "\n", full, value);
}

/* ---- services ---- */

struct services {
	size_t count;
	struct {
		char name[GATEWAY_NAME_MAX];
		struct gateway_service_counts counts;
	} of[];
};

static void note_service(void *context, const char *name,
			 const struct gateway_service_counts *counts)
{
	struct services *services = context;

	snprintf(services->of[services->count].name, GATEWAY_NAME_MAX, "%s",
		 name != NULL ? name : SERIES_OTHER);
	services->of[services->count++].counts = *counts;
}

static void service_calls(struct text *text, const struct services *services)
{
	static const char *const outcomes[] = {
#define X(name, text, sentence) text,
		GATEWAY_CALL_CLASS_NAMES(X)
#undef X
	};
	const char *name = family(text, FAMILY_SERVICE_CALLS);

	for (size_t i = 0; i < services->count; i++)
		for (unsigned k = 0; k < GATEWAY_CALL_CLASSES; k++)
			text_printf(text, "%s{service=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", name,
				    services->of[i].name, outcomes[k],
				    services->of[i].counts.calls[k]);
}

static void service_seconds(struct text *text, const struct services *services)
{
	static const char *const bounds[] = {
#define X(us, seconds) seconds,
		GATEWAY_TOOK_BOUNDS(X)
#undef X
			"+Inf"};
	const char *name = family(text, FAMILY_SERVICE_SECONDS);

	_Static_assert(sizeof(bounds) / sizeof(bounds[0]) == GATEWAY_TOOK_BUCKETS, "one each");
	for (size_t i = 0; i < services->count; i++) {
		const struct gateway_service_counts *counts = &services->of[i].counts;
		const char *service = services->of[i].name;
		uint64_t sum = 0;
		for (unsigned k = 0; k < GATEWAY_TOOK_BUCKETS; k++) {
			sum += counts->took[k];
			text_printf(text, "%s_bucket{service=\"%s\",le=\"%s\"} %" PRIu64 "\n", name,
				    service, bounds[k], sum);
		}
		text_printf(text, "%s_sum{service=\"%s\"} %" PRIu64 ".%06" PRIu64 "\n", name,
			    service, counts->took_us / 1000000, counts->took_us % 1000000);
		text_printf(text, "%s_count{service=\"%s\"} %" PRIu64 "\n", name, service, sum);
	}
}

static void service_gauge(struct text *text, const struct services *services, enum family index,
			  size_t offset)
{
	const char *name = family(text, index);

	for (size_t i = 0; i < services->count; i++) {
		uint32_t value;
		memcpy(&value, (const char *)&services->of[i].counts + offset, sizeof(value));
		text_printf(text, "%s{service=\"%s\"} %u\n", name, services->of[i].name, value);
	}
}

static void append_services(struct text *text, const struct node *node)
{
	const uint32_t most = node->config.metrics_services;
	struct services *services =
		calloc(1, sizeof(*services) + ((size_t)most + 1) * sizeof(services->of[0]));

	check(services != NULL);
	gateway_services_read(node->gateway, most, note_service, services);
	service_calls(text, services);
	service_seconds(text, services);
#define GAUGE_OF(index, member) \
	service_gauge(text, services, index, offsetof(struct gateway_service_counts, member))
	GAUGE_OF(FAMILY_SERVICE_IN_FLIGHT, in_flight);
	GAUGE_OF(FAMILY_SERVICE_WAITING, waiting);
	GAUGE_OF(FAMILY_SERVICE_INSTANCES, instances);
	GAUGE_OF(FAMILY_SERVICE_LEFT_OUT, left_out);
#undef GAUGE_OF
	free(services);
}

/* ---- the rest ---- */

static void append_directory(struct text *text, const struct node *node)
{
	const struct gateway_directory_state state = gateway_directory_read(node->gateway);

	single(text, FAMILY_DIRECTORY_COMPLETE, state.complete);
	const char *name = family(text, FAMILY_DIRECTORY_ENTRIES);
	text_printf(text, "%s{kind=\"services\"} %" PRIu64 "\n", name, state.services);
	text_printf(text, "%s{kind=\"subscriptions\"} %" PRIu64 "\n", name, state.subscriptions);
	text_printf(text, "%s{kind=\"keys\"} %" PRIu64 "\n", name, state.keys);
	single(text, FAMILY_DIRECTORY_CHANGES, state.changes);
}

static void append_problems(struct text *text, const struct node *node)
{
	const char *name = family(text, FAMILY_PROBLEMS), *type;
	unsigned status;
	uint64_t value;

	for (uint32_t i = 0; i < gateway_problem_counts(node->gateway, i, &type, &status, &value);
	     i++)
		text_printf(text, "%s{type=\"%s\",status=\"%u\"} %" PRIu64 "\n", name, type, status,
			    value);
}

static void append_journal(struct text *text, const struct node *node)
{
	const char *name = family(text, FAMILY_JOURNAL_RECORDS);
	const uint32_t streams = journal_stream_count(node->journal);
	uint64_t not_durable = 0, not_posted = 0;

	for (uint32_t i = 0; i < streams; i++) {
		/* The latest first, so that none is ahead of the one before it. */
		const uint64_t posted = billing_poster_position(node->poster, i);
		const uint64_t durable = journal_stream_durable(node->journal, i);
		const uint64_t written = journal_stream_head(node->journal, i);
		const struct {
			const char *stage;
			uint64_t value;
		} stages[] = {{"written", written}, {"durable", durable}, {"posted", posted}};
		for (unsigned k = 0; k < 3; k++)
			text_printf(text, "%s{stream=\"%u\",stage=\"%s\"} %" PRIu64 "\n", name, i,
				    stages[k].stage, stages[k].value);
		not_durable += written - durable;
		not_posted += written - posted;
	}
	name = family(text, FAMILY_JOURNAL_LAG);
	text_printf(text, "%s{stage=\"durable\"} %" PRIu64 "\n", name, not_durable);
	text_printf(text, "%s{stage=\"posted\"} %" PRIu64 "\n", name, not_posted);
	single(text, FAMILY_JOURNAL_FAILED, journal_is_failed(node->journal));
}

static void append_troubles(struct text *text, struct node *node)
{
	const char *name = family(text, FAMILY_TROUBLE);

	for (enum trouble_kind kind = 0; kind < TROUBLE_KINDS; kind++)
		text_printf(text, "%s{part=\"%s\"} %d\n", name, trouble_part(kind),
			    troubles_present(&node->troubles, kind));
}

static void append_leases(struct text *text, const struct node *node)
{
	const char *name = family(text, FAMILY_LEASES_FREE);
	char amount[AMOUNT_TEXT_MAX];

	amount_format(amount_nano(gateway_leases_free_nano(node->gateway)), amount);
	text_printf(text, "%s{currency=\"%s\"} %s\n", name, node->config.currency, amount);
}

static void append_fleet(struct text *text, const struct node *node)
{
	static const enum fleet_state states[] = {
#define X(name, text, sentence) name,
		FLEET_STATES(X)
#undef X
	};
	const char *name = family(text, FAMILY_FLEET);
	struct fleet_status *places;
	size_t place_count;

	fleet_status_list(node->fleet, &places, &place_count);
	for (size_t state = 0; state < sizeof(states) / sizeof(states[0]); state++) {
		size_t found = 0;
		for (size_t i = 0; i < place_count; i++)
			found += places[i].state == states[state];
		text_printf(text, "%s{state=\"%s\"} %zu\n", name, fleet_state_text(states[state]),
			    found);
	}
	free(places);
}

static uint64_t open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	uint64_t found = 0;

	while (folder != NULL && readdir(folder) != NULL)
		found++;
	if (folder != NULL)
		closedir(folder);
	return found > 3 ? found - 3 : 0; /* ".", "..", and the folder's own */
}

static uint64_t resident_bytes(void)
{
	/* "pages in all", "pages resident", and more. */
	struct slice rest, pages = {0};
	struct fault fault;
	uint64_t resident = 0;
	char *text;
	size_t length;

	if (disk_read_file("/proc/self/statm", 4096, &text, &length, &fault) < 0)
		return 0;
	rest = slice_make(text, length);
	if (!slice_cut(&rest, ' ', &pages) || !slice_cut(&rest, ' ', &pages) ||
	    !slice_to_u64(pages, UINT32_MAX, &resident))
		resident = 0;
	free(text);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void append_process(struct text *text)
{
	struct rusage usage;
	struct rlimit files;

	check_equal(getrusage(RUSAGE_SELF, &usage), 0);
	check_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	const uint64_t us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
			    (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	single(text, FAMILY_RESIDENT, resident_bytes());
	text_printf(text, "%s %" PRIu64 ".%06" PRIu64 "\n", family(text, FAMILY_CPU), us / 1000000,
		    us % 1000000);
	single(text, FAMILY_OPEN, open_descriptors());
	single(text, FAMILY_OPEN_MAX, (uint64_t)files.rlim_cur);
}

void metrics_compose(void *context, struct text *text)
{
	struct node *node = context;
	struct gateway_counts calls;
	struct billing_counts poster;
	const char *reason;
	const enum loop_io io = gateway_io(node->gateway, &reason);

	text_printf(text, "%s{version=\"%s\",io=\"%s\"} 1\n", family(text, FAMILY_BUILD_INFO),
		    STOA_VERSION, io == LOOP_IO_URING ? "uring" : "epoll");
	single(text, FAMILY_START, node->started_ns / CLOCK_NS_PER_S);
	single(text, FAMILY_WORKERS, node->worker_count);
	gateway_counts_read(node->gateway, &calls);
#define X(kind, name, sentence) count(text, "stoa_gateway", kind, #name, sentence, calls.name);
	GATEWAY_COUNTS(X)
#undef X
	append_directory(text, node);
	append_problems(text, node);
	append_services(text, node);
	append_journal(text, node);
	append_troubles(text, node);
	append_leases(text, node);
	billing_poster_counts(node->poster, &poster);
#define X(kind, name, sentence) count(text, "stoa_poster", kind, #name, sentence, poster.name);
	BILLING_COUNTS(X)
#undef X
	append_fleet(text, node);
	append_process(text);
}

/* ---- the document ---- */

static void document_count(struct text *text, const char *prefix, enum kind kind, const char *name,
			   const char *sentence)
{
	text_printf(text, "| `%s_%s%s` | %s | | %s |\n", prefix, name,
		    kind == COUNTER ? "_total" : "", kind_names[kind], sentence);
}

static void document_labels(struct text *text, const char *labels)
{
	struct slice rest = slice_of(labels), label;

	for (bool first = true; rest.length > 0 && slice_cut(&rest, ',', &label); first = false)
		text_printf(text, "%s`%.*s`", first ? "" : ", ", SLICE_ARGS(slice_trim(label)));
}

void metrics_document(struct text *text)
{
	text_append_text(
		text,
		"# Metrics\n"
		"\n"
		"`GET /metrics` on the API's address, in Prometheus' text format. It takes the "
		"token in the file\n"
		"`metrics.token` of the cloud's folder, which opens nothing else and may be given "
		"to whoever watches;\n"
		"the admin token opens it too. For Prometheus:\n"
		"\n"
		"```yaml\n"
		"scrape_configs:\n"
		"  - job_name: stoa\n"
		"    authorization: {credentials_file: /srv/cloud/metrics.token}\n"
		"    static_configs: [{targets: [\"127.0.0.1:7070\"]}]\n"
		"```\n"
		"\n"
		"The number of series is bounded: the first `metrics.services` services in the "
		"order "
		"of publishing are\n"
		"told apart, all others are summed up as `service=\"" SERIES_OTHER
		"\"`, and nothing is told by key, app or\n"
		"account. Reading them takes nothing from the calls' path. This page is written "
		"from the tables in\n"
		"`src/node/metrics.c`, `src/gateway/gateway.h` and `src/billing/billing.h`.\n"
		"\n"
		"| metric | kind | labels | meaning |\n"
		"|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text_printf(text, "| `%s` | %s | ", rows[i].name, kind_names[rows[i].kind]);
		document_labels(text, rows[i].labels);
		text_printf(text, "%s| %s |\n", rows[i].labels[0] != '\0' ? " " : "",
			    rows[i].sentence);
	}
#define X(kind, name, sentence) document_count(text, "stoa_gateway", kind, #name, sentence);
	GATEWAY_COUNTS(X)
#undef X
#define X(kind, name, sentence) document_count(text, "stoa_poster", kind, #name, sentence);
	BILLING_COUNTS(X)
#undef X
	text_append_text(text,
			 "\nOutcomes of `stoa_service_calls_total`:\n\n| outcome | meaning |\n"
			 "|---|---|\n");
#define X(index, name, sentence) text_printf(text, "| `%s` | %s |\n", name, sentence);
	GATEWAY_CALL_CLASS_NAMES(X)
#undef X
}

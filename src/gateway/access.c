#include "gateway/access.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log_file.h"

#define INTERVAL_MS      20
#define LAST_WAIT_NS     CLOCK_NS_PER_S /* how long a slow file is waited for at the end */
#define TOLD_NS          (10 * CLOCK_NS_PER_S)
#define BUFFER_BYTES     (64u << 10)
#define RANDOMNESS_BYTES 14 /* hexadecimal digits at a trace id's end that are random */

struct access_log {
	struct gateway_access options;
	char least_sampled[RANDOMNESS_BYTES + 1];
	const struct clock *clock;
	uint32_t ring_count;
	pthread_t thread;
	int stop_descriptor; /* readable: the end */
	struct log_file file;
	uint64_t give_up_ns;   /* 0: it does not stop */
	uint64_t complaint_ns; /* when a fault was told last; 0: never */
	bool torn;             /* the file ends within a line */
	_Atomic uint64_t lost;
	size_t length; /* of what waits in `buffer` */
	uint32_t lines;
	char buffer[BUFFER_BYTES];
	struct access_ring rings[];
};

/* ---- the file ---- */

static void complain(struct access_log *log, const char *what, int error)
{
	const uint64_t now_ns = clock_monotonic_ns(log->clock);

	if (log->complaint_ns != 0 && now_ns - log->complaint_ns < TOLD_NS)
		return;
	log->complaint_ns = now_ns;
	log_event(LOG_ERROR, "access_log.failed", log_text("path", log->options.path),
		  log_text("at", what), log_text("error", strerrordesc_np(error)));
}

static void look_at_file(struct access_log *log)
{
	struct stat status;
	const char *at;

	if (!log_file_ready(&log->file, 1, &at))
		complain(log, at, errno);
	if (fstat(log->file.descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
	    status.st_size == 0)
		log->torn = false; /* of the file before */
}

/* ---- writing ---- */

/* Until the file takes more, the end begins, or its time is over. */
static bool wait_for_file(struct access_log *log)
{
	struct pollfd polled[] = {{.fd = log->file.descriptor, .events = POLLOUT},
				  {.fd = log->stop_descriptor, .events = POLLIN}};
	const bool stopping = log->give_up_ns != 0;

	if (stopping && clock_monotonic_ns(log->clock) >= log->give_up_ns)
		return false;
	poll(polled, stopping ? 1 : 2, INTERVAL_MS);
	if (!stopping && (polled[1].revents & POLLIN))
		log->give_up_ns = clock_monotonic_ns(log->clock) + LAST_WAIT_NS;
	return true;
}

static bool write_all(struct access_log *log, const char *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		const ssize_t count = write(log->file.descriptor, bytes + at, length - at);
		if (count > 0) {
			at += (size_t)count;
			log->torn = bytes[at - 1] != '\n';
		} else if (count < 0 && errno == EAGAIN) {
			if (!wait_for_file(log))
				return false;
		} else if (count == 0 || errno != EINTR) {
			complain(log, "write", count == 0 ? ENOSPC : errno);
			return false;
		}
	}
	return true;
}

/* What is lost is at most what waited: some of its lines may have been written. */
static void flush(struct access_log *log)
{
	if (log->length > 0 &&
	    ((log->torn && !write_all(log, "\n", 1)) || !write_all(log, log->buffer, log->length)))
		atomic_fetch_add(&log->lost, log->lines);
	log->length = log->lines = 0;
}

/* All that the ring has by now. */
static void empty(struct access_log *log, struct access_ring *ring)
{
	const uint64_t end = atomic_load_explicit(&ring->filled, memory_order_acquire);
	uint64_t at = atomic_load_explicit(&ring->emptied, memory_order_relaxed);

	for (; at < end; at++) {
		if (log->length + LOG_LINE_MAX > BUFFER_BYTES)
			flush(log);
		log->length += access_line(&ring->entries[at % ACCESS_RING_ENTRIES],
					   log->options.format, log->buffer + log->length);
		log->lines++;
		atomic_store_explicit(&ring->emptied, at + 1, memory_order_release);
	}
}

static void *run(void *context)
{
	struct access_log *log = context;
	struct pollfd stop = {.fd = log->stop_descriptor, .events = POLLIN};

	while (log->give_up_ns == 0) {
		if (poll(&stop, 1, INTERVAL_MS) > 0)
			log->give_up_ns = clock_monotonic_ns(log->clock) + LAST_WAIT_NS;
		look_at_file(log);
		for (uint32_t i = 0; i < log->ring_count; i++)
			empty(log, &log->rings[i]);
		flush(log);
	}
	/* What came before a slow file noticed the end. */
	for (uint32_t i = 0; i < log->ring_count; i++)
		empty(log, &log->rings[i]);
	flush(log);
	return NULL;
}

/* ---- life ---- */

static void free_log(struct access_log *log)
{
	for (uint32_t i = 0; i < log->ring_count; i++)
		free(log->rings[i].entries);
	log_file_close(&log->file);
	if (log->stop_descriptor >= 0)
		close(log->stop_descriptor);
	free(log);
}

static int prepare(struct access_log *log, struct fault *fault)
{
	for (uint32_t i = 0; i < log->ring_count; i++) {
		log->rings[i].entries = calloc(ACCESS_RING_ENTRIES, sizeof(struct access_entry));
		if (log->rings[i].entries == NULL)
			return fault_set(fault, FAULT_SYSTEM, "no memory for the access log");
	}
	if (!log_file_open(&log->file))
		return fault_set_errno(fault, errno, "cannot open the access log %s",
				       log->options.path);
	log->stop_descriptor = eventfd(0, EFD_CLOEXEC);
	if (log->stop_descriptor < 0)
		return fault_set_errno(fault, errno, "cannot make an event descriptor");
	const int error = pthread_create(&log->thread, NULL, run, log);
	return error == 0 ? 0 : fault_set_errno(fault, error, "cannot start the access log");
}

/* Of a million millionths nothing is left: 'g' is above every digit. */
static void set_least_sampled(struct access_log *log, uint32_t skipped_ppm)
{
	const unsigned __int128 skipped = ((unsigned __int128)skipped_ppm << 56) / 1000000;

	check(skipped_ppm <= 1000000);
	if (skipped_ppm == 1000000)
		memset(log->least_sampled, 'g', RANDOMNESS_BYTES);
	else
		snprintf(log->least_sampled, sizeof(log->least_sampled), "%014llx",
			 (unsigned long long)skipped);
}

int access_open(const struct gateway_access *options, const struct clock *clock, uint32_t workers,
		struct access_log **ret_log, struct fault *fault)
{
	const size_t bytes = sizeof(struct access_log) + workers * sizeof(struct access_ring);
	struct access_log *log = aligned_alloc(64, (bytes + 63) / 64 * 64);

	if (log == NULL)
		return fault_set(fault, FAULT_SYSTEM, "no memory for the access log");
	memset((void *)log, 0, bytes);
	log->options = *options;
	set_least_sampled(log, options->skipped_ppm);
	log->clock = clock;
	log->ring_count = workers;
	/* A pipe must not hold the thread either. */
	log->file = (struct log_file){.path = options->path,
				      .bytes_max = options->bytes_max,
				      .flags = O_NONBLOCK,
				      .descriptor = -1};
	log->stop_descriptor = -1;
	const int code = prepare(log, fault);
	if (code < 0)
		free_log(log);
	else
		*ret_log = log;
	return code;
}

void access_close(struct access_log *log)
{
	const uint64_t one = 1;

	check_equal(write(log->stop_descriptor, &one, sizeof(one)), (ssize_t)sizeof(one));
	pthread_join(log->thread, NULL);
	free_log(log);
}

struct access_ring *access_ring_of(struct access_log *log, uint32_t worker)
{
	check(worker < log->ring_count);
	return &log->rings[worker];
}

bool access_with_query(const struct access_log *log)
{
	return log->options.query;
}

bool access_samples(const struct access_log *log, const char trace_id[TRACE_ID_TEXT_BYTES])
{
	return memcmp(trace_id + TRACE_ID_TEXT_BYTES - RANDOMNESS_BYTES, log->least_sampled,
		      RANDOMNESS_BYTES) >= 0;
}

uint64_t access_lost(const struct access_log *log)
{
	return atomic_load(&log->lost);
}

/* What one append costs the caller, with maintenance beside it, on a real disk. */
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "journal/journal.h"

#define BATCH       2000 /* records between two looks at the clock: 10 ms at 200,000 a second */
#define BATCHES     600
#define INTERVAL_NS 10000000

static _Atomic bool done;

static int ticker_open(void)
{
	const struct itimerspec every = {{.tv_nsec = INTERVAL_NS}, {.tv_nsec = INTERVAL_NS}};
	const int ticker = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	check(ticker >= 0);
	check(timerfd_settime(ticker, 0, &every, NULL) == 0);
	return ticker;
}

static void ticker_wait(int ticker)
{
	uint64_t ticks;

	check(read(ticker, &ticks, sizeof(ticks)) == sizeof(ticks));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static void *maintain(void *context)
{
	const int ticker = ticker_open();
	struct fault fault;
	bool synced;

	while (!atomic_load(&done)) {
		if (journal_maintain(context, &synced, &fault) < 0)
			fprintf(stderr, "%s\n", fault.text);
		ticker_wait(ticker);
	}
	close(ticker);
	return NULL;
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

static int compare(const void *left, const void *right)
{
	const double a = *(const double *)left;
	const double b = *(const double *)right;

	return (a > b) - (a < b);
}

int main(void)
{
	char folder[] = "/var/tmp/journal_bench_XXXXXX";
	static double costs_ns[BATCHES];
	struct journal_stream *stream;
	struct journal *journal;
	struct fault fault = {0};
	pthread_t maintainer;
	uint64_t waits = 0;

	check(mkdtemp(folder) != NULL);
	const struct journal_options options = {
		.disk = disk_system(), .clock = clock_system(), .folder = folder};
	check(journal_open(&options, &journal, &fault) == 0);
	check(journal_stream_open(journal, 0, &stream, &fault) == 0);
	check(pthread_create(&maintainer, NULL, maintain, journal) == 0);

	const int ticker = ticker_open();
	struct journal_record record = {.outcome = JOURNAL_ANSWERED, .status = 200};
	for (unsigned i = 0; i < BATCHES; i++) {
		for (; journal_stream_room(stream) < BATCH; waits++)
			ticker_wait(ticker);
		const uint64_t before = thread_cpu_ns();
		for (unsigned k = 0; k < BATCH; k++) {
			record.request_bytes = k;
			journal_append(stream, &record);
		}
		costs_ns[i] = (double)(thread_cpu_ns() - before) / BATCH;
		ticker_wait(ticker);
	}
	atomic_store(&done, true);
	check(pthread_join(maintainer, NULL) == 0);
	check(journal_close(journal, &fault) == 0);

	qsort(costs_ns, BATCHES, sizeof(costs_ns[0]), compare);
	printf("append: median %.0f ns, p90 %.0f ns, most %.0f ns; waits for room: %ju\n",
	       costs_ns[BATCHES / 2], costs_ns[BATCHES * 9 / 10], costs_ns[BATCHES - 1],
	       (uintmax_t)waits);
	close(ticker);
	return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0;
}

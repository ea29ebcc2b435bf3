/*
 * How many call records a second enter the transparency log, on one core.
 *
 *	audit_bench [RECORDS]
 *
 * A journal and a log on a real disk; the records are durable before the clock starts, and a new
 * head is signed after each 30,000, as a busy second brings them. The last line is JSON:
 *
 *	{"audited_records_per_s": by CPU time, "audited_records_per_s_wall": by wall time}
 */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit/audit.h"
#include "base/check.h"
#include "base/units.h"

#define RECORDS_DEFAULT    1000000
#define RECORDS_A_HEAD     30000
#define RECORDS_A_MAINTAIN 100000

static struct fault fault;

static void must(int code)
{
	if (code == 0)
		return;
	fprintf(stderr, "audit_bench: %s\n", fault.text);
	exit(1);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static uint64_t elapsed_ns(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void fill(struct journal *journal, uint64_t count)
{
	struct journal_stream *stream;
	bool synced;

	must(journal_stream_open(journal, 0, &stream, &fault));
	for (uint64_t i = 0; i < count; i++) {
		struct journal_record record = {
			.outcome = JOURNAL_ANSWERED, .status = 200, .started_ns = i};
		if (i % RECORDS_A_MAINTAIN == 0)
			must(journal_maintain(journal, &synced, &fault));
		journal_append(stream, &record);
	}
	must(journal_maintain(journal, &synced, &fault));
}

static void measure(struct audit_log *log, uint64_t count)
{
	const uint64_t cpu_ns = elapsed_ns(CLOCK_PROCESS_CPUTIME_ID);
	const uint64_t wall_ns = elapsed_ns(CLOCK_MONOTONIC);
	struct audit_signed_head head;
	uint64_t taken;

	for (uint64_t done = 0; done < count; done += taken) {
		must(audit_log_advance(log, RECORDS_A_HEAD, &taken, &fault));
		check(taken > 0);
	}
	audit_log_head(log, &head);
	check_equal(head.head.size, count);
	const double cpu_s = (double)(elapsed_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns) / 1e9;
	const double wall_s = (double)(elapsed_ns(CLOCK_MONOTONIC) - wall_ns) / 1e9;
	printf("{\"audited_records_per_s\": %.0f, \"audited_records_per_s_wall\": %.0f}\n",
	       (double)count / cpu_s, (double)count / wall_s);
}

int main(int argc, char **argv)
{
	char folder[] = "/var/tmp/audit_bench_XXXXXX";
	char journal_folder[64];
	char log_folder[64];
	uint64_t count = RECORDS_DEFAULT;
	struct journal *journal;
	struct audit_log *log;
	struct audit_signer signer;

	if (argc > 1 && (!units_parse_count(slice_of(argv[1]), &count) || count == 0)) {
		fprintf(stderr, "usage: audit_bench [RECORDS]\n");
		return 2;
	}
	check(mkdtemp(folder) != NULL);
	snprintf(journal_folder, sizeof(journal_folder), "%s/journal", folder);
	snprintf(log_folder, sizeof(log_folder), "%s/log", folder);
	const struct journal_options options = {
		.disk = disk_system(), .clock = clock_system(), .folder = journal_folder};
	must(journal_open(&options, &journal, &fault));
	fill(journal, count);
	must(audit_signer_load(folder, "bench", random_system(), &signer, &fault));
	const struct audit_log_options log_options = {.journal = journal,
						      .folder = log_folder,
						      .origin = "bench/journal-0",
						      .signer = &signer};
	must(audit_log_open(&log_options, &log, &fault));
	measure(log, count);
	audit_log_close(log);
	must(journal_close(journal, &fault));
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

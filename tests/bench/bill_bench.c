/*
 * How much processor time it takes to make a month's bill of many calls, and to verify it.
 *
 *	bill_bench [CALLS]
 *
 * Every second call is another account's. The last line is JSON:
 *
 *	{"bill_calls": .., "bill_bytes": .., "bill_make_cpu_s": .., "bill_verify_cpu_s": ..}
 */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/units.h"
#include "billing/billing_testing.h"

#define CALLS_DEFAULT   200000
#define SEGMENT_RECORDS 16384

static struct testing world;
static struct audit_signer signer;

static void must(int code)
{
	if (code == 0)
		return;
	fprintf(stderr, "bill_bench: %s\n", world.fault.text);
	exit(1);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fill(uint64_t calls)
{
	const struct rating_plan plan = testing_unit_plan(5 * TESTING_CENT, 3);
	struct testing_subscription *mine = testing_subscribe(&world, "anna", "pix", &plan);
	struct testing_subscription *other = testing_subscribe(&world, "bert", "pix", &plan);

	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){3, 2};
	testing_fund(&world, "anna", INT64_MAX / 4);
	testing_fund(&world, "bert", INT64_MAX / 4);
	testing_start(&world);
	for (uint64_t i = 0; i < calls; i++) {
		testing_call(&world, mine, 0);
		testing_call(&world, other, 0);
	}
	testing_post(&world);
}

static void make(struct audit_logs *logs, struct text *whole)
{
	const struct billing_bill_options options = {
		.store = world.other,
		.terms = &world.options.terms,
		.journal = world.journal,
		.logs = logs,
		.node = world.options.node,
		.currency = "USD",
		.account_name = slice_of("anna"),
		.month = clock_month_of(TESTING_START_NS),
		.now_ns = TESTING_START_NS,
	};
	struct billing_bill *bill;
	struct text piece;
	bool done = false;

	text_init(&piece, AUDIT_BILL_MAX);
	must(billing_bill_open(&options, &bill, &world.fault));
	while (!done) {
		text_clear(&piece);
		must(billing_bill_next(bill, &piece, &done, &world.fault));
		text_append(whole, text_slice(&piece));
	}
	billing_bill_close(bill);
	text_fini(&piece);
}

static void measure(struct audit_logs *logs, uint64_t calls)
{
	struct audit_bill bill;
	struct audit_complaint complaint;
	struct text whole;
	uint64_t taken;

	must(audit_logs_advance(logs, 0, UINT64_MAX, &taken, &world.fault));
	text_init(&whole, AUDIT_BILL_MAX);
	const double began_s = now_s();
	make(logs, &whole);
	const double made_s = now_s();
	if (!audit_bill_verify(text_slice(&whole), &signer.key, NULL, &bill, &complaint)) {
		fprintf(stderr, "bill_bench: %s: %s\n", complaint.pointer, complaint.reason);
		exit(1);
	}
	const double verified_s = now_s();
	check_equal(bill.calls, calls);
	printf("{\"bill_calls\": %" PRIu64 ", \"bill_bytes\": %zu, \"bill_make_cpu_s\": %.2f, "
	       "\"bill_verify_cpu_s\": %.2f}\n",
	       calls, whole.length, made_s - began_s, verified_s - made_s);
	text_fini(&whole);
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/stoa-bill-bench.XXXXXX";
	char path[96];
	struct audit_logs *logs;
	uint64_t calls = CALLS_DEFAULT;

	if (argc > 1 && (!units_parse_count(slice_of(argv[1]), &calls) || calls == 0))
		return 2;
	testing_init_sized(&world, SEGMENT_RECORDS);
	check(mkdtemp(folder) != NULL);
	must(audit_signer_load(folder, "test", random_system(), &signer, &world.fault));
	fill(calls);
	snprintf(path, sizeof(path), "%s/audit", folder);
	const struct audit_logs_options options = {
		.journal = world.journal, .folder = path, .node = 1, .signer = &signer};
	must(audit_logs_open(&options, &logs, &world.fault));
	measure(logs, calls);
	audit_logs_close(logs);
	testing_fini(&world);
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

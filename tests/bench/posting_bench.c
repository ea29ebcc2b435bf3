/*
 * How many call records a second the poster turns into committed charges, on one core.
 *
 *	posting_bench [FOLDER] [RECORDS] [SUBSCRIPTIONS]
 *
 * A journal and a SQLite file in FOLDER, both real; each subscription has its own paying account
 * with a lease, eight providers share the services, and a plan has a graduated price on a custom
 * unit beside the price of a call. Records are written a turn's worth at a time, as a gateway
 * does, made durable, and posted; only the posting is measured. The last line is JSON:
 *
 *	{"posted_records_per_s_1000_subscriptions": by CPU time, "..._wall": by wall time, ..}
 *
 * The sums are checked at the end: what was told is what was posted, and the ledger is sound.
 */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/random.h"
#include "base/units.h"
#include "billing/billing.h"
#include "meter/meter.h"

#define SEED           7
#define STREAMS        2
#define PROVIDERS      8
#define PATH_MAX_BYTES 512
#define HOLD_NANO      2000000
#define WRITE_RECORDS  65536

struct lease {
	int64_t available_nano;
	int64_t wanted_nano;
	int64_t taken_nano;
};

struct caller {
	struct billing_terms terms;
	struct rating_quantities used;
	struct rating_cloud_quantities cloud_used;
	struct lease lease;
};

struct bench {
	struct fault fault;
	const char *folder;
	struct store *store;
	struct journal *journal;
	struct journal_stream *streams[STREAMS];
	struct billing_options options;
	struct billing_poster *poster;
	struct caller *callers;
	uint64_t caller_count;
	int64_t share_nano;  /* more than a caller's part of a turn */
	int64_t funded_nano; /* each; all together within the ledger's int64 */
	struct random_seeded random;
	__int128 told_nano;
	uint64_t posted;
	uint64_t turns;
	uint64_t cpu_ns;
	uint64_t wall_ns;
};

static void must(int code, const struct bench *bench)
{
	if (code == 0)
		return;
	fprintf(stderr, "posting_bench: %s\n", bench->fault.text);
	exit(1);
}

static uint64_t elapsed_ns(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the gateway's face ---- */

static struct billing_lease_state lease_poll(void *context, void *handle)
{
	struct lease *lease = handle;
	const struct billing_lease_state state = {
		.available_nano = lease->available_nano,
		.wanted_nano = lease->wanted_nano,
		.taken_nano = lease->taken_nano,
	};

	(void)context;
	lease->wanted_nano = 0;
	return state;
}

static void lease_grant(void *context, void *handle, int64_t nano, uint64_t expires_ns)
{
	struct lease *lease = handle;

	(void)context;
	(void)expires_ns;
	lease->available_nano += nano;
}

static int64_t lease_reclaim(void *context, void *handle, int64_t nano)
{
	struct lease *lease = handle;
	const int64_t taken = nano < lease->available_nano ? nano : lease->available_nano;

	(void)context;
	lease->available_nano -= taken;
	return taken;
}

static void lease_set_source(void *context, void *handle, bool has_more)
{
	(void)context;
	(void)handle;
	check(has_more);
}

static void leases_changed(void *context)
{
	(void)context;
}

/* ---- who calls whom ---- */

static int find_terms(void *context, struct store *store, struct subscription_id id, uint32_t month,
		      struct billing_terms *ret_terms, struct fault *fault)
{
	const struct bench *bench = context;

	(void)store;
	(void)month;
	if (id.value == 0 || id.value > bench->caller_count)
		return fault_set(fault, FAULT_NOT_FOUND, "no subscription");
	*ret_terms = bench->callers[id.value - 1].terms;
	return 0;
}

static struct rating_plan plan_make(void)
{
	struct rating_plan plan = {
		.price_count = 2,
		.prices = {{.meter = RATING_CALLS,
			    .model = RATING_UNIT,
			    .rate = {.nano = 50000, .per = 1}},
			   {.meter = RATING_UNIT_0,
			    .model = RATING_GRADUATED,
			    .free_units = 1000000,
			    .tier_count = 2,
			    .tiers = {{.up_to = 100000000, .rate = {100000000, 1000000}},
				      {.up_to = INT64_MAX, .rate = {40000000, 1000000}}}}},
		.max_charge_nano = HOLD_NANO / 2,
	};

	for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
		plan.max_units[i] = INT64_MAX;
	return plan;
}

static void callers_make(struct bench *bench)
{
	const struct rating_plan plan = plan_make();
	bool created;

	check(rating_plan_valid(&plan));
	bench->callers = calloc(bench->caller_count, sizeof(*bench->callers));
	check(bench->callers != NULL);
	must(store_begin(bench->store, STORE_WRITE, &bench->fault), bench);
	for (uint64_t i = 0; i < bench->caller_count; i++) {
		struct billing_terms *terms = &bench->callers[i].terms;
		const uint64_t provider = i % PROVIDERS;
		terms->subscription.value = i + 1;
		terms->plan.value = provider + 1;
		terms->account.value = i + 100;
		terms->app.value = i + 1;
		terms->service.value = provider + 1;
		terms->provider.value = provider + 1;
		terms->rating = plan;
		terms->budget_nano = -1;
		snprintf(terms->account_name, sizeof(terms->account_name), "caller-%" PRIu64, i);
		snprintf(terms->provider_name, sizeof(terms->provider_name), "provider-%" PRIu64,
			 provider);
		must(billing_fund(bench->store, slice_of(terms->account_name),
				  amount_nano(bench->funded_nano), slice_of(terms->account_name),
				  clock_wall_ns(bench->options.clock), &created, &bench->fault),
		     bench);
	}
	must(store_commit(bench->store, &bench->fault), bench);
}

static void leases_make(struct bench *bench)
{
	struct billing_balance balance;

	for (uint64_t i = 0; i < bench->caller_count; i++) {
		struct caller *caller = &bench->callers[i];
		must(billing_balance_get(bench->store, slice_of(caller->terms.account_name),
					 &balance, &bench->fault),
		     bench);
		caller->lease.wanted_nano = bench->share_nano;
		billing_poster_lease_add(bench->poster, balance.ledger_account, &caller->lease);
	}
}

static void files_open(struct bench *bench)
{
	char path[PATH_MAX_BYTES];

	snprintf(path, sizeof(path), "%s/store.db", bench->folder);
	must(store_open(path, &bench->store, &bench->fault), bench);
	must(store_migrate(bench->store, ledger_migrations, ledger_migration_count, &bench->fault),
	     bench);
	must(meter_migrate(bench->store, &bench->fault), bench);
	must(billing_migrate(bench->store, &bench->fault), bench);
	snprintf(path, sizeof(path), "%s/journal", bench->folder);
	const struct journal_options options = {
		.disk = disk_system(), .clock = clock_system(), .folder = path};
	must(journal_open(&options, &bench->journal, &bench->fault), bench);
	for (uint32_t i = 0; i < STREAMS; i++)
		must(journal_stream_open(bench->journal, i, &bench->streams[i], &bench->fault),
		     bench);
}

static void set_up(struct bench *bench)
{
	uint64_t posted;

	random_seeded_init(&bench->random, SEED);
	files_open(bench);
	bench->options = (struct billing_options){
		.store = bench->store,
		.journal = bench->journal,
		.clock = clock_system(),
		.terms = {.find = find_terms, .context = bench},
		.leases = {.poll = lease_poll,
			   .grant = lease_grant,
			   .reclaim = lease_reclaim,
			   .set_source = lease_set_source,
			   .changed = leases_changed},
		.fee_ppm = 30000,
		.node = 1,
	};
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		bench->options.card.of[i] = (struct rating_rate){.nano = 7, .per = 1000};
	callers_make(bench);
	must(billing_poster_open(&bench->options, &bench->poster, &bench->fault), bench);
	must(billing_poster_recover(bench->poster, &bench->fault), bench);
	leases_make(bench);
	must(billing_poster_turn(bench->poster, &posted, &bench->fault), bench);
}

/* ---- calls ---- */

/* One whose lease has enough; the others' calls would wait for the poster. NULL: all of many. */
static struct caller *caller_pick(struct bench *bench)
{
	struct random *random = &bench->random.random;

	for (unsigned tries = 0; tries < 64; tries++) {
		struct caller *caller = &bench->callers[random_below(random, bench->caller_count)];
		if (caller->lease.available_nano < bench->share_nano)
			caller->lease.wanted_nano = bench->share_nano;
		if (caller->lease.available_nano >= HOLD_NANO)
			return caller;
	}
	return NULL;
}

static bool call(struct bench *bench, uint64_t now_ns)
{
	struct caller *caller = caller_pick(bench);
	if (caller == NULL)
		return false;
	const struct billing_terms *terms = &caller->terms;
	const uint64_t chance = random_seeded_next(&bench->random);
	struct rating_quantities quantities;
	struct rating_cloud_quantities cloud;
	int64_t usage_nano;
	int64_t cloud_nano;
	struct journal_record record = {
		.outcome = JOURNAL_ANSWERED,
		.flags = JOURNAL_BILLED,
		.settled_ns = now_ns,
		.started_ns = now_ns - 1000000,
		.duration_us = 100 + (uint32_t)(chance % 4096),
		.service_us = 80 + (uint32_t)(chance % 4096),
		.status = 200,
		.account = terms->account,
		.app = terms->app,
		.subscription = terms->subscription,
		.service = terms->service,
		.plan = terms->plan,
		.request_bytes = chance >> 20 & 1023,
		.response_bytes = chance >> 30 & 8191,
		.units = {chance >> 50},
		.memory_mib_us = 16 * (80 + chance % 4096),
		.cpu_milli_us = 62 * (80 + chance % 4096),
	};

	check(audit_quantities_of(&terms->rating, &record, &quantities, &cloud));
	check(rating_plan_advance(&terms->rating, &caller->used, &quantities, &usage_nano));
	check(rating_cloud_advance(&bench->options.card, &caller->cloud_used, &cloud, &cloud_nano));
	record.units[0] = (uint64_t)quantities.of[RATING_UNIT_0];
	record.charge_nano = usage_nano + cloud_nano;
	check_at_most(record.charge_nano, HOLD_NANO);
	check_at_most(record.charge_nano, caller->lease.available_nano);
	caller->lease.taken_nano += HOLD_NANO;
	caller->lease.available_nano -= record.charge_nano;
	bench->told_nano += record.charge_nano;
	journal_append(bench->streams[chance % STREAMS], &record);
	return true;
}

static void write_some(struct bench *bench, uint64_t count)
{
	const uint64_t now_ns = clock_wall_ns(clock_system());
	bool synced;

	for (uint64_t i = 0; i < count && call(bench, now_ns); i++)
		;
	must(journal_maintain(bench->journal, &synced, &bench->fault), bench);
}

static void post_all(struct bench *bench)
{
	const uint64_t wall_ns = elapsed_ns(CLOCK_MONOTONIC);
	const uint64_t cpu_ns = elapsed_ns(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t posted = 1;

	while (posted > 0) {
		must(billing_poster_turn(bench->poster, &posted, &bench->fault), bench);
		bench->posted += posted;
		bench->turns += posted > 0;
	}
	bench->wall_ns += elapsed_ns(CLOCK_MONOTONIC) - wall_ns;
	bench->cpu_ns += elapsed_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
}

/* ---- what came of it ---- */

static void check_sums(struct bench *bench)
{
	struct ledger *ledger;
	struct ledger_audit audit;
	struct billing_balance balance;
	struct billing_counts counts;
	__int128 spent_nano = 0;

	must(billing_poster_finish(bench->poster, &bench->fault), bench);
	billing_poster_counts(bench->poster, &counts);
	check_equal(counts.records, bench->posted);
	check_equal(counts.owed + counts.parked + counts.lease_overruns + counts.mismatches, 0);
	for (uint64_t i = 0; i < bench->caller_count; i++) {
		must(billing_balance_get(bench->store,
					 slice_of(bench->callers[i].terms.account_name), &balance,
					 &bench->fault),
		     bench);
		spent_nano += bench->funded_nano - balance.balance_nano;
	}
	check(spent_nano == bench->told_nano);
	must(ledger_new(bench->store, &ledger, &bench->fault), bench);
	must(store_begin(bench->store, STORE_READ, &bench->fault), bench);
	must(ledger_audit(ledger, &audit, &bench->fault), bench);
	store_rollback(bench->store);
	ledger_free(ledger);
	printf("%" PRIu64 " records in %" PRIu64 " turns, %" PRIu64 " transfers; %" PRIu64
	       " ns of CPU and %" PRIu64 " ns of wall a record; every sum agrees\n",
	       bench->posted, bench->turns, audit.transfers, bench->cpu_ns / bench->posted,
	       bench->wall_ns / bench->posted);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)status;
	(void)kind;
	(void)at;
	return remove(path);
}

static uint64_t argument(int count, char **arguments, int index, uint64_t otherwise)
{
	uint64_t value = otherwise;

	if (index < count && !units_parse_count(slice_of(arguments[index]), &value)) {
		fprintf(stderr, "posting_bench: \"%s\" is no count\n", arguments[index]);
		exit(2);
	}
	return value;
}

int main(int count, char **arguments)
{
	char folder[PATH_MAX_BYTES];
	struct bench bench = {.folder = folder};
	const uint64_t records = argument(count, arguments, 2, 2000000);

	bench.caller_count = argument(count, arguments, 3, 1000);
	check(records >= 1 && bench.caller_count >= 1);
	bench.funded_nano = bench.caller_count > 1000 ? 10000 * AMOUNT_NANO_PER_UNIT
						      : 1000000 * AMOUNT_NANO_PER_UNIT;
	bench.share_nano = HOLD_NANO * (int64_t)(2 * WRITE_RECORDS / bench.caller_count + 64);
	snprintf(folder, sizeof(folder), "%s/posting_bench_%ld", count > 1 ? arguments[1] : ".",
		 (long)getpid());
	if (mkdir(folder, 0700) != 0) {
		fprintf(stderr, "posting_bench: cannot make %s: %m\n", folder);
		return 1;
	}
	set_up(&bench);
	while (bench.posted < records) {
		write_some(&bench, WRITE_RECORDS);
		post_all(&bench);
	}
	check_sums(&bench);
	billing_poster_close(bench.poster);
	must(journal_close(bench.journal, &bench.fault), &bench);
	store_close(bench.store);
	free(bench.callers);
	check_equal(nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
	printf("{\"posted_records_per_s_%" PRIu64 "_subscriptions\": %" PRIu64
	       ", \"posted_records_per_s_%" PRIu64 "_subscriptions_wall\": %" PRIu64 "}\n",
	       bench.caller_count, bench.posted * 1000000000u / bench.cpu_ns, bench.caller_count,
	       bench.posted * 1000000000u / bench.wall_ns);
	return 0;
}

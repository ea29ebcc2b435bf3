/*
 * How many transfers a second the ledger commits, on one core, into SQLite on a real file.
 *
 *	ledger_bench [FOLDER] [ACCOUNTS] [BATCHES]
 *
 * Each batch is one store transaction of 3,000 transfers, as a poster's turn makes them: usage,
 * cloud and fee between consumers, providers and the operator, ids derived from a growing
 * position. Prints wall and CPU time per transfer, per tenth of the run, so that growth shows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/random.h"
#include "base/units.h"
#include "ledger/ledger.h"

#define BATCH          3000
#define PARTS          10
#define SEED           7
#define NOW_NS         1700000000000000000ull
#define PATH_MAX_BYTES 512

struct bench {
	struct store *store;
	struct ledger *ledger;
	struct ledger_account_id operator;
	struct ledger_account_id *accounts;
	uint64_t account_count;
	struct random_seeded random;
	uint64_t position;
};

static void must(int code, const struct fault *fault)
{
	if (code == 0)
		return;
	fprintf(stderr, "ledger_bench: %s\n", fault->text);
	exit(1);
}

static uint64_t elapsed_ns(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct ledger_account_id account_make(struct bench *bench, const char *name,
					     struct fault *fault)
{
	struct ledger_account account = {.ledger = LEDGER_MONEY};
	struct ledger_account_id id;

	snprintf(account.name, sizeof(account.name), "%s", name);
	must(ledger_account_create(bench->ledger, &account, &id, fault), fault);
	return id;
}

static void set_up(struct bench *bench, struct fault *fault)
{
	random_seeded_init(&bench->random, SEED);
	must(store_migrate(bench->store, ledger_migrations, ledger_migration_count, fault), fault);
	must(ledger_new(bench->store, &bench->ledger, fault), fault);
	must(store_begin(bench->store, STORE_WRITE, fault), fault);
	bench->operator= account_make(bench, "operator", fault);
	bench->accounts = calloc(bench->account_count, sizeof(bench->accounts[0]));
	check(bench->accounts != NULL);
	for (uint64_t index = 0; index < bench->account_count; index++) {
		char name[32];
		snprintf(name, sizeof(name), "account-%" PRIu64, index);
		bench->accounts[index] = account_make(bench, name, fault);
	}
	must(store_commit(bench->store, fault), fault);
}

static void batch_fill(struct bench *bench, struct ledger_transfer *transfers)
{
	static const enum ledger_kind kinds[] = {LEDGER_KIND_USAGE, LEDGER_KIND_CLOUD,
						 LEDGER_KIND_FEE};

	bench->position += 100000;
	for (size_t index = 0; index < BATCH; index += 3) {
		struct random *random = &bench->random.random;
		const uint64_t consumer = random_below(random, bench->account_count);
		const uint64_t provider =
			(consumer + 1 + random_below(random, 16)) % bench->account_count;
		const struct ledger_account_id from[] = {bench->accounts[consumer],
							 bench->accounts[consumer],
							 bench->accounts[provider]};
		const struct ledger_account_id to[] = {bench->accounts[provider], bench->operator,
						       bench->operator};
		for (size_t line = 0; line < 3; line++)
			transfers[index + line] = (struct ledger_transfer){
				.id = ledger_transfer_id_derive(kinds[line], bench->position, index,
								consumer),
				.debit = from[line],
				.credit = to[line],
				.amount_nano = 1 + (int64_t)random_below(random, 1000000),
				.kind = kinds[line],
				.subscription = {consumer + 1},
				.period = 650,
			};
	}
}

static void batch_post(struct bench *bench, struct fault *fault)
{
	static struct ledger_transfer transfers[BATCH];
	static enum ledger_outcome outcomes[BATCH];

	batch_fill(bench, transfers);
	must(store_begin(bench->store, STORE_WRITE, fault), fault);
	must(ledger_transfers_create(bench->ledger, transfers, BATCH, NOW_NS, outcomes, fault),
	     fault);
	must(store_commit(bench->store, fault), fault);
	for (size_t index = 0; index < BATCH; index++)
		check_equal(outcomes[index], LEDGER_CREATED);
}

static uint64_t argument(int count, char **arguments, int index, uint64_t otherwise)
{
	uint64_t value = otherwise;

	if (index < count && !units_parse_count(slice_of(arguments[index]), &value)) {
		fprintf(stderr, "ledger_bench: \"%s\" is no count\n", arguments[index]);
		exit(2);
	}
	return value;
}

int main(int count, char **arguments)
{
	struct bench bench = {.account_count = argument(count, arguments, 2, 1000)};
	const uint64_t batches = argument(count, arguments, 3, 200);
	struct fault fault = {0};
	char path[PATH_MAX_BYTES];

	check(bench.account_count >= 32);
	check(batches >= PARTS);
	snprintf(path, sizeof(path), "%s/ledger_bench.db", count > 1 ? arguments[1] : ".");
	(void)remove(path);
	must(store_open(path, &bench.store, &fault), &fault);
	set_up(&bench, &fault);
	for (unsigned part = 0; part < PARTS; part++) {
		const uint64_t wall_ns = elapsed_ns(CLOCK_MONOTONIC);
		const uint64_t cpu_ns = elapsed_ns(CLOCK_PROCESS_CPUTIME_ID);
		const uint64_t done = batches / PARTS * BATCH;
		for (uint64_t batch = 0; batch < batches / PARTS; batch++)
			batch_post(&bench, &fault);
		const uint64_t wall = elapsed_ns(CLOCK_MONOTONIC) - wall_ns;
		const uint64_t cpu = elapsed_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
		printf("%10" PRIu64 " transfers: %7" PRIu64 " a second, %5" PRIu64
		       " ns of wall and %5" PRIu64 " ns of CPU each\n",
		       done * (part + 1), done * 1000000000u / wall, wall / done, cpu / done);
	}
	struct ledger_audit audit;
	must(store_begin(bench.store, STORE_READ, &fault), &fault);
	must(ledger_audit(bench.ledger, &audit, &fault), &fault);
	store_rollback(bench.store);
	ledger_free(bench.ledger);
	store_close(bench.store);
	free(bench.accounts);
	return 0;
}

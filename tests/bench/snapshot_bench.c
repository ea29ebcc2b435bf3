/*
 * What a million keys cost the gateway's directory, and the store to build such a cloud in.
 *
 *	snapshot_bench lookup
 *	snapshot_bench make FOLDER KEYS SERVICES
 *
 * `lookup` puts keys into a directory as the publisher does and finds them in random order, as a
 * worker does. Each key costs an entry and its part of the table, counted by the allocator. The
 * last line is JSON:
 *
 *	{"snapshot_bytes_per_key": .., "lookup_ns_1k_keys": .., "lookup_ns_1m_keys": ..}
 *
 * `make` writes FOLDER/store.db with an app that has KEYS keys, every tenth of them with a scope,
 * and subscribes to all of SERVICES services: what `stoa serve --cloud FOLDER` then loads.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/random.h"
#include "billing/billing.h"
#include "catalog/catalog.h"
#include "gateway/directory.h"
#include "ledger/ledger.h"

#define MILLION     1000000u
#define FINDS       1000000u
#define KEYS_A_TURN 50000u

static void must(int code, const struct fault *fault)
{
	if (code == 0)
		return;
	fprintf(stderr, "snapshot_bench: %s\n", fault->text);
	exit(1);
}

/* ---- looking up ---- */

static void digest_of(uint32_t number, uint8_t digest[32])
{
	struct random_seeded random;

	random_seeded_init(&random, number);
	for (unsigned k = 0; k < 4; k++) {
		const uint64_t part = random_seeded_next(&random);
		memcpy(digest + 8 * k, &part, sizeof(part));
	}
}

static void put_keys(struct directory *directory, uint32_t from, uint32_t to)
{
	struct fault fault;

	table_reserve(&directory->keys, to);
	for (uint32_t i = from; i < to; i++) {
		struct gateway_key_entry entry = {.id = {i + 1}, .app = {1}};
		bool replaced;
		digest_of(i, entry.digest);
		must(directory_put_key(directory, &entry, &replaced, &fault), &fault);
	}
}

/* Nanoseconds of one lookup, all digests made before. */
static double find_keys(struct directory *directory, uint32_t count)
{
	uint8_t(*digests)[32] = malloc(FINDS * sizeof(*digests));
	struct random_seeded random;
	uint64_t sum = 0;

	check(digests != NULL);
	random_seeded_init(&random, 7);
	for (uint32_t i = 0; i < FINDS; i++)
		digest_of((uint32_t)(random_seeded_next(&random) % count), digests[i]);
	const uint64_t begun_ns = clock_monotonic_ns(clock_system());
	for (uint32_t i = 0; i < FINDS; i++) {
		const struct directory_key *key = directory_find_key(directory, digests[i]);
		check(key != NULL);
		sum += key->id.value;
	}
	const uint64_t took_ns = clock_monotonic_ns(clock_system()) - begun_ns;
	check(sum > 0);
	free(digests);
	return (double)took_ns / FINDS;
}

static int run_lookup(void)
{
	struct rating_card card = {0};
	struct directory directory;
	struct fault fault;

	urcu_qsbr_register_thread();
	must(directory_init(&directory, &card, 1, &fault), &fault);
	put_keys(&directory, 0, 1000);
	find_keys(&directory, 1000);
	const double small_ns = find_keys(&directory, 1000);
	const struct mallinfo2 before = mallinfo2();
	put_keys(&directory, 1000, MILLION + 1000);
	const struct mallinfo2 after = mallinfo2();
	const size_t bytes = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
	find_keys(&directory, MILLION);
	const double large_ns = find_keys(&directory, MILLION);
	printf("{\"snapshot_bytes_per_key\": %zu, \"lookup_ns_1k_keys\": %.1f, "
	       "\"lookup_ns_1m_keys\": %.1f}\n",
	       bytes / MILLION, small_ns, large_ns);
	directory_fini(&directory);
	urcu_qsbr_unregister_thread();
	return 0;
}

/* ---- making a cloud ---- */

struct making {
	uint64_t keys, services;
	uint64_t now_ns;
	struct account_app app;
	struct account_id provider;
	uint64_t done;
};

static int make_people(struct store *store, void *context, struct fault *fault)
{
	struct making *making = context;
	struct account consumer, provider;
	int code = account_operator_ensure(store, making->now_ns, &provider, fault);

	if (code == 0)
		code = account_create(store, slice_of("consumer"), making->now_ns, &consumer,
				      fault);
	if (code == 0)
		code = account_create(store, slice_of("provider"), making->now_ns, &provider,
				      fault);
	if (code == 0)
		code = account_app_create(store, consumer.id, slice_of("app"), making->now_ns,
					  &making->app, fault);
	making->provider = provider.id;
	struct ledger_account_id id;
	return code < 0 ? code : billing_account_ensure(store, slice_of("consumer"), &id, fault);
}

static int make_keys(struct store *store, void *context, struct fault *fault)
{
	struct making *making = context;
	const struct slice scope = slice_of("service-1:GET,POST:/v1");
	const uint64_t left = making->keys - making->done;
	const uint64_t count = left < KEYS_A_TURN ? left : KEYS_A_TURN;
	struct account_key_options options = {.app = making->app.id};
	struct account_key_made *made = calloc(count, sizeof(*made));

	check(made != NULL);
	const uint64_t scoped = count / 10;
	int code = account_key_create(store, random_system(), &options, count - scoped,
				      making->now_ns, made, fault);
	options.scopes = &scope;
	options.scope_count = 1;
	if (code == 0 && scoped > 0)
		code = account_key_create(store, random_system(), &options, scoped, making->now_ns,
					  made, fault);
	free(made);
	if (code == 0)
		making->done += count;
	return code;
}

static int make_service(struct store *store, const struct making *making, uint64_t number,
			struct fault *fault)
{
	char name[32], text[512];
	struct catalog_manifest *manifest;
	struct catalog_complaints complaints;
	struct catalog_change change;
	struct catalog_subscription subscription;
	enum catalog_subscribed outcome;
	struct subscription_id ended;

	snprintf(name, sizeof(name), "service-%" PRIu64, number);
	snprintf(text, sizeof(text),
		 "service: %s\nversion: 1.0.0\nupstream: [\"http://127.0.0.1:9\"]\n"
		 "plans:\n  payg:\n    prices:\n      - {meter: calls, price: 0.01}\n",
		 name);
	int code = catalog_manifest_parse("service.yaml", slice_of(text), &manifest, &complaints,
					  fault);
	if (code < 0)
		return code;
	code = catalog_publish(store, manifest, slice_of("/"), making->provider, 0, making->now_ns,
			       &change, fault);
	catalog_manifest_free(manifest);
	const struct catalog_subscribe wanted = {
		.app = making->app.id, .service = slice_of(name), .budget_nano = -1};
	if (code == 0)
		code = catalog_subscribe(store, &wanted, making->now_ns, &subscription, &outcome,
					 &ended, fault);
	return code;
}

static int make_services(struct store *store, void *context, struct fault *fault)
{
	struct making *making = context;
	int code = 0;

	for (uint64_t i = 1; code == 0 && i <= making->services; i++)
		code = make_service(store, making, i, fault);
	return code;
}

static int run_make(const char *folder, uint64_t keys, uint64_t services)
{
	struct making making = {
		.keys = keys, .services = services, .now_ns = clock_wall_ns(clock_system())};
	struct store *store;
	struct fault fault;
	char path[512];

	snprintf(path, sizeof(path), "sqlite:%s/store.db", folder);
	must(store_open(path, &store, &fault), &fault);
	must(account_migrate(store, &fault), &fault);
	must(catalog_migrate(store, &fault), &fault);
	must(store_migrate(store, ledger_migrations, ledger_migration_count, &fault), &fault);
	must(store_transaction(store, make_people, &making, &fault), &fault);
	while (making.done < keys)
		must(store_transaction(store, make_keys, &making, &fault), &fault);
	must(store_transaction(store, make_services, &making, &fault), &fault);
	store_close(store);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t keys, services;

	if (argc == 2 && strcmp(argv[1], "lookup") == 0)
		return run_lookup();
	if (argc == 5 && strcmp(argv[1], "make") == 0 &&
	    slice_to_u64(slice_of(argv[3]), 10 * MILLION, &keys) &&
	    slice_to_u64(slice_of(argv[4]), MILLION, &services))
		return run_make(argv[2], keys, services);
	fprintf(stderr, "usage: snapshot_bench lookup | make FOLDER KEYS SERVICES\n");
	return 2;
}

/*
 * testing: a store with two accounts and an app, and short ways to publish and to subscribe.
 */
#pragma once

#include "base/testing.h"

#include <string.h>

#include "catalog/catalog.h"
#include "store/store_testing.h"

#define NOW 1764000000000000000ull

struct bench {
	struct store_testing files;
	struct store *store;
	struct account acme;   /* the provider */
	struct account client; /* the consumer */
	struct account_app app;
	struct fault fault;
};

#define must(bench, call)                                    \
	do {                                                 \
		if ((call) < 0)                              \
			fail_msg("%s", (bench)->fault.text); \
	} while (0)

#define assert_fault(bench, call, expected_code, expected_text)          \
	do {                                                             \
		assert_int_equal(call, expected_code);                   \
		assert_string_equal((bench)->fault.text, expected_text); \
		assert_int_equal((bench)->fault.code, expected_code);    \
	} while (0)

/* Leaves a write transaction open. */
static inline int bench_set_up(void **state)
{
	static struct bench bench;

	*state = &bench;
	memset(&bench, 0, sizeof(bench));
	store_testing_init(&bench.files);
	must(&bench, store_open(bench.files.path, &bench.store, &bench.fault));
	must(&bench, account_migrate(bench.store, &bench.fault));
	must(&bench, catalog_migrate(bench.store, &bench.fault));
	must(&bench, store_begin(bench.store, STORE_WRITE, &bench.fault));
	must(&bench, account_create(bench.store, slice_of("acme"), NOW, &bench.acme, &bench.fault));
	must(&bench,
	     account_create(bench.store, slice_of("client"), NOW, &bench.client, &bench.fault));
	must(&bench, account_app_create(bench.store, bench.client.id, slice_of("web"), NOW,
					&bench.app, &bench.fault));
	return 0;
}

static inline int bench_tear_down(void **state)
{
	struct bench *bench = *state;

	store_close(bench->store);
	store_testing_fini(&bench->files);
	return 0;
}

#define test_of(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

static inline struct catalog_manifest *bench_manifest(struct bench *bench, const char *text)
{
	struct catalog_manifest *manifest = NULL;
	struct catalog_complaints complaints;

	must(bench, catalog_manifest_parse("service.yaml", slice_of(text), &manifest, &complaints,
					   &bench->fault));
	return manifest;
}

static inline int bench_publish_as(struct bench *bench, const char *text, struct account_id account,
				   struct catalog_change *ret_change)
{
	struct catalog_manifest *manifest = bench_manifest(bench, text);
	const int code = catalog_publish(bench->store, manifest, slice_of("/srv/thumbs"), account,
					 0, NOW, ret_change, &bench->fault);

	catalog_manifest_free(manifest);
	return code;
}

static inline struct catalog_change bench_publish(struct bench *bench, const char *text)
{
	struct catalog_change change = {.plan_count = 0};

	must(bench, bench_publish_as(bench, text, bench->acme.id, &change));
	return change;
}

/* For store_trace: counts in *context what writes, and what it could not know to be reading. */
static inline void bench_count_writes(void *context, const struct store_trace *trace)
{
	unsigned *writes = context;

	if (trace->operation == STORE_OPERATION_RUN ||
	    (trace->operation == STORE_OPERATION_STEP && strncmp(trace->sql, "SELECT ", 7) != 0))
		++*writes;
}

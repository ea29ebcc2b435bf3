#include "catalog/testing_internal.h"

#define THUMBS                                                                                 \
	"service: thumbs\n"                                                                    \
	"version: 1.4.0\n"                                                                     \
	"summary: Thumbnails of pictures\n"                                                    \
	"tags: [images, fast]\n"                                                               \
	"docs: README.md\n"                                                                    \
	"protocol: h2\n"                                                                       \
	"run: {command: [./thumbs, --fast], env: {MODE: x}, health: /healthz, memory: 64MiB, " \
	"cpu: 0.25, concurrency: 4, start_timeout: 5s, instances: 2, listen: port}\n"          \
	"meters: {pixels: {unit: pixel}, words: {}}\n"
#define PAYG                                                                                     \
	"  payg:\n"                                                                              \
	"    prices:\n"                                                                          \
	"      - {meter: calls, price: 0.05}\n"                                                  \
	"      - {meter: words, model: graduated, free: 1M, tiers: [{up_to: 100M, price: 0.10 "  \
	"per 1M}, {price: 0.04 per 1M}]}\n"                                                      \
	"      - {meter: pixels, model: package, size: 1k, price: 0.01}\n"                       \
	"      - {model: flat, price: 3}\n"                                                      \
	"    max_charge: 0.20\n"                                                                 \
	"    max_units: {words: 50M}\n"                                                          \
	"    limits: {rate: 100/m, burst: 200, quota: 1M/month, concurrency: 32, timeout: 3s}\n" \
	"    bill_on: always\n"
#define FREE "  free: {}\n"

static void publishing_makes_a_service_with_its_plans(void **state)
{
	struct bench *bench = *state;
	const struct catalog_change change = bench_publish(bench, THUMBS "plans:\n" FREE PAYG);

	assert_true(change.created);
	assert_true(change.described);
	assert_false(change.moved);
	assert_true(change.anything);
	assert_int_equal(change.revision, 1);
	assert_int_equal(change.plan_count, 2);
	assert_string_equal(change.plans[0].name, "free");
	assert_int_equal(change.plans[0].change, CATALOG_PLAN_NEW);
	assert_int_equal(change.plans[1].version, 1);
}

static void publishing_the_same_again_writes_nothing(void **state)
{
	struct bench *bench = *state;
	static unsigned writes;

	store_trace(bench->store, bench_count_writes, &writes);
	const struct catalog_change first = bench_publish(bench, THUMBS "plans:\n" FREE PAYG);
	assert_true(writes > 0);
	writes = 0;
	/* The same in other words. */
	const struct catalog_change again = bench_publish(
		bench, THUMBS
		"plans:\n"
		"  free: {bill_on: answered, limits: {timeout: 30000ms}, prices: []}\n" PAYG);

	assert_int_equal(writes, 0);
	assert_false(again.created);
	assert_false(again.described);
	assert_false(again.anything);
	assert_int_equal(again.service.value, first.service.value);
	assert_int_equal(again.revision, 1);
	assert_int_equal(again.plan_count, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(again.plans[i].change, CATALOG_PLAN_SAME);
		assert_int_equal(again.plans[i].id.value, first.plans[i].id.value);
	}
}

static void a_changed_plan_makes_its_next_version_and_keeps_the_old(void **state)
{
	struct bench *bench = *state;
	const struct catalog_change first = bench_publish(
		bench, THUMBS "plans:\n" FREE "  pro: {prices: [{meter: calls, price: 1}]}\n");
	const struct catalog_change second = bench_publish(
		bench, THUMBS "plans:\n" FREE "  pro: {prices: [{meter: calls, price: 2}]}\n");
	struct catalog_plan plans[8];
	size_t count;

	assert_true(second.anything);
	assert_false(second.described);
	assert_int_equal(second.plans[0].change, CATALOG_PLAN_SAME);
	assert_int_equal(second.plans[1].change, CATALOG_PLAN_CHANGED);
	assert_int_equal(second.plans[1].version, 2);
	assert_int_not_equal(second.plans[1].id.value, first.plans[1].id.value);

	must(bench, catalog_plan_list(bench->store, second.service, true, (struct plan_id){0},
				      plans, 8, &count, &bench->fault));
	assert_int_equal(count, 2);
	must(bench, catalog_plan_list(bench->store, second.service, false, (struct plan_id){0},
				      plans, 8, &count, &bench->fault));
	assert_int_equal(count, 3);
	assert_false(plans[1].offered);
	assert_int_equal(plans[1].terms.rating.prices[0].rate.nano, 1000000000);
	assert_true(plans[2].offered);
	assert_int_equal(plans[2].version, 2);
	assert_int_equal(plans[2].terms.rating.prices[0].rate.nano, 2000000000);
}

static void a_plan_that_is_left_out_is_withdrawn_and_can_come_back(void **state)
{
	struct bench *bench = *state;
	const struct catalog_change first = bench_publish(bench, THUMBS "plans:\n" FREE PAYG);
	const struct catalog_change without = bench_publish(bench, THUMBS "plans:\n" FREE);
	const struct catalog_change same = bench_publish(bench, THUMBS "plans:\n" FREE);
	const struct catalog_change back = bench_publish(bench, THUMBS "plans:\n" FREE PAYG);

	assert_int_equal(without.plan_count, 2);
	assert_int_equal(without.plans[1].change, CATALOG_PLAN_WITHDRAWN);
	assert_string_equal(without.plans[1].name, "payg");
	assert_true(without.anything);
	assert_int_equal(same.plan_count, 1);
	assert_false(same.anything);
	assert_int_equal(back.plans[1].change, CATALOG_PLAN_BACK);
	assert_int_equal(back.plans[1].id.value, first.plans[1].id.value);
	assert_string_equal(catalog_plan_change_text(back.plans[1].change), "back");
}

static void a_changed_description_makes_the_next_revision(void **state)
{
	static const char changed[] = "service: thumbs\nversion: 1.5.0\n"
				      "upstream: ['http://[fd00::5]:8000', unix:/run/t.sock]\n"
				      "plans:\n" FREE;
	struct bench *bench = *state;
	struct catalog_service *service;

	bench_publish(bench, THUMBS "plans:\n" FREE);
	const struct catalog_change change = bench_publish(bench, changed);
	assert_true(change.described);
	assert_false(change.created);
	assert_int_equal(change.revision, 2);
	must(bench, catalog_service_get(bench->store, slice_of("thumbs"), &service, &bench->fault));
	assert_int_equal(service->revision, 2);
	assert_string_equal(service->description.version, "1.5.0");
	assert_null(service->description.run);
	assert_int_equal(service->description.upstream_count, 2);
	assert_string_equal(service->description.upstreams[0].host, "fd00::5");
	assert_string_equal(service->description.upstreams[1].path, "/run/t.sock");
	catalog_service_free(service);
}

static void a_folder_that_moved_is_told_and_makes_no_revision(void **state)
{
	struct bench *bench = *state;
	struct catalog_change change;
	struct catalog_service *service;
	struct catalog_manifest *manifest = bench_manifest(bench, THUMBS "plans:\n" FREE);

	bench_publish(bench, THUMBS "plans:\n" FREE);
	must(bench, catalog_publish(bench->store, manifest, slice_of("/srv/other"), bench->acme.id,
				    0, NOW, &change, &bench->fault));
	assert_true(change.moved);
	assert_true(change.anything);
	assert_false(change.described);
	assert_int_equal(change.revision, 1);
	must(bench, catalog_service_get(bench->store, slice_of("thumbs"), &service, &bench->fault));
	assert_string_equal(service->folder, "/srv/other");
	catalog_service_free(service);
	assert_fault(bench,
		     catalog_publish(bench->store, manifest, slice_of("srv"), bench->acme.id, 0,
				     NOW, &change, &bench->fault),
		     FAULT_INPUT,
		     "the manifest's folder must be an absolute path of at most 4095 bytes");
	catalog_manifest_free(manifest);
}

static void a_name_belongs_to_who_published_it_first(void **state)
{
	struct bench *bench = *state;
	struct catalog_change change;

	bench_publish(bench, THUMBS "plans:\n" FREE);
	assert_fault(bench,
		     bench_publish_as(bench, THUMBS "plans:\n" FREE, bench->client.id, &change),
		     FAULT_REFUSED,
		     "the service name \"thumbs\" belongs to the account \"acme\"; choose another "
		     "name");
	assert_fault(
		bench,
		bench_publish_as(bench, THUMBS "plans:\n" FREE, (struct account_id){77}, &change),
		FAULT_NOT_FOUND, "there is no acct_77");
}

static void terms_and_description_survive_the_store_to_the_byte(void **state)
{
	struct bench *bench = *state;
	struct catalog_manifest *manifest = bench_manifest(bench, THUMBS "plans:\n" PAYG);
	const struct catalog_change change = bench_publish(bench, THUMBS "plans:\n" PAYG);
	const struct catalog_run *written = manifest->description.run;
	struct catalog_service *service;
	struct catalog_plan plan;

	must(bench, catalog_plan_get(bench->store, change.plans[0].id, &plan, &bench->fault));
	assert_memory_equal(&plan.terms, &manifest->plans[0].terms, sizeof(plan.terms));
	assert_int_equal(plan.service.value, change.service.value);
	assert_string_equal(plan.name, "payg");

	must(bench,
	     catalog_service_get_by_id(bench->store, change.service, &service, &bench->fault));
	const struct catalog_run *run = service->description.run;
	assert_string_equal(service->account_name, "acme");
	assert_string_equal(service->folder, "/srv/thumbs");
	assert_string_equal(service->description.name, "thumbs");
	assert_string_equal(service->description.summary, "Thumbnails of pictures");
	assert_string_equal(service->description.tags[1], "fast");
	assert_null(service->description.tags[2]);
	assert_string_equal(service->description.docs, "README.md");
	assert_null(service->description.openapi);
	assert_string_equal(service->description.units[1].name, "words");
	assert_string_equal(run->command[1], "--fast");
	assert_null(run->command[2]);
	assert_string_equal(run->environment[0], "MODE=x");
	assert_string_equal(run->health, "/healthz");
	assert_int_equal(service->description.protocol, CATALOG_PROTOCOL_2);
	assert_int_equal(run->listen, CATALOG_LISTEN_PORT);
	assert_int_equal(run->memory_bytes, written->memory_bytes);
	assert_int_equal(run->cpu_milli, 250);
	assert_int_equal(run->concurrency, 4);
	assert_int_equal(run->start_timeout_ns, written->start_timeout_ns);
	assert_int_equal(run->instances, 2);
	catalog_service_free(service);
	catalog_manifest_free(manifest);
}

#define UNITS(list) "service: u\nversion: 1.0.0\nupstream: [unix:/u]\nmeters: {" list "}\n"
#define PRICED(unit)                                                                              \
	"plans: {p: {max_charge: 1, prices: [{meter: " unit ", price: 0.001}], max_units: {" unit \
	": 9}}}\n"

static void a_units_slot_is_the_services_for_ever(void **state)
{
	struct bench *bench = *state;
	const struct catalog_change first = bench_publish(bench, UNITS("a: {}, b: {}") PRICED("b"));
	const struct catalog_change second =
		bench_publish(bench, UNITS("c: {}, b: {unit: bee}") PRICED("c"));
	struct catalog_service *service;
	struct catalog_change change;
	struct catalog_plan plan;

	must(bench, catalog_plan_get(bench->store, first.plans[0].id, &plan, &bench->fault));
	assert_int_equal(plan.terms.rating.prices[0].meter, RATING_UNIT_1);
	assert_int_equal(plan.terms.rating.max_units[1], 9);
	must(bench, catalog_plan_get(bench->store, second.plans[0].id, &plan, &bench->fault));
	assert_int_equal(plan.terms.rating.prices[0].meter, RATING_UNIT_2);
	assert_int_equal(plan.terms.rating.max_units[2], 9);
	assert_true(plan.terms.rating.max_units[0] == INT64_MAX);

	must(bench,
	     catalog_service_get_by_id(bench->store, first.service, &service, &bench->fault));
	assert_string_equal(service->description.units[0].name, "a");
	assert_string_equal(service->description.units[1].unit, "bee");
	assert_string_equal(service->description.units[2].name, "c");
	assert_null(service->description.units[3].name);
	catalog_service_free(service);

	bench_publish(bench, UNITS("d: {}") PRICED("d"));
	assert_fault(bench,
		     bench_publish_as(bench, UNITS("e: {}") PRICED("e"), bench->acme.id, &change),
		     FAULT_LIMIT,
		     "the service \"u\" has declared 4 meters in its life, and \"e\" would be one "
		     "more; a meter's place is never given away, so keep to these: a, b, c, d");
}

static void what_was_changed_in_the_store_is_damage_and_not_read(void **state)
{
	struct bench *bench = *state;
	const struct catalog_change change = bench_publish(bench, THUMBS "plans:\n" PAYG);
	static const char *const harms[] = {
		"UPDATE plans SET content = '{'",
		"UPDATE plans SET content = '[]'",
		"UPDATE plans SET content = replace(content, '\"meter\":\"words\"', "
		"'\"meter\":\"w\"')",
		"UPDATE plans SET content = replace(content, '\"model\":\"unit\"', "
		"'\"model\":\"free lunch\"')",
		"UPDATE plans SET content = replace(content, '\"nano\":50000000', '\"nano\":-5')",
		"UPDATE plans SET content = replace(content, ',\"up_to\":100000000', '')",
		"UPDATE plans SET content = replace(content, '\"max_charge_nano\":200000000', "
		"'\"max_charge_nano\":2')",
	};
	struct catalog_plan plan;

	must(bench, store_commit(bench->store, &bench->fault));
	for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
		must(bench, store_begin(bench->store, STORE_WRITE, &bench->fault));
		must(bench, store_run(bench->store, harms[i], &bench->fault));
		assert_fault(
			bench,
			catalog_plan_get(bench->store, change.plans[0].id, &plan, &bench->fault),
			FAULT_DAMAGED,
			"plan \"payg\", version 1: the stored plan is not what was written");
		store_rollback(bench->store);
	}
	must(bench, catalog_plan_get(bench->store, change.plans[0].id, &plan, &bench->fault));
}

/* ---- failures ---- */

struct session {
	struct bench *bench;
	struct catalog_manifest *first, *second;
};

static int session(struct store *store, void *context, struct fault *fault)
{
	const struct session *session = context;
	struct bench *bench = session->bench;
	const struct catalog_subscribe wanted = {.app = bench->app.id,
						 .service = slice_of("thumbs"),
						 .plan = slice_of("free"),
						 .budget_nano = 5};
	enum catalog_subscribed outcome;
	struct catalog_subscription subscription;
	struct catalog_change change;
	struct subscription_id ended;

	int code = catalog_publish(store, session->first, slice_of("/a"), bench->acme.id, 0, NOW,
				   &change, fault);
	if (code == 0)
		code = catalog_subscribe(store, &wanted, NOW, &subscription, &outcome, &ended,
					 fault);
	if (code == 0)
		code = catalog_publish(store, session->second, slice_of("/b"), bench->acme.id, 0,
				       NOW, &change, fault);
	if (code == 0)
		code = catalog_subscribe(store, &wanted, NOW, &subscription, &outcome, &ended,
					 fault);
	if (code == 0)
		code = catalog_subscription_end(store, subscription.id, NOW, &subscription, fault);
	return code;
}

static size_t plan_count(struct bench *bench)
{
	struct catalog_plan plans[8];
	size_t count = 99;

	must(bench, catalog_plan_list(bench->store, (struct service_id){0}, false,
				      (struct plan_id){0}, plans, 8, &count, &bench->fault));
	return count;
}

static void whatever_fails_leaves_all_of_a_session_or_nothing(void **state)
{
	struct bench *bench = *state;
	struct session work = {
		.bench = bench,
		.first = bench_manifest(bench, THUMBS "plans:\n" FREE PAYG),
		.second = bench_manifest(bench, THUMBS "plans: {free: {bill_on: always}}\n"),
	};
	struct store_failure failure = {0};
	uint64_t fail_at = 0;
	int code;

	must(bench, store_commit(bench->store, &bench->fault));
	store_fail(bench->store, &failure);
	do {
		failure = (struct store_failure){.fail_at = ++fail_at};
		code = store_transaction(bench->store, session, &work, &bench->fault);
		failure.fail_at = 0;
		if (code < 0)
			assert_int_equal(plan_count(bench), 0);
		assert_true(fail_at < 1000);
	} while (code < 0);
	assert_true(fail_at > 40);
	assert_int_equal(plan_count(bench), 3);
	catalog_manifest_free(work.first);
	catalog_manifest_free(work.second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of(publishing_makes_a_service_with_its_plans),
		test_of(publishing_the_same_again_writes_nothing),
		test_of(a_changed_plan_makes_its_next_version_and_keeps_the_old),
		test_of(a_plan_that_is_left_out_is_withdrawn_and_can_come_back),
		test_of(a_changed_description_makes_the_next_revision),
		test_of(a_folder_that_moved_is_told_and_makes_no_revision),
		test_of(a_name_belongs_to_who_published_it_first),
		test_of(terms_and_description_survive_the_store_to_the_byte),
		test_of(a_units_slot_is_the_services_for_ever),
		test_of(what_was_changed_in_the_store_is_damage_and_not_read),
		test_of(whatever_fails_leaves_all_of_a_session_or_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

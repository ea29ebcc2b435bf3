#include "base/testing.h"

#include <string.h>

#include "base/amount.h"
#include "base/clock.h"
#include "catalog/catalog_internal.h"

#define SERVICE "service: thumbs\nversion: 1.4.0\nrun: {command: [./thumbs]}\n"
#define UNITS   "meters: {pixels: {unit: pixel}, words: {}, tokens_in: {unit: input token}}\n"

static struct catalog_manifest *parsed(const char *text)
{
	struct catalog_manifest *manifest = NULL;
	struct catalog_complaints complaints;
	struct fault fault;

	if (catalog_manifest_parse("service.yaml", slice_of(text), &manifest, &complaints, &fault) <
	    0)
		fail_msg("%s", fault.text);
	return manifest;
}

/* The design's own, word by word. */
static const char example[] =
	"service: thumbs\n"
	"version: 1.4.0\n"
	"summary: Thumbnails of JPEG, PNG and WebP pictures\n"
	"tags: [images]\n"
	"docs: README.md\n"
	"openapi: openapi.yaml\n"
	"run:\n"
	"  command: [./thumbs]            # gets STOA_SOCKET (a Unix socket to listen on) or PORT\n"
	"  listen: socket                 # or: port\n"
	"  health: /healthz\n"
	"  memory: 128MiB\n"
	"  cpu: 0.5\n"
	"  concurrency: 8                 # calls that one instance serves at once\n"
	"  start_timeout: 5s\n"
	"# upstream: [http://10.0.0.5:8000, unix:/run/thumbs.sock]    instead of run\n"
	"meters:\n"
	"  pixels: {reported_by: Stoa-Units, unit: pixel}\n"
	"plans:\n"
	"  payg:\n"
	"    prices:\n"
	"      - {meter: calls, model: unit, price: 0.05}\n"
	"      - {meter: pixels, model: graduated, free: 1M, tiers: [{up_to: 100M, price: 0.10 per "
	"1M}, {price: 0.04 per 1M}]}\n"
	"    max_charge: 0.20             # the most one call may cost the caller\n"
	"    max_units: {pixels: 50M}\n"
	"    limits: {rate: 100/s, burst: 200, quota: 1M/month, concurrency: 32, timeout: 30s}\n"
	"    bill_on: answered            # status below 500; or: always\n";

static void the_designs_description_is_read_exactly(void **state)
{
	struct catalog_manifest *manifest = parsed(example);
	const struct catalog_description *description = &manifest->description;
	const struct catalog_run *run = description->run;

	(void)state;
	assert_string_equal(description->name, "thumbs");
	assert_string_equal(description->version, "1.4.0");
	assert_string_equal(description->summary, "Thumbnails of JPEG, PNG and WebP pictures");
	assert_string_equal(description->tags[0], "images");
	assert_null(description->tags[1]);
	assert_string_equal(description->docs, "README.md");
	assert_string_equal(description->openapi, "openapi.yaml");
	assert_int_equal(description->upstream_count, 0);
	assert_string_equal(description->units[0].name, "pixels");
	assert_string_equal(description->units[0].unit, "pixel");
	assert_null(description->units[1].name);

	assert_string_equal(run->command[0], "./thumbs");
	assert_null(run->command[1]);
	assert_null(run->environment[0]);
	assert_int_equal(run->listen, CATALOG_LISTEN_SOCKET);
	assert_string_equal(run->health, "/healthz");
	assert_int_equal(run->memory_bytes, 128 << 20);
	assert_int_equal(run->cpu_milli, 500);
	assert_int_equal(run->concurrency, 8);
	assert_int_equal(run->start_timeout_ns, 5 * CLOCK_NS_PER_S);
	assert_int_equal(run->instances, 1);
	catalog_manifest_free(manifest);
}

static void assert_rate(struct rating_rate rate, int64_t nano, int64_t per)
{
	assert_int_equal(rate.nano, nano);
	assert_int_equal(rate.per, per);
}

static void the_designs_plan_is_read_exactly(void **state)
{
	struct catalog_manifest *manifest = parsed(example);
	const struct catalog_terms *terms = &manifest->plans[0].terms;
	const struct rating_plan *plan = &terms->rating;
	const struct rating_price *pixels = &plan->prices[1];

	(void)state;
	assert_int_equal(manifest->plan_count, 1);
	assert_string_equal(manifest->plans[0].name, "payg");
	assert_int_equal(plan->price_count, 2);
	assert_int_equal(plan->prices[0].meter, RATING_CALLS);
	assert_int_equal(plan->prices[0].model, RATING_UNIT);
	assert_rate(plan->prices[0].rate, 50000000, 1);
	assert_int_equal(plan->prices[0].free_units, 0);
	assert_int_equal(pixels->meter, RATING_UNIT_0);
	assert_int_equal(pixels->model, RATING_GRADUATED);
	assert_int_equal(pixels->free_units, 1000000);
	assert_int_equal(pixels->tier_count, 2);
	assert_int_equal(pixels->tiers[0].up_to, 100000000);
	assert_rate(pixels->tiers[0].rate, 100000000, 1000000);
	assert_true(pixels->tiers[1].up_to == INT64_MAX);
	assert_rate(pixels->tiers[1].rate, 40000000, 1000000);
	assert_int_equal(plan->max_charge_nano, 200000000);
	assert_int_equal(plan->max_units[0], 50000000);
	assert_true(plan->max_units[1] == INT64_MAX);
	assert_false(plan->bill_always);
	assert_int_equal(terms->call_most_nano, 200000000);

	assert_int_equal(terms->limits.rate_calls, 100);
	assert_int_equal(terms->limits.rate_per_ns, CLOCK_NS_PER_S);
	assert_int_equal(terms->limits.burst, 200);
	assert_int_equal(terms->limits.quota_calls, 1000000);
	assert_int_equal(terms->limits.concurrency, 32);
	assert_int_equal(terms->limits.timeout_ns, 30 * CLOCK_NS_PER_S);
	catalog_manifest_free(manifest);
}

static void what_is_left_out_gets_its_default(void **state)
{
	struct catalog_manifest *manifest = parsed(SERVICE "plans: {free: , paid: {}}\n");
	const struct catalog_run *run = manifest->description.run;
	const struct catalog_terms *terms = &manifest->plans[0].terms;

	(void)state;
	assert_string_equal(manifest->description.summary, "");
	assert_null(manifest->description.tags[0]);
	assert_null(manifest->description.docs);
	assert_null(manifest->description.openapi);
	assert_null(run->health);
	assert_int_equal(manifest->description.protocol, CATALOG_PROTOCOL_1);
	assert_false(manifest->description.signed_calls);
	assert_int_equal(run->listen, CATALOG_LISTEN_SOCKET);
	assert_int_equal(run->memory_bytes, 128 << 20);
	assert_int_equal(run->cpu_milli, 500);
	assert_int_equal(run->concurrency, 8);
	assert_int_equal(run->start_timeout_ns, 10 * CLOCK_NS_PER_S);
	assert_int_equal(manifest->plan_count, 2);
	assert_int_equal(terms->rating.price_count, 0);
	assert_int_equal(terms->rating.max_charge_nano, -1);
	assert_int_equal(terms->call_most_nano, 0);
	assert_int_equal(terms->limits.rate_per_ns, 0);
	assert_int_equal(terms->limits.quota_calls, -1);
	assert_int_equal(terms->limits.concurrency, 0);
	assert_int_equal(terms->limits.timeout_ns, 30 * CLOCK_NS_PER_S);
	catalog_manifest_free(manifest);
}

static void a_rate_alone_lets_a_seconds_calls_come_at_once(void **state)
{
	static const struct {
		const char *rate;
		uint64_t calls, per_ns;
		uint32_t burst;
		uint64_t interval_ns;
	} rates[] = {
		{"250/s", 250, CLOCK_NS_PER_S, 250, 4000000},
		{"3/s", 3, CLOCK_NS_PER_S, 3, 333333334},
		{"6k/m", 6000, 60 * CLOCK_NS_PER_S, 100, 10000000},
		{"10/h", 10, 3600 * CLOCK_NS_PER_S, 1, 360 * CLOCK_NS_PER_S},
		{"10M/s", 10000000, CLOCK_NS_PER_S, 1000000, 100},
		{"1/d", 1, 86400 * CLOCK_NS_PER_S, 1, 86400 * CLOCK_NS_PER_S},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), SERVICE "plans: {p: {limits: {rate: %s}}}\n",
			 rates[i].rate);
		struct catalog_manifest *manifest = parsed(text);
		const struct catalog_limits *limits = &manifest->plans[0].terms.limits;
		assert_int_equal(limits->rate_calls, rates[i].calls);
		assert_int_equal(limits->rate_per_ns, rates[i].per_ns);
		assert_int_equal(limits->burst, rates[i].burst);
		assert_int_equal(catalog_limits_interval_ns(limits), rates[i].interval_ns);
		catalog_manifest_free(manifest);
	}
}

static void prices_are_read_as_people_write_them(void **state)
{
	static const struct {
		const char *meter, *price;
		int64_t nano, per;
	} prices[] = {
		{"calls", "0.05", 50000000, 1},
		{"calls", "0", 0, 1},
		{"calls", "0.05 per call", 50000000, 1},
		{"calls", "3 per 1k calls", 3000000000, 1000},
		{"calls", "0.000000001 per 1T", 1, 1000000000000},
		{"pixels", "0.10 per 1M", 100000000, 1000000},
		{"pixels", "0.10 per 1M pixels", 100000000, 1000000},
		{"pixels", "0.10 per 1M pixel", 100000000, 1000000},
		{"pixels", "0.10 per pixel", 100000000, 1},
		{"words", "2.50 per 1M words", 2500000000, 1000000},
		{"words", "2.50 per word", 2500000000, 1},
		{"tokens_in", "2.50 per 1M input tokens", 2500000000, 1000000},
		{"tokens_in", "2.50 per input token", 2500000000, 1},
		{"response_bytes", "0.02 per GiB", 20000000, 1 << 30},
		{"request_bytes", "0.02 per 1GB", 20000000, 1000000000},
		{"request_bytes", "0.02 per 10 MiB", 20000000, 10 << 20},
		{"response_bytes", "0.02 per 1M bytes", 20000000, 1000000},
		{"duration_ms", "0.02 per s", 20000000, 1000},
		{"duration_ms", "0.02 per 10s", 20000000, 10000},
		{"duration_ms", "0.02 per 100 ms", 20000000, 100},
		{"duration_ms", "0.02 per 1m", 20000000, 60000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(prices) / sizeof(prices[0]); i++) {
		char text[512];
		snprintf(text, sizeof(text),
			 SERVICE UNITS "plans: {p: {max_charge: 1000, prices: [{meter: %s, price: "
				       "%s}]}}\n",
			 prices[i].meter, prices[i].price);
		struct catalog_manifest *manifest = parsed(text);
		assert_rate(manifest->plans[0].terms.rating.prices[0].rate, prices[i].nano,
			    prices[i].per);
		catalog_manifest_free(manifest);
	}
}

static void every_model_is_read(void **state)
{
	struct catalog_manifest *manifest =
		parsed(SERVICE UNITS
		       "plans:\n"
		       "  all:\n"
		       "    max_charge: 1\n"
		       "    bill_on: always\n"
		       "    prices:\n"
		       "      - {model: flat, price: 5 per month}\n"
		       "      - {meter: calls, model: package, size: 1k, price: 0.50, free: 2k}\n"
		       "      - {meter: words, model: free}\n"
		       "      - {meter: response_bytes, price: 0.02 per GiB, free: 1GiB}\n"
		       "      - {meter: duration_ms, free: 10s, price: 0.001 per s}\n");
	const struct rating_plan *plan = &manifest->plans[0].terms.rating;

	(void)state;
	assert_int_equal(plan->price_count, 5);
	assert_int_equal(plan->prices[0].model, RATING_FLAT);
	assert_int_equal(plan->prices[0].meter, RATING_CALLS);
	assert_int_equal(plan->prices[0].rate.nano, 5 * AMOUNT_NANO_PER_UNIT);
	assert_int_equal(plan->prices[1].model, RATING_PACKAGE);
	assert_rate(plan->prices[1].rate, 500000000, 1000);
	assert_int_equal(plan->prices[1].free_units, 2000);
	assert_int_equal(plan->prices[2].model, RATING_FREE);
	assert_int_equal(plan->prices[2].meter, RATING_UNIT_1);
	assert_int_equal(plan->prices[3].free_units, 1 << 30);
	assert_int_equal(plan->prices[4].free_units, 10000);
	assert_true(plan->bill_always);
	assert_int_equal(rating_plan_first(plan, &(struct rating_quantities){{0}}),
			 5 * AMOUNT_NANO_PER_UNIT);
	catalog_manifest_free(manifest);
}

static void minimums_and_discounts_are_read_and_stored(void **state)
{
	struct catalog_manifest *manifest =
		parsed(SERVICE UNITS
		       "plans:\n"
		       "  a:\n"
		       "    discount: [12.5%, 5.00]\n"
		       "    prices:\n"
		       "      - {meter: calls, price: 0.05, minimum: 9.00 per month}\n"
		       "      - {meter: pixels, price: 0.10 per 1M pixels, max_per_call: 0.20}\n"
		       "  b: {discount: 3%, max_units: {pixels: 7},"
		       " prices: [{meter: pixels, price: 0.3, max_per_call: 1.00 per call}]}\n"
		       "  c: {discount: 0.000000001}\n");
	const struct rating_plan *a = &manifest->plans[0].terms.rating;
	const struct rating_plan *b = &manifest->plans[1].terms.rating;
	struct catalog_terms stored;

	(void)state;
	assert_int_equal(a->discount_ppm, 125000);
	assert_int_equal(a->discount_nano, 5 * AMOUNT_NANO_PER_UNIT);
	assert_int_equal(a->prices[0].minimum_nano, 9 * AMOUNT_NANO_PER_UNIT);
	assert_int_equal(a->prices[1].minimum_nano, 0);
	assert_int_equal(a->max_units[0], 2000000);
	assert_int_equal(b->discount_ppm, 30000);
	assert_int_equal(b->max_units[0], 3);
	assert_int_equal(manifest->plans[2].terms.rating.discount_nano, 1);
	/* What a call costs at its dearest, less 12.5 %. */
	assert_int_equal(manifest->plans[0].terms.call_most_nano, 218750001);
	for (uint32_t i = 0; i < manifest->plan_count; i++) {
		char *text = catalog_terms_format(&manifest->plans[i].terms,
						  manifest->description.units);
		assert_int_equal(catalog_terms_parse(slice_of(text), manifest->description.units,
						     &stored, NULL),
				 0);
		assert_true(rating_plan_equal(&stored.rating, &manifest->plans[i].terms.rating));
		free(text);
	}
	catalog_manifest_free(manifest);
}

static void a_calls_most_follows_from_what_bounds_it(void **state)
{
	static const struct {
		const char *plan;
		int64_t most_nano;
	} plans[] = {
		{"{prices: [{meter: calls, price: 0.05}]}", 50000000},
		{"{prices: [{meter: calls, price: 0.05}], max_charge: 3}", 50000000},
		{"{prices: [{meter: calls, price: 3 per 7}]}", 428571429},
		{"{prices: [{meter: pixels, price: 2 per 1k}], max_units: {pixels: 10k}}",
		 20000000000},
		{"{prices: [{meter: pixels, price: 2 per 1k}], max_charge: 0.5}", 500000000},
		{"{prices: [{meter: pixels, price: 0}]}", 0},
		{"{prices: [{meter: pixels, model: free}]}", 0},
		{"{prices: [{model: flat, price: 9}]}", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		char text[512];
		snprintf(text, sizeof(text), SERVICE UNITS "plans: {p: %s}\n", plans[i].plan);
		struct catalog_manifest *manifest = parsed(text);
		assert_int_equal(manifest->plans[0].terms.call_most_nano, plans[i].most_nano);
		catalog_manifest_free(manifest);
	}
}

static void upstreams_are_read_as_addresses(void **state)
{
	struct catalog_manifest *manifest =
		parsed("service: a\nversion: 0.0.0\nplans: {free: {}}\n"
		       "upstream: [http://10.0.0.5:8000, 'http://[fd00::1]:81', http://localhost, "
		       "unix:/run/thumbs.sock]\n");
	const struct catalog_upstream *upstreams = manifest->description.upstreams;

	(void)state;
	assert_null(manifest->description.run);
	assert_int_equal(manifest->description.upstream_count, 4);
	assert_string_equal(upstreams[0].host, "10.0.0.5");
	assert_int_equal(upstreams[0].port, 8000);
	assert_null(upstreams[0].path);
	assert_string_equal(upstreams[0].text, "http://10.0.0.5:8000");
	assert_string_equal(upstreams[1].host, "fd00::1");
	assert_int_equal(upstreams[1].port, 81);
	assert_string_equal(upstreams[2].host, "localhost");
	assert_int_equal(upstreams[2].port, 80);
	assert_string_equal(upstreams[3].path, "/run/thumbs.sock");
	assert_null(upstreams[3].host);
	catalog_manifest_free(manifest);
}

static void commands_and_variables_are_read_as_written(void **state)
{
	struct catalog_manifest *manifest =
		parsed("service: a\nversion: 0.0.0\nplans: {free: {}}\n"
		       "protocol: h2\n"
		       "identity: signed\n"
		       "run:\n"
		       "  command: [python3, server.py, --greeting, 'it''s $HOME; rm -rf']\n"
		       "  env: {MODE: yes, EMPTY: '', LEVEL: 010}\n"
		       "  listen: port\n"
		       "  instances: 3\n");
	const struct catalog_run *run = manifest->description.run;

	(void)state;
	assert_string_equal(run->command[1], "server.py");
	assert_string_equal(run->command[3], "it's $HOME; rm -rf");
	assert_null(run->command[4]);
	assert_string_equal(run->environment[0], "MODE=yes");
	assert_string_equal(run->environment[1], "EMPTY=");
	assert_string_equal(run->environment[2], "LEVEL=010");
	assert_null(run->environment[3]);
	assert_int_equal(manifest->description.protocol, CATALOG_PROTOCOL_2);
	assert_true(manifest->description.signed_calls);
	assert_int_equal(run->listen, CATALOG_LISTEN_PORT);
	assert_int_equal(run->instances, 3);
	catalog_manifest_free(manifest);
}

static bool version_is_read(const char *version)
{
	struct catalog_manifest *manifest = NULL;
	struct catalog_complaints complaints;
	char text[256];

	snprintf(text, sizeof(text),
		 "service: a\nversion: '%s'\nplans: {free: {}}\nrun: {command: [x]}\n", version);
	const int code = catalog_manifest_parse("service.yaml", slice_of(text), &manifest,
						&complaints, NULL);
	catalog_manifest_free(manifest);
	return code == 0;
}

static void versions_are_semantic(void **state)
{
	static const char *const good[] = {"0.0.0",
					   "1.4.0",
					   "10.20.30",
					   "1.0.0-alpha",
					   "1.0.0-alpha.1",
					   "1.0.0-0.3.7",
					   "1.0.0-x.7.z.92",
					   "1.0.0+20130313144700",
					   "1.0.0-beta+exp.sha.5114f85",
					   "1.0.0+001",
					   "1.0.0--"};
	static const char *const bad[] = {
		"1",        "1.0",        "1.0.0.0",        "01.0.0",    "1.0.0-", "1.0.0+",
		"1.0.0-01", "1.0.0-a..b", "1.0.0-a.",       "1.0.0.",    "v1.0.0", "1.0.x",
		"1..0",     "-1.0.0",     "1.0.0-\xc3\xa4", "1.0.0+a+b", " 1.0.0"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!version_is_read(good[i]))
			fail_msg("%s is refused", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (version_is_read(bad[i]))
			fail_msg("%s is read", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_designs_description_is_read_exactly),
		cmocka_unit_test(the_designs_plan_is_read_exactly),
		cmocka_unit_test(what_is_left_out_gets_its_default),
		cmocka_unit_test(a_rate_alone_lets_a_seconds_calls_come_at_once),
		cmocka_unit_test(prices_are_read_as_people_write_them),
		cmocka_unit_test(every_model_is_read),
		cmocka_unit_test(minimums_and_discounts_are_read_and_stored),
		cmocka_unit_test(a_calls_most_follows_from_what_bounds_it),
		cmocka_unit_test(upstreams_are_read_as_addresses),
		cmocka_unit_test(commands_and_variables_are_read_as_written),
		cmocka_unit_test(versions_are_semantic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

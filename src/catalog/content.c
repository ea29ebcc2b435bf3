#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "catalog/catalog_internal.h"
#include "catalog/manifest_internal.h"

static const char *const listen_names[] = {
	[CATALOG_LISTEN_SOCKET] = "socket",
	[CATALOG_LISTEN_PORT] = "port",
};

static const char *const protocol_names[] = {
#define X(protocol, name) [protocol] = name,
	CATALOG_PROTOCOLS(X)
#undef X
};

const char *catalog_protocol_name(enum catalog_protocol protocol)
{
	return protocol_names[protocol];
}

/* ---- writing ---- */

static char *dumped(json_t *json)
{
	check(json != NULL);
	char *text = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT);
	check(text != NULL);
	json_decref(json);
	return text;
}

static json_t *texts_json(const char *const *texts)
{
	json_t *list = json_array();

	for (; *texts != NULL; texts++)
		check(json_array_append_new(list, json_string(*texts)) == 0);
	return list;
}

static json_t *run_json(const struct catalog_run *run)
{
	if (run == NULL)
		return NULL;
	return json_pack("{s:o, s:o, s:s, s:s*, s:I, s:I, s:I, s:I, s:I}", "command",
			 texts_json(run->command), "environment", texts_json(run->environment),
			 "listen", listen_names[run->listen], "health", run->health, "memory_bytes",
			 (json_int_t)run->memory_bytes, "cpu_milli", (json_int_t)run->cpu_milli,
			 "concurrency", (json_int_t)run->concurrency, "start_timeout_ns",
			 (json_int_t)run->start_timeout_ns, "instances",
			 (json_int_t)run->instances);
}

static json_t *upstreams_json(const struct catalog_description *description)
{
	if (description->upstream_count == 0)
		return NULL;
	json_t *list = json_array();
	for (uint32_t i = 0; i < description->upstream_count; i++)
		check(json_array_append_new(list, json_string(description->upstreams[i].text)) ==
		      0);
	return list;
}

/* Kept only where something is said of it. */
static json_t *tls_json(const struct catalog_tls *tls)
{
	if (tls == NULL)
		return NULL;
	return json_pack("{s:b, s:s*, s:s*, s:s*, s:s*}", "by_cloud", tls->by_cloud, "authorities",
			 tls->authorities, "server_name", tls->server_name, "certificates",
			 tls->certificates, "key", tls->key);
}

static json_t *units_json(const struct catalog_unit *units)
{
	json_t *list = json_array();

	for (int i = 0; i < RATING_UNITS_MAX; i++) {
		if (units[i].name == NULL)
			continue;
		check(json_array_append_new(list, json_pack("{s:s, s:s}", "name", units[i].name,
							    "unit", units[i].unit)) == 0);
	}
	return list;
}

char *catalog_description_format(const struct catalog_description *description)
{
	/* The first protocol goes without saying, as it did before there was another. */
	const char *protocol = description->protocol == CATALOG_PROTOCOL_1
				       ? NULL
				       : catalog_protocol_name(description->protocol);

	return dumped(json_pack("{s:s, s:s, s:o, s:s*, s:s*, s:s*, s:s*, s:o*, s:o*, s:o*, s:o}",
				"version", description->version, "summary", description->summary,
				"tags", texts_json(description->tags), "docs", description->docs,
				"openapi", description->openapi, "protocol", protocol, "identity",
				description->signed_calls ? "signed" : NULL, "run",
				run_json(description->run), "upstream", upstreams_json(description),
				"tls", tls_json(description->tls), "units",
				units_json(description->units)));
}

static const char *meter_name(enum rating_meter meter, const struct catalog_unit *units)
{
	const char *name = meter < RATING_UNIT_0 ? rating_meter_name(meter)
						 : units[meter - RATING_UNIT_0].name;

	check(name != NULL);
	return name;
}

/* What came later and is not there goes without saying, so that what was stored before is equal. */
static json_t *number_if_any(int64_t number)
{
	return number == 0 ? NULL : json_integer(number);
}

/* The open end of a tier is left out. */
static json_t *tiers_json(const struct rating_price *price)
{
	if (price->model != RATING_GRADUATED)
		return NULL;
	json_t *list = json_array();
	for (uint32_t i = 0; i < price->tier_count; i++) {
		const struct rating_tier *tier = &price->tiers[i];
		json_t *json = json_pack("{s:I, s:I}", "nano", (json_int_t)tier->rate.nano, "per",
					 (json_int_t)tier->rate.per);
		if (tier->up_to != INT64_MAX)
			check(json_object_set_new(json, "up_to", json_integer(tier->up_to)) == 0);
		check(json_array_append_new(list, json) == 0);
	}
	return list;
}

static json_t *prices_json(const struct rating_plan *plan, const struct catalog_unit *units)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < plan->price_count; i++) {
		const struct rating_price *price = &plan->prices[i];
		check(json_array_append_new(list,
					    json_pack("{s:s, s:s, s:I, s:I, s:I, s:o*, s:o*}",
						      "meter", meter_name(price->meter, units),
						      "model", rating_model_name(price->model),
						      "free", (json_int_t)price->free_units, "nano",
						      (json_int_t)price->rate.nano, "per",
						      (json_int_t)price->rate.per, "tiers",
						      tiers_json(price), "minimum",
						      number_if_any(price->minimum_nano))) == 0);
	}
	return list;
}

static json_t *max_units_json(const struct rating_plan *plan, const struct catalog_unit *units)
{
	json_t *json = json_object();

	for (int i = 0; i < RATING_UNITS_MAX; i++) {
		if (plan->max_units[i] == INT64_MAX)
			continue;
		check(units[i].name != NULL);
		check(json_object_set_new(json, units[i].name, json_integer(plan->max_units[i])) ==
		      0);
	}
	return json;
}

static json_t *limits_json(const struct catalog_limits *limits)
{
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I}", "rate_calls", (json_int_t)limits->rate_calls,
		"rate_per_ns", (json_int_t)limits->rate_per_ns, "burst", (json_int_t)limits->burst,
		"concurrency", (json_int_t)limits->concurrency, "quota_calls",
		(json_int_t)limits->quota_calls, "timeout_ns", (json_int_t)limits->timeout_ns);
}

char *catalog_terms_format(const struct catalog_terms *terms, const struct catalog_unit *units)
{
	const struct rating_plan *plan = &terms->rating;

	json_t *json = json_pack(
		"{s:o, s:I, s:o, s:o*, s:o*, s:b, s:o}", "prices", prices_json(plan, units),
		"max_charge_nano", (json_int_t)plan->max_charge_nano, "max_units",
		max_units_json(plan, units), "discount_ppm", number_if_any(plan->discount_ppm),
		"discount_nano", number_if_any(plan->discount_nano), "bill_always",
		plan->bill_always, "limits", limits_json(&terms->limits));

	/* Left out where it is the usual one: so it is in what was written before there were any.
	 */
	if (terms->notice_ns != CATALOG_NOTICE_USUAL_NS)
		json_object_set_new(json, "notice_ns", json_integer((json_int_t)terms->notice_ns));
	return dumped(json);
}

/* ---- reading ---- */

static int damaged(struct fault *fault, const char *what)
{
	return fault_set(fault, FAULT_DAMAGED, "the stored %s is not what was written", what);
}

static const char *copied(struct arena *arena, const char *text)
{
	if (text == NULL)
		return NULL;
	const char *copy = arena_text(arena, slice_of(text));
	check(copy != NULL);
	return copy;
}

/* NULL where it is no list of texts. */
static const char *const *texts_read(const json_t *list, struct arena *arena)
{
	size_t index;
	json_t *entry;

	if (!json_is_array(list))
		return NULL;
	const char **texts = arena_calloc(arena, json_array_size(list) + 1, sizeof(*texts));
	check(texts != NULL);
	json_array_foreach(list, index, entry)
	{
		if (!json_is_string(entry))
			return NULL;
		texts[index] = copied(arena, json_string_value(entry));
	}
	return texts;
}

static bool run_read(json_t *json, struct arena *arena, struct catalog_run *run)
{
	json_int_t memory_bytes, cpu_milli, concurrency, start_timeout_ns, instances;
	const char *health = NULL;
	const char *listen;
	json_t *command;
	json_t *environment;

	if (json_unpack(json, "{s:o, s:o, s:s, s?s, s:I, s:I, s:I, s:I, s:I}", "command", &command,
			"environment", &environment, "listen", &listen, "health", &health,
			"memory_bytes", &memory_bytes, "cpu_milli", &cpu_milli, "concurrency",
			&concurrency, "start_timeout_ns", &start_timeout_ns, "instances",
			&instances) != 0)
		return false;
	*run = (struct catalog_run){
		.command = texts_read(command, arena),
		.environment = texts_read(environment, arena),
		.listen = strcmp(listen, "port") == 0 ? CATALOG_LISTEN_PORT : CATALOG_LISTEN_SOCKET,
		.health = copied(arena, health),
		.memory_bytes = (uint64_t)memory_bytes,
		.cpu_milli = (uint32_t)cpu_milli,
		.concurrency = (uint32_t)concurrency,
		.start_timeout_ns = (uint64_t)start_timeout_ns,
		.instances = (uint32_t)instances,
	};
	return run->command != NULL && run->environment != NULL && concurrency >= 1;
}

static bool upstreams_read(const json_t *list, struct arena *arena,
			   struct catalog_description *description)
{
	const char *const *texts = texts_read(list, arena);

	if (texts == NULL || json_array_size(list) > CATALOG_UPSTREAMS_MAX)
		return false;
	for (; *texts != NULL; texts++) {
		const char *why;
		if (!manifest_upstream_parse(arena, *texts,
					     &description->upstreams[description->upstream_count++],
					     &why))
			return false;
	}
	return true;
}

static bool tls_read(json_t *json, struct arena *arena, struct catalog_description *description)
{
	const char *authorities = NULL, *server_name = NULL, *certificates = NULL, *key = NULL;
	struct catalog_tls *tls = arena_calloc(arena, 1, sizeof(*tls));
	int by_cloud;

	check(tls != NULL);
	if (json_unpack(json, "{s:b, s?s, s?s, s?s, s?s}", "by_cloud", &by_cloud, "authorities",
			&authorities, "server_name", &server_name, "certificates", &certificates,
			"key", &key) != 0)
		return false;
	*tls = (struct catalog_tls){.by_cloud = by_cloud,
				    .authorities = copied(arena, authorities),
				    .server_name = copied(arena, server_name),
				    .certificates = copied(arena, certificates),
				    .key = copied(arena, key)};
	description->tls = tls;
	return (certificates == NULL) == (key == NULL);
}

static bool protocol_read(const char *name, enum catalog_protocol *ret_protocol)
{
	for (size_t i = 0; i < sizeof(protocol_names) / sizeof(protocol_names[0]); i++) {
		if (strcmp(name, protocol_names[i]) == 0) {
			*ret_protocol = (enum catalog_protocol)i;
			return true;
		}
	}
	return false;
}

static bool description_read(json_t *json, struct arena *arena,
			     struct catalog_description *description)
{
	const char *version, *summary;
	const char *docs = NULL;
	const char *openapi = NULL;
	const char *protocol = protocol_names[CATALOG_PROTOCOL_1];
	const char *identity = NULL;
	json_t *tags;
	json_t *run_part = NULL;
	json_t *upstream_part = NULL;
	json_t *tls_part = NULL;

	if (json_unpack(json, "{s:s, s:s, s:o, s?s, s?s, s?s, s?s, s?o, s?o, s?o}", "version",
			&version, "summary", &summary, "tags", &tags, "docs", &docs, "openapi",
			&openapi, "protocol", &protocol, "identity", &identity, "run", &run_part,
			"upstream", &upstream_part, "tls", &tls_part) != 0)
		return false;
	if (tls_part != NULL && !tls_read(tls_part, arena, description))
		return false;
	description->signed_calls = identity != NULL && strcmp(identity, "signed") == 0;
	if (!protocol_read(protocol, &description->protocol))
		return false;
	description->version = copied(arena, version);
	description->summary = copied(arena, summary);
	description->tags = texts_read(tags, arena);
	description->docs = copied(arena, docs);
	description->openapi = copied(arena, openapi);
	if (description->tags == NULL || (run_part == NULL) == (upstream_part == NULL))
		return false;
	if (upstream_part != NULL)
		return upstreams_read(upstream_part, arena, description);
	struct catalog_run *run = arena_calloc(arena, 1, sizeof(*run));
	check(run != NULL);
	description->run = run;
	return run_read(run_part, arena, run);
}

int catalog_description_parse(struct slice content, struct arena *arena,
			      struct catalog_description *description, struct fault *fault)
{
	json_t *json = json_loadb(content.data, content.length, 0, NULL);
	const bool good = json != NULL && description_read(json, arena, description);

	json_decref(json);
	return good ? 0 : damaged(fault, "description of a service");
}

static bool meter_of(const char *name, const struct catalog_unit *units,
		     enum rating_meter *ret_meter)
{
	for (int meter = 0; meter < RATING_METERS; meter++) {
		const char *known = meter < RATING_UNIT_0 ? rating_meter_name(meter)
							  : units[meter - RATING_UNIT_0].name;
		if (known != NULL && strcmp(known, name) == 0) {
			*ret_meter = (enum rating_meter)meter;
			return true;
		}
	}
	return false;
}

static bool model_of(const char *name, enum rating_model *ret_model)
{
	for (int model = 0; model < RATING_MODELS; model++) {
		if (strcmp(rating_model_name(model), name) == 0) {
			*ret_model = (enum rating_model)model;
			return true;
		}
	}
	return false;
}

static bool tiers_read(const json_t *list, struct rating_price *price)
{
	size_t index;
	json_t *entry;

	if (!json_is_array(list) || json_array_size(list) > RATING_TIERS_MAX)
		return false;
	json_array_foreach(list, index, entry)
	{
		json_int_t up_to = INT64_MAX;
		json_int_t nano, per;
		if (json_unpack(entry, "{s:I, s:I, s?I}", "nano", &nano, "per", &per, "up_to",
				&up_to) != 0)
			return false;
		price->tiers[price->tier_count++] =
			(struct rating_tier){.up_to = up_to, .rate = {.nano = nano, .per = per}};
	}
	return true;
}

static bool price_read(json_t *json, const struct catalog_unit *units, struct rating_price *price)
{
	const char *meter;
	const char *model;
	json_int_t free_units, nano, per;
	json_int_t minimum = 0;
	json_t *tiers = NULL;

	if (json_unpack(json, "{s:s, s:s, s:I, s:I, s:I, s?o, s?I}", "meter", &meter, "model",
			&model, "free", &free_units, "nano", &nano, "per", &per, "tiers", &tiers,
			"minimum", &minimum) != 0)
		return false;
	price->free_units = free_units;
	price->minimum_nano = minimum;
	price->rate = (struct rating_rate){.nano = nano, .per = per};
	return meter_of(meter, units, &price->meter) && model_of(model, &price->model) &&
	       (tiers == NULL || tiers_read(tiers, price));
}

static bool prices_read(const json_t *list, const struct catalog_unit *units,
			struct rating_plan *plan)
{
	size_t index;
	json_t *entry;

	if (!json_is_array(list) || json_array_size(list) > RATING_PRICES_MAX)
		return false;
	json_array_foreach(list, index, entry)
	{
		if (!price_read(entry, units, &plan->prices[plan->price_count++]))
			return false;
	}
	return true;
}

static bool max_units_read(json_t *json, const struct catalog_unit *units, struct rating_plan *plan)
{
	const char *name;
	json_t *value;

	for (int i = 0; i < RATING_UNITS_MAX; i++)
		plan->max_units[i] = INT64_MAX;
	json_object_foreach(json, name, value)
	{
		enum rating_meter meter;
		if (!meter_of(name, units, &meter) || meter < RATING_UNIT_0)
			return false;
		plan->max_units[meter - RATING_UNIT_0] = json_integer_value(value);
	}
	return true;
}

static bool limits_read(json_t *json, struct catalog_limits *limits)
{
	json_int_t rate_calls, rate_per_ns, burst, concurrency, quota_calls, timeout_ns;

	if (json_unpack(json, "{s:I, s:I, s:I, s:I, s:I, s:I}", "rate_calls", &rate_calls,
			"rate_per_ns", &rate_per_ns, "burst", &burst, "concurrency", &concurrency,
			"quota_calls", &quota_calls, "timeout_ns", &timeout_ns) != 0)
		return false;
	*limits = (struct catalog_limits){
		.rate_calls = (uint64_t)rate_calls,
		.rate_per_ns = (uint64_t)rate_per_ns,
		.burst = (uint32_t)burst,
		.concurrency = (uint32_t)concurrency,
		.quota_calls = quota_calls,
		.timeout_ns = (uint64_t)timeout_ns,
	};
	return true;
}

static bool terms_read(json_t *json, const struct catalog_unit *units, struct catalog_terms *terms)
{
	json_t *prices, *max_units, *limits;
	json_int_t max_charge_nano;
	json_int_t discount_ppm = 0;
	json_int_t discount_nano = 0;
	json_int_t notice_ns = (json_int_t)CATALOG_NOTICE_USUAL_NS;
	int bill_always;

	if (json_unpack(json, "{s:o, s:I, s:o, s:b, s:o, s?I, s?I, s?I}", "prices", &prices,
			"max_charge_nano", &max_charge_nano, "max_units", &max_units, "bill_always",
			&bill_always, "limits", &limits, "discount_ppm", &discount_ppm,
			"discount_nano", &discount_nano, "notice_ns", &notice_ns) != 0 ||
	    notice_ns < 0 || discount_ppm < 0 || discount_ppm > UINT32_MAX)
		return false;
	terms->rating.discount_ppm = (uint32_t)discount_ppm;
	terms->rating.discount_nano = discount_nano;
	terms->notice_ns = (uint64_t)notice_ns;
	terms->rating.max_charge_nano = max_charge_nano;
	terms->rating.bill_always = bill_always;
	return prices_read(prices, units, &terms->rating) &&
	       max_units_read(max_units, units, &terms->rating) &&
	       limits_read(limits, &terms->limits) && rating_plan_valid(&terms->rating) &&
	       catalog_terms_finish(terms);
}

int catalog_terms_parse(struct slice content, const struct catalog_unit *units,
			struct catalog_terms *ret_terms, struct fault *fault)
{
	json_t *json = json_loadb(content.data, content.length, 0, NULL);
	struct catalog_terms terms = {.call_most_nano = 0};
	const bool good = json != NULL && terms_read(json, units, &terms);

	json_decref(json);
	if (!good)
		return damaged(fault, "plan");
	*ret_terms = terms;
	return 0;
}

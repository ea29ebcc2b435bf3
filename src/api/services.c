#include "api/api_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* ---- publishing ---- */

struct publishing {
	struct api_request *request;
	struct catalog_manifest *manifest;
	struct catalog_change change;
	struct catalog_service *service; /* as published */
};

static json_t *complaints_json(const struct catalog_complaints *complaints)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < complaints->count; i++)
		json_array_append_new(
			list, json_pack("{s:i, s:i, s:o}", "line", (int)complaints->of[i].line,
					"column", (int)complaints->of[i].column, "text",
					api_json_shown(slice_of(complaints->of[i].text))));
	return list;
}

static bool is_new(enum catalog_plan_change change)
{
	return change == CATALOG_PLAN_NEW || change == CATALOG_PLAN_CHANGED;
}

/* What was only tried took no id. */
static json_t *id_unless_tried(const struct publishing *publishing, const char *prefix, uint64_t id,
			       bool new_one)
{
	return publishing->request->only_tries && new_one ? json_null() : api_json_id(prefix, id);
}

static json_t *effective_json(uint32_t month)
{
	return api_json_time(month == 0 ? 0 : clock_month_start_ns(month));
}

static json_t *change_json(const struct publishing *publishing)
{
	const struct catalog_change *change = &publishing->change;
	const struct catalog_description *description = &publishing->manifest->description;
	json_t *plans = json_array();
	json_t *warnings = json_array();

	for (uint32_t i = 0; i < publishing->manifest->warning_count; i++)
		json_array_append_new(warnings, json_string(publishing->manifest->warnings[i]));
	for (uint32_t i = 0; i < change->plan_count; i++)
		json_array_append_new(
			plans,
			json_pack("{s:s, s:o, s:i, s:s, s:o, s:o}", "name", change->plans[i].name,
				  "id",
				  id_unless_tried(publishing, "plan", change->plans[i].id.value,
						  is_new(change->plans[i].change)),
				  "version", (int)change->plans[i].version, "change",
				  catalog_plan_change_text(change->plans[i].change), "effective",
				  effective_json(change->plans[i].month), "dearer",
				  api_rises_json(change->plans[i].rises,
						 publishing->service->description.units)));
	return json_pack("{s:s, s:o, s:s, s:i, s:b, s:b, s:b, s:o, s:o}", "service",
			 description->name, "id",
			 id_unless_tried(publishing, "svc", change->service.value, change->created),
			 "version", description->version, "revision", (int)change->revision,
			 "dry_run", publishing->request->only_tries, "created", change->created,
			 "changed", change->anything, "plans", plans, "warnings", warnings);
}

static void tell_published(const struct publishing *publishing, const char *account)
{
	const struct catalog_change *change = &publishing->change;
	const struct catalog_description *description = &publishing->manifest->description;
	json_t *plans = json_object();
	json_t *announced = json_object();

	for (uint32_t i = 0; i < change->plan_count; i++) {
		const char *name = change->plans[i].name;
		if (change->plans[i].change != CATALOG_PLAN_SAME)
			json_object_set_new(
				plans, name,
				json_string(catalog_plan_change_text(change->plans[i].change)));
		if (change->plans[i].month != 0)
			json_object_set_new(
				announced, name,
				json_pack("{s:i, s:o, s:o}", "version",
					  (int)change->plans[i].version, "effective",
					  effective_json(change->plans[i].month), "dearer",
					  api_rises_json(change->plans[i].rises,
							 publishing->service->description.units)));
	}
	api_changed(publishing->request, "service", description->name,
		    json_pack("{s:s, s:s, s:i, s:o, s:o}", "account", account, "version",
			      description->version, "revision", (int)change->revision, "plans",
			      plans, "announced", announced));
}

static int publish(struct store *store, void *context, struct fault *fault)
{
	struct publishing *publishing = context;
	struct api_request *request = publishing->request;
	struct account account;
	int code =
		api_at(request, "account",
		       account_get(store, api_argument(request, "account")->text, &account, fault));
	if (code == 0)
		code = catalog_publish(store, publishing->manifest,
				       api_argument(request, "folder")->text, account.id,
				       request->api->options.notice_least_ns, request->now_ns,
				       &publishing->change, fault);
	catalog_service_free(publishing->service); /* of a try before */
	publishing->service = NULL;
	if (code == 0)
		code = catalog_service_get_by_id(store, publishing->change.service,
						 &publishing->service, fault);
	if (code < 0)
		return code;
	request->status = publishing->change.created && !request->only_tries ? 201 : 200;
	request->answer = change_json(publishing);
	if (publishing->change.anything)
		tell_published(publishing, account.name);
	return 0;
}

static struct slice file_of(const struct api_request *request, const char *name)
{
	const struct api_value *value = api_argument(request, name);

	return value->given ? value->text : slice_make(NULL, 0);
}

int api_services_publish(struct api_request *request, struct fault *fault)
{
	const struct api_ports *ports = &request->api->options.ports;
	const struct api_value *file = api_argument(request, "file");
	struct publishing publishing = {.request = request};
	struct catalog_complaints complaints = {0};
	const struct catalog_files files = {.tls_ca = file_of(request, "tls_ca"),
					    .tls_certificate = file_of(request, "tls_certificate"),
					    .tls_key = file_of(request, "tls_key"),
					    .now_ns = request->now_ns,
					    .no_authority = !ports->has_authority(ports->context)};
	char name[CATALOG_VALUE_MAX + 1] = "service.yaml";

	if (file->given)
		check(slice_to_text(file->text, name, sizeof(name)));
	int code = catalog_manifest_parse_with(name, api_argument(request, "manifest")->text,
					       &files, &publishing.manifest, &complaints, fault);
	if (code == FAULT_INPUT) {
		request->complaints = complaints_json(&complaints);
		return api_at(request, "manifest", code);
	}
	request->only_tries = api_argument_number(request, "dry_run", 0) == 1;
	if (code == 0)
		code = api_change(request, publish, &publishing, fault);
	if (code == 0 && publishing.change.anything && !request->only_tries &&
	    !request->given_again)
		code = ports->service_changed(ports->context, publishing.change.service, fault);
	catalog_manifest_free(publishing.manifest);
	catalog_service_free(publishing.service);
	return code;
}

/* ---- the catalog ---- */

#define HITS_MAX 10000 /* looked through for a later page */

/* The cursor tells the last hit's place in the order: best first, then by name. So what is
 * published meanwhile moves nothing. */
static int read_hit_cursor(struct api_request *request, uint64_t *ret_score, struct slice *ret_name,
			   struct fault *fault)
{
	const struct api_value *after = api_argument(request, "after");
	struct slice name = after->text;
	struct slice score;

	*ret_score = UINT64_MAX;
	*ret_name = (struct slice){0};
	if (!after->given)
		return 0;
	slice_cut(&name, '.', &score);
	if (!slice_to_u64(score, UINT32_MAX, ret_score) || name.length == 0)
		return api_no_cursor(request, fault);
	*ret_name = name;
	return 0;
}

static bool is_behind(const struct catalog_hit *hit, uint64_t score, struct slice name)
{
	char last[CATALOG_NAME_MAX];

	if (hit->score != score)
		return hit->score < score;
	/* No service has a name that is longer. */
	return slice_to_text(name, last, sizeof(last)) && strcmp(hit->name, last) > 0;
}

static json_t *hit_json(const struct catalog_hit *hit)
{
	return json_pack("{s:s, s:o, s:s, s:s, s:s}", "service", hit->name, "id",
			 api_json_id("svc", hit->id.value), "version", hit->version, "account",
			 hit->account_name, "summary", hit->summary);
}

static int search(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	const size_t limit = api_limit(request);
	struct slice name;
	uint64_t score;
	size_t count = 0;
	int code = read_hit_cursor(request, &score, &name, fault);
	const size_t most = score == UINT64_MAX ? limit + 1 : HITS_MAX;
	struct catalog_hit *hits = calloc(most, sizeof(*hits));

	check(hits != NULL);
	if (code == 0)
		code = api_at(request, "search",
			      catalog_search(store, api_argument(request, "search")->text, hits,
					     most, &count, fault));
	if (code == 0) {
		json_t *items = json_array();
		json_t *next = json_null();
		for (size_t i = 0; i < count && json_is_null(next); i++) {
			if (!is_behind(&hits[i], score, name))
				continue;
			json_array_append_new(items, hit_json(&hits[i]));
			if (json_array_size(items) == limit && i + 1 < count)
				next = json_sprintf("%u.%s", hits[i].score, hits[i].name);
		}
		request->answer = api_list(items, next);
	}
	free(hits);
	return code;
}

int api_services_list(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, search, request, fault);
}

static json_t *texts_json(const char *const *texts)
{
	json_t *list = json_array();

	for (size_t i = 0; texts[i] != NULL; i++)
		json_array_append_new(list, json_string(texts[i]));
	return list;
}

static json_t *meters_json(const struct catalog_unit *units)
{
	json_t *meters = json_object();

	for (size_t i = 0; i < RATING_UNITS_MAX; i++) {
		if (units[i].name != NULL)
			json_object_set_new(meters, units[i].name,
					    json_pack("{s:s}", "unit", units[i].unit));
	}
	return meters;
}

/* What runs it or where it is; the environment may hold secrets and is not told. */
static json_t *place_json(const struct catalog_description *description)
{
	const struct catalog_run *run = description->run;
	json_t *upstreams = json_array();

	if (run != NULL) {
		json_decref(upstreams);
		return json_pack("{s:o, s:s, s:I, s:i, s:i, s:i}", "command",
				 texts_json(run->command), "listen",
				 run->listen == CATALOG_LISTEN_PORT ? "port" : "socket",
				 "memory_bytes", (json_int_t)run->memory_bytes, "cpu_milli",
				 (int)run->cpu_milli, "concurrency", (int)run->concurrency,
				 "instances", (int)run->instances);
	}
	for (uint32_t i = 0; i < description->upstream_count; i++)
		json_array_append_new(upstreams, json_string(description->upstreams[i].text));
	return upstreams;
}

static bool is_among(const json_t *texts, const char *text)
{
	const json_t *one;
	size_t i;

	json_array_foreach(texts, i, one)
	{
		if (strcmp(json_string_value(one), text) == 0)
			return true;
	}
	return false;
}

/* NULL: it is reached in plain. Certificates and key are not told. */
static json_t *tls_json(const struct catalog_description *description)
{
	static const struct catalog_tls nothing_said;
	const struct catalog_tls *tls = description->tls != NULL ? description->tls : &nothing_said;
	json_t *names = json_array();

	for (uint32_t i = 0; i < description->upstream_count; i++) {
		const struct catalog_upstream *upstream = &description->upstreams[i];
		const char *name = tls->server_name != NULL ? tls->server_name : upstream->host;
		if (upstream->tls && !is_among(names, name))
			json_array_append_new(names, json_string(name));
	}
	if (json_array_size(names) == 0) {
		json_decref(names);
		return NULL;
	}
	return json_pack("{s:o, s:s, s:b}", "verified_as", names, "authorities",
			 tls->by_cloud              ? "cloud"
			 : tls->authorities != NULL ? "own"
						    : "system",
			 "client_certificate", tls->certificates != NULL);
}

static int append_plans(struct store *store, const struct catalog_service *service, json_t *plans,
			struct fault *fault)
{
	struct catalog_plan *page = calloc(CATALOG_PLANS_MAX, sizeof(*page));
	size_t count = 0;

	check(page != NULL);
	const int code = catalog_plan_list(store, service->id, true, (struct plan_id){0}, page,
					   CATALOG_PLANS_MAX, &count, fault);
	for (size_t i = 0; code == 0 && i < count; i++)
		json_array_append_new(plans, api_plan_json(&page[i], service->description.units));
	free(page);
	return code;
}

static json_t *service_json(const struct api_request *request,
			    const struct catalog_service *service, json_t *plans)
{
	const struct catalog_description *description = &service->description;

	return json_pack(
		"{s:s, s:o, s:s, s:s, s:s, s:o, s:i, s:o, s:s, s:s, s:s, s:o, s:o*, s:o, s:s, s:o}",
		"service", description->name, "id", api_json_id("svc", service->id.value),
		"version", description->version, "account", service->account_name, "summary",
		description->summary, "tags", texts_json(description->tags), "revision",
		(int)service->revision, "published", api_json_time(service->published_ns), "folder",
		service->folder, "protocol", catalog_protocol_name(description->protocol),
		"identity", description->signed_calls ? "signed" : "unsigned",
		description->run != NULL ? "run" : "upstream", place_json(description), "tls",
		tls_json(description), "meters", meters_json(description->units), "currency",
		request->api->options.currency, "plans", plans);
}

static int show(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	struct catalog_service *service = NULL;
	json_t *plans = json_array();
	int code = api_at(
		request, "name",
		catalog_service_get(store, api_argument(request, "name")->text, &service, fault));
	if (code == 0)
		code = append_plans(store, service, plans, fault);
	if (code == 0)
		request->answer = service_json(request, service, json_incref(plans));
	json_decref(plans);
	catalog_service_free(service);
	return code;
}

int api_services_show(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, show, request, fault);
}

int api_find_service(struct api_request *request, struct store *store, struct service_id *ret_id,
		     struct fault *fault)
{
	struct catalog_service *service = NULL;
	const int code = api_at(request, "service",
				catalog_service_get(store, api_argument(request, "service")->text,
						    &service, fault));

	if (code == 0)
		*ret_id = service->id;
	catalog_service_free(service);
	return code;
}

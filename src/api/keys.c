#include "api/keys.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/units.h"
#include "meter/meter.h"

static json_t *scopes_json(const struct account_key *key)
{
	struct slice rest = slice_of(key->scopes);
	struct slice scope;
	json_t *scopes = json_array();

	while (slice_cut(&rest, ' ', &scope))
		json_array_append_new(scopes, json_stringn(scope.data, scope.length));
	return scopes;
}

#define MINUTE_NS (60 * CLOCK_NS_PER_S)

static const char *const kinds[] = {"key", "certificate", "name"};

json_t *api_key_json(const struct account_key *key, const char *app, const struct api_key_use *use)
{
	return json_pack("{s:o, s:s, s:s, s:s?, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "id",
			 api_json_id("key", key->id.value), "app", app, "kind", kinds[key->kind],
			 "name", key->name[0] != '\0' ? key->name : NULL, "prefix", key->prefix,
			 "last_four", key->last_four, "scopes", scopes_json(key), "created",
			 api_json_time(key->created_ns), "expires", api_json_time(key->expires_ns),
			 "revoked", api_json_time(key->revoked_ns), "successor",
			 key->successor.value == 0 ? json_null()
						   : api_json_id("key", key->successor.value),
			 "last_used", api_json_time(use->last_minute * MINUTE_NS), "calls",
			 (json_int_t)use->calls);
}

/* For a key that is new. */
static const struct api_key_use unused = {0};

static int find_use(const struct api_request *request, struct store *store, struct key_id key,
		    struct api_key_use *ret_use, struct fault *fault)
{
	return meter_key_used(store, key, clock_month_of(request->now_ns), &ret_use->calls,
			      &ret_use->last_minute, fault);
}

/* The id that the path names. */
static int read_id(struct api_request *request, struct key_id *ret_id, struct fault *fault)
{
	const struct slice id = api_argument(request, "id")->text;
	char shown[TEXT_SHOWN_MAX];

	if (id_parse("key", id, &ret_id->value))
		return 0;
	return api_at(request, "id",
		      fault_set(fault, FAULT_NOT_FOUND,
				"there is no key \"%s\"; `stoa key list` shows the ids",
				text_show(id, shown)));
}

/* ---- making ---- */

struct making {
	struct api_request *request;
	size_t count;
	struct account_app app;
	struct account_key_made *made;
	json_t *warnings; /* texts */
};

/* With the keys' texts, or as it may be given again. */
static json_t *made_json(const struct making *making, bool with_texts)
{
	json_t *items = json_array();

	for (size_t i = 0; i < making->count; i++) {
		const struct account_key_made *made = &making->made[i];
		json_t *item = api_key_json(&made->key, making->app.path, &unused);
		json_object_set_new(item, "key",
				    with_texts ? json_string(made->text) : json_null());
		json_object_set(item, "warnings", making->warnings);
		json_array_append_new(items, item);
	}
	return api_list(items, json_null());
}

static void tell_made(const struct making *making)
{
	const struct account_key *first = &making->made[0].key;
	const struct account_key *last = &making->made[making->count - 1].key;
	char name[ID_TEXT_MAX];
	json_t *facts = json_pack("{s:s, s:o, s:o}", "app", making->app.path, "scopes",
				  scopes_json(first), "expires", api_json_time(first->expires_ns));

	id_format("key", first->id.value, name);
	if (making->count > 1)
		json_object_set_new(facts, "last", api_json_id("key", last->id.value));
	api_changed(making->request, "key", name, facts);
}

/* A scope may come before its service; more often its name is misspelt. */
static int warn_of(struct store *store, struct slice scope, json_t *warnings, struct fault *fault)
{
	struct catalog_service *service;
	struct slice name;
	struct fault unknown;

	if (!slice_cut(&scope, ':', &name) || slice_equal(name, slice_of("*")))
		return 0;
	const int code = catalog_service_get(store, name, &service, &unknown);
	if (code == 0) {
		catalog_service_free(service);
	} else if (code == FAULT_NOT_FOUND) {
		json_array_append_new(warnings, json_string(unknown.text));
	} else {
		*fault = unknown;
		return code;
	}
	return 0;
}

static int create(struct store *store, void *context, struct fault *fault)
{
	struct making *making = context;
	struct api_request *request = making->request;
	const struct api_value *scopes = api_argument(request, "scopes");
	int code = api_at(
		request, "app",
		account_app_get(store, api_argument(request, "app")->text, &making->app, fault));

	json_array_clear(making->warnings); /* of a try before */
	for (size_t i = 0; code == 0 && i < scopes->text_count; i++) {
		code = scope_check(scopes->texts[i], fault);
		if (code < 0)
			request->at = arena_printf(&request->arena, "/scopes/%zu", i);
		else
			code = warn_of(store, scopes->texts[i], making->warnings, fault);
	}
	if (code < 0)
		return code;
	const struct account_key_options options = {
		.app = making->app.id,
		.scopes = scopes->texts,
		.scope_count = scopes->text_count,
		.expires_ns = api_argument_number(request, "expires", 0),
	};
	code = api_at(request, "scopes",
		      account_key_create(store, request->api->options.random, &options,
					 making->count, request->now_ns, making->made, fault));
	if (code < 0)
		return code;
	tell_made(making);
	request->answer = made_json(making, true);
	if (request->idempotency_key.length > 0)
		request->kept = made_json(making, false);
	return 0;
}

static int publish(struct api *api, const struct making *making, struct fault *fault)
{
	struct account_key *keys = calloc(making->count, sizeof(*keys));

	check(keys != NULL);
	for (size_t i = 0; i < making->count; i++)
		keys[i] = making->made[i].key;
	const int code = api->options.ports.keys_changed(api->options.ports.context, keys,
							 making->count, fault);
	free(keys);
	return code;
}

int api_keys_create(struct api_request *request, struct fault *fault)
{
	struct making making = {
		.request = request,
		.count = api_argument_number(request, "count", 1),
		.warnings = json_array(),
	};

	making.made = calloc(making.count, sizeof(*making.made));
	check(making.made != NULL);
	request->status = 201;
	request->output.is_secret = true;
	int code = api_change(request, create, &making, fault);
	if (code == 0 && !request->given_again)
		code = publish(request->api, &making, fault);
	sodium_memzero(making.made, making.count * sizeof(*making.made));
	free(making.made);
	json_decref(making.warnings);
	return code;
}

/* ---- listing ---- */

/* The app of a key; keys of one app follow each other, so the last one is kept. */
static int find_app(struct store *store, struct app_id id, struct account_app *app,
		    struct fault *fault)
{
	if (app->id.value == id.value)
		return 0;
	return account_app_get_by_id(store, id, app, fault);
}

struct listing {
	struct api_request *request;
	api_key_list_fn list;
};

static int list(struct store *store, void *context, struct fault *fault)
{
	const struct listing *listing = context;
	struct api_request *request = listing->request;
	const struct api_value *path = api_argument(request, "app");
	const size_t limit = api_limit(request);
	struct account_app app = {0};
	struct account_key *keys = calloc(limit, sizeof(*keys));
	json_t *items = json_array();
	struct api_key_use use;
	struct key_id after;
	size_t count = 0;
	int code = api_after(request, "key", &after.value, fault);

	check(keys != NULL);
	if (code == 0 && path->given)
		code = api_at(request, "app", account_app_get(store, path->text, &app, fault));
	if (code == 0)
		code = listing->list(store, app.id, false, request->now_ns, after, keys, limit,
				     &count, fault);
	for (size_t i = 0; code == 0 && i < count; i++) {
		code = find_app(store, keys[i].app, &app, fault);
		if (code == 0)
			code = find_use(request, store, keys[i].id, &use, fault);
		if (code == 0)
			json_array_append_new(items, api_key_json(&keys[i], app.path, &use));
	}
	if (code == 0) {
		const uint64_t last = count > 0 ? keys[count - 1].id.value : 0;
		request->answer = api_list(json_incref(items), api_next("key", last, count, limit));
	}
	json_decref(items);
	free(keys);
	return code;
}

int api_keys_answer(struct api_request *request, api_key_list_fn list_keys, struct fault *fault)
{
	struct listing listing = {.request = request, .list = list_keys};

	return store_transaction_read(request->api->options.store, list, &listing, fault);
}

int api_keys_list(struct api_request *request, struct fault *fault)
{
	return api_keys_answer(request, account_key_list, fault);
}

/* ---- rotating ---- */

#define OVERLAP_NS (3600 * CLOCK_NS_PER_S)

struct rotating {
	struct api_request *request;
	struct key_id id;
	uint64_t overlap_ns;
	struct account_key_made made;
	struct account_key before;
	struct account_app app;
};

/* With the new key's text, or as it may be given again. */
static json_t *rotated_json(const struct rotating *rotating, const struct api_key_use *use,
			    bool with_text)
{
	const char *app = rotating->app.path;
	json_t *answer = api_key_json(&rotating->made.key, app, &unused);

	json_object_set_new(answer, "key",
			    with_text ? json_string(rotating->made.text) : json_null());
	json_object_set_new(answer, "replaces", api_key_json(&rotating->before, app, use));
	return answer;
}

static void tell_rotated(const struct rotating *rotating)
{
	char name[ID_TEXT_MAX];

	id_format("key", rotating->id.value, name);
	api_changed(rotating->request, "key", name,
		    json_pack("{s:s, s:o, s:o}", "app", rotating->app.path, "expires",
			      api_json_time(rotating->before.expires_ns), "successor",
			      api_json_id("key", rotating->made.key.id.value)));
}

static int rotate(struct store *store, void *context, struct fault *fault)
{
	struct rotating *rotating = context;
	struct api_request *request = rotating->request;
	struct api_key_use use;
	int code = api_at(request, "id",
			  account_key_rotate(store, request->api->options.random, rotating->id,
					     rotating->overlap_ns, request->now_ns, &rotating->made,
					     &rotating->before, fault));
	if (code == 0)
		code = account_app_get_by_id(store, rotating->before.app, &rotating->app, fault);
	if (code == 0)
		code = find_use(request, store, rotating->id, &use, fault);
	if (code < 0)
		return code;
	tell_rotated(rotating);
	request->status = 201;
	request->output.is_secret = true;
	request->answer = rotated_json(rotating, &use, true);
	if (request->idempotency_key.length > 0)
		request->kept = rotated_json(rotating, &use, false);
	return 0;
}

static int read_overlap(struct api_request *request, uint64_t *ret_overlap_ns, struct fault *fault)
{
	const struct api_value *overlap = api_argument(request, "overlap");
	char shown[TEXT_SHOWN_MAX];

	*ret_overlap_ns = OVERLAP_NS;
	if (!overlap->given)
		return 0;
	*ret_overlap_ns = 0;
	if (slice_equal(overlap->text, slice_of("0")) ||
	    units_parse_duration_ns(overlap->text, ret_overlap_ns))
		return 0;
	return api_at(request, "overlap",
		      fault_set(fault, FAULT_INPUT,
				"overlap \"%s\": a duration such as 1h, or 0, is allowed",
				text_show(overlap->text, shown)));
}

int api_keys_rotate(struct api_request *request, struct fault *fault)
{
	const struct api_ports *ports = &request->api->options.ports;
	struct rotating rotating = {.request = request};
	int code = read_id(request, &rotating.id, fault);

	if (code == 0)
		code = read_overlap(request, &rotating.overlap_ns, fault);
	if (code == 0)
		code = api_change(request, rotate, &rotating, fault);
	if (code == 0 && !request->given_again) {
		/* The new one is in force before the old one ends. */
		const struct account_key keys[] = {rotating.made.key, rotating.before};
		code = ports->keys_changed(ports->context, keys, 2, fault);
	}
	sodium_memzero(&rotating.made, sizeof(rotating.made));
	return code;
}

/* ---- revoking ---- */

struct revoking {
	struct api_request *request;
	struct key_id id;
	struct account_key key;
	struct account_app app;
};

static void tell_revoked(const struct revoking *revoking)
{
	char name[ID_TEXT_MAX];

	id_format("key", revoking->id.value, name);
	api_changed(revoking->request, "key", name,
		    json_pack("{s:s, s:o}", "app", revoking->app.path, "revoked",
			      api_json_time(revoking->key.revoked_ns)));
}

static int revoke(struct store *store, void *context, struct fault *fault)
{
	struct revoking *revoking = context;
	struct api_request *request = revoking->request;
	struct api_key_use use;
	int code = api_at(
		request, "id",
		account_key_revoke(store, revoking->id, request->now_ns, &revoking->key, fault));
	if (code == 0)
		code = account_app_get_by_id(store, revoking->key.app, &revoking->app, fault);
	if (code == 0)
		code = find_use(request, store, revoking->id, &use, fault);
	if (code < 0)
		return code;
	if (revoking->key.revoked_ns == request->now_ns)
		tell_revoked(revoking);
	request->answer = api_key_json(&revoking->key, revoking->app.path, &use);
	json_object_set_new(request->answer, "applied_us", json_null());
	return 0;
}

void api_wait_applied(struct api_request *request, uint64_t begun_ns)
{
	const struct api_options *options = &request->api->options;
	const uint64_t most_ns = api_argument_number(request, "wait", 0) * CLOCK_NS_PER_MS;

	if (!api_argument(request, "wait")->given ||
	    !options->ports.wait_applied(options->ports.context, most_ns))
		return;
	const uint64_t took_ns = clock_monotonic_ns(options->clock) - begun_ns;
	json_object_set_new(request->answer, "applied_us",
			    json_integer((json_int_t)(took_ns / CLOCK_NS_PER_US)));
}

int api_keys_revoke(struct api_request *request, struct fault *fault)
{
	const struct api_ports *ports = &request->api->options.ports;
	const uint64_t begun_ns = clock_monotonic_ns(request->api->options.clock);
	struct revoking revoking = {.request = request};
	int code = read_id(request, &revoking.id, fault);

	if (code == 0)
		code = api_change(request, revoke, &revoking, fault);
	if (code < 0 || request->given_again)
		return code;
	code = ports->keys_changed(ports->context, &revoking.key, 1, fault);
	if (code == 0)
		api_wait_applied(request, begun_ns);
	return code;
}

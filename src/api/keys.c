#include "api/api_internal.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/check.h"

static json_t *scopes_json(const struct account_key *key)
{
	struct slice rest = slice_of(key->scopes);
	struct slice scope;
	json_t *scopes = json_array();

	while (slice_cut(&rest, ' ', &scope))
		json_array_append_new(scopes, json_stringn(scope.data, scope.length));
	return scopes;
}

static json_t *key_json(const struct account_key *key, const char *app)
{
	return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "id",
			 api_json_id("key", key->id.value), "app", app, "prefix", key->prefix,
			 "last_four", key->last_four, "scopes", scopes_json(key), "created",
			 api_json_time(key->created_ns), "expires", api_json_time(key->expires_ns),
			 "revoked", api_json_time(key->revoked_ns), "last_used",
			 api_json_time(key->last_used_ns));
}

/* ---- making ---- */

struct making {
	struct api_request *request;
	size_t count;
	struct account_app app;
	struct account_key_made *made;
};

/* With the keys' texts, or as it may be given again. */
static json_t *made_json(const struct making *making, bool with_texts)
{
	json_t *items = json_array();

	for (size_t i = 0; i < making->count; i++) {
		const struct account_key_made *made = &making->made[i];
		json_t *item = key_json(&made->key, making->app.path);
		json_object_set_new(item, "key",
				    with_texts ? json_string(made->text) : json_null());
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

static int create(struct store *store, void *context, struct fault *fault)
{
	struct making *making = context;
	struct api_request *request = making->request;
	const struct api_value *scopes = api_argument(request, "scopes");
	int code = api_at(
		request, "app",
		account_app_get(store, api_argument(request, "app")->text, &making->app, fault));
	for (size_t i = 0; code == 0 && i < scopes->text_count; i++) {
		code = scope_check(scopes->texts[i], fault);
		if (code < 0)
			request->at = arena_printf(&request->arena, "/scopes/%zu", i);
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
	};

	making.made = calloc(making.count, sizeof(*making.made));
	check(making.made != NULL);
	request->status = 201;
	request->has_secret = true;
	int code = api_change(request, create, &making, fault);
	if (code == 0 && !request->given_again)
		code = publish(request->api, &making, fault);
	sodium_memzero(making.made, making.count * sizeof(*making.made));
	free(making.made);
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

static int list(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	const struct api_value *path = api_argument(request, "app");
	const size_t limit = api_limit(request);
	struct account_app app = {0};
	struct account_key *keys = calloc(limit, sizeof(*keys));
	json_t *items = json_array();
	struct key_id after;
	size_t count = 0;
	int code = api_after(request, "key", &after.value, fault);

	check(keys != NULL);
	if (code == 0 && path->given)
		code = api_at(request, "app", account_app_get(store, path->text, &app, fault));
	if (code == 0)
		code = account_key_list(store, app.id, false, request->now_ns, after, keys, limit,
					&count, fault);
	for (size_t i = 0; code == 0 && i < count; i++) {
		code = find_app(store, keys[i].app, &app, fault);
		if (code == 0)
			json_array_append_new(items, key_json(&keys[i], app.path));
	}
	if (code == 0) {
		const uint64_t last = count > 0 ? keys[count - 1].id.value : 0;
		request->answer = api_list(json_incref(items), api_next("key", last, count, limit));
	}
	json_decref(items);
	free(keys);
	return code;
}

int api_keys_list(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, list, request, fault);
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
	int code = api_at(revoking->request, "id",
			  account_key_revoke(store, revoking->id, revoking->request->now_ns,
					     &revoking->key, fault));
	if (code == 0)
		code = account_app_get_by_id(store, revoking->key.app, &revoking->app, fault);
	if (code == 0 && revoking->key.revoked_ns == revoking->request->now_ns)
		tell_revoked(revoking);
	if (code == 0)
		revoking->request->answer = key_json(&revoking->key, revoking->app.path);
	return code;
}

int api_keys_revoke(struct api_request *request, struct fault *fault)
{
	const struct api_ports *ports = &request->api->options.ports;
	const struct slice id = api_argument(request, "id")->text;
	struct revoking revoking = {.request = request};
	char shown[TEXT_SHOWN_MAX];

	if (!id_parse("key", id, &revoking.id.value))
		return api_at(request, "id",
			      fault_set(fault, FAULT_NOT_FOUND,
					"there is no key \"%s\"; `stoa key list` shows the ids",
					text_show(id, shown)));
	int code = api_change(request, revoke, &revoking, fault);
	if (code == 0)
		code = ports->keys_changed(ports->context, &revoking.key, 1, fault);
	return code;
}

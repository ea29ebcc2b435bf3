#include "api/api_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "api/schemas.h"

const struct api_member api_app_members[] = {
	{"id", API_IS_ID, 0, NULL, "of the app"},
	{"app", API_IS_TEXT, 0, NULL, "`account/app`"},
	{"account", API_IS_TEXT, 0, NULL, "the account's name"},
	{"name", API_IS_TEXT, 0, NULL, "a DNS label, unique in the account"},
	{"created", API_IS_TIME, 0, NULL, "when it was made"},
};

static json_t *app_json(const struct account_app *app)
{
	const struct slice path = slice_of(app->path);
	const size_t slash = slice_find_byte(path, '/', 0);

	return json_pack("{s:o, s:s, s:s%, s:s, s:o}", "id", api_json_id("app", app->id.value),
			 "app", app->path, "account", path.data, slash, "name", app->name,
			 "created", api_json_time(app->created_ns));
}

static int create(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	struct account account;
	struct account_app app;
	int code =
		api_at(request, "account",
		       account_get(store, api_argument(request, "account")->text, &account, fault));
	if (code == 0)
		code = api_at(request, "name",
			      account_app_create(store, account.id,
						 api_argument(request, "name")->text,
						 request->now_ns, &app, fault));
	if (code < 0)
		return code;
	api_changed(request, "app", app.path,
		    json_pack("{s:o}", "id", api_json_id("app", app.id.value)));
	request->answer = app_json(&app);
	return 0;
}

int api_apps_create(struct api_request *request, struct fault *fault)
{
	request->status = 201;
	return api_change(request, create, request, fault);
}

static int list(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	const struct api_value *name = api_argument(request, "account");
	const size_t limit = api_limit(request);
	struct account account = {0};
	struct account_app *apps = calloc(limit, sizeof(*apps));
	struct app_id after;
	size_t count = 0;
	int code = api_after(request, "app", &after.value, fault);

	check(apps != NULL);
	if (code == 0 && name->given)
		code = api_at(request, "account", account_get(store, name->text, &account, fault));
	if (code == 0)
		code = account_app_list(store, account.id, after, apps, limit, &count, fault);
	if (code == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < count; i++)
			json_array_append_new(items, app_json(&apps[i]));
		const uint64_t last = count > 0 ? apps[count - 1].id.value : 0;
		request->answer = api_list(items, api_next("app", last, count, limit));
	}
	free(apps);
	return code;
}

int api_apps_list(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, list, request, fault);
}

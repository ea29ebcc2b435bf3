#include <stdio.h>
#include <string.h>

#include "account/account.h"
#include "account/account_internal.h"
#include "base/check.h"
#include "base/text.h"

#define APP_COLUMNS "apps.id, apps.account, apps.name, apps.created_ns, accounts.name"
#define APP_TABLES  "apps JOIN accounts ON accounts.id = apps.account"

static void read_app(const struct store_statement *statement, void *row)
{
	struct account_app *app = row;
	char account_name[ACCOUNT_NAME_MAX];

	app->id.value = (uint64_t)store_column_int64(statement, 0);
	app->account.value = (uint64_t)store_column_int64(statement, 1);
	account_column_copy(statement, 2, app->name, sizeof(app->name));
	app->created_ns = (uint64_t)store_column_int64(statement, 3);
	account_column_copy(statement, 4, account_name, sizeof(account_name));
	snprintf(app->path, sizeof(app->path), "%s/%s", account_name, app->name);
	check(app->id.value > 0);
	check(app->account.value > 0);
}

static int app_find(struct store *store, struct account_id account, struct slice name,
		    struct account_app *ret_app, bool *ret_found, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	const int code = store_prepare(store,
				       "SELECT " APP_COLUMNS " FROM " APP_TABLES
				       " WHERE apps.account = $1 AND apps.name = $2",
				       &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)account.value);
	store_bind_text(select, 2, name);
	return account_read_one(select, read_app, ret_app, ret_found, fault);
}

static int app_insert(struct store *store, struct account_id account, struct slice name,
		      uint64_t now_ns, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	int64_t id;
	int code = store_sequence_take(store, "apps", 1, &id, fault);

	if (code == 0)
		code = store_prepare(store,
				     "INSERT INTO apps (id, account, name, created_ns)"
				     " VALUES ($1, $2, $3, $4)",
				     &insert, fault);
	if (code < 0)
		return code;
	store_bind_int64(insert, 1, id);
	store_bind_int64(insert, 2, (int64_t)account.value);
	store_bind_text(insert, 3, name);
	store_bind_int64(insert, 4, (int64_t)now_ns);
	return store_execute(insert, fault);
}

int account_app_create(struct store *store, struct account_id account, struct slice name,
		       uint64_t now_ns, struct account_app *ret_app, struct fault *fault)
{
	struct account owner;
	struct account_app app = {.id = {0}};
	bool found = false;

	check(store_in_transaction(store));
	int code = account_name_check("app name", name, fault);
	if (code == 0)
		code = account_get_by_id(store, account, &owner, fault);
	if (code == 0)
		code = app_find(store, account, name, &app, &found, fault);
	if (code < 0)
		return code;
	if (found)
		return fault_set(fault, FAULT_CONFLICT, "the app \"%s\" exists already", app.path);

	code = app_insert(store, account, name, now_ns, fault);
	if (code == 0)
		code = app_find(store, account, name, &app, &found, fault);
	if (code < 0)
		return code;
	check(found);
	*ret_app = app;
	return 0;
}

int account_app_get(struct store *store, struct slice path, struct account_app *ret_app,
		    struct fault *fault)
{
	const size_t slash = slice_find_byte(path, '/', 0);
	char shown[TEXT_SHOWN_MAX];
	struct account account;
	struct account_app app = {.id = {0}};
	bool found = false;

	if (slash == path.length)
		return fault_set(fault, FAULT_INPUT,
				 "app \"%s\": an app is named by its account and itself, "
				 "\"account/app\"",
				 text_show(path, shown));
	const struct slice name = slice_part(path, slash + 1, path.length);
	int code = account_get(store, slice_part(path, 0, slash), &account, fault);
	if (code == 0)
		code = app_find(store, account.id, name, &app, &found, fault);
	if (code < 0)
		return code;
	if (!found) {
		char what[ACCOUNT_NAME_MAX + 16];
		snprintf(what, sizeof(what), "app of \"%s\" called", account.name);
		return account_name_not_found(
			store, "SELECT name FROM apps WHERE account = $1 ORDER BY name",
			(int64_t)account.id.value, what, name, fault);
	}
	*ret_app = app;
	return 0;
}

int account_app_get_by_id(struct store *store, struct app_id id, struct account_app *ret_app,
			  struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct account_app app = {.id = {0}};
	bool found = false;
	int code = store_prepare(store,
				 "SELECT " APP_COLUMNS " FROM " APP_TABLES " WHERE apps.id = $1",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)id.value);
	code = account_read_one(select, read_app, &app, &found, fault);
	if (code < 0)
		return code;
	if (!found)
		return account_id_not_found("app", id.value, fault);
	*ret_app = app;
	return 0;
}

int account_app_list(struct store *store, struct account_id account, struct app_id after,
		     struct account_app *apps, size_t most, size_t *ret_count, struct fault *fault)
{
	static const char all[] = "SELECT " APP_COLUMNS " FROM " APP_TABLES
				  " WHERE apps.id > $1 ORDER BY apps.id LIMIT $2";
	static const char of_account[] =
		"SELECT " APP_COLUMNS " FROM " APP_TABLES
		" WHERE apps.id > $1 AND apps.account = $3 ORDER BY apps.id LIMIT $2";
	STORE_STATEMENT select = NULL;
	const int code =
		store_prepare(store, account.value == 0 ? all : of_account, &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)after.value);
	store_bind_int64(select, 2, (int64_t)most);
	if (account.value != 0)
		store_bind_int64(select, 3, (int64_t)account.value);
	return account_read_page(select, read_app, apps, sizeof(*apps), most, ret_count, fault);
}

#include "api/changes.h"

#include "base/check.h"

/* ---- tables ---- */

const struct store_migration api_migrations[] = {
	{
		.domain = "api",
		.number = 1,
		.sql = "CREATE TABLE api_answer ("
		       " key TEXT NOT NULL PRIMARY KEY,"
		       " request TEXT NOT NULL,"
		       " status BIGINT NOT NULL,"
		       " answer TEXT NOT NULL,"
		       " made_ns BIGINT NOT NULL);"
		       "CREATE INDEX api_answer_made ON api_answer (made_ns);"
		       "CREATE TABLE api_change ("
		       " id INTEGER PRIMARY KEY,"
		       " at_ns BIGINT NOT NULL,"
		       " actor TEXT NOT NULL,"
		       " operation TEXT NOT NULL,"
		       " kind TEXT NOT NULL,"
		       " name TEXT NOT NULL,"
		       " facts TEXT NOT NULL);"
		       "CREATE INDEX api_change_name ON api_change (kind, name, id)",
		.sqlite = "CREATE TRIGGER api_change_no_update BEFORE UPDATE ON api_change"
			  " BEGIN SELECT RAISE(ABORT, 'what happened never changes'); END;"
			  "CREATE TRIGGER api_change_no_delete BEFORE DELETE ON api_change"
			  " BEGIN SELECT RAISE(ABORT, 'what happened is never deleted'); END",
	},
};
const size_t api_migration_count = sizeof(api_migrations) / sizeof(api_migrations[0]);

int api_migrate(struct store *store, struct fault *fault)
{
	return store_migrate(store, api_migrations, api_migration_count, fault);
}

/* ---- appending ---- */

#define ACTOR_BYTES 4 /* of the token's digest: tells tokens apart, and gives none away */
#define ACTOR_MAX   32

static void actor_of(const struct api *api, char actor[ACTOR_MAX])
{
	char digest[2 * ACTOR_BYTES + 1];

	text_hex(api->token.bytes, ACTOR_BYTES, digest);
	check((size_t)snprintf(actor, ACTOR_MAX, "admin:%s", digest) < ACTOR_MAX);
}

int changes_append(struct api_request *request, struct store *store, struct fault *fault)
{
	const struct api_change_note *change = &request->change;
	STORE_STATEMENT insert = NULL;
	char actor[ACTOR_MAX];
	int64_t id;
	int code = store_sequence_take(store, "change", 1, &id, fault);

	if (code == 0)
		code = store_prepare(store,
				     "INSERT INTO api_change"
				     " (id, at_ns, actor, operation, kind, name, facts)"
				     " VALUES ($1, $2, $3, $4, $5, $6, $7)",
				     &insert, fault);
	if (code < 0)
		return code;
	char *facts = json_dumps(change->facts, JSON_COMPACT);
	check(facts != NULL);
	actor_of(request->api, actor);
	store_bind_int64(insert, 1, id);
	store_bind_int64(insert, 2, (int64_t)request->now_ns);
	store_bind_text(insert, 3, slice_of(actor));
	store_bind_text(insert, 4, slice_of(request->route->name));
	store_bind_text(insert, 5, slice_of(change->kind));
	store_bind_text(insert, 6, slice_of(change->name));
	store_bind_text(insert, 7, slice_of(facts));
	code = store_execute(insert, fault);
	free(facts);
	return code;
}

/* ---- listing ---- */

static json_t *text_column(const struct store_statement *row, unsigned column)
{
	const struct slice text = store_column_text(row, column);

	return json_stringn(text.data, text.length);
}

static json_t *change_json(const struct store_statement *row)
{
	const struct slice facts = store_column_text(row, 6);

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
			 api_json_id("change", (uint64_t)store_column_int64(row, 0)), "at",
			 api_json_time((uint64_t)store_column_int64(row, 1)), "actor",
			 text_column(row, 2), "operation", text_column(row, 3), "kind",
			 text_column(row, 4), "name", text_column(row, 5), "facts",
			 json_loadb(facts.data, facts.length, 0, NULL));
}

static int prepare_list(struct api_request *request, struct store *store,
			struct store_statement **list, struct fault *fault)
{
	const struct api_value *kind = api_argument(request, "kind");
	const struct api_value *name = api_argument(request, "name");
	uint64_t after;
	int code = api_after(request, "change", &after, fault);

	if (code == 0)
		code = store_prepare(store,
				     "SELECT id, at_ns, actor, operation, kind, name, facts"
				     " FROM api_change WHERE id > $1"
				     " AND ($2 IS NULL OR kind = $2) AND ($3 IS NULL OR name = $3)"
				     " ORDER BY id LIMIT $4",
				     list, fault);
	if (code < 0)
		return code;
	store_bind_int64(*list, 1, (int64_t)after);
	if (kind->given)
		store_bind_text(*list, 2, slice_of(api_change_kinds[kind->number]));
	if (name->given)
		store_bind_text(*list, 3, name->text);
	store_bind_int64(*list, 4, (int64_t)api_limit(request));
	return 0;
}

static int list(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	STORE_STATEMENT list_changes = NULL;
	json_t *items = json_array();
	uint64_t last = 0;
	bool row = true;
	int code = prepare_list(request, store, &list_changes, fault);

	while (code == 0 && row) {
		code = store_step(list_changes, &row, fault);
		if (code < 0 || !row)
			break;
		last = (uint64_t)store_column_int64(list_changes, 0);
		json_array_append_new(items, change_json(list_changes));
	}
	if (code == 0)
		request->answer = api_list(
			json_incref(items),
			api_next("change", last, json_array_size(items), api_limit(request)));
	json_decref(items);
	return code;
}

int api_changes_list(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, list, request, fault);
}

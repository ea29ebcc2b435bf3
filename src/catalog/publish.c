#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "catalog/catalog_internal.h"

#define HASH_TEXT_MAX (2 * crypto_hash_sha256_BYTES + 1)

/* One publishing, handed from step to step. */
struct publishing {
	struct store *store;
	const struct catalog_manifest *manifest;
	struct slice folder;
	struct account_id account;
	uint64_t notice_least_ns;
	uint64_t now_ns;
	struct catalog_service_head head;
	struct catalog_change change;
	struct fault *fault;
};

const char *catalog_plan_change_text(enum catalog_plan_change change)
{
	static const char *const texts[] = {
		[CATALOG_PLAN_SAME] = "same",           [CATALOG_PLAN_NEW] = "new",
		[CATALOG_PLAN_CHANGED] = "changed",     [CATALOG_PLAN_BACK] = "back",
		[CATALOG_PLAN_WITHDRAWN] = "withdrawn",
	};
	check(change <= CATALOG_PLAN_WITHDRAWN);
	return texts[change];
}

/* ---- the service ---- */

static int service_insert(struct publishing *publishing)
{
	const struct catalog_description *description = &publishing->manifest->description;
	struct store *store = publishing->store;
	struct fault *fault = publishing->fault;
	STORE_STATEMENT insert = NULL;
	int64_t id;

	int code = store_sequence_take(store, "services", 1, &id, fault);
	if (code == 0)
		code = store_prepare(store,
				     "INSERT INTO services (id, account, name, revision, folder,"
				     " version, summary, tags, created_ns)"
				     " VALUES ($1, $2, $3, 0, $4, '', '', '', $5)",
				     &insert, fault);
	if (code < 0)
		return code;
	store_bind_int64(insert, 1, id);
	store_bind_int64(insert, 2, (int64_t)publishing->account.value);
	store_bind_text(insert, 3, slice_of(description->name));
	store_bind_text(insert, 4, publishing->folder);
	store_bind_int64(insert, 5, (int64_t)publishing->now_ns);
	publishing->head =
		(struct catalog_service_head){.id = {(uint64_t)id}, .account = publishing->account};
	publishing->change.created = true;
	return store_execute(insert, fault);
}

static int service_claim(struct publishing *publishing)
{
	const struct slice name = slice_of(publishing->manifest->description.name);
	struct account account;
	bool found = false;

	int code = account_get_by_id(publishing->store, publishing->account, &account,
				     publishing->fault);
	if (code == 0)
		code = catalog_service_find(publishing->store, name, &publishing->head, &found,
					    publishing->fault);
	if (code < 0)
		return code;
	if (!found)
		return service_insert(publishing);
	if (publishing->head.account.value != publishing->account.value)
		return fault_set(publishing->fault, FAULT_REFUSED,
				 "the service name \"%s\" belongs to the account \"%s\"; choose "
				 "another name",
				 publishing->manifest->description.name,
				 publishing->head.account_name);
	return 0;
}

/* ---- its description ---- */

static int revision_is_same(struct publishing *publishing, const char *content, bool *ret_same)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(publishing->store,
				 "SELECT content FROM service_revisions"
				 " WHERE service = $1 AND revision = $2",
				 &select, publishing->fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)publishing->head.id.value);
	store_bind_int64(select, 2, publishing->head.revision);
	code = store_step(select, &row, publishing->fault);
	if (code == 0)
		*ret_same = row && slice_equal(store_column_text(select, 0), slice_of(content));
	return code;
}

static int revision_insert(struct publishing *publishing, const char *content)
{
	STORE_STATEMENT insert = NULL;
	const int code = store_prepare(publishing->store,
				       "INSERT INTO service_revisions (service, revision, version,"
				       " content, published_ns) VALUES ($1, $2, $3, $4, $5)",
				       &insert, publishing->fault);

	if (code < 0)
		return code;
	store_bind_int64(insert, 1, (int64_t)publishing->head.id.value);
	store_bind_int64(insert, 2, publishing->head.revision);
	store_bind_text(insert, 3, slice_of(publishing->manifest->description.version));
	store_bind_text(insert, 4, slice_of(content));
	store_bind_int64(insert, 5, (int64_t)publishing->now_ns);
	return store_execute(insert, publishing->fault);
}

static int service_update(struct publishing *publishing)
{
	const struct catalog_description *description = &publishing->manifest->description;
	STORE_STATEMENT update = NULL;
	struct text tags;
	const int code = store_prepare(publishing->store,
				       "UPDATE services SET revision = $2, version = $3,"
				       " summary = $4, tags = $5, folder = $6 WHERE id = $1",
				       &update, publishing->fault);

	if (code < 0)
		return code;
	text_init(&tags, (CATALOG_TAGS_MAX + 1) * CATALOG_NAME_MAX);
	text_append_text(&tags, " ");
	for (const char *const *tag = description->tags; *tag != NULL; tag++)
		text_printf(&tags, "%s ", *tag);
	check(!tags.failed);
	store_bind_int64(update, 1, (int64_t)publishing->head.id.value);
	store_bind_int64(update, 2, publishing->head.revision);
	store_bind_text(update, 3, slice_of(description->version));
	store_bind_text(update, 4, slice_of(description->summary));
	store_bind_text(update, 5, text_slice(&tags));
	store_bind_text(update, 6, publishing->folder);
	text_fini(&tags);
	return store_execute(update, publishing->fault);
}

static int description_publish(struct publishing *publishing)
{
	struct catalog_change *change = &publishing->change;
	char *content = catalog_description_format(&publishing->manifest->description);
	bool same = false;

	int code = revision_is_same(publishing, content, &same);
	if (code == 0 && !same) {
		publishing->head.revision++;
		change->described = true;
		code = revision_insert(publishing, content);
	}
	free(content);
	change->moved = !change->created &&
			!slice_equal(slice_of(publishing->head.folder), publishing->folder);
	if (code == 0 && (change->described || change->moved))
		code = service_update(publishing);
	change->service = publishing->head.id;
	change->revision = publishing->head.revision;
	return code;
}

/* ---- its units ---- */

static int unit_save(struct publishing *publishing, int slot, const struct catalog_unit *unit)
{
	STORE_STATEMENT save = NULL;
	const int code = store_prepare(publishing->store,
				       "INSERT INTO service_units (service, slot, name, unit)"
				       " VALUES ($1, $2, $3, $4)"
				       " ON CONFLICT (service, slot) DO UPDATE SET unit = $4",
				       &save, publishing->fault);

	if (code < 0)
		return code;
	store_bind_int64(save, 1, (int64_t)publishing->head.id.value);
	store_bind_int64(save, 2, slot);
	store_bind_text(save, 3, slice_of(unit->name));
	store_bind_text(save, 4, slice_of(unit->unit));
	return store_execute(save, publishing->fault);
}

/* A slot once given is never another unit's: call records and old plans name it. */
static int units_publish(struct publishing *publishing)
{
	const struct catalog_unit *wanted = publishing->manifest->description.units;
	struct catalog_units units;
	int code = catalog_units_load(publishing->store, publishing->head.id, &units,
				      publishing->fault);

	for (int i = 0; code == 0 && i < RATING_UNITS_MAX && wanted[i].name != NULL; i++) {
		int slot = 0;
		while (slot < RATING_UNITS_MAX && units.units[slot].name != NULL &&
		       strcmp(units.units[slot].name, wanted[i].name) != 0)
			slot++;
		if (slot == RATING_UNITS_MAX)
			return fault_set(publishing->fault, FAULT_LIMIT,
					 "the service \"%s\" has declared %d meters in its life, "
					 "and \"%s\" would be one more; a meter's place is never "
					 "given away, so keep to these: %s, %s, %s, %s",
					 publishing->manifest->description.name, RATING_UNITS_MAX,
					 wanted[i].name, units.names[0], units.names[1],
					 units.names[2], units.names[3]);
		if (units.units[slot].name != NULL &&
		    strcmp(units.units[slot].unit, wanted[i].unit) == 0)
			continue;
		units.units[slot] = wanted[i];
		code = unit_save(publishing, slot, &wanted[i]);
	}
	return code;
}

/* ---- its plans ---- */

struct plan_row {
	bool found;
	bool offered;
	bool same; /* content */
	struct plan_id id;
	uint32_t version;
	uint32_t move_month;
	/* By this publishing. */
	uint32_t announced_month;
	uint32_t rises;
};

/* The latest version of that name. */
static int plan_find(struct publishing *publishing, const char *name, const char *content,
		     struct plan_row *ret_row)
{
	STORE_STATEMENT select = NULL;
	int code = store_prepare(publishing->store,
				 "SELECT id, version, offered, content, move_month FROM plans"
				 " WHERE service = $1 AND name = $2 ORDER BY version DESC LIMIT 1",
				 &select, publishing->fault);

	*ret_row = (struct plan_row){.found = false};
	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)publishing->head.id.value);
	store_bind_text(select, 2, slice_of(name));
	code = store_step(select, &ret_row->found, publishing->fault);
	if (code < 0 || !ret_row->found)
		return code;
	ret_row->id.value = (uint64_t)store_column_int64(select, 0);
	ret_row->version = (uint32_t)store_column_int64(select, 1);
	ret_row->offered = store_column_int64(select, 2) != 0;
	ret_row->same = slice_equal(store_column_text(select, 3), slice_of(content));
	ret_row->move_month = (uint32_t)store_column_int64(select, 4);
	return 0;
}

static int plan_offer(struct publishing *publishing, struct plan_id id, bool offered)
{
	STORE_STATEMENT update = NULL;
	const int code =
		store_prepare(publishing->store, "UPDATE plans SET offered = $2 WHERE id = $1",
			      &update, publishing->fault);

	if (code < 0)
		return code;
	store_bind_int64(update, 1, (int64_t)id.value);
	store_bind_int64(update, 2, offered);
	return store_execute(update, publishing->fault);
}

static int plan_insert(struct publishing *publishing, const char *name, const char *content,
		       struct plan_row *row)
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	char hash[HASH_TEXT_MAX];
	STORE_STATEMENT insert = NULL;
	int64_t id;

	int code = store_sequence_take(publishing->store, "plans", 1, &id, publishing->fault);
	if (code == 0)
		code = store_prepare(publishing->store,
				     "INSERT INTO plans (id, service, name, version, offered, hash,"
				     " content, created_ns) VALUES ($1, $2, $3, $4, 1, $5, $6, $7)",
				     &insert, publishing->fault);
	if (code < 0)
		return code;
	crypto_hash_sha256(digest, (const unsigned char *)content, strlen(content));
	text_hex(digest, sizeof(digest), hash);
	row->id.value = (uint64_t)id;
	row->version++;
	store_bind_int64(insert, 1, id);
	store_bind_int64(insert, 2, (int64_t)publishing->head.id.value);
	store_bind_text(insert, 3, slice_of(name));
	store_bind_int64(insert, 4, row->version);
	store_bind_text(insert, 5, slice_of(hash));
	store_bind_text(insert, 6, slice_of(content));
	store_bind_int64(insert, 7, (int64_t)publishing->now_ns);
	return store_execute(insert, publishing->fault);
}

static int plan_announce(struct publishing *publishing, const char *name, const char *content,
			 struct plan_row *row)
{
	const struct catalog_announcement wanted = {
		.service = publishing->head.id,
		.name = name,
		.version = row->version,
		.content = content,
		.notice_least_ns = publishing->notice_least_ns,
		.now_ns = publishing->now_ns,
	};

	return catalog_move_announce(publishing->store, &wanted, &row->announced_month, &row->rises,
				     publishing->fault);
}

static void plan_note(struct publishing *publishing, const char *name, const struct plan_row *row,
		      enum catalog_plan_change how)
{
	struct catalog_change *change = &publishing->change;

	check(change->plan_count < 2 * CATALOG_PLANS_MAX);
	change->plans[change->plan_count].id = row->id;
	change->plans[change->plan_count].version = row->version;
	change->plans[change->plan_count].month = row->announced_month;
	change->plans[change->plan_count].rises = row->rises;
	change->plans[change->plan_count].change = how;
	check(slice_to_text(slice_of(name), change->plans[change->plan_count].name,
			    CATALOG_NAME_MAX));
	change->plan_count++;
}

static int plan_publish(struct publishing *publishing, const struct catalog_manifest_plan *plan)
{
	enum catalog_plan_change how = CATALOG_PLAN_SAME;
	char *content = catalog_terms_format(&plan->terms, publishing->manifest->description.units);
	struct plan_row row;

	int code = plan_find(publishing, plan->name, content, &row);
	if (code == 0 && row.found && row.same && !row.offered) {
		how = CATALOG_PLAN_BACK;
		code = plan_offer(publishing, row.id, true);
		if (code == 0 && row.version > 1 && row.move_month == 0)
			code = plan_announce(publishing, plan->name, content, &row);
	} else if (code == 0 && !(row.found && row.same)) {
		how = row.found ? CATALOG_PLAN_CHANGED : CATALOG_PLAN_NEW;
		if (row.offered)
			code = plan_offer(publishing, row.id, false);
		if (code == 0)
			code = plan_insert(publishing, plan->name, content, &row);
		if (code == 0 && row.version > 1)
			code = plan_announce(publishing, plan->name, content, &row);
	}
	free(content);
	if (code == 0)
		plan_note(publishing, plan->name, &row, how);
	return code;
}

static bool is_in_manifest(const struct publishing *publishing, const char *name)
{
	for (uint32_t i = 0; i < publishing->manifest->plan_count; i++) {
		if (strcmp(publishing->manifest->plans[i].name, name) == 0)
			return true;
	}
	return false;
}

static int plans_withdraw(struct publishing *publishing)
{
	const uint32_t published = publishing->change.plan_count;
	STORE_STATEMENT select = NULL;
	bool row = true;
	int code = store_prepare(publishing->store,
				 "SELECT id, name, version FROM plans"
				 " WHERE service = $1 AND offered = 1 ORDER BY id",
				 &select, publishing->fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)publishing->head.id.value);
	while ((code = store_step(select, &row, publishing->fault)) == 0 && row) {
		const struct plan_row withdrawn = {
			.id = {(uint64_t)store_column_int64(select, 0)},
			.version = (uint32_t)store_column_int64(select, 2),
		};
		char name[CATALOG_NAME_MAX];
		catalog_column_copy(select, 1, name, sizeof(name));
		if (!is_in_manifest(publishing, name))
			plan_note(publishing, name, &withdrawn, CATALOG_PLAN_WITHDRAWN);
	}
	for (uint32_t i = published; code == 0 && i < publishing->change.plan_count; i++) {
		code = plan_offer(publishing, publishing->change.plans[i].id, false);
		if (code == 0)
			code = catalog_move_cancel(publishing->store, publishing->head.id,
						   publishing->change.plans[i].name,
						   publishing->now_ns, publishing->fault);
	}
	return code;
}

int catalog_publish(struct store *store, const struct catalog_manifest *manifest,
		    struct slice folder, struct account_id account, uint64_t notice_least_ns,
		    uint64_t now_ns, struct catalog_change *ret_change, struct fault *fault)
{
	struct publishing publishing = {.store = store,
					.manifest = manifest,
					.folder = folder,
					.account = account,
					.notice_least_ns = notice_least_ns,
					.now_ns = now_ns,
					.fault = fault};
	struct catalog_change *change = &publishing.change;

	check(store_in_transaction(store));
	if (folder.length >= CATALOG_VALUE_MAX || (folder.length > 0 && folder.data[0] != '/'))
		return fault_set(fault, FAULT_INPUT,
				 "the manifest's folder must be an absolute path of at most %d "
				 "bytes",
				 CATALOG_VALUE_MAX - 1);
	int code = service_claim(&publishing);
	if (code == 0)
		code = description_publish(&publishing);
	if (code == 0)
		code = units_publish(&publishing);
	for (uint32_t i = 0; code == 0 && i < manifest->plan_count; i++)
		code = plan_publish(&publishing, &manifest->plans[i]);
	if (code == 0)
		code = plans_withdraw(&publishing);
	if (code < 0)
		return code;
	change->anything = change->described || change->moved;
	for (uint32_t i = 0; i < change->plan_count; i++)
		change->anything |= change->plans[i].change != CATALOG_PLAN_SAME;
	*ret_change = *change;
	return 0;
}

#include "base/check.h"
#include "catalog/catalog.h"
#include "catalog/catalog_internal.h"

#define PLAN_SELECT                                                                   \
	"SELECT id, service, name, version, offered, created_ns, content, move_month" \
	" FROM plans"

/* `units` are those of the plan's service, or of another one and then loaded anew. */
static int plan_read(struct store *store, const struct store_statement *row,
		     struct catalog_units *units, struct catalog_plan *plan, struct fault *fault)
{
	int code = 0;

	plan->id.value = (uint64_t)store_column_int64(row, 0);
	plan->service.value = (uint64_t)store_column_int64(row, 1);
	catalog_column_copy(row, 2, plan->name, sizeof(plan->name));
	plan->version = (uint32_t)store_column_int64(row, 3);
	plan->offered = store_column_int64(row, 4) != 0;
	plan->created_ns = (uint64_t)store_column_int64(row, 5);
	plan->move_month = (uint32_t)store_column_int64(row, 7);
	if (units->service.value != plan->service.value)
		code = catalog_units_load(store, plan->service, units, fault);
	if (code == 0)
		code = catalog_terms_parse(store_column_text(row, 6), units->units, &plan->terms,
					   fault);
	return code < 0 ? fault_prefix(fault, "plan \"%s\", version %u", plan->name, plan->version)
			: 0;
}

int catalog_plan_get(struct store *store, struct plan_id id, struct catalog_plan *ret_plan,
		     struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct catalog_units units = {.service = {0}};
	struct catalog_plan plan = {.id = {0}};
	bool row;
	int code = store_prepare(store, PLAN_SELECT " WHERE id = $1", &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)id.value);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (!row)
		return account_id_not_found("plan", id.value, fault);
	code = plan_read(store, select, &units, &plan, fault);
	if (code == 0)
		*ret_plan = plan;
	return code;
}

int catalog_plan_list(struct store *store, struct service_id service, bool only_offered,
		      struct plan_id after, struct catalog_plan *plans, size_t most,
		      size_t *ret_count, struct fault *fault)
{
	static const char all[] = PLAN_SELECT " WHERE id > $1 AND ($2 = 0 OR offered = 1)"
					      " ORDER BY id LIMIT $3";
	static const char of_service[] = PLAN_SELECT " WHERE id > $1 AND ($2 = 0 OR offered = 1)"
						     " AND service = $4 ORDER BY id LIMIT $3";
	STORE_STATEMENT select = NULL;
	struct catalog_units units = {.service = {0}};
	size_t count = 0;
	bool row;
	int code = store_prepare(store, service.value == 0 ? all : of_service, &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)after.value);
	store_bind_int64(select, 2, only_offered);
	store_bind_int64(select, 3, (int64_t)most);
	if (service.value != 0)
		store_bind_int64(select, 4, (int64_t)service.value);
	while (count < most && (code = store_step(select, &row, fault)) == 0 && row) {
		plans[count] = (struct catalog_plan){.id = {0}};
		code = plan_read(store, select, &units, &plans[count], fault);
		if (code < 0)
			return code;
		count++;
	}
	if (code == 0)
		*ret_count = count;
	return code;
}

/* When those who have an earlier version of a plan get a later one. */
#include "base/check.h"
#include "base/clock.h"
#include "catalog/catalog.h"
#include "catalog/catalog_internal.h"

static int move_read(const struct store_statement *select, struct catalog_move *ret_move)
{
	*ret_move = (struct catalog_move){
		.plan = {(uint64_t)store_column_int64(select, 0)},
		.version = (uint32_t)store_column_int64(select, 1),
		.month = (uint32_t)store_column_int64(select, 2),
	};
	return 0;
}

#define LATER                                                            \
	"SELECT later.id, later.version, later.move_month FROM plans"    \
	" JOIN plans AS later ON later.service = plans.service"          \
	" AND later.name = plans.name AND later.version > plans.version" \
	" WHERE plans.id = $1 AND later.move_month > 0"

int catalog_move_next(struct store *store, struct plan_id from, struct catalog_move *ret_move,
		      struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	/* Of several in one month the last one wins. */
	int code =
		store_prepare(store, LATER " ORDER BY later.move_month, later.version DESC LIMIT 1",
			      &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)from.value);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	*ret_move = (struct catalog_move){.month = 0};
	return row ? move_read(select, ret_move) : 0;
}

static int version_of(struct store *store, struct plan_id plan, struct catalog_move *ret_move,
		      struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store, "SELECT id, version, 0 FROM plans WHERE id = $1", &select,
				 fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)plan.value);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	return row ? move_read(select, ret_move) : account_id_not_found("plan", plan.value, fault);
}

int catalog_move_at(struct store *store, struct plan_id from, uint32_t month,
		    struct catalog_move *ret_move, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 LATER " AND later.move_month <= $2"
				       " ORDER BY later.version DESC LIMIT 1",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)from.value);
	store_bind_int64(select, 2, month);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	return row ? move_read(select, ret_move) : version_of(store, from, ret_move, fault);
}

/* ---- announcing ---- */

/* The earliest version that anybody has this month; the one before `version` where nobody has. */
static int earliest_in_force(struct store *store, const struct catalog_announcement *wanted,
			     uint32_t *ret_version, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(
		store,
		"SELECT COALESCE((SELECT MIN(plans.version) FROM subscriptions JOIN plans"
		" ON plans.id = subscriptions.plan WHERE plans.service = $1 AND plans.name = $2"
		" AND subscriptions.ended_ns = 0), $3 - 1), COALESCE((SELECT MAX(version)"
		" FROM plans WHERE service = $1 AND name = $2 AND version < $3"
		" AND move_month BETWEEN 1 AND $4), 0)",
		&select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)wanted->service.value);
	store_bind_text(select, 2, slice_of(wanted->name));
	store_bind_int64(select, 3, wanted->version);
	store_bind_int64(select, 4, clock_month_of(wanted->now_ns));
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	check(row);
	const int64_t begun_with = store_column_int64(select, 0);
	const int64_t moved_to = store_column_int64(select, 1);
	*ret_version = (uint32_t)(begun_with > moved_to ? begun_with : moved_to);
	return 0;
}

/* Against every version that anybody has or gets before: so a rise cannot come in two steps. */
static int compare(struct store *store, const struct catalog_announcement *wanted,
		   const struct catalog_units *units, const struct catalog_terms *terms,
		   uint32_t *ret_rises, uint64_t *ret_notice_ns, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	uint32_t rises = 0;
	uint64_t notice_ns = 0;
	uint32_t first = 0;
	bool row = true;
	int code = earliest_in_force(store, wanted, &first, fault);

	if (code == 0)
		code = store_prepare(store,
				     "SELECT content FROM plans WHERE service = $1 AND name = $2"
				     " AND version >= $3 AND version < $4",
				     &select, fault);
	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)wanted->service.value);
	store_bind_text(select, 2, slice_of(wanted->name));
	store_bind_int64(select, 3, first);
	store_bind_int64(select, 4, wanted->version);
	while ((code = store_step(select, &row, fault)) == 0 && row) {
		struct catalog_terms before;
		code = catalog_terms_parse(store_column_text(select, 0), units->units, &before,
					   fault);
		if (code < 0)
			return code;
		rises |= catalog_terms_rises(&before, terms);
		if (before.notice_ns > notice_ns)
			notice_ns = before.notice_ns;
	}
	*ret_rises = rises;
	*ret_notice_ns = notice_ns;
	return code;
}

/* The first month that starts then or later. */
static uint32_t month_from(uint64_t wall_ns)
{
	const uint32_t month = clock_month_of(wall_ns);

	return clock_month_start_ns(month) == wall_ns ? month : month + 1;
}

int catalog_move_announce(struct store *store, const struct catalog_announcement *wanted,
			  uint32_t *ret_month, uint32_t *ret_rises, struct fault *fault)
{
	STORE_STATEMENT update = NULL;
	struct catalog_units units;
	struct catalog_terms terms;
	uint64_t notice_ns = 0;
	int code = catalog_units_load(store, wanted->service, &units, fault);

	if (code == 0)
		code = catalog_terms_parse(slice_of(wanted->content), units.units, &terms, fault);
	if (code == 0)
		code = compare(store, wanted, &units, &terms, ret_rises, &notice_ns, fault);
	if (code == 0)
		code = store_prepare(store,
				     "UPDATE plans SET move_month = $4"
				     " WHERE service = $1 AND name = $2 AND version = $3",
				     &update, fault);
	if (code < 0)
		return code;
	if (notice_ns < wanted->notice_least_ns)
		notice_ns = wanted->notice_least_ns;
	if (*ret_rises == 0 || notice_ns < CATALOG_MOVE_LEAD_NS)
		notice_ns = CATALOG_MOVE_LEAD_NS;
	*ret_month = month_from(wanted->now_ns + notice_ns);
	store_bind_int64(update, 1, (int64_t)wanted->service.value);
	store_bind_text(update, 2, slice_of(wanted->name));
	store_bind_int64(update, 3, wanted->version);
	store_bind_int64(update, 4, *ret_month);
	return store_execute(update, fault);
}

int catalog_move_cancel(struct store *store, struct service_id service, const char *name,
			uint64_t now_ns, struct fault *fault)
{
	STORE_STATEMENT update = NULL;
	const int code = store_prepare(store,
				       "UPDATE plans SET move_month = 0"
				       " WHERE service = $1 AND name = $2 AND move_month >= $3",
				       &update, fault);

	if (code < 0)
		return code;
	store_bind_int64(update, 1, (int64_t)service.value);
	store_bind_text(update, 2, slice_of(name));
	store_bind_int64(update, 3, month_from(now_ns + CATALOG_MOVE_LEAD_NS));
	return store_execute(update, fault);
}

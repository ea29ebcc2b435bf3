/* Plan versions to come: from when a subscription has another one, and what is dearer then. */
#include "api/api_internal.h"

#include <stdlib.h>

#include "api/schemas.h"
#include "base/check.h"

/* clang-format off */
const struct api_member api_plan_move_members[] = {
	{"app", API_IS_TEXT, 0, NULL, "`account/app`"},
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"plan", API_IS_TEXT, 0, NULL, "the plan's name"},
	{"version", API_IS_COUNT, 0, NULL, "the version that it gets"},
	{"effective", API_IS_TIME, 0, NULL, "from when on"},
	{"dearer", API_IS_TEXT, API_LIST_OF, NULL,
	 "meters whose price, and keys of the manifest whose value is dearer or less"},
};
/* clang-format on */

json_t *api_rises_json(uint32_t rises, const struct catalog_unit units[RATING_UNITS_MAX])
{
	json_t *list = json_array();

	for (unsigned rise = 0; rise < CATALOG_RISES_END; rise++) {
		if (rises >> rise & 1)
			json_array_append_new(list, json_string(catalog_rise_name(rise, units)));
	}
	return list;
}

static int move_json(struct store *store, const struct catalog_subscription *subscription,
		     struct plan_id from, const struct catalog_move *move, json_t **ret_json,
		     struct fault *fault)
{
	struct catalog_service *service = NULL;
	struct catalog_plan before;
	struct catalog_plan after;
	int code = catalog_plan_get(store, from, &before, fault);

	if (code == 0)
		code = catalog_plan_get(store, move->plan, &after, fault);
	if (code == 0)
		code = catalog_service_get_by_id(store, subscription->service, &service, fault);
	if (code == 0)
		*ret_json = json_pack(
			"{s:s, s:s, s:s, s:i, s:o, s:o}", "app", subscription->app_path, "service",
			subscription->service_name, "plan", subscription->plan_name, "version",
			(int)move->version, "effective",
			api_json_time(clock_month_start_ns(move->month)), "dearer",
			api_rises_json(catalog_terms_rises(&before.terms, &after.terms),
				       service->description.units));
	catalog_service_free(service);
	return code;
}

int api_move_find(const struct api_request *request, struct store *store,
		  const struct catalog_subscription *subscription, uint32_t *ret_version,
		  json_t **ret_move, struct fault *fault)
{
	const uint64_t at_ns =
		subscription->ended_ns != 0 ? subscription->ended_ns : request->now_ns;
	struct catalog_move in_force;
	struct catalog_move next = {.month = 0};
	int code =
		catalog_move_at(store, subscription->plan, clock_month_of(at_ns), &in_force, fault);

	if (code == 0 && subscription->ended_ns == 0)
		code = catalog_move_next(store, in_force.plan, &next, fault);
	*ret_move = NULL;
	if (code == 0 && next.plan.value != 0)
		code = move_json(store, subscription, in_force.plan, &next, ret_move, fault);
	else if (code == 0)
		*ret_move = json_null();
	if (code == 0)
		*ret_version = in_force.version;
	return code;
}

int api_moves_list(const struct api_request *request, struct store *store,
		   const struct billing_statement_query *query, json_t **ret_moves,
		   struct fault *fault)
{
	struct catalog_subscription_filter filter = {
		.app = query->app,
		.service = query->service,
		.only_active = true,
		.moves_after = clock_month_of(request->now_ns),
	};
	struct catalog_subscription *coming = calloc(API_MOVES_MAX, sizeof(*coming));
	json_t *moves = json_array();
	struct account account;
	size_t count = 0;
	int code = account_get(store, query->account_name, &account, fault);

	check(coming != NULL);
	if (code == 0) {
		filter.account = account.id;
		code = catalog_subscription_list(store, &filter, (struct subscription_id){0},
						 coming, API_MOVES_MAX, &count, fault);
	}
	for (size_t i = 0; code == 0 && i < count; i++) {
		uint32_t version;
		json_t *move;
		code = api_move_find(request, store, &coming[i], &version, &move, fault);
		if (code == 0)
			json_array_append_new(moves, move);
	}
	free(coming);
	if (code == 0)
		*ret_moves = moves;
	else
		json_decref(moves);
	return code;
}

#include "meter/meter.h"

#include "base/check.h"

static_assert(METER_SLOTS == 8 && METER_CLOUD_SLOTS == 7, "the statements below name each slot");

#define USAGE_COLUMNS "subscription, month, q0, q1, q2, q3, q4, q5, q6, q7, usage_nano, told_nano"
#define CLOUD_COLUMNS \
	"subscription, month, card, q0, q1, q2, q3, q4, q5, q6, usage_nano, cloud_nano, fee_nano"

/* ---- reading a row ---- */

static int read_slots(const struct store_statement *row, unsigned column, int64_t *slots,
		      unsigned count, struct fault *fault)
{
	for (unsigned i = 0; i < count; i++) {
		slots[i] = store_column_int64(row, column + i);
		if (slots[i] < 0)
			return fault_set(fault, FAULT_DAMAGED,
					 "a stored quantity of subscription %lld is negative",
					 (long long)store_column_int64(row, 0));
	}
	return 0;
}

static int read_usage(const struct store_statement *row, struct meter_usage *ret_usage,
		      struct fault *fault)
{
	struct meter_usage usage = {
		.subscription = {(uint64_t)store_column_int64(row, 0)},
		.month = (uint32_t)store_column_int64(row, 1),
		.usage_nano = store_column_int64(row, 2 + METER_SLOTS),
		.told_nano = store_column_int64(row, 3 + METER_SLOTS),
	};
	int code = read_slots(row, 2, usage.of, METER_SLOTS, fault);

	if (code == 0)
		*ret_usage = usage;
	return code;
}

static int read_cloud(const struct store_statement *row, struct meter_cloud *ret_cloud,
		      struct fault *fault)
{
	struct meter_cloud cloud = {
		.subscription = {(uint64_t)store_column_int64(row, 0)},
		.month = (uint32_t)store_column_int64(row, 1),
		.card = (uint64_t)store_column_int64(row, 2),
		.usage_nano = store_column_int64(row, 3 + METER_CLOUD_SLOTS),
		.cloud_nano = store_column_int64(row, 4 + METER_CLOUD_SLOTS),
		.fee_nano = store_column_int64(row, 5 + METER_CLOUD_SLOTS),
	};
	int code = read_slots(row, 3, cloud.of, METER_CLOUD_SLOTS, fault);

	if (code == 0)
		*ret_cloud = cloud;
	return code;
}

/* ---- one row ---- */

int meter_usage_load(struct store *store, struct subscription_id subscription, uint32_t month,
		     struct meter_usage *ret_usage, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT " USAGE_COLUMNS " FROM meter_usage"
				 " WHERE subscription = $1 AND month = $2",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)subscription.value);
	store_bind_int64(select, 2, month);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (row)
		return read_usage(select, ret_usage, fault);
	*ret_usage = (struct meter_usage){.subscription = subscription, .month = month};
	return 0;
}

int meter_cloud_load(struct store *store, struct subscription_id subscription, uint32_t month,
		     uint64_t card, struct meter_cloud *ret_cloud, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT " CLOUD_COLUMNS " FROM meter_cloud"
				 " WHERE subscription = $1 AND month = $2 AND card = $3",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)subscription.value);
	store_bind_int64(select, 2, month);
	store_bind_int64(select, 3, (int64_t)card);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (row)
		return read_cloud(select, ret_cloud, fault);
	*ret_cloud =
		(struct meter_cloud){.subscription = subscription, .month = month, .card = card};
	return 0;
}

static void bind_slots(struct store_statement *statement, unsigned parameter, const int64_t *slots,
		       unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		check(slots[i] >= 0);
		store_bind_int64(statement, parameter + i, slots[i]);
	}
}

int meter_usage_save(struct store *store, const struct meter_usage *usage, struct fault *fault)
{
	STORE_STATEMENT save = NULL;
	int code = store_prepare(
		store,
		"INSERT INTO meter_usage (" USAGE_COLUMNS ")"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
		" ON CONFLICT (subscription, month) DO UPDATE SET q0 = excluded.q0,"
		" q1 = excluded.q1, q2 = excluded.q2, q3 = excluded.q3, q4 = excluded.q4,"
		" q5 = excluded.q5, q6 = excluded.q6, q7 = excluded.q7,"
		" usage_nano = excluded.usage_nano, told_nano = excluded.told_nano",
		&save, fault);

	if (code < 0)
		return code;
	store_bind_int64(save, 1, (int64_t)usage->subscription.value);
	store_bind_int64(save, 2, usage->month);
	bind_slots(save, 3, usage->of, METER_SLOTS);
	store_bind_int64(save, 3 + METER_SLOTS, usage->usage_nano);
	store_bind_int64(save, 4 + METER_SLOTS, usage->told_nano);
	return store_execute(save, fault);
}

int meter_cloud_save(struct store *store, const struct meter_cloud *cloud, struct fault *fault)
{
	STORE_STATEMENT save = NULL;
	int code = store_prepare(
		store,
		"INSERT INTO meter_cloud (" CLOUD_COLUMNS ")"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
		" ON CONFLICT (subscription, month, card) DO UPDATE SET q0 = excluded.q0,"
		" q1 = excluded.q1, q2 = excluded.q2, q3 = excluded.q3, q4 = excluded.q4,"
		" q5 = excluded.q5, q6 = excluded.q6, usage_nano = excluded.usage_nano,"
		" cloud_nano = excluded.cloud_nano, fee_nano = excluded.fee_nano",
		&save, fault);

	if (code < 0)
		return code;
	store_bind_int64(save, 1, (int64_t)cloud->subscription.value);
	store_bind_int64(save, 2, cloud->month);
	store_bind_int64(save, 3, (int64_t)cloud->card);
	bind_slots(save, 4, cloud->of, METER_CLOUD_SLOTS);
	store_bind_int64(save, 4 + METER_CLOUD_SLOTS, cloud->usage_nano);
	store_bind_int64(save, 5 + METER_CLOUD_SLOTS, cloud->cloud_nano);
	store_bind_int64(save, 6 + METER_CLOUD_SLOTS, cloud->fee_nano);
	return store_execute(save, fault);
}

/* ---- all rows of a month ---- */

/* Two statements, so that each has the index that serves it. */
static int prepare_month(struct store *store, const char *sql_one, const char *sql_all,
			 struct subscription_id subscription, uint32_t month,
			 struct store_statement **ret_select, struct fault *fault)
{
	const bool one = subscription.value != 0;
	int code = store_prepare(store, one ? sql_one : sql_all, ret_select, fault);

	if (code < 0)
		return code;
	store_bind_int64(*ret_select, 1, month);
	if (one)
		store_bind_int64(*ret_select, 2, (int64_t)subscription.value);
	return 0;
}

int meter_usage_each(struct store *store, struct subscription_id subscription, uint32_t month,
		     meter_usage_fn each, void *context, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = prepare_month(store,
				 "SELECT " USAGE_COLUMNS " FROM meter_usage"
				 " WHERE month = $1 AND subscription = $2",
				 "SELECT " USAGE_COLUMNS " FROM meter_usage"
				 " WHERE month = $1 ORDER BY subscription",
				 subscription, month, &select, fault);

	while (code == 0) {
		struct meter_usage usage;
		code = store_step(select, &row, fault);
		if (code < 0 || !row)
			break;
		code = read_usage(select, &usage, fault);
		if (code == 0)
			code = each(context, &usage, fault);
	}
	return code;
}

int meter_cloud_each(struct store *store, struct subscription_id subscription, uint32_t month,
		     meter_cloud_fn each, void *context, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = prepare_month(store,
				 "SELECT " CLOUD_COLUMNS " FROM meter_cloud"
				 " WHERE month = $1 AND subscription = $2 ORDER BY card",
				 "SELECT " CLOUD_COLUMNS " FROM meter_cloud"
				 " WHERE month = $1 ORDER BY subscription, card",
				 subscription, month, &select, fault);

	while (code == 0) {
		struct meter_cloud cloud;
		code = store_step(select, &row, fault);
		if (code < 0 || !row)
			break;
		code = read_cloud(select, &cloud, fault);
		if (code == 0)
			code = each(context, &cloud, fault);
	}
	return code;
}

#include "meter/meter.h"

#include "base/check.h"

int meter_key_load(struct store *store, struct key_id key, uint32_t month,
		   struct meter_key *ret_use, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT calls, last_minute FROM meter_key"
				 " WHERE key = $1 AND month = $2",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)key.value);
	store_bind_int64(select, 2, month);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	*ret_use = (struct meter_key){.key = key, .month = month};
	if (row) {
		ret_use->calls = (uint64_t)store_column_int64(select, 0);
		ret_use->last_minute = (uint64_t)store_column_int64(select, 1);
	}
	return 0;
}

int meter_key_save(struct store *store, const struct meter_key *use, struct fault *fault)
{
	STORE_STATEMENT save = NULL;
	const int code = store_prepare(store,
				       "INSERT INTO meter_key (key, month, calls, last_minute)"
				       " VALUES ($1, $2, $3, $4) ON CONFLICT (key, month)"
				       " DO UPDATE SET calls = excluded.calls,"
				       " last_minute = excluded.last_minute",
				       &save, fault);

	check(store_in_transaction(store) && use->key.value != 0);
	if (code < 0)
		return code;
	store_bind_int64(save, 1, (int64_t)use->key.value);
	store_bind_int64(save, 2, use->month);
	store_bind_int64(save, 3, (int64_t)use->calls);
	store_bind_int64(save, 4, (int64_t)use->last_minute);
	return store_execute(save, fault);
}

int meter_key_used(struct store *store, struct key_id key, uint32_t month, uint64_t *ret_calls,
		   uint64_t *ret_last_minute, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT COALESCE(SUM(CASE WHEN month = $2 THEN calls ELSE 0 END),"
				 " 0), COALESCE(MAX(last_minute), 0) FROM meter_key WHERE key = $1",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)key.value);
	store_bind_int64(select, 2, month);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	check(row);
	*ret_calls = (uint64_t)store_column_int64(select, 0);
	*ret_last_minute = (uint64_t)store_column_int64(select, 1);
	return 0;
}

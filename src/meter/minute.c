#include "meter/meter.h"

#include "base/check.h"

#define MINUTE_COLUMNS                                                               \
	"service, minute, subscription, calls, billed_calls, errors, request_bytes," \
	" response_bytes, duration_us, unit_0, unit_1, unit_2, unit_3, latency"

enum column { /* of MINUTE_COLUMNS */
	      COLUMN_SERVICE,
	      COLUMN_MINUTE,
	      COLUMN_SUBSCRIPTION,
	      COLUMN_CALLS,
	      COLUMN_BILLED_CALLS,
	      COLUMN_ERRORS,
	      COLUMN_REQUEST_BYTES,
	      COLUMN_RESPONSE_BYTES,
	      COLUMN_DURATION_US,
	      COLUMN_UNIT_0,
	      COLUMN_LATENCY = COLUMN_UNIT_0 + JOURNAL_RECORD_UNITS,
	      COLUMNS
};

static_assert(JOURNAL_RECORD_UNITS == 4, "the statements name each unit");

void meter_minute_add(struct meter_minute *minute, const struct journal_record *record)
{
	struct meter_counts *counts = &minute->counts;

	/* A call of several records counts with its first, and is judged by its last. */
	const bool begins = journal_record_begins_call(record);
	const bool ends = record->outcome != JOURNAL_RUNNING && record->outcome != JOURNAL_REPORTED;

	counts->calls += begins;
	counts->billed_calls += begins && (record->flags & JOURNAL_BILLED) != 0;
	counts->errors += ends && (record->status >= 500 || record->outcome == JOURNAL_FAILED ||
				   record->outcome == JOURNAL_CUT);
	counts->request_bytes += record->request_bytes;
	counts->response_bytes += record->response_bytes;
	counts->duration_us += ends ? record->duration_us : 0;
	for (unsigned i = 0; i < JOURNAL_RECORD_UNITS; i++)
		counts->units[i] += record->units[i];
	if (ends)
		meter_latency_add(&minute->latency, record->duration_us);
}

void meter_minute_merge(struct meter_minute *sum, const struct meter_minute *part)
{
	struct meter_counts *counts = &sum->counts;

	counts->calls += part->counts.calls;
	counts->billed_calls += part->counts.billed_calls;
	counts->errors += part->counts.errors;
	counts->request_bytes += part->counts.request_bytes;
	counts->response_bytes += part->counts.response_bytes;
	counts->duration_us += part->counts.duration_us;
	for (unsigned i = 0; i < JOURNAL_RECORD_UNITS; i++)
		counts->units[i] += part->counts.units[i];
	meter_latency_merge(&sum->latency, &part->latency);
}

static int read_minute(const struct store_statement *row, struct meter_minute *ret_minute,
		       struct fault *fault)
{
	ret_minute->service.value = (uint64_t)store_column_int64(row, COLUMN_SERVICE);
	ret_minute->minute = (uint64_t)store_column_int64(row, COLUMN_MINUTE);
	ret_minute->subscription.value = (uint64_t)store_column_int64(row, COLUMN_SUBSCRIPTION);
	ret_minute->counts = (struct meter_counts){
		.calls = (uint64_t)store_column_int64(row, COLUMN_CALLS),
		.billed_calls = (uint64_t)store_column_int64(row, COLUMN_BILLED_CALLS),
		.errors = (uint64_t)store_column_int64(row, COLUMN_ERRORS),
		.request_bytes = (uint64_t)store_column_int64(row, COLUMN_REQUEST_BYTES),
		.response_bytes = (uint64_t)store_column_int64(row, COLUMN_RESPONSE_BYTES),
		.duration_us = (uint64_t)store_column_int64(row, COLUMN_DURATION_US),
	};
	for (unsigned i = 0; i < JOURNAL_RECORD_UNITS; i++)
		ret_minute->counts.units[i] = (uint64_t)store_column_int64(row, COLUMN_UNIT_0 + i);
	if (!meter_latency_parse(store_column_text(row, COLUMN_LATENCY), &ret_minute->latency))
		return fault_set(
			fault, FAULT_DAMAGED,
			"the stored latencies of service %llu, minute %llu, cannot be read",
			(unsigned long long)ret_minute->service.value,
			(unsigned long long)ret_minute->minute);
	return 0;
}

int meter_minute_load(struct store *store, struct service_id service,
		      struct subscription_id subscription, uint64_t minute,
		      struct meter_minute *ret_minute, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT " MINUTE_COLUMNS " FROM meter_minute"
				 " WHERE service = $1 AND minute = $2 AND subscription = $3",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)service.value);
	store_bind_int64(select, 2, (int64_t)minute);
	store_bind_int64(select, 3, (int64_t)subscription.value);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (row)
		return read_minute(select, ret_minute, fault);
	*ret_minute = (struct meter_minute){
		.service = service, .subscription = subscription, .minute = minute};
	return 0;
}

int meter_minute_save(struct store *store, const struct meter_minute *minute, struct fault *fault)
{
	STORE_STATEMENT save = NULL;
	char text[METER_LATENCY_TEXT_MAX];
	const struct meter_counts *counts = &minute->counts;
	int code = store_prepare(
		store,
		"INSERT INTO meter_minute (" MINUTE_COLUMNS ")"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
		" ON CONFLICT (service, minute, subscription) DO UPDATE SET"
		" calls = excluded.calls, billed_calls = excluded.billed_calls,"
		" errors = excluded.errors, request_bytes = excluded.request_bytes,"
		" response_bytes = excluded.response_bytes, duration_us = excluded.duration_us,"
		" unit_0 = excluded.unit_0, unit_1 = excluded.unit_1, unit_2 = excluded.unit_2,"
		" unit_3 = excluded.unit_3, latency = excluded.latency",
		&save, fault);

	if (code < 0)
		return code;
	store_bind_int64(save, 1 + COLUMN_SERVICE, (int64_t)minute->service.value);
	store_bind_int64(save, 1 + COLUMN_MINUTE, (int64_t)minute->minute);
	store_bind_int64(save, 1 + COLUMN_SUBSCRIPTION, (int64_t)minute->subscription.value);
	store_bind_int64(save, 1 + COLUMN_CALLS, (int64_t)counts->calls);
	store_bind_int64(save, 1 + COLUMN_BILLED_CALLS, (int64_t)counts->billed_calls);
	store_bind_int64(save, 1 + COLUMN_ERRORS, (int64_t)counts->errors);
	store_bind_int64(save, 1 + COLUMN_REQUEST_BYTES, (int64_t)counts->request_bytes);
	store_bind_int64(save, 1 + COLUMN_RESPONSE_BYTES, (int64_t)counts->response_bytes);
	store_bind_int64(save, 1 + COLUMN_DURATION_US, (int64_t)counts->duration_us);
	for (unsigned i = 0; i < JOURNAL_RECORD_UNITS; i++)
		store_bind_int64(save, 1 + COLUMN_UNIT_0 + i, (int64_t)counts->units[i]);
	const size_t length = meter_latency_format(&minute->latency, text);
	store_bind_text(save, 1 + COLUMN_LATENCY, slice_make(text, length));
	return store_execute(save, fault);
}

/* ---- usage over time ---- */

static int prepare_query(struct store *store, const struct meter_query *query,
			 struct store_statement **ret_select, struct fault *fault)
{
	const bool one = query->subscription.value != 0;
	int code = store_prepare(store,
				 one ? "SELECT " MINUTE_COLUMNS " FROM meter_minute"
				       " WHERE service = $1 AND minute >= $2 AND minute < $3"
				       " AND subscription = $4 ORDER BY minute"
				     : "SELECT " MINUTE_COLUMNS " FROM meter_minute"
				       " WHERE service = $1 AND minute >= $2 AND minute < $3"
				       " ORDER BY minute",
				 ret_select, fault);

	if (code < 0)
		return code;
	store_bind_int64(*ret_select, 1, (int64_t)query->service.value);
	store_bind_int64(*ret_select, 2, (int64_t)query->from_minute);
	store_bind_int64(*ret_select, 3, (int64_t)query->to_minute);
	if (one)
		store_bind_int64(*ret_select, 4, (int64_t)query->subscription.value);
	return 0;
}

int meter_query(struct store *store, const struct meter_query *query, meter_point_fn each,
		void *context, struct fault *fault)
{
	check(query->step_minutes >= 1);
	check(query->from_minute <= query->to_minute && query->to_minute <= INT64_MAX);
	STORE_STATEMENT select = NULL;
	struct meter_minute point = {0};
	bool begun = false;
	bool row = true;

	if ((query->to_minute - query->from_minute) / query->step_minutes > METER_POINTS_MAX)
		return fault_set(fault, FAULT_LIMIT, "more than %d points asked for",
				 METER_POINTS_MAX);
	int code = prepare_query(store, query, &select, fault);
	while (code == 0 && row) {
		struct meter_minute minute;
		code = store_step(select, &row, fault);
		if (code == 0 && row)
			code = read_minute(select, &minute, fault);
		if (code < 0)
			break;
		const uint64_t begun_minutes = row ? minute.minute - query->from_minute : 0;
		const uint64_t start = query->from_minute +
				       begun_minutes / query->step_minutes * query->step_minutes;
		if (begun && (!row || start != point.minute)) {
			code = each(context, &point, fault);
			point = (struct meter_minute){0};
		}
		begun = row;
		if (row) {
			point.service = query->service;
			point.subscription = query->subscription;
			point.minute = start;
			meter_minute_merge(&point, &minute);
		}
	}
	return code;
}

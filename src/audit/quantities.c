/* What a call record counts. The gateway charges by the same rules (gateway, admit_settle). */
#include "audit/audit.h"

#include "base/check.h"

static_assert(JOURNAL_RECORD_UNITS == RATING_UNITS_MAX, "the same units");

bool audit_quantities_of(const struct rating_plan *plan, const struct journal_record *record,
			 struct rating_quantities *ret_call,
			 struct rating_cloud_quantities *ret_cloud_call)
{
	uint64_t all = record->request_bytes | record->response_bytes | record->memory_mib_us |
		       record->cpu_milli_us;
	uint64_t bytes;

	for (unsigned i = 0; i < JOURNAL_RECORD_UNITS; i++)
		all |= record->units[i];
	if (all > INT64_MAX || record->path >= RATING_PATHS || record->charge_nano < 0 ||
	    __builtin_add_overflow(record->request_bytes, record->response_bytes, &bytes) ||
	    bytes > INT64_MAX)
		return false;
	const int64_t calls = journal_record_begins_call(record) ? 1 : 0;
	*ret_call = (struct rating_quantities){
		.of = {
			[RATING_CALLS] = calls,
			[RATING_REQUEST_BYTES] = (int64_t)record->request_bytes,
			[RATING_RESPONSE_BYTES] = (int64_t)record->response_bytes,
			[RATING_DURATION_MS] = rating_milliseconds(record->service_us),
		}};
	for (unsigned i = 0; i < JOURNAL_RECORD_UNITS; i++)
		ret_call->of[RATING_UNIT_0 + i] = (int64_t)record->units[i];
	/* Units came through this in the gateway. A meter has one price (catalog), so the same once
	 * more changes nothing. */
	struct rating_left left = rating_left_of(plan);
	if (calls == 0 && plan->max_charge_nano >= 0)
		left.charge_nano = journal_record_left_nano(record);
	if (left.charge_nano > plan->max_charge_nano)
		return false;
	rating_part_cap(plan, &left, ret_call);
	*ret_cloud_call = (struct rating_cloud_quantities){
		.of = {
			[RATING_CLOUD_CALLS] = calls,
			[RATING_CLOUD_MIB_US] = (int64_t)record->memory_mib_us,
			[RATING_CLOUD_MCPU_US] = (int64_t)record->cpu_milli_us,
		}};
	ret_cloud_call->of[RATING_CLOUD_BYTES_HOST + record->path] = (int64_t)bytes;
	return true;
}

#include "billing/parked.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "billing/phase.h"

#define LOGGED_MOST 16 /* of a turn */

void parked_list_add(struct intake_parked_list *list, uint32_t stream,
		     const struct journal_record *record)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
		list->of = reallocarray(list->of, list->capacity, sizeof(*list->of));
		check(list->of != NULL);
	}
	list->of[list->count++] = (struct intake_parked){
		.stream = stream, .position = record->position, .record = *record};
}

int parked_add(struct intake *intake, uint32_t stream, const struct journal_record *record,
	       struct fault *fault)
{
	char call[CALL_ID_TEXT_MAX];

	if (intake->parked_count + intake->parked.count >= BILLING_PARKED_MAX) {
		fault_prefix(fault, "%d records are parked already, and one more",
			     BILLING_PARKED_MAX);
		fault->code = FAULT_LIMIT;
		return FAULT_LIMIT;
	}
	call_id_format(record->call, call);
	log_event(LOG_WARN, "billing.parked", log_text("call", call), log_number("stream", stream),
		  log_number("position", (int64_t)record->position), log_text("why", fault->text));
	parked_list_add(&intake->parked, stream, record);
	return 0;
}

int parked_next(struct store *store, uint32_t node, uint32_t stream, uint64_t position,
		bool *ret_found, uint32_t *ret_stream, struct journal_record *ret_record,
		struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT stream, record FROM billing_parked WHERE node = $1"
				 " AND (stream > $2 OR (stream = $2 AND position >= $3))"
				 " ORDER BY stream, position LIMIT 1",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, node);
	store_bind_int64(select, 2, stream);
	store_bind_int64(select, 3, (int64_t)position);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (row) {
		const struct slice bytes = store_column_blob(select, 1);
		if (bytes.length != sizeof(*ret_record))
			return fault_set(fault, FAULT_DAMAGED, "a parked record has %zu bytes",
					 bytes.length);
		memcpy(ret_record, bytes.data, sizeof(*ret_record));
		*ret_stream = (uint32_t)store_column_int64(select, 0);
	}
	*ret_found = row;
	return 0;
}

int parked_count(struct store *store, uint32_t node, uint64_t *ret_count, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store, "SELECT COUNT(*) FROM billing_parked WHERE node = $1",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, node);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	check(row);
	*ret_count = (uint64_t)store_column_int64(select, 0);
	return 0;
}

int parked_write(const struct intake *intake, uint64_t phase, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	STORE_STATEMENT delete = NULL;
	int code = 0;

	if (intake->parked.count > 0)
		code = store_prepare(intake->options->store,
				     "INSERT INTO billing_parked (node, stream, position, record)"
				     " VALUES ($1, $2, $3, $4)",
				     &insert, fault);
	for (size_t i = 0; code == 0 && i < intake->parked.count; i++) {
		const struct intake_parked *parked = &intake->parked.of[i];
		store_bind_int64(insert, 1, intake->options->node);
		store_bind_int64(insert, 2, parked->stream);
		store_bind_int64(insert, 3, (int64_t)parked->position);
		store_bind_blob(insert, 4, slice_make(&parked->record, sizeof(parked->record)));
		code = store_execute(insert, fault);
	}
	if (code == 0 && intake->unparked.count > 0)
		code = store_prepare(intake->options->store,
				     "DELETE FROM billing_parked"
				     " WHERE node = $1 AND stream = $2 AND position = $3",
				     &delete, fault);
	for (size_t i = 0; code == 0 && i < intake->unparked.count; i++) {
		const struct intake_parked *parked = &intake->unparked.of[i];
		store_bind_int64(delete, 1, intake->options->node);
		store_bind_int64(delete, 2, parked->stream);
		store_bind_int64(delete, 3, (int64_t)parked->position);
		code = store_execute(delete, fault);
		if (code == 0)
			code = phase_note_late(intake->options->store, intake->options->node,
					       parked->stream, &parked->record, phase, fault);
	}
	return code;
}

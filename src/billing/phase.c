#include "billing/phase.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"

/* ---- beginning ---- */

static int load_last(struct store *store, uint32_t node, struct phase *ret_last,
		     struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT number, card FROM billing_phase WHERE node = $1"
				 " ORDER BY number DESC LIMIT 1",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, node);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	ret_last->number = row ? (uint64_t)store_column_int64(select, 0) : 0;
	ret_last->card = row ? (uint64_t)store_column_int64(select, 1) : 0;
	return 0;
}

static int insert_phase(struct store *store, uint32_t node, uint64_t card, int64_t number,
			struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	const int code = store_prepare(
		store, "INSERT INTO billing_phase (number, node, card) VALUES ($1, $2, $3)",
		&insert, fault);

	if (code < 0)
		return code;
	store_bind_int64(insert, 1, number);
	store_bind_int64(insert, 2, node);
	store_bind_int64(insert, 3, (int64_t)card);
	return store_execute(insert, fault);
}

static int insert_starts(struct store *store, uint32_t node, int64_t number, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	const int code = store_prepare(store,
				       "INSERT INTO billing_phase_start (phase, stream, position)"
				       " SELECT $1, stream, position FROM billing_cursor"
				       " WHERE node = $2",
				       &insert, fault);

	if (code < 0)
		return code;
	store_bind_int64(insert, 1, number);
	store_bind_int64(insert, 2, node);
	return store_execute(insert, fault);
}

int phase_begin(struct store *store, uint32_t node, uint64_t card, uint64_t *ret_number,
		struct fault *fault)
{
	struct phase last;
	int64_t number;
	int code = load_last(store, node, &last, fault);

	if (code == 0 && last.number != 0 && last.card == card) {
		*ret_number = last.number;
		return 0;
	}
	if (code == 0)
		code = store_sequence_take(store, "billing_phase", 1, &number, fault);
	if (code == 0)
		code = insert_phase(store, node, card, number, fault);
	/* The first has every record there is. */
	if (code == 0 && last.number != 0)
		code = insert_starts(store, node, number, fault);
	if (code == 0)
		*ret_number = (uint64_t)number;
	return code;
}

struct ensuring {
	uint32_t node;
	uint64_t card;
	uint64_t number;
};

static int ensure(struct store *store, void *context, struct fault *fault)
{
	struct ensuring *ensuring = context;

	return phase_begin(store, ensuring->node, ensuring->card, &ensuring->number, fault);
}

int phase_ensure(struct store *store, uint32_t node, uint64_t card, uint64_t *ret_number,
		 struct fault *fault)
{
	struct ensuring ensuring = {.node = node, .card = card};
	const int code = store_transaction(store, ensure, &ensuring, fault);

	if (code == 0)
		*ret_number = ensuring.number;
	return code;
}

/* ---- notes ---- */

int phase_note_late(struct store *store, uint32_t node, uint32_t stream,
		    const struct journal_record *record, uint64_t phase, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	const int code = store_prepare(store,
				       "INSERT INTO billing_late (node, stream, position, month,"
				       " phase, subscription) VALUES ($1, $2, $3, $4, $5, $6)",
				       &insert, fault);

	if (code < 0)
		return code;
	store_bind_int64(insert, 1, node);
	store_bind_int64(insert, 2, stream);
	store_bind_int64(insert, 3, (int64_t)record->position);
	store_bind_int64(insert, 4, clock_month_of(record->settled_ns));
	store_bind_int64(insert, 5, (int64_t)phase);
	store_bind_int64(insert, 6, (int64_t)record->subscription.value);
	return store_execute(insert, fault);
}

int phase_note_month(struct store *store, uint32_t node, uint32_t stream,
		     const struct intake_month *month, struct fault *fault)
{
	STORE_STATEMENT save = NULL;
	/* Positions ascend, so what was noted first stays the first. */
	const int code = store_prepare(store,
				       "INSERT INTO billing_month (node, stream, month,"
				       " first_position, end_position) VALUES ($1, $2, $3, $4, $5)"
				       " ON CONFLICT (node, month, stream)"
				       " DO UPDATE SET end_position = excluded.end_position",
				       &save, fault);

	if (code < 0)
		return code;
	store_bind_int64(save, 1, node);
	store_bind_int64(save, 2, stream);
	store_bind_int64(save, 3, month->month);
	store_bind_int64(save, 4, (int64_t)month->first);
	store_bind_int64(save, 5, (int64_t)month->end);
	return store_execute(save, fault);
}

/* ---- lists ---- */

static void *grow(void *list, size_t count, size_t *capacity, size_t item_bytes)
{
	if (count < *capacity)
		return list;
	*capacity = *capacity == 0 ? 8 : 2 * *capacity;
	list = reallocarray(list, *capacity, item_bytes);
	check(list != NULL);
	return list;
}

static int select_phases(struct store *store, uint32_t node, struct phase **phases, size_t *count,
			 struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	size_t capacity = 0;
	bool row;
	int code = store_prepare(store,
				 "SELECT number, card FROM billing_phase WHERE node = $1"
				 " ORDER BY number",
				 &select, fault);

	if (code == 0)
		store_bind_int64(select, 1, node);
	while (code == 0) {
		code = store_step(select, &row, fault);
		if (code < 0 || !row)
			break;
		if (*count == PHASES_MAX)
			return fault_set(fault, FAULT_LIMIT,
					 "rate card and fee were changed more than %d times",
					 PHASES_MAX);
		*phases = grow(*phases, *count, &capacity, sizeof(**phases));
		(*phases)[(*count)++] = (struct phase){
			.number = (uint64_t)store_column_int64(select, 0),
			.card = (uint64_t)store_column_int64(select, 1),
		};
	}
	return code;
}

int phase_list(struct store *store, uint32_t node, struct phase **ret_phases, size_t *ret_count,
	       struct fault *fault)
{
	struct phase *phases = NULL;
	size_t count = 0;
	int code = select_phases(store, node, &phases, &count, fault);

	for (size_t i = 0; code == 0 && i < count; i++)
		code = positions_select(store,
					"SELECT stream, position FROM billing_phase_start"
					" WHERE phase = $1",
					phases[i].number, phases[i].starts, fault);
	if (code < 0) {
		free(phases);
		return code;
	}
	*ret_phases = phases;
	*ret_count = count;
	return 0;
}

int phase_late_list(struct store *store, uint32_t node, uint32_t month,
		    struct phase_late **ret_late, size_t *ret_count, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct phase_late *late = NULL;
	size_t count = 0;
	size_t capacity = 0;
	bool row;
	int code = store_prepare(store,
				 "SELECT stream, position, phase, subscription FROM billing_late"
				 " WHERE node = $1 AND month = $2 ORDER BY stream, position",
				 &select, fault);

	if (code == 0) {
		store_bind_int64(select, 1, node);
		store_bind_int64(select, 2, month);
	}
	while (code == 0) {
		code = store_step(select, &row, fault);
		if (code < 0 || !row)
			break;
		late = grow(late, count, &capacity, sizeof(*late));
		late[count++] = (struct phase_late){
			.stream = (uint32_t)store_column_int64(select, 0),
			.position = (uint64_t)store_column_int64(select, 1),
			.phase = (uint64_t)store_column_int64(select, 2),
			.subscription = {(uint64_t)store_column_int64(select, 3)},
		};
	}
	if (code < 0) {
		free(late);
		return code;
	}
	*ret_late = late;
	*ret_count = count;
	return 0;
}

int positions_select(struct store *store, const char *sql, uint64_t of,
		     uint64_t ret_positions[JOURNAL_STREAMS_MAX], struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	uint64_t positions[JOURNAL_STREAMS_MAX] = {0};
	bool row;
	int code = store_prepare(store, sql, &select, fault);

	if (code == 0)
		store_bind_int64(select, 1, (int64_t)of);
	while (code == 0) {
		code = store_step(select, &row, fault);
		if (code < 0 || !row)
			break;
		const uint64_t stream = (uint64_t)store_column_int64(select, 0);
		if (stream >= JOURNAL_STREAMS_MAX)
			return fault_set(fault, FAULT_DAMAGED,
					 "the store has a position in stream %" PRIu64, stream);
		positions[stream] = (uint64_t)store_column_int64(select, 1);
	}
	if (code == 0)
		memcpy(ret_positions, positions, sizeof(positions));
	return code;
}

int phase_month_load(struct store *store, uint32_t node, uint32_t month,
		     struct phase_range ret_ranges[JOURNAL_STREAMS_MAX], struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT stream, first_position, end_position FROM billing_month"
				 " WHERE node = $1 AND month = $2",
				 &select, fault);

	memset(ret_ranges, 0, JOURNAL_STREAMS_MAX * sizeof(*ret_ranges));
	if (code == 0) {
		store_bind_int64(select, 1, node);
		store_bind_int64(select, 2, month);
	}
	while (code == 0) {
		code = store_step(select, &row, fault);
		if (code < 0 || !row)
			break;
		const uint64_t stream = (uint64_t)store_column_int64(select, 0);
		if (stream >= JOURNAL_STREAMS_MAX)
			return fault_set(fault, FAULT_DAMAGED,
					 "the store has a month of stream %" PRIu64, stream);
		ret_ranges[stream] = (struct phase_range){
			.first = (uint64_t)store_column_int64(select, 1),
			.end = (uint64_t)store_column_int64(select, 2),
		};
	}
	return code;
}

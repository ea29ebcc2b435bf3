#include "meter/meter.h"

#include "base/check.h"
#include "base/text.h"

#define DIGEST_TEXT (2 * METER_DIGEST_BYTES + 1)

static int read_row(const struct store_statement *row, struct meter_reported *reported,
		    struct fault *fault)
{
	if (!text_from_hex(store_column_text(row, 0), reported->digest, METER_DIGEST_BYTES) ||
	    !call_id_parse(store_column_text(row, 1), &reported->call))
		return fault_set(fault, FAULT_DAMAGED, "a row of meter_reported is not as written");
	reported->stream = (uint32_t)store_column_int64(row, 2);
	reported->position = (uint64_t)store_column_int64(row, 3);
	reported->at_ns = (uint64_t)store_column_int64(row, 4);
	return 0;
}

int meter_reported_find(struct store *store, const uint8_t key[METER_DIGEST_BYTES], bool *ret_found,
			struct meter_reported *ret_reported, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	char text[DIGEST_TEXT];
	bool row;
	int code = store_prepare(store,
				 "SELECT digest, call, stream, position, at_ns FROM meter_reported"
				 " WHERE key = $1",
				 &select, fault);

	if (code < 0)
		return code;
	text_hex(key, METER_DIGEST_BYTES, text);
	store_bind_text(select, 1, slice_of(text));
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	*ret_found = row;
	if (!row)
		return 0;
	struct meter_reported reported;
	memcpy(reported.key, key, METER_DIGEST_BYTES);
	code = read_row(select, &reported, fault);
	if (code == 0)
		*ret_reported = reported;
	return code;
}

int meter_reported_save(struct store *store, const struct meter_reported *reported,
			struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	char key[DIGEST_TEXT], digest[DIGEST_TEXT], call[CALL_ID_TEXT_MAX];
	const int code = store_prepare(store,
				       "INSERT INTO meter_reported"
				       " (key, digest, call, stream, position, at_ns)"
				       " VALUES ($1, $2, $3, $4, $5, $6)",
				       &insert, fault);

	check(store_in_transaction(store));
	if (code < 0)
		return code;
	text_hex(reported->key, METER_DIGEST_BYTES, key);
	text_hex(reported->digest, METER_DIGEST_BYTES, digest);
	call_id_format(reported->call, call);
	store_bind_text(insert, 1, slice_of(key));
	store_bind_text(insert, 2, slice_of(digest));
	store_bind_text(insert, 3, slice_of(call));
	store_bind_int64(insert, 4, reported->stream);
	store_bind_int64(insert, 5, (int64_t)reported->position);
	store_bind_int64(insert, 6, (int64_t)reported->at_ns);
	return store_execute(insert, fault);
}

int meter_reported_forget_lost(struct store *store, uint32_t stream, uint64_t position,
			       struct fault *fault)
{
	STORE_STATEMENT forget = NULL;
	const int code = store_prepare(
		store, "DELETE FROM meter_reported WHERE stream = $1 AND position >= $2", &forget,
		fault);

	check(store_in_transaction(store));
	if (code < 0)
		return code;
	store_bind_int64(forget, 1, stream);
	store_bind_int64(forget, 2, (int64_t)position);
	return store_execute(forget, fault);
}

int meter_reported_forget_old(struct store *store, uint64_t before_ns, struct fault *fault)
{
	STORE_STATEMENT forget = NULL;
	const int code =
		store_prepare(store, "DELETE FROM meter_reported WHERE at_ns < $1", &forget, fault);

	check(store_in_transaction(store));
	if (code < 0)
		return code;
	store_bind_int64(forget, 1, (int64_t)before_ns);
	return store_execute(forget, fault);
}

/* The transparency logs: heads, tiles, receipts. */
#include "api/api_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"

/* Of a log, before a receipt is made of it: some hundred milliseconds. Where more is missing
 * (after a start with a log that was lost) the audit's thread catches up. */
#define ADVANCE_RECORDS (1u << 18)
/* Looked at in one stream for a call's record. */
#define SEARCH_RECORDS (1u << 22)

static json_t *hash_json(const struct audit_hash *hash)
{
	char text[AUDIT_HASH_TEXT_MAX];

	audit_hash_format(hash, text);
	return json_string(text);
}

static json_t *log_json(const struct api *api, uint32_t stream, struct audit_log *log)
{
	struct audit_signed_head head;
	struct fault damage;
	char vkey[AUDIT_VKEY_MAX];
	const bool damaged = audit_log_is_damaged(log, &damage);

	audit_log_head(log, &head);
	const struct audit_key key =
		audit_key_named(audit_logs_key(api->options.logs), head.head.origin);
	audit_key_format(&key, vkey);
	return json_pack("{s:i, s:s, s:s, s:I, s:o, s:s, s:s?}", "stream", (int)stream, "origin",
			 head.head.origin, "key", vkey, "size", (json_int_t)head.head.size, "root",
			 hash_json(&head.head.root), "checkpoint", head.note, "damage",
			 damaged ? damage.text : NULL);
}

int api_audit_list(struct api_request *request, struct fault *fault)
{
	const struct api *api = request->api;
	json_t *items = json_array();

	(void)fault;
	for (uint32_t i = 0; i < journal_stream_count(api->options.journal); i++) {
		struct audit_log *log = audit_logs_find(api->options.logs, i);
		if (log != NULL)
			json_array_append_new(items, log_json(api, i, log));
	}
	request->answer = api_list(items, json_null());
	return 0;
}

int api_audit_tile(struct api_request *request, struct fault *fault)
{
	struct audit_hash hashes[AUDIT_TILE_WIDTH];
	const unsigned width = (unsigned)api_argument_number(request, "width", AUDIT_TILE_WIDTH);
	const uint64_t stream = api_argument(request, "stream")->number;
	struct audit_log *log = audit_logs_find(request->api->options.logs, (uint32_t)stream);

	if (log == NULL)
		return api_at(request, "stream",
			      fault_set(fault, FAULT_NOT_FOUND,
					"there is no log of stream %" PRIu64, stream));
	const int code =
		audit_log_tile_read(log, (unsigned)api_argument(request, "level")->number,
				    api_argument(request, "number")->number, width, hashes, fault);
	if (code < 0)
		return api_at(request, "number", code);
	json_t *list = json_array();
	for (unsigned i = 0; i < width; i++)
		json_array_append_new(list, hash_json(&hashes[i]));
	request->answer = json_pack("{s:o}", "hashes", list);
	return 0;
}

/* ---- receipts ---- */

static int find_call(struct api_request *request, struct call_id call, uint32_t *ret_stream,
		     struct journal_record *ret_record, struct fault *fault)
{
	struct journal *journal = request->api->options.journal;
	bool all = true;

	for (uint32_t i = 0; i < journal_stream_count(journal); i++) {
		bool whole;
		const int code = audit_call_find(journal, i, call, SEARCH_RECORDS, &whole,
						 ret_record, fault);
		*ret_stream = i;
		if (code != FAULT_NOT_FOUND)
			return code;
		all = all && whole;
	}
	if (!all)
		return fault_set(fault, FAULT_BUSY,
				 "no record of this call is among those that settled soon after "
				 "it; ask again when it has ended, or look for it in the journal");
	return fault_set(fault, FAULT_NOT_FOUND,
			 "no call of this id is on record; one that the gateway refused, or that "
			 "has not ended, is not");
}

/* Behind this the record is in a signed tree. */
static int await_record(struct api_request *request, uint32_t stream, uint64_t position,
			struct audit_log **ret_log, struct fault *fault)
{
	struct audit_logs *logs = request->api->options.logs;
	struct audit_signed_head head = {0};
	uint64_t taken;
	int code = audit_logs_advance(logs, stream, ADVANCE_RECORDS, &taken, fault);

	if (code < 0)
		return code;
	struct audit_log *log = audit_logs_find(logs, stream);
	if (log != NULL)
		audit_log_head(log, &head);
	if (position >= head.head.size)
		return fault_set(fault, FAULT_BUSY,
				 "the log has %" PRIu64 " records and this one is %" PRIu64
				 "; try again in a moment",
				 head.head.size, position);
	*ret_log = log;
	return 0;
}

static int make_receipt(struct api_request *request, const struct journal_record *record,
			uint32_t stream, struct fault *fault)
{
	struct audit_log *log = NULL;
	struct audit_view *view;
	struct text receipt;
	char text[AUDIT_RECORD_TEXT_MAX];
	char call[CALL_ID_TEXT_MAX];
	int code = await_record(request, stream, record->position, &log, fault);

	if (code == 0)
		code = audit_view_open(log, &view, fault);
	if (code < 0)
		return code;
	text_init(&receipt, AUDIT_NOTE_MAX);
	code = audit_receipt_make(view, record, &receipt, fault);
	if (code == 0) {
		const struct audit_head *head = &audit_view_head(view)->head;
		check(!receipt.failed);
		audit_record_format(record, text);
		call_id_format(record->call, call);
		request->answer = json_pack(
			"{s:s, s:i, s:I, s:s, s:I, s:s, s:s}", "call", call, "stream", (int)stream,
			"position", (json_int_t)record->position, "origin", head->origin, "size",
			(json_int_t)head->size, "record", text, "receipt", receipt.data);
	}
	text_fini(&receipt);
	audit_view_close(view);
	return code;
}

int api_receipts_show(struct api_request *request, struct fault *fault)
{
	const struct slice given = api_argument(request, "call")->text;
	struct journal_record record;
	struct call_id call;
	uint32_t stream = 0;

	if (!call_id_parse(given, &call))
		return api_at(request, "call",
			      fault_set(fault, FAULT_INPUT,
					"call: an id such as "
					"019b0c5e-7a4e-7c6f-8a51-0d6d1f2f9f3a is wanted"));
	const int code = find_call(request, call, &stream, &record, fault);
	return code < 0 ? api_at(request, "call", code)
			: make_receipt(request, &record, stream, fault);
}

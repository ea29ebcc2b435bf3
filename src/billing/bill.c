/* A bill, piece by piece: its head, the account's part of each stream's tree, the signature. */
#include "billing/bill.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/check.h"

#define READ_RECORDS    4096 /* for one piece */
#define PIECE_BYTES     (64u << 10)
#define ADVANCE_RECORDS (1u << 18) /* of a log, before its head is taken */

enum stage { STAGE_HEAD, STAGE_STREAM, STAGE_TREE, STAGE_SIGNATURE, STAGE_DONE };

struct billing_bill {
	struct billing_bill_options options;
	struct bill_head head;
	struct audit_hasher *hasher; /* over all that was written */
	enum stage stage;
	uint64_t calls; /* written: those that begin here */
	/* The stream at hand. */
	uint32_t stream;
	bool any_stream;
	struct audit_view *view;
	struct journal_reader *reader;
	const struct journal_record *records; /* read and not looked at yet */
	uint32_t record_count;
	uint64_t position; /* of the first of them, or of the next to be read */
	struct audit_cover cover;
	bool any_item;
	size_t parked_at; /* the next of the lists */
};

/* What the bill says must be in a signed tree. */
static int await_logs(const struct billing_bill *bill, struct fault *fault)
{
	struct audit_logs *logs = bill->options.logs;
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < JOURNAL_STREAMS_MAX; i++) {
		const uint64_t end = bill->head.ranges[i].end;
		struct audit_signed_head head = {0};
		uint64_t taken;
		if (end == 0)
			continue;
		code = audit_logs_advance(logs, i, ADVANCE_RECORDS, &taken, fault);
		struct audit_log *log = audit_logs_find(logs, i);
		if (log != NULL)
			audit_log_head(log, &head);
		if (code == 0 && head.head.size < end)
			return fault_set(fault, FAULT_BUSY,
					 "the log of stream %" PRIu32 " has %" PRIu64
					 " records, and the bill needs %" PRIu64
					 "; try again in a moment",
					 i, head.head.size, end);
	}
	return code;
}

int billing_bill_open(const struct billing_bill_options *options, struct billing_bill **ret_bill,
		      struct fault *fault)
{
	struct billing_bill *bill = calloc(1, sizeof(*bill));

	check(bill != NULL);
	bill->options = *options;
	bill->hasher = audit_hasher_new();
	audit_hash_begin(bill->hasher);
	int code = bill_head_load(&bill->head, options, fault);
	if (code == 0)
		code = await_logs(bill, fault);
	if (code < 0) {
		billing_bill_close(bill);
		return code;
	}
	*ret_bill = bill;
	return 0;
}

static void leave_stream(struct billing_bill *bill)
{
	audit_view_close(bill->view);
	if (bill->reader != NULL)
		journal_reader_close(bill->reader);
	bill->view = NULL;
	bill->reader = NULL;
}

void billing_bill_close(struct billing_bill *bill)
{
	if (bill == NULL)
		return;
	leave_stream(bill);
	audit_hasher_free(bill->hasher);
	bill_head_fini(&bill->head);
	free(bill);
}

/* ---- a stream ---- */

static json_t *starts_json(const struct billing_bill *bill)
{
	json_t *starts = json_array();

	for (size_t i = 0; i < bill->head.phase_count; i++)
		json_array_append_new(
			starts,
			json_integer((json_int_t)bill->head.phases[i].starts[bill->stream]));
	return starts;
}

static json_t *late_json(const struct billing_bill *bill)
{
	const struct bill_head *head = &bill->head;
	json_t *late = json_array();

	for (size_t i = 0; i < head->late_count; i++) {
		const struct phase_late *entry = &head->late[i];
		if (entry->stream == bill->stream &&
		    map_find(&head->by_id, entry->subscription.value) != NULL)
			json_array_append_new(late, json_pack("{s:I, s:I}", "position",
							      (json_int_t)entry->position, "phase",
							      (json_int_t)entry->phase));
	}
	return late;
}

static void write_json(struct text *output, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	check(text != NULL);
	text_append_text(output, text);
	free(text);
	json_decref(value);
}

static int begin_stream(struct billing_bill *bill, struct text *output, struct fault *fault)
{
	const struct phase_range range = bill->head.ranges[bill->stream];
	int code = audit_view_open(audit_logs_find(bill->options.logs, bill->stream), &bill->view,
				   fault);

	if (code == 0)
		code = journal_reader_open(bill->options.journal, bill->stream, range.first,
					   &bill->reader, fault);
	if (code < 0)
		return code;
	const struct audit_signed_head *head = audit_view_head(bill->view);
	bill->record_count = 0;
	bill->position = range.first;
	bill->any_item = false;
	bill->parked_at = 0;
	audit_cover_begin(&bill->cover, head->head.size);
	text_append_text(output, bill->any_stream ? ",\n{\"origin\":" : "\n{\"origin\":");
	write_json(output, json_string(head->head.origin));
	text_append_text(output, ",\n\"checkpoint\":");
	write_json(output, json_string(head->note));
	text_append_text(output, ",\n\"starts\":");
	write_json(output, starts_json(bill));
	text_append_text(output, ",\n\"late\":");
	write_json(output, late_json(bill));
	text_append_text(output, ",\n\"tree\":[");
	bill->any_stream = true;
	bill->stage = STAGE_TREE;
	return 0;
}

/* The next stream with records of the month. */
static int next_stream(struct billing_bill *bill, struct text *output, struct fault *fault)
{
	while (bill->stream < JOURNAL_STREAMS_MAX && bill->head.ranges[bill->stream].end == 0)
		bill->stream++;
	if (bill->stream < JOURNAL_STREAMS_MAX)
		return begin_stream(bill, output, fault);
	if (bill->calls != bill->head.calls)
		return fault_set(fault, FAULT_DAMAGED,
				 "the journal has %" PRIu64 " records of what %s was billed in the "
				 "month, and the lines count %" PRIu64,
				 bill->calls, bill->head.account, bill->head.calls);
	text_append_text(output, "]");
	bill->stage = STAGE_SIGNATURE;
	return 0;
}

/* ---- records ---- */

/* Charged by now: not among the parked ones, which are in order. */
static bool is_parked(struct billing_bill *bill, uint64_t position)
{
	const struct bill_head *head = &bill->head;

	while (bill->parked_at < head->parked_count) {
		const struct bill_parked *parked = &head->parked[bill->parked_at];
		if (parked->stream > bill->stream ||
		    (parked->stream == bill->stream && parked->position >= position))
			return parked->stream == bill->stream && parked->position == position;
		bill->parked_at++;
	}
	return false;
}

static bool is_billed_here(struct billing_bill *bill, const struct journal_record *record)
{
	return (record->flags & JOURNAL_BILLED) != 0 &&
	       map_find(&bill->head.by_id, record->subscription.value) != NULL &&
	       clock_month_of(record->settled_ns) == bill->options.month &&
	       !is_parked(bill, record->position);
}

static void write_item(struct billing_bill *bill, const char *text, struct text *output)
{
	text_append_text(output, bill->any_item ? ",\n\"" : "\n\"");
	text_append_text(output, text);
	text_append_text(output, "\"");
	bill->any_item = true;
}

/* The hashes that stand between what was written and the leaf. */
static int write_cover(struct billing_bill *bill, uint64_t leaf, struct text *output,
		       struct fault *fault)
{
	uint64_t from;
	uint64_t to;

	while (audit_cover_next(&bill->cover, leaf, &from, &to)) {
		struct audit_hash hash;
		char text[AUDIT_HASH_TEXT_MAX];
		const int code = audit_view_subtree(bill->view, from, to, &hash, fault);
		if (code < 0)
			return code;
		audit_hash_format(&hash, text);
		write_item(bill, text, output);
	}
	return 0;
}

static int write_record(struct billing_bill *bill, const struct journal_record *record,
			struct text *output, struct fault *fault)
{
	char text[AUDIT_RECORD_TEXT_MAX];
	const int code = write_cover(bill, record->position, output, fault);

	if (code < 0)
		return code;
	audit_record_format(record, text);
	write_item(bill, text, output);
	bill->calls += journal_record_begins_call(record);
	return 0;
}

static int end_stream(struct billing_bill *bill, struct text *output, struct fault *fault)
{
	const int code = write_cover(bill, audit_view_head(bill->view)->head.size, output, fault);

	if (code < 0)
		return code;
	text_append_text(output, "]}");
	leave_stream(bill);
	bill->stream++;
	bill->stage = STAGE_STREAM;
	return 0;
}

static int next_records(struct billing_bill *bill, struct text *output, struct fault *fault)
{
	const uint64_t end = bill->head.ranges[bill->stream].end;
	int code = 0;

	if (bill->position == end)
		return end_stream(bill, output, fault);
	if (bill->record_count == 0) {
		const uint64_t left = end - bill->position;
		code = journal_reader_next(bill->reader,
					   left < READ_RECORDS ? (uint32_t)left : READ_RECORDS,
					   &bill->records, &bill->record_count, fault);
		if (code < 0)
			return code;
		check(bill->record_count > 0);
	}
	while (code == 0 && bill->record_count > 0 && output->length < PIECE_BYTES) {
		if (is_billed_here(bill, bill->records))
			code = write_record(bill, bill->records, output, fault);
		bill->records++;
		bill->record_count--;
		bill->position++;
	}
	return code;
}

/* ---- the whole ---- */

/* Of all that was written, and of this piece. */
static void sign(struct billing_bill *bill, struct text *output)
{
	struct text said;
	struct text note;
	char digest[AUDIT_HASH_TEXT_MAX];
	char month[CLOCK_MONTH_TEXT_MAX];

	audit_hash_add(bill->hasher, text_slice(output));
	const struct audit_hash hash = audit_hash_end(bill->hasher);
	audit_hash_format(&hash, digest);
	clock_month_format(bill->options.month, month);
	text_init(&said, AUDIT_CHECKPOINT_MAX);
	text_init(&note, AUDIT_NOTE_MAX);
	text_printf(&said, "%s" AUDIT_BILL_ORIGIN "\n%s %s\n%s\n",
		    audit_logs_key(bill->options.logs)->name, bill->head.account, month, digest);
	check(!said.failed);
	audit_note_sign(audit_logs_signer(bill->options.logs), text_slice(&said), &note);
	check(!note.failed);
	text_append_text(output, AUDIT_BILL_SIGNATURE);
	write_json(output, json_stringn(note.data, note.length));
	text_append_text(output, "}\n");
	text_fini(&said);
	text_fini(&note);
	bill->stage = STAGE_DONE;
}

int billing_bill_next(struct billing_bill *bill, struct text *output, bool *ret_done,
		      struct fault *fault)
{
	int code = 0;

	check(bill->stage != STAGE_DONE);
	check_equal(output->length, 0);
	switch (bill->stage) {
	case STAGE_HEAD:
		bill_head_write(&bill->head, &bill->options, output);
		text_append_text(output, "\"streams\":[");
		bill->stage = STAGE_STREAM;
		break;
	case STAGE_STREAM:
		code = next_stream(bill, output, fault);
		break;
	case STAGE_TREE:
		code = next_records(bill, output, fault);
		break;
	case STAGE_SIGNATURE:
		sign(bill, output);
		break;
	case STAGE_DONE:
		break;
	}
	if (code < 0)
		return code;
	if (output->failed)
		return fault_set(fault, FAULT_LIMIT, "the bill's lines take too much memory");
	if (bill->stage != STAGE_DONE)
		audit_hash_add(bill->hasher, text_slice(output));
	*ret_done = bill->stage == STAGE_DONE;
	return 0;
}

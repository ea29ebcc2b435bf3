/* The records of a stream, and that they are leaves of the tree that was signed. */
#include "audit/bill_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define HASHES_MAX      (2 * AUDIT_PROOF_MAX) /* between two records */
#define HASH_TEXT       (AUDIT_HASH_TEXT_MAX - 1)
#define ITEMS_A_TELLING 4096
#define STACK_MAX       (2 * AUDIT_PROOF_MAX)

/* A subtree whose hash is known. */
struct known {
	uint64_t from;
	uint64_t to;
	struct audit_hash hash;
};

struct late {
	uint64_t position;
	size_t phase; /* index */
};

struct stream {
	struct bill *bill;
	size_t index;
	struct audit_head head;
	uint64_t *starts; /* where each phase begins */
	struct late *late;
	size_t late_count;
	size_t late_at; /* the next one */
	struct audit_cover cover;
	struct audit_hash hashes[HASHES_MAX]; /* read, and not placed yet */
	unsigned hash_count;
	struct known stack[STACK_MAX];
	unsigned stack_count;
	bool any_record;
	uint64_t last; /* position of the last record */
};

/* ---- the root, from the left ---- */

static bool are_siblings(const struct known *left, const struct known *right, uint64_t size)
{
	uint64_t from = 0;
	uint64_t to = size;

	/* Down the tree to the node over both. */
	while (from != left->from || to != right->to) {
		if (to - from < 2)
			return false;
		const uint64_t middle = audit_tree_split(from, to);
		if (right->to <= middle)
			to = middle;
		else if (left->from >= middle)
			from = middle;
		else
			return false;
	}
	return audit_tree_split(from, to) == right->from;
}

static void place(struct stream *stream, uint64_t from, uint64_t to, const struct audit_hash *hash)
{
	check(stream->stack_count < STACK_MAX);
	stream->stack[stream->stack_count++] = (struct known){from, to, *hash};
	while (stream->stack_count >= 2) {
		struct known *left = &stream->stack[stream->stack_count - 2];
		const struct known *right = &stream->stack[stream->stack_count - 1];
		if (!are_siblings(left, right, stream->head.size))
			return;
		left->hash = audit_hash_node(stream->bill->hasher, &left->hash, &right->hash);
		left->to = right->to;
		stream->stack_count--;
	}
}

/* Places the hashes that were read since the last record: exactly those that the tree has between
 * it and the leaf. */
static bool place_cover(struct stream *stream, uint64_t leaf, const char *pointer)
{
	unsigned used = 0;
	uint64_t from;
	uint64_t to;

	while (audit_cover_next(&stream->cover, leaf, &from, &to)) {
		if (used == stream->hash_count)
			return complain(stream->bill->complaint, pointer,
					"a hash is missing before it: that of the records from "
					"%" PRIu64 " to %" PRIu64,
					from, to - 1);
		place(stream, from, to, &stream->hashes[used++]);
	}
	if (used != stream->hash_count)
		return complain(stream->bill->complaint, pointer,
				"%u hashes too many stand before it", stream->hash_count - used);
	stream->hash_count = 0;
	return true;
}

/* ---- one record ---- */

static bool is_of(const struct journal_record *record, const struct bill_subscription *subscription)
{
	return record->account.value == subscription->account.id &&
	       record->app.value == subscription->app.id &&
	       record->service.value == subscription->service.id &&
	       record->plan.value == subscription->plan.id;
}

static bool may_be_billed(const struct journal_record *record,
			  const struct bill_subscription *subscription)
{
	return (record->flags & JOURNAL_BILLED) != 0 && record->outcome >= JOURNAL_ANSWERED &&
	       record->outcome <= JOURNAL_REPORTED && record->outcome != JOURNAL_FAILED &&
	       (record->outcome != JOURNAL_REPORTED || !journal_record_begins_call(record)) &&
	       (record->status < 500 || subscription->rating.bill_always);
}

/* The last of the ascending numbers that is at most `most`; 0 where there is none. */
static size_t last_within(const uint64_t *numbers, size_t count, uint64_t most)
{
	size_t low = 0;

	while (count > 1) {
		const size_t half = count / 2;
		if (numbers[low + half] <= most)
			low += half;
		count -= half;
	}
	return low;
}

static size_t phase_of(struct stream *stream, uint64_t position)
{
	while (stream->late_at < stream->late_count &&
	       stream->late[stream->late_at].position < position)
		stream->late_at++;
	if (stream->late_at < stream->late_count &&
	    stream->late[stream->late_at].position == position)
		return stream->late[stream->late_at].phase;
	return last_within(stream->starts, stream->bill->phase_count, position);
}

static void keep_call(struct bill *bill, const struct journal_record *record)
{
	if (!journal_record_begins_call(record))
		return;
	bill->calls = bill_grow(bill->calls, (size_t)bill->summary->calls, sizeof(*bill->calls));
	bill->calls[bill->summary->calls++] = record->call;
}

static bool check_record(struct stream *stream, const struct journal_record *record,
			 struct bill_subscription **ret_subscription, const char *pointer)
{
	struct bill *bill = stream->bill;
	const char *complaint = audit_record_complaint(record);

	if (complaint != NULL)
		return complain(bill->complaint, pointer, "the record is not whole: %s", complaint);
	if (record->position >= stream->head.size ||
	    (stream->any_record && record->position <= stream->last))
		return complain(bill->complaint, pointer,
				"record %" PRIu64 " does not come behind the one before it, "
				"within the tree",
				record->position);
	if (clock_month_of(record->settled_ns) != bill->summary->month)
		return complain(bill->complaint, pointer, "the call is of another month");
	struct bill_subscription *subscription = map_find(&bill->by_id, record->subscription.value);
	if (subscription == NULL || !is_of(record, subscription))
		return complain(bill->complaint, pointer,
				"the call is of none of the bill's subscriptions");
	if (!may_be_billed(record, subscription))
		return complain(bill->complaint, pointer, "the call is not one that is billed");
	*ret_subscription = subscription;
	return true;
}

static bool take_record(struct stream *stream, struct slice text, const char *pointer)
{
	struct bill *bill = stream->bill;
	struct bill_subscription *subscription = NULL;
	struct journal_record record;

	if (!audit_base64_decode(text, &record, sizeof(record)))
		return complain(bill->complaint, pointer,
				"it is neither a hash nor a record, in base64");
	if (!check_record(stream, &record, &subscription, pointer) ||
	    !place_cover(stream, record.position, pointer))
		return false;
	const struct audit_hash leaf = audit_hash_record(bill->hasher, &record);
	place(stream, record.position, record.position + 1, &leaf);
	stream->any_record = true;
	stream->last = record.position;
	keep_call(bill, &record);
	if (!bill_sum_record(bill, subscription, phase_of(stream, record.position), &record,
			     pointer))
		return false;
	bill_keep_part(bill, stream->index, subscription, &record);
	return true;
}

static bool take_item(struct stream *stream, struct slice text, const char *pointer)
{
	if (text.length != HASH_TEXT)
		return take_record(stream, text, pointer);
	if (stream->hash_count == HASHES_MAX)
		return complain(stream->bill->complaint, pointer,
				"more hashes stand together than a tree has");
	if (!audit_hash_parse(text, &stream->hashes[stream->hash_count++]))
		return complain(stream->bill->complaint, pointer, "it is no hash in base64");
	return true;
}

/* ---- the stream ---- */

static bool read_tree(struct stream *stream, struct reader *reader, size_t index)
{
	char pointer[AUDIT_POINTER_MAX];
	bool more = true;

	snprintf(pointer, sizeof(pointer), "/streams/%zu/tree", index);
	if (!read_name(reader, false, pointer) || !read_mark(reader, '[', pointer))
		return false;
	for (size_t i = 0;; i++) {
		json_t *item;
		if (i % ITEMS_A_TELLING == 0 && stream->bill->progress != NULL)
			stream->bill->progress->tell(stream->bill->progress->context, reader->at);
		snprintf(pointer, sizeof(pointer), "/streams/%zu/tree/%zu", index, i);
		if (!read_item(reader, i, pointer, &more))
			return false;
		if (!more)
			break;
		if (!read_value(reader, JSON_STRING, pointer, &item))
			return false;
		const bool taken = take_item(
			stream, slice_make(json_string_value(item), json_string_length(item)),
			pointer);
		json_decref(item);
		if (!taken)
			return false;
	}
	snprintf(pointer, sizeof(pointer), "/streams/%zu/tree", index);
	if (!place_cover(stream, stream->head.size, pointer))
		return false;
	if (stream->stack_count != 1 ||
	    !audit_hash_equal(&stream->stack[0].hash, &stream->head.root))
		return complain(reader->complaint, pointer,
				"the records are not those that the checkpoint was signed for");
	return true;
}

static bool read_checkpoint(struct stream *stream, struct reader *reader, const char *origin,
			    const char *pointer)
{
	struct fault fault;
	json_t *note;

	if (!read_value(reader, JSON_STRING, pointer, &note))
		return false;
	const int code = audit_checkpoint_open(
		stream->bill->key, slice_make(json_string_value(note), json_string_length(note)),
		&stream->head, &fault);
	json_decref(note);
	if (code < 0)
		return complain(reader->complaint, pointer, "%s", fault.text);
	if (strcmp(stream->head.origin, origin) != 0 || stream->head.size == 0)
		return complain(reader->complaint, pointer, "it is not a checkpoint of %s", origin);
	audit_cover_begin(&stream->cover, stream->head.size);
	return true;
}

/* One position a phase, none before the one of the phase before. */
static bool take_starts(struct stream *stream, const json_t *starts, const char *pointer)
{
	const size_t count = stream->bill->phase_count;

	if (count == 0 || json_array_size(starts) != count)
		return complain(stream->bill->complaint, pointer,
				"there is not one position for each phase");
	stream->starts = calloc(count, sizeof(*stream->starts));
	check(stream->starts != NULL);
	for (size_t i = 0; i < count; i++) {
		const json_t *start = json_array_get(starts, i);
		if (!json_is_integer(start) || json_integer_value(start) < 0 ||
		    (i > 0 && (uint64_t)json_integer_value(start) < stream->starts[i - 1]))
			return complain(stream->bill->complaint, pointer,
					"item %zu is no position behind the one before", i);
		stream->starts[i] = (uint64_t)json_integer_value(start);
	}
	return true;
}

static int compare_phase(const void *number, const void *phase)
{
	const uint64_t wanted = *(const uint64_t *)number;
	const uint64_t here = ((const struct bill_phase *)phase)->number;

	return (wanted > here) - (wanted < here);
}

static bool find_phase(const struct bill *bill, uint64_t number, size_t *ret_phase)
{
	const struct bill_phase *found = bsearch(&number, bill->phases, bill->phase_count,
						 sizeof(*bill->phases), compare_phase);

	if (found == NULL)
		return false;
	*ret_phase = (size_t)(found - bill->phases);
	return true;
}

static bool take_late(void *context, const struct value *value)
{
	static const char *const names[] = {"position", "phase", NULL};
	struct stream *stream = context;
	struct late entry;
	int64_t position;
	int64_t phase;

	if (!value_has_only(value, names) ||
	    !value_number(value, "position", 0, INT64_MAX, &position) ||
	    !value_number(value, "phase", 1, INT64_MAX, &phase))
		return false;
	entry.position = (uint64_t)position;
	if (!find_phase(stream->bill, (uint64_t)phase, &entry.phase))
		return complain(value->complaint, value->pointer,
				"its phase %" PRId64 " is not among the phases", phase);
	if (entry.phase < last_within(stream->starts, stream->bill->phase_count, entry.position))
		return complain(value->complaint, value->pointer,
				"its phase %" PRId64 " is before that of its position", phase);
	if (stream->late_count > 0 &&
	    entry.position <= stream->late[stream->late_count - 1].position)
		return complain(value->complaint, value->pointer,
				"it does not come behind the one before it");
	stream->late = bill_grow(stream->late, stream->late_count, sizeof(*stream->late));
	stream->late[stream->late_count++] = entry;
	return true;
}

static bool read_late(struct stream *stream, struct reader *reader, size_t index)
{
	char pointer[AUDIT_POINTER_MAX];

	snprintf(pointer, sizeof(pointer), "/streams/%zu/late", index);
	return read_list(reader, pointer, LATE_MAX, take_late, stream);
}

static bool read_starts(struct stream *stream, struct reader *reader, size_t index)
{
	char pointer[AUDIT_POINTER_MAX];
	json_t *list;

	snprintf(pointer, sizeof(pointer), "/streams/%zu/starts", index);
	if (!read_name(reader, false, pointer) || !read_value(reader, JSON_ARRAY, pointer, &list))
		return false;
	const bool good = take_starts(stream, list, pointer);
	json_decref(list);
	return good;
}

static bool read_origin(struct bill *bill, struct reader *reader, const char *pointer,
			char origin[AUDIT_NAME_MAX])
{
	json_t *json;

	if (!read_name(reader, true, pointer) || !read_value(reader, JSON_STRING, pointer, &json))
		return false;
	const struct slice text = slice_make(json_string_value(json), json_string_length(json));
	const bool good = audit_name_is_good(text) && slice_to_text(text, origin, AUDIT_NAME_MAX);
	json_decref(json);
	if (!good)
		return complain(bill->complaint, pointer, "it is no log's name");
	if (map_put_bytes(&bill->origins, slice_of(origin), bill) != NULL)
		return complain(bill->complaint, pointer, "the stream is there twice");
	return true;
}

static bool read_stream(struct stream *stream, struct reader *reader, size_t index)
{
	char pointer[AUDIT_POINTER_MAX];
	char origin[AUDIT_NAME_MAX];

	snprintf(pointer, sizeof(pointer), "/streams/%zu", index);
	if (!read_mark(reader, '{', pointer))
		return false;
	snprintf(pointer, sizeof(pointer), "/streams/%zu/origin", index);
	if (!read_origin(stream->bill, reader, pointer, origin))
		return false;
	snprintf(pointer, sizeof(pointer), "/streams/%zu/checkpoint", index);
	if (!read_name(reader, false, pointer) || !read_checkpoint(stream, reader, origin, pointer))
		return false;
	snprintf(pointer, sizeof(pointer), "/streams/%zu", index);
	return read_starts(stream, reader, index) && read_late(stream, reader, index) &&
	       read_tree(stream, reader, index) && read_mark(reader, '}', pointer);
}

bool bill_read_stream(struct bill *bill, struct reader *reader, size_t index)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	check(stream != NULL);
	stream->bill = bill;
	stream->index = index;
	const bool good = read_stream(stream, reader, index);
	free(stream->starts);
	free(stream->late);
	free(stream);
	return good;
}

static int compare_calls(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct call_id));
}

bool bill_check_calls(struct bill *bill)
{
	const size_t count = (size_t)bill->summary->calls;
	char text[CALL_ID_TEXT_MAX];

	if (!bill_check_parts(bill))
		return false;
	if (count == 0)
		return true;
	qsort(bill->calls, count, sizeof(*bill->calls), compare_calls);
	for (size_t i = 1; i < count; i++) {
		if (compare_calls(&bill->calls[i - 1], &bill->calls[i]) != 0)
			continue;
		call_id_format(bill->calls[i], text);
		return complain(bill->complaint, "/streams", "call %s is on record twice", text);
	}
	return true;
}

/* Where in a stream a call's record stands. */
#include "audit/audit_internal.h"

#include <string.h>

#define SLACK_NS  (60 * CLOCK_NS_PER_S)
#define READ_MOST 4096
/* Looked at before the place where the record should stand. */
#define BEFORE_MOST (1u << 20)

static int settled_at(struct journal *journal, uint32_t stream, uint64_t position,
		      uint64_t *ret_settled_ns, struct fault *fault)
{
	struct journal_reader *reader;
	const struct journal_record *records;
	uint32_t count;
	int code = journal_reader_open(journal, stream, position, &reader, fault);

	if (code < 0)
		return code;
	code = journal_reader_next(reader, 1, &records, &count, fault);
	if (code == 0)
		*ret_settled_ns = count > 0 ? records[0].settled_ns : UINT64_MAX;
	journal_reader_close(reader);
	return code;
}

/* Records stand in the order in which they settled. */
static int first_settled_from(struct journal *journal, uint32_t stream, uint64_t from_ns,
			      uint64_t *ret_position, struct fault *fault)
{
	uint64_t low = journal_stream_first(journal, stream);
	uint64_t high = journal_stream_head(journal, stream);

	while (low < high) {
		const uint64_t middle = low + (high - low) / 2;
		uint64_t settled_ns = 0;
		const int code = settled_at(journal, stream, middle, &settled_ns, fault);
		if (code < 0)
			return code;
		if (settled_ns < from_ns)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_position = low;
	return 0;
}

static uint64_t time_of_call(struct call_id call)
{
	uint64_t unix_ms = 0;

	for (int i = 0; i < 6; i++)
		unix_ms = unix_ms << 8 | call.bytes[i];
	return unix_ms < UINT64_MAX / CLOCK_NS_PER_MS ? unix_ms * CLOCK_NS_PER_MS : UINT64_MAX;
}

static int look_through(struct journal_reader *reader, struct call_id call, uint64_t most,
			bool *ret_whole, struct journal_record *ret_record, struct fault *fault)
{
	const struct journal_record *records;
	uint32_t count = 1;
	uint64_t looked = 0;

	while (count > 0 && looked < most) {
		const int code = journal_reader_next(reader, READ_MOST, &records, &count, fault);
		if (code < 0)
			return code;
		for (uint32_t i = 0; i < count; i++) {
			if (memcmp(&records[i].call, &call, sizeof(call)) == 0) {
				*ret_record = records[i];
				return 0;
			}
		}
		looked += count;
	}
	*ret_whole = count == 0;
	return fault_set(fault, FAULT_NOT_FOUND, "no record of this call was found");
}

static int search(struct journal *journal, uint32_t stream, uint64_t position, struct call_id call,
		  uint64_t most, bool *ret_whole, struct journal_record *ret_record,
		  struct fault *fault)
{
	struct journal_reader *reader;
	int code = journal_reader_open(journal, stream, position, &reader, fault);

	if (code < 0)
		return code;
	code = look_through(reader, call, most, ret_whole, ret_record, fault);
	journal_reader_close(reader);
	return code;
}

int audit_call_find(struct journal *journal, uint32_t stream, struct call_id call, uint64_t most,
		    bool *ret_whole, struct journal_record *ret_record, struct fault *fault)
{
	const uint64_t called_ns = time_of_call(call);
	const uint64_t first = journal_stream_first(journal, stream);
	uint64_t position = first;
	bool whole_before;
	int code = first_settled_from(
		journal, stream, called_ns > SLACK_NS ? called_ns - SLACK_NS : 0, &position, fault);

	*ret_whole = true;
	if (code == 0)
		code = search(journal, stream, position, call, most, ret_whole, ret_record, fault);
	if (code != FAULT_NOT_FOUND || position <= first)
		return code;
	/* A clock that was set back settles a call among those that seem later or earlier. */
	const uint64_t before = position - first < BEFORE_MOST ? position - first : BEFORE_MOST;
	return search(journal, stream, position - before, call, before, &whole_before, ret_record,
		      fault);
}

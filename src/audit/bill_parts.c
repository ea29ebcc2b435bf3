/* Calls that ran long have several records: together they keep within the bounds of one call. */
#include "audit/bill_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct bill_part {
	struct call_id call;
	size_t stream;
	uint64_t position;
	const struct bill_subscription *subscription;
	bool begins;
	int64_t left_nano; /* of max_charge, before it */
	struct rating_quantities counted;
};

void bill_keep_part(struct bill *bill, size_t stream, const struct bill_subscription *subscription,
		    const struct journal_record *record)
{
	struct bill_part part = {
		.call = record->call,
		.stream = stream,
		.position = record->position,
		.subscription = subscription,
		.begins = journal_record_begins_call(record),
		.left_nano = subscription->rating.max_charge_nano,
	};
	struct rating_cloud_quantities cloud;

	if (part.begins && record->outcome != JOURNAL_RUNNING)
		return; /* the only record of its call */
	if (!part.begins && part.left_nano >= 0)
		part.left_nano = journal_record_left_nano(record);
	check(audit_quantities_of(&subscription->rating, record, &part.counted, &cloud));
	bill->parts = bill_grow(bill->parts, bill->part_count, sizeof(*bill->parts));
	bill->parts[bill->part_count++] = part;
}

static int compare(const void *left, const void *right)
{
	const struct bill_part *a = left;
	const struct bill_part *b = right;
	const int calls = memcmp(&a->call, &b->call, sizeof(a->call));

	if (calls != 0)
		return calls;
	if (a->stream != b->stream)
		return a->stream < b->stream ? -1 : 1;
	return a->position < b->position ? -1 : a->position > b->position;
}

/* What is wrong with a part, behind others of its call that left `left`; NULL: nothing. */
static const char *complaint_of(const struct bill_part *before, const struct bill_part *part,
				const struct rating_left *left)
{
	if (part->begins)
		return "begins behind one of its parts";
	if (part->stream != before->stream || part->subscription != before->subscription)
		return "has parts in several streams or subscriptions";
	if (part->left_nano > left->charge_nano)
		return "counts more than max_charge covers";
	for (int unit = 0; unit < RATING_UNITS_MAX; unit++) {
		if (part->counted.of[RATING_UNIT_0 + unit] > left->units[unit])
			return "counts more of a unit than one call may";
	}
	return NULL;
}

bool bill_check_parts(struct bill *bill)
{
	struct rating_left left = {0};
	const char *complaint = NULL;
	char text[CALL_ID_TEXT_MAX];

	if (bill->part_count > 0)
		qsort(bill->parts, bill->part_count, sizeof(*bill->parts), compare);
	for (size_t i = 0; i < bill->part_count; i++) {
		const struct bill_part *part = &bill->parts[i];
		const struct rating_plan *plan = &part->subscription->rating;
		if (i == 0 || memcmp(&part[-1].call, &part->call, sizeof(part->call)) != 0)
			left = rating_left_of(plan);
		else
			complaint = complaint_of(part - 1, part, &left);
		if (complaint != NULL) {
			call_id_format(part->call, text);
			return complain(bill->complaint, "/streams", "call %s %s", text, complaint);
		}
		left.charge_nano = part->left_nano;
		rating_left_take(plan, &part->counted, &left);
	}
	return true;
}

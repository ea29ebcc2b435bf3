/* Checks a bill from its first byte to its last. */
#include "audit/bill_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* ---- the head ---- */

static bool read_text(struct reader *reader, bool first, const char *name, char *text,
		      size_t text_bytes_max)
{
	char pointer[64];
	json_t *json;

	snprintf(pointer, sizeof(pointer), "/%s", name);
	if (!read_name(reader, first, pointer) || !read_value(reader, JSON_STRING, pointer, &json))
		return false;
	const bool good =
		strlen(json_string_value(json)) == json_string_length(json) &&
		slice_to_text(slice_make(json_string_value(json), json_string_length(json)), text,
			      text_bytes_max);
	json_decref(json);
	if (!good)
		return complain(reader->complaint, pointer, "the text is too long");
	return text_is_tame(text) ||
	       complain(reader->complaint, pointer, "it has a control character");
}

static bool read_head(struct bill *bill, struct reader *reader)
{
	struct audit_bill *summary = bill->summary;
	char format[32];
	char period[CLOCK_MONTH_TEXT_MAX];
	uint64_t made_ns;

	if (!read_mark(reader, '{', "") ||
	    !read_text(reader, true, "format", format, sizeof(format)))
		return false;
	if (strcmp(format, AUDIT_BILL_FORMAT) != 0)
		return complain(reader->complaint, "/format", "it is not " AUDIT_BILL_FORMAT);
	if (!read_text(reader, false, "cloud", summary->cloud, sizeof(summary->cloud)) ||
	    !read_text(reader, false, "currency", summary->currency, sizeof(summary->currency)) ||
	    !read_text(reader, false, "account", summary->account, sizeof(summary->account)) ||
	    !read_text(reader, false, "period", period, sizeof(period)) ||
	    !read_text(reader, false, "made", summary->made, sizeof(summary->made)))
		return false;
	if (strcmp(summary->cloud, bill->key->name) != 0)
		return complain(reader->complaint, "/cloud", "the given key is that of %s",
				bill->key->name);
	if (!clock_month_parse(slice_of(period), &summary->month))
		return complain(reader->complaint, "/period", "it is not a month");
	if (!clock_parse_wall(slice_of(summary->made), &made_ns))
		return complain(reader->complaint, "/made", "it is not a time");
	return true;
}

static bool read_total(struct bill *bill, struct reader *reader)
{
	char text[AMOUNT_TEXT_MAX];
	char again[AMOUNT_TEXT_MAX];
	struct amount total;

	if (!read_text(reader, false, "total", text, sizeof(text)))
		return false;
	if (!amount_parse(slice_of(text), &total))
		return complain(reader->complaint, "/total", "it is not an amount");
	amount_format(total, again);
	if (strcmp(text, again) != 0)
		return complain(reader->complaint, "/total", "it is not written as amounts are");
	bill->summary->total_nano = total.nano;
	return true;
}

static bool read_streams(struct bill *bill, struct reader *reader)
{
	char pointer[AUDIT_POINTER_MAX];
	bool more = true;

	if (!read_name(reader, false, "/streams") || !read_mark(reader, '[', "/streams"))
		return false;
	for (size_t i = 0;; i++) {
		snprintf(pointer, sizeof(pointer), "/streams/%zu", i);
		if (!read_item(reader, i, pointer, &more))
			return false;
		if (!more)
			return true;
		if (!bill_read_stream(bill, reader, i))
			return false;
	}
}

/* ---- the signature ---- */

static bool check_signature(struct bill *bill, struct slice covered, struct slice note)
{
	const struct audit_bill *summary = bill->summary;
	char month[CLOCK_MONTH_TEXT_MAX];
	char digest[AUDIT_HASH_TEXT_MAX];
	char wanted[AUDIT_CHECKPOINT_MAX];
	struct slice text;
	struct fault fault;

	if (audit_note_open(bill->key, note, &text, &fault) < 0)
		return complain(bill->complaint, "/signature", "%s", fault.text);
	audit_hash_begin(bill->hasher);
	audit_hash_add(bill->hasher, covered);
	const struct audit_hash hash = audit_hash_end(bill->hasher);
	audit_hash_format(&hash, digest);
	clock_month_format(summary->month, month);
	const int length = snprintf(wanted, sizeof(wanted), "%s" AUDIT_BILL_ORIGIN "\n%s %s\n%s\n",
				    summary->cloud, summary->account, month, digest);
	if ((size_t)length >= sizeof(wanted) || !slice_equal(text, slice_of(wanted)))
		return complain(bill->complaint, "/signature",
				"it was signed for other bytes than stand above it");
	return true;
}

static bool read_signature(struct bill *bill, struct reader *reader)
{
	const size_t covered = reader->at;
	const struct slice mark = slice_of(AUDIT_BILL_SIGNATURE);
	json_t *note;

	if (!slice_starts_with(slice_part(reader->file, covered, reader->file.length), mark))
		return complain(reader->complaint, "/signature",
				"the member is missing, or not written as it is signed");
	reader->at += mark.length;
	if (!read_value(reader, JSON_STRING, "/signature", &note))
		return false;
	const bool good =
		check_signature(bill, slice_part(reader->file, 0, covered),
				slice_make(json_string_value(note), json_string_length(note)));
	json_decref(note);
	if (!good)
		return false;
	if (!slice_equal(slice_part(reader->file, reader->at, reader->file.length),
			 slice_of("}\n")))
		return complain(reader->complaint, "",
				"the file does not end behind its "
				"signature");
	return true;
}

/* ---- the whole ---- */

static bool check_all(struct bill *bill, struct reader *reader)
{
	if (!read_head(bill, reader) || !bill_read_cards(bill, reader) ||
	    !bill_read_phases(bill, reader) || !bill_read_subscriptions(bill, reader) ||
	    !bill_read_lines(bill, reader) || !read_total(bill, reader) ||
	    !read_streams(bill, reader))
		return false;
	bill->summary->lines = bill->line_count;
	return bill_check_calls(bill) && bill_check_lines(bill) && read_signature(bill, reader);
}

bool audit_bill_verify(struct slice file, const struct audit_key *key,
		       const struct audit_progress *progress, struct audit_bill *ret_bill,
		       struct audit_complaint *ret_complaint)
{
	struct audit_bill summary = {0};
	struct audit_complaint complaint = {0};
	struct bill bill = {
		.summary = &summary, .complaint = &complaint, .key = key, .progress = progress};
	struct reader reader = {.file = file, .complaint = &complaint};

	map_init(&bill.by_id);
	map_init(&bill.origins);
	map_init(&bill.sums);
	map_init(&bill.names);
	bill.hasher = audit_hasher_new();
	const bool good = check_all(&bill, &reader);
	audit_hasher_free(bill.hasher);
	for (size_t i = 0; i < bill.subscription_count; i++) {
		bill_sums_free(bill.subscriptions[i]);
		free(bill.subscriptions[i]);
	}
	free(bill.subscriptions);
	free(bill.cards);
	free(bill.phases);
	free(bill.lines);
	free(bill.calls);
	free(bill.parts);
	map_fini(&bill.sums);
	map_fini(&bill.names);
	map_fini(&bill.origins);
	map_fini(&bill.by_id);
	if (good)
		*ret_bill = summary;
	else
		*ret_complaint = complaint;
	return good;
}

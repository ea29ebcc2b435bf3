/* C2SP tlog-proof of one record. */
#include "audit/audit_internal.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "base/crc32c.h"

void audit_record_format(const struct journal_record *record, char text[AUDIT_RECORD_TEXT_MAX])
{
	sodium_bin2base64(text, AUDIT_RECORD_TEXT_MAX, (const uint8_t *)record, sizeof(*record),
			  sodium_base64_VARIANT_ORIGINAL);
}

const char *audit_record_complaint(const struct journal_record *record)
{
	const uint8_t *bytes = (const uint8_t *)record;

	if (record->crc != crc32c(0, bytes + 4, sizeof(*record) - 4))
		return "its checksum does not fit its bytes";
	if (record->version != 1)
		return "its version is not 1";
	if (journal_record_begins_call(record) && journal_record_left_nano(record) != 0)
		return "its reserved bytes are not zero";
	return NULL;
}

int audit_receipt_make(struct audit_view *view, const struct journal_record *record,
		       struct text *receipt, struct fault *fault)
{
	struct audit_hash proof[AUDIT_PROOF_MAX];
	char text[AUDIT_RECORD_TEXT_MAX];
	char hash[AUDIT_HASH_TEXT_MAX];
	size_t length;
	const int code = audit_view_prove(view, record, proof, &length, fault);

	if (code < 0)
		return code;
	audit_record_format(record, text);
	text_printf(receipt, AUDIT_RECEIPT_FIRST_LINE "\nextra %s\nindex %" PRIu64 "\n", text,
		    record->position);
	for (size_t i = 0; i < length; i++) {
		audit_hash_format(&proof[i], hash);
		text_printf(receipt, "%s\n", hash);
	}
	text_printf(receipt, "\n%s", audit_view_head(view)->note);
	return 0;
}

/* ---- verification ---- */

/* What stands behind `word` on the next line. */
static bool take_line(struct slice *rest, const char *word, struct slice *ret_value)
{
	struct slice line;

	if (!slice_cut(rest, '\n', &line) || !slice_starts_with(line, slice_of(word)))
		return false;
	*ret_value = slice_part(line, strlen(word), line.length);
	return true;
}

static int take_proof(struct slice *rest, struct audit_hash proof[AUDIT_PROOF_MAX],
		      size_t *ret_length, struct fault *fault)
{
	struct slice line;
	size_t length = 0;

	while (slice_cut(rest, '\n', &line) && line.length > 0) {
		if (length == AUDIT_PROOF_MAX)
			return fault_set(fault, FAULT_INPUT, "the proof is longer than %d hashes",
					 AUDIT_PROOF_MAX);
		if (!audit_hash_parse(line, &proof[length++]))
			return fault_set(fault, FAULT_INPUT,
					 "hash %zu of the proof is not 32 bytes in base64", length);
	}
	*ret_length = length;
	return 0;
}

static int check_inclusion(const struct journal_record *record, const struct audit_hash *proof,
			   size_t length, const struct audit_head *head, struct fault *fault)
{
	struct audit_hasher *hasher = audit_hasher_new();
	const struct audit_hash leaf = audit_hash_record(hasher, record);
	struct audit_hash root;
	const bool good = audit_tree_root_of(hasher, record->position, head->size, &leaf, proof,
					     length, &root) &&
			  audit_hash_equal(&root, &head->root);

	audit_hasher_free(hasher);
	if (good)
		return 0;
	return fault_set(fault, FAULT_INPUT,
			 "the proof does not lead from the record to the checkpoint's root");
}

int audit_receipt_verify(struct slice receipt, const struct audit_key *key,
			 struct journal_record *ret_record, struct audit_head *ret_head,
			 struct fault *fault)
{
	struct audit_hash proof[AUDIT_PROOF_MAX];
	struct journal_record record;
	struct slice rest = receipt;
	struct slice value;
	struct slice index;
	uint64_t position;
	size_t length = 0;

	if (!take_line(&rest, AUDIT_RECEIPT_FIRST_LINE, &value) || value.length > 0)
		return fault_set(fault, FAULT_INPUT,
				 "line 1 is not \"" AUDIT_RECEIPT_FIRST_LINE
				 "\", as a receipt's is, and "
				 "a bill begins with {");
	if (!take_line(&rest, "extra ", &value) ||
	    !audit_base64_decode(value, &record, sizeof(record)))
		return fault_set(fault, FAULT_INPUT,
				 "line 2 is not `extra` and a call record of 192 bytes in base64");
	const char *complaint = audit_record_complaint(&record);
	if (complaint != NULL)
		return fault_set(fault, FAULT_INPUT, "line 2: the record is not whole: %s",
				 complaint);
	if (!take_line(&rest, "index ", &index) || !slice_to_u64(index, INT64_MAX, &position) ||
	    (index.length > 1 && index.data[0] == '0') || position != record.position)
		return fault_set(fault, FAULT_INPUT,
				 "line 3 is not `index %" PRIu64 "`, the record's position",
				 record.position);
	int code = take_proof(&rest, proof, &length, fault);
	if (code == 0)
		code = audit_checkpoint_open(key, rest, ret_head, fault);
	if (code == 0)
		code = check_inclusion(&record, proof, length, ret_head, fault);
	if (code == 0)
		*ret_record = record;
	return code;
}

/* What somebody hands in to be verified: keys, signed notes, checkpoints, receipts. Nothing of it
 * is believed that the key did not sign; what is read is written again as it was. */
#include "replay.h"

#include <string.h>

#include "audit/audit.h"
#include "base/check.h"

static void read_key(struct slice text)
{
	char written[AUDIT_VKEY_MAX];
	struct audit_key key;
	struct fault fault;

	const int code = audit_key_parse(text, &key, &fault);
	check(code == 0 || code == FAULT_INPUT);
	if (code < 0)
		return;
	audit_key_format(&key, written);
	check(slice_equal(slice_of(written), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct audit_key key = {.name = "test", .public_key = {1, 2, 3}};
	const struct slice text = slice_make(data, size);
	struct journal_record record;
	struct audit_head head;
	struct audit_hash hash;
	struct slice signed_text;
	struct fault fault;

	read_key(text);
	if (audit_hash_parse(text, &hash)) {
		char written[AUDIT_HASH_TEXT_MAX];
		audit_hash_format(&hash, written);
		check(slice_equal(slice_of(written), text));
	}
	/* The secret half of this key is nobody's. */
	check(audit_note_open(&key, text, &signed_text, &fault) < 0);
	check(audit_checkpoint_open(&key, text, &head, &fault) < 0);
	check(audit_receipt_verify(text, &key, &record, &head, &fault) < 0);
	check(fault.text[0] != '\0');
	return 0;
}

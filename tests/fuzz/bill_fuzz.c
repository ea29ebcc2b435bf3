/* Bills that somebody hands in to be verified, against the key of docs/receipts.md: what is told is
 * a place and a reason, and nothing holds but the bill that stands there. */
#include "replay.h"

#include "audit/audit.h"
#include "base/check.h"

/* Of the seed 0, 1, .. 31. */
static const struct audit_key key = {
	.name = "cloud",
	.public_key = {0x03, 0xa1, 0x07, 0xbf, 0xf3, 0xce, 0x10, 0xbe, 0x1d, 0x70, 0xdd,
		       0x18, 0xe7, 0x4b, 0xc0, 0x99, 0x67, 0xe4, 0xd6, 0x30, 0x9b, 0xa5,
		       0x0d, 0x5f, 0x1d, 0xdc, 0x86, 0x64, 0x12, 0x55, 0x31, 0xb8},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct audit_bill bill;
	struct audit_complaint complaint;

	if (audit_bill_verify(slice_make(data, size), &key, NULL, &bill, &complaint)) {
		check_equal(bill.calls, 2);
		check_equal(bill.lines, 3);
		check_equal(bill.total_nano, 100000025);
		return 0;
	}
	check(complaint.pointer[0] == '\0' || complaint.pointer[0] == '/');
	check(complaint.reason[0] != '\0');
	return 0;
}

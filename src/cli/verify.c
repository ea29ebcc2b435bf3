/* Checks what a cloud signed, with nothing but the file and the cloud's public key. */
#include "cli/cli_internal.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "base/check.h"
#include "base/disk.h"

/* ---- the key ---- */

static int parse_key(struct cli *cli, const char *where, struct slice text,
		     struct audit_key *ret_key)
{
	const struct slice line = slice_part(text, 0, slice_find_byte(text, '\n', 0));
	struct fault fault;

	if (audit_key_parse(slice_trim(line), ret_key, &fault) < 0)
		return cli_fail(cli, "%s: %s", where, fault.text);
	return CLI_DONE;
}

/* A key has two '+'; a path may have as many, but then there is such a file. */
static int load_key(struct cli *cli, struct audit_key *ret_key)
{
	const char *given = cli_option(cli, "--key");
	char path[PATH_MAX];
	char *text;
	size_t length;
	struct fault fault;

	if ((size_t)snprintf(path, sizeof(path), "%s%s", given != NULL ? given : cli->folder,
			     given != NULL ? "" : "/log.pub") >= sizeof(path))
		return cli_misuse(cli, "the path of the key is too long");
	const int code = disk_read_file(path, AUDIT_NOTE_MAX, &text, &length, &fault);
	if (code < 0 && given != NULL && strchr(given, '+') != NULL)
		return parse_key(cli, "--key", slice_of(given), ret_key);
	if (code < 0)
		return cli_fail(cli, "%s%s", fault.text,
				given != NULL ? "" : "; give the cloud's public key with --key");
	const int status = parse_key(cli, path, slice_make(text, length), ret_key);
	free(text);
	return status;
}

/* ---- receipts ---- */

static int verify_receipt(struct cli *cli, struct slice receipt, const struct audit_key *key)
{
	struct journal_record record;
	struct audit_head head;
	struct fault fault;
	char call[CALL_ID_TEXT_MAX];

	if (receipt.length > AUDIT_NOTE_MAX)
		return cli_fail(cli, "%s: it is too long for a receipt, and no bill",
				cli->arguments[0]);
	if (audit_receipt_verify(receipt, key, &record, &head, &fault) < 0)
		return cli_fail(cli, "%s: %s", cli->arguments[0], fault.text);
	call_id_format(record.call, call);
	if (cli->json) {
		json_t *json =
			json_pack("{s:b, s:s, s:s, s:s, s:I, s:I}", "verified", 1, "kind",
				  "receipt", "call", call, "origin", head.origin, "position",
				  (json_int_t)record.position, "size", (json_int_t)head.size);
		cli_print_json(json);
		json_decref(json);
		return CLI_DONE;
	}
	printf("call %s is record %" PRIu64 " of %" PRIu64 " in %s, signed by %s\n", call,
	       record.position, head.size, head.origin, key->name);
	return CLI_DONE;
}

/* ---- bills ---- */

/* "/streams/0/tree/12" or "" for the document itself, and why. */
static int tell_complaint(const struct cli *cli, const struct audit_complaint *complaint)
{
	if (cli->json) {
		json_t *json =
			json_pack("{s:b, s:s, s:s, s:s}", "verified", 0, "kind", "bill", "pointer",
				  complaint->pointer, "reason", complaint->reason);
		check(json != NULL);
		cli_print_json(json);
		json_decref(json);
	}
	return cli_fail(cli, "%s: %s%s%s", cli->arguments[0], complaint->pointer,
			complaint->pointer[0] != '\0' ? ": " : "", complaint->reason);
}

struct watch {
	struct cli *cli;
	size_t whole;
};

/* In percent. */
static void tell_progress(void *context, size_t bytes)
{
	struct watch *watch = context;

	watch->cli->done = 100 * (uint64_t)bytes / watch->whole;
	cli_progress_show(watch->cli);
}

static bool check_bill(struct cli *cli, struct slice file, const struct audit_key *key,
		       struct audit_bill *ret_bill, struct audit_complaint *ret_complaint)
{
	struct watch watch = {cli, file.length};
	const struct audit_progress progress = {.tell = tell_progress, .context = &watch};

	cli_progress_begin(cli);
	cli->total = 100;
	const bool holds = audit_bill_verify(file, key, &progress, ret_bill, ret_complaint);
	cli_progress_end(cli);
	return holds;
}

static int verify_bill(struct cli *cli, struct slice file, const struct audit_key *key)
{
	struct audit_bill bill;
	struct audit_complaint complaint;
	char month[CLOCK_MONTH_TEXT_MAX];
	char total[AMOUNT_TEXT_MAX];

	if (!check_bill(cli, file, key, &bill, &complaint))
		return tell_complaint(cli, &complaint);
	clock_month_format(bill.month, month);
	amount_format(amount_nano(bill.total_nano), total);
	if (cli->json) {
		json_t *json = json_pack(
			"{s:b, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s}", "verified", 1, "kind",
			"bill", "cloud", bill.cloud, "account", bill.account, "period", month,
			"made", bill.made, "calls", (json_int_t)bill.calls, "lines",
			(json_int_t)bill.lines, "total", total, "currency", bill.currency);
		check(json != NULL);
		cli_print_json(json);
		json_decref(json);
		return CLI_DONE;
	}
	printf("the bill of %s for %s holds: %" PRIu64 " %s on record, %" PRIu64
	       " %s, total %s %s, signed by %s\n",
	       bill.account, month, bill.calls, bill.calls == 1 ? "call" : "calls", bill.lines,
	       bill.lines == 1 ? "line" : "lines", total, bill.currency, key->name);
	return CLI_DONE;
}

/* A bill is a JSON object, a receipt is none. */
static bool is_bill(struct slice file)
{
	return slice_starts_with(slice_trim(slice_part(file, 0, 64)), slice_of("{"));
}

int cli_verify(struct cli *cli)
{
	const char *path = strcmp(cli->arguments[0], "-") == 0 ? "/dev/stdin" : cli->arguments[0];
	struct audit_key key;
	struct fault fault;
	char *text;
	size_t length;
	int status = load_key(cli, &key);

	if (status != CLI_DONE)
		return status;
	if (disk_read_file(path, AUDIT_BILL_MAX, &text, &length, &fault) < 0)
		return cli_fail(cli, "%s", fault.text);
	const struct slice file = slice_make(text, length);
	status = is_bill(file) ? verify_bill(cli, file, &key) : verify_receipt(cli, file, &key);
	free(text);
	return status;
}

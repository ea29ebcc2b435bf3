/* What docs/receipts.md shows is what the log makes, and its bill holds. Its path is the argument.
 */
#include "audit/testing_internal.h"

#include <jansson.h>
#include <stdlib.h>

#define RECORDS       3
#define SHOWN         1 /* the record whose receipt stands there */
#define DOCUMENT_MAX  (1u << 20)
#define HEX_LINE_MAX  64
#define HASHES_TEXT   (RECORDS * AUDIT_HASH_BYTES * 2)
#define CALL_ID_BYTES 16

static const char *document_path;
static char *document;

static int setup(void **state)
{
	struct fault fault;
	size_t length;

	(void)state;
	return disk_read_file(document_path, DOCUMENT_MAX, &document, &length, &fault);
}

static int teardown(void **state)
{
	(void)state;
	free(document);
	return 0;
}

/* The fenced block of this name, without the newline at its end. */
static struct slice block(const char *name)
{
	char fence[32];

	snprintf(fence, sizeof(fence), "```%s\n", name);
	const char *start = strstr(document, fence);
	if (start == NULL)
		fail_msg("%s has no block %s", document_path, name);
	start += strlen(fence);
	const char *end = strstr(start, "\n```");
	assert_non_null(end);
	return slice_make(start, (size_t)(end - start));
}

static void assert_block(const char *name, struct slice made)
{
	const struct slice shown = block(name);

	if (slice_equal(shown, made))
		return;
	/* cmocka cuts what is long. */
	fprintf(stderr, "block %s of %s should be\n%.*s\n", name, document_path, SLICE_ARGS(made));
	fail();
}

/* In lines of HEX_LINE_MAX digits. */
static void assert_hex_block(const char *name, const void *bytes, size_t length)
{
	char digits[HASHES_TEXT + JOURNAL_RECORD_BYTES * 2 + 1];
	struct text lines;

	assert_true(2 * length < sizeof(digits));
	text_hex(bytes, length, digits);
	text_init(&lines, 1 << 12);
	for (size_t at = 0; at < 2 * length; at += HEX_LINE_MAX)
		text_printf(&lines, "%s%.*s", at > 0 ? "\n" : "", HEX_LINE_MAX, digits + at);
	assert_block(name, text_slice(&lines));
	text_fini(&lines);
}

/* As the document says it. */
static struct journal_record record_of(uint64_t position)
{
	const uint64_t from = position == 0 ? 11 : 1;
	struct journal_record record = {
		.outcome = JOURNAL_ANSWERED,
		.flags = JOURNAL_BILLED,
		.started_ns = 1700000000000000000 + position,
		.settled_ns = 1700000000001000000 + position,
		.duration_us = 1000,
		.service_us = 900,
		.status = 200,
		.account = {from},
		.app = {from + 1},
		.key = {from + 2},
		.subscription = {from + 3},
		.service = {from + 4},
		.plan = {from + 5},
		.instance = 7,
		.request_bytes = 10 + position,
		.response_bytes = 20 + position,
		.units = {position},
		.memory_mib_us = 30,
		.cpu_milli_us = 40,
		.charge_nano = 50000000,
	};

	static_assert(sizeof(record.call) == CALL_ID_BYTES, "a UUID");
	memset(&record.call, (int)(0x11 * (position + 1)), sizeof(record.call));
	return record;
}

/* The log of the document, with the document's key. */
static void open_shown(struct world *world)
{
	world_init(world);
	assert_true(audit_key_parse_secret(block("private-key"), &world->signer));
	world_reopen(world);
	for (uint64_t i = 0; i < RECORDS; i++) {
		struct journal_record record = record_of(i);
		journal_append(world->stream, &record);
		world->written++;
	}
	world_write(world, 0);
	world_advance(world);
}

static void the_keys_are_those_of_the_seed(void **state)
{
	struct audit_signer signer;
	char text[AUDIT_SKEY_MAX];

	(void)state;
	assert_true(audit_key_parse_secret(block("private-key"), &signer));
	for (uint8_t i = 0; i < 32; i++)
		assert_int_equal(signer.secret_key[i], i);
	audit_key_format_secret(&signer, text);
	assert_block("private-key", slice_of(text));
	audit_key_format(&signer.key, text);
	assert_block("public-key", slice_of(text));
	const struct audit_key named = audit_key_named(&signer.key, ORIGIN);
	audit_key_format(&named, text);
	assert_block("log-key", slice_of(text));
}

static void record_hashes_and_tile_are_those_of_the_log(void **state)
{
	struct world world;
	struct audit_hash tile[AUDIT_TILE_WIDTH];
	struct text hashes;
	char text[AUDIT_HASH_TEXT_MAX];

	(void)state;
	open_shown(&world);
	const struct journal_record record = world_read(&world, SHOWN);
	assert_hex_block("record", &record, sizeof(record));
	assert_int_equal(audit_log_tile_read(world.log, 0, 0, RECORDS, tile, &world.fault), 0);
	assert_hex_block("tile", tile, RECORDS * sizeof(*tile));

	struct audit_hasher *hasher = audit_hasher_new();
	const struct audit_hash leaf = audit_hash_record(hasher, &record);
	const struct audit_hash node = audit_hash_node(hasher, &tile[0], &tile[1]);
	const struct audit_hash root = audit_hash_node(hasher, &node, &tile[2]);
	audit_hasher_free(hasher);
	text_init(&hashes, 1 << 10);
	audit_hash_format(&leaf, text);
	text_printf(&hashes, "%s\n", text);
	audit_hash_format(&node, text);
	text_printf(&hashes, "%s\n", text);
	audit_hash_format(&root, text);
	text_printf(&hashes, "%s", text);
	assert_block("hashes", text_slice(&hashes));
	text_fini(&hashes);
	world_fini(&world);
}

static void the_receipt_is_what_the_log_makes(void **state)
{
	struct world world;
	struct audit_view *view;
	struct text receipt;

	(void)state;
	open_shown(&world);
	const struct journal_record record = world_read(&world, SHOWN);
	assert_int_equal(audit_view_open(world.log, &view, &world.fault), 0);
	text_init(&receipt, 1 << 16);
	assert_int_equal(audit_receipt_make(view, &record, &receipt, &world.fault), 0);
	audit_view_close(view);
	assert_true(slice_ends_with(text_slice(&receipt), slice_of("\n")));
	assert_block("receipt", slice_make(receipt.data, receipt.length - 1));
	text_fini(&receipt);
	world_fini(&world);
}

static void append_json(struct text *output, struct slice bytes)
{
	json_t *json = json_stringn(bytes.data, bytes.length);
	char *text = json_dumps(json, JSON_ENCODE_ANY);

	assert_non_null(text);
	text_append_text(output, text);
	free(text);
	json_decref(json);
}

/* Of the records 1 and 2, behind the hash of record 0. */
static void append_stream(struct world *world, struct text *bill)
{
	struct audit_hash tile[AUDIT_TILE_WIDTH];
	struct audit_signed_head head;
	char text[AUDIT_RECORD_TEXT_MAX];

	audit_log_head(world->log, &head);
	text_append_text(bill, "\n{\"origin\":\"" ORIGIN "\",\n\"checkpoint\":");
	append_json(bill, slice_of(head.note));
	text_append_text(bill, ",\n\"starts\":[0,2],\n\"late\":[],\n\"tree\":[");
	assert_int_equal(audit_log_tile_read(world->log, 0, 0, RECORDS, tile, &world->fault), 0);
	audit_hash_format(&tile[0], text);
	text_printf(bill, "\n\"%s\"", text);
	for (uint64_t i = 1; i < RECORDS; i++) {
		const struct journal_record record = world_read(world, i);
		audit_record_format(&record, text);
		text_printf(bill, ",\n\"%s\"", text);
	}
	text_append_text(bill, "]}]");
}

static void append_signature(struct world *world, struct text *bill)
{
	struct audit_hasher *hasher = audit_hasher_new();
	char digest[AUDIT_HASH_TEXT_MAX];
	struct text said;
	struct text note;

	audit_hash_begin(hasher);
	audit_hash_add(hasher, text_slice(bill));
	const struct audit_hash hash = audit_hash_end(hasher);
	audit_hasher_free(hasher);
	audit_hash_format(&hash, digest);
	text_init(&said, AUDIT_NOTE_MAX);
	text_init(&note, AUDIT_NOTE_MAX);
	text_printf(&said, "cloud/bill\nacme 2023-11\n%s\n", digest);
	audit_note_sign(&world->signer, text_slice(&said), &note);
	text_append_text(bill, ",\n\"signature\":");
	append_json(bill, text_slice(&note));
	text_append_text(bill, "}\n");
	text_fini(&said);
	text_fini(&note);
}

static void expect_bill(const char *name, int64_t total_nano)
{
	const struct slice shown = block(name);
	const struct slice mark = slice_of("\"streams\":[");
	const char *streams = memmem(shown.data, shown.length, mark.data, mark.length);
	struct world world;
	struct text made;
	struct audit_bill bill;
	struct audit_complaint complaint;

	assert_non_null(streams);
	open_shown(&world);
	text_init(&made, DOCUMENT_MAX);
	text_append(&made, slice_make(shown.data, (size_t)(streams - shown.data) + mark.length));
	append_stream(&world, &made);
	append_signature(&world, &made);
	if (!audit_bill_verify(text_slice(&made), &world.signer.key, NULL, &bill, &complaint))
		fail_msg("%s: %s", complaint.pointer, complaint.reason);
	assert_int_equal(bill.calls, 2);
	assert_int_equal(bill.total_nano, total_nano);
	assert_block(name, slice_make(made.data, made.length - 1));
	text_fini(&made);
	world_fini(&world);
}

static void the_bill_holds_and_has_the_logs_records(void **state)
{
	(void)state;
	expect_bill("bill", 100000025);
}

static void so_does_the_one_with_a_minimum_and_discounts(void **state)
{
	(void)state;
	expect_bill("discounted-bill", 125000022);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(the_keys_are_those_of_the_seed),
		TEST(record_hashes_and_tile_are_those_of_the_log),
		TEST(the_receipt_is_what_the_log_makes),
		TEST(the_bill_holds_and_has_the_logs_records),
		TEST(so_does_the_one_with_a_minimum_and_discounts),
	};

	document_path = argc > 1 ? argv[1] : "docs/receipts.md";
	return cmocka_run_group_tests(tests, NULL, NULL);
}

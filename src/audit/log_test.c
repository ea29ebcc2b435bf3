#include "audit/testing_internal.h"

static struct world world;
static struct audit_hasher *hasher;

static int setup(void **state)
{
	(void)state;
	world_init(&world);
	hasher = audit_hasher_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	audit_hasher_free(hasher);
	world_fini(&world);
	return 0;
}

/* MTH of RFC 6962, section 2.1, word for word. */
static struct audit_hash tree_hash(const struct audit_hash *leaves, uint64_t count)
{
	uint64_t split = 1;

	if (count == 1)
		return leaves[0];
	while (split * 2 < count)
		split *= 2;
	const struct audit_hash left = tree_hash(leaves, split);
	const struct audit_hash right = tree_hash(leaves + split, count - split);
	return audit_hash_node(hasher, &left, &right);
}

static struct audit_hash *leaves_of(uint64_t count)
{
	struct audit_hash *leaves = calloc(count, sizeof(*leaves));

	assert_non_null(leaves);
	for (uint64_t i = 0; i < count; i++) {
		const struct journal_record record = world_read(&world, i);
		leaves[i] = audit_hash_record(hasher, &record);
	}
	return leaves;
}

static void a_head_is_the_root_that_rfc_6962_defines(void **state)
{
	struct random_seeded chance;

	(void)state;
	random_seeded_init(&chance, testing_seed());
	while (world.written < 1200) {
		world_write(&world, 1 + random_below(&chance.random, 97));
		const struct audit_head head = world_advance(&world);
		struct audit_hash *leaves = leaves_of(world.written);
		const struct audit_hash root = tree_hash(leaves, world.written);
		assert_true(audit_hash_equal(&head.root, &root));
		free(leaves);
		if (random_below(&chance.random, 3) == 0)
			world_reopen(&world);
	}
}

static void every_record_is_proved_and_no_other(void **state)
{
	struct audit_view *view;
	struct audit_hash proof[AUDIT_PROOF_MAX];
	size_t length;

	(void)state;
	world_write(&world, 777);
	const struct audit_head head = world_advance(&world);
	assert_int_equal(audit_view_open(world.log, &view, &world.fault), 0);
	for (uint64_t i = 0; i < world.written; i++) {
		const struct journal_record record = world_read(&world, i);
		struct audit_hash leaf = audit_hash_record(hasher, &record);
		struct audit_hash root;
		assert_int_equal(audit_view_prove(view, &record, proof, &length, &world.fault), 0);
		assert_true(audit_tree_root_of(hasher, i, head.size, &leaf, proof, length, &root));
		assert_true(audit_hash_equal(&root, &head.root));
		leaf.bytes[i % 32] ^= 1;
		assert_true(audit_tree_root_of(hasher, i, head.size, &leaf, proof, length, &root));
		assert_false(audit_hash_equal(&root, &head.root));
		assert_false(
			audit_tree_root_of(hasher, i, head.size, &leaf, proof, length - 1, &root));
		assert_false(
			audit_tree_root_of(hasher, i, head.size, &leaf, proof, length + 1, &root));
	}
	audit_view_close(view);
}

static void tiles_have_the_widths_and_paths_of_the_specification(void **state)
{
	char path[TILE_PATH_MAX];

	(void)state;
	assert_int_equal(audit_tile_width(70000, 0, 272), 256);
	assert_int_equal(audit_tile_width(70000, 0, 273), 112);
	assert_int_equal(audit_tile_width(70000, 0, 274), 0);
	assert_int_equal(audit_tile_width(70000, 1, 0), 256);
	assert_int_equal(audit_tile_width(70000, 1, 1), 17);
	assert_int_equal(audit_tile_width(70000, 2, 0), 1);
	assert_int_equal(audit_tile_width(70000, 3, 0), 0);
	assert_int_equal(audit_tile_width(256, 1, 0), 1);
	audit_tile_path(0, 1234067, 256, path);
	assert_string_equal(path, "tile/0/x001/x234/067");
	audit_tile_path(63 % LEVELS_MAX, 5, 17, path);
	assert_string_equal(path, "tile/7/005.p/17");
}

static char *below(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", world.log_folder, name);
	return path;
}

static bool is_there(const char *name)
{
	return access(below(name), F_OK) == 0;
}

static void partial_tiles_stay_until_theirs_is_whole(void **state)
{
	(void)state;
	world_write(&world, 100);
	world_advance(&world);
	world_write(&world, 100);
	world_advance(&world);
	assert_true(is_there("tile/0/000.p/100"));
	assert_true(is_there("tile/0/000.p/200"));
	world_write(&world, 57);
	world_advance(&world);
	assert_true(is_there("tile/0/000"));
	assert_false(is_there("tile/0/000.p"));
	assert_true(is_there("tile/0/001.p/1"));
	assert_true(is_there("tile/1/000.p/1"));
}

static const char *const tiles[] = {"tile/0/000", "tile/0/001", "tile/0/002.p/88",
				    "tile/1/000.p/2"};

static void tiles_that_are_missing_or_cut_short_are_built_again(void **state)
{
	(void)state;
	world_write(&world, 600);
	world_advance(&world);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(unlink(below(tiles[i])), 0);
		world_reopen(&world);
		assert_int_equal(audit_log_patrol(world.log, 100, &world.fault), 0);
		assert_true(is_there(tiles[i]));
		assert_int_equal(audit_log_rebuilt(world.log), 1);
		assert_int_equal(truncate(below(tiles[i]), 31), 0);
		world_reopen(&world);
		assert_int_equal(audit_log_patrol(world.log, 100, &world.fault), 0);
		assert_int_equal(audit_log_rebuilt(world.log), 1);
	}
	nftw(below("tile"), world_remove, 16, FTW_DEPTH | FTW_PHYS);
	world_reopen(&world);
	world_write(&world, 300);
	world_advance(&world);
	assert_int_equal(audit_log_patrol(world.log, 100, &world.fault), 0);
}

static void flip(const char *path, off_t offset)
{
	uint8_t byte;
	const int descriptor = open(path, O_RDWR);

	assert_true(descriptor >= 0);
	assert_int_equal(pread(descriptor, &byte, 1, offset), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(descriptor, &byte, 1, offset), 1);
	close(descriptor);
}

static void a_tile_that_was_changed_is_damage_with_its_name(void **state)
{
	struct fault fault;

	(void)state;
	world_write(&world, 600);
	world_advance(&world);
	for (size_t i = 0; i < 4; i++) {
		const off_t offset = 32 * (i == 3 ? 1 : 7) + 5;
		flip(below(tiles[i]), offset);
		world_reopen(&world);
		audit_log_patrol(world.log, 100, &world.fault);
		assert_true(audit_log_is_damaged(world.log, &fault));
		assert_int_equal(fault.code, FAULT_DAMAGED);
		if (i < 3) {
			assert_non_null(strstr(fault.text, tiles[i]));
			assert_non_null(strstr(fault.text, "hash 7 is not that of record"));
		}
		uint64_t taken;
		assert_int_equal(audit_log_advance(world.log, 10, &taken, &fault), FAULT_DAMAGED);
		flip(below(tiles[i]), offset);
	}
	world_reopen(&world);
	assert_int_equal(audit_log_patrol(world.log, 100, &world.fault), 0);
	assert_false(audit_log_is_damaged(world.log, &fault));
}

static void every_changed_byte_of_the_checkpoint_is_found(void **state)
{
	struct audit_signed_head head;
	struct fault fault;

	(void)state;
	world_write(&world, 3);
	world_advance(&world);
	audit_log_head(world.log, &head);
	const off_t length = (off_t)strlen(head.note);
	for (off_t i = 0; i < length; i++) {
		flip(below("checkpoint"), i);
		world_reopen(&world);
		assert_true(audit_log_is_damaged(world.log, &fault));
		flip(below("checkpoint"), i);
	}
	world_reopen(&world);
	assert_false(audit_log_is_damaged(world.log, &fault));
}

/* Writes another journal over the one there is. */
static void rewrite_journal(uint64_t count, uint64_t lie_at)
{
	bool synced;
	char path[96];

	audit_log_close(world.log);
	assert_int_equal(journal_close(world.journal, &world.fault), 0);
	snprintf(path, sizeof(path), "%s/journal", world.folder);
	nftw(path, world_remove, 16, FTW_DEPTH | FTW_PHYS);
	world_open_journal(&world);
	for (uint64_t i = 0; i < count; i++) {
		struct journal_record record = world_record(i);
		record.charge_nano += i == lie_at;
		journal_append(world.stream, &record);
	}
	assert_int_equal(journal_maintain(world.journal, &synced, &world.fault), 0);
	world_open_log(&world);
}

static void a_journal_that_was_changed_or_rolled_back_is_damage(void **state)
{
	struct fault fault;

	(void)state;
	world_write(&world, 600);
	world_advance(&world);
	rewrite_journal(600, UINT64_MAX);
	assert_false(audit_log_is_damaged(world.log, &fault));
	rewrite_journal(599, UINT64_MAX);
	assert_true(audit_log_is_damaged(world.log, &fault));
	assert_non_null(strstr(fault.text, "signed for 600 records"));
	rewrite_journal(700, 590);
	assert_true(audit_log_is_damaged(world.log, &fault));
	assert_non_null(strstr(fault.text, "that of record 590"));
	/* What lies far behind is found by the patrol, and by a proof at once. */
	rewrite_journal(700, 3);
	assert_false(audit_log_is_damaged(world.log, &fault));
	struct audit_view *view;
	struct audit_hash proof[AUDIT_PROOF_MAX];
	size_t length;
	const struct journal_record record = world_read(&world, 3);
	assert_int_equal(audit_view_open(world.log, &view, &fault), 0);
	assert_int_equal(audit_view_prove(view, &record, proof, &length, &fault), FAULT_DAMAGED);
	assert_non_null(strstr(fault.text, "that of record 3"));
	audit_view_close(view);
	world_reopen(&world);
	assert_int_equal(audit_log_patrol(world.log, 100, &fault), FAULT_DAMAGED);
	assert_true(audit_log_is_damaged(world.log, &fault));
}

static void only_what_is_durable_enters(void **state)
{
	struct audit_signed_head head;
	uint64_t taken;

	(void)state;
	world_write(&world, 10);
	for (int i = 0; i < 5; i++) {
		struct journal_record record = world_record(world.written++);
		journal_append(world.stream, &record);
	}
	assert_int_equal(audit_log_advance(world.log, UINT64_MAX, &taken, &world.fault), 0);
	assert_int_equal(taken, 10);
	audit_log_head(world.log, &head);
	assert_int_equal(head.head.size, 10);
	world_write(&world, 0);
	world_advance(&world);
}

static void a_receipt_is_verified_and_each_changed_byte_is_found(void **state)
{
	struct audit_view *view;
	struct text receipt;
	struct journal_record found;
	struct audit_head head;
	struct fault fault;

	(void)state;
	world_write(&world, 300);
	world_advance(&world);
	const struct journal_record record = world_read(&world, 201);
	assert_int_equal(audit_view_open(world.log, &view, &world.fault), 0);
	text_init(&receipt, 1 << 16);
	assert_int_equal(audit_receipt_make(view, &record, &receipt, &world.fault), 0);
	audit_view_close(view);
	assert_int_equal(audit_receipt_verify(text_slice(&receipt), &world.signer.key, &found,
					      &head, &fault),
			 0);
	assert_memory_equal(&found, &record, sizeof(record));
	assert_int_equal(head.size, 300);
	for (size_t i = 0; i < receipt.length; i++) {
		receipt.data[i] ^= 1;
		assert_int_equal(audit_receipt_verify(text_slice(&receipt), &world.signer.key,
						      &found, &head, &fault),
				 FAULT_INPUT);
		receipt.data[i] ^= 1;
		assert_int_equal(audit_receipt_verify(slice_make(receipt.data, i),
						      &world.signer.key, &found, &head, &fault),
				 FAULT_INPUT);
	}
	text_fini(&receipt);
}

/* A record of a call that began and settled then, durable. */
static struct call_id write_at(uint64_t second)
{
	const uint8_t entropy[10] = {(uint8_t)world.written, (uint8_t)(world.written >> 8)};
	struct journal_record record = world_record(world.written++);
	bool synced;

	record.call = call_id_make(second * 1000, entropy);
	record.started_ns = record.settled_ns = second * CLOCK_NS_PER_S;
	journal_append(world.stream, &record);
	assert_int_equal(journal_maintain(world.journal, &synced, &world.fault), 0);
	return record.call;
}

static void a_call_is_found_though_the_clock_was_set_back(void **state)
{
	(void)state;
	struct call_id calls[120], unknown;
	struct journal_record record;
	bool whole;

	/* An hour back after the first half. */
	for (unsigned i = 0; i < 120; i++)
		calls[i] = write_at(i < 60 ? 100000 + 100 * i : 100000 - 3600 + 100 * i);
	for (unsigned i = 0; i < 120; i++) {
		assert_int_equal(audit_call_find(world.journal, 0, calls[i], 4096, &whole, &record,
						 &world.fault),
				 0);
		assert_int_equal(record.position, i);
	}
	unknown = calls[7];
	unknown.bytes[15] ^= 1;
	assert_int_equal(
		audit_call_find(world.journal, 0, unknown, 4096, &whole, &record, &world.fault),
		FAULT_NOT_FOUND);
	assert_true(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_head_is_the_root_that_rfc_6962_defines),
		TEST(every_record_is_proved_and_no_other),
		TEST(tiles_have_the_widths_and_paths_of_the_specification),
		TEST(partial_tiles_stay_until_theirs_is_whole),
		TEST(tiles_that_are_missing_or_cut_short_are_built_again),
		TEST(a_tile_that_was_changed_is_damage_with_its_name),
		TEST(every_changed_byte_of_the_checkpoint_is_found),
		TEST(a_journal_that_was_changed_or_rolled_back_is_damage),
		TEST(only_what_is_durable_enters),
		TEST(a_receipt_is_verified_and_each_changed_byte_is_found),
		TEST(a_call_is_found_though_the_clock_was_set_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Damage to the tables is found and named; and the tables do not let themselves be damaged. */
#include "ledger/ledger.h"

#include "ledger/ledger_testing.h"

#define NOW LEDGER_TESTING_NOW_NS

static struct ledger_transfer_id id_of(uint64_t number)
{
	return (struct ledger_transfer_id){.high = 0, .low = number};
}

/* Sequences: 1 funds alice with 100, 2 reserves 30 and 3 posts 20 of it, 4 reserves 5 and 5 voids
 * it, 6 reserves 7, 8 reserves 1 for a second and expired, 9 pays 10 back. */
static int set_up(void **state)
{
	static struct ledger_testing testing;
	enum ledger_outcome outcomes[8];
	size_t count;

	*state = &testing;
	ledger_testing_init(&testing);
	const struct ledger_account_id outside =
		ledger_testing_account(&testing, LEDGER_MONEY, "outside", 0);
	const struct ledger_account_id alice = ledger_testing_account(
		&testing, LEDGER_MONEY, "alice", LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS);
	const struct ledger_transfer transfers[8] = {
		{id_of(1), outside, alice, 100, LEDGER_KIND_FUNDING},
		{id_of(2), alice, outside, 30, LEDGER_KIND_USAGE, LEDGER_PENDING},
		{id_of(3), .amount_nano = 20, .flags = LEDGER_POST, .pending_id = id_of(2)},
		{id_of(4), alice, outside, 5, LEDGER_KIND_USAGE, LEDGER_PENDING},
		{id_of(5), .flags = LEDGER_VOID, .pending_id = id_of(4)},
		{id_of(6), alice, outside, 7, LEDGER_KIND_USAGE, LEDGER_PENDING},
		{id_of(7), alice, outside, 1, LEDGER_KIND_USAGE, LEDGER_PENDING, .timeout_s = 1},
		{id_of(8), alice, outside, 10, LEDGER_KIND_PAYOUT},
	};
	ledger_testing_batch(&testing, transfers, 8, NOW, outcomes);
	ledger_testing_begin(&testing);
	ledger_testing_good(&testing,
			    ledger_transfers_expire(testing.ledger, NOW + LEDGER_TESTING_S_NS, 10,
						    &count, &testing.fault));
	ledger_testing_commit(&testing);
	assert_int_equal(count, 1);
	assert_int_equal(ledger_testing_audit(&testing).transfers, 8);
	return 0;
}

static int tear_down(void **state)
{
	ledger_testing_fini(*state);
	return 0;
}

static void the_audit_names_the_first_difference(void **state)
{
	static const struct {
		const char *sql;
		const char *told;
	} cases[] = {
		{"UPDATE ledger_account SET debits_posted = 31 WHERE name = 'alice'",
		 "account 2 \"alice\" has debits_posted 31, its transfers sum to -1 more"},
		{"UPDATE ledger_account SET credits_posted = 200 WHERE name = 'alice'",
		 "account 2 \"alice\" has credits_posted 200"},
		{"UPDATE ledger_account SET debits_pending = 0", "has debits_pending 0"},
		{"UPDATE ledger_account SET credits_pending = 0", "has credits_pending 0"},
		{"UPDATE ledger_account SET flags = 2 WHERE name = 'alice'", "beyond its limit"},
		{"UPDATE ledger_account SET last = 3 WHERE name = 'alice'", "lacks its newest"},
		{"UPDATE ledger_account SET ledger = 2 WHERE name = 'alice'", "joins two ledgers"},
		{"UPDATE ledger_transfer SET amount = 101 WHERE sequence = 1",
		 "account 1 \"outside\" has debits_posted 100"},
		{"UPDATE ledger_transfer SET amount = 31 WHERE sequence = 3",
		 "transfer 3 (00000000000000000000000000000003) posts more than was pending"},
		{"UPDATE ledger_transfer SET debit = 99 WHERE sequence = 8",
		 "transfer 8 (00000000000000000000000000000008) lacks one of its two accounts"},
		{"UPDATE ledger_transfer SET pending_low = 6 WHERE sequence = 3",
		 "resolves nothing that came before it"},
		{"UPDATE ledger_transfer SET pending_low = 99 WHERE sequence = 3",
		 "resolves nothing that came before it"},
		{"UPDATE ledger_transfer SET flags = 4, pending_low = 2 WHERE sequence = 5",
		 "resolves what was resolved before"},
		{"UPDATE ledger_transfer SET credit_previous = 2 WHERE sequence = 8",
		 "transfer 8 (00000000000000000000000000000008) is not linked"},
		{"DELETE FROM ledger_transfer WHERE sequence = 4", "some are lost"},
		{"DELETE FROM ledger_transfer WHERE sequence = 8", "8 transfers were made but 7"},
		{"DELETE FROM ledger_pending WHERE sequence = 6", "is pending but has no state"},
		{"UPDATE ledger_pending SET state = 2 WHERE sequence = 6",
		 "3 pending transfers were posted or voided, by 2"},
		{"UPDATE ledger_pending SET state = 4 WHERE sequence = 6",
		 "expired but has no timeout"},
		{"UPDATE ledger_pending SET state = 1 WHERE sequence = 4",
		 "does not fit what it resolved"},
		{"INSERT INTO ledger_pending VALUES (8, 1, 2, 1, 0, 1, 0)",
		 "has a state but was never pending"},
		{"INSERT INTO ledger_pending VALUES (9, 1, 2, 1, 0, 1, 0)",
		 "5 states of 4 pending transfers"},
	};
	struct ledger_testing *testing = *state;

	ledger_testing_good(testing, store_run(testing->store,
					       "DROP TRIGGER ledger_transfer_no_update;"
					       "DROP TRIGGER ledger_transfer_no_delete;"
					       "DROP TRIGGER ledger_pending_no_delete;"
					       "DROP TRIGGER ledger_pending_once",
					       &testing->fault));
	for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
		struct ledger_audit audit;
		ledger_testing_begin(testing);
		ledger_testing_good(testing,
				    store_run(testing->store, cases[index].sql, &testing->fault));
		const int code = ledger_audit(testing->ledger, &audit, &testing->fault);
		if (code != FAULT_DAMAGED || strstr(testing->fault.text, cases[index].told) == NULL)
			fail_msg("%s: %d, %s", cases[index].sql, code, testing->fault.text);
		store_rollback(testing->store);
	}
	(void)ledger_testing_audit(testing);
}

static void the_tables_refuse_to_change_what_happened(void **state)
{
	static const char *const changes[] = {
		"UPDATE ledger_transfer SET amount = 1",
		"UPDATE ledger_transfer SET period = 3 WHERE sequence = 1",
		"DELETE FROM ledger_transfer",
		"REPLACE INTO ledger_transfer SELECT * FROM ledger_transfer WHERE sequence = 2",
		"DELETE FROM ledger_pending WHERE sequence = 6",
		"UPDATE ledger_pending SET state = 1",
		"UPDATE ledger_pending SET state = 3 WHERE sequence = 2",
		"UPDATE ledger_pending SET amount = 1, state = 2 WHERE sequence = 6",
		"DELETE FROM ledger_account",
		"UPDATE ledger_account SET debits_posted = -1",
	};
	struct ledger_testing *testing = *state;

	for (size_t index = 0; index < sizeof(changes) / sizeof(changes[0]); index++)
		assert_int_equal(store_run(testing->store, changes[index], &testing->fault),
				 FAULT_REFUSED);
	assert_int_equal(ledger_testing_audit(testing).transfers, 8);
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(the_audit_names_the_first_difference),
		CLAIM(the_tables_refuse_to_change_what_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

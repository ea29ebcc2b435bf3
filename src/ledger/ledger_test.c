/* Accounts, lists, sums, ids and names. */
#include "ledger/ledger.h"

#include "ledger/ledger_testing.h"

#define NOW LEDGER_TESTING_NOW_NS

static int set_up(void **state)
{
	static struct ledger_testing testing;

	*state = &testing;
	ledger_testing_init(&testing);
	return 0;
}

static int tear_down(void **state)
{
	(void)ledger_testing_audit(*state);
	ledger_testing_fini(*state);
	return 0;
}

static struct ledger_transfer transfer_of(uint64_t number, struct ledger_account_id debit,
					  struct ledger_account_id credit, uint32_t flags)
{
	return (struct ledger_transfer){
		.id = ledger_transfer_id_derive(LEDGER_KIND_FUNDING, number, 0, 0),
		.debit = debit,
		.credit = credit,
		.amount_nano = (int64_t)number,
		.kind = LEDGER_KIND_FUNDING,
		.flags = flags,
		.subscription = {7},
		.period = 650,
	};
}

/* ---- accounts ---- */

static void an_account_is_created_once_by_its_name(void **state)
{
	struct ledger_testing *testing = *state;
	const struct ledger_account_id first =
		ledger_testing_account(testing, LEDGER_MONEY, "alice", 0);

	assert_int_equal(first.value, 1);
	assert_int_equal(ledger_testing_account(testing, LEDGER_MONEY, "alice", 0).value, 1);
	assert_int_equal(ledger_testing_account(testing, LEDGER_BUDGETS, "alice", 0).value, 2);

	struct ledger_account found;
	ledger_testing_good(testing,
			    ledger_account_find(testing->ledger, LEDGER_BUDGETS, slice_of("alice"),
						&found, &testing->fault));
	assert_int_equal(found.id.value, 2);
	assert_int_equal(found.ledger, LEDGER_BUDGETS);
	assert_string_equal(found.name, "alice");
}

static void an_account_with_other_flags_under_the_name_is_a_conflict(void **state)
{
	struct ledger_testing *testing = *state;
	struct ledger_account account = {.ledger = LEDGER_MONEY, .code = 1, .name = "alice"};
	struct ledger_account_id id;

	(void)ledger_testing_account(testing, LEDGER_MONEY, "alice", 0);
	ledger_testing_begin(testing);
	account.flags = LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS;
	assert_int_equal(ledger_account_create(testing->ledger, &account, &id, &testing->fault),
			 FAULT_CONFLICT);
	account.flags = 0;
	account.code = 2;
	assert_int_equal(ledger_account_create(testing->ledger, &account, &id, &testing->fault),
			 FAULT_CONFLICT);
	account.code = 1;
	assert_int_equal(ledger_account_create(testing->ledger, &account, &id, &testing->fault), 0);
	account.name[0] = '\0';
	assert_int_equal(ledger_account_create(testing->ledger, &account, &id, &testing->fault),
			 FAULT_INPUT);
	ledger_testing_commit(testing);
}

static void an_account_that_is_not_there_is_not_found_and_the_transaction_goes_on(void **state)
{
	struct ledger_testing *testing = *state;
	struct ledger_account account;

	ledger_testing_begin(testing);
	assert_int_equal(ledger_account_get(testing->ledger, (struct ledger_account_id){9},
					    &account, &testing->fault),
			 FAULT_NOT_FOUND);
	assert_int_equal(ledger_account_find(testing->ledger, LEDGER_MONEY, slice_of("nobody"),
					     &account, &testing->fault),
			 FAULT_NOT_FOUND);
	assert_non_null(strstr(testing->fault.text, "nobody"));
	assert_int_equal(ledger_account_close(testing->ledger, (struct ledger_account_id){9}, true,
					      &testing->fault),
			 FAULT_NOT_FOUND);
	ledger_testing_commit(testing);
}

static void accounts_are_listed_in_pages_of_one_ledger(void **state)
{
	struct ledger_testing *testing = *state;
	struct ledger_account page[2];
	struct ledger_account_id after = {0};
	size_t count;
	size_t seen = 0;

	for (int index = 0; index < 10; index++) {
		char name[16];
		snprintf(name, sizeof(name), "account-%d", index);
		(void)ledger_testing_account(
			testing, index % 2 == 0 ? LEDGER_MONEY : LEDGER_BUDGETS, name, 0);
	}
	do {
		ledger_testing_good(testing,
				    ledger_accounts_list(testing->ledger, LEDGER_MONEY, after, page,
							 2, &count, &testing->fault));
		for (size_t index = 0; index < count; index++) {
			assert_true(page[index].id.value > after.value);
			assert_int_equal(page[index].ledger, LEDGER_MONEY);
			after = page[index].id;
			seen++;
		}
	} while (count > 0);
	assert_int_equal(seen, 5);
}

/* ---- transfers ---- */

static void transfers_of_an_account_come_newest_first_in_pages(void **state)
{
	struct ledger_testing *testing = *state;
	const struct ledger_account_id a = ledger_testing_account(testing, LEDGER_MONEY, "a", 0);
	const struct ledger_account_id b = ledger_testing_account(testing, LEDGER_MONEY, "b", 0);
	const struct ledger_account_id c = ledger_testing_account(testing, LEDGER_MONEY, "c", 0);
	struct ledger_transfer page[3];
	size_t count;

	for (uint64_t number = 1; number <= 9; number++) {
		/* a -> b, b -> c, c -> a, and over again */
		const struct ledger_account_id accounts[] = {c, a, b, c};
		assert_int_equal(ledger_testing_one(testing,
						    transfer_of(number, accounts[number % 3],
								accounts[number % 3 + 1], 0),
						    NOW),
				 LEDGER_CREATED);
	}
	static const uint64_t of_a[] = {9, 7, 6, 4, 3, 1}; /* all but 2, 5, 8 */
	uint64_t before = 0;
	for (size_t first = 0; first < 6; first += 3) {
		ledger_testing_good(testing, ledger_transfers_list(testing->ledger, a, before, page,
								   3, &count, &testing->fault));
		assert_int_equal(count, 3);
		for (size_t index = 0; index < 3; index++) {
			assert_int_equal(page[index].sequence, of_a[first + index]);
			assert_int_equal(page[index].amount_nano, of_a[first + index]);
			assert_int_equal(page[index].created_ns, NOW);
			assert_int_equal(page[index].subscription.value, 7);
			assert_int_equal(page[index].period, 650);
		}
		before = page[2].sequence;
	}
	ledger_testing_good(testing, ledger_transfers_list(testing->ledger, a, before, page, 3,
							   &count, &testing->fault));
	assert_int_equal(count, 0);
	/* A place that is not one of the account's own. */
	ledger_testing_good(testing, ledger_transfers_list(testing->ledger, a, 5, page, 3, &count,
							   &testing->fault));
	assert_int_equal(count, 3);
	assert_int_equal(page[0].sequence, 4);
	ledger_testing_good(testing, ledger_transfers_list(testing->ledger, a, 999, page, 1, &count,
							   &testing->fault));
	assert_int_equal(page[0].sequence, 9);
}

static void only_what_is_still_pending_is_listed_as_pending(void **state)
{
	struct ledger_testing *testing = *state;
	const struct ledger_account_id a = ledger_testing_account(testing, LEDGER_MONEY, "a", 0);
	const struct ledger_account_id b = ledger_testing_account(testing, LEDGER_MONEY, "b", 0);
	struct ledger_transfer page[4];
	size_t count;

	for (uint64_t number = 1; number <= 4; number++)
		assert_int_equal(
			ledger_testing_one(testing,
					   transfer_of(number, number == 2 ? b : a,
						       number == 2 ? a : b, LEDGER_PENDING),
					   NOW),
			LEDGER_CREATED);
	const struct ledger_transfer void_third = {
		.id = ledger_transfer_id_derive(LEDGER_KIND_FUNDING, 5, 0, 0),
		.pending_id = ledger_transfer_id_derive(LEDGER_KIND_FUNDING, 3, 0, 0),
		.flags = LEDGER_VOID,
	};
	assert_int_equal(ledger_testing_one(testing, void_third, NOW), LEDGER_CREATED);
	ledger_testing_good(testing, ledger_pending_list(testing->ledger, a, 0, page, 4, &count,
							 &testing->fault));
	assert_int_equal(count, 3);
	assert_int_equal(page[0].sequence, 1);
	assert_int_equal(page[1].sequence, 2);
	assert_int_equal(page[2].sequence, 4);
	ledger_testing_good(testing, ledger_pending_list(testing->ledger, b, 2, page, 4, &count,
							 &testing->fault));
	assert_int_equal(count, 1);
	assert_int_equal(page[0].sequence, 4);
}

static void a_transfer_can_be_read_back_by_its_id(void **state)
{
	struct ledger_testing *testing = *state;
	const struct ledger_account_id a = ledger_testing_account(testing, LEDGER_MONEY, "a", 0);
	const struct ledger_account_id b = ledger_testing_account(testing, LEDGER_MONEY, "b", 0);
	struct ledger_transfer transfer = transfer_of(3, a, b, LEDGER_PENDING);
	struct ledger_transfer back;

	transfer.timeout_s = 60;
	transfer.id = (struct ledger_transfer_id){UINT64_MAX, UINT64_MAX};
	assert_int_equal(ledger_testing_one(testing, transfer, NOW), LEDGER_CREATED);
	ledger_testing_good(
		testing, ledger_transfer_get(testing->ledger, transfer.id, &back, &testing->fault));
	assert_true(ledger_transfer_id_equal(back.id, transfer.id));
	assert_int_equal(back.debit.value, a.value);
	assert_int_equal(back.credit.value, b.value);
	assert_int_equal(back.amount_nano, 3);
	assert_int_equal(back.kind, LEDGER_KIND_FUNDING);
	assert_int_equal(back.flags, LEDGER_PENDING);
	assert_int_equal(back.timeout_s, 60);
	assert_int_equal(back.subscription.value, 7);
	assert_int_equal(back.period, 650);
	assert_int_equal(back.created_ns, NOW);
	assert_int_equal(back.sequence, 1);
	transfer.id.low--;
	assert_int_equal(ledger_transfer_get(testing->ledger, transfer.id, &back, &testing->fault),
			 FAULT_NOT_FOUND);
}

static void sums_are_counted_beyond_64_bits(void **state)
{
	struct ledger_testing *testing = *state;
	struct ledger_sum sum;

	for (uint64_t pair = 0; pair < 3; pair++) {
		char name[2][16];
		snprintf(name[0], sizeof(name[0]), "from-%d", (int)pair);
		snprintf(name[1], sizeof(name[1]), "to-%d", (int)pair);
		struct ledger_transfer transfer = transfer_of(
			pair + 1, ledger_testing_account(testing, LEDGER_MONEY, name[0], 0),
			ledger_testing_account(testing, LEDGER_MONEY, name[1], 0), 0);
		transfer.amount_nano = INT64_MAX;
		assert_int_equal(ledger_testing_one(testing, transfer, NOW), LEDGER_CREATED);
	}
	ledger_testing_good(testing,
			    ledger_sum(testing->ledger, LEDGER_MONEY, &sum, &testing->fault));
	assert_int_equal(sum.accounts, 6);
	assert_true(sum.debits_posted_nano == (__int128)INT64_MAX * 3);
	assert_true(sum.credits_posted_nano == (__int128)INT64_MAX * 3);
	assert_true(sum.debits_pending_nano == 0);
}

static void a_batch_has_a_maximum_and_may_be_empty(void **state)
{
	struct ledger_testing *testing = *state;
	static struct ledger_transfer transfers[LEDGER_BATCH_MAX + 1];
	static enum ledger_outcome outcomes[LEDGER_BATCH_MAX + 1];

	ledger_testing_batch(testing, transfers, 0, NOW, outcomes);
	ledger_testing_begin(testing);
	assert_int_equal(ledger_transfers_create(testing->ledger, transfers, LEDGER_BATCH_MAX + 1,
						 NOW, outcomes, &testing->fault),
			 FAULT_LIMIT);
	ledger_testing_good(testing,
			    ledger_transfers_create(testing->ledger, transfers, LEDGER_BATCH_MAX,
						    NOW, outcomes, &testing->fault));
	assert_int_equal(outcomes[LEDGER_BATCH_MAX - 1], LEDGER_ID_MISSING);
	store_rollback(testing->store);
}

/* ---- ids and names ---- */

static void derived_ids_are_the_same_for_the_same_and_lead_with_what_grows(void **state)
{
	const struct ledger_transfer_id id = ledger_transfer_id_derive(LEDGER_KIND_FEE, 5, 6, 7);
	char text[LEDGER_TRANSFER_ID_MAX];

	(void)state;
	/* For ever: ids that were given out must come out again. */
	ledger_transfer_id_format(id, text);
	assert_string_equal(text, "0000000000050af803a60d198f8e75af");
	assert_true(
		ledger_transfer_id_equal(id, ledger_transfer_id_derive(LEDGER_KIND_FEE, 5, 6, 7)));
	assert_false(ledger_transfer_id_equal(
		id, ledger_transfer_id_derive(LEDGER_KIND_USAGE, 5, 6, 7)));
	assert_false(
		ledger_transfer_id_equal(id, ledger_transfer_id_derive(LEDGER_KIND_FEE, 5, 7, 6)));
	assert_true(ledger_transfer_id_derive(LEDGER_KIND_FEE, 6, 0, 0).high > id.high);
	/* Beyond 48 bits `a` no longer leads, but still counts. */
	assert_false(ledger_transfer_id_equal(
		id, ledger_transfer_id_derive(LEDGER_KIND_FEE, 5 + (1ull << 48), 6, 7)));
	assert_false(ledger_transfer_id_equal(ledger_transfer_id_of_key(slice_of("one")),
					      ledger_transfer_id_of_key(slice_of("two"))));
}

static void ids_are_written_and_read_as_32_digits(void **state)
{
	const struct ledger_transfer_id id = {0x0123456789abcdef, 0xfedcba9876543210};
	struct ledger_transfer_id back = {0};
	char text[LEDGER_TRANSFER_ID_MAX];

	(void)state;
	ledger_transfer_id_format(id, text);
	assert_string_equal(text, "0123456789abcdeffedcba9876543210");
	assert_true(ledger_transfer_id_parse(slice_of(text), &back));
	assert_true(ledger_transfer_id_equal(id, back));
	assert_false(ledger_transfer_id_parse(slice_of("0123"), &back));
	assert_false(ledger_transfer_id_parse(slice_of("x123456789abcdeffedcba9876543210"), &back));
}

static void kinds_and_outcomes_have_names_of_their_own(void **state)
{
	(void)state;
	assert_string_equal(ledger_kind_name(LEDGER_KIND_USAGE), "usage");
	assert_null(ledger_kind_name((enum ledger_kind)0));
	for (int outcome = 0; outcome < LEDGER_OUTCOMES_COUNT; outcome++) {
		const char *name = ledger_outcome_name((enum ledger_outcome)outcome);
		assert_true(strlen(ledger_outcome_sentence((enum ledger_outcome)outcome)) > 0);
		for (int other = 0; other < outcome; other++)
			assert_string_not_equal(name,
						ledger_outcome_name((enum ledger_outcome)other));
	}
	assert_true(ledger_outcome_stands(LEDGER_EXISTS));
	assert_false(ledger_outcome_stands(LEDGER_EXISTS_WITH_DIFFERENT));
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(an_account_is_created_once_by_its_name),
		CLAIM(an_account_with_other_flags_under_the_name_is_a_conflict),
		CLAIM(an_account_that_is_not_there_is_not_found_and_the_transaction_goes_on),
		CLAIM(accounts_are_listed_in_pages_of_one_ledger),
		CLAIM(transfers_of_an_account_come_newest_first_in_pages),
		CLAIM(only_what_is_still_pending_is_listed_as_pending),
		CLAIM(a_transfer_can_be_read_back_by_its_id),
		CLAIM(sums_are_counted_beyond_64_bits),
		CLAIM(a_batch_has_a_maximum_and_may_be_empty),
		cmocka_unit_test(derived_ids_are_the_same_for_the_same_and_lead_with_what_grows),
		cmocka_unit_test(ids_are_written_and_read_as_32_digits),
		cmocka_unit_test(kinds_and_outcomes_have_names_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

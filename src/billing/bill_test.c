/*
 * Bills: that random months verify for whoever has a part in them, and that whatever is changed in
 * one is found, also by who could sign it again.
 */
#include "billing/billing.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "billing/billing_testing.h"

#define MONTH clock_month_of(TESTING_START_NS)

static struct testing world;
static char folder[64];
static struct audit_signer signer;
static struct audit_logs *logs;

static void open_logs(void)
{
	char path[96];
	const struct audit_logs_options options = {
		.journal = world.journal, .folder = path, .node = 1, .signer = &signer};

	snprintf(path, sizeof(path), "%s/audit", folder);
	assert_int_equal(audit_logs_open(&options, &logs, &world.fault), 0);
}

static int setup(void **state)
{
	(void)state;
	testing_init(&world);
	snprintf(folder, sizeof(folder), "/tmp/stoa-bill.XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(audit_signer_load(folder, "test", random_system(), &signer, &world.fault),
			 0);
	open_logs();
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	audit_logs_close(logs);
	testing_fini(&world);
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void kill_world(void)
{
	audit_logs_close(logs);
	testing_kill(&world);
	open_logs();
}

/* The bill's text, freed by the caller. */
static char *make_bill(const char *account, uint32_t month)
{
	const struct billing_bill_options options = {
		.store = world.other,
		.terms = &world.options.terms,
		.journal = world.journal,
		.logs = logs,
		.node = world.options.node,
		.currency = "USD",
		.account_name = slice_of(account),
		.month = month,
		.now_ns = TESTING_START_NS,
	};
	struct billing_bill *bill;
	struct text whole;
	struct text piece;
	bool done = false;

	text_init(&whole, 1u << 30);
	text_init(&piece, 1u << 30);
	if (billing_bill_open(&options, &bill, &world.fault) < 0)
		fail_msg("%s", world.fault.text);
	while (!done) {
		text_clear(&piece);
		if (billing_bill_next(bill, &piece, &done, &world.fault) < 0)
			fail_msg("%s", world.fault.text);
		text_append(&whole, text_slice(&piece));
	}
	billing_bill_close(bill);
	text_fini(&piece);
	return whole.data;
}

static struct audit_bill verify(const char *text)
{
	struct audit_complaint complaint;
	struct audit_bill bill;

	if (!audit_bill_verify(slice_of(text), &signer.key, NULL, &bill, &complaint))
		fail_msg("%s: %s\n%s", complaint.pointer, complaint.reason, text);
	return bill;
}

static void refuse(struct slice text, const char *pointer, const char *reason)
{
	struct audit_complaint complaint;
	struct audit_bill bill;

	assert_false(audit_bill_verify(text, &signer.key, NULL, &bill, &complaint));
	if (pointer != NULL)
		assert_string_equal(complaint.pointer, pointer);
	if (reason != NULL && strstr(complaint.reason, reason) == NULL)
		fail_msg("%s: %s", complaint.pointer, complaint.reason);
}

static struct billing_statement *statement_of(const char *account, uint32_t month)
{
	const struct billing_statement_query query = {.account_name = slice_of(account),
						      .month = month};
	struct billing_statement *statement;

	assert_int_equal(billing_statement_make(world.other, &world.options.terms, &query,
						&statement, &world.fault),
			 0);
	return statement;
}

/* Makes, verifies and compares with the statement; returns the records. */
static uint64_t check_bill(const char *account, uint32_t month)
{
	char *text = make_bill(account, month);
	const struct audit_bill bill = verify(text);
	struct billing_statement *statement = statement_of(account, month);

	assert_string_equal(bill.account, account);
	assert_int_equal(bill.month, month);
	assert_int_equal(bill.total_nano, statement->total_nano);
	assert_int_equal(bill.lines, statement->line_count);
	billing_statement_free(statement);
	free(text);
	return bill.calls;
}

/* ---- single months ---- */

static void prepare(void)
{
	struct rating_plan plan = testing_unit_plan(5 * TESTING_CENT, 3);

	plan.price_count = 2;
	plan.prices[1] = (struct rating_price){
		.meter = RATING_UNIT_0,
		.model = RATING_GRADUATED,
		.free_units = 10,
		.tier_count = 2,
		.tiers = {{.up_to = 100, .rate = {10, 3}}, {.up_to = INT64_MAX, .rate = {1, 1}}}};
	struct testing_subscription *first = testing_subscribe(&world, "anna", "pix", &plan);
	struct testing_subscription *second = testing_subscribe(&world, "bert", "pix", &plan);
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){3, 2};
	testing_fund(&world, "anna", 100 * AMOUNT_NANO_PER_UNIT);
	testing_fund(&world, "bert", 100 * AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	for (int i = 0; i < 9; i++) {
		struct testing_call call = {.subscription = i % 3 == 0 ? second : first,
					    .status = 200,
					    .request_bytes = 100,
					    .units = {(uint64_t)(7 * i)}};
		testing_settle(&world, &call, i % 2);
	}
	testing_post(&world);
}

static void a_bill_verifies_for_consumer_provider_and_operator(void **state)
{
	(void)state;
	prepare();
	assert_int_equal(check_bill("anna", MONTH), 6);
	assert_int_equal(check_bill("bert", MONTH), 3);
	assert_int_equal(check_bill("pix", MONTH), 9);
	assert_int_equal(check_bill("operator", MONTH), 9);
	assert_int_equal(check_bill("anna", MONTH + 1), 0);
}

static void every_flipped_bit_is_found(void **state)
{
	const struct rating_plan plan = testing_unit_plan(5 * TESTING_CENT, 3);

	(void)state;
	testing_start(&world);
	testing_call(&world, testing_subscribe(&world, "anna", "pix", &plan), 0);
	testing_call(&world, testing_subscribe(&world, "bert", "pix", &plan), 0);
	testing_post(&world);
	char *text = make_bill("anna", MONTH);
	const size_t length = strlen(text);
	verify(text);
	for (size_t i = 0; i < length; i++) {
		for (int bit = 0; bit < 8; bit++) {
			text[i] ^= (char)(1 << bit);
			refuse(slice_make(text, length), NULL, NULL);
			text[i] ^= (char)(1 << bit);
		}
	}
	for (size_t i = 0; i < length; i++)
		refuse(slice_make(text, i), NULL, NULL);
	free(text);
}

/* ---- a cloud that lies: it changes the bill and signs it again ---- */

static char *sign_again(const char *text)
{
	const char *end = strstr(text, AUDIT_BILL_SIGNATURE);
	struct audit_hasher *hasher = audit_hasher_new();
	char digest[AUDIT_HASH_TEXT_MAX];
	struct text said;
	struct text note;
	struct text whole;

	assert_non_null(end);
	const struct slice covered = slice_make(text, (size_t)(end - text));
	audit_hash_begin(hasher);
	audit_hash_add(hasher, covered);
	const struct audit_hash hash = audit_hash_end(hasher);
	audit_hasher_free(hasher);
	audit_hash_format(&hash, digest);
	text_init(&said, 4096);
	text_init(&note, 4096);
	text_init(&whole, 1u << 30);
	text_printf(&said, "test/bill\nanna 2026-11\n%s\n", digest);
	audit_note_sign(&signer, text_slice(&said), &note);
	text_append(&whole, covered);
	text_append_text(&whole, AUDIT_BILL_SIGNATURE "\"");
	for (size_t i = 0; i < note.length; i++)
		text_append(&whole,
			    note.data[i] == '\n' ? slice_of("\\n") : slice_make(&note.data[i], 1));
	text_append_text(&whole, "\"}\n");
	text_fini(&said);
	text_fini(&note);
	return whole.data;
}

/* The text with the `which`-th `from` (from 0 on) replaced. */
static char *replace(const char *text, const char *from, const char *to, int which)
{
	const char *at = strstr(text, from);
	struct text whole;

	while (at != NULL && which-- > 0)
		at = strstr(at + 1, from);
	if (at == NULL)
		fail_msg("the bill has no %s", from);
	text_init(&whole, 1u << 30);
	text_append(&whole, slice_make(text, (size_t)(at - text)));
	text_append_text(&whole, to);
	text_append_text(&whole, at + strlen(from));
	return whole.data;
}

static void lie(const char *text, const char *from, const char *to, int which, const char *pointer,
		const char *reason)
{
	char *changed = replace(text, from, to, which);
	char *again = sign_again(changed);

	refuse(slice_of(again), pointer, reason);
	free(changed);
	free(again);
}

static void what_is_signed_again_is_found_where_it_does_not_fit(void **state)
{
	(void)state;
	prepare();
	char *text = make_bill("anna", MONTH);
	char *same = sign_again(text);
	verify(same);
	free(same);
	lie(text, "\"quantity\":6", "\"quantity\":7", 0, "/lines/0/quantity",
	    "the records come to 6");
	lie(text, "\"amount\":\"0.10\"", "\"amount\":\"0.11\"", 0, "/lines/0/amount",
	    "the quantity comes to 0.10");
	lie(text, "\"nano\":50000000", "\"nano\":50000001", 0, "/lines/0/amount", NULL);
	lie(text, "\"free\":10", "\"free\":0", 0, "/lines/1/amount", NULL);
	lie(text, "\"up_to\":100", "\"up_to\":10", 0, "/lines/1/amount", NULL);
	lie(text, "\"calls\":{\"nano\":3", "\"calls\":{\"nano\":4", 0, "/lines/2/amount", NULL);
	lie(text, "\"total\":\"", "\"total\":\"1", 0, "/total", "the lines come to 0.10");
	lie(text, "\"model\":\"unit\"", "\"model\":\"flat\"", 0, NULL, NULL);
	lie(text, "\"account\":{\"id\":", "\"account\":{\"id\":7", 0, NULL,
	    "none of the bill's subscriptions");
	lie(text, "\"name\":\"anna\"", "\"name\":\"bert\"", 0, "/subscriptions/0",
	    "it is none of anna");
	lie(text, "\"period\":\"2026-11\"", "\"period\":\"2026-10\"", 0, NULL,
	    "the call is of another month");
	lie(text, "\"starts\":[0]", "\"starts\":[]", 0, "/streams/0/starts", NULL);
	lie(text, "\"starts\":[0]", "\"starts\":[-1]", 0, "/streams/0/starts", NULL);
	lie(text, "\"late\":[]", "\"late\":[{\"position\":0,\"phase\":9}]", 0, "/streams/0/late/0",
	    "not among the phases");
	lie(text, "\"card\":1,\"fee", "\"card\":2,\"fee", 0, "/phases/0", "not among the cards");
	free(text);
}

/* The item of the stream's tree that begins at `*at`: its text, quotes and comma included. */
static char *item_at(const char *at)
{
	const char *end = strchr(at + 1, '"') + 1;

	if (*end == ',')
		end++;
	return strndup(at, (size_t)(end + (*end == '\n') - at));
}

static void records_that_are_left_out_doubled_or_moved_are_found(void **state)
{
	(void)state;
	prepare();
	char *text = make_bill("anna", MONTH);
	int found = 0;
	for (const char *at = strstr(text, "\"tree\":["); (at = strstr(at, "\n\"")) != NULL;) {
		at++;
		char *item = item_at(at);
		if (strncmp(item, "\"streams", 8) == 0 || strlen(item) < 40) {
			free(item);
			continue;
		}
		found++;
		char twice[1024];
		snprintf(twice, sizeof(twice), "%s%s%s", item, strchr(item, ',') ? "" : ",", item);
		char *left_out = replace(text, item, "", 0);
		char *doubled = replace(text, item, twice, 0);
		char *left_out_again = sign_again(left_out);
		char *doubled_again = sign_again(doubled);
		refuse(slice_of(left_out_again), NULL, NULL);
		refuse(slice_of(doubled_again), NULL, NULL);
		free(item);
		free(left_out);
		free(doubled);
		free(left_out_again);
		free(doubled_again);
	}
	assert_true(found >= 6);
	free(text);
}

static void a_bill_of_another_cloud_or_format_is_refused(void **state)
{
	struct audit_signer other;
	struct audit_complaint complaint;
	struct audit_bill bill;

	(void)state;
	prepare();
	char *text = make_bill("anna", MONTH);
	other = signer;
	snprintf(other.key.name, sizeof(other.key.name), "other");
	assert_false(audit_bill_verify(slice_of(text), &other.key, NULL, &bill, &complaint));
	assert_string_equal(complaint.pointer, "/cloud");
	other = signer;
	other.key.public_key[0] ^= 1;
	assert_false(audit_bill_verify(slice_of(text), &other.key, NULL, &bill, &complaint));
	assert_string_equal(complaint.pointer, "/streams/0/checkpoint");
	lie(text, "stoa-bill/1", "stoa-bill/2", 0, "/format", NULL);
	refuse(slice_of(""), "", NULL);
	refuse(slice_of("[]"), "", NULL);
	refuse(slice_of("{}"), "/format", NULL);
	refuse(slice_of("{\"format\":\"stoa-bill/1\""), "/cloud", NULL);
	free(text);
}

/* ---- months that are not simple ---- */

static void a_month_with_changing_rate_cards_verifies(void **state)
{
	const struct rating_plan plan = testing_unit_plan(101, 3);
	struct testing_subscription *subscription = testing_subscribe(&world, "anna", "pix", &plan);
	const struct rating_rate rates[] = {{1, 2}, {7, 1}, {1, 2}, {0, 1}};

	(void)state;
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	for (int i = 0; i < 4; i++) {
		world.options.card.of[RATING_CLOUD_CALLS] = rates[i];
		world.options.fee_ppm = i % 2 == 0 ? 30000 : 123456;
		if (i == 0)
			testing_start(&world);
		else
			kill_world();
		for (int k = 0; k < 3 + i; k++)
			testing_call(&world, subscription, (uint32_t)k % 2);
	}
	testing_post(&world);
	assert_int_equal(check_bill("anna", MONTH), 18);
	assert_int_equal(check_bill("pix", MONTH), 18);
	assert_int_equal(check_bill("operator", MONTH), 18);
}

static void parked_records_are_on_the_bill_once_they_are_charged(void **state)
{
	const struct rating_plan plan = testing_unit_plan(100, 1);
	struct testing_subscription *subscription = testing_subscribe(&world, "anna", "pix", &plan);

	(void)state;
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){1, 2};
	testing_fund(&world, "anna", AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	testing_call(&world, subscription, 0);
	testing_post(&world);
	kill_world(); /* the poster forgets the terms */
	world.terms_hidden = true;
	testing_call(&world, subscription, 0);
	testing_call(&world, subscription, 1);
	testing_post(&world);
	assert_int_equal(testing_counts(&world).parked, 2);
	world.terms_hidden = false;
	assert_int_equal(check_bill("anna", MONTH), 1);
	/* Another card, under which they are charged in the end. */
	world.terms_hidden = true;
	world.options.card.of[RATING_CLOUD_CALLS] = (struct rating_rate){9, 1};
	world.options.fee_ppm = 500000;
	kill_world();
	world.terms_hidden = false;
	testing_call(&world, subscription, 0);
	testing_post(&world);
	kill_world();
	testing_post(&world);
	assert_int_equal(testing_counts(&world).parked, 0);
	assert_int_equal(check_bill("anna", MONTH), 4);
	assert_int_equal(check_bill("pix", MONTH), 4);
	char *text = make_bill("anna", MONTH);
	lie(text, "{\"position\":1,\"phase\":2}", "{\"position\":1,\"phase\":1}", 0,
	    "/lines/1/amount", NULL);
	free(text);
}

static void what_is_owed_is_on_the_bill(void **state)
{
	const struct rating_plan plan = testing_unit_plan(100, 1);
	struct testing_subscription *subscription = testing_subscribe(&world, "anna", "pix", &plan);

	(void)state;
	testing_fund(&world, "anna", 150);
	testing_start(&world);
	for (int i = 0; i < 3; i++)
		testing_call(&world, subscription, 0);
	testing_post(&world);
	assert_int_equal(check_bill("anna", MONTH), 3);
}

/* ---- random months ---- */

static struct random_seeded chance;

static uint64_t below(uint64_t bound)
{
	return random_below(&chance.random, bound);
}

static enum rating_model random_model(void)
{
	static const enum rating_model models[] = {RATING_FREE, RATING_UNIT, RATING_PACKAGE,
						   RATING_GRADUATED};

	return models[below(4)];
}

static struct rating_plan random_plan(void)
{
	struct rating_plan plan;

	do {
		/* A flat price has a meter that another one may have too. */
		const bool flat = below(3) == 0;
		plan = (struct rating_plan){.price_count = 1 + (uint32_t)below(3),
					    .max_charge_nano =
						    below(3) == 0 ? (int64_t)below(100000) : -1,
					    .bill_always = below(4) == 0};
		if (below(3) == 0)
			plan.discount_ppm = (uint32_t)below(1000001);
		if (below(3) == 0)
			plan.discount_nano = (int64_t)below(20000);
		for (uint32_t i = 0; i < plan.price_count; i++) {
			struct rating_price *price = &plan.prices[i];
			*price = (struct rating_price){
				.meter = (enum rating_meter)(3 * (flat && i > 0 ? i - 1 : i)),
				.model = flat && i == 0 ? RATING_FLAT : random_model(),
				.free_units = (int64_t)below(20),
				.rate = {(int64_t)below(3000), 1 + (int64_t)below(9)},
			};
			if (price->model != RATING_FREE && price->model != RATING_FLAT &&
			    below(3) == 0)
				price->minimum_nano = (int64_t)below(9000);
			if (price->model == RATING_GRADUATED) {
				price->tier_count = 2;
				price->tiers[0] = (struct rating_tier){1 + (int64_t)below(50),
								       {(int64_t)below(99), 7}};
				price->tiers[1] =
					(struct rating_tier){INT64_MAX, {(int64_t)below(99), 1}};
			}
		}
		for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
			plan.max_units[i] = below(2) == 0 ? (int64_t)below(500) : INT64_MAX;
	} while (!rating_plan_valid(&plan));
	return plan;
}

static void random_card(void)
{
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		world.options.card.of[i] =
			(struct rating_rate){(int64_t)below(30), 1 + (int64_t)below(9)};
	world.options.fee_ppm = (uint32_t)below(300000);
}

static void random_call(void)
{
	struct testing_call call = {
		.subscription = &world.subscriptions[below(world.subscription_count)],
		.request_bytes = below(1000),
		.response_bytes = below(1000),
		.service_us = (uint32_t)below(100000),
		.status = below(6) == 0 ? 503 : 200,
		.units = {below(600), below(600)},
		.memory_mib_us = below(100000),
		.cpu_milli_us = below(100000),
		.path = (enum rating_path)below(RATING_PATHS),
	};
	struct testing_call report = {
		.subscription = call.subscription,
		.is_report = true,
		.units = {call.units[0], call.units[1]},
	};

	testing_settle(&world, below(4) == 0 ? &report : &call, (uint32_t)below(TESTING_STREAMS));
}

static void random_months_verify_for_everybody(void **state)
{
	static const char *const accounts[] = {"anna", "bert", "carl", "operator"};
	uint64_t records = 0;

	(void)state;
	random_seeded_init(&chance, testing_seed());
	random_card();
	for (int i = 0; i < 8; i++) {
		const struct rating_plan plan = random_plan();
		testing_subscribe(&world, accounts[below(4)], accounts[below(3)], &plan);
	}
	for (int i = 0; i < 3; i++)
		testing_fund(&world, accounts[i], AMOUNT_NANO_PER_UNIT);
	testing_start(&world);
	for (int i = 0; i < 400; i++) {
		random_call();
		if (below(40) == 0)
			testing_post(&world);
		if (below(80) == 0) {
			random_card();
			kill_world();
		}
		if (below(60) == 0)
			clock_manual_advance(&world.clock, 10 * 86400 * CLOCK_NS_PER_S);
	}
	testing_post(&world);
	for (uint32_t month = MONTH; month < MONTH + 12; month++) {
		for (int i = 0; i < 4; i++)
			records += check_bill(accounts[i], month);
	}
	assert_true(records > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_bill_verifies_for_consumer_provider_and_operator),
		TEST(every_flipped_bit_is_found),
		TEST(what_is_signed_again_is_found_where_it_does_not_fit),
		TEST(records_that_are_left_out_doubled_or_moved_are_found),
		TEST(a_bill_of_another_cloud_or_format_is_refused),
		TEST(a_month_with_changing_rate_cards_verifies),
		TEST(parked_records_are_on_the_bill_once_they_are_charged),
		TEST(what_is_owed_is_on_the_bill),
		TEST(random_months_verify_for_everybody),
		TEST(random_months_verify_for_everybody),
		TEST(random_months_verify_for_everybody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

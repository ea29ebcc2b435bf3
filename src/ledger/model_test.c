/*
 * Random load against an independent model: two plain arrays, searched from the start, and the
 * rules written down once more, from TigerBeetle's documentation. The model predicts the outcome
 * of every transfer and every balance.
 */
#include "ledger/ledger.h"

#include <inttypes.h>
#include <pthread.h>

#include "base/random.h"
#include "ledger/ledger_testing.h"

#define ACCOUNTS       10
#define MONEY_ACCOUNTS 7
#define TRANSFERS_MAX  4000
#define BATCH_MAX      48
#define BATCHES        500
#define S              LEDGER_TESTING_S_NS

/* ---- the model ---- */

struct model_account {
	uint32_t ledger;
	uint32_t flags;
	__int128 debits_pending, debits_posted, credits_pending, credits_posted;
};

struct model_transfer {
	struct ledger_transfer t;
	enum { MOVED, WAITING, WAS_POSTED, WAS_VOIDED, TIMED_OUT } end;
	uint64_t due_ns; /* 0: never */
};

struct model {
	struct model_account accounts[ACCOUNTS + 1]; /* by id; 0 is nobody */
	struct model_transfer transfers[TRANSFERS_MAX];
	size_t count;
};

static struct model_transfer *model_find(struct model *model, struct ledger_transfer_id id)
{
	for (size_t index = 0; index < model->count; index++) {
		if (ledger_transfer_id_equal(model->transfers[index].t.id, id))
			return &model->transfers[index];
	}
	return NULL;
}

/* The transfer with what it takes over from the pending one. */
static struct ledger_transfer model_filled(struct ledger_transfer t,
					   const struct ledger_transfer *pending)
{
	t.debit = t.debit.value == 0 ? pending->debit : t.debit;
	t.credit = t.credit.value == 0 ? pending->credit : t.credit;
	t.kind = t.kind == 0 ? pending->kind : t.kind;
	t.subscription = t.subscription.value == 0 ? pending->subscription : t.subscription;
	t.period = t.period == 0 ? pending->period : t.period;
	if ((t.flags & LEDGER_VOID) != 0 && t.amount_nano == 0)
		t.amount_nano = pending->amount_nano;
	if ((t.flags & LEDGER_VOID) == 0 && t.amount_nano == INT64_MAX)
		t.amount_nano = pending->amount_nano;
	return t;
}

static enum ledger_outcome model_repeat(struct model *model, struct ledger_transfer t,
					const struct ledger_transfer *before)
{
	if ((before->flags & (LEDGER_POST | LEDGER_VOID)) != 0)
		t = model_filled(t, &model_find(model, before->pending_id)->t);
	t.created_ns = before->created_ns;
	t.sequence = before->sequence;
	const bool same =
		t.debit.value == before->debit.value && t.credit.value == before->credit.value &&
		t.kind == before->kind && t.amount_nano == before->amount_nano &&
		t.flags == before->flags && t.pending_id.low == before->pending_id.low &&
		t.pending_id.high == before->pending_id.high && t.timeout_s == before->timeout_s &&
		t.period == before->period && t.subscription.value == before->subscription.value;
	return same ? LEDGER_EXISTS : LEDGER_EXISTS_WITH_DIFFERENT;
}

static enum ledger_outcome model_resolve(struct model *model, struct ledger_transfer t,
					 uint64_t now_ns)
{
	struct model_transfer *pending = model_find(model, t.pending_id);
	if (pending == NULL)
		return LEDGER_PENDING_NOT_FOUND;
	if (pending->end == MOVED)
		return LEDGER_PENDING_NOT_PENDING;
	t = model_filled(t, &pending->t);
	if (t.debit.value != pending->t.debit.value)
		return LEDGER_PENDING_DIFFERENT_DEBIT;
	if (t.credit.value != pending->t.credit.value)
		return LEDGER_PENDING_DIFFERENT_CREDIT;
	if (t.kind != pending->t.kind)
		return LEDGER_PENDING_DIFFERENT_KIND;
	if (t.amount_nano > pending->t.amount_nano)
		return LEDGER_EXCEEDS_PENDING;
	const bool posts = (t.flags & LEDGER_POST) != 0;
	if (!posts && t.amount_nano < pending->t.amount_nano)
		return LEDGER_PENDING_DIFFERENT_AMOUNT;
	if (pending->end == WAS_POSTED)
		return LEDGER_ALREADY_POSTED;
	if (pending->end == WAS_VOIDED)
		return LEDGER_ALREADY_VOIDED;
	if (pending->end == TIMED_OUT || (pending->due_ns > 0 && now_ns >= pending->due_ns))
		return LEDGER_EXPIRED;
	struct model_account *debit = &model->accounts[t.debit.value];
	struct model_account *credit = &model->accounts[t.credit.value];
	if (posts && (debit->flags & LEDGER_CLOSED) != 0)
		return LEDGER_DEBIT_ACCOUNT_CLOSED;
	if (posts && (credit->flags & LEDGER_CLOSED) != 0)
		return LEDGER_CREDIT_ACCOUNT_CLOSED;
	debit->debits_pending -= pending->t.amount_nano;
	credit->credits_pending -= pending->t.amount_nano;
	debit->debits_posted += posts ? t.amount_nano : 0;
	credit->credits_posted += posts ? t.amount_nano : 0;
	pending->end = posts ? WAS_POSTED : WAS_VOIDED;
	model->transfers[model->count++] = (struct model_transfer){.t = t, .end = MOVED};
	return LEDGER_CREATED;
}

static enum ledger_outcome model_move(struct model *model, struct ledger_transfer t,
				      uint64_t now_ns)
{
	const bool waits = (t.flags & LEDGER_PENDING) != 0;
	if (t.debit.value == t.credit.value)
		return LEDGER_ACCOUNTS_SAME;
	if (t.debit.value == 0 || t.debit.value > ACCOUNTS)
		return LEDGER_DEBIT_ACCOUNT_NOT_FOUND;
	if (t.credit.value == 0 || t.credit.value > ACCOUNTS)
		return LEDGER_CREDIT_ACCOUNT_NOT_FOUND;
	struct model_account *debit = &model->accounts[t.debit.value];
	struct model_account *credit = &model->accounts[t.credit.value];
	if (debit->ledger != credit->ledger)
		return LEDGER_LEDGERS_DIFFER;
	if ((debit->flags & LEDGER_CLOSED) != 0)
		return LEDGER_DEBIT_ACCOUNT_CLOSED;
	if ((credit->flags & LEDGER_CLOSED) != 0)
		return LEDGER_CREDIT_ACCOUNT_CLOSED;
	const __int128 debits = debit->debits_pending + debit->debits_posted + t.amount_nano;
	const __int128 credits = credit->credits_pending + credit->credits_posted + t.amount_nano;
	if (debits > INT64_MAX)
		return LEDGER_OVERFLOWS_DEBITS;
	if (credits > INT64_MAX)
		return LEDGER_OVERFLOWS_CREDITS;
	if ((debit->flags & LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS) != 0 &&
	    debits > debit->credits_posted)
		return LEDGER_EXCEEDS_CREDITS;
	if ((credit->flags & LEDGER_CREDITS_MUST_NOT_EXCEED_DEBITS) != 0 &&
	    credits > credit->debits_posted)
		return LEDGER_EXCEEDS_DEBITS;
	*(waits ? &debit->debits_pending : &debit->debits_posted) += t.amount_nano;
	*(waits ? &credit->credits_pending : &credit->credits_posted) += t.amount_nano;
	model->transfers[model->count++] = (struct model_transfer){
		.t = t,
		.end = waits ? WAITING : MOVED,
		.due_ns = t.timeout_s > 0 ? now_ns + t.timeout_s * S : 0,
	};
	return LEDGER_CREATED;
}

static enum ledger_outcome model_one(struct model *model, const struct ledger_transfer *t,
				     uint64_t now_ns)
{
	const bool resolves = (t->flags & (LEDGER_POST | LEDGER_VOID)) != 0;
	const bool has_pending = t->pending_id.high != 0 || t->pending_id.low != 0;
	const int phases =
		__builtin_popcount(t->flags & (LEDGER_PENDING | LEDGER_POST | LEDGER_VOID));
	if (t->id.high == 0 && t->id.low == 0)
		return LEDGER_ID_MISSING;
	const struct model_transfer *before = model_find(model, t->id);
	if (before != NULL)
		return model_repeat(model, *t, &before->t);
	if (t->flags >= 16)
		return LEDGER_FLAGS_UNKNOWN;
	if (phases > 1)
		return LEDGER_FLAGS_EXCLUSIVE;
	if (t->kind > LEDGER_KIND_CREDIT || (t->kind == 0 && !resolves))
		return LEDGER_KIND_UNKNOWN;
	if (has_pending != resolves)
		return resolves ? LEDGER_PENDING_ID_MISSING : LEDGER_PENDING_ID_UNEXPECTED;
	if (resolves && ledger_transfer_id_equal(t->id, t->pending_id))
		return LEDGER_PENDING_ID_IS_OWN;
	if (t->timeout_s > 0 && (t->flags & LEDGER_PENDING) == 0)
		return LEDGER_TIMEOUT_UNEXPECTED;
	if (t->amount_nano < 0 || (t->amount_nano == 0 && (t->flags & LEDGER_VOID) == 0))
		return LEDGER_AMOUNT_NOT_POSITIVE;
	return resolves ? model_resolve(model, *t, now_ns) : model_move(model, *t, now_ns);
}

static void model_batch(struct model *model, const struct ledger_transfer *transfers, size_t count,
			uint64_t now_ns, enum ledger_outcome *outcomes)
{
	static struct model saved;

	for (size_t first = 0, end; first < count; first = end) {
		for (end = first; end < count && (transfers[end].flags & LEDGER_LINKED) != 0; end++)
			;
		const bool open = end == count;
		size_t failed = open ? count - 1 : SIZE_MAX;
		enum ledger_outcome outcome = LEDGER_LINKED_CHAIN_OPEN;
		end += !open;
		if (end - first > 1)
			saved = *model;
		for (size_t index = first; index < end && failed == SIZE_MAX; index++) {
			outcome = model_one(model, &transfers[index], now_ns);
			if (outcome != LEDGER_CREATED)
				failed = index;
		}
		if (failed != SIZE_MAX && !open && end - first > 1)
			*model = saved;
		for (size_t index = first; index < end; index++)
			outcomes[index] = failed == SIZE_MAX ? LEDGER_CREATED
					  : failed == index  ? outcome
							     : LEDGER_LINKED_FAILED;
	}
}

static void model_expire(struct model *model, uint64_t now_ns)
{
	for (size_t index = 0; index < model->count; index++) {
		struct model_transfer *waiting = &model->transfers[index];
		if (waiting->end != WAITING || waiting->due_ns == 0 || waiting->due_ns > now_ns)
			continue;
		waiting->end = TIMED_OUT;
		model->accounts[waiting->t.debit.value].debits_pending -= waiting->t.amount_nano;
		model->accounts[waiting->t.credit.value].credits_pending -= waiting->t.amount_nano;
	}
}

/* ---- the load ---- */

struct bench {
	struct ledger_testing testing;
	struct random_seeded random;
	uint64_t now_ns;
	uint64_t next_id;
	struct model model;
};

static uint64_t below(struct bench *bench, uint64_t bound)
{
	return random_below(&bench->random.random, bound);
}

static struct ledger_account_id random_account(struct bench *bench)
{
	return (struct ledger_account_id){1 + below(bench, ACCOUNTS)};
}

/* Mostly of the same ledger. */
static struct ledger_account_id random_partner(struct bench *bench, struct ledger_account_id other)
{
	if (below(bench, 20) == 0)
		return random_account(bench);
	if (other.value <= MONEY_ACCOUNTS)
		return (struct ledger_account_id){1 + below(bench, MONEY_ACCOUNTS)};
	return (struct ledger_account_id){1 + MONEY_ACCOUNTS +
					  below(bench, ACCOUNTS - MONEY_ACCOUNTS)};
}

static struct ledger_transfer_id random_past_id(struct bench *bench)
{
	if (bench->model.count == 0 || below(bench, 30) == 0)
		return (struct ledger_transfer_id){9, 9};
	/* Mostly a recent one. */
	const size_t reach = below(bench, 4) == 0 ? bench->model.count : 40;
	const size_t back = below(bench, reach < bench->model.count ? reach : bench->model.count);
	return bench->model.transfers[bench->model.count - 1 - back].t.id;
}

static int64_t random_amount(struct bench *bench)
{
	switch (below(bench, 12)) {
	case 0:
		return (int64_t)below(bench, INT64_MAX);
	case 1:
		return below(bench, 3) == 0 ? INT64_MAX : (int64_t)below(bench, 2);
	default:
		return 1 + (int64_t)below(bench, 1000);
	}
}

/* One field of it, any. */
static void spoil(struct bench *bench, struct ledger_transfer *t)
{
	switch (below(bench, 10)) {
	case 0:
		t->debit.value = below(bench, ACCOUNTS + 3);
		break;
	case 1:
		t->credit.value = below(bench, ACCOUNTS + 3);
		break;
	case 2:
		t->amount_nano = (int64_t)below(bench, 5) - 2;
		break;
	case 3:
		t->kind = (enum ledger_kind)below(bench, LEDGER_KIND_CREDIT + 2);
		break;
	case 4:
		t->flags ^= 1u << below(bench, 5);
		break;
	case 5:
		t->pending_id = random_past_id(bench);
		break;
	case 6:
		t->timeout_s = (uint32_t)below(bench, 3);
		break;
	case 7:
		t->subscription.value = below(bench, 3);
		break;
	case 8:
		t->period = (uint32_t)below(bench, 3);
		break;
	default:
		t->id = below(bench, 4) == 0 ? (struct ledger_transfer_id){0} : t->pending_id;
		break;
	}
}

static struct ledger_transfer random_transfer(struct bench *bench)
{
	struct ledger_transfer t = {
		.id = ledger_transfer_id_derive(LEDGER_KIND_USAGE, ++bench->next_id, 0, 0),
		.amount_nano = random_amount(bench),
	};
	const uint64_t what = below(bench, 20);

	if (what < 3 && bench->model.count > 0) {
		t = model_find(&bench->model, random_past_id(bench)) == NULL
			    ? bench->model.transfers[0].t
			    : bench->model.transfers[below(bench, bench->model.count)].t;
	} else if (what < 8) {
		t.flags = below(bench, 2) == 0 ? LEDGER_POST : LEDGER_VOID;
		t.pending_id = random_past_id(bench);
		if (below(bench, 2) == 0)
			t.amount_nano = (t.flags & LEDGER_VOID) != 0 ? 0 : LEDGER_AMOUNT_ALL;
	} else {
		t.debit = random_account(bench);
		t.credit = random_partner(bench, t.debit);
		t.kind = (enum ledger_kind)(1 + below(bench, LEDGER_KIND_CREDIT));
		t.subscription.value = below(bench, 3);
		t.period = (uint32_t)below(bench, 3);
		t.flags = what < 14 ? LEDGER_PENDING : 0;
		t.timeout_s = what < 11 ? (uint32_t)below(bench, 4) : 0;
	}
	if (below(bench, 6) == 0)
		t.flags |= LEDGER_LINKED;
	if (below(bench, 12) == 0)
		spoil(bench, &t);
	return t;
}

static size_t random_batch(struct bench *bench, struct ledger_transfer *transfers)
{
	const size_t count = below(bench, BATCH_MAX) + 1;

	for (size_t index = 0; index < count; index++) {
		transfers[index] = random_transfer(bench);
		/* And what refers to its own batch. */
		if (index > 0 && below(bench, 8) == 0)
			transfers[index] = (struct ledger_transfer){
				.id = transfers[index].id,
				.amount_nano = LEDGER_AMOUNT_ALL,
				.flags = LEDGER_POST | (transfers[index].flags & LEDGER_LINKED),
				.pending_id = transfers[below(bench, index)].id,
			};
		if (index > 0 && below(bench, 20) == 0)
			transfers[index] = transfers[below(bench, index)];
	}
	return count;
}

static void compare_balances(struct bench *bench)
{
	for (uint64_t id = 1; id <= ACCOUNTS; id++) {
		const struct model_account *model = &bench->model.accounts[id];
		const struct ledger_account is =
			ledger_testing_get(&bench->testing, (struct ledger_account_id){id});
		assert_true(is.debits_pending_nano == model->debits_pending);
		assert_true(is.debits_posted_nano == model->debits_posted);
		assert_true(is.credits_pending_nano == model->credits_pending);
		assert_true(is.credits_posted_nano == model->credits_posted);
		assert_int_equal(is.flags, model->flags);
	}
}

static void compare_outcomes(const struct ledger_transfer *transfers, size_t count,
			     const enum ledger_outcome *is, const enum ledger_outcome *expected)
{
	for (size_t index = 0; index < count; index++) {
		if (is[index] != expected[index])
			fail_msg("transfer %zu of %zu (flags %u, amount %" PRId64
				 "): %s, the model says %s",
				 index, count, transfers[index].flags, transfers[index].amount_nano,
				 ledger_outcome_name(is[index]),
				 ledger_outcome_name(expected[index]));
	}
}

static void set_up_accounts(struct bench *bench)
{
	static const uint32_t flags[ACCOUNTS + 1] = {
		0,
		0,
		LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS,
		LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS,
		LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS,
		0,
		LEDGER_CREDITS_MUST_NOT_EXCEED_DEBITS,
		0,
		0,
		LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS,
		0,
	};

	for (uint64_t id = 1; id <= ACCOUNTS; id++) {
		char name[16];
		snprintf(name, sizeof(name), "account-%" PRIu64, id);
		bench->model.accounts[id].ledger =
			id <= MONEY_ACCOUNTS ? LEDGER_MONEY : LEDGER_BUDGETS;
		bench->model.accounts[id].flags = flags[id];
		assert_int_equal(ledger_testing_account(&bench->testing,
							bench->model.accounts[id].ledger, name,
							flags[id])
					 .value,
				 id);
	}
}

static int set_up(void **state)
{
	static struct bench bench;
	const char *given = getenv("STOA_TEST_SEED");
	uint64_t seed = 0;

	memset(&bench, 0, sizeof(bench));
	if (given == NULL || !slice_to_u64(slice_of(given), UINT64_MAX, &seed))
		seed = random_u64(random_system());
	print_message("STOA_TEST_SEED=%" PRIu64 "\n", seed);
	random_seeded_init(&bench.random, seed);
	bench.now_ns = LEDGER_TESTING_NOW_NS;
	ledger_testing_init(&bench.testing);
	set_up_accounts(&bench);
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(ledger_testing_audit(&bench->testing).accounts, ACCOUNTS);
	ledger_testing_fini(&bench->testing);
	return 0;
}

/* Accounts are closed and opened, time goes on, what is due expires. */
static void world_turn(struct bench *bench)
{
	struct ledger_testing *testing = &bench->testing;

	bench->now_ns += below(bench, S);
	if (below(bench, 4) == 0) {
		size_t count;
		do {
			ledger_testing_good(testing,
					    ledger_transfers_expire(testing->ledger, bench->now_ns,
								    1 + below(bench, 5), &count,
								    &testing->fault));
		} while (count > 0);
		model_expire(&bench->model, bench->now_ns);
	}
	if (below(bench, 8) == 0) {
		const struct ledger_account_id id = random_account(bench);
		const bool closed = below(bench, 3) == 0;
		uint32_t *flags = &bench->model.accounts[id.value].flags;
		ledger_testing_good(testing, ledger_account_close(testing->ledger, id, closed,
								  &testing->fault));
		*flags = closed ? *flags | LEDGER_CLOSED : *flags & ~(uint32_t)LEDGER_CLOSED;
	}
}

static void the_model_predicts_every_outcome_and_balance(void **state)
{
	static struct model saved;
	static size_t told[LEDGER_OUTCOMES_COUNT];
	struct bench *bench = *state;
	struct ledger_transfer transfers[BATCH_MAX];
	enum ledger_outcome is[BATCH_MAX];
	enum ledger_outcome expected[BATCH_MAX];

	for (unsigned round = 0; round < BATCHES && bench->model.count < TRANSFERS_MAX - BATCH_MAX;
	     round++) {
		const bool rolled_back = below(bench, 10) == 0;
		const size_t count = random_batch(bench, transfers);
		saved = bench->model;
		ledger_testing_begin(&bench->testing);
		world_turn(bench);
		model_batch(&bench->model, transfers, count, bench->now_ns, expected);
		ledger_testing_good(&bench->testing,
				    ledger_transfers_create(bench->testing.ledger, transfers, count,
							    bench->now_ns, is,
							    &bench->testing.fault));
		compare_outcomes(transfers, count, is, expected);
		compare_balances(bench);
		if (rolled_back) {
			store_rollback(bench->testing.store);
			bench->model = saved;
			compare_balances(bench);
		} else {
			ledger_testing_commit(&bench->testing);
		}
		for (size_t index = 0; index < count; index++)
			told[is[index]]++;
	}
	for (int outcome = 0; outcome < LEDGER_OUTCOMES_COUNT; outcome++)
		print_message("%8zu %s\n", told[outcome],
			      ledger_outcome_name((enum ledger_outcome)outcome));
	assert_int_equal(ledger_testing_audit(&bench->testing).transfers, bench->model.count);
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM(the_model_predicts_every_outcome_and_balance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

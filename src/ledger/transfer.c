/*
 * The rules: what makes a transfer stand, be refused, or exist already. Everything here works on
 * the batch's working set; nothing is written before the whole batch was examined.
 */
#include "ledger/ledger.h"

#include "base/check.h"
#include "base/clock.h"
#include "ledger/ledger_internal.h"

#define KNOWN_FLAGS    (LEDGER_LINKED | LEDGER_PENDING | LEDGER_POST | LEDGER_VOID)
#define RESOLVES_FLAGS (LEDGER_POST | LEDGER_VOID)

static int all_apply(struct batch *batch, const struct ledger_transfer *transfers, size_t count,
		     uint64_t now_ns, enum ledger_outcome *outcomes, struct fault *fault);
static int chain_apply(struct batch *batch, const struct ledger_transfer *transfers, size_t count,
		       uint64_t now_ns, enum ledger_outcome *outcomes, struct fault *fault);
static int one_apply(struct batch *batch, const struct ledger_transfer *transfer, uint64_t now_ns,
		     enum ledger_outcome *ret_outcome, struct fault *fault);
static enum ledger_outcome shape_examine(const struct ledger_transfer *transfer);
static int existing_compare(struct batch *batch, const struct ledger_transfer *transfer,
			    const struct ledger_transfer *existing,
			    enum ledger_outcome *ret_outcome, struct fault *fault);
static int move_apply(struct batch *batch, const struct ledger_transfer *transfer, uint64_t now_ns,
		      enum ledger_outcome *ret_outcome, struct fault *fault);
static int resolve_apply(struct batch *batch, const struct ledger_transfer *transfer,
			 uint64_t now_ns, enum ledger_outcome *ret_outcome, struct fault *fault);

int ledger_transfers_create(struct ledger *ledger, const struct ledger_transfer *transfers,
			    size_t count, uint64_t now_ns, enum ledger_outcome *outcomes,
			    struct fault *fault)
{
	struct batch *batch = &ledger->batch;
	check(store_in_transaction(ledger->store));
	check(now_ns > 0 && now_ns <= INT64_MAX);

	if (count > LEDGER_BATCH_MAX)
		return fault_set(fault, FAULT_LIMIT, "a batch of %zu transfers, more than %u",
				 count, LEDGER_BATCH_MAX);
	STORE_STATEMENT account_select = NULL;
	STORE_STATEMENT transfer_select = NULL;
	int code = batch_account_select_prepare(ledger, &account_select, fault);
	if (code == 0)
		code = batch_transfer_select_prepare(ledger, &transfer_select, fault);
	if (code < 0)
		return code;
	batch_begin(batch, count);
	batch->account_select = account_select;
	batch->transfer_select = transfer_select;
	code = all_apply(batch, transfers, count, now_ns, outcomes, fault);
	if (code == 0)
		code = batch_write(ledger, now_ns, fault);
	return code;
}

static int all_apply(struct batch *batch, const struct ledger_transfer *transfers, size_t count,
		     uint64_t now_ns, enum ledger_outcome *outcomes, struct fault *fault)
{
	size_t first = 0;

	while (first < count) {
		size_t last = first;
		while (last < count && (transfers[last].flags & LEDGER_LINKED) != 0)
			last++;
		int code = 0;
		if (last == count) {
			for (size_t index = first; index < count; index++)
				outcomes[index] = LEDGER_LINKED_FAILED;
			outcomes[count - 1] = LEDGER_LINKED_CHAIN_OPEN;
			break;
		}
		code = chain_apply(batch, transfers + first, last - first + 1, now_ns,
				   outcomes + first, fault);
		if (code < 0)
			return code;
		first = last + 1;
	}
	return 0;
}

/* A transfer that is linked to nothing is a chain of one. */
static int chain_apply(struct batch *batch, const struct ledger_transfer *transfers, size_t count,
		       uint64_t now_ns, enum ledger_outcome *outcomes, struct fault *fault)
{
	const struct batch_mark mark = batch_chain_begin(batch);
	size_t index;

	for (index = 0; index < count; index++) {
		const int code =
			one_apply(batch, &transfers[index], now_ns, &outcomes[index], fault);
		if (code < 0)
			return code;
		if (outcomes[index] != LEDGER_CREATED)
			break;
	}
	if (index == count)
		return 0;
	if (count > 1)
		batch_chain_undo(batch, mark);
	for (size_t other = 0; other < count; other++) {
		if (other != index)
			outcomes[other] = LEDGER_LINKED_FAILED;
	}
	return 0;
}

static int one_apply(struct batch *batch, const struct ledger_transfer *transfer, uint64_t now_ns,
		     enum ledger_outcome *ret_outcome, struct fault *fault)
{
	struct batch_transfer *existing;

	if (transfer->id.high == 0 && transfer->id.low == 0) {
		*ret_outcome = LEDGER_ID_MISSING;
		return 0;
	}
	const int code = batch_transfer_find(batch, transfer->id, &existing, fault);
	if (code < 0)
		return code;
	if (existing != NULL)
		return existing_compare(batch, transfer, &existing->transfer, ret_outcome, fault);
	*ret_outcome = shape_examine(transfer);
	if (*ret_outcome != LEDGER_CREATED)
		return 0;
	if ((transfer->flags & RESOLVES_FLAGS) != 0)
		return resolve_apply(batch, transfer, now_ns, ret_outcome, fault);
	return move_apply(batch, transfer, now_ns, ret_outcome, fault);
}

/* What can be said of a transfer alone. */
static enum ledger_outcome shape_examine(const struct ledger_transfer *transfer)
{
	const uint32_t phase = transfer->flags & (LEDGER_PENDING | RESOLVES_FLAGS);
	const bool resolves = (transfer->flags & RESOLVES_FLAGS) != 0;
	const bool has_pending_id = transfer->pending_id.high != 0 || transfer->pending_id.low != 0;
	const bool may_be_zero = (transfer->flags & LEDGER_VOID) != 0;

	if ((transfer->flags & ~(uint32_t)KNOWN_FLAGS) != 0)
		return LEDGER_FLAGS_UNKNOWN;
	if ((phase & (phase - 1)) != 0)
		return LEDGER_FLAGS_EXCLUSIVE;
	if (ledger_kind_name(transfer->kind) == NULL && !(resolves && transfer->kind == 0))
		return LEDGER_KIND_UNKNOWN;
	if (has_pending_id && !resolves)
		return LEDGER_PENDING_ID_UNEXPECTED;
	if (!has_pending_id && resolves)
		return LEDGER_PENDING_ID_MISSING;
	if (ledger_transfer_id_equal(transfer->pending_id, transfer->id))
		return LEDGER_PENDING_ID_IS_OWN;
	if (transfer->timeout_s != 0 && (transfer->flags & LEDGER_PENDING) == 0)
		return LEDGER_TIMEOUT_UNEXPECTED;
	if (transfer->amount_nano < (may_be_zero ? 0 : 1))
		return LEDGER_AMOUNT_NOT_POSITIVE;
	if (!resolves && transfer->debit.value == transfer->credit.value)
		return LEDGER_ACCOUNTS_SAME;
	return LEDGER_CREATED;
}

/* What post and void leave out, they take over from the pending transfer. */
static struct ledger_transfer inherited(const struct ledger_transfer *transfer,
					const struct ledger_transfer *pending)
{
	struct ledger_transfer whole = *transfer;
	const int64_t all = (transfer->flags & LEDGER_VOID) != 0 ? 0 : LEDGER_AMOUNT_ALL;

	if (whole.debit.value == 0)
		whole.debit = pending->debit;
	if (whole.credit.value == 0)
		whole.credit = pending->credit;
	if (whole.kind == 0)
		whole.kind = pending->kind;
	if (whole.subscription.value == 0)
		whole.subscription = pending->subscription;
	if (whole.period == 0)
		whole.period = pending->period;
	if (whole.amount_nano == all)
		whole.amount_nano = pending->amount_nano;
	return whole;
}

static bool same_content(const struct ledger_transfer *a, const struct ledger_transfer *b)
{
	return a->debit.value == b->debit.value && a->credit.value == b->credit.value &&
	       a->amount_nano == b->amount_nano && a->kind == b->kind && a->flags == b->flags &&
	       ledger_transfer_id_equal(a->pending_id, b->pending_id) &&
	       a->timeout_s == b->timeout_s && a->subscription.value == b->subscription.value &&
	       a->period == b->period;
}

static int existing_compare(struct batch *batch, const struct ledger_transfer *transfer,
			    const struct ledger_transfer *existing,
			    enum ledger_outcome *ret_outcome, struct fault *fault)
{
	struct ledger_transfer whole = *transfer;

	if ((existing->flags & RESOLVES_FLAGS) != 0) {
		struct batch_transfer *pending;
		const int code = batch_transfer_find(batch, existing->pending_id, &pending, fault);
		if (code < 0)
			return code;
		check(pending != NULL);
		whole = inherited(transfer, &pending->transfer);
	}
	*ret_outcome =
		same_content(&whole, existing) ? LEDGER_EXISTS : LEDGER_EXISTS_WITH_DIFFERENT;
	return 0;
}

/* ---- a transfer that posts at once, or reserves ---- */

static bool exceeds(int64_t a, int64_t b, int64_t c, int64_t most)
{
	return (__int128)a + b + c > most;
}

static enum ledger_outcome limits_examine(const struct batch_account *debit,
					  const struct batch_account *credit, int64_t amount)
{
	const struct ledger_balances *of_debit = &debit->balances;
	const struct ledger_balances *of_credit = &credit->balances;

	if (exceeds(of_debit->debits_pending, of_debit->debits_posted, amount, INT64_MAX))
		return LEDGER_OVERFLOWS_DEBITS;
	if (exceeds(of_credit->credits_pending, of_credit->credits_posted, amount, INT64_MAX))
		return LEDGER_OVERFLOWS_CREDITS;
	if ((debit->flags & LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS) != 0 &&
	    exceeds(of_debit->debits_pending, of_debit->debits_posted, amount,
		    of_debit->credits_posted))
		return LEDGER_EXCEEDS_CREDITS;
	if ((credit->flags & LEDGER_CREDITS_MUST_NOT_EXCEED_DEBITS) != 0 &&
	    exceeds(of_credit->credits_pending, of_credit->credits_posted, amount,
		    of_credit->debits_posted))
		return LEDGER_EXCEEDS_DEBITS;
	return LEDGER_CREATED;
}

static enum ledger_outcome move_examine(const struct batch_account *debit,
					const struct batch_account *credit,
					const struct ledger_transfer *transfer, uint64_t now_ns)
{
	if (debit == NULL)
		return LEDGER_DEBIT_ACCOUNT_NOT_FOUND;
	if (credit == NULL)
		return LEDGER_CREDIT_ACCOUNT_NOT_FOUND;
	if (debit->ledger != credit->ledger)
		return LEDGER_LEDGERS_DIFFER;
	if ((debit->flags & LEDGER_CLOSED) != 0)
		return LEDGER_DEBIT_ACCOUNT_CLOSED;
	if ((credit->flags & LEDGER_CLOSED) != 0)
		return LEDGER_CREDIT_ACCOUNT_CLOSED;
	if (transfer->timeout_s > (INT64_MAX - now_ns) / CLOCK_NS_PER_S)
		return LEDGER_OVERFLOWS_TIMEOUT;
	return limits_examine(debit, credit, transfer->amount_nano);
}

static int move_apply(struct batch *batch, const struct ledger_transfer *transfer, uint64_t now_ns,
		      enum ledger_outcome *ret_outcome, struct fault *fault)
{
	struct batch_account *debit = NULL;
	struct batch_account *credit = NULL;

	int code = batch_account_find(batch, transfer->debit, &debit, fault);
	if (code == 0)
		code = batch_account_find(batch, transfer->credit, &credit, fault);
	if (code < 0)
		return code;
	*ret_outcome = move_examine(debit, credit, transfer, now_ns);
	if (*ret_outcome != LEDGER_CREATED)
		return 0;

	struct ledger_balances of_debit = debit->balances;
	struct ledger_balances of_credit = credit->balances;
	const bool pending = (transfer->flags & LEDGER_PENDING) != 0;
	if (pending) {
		of_debit.debits_pending += transfer->amount_nano;
		of_credit.credits_pending += transfer->amount_nano;
	} else {
		of_debit.debits_posted += transfer->amount_nano;
		of_credit.credits_posted += transfer->amount_nano;
	}
	batch_account_set(batch, debit, of_debit);
	batch_account_set(batch, credit, of_credit);

	struct batch_transfer made = {
		.transfer = *transfer,
		.state = pending ? LEDGER_STATE_PENDING : LEDGER_STATE_NONE,
		.created = true,
	};
	made.transfer.created_ns = now_ns;
	if (transfer->timeout_s != 0)
		made.expires_ns = now_ns + transfer->timeout_s * CLOCK_NS_PER_S;
	(void)batch_transfer_enter(batch, &made);
	return 0;
}

/* ---- a transfer that resolves a pending one ---- */

static enum ledger_outcome pending_examine(const struct batch_transfer *pending,
					   const struct ledger_transfer *whole, uint64_t now_ns)
{
	const struct ledger_transfer *reserved = &pending->transfer;

	if (pending->state == LEDGER_STATE_NONE)
		return LEDGER_PENDING_NOT_PENDING;
	if (whole->debit.value != reserved->debit.value)
		return LEDGER_PENDING_DIFFERENT_DEBIT;
	if (whole->credit.value != reserved->credit.value)
		return LEDGER_PENDING_DIFFERENT_CREDIT;
	if (whole->kind != reserved->kind)
		return LEDGER_PENDING_DIFFERENT_KIND;
	if (whole->amount_nano > reserved->amount_nano)
		return LEDGER_EXCEEDS_PENDING;
	if ((whole->flags & LEDGER_VOID) != 0 && whole->amount_nano != reserved->amount_nano)
		return LEDGER_PENDING_DIFFERENT_AMOUNT;
	if (pending->state == LEDGER_STATE_POSTED)
		return LEDGER_ALREADY_POSTED;
	if (pending->state == LEDGER_STATE_VOIDED)
		return LEDGER_ALREADY_VOIDED;
	if (pending->state == LEDGER_STATE_EXPIRED ||
	    (pending->expires_ns != 0 && pending->expires_ns <= now_ns))
		return LEDGER_EXPIRED;
	return LEDGER_CREATED;
}

static int resolve_apply(struct batch *batch, const struct ledger_transfer *transfer,
			 uint64_t now_ns, enum ledger_outcome *ret_outcome, struct fault *fault)
{
	const bool posts = (transfer->flags & LEDGER_POST) != 0;
	struct batch_account *debit = NULL;
	struct batch_account *credit = NULL;
	struct batch_transfer *pending;

	int code = batch_transfer_find(batch, transfer->pending_id, &pending, fault);
	if (code < 0)
		return code;
	if (pending == NULL) {
		*ret_outcome = LEDGER_PENDING_NOT_FOUND;
		return 0;
	}
	struct ledger_transfer whole = inherited(transfer, &pending->transfer);
	*ret_outcome = pending_examine(pending, &whole, now_ns);
	if (*ret_outcome != LEDGER_CREATED)
		return 0;

	code = batch_account_find(batch, whole.debit, &debit, fault);
	if (code == 0)
		code = batch_account_find(batch, whole.credit, &credit, fault);
	if (code < 0)
		return code;
	check(debit != NULL);
	check(credit != NULL);
	if (posts && (debit->flags & LEDGER_CLOSED) != 0)
		*ret_outcome = LEDGER_DEBIT_ACCOUNT_CLOSED;
	else if (posts && (credit->flags & LEDGER_CLOSED) != 0)
		*ret_outcome = LEDGER_CREDIT_ACCOUNT_CLOSED;
	if (*ret_outcome != LEDGER_CREATED)
		return 0;

	/* What is posted was pending, so neither the sums nor the limits can be exceeded. */
	struct ledger_balances of_debit = debit->balances;
	struct ledger_balances of_credit = credit->balances;
	of_debit.debits_pending -= pending->transfer.amount_nano;
	of_credit.credits_pending -= pending->transfer.amount_nano;
	of_debit.debits_posted += posts ? whole.amount_nano : 0;
	of_credit.credits_posted += posts ? whole.amount_nano : 0;
	batch_account_set(batch, debit, of_debit);
	batch_account_set(batch, credit, of_credit);
	batch_state_set(batch, pending, posts ? LEDGER_STATE_POSTED : LEDGER_STATE_VOIDED);
	whole.created_ns = now_ns;
	(void)batch_transfer_enter(batch,
				   &(struct batch_transfer){.transfer = whole, .created = true});
	return 0;
}

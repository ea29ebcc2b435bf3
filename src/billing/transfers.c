#include "billing/transfers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

static_assert(TRANSFERS_AT_ONCE <= LEDGER_BATCH_MAX, "the ledger takes them");

void transfers_init(struct transfers *transfers, const struct books *books)
{
	*transfers = (struct transfers){
		.books = books,
		.of = calloc(TRANSFERS_AT_ONCE, sizeof(*transfers->of)),
		.outcomes = calloc(TRANSFERS_AT_ONCE, sizeof(*transfers->outcomes)),
	};
	check(transfers->of != NULL && transfers->outcomes != NULL);
}

void transfers_fini(struct transfers *transfers)
{
	free(transfers->of);
	free(transfers->outcomes);
}

void transfers_begin(struct transfers *transfers, uint64_t now_ns)
{
	transfers->count = 0;
	transfers->made = 0;
	transfers->owed = 0;
	transfers->now_ns = now_ns;
}

int transfers_add(struct transfers *transfers, const struct ledger_transfer *transfer,
		  struct fault *fault)
{
	check(transfer->amount_nano >= 0);
	if (!(transfer->flags & LEDGER_VOID) &&
	    (transfer->amount_nano == 0 || transfer->debit.value == transfer->credit.value))
		return 0;
	if (transfers->count == TRANSFERS_AT_ONCE) {
		int code = transfers_flush(transfers, fault);
		if (code < 0)
			return code;
	}
	transfers->of[transfers->count++] = *transfer;
	return 0;
}

/* Once more first: what was owed before it in the batch may have brought the money. */
static int make_owed(struct transfers *transfers, const struct ledger_transfer *charge,
		     struct fault *fault)
{
	struct ledger *ledger = transfers->books->ledger;
	struct ledger_transfer owed = *charge;
	enum ledger_outcome outcome;
	int code = ledger_transfers_create(ledger, charge, 1, transfers->now_ns, &outcome, fault);

	if (code < 0 || ledger_outcome_stands(outcome))
		return code;
	code = books_owed(ledger, charge->debit, &owed.debit, fault);
	if (code == 0)
		code = books_transfer(ledger, &owed, transfers->now_ns, &outcome, fault);
	if (code < 0)
		return code;
	transfers->owed++;
	log_event(LOG_WARN, "billing.owed", log_text("kind", ledger_kind_name(charge->kind)),
		  log_number("ledger_account", (int64_t)charge->debit.value),
		  log_number("subscription", (int64_t)charge->subscription.value),
		  log_number("nano", charge->amount_nano));
	return 0;
}

static int look_at(struct transfers *transfers, const struct ledger_transfer *transfer,
		   enum ledger_outcome outcome, struct fault *fault)
{
	if (ledger_outcome_stands(outcome) ||
	    ((transfer->flags & LEDGER_VOID) && outcome == LEDGER_EXPIRED))
		return 0;
	if (transfer->flags == 0 && outcome == LEDGER_EXCEEDS_CREDITS)
		return make_owed(transfers, transfer, fault);
	return fault_set(fault, FAULT_REFUSED,
			 "the ledger refused a %s transfer of subscription %" PRIu64 ": %s",
			 transfer->flags & LEDGER_VOID ? "void" : ledger_kind_name(transfer->kind),
			 transfer->subscription.value, ledger_outcome_sentence(outcome));
}

int transfers_flush(struct transfers *transfers, struct fault *fault)
{
	const size_t count = transfers->count;

	if (count == 0)
		return 0;
	transfers->count = 0;
	int code = ledger_transfers_create(transfers->books->ledger, transfers->of, count,
					   transfers->now_ns, transfers->outcomes, fault);
	for (size_t i = 0; code == 0 && i < count; i++)
		code = look_at(transfers, &transfers->of[i], transfers->outcomes[i], fault);
	transfers->made += count;
	return code;
}

#include "billing/hledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "ledger/ledger.h"

#define ACCOUNTS_AT_ONCE  256 /* asserted in one piece, or read from the store */
#define TRANSFERS_A_PIECE 256
#define DATE_CHARACTERS   10 /* of RFC 3339: "2026-11-24" */
#define DAY_NS            (24 * 3600 * CLOCK_NS_PER_S)

enum stage { STAGE_HEAD, STAGE_OPENING, STAGE_TRANSFERS, STAGE_MONTH_END, STAGE_FINAL, STAGE_DONE };

struct entry {
	char *name;          /* as the journal has it */
	int64_t kept_nano;   /* credits less debits, as the ledger keeps them */
	int64_t folded_nano; /* as they follow from the transfers so far */
	bool moved;          /* since the last assertion */
};

struct billing_hledger {
	struct billing_hledger_options options;
	struct ledger *ledger;
	struct entry *entries; /* by the ledger account's id */
	size_t entry_count, entry_capacity;
	struct map places; /* ledger account's id -> place in entries + 1 */
	struct ledger_transfer transfers[TRANSFERS_A_PIECE];
	enum stage stage;
	size_t next_entry; /* of what is asserted now */
	uint64_t last;     /* sequence of the newest transfer that enters */
	uint64_t sequence; /* of the last one that was taken in */
	uint64_t date_ns;  /* never goes back, as assertions need it */
	bool opened;       /* from_month was reached: transfers are written */
	uint32_t month;    /* at hand, once opened */
	bool ended;        /* to_month is over */
	size_t moved;      /* entries that did in the month at hand */
	uint64_t unmoving; /* transfers that reserved or released */
};

/* ---- taking in what there is ---- */

/* The top of an account's name says what kind of account it is to hledger. */
static char *name_of(const struct ledger_account *account)
{
	static const struct {
		uint32_t code;
		const char *top;
	} tops[] = {
		{BILLING_CODE_ACCOUNT, "liabilities:accounts:"},
		{BILLING_CODE_OPERATOR, "revenues:"},
		{BILLING_CODE_OUTSIDE, "assets:"},
		{BILLING_CODE_LEASES, "liabilities:"},
		{BILLING_CODE_OWED, "assets:"},
	};
	const char *top = "equity:";
	struct text name;

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		top = tops[i].code == account->code ? tops[i].top : top;
	text_init(&name, 2 * LEDGER_NAME_MAX);
	text_printf(&name, "%s%s", top, account->name);
	check(!name.failed);
	return name.data;
}

static int add_entry(struct billing_hledger *journal, const struct ledger_account *account,
		     struct fault *fault)
{
	if (journal->entry_count == BILLING_HLEDGER_ACCOUNTS_MAX)
		return fault_set(fault, FAULT_LIMIT,
				 "the ledger has more than %d accounts, too many for one journal",
				 BILLING_HLEDGER_ACCOUNTS_MAX);
	if (journal->entry_count == journal->entry_capacity) {
		journal->entry_capacity = journal->entry_capacity * 2 + ACCOUNTS_AT_ONCE;
		journal->entries = reallocarray(journal->entries, journal->entry_capacity,
						sizeof(*journal->entries));
		check(journal->entries != NULL);
	}
	journal->entries[journal->entry_count++] = (struct entry){
		.name = name_of(account),
		.kept_nano = account->credits_posted_nano - account->debits_posted_nano,
	};
	/* A place is a number; the map wants what is not NULL. */
	map_put(&journal->places, account->id.value, (void *)(uintptr_t)journal->entry_count);
	return 0;
}

static void forget_entries(struct billing_hledger *journal)
{
	for (size_t i = 0; i < journal->entry_count; i++)
		free(journal->entries[i].name);
	journal->entry_count = 0;
	map_fini(&journal->places);
	map_init(&journal->places);
}

/* Accounts and the newest transfer, of one moment. */
static int take_in(struct store *store, void *context, struct fault *fault)
{
	struct billing_hledger *journal = context;
	struct ledger_account *accounts = calloc(ACCOUNTS_AT_ONCE, sizeof(*accounts));
	struct ledger_account_id after = {0};
	size_t count = ACCOUNTS_AT_ONCE;

	(void)store;
	check(accounts != NULL);
	forget_entries(journal);
	int code = ledger_transfers_last(journal->ledger, &journal->last, fault);
	while (code == 0 && count == ACCOUNTS_AT_ONCE) {
		code = ledger_accounts_list(journal->ledger, LEDGER_MONEY, after, accounts,
					    ACCOUNTS_AT_ONCE, &count, fault);
		for (size_t i = 0; code == 0 && i < count; i++)
			code = add_entry(journal, &accounts[i], fault);
		if (code == 0 && count > 0)
			after = accounts[count - 1].id;
	}
	free(accounts);
	return code;
}

int billing_hledger_open(const struct billing_hledger_options *options,
			 struct billing_hledger **ret_journal, struct fault *fault)
{
	if (options->from_month > options->to_month)
		return fault_set(fault, FAULT_INPUT,
				 "the journal's first month is behind its last");
	struct billing_hledger *journal = calloc(1, sizeof(*journal));

	check(journal != NULL);
	journal->options = *options;
	map_init(&journal->places);
	int code = ledger_new(options->store, &journal->ledger, fault);
	if (code == 0)
		code = store_transaction_read(options->store, take_in, journal, fault);
	if (code < 0) {
		billing_hledger_close(journal);
		return code;
	}
	*ret_journal = journal;
	return 0;
}

void billing_hledger_close(struct billing_hledger *journal)
{
	if (journal == NULL)
		return;
	forget_entries(journal);
	map_fini(&journal->places);
	free(journal->entries);
	if (journal->ledger != NULL)
		ledger_free(journal->ledger);
	free(journal);
}

/* ---- writing ---- */

static void append_amount(struct text *output, int64_t nano, const char *currency)
{
	const uint64_t size = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;

	text_printf(output, "%s%" PRIu64 ".%09" PRIu64 " %s", nano < 0 ? "-" : "",
		    size / (uint64_t)AMOUNT_NANO_PER_UNIT, size % (uint64_t)AMOUNT_NANO_PER_UNIT,
		    currency);
}

/* What the ledger calls a credit is negative here. */
static void append_posting(struct billing_hledger *journal, struct text *output,
			   const struct entry *entry, int64_t credit_nano)
{
	text_printf(output, "    %s  ", entry->name);
	append_amount(output, -credit_nano, journal->options.currency);
}

static void append_date(struct text *output, uint64_t ns)
{
	char date[CLOCK_TEXT_MAX];

	clock_format_wall(ns, date);
	text_printf(output, "%.*s", DATE_CHARACTERS, date);
}

static struct entry *find_entry(struct billing_hledger *journal, struct ledger_account_id id)
{
	const uintptr_t place = (uintptr_t)map_find(&journal->places, id.value);

	return place == 0 ? NULL : &journal->entries[place - 1];
}

static void append_transaction(struct billing_hledger *journal, struct text *output,
			       const struct ledger_transfer *transfer, const struct entry *debit,
			       const struct entry *credit)
{
	char id[LEDGER_TRANSFER_ID_MAX];
	char at[CLOCK_TEXT_MAX];
	char period[CLOCK_MONTH_TEXT_MAX];

	ledger_transfer_id_format(transfer->id, id);
	clock_format_wall(transfer->created_ns, at);
	append_date(output, journal->date_ns);
	text_printf(output, " * (%s) %s  ; at:%s", id, ledger_kind_name(transfer->kind), at);
	if (transfer->subscription.value != 0)
		text_printf(output, ", subscription:sub_%" PRIu64, transfer->subscription.value);
	if (transfer->period != 0) {
		clock_month_format(transfer->period, period);
		text_printf(output, ", period:%s", period);
	}
	text_append_text(output, "\n");
	append_posting(journal, output, debit, -transfer->amount_nano);
	text_append_text(output, "\n");
	append_posting(journal, output, credit, transfer->amount_nano);
	text_append_text(output, "\n\n");
}

static void write_head(struct billing_hledger *journal, struct text *output)
{
	const char *currency = journal->options.currency;
	char now[CLOCK_TEXT_MAX];

	clock_format_wall(journal->options.now_ns, now);
	text_printf(output,
		    "; The ledger of money as of %s, for hledger.\n"
		    "; Dates and months are in UTC; `at` is when a transfer was made.\n"
		    "decimal-mark .\n"
		    "commodity 1000.000000000 %s\n\n",
		    now, currency);
	for (size_t i = 0; i < journal->entry_count; i++)
		text_printf(output, "account %s\n", journal->entries[i].name);
	text_append_text(output, "\n");
}

/* The next accounts' balances, each a posting of nothing with an assertion. Balances of `kept` are
 * the ledger's own, and all are told; else those that moved. True: that was all. */
static bool write_assertions(struct billing_hledger *journal, struct text *output, bool kept)
{
	size_t written = 0;

	for (; journal->next_entry < journal->entry_count && written < ACCOUNTS_AT_ONCE;
	     journal->next_entry++) {
		struct entry *entry = &journal->entries[journal->next_entry];
		if (!kept && !entry->moved)
			continue;
		append_posting(journal, output, entry, 0);
		text_append_text(output, " = ");
		append_amount(output, kept ? -entry->kept_nano : -entry->folded_nano,
			      journal->options.currency);
		text_append_text(output, "\n");
		entry->moved = false;
		written++;
	}
	if (journal->next_entry < journal->entry_count)
		return false;
	text_append_text(output, "\n");
	journal->moved = 0;
	return true;
}

static void write_opening(struct billing_hledger *journal, struct text *output)
{
	size_t written = 0;

	if (journal->next_entry == 0) {
		append_date(output, clock_month_start_ns(journal->options.from_month));
		text_append_text(output, " * opening balances\n");
	}
	for (; journal->next_entry < journal->entry_count && written < ACCOUNTS_AT_ONCE;
	     journal->next_entry++, written++) {
		const struct entry *entry = &journal->entries[journal->next_entry];
		append_posting(journal, output, entry, entry->folded_nano);
		text_append_text(output, "\n");
	}
	if (journal->next_entry < journal->entry_count)
		return;
	text_append_text(output, "\n");
	journal->stage = STAGE_TRANSFERS;
}

static void begin_assertions(struct billing_hledger *journal, struct text *output, enum stage stage,
			     uint64_t date_ns, const char *what)
{
	append_date(output, date_ns);
	text_printf(output, " * %s\n", what);
	journal->next_entry = 0;
	journal->stage = stage;
}

/* ---- the transfers ---- */

/* What stands before the first transfer of a month: opening balances, the end of the month before.
 * True: nothing does, or it stands there already. */
static bool enter_month(struct billing_hledger *journal, struct text *output, uint32_t month)
{
	const uint32_t before = journal->month;

	if (!journal->opened && month >= journal->options.from_month) {
		const bool opens = journal->options.from_month != 0;
		journal->opened = true;
		journal->month = opens ? journal->options.from_month : month;
		journal->ended = journal->month > journal->options.to_month;
		journal->next_entry = 0;
		if (journal->ended)
			journal->stage = STAGE_DONE;
		else if (opens)
			journal->stage = STAGE_OPENING;
		return journal->stage == STAGE_TRANSFERS;
	}
	if (!journal->opened || month == before)
		return true;
	journal->month = month;
	journal->ended = month > journal->options.to_month;
	if (journal->moved > 0)
		begin_assertions(journal, output, STAGE_MONTH_END,
				 clock_month_start_ns(before + 1) - DAY_NS, "the month's end");
	else if (journal->ended)
		journal->stage = STAGE_DONE;
	return journal->stage == STAGE_TRANSFERS;
}

static void mark_moved(struct billing_hledger *journal, struct entry *entry)
{
	journal->moved += !entry->moved;
	entry->moved = true;
}

static int take_transfer(struct billing_hledger *journal, struct text *output,
			 const struct ledger_transfer *transfer, struct fault *fault)
{
	struct entry *debit = find_entry(journal, transfer->debit);
	struct entry *credit = find_entry(journal, transfer->credit);

	if (debit == NULL && credit == NULL)
		return 0; /* of budgets, which are no money */
	if (debit == NULL || credit == NULL)
		return fault_set(fault, FAULT_DAMAGED,
				 "transfer %" PRIu64 " goes from one ledger to another",
				 transfer->sequence);
	if ((transfer->flags & (LEDGER_PENDING | LEDGER_VOID)) != 0) {
		journal->unmoving++;
		return 0;
	}
	if (__builtin_sub_overflow(debit->folded_nano, transfer->amount_nano,
				   &debit->folded_nano) ||
	    __builtin_add_overflow(credit->folded_nano, transfer->amount_nano,
				   &credit->folded_nano))
		return fault_set(fault, FAULT_DAMAGED,
				 "transfer %" PRIu64 " exceeds what can be counted",
				 transfer->sequence);
	if (!journal->opened)
		return 0;
	mark_moved(journal, debit);
	mark_moved(journal, credit);
	append_transaction(journal, output, transfer, debit, credit);
	return 0;
}

static void end_transfers(struct billing_hledger *journal, struct text *output)
{
	const uint64_t now_ns = journal->options.now_ns;

	if (now_ns > journal->date_ns)
		journal->date_ns = now_ns;
	if (!enter_month(journal, output, clock_month_of(journal->date_ns)))
		return;
	if (!journal->opened) {
		journal->stage = STAGE_DONE;
		return;
	}
	text_printf(output,
		    "; Reserving and releasing moves nothing: %" PRIu64
		    " transfers that did are left out.\n\n",
		    journal->unmoving);
	begin_assertions(journal, output, STAGE_FINAL, journal->date_ns,
			 "balances that the ledger keeps");
}

static int write_transfers(struct billing_hledger *journal, struct text *output,
			   struct fault *fault)
{
	size_t count = 0;
	int code = ledger_transfers_after(journal->ledger, journal->sequence, journal->transfers,
					  TRANSFERS_A_PIECE, &count, fault);

	for (size_t i = 0; code == 0 && i < count; i++) {
		const struct ledger_transfer *transfer = &journal->transfers[i];
		if (transfer->sequence > journal->last) {
			count = i;
			break;
		}
		if (transfer->created_ns > journal->date_ns)
			journal->date_ns = transfer->created_ns;
		if (!enter_month(journal, output, clock_month_of(journal->date_ns)))
			return 0;
		code = take_transfer(journal, output, transfer, fault);
		journal->sequence = transfer->sequence;
	}
	if (code == 0 && count < TRANSFERS_A_PIECE)
		end_transfers(journal, output);
	return code;
}

int billing_hledger_next(struct billing_hledger *journal, struct text *output, bool *ret_done,
			 struct fault *fault)
{
	int code = 0;

	switch (journal->stage) {
	case STAGE_HEAD:
		write_head(journal, output);
		journal->stage = STAGE_TRANSFERS;
		break;
	case STAGE_OPENING:
		write_opening(journal, output);
		break;
	case STAGE_TRANSFERS:
		code = write_transfers(journal, output, fault);
		break;
	case STAGE_MONTH_END:
		if (write_assertions(journal, output, false))
			journal->stage = journal->ended ? STAGE_DONE : STAGE_TRANSFERS;
		break;
	case STAGE_FINAL:
		if (write_assertions(journal, output, true))
			journal->stage = STAGE_DONE;
		break;
	case STAGE_DONE:
		break;
	}
	*ret_done = journal->stage == STAGE_DONE;
	return code;
}

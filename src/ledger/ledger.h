/*
 * ledger: double entry, and nothing else. TigerBeetle's data model and semantics
 * (docs.tigerbeetle.com, "Data modeling"), on the store.
 *
 * A transfer moves an amount from a debit account to a credit account, once. It is immutable
 * (the database itself refuses to change or delete one) and idempotent by its id, for ever: the
 * same transfer again `exists` and does nothing; another one under the same id is refused. A
 * pending transfer reserves; it is posted (all of it or less: the rest is released), voided, or
 * expires, once. Corrections are new transfers.
 *
 * Invariants, after every commit and whatever failed before it:
 *
 *   - per ledger: sum of debits_posted = sum of credits_posted, and likewise pending;
 *   - an account with LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS has
 *     debits_pending + debits_posted <= credits_posted (with the other flag the reverse);
 *   - an account's four balances are the fold of its transfers (ledger_audit recomputes it);
 *   - debits_pending + debits_posted and credits_pending + credits_posted fit int64_t.
 *
 * Everything works inside the store transaction that the caller has open, and reads what it
 * needs there: nothing is remembered from one batch to the next, since other handles write too.
 *
 * Refusals (enum ledger_outcome) are answers, one a transfer; a fault is the store's, and then
 * the transaction can only be rolled back. Time is Unix nanoseconds, handed in.
 *
 * Threads: a ledger belongs to the thread of its store handle.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/amount.h"
#include "base/fault.h"
#include "base/ids.h"
#include "base/slice.h"
#include "store/store.h"

#define LEDGER_NAME_MAX        160        /* bytes of an account's name, with the NUL */
#define LEDGER_BATCH_MAX       (1u << 16) /* transfers in one call */
#define LEDGER_TRANSFER_ID_MAX 33         /* bytes of its text, with the NUL */
#define LEDGER_AMOUNT_ALL      INT64_MAX  /* post: whatever is pending */

/* Accounts of different ledgers never meet in a transfer. */
enum ledger_number {
	LEDGER_MONEY = 1,   /* what is owed to whom */
	LEDGER_BUDGETS = 2, /* what a subscription may still spend in a period */
};

/* What a transfer is for. The numbers are stored: they never change. */
#define LEDGER_KINDS(X)                                                                  \
	X(FUNDING, 1, "funding", "money comes in from outside")                          \
	X(USAGE, 2, "usage", "the provider's price, consumer to provider")               \
	X(CLOUD, 3, "cloud", "the running cost, consumer to operator")                   \
	X(FEE, 4, "fee", "the operator's commission, provider to operator")              \
	X(LEASE, 5, "lease", "money reserved for a node to admit calls against")         \
	X(BUDGET, 6, "budget", "what a period allows a subscription, and what it spent") \
	X(PAYOUT, 7, "payout", "money goes out to a provider")                           \
	X(CORRECTION, 8, "correction", "makes good an earlier transfer")                 \
	X(CREDIT, 9, "credit", "given by the operator, not paid for")

enum ledger_kind {
#define LEDGER_KIND_ROW(name, number, text, sentence) LEDGER_KIND_##name = number,
	LEDGER_KINDS(LEDGER_KIND_ROW)
#undef LEDGER_KIND_ROW
};

/* NULL where there is no such kind. */
const char *ledger_kind_name(enum ledger_kind kind);

/* What became of a transfer, in the order in which it is examined. Only the first means that
 * something happened now. */
#define LEDGER_OUTCOMES(X)                                                                         \
	X(CREATED, "created", "the transfer stands")                                               \
	X(LINKED_FAILED, "linked_failed", "another transfer of its chain did not happen")          \
	X(LINKED_CHAIN_OPEN, "linked_chain_open", "the batch ends within a chain")                 \
	X(ID_MISSING, "id_missing", "the id is zero")                                              \
	X(EXISTS, "exists", "the same transfer was made before")                                   \
	X(EXISTS_WITH_DIFFERENT, "exists_with_different", "the id belongs to another transfer")    \
	X(FLAGS_UNKNOWN, "flags_unknown", "a flag that does not exist")                            \
	X(FLAGS_EXCLUSIVE, "flags_exclusive", "pending, post and void exclude each other")         \
	X(KIND_UNKNOWN, "kind_unknown", "a kind that does not exist")                              \
	X(PENDING_ID_UNEXPECTED, "pending_id_unexpected", "only post and void name a pending one") \
	X(PENDING_ID_MISSING, "pending_id_missing", "post and void name a pending transfer")       \
	X(PENDING_ID_IS_OWN, "pending_id_is_own", "a transfer cannot resolve itself")              \
	X(TIMEOUT_UNEXPECTED, "timeout_unexpected", "only a pending transfer has a timeout")       \
	X(AMOUNT_NOT_POSITIVE, "amount_not_positive", "the amount is zero or negative")            \
	X(ACCOUNTS_SAME, "accounts_same", "debit and credit account are the same")                 \
	X(DEBIT_ACCOUNT_NOT_FOUND, "debit_account_not_found", "there is no such debit account")    \
	X(CREDIT_ACCOUNT_NOT_FOUND, "credit_account_not_found", "there is no such credit account") \
	X(LEDGERS_DIFFER, "ledgers_differ", "the accounts belong to different ledgers")            \
	X(PENDING_NOT_FOUND, "pending_not_found", "there is no transfer to post or void")          \
	X(PENDING_NOT_PENDING, "pending_not_pending", "the transfer to resolve is not pending")    \
	X(PENDING_DIFFERENT_DEBIT, "pending_different_debit", "it has another debit account")      \
	X(PENDING_DIFFERENT_CREDIT, "pending_different_credit", "it has another credit account")   \
	X(PENDING_DIFFERENT_KIND, "pending_different_kind", "it has another kind")                 \
	X(EXCEEDS_PENDING, "exceeds_pending", "more than is pending")                              \
	X(PENDING_DIFFERENT_AMOUNT, "pending_different_amount", "a void releases all or nothing")  \
	X(ALREADY_POSTED, "already_posted", "the pending transfer was posted before")              \
	X(ALREADY_VOIDED, "already_voided", "the pending transfer was voided before")              \
	X(EXPIRED, "expired", "the pending transfer timed out")                                    \
	X(DEBIT_ACCOUNT_CLOSED, "debit_account_closed", "the debit account is closed")             \
	X(CREDIT_ACCOUNT_CLOSED, "credit_account_closed", "the credit account is closed")          \
	X(OVERFLOWS_DEBITS, "overflows_debits", "the debit account cannot count that far")         \
	X(OVERFLOWS_CREDITS, "overflows_credits", "the credit account cannot count that far")      \
	X(OVERFLOWS_TIMEOUT, "overflows_timeout", "the timeout lies beyond the end of time")       \
	X(EXCEEDS_CREDITS, "exceeds_credits", "the debit account lacks the money")                 \
	X(EXCEEDS_DEBITS, "exceeds_debits", "the credit account would hold more than it gave")

enum ledger_outcome {
#define LEDGER_OUTCOME_ROW(name, text, sentence) LEDGER_##name,
	LEDGER_OUTCOMES(LEDGER_OUTCOME_ROW)
#undef LEDGER_OUTCOME_ROW
		LEDGER_OUTCOMES_COUNT
};

const char *ledger_outcome_name(enum ledger_outcome outcome);
const char *ledger_outcome_sentence(enum ledger_outcome outcome);

/* The transfer is there, from now or from before. */
static inline bool ledger_outcome_stands(enum ledger_outcome outcome)
{
	return outcome == LEDGER_CREATED || outcome == LEDGER_EXISTS;
}

/* ---- accounts ---- */

enum ledger_account_flag {
	LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS = 1 << 0, /* cannot spend what it has not got */
	LEDGER_CREDITS_MUST_NOT_EXCEED_DEBITS = 1 << 1,
	LEDGER_CLOSED = 1 << 2, /* takes part in nothing but voids and expiries */
};

struct ledger_account {
	struct ledger_account_id id;
	uint32_t ledger; /* enum ledger_number, or the caller's own from 100 on */
	uint32_t code;   /* what the account is for; the caller's own numbering */
	uint32_t flags;  /* enum ledger_account_flag */
	int64_t debits_pending_nano;
	int64_t debits_posted_nano;
	int64_t credits_pending_nano;
	int64_t credits_posted_nano;
	char name[LEDGER_NAME_MAX]; /* unique within its ledger */
};

/* What it may still be debited: credits_posted - debits_posted - debits_pending. */
static inline struct amount ledger_account_available(const struct ledger_account *account)
{
	return amount_nano(account->credits_posted_nano - account->debits_posted_nano -
			   account->debits_pending_nano);
}

/* ---- transfers ---- */

/* 128 bits; zero means none. */
struct ledger_transfer_id {
	uint64_t high;
	uint64_t low;
};

static inline bool ledger_transfer_id_equal(struct ledger_transfer_id a,
					    struct ledger_transfer_id b)
{
	return a.high == b.high && a.low == b.low;
}

/* The same arguments give the same id, others another (80 bits of BLAKE2b over all of them).
 * Put what grows with time into `a` (a journal position, a turn): its low 48 bits lead the id,
 * so that new ids are neighbours on the disk. */
struct ledger_transfer_id ledger_transfer_id_derive(enum ledger_kind kind, uint64_t a, uint64_t b,
						    uint64_t c);
/* From a caller's own idempotency key, of any length: 128 bits of BLAKE2b. */
struct ledger_transfer_id ledger_transfer_id_of_key(struct slice key);
/* 32 lower-case hexadecimal digits. */
void ledger_transfer_id_format(struct ledger_transfer_id id, char text[LEDGER_TRANSFER_ID_MAX]);
bool ledger_transfer_id_parse(struct slice text, struct ledger_transfer_id *ret_id);

enum ledger_transfer_flag {
	LEDGER_LINKED = 1 << 0,  /* stands or falls with the next in the batch */
	LEDGER_PENDING = 1 << 1, /* reserve only */
	LEDGER_POST = 1 << 2,    /* of pending_id: amount_nano, the rest is released */
	LEDGER_VOID = 1 << 3,    /* of pending_id: all is released */
};

struct ledger_transfer {
	struct ledger_transfer_id id;
	struct ledger_account_id debit;  /* post, void: 0, or that of the pending one */
	struct ledger_account_id credit; /* post, void: 0, or that of the pending one */
	int64_t amount_nano;   /* > 0; void: 0 or what is pending; post: may be LEDGER_AMOUNT_ALL */
	enum ledger_kind kind; /* post, void: 0, or that of the pending one */
	uint32_t flags;        /* enum ledger_transfer_flag */
	struct ledger_transfer_id pending_id; /* post and void only */
	uint32_t timeout_s;                   /* pending only; 0: never expires */
	struct subscription_id subscription;  /* what it is about; 0: that of the pending one */
	uint32_t period;                      /* clock_month_of; 0: that of the pending one */
	uint64_t created_ns;                  /* given by the ledger; not looked at when creating */
	uint64_t sequence; /* given by the ledger: from 1, in the order of creation */
};

/* ---- the ledger ---- */

struct ledger;

extern const struct store_migration ledger_migrations[];
extern const size_t ledger_migration_count;

/* On a store whose ledger migrations were applied. The store must outlive it. */
int ledger_new(struct store *store, struct ledger **ret_ledger, struct fault *fault);
void ledger_free(struct ledger *ledger);

/* Creates the account (`id` and balances of `account` are not looked at) or finds the one with
 * its ledger and name; FAULT_CONFLICT where that one has another code or other flags
 * (LEDGER_CLOSED aside), FAULT_INPUT where the name is empty. */
int ledger_account_create(struct ledger *ledger, const struct ledger_account *account,
			  struct ledger_account_id *ret_id, struct fault *fault);
/* FAULT_NOT_FOUND where there is none; the transaction may go on. */
int ledger_account_get(struct ledger *ledger, struct ledger_account_id id,
		       struct ledger_account *ret_account, struct fault *fault);
int ledger_account_find(struct ledger *ledger, uint32_t number, struct slice name,
			struct ledger_account *ret_account, struct fault *fault);
/* Sets or takes away LEDGER_CLOSED. */
int ledger_account_close(struct ledger *ledger, struct ledger_account_id id, bool closed,
			 struct fault *fault);
/* The first `count_max` accounts of the ledger with ids above `after`, by id. */
int ledger_accounts_list(struct ledger *ledger, uint32_t number, struct ledger_account_id after,
			 struct ledger_account *accounts, size_t count_max, size_t *ret_count,
			 struct fault *fault);

/* Examines and applies the transfers one after the other, as if each came alone, but for linked
 * chains, of which all stand or none; outcomes[i] tells of transfers[i]. Loads each account
 * once and writes it once, so large batches are fast. A refused transfer leaves nothing behind:
 * its id is free. An existing one breaks its chain too, as a refused one does.
 * FAULT_LIMIT beyond LEDGER_BATCH_MAX. In a STORE_WRITE transaction. */
int ledger_transfers_create(struct ledger *ledger, const struct ledger_transfer *transfers,
			    size_t count, uint64_t now_ns, enum ledger_outcome *outcomes,
			    struct fault *fault);

/* Releases what pending transfers whose timeout ended at or before now_ns hold, oldest first, at
 * most count_max of them (1 or more). An expired one cannot be posted even before this ran. */
int ledger_transfers_expire(struct ledger *ledger, uint64_t now_ns, size_t count_max,
			    size_t *ret_count, struct fault *fault);

int ledger_transfer_get(struct ledger *ledger, struct ledger_transfer_id id,
			struct ledger_transfer *ret_transfer, struct fault *fault);
/* The newest `count_max` transfers that touch the account, newest first; with `before` only those
 * with a sequence below it (the last one's of the page before; 0: from the newest on). */
int ledger_transfers_list(struct ledger *ledger, struct ledger_account_id account, uint64_t before,
			  struct ledger_transfer *transfers, size_t count_max, size_t *ret_count,
			  struct fault *fault);
/* The first `count_max` transfers of all accounts and ledgers with sequences above `after`, in the
 * order of their creation. */
int ledger_transfers_after(struct ledger *ledger, uint64_t after, struct ledger_transfer *transfers,
			   size_t count_max, size_t *ret_count, struct fault *fault);
/* The newest transfer's sequence; 0 where there is none. */
int ledger_transfers_last(struct ledger *ledger, uint64_t *ret_sequence, struct fault *fault);
/* The pending transfers of the account that nothing has resolved yet, with sequences above
 * `after`, oldest first. */
int ledger_pending_list(struct ledger *ledger, struct ledger_account_id account, uint64_t after,
			struct ledger_transfer *transfers, size_t count_max, size_t *ret_count,
			struct fault *fault);

/* ---- looking after it ---- */

struct ledger_sum {
	uint64_t accounts;
	__int128 debits_pending_nano;
	__int128 debits_posted_nano;
	__int128 credits_pending_nano;
	__int128 credits_posted_nano;
};

/* Over all accounts of one ledger. */
int ledger_sum(struct ledger *ledger, uint32_t number, struct ledger_sum *ret_sum,
	       struct fault *fault);

struct ledger_audit {
	uint64_t accounts;
	uint64_t transfers;
};

/* Recomputes every balance from the transfers alone and compares; checks the limits, the sums
 * and what became of every pending transfer. FAULT_DAMAGED names the first difference. */
int ledger_audit(struct ledger *ledger, struct ledger_audit *ret_audit, struct fault *fault);

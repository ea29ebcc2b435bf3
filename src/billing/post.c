/* The poster's transaction: everything that one turn writes, or nothing. */
#include "billing/poster_internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "billing/budget.h"
#include "billing/parked.h"
#include "billing/party.h"
#include "billing/phase.h"

#define EXPIRE_AT_ONCE 4096

/* ---- where the poster stands ---- */

/* What the store says of the last turn. */
struct stored_turn {
	uint64_t turn;
	uint64_t records;
	uint64_t poster;
};

static int load_turn(struct store *store, uint32_t node, struct stored_turn *ret_stored,
		     struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT turn, records, poster FROM billing_turn WHERE node = $1",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, node);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	*ret_stored = (struct stored_turn){0};
	if (row)
		*ret_stored = (struct stored_turn){
			.turn = (uint64_t)store_column_int64(select, 0),
			.records = (uint64_t)store_column_int64(select, 1),
			.poster = (uint64_t)store_column_int64(select, 2),
		};
	return 0;
}

static int save_turn(const struct billing_poster *poster, struct fault *fault)
{
	STORE_STATEMENT save = NULL;
	int code = store_prepare(poster->options.store,
				 "INSERT INTO billing_turn (node, turn, records, poster)"
				 " VALUES ($1, $2, $3, $4) ON CONFLICT (node)"
				 " DO UPDATE SET turn = excluded.turn, records = excluded.records,"
				 " poster = excluded.poster",
				 &save, fault);

	if (code < 0)
		return code;
	store_bind_int64(save, 1, poster->options.node);
	store_bind_int64(save, 2, (int64_t)poster->intake.turn);
	store_bind_int64(save, 3, (int64_t)(poster->records_done + poster->intake.records));
	store_bind_int64(save, 4, (int64_t)poster->number);
	return store_execute(save, fault);
}

/* Whether the turn that the intake is for was committed by this poster. */
static bool is_ours(const struct billing_poster *poster, const struct stored_turn *stored)
{
	return stored->turn == poster->intake.turn && stored->poster == poster->number;
}

static int load_cursors(struct billing_poster *poster, struct fault *fault)
{
	uint64_t positions[JOURNAL_STREAMS_MAX];
	const int code = billing_positions_load(poster->options.store, poster->options.node,
						positions, fault);

	for (uint32_t i = 0; code == 0 && i < JOURNAL_STREAMS_MAX; i++) {
		poster->intake.streams[i].read = positions[i];
		poster->intake.streams[i].posted = positions[i];
	}
	return code;
}

static int save_cursors(const struct billing_poster *poster, struct fault *fault)
{
	STORE_STATEMENT save = NULL;
	int code = store_prepare(poster->options.store,
				 "INSERT INTO billing_cursor (node, stream, position)"
				 " VALUES ($1, $2, $3) ON CONFLICT (node, stream)"
				 " DO UPDATE SET position = excluded.position",
				 &save, fault);

	for (uint32_t i = 0; code == 0 && i < JOURNAL_STREAMS_MAX; i++) {
		const struct intake_stream *stream = &poster->intake.streams[i];
		if (stream->read == stream->posted)
			continue;
		store_bind_int64(save, 1, poster->options.node);
		store_bind_int64(save, 2, i);
		store_bind_int64(save, 3, (int64_t)stream->read);
		code = store_execute(save, fault);
	}
	return code;
}

static int save_months(const struct billing_poster *poster, struct fault *fault)
{
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < JOURNAL_STREAMS_MAX; i++) {
		for (const struct intake_month *month = poster->intake.streams[i].months;
		     code == 0 && month != NULL; month = month->next) {
			if (month->touched)
				code = phase_note_month(poster->options.store, poster->options.node,
							i, month, fault);
		}
	}
	return code;
}

int post_position_load(struct billing_poster *poster, struct fault *fault)
{
	struct stored_turn stored;
	int code = load_turn(poster->options.store, poster->options.node, &stored, fault);

	if (code < 0)
		return code;
	poster->turn = stored.turn;
	poster->records_done = stored.records;
	code = load_cursors(poster, fault);
	if (code == 0)
		code = parked_count(poster->options.store, poster->options.node,
				    &poster->intake.parked_count, fault);
	poster->intake.turn = poster->turn + 1;
	return code;
}

/* ---- quantities and what they cost ---- */

struct other_cards {
	uint64_t card;
	int64_t nano;
};

static int add_other_card(void *context, const struct meter_cloud *cloud, struct fault *fault)
{
	struct other_cards *others = context;

	if (cloud->card != others->card &&
	    __builtin_add_overflow(others->nano, cloud->cloud_nano, &others->nano))
		return fault_set(fault, FAULT_DAMAGED,
				 "the stored charges of subscription %" PRIu64 " overflow",
				 cloud->subscription.value);
	return 0;
}

static int load_posting(struct billing_poster *poster, struct intake_posting *posting,
			struct fault *fault)
{
	const struct subscription_id id = posting->subscription->id;
	struct other_cards others = {.card = poster->card.number};
	int code;

	if (posting->loaded && posting->cloud.card == poster->card.number)
		return 0;
	code = meter_usage_load(poster->options.store, id, posting->month, &posting->usage, fault);
	if (code == 0)
		code = meter_cloud_load(poster->options.store, id, posting->month,
					poster->card.number, &posting->cloud, fault);
	if (code == 0)
		code = meter_cloud_each(poster->options.store, id, posting->month, add_other_card,
					&others, fault);
	posting->other_cards_nano = others.nano;
	posting->loaded = code == 0;
	return code;
}

/* R(Q + q) - R(Q) for usage and cloud, F(U + u) - F(U) for the fee; false on overflow. */
static bool rate(const struct intake_posting *posting, const struct card *card,
		 struct intake_charges *ret_charges)
{
	struct intake_charges charges = {.usage = posting->usage, .cloud = posting->cloud};
	struct rating_quantities used;
	struct rating_cloud_quantities cloud_used;
	int64_t fee_nano;

	memcpy(used.of, charges.usage.of, sizeof(used.of));
	memcpy(cloud_used.of, charges.cloud.of, sizeof(cloud_used.of));
	if (!rating_plan_advance(posting->rating, &used, &posting->calls, &charges.usage_nano) ||
	    !rating_cloud_advance(&card->rates, &cloud_used, &posting->cloud_calls,
				  &charges.cloud_nano))
		return false;
	memcpy(charges.usage.of, used.of, sizeof(used.of));
	memcpy(charges.cloud.of, cloud_used.of, sizeof(cloud_used.of));
	if (__builtin_add_overflow(charges.usage.usage_nano, charges.usage_nano,
				   &charges.usage.usage_nano) ||
	    __builtin_add_overflow(charges.usage.told_nano, posting->told_nano,
				   &charges.usage.told_nano) ||
	    __builtin_add_overflow(charges.cloud.usage_nano, charges.usage_nano,
				   &charges.cloud.usage_nano) ||
	    __builtin_add_overflow(charges.cloud.cloud_nano, charges.cloud_nano,
				   &charges.cloud.cloud_nano) ||
	    !rating_fee(charges.cloud.usage_nano, card->fee_ppm, &fee_nano))
		return false;
	charges.fee_nano = fee_nano - charges.cloud.fee_nano;
	charges.cloud.fee_nano = fee_nano;
	check(charges.usage_nano >= 0 && charges.cloud_nano >= 0 && charges.fee_nano >= 0);
	*ret_charges = charges;
	return true;
}

static int rate_posting(struct billing_poster *poster, struct intake_posting *posting,
			struct fault *fault)
{
	int code = load_posting(poster, posting, fault);

	if (code < 0)
		return code;
	if (!rate(posting, &poster->card, &posting->charges))
		return fault_set(fault, FAULT_LIMIT,
				 "the charges of subscription %" PRIu64
				 " exceed what can be counted",
				 posting->subscription->id.value);
	code = meter_usage_save(poster->options.store, &posting->charges.usage, fault);
	if (code == 0)
		code = meter_cloud_save(poster->options.store, &posting->charges.cloud, fault);
	return code;
}

static int find_accounts(struct billing_poster *poster, struct intake_subscription *subscription,
			 struct fault *fault)
{
	int code = 0;

	if (subscription->accounts_known)
		return 0;
	code = books_account(poster->ledger, slice_of(subscription->account_name),
			     &subscription->account, fault);
	if (code == 0)
		code = books_account(poster->ledger, slice_of(subscription->provider_name),
				     &subscription->provider, fault);
	if (code < 0)
		return code;
	const struct party party = {.subscription = subscription->id,
				    .account = subscription->account,
				    .provider = subscription->provider};
	code = party_save(poster->options.store, &party, fault);
	subscription->accounts_known = code == 0;
	return code;
}

/* The ledger accounts of the budgets that bound a posting; 0 at a level that has none. */
struct bounds {
	struct ledger_account_id of[BILLING_LEVELS];
};

/* Which leases pay. */
static int charge_leases(struct billing_poster *poster, struct intake_posting *posting,
			 const struct bounds *bounds, struct fault *fault)
{
	struct intake_subscription *subscription = posting->subscription;
	struct lease *lease = leases_find(&poster->leases, subscription->account);
	struct lease *earns = leases_find(&poster->leases, subscription->provider);
	int64_t nano;

	if (__builtin_add_overflow(posting->charges.usage_nano, posting->charges.cloud_nano, &nano))
		return fault_set(fault, FAULT_LIMIT, "a turn's charges exceed what can be counted");
	if (nano == 0)
		return 0;
	if (lease != NULL)
		lease_charge(&poster->leases, lease, nano);
	if (earns != NULL && !earns->has_source && posting->charges.usage_nano > 0)
		earns->look_again = true;
	for (unsigned level = 0; level < BILLING_LEVELS; level++) {
		const struct budget *budget =
			intake_budget(&poster->intake, subscription, (enum billing_level)level);
		lease = budget != NULL ? budget->lease : NULL;
		if (lease == NULL && bounds->of[level].value != 0)
			lease = leases_find(&poster->leases, bounds->of[level]);
		if (lease != NULL)
			lease_charge(&poster->leases, lease, nano);
	}
	return 0;
}

static int add_transfer(struct billing_poster *poster, const struct intake_posting *posting,
			enum billing_level level, const struct ledger_transfer *what,
			struct fault *fault)
{
	struct ledger_transfer transfer = *what;

	transfer.id = ledger_transfer_id_derive(
		what->kind, poster->records_done, posting->subscription->id.value,
		(uint64_t)level << 48 | (uint64_t)poster->options.node << 32 | posting->month);
	transfer.subscription = posting->subscription->id;
	transfer.period = posting->month;
	return transfers_add(&poster->transfers, &transfer, fault);
}

static int add_transfers(struct billing_poster *poster, const struct intake_posting *posting,
			 const struct bounds *bounds, struct fault *fault)
{
	const struct intake_subscription *subscription = posting->subscription;
	const struct intake_charges *charges = &posting->charges;
	const struct ledger_transfer rows[] = {
		{.kind = LEDGER_KIND_USAGE,
		 .debit = subscription->account,
		 .credit = subscription->provider,
		 .amount_nano = charges->usage_nano},
		{.kind = LEDGER_KIND_CLOUD,
		 .debit = subscription->account,
		 .credit = poster->books.operator_account,
		 .amount_nano = charges->cloud_nano},
		{.kind = LEDGER_KIND_FEE,
		 .debit = subscription->provider,
		 .credit = poster->books.operator_account,
		 .amount_nano = charges->fee_nano},
	};
	int code = 0;

	for (size_t i = 0; code == 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
		code = add_transfer(poster, posting, BILLING_LEVEL_SUBSCRIPTION, &rows[i], fault);
	for (unsigned level = 0; code == 0 && level < BILLING_LEVELS; level++) {
		const struct ledger_transfer spent = {
			.kind = LEDGER_KIND_BUDGET,
			.debit = bounds->of[level],
			.credit = poster->books.spent,
			.amount_nano = charges->usage_nano + charges->cloud_nano,
		};
		if (spent.debit.value != 0)
			code = add_transfer(poster, posting, (enum billing_level)level, &spent,
					    fault);
	}
	return code;
}

/* ---- the transaction ---- */

static int find_bounds(struct billing_poster *poster, const struct intake_posting *posting,
		       struct bounds *ret_bounds, struct fault *fault)
{
	int code = 0;

	*ret_bounds = (struct bounds){0};
	for (unsigned level = 0; code == 0 && level < BILLING_LEVELS; level++) {
		struct budget *budget = intake_budget(&poster->intake, posting->subscription,
						      (enum billing_level)level);
		if (budget != NULL && budget->terms.nano >= 0)
			code = budget_ensure(poster->options.store, &poster->books, budget,
					     posting->month, poster->intake.turn,
					     poster->transfers.now_ns, &ret_bounds->of[level],
					     fault);
	}
	return code;
}

static int post_postings(struct billing_poster *poster, struct fault *fault)
{
	struct bounds bounds;
	int code = 0;

	/* First which leases pay: what they reserved is released before anything is charged. */
	for (struct intake_posting *posting = poster->intake.postings; code == 0 && posting != NULL;
	     posting = posting->next_touched) {
		code = rate_posting(poster, posting, fault);
		if (code == 0)
			code = find_accounts(poster, posting->subscription, fault);
		if (code == 0)
			code = find_bounds(poster, posting, &bounds, fault);
		if (code == 0)
			code = charge_leases(poster, posting, &bounds, fault);
	}
	if (code == 0)
		code = leases_void(&poster->leases, &poster->transfers, poster->intake.turn, fault);
	for (struct intake_posting *posting = poster->intake.postings; code == 0 && posting != NULL;
	     posting = posting->next_touched) {
		code = find_bounds(poster, posting, &bounds, fault);
		if (code == 0)
			code = add_transfers(poster, posting, &bounds, fault);
	}
	if (code < 0)
		return code;
	return leases_reserve(&poster->leases, &poster->intake, &poster->transfers, fault);
}

static int post_minutes(struct billing_poster *poster, struct fault *fault)
{
	struct store *store = poster->options.store;
	int code = 0;

	for (struct intake_minute *minute = poster->intake.minutes; code == 0 && minute != NULL;
	     minute = minute->next_touched) {
		struct meter_minute *sum = &minute->sum;
		if (!minute->loaded) {
			struct meter_minute stored;
			code = meter_minute_load(store, sum->service, sum->subscription,
						 sum->minute, &stored, fault);
			if (code < 0)
				return code;
			meter_minute_merge(sum, &stored);
			minute->loaded = true;
		}
		code = meter_minute_save(store, sum, fault);
	}
	return code;
}

static int work(struct store *store, void *context, struct fault *fault)
{
	struct billing_poster *poster = context;
	struct stored_turn stored;
	size_t expired;
	int code = load_turn(store, poster->options.node, &stored, fault);

	if (code < 0)
		return code;
	if (is_ours(poster, &stored)) /* committed, and the answer was lost */
		return 0;
	if (stored.turn != poster->turn || stored.records != poster->records_done)
		return fault_set(fault, FAULT_DAMAGED,
				 "another poster is at work as node %" PRIu32
				 ": the store is at turn %" PRIu64 ", this one at %" PRIu64,
				 poster->options.node, stored.turn, poster->turn);
	if (poster->attempts++ > 0) /* accounts that the one before made are gone */
		intake_aborted(&poster->intake);
	transfers_begin(&poster->transfers, clock_wall_ns(poster->options.clock));
	leases_begin(&poster->leases);
	code = ledger_transfers_expire(poster->ledger, poster->transfers.now_ns, EXPIRE_AT_ONCE,
				       &expired, fault);
	if (code == 0)
		code = post_postings(poster, fault);
	if (code == 0)
		code = post_minutes(poster, fault);
	if (code == 0)
		code = key_uses_save(&poster->intake.keys, poster->options.store, fault);
	if (code == 0)
		code = parked_write(&poster->intake, poster->phase, fault);
	if (code == 0)
		code = save_months(poster, fault);
	if (code == 0)
		code = save_cursors(poster, fault);
	if (code == 0)
		code = save_turn(poster, fault);
	return code;
}

/* ---- what became of it ---- */

static void count_turn(struct billing_poster *poster)
{
	struct poster_counts *counts = &poster->counts;

	counts->turns++;
	counts->records += poster->intake.records;
	counts->records_billed += poster->intake.records_billed;
	counts->transfers += poster->transfers.made;
	counts->owed += poster->transfers.owed;
}

void post_count_state(struct billing_poster *poster)
{
	struct poster_counts *counts = &poster->counts;

	counts->parked = poster->intake.parked_count;
	counts->leases = poster->leases.count;
	counts->leased_nano = (uint64_t)leases_pending(&poster->leases);
	counts->lease_overruns = poster->leases.overruns;
}

static void committed(struct billing_poster *poster)
{
	count_turn(poster);
	poster->turn = poster->intake.turn;
	poster->records_done += poster->intake.records;
	intake_committed(&poster->intake, clock_monotonic_ns(poster->options.clock));
	poster->intake.turn = poster->turn + 1;
	leases_committed(&poster->leases);
	post_count_state(poster);
	poster->unresolved = false;
}

int post_resolve(struct billing_poster *poster, struct fault *fault)
{
	struct stored_turn stored;
	int code = load_turn(poster->options.store, poster->options.node, &stored, fault);

	if (code < 0)
		return code;
	if (is_ours(poster, &stored)) {
		committed(poster);
		return 0;
	}
	intake_aborted(&poster->intake);
	leases_aborted(&poster->leases);
	poster->unresolved = false;
	return 0;
}

int post_turn(struct billing_poster *poster, struct fault *fault)
{
	struct fault ignored;

	poster->attempts = 0;
	int code = store_transaction(poster->options.store, work, poster, fault);

	if (code == 0) {
		committed(poster);
		return 0;
	}
	/* A commit whose answer was lost looks like one that failed. */
	const uint64_t turn = poster->turn;
	poster->unresolved = true;
	if (post_resolve(poster, &ignored) == 0 && poster->turn != turn)
		return 0;
	poster->counts.faults++;
	return code;
}

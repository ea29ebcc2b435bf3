#include "billing/leases.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "billing/budget.h"
#include "billing/transfers.h"

#define GATEWAY_NS     (BILLING_LEASE_GATEWAY_S * CLOCK_NS_PER_S)
#define TIMEOUT_NS     (BILLING_LEASE_TIMEOUT_S * CLOCK_NS_PER_S)
#define RENEW_NS       (GATEWAY_NS / 2) /* renewed when so old */
#define IDLE_NS        (BILLING_LEASE_IDLE_S * CLOCK_NS_PER_S)
#define UNLIMITED_NANO (INT64_MAX / 4) /* of an account that may go below zero */
#define TARGET_MAX     (INT64_MAX / 8)
#define RATE_SECONDS   2
#define WANTED_HOLDS   256
#define LARGEST_HOLDS  64

static_assert(GATEWAY_NS < TIMEOUT_NS, "the gateway stops before the ledger releases");
static_assert(IDLE_NS < RENEW_NS, "what is idle goes back rather than being renewed");

void leases_init(struct leases *leases, const struct billing_options *options,
		 const struct books *books)
{
	*leases = (struct leases){.options = options, .books = books};
	map_init(&leases->by_account);
	map_init(&leases->by_handle);
}

void leases_fini(struct leases *leases)
{
	while (leases->all != NULL) {
		struct lease *lease = leases->all;
		leases->all = lease->next;
		free(lease);
	}
	map_fini(&leases->by_account);
	map_fini(&leases->by_handle);
	free(leases->turn);
}

/* ---- which there are ---- */

static struct lease *lease_new(struct leases *leases, void *handle)
{
	struct lease *lease = calloc(1, sizeof(*lease));

	check(lease != NULL);
	lease->handle = handle;
	lease->number = LEDGER_MONEY;
	lease->has_source = true;
	lease->taken_ns = clock_monotonic_ns(leases->options->clock);
	lease->sample_ns = lease->taken_ns;
	lease->next = leases->all;
	leases->all = lease;
	leases->count++;
	if (handle != NULL)
		check(map_put(&leases->by_handle, (uintptr_t)handle, lease) == NULL);
	return lease;
}

struct lease *leases_add(struct leases *leases, struct ledger_account_id account, void *handle)
{
	struct lease *lease = lease_new(leases, handle);

	lease->account = account;
	check(map_put(&leases->by_account, account.value, lease) == NULL);
	return lease;
}

struct lease *leases_add_budget(struct leases *leases, struct budget *budget, void *handle)
{
	check(budget->lease == NULL);
	struct lease *lease = lease_new(leases, handle);

	lease->number = LEDGER_BUDGETS;
	lease->budget = budget;
	budget->lease = lease;
	return lease;
}

static int load_pending(struct leases *leases, enum ledger_number number, struct fault *fault)
{
	const struct ledger_account_id clearing = books_leases(leases->books, number);
	struct ledger_transfer pending[256];
	const size_t most = sizeof(pending) / sizeof(pending[0]);
	uint64_t after = 0;
	size_t count = most;
	int code = 0;

	while (code == 0 && count == most) {
		code = ledger_pending_list(leases->books->ledger, clearing, after, pending, most,
					   &count, fault);
		for (size_t i = 0; code == 0 && i < count; i++) {
			struct lease *lease = leases_add(leases, pending[i].debit, NULL);
			lease->number = number;
			lease->pending_id = pending[i].id;
			lease->pending_nano = pending[i].amount_nano;
			lease->until_wall_ns = pending[i].created_ns + TIMEOUT_NS;
			after = pending[i].sequence;
		}
	}
	return code;
}

static int load_all(struct store *store, void *context, struct fault *fault)
{
	struct leases *leases = context;
	int code = load_pending(leases, LEDGER_MONEY, fault);

	(void)store;
	return code < 0 ? code : load_pending(leases, LEDGER_BUDGETS, fault);
}

int leases_load(struct leases *leases, struct fault *fault)
{
	check_equal(leases->count, 0);
	return store_transaction_read(leases->options->store, load_all, leases, fault);
}

struct lease *leases_find(const struct leases *leases, struct ledger_account_id account)
{
	return map_find(&leases->by_account, account.value);
}

struct lease *leases_find_handle(const struct leases *leases, void *handle)
{
	return map_find(&leases->by_handle, (uintptr_t)handle);
}

int64_t leases_pending(const struct leases *leases)
{
	int64_t sum = 0;

	for (const struct lease *lease = leases->all; lease != NULL; lease = lease->next)
		sum += lease->pending_nano;
	return sum;
}

/* Those that were to go, and of which nothing is pending any more. */
static void forget_gone(struct leases *leases)
{
	struct lease **link = &leases->all;

	while (*link != NULL) {
		struct lease *lease = *link;
		const bool leaves = lease->handle == NULL || lease->released != NULL;
		if (!leaves || lease->pending_nano > 0) {
			link = &lease->next;
			continue;
		}
		*link = lease->next;
		leases->count--;
		if (leases_find(leases, lease->account) == lease)
			map_remove(&leases->by_account, lease->account.value);
		if (lease->handle != NULL)
			map_remove(&leases->by_handle, (uintptr_t)lease->handle);
		if (lease->budget != NULL)
			lease->budget->lease = NULL;
		if (lease->released != NULL)
			lease->released(lease->released_context, lease->handle);
		free(lease);
	}
}

/* ---- planning ---- */

static void sample(struct lease *lease, int64_t taken_nano, uint64_t now_ns)
{
	const uint64_t passed_ns = now_ns - lease->sample_ns;
	const int64_t since = taken_nano - lease->sample_nano;

	if (taken_nano != lease->taken_nano) {
		lease->taken_nano = taken_nano;
		lease->taken_ns = now_ns;
	}
	if (passed_ns >= CLOCK_NS_PER_S) {
		lease->rate_nano = (int64_t)((__int128)since * CLOCK_NS_PER_S / passed_ns);
		lease->sample_nano = taken_nano;
		lease->sample_ns = now_ns;
	} else if (since > lease->rate_nano) {
		lease->rate_nano = since;
	}
}

static int64_t target_of(const struct lease *lease)
{
	__int128 target = (__int128)RATE_SECONDS * lease->rate_nano;

	if (target < (__int128)WANTED_HOLDS * lease->wanted_nano)
		target = (__int128)WANTED_HOLDS * lease->wanted_nano;
	if (target < (__int128)LARGEST_HOLDS * lease->largest_nano)
		target = (__int128)LARGEST_HOLDS * lease->largest_nano;
	return target < TARGET_MAX ? (int64_t)target : TARGET_MAX;
}

static bool is_due(const struct leases *leases, const struct lease *lease)
{
	if (lease->pending_nano == 0)
		return false;
	return (lease->handle != NULL &&
		leases->now_ns + GATEWAY_NS - RENEW_NS >= lease->until_ns) ||
	       leases->now_wall_ns + TIMEOUT_NS - RENEW_NS >= lease->until_wall_ns;
}

static bool is_lapsed(const struct leases *leases, const struct lease *lease)
{
	return leases->now_ns >= lease->until_ns || leases->now_wall_ns >= lease->until_wall_ns;
}

static bool is_idle(struct leases *leases, struct lease *lease)
{
	if (lease->wanted_nano > 0 || leases->now_ns - lease->taken_ns < IDLE_NS)
		return false;
	lease->largest_nano = 0;
	lease->rate_nano = 0;
	return true;
}

/* Returns whether the lease takes part. */
static bool plan_one(struct leases *leases, struct lease *lease)
{
	const struct billing_lease_port *port = &leases->options->leases;
	const bool month_is_over = lease->budget != NULL && lease->month != 0 &&
				   clock_month_of(leases->now_wall_ns) > lease->month;

	if (lease->handle == NULL)
		return leases->releasing || is_due(leases, lease);
	const struct billing_lease_state state = port->poll(port->context, lease->handle);
	lease->available_nano = state.available_nano;
	if (state.wanted_nano > lease->wanted_nano)
		lease->wanted_nano = state.wanted_nano;
	if (state.wanted_nano > lease->largest_nano)
		lease->largest_nano = state.wanted_nano;
	sample(lease, state.taken_nano, leases->now_ns);
	const bool goes_back = is_idle(leases, lease) || is_lapsed(leases, lease) ||
			       leases->releasing || lease->released != NULL || lease->take_all ||
			       month_is_over;
	if (goes_back && state.available_nano > 0) {
		lease->reclaimed_nano =
			port->reclaim(port->context, lease->handle, state.available_nano);
		lease->available_nano -= lease->reclaimed_nano;
	}
	lease->needs = !leases->releasing && lease->released == NULL &&
		       (lease->has_source || lease->look_again || is_lapsed(leases, lease)) &&
		       (lease->wanted_nano > lease->available_nano ||
			lease->available_nano < target_of(lease) / 2);
	return lease->needs || lease->reclaimed_nano > 0 || lease->look_again || month_is_over ||
	       is_due(leases, lease) || (leases->releasing && lease->pending_nano > 0);
}

static void take_part(struct leases *leases, struct lease *lease)
{
	if (lease->in_turn)
		return;
	lease->in_turn = true;
	if (leases->turn_count == leases->turn_capacity) {
		leases->turn_capacity = leases->turn_capacity == 0 ? 64 : 2 * leases->turn_capacity;
		leases->turn =
			reallocarray(leases->turn, leases->turn_capacity, sizeof(struct lease *));
		check(leases->turn != NULL);
	}
	leases->turn[leases->turn_count++] = lease;
}

size_t leases_plan(struct leases *leases)
{
	const struct billing_lease_port *port = &leases->options->leases;
	bool waiting = false;

	forget_gone(leases);
	leases->now_ns = clock_monotonic_ns(leases->options->clock);
	leases->now_wall_ns = clock_wall_ns(leases->options->clock);
	leases->turn_count = 0;
	for (struct lease *lease = leases->all; lease != NULL; lease = lease->next) {
		lease->in_turn = false;
		if (plan_one(leases, lease)) {
			take_part(leases, lease);
		} else if (lease->wanted_nano > 0) {
			/* What was missed then is there now, or will never be. */
			waiting = true;
			lease->wanted_nano = 0;
		}
	}
	if (waiting)
		port->changed(port->context);
	leases->planned = leases->turn_count;
	return leases->planned;
}

/* ---- in the transaction ---- */

void leases_begin(struct leases *leases)
{
	for (size_t i = leases->planned; i < leases->turn_count; i++)
		leases->turn[i]->in_turn = false;
	leases->turn_count = leases->planned;
	leases->overruns_turn = 0;
	for (size_t i = 0; i < leases->turn_count; i++)
		leases->turn[i]->charged_nano = 0;
}

void lease_charge(struct leases *leases, struct lease *lease, int64_t nano)
{
	if (!lease->in_turn) {
		lease->charged_nano = 0;
		take_part(leases, lease);
	}
	check(!__builtin_add_overflow(lease->charged_nano, nano, &lease->charged_nano));
}

int leases_void(struct leases *leases, struct transfers *transfers, uint64_t turn,
		struct fault *fault)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < leases->turn_count; i++) {
		const struct lease *lease = leases->turn[i];
		const struct ledger_transfer release = {
			.id = ledger_transfer_id_derive(LEDGER_KIND_LEASE, turn,
							lease->account.value,
							leases->options->node * 2),
			.flags = LEDGER_VOID,
			.pending_id = lease->pending_id,
		};
		if (lease->pending_nano > 0)
			code = transfers_add(transfers, &release, fault);
	}
	return code;
}

/* A budget's lease moves to the account of the month that has begun. */
static int find_account(struct leases *leases, struct intake *intake, struct lease *lease,
			struct fault *fault)
{
	struct budget *budget;
	const uint32_t month = clock_month_of(leases->now_wall_ns);

	lease->next_account = lease->account;
	lease->next_month = lease->month;
	if (lease->budget == NULL)
		return 0;
	int code = intake_budget_get(intake, lease->budget->terms.key, &budget, fault);
	if (code < 0)
		return code == FAULT_NOT_FOUND ? 0 : code;
	if (budget->terms.nano < 0) /* there is none any more: nothing to lease */
		return 0;
	lease->next_month = month > lease->month ? month : lease->month;
	return budget_ensure(leases->options->store, leases->books, budget, lease->next_month,
			     intake->turn, leases->now_wall_ns, &lease->next_account, fault);
}

/* What the account could still be debited, now that the old pending transfers are void. */
static int find_free(struct leases *leases, const struct lease *lease, int64_t *ret_nano,
		     struct fault *fault)
{
	struct ledger_account account;

	*ret_nano = 0;
	if (lease->next_account.value == 0)
		return 0;
	int code = ledger_account_get(leases->books->ledger, lease->next_account, &account, fault);
	if (code < 0)
		return code;
	const int64_t available = ledger_account_available(&account).nano;
	if (account.flags & LEDGER_CLOSED)
		*ret_nano = 0;
	else if (!(account.flags & LEDGER_DEBITS_MUST_NOT_EXCEED_CREDITS))
		*ret_nano = UNLIMITED_NANO;
	else if (available > 0)
		*ret_nano = available;
	return 0;
}

/* Calls that began before the budget went still hold some of it. */
static bool is_removed(const struct lease *lease)
{
	return lease->budget != NULL && lease->budget->terms.nano < 0;
}

/* The heart: what the lease has afterwards, and what of it is new. */
static void decide(struct leases *leases, struct lease *lease, int64_t free_nano)
{
	int64_t kept_nano = lease->pending_nano - lease->charged_nano - lease->reclaimed_nano;

	lease->granted_nano = 0;
	lease->next_take_all = false;
	/* By construction this does not happen, see billing.h. It can where holds and charges do
	 * not belong together: a budget that came or went while calls were in flight, parked
	 * records. */
	if (kept_nano < lease->available_nano)
		lease->next_take_all = lease->handle != NULL;
	if (kept_nano < 0) {
		leases->overruns_turn += !is_removed(lease);
		kept_nano = 0;
		lease->next_take_all = lease->handle != NULL;
	}
	if (kept_nano > free_nano) { /* it had expired, and the money went elsewhere */
		kept_nano = free_nano;
		lease->next_take_all = lease->handle != NULL;
	}
	if (leases->releasing)
		kept_nano = 0;
	if (lease->needs) {
		const int64_t target_nano = target_of(lease);
		const int64_t left_nano = free_nano - kept_nano;
		if (left_nano < 2 * target_nano)
			lease->granted_nano = left_nano;
		else if (target_nano > lease->available_nano)
			lease->granted_nano = target_nano - lease->available_nano;
	}
	lease->next_nano = kept_nano + lease->granted_nano;
	lease->next_source = free_nano > lease->next_nano;
}

int leases_reserve(struct leases *leases, struct intake *intake, struct transfers *transfers,
		   struct fault *fault)
{
	int code = transfers_flush(transfers, fault);

	for (size_t i = 0; code == 0 && i < leases->turn_count; i++) {
		struct lease *lease = leases->turn[i];
		int64_t free_nano = 0;
		code = find_account(leases, intake, lease, fault);
		if (code == 0)
			code = find_free(leases, lease, &free_nano, fault);
		if (code < 0)
			return code;
		decide(leases, lease, free_nano);
		lease->next_id = ledger_transfer_id_derive(LEDGER_KIND_LEASE, intake->turn,
							   lease->next_account.value,
							   leases->options->node * 2 + 1);
		struct ledger_transfer reserve = {
			.id = lease->next_id,
			.debit = lease->next_account,
			.credit = books_leases(leases->books, lease->number),
			.amount_nano = lease->next_nano,
			.kind = LEDGER_KIND_LEASE,
			.flags = LEDGER_PENDING,
			.timeout_s = BILLING_LEASE_TIMEOUT_S,
			.period = lease->next_month,
		};
		if (lease->budget != NULL)
			reserve.subscription =
				billing_budget_subscription(lease->budget->terms.key);
		code = transfers_add(transfers, &reserve, fault);
	}
	return code < 0 ? code : transfers_flush(transfers, fault);
}

/* ---- after the transaction ---- */

/* Returns whether calls that wait should look again. */
static bool tell_gateway(struct leases *leases, struct lease *lease)
{
	const struct billing_lease_port *port = &leases->options->leases;
	bool news = lease->wanted_nano > 0;

	/* Also without money: an expired lease makes calls wait, an empty one refuses them. Not
	 * where the gateway may have more than is pending. */
	if (!lease->next_take_all) {
		news |= leases->now_ns >= lease->until_ns;
		lease->until_ns = leases->now_ns + GATEWAY_NS;
	}
	port->grant(port->context, lease->handle, lease->granted_nano, lease->until_ns);
	/* Also where nothing changed: who made the poster look again may have told the gateway to
	 * wait for its word. */
	port->set_source(port->context, lease->handle, lease->next_source);
	news |= lease->next_source != lease->has_source || lease->look_again;
	lease->has_source = lease->next_source;
	return news || lease->granted_nano > 0;
}

void leases_committed(struct leases *leases)
{
	const struct billing_lease_port *port = &leases->options->leases;
	bool news = false;

	for (size_t i = 0; i < leases->turn_count; i++) {
		struct lease *lease = leases->turn[i];
		lease->pending_id = lease->next_id;
		lease->pending_nano = lease->next_nano;
		lease->account = lease->next_account;
		lease->month = lease->next_month;
		lease->until_wall_ns = leases->now_wall_ns + TIMEOUT_NS;
		if (lease->handle != NULL)
			news |= tell_gateway(leases, lease);
		lease->reclaimed_nano = 0;
		lease->wanted_nano = 0;
		lease->look_again = false;
		lease->take_all = lease->next_take_all;
		lease->in_turn = false;
	}
	leases->turn_count = 0;
	leases->planned = 0;
	leases->overruns += leases->overruns_turn;
	if (news)
		port->changed(port->context);
	forget_gone(leases);
}

void leases_aborted(struct leases *leases)
{
	const struct billing_lease_port *port = &leases->options->leases;

	for (size_t i = 0; i < leases->planned; i++) {
		struct lease *lease = leases->turn[i];
		if (lease->reclaimed_nano > 0)
			port->grant(port->context, lease->handle, lease->reclaimed_nano,
				    lease->until_ns);
		lease->reclaimed_nano = 0;
	}
	for (size_t i = 0; i < leases->turn_count; i++)
		leases->turn[i]->in_turn = false;
	leases->turn_count = 0;
	leases->planned = 0;
}

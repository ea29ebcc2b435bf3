#include "billing/billing_testing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "meter/meter.h"

#define SEGMENT_RECORDS 256

#define must(call) check_equal((call), 0)

const struct billing_terms *testing_terms(const struct testing_subscription *subscription,
					  uint32_t month)
{
	const bool moved = subscription->moved_month != 0 && month >= subscription->moved_month;

	return moved ? &subscription->moved : &subscription->terms;
}

static int find_terms(void *context, struct store *store, struct subscription_id id, uint32_t month,
		      struct billing_terms *ret_terms, struct fault *fault)
{
	const struct testing *testing = context;

	(void)store;
	if (testing->terms_hidden || id.value == 0 || id.value > testing->subscription_count)
		return fault_set(fault, FAULT_NOT_FOUND, "there is no subscription %" PRIu64,
				 id.value);
	*ret_terms = *testing_terms(&testing->subscriptions[id.value - 1], month);
	return 0;
}

/* ---- the port: as gateway/lease.c ---- */

static struct billing_lease_state port_poll(void *context, void *handle)
{
	struct testing_lease *lease = handle;
	const struct billing_lease_state state = {
		.available_nano = lease->available_nano,
		.wanted_nano = lease->wanted_nano,
		.taken_nano = lease->taken_nano,
	};

	(void)context;
	lease->wanted_nano = 0;
	return state;
}

static void port_grant(void *context, void *handle, int64_t nano, uint64_t expires_ns)
{
	struct testing_lease *lease = handle;

	(void)context;
	check(nano >= 0);
	lease->available_nano += nano;
	lease->expires_ns = expires_ns;
	lease->granted_count++;
}

static int64_t port_reclaim(void *context, void *handle, int64_t nano)
{
	struct testing_lease *lease = handle;
	const int64_t taken = nano < lease->available_nano ? nano : lease->available_nano;

	(void)context;
	lease->available_nano -= taken;
	return taken;
}

static void port_set_source(void *context, void *handle, bool has_more)
{
	struct testing_lease *lease = handle;

	(void)context;
	lease->has_more = has_more;
}

static void port_changed(void *context)
{
	struct testing *testing = context;

	testing->changed_count++;
}

/* ---- opening ---- */

static void open_stores(struct testing *testing)
{
	struct fault *fault = &testing->fault;

	must(store_open(testing->files.path, &testing->store, fault));
	must(store_open(testing->files.path, &testing->other, fault));
}

static void open_journal(struct testing *testing)
{
	const struct journal_options options = {
		.disk = &testing->disk.disk,
		.clock = &testing->clock.clock,
		.folder = "journal",
		.segment_records = testing->segment_records,
	};

	must(journal_open(&options, &testing->journal, &testing->fault));
	for (uint32_t i = 0; i < TESTING_STREAMS; i++)
		must(journal_stream_open(testing->journal, i, &testing->streams[i],
					 &testing->fault));
}

void testing_init(struct testing *testing)
{
	testing_init_sized(testing, SEGMENT_RECORDS);
}

void testing_init_sized(struct testing *testing, uint32_t segment_records)
{
	memset(testing, 0, sizeof(*testing));
	testing->segment_records = segment_records;
	store_testing_init(&testing->files);
	open_stores(testing);
	must(store_migrate(testing->store, ledger_migrations, ledger_migration_count,
			   &testing->fault));
	must(meter_migrate(testing->store, &testing->fault));
	must(billing_migrate(testing->store, &testing->fault));
	clock_manual_init(&testing->clock, 1000 * CLOCK_NS_PER_S, TESTING_START_NS);
	memory_disk_init(&testing->disk);
	open_journal(testing);
	testing->options = (struct billing_options){
		.clock = &testing->clock.clock,
		.terms = {.find = find_terms, .context = testing},
		.leases = {.poll = port_poll,
			   .grant = port_grant,
			   .reclaim = port_reclaim,
			   .set_source = port_set_source,
			   .changed = port_changed,
			   .context = testing},
		.fee_ppm = 30000,
		.node = 1,
	};
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		testing->options.card.of[i].per = 1;
}

static void close_poster(struct testing *testing)
{
	if (testing->poster != NULL)
		billing_poster_close(testing->poster);
	testing->poster = NULL;
}

static void free_leases(struct testing *testing)
{
	for (size_t i = 0; i < testing->subscription_count; i++) {
		testing->subscriptions[i].account_lease = NULL;
		memset(testing->subscriptions[i].budget_leases, 0,
		       sizeof(testing->subscriptions[i].budget_leases));
	}
	for (size_t i = 0; i < testing->lease_count; i++)
		free(testing->leases[i]);
	testing->lease_count = 0;
}

static struct testing_lease *make_lease(struct testing *testing)
{
	struct testing_lease *lease = calloc(1, sizeof(*lease));

	check(lease != NULL && testing->lease_count < TESTING_LEASES_MAX);
	lease->has_more = true;
	testing->leases[testing->lease_count++] = lease;
	return lease;
}

void testing_fini(struct testing *testing)
{
	close_poster(testing);
	free_leases(testing);
	must(journal_close(testing->journal, &testing->fault));
	memory_disk_fini(&testing->disk);
	store_close(testing->store);
	store_close(testing->other);
	store_testing_fini(&testing->files);
}

void testing_start(struct testing *testing)
{
	testing->options.store = testing->store;
	testing->options.journal = testing->journal;
	must(billing_poster_open(&testing->options, &testing->poster, &testing->fault));
	must(billing_poster_recover(testing->poster, &testing->fault));
	for (size_t i = 0; i < testing->subscription_count; i++) {
		struct testing_subscription *subscription = &testing->subscriptions[i];
		must(billing_used(testing->other, subscription->terms.subscription,
				  subscription->month, &subscription->used,
				  &subscription->cloud_used, &testing->fault));
	}
}

void testing_kill(struct testing *testing)
{
	close_poster(testing);
	free_leases(testing);
	must(journal_close(testing->journal, &testing->fault));
	store_close(testing->store);
	store_close(testing->other);
	open_stores(testing);
	open_journal(testing);
	testing_start(testing);
}

/* ---- who is there ---- */

void testing_move(struct testing_subscription *subscription, uint32_t month,
		  const struct rating_plan *plan)
{
	subscription->moved = subscription->terms;
	subscription->moved.plan.value += TESTING_TERMS_MAX;
	subscription->moved.rating = *plan;
	subscription->moved_month = month;
}

struct rating_plan testing_unit_plan(int64_t nano, int64_t per)
{
	return (struct rating_plan){
		.price_count = 1,
		.prices = {{.meter = RATING_CALLS,
			    .model = RATING_UNIT,
			    .rate = {.nano = nano, .per = per}}},
		.max_units = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
		.max_charge_nano = -1,
	};
}

/* The same name has the same number. */
static uint64_t number_of_name(const char *name)
{
	uint64_t number = 1;

	for (const char *at = name; *at != '\0'; at++)
		number = number * 131 + (unsigned char)*at;
	return number & INT64_MAX;
}

static void copy_name(char to[BILLING_NAME_MAX], const char *from)
{
	check(slice_to_text(slice_of(from), to, BILLING_NAME_MAX));
}

struct testing_subscription *testing_subscribe(struct testing *testing, const char *consumer,
					       const char *provider, const struct rating_plan *plan)
{
	check(testing->subscription_count < TESTING_TERMS_MAX);
	struct testing_subscription *subscription =
		&testing->subscriptions[testing->subscription_count++];
	struct billing_terms *terms = &subscription->terms;
	const uint64_t number = testing->subscription_count;

	check(rating_plan_valid(plan));
	*subscription = (struct testing_subscription){
		.month = clock_month_of(clock_wall_ns(&testing->clock.clock))};
	*terms = (struct billing_terms){
		.subscription = {number},
		.plan = {1000 + number},
		.account = {number_of_name(consumer)},
		.app = {number_of_name(consumer) / 2},
		.service = {number_of_name(provider) / 2},
		.provider = {number_of_name(provider)},
		.rating = *plan,
		.budget_nano = -1,
	};
	copy_name(terms->account_name, consumer);
	copy_name(terms->provider_name, provider);
	snprintf(terms->app_name, sizeof(terms->app_name), "%.60s/app", consumer);
	snprintf(terms->service_name, sizeof(terms->service_name), "%.60s-service", provider);
	snprintf(terms->plan_name, sizeof(terms->plan_name), "plan-%" PRIu64, number);
	copy_name(terms->units[0], "pixels");
	copy_name(terms->units[1], "tokens");
	return subscription;
}

void testing_fund(struct testing *testing, const char *account, int64_t nano)
{
	char key[64];
	static uint64_t number;
	struct ledger_account_id id;
	bool created;

	snprintf(key, sizeof(key), "funding %" PRIu64, ++number);
	must(store_begin(testing->other, STORE_WRITE, &testing->fault));
	must(billing_account_ensure(testing->other, slice_of(account), &id, &testing->fault));
	must(billing_fund(testing->other, slice_of(account), amount_nano(nano), slice_of(key),
			  clock_wall_ns(&testing->clock.clock), &created, &testing->fault));
	must(store_commit(testing->other, &testing->fault));
	check(created);
	if (testing->poster != NULL)
		billing_poster_wake(testing->poster, id);
}

struct testing_lease *testing_lease_new(struct testing *testing, const char *account)
{
	struct testing_lease *lease = make_lease(testing);
	struct ledger_account_id id;

	must(store_begin(testing->other, STORE_WRITE, &testing->fault));
	must(billing_account_ensure(testing->other, slice_of(account), &id, &testing->fault));
	must(store_commit(testing->other, &testing->fault));
	for (size_t i = 0; i < testing->subscription_count; i++) {
		if (strcmp(testing->subscriptions[i].terms.account_name, account) == 0)
			testing->subscriptions[i].account_lease = lease;
	}
	billing_poster_lease_add(testing->poster, id, lease);
	return lease;
}

static bool is_bound(const struct billing_terms *terms, struct billing_budget_key key)
{
	switch (key.level) {
	case BILLING_LEVEL_SUBSCRIPTION:
		return terms->subscription.value == key.id;
	case BILLING_LEVEL_APP:
		return terms->app.value == key.id;
	default:
		return terms->account.value == key.id;
	}
}

struct testing_lease *testing_level_lease_new(struct testing *testing,
					      struct billing_budget_key key)
{
	struct testing_lease *lease = make_lease(testing);

	for (size_t i = 0; i < testing->subscription_count; i++) {
		if (is_bound(&testing->subscriptions[i].terms, key))
			testing->subscriptions[i].budget_leases[key.level] = lease;
	}
	billing_poster_budget_add(testing->poster, key, lease);
	return lease;
}

struct testing_lease *testing_budget_lease_new(struct testing *testing,
					       const struct testing_subscription *subscription)
{
	return testing_level_lease_new(
		testing, (struct billing_budget_key){BILLING_LEVEL_SUBSCRIPTION,
						     subscription->terms.subscription.value});
}

/* ---- calls ---- */

static enum testing_outcome take(const struct testing *testing, struct testing_lease *lease,
				 int64_t nano)
{
	if (clock_monotonic_ns(&testing->clock.clock) < lease->expires_ns) {
		if (lease->available_nano >= nano) {
			lease->available_nano -= nano;
			lease->taken_nano += nano;
			return TESTING_ADMITTED;
		}
		if (!lease->has_more)
			return TESTING_REFUSED;
	}
	if (lease->wanted_nano < nano)
		lease->wanted_nano = nano;
	return TESTING_WAITS;
}

enum testing_outcome testing_admit(struct testing *testing, struct testing_call *call,
				   int64_t hold_nano)
{
	const struct testing_subscription *subscription = call->subscription;
	unsigned taken = 0;

	call->leases[0] = subscription->account_lease;
	memcpy(call->leases + 1, subscription->budget_leases, sizeof(subscription->budget_leases));
	for (; taken <= BILLING_LEVELS; taken++) {
		enum testing_outcome outcome = TESTING_ADMITTED;
		if (call->leases[taken] != NULL)
			outcome = take(testing, call->leases[taken], hold_nano);
		if (outcome == TESTING_ADMITTED)
			continue;
		while (taken-- > 0) {
			if (call->leases[taken] != NULL)
				call->leases[taken]->available_nano += hold_nano;
		}
		return outcome;
	}
	call->held_nano = hold_nano;
	return TESTING_ADMITTED;
}

static int64_t charge(struct testing *testing, struct testing_call *call, uint64_t now_ns,
		      struct journal_record *record)
{
	struct testing_subscription *subscription = call->subscription;
	struct rating_quantities quantities;
	struct rating_cloud_quantities cloud;
	int64_t usage_nano;
	int64_t cloud_nano;

	if (subscription->month != clock_month_of(now_ns)) {
		subscription->month = clock_month_of(now_ns);
		subscription->used = (struct rating_quantities){0};
		subscription->cloud_used = (struct rating_cloud_quantities){0};
	}
	const struct rating_plan *plan = &testing_terms(subscription, subscription->month)->rating;
	check(audit_quantities_of(plan, record, &quantities, &cloud));
	check(rating_plan_advance(plan, &subscription->used, &quantities, &usage_nano));
	check(rating_cloud_advance(&testing->options.card, &subscription->cloud_used, &cloud,
				   &cloud_nano));
	for (unsigned i = 0; i < JOURNAL_RECORD_UNITS; i++)
		record->units[i] = (uint64_t)quantities.of[RATING_UNIT_0 + i];
	return usage_nano + cloud_nano;
}

int64_t testing_settle(struct testing *testing, struct testing_call *call, uint32_t stream)
{
	struct testing_subscription *subscription = call->subscription;
	const uint64_t now_ns = clock_wall_ns(&testing->clock.clock);
	const struct billing_terms *terms = testing_terms(subscription, clock_month_of(now_ns));
	struct journal_record record = {
		.outcome = call->is_report ? JOURNAL_REPORTED : JOURNAL_ANSWERED,
		.flags = call->is_report ? JOURNAL_CONTINUES : 0,
		.path = (uint8_t)call->path,
		.started_ns = now_ns,
		.settled_ns = now_ns,
		.duration_us = call->service_us + 20,
		.service_us = call->service_us,
		.status = call->status,
		.account = terms->account,
		.app = terms->app,
		.key = {terms->subscription.value},
		.subscription = terms->subscription,
		.service = terms->service,
		.plan = terms->plan,
		.request_bytes = call->request_bytes,
		.response_bytes = call->response_bytes,
		.memory_mib_us = call->memory_mib_us,
		.cpu_milli_us = call->cpu_milli_us,
	};

	testing->call_count++;
	memcpy(record.call.bytes, &testing->call_count, sizeof(testing->call_count));
	memcpy(record.units, call->units, sizeof(record.units));
	if (call->is_report && terms->rating.max_charge_nano >= 0)
		journal_record_set_left_nano(&record, terms->rating.max_charge_nano);
	if (call->status < 500 || terms->rating.bill_always) {
		record.flags |= JOURNAL_BILLED;
		record.charge_nano = charge(testing, call, now_ns, &record);
	}
	if (call->held_nano > 0) {
		check_at_most(record.charge_nano, call->held_nano);
		for (unsigned i = 0; i <= BILLING_LEVELS; i++) {
			if (call->leases[i] != NULL)
				call->leases[i]->available_nano +=
					call->held_nano - record.charge_nano;
		}
	}
	if (journal_stream_room(testing->streams[stream]) == 0) {
		bool synced;
		must(journal_maintain(testing->journal, &synced, &testing->fault));
	}
	journal_append(testing->streams[stream], &record);
	return record.charge_nano;
}

int64_t testing_call(struct testing *testing, struct testing_subscription *subscription,
		     uint32_t stream)
{
	struct testing_call call = {.subscription = subscription,
				    .request_bytes = 100,
				    .response_bytes = 1000,
				    .service_us = 1500,
				    .status = 200,
				    .memory_mib_us = 128 * 1500 / 8,
				    .cpu_milli_us = 500 * 1500 / 8};

	return testing_settle(testing, &call, stream);
}

/* ---- what came of it ---- */

uint64_t testing_post(struct testing *testing)
{
	uint64_t total = 0;
	uint64_t posted = 1;
	bool synced;

	must(journal_maintain(testing->journal, &synced, &testing->fault));
	while (posted > 0) {
		must(billing_poster_turn(testing->poster, &posted, &testing->fault));
		total += posted;
	}
	return total;
}

static bool find_account(struct testing *testing, uint32_t number, const char *name,
			 struct ledger_account *ret_account)
{
	struct ledger *ledger;

	must(ledger_new(testing->other, &ledger, &testing->fault));
	must(store_begin(testing->other, STORE_READ, &testing->fault));
	const int code =
		ledger_account_find(ledger, number, slice_of(name), ret_account, &testing->fault);
	store_rollback(testing->other);
	ledger_free(ledger);
	check(code == 0 || code == FAULT_NOT_FOUND);
	return code == 0;
}

int64_t testing_balance(struct testing *testing, uint32_t ledger, const char *name)
{
	struct ledger_account account;

	if (!find_account(testing, ledger, name, &account))
		return 0;
	return account.credits_posted_nano - account.debits_posted_nano;
}

int64_t testing_pending(struct testing *testing, uint32_t ledger, const char *name)
{
	struct ledger_account account;

	return find_account(testing, ledger, name, &account) ? account.debits_pending_nano : 0;
}

void testing_audit(struct testing *testing)
{
	struct ledger *ledger;
	struct ledger_audit audit;
	struct ledger_sum sum;

	must(ledger_new(testing->other, &ledger, &testing->fault));
	must(store_begin(testing->other, STORE_READ, &testing->fault));
	must(ledger_audit(ledger, &audit, &testing->fault));
	for (uint32_t number = LEDGER_MONEY; number <= LEDGER_BUDGETS; number++) {
		must(ledger_sum(ledger, number, &sum, &testing->fault));
		check(sum.debits_posted_nano == sum.credits_posted_nano);
		check(sum.debits_pending_nano == sum.credits_pending_nano);
	}
	store_rollback(testing->other);
	ledger_free(ledger);
}

int64_t testing_charged(struct testing *testing, const char *name, uint32_t period)
{
	struct ledger_account account;
	struct ledger_transfer transfers[64];
	struct ledger *ledger;
	uint64_t after = 0;
	size_t count = 64;
	int64_t sum = 0;

	if (!find_account(testing, LEDGER_MONEY, name, &account))
		return 0;
	must(ledger_new(testing->other, &ledger, &testing->fault));
	must(store_begin(testing->other, STORE_READ, &testing->fault));
	while (count == 64) {
		must(ledger_transfers_list(ledger, account.id, after, transfers, 64, &count,
					   &testing->fault));
		for (size_t i = 0; i < count; i++) {
			const struct ledger_transfer *transfer = &transfers[i];
			after = transfer->sequence;
			if (transfer->period != period || (transfer->kind != LEDGER_KIND_USAGE &&
							   transfer->kind != LEDGER_KIND_CLOUD &&
							   transfer->kind != LEDGER_KIND_FEE))
				continue;
			if (transfer->debit.value == account.id.value)
				sum += transfer->amount_nano;
			else
				sum -= transfer->amount_nano;
		}
	}
	store_rollback(testing->other);
	ledger_free(ledger);
	return sum;
}

struct billing_counts testing_counts(const struct testing *testing)
{
	struct billing_counts counts;

	billing_poster_counts(testing->poster, &counts);
	return counts;
}

uint64_t testing_seed(void)
{
	const char *given = getenv("STOA_SEED");
	uint64_t seed = random_u64(random_system());

	if (given != NULL)
		check(slice_to_u64(slice_of(given), UINT64_MAX, &seed));
	printf("seed %" PRIu64 "\n", seed);
	return seed;
}

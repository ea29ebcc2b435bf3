#include "billing/intake.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "billing/parked.h"

#define READ_AT_ONCE 4096
#define MINUTE_NS    (60 * CLOCK_NS_PER_S)
#define IDLE_NS      (600 * CLOCK_NS_PER_S) /* a subscription is forgotten after so long */
#define MINUTES_KEPT 2

void intake_init(struct intake *intake, const struct billing_options *options)
{
	*intake = (struct intake){.options = options};
	map_init(&intake->subscriptions);
	map_init(&intake->plans);
	budgets_init(&intake->budgets);
	key_uses_init(&intake->keys);
}

static void subscription_free(struct intake_subscription *subscription)
{
	struct intake_posting *posting = subscription->postings;
	struct intake_minute *minute = subscription->minutes;

	while (posting != NULL) {
		struct intake_posting *next = posting->next;
		free(posting);
		posting = next;
	}
	while (minute != NULL) {
		struct intake_minute *next = minute->next;
		free(minute);
		minute = next;
	}
	free(subscription);
}

void intake_fini(struct intake *intake)
{
	size_t cursor = 0;
	uint64_t key;
	void *value;

	for (uint32_t i = 0; i < JOURNAL_STREAMS_MAX; i++) {
		struct intake_stream *stream = &intake->streams[i];
		if (stream->reader != NULL)
			journal_reader_close(stream->reader);
		while (stream->months != NULL) {
			struct intake_month *next = stream->months->next;
			free(stream->months);
			stream->months = next;
		}
	}
	while (map_next(&intake->subscriptions, &cursor, &key, &value))
		subscription_free(value);
	cursor = 0;
	while (map_next(&intake->plans, &cursor, &key, &value))
		free(value);
	map_fini(&intake->subscriptions);
	map_fini(&intake->plans);
	budgets_fini(&intake->budgets);
	key_uses_fini(&intake->keys);
	free(intake->parked.of);
	free(intake->unparked.of);
	*intake = (struct intake){0};
}

/* ---- subscriptions and their terms ---- */

static void *allocate(size_t bytes)
{
	void *memory = calloc(1, bytes);

	check(memory != NULL);
	return memory;
}

struct intake_subscription *intake_subscription_find(const struct intake *intake,
						     struct subscription_id id)
{
	return map_find(&intake->subscriptions, id.value);
}

static struct intake_subscription *subscription_meet(struct intake *intake,
						     struct subscription_id id)
{
	struct intake_subscription *subscription = intake_subscription_find(intake, id);

	if (subscription == NULL) {
		subscription = allocate(sizeof(*subscription));
		subscription->id = id;
		map_put(&intake->subscriptions, id.value, subscription);
	}
	return subscription;
}

static const struct rating_plan *plan_keep(struct intake *intake, const struct billing_terms *terms)
{
	struct rating_plan *plan = map_find(&intake->plans, terms->plan.value);

	if (plan == NULL) {
		plan = allocate(sizeof(*plan));
		*plan = terms->rating;
		map_put(&intake->plans, terms->plan.value, plan);
	}
	return plan;
}

/* Asks once a turn for terms that are not known yet. */
static int terms_ask(struct intake *intake, struct intake_subscription *subscription,
		     uint32_t month, struct billing_terms *ret_terms, struct fault *fault)
{
	const struct billing_terms_source *source = &intake->options->terms;
	struct billing_terms terms;

	if (!subscription->terms_known && subscription->asked_turn == intake->turn)
		return fault_set(fault, FAULT_NOT_FOUND, "there is no subscription %" PRIu64,
				 subscription->id.value);
	int code = source->find(source->context, intake->options->store, subscription->id, month,
				&terms, fault);
	if (code == FAULT_NOT_FOUND)
		subscription->asked_turn = intake->turn;
	if (code < 0)
		return code;
	if (!rating_plan_valid(&terms.rating))
		return fault_set(fault, FAULT_DAMAGED, "plan %" PRIu64 " cannot be rated",
				 terms.plan.value);
	*ret_terms = terms;
	subscription->terms_known = true;
	subscription->app = terms.app;
	subscription->consumer = terms.account;
	subscription->budget.terms = (struct billing_budget){
		.key = {BILLING_LEVEL_SUBSCRIPTION, subscription->id.value},
		.nano = terms.budget_nano,
		.monthly = terms.budget_monthly,
	};
	memcpy(subscription->account_name, terms.account_name, BILLING_NAME_MAX);
	memcpy(subscription->provider_name, terms.provider_name, BILLING_NAME_MAX);
	return 0;
}

static int terms_find(struct intake *intake, struct intake_subscription *subscription,
		      uint32_t month, struct fault *fault)
{
	struct billing_terms terms;

	return subscription->terms_known ? 0
					 : terms_ask(intake, subscription, month, &terms, fault);
}

int intake_subscription_get(struct intake *intake, struct subscription_id id,
			    struct intake_subscription **ret_subscription, struct fault *fault)
{
	struct intake_subscription *subscription = subscription_meet(intake, id);
	int code = terms_find(intake, subscription, intake->month, fault);

	if (code == 0)
		*ret_subscription = subscription;
	return code;
}

struct budget *intake_budget(struct intake *intake, struct intake_subscription *subscription,
			     enum billing_level level)
{
	struct budget *budget = &subscription->budget;

	if (level == BILLING_LEVEL_APP)
		budget = budgets_find(&intake->budgets,
				      (struct billing_budget_key){level, subscription->app.value});
	else if (level == BILLING_LEVEL_ACCOUNT)
		budget = budgets_find(
			&intake->budgets,
			(struct billing_budget_key){level, subscription->consumer.value});
	return budget;
}

int intake_budget_get(struct intake *intake, struct billing_budget_key key,
		      struct budget **ret_budget, struct fault *fault)
{
	struct intake_subscription *subscription;

	if (key.level != BILLING_LEVEL_SUBSCRIPTION) {
		*ret_budget = budgets_find(&intake->budgets, key);
		return *ret_budget != NULL ? 0
					   : budgets_read(&intake->budgets, intake->options->store,
							  key, ret_budget, fault);
	}
	const int code = intake_subscription_get(intake, (struct subscription_id){key.id},
						 &subscription, fault);
	if (code == 0)
		*ret_budget = &subscription->budget;
	return code;
}

/* ---- sums ---- */

static struct intake_minute *minute_meet(struct intake *intake,
					 struct intake_subscription *subscription,
					 struct service_id service, uint64_t minute)
{
	struct intake_minute *met = subscription->minutes;

	while (met != NULL &&
	       (met->sum.minute != minute || met->sum.service.value != service.value))
		met = met->next;
	if (met == NULL) {
		met = allocate(sizeof(*met));
		met->sum.service = service;
		met->sum.subscription = subscription->id;
		met->sum.minute = minute;
		met->next = subscription->minutes;
		subscription->minutes = met;
	}
	if (!met->touched) {
		met->touched = true;
		met->next_touched = intake->minutes;
		intake->minutes = met;
	}
	if (minute > intake->newest_minute)
		intake->newest_minute = minute;
	return met;
}

/* FAULT_NOT_FOUND where the terms are not known (yet). */
static int posting_meet(struct intake *intake, struct intake_subscription *subscription,
			uint32_t month, struct intake_posting **ret_posting, struct fault *fault)
{
	struct intake_posting *met = subscription->postings;
	struct billing_terms terms;

	while (met != NULL && met->month != month)
		met = met->next;
	int code = met == NULL ? terms_ask(intake, subscription, month, &terms, fault)
			       : terms_find(intake, subscription, month, fault);
	if (code < 0)
		return code;
	if (met == NULL) {
		met = allocate(sizeof(*met));
		met->subscription = subscription;
		met->month = month;
		met->plan = terms.plan;
		met->rating = plan_keep(intake, &terms);
		met->next = subscription->postings;
		subscription->postings = met;
	}
	*ret_posting = met;
	return 0;
}

static void posting_touch(struct intake *intake, struct intake_posting *posting)
{
	if (posting->touched)
		return;
	posting->touched = true;
	posting->next_touched = intake->postings;
	intake->postings = posting;
}

static uint32_t month_of(struct intake *intake, uint64_t settled_ns)
{
	if (settled_ns < intake->month_start_ns || settled_ns >= intake->month_end_ns) {
		intake->month = clock_month_of(settled_ns);
		intake->month_start_ns = clock_month_start_ns(intake->month);
		intake->month_end_ns = clock_month_start_ns(intake->month + 1);
	}
	return intake->month;
}

static void month_add(struct intake_stream *stream, uint32_t month, uint64_t position)
{
	struct intake_month *met = stream->months;

	while (met != NULL && met->month != month)
		met = met->next;
	if (met == NULL) {
		met = allocate(sizeof(*met));
		*met = (struct intake_month){
			.next = stream->months, .month = month, .first = position};
		stream->months = met;
	}
	met->end = position + 1;
	met->touched = true;
}

/* All or nothing. */
static bool posting_add(struct intake_posting *posting, const struct rating_quantities *call,
			const struct rating_cloud_quantities *cloud_call, int64_t told_nano)
{
	struct rating_quantities calls;
	struct rating_cloud_quantities cloud_calls;
	bool overflow = false;

	for (unsigned i = 0; i < RATING_METERS; i++)
		overflow |= __builtin_add_overflow(posting->calls.of[i], call->of[i], &calls.of[i]);
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		overflow |= __builtin_add_overflow(posting->cloud_calls.of[i], cloud_call->of[i],
						   &cloud_calls.of[i]);
	if (overflow || __builtin_add_overflow(posting->told_nano, told_nano, &posting->told_nano))
		return false;
	posting->calls = calls;
	posting->cloud_calls = cloud_calls;
	posting->records++;
	return true;
}

/* Counts a billed record for its subscription; FAULT_NOT_FOUND where it cannot be rated (yet). */
static int charge_add(struct intake *intake, struct intake_subscription *subscription,
		      const struct journal_record *record, struct fault *fault)
{
	struct rating_quantities call;
	struct rating_cloud_quantities cloud_call;
	struct intake_posting *posting = NULL;
	int code = posting_meet(intake, subscription, month_of(intake, record->settled_ns),
				&posting, fault);

	if (code < 0)
		return code;
	if (posting->plan.value != record->plan.value)
		return fault_set(fault, FAULT_NOT_FOUND,
				 "subscription %" PRIu64 " had not plan %" PRIu64
				 " in month %" PRIu32,
				 subscription->id.value, record->plan.value, posting->month);
	posting_touch(intake, posting);
	if (!audit_quantities_of(posting->rating, record, &call, &cloud_call) ||
	    !posting_add(posting, &call, &cloud_call, record->charge_nano))
		return fault_set(fault, FAULT_NOT_FOUND, "a quantity is out of range");
	intake->records_billed++;
	return 0;
}

static int record_add(struct intake *intake, uint32_t stream, const struct journal_record *record,
		      struct fault *fault)
{
	struct intake_subscription *subscription = subscription_meet(intake, record->subscription);

	if (record->flags & JOURNAL_BILLED) {
		month_add(&intake->streams[stream], month_of(intake, record->settled_ns),
			  record->position);
		int code = charge_add(intake, subscription, record, fault);
		if (code == FAULT_NOT_FOUND)
			code = parked_add(intake, stream, record, fault);
		if (code < 0)
			return code;
	}
	struct intake_minute *minute =
		minute_meet(intake, subscription, record->service, record->settled_ns / MINUTE_NS);
	meter_minute_add(&minute->sum, record);
	key_uses_add(&intake->keys, record, month_of(intake, record->settled_ns));
	intake->records++;
	return 0;
}

/* ---- reading ---- */

static int stream_open(struct intake *intake, uint32_t number, struct fault *fault)
{
	struct intake_stream *stream = &intake->streams[number];

	if (stream->reader != NULL)
		return 0;
	return journal_reader_open(intake->options->journal, number, stream->read, &stream->reader,
				   fault);
}

/* After a fault in the middle of what the reader gave: it starts again behind what was added. */
static void stream_rewind(struct intake_stream *stream)
{
	journal_reader_close(stream->reader);
	stream->reader = NULL;
}

static int stream_read(struct intake *intake, uint32_t number, uint64_t most, uint64_t *ret_count,
		       struct fault *fault)
{
	struct intake_stream *stream = &intake->streams[number];
	const struct journal_record *records;
	uint64_t total = 0;
	uint32_t count = 1;
	int code = stream_open(intake, number, fault);

	if (code == FAULT_NOT_FOUND && stream->read == 0) {
		*ret_count = 0; /* a number that no worker has */
		return 0;
	}
	while (code == 0 && total < most && count > 0) {
		const uint64_t wanted = most - total;
		code = journal_reader_next_durable(
			stream->reader, wanted < READ_AT_ONCE ? (uint32_t)wanted : READ_AT_ONCE,
			&records, &count, fault);
		for (uint32_t i = 0; code == 0 && i < count; i++) {
			check_equal(records[i].position, stream->read);
			code = record_add(intake, number, &records[i], fault);
			if (code < 0)
				stream_rewind(stream);
			else
				stream->read++;
		}
		total += count;
	}
	if (code == 0)
		*ret_count = total;
	return code;
}

int intake_read(struct intake *intake, uint64_t most, bool *ret_drained, struct fault *fault)
{
	const uint32_t streams = journal_stream_count(intake->options->journal);
	uint64_t left = most;

	/* The first to be read changes, so that a busy stream cannot starve the others. */
	for (uint32_t i = 0; i < streams && left > 0; i++) {
		const uint32_t number = (uint32_t)((intake->turn + i) % streams);
		uint64_t count = 0;
		int code = stream_read(intake, number, left, &count, fault);
		if (code < 0)
			return code;
		left -= count;
	}
	*ret_drained = left > 0;
	return 0;
}

int intake_unpark(struct intake *intake, uint64_t most, struct fault *fault)
{
	struct journal_record record;
	uint32_t stream;
	bool found = true;

	for (uint64_t i = 0; i < most && intake->unparking; i++) {
		int code = parked_next(intake->options->store, intake->options->node,
				       intake->unpark_stream, intake->unpark_position, &found,
				       &stream, &record, fault);
		if (code < 0)
			return code;
		if (!found) {
			intake->unparking = false;
			intake->unpark_stream = 0;
			intake->unpark_position = 0;
			break;
		}
		code = charge_add(intake, subscription_meet(intake, record.subscription), &record,
				  fault);
		if (code == 0) {
			parked_list_add(&intake->unparked, stream, &record);
			intake->records++;
		}
		if (code < 0 && code != FAULT_NOT_FOUND)
			return code;
		intake->unpark_stream = stream;
		intake->unpark_position = record.position + 1;
	}
	return 0;
}

bool intake_is_drained(const struct intake *intake)
{
	const uint32_t streams = journal_stream_count(intake->options->journal);

	if (intake->records > 0)
		return false;
	for (uint32_t i = 0; i < streams; i++) {
		if (intake->streams[i].read != journal_stream_head(intake->options->journal, i))
			return false;
	}
	return true;
}

/* ---- after the transaction ---- */

static void posting_committed(struct intake_posting *posting, uint64_t now_ns)
{
	const struct intake_charges *charges = &posting->charges;

	posting->usage = charges->usage;
	posting->cloud = charges->cloud;
	posting->difference_nano = charges->usage.told_nano - charges->usage.usage_nano -
				   charges->cloud.cloud_nano - posting->other_cards_nano;
	posting->compared = false;
	posting->posted_ns = now_ns;
	posting->subscription->met_ns = now_ns;
	posting->records = 0;
	posting->calls = (struct rating_quantities){0};
	posting->cloud_calls = (struct rating_cloud_quantities){0};
	posting->told_nano = 0;
	posting->touched = false;
}

static void minutes_sweep(struct intake *intake, struct intake_subscription *subscription)
{
	struct intake_minute **link = &subscription->minutes;

	while (*link != NULL) {
		struct intake_minute *minute = *link;
		if (minute->sum.minute + MINUTES_KEPT > intake->newest_minute) {
			link = &minute->next;
			continue;
		}
		*link = minute->next;
		free(minute);
	}
}

/* Forgets old minutes, and subscriptions that were not called for long. */
static void sweep(struct intake *intake, uint64_t now_ns)
{
	size_t cursor = 0;
	uint64_t key;
	void *value;

	while (map_next(&intake->subscriptions, &cursor, &key, &value)) {
		struct intake_subscription *subscription = value;
		minutes_sweep(intake, subscription);
		if (subscription->minutes == NULL && subscription->budget.lease == NULL &&
		    subscription->met_ns + IDLE_NS < now_ns) {
			map_remove(&intake->subscriptions, key);
			subscription_free(subscription);
		}
	}
	if (intake->newest_minute > MINUTES_KEPT)
		key_uses_sweep(&intake->keys, intake->newest_minute - MINUTES_KEPT);
	intake->swept_minute = intake->newest_minute;
}

void intake_committed(struct intake *intake, uint64_t now_ns)
{
	for (uint32_t i = 0; i < JOURNAL_STREAMS_MAX; i++) {
		struct intake_stream *stream = &intake->streams[i];
		atomic_store_explicit(&stream->posted, stream->read, memory_order_release);
		for (struct intake_month *month = stream->months; month != NULL;
		     month = month->next)
			month->touched = false;
	}
	for (struct intake_posting *posting = intake->postings; posting != NULL;
	     posting = posting->next_touched)
		posting_committed(posting, now_ns);
	for (struct intake_minute *minute = intake->minutes; minute != NULL;
	     minute = minute->next_touched)
		minute->touched = false;
	intake->parked_count += intake->parked.count;
	intake->parked_count -= intake->unparked.count;
	intake->parked.count = 0;
	intake->unparked.count = 0;
	key_uses_committed(&intake->keys);
	intake->postings = NULL;
	intake->minutes = NULL;
	intake->records = 0;
	intake->records_billed = 0;
	if (intake->newest_minute != intake->swept_minute)
		sweep(intake, now_ns);
}

void intake_aborted(struct intake *intake)
{
	size_t cursor = 0;
	uint64_t key;
	void *value;

	while (map_next(&intake->subscriptions, &cursor, &key, &value)) {
		struct intake_subscription *subscription = value;
		subscription->accounts_known = false;
		subscription->budget.account = (struct ledger_account_id){0};
	}
	budgets_aborted(&intake->budgets);
}

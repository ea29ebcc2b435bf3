#include "billing/poster_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "billing/phase.h"

#define UNPARK_NS   (60 * CLOCK_NS_PER_S) /* parked records are looked at so often */
#define UNPARK_MOST 1024
#define COMPARE_NS  CLOCK_NS_PER_S /* after so much quiet, told and posted are compared */

static int open_parts(struct billing_poster *poster, struct fault *fault)
{
	int code = ledger_new(poster->options.store, &poster->ledger, fault);

	if (code == 0)
		code = books_open(poster->options.store, poster->ledger, poster->options.node,
				  &poster->books, fault);
	if (code == 0)
		code = card_in_force(poster->options.store, &poster->card, fault);
	if (code == 0)
		code = post_position_load(poster, fault);
	if (code == 0)
		code = budgets_load(&poster->intake.budgets, poster->options.store, fault);
	if (code == 0)
		code = leases_load(&poster->leases, fault);
	if (code == 0)
		post_count_state(poster);
	return code;
}

int billing_poster_open(const struct billing_options *options, struct billing_poster **ret_poster,
			struct fault *fault)
{
	check(options->node >= 1 && options->node < BILLING_NODES_MAX);
	check_at_most(options->fee_ppm, 1000000);
	struct billing_poster *poster = calloc(1, sizeof(*poster));

	check(poster != NULL);
	poster->options = *options;
	poster->number = random_u64(random_system()) & INT64_MAX;
	if (poster->options.turn_records == 0)
		poster->options.turn_records = BILLING_TURN_RECORDS;
	check_equal(pthread_mutex_init(&poster->inbox.mutex, NULL), 0);
	poster->inbox.last = &poster->inbox.first;
	intake_init(&poster->intake, &poster->options);
	leases_init(&poster->leases, &poster->options, &poster->books);
	transfers_init(&poster->transfers, &poster->books);
	int code = open_parts(poster, fault);
	if (code < 0) {
		billing_poster_close(poster);
		return code;
	}
	*ret_poster = poster;
	return 0;
}

void billing_poster_close(struct billing_poster *poster)
{
	while (poster->inbox.first != NULL) {
		struct message *message = poster->inbox.first;
		poster->inbox.first = message->next;
		free(message);
	}
	transfers_fini(&poster->transfers);
	leases_fini(&poster->leases);
	intake_fini(&poster->intake);
	if (poster->ledger != NULL)
		ledger_free(poster->ledger);
	pthread_mutex_destroy(&poster->inbox.mutex);
	free(poster);
}

/* ---- messages ---- */

static int take_budget(struct billing_poster *poster, const struct message *message,
		       struct fault *fault)
{
	struct budget *budget;
	int code = intake_budget_get(&poster->intake, message->budget, &budget, fault);

	if (code < 0)
		return code;
	if (budget->lease == NULL)
		leases_add_budget(&poster->leases, budget, message->handle);
	check(budget->lease->handle == message->handle);
	return 0;
}

/* All of its lease comes home, so that what was lowered can be taken back. */
static void look_at_budget(struct budget *budget)
{
	budget->account = (struct ledger_account_id){0};
	if (budget->lease != NULL) {
		budget->lease->take_all = true;
		budget->lease->look_again = true;
	}
}

static void take_removal(struct billing_poster *poster, const struct message *message)
{
	struct lease *lease = leases_find_handle(&poster->leases, message->handle);

	if (lease == NULL) {
		message->released(message->context, message->handle);
		return;
	}
	lease->released = message->released;
	lease->released_context = message->context;
}

static void take_terms(struct billing_poster *poster, const struct message *message)
{
	struct intake_subscription *subscription =
		intake_subscription_find(&poster->intake, message->subscription);

	poster->intake.unparking |= poster->intake.parked_count > 0;
	if (subscription == NULL)
		return;
	subscription->terms_known = false;
	subscription->asked_turn = 0;
	look_at_budget(&subscription->budget);
}

static int take_budget_change(struct billing_poster *poster, struct billing_budget_key key,
			      struct fault *fault)
{
	struct budget *budget;
	const int code =
		budgets_read(&poster->intake.budgets, poster->options.store, key, &budget, fault);

	if (code == 0)
		look_at_budget(budget);
	return code;
}

static int take_message(struct billing_poster *poster, const struct message *message,
			struct fault *fault)
{
	struct lease *lease;

	switch (message->kind) {
	case MESSAGE_LEASE_ADD:
		lease = leases_find_handle(&poster->leases, message->handle);
		if (lease == NULL)
			lease = leases_add(&poster->leases, message->account, message->handle);
		check_equal(lease->account.value, message->account.value);
		return 0;
	case MESSAGE_BUDGET_ADD:
		return take_budget(poster, message, fault);
	case MESSAGE_LEASE_REMOVE:
		take_removal(poster, message);
		return 0;
	case MESSAGE_WAKE:
		lease = leases_find(&poster->leases, message->account);
		if (lease != NULL)
			lease->look_again = true;
		return 0;
	case MESSAGE_TERMS_CHANGED:
		take_terms(poster, message);
		return 0;
	case MESSAGE_BUDGET_CHANGED:
		return take_budget_change(poster, message->budget, fault);
	}
	check(!"a message of a known kind");
	return 0;
}

/* A message that meets a fault stays the first. */
static int take_messages(struct billing_poster *poster, struct fault *fault)
{
	struct inbox *inbox = &poster->inbox;
	int code = 0;

	for (;;) {
		check_equal(pthread_mutex_lock(&inbox->mutex), 0);
		struct message *message = inbox->first;
		check_equal(pthread_mutex_unlock(&inbox->mutex), 0);
		if (message == NULL)
			return 0;
		code = take_message(poster, message, fault);
		if (code == FAULT_NOT_FOUND) /* the subscription came and went */
			log_event(LOG_WARN, "billing.budget_unknown",
				  log_number("subscription", (int64_t)message->budget.id));
		else if (code < 0)
			return code;
		check_equal(pthread_mutex_lock(&inbox->mutex), 0);
		inbox->first = message->next;
		if (inbox->first == NULL)
			inbox->last = &inbox->first;
		check_equal(pthread_mutex_unlock(&inbox->mutex), 0);
		free(message);
	}
}

/* ---- what callers were told, and what was posted ---- */

static void compare_posting(struct billing_poster *poster, struct intake_posting *posting)
{
	const int64_t difference = posting->difference_nano;

	posting->compared = true;
	if (difference == posting->difference_known_nano)
		return;
	const int64_t news = difference - posting->difference_known_nano;
	posting->difference_known_nano = difference;
	poster->counts.mismatches++;
	poster->counts.mismatch_nano += (uint64_t)(news < 0 ? -news : news);
	log_event(LOG_WARN, "billing.mismatch",
		  log_number("subscription", (int64_t)posting->subscription->id.value),
		  log_number("month", posting->month), log_number("told_more_nano", difference));
}

/* Charges are told in the order in which calls settle and posted in the journal's, so the sums
 * agree when both are through: with the journal drained and the subscription at rest. */
static void compare(struct billing_poster *poster, uint64_t now_ns)
{
	size_t cursor = 0;
	uint64_t key;
	void *value;

	if (now_ns - poster->compared_ns < COMPARE_NS || !intake_is_drained(&poster->intake) ||
	    poster->intake.parked_count > 0)
		return;
	poster->compared_ns = now_ns;
	while (map_next(&poster->intake.subscriptions, &cursor, &key, &value)) {
		const struct intake_subscription *subscription = value;
		for (struct intake_posting *posting = subscription->postings; posting != NULL;
		     posting = posting->next) {
			if (!posting->compared && now_ns - posting->posted_ns >= COMPARE_NS)
				compare_posting(poster, posting);
		}
	}
}

/* ---- turns ---- */

static int read_more(struct billing_poster *poster, bool *ret_drained, struct fault *fault)
{
	const uint64_t now_ns = clock_monotonic_ns(poster->options.clock);
	int code = 0;

	*ret_drained = false;
	if (poster->intake.records > 0) /* a turn that failed is done again */
		return 0;
	if (poster->intake.parked_count > 0 && !poster->intake.unparking &&
	    now_ns - poster->unparked_ns >= UNPARK_NS)
		poster->intake.unparking = true;
	if (poster->intake.unparking) {
		poster->unparked_ns = now_ns;
		code = intake_unpark(&poster->intake, UNPARK_MOST, fault);
	}
	if (code == 0)
		code = intake_read(&poster->intake, poster->options.turn_records, ret_drained,
				   fault);
	return code;
}

/* *ret_drained: nothing durable is left to read. */
static int turn(struct billing_poster *poster, uint64_t *ret_posted, bool *ret_drained,
		struct fault *fault)
{
	int code = poster->unresolved ? post_resolve(poster, fault) : 0;

	if (code == 0)
		code = read_more(poster, ret_drained, fault);
	if (code < 0)
		return code;
	const uint64_t records = poster->intake.records;
	if (leases_plan(&poster->leases) > 0 || records > 0)
		code = post_turn(poster, fault);
	else
		compare(poster, clock_monotonic_ns(poster->options.clock));
	if (code == 0)
		*ret_posted = records;
	return code;
}

int billing_poster_turn(struct billing_poster *poster, uint64_t *ret_posted, struct fault *fault)
{
	check(poster->recovered);
	bool drained;
	int code = take_messages(poster, fault);

	return code < 0 ? code : turn(poster, ret_posted, &drained, fault);
}

/* Turns until everything is posted; *ret_posted is how much it was. */
static int drain(struct billing_poster *poster, struct fault *fault)
{
	bool drained = false;
	uint64_t posted = 1;
	int code = 0;

	while (code == 0 && !(drained && posted == 0 && !poster->intake.unparking))
		code = turn(poster, &posted, &drained, fault);
	if (code == 0 && !intake_is_drained(&poster->intake))
		return fault_set(fault, FAULT_BUSY,
				 "the journal has records that are not durable yet");
	return code;
}

/* Everything pending goes back to its account. */
static int release(struct billing_poster *poster, struct fault *fault)
{
	uint64_t posted;
	bool drained;

	poster->leases.releasing = true;
	int code = turn(poster, &posted, &drained, fault);
	poster->leases.releasing = false;
	return code;
}

struct card_change {
	const struct billing_options *options;
	struct card card;
	uint64_t phase;
};

static int change_card(struct store *store, void *context, struct fault *fault)
{
	struct card_change *change = context;

	const int code = card_put_in_force(store, &change->options->card, change->options->fee_ppm,
					   &change->card, fault);

	return code < 0 ? code
			: phase_begin(store, change->options->node, change->card.number,
				      &change->phase, fault);
}

static int put_card_in_force(struct billing_poster *poster, struct fault *fault)
{
	struct card_change change = {.options = &poster->options};
	int code = store_transaction(poster->options.store, change_card, &change, fault);

	if (code < 0)
		return code;
	poster->card = change.card;
	poster->phase = change.phase;
	return 0;
}

int billing_poster_recover(struct billing_poster *poster, struct fault *fault)
{
	check(!poster->recovered);
	int code;

	/* Records of a time before any card was in force are the options' card's. */
	if (poster->card.number == 0)
		code = put_card_in_force(poster, fault);
	else
		code = phase_ensure(poster->options.store, poster->options.node,
				    poster->card.number, &poster->phase, fault);
	poster->intake.unparking = true;
	if (code == 0)
		code = drain(poster, fault);
	if (code == 0)
		code = release(poster, fault);
	if (code == 0)
		code = put_card_in_force(poster, fault);
	poster->recovered = code == 0;
	return code;
}

int billing_poster_finish(struct billing_poster *poster, struct fault *fault)
{
	check(poster->recovered);
	int code = take_messages(poster, fault);

	if (code == 0)
		code = drain(poster, fault);
	return code < 0 ? code : release(poster, fault);
}

/* ---- any thread ---- */

void billing_poster_counts(const struct billing_poster *poster, struct billing_counts *ret_counts)
{
#define X(kind, name, sentence) ret_counts->name = atomic_load(&poster->counts.name);
	BILLING_COUNTS(X)
#undef X
}

uint64_t billing_poster_position(const struct billing_poster *poster, uint32_t stream)
{
	check(stream < JOURNAL_STREAMS_MAX);
	return atomic_load_explicit(&poster->intake.streams[stream].posted, memory_order_acquire);
}

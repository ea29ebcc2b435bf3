/* What a bill's lines must be, worked out from its records alone. */
#include "audit/bill_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define KEY_MAX (BILL_NAME_MAX + 128)

/* What a subscription's records of one phase count. */
struct sum {
	struct sum *next; /* of the subscription, another phase's */
	size_t phase;
	struct rating_quantities calls;
	struct rating_cloud_quantities cloud_calls;
};

/* ---- counting ---- */

static struct sum *find_sum(struct bill *bill, struct bill_subscription *subscription, size_t phase)
{
	static_assert(PHASES_MAX <= 1 << 16, "a key holds a phase");
	const uint64_t key = (uint64_t)subscription->index << 16 | phase;

	if (subscription->sums != NULL && subscription->sums->phase == phase)
		return subscription->sums;
	struct sum *sum = map_find(&bill->sums, key);
	if (sum != NULL)
		return sum;
	sum = calloc(1, sizeof(*sum));
	check(sum != NULL);
	sum->phase = phase;
	sum->next = subscription->sums;
	subscription->sums = sum;
	map_put(&bill->sums, key, sum);
	return sum;
}

static bool add_all(int64_t *sums, const int64_t *numbers, unsigned count)
{
	bool good = true;

	for (unsigned i = 0; i < count; i++)
		good &= !__builtin_add_overflow(sums[i], numbers[i], &sums[i]);
	return good;
}

bool bill_sum_record(struct bill *bill, struct bill_subscription *subscription, size_t phase,
		     const struct journal_record *record, const char *pointer)
{
	struct sum *sum = find_sum(bill, subscription, phase);
	struct rating_quantities call;
	struct rating_cloud_quantities cloud_call;

	if (!audit_quantities_of(&subscription->rating, record, &call, &cloud_call))
		return complain(bill->complaint, pointer,
				"a quantity of the record is no number "
				"that counts");
	if (!add_all(sum->calls.of, call.of, RATING_METERS) ||
	    !add_all(sum->cloud_calls.of, cloud_call.of, RATING_CLOUD_METERS))
		return complain(bill->complaint, pointer,
				"the quantities exceed what can be "
				"counted");
	return true;
}

void bill_sums_free(struct bill_subscription *subscription)
{
	struct sum *sum = subscription->sums;

	while (sum != NULL) {
		struct sum *next = sum->next;
		free(sum);
		sum = next;
	}
}

static int compare_phases(const void *left, const void *right)
{
	const struct sum *const *a = left;
	const struct sum *const *b = right;

	return (*a)->phase < (*b)->phase ? -1 : (*a)->phase > (*b)->phase;
}

/* A list of them in the order of their phases, freed by the caller. */
static const struct sum **sums_by_phase(const struct bill_subscription *subscription,
					size_t *ret_count)
{
	const struct sum **sums = NULL;
	size_t count = 0;

	for (const struct sum *sum = subscription->sums; sum != NULL; sum = sum->next) {
		sums = bill_grow(sums, count, sizeof(struct sum *));
		sums[count++] = sum;
	}
	if (count > 1)
		qsort(sums, count, sizeof(struct sum *), compare_phases);
	*ret_count = count;
	return sums;
}

/* ---- lines that must be there ---- */

/* What a subscription came to under one rate card. */
struct card_sum {
	bool used;
	struct rating_cloud_quantities cloud_used;
	int64_t usage_nano;
};

struct expected {
	struct map by_key; /* text -> struct bill_line */
	bool overflow;
	struct card_sum *cards; /* of the subscription at hand; zero between them */
};

/* Lines of the same key are one: a provider's are summed over subscriptions. */
static void make_key(const struct bill_line *line, char key[KEY_MAX])
{
	snprintf(key, KEY_MAX, "%d %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %s %s", (int)line->role,
		 (int)line->kind, line->service.id, line->plan.id, line->subscription, line->model,
		 line->meter);
}

static void expect_line(struct expected *expected, const struct bill_line *line)
{
	char key[KEY_MAX];

	make_key(line, key);
	struct bill_line *known = map_find_bytes(&expected->by_key, slice_of(key));
	if (known != NULL) {
		expected->overflow |=
			__builtin_add_overflow(known->quantity, line->quantity, &known->quantity);
		expected->overflow |= __builtin_add_overflow(known->amount_nano, line->amount_nano,
							     &known->amount_nano);
		return;
	}
	known = malloc(sizeof(*known));
	check(known != NULL);
	*known = *line;
	map_put_bytes(&expected->by_key, slice_of(key), known);
}

/* Who pays and who earns an amount, of those whom the account is. */
struct parts {
	bool is_consumer;
	bool is_provider;
	bool is_operator;
};

static void expect_both(struct expected *expected, const struct bill_subscription *subscription,
			enum bill_kind kind, const struct parts *parts, const char *meter,
			const char *model, int64_t quantity, int64_t nano)
{
	const enum bill_role pays = kind == KIND_FEE ? ROLE_PROVIDER : ROLE_CONSUMER;
	const enum bill_role earns = kind == KIND_USAGE ? ROLE_PROVIDER : ROLE_OPERATOR;
	const bool is[] = {[ROLE_CONSUMER] = parts->is_consumer,
			   [ROLE_PROVIDER] = parts->is_provider,
			   [ROLE_OPERATOR] = parts->is_operator};

	for (int side = 0; side < 2; side++) {
		const enum bill_role role = side == 0 ? pays : earns;
		struct bill_line line = {
			.role = role,
			.kind = kind,
			.service = subscription->service,
			.plan = subscription->plan,
			.quantity = quantity,
			.amount_nano = side == 0 ? nano : -nano,
		};
		if (!is[role])
			continue;
		if (role == ROLE_CONSUMER) {
			line.app = subscription->app;
			line.subscription = subscription->id;
		}
		snprintf(line.meter, sizeof(line.meter), "%s", meter);
		snprintf(line.model, sizeof(line.model), "%s", model);
		expect_line(expected, &line);
	}
}

static const char *meter_name(const struct bill_subscription *subscription, enum rating_meter meter)
{
	if (meter < RATING_UNIT_0 || subscription->units[meter - RATING_UNIT_0][0] == '\0')
		return rating_meter_name(meter);
	return subscription->units[meter - RATING_UNIT_0];
}

static void expect_discounts(struct expected *expected,
			     const struct bill_subscription *subscription,
			     const struct parts *parts, int64_t list_nano)
{
	struct rating_discount steps[RATING_STEPS];
	const unsigned count = rating_plan_steps(&subscription->rating, list_nano, steps);

	for (unsigned i = 0; i < count; i++)
		expect_both(expected, subscription, KIND_USAGE, parts, "usage",
			    rating_step_name(steps[i].step), steps[i].from_nano,
			    -steps[i].off_nano);
}

/* R of the month's quantities, price by price, and what is taken off. */
static void expect_usage(struct expected *expected, const struct bill_subscription *subscription,
			 const struct parts *parts, const struct rating_quantities *used)
{
	int64_t list_nano = 0;

	for (uint32_t i = 0; i < subscription->rating.price_count; i++) {
		const struct rating_price *price = &subscription->rating.prices[i];
		int64_t nano;
		if (used->of[price->meter] == 0)
			continue;
		if (!rating_charge(price, used->of[price->meter], &nano) ||
		    __builtin_add_overflow(list_nano, nano, &list_nano))
			expected->overflow = true;
		else
			expect_both(expected, subscription, KIND_USAGE, parts,
				    meter_name(subscription, price->meter),
				    rating_model_name(price->model), used->of[price->meter], nano);
	}
	if (!expected->overflow)
		expect_discounts(expected, subscription, parts, list_nano);
}

/* What was counted under one rate card, and the usage charged meanwhile. */
static void expect_card(struct expected *expected, const struct bill_subscription *subscription,
			const struct parts *parts, const struct bill_card *card,
			const struct card_sum *sum)
{
	int64_t nano;

	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++) {
		const enum rating_cloud_meter meter = (enum rating_cloud_meter)i;
		if (sum->cloud_used.of[i] == 0 || card->rates.of[i].nano == 0)
			continue;
		if (!rating_cloud_meter_charge(&card->rates, meter, sum->cloud_used.of[i], &nano))
			expected->overflow = true;
		else
			expect_both(expected, subscription, KIND_CLOUD, parts,
				    rating_cloud_meter_name(meter), "", sum->cloud_used.of[i],
				    nano);
	}
	if (card->fee_ppm == 0 || sum->usage_nano == 0)
		return;
	if (!rating_fee(sum->usage_nano, card->fee_ppm, &nano))
		expected->overflow = true;
	else
		expect_both(expected, subscription, KIND_FEE, parts, "usage", "", sum->usage_nano,
			    nano);
}

/* A card's quantities are those of all its phases; the usage of a phase is what R moved by. */
static void expect_subscription(struct bill *bill, struct expected *expected,
				const struct bill_subscription *subscription)
{
	const char *account = bill->summary->account;
	const struct parts parts = {
		.is_consumer = strcmp(subscription->account.name, account) == 0,
		.is_provider = strcmp(subscription->provider.name, account) == 0,
		.is_operator = strcmp(account, AUDIT_OPERATOR) == 0,
	};
	struct rating_quantities used = {0};
	size_t count;
	const struct sum **sums = sums_by_phase(subscription, &count);

	for (size_t i = 0; i < count; i++) {
		struct card_sum *card = &expected->cards[bill->phases[sums[i]->phase].card];
		int64_t nano = 0;
		card->used = true;
		expected->overflow |=
			!rating_plan_advance(&subscription->rating, &used, &sums[i]->calls, &nano);
		expected->overflow |=
			__builtin_add_overflow(card->usage_nano, nano, &card->usage_nano);
		expected->overflow |=
			!add_all(card->cloud_used.of, sums[i]->cloud_calls.of, RATING_CLOUD_METERS);
	}
	if (!expected->overflow)
		expect_usage(expected, subscription, &parts, &used);
	for (size_t i = 0; !expected->overflow && i < count; i++) {
		const size_t card = bill->phases[sums[i]->phase].card;
		if (expected->cards[card].used)
			expect_card(expected, subscription, &parts, &bill->cards[card],
				    &expected->cards[card]);
		expected->cards[card] = (struct card_sum){0};
	}
	free(sums);
}

/* ---- comparing ---- */

static bool complain_line(struct bill *bill, size_t index, const char *member, const char *format,
			  ...) __attribute__((format(printf, 4, 5)));

static bool complain_line(struct bill *bill, size_t index, const char *member, const char *format,
			  ...)
{
	char pointer[AUDIT_POINTER_MAX];
	char reason[FAULT_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	snprintf(pointer, sizeof(pointer), "/lines/%zu%s", index, member);
	return complain(bill->complaint, pointer, "%s", reason);
}

static bool same_name(const struct named *a, const struct named *b)
{
	return a->id == b->id && strcmp(a->name, b->name) == 0;
}

static bool compare_line(struct bill *bill, const struct expected *expected, size_t index)
{
	const struct bill_line *line = &bill->lines[index];
	char key[KEY_MAX];
	char wanted_text[AMOUNT_TEXT_MAX];

	make_key(line, key);
	struct bill_line *wanted = map_find_bytes(&expected->by_key, slice_of(key));
	/* A key may be read in two ways where a unit's name has a space. */
	if (wanted == NULL || strcmp(line->meter, wanted->meter) != 0)
		return complain_line(bill, index, "", "no record gives this line");
	if (wanted->found)
		return complain_line(bill, index, "", "the line is there twice");
	wanted->found = true;
	if (!same_name(&line->service, &wanted->service) ||
	    !same_name(&line->plan, &wanted->plan) || !same_name(&line->app, &wanted->app))
		return complain_line(bill, index, "",
				     "it names another service, plan or app than its "
				     "subscription");
	if (line->quantity != wanted->quantity)
		return complain_line(bill, index, "/quantity", "the records come to %" PRId64,
				     wanted->quantity);
	amount_format(amount_nano(wanted->amount_nano), wanted_text);
	if (line->amount_nano != wanted->amount_nano)
		return complain_line(bill, index, "/amount", "the quantity comes to %s",
				     wanted_text);
	return true;
}

static bool compare_all(struct bill *bill, const struct expected *expected)
{
	int64_t total_nano = 0;
	struct slice key;
	size_t cursor = 0;
	void *value;
	char text[AMOUNT_TEXT_MAX];

	if (expected->overflow)
		return complain(bill->complaint, "/lines",
				"the charges exceed what can be counted");
	for (size_t i = 0; i < bill->line_count; i++) {
		if (!compare_line(bill, expected, i))
			return false;
		if (__builtin_add_overflow(total_nano, bill->lines[i].amount_nano, &total_nano))
			return complain(bill->complaint, "/total",
					"the sum exceeds what can be counted");
	}
	while (map_next_bytes(&expected->by_key, &cursor, &key, &value)) {
		const struct bill_line *line = value;
		if (!line->found)
			return complain(bill->complaint, "/lines",
					"the line of %s's %s, meter %s, is missing",
					line->service.name, bill_kind_name(line->kind),
					line->meter);
	}
	amount_format(amount_nano(total_nano), text);
	if (total_nano != bill->summary->total_nano)
		return complain(bill->complaint, "/total", "the lines come to %s", text);
	return true;
}

bool bill_check_lines(struct bill *bill)
{
	struct expected expected = {.overflow = false};
	struct slice key;
	size_t cursor = 0;
	void *value;

	map_init(&expected.by_key);
	expected.cards = calloc(bill->card_count + 1, sizeof(*expected.cards));
	check(expected.cards != NULL);
	for (size_t i = 0; !expected.overflow && i < bill->subscription_count; i++)
		expect_subscription(bill, &expected, bill->subscriptions[i]);
	const bool good = compare_all(bill, &expected);
	while (map_next_bytes(&expected.by_key, &cursor, &key, &value))
		free(value);
	map_fini(&expected.by_key);
	free(expected.cards);
	return good;
}

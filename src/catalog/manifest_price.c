#include <stdio.h>
#include <string.h>

#include "base/amount.h"
#include "base/check.h"
#include "base/text.h"
#include "base/units.h"
#include "catalog/manifest_internal.h"

#define PER_NOUNS_MAX 8

/* ---- quantities: "1M", of bytes also "1GiB", of durations also "10s" ---- */

static bool quantity_parse(enum rating_meter meter, struct slice text, uint64_t *ret_quantity)
{
	uint64_t quantity;

	if (units_parse_count(text, &quantity)) {
		*ret_quantity = quantity;
	} else if (meter == RATING_REQUEST_BYTES || meter == RATING_RESPONSE_BYTES) {
		if (!units_parse_bytes(text, ret_quantity))
			return false;
	} else if (meter == RATING_DURATION_MS) {
		if (!units_parse_duration_ns(text, &quantity) || quantity % CLOCK_NS_PER_MS != 0)
			return false;
		*ret_quantity = quantity / CLOCK_NS_PER_MS;
	} else {
		return false;
	}
	return *ret_quantity <= MANIFEST_QUANTITY_MAX;
}

static const char *quantity_allowed(enum rating_meter meter)
{
	switch (meter) {
	case RATING_REQUEST_BYTES:
	case RATING_RESPONSE_BYTES:
		return "a number of bytes up to 1T, as 1M or 1GiB";
	case RATING_DURATION_MS:
		return "milliseconds up to 1T, as 1000, or a duration, as 10s";
	default:
		return "a whole number up to 1T, as 1000 or 1M";
	}
}

static bool quantity_read(struct reader *reader, const struct yaml_node *node,
			  enum rating_meter meter, uint64_t least, int64_t *ret_quantity)
{
	struct slice text;
	uint64_t quantity;

	if (!reader_scalar(reader, node, &text))
		return false;
	if (quantity_parse(meter, text, &quantity) && quantity >= least) {
		*ret_quantity = (int64_t)quantity;
		return true;
	}
	reader_complain_of_value(reader, node, quantity_allowed(meter));
	return false;
}

/* ---- prices: AMOUNT [per [QUANTITY] [NOUN]] ---- */

/* What one of a meter may be called in a price, and how many of the meter it is. */
struct noun {
	const char *text;
	uint64_t quantity;
};

static size_t nouns_of(const struct manifest_meters *meters, enum rating_meter meter,
		       struct noun nouns[PER_NOUNS_MAX])
{
	static const struct noun calls[] = {{"call", 1}, {"calls", 1}};
	static const struct noun bytes[] = {{"byte", 1},      {"bytes", 1},     {"KiB", 1 << 10},
					    {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"GB", 1000000000}};
	static const struct noun durations[] = {
		{"ms", 1}, {"s", 1000}, {"second", 1000}, {"seconds", 1000}};

	switch (meter) {
	case RATING_CALLS:
		memcpy(nouns, calls, sizeof(calls));
		return READER_COUNT_OF(calls);
	case RATING_REQUEST_BYTES:
	case RATING_RESPONSE_BYTES:
		memcpy(nouns, bytes, sizeof(bytes));
		return READER_COUNT_OF(bytes);
	case RATING_DURATION_MS:
		memcpy(nouns, durations, sizeof(durations));
		return READER_COUNT_OF(durations);
	default:
		nouns[0] = (struct noun){meters->units[meter - RATING_UNIT_0].name, 1};
		nouns[1] = (struct noun){meters->units[meter - RATING_UNIT_0].unit, 1};
		return 2;
	}
}

/* A unit that is called "tokens" is also called "token", and "pixel" also "pixels". */
static bool is_noun(struct slice text, const char *noun, bool of_unit)
{
	const struct slice known = slice_of(noun);

	if (slice_equal(text, known))
		return true;
	if (!of_unit)
		return false;
	if (text.length + 1 == known.length)
		return noun[text.length] == 's' && slice_starts_with(known, text);
	return text.length == known.length + 1 && text.data[known.length] == 's' &&
	       slice_starts_with(text, known);
}

static bool noun_parse(const struct manifest_meters *meters, enum rating_meter meter,
		       struct slice text, uint64_t *ret_quantity)
{
	struct noun nouns[PER_NOUNS_MAX];
	const size_t count = nouns_of(meters, meter, nouns);

	for (size_t i = 0; i < count; i++) {
		if (is_noun(text, nouns[i].text, meter >= RATING_UNIT_0)) {
			*ret_quantity = nouns[i].quantity;
			return true;
		}
	}
	return false;
}

/* What stands behind "per": a quantity, a noun, or both. */
static bool per_parse(const struct manifest_meters *meters, enum rating_meter meter,
		      struct slice text, uint64_t *ret_per)
{
	const size_t space = slice_find_byte(text, ' ', 0);
	const struct slice first = slice_part(text, 0, space);
	const struct slice second = slice_trim(slice_part(text, space, text.length));
	uint64_t quantity;
	uint64_t each = 1;

	if (noun_parse(meters, meter, text, ret_per))
		return true;
	if (!quantity_parse(meter, first, &quantity) || quantity == 0)
		return false;
	if (second.length > 0 && !noun_parse(meters, meter, second, &each))
		return false;
	return !__builtin_mul_overflow(quantity, each, ret_per) &&
	       *ret_per <= MANIFEST_QUANTITY_MAX;
}

static bool price_parse(const struct manifest_meters *meters, enum rating_meter meter,
			struct slice text, struct rating_rate *ret_rate)
{
	const size_t space = slice_find_byte(text, ' ', 0);
	const struct slice behind = slice_trim(slice_part(text, space, text.length));
	const struct slice per_word = slice_of("per ");
	struct amount amount;
	uint64_t per = 1;

	if (!amount_parse(slice_part(text, 0, space), &amount) || amount.nano < 0 ||
	    amount.nano > MANIFEST_PRICE_NANO_MAX)
		return false;
	if (behind.length > 0 &&
	    (!slice_starts_with(behind, per_word) ||
	     !per_parse(meters, meter,
			slice_trim(slice_part(behind, per_word.length, behind.length)), &per)))
		return false;
	*ret_rate = (struct rating_rate){.nano = amount.nano, .per = (int64_t)per};
	return true;
}

static void price_read(struct reader *reader, const struct yaml_node *node,
		       const struct manifest_meters *meters, enum rating_meter meter,
		       struct rating_rate *ret_rate)
{
	struct noun nouns[PER_NOUNS_MAX];
	char allowed[160];
	struct slice text;

	*ret_rate = (struct rating_rate){.nano = 0, .per = 1};
	if (!reader_scalar(reader, node, &text) || price_parse(meters, meter, text, ret_rate))
		return;
	nouns_of(meters, meter, nouns);
	snprintf(allowed, sizeof(allowed),
		 "an amount up to 1000000 with at most 9 decimals, as 0.05, 0.05 per %s, or 0.10 "
		 "per 1M",
		 nouns[0].text);
	reader_complain_of_value(reader, node, allowed);
}

/* A price of a period or of a package: the amount alone says all. */
static void amount_read(struct reader *reader, const struct yaml_node *node, const char *suffix,
			int64_t *ret_nano)
{
	char allowed[96];
	struct amount amount;
	struct slice text;

	if (!reader_scalar(reader, node, &text))
		return;
	if (slice_ends_with(text, slice_of(suffix)))
		text = slice_part(text, 0, text.length - strlen(suffix));
	if (amount_parse(text, &amount) && amount.nano >= 0 &&
	    amount.nano <= MANIFEST_PRICE_NANO_MAX) {
		*ret_nano = amount.nano;
		return;
	}
	snprintf(allowed, sizeof(allowed),
		 "an amount up to 1000000 with at most 9 decimals, as 5.00 or 5.00%s", suffix);
	reader_complain_of_value(reader, node, allowed);
}

/* ---- tiers ---- */

static void tier_read(struct reader *reader, const struct yaml_node *node,
		      const struct manifest_meters *meters, struct rating_price *price)
{
	static const char *const keys[] = {"up_to", "price"};
	struct rating_tier *tier = &price->tiers[price->tier_count];
	const int64_t below = price->tier_count > 0 ? tier[-1].up_to : 0;
	const struct yaml_node *values[2];

	tier->up_to = INT64_MAX;
	tier->rate = (struct rating_rate){.per = 1};
	if (!reader_mapping(reader, node, "tier", keys, READER_COUNT_OF(keys), values))
		return;
	if (reader_need(reader, node, "tier", values[1], keys[1]))
		price_read(reader, values[1], meters, price->meter, &tier->rate);
	if (node->next == NULL && values[0] != NULL) {
		reader_complain_of_key(reader, values[0],
				       "up_to: the last tier is open; leave it out, or add a tier "
				       "without it");
		return;
	}
	if (node->next == NULL || !reader_need(reader, node, "tier", values[0], keys[0]))
		return;
	if (quantity_read(reader, values[0], price->meter, 1, &tier->up_to) && tier->up_to <= below)
		reader_complain(reader, values[0],
				"up_to: not above %lld, where the tier before it ends",
				(long long)below);
}

static void tiers_read(struct reader *reader, const struct yaml_node *node,
		       const struct manifest_meters *meters, struct rating_price *price)
{
	const uint32_t complaints = reader->complaint_count;

	if (!reader_list(reader, node, 1, RATING_TIERS_MAX,
			 "[{up_to: 1M, price: 0.10 per 1k}, {price: 0.05 per 1k}]"))
		return;
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		tier_read(reader, child, meters, price);
		price->tier_count++;
	}
	if (reader->complaint_count == complaints && !rating_price_valid(price))
		reader_complain(reader, node,
				"tiers: their quantities behind \"per\" have no common multiple "
				"below 2^63; write all prices per the same quantity");
}

/* ---- a price ---- */

enum price_key { METER, MODEL, PRICE, FREE, TIERS, SIZE, MINIMUM, MAX_PER_CALL, PRICE_KEYS };

static const char *const price_keys[PRICE_KEYS] = {"meter", "model", "price",   "free",
						   "tiers", "size",  "minimum", "max_per_call"};

static enum rating_model model_read(struct reader *reader, const struct yaml_node *node)
{
	const char *names[RATING_MODELS];
	size_t index = RATING_UNIT;

	for (int model = 0; model < RATING_MODELS; model++)
		names[model] = rating_model_name(model);
	reader_word(reader, node, names, RATING_MODELS, &index);
	return (enum rating_model)index;
}

/* Which keys a model needs and which it may have; a bit each. */
static void keys_check(struct reader *reader, const struct yaml_node *node,
		       const struct yaml_node *const values[PRICE_KEYS], enum rating_model model)
{
	enum { MAY = 1 << FREE | 1 << MINIMUM | 1 << MAX_PER_CALL };
	static const struct {
		unsigned needs, may;
	} rules[RATING_MODELS] = {
		[RATING_FREE] = {1 << METER, 0},
		[RATING_FLAT] = {1 << PRICE, 0},
		[RATING_UNIT] = {1 << METER | 1 << PRICE, MAY},
		[RATING_PACKAGE] = {1 << METER | 1 << PRICE | 1 << SIZE, MAY},
		[RATING_GRADUATED] = {1 << METER | 1 << TIERS, MAY},
	};
	const unsigned allowed = rules[model].needs | rules[model].may | 1 << MODEL;
	char what[48];

	snprintf(what, sizeof(what), "%s price", rating_model_name(model));
	for (int key = 0; key < PRICE_KEYS; key++) {
		if (rules[model].needs & 1u << key)
			reader_need(reader, node, what, values[key], price_keys[key]);
		else if (values[key] != NULL && !(allowed & 1u << key))
			reader_complain_of_key(reader, values[key],
					       "%s: it has no \"%s\"; choose another model, or "
					       "leave it out",
					       what, price_keys[key]);
	}
}

static bool meter_read(struct reader *reader, const struct yaml_node *node,
		       const struct manifest_meters *meters, enum rating_meter *ret_meter)
{
	char shown[TEXT_SHOWN_MAX];
	struct slice text;

	if (!reader_scalar(reader, node, &text))
		return false;
	for (size_t i = 0; i < meters->count; i++) {
		if (slice_equal(text, slice_of(meters->names[i]))) {
			*ret_meter = (enum rating_meter)i;
			return true;
		}
	}
	const char *nearest = text_nearest(text_show(text, shown), meters->names, meters->count);
	if (nearest != NULL)
		reader_complain(reader, node, "meter: \"%s\" is unknown; did you mean \"%s\"?",
				shown, nearest);
	else
		reader_complain(reader, node,
				"meter: \"%s\" is unknown; allowed: calls, request_bytes, "
				"response_bytes, duration_ms, and what \"meters\" declares",
				shown);
	return false;
}

static void price_fill(struct reader *reader, const struct yaml_node *const values[PRICE_KEYS],
		       const struct manifest_meters *meters, struct rating_price *price)
{
	price->rate.per = 1;
	if (price->model != RATING_FREE && price->model != RATING_FLAT)
		quantity_read(reader, values[FREE], price->meter, 0, &price->free_units);
	switch (price->model) {
	case RATING_FREE:
		break;
	case RATING_FLAT:
		amount_read(reader, values[PRICE], " per month", &price->rate.nano);
		break;
	case RATING_UNIT:
		price_read(reader, values[PRICE], meters, price->meter, &price->rate);
		break;
	case RATING_PACKAGE:
		amount_read(reader, values[PRICE], " per package", &price->rate.nano);
		quantity_read(reader, values[SIZE], price->meter, 1, &price->rate.per);
		break;
	case RATING_GRADUATED:
		tiers_read(reader, values[TIERS], meters, price);
		break;
	}
	amount_read(reader, values[MINIMUM], " per month", &price->minimum_nano);
}

/* The same bound as max_units, said in money. */
static void max_per_call_read(struct reader *reader, const struct yaml_node *node,
			      const struct manifest_meters *meters,
			      const struct rating_price *price, struct rating_plan *plan)
{
	const uint32_t complaints = reader->complaint_count;
	int64_t nano = 0;

	amount_read(reader, node, " per call", &nano);
	if (node == NULL || reader->complaint_count > complaints)
		return;
	if (price->meter < RATING_UNIT_0) {
		reader_complain_of_key(
			reader, node,
			"max_per_call: it bounds what the service reports, and \"%s\" "
			"is measured; give the plan a \"max_charge\"",
			meters->names[price->meter]);
		return;
	}
	const int64_t units = rating_price_units_within(price, nano);
	int64_t *most = &plan->max_units[price->meter - RATING_UNIT_0];
	if (units == 0)
		reader_complain(reader, node,
				"max_per_call: it does not cover the least that can be charged for "
				"\"%s\"; allowed: more, or the price's \"model: free\"",
				meters->names[price->meter]);
	else if (units < *most)
		*most = units;
}

/* One price for a meter, and one flat price: else nobody could tell which holds. */
static void complain_of_second(struct reader *reader, const struct yaml_node *node,
			       const struct rating_plan *plan, const struct rating_price *price,
			       const struct manifest_meters *meters,
			       const struct yaml_node *const nodes[RATING_PRICES_MAX])
{
	for (uint32_t i = 0; i < plan->price_count; i++) {
		const bool flat = plan->prices[i].model == RATING_FLAT;
		if (flat != (price->model == RATING_FLAT) || plan->prices[i].meter != price->meter)
			continue;
		if (flat)
			reader_complain(reader, node, "flat price: line %u has one already",
					nodes[i]->line);
		else
			reader_complain(reader, node,
					"meter: \"%s\" has a price in line %u already",
					meters->names[price->meter], nodes[i]->line);
	}
}

void manifest_prices_read(struct reader *reader, const struct yaml_node *list,
			  const struct manifest_meters *meters, struct rating_plan *plan,
			  const struct yaml_node *nodes[RATING_PRICES_MAX])
{
	if (!reader_list(reader, list, 0, RATING_PRICES_MAX, "[{meter: calls, price: 0.05}]"))
		return;
	for (const struct yaml_node *child = list->first; child; child = child->next) {
		struct rating_price *price = &plan->prices[plan->price_count];
		const struct yaml_node *values[PRICE_KEYS];
		if (!reader_mapping(reader, child, "price", price_keys, PRICE_KEYS, values))
			continue;
		const uint32_t complaints = reader->complaint_count;
		price->model = model_read(reader, values[MODEL]);
		if (reader->complaint_count == complaints)
			keys_check(reader, child, values, price->model);
		price->meter = RATING_CALLS;
		if (price->model != RATING_FLAT &&
		    !meter_read(reader, values[METER], meters, &price->meter))
			continue;
		price_fill(reader, values, meters, price);
		if (reader->complaint_count == complaints)
			max_per_call_read(reader, values[MAX_PER_CALL], meters, price, plan);
		const struct yaml_node *place = values[METER] ? values[METER] : child;
		complain_of_second(reader, place, plan, price, meters, nodes);
		nodes[plan->price_count++] = place;
	}
}

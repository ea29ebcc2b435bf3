/* How a plan is told: prices, limits and the most that a call costs. */
#include "api/api_internal.h"

#include "api/schemas.h"
#include "base/units.h"

/* clang-format off */
const struct api_member api_plan_members[] = {
	{"name", API_IS_TEXT, 0, NULL, "unique in the service"},
	{"id", API_IS_ID, 0, NULL, "of its version"},
	{"version", API_IS_COUNT, 0, NULL, "from 1 on"},
	{"prices", API_IS_OBJECT, API_LIST_OF, "Price", "what is charged for"},
	{"discount_ppm", API_IS_COUNT, API_MAY_LACK, NULL,
	 "off a month's usage, in millionths of it; rounded once"},
	{"discount", API_IS_AMOUNT, API_MAY_LACK, NULL, "off what is left of it then"},
	{"max_charge", API_IS_AMOUNT, API_OR_NULL, NULL, "the plan's own bound for a call"},
	{"call_most", API_IS_AMOUNT, 0, NULL, "the most that one call can cost"},
	{"max_units", API_IS_COUNT, API_MAP_OF, NULL, "the most that a call may report, by meter"},
	{"limits", API_IS_OBJECT, 0, "Limits", "how much may be called"},
	{"bill_on", API_IS_CHOICE, 0, "always|answered", "which calls are charged"},
	{"notice", API_IS_TEXT, 0, NULL, "before it gets dearer for its subscribers, at least"},
	{"effective", API_IS_TIME, API_OR_NULL, NULL,
	 "from when who has an earlier version has it; null: they keep theirs"},
};

const struct api_member api_price_members[] = {
	{"meter", API_IS_TEXT, 0, NULL, "what it is a price of"},
	{"model", API_IS_CHOICE, 0, "free|flat|unit|package|graduated|volume",
	 "how a quantity becomes an amount"},
	{"free", API_IS_COUNT, 0, NULL, "so many in each month cost nothing"},
	{"price", API_IS_AMOUNT, API_MAY_LACK, NULL, "of `per` units"},
	{"per", API_IS_COUNT, API_MAY_LACK, NULL, "units"},
	{"tiers", API_IS_OBJECT, API_LIST_OF | API_MAY_LACK, "Tier", "of a graduated price"},
	{"minimum", API_IS_AMOUNT, API_MAY_LACK, NULL,
	 "what a month with any use of the meter costs at least"},
};

const struct api_member api_tier_members[] = {
	{"up_to", API_IS_COUNT, API_OR_NULL, NULL, "its last unit; null: it has no end"},
	{"price", API_IS_AMOUNT, 0, NULL, "of `per` units"},
	{"per", API_IS_COUNT, 0, NULL, "units"},
};

const struct api_member api_limits_members[] = {
	{"rate_calls", API_IS_COUNT, API_MAY_LACK, NULL, "calls in each `rate_per`"},
	{"rate_per", API_IS_TEXT, API_MAY_LACK, NULL, "a duration"},
	{"burst", API_IS_COUNT, API_MAY_LACK, NULL, "calls that may come at once"},
	{"concurrency", API_IS_COUNT, API_MAY_LACK, NULL, "calls in flight"},
	{"quota_calls_month", API_IS_COUNT, API_MAY_LACK, NULL, "calls in a month"},
	{"timeout", API_IS_TEXT, 0, NULL, "how long a call may take"},
};
/* clang-format on */

static const char *meter_name(enum rating_meter meter, const struct catalog_unit *units)
{
	if (meter < RATING_UNIT_0 || units[meter - RATING_UNIT_0].name == NULL)
		return rating_meter_name(meter);
	return units[meter - RATING_UNIT_0].name;
}

static json_t *count_or_null(int64_t count, int64_t none)
{
	return count == none ? json_null() : json_integer(count);
}

static json_t *tiers_json(const struct rating_price *price)
{
	json_t *tiers = json_array();

	for (uint32_t i = 0; i < price->tier_count; i++)
		json_array_append_new(tiers,
				      json_pack("{s:o, s:o, s:I}", "up_to",
						count_or_null(price->tiers[i].up_to, INT64_MAX),
						"price", api_json_amount(price->tiers[i].rate.nano),
						"per", (json_int_t)price->tiers[i].rate.per));
	return tiers;
}

static json_t *price_json(const struct rating_price *price, const struct catalog_unit *units)
{
	json_t *json =
		json_pack("{s:s, s:s, s:I}", "meter", meter_name(price->meter, units), "model",
			  rating_model_name(price->model), "free", (json_int_t)price->free_units);

	if (price->model == RATING_GRADUATED) {
		json_object_set_new(json, "tiers", tiers_json(price));
	} else if (price->model != RATING_FREE) {
		json_object_set_new(json, "price", api_json_amount(price->rate.nano));
		json_object_set_new(json, "per", json_integer(price->rate.per));
	}
	if (price->minimum_nano > 0)
		json_object_set_new(json, "minimum", api_json_amount(price->minimum_nano));
	return json;
}

static json_t *limits_json(const struct catalog_limits *limits)
{
	const bool has_rate = limits->rate_per_ns != 0;
	char text[UNITS_TEXT_MAX];
	json_t *json = json_object();

	if (has_rate) {
		units_format_duration_ns(limits->rate_per_ns, text);
		json_object_set_new(json, "rate_calls",
				    json_integer((json_int_t)limits->rate_calls));
		json_object_set_new(json, "rate_per", json_string(text));
		json_object_set_new(json, "burst", json_integer(limits->burst));
	}
	if (limits->concurrency != 0)
		json_object_set_new(json, "concurrency", json_integer(limits->concurrency));
	if (limits->quota_calls >= 0)
		json_object_set_new(json, "quota_calls_month", json_integer(limits->quota_calls));
	units_format_duration_ns(limits->timeout_ns, text);
	json_object_set_new(json, "timeout", json_string(text));
	return json;
}

static json_t *max_units_json(const struct rating_plan *rating, const struct catalog_unit *units)
{
	json_t *json = json_object();

	for (size_t i = 0; i < RATING_UNITS_MAX; i++) {
		if (units[i].name != NULL && rating->max_units[i] != INT64_MAX)
			json_object_set_new(json, units[i].name,
					    json_integer(rating->max_units[i]));
	}
	return json;
}

json_t *api_plan_json(const struct catalog_plan *plan, const struct catalog_unit *units)
{
	const struct catalog_terms *terms = &plan->terms;
	json_t *prices = json_array();
	char notice[UNITS_TEXT_MAX];

	units_format_duration_ns(terms->notice_ns, notice);
	for (uint32_t i = 0; i < terms->rating.price_count; i++)
		json_array_append_new(prices, price_json(&terms->rating.prices[i], units));
	return json_pack(
		"{s:s, s:o, s:i, s:o, s:o*, s:o*, s:o, s:o, s:o, s:o, s:s, s:s, s:o}", "name",
		plan->name, "id", api_json_id("plan", plan->id.value), "version",
		(int)plan->version, "prices", prices, "discount_ppm",
		terms->rating.discount_ppm == 0 ? NULL : json_integer(terms->rating.discount_ppm),
		"discount",
		terms->rating.discount_nano == 0 ? NULL
						 : api_json_amount(terms->rating.discount_nano),
		"max_charge",
		terms->rating.max_charge_nano < 0 ? json_null()
						  : api_json_amount(terms->rating.max_charge_nano),
		"call_most", api_json_amount(terms->call_most_nano), "max_units",
		max_units_json(&terms->rating, units), "limits", limits_json(&terms->limits),
		"bill_on", terms->rating.bill_always ? "always" : "answered", "notice", notice,
		"effective",
		api_json_time(plan->move_month == 0 ? 0 : clock_month_start_ns(plan->move_month)));
}

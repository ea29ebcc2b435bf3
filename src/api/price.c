/* What a month would cost under a plan: of quantities that are given, or that an app really had. */
#include "api/api_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/schemas.h"
#include "base/check.h"
#include "base/units.h"
#include "meter/meter.h"

#define FRACTION_MAX       44 /* bytes of "numerator/denominator", with the NUL */
#define SUBSCRIPTIONS_PAGE 64

/* clang-format off */
const struct api_member api_price_preview_members[] = {
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"plan", API_IS_TEXT, 0, NULL, "the plan's name"},
	{"plan_version", API_IS_COUNT, 0, NULL, "the one that is offered"},
	{"currency", API_IS_TEXT, 0, NULL, "of the amounts"},
	{"app", API_IS_TEXT, API_OR_NULL, NULL,
	 "whose quantities these are; null: they were given"},
	{"period", API_IS_MONTH, API_OR_NULL, NULL, "the month in which it used them"},
	{"lines", API_IS_OBJECT, API_LIST_OF, "PriceLine",
	 "one for each price that has a quantity"},
	{"list", API_IS_AMOUNT, 0, NULL, "the sum of the lines"},
	{"discounts", API_IS_OBJECT, API_LIST_OF, "PriceDiscount",
	 "what is taken off, step by step"},
	{"total", API_IS_AMOUNT, 0, NULL, "what a month would cost"},
	{"charged", API_IS_AMOUNT, API_OR_NULL, NULL,
	 "what the app was charged for it, under the plan that it had"},
};

const struct api_member api_price_line_members[] = {
	{"meter", API_IS_TEXT, 0, NULL, "what is counted"},
	{"model", API_IS_CHOICE, 0, "free|flat|unit|package|graduated|volume",
	 "how the quantity becomes an amount"},
	{"quantity", API_IS_COUNT, 0, NULL, "how much"},
	{"parts", API_IS_OBJECT, API_LIST_OF, "PricePart", "how the amount comes about"},
	{"fraction", API_IS_TEXT, API_MAY_LACK, NULL,
	 "of a nano, which the parts have; it was rounded half to even"},
	{"amount", API_IS_AMOUNT, 0, NULL, "what it costs"},
};

const struct api_member api_price_part_members[] = {
	{"part", API_IS_CHOICE, 0, "free|month|units|packages|tier|minimum",
	 "the allowance, a flat price, units, begun packages, a tier's units, what a minimum adds"},
	{"quantity", API_IS_COUNT, 0, NULL, "how many"},
	{"price", API_IS_AMOUNT, 0, NULL, "of `per` of them"},
	{"per", API_IS_COUNT, 0, NULL, "units"},
	{"amount", API_IS_AMOUNT, 0, NULL, "what they come to, in whole nano"},
	{"fraction", API_IS_TEXT, API_MAY_LACK, NULL, "and this part of one more, as `2/7`"},
};

const struct api_member api_price_discount_members[] = {
	{"discount", API_IS_CHOICE, 0, "percent_off|amount_off", "the step"},
	{"from", API_IS_AMOUNT, 0, NULL, "what it is taken from"},
	{"amount", API_IS_AMOUNT, 0, NULL, "what is taken off, below zero"},
};
/* clang-format on */

struct preview {
	struct api_request *request;
	struct catalog_plan plan;
	const struct catalog_service *service;
	struct rating_quantities quantities;
	bool is_real; /* of an app */
	uint32_t month;
	int64_t charged_nano; /* what the app was charged for the real quantities */
};

/* ---- quantities ---- */

static const char *meter_name(const struct preview *preview, enum rating_meter meter)
{
	return meter < RATING_UNIT_0
		       ? rating_meter_name(meter)
		       : preview->service->description.units[meter - RATING_UNIT_0].name;
}

static int no_meter(const struct preview *preview, struct slice name, struct fault *fault)
{
	struct text known;

	text_init(&known, RATING_METERS * (CATALOG_NAME_MAX + 2));
	for (int meter = 0; meter < RATING_METERS; meter++) {
		const char *other = meter_name(preview, (enum rating_meter)meter);
		if (other != NULL)
			text_printf(&known, "%s%s", meter > 0 ? ", " : "", other);
	}
	const int code = fault_set(fault, FAULT_INPUT,
				   "the service \"%s\" has no meter \"%.*s\"; it has %.*s",
				   preview->service->description.name, SLICE_ARGS(name),
				   SLICE_ARGS(text_slice(&known)));
	text_fini(&known);
	return code;
}

static int read_quantity(struct preview *preview, struct slice part, struct fault *fault)
{
	struct slice number = part;
	struct slice name;
	uint64_t count;

	slice_cut(&number, '=', &name);
	for (int meter = 0; meter < RATING_METERS; meter++) {
		const char *known = meter_name(preview, (enum rating_meter)meter);
		int64_t *quantity = &preview->quantities.of[meter];
		if (known == NULL || !slice_equal(name, slice_of(known)))
			continue;
		if (!units_parse_count(number, &count) || count > INT64_MAX)
			return fault_set(
				fault, FAULT_INPUT,
				"\"%.*s\" is no quantity; allowed: METER=COUNT, as %s=1000 "
				"or %s=3M",
				SLICE_ARGS(part), known, known);
		if (*quantity > 0)
			return fault_set(fault, FAULT_INPUT, "\"%s\" is given twice", known);
		*quantity = (int64_t)count;
		return 0;
	}
	return no_meter(preview, name, fault);
}

static int read_quantities(struct preview *preview, struct fault *fault)
{
	struct slice rest = api_argument(preview->request, "quantities")->text;
	struct slice part;
	int code = 0;

	while (code == 0 && slice_cut(&rest, ',', &part))
		code = api_at(preview->request, "quantities", read_quantity(preview, part, fault));
	return code;
}

static int add_usage(struct preview *preview, const struct meter_usage *usage, struct fault *fault)
{
	bool fits = !__builtin_add_overflow(preview->charged_nano, usage->usage_nano,
					    &preview->charged_nano);

	for (int meter = 0; meter < RATING_METERS; meter++)
		fits &= !__builtin_add_overflow(preview->quantities.of[meter], usage->of[meter],
						&preview->quantities.of[meter]);
	return fits ? 0
		    : fault_set(fault, FAULT_LIMIT,
				"the app's quantities exceed what can be counted");
}

/* Of all the app's subscriptions to the service: another plan version is another one. */
static int load_quantities(struct preview *preview, struct store *store, struct fault *fault)
{
	struct catalog_subscription_filter filter = {.service = preview->service->id};
	struct catalog_subscription *page = calloc(SUBSCRIPTIONS_PAGE, sizeof(*page));
	struct subscription_id after = {0};
	struct account_app app;
	size_t count = SUBSCRIPTIONS_PAGE;
	int code = api_at(
		preview->request, "app",
		account_app_get(store, api_argument(preview->request, "app")->text, &app, fault));

	check(page != NULL);
	filter.app = app.id;
	while (code == 0 && count == SUBSCRIPTIONS_PAGE) {
		code = catalog_subscription_list(store, &filter, after, page, SUBSCRIPTIONS_PAGE,
						 &count, fault);
		for (size_t i = 0; code == 0 && i < count; i++) {
			struct meter_usage usage;
			code = meter_usage_load(store, page[i].id, preview->month, &usage, fault);
			if (code == 0)
				code = add_usage(preview, &usage, fault);
			after = page[i].id;
		}
	}
	free(page);
	return code;
}

/* ---- the answer ---- */

static void add_fraction(json_t *json, int64_t numerator, int64_t denominator)
{
	char text[FRACTION_MAX];

	if (numerator == 0)
		return;
	snprintf(text, sizeof(text), "%" PRId64 "/%" PRId64, numerator, denominator);
	json_object_set_new(json, "fraction", json_string(text));
}

static json_t *part_json(const struct rating_part *part)
{
	json_t *json = json_pack("{s:s, s:I, s:o, s:I, s:o}", "part", rating_part_name(part->kind),
				 "quantity", (json_int_t)part->units, "price",
				 api_json_amount(part->rate.nano), "per",
				 (json_int_t)part->rate.per, "amount", api_json_amount(part->nano));

	add_fraction(json, part->numerator, part->denominator);
	return json;
}

static json_t *line_json(const struct preview *preview, enum rating_meter meter, const char *model,
			 int64_t quantity, const struct rating_explained *explained)
{
	json_t *parts = json_array();

	for (unsigned i = 0; i < explained->part_count; i++)
		json_array_append_new(parts, part_json(&explained->parts[i]));
	json_t *json = json_pack("{s:s, s:s, s:I, s:o, s:o}", "meter", meter_name(preview, meter),
				 "model", model, "quantity", (json_int_t)quantity, "parts", parts,
				 "amount", api_json_amount(explained->nano));
	add_fraction(json, explained->numerator, explained->denominator);
	return json;
}

/* What is asked for and has no price is told to cost nothing. */
static void add_unpriced(const struct preview *preview, json_t *lines)
{
	const struct rating_plan *plan = &preview->plan.terms.rating;
	const struct rating_explained nothing = {.denominator = 1};

	for (int meter = 0; meter < RATING_METERS; meter++) {
		const int64_t quantity = preview->quantities.of[meter];
		bool priced = quantity == 0;
		for (uint32_t i = 0; i < plan->price_count; i++)
			priced |= plan->prices[i].meter == (enum rating_meter)meter;
		if (!priced)
			json_array_append_new(lines, line_json(preview, (enum rating_meter)meter,
							       rating_model_name(RATING_FREE),
							       quantity, &nothing));
	}
}

static bool lines_json(const struct preview *preview, json_t *lines)
{
	const struct rating_plan *plan = &preview->plan.terms.rating;

	for (uint32_t i = 0; i < plan->price_count; i++) {
		const struct rating_price *price = &plan->prices[i];
		const int64_t quantity = preview->quantities.of[price->meter];
		struct rating_explained explained;
		if (quantity == 0)
			continue;
		if (!rating_explain(price, quantity, &explained))
			return false;
		json_array_append_new(lines, line_json(preview, price->meter,
						       rating_model_name(price->model), quantity,
						       &explained));
	}
	if (!preview->is_real)
		add_unpriced(preview, lines);
	return true;
}

static json_t *discounts_json(const struct rating_plan *plan, int64_t list_nano)
{
	struct rating_discount steps[RATING_STEPS];
	const unsigned count = rating_plan_steps(plan, list_nano, steps);
	json_t *discounts = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(discounts,
				      json_pack("{s:s, s:o, s:o}", "discount",
						rating_step_name(steps[i].step), "from",
						api_json_amount(steps[i].from_nano), "amount",
						api_json_amount(-steps[i].off_nano)));
	return discounts;
}

static int answer(const struct preview *preview, struct fault *fault)
{
	struct api_request *request = preview->request;
	const struct rating_plan *plan = &preview->plan.terms.rating;
	const struct slice app = api_argument(request, "app")->text;
	json_t *lines = json_array();
	int64_t list_nano;

	if (!lines_json(preview, lines) ||
	    !rating_plan_list(plan, &preview->quantities, &list_nano)) {
		json_decref(lines);
		return fault_set(fault, FAULT_LIMIT,
				 "so much would cost more than can be counted; ask for less");
	}
	request->answer = json_pack(
		"{s:s, s:s, s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "service",
		preview->service->description.name, "plan", preview->plan.name, "plan_version",
		(int)preview->plan.version, "currency", request->api->options.currency, "app",
		preview->is_real ? json_stringn(app.data, app.length) : json_null(), "period",
		preview->is_real ? api_json_month(preview->month) : json_null(), "lines", lines,
		"list", api_json_amount(list_nano), "discounts", discounts_json(plan, list_nano),
		"total", api_json_amount(rating_plan_net(plan, list_nano)), "charged",
		preview->is_real ? api_json_amount(preview->charged_nano) : json_null());
	return 0;
}

static int show(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	const uint32_t this_month = clock_month_of(request->now_ns);
	struct preview *preview = calloc(1, sizeof(*preview));
	struct catalog_service *service = NULL;
	struct service_id service_id;
	struct plan_id plan;

	check(preview != NULL);
	preview->request = request;
	preview->is_real = api_argument(request, "app")->given;
	preview->month = (uint32_t)api_argument_number(request, "period", this_month - 1);
	int code = api_at(request, "service",
			  catalog_service_get(store, api_argument(request, "service")->text,
					      &service, fault));
	if (code == 0)
		code = api_at(request, "plan",
			      catalog_offer_find(store, api_argument(request, "service")->text,
						 api_argument(request, "plan")->text, &service_id,
						 &plan, fault));
	if (code == 0)
		code = catalog_plan_get(store, plan, &preview->plan, fault);
	preview->service = service;
	if (code == 0)
		code = preview->is_real ? load_quantities(preview, store, fault)
					: read_quantities(preview, fault);
	if (code == 0)
		code = answer(preview, fault);
	catalog_service_free(service);
	free(preview);
	return code;
}

int api_price_show(struct api_request *request, struct fault *fault)
{
	const bool is_real = api_argument(request, "app")->given;

	if (is_real == api_argument(request, "quantities")->given)
		return api_at(request, "quantities",
			      fault_set(fault, FAULT_INPUT,
					is_real ? "an app has its own quantities; leave one of the "
						  "two out"
						: "say of what: give quantities, as "
						  "calls=1000, or an app whose month is taken"));
	if (!is_real && api_argument(request, "period")->given)
		return api_at(
			request, "period",
			fault_set(fault, FAULT_INPUT,
				  "it is an app's month; quantities that are given have none"));
	return store_transaction_read(request->api->options.store, show, request, fault);
}

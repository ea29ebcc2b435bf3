/* What GET /v1/price answers with; schemas.c has them in its table. */
#pragma once

#include "api/schemas.h"

static const struct api_member price_preview_members[] = {
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

static const struct api_member price_line_members[] = {
	{"meter", API_IS_TEXT, 0, NULL, "what is counted"},
	{"model", API_IS_CHOICE, 0, "free|flat|unit|package|graduated|volume",
	 "how the quantity becomes an amount"},
	{"quantity", API_IS_COUNT, 0, NULL, "how much"},
	{"parts", API_IS_OBJECT, API_LIST_OF, "PricePart", "how the amount comes about"},
	{"fraction", API_IS_TEXT, API_MAY_LACK, NULL,
	 "of a nano, which the parts have; it was rounded half to even"},
	{"amount", API_IS_AMOUNT, 0, NULL, "what it costs"},
};

static const struct api_member price_part_members[] = {
	{"part", API_IS_CHOICE, 0, "free|month|units|packages|tier|minimum",
	 "the allowance, a flat price, units, begun packages, a tier's units, what a minimum adds"},
	{"quantity", API_IS_COUNT, 0, NULL, "how many"},
	{"price", API_IS_AMOUNT, 0, NULL, "of `per` of them"},
	{"per", API_IS_COUNT, 0, NULL, "units"},
	{"amount", API_IS_AMOUNT, 0, NULL, "what they come to, in whole nano"},
	{"fraction", API_IS_TEXT, API_MAY_LACK, NULL, "and this part of one more, as `2/7`"},
};

static const struct api_member price_discount_members[] = {
	{"discount", API_IS_CHOICE, 0, "percent_off|amount_off", "the step"},
	{"from", API_IS_AMOUNT, 0, NULL, "what it is taken from"},
	{"amount", API_IS_AMOUNT, 0, NULL, "what is taken off, below zero"},
};

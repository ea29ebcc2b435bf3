/* Usage that is reported: admitted and settled as a call is, without being one. */
#include <string.h>

#include "base/check.h"
#include "gateway/directory_internal.h"
#include "gateway/worker.h"

static struct directory_subscription *find(struct gateway *gateway,
					   const struct gateway_report *report)
{
	struct directory_service *service =
		directory_service_by_id(&gateway->directory, report->service);

	return service == NULL
		       ? NULL
		       : directory_find_subscription(&gateway->directory, report->app, service);
}

static struct rating_quantities quantities_of(const struct gateway_report *report)
{
	struct rating_quantities quantities = {0};

	for (unsigned i = 0; i < RATING_UNITS_MAX; i++) {
		check(report->units[i] >= 0);
		quantities.of[RATING_UNIT_0 + i] = report->units[i];
	}
	return quantities;
}

/* What one report may count: as much as one call, as far as a record can tell it. */
static struct rating_left left_of(const struct rating_plan *plan)
{
	struct rating_left left = rating_left_of(plan);

	if (left.charge_nano > JOURNAL_LEFT_NANO_MAX)
		left.charge_nano = JOURNAL_LEFT_NANO_MAX;
	return left;
}

enum gateway_reported gateway_report_hold(struct gateway *gateway, struct gateway_report *report)
{
	struct directory_subscription *subscription = find(gateway, report);

	if (subscription == NULL)
		return GATEWAY_REPORT_NO_SUBSCRIPTION;
	const uint64_t wall_ns = clock_wall_ns(gateway->options.clock);
	const struct admit_plan *terms = &directory_plan_at(subscription, wall_ns)->admit;
	const struct rating_plan *plan = &terms->rating;
	const struct rating_left left = left_of(plan);
	const struct rating_quantities used = quantities_of(report);
	struct rating_quantities counted = used;
	struct admit_hold hold = {0};
	int64_t most_nano;

	directory_draw(subscription, &hold);
	rating_part_cap(plan, &left, &counted);
	if (memcmp(&counted, &used, sizeof(used)) != 0 ||
	    !rating_part_most(plan, &left, &used, &most_nano) ||
	    __builtin_add_overflow(
		    most_nano, admit_first_nano(&subscription->admit, terms, wall_ns), &most_nano))
		return GATEWAY_REPORT_TOO_MUCH;
	switch (admit_extend(&hold, most_nano, clock_monotonic_ns(gateway->options.clock))) {
	case ADMIT_DONE:
		break;
	case ADMIT_WAIT:
		return GATEWAY_REPORT_WAIT;
	case ADMIT_BUDGET:
	case ADMIT_BUDGET_OF_APP:
	case ADMIT_BUDGET_OF_ACCOUNT:
		return GATEWAY_REPORT_BUDGET;
	default:
		return GATEWAY_REPORT_BALANCE;
	}
	report->subscription = subscription;
	report->account = hold.account;
	memcpy(report->budgets, hold.budgets, sizeof(report->budgets));
	report->held_nano = hold.nano;
	return GATEWAY_REPORT_HELD;
}

static struct admit_hold hold_of(const struct gateway_report *report)
{
	struct admit_hold hold = {.account = report->account, .nano = report->held_nano};

	check(report->subscription != NULL);
	memcpy(hold.budgets, report->budgets, sizeof(hold.budgets));
	return hold;
}

void gateway_report_release(struct gateway_report *report)
{
	struct admit_hold hold = hold_of(report);

	admit_release(&hold);
	report->subscription = NULL;
}

bool gateway_report_record(struct gateway *gateway, struct gateway_report *report,
			   struct journal_stream *stream, int64_t *ret_charge_nano)
{
	struct directory_subscription *subscription = find(gateway, report);
	struct admit_hold hold = hold_of(report);
	struct admit_charge charge = {.used = quantities_of(report)};
	const uint64_t now_ns = clock_wall_ns(gateway->options.clock);

	check(subscription == report->subscription);
	const struct directory_plan *plan = directory_plan_at(subscription, now_ns);
	const struct rating_left left = left_of(&plan->admit.rating);
	const bool billed =
		admit_settle(&subscription->admit, &plan->admit, &gateway->directory.card, now_ns,
			     &left, false, &hold, &charge);
	struct journal_record record = {
		.outcome = JOURNAL_REPORTED,
		.flags = JOURNAL_CONTINUES | (billed ? JOURNAL_BILLED : 0),
		.call = report->call,
		.started_ns = report->used_ns,
		.settled_ns = now_ns,
		.account = subscription->account,
		.app = subscription->app,
		.subscription = subscription->id,
		.service = subscription->service->id,
		.plan = plan->id,
		.charge_nano = charge.usage_nano + charge.cloud_nano,
	};
	for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
		record.units[i] = (uint64_t)report->units[i];
	if (left.charge_nano >= 0)
		journal_record_set_left_nano(&record, left.charge_nano);
	journal_append(stream, &record);
	report->subscription = NULL;
	*ret_charge_nano = record.charge_nano;
	return billed;
}

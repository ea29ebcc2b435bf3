/* How much was called over time, and how fast: from the minutes that the poster rolls up. */
#include "api/api_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "meter/meter.h"

#define NS_PER_MINUTE (60 * CLOCK_NS_PER_S)
#define SERIES_PAGE   64

static const struct {
	uint64_t minutes;
	uint64_t shown_minutes; /* back from now, where the request does not say */
} steps[] = {
	/* as api_usage_steps */
	{1, 60},
	{60, 24 * 60},
	{24 * 60, 30 * 24 * 60},
};

struct showing {
	struct api_request *request;
	struct store *store;
	uint64_t step_minutes;
	uint64_t from_minute, to_minute;
	struct meter_minute sum; /* of the series */
	struct meter_minute total;
	const struct catalog_service *service; /* of the series: it names the units */
	json_t *points;
	json_t *series;
};

/* ---- one series ---- */

static json_t *units_json(const struct showing *showing, const struct meter_counts *counts)
{
	json_t *units = json_object();

	for (size_t i = 0; showing->service != NULL && i < JOURNAL_RECORD_UNITS; i++) {
		const char *name = showing->service->description.units[i].name;
		if (name != NULL)
			json_object_set_new(units, name,
					    json_integer((json_int_t)counts->units[i]));
	}
	return units;
}

static json_t *sum_json(const struct showing *showing, const struct meter_minute *sum)
{
	const struct meter_counts *counts = &sum->counts;
	const struct meter_latency *latency = &sum->latency;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "calls",
			 (json_int_t)counts->calls, "billed_calls",
			 (json_int_t)counts->billed_calls, "errors", (json_int_t)counts->errors,
			 "request_bytes", (json_int_t)counts->request_bytes, "response_bytes",
			 (json_int_t)counts->response_bytes, "mean_us",
			 (json_int_t)(counts->calls > 0 ? counts->duration_us / counts->calls : 0),
			 "p50_us", (json_int_t)meter_latency_quantile_us(latency, 500), "p90_us",
			 (json_int_t)meter_latency_quantile_us(latency, 900), "p99_us",
			 (json_int_t)meter_latency_quantile_us(latency, 990), "units",
			 units_json(showing, counts));
}

static int add_point(void *context, const struct meter_minute *point, struct fault *fault)
{
	struct showing *showing = context;
	json_t *json = sum_json(showing, point);

	(void)fault;
	json_object_set_new(json, "at", api_json_time(point->minute * NS_PER_MINUTE));
	json_array_append_new(showing->points, json);
	meter_minute_merge(&showing->sum, point);
	return 0;
}

/* What has nothing on record in the time is left out. */
static int add_series(struct showing *showing, struct service_id service,
		      struct subscription_id subscription, const char *app, struct fault *fault)
{
	const struct meter_query query = {
		.service = service,
		.subscription = subscription,
		.from_minute = showing->from_minute,
		.to_minute = showing->to_minute,
		.step_minutes = showing->step_minutes,
	};
	struct catalog_service *about = NULL;
	int code = catalog_service_get_by_id(showing->store, service, &about, fault);

	if (code < 0)
		return code;
	showing->service = about;
	showing->points = json_array();
	showing->sum = (struct meter_minute){0};
	code = meter_query(showing->store, &query, add_point, showing, fault);
	if (code == 0 && json_array_size(showing->points) > 0) {
		json_array_append_new(
			showing->series,
			json_pack("{s:s, s:o, s:O, s:o}", "service", about->description.name, "app",
				  app != NULL ? json_string(app) : json_null(), "points",
				  showing->points, "total", sum_json(showing, &showing->sum)));
		meter_minute_merge(&showing->total, &showing->sum);
	}
	json_decref(showing->points);
	catalog_service_free(about);
	showing->service = NULL;
	return code;
}

/* ---- which series ---- */

static int add_services(struct showing *showing, struct fault *fault)
{
	struct catalog_service *service = NULL;
	struct service_id after = {0};
	int code;

	do {
		code = catalog_service_next(showing->store, after, &service, fault);
		if (code < 0 || service == NULL)
			return code;
		after = service->id;
		catalog_service_free(service);
		code = add_series(showing, after, (struct subscription_id){0}, NULL, fault);
	} while (code == 0);
	return code;
}

/* Ended subscriptions too: they were called in their time. */
static int add_subscriptions(struct showing *showing,
			     const struct catalog_subscription_filter *filter, struct fault *fault)
{
	struct catalog_subscription *page = calloc(SERIES_PAGE, sizeof(*page));
	struct subscription_id after = {0};
	size_t count = SERIES_PAGE;
	int code = 0;

	check(page != NULL);
	while (code == 0 && count == SERIES_PAGE) {
		code = catalog_subscription_list(showing->store, filter, after, page, SERIES_PAGE,
						 &count, fault);
		for (size_t i = 0; code == 0 && i < count; i++)
			code = add_series(showing, page[i].service, page[i].id, page[i].app_path,
					  fault);
		if (count > 0)
			after = page[count - 1].id;
	}
	free(page);
	return code;
}

static int add_all(struct showing *showing, struct fault *fault)
{
	struct catalog_subscription_filter filter = {0};
	const bool by_app = api_argument(showing->request, "account")->given ||
			    api_argument(showing->request, "app")->given;
	const int code = api_subscription_filter(showing->request, showing->store, &filter, fault);

	if (code < 0)
		return code;
	if (by_app)
		return add_subscriptions(showing, &filter, fault);
	if (filter.service.value != 0)
		return add_series(showing, filter.service, (struct subscription_id){0}, NULL,
				  fault);
	return add_services(showing, fault);
}

/* ---- the time ---- */

/* Whole steps, counted in UTC: those that `from` and `to` stand in are the first and the last. */
static int read_range(struct showing *showing, struct fault *fault)
{
	struct api_request *request = showing->request;
	const size_t step = api_argument_number(request, "step", API_STEP_HOUR);
	const uint64_t width = steps[step].minutes;
	const uint64_t to_ns = api_argument_number(request, "to", request->now_ns);
	const uint64_t shown_ns = steps[step].shown_minutes * NS_PER_MINUTE;
	const uint64_t from_ns =
		api_argument_number(request, "from", to_ns > shown_ns ? to_ns - shown_ns : 0);

	if (from_ns > to_ns)
		return api_at(request, "from",
			      fault_set(fault, FAULT_INPUT, "from: it is later than to"));
	showing->step_minutes = width;
	showing->from_minute = from_ns / NS_PER_MINUTE / width * width;
	showing->to_minute = (to_ns / NS_PER_MINUTE / width + 1) * width;
	if ((showing->to_minute - showing->from_minute) / width > API_POINTS_MAX)
		return api_at(
			request, "from",
			fault_set(fault, FAULT_INPUT,
				  "from: %llu steps are asked for and at most %d allowed; "
				  "take a longer step or less time",
				  (unsigned long long)((showing->to_minute - showing->from_minute) /
						       width),
				  API_POINTS_MAX));
	return 0;
}

static int show(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	struct showing showing = {.request = request, .store = store, .series = json_array()};
	int code = read_range(&showing, fault);

	if (code == 0)
		code = add_all(&showing, fault);
	if (code == 0) {
		json_t *total = sum_json(&showing, &showing.total);
		/* Units of different services are not to be summed. */
		json_object_del(total, "units");
		request->answer = json_pack(
			"{s:o, s:o, s:s, s:O, s:o}", "from",
			api_json_time(showing.from_minute * NS_PER_MINUTE), "to",
			api_json_time(showing.to_minute * NS_PER_MINUTE), "step",
			api_usage_steps[api_argument_number(request, "step", API_STEP_HOUR)],
			"series", showing.series, "total", total);
	}
	json_decref(showing.series);
	return code;
}

int api_usage_show(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, show, request, fault);
}

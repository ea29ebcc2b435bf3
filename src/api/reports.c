/*
 * Usage that providers report: found, held, put down, recorded, told.
 *
 * What counts is the record in the journal. That an event was taken is put down first, with the
 * place that its record will have: what was put down and not recorded is forgotten when the node
 * starts (node/reporting.c), so an end at any point loses nothing that was answered and
 * counts nothing twice.
 */
#include "api/api_internal.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/event.h"
#include "api/schemas.h"
#include "base/check.h"
#include "meter/meter.h"

#define KEPT_NS (35 * 86400 * CLOCK_NS_PER_S) /* that an event was taken; beyond usage.late */

enum report_state {
	REPORT_NEW,      /* nothing speaks against it so far */
	REPORT_HELD,     /* what it can cost is reserved */
	REPORT_ACCEPTED, /* it is on record now */
	REPORT_REPEATED, /* it was already */
	REPORT_AGAIN,    /* the same as an earlier one of the batch */
	REPORT_REFUSED,
};

struct report {
	const struct api_event *event;
	enum report_state state;
	struct meter_reported row;
	struct api_usage usage;
	size_t same; /* REPORT_AGAIN: which one */
	bool is_charged;
	int64_t charge_nano;
	enum api_problem problem; /* REPORT_REFUSED */
	json_t *error;
};

struct reporting {
	struct api_request *request;
	struct api_events events;
	struct report *reports;
	struct catalog_service *service; /* the last one that was looked for */
};

__attribute__((format(printf, 6, 7))) static void
refuse(struct reporting *reporting, struct report *report, enum api_problem problem,
       const char *attribute, const char *near, const char *detail, ...)
{
	char text[FAULT_TEXT_MAX], place[API_POINTER_MAX];
	va_list arguments;

	va_start(arguments, detail);
	vsnprintf(text, sizeof(text), detail, arguments);
	va_end(arguments);
	check(report->error == NULL);
	report->state = REPORT_REFUSED;
	report->problem = problem;
	report->error = api_error_json(
		reporting->request, api_event_place(report->event, attribute, place), near, text);
}

/* ---- finding what the event means ---- */

static int find_service(struct reporting *reporting, struct store *store, struct report *report,
			bool *ret_found, struct fault *fault)
{
	const struct slice name = report->event->service;
	const struct account_id provider = reporting->request->provider;
	struct catalog_service *service = reporting->service;
	int code = 0;

	*ret_found = false;
	if (service == NULL || !slice_equal(name, slice_of(service->description.name))) {
		catalog_service_free(service);
		reporting->service = service = NULL;
		code = catalog_service_get(store, name, &service, fault);
	}
	if (code == FAULT_NOT_FOUND) {
		refuse(reporting, report, API_NOT_FOUND, "data/service", fault->near, "%s",
		       fault->text);
		return 0;
	}
	if (code < 0)
		return code;
	reporting->service = service;
	*ret_found = provider.value == 0 || service->account.value == provider.value;
	if (!*ret_found)
		refuse(reporting, report, API_REFUSED, "data/service", NULL,
		       "the token's account does not provide %s; its provider reports its usage",
		       service->description.name);
	return 0;
}

static void make_key(const struct reporting *reporting, struct report *report)
{
	const struct api_event *event = report->event;
	const uint64_t head[] = {reporting->service->account.value, event->source.length};
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const unsigned char *)head, sizeof(head));
	crypto_hash_sha256_update(&state, (const unsigned char *)event->source.data,
				  event->source.length);
	crypto_hash_sha256_update(&state, (const unsigned char *)event->id.data, event->id.length);
	crypto_hash_sha256_final(&state, report->row.key);
	memcpy(report->row.digest, event->digest, METER_DIGEST_BYTES);
}

static bool is_same(struct reporting *reporting, struct report *report,
		    const struct meter_reported *other)
{
	if (memcmp(report->row.digest, other->digest, METER_DIGEST_BYTES) == 0)
		return true;
	refuse(reporting, report, API_CONFLICT, "id", NULL,
	       "an event with this source and id was reported already, and says something else; "
	       "what it said counts. Give each event an id of its own");
	return false;
}

/* What was told of it then. */
static int read_record(const struct reporting *reporting, struct report *report,
		       struct fault *fault)
{
	struct journal *journal = reporting->request->api->options.journal;
	const struct journal_record *record;
	struct journal_reader *reader;
	uint32_t count = 0;
	int code = journal_reader_open(journal, report->row.stream, report->row.position, &reader,
				       fault);

	if (code == FAULT_NOT_FOUND) /* that part of the journal is kept elsewhere */
		return 0;
	if (code < 0)
		return code;
	code = journal_reader_next(reader, 1, &record, &count, fault);
	if (code == 0 && count == 1 &&
	    memcmp(&record->call, &report->row.call, sizeof(record->call)) == 0) {
		report->is_charged = (record->flags & JOURNAL_BILLED) != 0;
		report->charge_nano = record->charge_nano;
	}
	journal_reader_close(reader);
	return code;
}

/* Whether it is there already: in the batch, or from before. */
static int find_earlier(struct reporting *reporting, struct store *store, struct report *report,
			struct fault *fault)
{
	struct meter_reported row;
	bool found;

	for (struct report *other = reporting->reports; other < report; other++) {
		if (other->state == REPORT_REFUSED ||
		    memcmp(other->row.key, report->row.key, METER_DIGEST_BYTES) != 0)
			continue;
		if (is_same(reporting, report, &other->row)) {
			report->state = REPORT_AGAIN;
			report->same = (size_t)(other - reporting->reports);
		}
		return 0;
	}
	int code = meter_reported_find(store, report->row.key, &found, &row, fault);
	if (code < 0 || !found || !is_same(reporting, report, &row))
		return code;
	report->state = REPORT_REPEATED;
	report->row = row;
	return read_record(reporting, report, fault);
}

static void find_units(struct reporting *reporting, struct report *report)
{
	const struct api_event *event = report->event;
	const struct catalog_unit *units = reporting->service->description.units;

	for (size_t i = 0; i < event->unit_count && report->state == REPORT_NEW; i++) {
		const char *known[RATING_UNITS_MAX];
		size_t count = 0, slot = RATING_UNITS_MAX;
		char shown[TEXT_SHOWN_MAX];
		for (size_t j = 0; j < RATING_UNITS_MAX; j++) {
			if (units[j].name == NULL)
				continue;
			known[count++] = units[j].name;
			if (strcmp(units[j].name, event->units[i].name) == 0)
				slot = j;
		}
		if (slot < RATING_UNITS_MAX)
			report->usage.units[slot] = event->units[i].quantity;
		else
			refuse(reporting, report, API_ARGUMENT, "data/units",
			       text_nearest(event->units[i].name, known, count),
			       "%s has no unit \"%s\" in the `meters` of its manifest",
			       reporting->service->description.name,
			       text_show(slice_of(event->units[i].name), shown));
	}
}

static void check_time(struct reporting *reporting, struct report *report)
{
	const struct api_options *options = &reporting->request->api->options;
	const uint64_t now_ns = reporting->request->now_ns;
	const uint64_t used_ns = report->event->used_ns;
	char bound[CLOCK_TEXT_MAX];

	report->usage.used_ns = used_ns != 0 ? used_ns : now_ns;
	if (used_ns == 0)
		return;
	if (used_ns < now_ns && now_ns - used_ns > options->usage_late_ns) {
		clock_format_wall(now_ns - options->usage_late_ns, bound);
		refuse(reporting, report, API_ARGUMENT, "time", NULL,
		       "usage before %s is not taken any more (the setting usage.late)", bound);
	} else if (used_ns > now_ns && used_ns - now_ns > options->usage_future_ns) {
		clock_format_wall(now_ns + options->usage_future_ns, bound);
		refuse(reporting, report, API_ARGUMENT, "time", NULL,
		       "usage behind %s is not taken yet (the setting usage.future); check the "
		       "clock",
		       bound);
	}
}

static int find_app(struct reporting *reporting, struct store *store, struct report *report,
		    struct fault *fault)
{
	struct account_app app;
	const int code = account_app_get(store, report->event->app, &app, fault);

	if (code == FAULT_NOT_FOUND || code == FAULT_INPUT) {
		refuse(reporting, report, API_NOT_FOUND, "subject", NULL,
		       "no such app is subscribed to %s; the subject is `account/app`, as "
		       "`Stoa-App` tells it",
		       reporting->service->description.name);
		return 0;
	}
	if (code == 0) {
		report->usage.app = app.id;
		report->usage.service = reporting->service->id;
	}
	return code;
}

static int find(struct reporting *reporting, struct store *store, struct report *report,
		struct fault *fault)
{
	bool found;
	int code = find_service(reporting, store, report, &found, fault);

	if (code < 0 || !found)
		return code;
	make_key(reporting, report);
	code = find_earlier(reporting, store, report, fault);
	if (code == 0 && report->state == REPORT_NEW)
		find_units(reporting, report);
	if (code == 0 && report->state == REPORT_NEW)
		check_time(reporting, report);
	if (code == 0 && report->state == REPORT_NEW)
		code = find_app(reporting, store, report, fault);
	return code;
}

static void start(struct report *report, const struct api_event *event)
{
	json_decref(report->error);
	*report = (struct report){.event = event};
	if (event->errors == NULL)
		return;
	report->state = REPORT_REFUSED;
	report->problem = API_ARGUMENT;
	report->error = json_copy(json_array_get(event->errors, 0));
	if (json_array_size(event->errors) > 1)
		json_object_set(report->error, "errors", event->errors);
}

static int find_all(struct store *store, void *context, struct fault *fault)
{
	struct reporting *reporting = context;
	int code = 0;

	for (size_t i = 0; code == 0 && i < reporting->events.count; i++) {
		struct report *report = &reporting->reports[i];
		start(report, &reporting->events.of[i]);
		if (report->state == REPORT_NEW)
			code = find(reporting, store, report, fault);
	}
	return code;
}

/* ---- holding ---- */

static void tell_not_held(struct reporting *reporting, struct report *report,
			  enum api_usage_outcome outcome)
{
	static const struct {
		enum api_problem problem;
		const char *attribute, *detail;
	} told[] = {
		[API_USAGE_NO_SUBSCRIPTION] =
			{API_NOT_FOUND, "subject",
			 "no such app is subscribed to the service now; usage is reported before "
			 "a subscription ends"},
		[API_USAGE_TOO_MUCH] =
			{API_LIMIT, "data/units",
			 "it is more than the plan's max_units or max_charge let one event "
			 "count; nothing of it was counted. Report it in parts, each with an id "
			 "of its own"},
		[API_USAGE_BALANCE] =
			{API_PAYMENT, "subject",
			 "the account's balance does not cover it; report it again once the "
			 "account was funded"},
		[API_USAGE_BUDGET] =
			{API_PAYMENT, "subject",
			 "a budget (of the subscription, its app or its account) does not cover "
			 "it; report it again once that was raised"},
		[API_USAGE_BUSY] =
			{API_BUSY, "subject",
			 "the ledger did not say in time whether it can be paid; report it "
			 "again"},
	};

	check(outcome != API_USAGE_HELD);
	refuse(reporting, report, told[outcome].problem, told[outcome].attribute, NULL, "%s",
	       told[outcome].detail);
}

static int hold_all(struct reporting *reporting, struct fault *fault)
{
	const struct api_ports *ports = &reporting->request->api->options.ports;
	const uint64_t now_ns = reporting->request->now_ns;
	uint64_t position;
	uint32_t stream;
	size_t count = 0;

	for (size_t i = 0; i < reporting->events.count; i++)
		count += reporting->reports[i].state == REPORT_NEW;
	if (count == 0)
		return 0;
	const int code = ports->usage_begin(ports->context, count, &stream, &position, fault);
	for (size_t i = 0; code == 0 && i < reporting->events.count; i++) {
		struct report *report = &reporting->reports[i];
		if (report->state != REPORT_NEW)
			continue;
		report->usage.call = call_id_make(now_ns / CLOCK_NS_PER_MS, report->row.key);
		const enum api_usage_outcome outcome =
			ports->usage_hold(ports->context, &report->usage);
		if (outcome != API_USAGE_HELD) {
			tell_not_held(reporting, report, outcome);
			continue;
		}
		report->state = REPORT_HELD;
		report->row.call = report->usage.call;
		report->row.stream = stream;
		report->row.position = position++;
		report->row.at_ns = now_ns;
	}
	return code;
}

/* ---- putting down, recording ---- */

static int put_down(struct store *store, void *context, struct fault *fault)
{
	const struct reporting *reporting = context;
	int code = meter_reported_forget_old(store, reporting->request->now_ns - KEPT_NS, fault);

	for (size_t i = 0; code == 0 && i < reporting->events.count; i++) {
		if (reporting->reports[i].state == REPORT_HELD)
			code = meter_reported_save(store, &reporting->reports[i].row, fault);
	}
	return code;
}

static bool any_held(const struct reporting *reporting)
{
	for (size_t i = 0; i < reporting->events.count; i++) {
		if (reporting->reports[i].state == REPORT_HELD)
			return true;
	}
	return false;
}

static void release_all(struct reporting *reporting)
{
	const struct api_ports *ports = &reporting->request->api->options.ports;

	for (size_t i = 0; i < reporting->events.count; i++) {
		struct report *report = &reporting->reports[i];
		if (report->state == REPORT_HELD)
			ports->usage_release(ports->context, &report->usage);
	}
}

static int record_all(struct reporting *reporting, struct fault *fault)
{
	const struct api_ports *ports = &reporting->request->api->options.ports;

	if (!any_held(reporting))
		return 0;
	const int code = api_change(reporting->request, put_down, reporting, fault);
	if (code < 0) {
		release_all(reporting);
		return code;
	}
	for (size_t i = 0; i < reporting->events.count; i++) {
		struct report *report = &reporting->reports[i];
		if (report->state != REPORT_HELD)
			continue;
		report->is_charged =
			ports->usage_record(ports->context, &report->usage, &report->charge_nano);
		report->state = REPORT_ACCEPTED;
	}
	return ports->usage_sync(ports->context, fault);
}

/* ---- telling ---- */

/* clang-format off */
const struct api_member api_usage_report_members[] = {
	{"accepted", API_IS_COUNT, 0, NULL, "events that are on record now"},
	{"repeated", API_IS_COUNT, 0, NULL, "events that were on record already"},
	{"refused", API_IS_COUNT, 0, NULL, "events that count nothing"},
	{"currency", API_IS_TEXT, 0, NULL, "of the charges"},
	{"results", API_IS_OBJECT, API_LIST_OF, "UsageResult", "one for each event, in their order"},
};

const struct api_member api_usage_result_members[] = {
	{"source", API_IS_TEXT, API_OR_NULL, NULL, "the event's; null where it has none"},
	{"id", API_IS_TEXT, API_OR_NULL, NULL, "the event's; null where it has none"},
	{"status", API_IS_CHOICE, 0, "accepted|repeated|refused",
	 "`repeated`: the same was reported before, and counts once"},
	{"call", API_IS_TEXT, API_OR_NULL, NULL, "the id of its record, as for receipts"},
	{"charge", API_IS_AMOUNT, API_OR_NULL, NULL, "what it cost the app's account"},
	{"problem", API_IS_OBJECT, API_OR_NULL, "Problem", "why it was refused"},
};
/* clang-format on */

/* What came to be on record and could not be charged counts nothing, now and when it is repeated.
 */
static void tell_uncharged(struct reporting *reporting)
{
	for (size_t i = 0; i < reporting->events.count; i++) {
		struct report *report = &reporting->reports[i];
		if (report->state == REPORT_ACCEPTED && !report->is_charged)
			refuse(reporting, report, API_LIMIT, "data/units", NULL,
			       "the month's quantity has become more than can be counted; nothing "
			       "of it was charged");
	}
}

static json_t *text_or_null(struct slice text)
{
	return text.length > 0 ? json_stringn(text.data, text.length) : json_null();
}

/* The same as an earlier one is what became of that, but counts once. */
static enum report_state told_state(const struct report *report, const struct report *told)
{
	return told != report && told->state == REPORT_ACCEPTED ? REPORT_REPEATED : told->state;
}

/* *ret_state is one of those that are told. */
static json_t *result_json(const struct reporting *reporting, const struct report *report,
			   enum report_state *ret_state)
{
	static const char *const states[] = {
		[REPORT_ACCEPTED] = "accepted",
		[REPORT_REPEATED] = "repeated",
		[REPORT_REFUSED] = "refused",
	};
	const struct api_event *event = report->event;
	const struct report *told =
		report->state == REPORT_AGAIN ? &reporting->reports[report->same] : report;
	const bool refused = told->state == REPORT_REFUSED;
	char call[CALL_ID_TEXT_MAX];

	*ret_state = told_state(report, told);

	call_id_format(told->row.call, call);
	return json_pack(
		"{s:o, s:o, s:s, s:o, s:o, s:o}", "source", text_or_null(event->source), "id",
		text_or_null(event->id), "status", states[*ret_state], "call",
		refused ? json_null() : json_string(call), "charge",
		told->is_charged && !refused ? api_json_amount(told->charge_nano) : json_null(),
		"problem",
		refused ? api_problem_json(told->problem, json_incref(told->error)) : json_null());
}

static void answer(struct reporting *reporting)
{
	struct api_request *request = reporting->request;
	const struct report *only = &reporting->reports[0];
	int counts[REPORT_REFUSED + 1] = {0};
	enum report_state state;
	json_t *results = json_array();

	tell_uncharged(reporting);
	if (reporting->events.single && only->state == REPORT_REFUSED) {
		json_decref(results);
		api_answer_error(request, only->problem, json_incref(only->error));
		return;
	}
	for (size_t i = 0; i < reporting->events.count; i++) {
		json_array_append_new(results,
				      result_json(reporting, &reporting->reports[i], &state));
		counts[state]++;
	}
	request->answer =
		json_pack("{s:i, s:i, s:i, s:s, s:o}", "accepted", counts[REPORT_ACCEPTED],
			  "repeated", counts[REPORT_REPEATED], "refused", counts[REPORT_REFUSED],
			  "currency", request->api->options.currency, "results", results);
}

int api_usage_report(struct api_request *request, struct fault *fault)
{
	struct reporting reporting = {.request = request};

	request->idempotency_key = (struct slice){0}; /* each event is its own */
	if (!api_events_read(request, &reporting.events))
		return 0;
	reporting.reports = calloc(reporting.events.count, sizeof(*reporting.reports));
	check(reporting.reports != NULL);
	int code = store_transaction_read(request->api->options.store, find_all, &reporting, fault);
	if (code == 0)
		code = hold_all(&reporting, fault);
	if (code == 0)
		code = record_all(&reporting, fault);
	if (code == 0)
		answer(&reporting);
	for (size_t i = 0; i < reporting.events.count; i++)
		json_decref(reporting.reports[i].error);
	free(reporting.reports);
	catalog_service_free(reporting.service);
	api_events_free(&reporting.events);
	return code;
}

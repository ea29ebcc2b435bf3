/* The call records as JSON, all streams merged by the time of settlement. */
#include "api/api_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"

/* ---- cursors: "0:120,1:55", the next position of each stream ---- */

struct cursor {
	uint32_t streams;
	uint64_t position[JOURNAL_STREAMS_MAX];
};

static bool parse_cursor(struct slice text, struct cursor *cursor)
{
	struct slice entry;
	struct slice stream;
	uint64_t number;
	uint64_t position;

	while (slice_cut(&text, ',', &entry)) {
		slice_cut(&entry, ':', &stream);
		if (!slice_to_u64(stream, JOURNAL_STREAMS_MAX - 1, &number) ||
		    !slice_to_u64(entry, INT64_MAX, &position) || number >= cursor->streams ||
		    position < cursor->position[number])
			return false;
		cursor->position[number] = position;
	}
	return true;
}

static json_t *cursor_json(const struct cursor *cursor)
{
	struct text text;

	text_init(&text, 64 * JOURNAL_STREAMS_MAX);
	for (uint32_t i = 0; i < cursor->streams; i++)
		text_printf(&text, "%s%u:%llu", i > 0 ? "," : "", i,
			    (unsigned long long)cursor->position[i]);
	check(!text.failed);
	json_t *json = json_stringn(text.data ? text.data : "", text.length);
	text_fini(&text);
	return json;
}

static int read_cursor(struct api_request *request, struct cursor *cursor, struct fault *fault)
{
	const struct journal *journal = request->api->options.journal;
	const struct api_value *after = api_argument(request, "after");

	*cursor = (struct cursor){.streams = journal_stream_count(journal)};
	for (uint32_t i = 0; i < cursor->streams; i++)
		cursor->position[i] = journal_stream_first(journal, i);
	if (!after->given || parse_cursor(after->text, cursor))
		return 0;
	return api_no_cursor(request, fault);
}

/* ---- names of what records mention, looked up once a page ---- */

struct names {
	char account[ACCOUNT_NAME_MAX];
	char app[ACCOUNT_PATH_MAX];
	char service[CATALOG_NAME_MAX];
	char plan[CATALOG_NAME_MAX];
	struct plan_id plan_id;
	uint32_t plan_version;
	char units[JOURNAL_RECORD_UNITS][CATALOG_NAME_MAX];
};

static int load_names(struct store *store, const struct journal_record *record, struct names *names,
		      struct fault *fault)
{
	struct catalog_subscription subscription;
	struct catalog_service *service = NULL;
	struct catalog_move plan; /* the record's own */
	struct slice rest;
	struct slice account;
	int code = catalog_subscription_get(store, record->subscription, &subscription, fault);

	if (code == 0)
		code = catalog_move_at(store, record->plan, 0, &plan, fault);

	if (code == 0)
		code = catalog_service_get_by_id(store, record->service, &service, fault);
	if (code < 0)
		return code;
	memcpy(names->app, subscription.app_path, sizeof(names->app));
	memcpy(names->service, subscription.service_name, sizeof(names->service));
	memcpy(names->plan, subscription.plan_name, sizeof(names->plan));
	names->plan_version = plan.version;
	names->plan_id = record->plan;
	rest = slice_of(subscription.app_path);
	slice_cut(&rest, '/', &account);
	check(slice_to_text(account, names->account, sizeof(names->account)));
	for (size_t i = 0; i < JOURNAL_RECORD_UNITS; i++) {
		const char *unit = service->description.units[i].name;
		if (unit != NULL)
			check(slice_to_text(slice_of(unit), names->units[i],
					    sizeof(names->units[i])));
	}
	catalog_service_free(service);
	return 0;
}

/* What the store does not know (yet, or after a restore) goes by its ids. */
static void number_names(const struct journal_record *record, struct names *names)
{
	char text[ID_TEXT_MAX];

	names->plan_id = record->plan;
	id_format("acct", record->account.value, text);
	memcpy(names->account, text, sizeof(text));
	id_format("app", record->app.value, text);
	memcpy(names->app, text, sizeof(text));
	id_format("svc", record->service.value, text);
	memcpy(names->service, text, sizeof(text));
	id_format("plan", record->plan.value, text);
	memcpy(names->plan, text, sizeof(text));
}

static int find_names(struct api_request *request, struct map *known,
		      const struct journal_record *record, const struct names **ret_names,
		      struct fault *fault)
{
	struct names *names = map_find(known, record->subscription.value);

	/* A version of the plan may begin within the page. */
	if (names != NULL && names->plan_id.value != record->plan.value) {
		map_remove(known, record->subscription.value);
		free(names);
		names = NULL;
	}
	if (names == NULL) {
		names = calloc(1, sizeof(*names));
		check(names != NULL);
		const int code = load_names(request->api->options.store, record, names, fault);
		if (code < 0 && code != FAULT_NOT_FOUND) {
			free(names);
			return code;
		}
		if (code == FAULT_NOT_FOUND)
			number_names(record, names);
		map_put(known, record->subscription.value, names);
	}
	*ret_names = names;
	return 0;
}

static void free_names(struct map *known)
{
	size_t cursor = 0;
	uint64_t key;
	void *names;

	while (map_next(known, &cursor, &key, &names))
		free(names);
	map_fini(known);
}

/* ---- records ---- */

static const char *outcome_name(uint8_t outcome)
{
	static const char *const names[] = {
		[JOURNAL_ANSWERED] = "answered", [JOURNAL_ABORTED] = "aborted",
		[JOURNAL_FAILED] = "failed",     [JOURNAL_CUT] = "cut",
		[JOURNAL_RUNNING] = "running",   [JOURNAL_REPORTED] = "reported",
	};

	return outcome >= JOURNAL_ANSWERED && outcome <= JOURNAL_REPORTED ? names[outcome]
									  : "unknown";
}

/* Usage that was reported has neither key nor instance. */
static json_t *id_or_null(const char *prefix, uint64_t value)
{
	return value == 0 ? json_null() : api_json_id(prefix, value);
}

static json_t *units_json(const struct journal_record *record, const struct names *names)
{
	json_t *units = json_object();

	for (size_t i = 0; i < JOURNAL_RECORD_UNITS; i++) {
		if (names->units[i][0] != '\0')
			json_object_set_new(units, names->units[i],
					    json_integer((json_int_t)record->units[i]));
	}
	return units;
}

static json_t *record_json(uint32_t stream, const struct journal_record *record,
			   const struct names *names)
{
	char call[CALL_ID_TEXT_MAX];

	call_id_format(record->call, call);
	return json_pack(
		"{s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:i, s:s, s:b, s:b, s:I, "
		"s:I, s:I, s:I, s:o, s:o, s:i, s:I}",
		"call", call, "started", api_json_time(record->started_ns), "settled",
		api_json_time(record->settled_ns), "service", names->service, "app", names->app,
		"account", names->account, "plan", names->plan, "plan_version",
		(int)names->plan_version, "key", id_or_null("key", record->key.value), "instance",
		id_or_null("inst", record->instance), "status", (int)record->status, "outcome",
		outcome_name(record->outcome), "billed", (record->flags & JOURNAL_BILLED) != 0,
		"continues", !journal_record_begins_call(record), "request_bytes",
		(json_int_t)record->request_bytes, "response_bytes",
		(json_int_t)record->response_bytes, "duration_us", (json_int_t)record->duration_us,
		"service_us", (json_int_t)record->service_us, "units", units_json(record, names),
		"charge", api_json_amount(record->charge_nano), "stream", (int)stream, "position",
		(json_int_t)record->position);
}

/* ---- merging ---- */

struct source {
	struct journal_reader *reader;
	const struct journal_record *records; /* written ones from the cursor on */
	uint32_t count;
	uint32_t taken;
};

struct merge {
	struct api_request *request;
	struct cursor cursor;
	struct source sources[JOURNAL_STREAMS_MAX];
	struct map known;
	json_t *items;
};

static int open_sources(struct merge *merge, uint32_t limit, struct fault *fault)
{
	struct journal *journal = merge->request->api->options.journal;
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < merge->cursor.streams; i++) {
		struct source *source = &merge->sources[i];
		code = api_at(merge->request, "after",
			      journal_reader_open(journal, i, merge->cursor.position[i],
						  &source->reader, fault));
		if (code == 0)
			code = journal_reader_next(source->reader, limit, &source->records,
						   &source->count, fault);
	}
	return code;
}

/* The stream whose next record was settled first; -1 at the end. */
static int first_source(const struct merge *merge)
{
	int first = -1;
	uint64_t first_ns = UINT64_MAX;

	for (uint32_t i = 0; i < merge->cursor.streams; i++) {
		const struct source *source = &merge->sources[i];
		if (source->taken < source->count &&
		    source->records[source->taken].settled_ns < first_ns) {
			first_ns = source->records[source->taken].settled_ns;
			first = (int)i;
		}
	}
	return first;
}

static int take(struct merge *merge, uint32_t stream, struct fault *fault)
{
	struct source *source = &merge->sources[stream];
	const struct journal_record *record = &source->records[source->taken];
	const struct names *names;
	const int code = find_names(merge->request, &merge->known, record, &names, fault);

	if (code < 0)
		return code;
	json_array_append_new(merge->items, record_json(stream, record, names));
	source->taken++;
	merge->cursor.position[stream] = record->position + 1;
	return 0;
}

static int read_page(struct merge *merge, struct fault *fault)
{
	const size_t limit = api_limit(merge->request);
	int code = open_sources(merge, (uint32_t)limit, fault);

	for (size_t i = 0; code == 0 && i < limit; i++) {
		const int first = first_source(merge);
		if (first < 0)
			break;
		code = take(merge, (uint32_t)first, fault);
	}
	return code;
}

int api_journal_list(struct api_request *request, struct fault *fault)
{
	struct merge *merge = calloc(1, sizeof(*merge));
	int code;

	check(merge != NULL);
	merge->request = request;
	merge->items = json_array();
	map_init(&merge->known);
	code = read_cursor(request, &merge->cursor, fault);
	if (code == 0)
		code = read_page(merge, fault);
	if (code == 0)
		request->answer = api_list(json_incref(merge->items), cursor_json(&merge->cursor));
	for (uint32_t i = 0; i < merge->cursor.streams; i++) {
		if (merge->sources[i].reader != NULL)
			journal_reader_close(merge->sources[i].reader);
	}
	json_decref(merge->items);
	free_names(&merge->known);
	free(merge);
	return code;
}

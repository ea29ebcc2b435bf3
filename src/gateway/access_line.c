#include "gateway/access.h"

#include "base/check.h"

#define FIELDS_MAX 21

static const char *const outcomes[] = {
	[0] = "refused",
	[JOURNAL_ANSWERED] = "answered",
	[JOURNAL_ABORTED] = "aborted",
	[JOURNAL_FAILED] = "failed",
	[JOURNAL_CUT] = "cut",
};

static bool is_zero(struct call_id id)
{
	static const struct call_id none;

	return memcmp(&id, &none, sizeof(id)) == 0;
}

size_t access_line(const struct access_entry *entry, enum log_format format,
		   char text[LOG_LINE_MAX])
{
	const bool refused = entry->outcome == 0;
	const char *at = entry->text;
	char call[CALL_ID_TEXT_MAX], key[ID_TEXT_MAX], certificate[ID_TEXT_MAX];
	char charge[AMOUNT_TEXT_MAX];
	struct log_field fields[FIELDS_MAX];
	size_t count = 0;

	if (!is_zero(entry->id)) {
		call_id_format(entry->id, call);
		fields[count++] = log_text("call", call);
	}
	if (entry->trace_id[0] != '\0')
		fields[count++] =
			log_slice("trace", slice_make(entry->trace_id, TRACE_ID_TEXT_BYTES));
	if (entry->client_bytes > 0)
		fields[count++] =
			log_slice("client", slice_make(entry->client, entry->client_bytes));
	if (entry->protocol != NULL)
		fields[count++] = log_text("protocol", entry->protocol);
	if (entry->service != NULL)
		fields[count++] = log_text("service", entry->service);
	if (entry->app_bytes > 0)
		fields[count++] = log_slice("app", slice_make(at, entry->app_bytes));
	if (entry->key.value != 0) {
		id_format("key", entry->key.value, key);
		fields[count++] = log_text("key", key);
	}
	if (entry->certificate.value != 0) {
		id_format("key", entry->certificate.value, certificate);
		fields[count++] = log_text("certificate", certificate);
	}
	if (entry->plan != NULL)
		fields[count++] = log_text("plan", entry->plan);
	at += entry->app_bytes;
	if (entry->method_bytes > 0) {
		fields[count++] = log_slice("method", slice_make(at, entry->method_bytes));
		at += entry->method_bytes;
		fields[count++] = log_slice("path", slice_make(at, entry->path_bytes));
	}
	if (entry->path_cut)
		fields[count++] = log_text("path_cut", "true");
	fields[count++] = log_number("status", entry->status);
	fields[count++] = log_text("outcome", outcomes[entry->outcome]);
	if (entry->problem < PROBLEM_COUNT)
		fields[count++] =
			log_text("problem", problem_text((enum problem)entry->problem)->type);
	fields[count++] = log_number("duration_us", (int64_t)entry->duration_us);
	if (!refused) {
		fields[count++] = log_number("service_us", (int64_t)entry->service_us);
		fields[count++] = log_number("request_bytes", (int64_t)entry->request_bytes);
		fields[count++] = log_number("response_bytes", (int64_t)entry->response_bytes);
		amount_format(amount_nano(entry->charge_nano), charge);
		fields[count++] = log_text("charge", charge);
		fields[count++] = log_number("instance", entry->instance);
	}
	check(count <= FIELDS_MAX);
	return log_compose(text, format, entry->started_wall_ns, fields, count);
}

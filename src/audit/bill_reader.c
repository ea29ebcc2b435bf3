/*
 * JSON piece by piece: the outer object and its lists are gone through here, each value in them is
 * jansson's to read. So a document of any length takes no more memory than its largest value.
 */
#include "audit/bill_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool complain(struct audit_complaint *complaint, const char *pointer, const char *format, ...)
{
	va_list arguments;

	snprintf(complaint->pointer, sizeof(complaint->pointer), "%s", pointer);
	va_start(arguments, format);
	vsnprintf(complaint->reason, sizeof(complaint->reason), format, arguments);
	va_end(arguments);
	text_tame(complaint->reason);
	return false;
}

static void pass_spaces(struct reader *reader)
{
	while (reader->at < reader->file.length &&
	       strchr(" \t\r\n", reader->file.data[reader->at]) != NULL &&
	       reader->file.data[reader->at] != '\0')
		reader->at++;
}

static bool next_is(struct reader *reader, char mark)
{
	pass_spaces(reader);
	return reader->at < reader->file.length && reader->file.data[reader->at] == mark;
}

bool read_mark(struct reader *reader, char mark, const char *pointer)
{
	if (!next_is(reader, mark))
		return complain(reader->complaint, pointer,
				"'%c' is missing at byte %zu of the file", mark, reader->at);
	reader->at++;
	return true;
}

bool read_value(struct reader *reader, json_type type, const char *pointer, json_t **ret_value)
{
	static const char *const names[] = {[JSON_OBJECT] = "an object",
					    [JSON_ARRAY] = "a list",
					    [JSON_STRING] = "a text",
					    [JSON_INTEGER] = "a whole number"};
	json_error_t error;

	pass_spaces(reader);
	const size_t left = reader->file.length - reader->at;
	json_t *value = json_loadb(
		reader->file.data + reader->at, left < PIECE_BYTES_MAX ? left : PIECE_BYTES_MAX,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
	if (value == NULL)
		return complain(reader->complaint, pointer,
				"no JSON value stands at byte %zu of the file: %s", reader->at,
				error.text);
	if (json_typeof(value) != type) {
		json_decref(value);
		return complain(reader->complaint, pointer, "it is not %s", names[type]);
	}
	reader->at += (size_t)error.position;
	*ret_value = value;
	return true;
}

bool read_name(struct reader *reader, bool first, const char *pointer)
{
	json_t *given;

	if ((!first && !read_mark(reader, ',', pointer)) ||
	    !read_value(reader, JSON_STRING, pointer, &given))
		return false;
	const bool good = strcmp(json_string_value(given), strrchr(pointer, '/') + 1) == 0;
	json_decref(given);
	if (!good)
		return complain(reader->complaint, pointer,
				"the member is missing, or not in its place");
	return read_mark(reader, ':', pointer);
}

bool read_item(struct reader *reader, size_t index, const char *pointer, bool *ret_more)
{
	if (next_is(reader, ']')) {
		reader->at++;
		*ret_more = false;
		return true;
	}
	*ret_more = true;
	return index == 0 || read_mark(reader, ',', pointer);
}

bool read_list(struct reader *reader, const char *pointer, size_t most, item_fn take, void *context)
{
	char item[AUDIT_POINTER_MAX];
	struct value value = {.pointer = item, .complaint = reader->complaint};
	bool more = true;

	if (!read_name(reader, false, pointer) || !read_mark(reader, '[', pointer))
		return false;
	for (size_t i = 0;; i++) {
		snprintf(item, sizeof(item), "%s/%zu", pointer, i);
		if (!read_item(reader, i, item, &more))
			return false;
		if (!more)
			return true;
		if (i == most)
			return complain(reader->complaint, item,
					"there are more than the %zu allowed", most);
		if (!read_value(reader, JSON_OBJECT, item, &value.json))
			return false;
		const bool taken = take(context, &value);
		json_decref(value.json);
		if (!taken)
			return false;
	}
}

/* ---- members ---- */

static bool complain_member(const struct value *value, const char *name, const char *what)
{
	char pointer[AUDIT_POINTER_MAX];

	snprintf(pointer, sizeof(pointer), "%s/%s", value->pointer, name);
	return complain(value->complaint, pointer, "%s", what);
}

bool value_has(const struct value *value, const char *name)
{
	return json_object_get(value->json, name) != NULL;
}

bool value_has_only(const struct value *value, const char *const *names)
{
	static const char *const none[] = {NULL};

	return value_has_at_most(value, names, none);
}

bool value_has_at_most(const struct value *value, const char *const *names, const char *const *more)
{
	size_t count = 0;

	for (; names[count] != NULL; count++) {
		if (!value_has(value, names[count]))
			return complain_member(value, names[count], "the member is missing");
	}
	for (; *more != NULL; more++)
		count += value_has(value, *more);
	if (json_object_size(value->json) != count)
		return complain(value->complaint, value->pointer, "it has a member too many");
	return true;
}

bool value_text(const struct value *value, const char *name, char *text, size_t text_bytes_max)
{
	const json_t *json = json_object_get(value->json, name);

	if (!json_is_string(json) || json_string_length(json) >= text_bytes_max ||
	    strlen(json_string_value(json)) != json_string_length(json))
		return complain_member(value, name, "it is not a text, or too long");
	if (!text_is_tame(json_string_value(json)))
		return complain_member(value, name, "it has a control character");
	memcpy(text, json_string_value(json), json_string_length(json) + 1);
	return true;
}

bool value_number(const struct value *value, const char *name, int64_t least, int64_t most,
		  int64_t *ret_number)
{
	const json_t *json = json_object_get(value->json, name);

	if (!json_is_integer(json) || json_integer_value(json) < least ||
	    json_integer_value(json) > most)
		return complain_member(value, name, "it is not a whole number that may stand here");
	*ret_number = json_integer_value(json);
	return true;
}

bool value_bound(const struct value *value, const char *name, int64_t *ret_bound)
{
	if (!json_is_null(json_object_get(value->json, name)))
		return value_number(value, name, 0, INT64_MAX - 1, ret_bound);
	*ret_bound = INT64_MAX;
	return true;
}

bool value_amount(const struct value *value, const char *name, int64_t *ret_nano)
{
	char text[AMOUNT_TEXT_MAX];
	char again[AMOUNT_TEXT_MAX];
	struct amount amount;

	if (!value_text(value, name, text, sizeof(text)))
		return false;
	if (!amount_parse(slice_of(text), &amount))
		return complain_member(value, name, "it is not an amount");
	amount_format(amount, again);
	if (strcmp(text, again) != 0)
		return complain_member(value, name, "it is not written as amounts are");
	*ret_nano = amount.nano;
	return true;
}

bool value_flag(const struct value *value, const char *name, bool *ret_flag)
{
	const json_t *json = json_object_get(value->json, name);

	if (!json_is_boolean(json))
		return complain_member(value, name, "it is neither true nor false");
	*ret_flag = json_is_true(json);
	return true;
}

bool value_member(const struct value *value, const char *name, json_type type, json_t **ret_json)
{
	json_t *json = json_object_get(value->json, name);

	if (json == NULL || json_typeof(json) != type)
		return complain_member(value, name, "it is not of the right kind");
	*ret_json = json;
	return true;
}

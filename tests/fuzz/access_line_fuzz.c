/* The access log: whatever a caller sends as method and path, its call is one line, and in JSON one
 * object that says what was sent. */
#include "replay.h"

#include <jansson.h>
#include <string.h>

#include "base/check.h"
#include "gateway/access.h"

#define METHOD_BYTES 3u

static bool is_text(struct slice bytes)
{
	for (size_t at = 0, length; at < bytes.length; at += length) {
		length = text_utf8_length(bytes, at);
		if (length == 0 || bytes.data[at] == '\0')
			return false;
	}
	return true;
}

static void check_line(struct slice line)
{
	check(line.length > 1 && line.length <= LOG_LINE_MAX);
	check(slice_find_byte(line, '\n', 0) == line.length - 1);
	for (size_t i = 0; i + 1 < line.length; i++)
		check((uint8_t)line.data[i] >= 0x20 && line.data[i] != 0x7f);
	check(is_text(line));
}

static void check_object(struct slice line, struct slice path)
{
	json_error_t error;
	json_t *object =
		json_loadb(line.data, line.length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	check(object != NULL);
	const json_t *told = json_object_get(object, "path");

	if (json_object_get(object, "cut") == NULL)
		check_equal(json_integer_value(json_object_get(object, "status")), 200);
	if (is_text(path) && json_object_get(object, "cut") == NULL)
		check(slice_equal(slice_make(json_string_value(told), json_string_length(told)),
				  path));
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct access_entry entry = {
		.service = "echo",
		.plan = "payg",
		.status = 200,
		.outcome = JOURNAL_ANSWERED,
		.problem = PROBLEM_COUNT,
	};
	char text[LOG_LINE_MAX];
	const size_t used = size < ACCESS_TEXT_MAX ? size : ACCESS_TEXT_MAX;

	if (used < METHOD_BYTES)
		return 0;
	memcpy(entry.text, data, used);
	entry.method_bytes = METHOD_BYTES;
	entry.path_bytes = (uint16_t)(used - METHOD_BYTES);
	check_line(slice_make(text, access_line(&entry, LOG_FORMAT_LOGFMT, text)));
	const struct slice line = slice_make(text, access_line(&entry, LOG_FORMAT_JSON, text));
	check_line(line);
	check_object(line, slice_make(entry.text + METHOD_BYTES, entry.path_bytes));
	return 0;
}

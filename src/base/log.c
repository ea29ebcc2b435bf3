#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"

static struct {
	int descriptor;
	enum log_level least;
	enum log_format format;
	const struct clock *clock; /* NULL: the system's */
} settings = {.descriptor = STDERR_FILENO, .least = LOG_INFO};

struct line {
	char bytes[LOG_LINE_MAX];
	size_t length;
	size_t length_max;
	bool json;
	bool cut;
};

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARN] = "warn",
	[LOG_ERROR] = "error",
};

/* Kept free for the mark of a cut line and its end, in either format. */
#define LINE_RESERVE 24u

void log_configure(int descriptor, enum log_level least, enum log_format format,
		   const struct clock *clock)
{
	settings.descriptor = descriptor;
	settings.least = least;
	settings.format = format;
	settings.clock = clock;
}

bool log_enabled(enum log_level level)
{
	return level >= settings.least;
}

/* Whole or not at all, so that no escape is cut in two. */
static void line_append(struct line *line, const char *bytes, size_t length)
{
	if (line->cut || length > line->length_max - line->length) {
		line->cut = true;
		return;
	}
	memcpy(line->bytes + line->length, bytes, length);
	line->length += length;
}

__attribute__((format(printf, 2, 3))) static void line_printf(struct line *line, const char *format,
							      ...)
{
	char piece[128];
	va_list arguments;

	va_start(arguments, format);
	const int length = vsnprintf(piece, sizeof(piece), format, arguments);
	va_end(arguments);
	check(length >= 0 && length < (int)sizeof(piece));
	line_append(line, piece, (size_t)length);
}

static void line_quoted(struct line *line, struct slice text)
{
	line_append(line, "\"", 1);
	if (line->cut)
		return;
	for (size_t at = 0; at < text.length;) {
		const size_t length = text_utf8_length(text, at);
		const uint8_t byte = (uint8_t)text.data[at];

		if (length == 0)
			line_append(line, "\\ufffd", 6);
		else if (byte == '"' || byte == '\\')
			line_printf(line, "\\%c", byte);
		else if (byte == '\n')
			line_append(line, "\\n", 2);
		else if (byte < 0x20 || byte == 0x7f)
			line_printf(line, "\\u%04x", byte);
		else
			line_append(line, text.data + at, length);
		at += length > 0 ? length : 1;
	}
	/* Also where the text was cut: the reserve has room for it. */
	if (line->cut)
		line->bytes[line->length++] = '"';
	else
		line_append(line, "\"", 1);
}

static bool is_bare(struct slice text)
{
	static const char punctuation[] = "-_./:@+,";

	for (size_t i = 0; i < text.length; i++) {
		const char byte = text.data[i];
		const bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
				    (byte >= '0' && byte <= '9');
		if (!letter && (byte == '\0' || strchr(punctuation, byte) == NULL))
			return false;
	}
	return text.length > 0;
}

static void line_number(struct line *line, int64_t number)
{
	char digits[24], *end = digits;
	uint64_t size = (uint64_t)number;

	if (number < 0) {
		*end++ = '-';
		size = -size;
	}
	end = text_decimal(size, end);
	line_append(line, digits, (size_t)(end - digits));
}

static void line_field(struct line *line, const struct log_field *field)
{
	if (line->cut)
		return;
	const size_t start = line->length;
	const bool json = line->json;

	line_append(line, json ? ",\"" : " ", json ? 2 : 1);
	line_append(line, field->name, strlen(field->name));
	line_append(line, json ? "\":" : "=", json ? 2 : 1);
	if (line->cut) {
		line->length = start;
		return;
	}
	if (field->kind == LOG_FIELD_NUMBER)
		line_number(line, field->number);
	else if (!json && is_bare(field->text))
		line_append(line, field->text.data, field->text.length);
	else
		line_quoted(line, field->text);
	/* A number or a bare word that did not fit leaves no name behind. */
	if (line->cut && line->bytes[line->length - 1] != '"')
		line->length = start;
}

static void line_end(struct line *line)
{
	const bool json = line->json;
	const bool cut = line->cut;

	line->cut = false;
	line->length_max = sizeof(line->bytes);
	if (cut)
		line_printf(line, json ? ",\"cut\":true" : " cut=true");
	line_printf(line, json ? "}\n" : "\n");
}

/* `level` and `event` may be NULL. */
static void compose(struct line *line, enum log_format format, uint64_t wall_ns, const char *level,
		    const char *event, const struct log_field *fields, size_t field_count)
{
	const bool json = format == LOG_FORMAT_JSON;
	char time[CLOCK_TEXT_MAX];

	line->length = 0;
	line->length_max = LOG_LINE_MAX - LINE_RESERVE;
	line->json = json;
	line->cut = false;
	clock_format_wall(wall_ns, time);
	line_printf(line, json ? "{\"time\":\"%s\"" : "time=%s", time);
	if (level != NULL)
		line_printf(line, json ? ",\"level\":\"%s\"" : " level=%s", level);
	if (event != NULL)
		line_printf(line, json ? ",\"event\":\"%.64s\"" : " event=%.64s", event);
	for (size_t i = 0; i < field_count; i++)
		line_field(line, &fields[i]);
	line_end(line);
}

size_t log_compose(char text[LOG_LINE_MAX], enum log_format format, uint64_t wall_ns,
		   const struct log_field *fields, size_t field_count)
{
	struct line line;

	compose(&line, format, wall_ns, NULL, NULL, fields, field_count);
	memcpy(text, line.bytes, line.length);
	return line.length;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
	       size_t field_count)
{
	struct line line;

	if (!log_enabled(level))
		return;
	compose(&line, settings.format,
		clock_wall_ns(settings.clock ? settings.clock : clock_system()), level_names[level],
		event, fields, field_count);

	/* A log that cannot be written has nowhere to complain. */
	while (write(settings.descriptor, line.bytes, line.length) < 0 && errno == EINTR)
		;
}

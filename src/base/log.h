/*
 * log: named events with fields, one line each, as logfmt for people or JSON for programs.
 *
 * The layer that handles an event logs it, once. Values are quoted and escaped; a secret never
 * becomes a field. The log is the program's only mutable global.
 *
 * Threads: any; a line is one write(2) to the descriptor, never torn between threads.
 *
 *	log_event(LOG_INFO, "instance.started", log_text("service", name),
 *		  log_number("pid", pid));
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

#define LOG_LINE_MAX 4096 /* bytes; a longer line is cut and says so */

struct log_field {
	const char *name;
	enum { LOG_FIELD_TEXT, LOG_FIELD_NUMBER } kind;
	struct slice text;
	int64_t number;
};

static inline struct log_field log_slice(const char *name, struct slice value)
{
	return (struct log_field){.name = name, .kind = LOG_FIELD_TEXT, .text = value};
}

static inline struct log_field log_text(const char *name, const char *value)
{
	return log_slice(name, slice_of(value));
}

static inline struct log_field log_number(const char *name, int64_t value)
{
	return (struct log_field){.name = name, .kind = LOG_FIELD_NUMBER, .number = value};
}

/* Before the first thread starts. Defaults: standard error, LOG_INFO, logfmt, system clock. */
void log_configure(int descriptor, enum log_level least, enum log_format format,
		   const struct clock *clock);

/* Whether a line of this level is written: for fields that are dear to make. */
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *event, const struct log_field *fields,
	       size_t field_count);

/* A line of the same form for another file: time and fields, ended by a newline. Returns its
 * length. */
size_t log_compose(char text[LOG_LINE_MAX], enum log_format format, uint64_t wall_ns,
		   const struct log_field *fields, size_t field_count);

#define log_event(level, event, ...)                                                               \
	log_write((level), (event), (const struct log_field[]){__VA_ARGS__},                       \
		  sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

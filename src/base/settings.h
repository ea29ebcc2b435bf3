/*
 * settings: what may be configured, as one table. The members that hold the values, the reader,
 * its complaints and the documentation all come from the rows.
 *
 *	#define SERVER_SETTINGS(X)                                                         \
 *		X(COUNT, workers, "workers", "1", "1", "64", NULL, "Threads that serve")    \
 *		X(DURATION, head_timeout_ns, "http.head_timeout", "10s", "10ms", "1h", NULL, \
 *		  "How long a client may take to send a request's head")
 *
 *	struct server_settings { SERVER_SETTINGS(SETTINGS_MEMBER) };
 *	#define SERVER_ROW(...) SETTINGS_ROW(struct server_settings, __VA_ARGS__)
 *	static const struct settings_row server_rows[] = { SERVER_SETTINGS(SERVER_ROW) };
 *
 * A dotted name stands in a section: `http: {head_timeout: 5s}`. Defaults and bounds are written
 * as a person writes them, and read by the same code. What the table does not know is refused,
 * with the nearest name that it does know.
 *
 * Threads: any (the table is constant, the values are the caller's).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/amount.h"
#include "base/arena.h"
#include "base/fault.h"
#include "base/text.h"
#include "base/yaml.h"

#define SETTINGS_ROWS_MAX	  256
#define SETTINGS_NAME_BYTES_MAX	  128
#define SETTINGS_TEXT_BYTES_MAX	  4096 /* of a text whose row says no less */

enum settings_kind {
	SETTINGS_BOOL,	   /* true, false */
	SETTINGS_COUNT,	   /* 1000, 50M */
	SETTINGS_BYTES,	   /* 128MiB */
	SETTINGS_DURATION, /* 250ms, in nanoseconds */
	SETTINGS_PERCENT,  /* 3%, 0.25%, in millionths */
	SETTINGS_AMOUNT,   /* 0.05 */
	SETTINGS_ENUM,	   /* the index of one of the row's choices */
	SETTINGS_TEXT,	   /* NUL-terminated; its bounds count bytes */
	SETTINGS_OTHER,	   /* a node that the caller reads itself; NULL where it is not there */
};

struct settings_row {
	const char *name;
	enum settings_kind kind;
	size_t offset;		    /* of the member that holds the value */
	const char *standard;	    /* what holds where nothing is given; NULL: it must be given */
	const char *least, *most;   /* NULL: the kind's own bounds */
	const char *const *choices; /* SETTINGS_ENUM: NULL-terminated */
	const char *sentence;	    /* for people, no full stop */
};

#define SETTINGS_TYPE_BOOL     bool
#define SETTINGS_TYPE_COUNT    uint64_t
#define SETTINGS_TYPE_BYTES    uint64_t
#define SETTINGS_TYPE_DURATION uint64_t
#define SETTINGS_TYPE_PERCENT  uint32_t
#define SETTINGS_TYPE_AMOUNT   struct amount
#define SETTINGS_TYPE_ENUM     unsigned
#define SETTINGS_TYPE_TEXT     const char *
#define SETTINGS_TYPE_OTHER    const struct yaml_node *

#define SETTINGS_MEMBER(kind, member, ...) SETTINGS_TYPE_##kind member;
#define SETTINGS_ROW(structure, kind_word, member, name_text, ...)                                 \
	{name_text, SETTINGS_##kind_word, offsetof(structure, member), __VA_ARGS__},

/* Fills the whole struct at `values` from the mapping and the defaults, or, on a fault, nothing.
 * Texts are copied into the arena; nodes live as long as the document. `mapping` may be NULL:
 * then all defaults hold. Faults read "file:line:column: name: what is wrong and allowed". */
int settings_read(const struct settings_row *rows, size_t row_count, const struct yaml *yaml,
		  const struct yaml_node *mapping, struct arena *arena, void *values,
		  struct fault *fault);

/* Replaces one value by what stands on the command line, say; not for SETTINGS_OTHER.
 * Faults read "name: what is wrong and allowed". */
int settings_put(const struct settings_row *rows, size_t row_count, const char *name,
		 struct slice text, struct arena *arena, void *values, struct fault *fault);

/* What holds for one setting: its text as it was written, NULL for SETTINGS_OTHER; `line` is the
 * file's, 0 where the default holds. */
typedef void (*settings_show_fn)(void *context, const struct settings_row *row, const char *text,
				 unsigned line);
/* Every row, in order, after settings_read found nothing wrong. `mapping` may be NULL. */
void settings_show(const struct settings_row *rows, size_t row_count,
		   const struct yaml_node *mapping, settings_show_fn each, void *context);

/* Appends a Markdown table: setting, default, allowed, meaning. */
void settings_document(const struct settings_row *rows, size_t row_count, struct text *text);
/* And one of how each kind is written. */
void settings_kinds_document(struct text *text);

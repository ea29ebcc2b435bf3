/*
 * A bill while it is checked: bill_reader.c reads the document piece by piece, bill_terms.c its
 * terms and lines, bill_tree.c the records, bill_sums.c works out what the lines must be. bill.c
 * goes through the whole.
 */
#pragma once

#include <jansson.h>

#include "audit/audit_internal.h"
#include "base/map.h"

#define PIECE_BYTES_MAX   (1u << 20) /* of one value: a line, a subscription, a record */
#define CARDS_MAX         10000
#define PHASES_MAX        10000
#define SUBSCRIPTIONS_MAX 1000000
#define LINES_MAX         1000000
#define LATE_MAX          1000000 /* of a stream */
#define BILL_NAME_MAX     136

/* ---- reading ---- */

struct reader {
	struct slice file;
	size_t at; /* the next byte */
	struct audit_complaint *complaint;
};

/* Say what is wrong and where, and return false, so that a check can `return complain(...)`. */
bool complain(struct audit_complaint *complaint, const char *pointer, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Each false after a complaint. Spaces between values are passed over. */
bool read_mark(struct reader *reader, char mark, const char *pointer);
/* The next member's name, the last of the pointer's, and its colon; `first`: no comma stands
 * before it. */
bool read_name(struct reader *reader, bool first, const char *pointer);
/* A value of the type at the pointer; a new reference. */
bool read_value(struct reader *reader, json_type type, const char *pointer, json_t **ret_value);
/* Whether a list has another item; the reader then stands at it. `index` is its number. */
bool read_item(struct reader *reader, size_t index, const char *pointer, bool *ret_more);

struct value;
typedef bool (*item_fn)(void *context, const struct value *value);
/* The next member, a list of at most so many objects: each is handed on. */
bool read_list(struct reader *reader, const char *pointer, size_t most, item_fn take,
	       void *context);

/* ---- members of a value: false after a complaint where it is not as it must be ---- */

struct value {
	json_t *json;
	const char *pointer; /* of the value */
	struct audit_complaint *complaint;
};

/* The object has exactly the named members, NULL-terminated. */
bool value_has_only(const struct value *value, const char *const *names);
/* The same, and any of `more`, also NULL-terminated. */
bool value_has_at_most(const struct value *value, const char *const *names,
		       const char *const *more);
bool value_has(const struct value *value, const char *name);
bool value_text(const struct value *value, const char *name, char *text, size_t text_bytes_max);
bool value_number(const struct value *value, const char *name, int64_t least, int64_t most,
		  int64_t *ret_number);
/* null is INT64_MAX. */
bool value_bound(const struct value *value, const char *name, int64_t *ret_bound);
bool value_amount(const struct value *value, const char *name, int64_t *ret_nano);
bool value_flag(const struct value *value, const char *name, bool *ret_flag);
/* The member itself, of the type. */
bool value_member(const struct value *value, const char *name, json_type type, json_t **ret_json);

/* ---- terms ---- */

struct named {
	uint64_t id; /* 0: none, and then the name is "" */
	char name[BILL_NAME_MAX];
};

struct bill_card {
	uint64_t number;
	uint32_t fee_ppm;
	struct rating_card rates;
};

struct bill_phase {
	uint64_t number;
	size_t card; /* index */
};

struct bill_subscription {
	uint64_t id;
	struct named account;
	struct named app;
	struct named provider;
	struct named service;
	struct named plan;
	char units[RATING_UNITS_MAX][BILL_NAME_MAX];
	struct rating_plan rating;
	size_t index;
	struct sum *sums; /* bill_sums.c: of its records, by phase */
};

struct sum;

enum bill_role { ROLE_CONSUMER, ROLE_PROVIDER, ROLE_OPERATOR };
enum bill_kind { KIND_USAGE, KIND_CLOUD, KIND_FEE };

struct bill_line {
	enum bill_role role;
	enum bill_kind kind;
	struct named service;
	struct named plan;
	struct named app;
	uint64_t subscription;
	char meter[BILL_NAME_MAX];
	char model[16];
	int64_t quantity;
	int64_t amount_nano;
	bool found; /* in the bill, of those that were worked out */
};

struct bill {
	struct audit_bill *summary;
	struct audit_complaint *complaint;
	const struct audit_key *key;
	const struct audit_progress *progress; /* or NULL */
	struct audit_hasher *hasher;
	struct bill_card *cards;
	size_t card_count;
	struct bill_phase *phases;
	size_t phase_count;
	struct bill_subscription **subscriptions;
	size_t subscription_count;
	struct map by_id; /* subscription id -> it */
	struct bill_line *lines;
	size_t line_count;
	struct map origins;      /* of streams that were read */
	struct call_id *calls;   /* of all records but later parts of a call */
	struct bill_part *parts; /* bill_parts.c */
	size_t part_count;
	struct map sums;  /* bill_sums.c: subscription's index and phase -> sum */
	struct map names; /* bill_terms.c: what was named, and the terms of each plan */
};

/* Grows the list for one more of its `count` items. */
void *bill_grow(void *list, size_t count, size_t item_bytes);

bool bill_read_cards(struct bill *bill, struct reader *reader);
bool bill_read_phases(struct bill *bill, struct reader *reader);
bool bill_read_subscriptions(struct bill *bill, struct reader *reader);
bool bill_read_lines(struct bill *bill, struct reader *reader);
/* Whether the bill's account has a part in it. */
bool bill_concerns(const struct bill *bill, const struct bill_subscription *subscription);
const char *bill_role_name(enum bill_role role);
const char *bill_kind_name(enum bill_kind kind);

/* ---- records ---- */

/* An item of `streams`. */
bool bill_read_stream(struct bill *bill, struct reader *reader, size_t index);
/* No call stands on record twice, and the parts of a long one fit each other. */
bool bill_check_calls(struct bill *bill);
/* Of a record that was summed, where it is of a call with several: notes it. */
void bill_keep_part(struct bill *bill, size_t stream, const struct bill_subscription *subscription,
		    const struct journal_record *record);
bool bill_check_parts(struct bill *bill);

/* ---- sums ---- */

/* Counts a record for its subscription in the phase. */
bool bill_sum_record(struct bill *bill, struct bill_subscription *subscription, size_t phase,
		     const struct journal_record *record, const char *pointer);
/* Works out all lines from the sums and compares them with those that the bill has. */
bool bill_check_lines(struct bill *bill);
void bill_sums_free(struct bill_subscription *subscription);

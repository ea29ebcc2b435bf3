/*
 * schemas: what answers hold, as one table.
 *
 * A schema names an object's members in their order, each with its type and a sentence. Routes
 * name the schema of their answer (routes.c); the OpenAPI document and docs/api.md are made from
 * both, and every answer that a test sees is checked against them: no member may be missing, and
 * none may be there that the table does not know.
 *
 * Threads: any; all of it is constant.
 */
#pragma once

#include <stddef.h>

enum api_type {
	API_IS_TEXT,
	API_IS_ID,     /* an opaque text, "acct_2" */
	API_IS_AMOUNT, /* money, a decimal text */
	API_IS_COUNT,  /* a whole number */
	API_IS_TIME,   /* RFC 3339 in UTC */
	API_IS_MONTH,  /* "2026-11" */
	API_IS_FLAG,   /* true or false */
	API_IS_CHOICE, /* one of the words in `of`, with '|' between them */
	API_IS_OBJECT, /* of the schema `of` */
	API_IS_FIGURE, /* a whole number, or money as a decimal text */
	API_IS_SCHEMA, /* a JSON Schema or another JSON object that is not ours to describe */
};

enum api_shape {
	API_LIST_OF = 1 << 0,  /* a list of the type */
	API_MAP_OF = 1 << 1,   /* an object whose members have names of their own */
	API_OR_NULL = 1 << 2,  /* or null */
	API_MAY_LACK = 1 << 3, /* the member may be missing */
};

struct api_member {
	const char *name;
	enum api_type type;
	unsigned shape;
	const char *of;
	const char *sentence;
};

struct api_schema {
	const char *name; /* "Account" */
	const char *sentence;
	const struct api_member *members;
	size_t member_count;
};

/* Members that stand beside their resource. */
extern const struct api_member api_budgets_members[2], api_budget_members[7];
extern const struct api_member api_identity_members[3], api_identity_key_members[3];
extern const struct api_member api_token_members[7], api_token_made_members[8],
	api_usage_report_members[5], api_usage_result_members[6];
extern const struct api_member api_app_members[5];
extern const struct api_member api_funding_members[6];
extern const struct api_member api_tls_members[3], api_tls_listener_members[3],
	api_tls_certificate_members[5], api_tls_reloaded_members[2];
extern const struct api_member api_price_preview_members[11], api_price_line_members[6],
	api_price_part_members[6], api_price_discount_members[3];
extern const struct api_member api_plan_members[13], api_price_members[7], api_tier_members[3],
	api_limits_members[6];
extern const struct api_member api_plan_move_members[6];
extern const struct api_member api_statement_members[7], api_statement_line_members[10];
extern const struct api_member api_status_members[16], api_trouble_members[5],
	api_journal_state_members[2], api_stream_members[3], api_instance_members[12];

extern const struct api_schema api_schemas[];
extern const size_t api_schema_count;

/*
 * catalog_internal: what the files of this folder share on the store's side.
 */
#pragma once

#include "base/arena.h"
#include "catalog/catalog.h"

#define CATALOG_UNIT_MAX 32 /* bytes with the NUL: a unit's name, and what one is called */

/* ---- content: what is stored of a description and of terms, as canonical JSON: keys sorted, no
 * spaces, so that the same content is the same text. Units go by name, not by slot. ---- */

/* Freed by free(). */
char *catalog_description_format(const struct catalog_description *description);
char *catalog_terms_format(const struct catalog_terms *terms, const struct catalog_unit *units);

/* FAULT_DAMAGED where it is not what the functions above wrote. Units and the name are left. */
int catalog_description_parse(struct slice content, struct arena *arena,
			      struct catalog_description *description, struct fault *fault);
int catalog_terms_parse(struct slice content, const struct catalog_unit *units,
			struct catalog_terms *ret_terms, struct fault *fault);

/* ---- units of a service, by slot ---- */

struct catalog_units {
	struct service_id service;
	struct catalog_unit units[RATING_UNITS_MAX]; /* point into the texts */
	char names[RATING_UNITS_MAX][CATALOG_UNIT_MAX];
	char called[RATING_UNITS_MAX][CATALOG_UNIT_MAX];
};

int catalog_units_load(struct store *store, struct service_id service,
		       struct catalog_units *ret_units, struct fault *fault);

/* ---- rows ---- */

void catalog_column_copy(const struct store_statement *statement, unsigned column, char *text,
			 size_t text_bytes_max);

struct catalog_service_head {
	struct service_id id;
	struct account_id account;
	uint32_t revision;
	char account_name[ACCOUNT_NAME_MAX];
	char folder[CATALOG_VALUE_MAX];
};

int catalog_service_find(struct store *store, struct slice name,
			 struct catalog_service_head *ret_head, bool *ret_found,
			 struct fault *fault);
int catalog_service_not_found(struct store *store, struct slice name, struct fault *fault);

/* ---- moving to another version ---- */

struct catalog_announcement {
	struct service_id service;
	const char *name;
	uint32_t version; /* > 1 */
	const char *content;
	uint64_t notice_least_ns;
	uint64_t now_ns;
};

/* When those with an earlier version get this one, which is stored, and what is dearer then. */
int catalog_move_announce(struct store *store, const struct catalog_announcement *wanted,
			  uint32_t *ret_month, uint32_t *ret_rises, struct fault *fault);
/* What was announced of the plan and can still be taken back does not come. */
int catalog_move_cancel(struct store *store, struct service_id service, const char *name,
			uint64_t now_ns, struct fault *fault);

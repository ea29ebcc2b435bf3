/*
 * manifest_internal: the parts of a manifest, one function each. They complain through the
 * reader and fill what they could read; the caller looks at the reader's count at the end.
 */
#pragma once

#include "base/amount.h"
#include "base/clock.h"
#include "catalog/catalog.h"
#include "catalog/reader_internal.h"

#define MANIFEST_MEMORY_DEFAULT        (128ull << 20)
#define MANIFEST_CPU_MILLI_DEFAULT     500
#define MANIFEST_CONCURRENCY_DEFAULT   8
#define MANIFEST_START_TIMEOUT_DEFAULT (10 * CLOCK_NS_PER_S)
#define MANIFEST_TIMEOUT_DEFAULT       (30 * CLOCK_NS_PER_S)

/* The most that a price may say for its quantity, and that a quantity may be. */
#define MANIFEST_PRICE_NANO_MAX (1000000ll * AMOUNT_NANO_PER_UNIT)
#define MANIFEST_QUANTITY_MAX   1000000000000ull

#define MANIFEST_METERS_MAX (RATING_UNIT_0 + RATING_UNITS_MAX)

/* The names of what can be priced: rating's, and the service's units behind them. */
struct manifest_meters {
	const char *names[MANIFEST_METERS_MAX];
	const struct catalog_unit *units;
	size_t count;
};

void manifest_run_read(struct reader *reader, const struct yaml_node *node,
		       struct catalog_description *description);
void manifest_upstreams_read(struct reader *reader, const struct yaml_node *node,
			     struct catalog_description *description);
/* False where the text is no address; *ret_why is then what is allowed. `text` must live as
 * long as the upstream; the rest is put into the arena. */
bool manifest_upstream_parse(struct arena *arena, const char *text,
			     struct catalog_upstream *ret_upstream, const char **ret_why);

/* After the upstreams. */
void manifest_tls_read(struct reader *reader, const struct yaml_node *node,
		       const struct catalog_files *files, struct catalog_manifest *manifest);

void manifest_plan_read(struct reader *reader, const struct yaml_node *node,
			const struct manifest_meters *meters, struct catalog_manifest_plan *plan);

/* Reads the list of a plan's prices. nodes[i] is where the meter of price i stands. */
void manifest_prices_read(struct reader *reader, const struct yaml_node *list,
			  const struct manifest_meters *meters, struct rating_plan *plan,
			  const struct yaml_node *nodes[RATING_PRICES_MAX]);

/* Works out call_most_nano; false where nothing bounds it or it overflows. */
bool catalog_terms_finish(struct catalog_terms *terms);

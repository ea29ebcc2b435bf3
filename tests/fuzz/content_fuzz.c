/* What the store holds of a description and of terms, should somebody else have written it: it is
 * told as damage, or it is sound. */
#include "replay.h"

#include "catalog/catalog_internal.h"

#define ARENA_BYTES (4u << 20)

static const struct catalog_unit units[RATING_UNITS_MAX] = {{"pixels", "pixel"}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice content = slice_make(data, size);
	struct catalog_description description = {.name = "thumbs"};
	struct catalog_terms terms;
	struct fault fault;
	struct arena arena;

	arena_init(&arena, ARENA_BYTES);
	int code = catalog_description_parse(content, &arena, &description, &fault);
	check(code == 0 || code == FAULT_DAMAGED);
	arena_fini(&arena);
	code = catalog_terms_parse(content, units, &terms, &fault);
	check(code == 0 || code == FAULT_DAMAGED);
	if (code == 0)
		check(rating_plan_valid(&terms.rating));
	return 0;
}

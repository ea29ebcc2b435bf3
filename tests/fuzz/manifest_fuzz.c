/* A manifest: it is refused with a place for every complaint, or what was understood is sound
 * and is the same after it was stored and read. */
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/catalog_internal.h"

#define ARENA_BYTES (4u << 20)

static void expect_complaints(const struct catalog_complaints *complaints)
{
	check(complaints->count >= 1 && complaints->count <= CATALOG_COMPLAINTS_MAX);
	for (uint32_t i = 0; i < complaints->count; i++) {
		const char *text = complaints->of[i].text;
		check(strncmp(text, "fuzz.yaml:", strlen("fuzz.yaml:")) == 0);
		check(strlen(text) > strlen("fuzz.yaml:1:1: "));
		check(complaints->of[i].line >= 1 && complaints->of[i].column >= 1);
	}
}

static void expect_sound_plan(const struct catalog_manifest_plan *plan,
			      const struct catalog_unit *units)
{
	struct rating_quantities quantities = {.of = {[RATING_CALLS] = 1}};
	const struct rating_quantities none = {{0}};
	struct catalog_terms stored;
	int64_t nano;

	check(rating_plan_valid(&plan->terms.rating));
	check(plan->terms.call_most_nano >= 0);
	rating_call_cap(&plan->terms.rating, &quantities);
	check(rating_plan_charge(&plan->terms.rating, &quantities, &nano));
	check(nano >= 0);
	check_at_most(nano,
		      plan->terms.call_most_nano + rating_plan_first(&plan->terms.rating, &none));

	char *text = catalog_terms_format(&plan->terms, units);
	check_equal(catalog_terms_parse(slice_of(text), units, &stored, NULL), 0);
	char *again = catalog_terms_format(&stored, units);
	check(strcmp(text, again) == 0);
	free(again);
	free(text);
}

static void expect_sound(const struct catalog_manifest *manifest)
{
	struct catalog_description stored = {.name = manifest->description.name};
	struct arena arena;

	check(manifest->plan_count >= 1 && manifest->plan_count <= CATALOG_PLANS_MAX);
	check((manifest->description.run != NULL) != (manifest->description.upstream_count > 0));
	for (uint32_t i = 0; i < manifest->plan_count; i++)
		expect_sound_plan(&manifest->plans[i], manifest->description.units);

	arena_init(&arena, ARENA_BYTES);
	memcpy(stored.units, manifest->description.units, sizeof(stored.units));
	char *text = catalog_description_format(&manifest->description);
	check_equal(catalog_description_parse(slice_of(text), &arena, &stored, NULL), 0);
	char *again = catalog_description_format(&stored);
	check(strcmp(text, again) == 0);
	free(again);
	free(text);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct catalog_complaints complaints = {0};
	struct catalog_manifest *manifest = NULL;
	struct fault fault = {0};

	const int code = catalog_manifest_parse("fuzz.yaml", slice_make(data, size), &manifest,
						&complaints, &fault);
	if (code == 0) {
		expect_sound(manifest);
		catalog_manifest_free(manifest);
	} else {
		check_equal(code, FAULT_INPUT);
		expect_complaints(&complaints);
		check(strcmp(fault.text, complaints.of[0].text) == 0);
	}
	return 0;
}

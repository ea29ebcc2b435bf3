#include "billing/lines.h"

#include <stdlib.h>

#include "base/check.h"

#define NAMES_BYTES_MAX (256u << 20)

void lines_init(struct lines *lines)
{
	*lines = (struct lines){0};
	arena_init(&lines->arena, NAMES_BYTES_MAX);
}

void lines_fini(struct lines *lines)
{
	arena_fini(&lines->arena);
	free(lines->of);
}

const char *lines_name(struct lines *lines, const char *name)
{
	return arena_text(&lines->arena, slice_of(name));
}

int lines_add(struct lines *lines, const struct billing_line *line, uint32_t order,
	      struct fault *fault)
{
	if (lines->count == BILLING_LINES_MAX)
		return fault_set(fault, FAULT_LIMIT, "the statement has more than %d lines",
				 BILLING_LINES_MAX);
	if (lines->count == lines->capacity) {
		lines->capacity = lines->capacity == 0 ? 32 : 2 * lines->capacity;
		lines->of = reallocarray(lines->of, lines->capacity, sizeof(*lines->of));
		check(lines->of != NULL);
	}
	lines->of[lines->count++] = (struct line){.line = *line, .order = order};
	return 0;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Equal lines say the same of the same thing. */
static int compare(const void *left, const void *right)
{
	const struct line *a = left;
	const struct line *b = right;
	int order = compare_numbers(a->line.role, b->line.role);

	if (order == 0)
		order = strcmp(a->line.service_name, b->line.service_name);
	if (order == 0)
		order = compare_numbers(a->line.service.value, b->line.service.value);
	if (order == 0)
		order = compare_numbers(a->line.plan.value, b->line.plan.value);
	if (order == 0)
		order = strcmp(a->line.app_name, b->line.app_name);
	if (order == 0)
		order = compare_numbers(a->line.subscription.value, b->line.subscription.value);
	if (order == 0)
		order = compare_numbers(a->line.kind, b->line.kind);
	return order != 0 ? order : compare_numbers(a->order, b->order);
}

int lines_sum(struct lines *lines, struct fault *fault)
{
	size_t kept = 0;

	if (lines->count == 0)
		return 0;
	qsort(lines->of, lines->count, sizeof(*lines->of), compare);
	for (size_t i = 1; i < lines->count; i++) {
		struct billing_line *sum = &lines->of[kept].line;
		const struct billing_line *line = &lines->of[i].line;
		if (compare(&lines->of[kept], &lines->of[i]) != 0) {
			lines->of[++kept] = lines->of[i];
			continue;
		}
		if (__builtin_add_overflow(sum->quantity, line->quantity, &sum->quantity) ||
		    __builtin_add_overflow(sum->amount_nano, line->amount_nano, &sum->amount_nano))
			return fault_set(fault, FAULT_LIMIT,
					 "a line of service %s exceeds what can be counted",
					 sum->service_name);
	}
	lines->count = kept + 1;
	return 0;
}

#include "base/metric.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"

#define CACHE_LINE_BYTES 64u

struct metric_set {
	const struct metric *rows;
	size_t row_count;
	_Atomic(struct metric_cells *) cells; /* pushed to, never removed from */
};

static_assert(offsetof(struct metric_cells, values) % CACHE_LINE_BYTES == 0,
	      "a thread's values begin a line");

/* The name without its labels. */
static struct slice family_of(const struct metric *metric)
{
	const struct slice name = slice_of(metric->name);
	return slice_part(name, 0, slice_find_byte(name, '{', 0));
}

static bool is_name(struct slice name)
{
	for (size_t i = 0; i < name.length; i++) {
		const char byte = name.data[i];
		if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && byte != '_')
			return false;
	}
	return name.length > 0 && name.data[0] >= 'a';
}

static void check_row(const struct metric *metric)
{
	const struct slice name = slice_of(metric->name), family = family_of(metric);

	check(is_name(family));
	check(family.length == name.length || slice_ends_with(name, slice_of("\"}")));
	check((metric->kind == METRIC_COUNTER) == slice_ends_with(family, slice_of("_total")));
	check(metric->sentence != NULL && metric->sentence[0] != '\0');
}

/* A family that came up again after another one would be given twice. */
static void check_together(const struct metric *rows, size_t index)
{
	const struct slice family = family_of(&rows[index]);

	if (index > 0 && slice_equal(family_of(&rows[index - 1]), family))
		check(rows[index].kind == rows[index - 1].kind);
	else
		for (size_t i = 0; i < index; i++)
			check(!slice_equal(family_of(&rows[i]), family));
	for (size_t i = 0; i < index; i++)
		check(!slice_equal(slice_of(rows[i].name), slice_of(rows[index].name)));
}

struct metric_set *metric_set_new(const struct metric *rows, size_t row_count)
{
	check(row_count >= 1 && row_count <= METRIC_COUNT_MAX);
	for (size_t i = 0; i < row_count; i++) {
		check_row(&rows[i]);
		check_together(rows, i);
	}
	struct metric_set *set = malloc(sizeof(*set));
	check(set != NULL);
	set->rows = rows;
	set->row_count = row_count;
	atomic_init(&set->cells, NULL);
	return set;
}

void metric_set_free(struct metric_set *set)
{
	struct metric_cells *cells = set ? atomic_load(&set->cells) : NULL;

	while (cells) {
		struct metric_cells *next = cells->next;
		free(cells);
		cells = next;
	}
	free(set);
}

struct metric_cells *metric_cells_new(struct metric_set *set)
{
	const size_t bytes = sizeof(struct metric_cells) + set->row_count * sizeof(int64_t);
	const size_t whole_lines = (bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES;
	struct metric_cells *cells =
		aligned_alloc(CACHE_LINE_BYTES, whole_lines * CACHE_LINE_BYTES);

	check(cells != NULL);
	cells->count = set->row_count;
	for (size_t i = 0; i < set->row_count; i++)
		atomic_init(&cells->values[i], 0);

	/* Release: who finds the cells finds them zeroed. */
	cells->next = atomic_load_explicit(&set->cells, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&set->cells, &cells->next, cells,
						      memory_order_release, memory_order_relaxed))
		;
	return cells;
}

int64_t metric_sum(const struct metric_set *set, size_t index)
{
	int64_t sum = 0;

	check(index < set->row_count);
	for (const struct metric_cells *cells =
		     atomic_load_explicit(&set->cells, memory_order_acquire);
	     cells; cells = cells->next) {
		const int64_t value =
			atomic_load_explicit(&cells->values[index], memory_order_relaxed);
		/* Counts of nanoseconds wrap after 292 years of one core; so be it. */
		sum = (int64_t)((uint64_t)sum + (uint64_t)value);
	}
	return sum;
}

static const char *kind_name(enum metric_kind kind)
{
	return kind == METRIC_COUNTER ? "counter" : "gauge";
}

void metric_format(const struct metric_set *set, struct text *text)
{
	struct slice family_before = {0};

	for (size_t i = 0; i < set->row_count; i++) {
		const struct metric *row = &set->rows[i];
		const struct slice family = family_of(row);

		if (!slice_equal(family, family_before))
			text_printf(text, "# HELP %.*s %s\n# TYPE %.*s %s\n", SLICE_ARGS(family),
				    row->sentence, SLICE_ARGS(family), kind_name(row->kind));
		text_printf(text, "%s %" PRId64 "\n", row->name, metric_sum(set, i));
		family_before = family;
	}
}

void metric_document(const struct metric *rows, size_t row_count, struct text *text)
{
	text_append_text(text, "| metric | kind | meaning |\n|---|---|---|\n");
	for (size_t i = 0; i < row_count; i++)
		text_printf(text, "| `%s` | %s | %s |\n", rows[i].name, kind_name(rows[i].kind),
			    rows[i].sentence);
}

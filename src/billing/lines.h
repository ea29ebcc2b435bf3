/*
 * lines: a statement's lines while they are collected: added one by one, then sorted, and those
 * that say the same of the same thing summed.
 *
 * Threads: one.
 */
#pragma once

#include "base/arena.h"
#include "billing/billing.h"

struct lines {
	struct arena arena; /* the names */
	struct line *of;
	size_t count;
	size_t capacity;
};

/* A line and where it stands among those of its service. */
struct line {
	struct billing_line line;
	uint32_t order; /* of the price, or of the cloud meter */
};

void lines_init(struct lines *lines);
void lines_fini(struct lines *lines);

/* A copy that lives as long as the lines; NULL without memory. */
const char *lines_name(struct lines *lines, const char *name);
/* FAULT_LIMIT where there are too many. The names must live as long as the lines. */
int lines_add(struct lines *lines, const struct billing_line *line, uint32_t order,
	      struct fault *fault);
/* FAULT_LIMIT where a sum does not fit. */
int lines_sum(struct lines *lines, struct fault *fault);

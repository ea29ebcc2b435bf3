/*
 * metrics: what Prometheus is told by GET /metrics (text format 0.0.4). Private to the node.
 *
 * Every family is a row of a table: those of the gateway's and the poster's counts come from their
 * own tables, the rest from the one in metrics.c; docs/metrics.md is written from the same rows.
 * The number of time series is bounded: services beyond `metrics.services` are summed up as
 * `_other` (no service can be called that), and nothing is told by key, app or account.
 *
 * Threads: the control thread; it reads what others write by atomics, and waits for nobody.
 */
#pragma once

#include "base/text.h"

struct node;

void metrics_compose(void *node, struct text *text);

/* Appends docs/metrics.md. */
void metrics_document(struct text *text);

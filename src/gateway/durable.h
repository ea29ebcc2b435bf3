/*
 * durable: answers that end only once their record is on disk (`durability: answer`).
 *
 * The record of a call that was answered is written as always. What of its answer has not left
 * by then is held, its last byte above all, until the journal's sync has passed the record. One
 * sync serves all that wait, and whoever syncs is woken at most once a turn.
 *
 * Where the journal has failed, nobody knows what the disk holds: the answers are cut.
 * Threads: the worker's, but gateway_journal_synced.
 */
#pragma once

#include <stdint.h>

struct call;
struct worker;

/* Before the first call. */
void durable_begin(struct worker *worker);
/* The call's record has this position in the worker's stream: holds the answer until it is on
 * disk. After it the answer is handed on as always. */
void durable_hold(struct call *call, uint64_t position);
/* The call is over, whether or not it was held. */
void durable_forget(struct call *call);

/*
 * replay: what a fuzz target is to libFuzzer, and to the plain main that replays its corpus.
 *
 * Threads: one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's name for it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

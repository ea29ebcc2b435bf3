/*
 * arena: memory that lives and dies together (a call's, a request's, a snapshot's).
 *
 * Pieces are cut from blocks; nothing is freed singly; arena_reset ends the life of all of
 * them and keeps the first block for the next user. Built with -DARENA_TWIN (the sanitizer
 * builds), each piece is a malloc of its own, so that a sanitizer sees an overflow.
 *
 * Threads: one at a time.
 */
#pragma once

#include <stddef.h>

#include "base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *first;   /* kept by arena_reset */
	struct arena_block *current; /* pieces are cut here */
	size_t used_bytes;	     /* in the current block */
	size_t taken_bytes;	     /* by all pieces since the last reset */
	size_t bytes_max;	     /* arena_alloc returns NULL beyond it */
};

/* Allocates nothing yet. */
void arena_init(struct arena *arena, size_t bytes_max);
void arena_fini(struct arena *arena);
void arena_reset(struct arena *arena);

/* 16-byte aligned, not zeroed; NULL when bytes_max is reached or memory is gone. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* Zeroed. */
void *arena_calloc(struct arena *arena, size_t count, size_t size);
/* A copy with a NUL after it; NULL data on failure. */
struct slice arena_copy(struct arena *arena, struct slice bytes);
char *arena_text(struct arena *arena, struct slice bytes);
char *arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

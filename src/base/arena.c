#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

#define PIECE_ALIGNMENT 16u

/* Room for `bytes` more under the limit; counts what was cut, not what was asked. */
static bool arena_take(struct arena *arena, size_t bytes, size_t *ret_rounded)
{
	if (bytes > SIZE_MAX - PIECE_ALIGNMENT)
		return false;
	const size_t asked = bytes > 0 ? bytes : 1;
	const size_t rounded = (asked + PIECE_ALIGNMENT - 1) / PIECE_ALIGNMENT * PIECE_ALIGNMENT;
	if (rounded > arena->bytes_max - arena->taken_bytes)
		return false;
	*ret_rounded = rounded;
	return true;
}

void arena_init(struct arena *arena, size_t bytes_max)
{
	*arena = (struct arena){.bytes_max = bytes_max};
}

#ifndef ARENA_TWIN

#define BLOCK_BYTES_LEAST 4096u  /* a block grows to twice the one before */
#define BLOCK_BYTES_MOST  65536u /* and no further, but for one larger piece */

struct arena_block {
	struct arena_block *next;
	size_t capacity;
	_Alignas(PIECE_ALIGNMENT) char bytes[];
};

static_assert(sizeof(struct arena_block) % PIECE_ALIGNMENT == 0, "pieces start aligned");
static_assert(_Alignof(max_align_t) >= PIECE_ALIGNMENT, "malloc aligns blocks");

static void blocks_free(struct arena_block *block)
{
	while (block) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
}

void arena_fini(struct arena *arena)
{
	blocks_free(arena->first);
	*arena = (struct arena){.bytes_max = arena->bytes_max};
}

void arena_reset(struct arena *arena)
{
	struct arena_block *first = arena->first;

	/* A block made for one huge piece would stay with every idle connection. */
	if (first && first->capacity > BLOCK_BYTES_MOST) {
		arena_fini(arena);
		return;
	}
	if (first) {
		blocks_free(first->next);
		first->next = NULL;
	}
	arena->current = first;
	arena->used_bytes = 0;
	arena->taken_bytes = 0;
}

static bool block_add(struct arena *arena, size_t piece_bytes)
{
	size_t total = BLOCK_BYTES_LEAST;

	if (arena->current)
		total = 2 * (arena->current->capacity + sizeof(struct arena_block));
	if (total > BLOCK_BYTES_MOST)
		total = BLOCK_BYTES_MOST;
	if (piece_bytes > SIZE_MAX - sizeof(struct arena_block))
		return false;
	if (total < piece_bytes + sizeof(struct arena_block))
		total = piece_bytes + sizeof(struct arena_block);

	struct arena_block *block = malloc(total);
	if (block == NULL)
		return false;
	block->next = NULL;
	block->capacity = total - sizeof(struct arena_block);
	if (arena->current)
		arena->current->next = block;
	else
		arena->first = block;
	arena->current = block;
	arena->used_bytes = 0;
	return true;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	size_t rounded;

	if (!arena_take(arena, bytes, &rounded))
		return NULL;
	if (arena->current == NULL || rounded > arena->current->capacity - arena->used_bytes) {
		if (!block_add(arena, rounded))
			return NULL;
	}
	void *piece = arena->current->bytes + arena->used_bytes;
	arena->used_bytes += rounded;
	arena->taken_bytes += rounded;
	return piece;
}

#else /* ARENA_TWIN: the block is a list entry, and the piece a malloc of exactly its size. */

struct arena_block {
	struct arena_block *next;
	void *piece;
};

void arena_fini(struct arena *arena)
{
	while (arena->first) {
		struct arena_block *next = arena->first->next;
		free(arena->first->piece);
		free(arena->first);
		arena->first = next;
	}
	*arena = (struct arena){.bytes_max = arena->bytes_max};
}

void arena_reset(struct arena *arena)
{
	arena_fini(arena);
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	size_t rounded;

	if (!arena_take(arena, bytes, &rounded))
		return NULL;
	struct arena_block *block = malloc(sizeof(*block));
	void *piece = malloc(bytes > 0 ? bytes : 1);
	if (block == NULL || piece == NULL) {
		free(block);
		free(piece);
		return NULL;
	}
	*block = (struct arena_block){.next = arena->first, .piece = piece};
	arena->first = block;
	arena->taken_bytes += rounded;
	return piece;
}

#endif

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	void *piece = arena_alloc(arena, bytes);
	if (piece)
		memset(piece, 0, bytes);
	return piece;
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
	char *text = arena_text(arena, bytes);
	return slice_make(text, text ? bytes.length : 0);
}

char *arena_text(struct arena *arena, struct slice bytes)
{
	char *text = bytes.length < SIZE_MAX ? arena_alloc(arena, bytes.length + 1) : NULL;

	if (text)
		check(slice_to_text(bytes, text, bytes.length + 1));
	return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	const int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return NULL;

	char *text = arena_alloc(arena, (size_t)length + 1);
	if (text == NULL)
		return NULL;
	va_start(arguments, format);
	vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return text;
}

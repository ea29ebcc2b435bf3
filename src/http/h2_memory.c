#include "http/h2_memory_internal.h"

#include <stdlib.h>
#include <string.h>

#define SMALLEST 32u
#define LARGE    UINT32_MAX /* the class of what no list keeps */

/* Before each piece's bytes; its size keeps them aligned. */
struct http_h2_piece {
	struct http_h2_piece *next;
	uint32_t class;
	uint32_t bytes; /* that fit */
};

static_assert(sizeof(struct http_h2_piece) % _Alignof(max_align_t) == 0, "alignment");

static struct http_h2_piece *piece_of(void *bytes)
{
	return (struct http_h2_piece *)bytes - 1;
}

static uint32_t class_of(size_t bytes)
{
	uint32_t class = 0;

	while (class < HTTP_H2_CLASSES && bytes > (size_t)SMALLEST << class)
		class ++;
	return class < HTTP_H2_CLASSES ? class : LARGE;
}

static void *take(size_t bytes, void *owner)
{
	struct http_h2_memory *memory = owner;
	const uint32_t class = class_of(bytes);
	struct http_h2_piece *piece;

	if (class != LARGE && memory->spare[class].first != NULL) {
		piece = memory->spare[class].first;
		memory->spare[class].first = piece->next;
		memory->spare[class].bytes -= piece->bytes;
		return piece + 1;
	}
	if (bytes > UINT32_MAX - sizeof(*piece))
		return NULL;
	const size_t capacity = class == LARGE ? bytes : (size_t)SMALLEST << class;
	piece = malloc(sizeof(*piece) + capacity);
	if (piece == NULL)
		return NULL;
	piece->class = class;
	piece->bytes = (uint32_t)capacity;
	return piece + 1;
}

static void give(void *bytes, void *owner)
{
	struct http_h2_memory *memory = owner;

	if (bytes == NULL)
		return;
	struct http_h2_piece *piece = piece_of(bytes);
	if (piece->class == LARGE || memory->spare[piece->class].bytes >= HTTP_H2_SPARE_BYTES) {
		free(piece);
		return;
	}
	piece->next = memory->spare[piece->class].first;
	memory->spare[piece->class].first = piece;
	memory->spare[piece->class].bytes += piece->bytes;
}

static void *take_zeroed(size_t count, size_t bytes, void *owner)
{
	size_t total;

	if (__builtin_mul_overflow(count, bytes, &total))
		return NULL;
	void *taken = take(total, owner);
	if (taken != NULL)
		memset(taken, 0, total);
	return taken;
}

static void *resize(void *bytes, size_t wanted, void *owner)
{
	if (bytes != NULL && piece_of(bytes)->bytes >= wanted)
		return bytes;
	void *taken = take(wanted, owner);
	if (taken != NULL && bytes != NULL) {
		memcpy(taken, bytes, piece_of(bytes)->bytes);
		give(bytes, owner);
	}
	return taken;
}

void http_h2_memory_init(struct http_h2_memory *memory)
{
	*memory = (struct http_h2_memory){
		.functions = {.mem_user_data = memory,
			      .malloc = take,
			      .free = give,
			      .calloc = take_zeroed,
			      .realloc = resize},
	};
}

void http_h2_memory_fini(struct http_h2_memory *memory)
{
	for (uint32_t class = 0; class < HTTP_H2_CLASSES; class ++) {
		while (memory->spare[class].first != NULL) {
			struct http_h2_piece *piece = memory->spare[class].first;
			memory->spare[class].first = piece->next;
			free(piece);
		}
	}
}

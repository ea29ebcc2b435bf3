/*
 * resize: a picture in, a smaller picture out, through libvips.
 *
 * Takes JPEG, PNG and WebP, told apart by their content. Keeps the proportions, never enlarges,
 * turns the picture the way its camera was held and drops the metadata.
 *
 * Memory: pictures are decoded in strips where their format allows; RESIZE_PIXELS_MAX bounds
 * the rest. Threads: any; a thread calls resize_thread_end before it ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESIZE_SIDE_MAX   4096     /* pixels of the result */
#define RESIZE_PIXELS_MAX 50000000 /* of the source; the manifest's max_units */

enum resize_format { RESIZE_AS_SOURCE, RESIZE_JPEG, RESIZE_PNG, RESIZE_WEBP };

struct resize_wish {
	int width;  /* 1 .. RESIZE_SIDE_MAX */
	int height; /* the result fits into width x height */
	enum resize_format format;
};

struct resize_result {
	void *data; /* resize_result_fini frees it */
	size_t length;
	const char *content_type;
	int64_t source_pixels;
};

/* Once, before any thread. False: libvips could not start. */
bool resize_start(const char *program);
void resize_stop(void);
void resize_thread_end(void);

/* Returns 200 with the result filled, or 415, 422 or 500 with a sentence in *ret_detail. */
int resize(const void *picture, size_t length, const struct resize_wish *wish,
	   struct resize_result *ret_result, const char **ret_detail);
void resize_result_fini(struct resize_result *result);

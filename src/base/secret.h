/*
 * secret: comparing what must not be told by the time that comparing takes.
 *
 * Threads: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Looks at every byte, eight at a time, whatever it finds; its time depends on `length` alone. */
static inline bool secret_equal(const void *a, const void *b, size_t length)
{
	const uint8_t *left = a, *right = b;
	uint64_t difference = 0;
	size_t at = 0;

	for (; at + 8 <= length; at += 8) {
		uint64_t x, y;
		memcpy(&x, left + at, 8);
		memcpy(&y, right + at, 8);
		difference |= x ^ y;
	}
	for (; at < length; at++)
		difference |= (uint64_t)(left[at] ^ right[at]);
	/* Hidden from the compiler, so that it cannot leave the loop early. */
	__asm__("" : "+r"(difference));
	return difference == 0;
}

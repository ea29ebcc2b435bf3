/* Takes the place of src/base/secret.h in a program that must be found out: it stops at the first
 * byte that differs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool secret_equal(const void *a, const void *b, size_t length)
{
	return memcmp(a, b, length) == 0;
}

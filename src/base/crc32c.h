/*
 * crc32c: the Castagnoli checksum (RFC 3720, B.4), by SSE 4.2 where the machine has it.
 * It finds accidents, not attacks. Threads: any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Start with crc = 0; feed pieces by passing the last result. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t length);

/* The same without the machine's instruction: what other machines run, and its check. */
uint32_t crc32c_portable(uint32_t crc, const void *bytes, size_t length);

/*
 * api_key: what the text of an API key looks like, and its digest. Pure: knows no store.
 *
 *	stoa_ + 43 characters (256 random bits, base 62) + 6 characters (checksum)
 *
 * The checksum is CRC-32 (ISO-HDLC, as in zlib and PNG) of all that stands before it, in base
 * 62, so that a typing error, and a leaked key in a source tree, can be told from other text
 * without asking anybody. It protects nothing. A key is known by its SHA-256 alone: with 256
 * random bits behind it, no slower hash and no salt would add anything.
 *
 * Threads: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "base/slice.h"

#define API_KEY_MARK         "stoa_"
#define API_KEY_MARK_CHARS   5
#define API_KEY_SECRET_CHARS 43
#define API_KEY_CHECK_CHARS  6
#define API_KEY_CHARS        (API_KEY_MARK_CHARS + API_KEY_SECRET_CHARS + API_KEY_CHECK_CHARS)
#define API_KEY_TEXT_MAX     (API_KEY_CHARS + 1) /* with the NUL */
#define API_KEY_DIGEST_BYTES 32

struct api_key_digest {
	uint8_t bytes[API_KEY_DIGEST_BYTES]; /* SHA-256 of the text */
};

/* A new key from 256 bits of `random`. The caller wipes the text once it was shown. */
void api_key_make(struct random *random, char text[API_KEY_TEXT_MAX]);

/* Whether the text has a key's form and its checksum holds. Says nothing about a right. */
bool api_key_shape(struct slice text);

/* Of any text; look at api_key_shape first to spare the hash. */
struct api_key_digest api_key_digest(struct slice text);

/* In constant time. */
bool api_key_digest_equal(const struct api_key_digest *a, const struct api_key_digest *b);

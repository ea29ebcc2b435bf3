#include "base/api_key.h"

#include <sodium.h>
#include <string.h>

#include "base/check.h"
#include "base/secret.h"

#define SECRET_BYTES 32
#define BASE         62

static_assert(sizeof(API_KEY_MARK) - 1 == API_KEY_MARK_CHARS, "the mark has its length");
static_assert(API_KEY_DIGEST_BYTES == crypto_hash_sha256_BYTES, "the digest is SHA-256");

/* No byte of a key decides a branch or an address in this file, so that its time and its traces in
 * the processor's caches tell nothing of it. tests/e2e/test_constant_time.py shows that. */

/* The digits are 0-9, A-Z, a-z: in the order of their codes, with two gaps. */
static char digit_of(uint32_t value)
{
	return (char)('0' + value + (value > 9) * ('A' - '9' - 1) + (value > 35) * ('a' - 'Z' - 1));
}

/* CRC-32/ISO-HDLC, bit by bit: a table would be looked up by the key. base/crc32c.h is another
 * polynomial; this is the one that every language's library has, and secret scanners are written
 * in all of them. */
static uint32_t checksum(struct slice text)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < text.length; i++) {
		crc ^= (uint8_t)text.data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320 & -(crc & 1));
	}
	return ~crc;
}

static void write_checksum(uint32_t crc, char text[API_KEY_CHECK_CHARS])
{
	for (int i = API_KEY_CHECK_CHARS - 1; i >= 0; i--) {
		text[i] = digit_of(crc % BASE);
		crc /= BASE;
	}
}

/* The secret is one number of 256 bits; each round divides it by 62. */
static void write_secret(uint8_t secret[SECRET_BYTES], char text[API_KEY_SECRET_CHARS])
{
	unsigned left = 0;

	for (int i = API_KEY_SECRET_CHARS - 1; i >= 0; i--) {
		unsigned rest = 0;
		for (int j = 0; j < SECRET_BYTES; j++) {
			const unsigned value = rest << 8 | secret[j];
			secret[j] = (uint8_t)(value / BASE);
			rest = value % BASE;
		}
		text[i] = digit_of(rest);
	}
	for (int j = 0; j < SECRET_BYTES; j++)
		left |= secret[j];
	check(left == 0);
}

void api_key_make(struct random *random, char text[API_KEY_TEXT_MAX])
{
	const size_t checked = API_KEY_MARK_CHARS + API_KEY_SECRET_CHARS;
	uint8_t secret[SECRET_BYTES];

	random->fill(random, secret, sizeof(secret));
	memcpy(text, API_KEY_MARK, API_KEY_MARK_CHARS);
	write_secret(secret, text + API_KEY_MARK_CHARS);
	write_checksum(checksum(slice_make(text, checked)), text + checked);
	text[API_KEY_CHARS] = '\0';
	sodium_memzero(secret, sizeof(secret));
	check(api_key_shape(slice_make(text, API_KEY_CHARS)));
}

static unsigned is_digit(uint8_t byte)
{
	return (unsigned)((uint8_t)(byte - '0') < 10) | (unsigned)((uint8_t)(byte - 'A') < 26) |
	       (unsigned)((uint8_t)(byte - 'a') < 26);
}

bool api_key_shape(struct slice text)
{
	const size_t checked = API_KEY_MARK_CHARS + API_KEY_SECRET_CHARS;
	char expected[API_KEY_CHARS];
	unsigned digits = 1;

	if (text.length != API_KEY_CHARS)
		return false;
	for (size_t i = API_KEY_MARK_CHARS; i < checked; i++)
		digits &= is_digit((uint8_t)text.data[i]);
	memcpy(expected, text.data, checked);
	memcpy(expected, API_KEY_MARK, API_KEY_MARK_CHARS);
	write_checksum(checksum(slice_make(expected, checked)), expected + checked);
	return (unsigned)secret_equal(text.data, expected, sizeof(expected)) & digits;
}

struct api_key_digest api_key_digest(struct slice text)
{
	struct api_key_digest digest;

	crypto_hash_sha256(digest.bytes, (const unsigned char *)text.data, text.length);
	return digest;
}

bool api_key_digest_equal(const struct api_key_digest *a, const struct api_key_digest *b)
{
	return secret_equal(a->bytes, b->bytes, sizeof(a->bytes));
}

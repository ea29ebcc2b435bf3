#include "base/api_key.h"

#include <sodium.h>
#include <string.h>

#include "base/check.h"

#define SECRET_BYTES 32
#define BASE         62

static_assert(sizeof(API_KEY_MARK) - 1 == API_KEY_MARK_CHARS, "the mark has its length");
static_assert(API_KEY_DIGEST_BYTES == crypto_hash_sha256_BYTES, "the digest is SHA-256");

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* CRC-32/ISO-HDLC, four bits at a time. base/crc32c.h is another polynomial; this is the one
 * that every language's library has, and secret scanners are written in all of them. */
static uint32_t checksum(struct slice text)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < text.length; i++) {
		crc ^= (uint8_t)text.data[i];
		crc = table[crc & 15] ^ (crc >> 4);
		crc = table[crc & 15] ^ (crc >> 4);
	}
	return ~crc;
}

static void write_checksum(uint32_t crc, char text[API_KEY_CHECK_CHARS])
{
	for (int i = API_KEY_CHECK_CHARS - 1; i >= 0; i--) {
		text[i] = digits[crc % BASE];
		crc /= BASE;
	}
	check(crc == 0);
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
		text[i] = digits[rest];
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

static bool is_digit(char byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= 'a' && byte <= 'z');
}

bool api_key_shape(struct slice text)
{
	const size_t checked = API_KEY_MARK_CHARS + API_KEY_SECRET_CHARS;
	char expected[API_KEY_CHECK_CHARS];

	if (text.length != API_KEY_CHARS ||
	    memcmp(text.data, API_KEY_MARK, API_KEY_MARK_CHARS) != 0)
		return false;
	for (size_t i = API_KEY_MARK_CHARS; i < checked; i++) {
		if (!is_digit(text.data[i]))
			return false;
	}
	write_checksum(checksum(slice_make(text.data, checked)), expected);
	return memcmp(text.data + checked, expected, sizeof(expected)) == 0;
}

struct api_key_digest api_key_digest(struct slice text)
{
	struct api_key_digest digest;

	crypto_hash_sha256(digest.bytes, (const unsigned char *)text.data, text.length);
	return digest;
}

bool api_key_digest_equal(const struct api_key_digest *a, const struct api_key_digest *b)
{
	return sodium_memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

#include "base/testing.h"

#include <string.h>

#include "base/api_key.h"
#include "base/text.h"

/* Made by Python: int.from_bytes, base 62, zlib.crc32, hashlib.sha256. */
static const struct known {
	uint8_t first, step; /* the secret's bytes */
	const char *text;
	const char *digest;
} known_keys[] = {
	{0x00, 0, "stoa_00000000000000000000000000000000000000000001qDnwK",
	 "216937cdffccf3136303d2d4e43daec1304605e07bb3b828d1c55b71d557ca5f"},
	{0xff, 0, "stoa_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp13n85eu",
	 "1988cc4ac3a3748df8db7b5d9aaa9ad50042336ff8de5fb6e1114c14f4962bd4"},
	{0x00, 1, "stoa_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1LXU68",
	 "0c5014761722a9a6849826385d6b762cf53b77ec6a35ecd2fd83bcfe62c041f2"},
};

struct stepping {
	struct random random;
	const struct known *known;
};

static void fill_by_steps(struct random *random, void *bytes, size_t length)
{
	const struct stepping *stepping = (const struct stepping *)random;

	assert_int_equal(length, 32);
	for (size_t i = 0; i < length; i++)
		((uint8_t *)bytes)[i] =
			(uint8_t)(stepping->known->first + i * stepping->known->step);
}

static void keys_are_what_another_program_computes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(known_keys) / sizeof(known_keys[0]); i++) {
		struct stepping stepping = {.random = {fill_by_steps}, .known = &known_keys[i]};
		char text[API_KEY_TEXT_MAX];
		char hex[2 * API_KEY_DIGEST_BYTES + 1];

		api_key_make(&stepping.random, text);
		assert_string_equal(text, known_keys[i].text);
		assert_true(api_key_shape(slice_of(text)));
		const struct api_key_digest digest = api_key_digest(slice_of(text));
		text_hex(digest.bytes, sizeof(digest.bytes), hex);
		assert_string_equal(hex, known_keys[i].digest);
	}
}

static void any_one_wrong_character_is_seen(void **state)
{
	struct random_seeded random;
	char text[API_KEY_TEXT_MAX];

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (int round = 0; round < 50; round++) {
		api_key_make(&random.random, text);
		for (size_t i = 0; i < API_KEY_CHARS; i++) {
			const char right = text[i];
			text[i] = right == 'x' ? 'y' : 'x';
			assert_false(api_key_shape(slice_of(text)));
			text[i] = right;
		}
		assert_true(api_key_shape(slice_of(text)));
	}
}

static void what_is_no_key_has_no_shape(void **state)
{
	char text[API_KEY_TEXT_MAX + 1];

	(void)state;
	memcpy(text, known_keys[0].text, API_KEY_CHARS);
	memcpy(text + API_KEY_CHARS, "0", 2);
	assert_false(api_key_shape(slice_of(text)));
	assert_false(api_key_shape(slice_make(text, API_KEY_CHARS - 1)));
	assert_false(api_key_shape(slice_make(NULL, 0)));
	assert_false(api_key_shape(slice_of("stoa_")));
	text[10] = '-';
	assert_false(api_key_shape(slice_make(text, API_KEY_CHARS)));
	text[10] = (char)0xe9;
	assert_false(api_key_shape(slice_make(text, API_KEY_CHARS)));
}

static void keys_differ(void **state)
{
	char a[API_KEY_TEXT_MAX];
	char b[API_KEY_TEXT_MAX];

	(void)state;
	api_key_make(random_system(), a);
	api_key_make(random_system(), b);
	assert_string_not_equal(a, b);
	const struct api_key_digest digest_a = api_key_digest(slice_of(a));
	const struct api_key_digest digest_b = api_key_digest(slice_of(b));
	assert_true(api_key_digest_equal(&digest_a, &digest_a));
	assert_false(api_key_digest_equal(&digest_a, &digest_b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_what_another_program_computes),
		cmocka_unit_test(any_one_wrong_character_is_seen),
		cmocka_unit_test(what_is_no_key_has_no_shape),
		cmocka_unit_test(keys_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

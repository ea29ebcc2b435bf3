/* The text of a key: whatever it is, looking at it is safe, and no typing error makes another. */
#include "replay.h"

#include "base/api_key.h"

/* A key with one character changed is none. */
static void change_one(const uint8_t *data, size_t size)
{
	struct random_seeded seeded;
	char key[API_KEY_TEXT_MAX];

	random_seeded_init(&seeded, data[0]);
	api_key_make(&seeded.random, key);
	check(api_key_shape(slice_make(key, API_KEY_CHARS)));
	const size_t at = size > 1 ? data[1] % API_KEY_CHARS : 0;
	const char before = key[at];
	key[at] = (char)(size > 2 ? data[2] : 0);
	check(api_key_shape(slice_make(key, API_KEY_CHARS)) == (key[at] == before));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = slice_make(data, size);
	const struct api_key_digest digest = api_key_digest(text), again = api_key_digest(text);

	check(api_key_digest_equal(&digest, &again));
	if (api_key_shape(text)) {
		check_equal(size, API_KEY_CHARS);
		check(slice_starts_with(text, slice_of(API_KEY_MARK)));
	}
	if (size > 0)
		change_one(data, size);
	return 0;
}

#include "http/syntax_internal.h"

#include "base/testing.h"

#include "http/http.h"

static void every_known_name_is_classified_in_any_case(void **state)
{
	static const struct {
		enum http_name name;
		const char *text;
	} rows[] = {
#define X(name, text, hop) {name, text},
		HTTP_NAMES(X)
#undef X
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char upper[64];
		size_t length = strlen(rows[i].text);
		if (rows[i].name == HTTP_OTHER || rows[i].name == HTTP_STOA_RESERVED ||
		    rows[i].name == HTTP_X_FORWARDED) /* see the next test */
			continue;
		for (size_t at = 0; at <= length; at++) {
			const char byte = rows[i].text[at];
			upper[at] = byte >= 'a' && byte <= 'z' ? (char)(byte - 0x20) : byte;
		}
		assert_int_equal(http_name_classify(slice_of(rows[i].text)), rows[i].name);
		assert_int_equal(http_name_classify(slice_of(upper)), rows[i].name);
		upper[length - 1] = '!';
		assert_true(http_name_classify(slice_of(upper)) == HTTP_OTHER ||
			    http_name_classify(slice_of(upper)) == HTTP_STOA_RESERVED);
	}
}

static void names_that_begin_as_a_class_does_are_of_it_and_look_alikes_are_not(void **state)
{
	(void)state;
	assert_int_equal(http_name_classify(slice_of("X-Forwarded-For")), HTTP_X_FORWARDED);
	assert_int_equal(http_name_classify(slice_of("x-forwarded-p")), HTTP_X_FORWARDED);
	assert_int_equal(http_name_classify(slice_of("x-forwarded-")), HTTP_OTHER);
	assert_int_equal(http_name_classify(slice_of("x_forwarded_for")), HTTP_X_FORWARDED);
	assert_int_equal(http_name_classify(slice_of("y-forwarded-for")), HTTP_OTHER);
	assert_int_equal(http_name_classify(slice_of("x-real-id")), HTTP_OTHER);
	assert_int_equal(http_name_classify(slice_of("X_Real-IP")), HTTP_X_REAL_IP);
	assert_int_equal(http_name_classify(slice_of("x_api_key")), HTTP_OTHER);
	assert_int_equal(http_name_classify(slice_of("Stoa-Call")), HTTP_STOA_RESERVED);
	assert_int_equal(http_name_classify(slice_of("stoa-unitz")), HTTP_STOA_RESERVED);
	assert_int_equal(http_name_classify(slice_of("STOA-UNITS")), HTTP_STOA_UNITS);
	assert_int_equal(http_name_classify(slice_of("stoa-")), HTTP_OTHER);
	assert_int_equal(http_name_classify(slice_of("stoa_call")), HTTP_STOA_RESERVED);
	assert_int_equal(http_name_classify(slice_of("")), HTTP_OTHER);
	assert_int_equal(http_name_classify(slice_of("content_length")), HTTP_OTHER);
}

/* A second, plain reading of the same rules. */
static enum http_scan scan_plainly(struct slice bytes, size_t *ret_end)
{
	size_t line = 0;

	for (size_t i = 0; i < bytes.length; i++) {
		const unsigned char byte = (unsigned char)bytes.data[i];
		if (i == line && i > 0 && (byte == ' ' || byte == '\t'))
			return HTTP_SCAN_INVALID;
		if ((byte >= 0x20 && byte != 0x7f) || byte == '\t')
			continue;
		if (byte != '\r')
			return HTTP_SCAN_INVALID;
		if (i + 1 == bytes.length)
			return HTTP_SCAN_MORE;
		if (bytes.data[i + 1] != '\n')
			return HTTP_SCAN_INVALID;
		i++;
		*ret_end = i + 1;
		if (i + 1 == line + 2)
			return HTTP_SCAN_WHOLE;
		line = i + 1;
	}
	return HTTP_SCAN_MORE;
}

static void scanning_in_pieces_agrees_with_a_plain_reading_of_the_whole(void **state)
{
	static const char alphabet[] = "\r\n\r\n\r\n\t ab\x7f\x1f\xff:";
	struct random_seeded seeded;
	const uint64_t seed = testing_seed();
	(void)state;

	random_seeded_init(&seeded, seed);
	for (int round = 0; round < 20000; round++) {
		char bytes[40];
		const size_t length = random_below(&seeded.random, sizeof(bytes));
		for (size_t i = 0; i < length; i++) {
			bytes[i] =
				random_below(&seeded.random, 4) > 0
					? 'x'
					: alphabet[random_below(&seeded.random, sizeof(alphabet))];
			if (i > 0 && bytes[i - 1] == '\r' && random_below(&seeded.random, 4) > 0)
				bytes[i] = '\n';
			if (i > 0 && bytes[i - 1] == '\n' && random_below(&seeded.random, 4) > 0)
				bytes[i] = '\r';
		}
		size_t end = 0, position = 0;
		const enum http_scan wanted = scan_plainly(slice_make(bytes, length), &end);
		enum http_scan seen = HTTP_SCAN_MORE;
		for (size_t i = 0; i <= length && seen == HTTP_SCAN_MORE; i++)
			seen = http_lines_scan(slice_make(bytes, i), &position);
		assert_int_equal(seen, wanted);
		if (wanted == HTTP_SCAN_WHOLE)
			assert_int_equal(position, end);
	}
}

static void only_hosts_with_a_proper_port_are_authorities(void **state)
{
	static const char *const good[] = {
		"a", "thumbs.localhost:8080", "10.0.0.1", "[::1]:1", "[fe80::1]", "a_b-c.d:65535"};
	static const char *const bad[] = {
		"",        ":80", "a:",   "a:0", "a:65536",    "a:-1",    "a:+1",
		"a b",     "a,b", "u@a",  "a/b", "[::1",       "[::1]80", "[::zz]",
		"a:80:90", "a#b", "a%41", "a?b", "a:00000080", "[]",      "a\\b"};
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(http_is_authority(slice_of(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(http_is_authority(slice_of(bad[i])));
}

static void percent_decoding_refuses_broken_escapes_and_nul(void **state)
{
	char decoded[8];
	size_t length;
	(void)state;

	assert_true(http_percent_decode(slice_of("a%2Fb%7e"), decoded, sizeof(decoded), &length));
	assert_int_equal(length, 4);
	assert_memory_equal(decoded, "a/b~", 4);
	assert_false(http_percent_decode(slice_of("%00"), decoded, sizeof(decoded), &length));
	assert_false(http_percent_decode(slice_of("%"), decoded, sizeof(decoded), &length));
	assert_false(http_percent_decode(slice_of("%4"), decoded, sizeof(decoded), &length));
	assert_false(http_percent_decode(slice_of("%4g"), decoded, sizeof(decoded), &length));
	assert_false(http_percent_decode(slice_of("123456789"), decoded, sizeof(decoded), &length));
}

static void tokens_and_field_texts_hold_what_the_standard_allows(void **state)
{
	(void)state;
	assert_true(http_is_token(slice_of("X-a!#$%&'*+.^_`|~9")));
	assert_false(http_is_token(slice_of("")));
	assert_false(http_is_token(slice_of("a b")));
	assert_false(http_is_token(slice_of("a:")));
	assert_false(http_is_token(slice_of("\xc3\xa4")));
	assert_true(http_is_field_text(slice_of("a\tb \xc3\xa4 long enough for words")));
	assert_false(http_is_field_text(slice_of("long enough for words\r\nX: y")));
	assert_false(http_is_field_text(slice_make("a\0b", 3)));
}

/* Texts of every length up to a few pieces of whatever is looked at in one go. */
static void a_control_character_is_seen_at_every_place_of_every_length(void **state)
{
	char *text;
	(void)state;

	for (size_t length = 1; length <= 50; length++) {
		text = malloc(length); /* exactly, so that a sanitizer sees a reading beyond it */
		assert_non_null(text);
		memset(text, 'x', length);
		assert_true(http_is_field_text(slice_make(text, length)));
		for (size_t at = 0; at < length; at++) {
			for (int byte = 0; byte < 256; byte++) {
				text[at] = (char)byte;
				const bool fine = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
				assert_int_equal(http_is_field_text(slice_make(text, length)),
						 fine);
			}
			text[at] = '\t';
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_known_name_is_classified_in_any_case),
		cmocka_unit_test(
			names_that_begin_as_a_class_does_are_of_it_and_look_alikes_are_not),
		cmocka_unit_test(scanning_in_pieces_agrees_with_a_plain_reading_of_the_whole),
		cmocka_unit_test(only_hosts_with_a_proper_port_are_authorities),
		cmocka_unit_test(percent_decoding_refuses_broken_escapes_and_nul),
		cmocka_unit_test(tokens_and_field_texts_hold_what_the_standard_allows),
		cmocka_unit_test(a_control_character_is_seen_at_every_place_of_every_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Signatures of calls, against RFC 9421's own example and byte by byte. */
#include "base/testing.h"

#include <string.h>

#include "gateway/identity.h"

static struct http_header headers[IDENTITY_FIELDS];
static char text[IDENTITY_TEXT_MAX];

/* RFC 9421, B.2.5, with the key of B.1.5. */
static void the_example_of_the_rfc_is_signed_as_it_says(void **unused)
{
	(void)unused;
	static const char key_text[] = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtj"
				       "UkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
	static const struct identity_component components[] = {
		{{"date", 4}, {"Tue, 20 Apr 2021 02:07:55 GMT", 29}},
		{{"@authority", 10}, {"example.com", 11}},
		{{"content-type", 12}, {"application/json", 16}},
	};
	uint8_t key[64], mac[IDENTITY_MAC];
	crypto_auth_hmacsha256_state keyed;
	size_t bytes;

	assert_int_equal(sodium_base642bin(key, sizeof(key), key_text, strlen(key_text), NULL,
					   &bytes, NULL, sodium_base64_VARIANT_ORIGINAL),
			 0);
	assert_int_equal(bytes, sizeof(key));
	crypto_auth_hmacsha256_init(&keyed, key, sizeof(key));
	identity_mac(&keyed, components, 3,
		     slice_of("(\"date\" \"@authority\" \"content-type\")"
			      ";created=1618884473;keyid=\"test-shared-secret\""),
		     mac);
	sodium_bin2base64(text, sizeof(text), mac, sizeof(mac), sodium_base64_VARIANT_ORIGINAL);
	assert_string_equal(text, "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
}

static const struct gateway_identity identity = {
	.key_id = "svc_3-1",
	.secret = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
		   16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31},
};

static struct identity_call call_of(const char *method, const char *target)
{
	return (struct identity_call){
		.method = slice_of(method),
		.target = slice_of(target),
		.date = slice_of("Tue, 24 Nov 2026 04:10:57 GMT"),
		.call = slice_of("019aa0c1-2e5d-7d4b-9c3a-8f1e6b7a5c42"),
		.app = slice_of("acme/shop"),
		.account = slice_of("acme"),
		.plan = slice_of("payg"),
		.wall_ns = 1795493457123456789ull,
	};
}

static struct slice sign(const char *method, const char *target)
{
	struct identity_signer signer;
	const struct identity_call call = call_of(method, target);

	identity_signer_init(&signer, &identity);
	assert_int_equal(identity_put(&signer, &call, headers, text), IDENTITY_FIELDS);
	return headers[2].value;
}

/* What `sign` must give: the base written out, through libsodium's whole HMAC. */
static void expect_signature(const char *method, const char *target, const char *path,
			     const char *query)
{
	char base[1024], wanted[64], encoded[48];
	uint8_t mac[IDENTITY_MAC];

	snprintf(base, sizeof(base),
		 "\"@method\": %s\n\"@path\": %s\n\"@query\": %s\n"
		 "\"date\": Tue, 24 Nov 2026 04:10:57 GMT\n"
		 "\"stoa-call\": 019aa0c1-2e5d-7d4b-9c3a-8f1e6b7a5c42\n"
		 "\"stoa-app\": acme/shop\n\"stoa-account\": acme\n\"stoa-plan\": payg\n"
		 "\"@signature-params\": (\"@method\" \"@path\" \"@query\" \"date\" \"stoa-call\" "
		 "\"stoa-app\" \"stoa-account\" \"stoa-plan\");created=1795493457"
		 ";keyid=\"svc_3-1\";alg=\"hmac-sha256\"",
		 method, path, query);
	crypto_auth_hmacsha256(mac, (const unsigned char *)base, strlen(base), identity.secret);
	sodium_bin2base64(encoded, sizeof(encoded), mac, sizeof(mac),
			  sodium_base64_VARIANT_ORIGINAL);
	snprintf(wanted, sizeof(wanted), "stoa=:%s:", encoded);
	const struct slice signature = sign(method, target);
	assert_true(slice_equal(signature, slice_of(wanted)));
}

static void a_call_is_signed_as_the_service_receives_it(void **unused)
{
	(void)unused;
	expect_signature("GET", "/resize?w=200", "/resize", "?w=200");
	expect_signature("POST", "/", "/", "?");
	expect_signature("GET", "/?", "/", "?");
	expect_signature("GET", "?a", "/", "?a");
	expect_signature("OPTIONS", "*", "/", "?");
	expect_signature("M-SEARCH", "/a?b?c=/d", "/a", "?b?c=/d");
	/* Nothing is decoded, quoted or normalized: both sides have the same bytes. */
	expect_signature("GET", "/%41/\"x\\\":%0a//../\xc3\xa9?\"", "/%41/\"x\\\":%0a//../\xc3\xa9",
			 "?\"");
}

/* The vector of docs/identity.md. */
static void fields_are_as_documented(void **unused)
{
	(void)unused;
	sign("GET", "/resize?w=200");
	assert_true(slice_equal(headers[0].value, slice_of("Tue, 24 Nov 2026 04:10:57 GMT")));
	assert_true(slice_equal(
		headers[1].value,
		slice_of("stoa=(\"@method\" \"@path\" \"@query\" \"date\" \"stoa-call\" "
			 "\"stoa-app\" \"stoa-account\" \"stoa-plan\");created=1795493457"
			 ";keyid=\"svc_3-1\";alg=\"hmac-sha256\"")));
	assert_true(slice_equal(headers[2].value,
				slice_of("stoa=:4w+0X+hGe1St2J4YrFoVRgUmTCpS9ULIT9v/8z9re8o=:")));
	for (size_t i = 0; i < IDENTITY_FIELDS; i++) {
		assert_int_equal(headers[i].known, http_name_classify(headers[i].name));
		assert_true(headers[i].sound);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_rfc_is_signed_as_it_says),
		cmocka_unit_test(a_call_is_signed_as_the_service_receives_it),
		cmocka_unit_test(fields_are_as_documented),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

#include "gateway/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#include "base/client_name.h"
#include "gateway/gateway.h"

#define ENDS_NS (1800000000 * CLOCK_NS_PER_S)

static struct directory directory;

static int begin(void **unused)
{
	(void)unused;
	const struct rating_card card = {0};
	struct fault fault;

	urcu_qsbr_register_thread();
	assert_int_equal(directory_init(&directory, &card, 1, &fault), 0);
	return 0;
}

static int end(void **unused)
{
	(void)unused;
	directory_fini(&directory);
	urcu_qsbr_unregister_thread();
	return 0;
}

static struct http_tls_peer shown(uint8_t fingerprint)
{
	struct http_tls_peer peer = {.ends_ns = ENDS_NS};

	memset(peer.fingerprint, fingerprint, sizeof(peer.fingerprint));
	return peer;
}

static void add_name(struct http_tls_peer *peer, bool is_uri, const char *text)
{
	assert_true(peer->name_count < HTTP_TLS_PEER_NAMES_MAX);
	peer->names[peer->name_count++] =
		(struct http_tls_name){.is_uri = is_uri, .text = slice_of(text)};
}

static void put(uint64_t id, const uint8_t digest[32])
{
	struct gateway_key_entry entry = {.id = {id}, .app = {id}};
	struct fault fault;
	bool replaced;

	memcpy(entry.digest, digest, sizeof(entry.digest));
	assert_int_equal(directory_put_key(&directory, &entry, &replaced, &fault), 0);
}

static void put_fingerprint(uint64_t id, uint8_t fingerprint)
{
	const struct http_tls_peer peer = shown(fingerprint);

	put(id, peer.fingerprint);
}

static struct api_key_digest digest_of(enum client_name_kind kind, const char *name)
{
	struct api_key_digest digest;

	assert_true(client_name_digest(kind, slice_of(name), &digest));
	return digest;
}

/* 0: for nothing. */
static uint64_t found(struct certificate *certificate)
{
	const struct directory_key *key = certificate_find(certificate, &directory);

	return key == NULL ? 0 : key->id.value;
}

static void it_stands_for_what_has_its_fingerprint(void **unused)
{
	(void)unused;
	const struct http_tls_peer mine = shown(1), other = shown(2);
	struct certificate *certificate = certificate_new(&mine);
	struct certificate *unknown = certificate_new(&other);

	assert_int_equal(found(certificate), 0);
	put_fingerprint(7, 1);
	assert_int_equal(found(certificate), 7);
	assert_int_equal(found(unknown), 0);
	assert_int_equal(certificate->ends_us, ENDS_NS / CLOCK_NS_PER_US);
	certificate_free(certificate);
	certificate_free(unknown);
	certificate_free(NULL);
}

static void it_stands_for_what_any_of_its_names_is_mapped_to(void **unused)
{
	(void)unused;
	struct http_tls_peer peer = shown(1);

	add_name(&peer, false, "Shop.Partner.example");
	add_name(&peer, true, "spiffe://partner.example/shop");
	put(8, digest_of(CLIENT_NAME_URI, "spiffe://partner.example/shop").bytes);
	struct certificate *certificate = certificate_new(&peer);
	assert_int_equal(found(certificate), 8);
	certificate_free(certificate);

	/* A DNS name in any case of its letters. */
	peer.name_count = 1;
	certificate = certificate_new(&peer);
	assert_int_equal(found(certificate), 0);
	put(9, digest_of(CLIENT_NAME_DNS, "shop.partner.example").bytes);
	assert_int_equal(found(certificate), 9);
	certificate_free(certificate);
}

static void a_name_of_one_kind_is_none_of_the_other(void **unused)
{
	(void)unused;
	struct http_tls_peer peer = shown(1);

	add_name(&peer, true, "partner.example");
	add_name(&peer, false, "spiffe://partner.example/shop");
	put(8, digest_of(CLIENT_NAME_DNS, "partner.example").bytes);
	put(9, digest_of(CLIENT_NAME_URI, "spiffe://partner.example/shop").bytes);
	struct certificate *certificate = certificate_new(&peer);
	assert_int_equal(found(certificate), 0);
	certificate_free(certificate);
}

static void names_that_cannot_be_mapped_leave_the_others(void **unused)
{
	(void)unused;
	struct http_tls_peer peer = shown(1);
	const char with_nul[] = "partner.example\0.evil.example";

	add_name(&peer, true, CLIENT_NAME_OWN_URI "account/app");
	add_name(&peer, false, "");
	add_name(&peer, false, "*.partner.example");
	peer.names[peer.name_count++] =
		(struct http_tls_name){.text = slice_make(with_nul, sizeof(with_nul) - 1)};
	while (peer.name_count < HTTP_TLS_PEER_NAMES_MAX)
		add_name(&peer, false, "last.example");
	put(8, digest_of(CLIENT_NAME_DNS, "partner.example").bytes);
	struct certificate *certificate = certificate_new(&peer);
	assert_int_equal(found(certificate), 0);
	put(9, digest_of(CLIENT_NAME_DNS, "last.example").bytes);
	assert_int_equal(found(certificate), 9);
	certificate_free(certificate);
}

static void what_was_found_stays_until_it_is_gone(void **unused)
{
	(void)unused;
	struct http_tls_peer peer = shown(1);

	add_name(&peer, false, "partner.example");
	const struct api_key_digest mapped = digest_of(CLIENT_NAME_DNS, "partner.example");
	put(8, mapped.bytes);
	struct certificate *certificate = certificate_new(&peer);
	assert_int_equal(found(certificate), 8);
	put_fingerprint(7, 1);
	assert_int_equal(found(certificate), 8);
	assert_int_equal(directory_retire_key(&directory, mapped.bytes).value, 8);
	assert_int_equal(found(certificate), 7);
	assert_int_equal(directory_retire_key(&directory, peer.fingerprint).value, 7);
	assert_int_equal(found(certificate), 0);
	put(9, mapped.bytes);
	assert_int_equal(found(certificate), 9);
	certificate_free(certificate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_stands_for_what_has_its_fingerprint),
		TEST(it_stands_for_what_any_of_its_names_is_mapped_to),
		TEST(a_name_of_one_kind_is_none_of_the_other),
		TEST(names_that_cannot_be_mapped_leave_the_others),
		TEST(what_was_found_stays_until_it_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authority/authority.h"
#include "base/clock.h"

#define NOW_NS (1795500000ull * CLOCK_NS_PER_S)
#define DAY_NS (86400ull * CLOCK_NS_PER_S)

struct rig {
	char folder[64];
	struct authority *authority;
};

static const char *const names[] = {"localhost", "*.stoa.internal", "127.0.0.1", "::1"};
#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

static void open_at(struct rig *rig, uint64_t now_ns)
{
	struct fault fault;

	if (rig->authority != NULL)
		authority_close(rig->authority);
	rig->authority = NULL;
	if (authority_open(rig->folder, "harbour", now_ns, &rig->authority, &fault) < 0)
		fail_msg("%s", fault.text);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	snprintf(rig->folder, sizeof(rig->folder), "/tmp/authority.XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	*state = rig;
	open_at(rig, NOW_NS);
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = {"ca.pem", "ca.key", "server.pem", "server.key"};
	struct rig *rig = *state;
	char path[128];

	if (rig->authority != NULL)
		authority_close(rig->authority);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", rig->folder, files[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(rig->folder), 0);
	free(rig);
	return 0;
}

static const char *path_of(const struct rig *rig, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", rig->folder, file);
	return path;
}

static X509 *held(const struct rig *rig, const char *file)
{
	FILE *stream = fopen(path_of(rig, file), "r");
	X509 *certificate = stream != NULL ? PEM_read_X509(stream, NULL, NULL, NULL) : NULL;

	assert_non_null(certificate);
	fclose(stream);
	return certificate;
}

/* X509_V_OK, or what the verifier has against it as the server `host`; NULL: as a client. */
static int verified(const struct rig *rig, X509 *certificate, const char *host, uint64_t now_ns)
{
	X509 *authority = held(rig, "ca.pem");
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();

	X509_STORE_add_cert(store, authority);
	X509_STORE_CTX_init(context, store, certificate, NULL);
	X509_STORE_CTX_set_purpose(context, host != NULL ? X509_PURPOSE_SSL_SERVER
							 : X509_PURPOSE_SSL_CLIENT);
	X509_STORE_CTX_set_time(context, 0, (time_t)(now_ns / CLOCK_NS_PER_S));
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	if (host != NULL && X509_VERIFY_PARAM_set1_ip_asc(param, host) != 1)
		X509_VERIFY_PARAM_set1_host(param, host, 0);
	X509_verify_cert(context);
	const int result = X509_STORE_CTX_get_error(context);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	X509_free(authority);
	return result;
}

static bool ensure(struct rig *rig, uint64_t now_ns)
{
	struct fault fault;
	bool issued;

	if (authority_server_ensure(rig->authority, names, NAME_COUNT, now_ns, &issued, &fault) < 0)
		fail_msg("%s", fault.text);
	return issued;
}

static void what_it_issues_is_believed_for_its_names_and_no_others(void **state)
{
	struct rig *rig = *state;

	assert_true(ensure(rig, NOW_NS));
	X509 *server = held(rig, "server.pem");
	assert_int_equal(verified(rig, server, "localhost", NOW_NS), X509_V_OK);
	assert_int_equal(verified(rig, server, "thumbs.stoa.internal", NOW_NS), X509_V_OK);
	assert_int_equal(verified(rig, server, "127.0.0.1", NOW_NS), X509_V_OK);
	assert_int_equal(verified(rig, server, "::1", NOW_NS), X509_V_OK);
	assert_int_equal(verified(rig, server, "example.com", NOW_NS),
			 X509_V_ERR_HOSTNAME_MISMATCH);
	assert_int_equal(verified(rig, server, "127.0.0.2", NOW_NS),
			 X509_V_ERR_IP_ADDRESS_MISMATCH);
	assert_int_equal(verified(rig, server, "localhost", NOW_NS + 91 * DAY_NS),
			 X509_V_ERR_CERT_HAS_EXPIRED);
	X509_free(server);
}

static void keys_are_their_owners_alone(void **state)
{
	struct rig *rig = *state;
	struct stat status;
	struct fault fault;
	char *text;
	size_t length;

	ensure(rig, NOW_NS);
	assert_int_equal(stat(path_of(rig, "ca.key"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(stat(path_of(rig, "server.key"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(chmod(path_of(rig, "server.key"), 0644), 0);
	assert_int_equal(authority_key_read(path_of(rig, "server.key"), &text, &length, &fault),
			 FAULT_REFUSED);
	assert_non_null(strstr(fault.text, "server.key"));
}

static void it_is_the_same_after_a_start_and_renews_in_time(void **state)
{
	struct rig *rig = *state;

	X509 *first = held(rig, "ca.pem");
	ensure(rig, NOW_NS);
	open_at(rig, NOW_NS + DAY_NS);
	X509 *second = held(rig, "ca.pem");
	assert_int_equal(X509_cmp(first, second), 0);
	X509_free(first);
	X509_free(second);
	assert_false(ensure(rig, NOW_NS + 59 * DAY_NS));
	assert_true(ensure(rig, NOW_NS + 61 * DAY_NS));
	assert_false(ensure(rig, NOW_NS + 61 * DAY_NS));
}

static void a_host_below_localhost_is_certified_and_nothing_else(void **state)
{
	static const char *const others[] = {
		"localhost",     ".localhost",       "a.b.localhost", "-a.localhost",
		"a-.localhost",  "*.localhost",      "example.com",   "",
		"a_b.localhost", "thumbs.localhost."};
	struct rig *rig = *state;
	uint8_t der[AUTHORITY_CERT_MAX];

	assert_int_equal(
		authority_certify(rig->authority, "thumbs.localhost", NOW_NS, der, sizeof(der)), 0);
	ensure(rig, NOW_NS);
	const size_t length =
		authority_certify(rig->authority, "thumbs.localhost", NOW_NS, der, sizeof(der));
	const unsigned char *at = der;
	X509 *host = d2i_X509(NULL, &at, (long)length);
	assert_non_null(host);
	assert_int_equal(verified(rig, host, "thumbs.localhost", NOW_NS), X509_V_OK);
	assert_int_equal(verified(rig, host, "other.localhost", NOW_NS),
			 X509_V_ERR_HOSTNAME_MISMATCH);
	X509_free(host);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(
			authority_certify(rig->authority, others[i], NOW_NS, der, sizeof(der)), 0);
	assert_int_equal(authority_certify(rig->authority, "thumbs.localhost", NOW_NS, der, 16), 0);
}

/* A request for `key`, signed by `signer`. */
static char *request_new(EVP_PKEY *key, EVP_PKEY *signer)
{
	X509_REQ *request = X509_REQ_new();
	BIO *text = BIO_new(BIO_s_mem());
	char *pem = calloc(1, AUTHORITY_PEM_MAX);

	X509_REQ_set_pubkey(request, key);
	X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_ASC,
				   (const unsigned char *)"stoa://globex/other", -1, -1, 0);
	assert_true(X509_REQ_sign(request, signer, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509_REQ(text, request), 1);
	assert_true(BIO_read(text, pem, AUTHORITY_PEM_MAX - 1) > 0);
	BIO_free(text);
	X509_REQ_free(request);
	return pem;
}

static void a_clients_certificate_names_its_app_and_nothing_that_was_asked(void **state)
{
	struct rig *rig = *state;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char *request = request_new(key, key);
	struct authority_client client;
	uint8_t fingerprint[32];
	struct fault fault;

	assert_int_equal(authority_client_issue(rig->authority, slice_of(request), "acme/shop",
						NOW_NS, NOW_NS + 90 * DAY_NS + 7, &client, &fault),
			 0);
	assert_int_equal(client.ends_ns, NOW_NS + 90 * DAY_NS);
	BIO *text = BIO_new_mem_buf(client.certificate, -1);
	X509 *certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
	assert_non_null(certificate);
	assert_int_equal(verified(rig, certificate, NULL, NOW_NS), X509_V_OK);
	assert_int_equal(verified(rig, certificate, NULL, client.ends_ns + 2 * CLOCK_NS_PER_S),
			 X509_V_ERR_CERT_HAS_EXPIRED);
	assert_int_equal(verified(rig, certificate, "localhost", NOW_NS),
			 X509_V_ERR_INVALID_PURPOSE);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(certificate), key), 1);
	GENERAL_NAMES *held = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(held), 1);
	const GENERAL_NAME *name = sk_GENERAL_NAME_value(held, 0);
	assert_int_equal(name->type, GEN_URI);
	assert_string_equal((const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
			    "stoa://acme/shop");
	X509_digest(certificate, EVP_sha256(), fingerprint, NULL);
	assert_memory_equal(client.fingerprint, fingerprint, sizeof(fingerprint));
	assert_int_equal(strlen(client.serial), AUTHORITY_SERIAL_MAX - 1);
	GENERAL_NAMES_free(held);
	X509_free(certificate);
	BIO_free(text);
	EVP_PKEY_free(key);
	free(request);
}

static void assert_not_issued(struct rig *rig, const char *request, uint64_t ends_ns,
			      const char *why)
{
	struct authority_client client;
	struct fault fault;

	assert_int_equal(authority_client_issue(rig->authority, slice_of(request), "acme/shop",
						NOW_NS, ends_ns, &client, &fault),
			 FAULT_INPUT);
	if (strstr(fault.text, why) == NULL)
		fail_msg("%s", fault.text);
}

static void a_request_that_is_not_sound_gets_no_certificate(void **state)
{
	struct rig *rig = *state;
	const uint64_t ends_ns = NOW_NS + DAY_NS;
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	EVP_PKEY *weak = EVP_RSA_gen(1024), *odd = EVP_EC_gen("secp256k1");
	char *good = request_new(key, key), *stolen = request_new(key, other);
	char *short_rsa = request_new(weak, weak), *odd_curve = request_new(odd, odd);
	char *locked = calloc(1, AUTHORITY_PEM_MAX + 128);
	char *long_one = calloc(1, AUTHORITY_REQUEST_MAX + 2);

	memset(long_one, 'A', AUTHORITY_REQUEST_MAX + 1);
	snprintf(locked, AUTHORITY_PEM_MAX + 128,
		 "-----BEGIN CERTIFICATE REQUEST-----\nProc-Type: 4,ENCRYPTED\n"
		 "DEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n%s",
		 strchr(good, '\n') + 1);
	assert_not_issued(rig, "", ends_ns, "none in PEM");
	assert_not_issued(rig, "hello", ends_ns, "none in PEM");
	assert_not_issued(rig, locked, ends_ns, "none in PEM");
	assert_not_issued(rig, long_one, ends_ns, "longer");
	assert_not_issued(rig, stolen, ends_ns, "not signed");
	assert_not_issued(rig, short_rsa, ends_ns, "not allowed");
	assert_not_issued(rig, odd_curve, ends_ns, "not allowed");
	assert_not_issued(rig, good, NOW_NS, "within a second");
	assert_not_issued(rig, good, NOW_NS + CLOCK_NS_PER_S - 1, "within a second");
	assert_not_issued(rig, good, NOW_NS + (AUTHORITY_OWN_DAYS + 1) * DAY_NS, "behind");
	EVP_PKEY_free(key), EVP_PKEY_free(other), EVP_PKEY_free(weak), EVP_PKEY_free(odd);
	free(good), free(stolen), free(short_rsa), free(odd_curve), free(locked), free(long_one);
}

static void files_that_do_not_belong_together_are_refused(void **state)
{
	struct rig *rig = *state;
	struct fault fault;
	struct authority *none = NULL;

	ensure(rig, NOW_NS);
	char key[128];
	snprintf(key, sizeof(key), "%s", path_of(rig, "ca.key"));
	assert_int_equal(rename(path_of(rig, "server.key"), key), 0);
	assert_int_equal(authority_open(rig->folder, "harbour", NOW_NS, &none, &fault),
			 FAULT_DAMAGED);
	assert_non_null(strstr(fault.text, "ca.pem"));
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(what_it_issues_is_believed_for_its_names_and_no_others),
		TEST(keys_are_their_owners_alone),
		TEST(it_is_the_same_after_a_start_and_renews_in_time),
		TEST(a_host_below_localhost_is_certified_and_nothing_else),
		TEST(a_clients_certificate_names_its_app_and_nothing_that_was_asked),
		TEST(a_request_that_is_not_sound_gets_no_certificate),
		TEST(files_that_do_not_belong_together_are_refused),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

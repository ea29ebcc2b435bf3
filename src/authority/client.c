/* The certificate of a client, from its request. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "authority/authority_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"

#define URI_MAX      192
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096

static int refuse(struct fault *fault, const char *what)
{
	ERR_clear_error();
	return fault_set(fault, FAULT_INPUT, "the certificate request %s", what);
}

static bool is_strong(const EVP_PKEY *key)
{
	char curve[32];
	size_t length;

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_ED25519:
		return true;
	case EVP_PKEY_RSA:
		return EVP_PKEY_get_bits(key) >= RSA_BITS_MIN &&
		       EVP_PKEY_get_bits(key) <= RSA_BITS_MAX;
	case EVP_PKEY_EC:
		return EVP_PKEY_get_group_name(key, curve, sizeof(curve), &length) == 1 &&
		       (strcmp(curve, SN_X9_62_prime256v1) == 0 ||
			strcmp(curve, SN_secp384r1) == 0);
	default:
		return false;
	}
}

static int read_request(struct slice request, X509_REQ **ret_request, struct fault *fault)
{
	if (request.length > AUTHORITY_REQUEST_MAX)
		return refuse(fault, "is longer than 8 KiB");
	BIO *text = BIO_new_mem_buf(request.data, (int)request.length);
	check(text != NULL);
	X509_REQ *read = PEM_read_bio_X509_REQ(text, NULL, NULL, (char *)(uintptr_t) "");
	BIO_free(text);
	if (read == NULL)
		return refuse(fault, "is none in PEM (-----BEGIN CERTIFICATE REQUEST-----)");
	EVP_PKEY *key = X509_REQ_get0_pubkey(read);
	int code = 0;
	if (key == NULL || !is_strong(key))
		code = refuse(fault, "is for a key that is not allowed: P-256, P-384, Ed25519 and "
				     "RSA from 2048 to 4096 bits are");
	else if (X509_REQ_verify(read, key) != 1)
		code = refuse(fault, "is not signed by the key that it is for");
	if (code < 0) {
		X509_REQ_free(read);
		return code;
	}
	*ret_request = read;
	return 0;
}

static void tell(X509 *certificate, struct authority_client *client)
{
	uint8_t serial[(AUTHORITY_SERIAL_MAX - 1) / 2];
	BIO *text = BIO_new(BIO_s_mem());
	unsigned length = 0;
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);

	check(text != NULL);
	check(number != NULL);
	check(PEM_write_bio_X509(text, certificate) == 1);
	const int bytes = BIO_read(text, client->certificate, AUTHORITY_PEM_MAX - 1);
	check(bytes > 0 && bytes < AUTHORITY_PEM_MAX - 1);
	client->certificate[bytes] = '\0';
	check(X509_digest(certificate, EVP_sha256(), client->fingerprint, &length) == 1);
	check_equal(length, sizeof(client->fingerprint));
	check(BN_bn2binpad(number, serial, sizeof(serial)) == (int)sizeof(serial));
	text_hex(serial, sizeof(serial), client->serial);
	BN_free(number);
	BIO_free(text);
}

int authority_client_issue(const struct authority *authority, struct slice request, const char *app,
			   uint64_t now_ns, uint64_t ends_ns, struct authority_client *ret_client,
			   struct fault *fault)
{
	const int64_t own_left_s = authority_certificate_left_s(authority->certificate, now_ns);
	/* A certificate knows whole seconds. */
	const uint64_t last_ns = ends_ns / CLOCK_NS_PER_S * CLOCK_NS_PER_S;
	X509_REQ *read = NULL;
	char uri[URI_MAX];
	const char *name = uri;

	if (own_left_s <= 0 || last_ns <= now_ns ||
	    (ends_ns - now_ns) / CLOCK_NS_PER_S >= (uint64_t)own_left_s)
		return fault_set(fault, FAULT_INPUT,
				 "the certificate would end within a second or behind the cloud's "
				 "authority, which has %lld days left",
				 (long long)own_left_s / 86400);
	check((size_t)snprintf(uri, sizeof(uri), "stoa://%s", app) < sizeof(uri));
	const int code = read_request(request, &read, fault);
	if (code < 0)
		return code;
	X509 *certificate = authority_certificate_new(
		&(struct authority_request){.use = AUTHORITY_USE_CLIENT,
					    .common_name = "Stoa app",
					    .names = &name,
					    .name_count = 1,
					    .subject = X509_REQ_get0_pubkey(read),
					    .now_ns = now_ns,
					    .ends_ns = last_ns},
		authority->certificate, authority->key);
	X509_REQ_free(read);
	check(certificate != NULL);
	tell(certificate, ret_client);
	ret_client->ends_ns = last_ns;
	X509_free(certificate);
	return 0;
}

#include "catalog/tls_rig_internal.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"

#define DAY_S 86400

static void take(BIO *from, char to[TLS_TEXT_MAX])
{
	const int length = BIO_read(from, to, TLS_TEXT_MAX - 1);

	check(length > 0);
	to[length] = '\0';
	BIO_free(from);
}

void tls_pair_make(struct tls_pair *pair, int days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	BIO *text = BIO_new(BIO_s_mem());
	BIO *key_text = BIO_new(BIO_s_mem());
	BIO *locked_text = BIO_new(BIO_s_mem());
	char phrase[] = "phrase";

	check(key != NULL);
	check(certificate != NULL);
	pair->now_ns = (uint64_t)time(NULL) * CLOCK_NS_PER_S;
	X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * DAY_S);
	X509_set_pubkey(certificate, key);
	check(X509_sign(certificate, key, EVP_sha256()) > 0);
	check(PEM_write_bio_X509(text, certificate) == 1);
	check(PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) == 1);
	check(PEM_write_bio_PrivateKey(locked_text, key, EVP_aes_256_cbc(), NULL, 0, NULL,
				       phrase) == 1);
	take(text, pair->certificate);
	take(key_text, pair->key);
	take(locked_text, pair->locked_key);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <strings.h>

#include "authority/authority_internal.h"
#include "base/check.h"
#include "base/clock.h"

#define SERIAL_BYTES  16
#define EARLIER_S     300 /* clocks of those who look may be behind */
#define SECONDS_A_DAY 86400

EVP_PKEY *authority_key_new(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	check(key != NULL);
	return key;
}

static void set_serial(X509 *certificate)
{
	uint8_t bytes[SERIAL_BYTES];
	BIGNUM *number;

	check(RAND_bytes(bytes, sizeof(bytes)) == 1);
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and always as long */
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	check(number != NULL);
	check(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL);
	BN_free(number);
}

static void set_times(X509 *certificate, const struct authority_request *request)
{
	time_t now_s = (time_t)(request->now_ns / CLOCK_NS_PER_S);
	time_t end_s = (time_t)(request->ends_ns / CLOCK_NS_PER_S);

	check(X509_time_adj(X509_getm_notBefore(certificate), -EARLIER_S, &now_s) != NULL);
	check(X509_time_adj(X509_getm_notAfter(certificate), 0, &end_s) != NULL);
}

static void add(X509 *certificate, X509V3_CTX *context, int kind, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, kind, value);

	check(extension != NULL);
	check(X509_add_ext(certificate, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

/* ---- names: they come from people and from clients, so none is put into a text ---- */

static ASN1_OCTET_STRING *address_of(const char *name)
{
	return a2i_IPADDRESS(name);
}

static GENERAL_NAME *name_new(enum authority_use use, const char *name)
{
	GENERAL_NAME *general = GENERAL_NAME_new();
	ASN1_OCTET_STRING *address = use == AUTHORITY_USE_SERVER ? address_of(name) : NULL;

	check(general != NULL);
	if (address != NULL) {
		GENERAL_NAME_set0_value(general, GEN_IPADD, address);
		return general;
	}
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	check(text != NULL);
	check(ASN1_STRING_set(text, name, (int)strlen(name)) == 1);
	GENERAL_NAME_set0_value(general, use == AUTHORITY_USE_SERVER ? GEN_DNS : GEN_URI, text);
	return general;
}

static void add_names(X509 *certificate, const struct authority_request *request)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();

	check(names != NULL);
	for (size_t i = 0; i < request->name_count; i++)
		check(sk_GENERAL_NAME_push(names, name_new(request->use, request->names[i])) > 0);
	check(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

static bool is_same_name(const GENERAL_NAME *general, const char *name)
{
	GENERAL_NAME *wanted = name_new(AUTHORITY_USE_SERVER, name);
	const bool same = GENERAL_NAME_cmp((GENERAL_NAME *)(uintptr_t)general, wanted) == 0;

	GENERAL_NAME_free(wanted);
	return same;
}

bool authority_certificate_names(X509 *certificate, const char *const *names, size_t count)
{
	GENERAL_NAMES *held = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	bool same = held != NULL && sk_GENERAL_NAME_num(held) == (int)count;

	for (size_t i = 0; same && i < count; i++)
		same = is_same_name(sk_GENERAL_NAME_value(held, (int)i), names[i]);
	GENERAL_NAMES_free(held);
	return same;
}

int64_t authority_certificate_left_s(const X509 *certificate, uint64_t now_ns)
{
	time_t now_s = (time_t)(now_ns / CLOCK_NS_PER_S);
	ASN1_TIME *now = ASN1_TIME_adj(NULL, now_s, 0, 0);
	int days = 0, seconds = 0;

	check(now != NULL);
	const bool read =
		ASN1_TIME_diff(&days, &seconds, now, X509_get0_notAfter(certificate)) == 1;
	ASN1_TIME_free(now);
	return read ? (int64_t)days * SECONDS_A_DAY + seconds : -1;
}

/* ---- all of it ---- */

X509 *authority_certificate_new(const struct authority_request *request, X509 *issuer,
				EVP_PKEY *issuer_key)
{
	const bool is_authority = request->use == AUTHORITY_USE_AUTHORITY;
	X509 *certificate = X509_new();
	X509V3_CTX context;

	check(certificate != NULL);
	check(X509_set_version(certificate, X509_VERSION_3) == 1);
	set_serial(certificate);
	set_times(certificate, request);
	check(X509_set_pubkey(certificate, request->subject) == 1);
	if (X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName,
				       MBSTRING_UTF8, (const unsigned char *)request->common_name,
				       -1, -1, 0) != 1) {
		ERR_clear_error();
		X509_free(certificate);
		return NULL;
	}
	if (issuer == NULL)
		issuer = certificate;
	check(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	add(certificate, &context, NID_basic_constraints,
	    is_authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE");
	add(certificate, &context, NID_key_usage,
	    is_authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
	add(certificate, &context, NID_subject_key_identifier, "hash");
	add(certificate, &context, NID_authority_key_identifier, "keyid:always");
	if (!is_authority) {
		add(certificate, &context, NID_ext_key_usage,
		    request->use == AUTHORITY_USE_SERVER ? "serverAuth" : "clientAuth");
		add_names(certificate, request);
	}
	check(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
	return certificate;
}

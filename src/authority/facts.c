/* What a certificate says, for people. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "authority/authority_internal.h"
#include "base/check.h"
#include "base/clock.h"

static void tell_name(const X509_NAME *name, char text[AUTHORITY_FACT_MAX])
{
	BIO *bio = BIO_new(BIO_s_mem());

	check(bio != NULL);
	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
	const int length = BIO_read(bio, text, AUTHORITY_FACT_MAX - 1);
	text[length > 0 ? length : 0] = '\0';
	BIO_free(bio);
}

/* Empty where it is no address. */
static void tell_address(const ASN1_OCTET_STRING *address, char text[AUTHORITY_NAME_MAX])
{
	const int length = ASN1_STRING_length(address);

	text[0] = '\0';
	if (length == sizeof(struct in_addr) || length == sizeof(struct in6_addr))
		inet_ntop(length == sizeof(struct in_addr) ? AF_INET : AF_INET6,
			  ASN1_STRING_get0_data(address), text, AUTHORITY_NAME_MAX);
}

static void tell_names(X509 *certificate, struct authority_facts *facts)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names) &&
			facts->name_count < AUTHORITY_NAMES_MAX;
	     i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		char *text = facts->names[facts->name_count];
		if (name->type == GEN_DNS || name->type == GEN_URI) {
			snprintf(text, AUTHORITY_NAME_MAX, "%.*s", ASN1_STRING_length(name->d.ia5),
				 (const char *)ASN1_STRING_get0_data(name->d.ia5));
		} else if (name->type == GEN_IPADD) {
			tell_address(name->d.iPAddress, text);
		} else {
			continue;
		}
		facts->name_count++;
	}
	GENERAL_NAMES_free(names);
}

int authority_facts_read(const char *path, struct authority_facts *ret_facts, struct fault *fault)
{
	X509 *certificate;
	struct tm time;
	const int code = authority_certificate_load(path, &certificate, fault);

	if (code < 0)
		return code;
	memset(ret_facts, 0, sizeof(*ret_facts));
	tell_name(X509_get_subject_name(certificate), ret_facts->subject);
	tell_name(X509_get_issuer_name(certificate), ret_facts->issuer);
	tell_names(certificate, ret_facts);
	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1)
		ret_facts->ends_ns = (uint64_t)timegm(&time) * CLOCK_NS_PER_S;
	ERR_clear_error();
	X509_free(certificate);
	return 0;
}
